// SPDX-License-Identifier: GPL-2.0-only
//! A monitor with thousands of events, and what can go wrong for one.

use crate::boot::dom0::console::StepRun;
use crate::boot::dom0::steps::memory_back;
use crate::e2e::scenario::{ended_well, scenario, value, Scenario, Seen};

pub(super) const SEQUENCE: Scenario = scenario!(
    "monitor-sequence",
    "each write and fetch, in order",
    sequence
);
pub(super) const SHARE: Scenario = scenario!("monitor-share", "two vCPUs, one page", share);
pub(super) const RING: Scenario = scenario!("monitor-ring", "the ring is full", ring);
pub(in crate::e2e::scenarios) const KILLED: Scenario =
    scenario!("monitor-killed", "monitor killed, recovered", killed);
pub(super) const STEP: Scenario = scenario!("monitor-step", "one instruction at a time", step);
pub(super) const DESTROYED: Scenario = scenario!(
    "monitor-destroyed",
    "guest destroyed under a monitor",
    destroyed
);
pub(super) const LINUX: Scenario = scenario!("monitor-linux", "Linux: its text and tables", linux);

/// As the scripts have them.
const SEQUENCE_EVENTS: u64 = 6000;
const SHARE_EVENTS: u64 = 1500;
const RING_PAGES: u64 = 256;
const LINUX_EVENTS: u64 = 2000;

/// No event was wrong, and the guest goes on without the monitor.
fn well(run: &StepRun) -> Result<(), String> {
    ended_well(run)?;
    let wrong = run.number("wrong")?;
    if wrong != 0 {
        let said = run.lines.iter().find(|line| line.contains("monitor: "));
        let said = said.map_or("", String::as_str);
        return Err(format!("{wrong} events are wrong, the first: {said}"));
    }
    works(run, "works")
}

fn works(run: &StepRun, key: &str) -> Result<(), String> {
    match run.number(key)? {
        0 => Ok(()),
        _ => Err("the guest stands still".to_owned()),
    }
}

/// How many pages were restricted in one call: the C has no such call.
fn in_one_call(run: &StepRun) -> Result<&'static str, String> {
    match (value(run, "p2m")?, run.number("multi")?) {
        ("rust", 1) => Ok("many pages in a call"),
        ("c", 0) => Ok("page by page"),
        (p2m, multi) => Err(format!(
            "xc_set_mem_access_multi with the {p2m} p2m: {}",
            if multi == 1 { "works" } else { "EOPNOTSUPP" }
        )),
    }
}

fn sequence(run: &StepRun) -> Result<Seen, String> {
    well(run)?;
    let (seen, how) = (run.number("seen")?, in_one_call(run)?);
    if seen != SEQUENCE_EVENTS {
        return Err(format!("{seen} events of {SEQUENCE_EVENTS}"));
    }
    let text = format!("{seen} events, each the one that was due; {how}");
    Seen::of(run, text, &["seen", "wrong"])
}

fn share(run: &StepRun) -> Result<Seen, String> {
    well(run)?;
    let (seen, both) = (run.number("seen")?, run.number("both")?);
    let (first, second) = (run.number("of_0")?, run.number("of_1")?);
    if seen < SHARE_EVENTS || first + second != seen {
        return Err(format!("{first} and {second} of {seen} events"));
    }
    if first == 0 || second == 0 || both == 0 {
        return Err(format!(
            "{first} and {second} events, {both} of them while one of the other was handled"
        ));
    }
    let text = format!("{first} and {second} events, {both} for the page at the same time");
    Seen::of(run, text, &["wrong"])
}

fn ring(run: &StepRun) -> Result<Seen, String> {
    well(run)?;
    let how = in_one_call(run)?;
    let (slots, full) = (run.number("slots")?, run.number("full")?);
    // Each of the two vCPUs is stopped once it leaves fewer slots than there are vCPUs.
    if slots < 2 || full != slots {
        return Err(format!("{full} of {slots} slots were used"));
    }
    let (seen, different) = (run.number("seen")?, run.number("different")?);
    if seen != RING_PAGES || different != RING_PAGES {
        return Err(format!(
            "{seen} events for {different} pages of {RING_PAGES}"
        ));
    }
    let text = format!("{full} of {slots} slots for 5 s; {seen} events, each page one; {how}");
    Seen::of(run, text, &["slots", "full", "seen", "different"])
}

