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
        excused: Vec::new(),
    })
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
    Ok(Seen {
        text: format!("guest {}; dom0 {}", plain(guest), plain(dom0)),
        same: vec![("guest".to_owned(), guest.to_owned())],
        excused: vec![("dom0".to_owned(), dom0.to_owned())],
    })
}

#[cfg(test)]
mod tests {
    use super::{as_it_is, debug_key_q};
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
    }
}
