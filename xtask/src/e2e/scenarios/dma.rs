// SPDX-License-Identifier: GPL-2.0-only
//! A guest with a device behind an SMMU that shares the tables.

use crate::boot::dom0::console::StepRun;
use crate::boot::dom0::steps::memory_back;
use crate::e2e::scenario::{ended_well, scenario, value, Scenario, Seen};

const REMOVED: Scenario = scenario!("dma-removed", "DMA to pages that are removed", removed);
const ACCESS: Scenario = scenario!("dma-access", "DMA to restricted pages", access);
const BUSY: Scenario = scenario!(
    "dma-busy",
    "DMA while the tables change",
    busy,
    Some("permissions")
);
const DESTROY: Scenario = scenario!("dma-destroy", "guest destroyed under DMA", destroy);

/// In the order in which they run.
pub(in crate::e2e) const BEHIND_SMMU: &[Scenario] = &[REMOVED, ACCESS, BUSY, DESTROY];

/// What `cargo xtask test` runs each time.
pub(in crate::e2e) const SHORT_BEHIND_SMMU: &[Scenario] = &[REMOVED, ACCESS, BUSY];

/// dom0 has the device.
pub(in crate::e2e) const DMA_OF_DOM0: Scenario = scenario!("dma-dom0", "DMA of dom0's disk", dom0);

/// Pages of eight blocks, four each, as `do_dma_removed` does.
const PAGES: u64 = 32;

/// What the device may, by the access: as docs/mem_access.md says of reads and writes.
const ACCESSES: [(&str, &str); 11] = [
    ("n", "--"),
    ("r", "r-"),
    ("w", "-w"),
    ("rw", "rw"),
    ("x", "--"),
    ("rx", "r-"),
    ("wx", "-w"),
    ("rwx", "rw"),
    ("rx2rw", "r-"),
    ("n2rwx", "--"),
    ("r_pw", "r-"),
];

/// How often all of the pages were written in each stream of `dma-busy`, at least.
const STREAMED: u64 = 32 * 100;

/// Blocks that `dma-busy` splits: 14, five times.
const SPLITS: u64 = 70;

fn number_is(run: &StepRun, key: &str, expected: u64, what: &str) -> Result<(), String> {
    match run.number(key)? {
        is if is == expected => Ok(()),
        is => Err(format!("{is} of {expected} {what}")),
    }
}

fn none(run: &StepRun, key: &str, what: &str) -> Result<(), String> {
    match run.number(key)? {
        0 => Ok(()),
        is => Err(format!("{is} {what}")),
    }
}

fn removed(run: &StepRun) -> Result<Seen, String> {
    ended_well(run)?;
    number_is(run, "removed", PAGES, "pages were removed")?;
    none(run, "reached", "writes reached a page after its removal")?;
    none(run, "read", "reads saw a page after its removal")?;
    let unmapped = run.number("unmapped")?;
    // A write and a read of each, and the device may try in pieces.
    if unmapped < 2 * PAGES {
        return Err(format!("Xen tells of {unmapped} faults for {PAGES} pages"));
    }
    none(run, "forbidden", "permission faults")?;
    let text = format!("{PAGES} pages, none reached; a fault for each read and write");
    Seen::of(run, text, &["removed", "reached", "read", "unmapped"])
}

fn access(run: &StepRun) -> Result<Seen, String> {
    ended_well(run)?;
    for (access, expected) in ACCESSES {
        let is = value(run, access)?;
        if is != expected {
            return Err(format!(
                "{access}: the device has {is} instead of {expected}"
            ));
        }
    }
    number_is(
        run,
        "after",
        11,
        "pages work after the restriction is lifted",
    )?;
    none(run, "events", "events")?;
    none(run, "unmapped", "faults as if nothing was mapped")?;
    if run.number("forbidden")? == 0 {
        return Err("Xen tells of no fault".to_owned());
    }
    let keys: Vec<&str> = ACCESSES.iter().map(|(access, _)| *access).collect();
    let text = "each of the 11 accesses as for a CPU; no event".to_owned();
    Seen::of(run, text, &[&keys[..], &["forbidden"]].concat())
}