/// The seconds that each of the two vCPUs has run, by `xl vcpu-list`.
fn times(run: &StepRun, key: &str) -> Result<[f64; 2], String> {
    let printed = value(run, key)?;
    let of = |time: &str| time.parse::<f64>().ok();
    printed
        .split_once(',')
        .and_then(|(one, other)| Some([of(one)?, of(other.trim_end_matches(','))?]))
        .ok_or_else(|| format!("{key} is no time of two vCPUs: {printed}"))
}

/// Neither vCPU ran while nobody answered, and each did afterwards, or the times would say nothing.
fn stood_still(run: &StepRun) -> Result<(), String> {
    let (held, still, after) = (
        times(run, "held")?,
        times(run, "still")?,
        times(run, "after")?,
    );
    for (cpu, ((held, still), after)) in held.into_iter().zip(still).zip(after).enumerate() {
        if still > held {
            return Err(format!(
                "vCPU {cpu} went on without an answer: {held} s, then {still} s"
            ));
        }
        if after <= still {
            return Err(format!(
                "vCPU {cpu} has not run since the recovery: {still} s, then {after} s"
            ));
        }
    }
    Ok(())
}

fn killed(run: &StepRun) -> Result<Seen, String> {
    well(run)?;
    works(run, "works_again")?;
    stood_still(run)?;
    if run.number("busy")? != 1 {
        return Err("the second monitor was not refused with EBUSY".to_owned());
    }
    let text = "stands still, EBUSY; recovered; watched again".to_owned();
    Seen::of(run, text, &["busy", "seen", "wrong"])
}

fn step(run: &StepRun) -> Result<Seen, String> {
    well(run)?;
    let (steps, skipped, changed) = (
        run.number("steps")?,
        run.number("skipped")?,
        run.number("changed")?,
    );
    if steps == 0 || skipped == 0 || changed != 0 {
        return Err(format!(
            "{steps} steps; {skipped} writes were left out, and {changed} pages changed"
        ));
    }
    let text = format!("{steps} writes by an SMC behind each, {skipped} left out");
    Seen::of(run, text, &["steps", "skipped", "changed", "wrong"])
}

fn destroyed(run: &StepRun) -> Result<Seen, String> {
    ended_well(run)?;
    let (seen, wrong) = (run.number("seen")?, run.number("wrong")?);
    if seen == 0 || wrong != 0 {
        return Err(format!("{wrong} of {seen} events are wrong"));
    }
    // 3: a call failed since the domain had gone; 0: no more events came, and it had gone.
    let watcher = value(run, "watcher")?;
    if !["0", "3"].contains(&watcher) {
        return Err(format!("the monitor ended with {watcher}"));
    }
    let pages = memory_back(run)?;
    let text = format!("the monitor ended by itself after {seen} events; {pages}");
    Seen::of(run, text, &["wrong"])
}

fn linux(run: &StepRun) -> Result<Seen, String> {
    ended_well(run)?;
    works(run, "works")?;
    let (fetches, writes) = (run.number("fetches")?, run.number("writes")?);
    let (walks, reads, table_writes, changes) = (
        run.number("walks")?,
        run.number("table_reads")?,
        run.number("table_writes")?,
        run.number("changes")?,
    );
    if fetches < LINUX_EVENTS || writes == 0 {
        return Err(format!(
            "{fetches} fetches from the text, {writes} writes to it"
        ));
    }
    if walks == 0 || changes == 0 || walks + reads + table_writes < LINUX_EVENTS {
        return Err(format!(
            "{walks} walks, {reads} reads of tables, {table_writes} writes to them; {changes} changes"
        ));
    }
    Seen::of(
        run,
        format!(
            "{fetches} fetches from the text, {writes} writes to it; {walks} walks of {} tables, \
             {changes} changes",
            value(run, "tables")?
        ),
        &[],
    )
}

#[cfg(test)]
mod tests {
    use super::{destroyed, killed, linux, ring, sequence, share, step, Seen};
    use crate::boot::dom0::console::StepRun;
    use crate::e2e::scenario::tests::run;

