// SPDX-License-Identifier: GPL-2.0-only
//! Ballooning.

use crate::boot::dom0::console::StepRun;
use crate::boot::dom0::steps::DOM0_TABLES;
use crate::e2e::scenario::{ended_well, scenario, Scenario, Seen};

pub(super) const BALLOON: Scenario = scenario!("balloon", "ballooning down and up", balloon);

/// Pages of the 128 MiB that the guest is asked to give back. It gives exactly these.
const ASKED: u64 = 128 << 8;

fn balloon(run: &StepRun) -> Result<Seen, String> {
    ended_well(run)?;
    let (start, down, up) = (run.number("start")?, run.number("down")?, run.number("up")?);
    let freed = run.number("freed")?;
    let given = start.saturating_sub(down);
    if given != ASKED || freed.abs_diff(ASKED) > DOM0_TABLES {
        return Err(format!("{start} pages became {down}; Xen has {freed} more"));
    }
    if up != start {
        return Err(format!("{start} pages, {down}, and then {up}"));
    }
    let text = format!("{start}, {down}, {up} pages");
    Seen::of(run, text, &["start", "down", "up"])
}

#[cfg(test)]
mod tests {
    use super::balloon;
    use crate::e2e::scenario::tests::run;

    #[test]
    fn pages_must_go_and_come() {
        let with = |start, down, up, freed| {
            balloon(&run(
                0,
                &format!(
                    "@@value start={start}\n@@value down={down}\n@@value up={up}\n@@value freed={freed}"
                ),
            ))
        };
        assert!(with(65544, 32776, 65544, 32768).is_ok());
        assert!(with(65544, 32776, 65544, 32766).is_ok());
        assert!(with(65544, 32776, 65544, 32765).is_err());
        assert!(with(65544, 32776, 65544, 32771).is_err());
        assert!(with(65544, 32777, 65544, 32767).is_err());
        assert!(with(65544, 32776, 65543, 32768).is_err());
        assert!(with(65544, 32776, 65545, 32768).is_err());
        assert!(with(65544, 65544, 65544, 32768).is_err());
        assert!(with(65544, 32776, 32776, 32768).is_err());
        assert!(with(65544, 32776, 65544, 0).is_err());
    }
}