fn busy(run: &StepRun) -> Result<Seen, String> {
    ended_well(run)?;
    let is_c = value(run, "p2m")? == "c";
    for stream in ["split", "hole", "same_page", "neighbour"] {
        let of = run.number(&format!("{stream}_of"))?;
        if of < STREAMED {
            return Err(format!("{stream}: the device wrote only {of} times"));
        }
    }
    none(
        run,
        "settled",
        "writes do not arrive although nothing changes",
    )?;
    none(run, "hole", "writes beside a hole were lost")?;
    none(
        run,
        "neighbour",
        "writes beside a page whose access changed were lost",
    )?;
    let same = run.number("same_page")?;
    if same != 0 && !is_c {
        return Err(format!(
            "{same} writes were lost to changes that they do not need"
        ));
    }
    number_is(run, "splits", SPLITS, "blocks were split")?;
    let split = run.number("split")?;
    // One for each block on average at the most: the device writes to each once in a batch, and a break is shorter
    // than a batch.
    if split > SPLITS {
        return Err(format!("{split} writes were lost to {SPLITS} splits"));
    }
    // What does not arrive was refused, and is nowhere else.
    let unmapped = run.number("unmapped")?;
    if split > unmapped {
        return Err(format!(
            "{split} writes were lost, and Xen tells of {unmapped} faults"
        ));
    }
    number_is(
        run,
        "fresh",
        14,
        "blocks that no CPU has touched are reached",
    )?;
    for key in ["untouched", "untouched_after"] {
        number_is(run, key, 16, "pages that no CPU has touched are reached")?;
    }
    number_is(run, "exceptions", 2, "operations by set/way are refused")?;
    let text = format!(
        "lost: {split} of {} while their block is split, {same} of {} while their access changes, none beside",
        run.number("split_of")?,
        run.number("same_page_of")?,
    );
    let mut seen = Seen::of(
        run,
        text,
        &["settled", "hole", "neighbour", "untouched", "exceptions"],
    )?;
    seen.excused
        .push(("same_page lost any".to_owned(), (same != 0).to_string()));
    Ok(seen)
}

fn destroy(run: &StepRun) -> Result<Seen, String> {
    ended_well(run)?;
    let pages = memory_back(run)?;
    none(run, "left", "guests are left")?;
    number_is(run, "removed", 4, "pages were removed")?;
    none(run, "reached", "writes reached a page after its removal")?;
    let text = format!("4 times; {pages}; the next guest has the device");
    Seen::of(run, text, &["left", "removed", "reached"])
}

/// What the script writes and reads of the guest's disk at the least: 2 MiB each, by the guest.
const SECTORS: u64 = 2 * (2 << 20) / 512;

fn dom0(run: &StepRun) -> Result<Seen, String> {
    ended_well(run)?;
    none(run, "quiet_wrong", "blocks are not as they were written")?;
    none(run, "quiet_faults", "faults while nothing changes")?;
    for key in ["lands_before", "lands_after"] {
        if run.number(key)? != 1 {
            return Err(format!("{key}: the device does not write to dom0's memory"));
        }
    }
    none(run, "reached", "writes reached a page that is not mapped")?;
    if run.number("hole_faults")? == 0 {
        return Err("Xen tells of no fault where nothing is mapped".to_owned());
    }
    let (wrong, faults) = (run.number("balloon_wrong")?, run.number("balloon_faults")?);
    if wrong > faults {
        return Err(format!("{wrong} blocks are wrong, with {faults} faults"));
    }
    let given = run.number("given_kb")?;
    if given == 0 {
        return Err("dom0 gave up no memory".to_owned());
    }
    none(run, "back_kb", "KiB of dom0 are not back")?;
    none(run, "grant_faults", "faults in guests' pages")?;
    if run.number("sectors")? < SECTORS {
        return Err("the guest's disk is not on dom0's".to_owned());
    }
    let wanted = ["guest_read_dom0s", "guest_read_its_own", "dom0_read_guests"];
    for key in wanted {
        if value(run, key)? != "yes" {
            return Err(format!("{key}: no"));
        }
    }
    let text = format!(
        "none to a page without mapping; {} times {} MiB given up and back, {faults} faults; a guest's disk is on it",
        run.number("rounds")?,
        given >> 10,
    );
    Seen::of(
        run,
        text,
        &[
            &wanted[..],
            &["quiet_wrong", "quiet_faults", "reached", "hole_faults"],
        ]
        .concat(),
    )
}

#[cfg(test)]
mod tests {
    use super::{access, busy, destroy, dom0, removed, ACCESSES};
    use crate::e2e::scenario::tests::run;
    use crate::e2e::scenario::{Judge, Seen};