    /// With these values it passes, and with any of the others in place of one of them not.
    fn check(
        judge: fn(&StepRun) -> Result<Seen, String>,
        good: &[(&str, &str)],
        bad: &[(&str, &str)],
    ) {
        let print = |values: &[(&str, &str)]| {
            let lines: Vec<_> = values
                .iter()
                .map(|(key, value)| format!("@@value {key}={value}"))
                .collect();
            run(0, &lines.join("\n"))
        };
        assert!(judge(&print(good)).is_ok(), "{:?}", judge(&print(good)));
        for (key, value) in bad {
            let mut planted = good.to_vec();
            planted.retain(|(other, _)| other != key);
            planted.push((key, value));
            assert!(judge(&print(&planted)).is_err(), "{key}={value}");
        }
        let mut failed = print(good);
        failed.rc = Some(1);
        assert!(judge(&failed).is_err());
    }

    #[test]
    fn verdicts() {
        let sequence_good = [
            ("p2m", "rust"),
            ("multi", "1"),
            ("seen", "6000"),
            ("wrong", "0"),
            ("works", "0"),
        ];
        let sequence_bad = [
            ("p2m", "c"),
            ("multi", "0"),
            ("seen", "5999"),
            ("wrong", "1"),
            ("works", "1"),
        ];
        check(sequence, &sequence_good, &sequence_bad);
        let share_good = [
            ("seen", "1500"),
            ("of_0", "800"),
            ("of_1", "700"),
            ("both", "3"),
            ("wrong", "0"),
            ("works", "0"),
        ];
        let share_bad = [
            ("seen", "1499"),
            ("of_0", "1500"),
            ("of_1", "0"),
            ("both", "0"),
            ("wrong", "1"),
            ("works", "1"),
        ];
        check(share, &share_good, &share_bad);
        let ring_good = [
            ("p2m", "rust"),
            ("multi", "1"),
            ("slots", "8"),
            ("full", "8"),
            ("seen", "256"),
            ("different", "256"),
            ("wrong", "0"),
            ("works", "0"),
        ];
        let ring_bad = [
            ("full", "7"),
            ("seen", "257"),
            ("different", "255"),
            ("wrong", "1"),
        ];
        check(ring, &ring_good, &ring_bad);
        let killed_good = [
            ("held", "12.3,9.0,"),
            ("still", "12.3,9.0,"),
            ("after", "14.1,9.1,"),
            ("busy", "1"),
            ("works", "0"),
            ("works_again", "0"),
            ("seen", "1000"),
            ("wrong", "0"),
        ];
        let killed_bad = [
            ("still", "12.4,9.0,"),
            ("still", "12.3,9.1,"),
            ("after", "12.3,9.1,"),
            ("after", "14.1,9.0,"),
            ("held", "12.3,"),
            ("still", ""),
            ("busy", "0"),
            ("works", "1"),
            ("works_again", "1"),
            ("wrong", "2"),
        ];
        check(killed, &killed_good, &killed_bad);
        let step_good = [
            ("steps", "400"),
            ("skipped", "32"),
            ("changed", "0"),
            ("wrong", "0"),
            ("works", "0"),
        ];
        let step_bad = [
            ("steps", "0"),
            ("skipped", "0"),
            ("changed", "1"),
            ("wrong", "1"),
            ("works", "1"),
        ];
        check(step, &step_good, &step_bad);
        let destroyed_good = [
            ("watcher", "3"),
            ("seen", "700"),
            ("wrong", "0"),
            ("pages_before", "9"),
            ("pages_after", "9"),
        ];
        let destroyed_bad = [
            ("watcher", "1"),
            ("pages_after", "6"),
            ("pages_after", "12"),
            ("seen", "0"),
            ("seen", ""),
            ("wrong", "1"),
            ("wrong", ""),
        ];
        check(destroyed, &destroyed_good, &destroyed_bad);
        let linux_good = [
            ("fetches", "2000"),
            ("writes", "4"),
            ("tables", "50"),
            ("changes", "4"),
            ("walks", "1900"),
            ("table_reads", "50"),
            ("table_writes", "50"),
            ("works", "0"),
        ];
        let linux_bad = [
            ("fetches", "1999"),
            ("writes", "0"),
            ("walks", "0"),
            ("changes", "0"),
            ("table_writes", "49"),
            ("works", "1"),
        ];
        check(linux, &linux_good, &linux_bad);
    }
}
