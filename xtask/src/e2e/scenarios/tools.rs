// SPDX-License-Identifier: GPL-2.0-only
//! Xen's own test programs and its debug key.

use crate::boot::dom0::console::StepRun;
use crate::e2e::scenario::{ended_well, scenario, value, Scenario, Seen};

pub(super) const MEMPOOL: Scenario = scenario!("mempool", "test-paging-mempool", as_it_is);
pub(super) const RESOURCE: Scenario = scenario!("resource", "test-resource", as_it_is);
pub(super) const DEBUG_KEY_Q: Scenario = scenario!(
    "debug-key-q",
    "xl debug-keys q",
    debug_key_q,
    Some("B12 (statistics of dom0, which replaces mappings)")
);

/// Both programs fail on Arm since 4.18 with the C as well: what counts is that they do and say
/// the same.
fn as_it_is(run: &StepRun) -> Result<Seen, String> {
    let rc = run.rc.ok_or("did not end")?;
    if [126, 127].contains(&rc) {
        return Err(format!("exit code {rc}: there is no such program"));
    }
    let said: Vec<&str> = run
        .lines
        .iter()
        .map(|line| line.trim())
        .filter(|line| !line.is_empty() && !line.starts_with("(XEN)"))
        .collect();
    let last = said.last().ok_or("said nothing")?;
    Ok(Seen {
        text: format!("exit code {rc}: {last}"),
        same: vec![
            ("exit code".to_owned(), rc.to_string()),
            ("output".to_owned(), said.join("\n")),
        ],
        ..Seen::default()
    })
}

/// How many pages a line of a dump tells of: `2M_mappings:_3_(shattered_1)`.
fn pages(line: &str) -> Result<u64, String> {
    let found = line.split_once("_mappings:_").and_then(|(size, rest)| {
        let mappings: u64 = rest.split('_').next()?.parse().ok()?;
        let pages = match size {
            "1G" => 1 << 18,
            "2M" => 1 << 9,
            "4K" => 1,
            _ => return None,
        };
        Some(mappings * pages)
    });
    found.ok_or_else(|| format!("what is \"{line}\"?"))
}

fn debug_key_q(run: &StepRun) -> Result<Seen, String> {
    ended_well(run)?;
    let (guest, dom0) = (value(run, "guest")?, value(run, "dom0")?);
    for (who, dump) in [("the guest", guest), ("dom0", dom0)] {
        if !dump.contains("4K_mappings:") {
            return Err(format!("no mappings of {who} shown: {dump}"));
        }
    }
    let plain = |dump: &str| {
        let text = dump.replace('_', " ").replace(',', ", ");
        text.replace(" mappings", "").replace("(shattered 0)", "")
    };
    // By B12 the C forgets a mapping that took the place of another. The Rust may have larger blocks for the same
    // pages, and `shattered` counts splits that failed, too: so it is the pages that are compared.
    let lines = dom0.split(',').filter(|line| !line.is_empty());
    let pages: u64 = lines.map(pages).sum::<Result<_, String>>()?;
    Ok(Seen {
        text: format!("guest {}; dom0 {}", plain(guest), plain(dom0)),
        same: vec![("guest".to_owned(), guest.to_owned())],
        excused: vec![("dom0".to_owned(), dom0.to_owned())],
        less_in_c: vec![("pages of dom0".to_owned(), pages)],
    })
}

#[cfg(test)]
mod tests {
    use super::{as_it_is, debug_key_q, DEBUG_KEY_Q};
    use crate::e2e::scenario::compare;
    use crate::e2e::scenario::tests::run;

    #[test]
    fn a_failing_program_is_compared_by_what_it_said() {
        let one = as_it_is(&run(1, "Fail: size 0 != 1"));
        assert_eq!(one, as_it_is(&run(1, "(XEN) noise\nFail: size 0 != 1")));
        assert_ne!(one, as_it_is(&run(1, "Fail: size 2 != 1")));
        assert_ne!(one, as_it_is(&run(0, "Fail: size 0 != 1")));
        assert!(as_it_is(&run(1, "")).is_err());
    }

    #[test]
    fn both_dumps_must_be_there() {
        let good = "@@value guest=2M_mappings:_3,4K_mappings:_9\n@@value dom0=4K_mappings:_7";
        assert!(debug_key_q(&run(0, good)).is_ok());
        assert!(debug_key_q(&run(0, "@@value guest=\n@@value dom0=4K_mappings:_7")).is_err());
        assert!(debug_key_q(&run(0, "@@value guest=4K_mappings:_7")).is_err());
        assert!(debug_key_q(&run(1, good)).is_err());
        let other = good.replace("dom0=4K_mappings:_7", "dom0=4K_mappings:_many");
        assert!(debug_key_q(&run(0, &other)).is_err());
        let other = good.replace("dom0=", "dom0=who_knows,");
        assert!(debug_key_q(&run(0, &other)).is_err());
    }

    #[test]
    fn the_c_may_have_forgotten_mappings_of_dom0_and_not_invented_any() {
        let of = |dom0: &str| {
            let guest = "4K_mappings:_517,";
            debug_key_q(&run(
                0,
                &format!("@@value guest={guest}\n@@value dom0={dom0}"),
            ))
        };
        let rust =
            "1G_mappings:_512_(shattered_1),2M_mappings:_1078_(shattered_1),4K_mappings:_1034,";
        let passed = |c: &str| compare(&DEBUG_KEY_Q, &of(c), &of(rust)).passed();
        assert!(passed(rust));
        assert!(passed(&rust.replace("_1034", "_1030")));
        assert!(passed(
            "1G_mappings:_512_(shattered_1),2M_mappings:_703_(shattered_1),4K_mappings:_193033,"
        ));
        assert!(passed(&rust.replace("_1034", "_1036")));
        assert!(!passed(&rust.replace("_1034", "_1037")));
        assert!(!passed(&rust.replace("_1078", "_1079")));
    }
}