    /// Judges what `good` prints, and the same with each of its values spoilt in turn: which of these pass.
    fn passes_spoilt(judge: Judge, good: &[(&str, &str)], spoil: &str) -> Vec<String> {
        let printed = |spoilt: Option<&str>| -> Result<Seen, String> {
            let lines: Vec<String> = good
                .iter()
                .map(|&(key, is)| {
                    let is = if spoilt == Some(key) { spoil } else { is };
                    format!("@@value {key}={is}")
                })
                .collect();
            judge(&run(0, &lines.join("\n")))
        };
        assert!(printed(None).is_ok(), "{:?}", printed(None));
        assert!(judge(&run(1, "")).is_err());
        let keys = good.iter().map(|(key, _)| *key);
        keys.filter(|key| printed(Some(key)).is_ok())
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn each_number_counts() {
        let none: [&str; 0] = [];
        let good = [
            ("removed", "32"),
            ("reached", "0"),
            ("read", "0"),
            ("unmapped", "128"),
            ("forbidden", "0"),
        ];
        assert_eq!(passes_spoilt(removed, &good, "1"), none);
        let mut good = ACCESSES.to_vec();
        good.extend([
            ("after", "11"),
            ("events", "0"),
            ("unmapped", "0"),
            ("forbidden", "16"),
        ]);
        assert_eq!(passes_spoilt(access, &good, "1"), ["forbidden"]);
        let zero = passes_spoilt(access, &good, "0");
        assert!(!zero.contains(&"forbidden".to_owned()), "{zero:?}");
        let good = [
            ("pages_before", "1000"),
            ("pages_after", "1000"),
            ("left", "0"),
            ("removed", "4"),
            ("reached", "0"),
        ];
        assert_eq!(passes_spoilt(destroy, &good, "7"), none);
    }

    #[test]
    fn what_is_lost_to_a_split_is_counted_and_nothing_else_may_be() {
        let good = [
            ("p2m", "rust"),
            ("splits", "70"),
            ("split", "2"),
            ("split_of", "5000"),
            ("hole", "0"),
            ("hole_of", "5000"),
            ("same_page", "0"),
            ("same_page_of", "5000"),
            ("neighbour", "0"),
            ("neighbour_of", "5000"),
            ("settled", "0"),
            ("fresh", "14"),
            ("untouched", "16"),
            ("untouched_after", "16"),
            ("exceptions", "2"),
            ("unmapped", "4"),
        ];
        assert_eq!(
            passes_spoilt(busy, &good, "3"),
            ["p2m", "split", "unmapped"]
        );
        // More than there are faults, more than blocks are split, fewer faults than writes are lost.
        assert_eq!(passes_spoilt(busy, &good, "5"), ["p2m", "unmapped"]);
        assert_eq!(passes_spoilt(busy, &good, "1"), ["p2m", "split"]);
        let many = good.map(|(key, is)| (key, if key == "unmapped" { "200" } else { is }));
        assert!(passes_spoilt(busy, &many, "70").contains(&"split".to_owned()));
        assert!(!passes_spoilt(busy, &many, "71").contains(&"split".to_owned()));
        let mut c = good;
        c[0].1 = "c";
        assert_eq!(
            passes_spoilt(busy, &c, "3"),
            ["p2m", "split", "same_page", "unmapped"]
        );
    }

    #[test]
    fn dom0s_data_is_wrong_only_where_xen_tells_of_a_fault() {
        let good = [
            ("quiet_wrong", "0"),
            ("quiet_faults", "0"),
            ("lands_before", "1"),
            ("reached", "0"),
            ("lands_after", "1"),
            ("hole_faults", "129"),
            ("rounds", "5"),
            ("given_kb", "2048"),
            ("back_kb", "0"),
            ("balloon_wrong", "0"),
            ("balloon_faults", "0"),
            ("guest_read_dom0s", "yes"),
            ("guest_read_its_own", "yes"),
            ("dom0_read_guests", "yes"),
            ("sectors", "9000"),
            ("grant_faults", "0"),
        ];
        let passes = ["hole_faults", "rounds", "given_kb", "balloon_faults"];
        assert_eq!(passes_spoilt(dom0, &good, "3"), passes);
        assert!(!passes_spoilt(dom0, &good, "0").contains(&"hole_faults".to_owned()));
    }
}
