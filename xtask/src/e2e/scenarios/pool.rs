// SPDX-License-Identifier: GPL-2.0-only
//! A guest uses up the pool that its tables are made of.

use crate::boot::dom0::console::StepRun;
use crate::boot::dom0::steps::memory_back;
use crate::e2e::scenario::{ended_well, scenario, Scenario, Seen};

pub(super) const EMPTY: Scenario = scenario!("pool-empty", "out of p2m pool", empty);

fn empty(run: &StepRun) -> Result<Seen, String> {
    ended_well(run)?;
    let (holes, asked) = (run.number("holes")?, run.number("asked")?);
    if holes == 0 || asked != holes + 1 || run.number("last")? != 0 {
        return Err(format!(
            "{holes} holes after {asked} calls: nothing was refused"
        ));
    }
    if run.number("pieces")? != 1 {
        return Err("a block in pieces cannot be changed any more".to_owned());
    }
    if run.number("lost")? != 0 {
        return Err("the guest's memory is lost".to_owned());
    }
    let pages = memory_back(run)?;
    let text = format!("refused after {holes} splits, others work on; {pages}");
    Seen::of(run, text, &["holes", "asked", "pool", "pages"])
}

#[cfg(test)]
mod tests {
    use super::empty;
    use crate::e2e::scenario::tests::run;

    #[test]
    fn refused_once_and_nothing_harmed() {
        let with = |asked, pieces, lost, after| {
            empty(&run(
                0,
                &format!(
                    "@@value holes=252\n@@value asked={asked}\n@@value last=0\n@@value pieces={pieces}\n\
                     @@value lost={lost}\n@@value pool=1048576\n@@value pages=9\n\
                     @@value pages_before=7\n@@value pages_after={after}"
                ),
            ))
        };
        assert!(with(253, 1, 0, 7).is_ok());
        assert!(with(252, 1, 0, 7).is_err());
        assert!(with(253, 0, 0, 7).is_err());
        assert!(with(253, 1, 1, 7).is_err());
        assert!(with(253, 1, 0, 4).is_err());
    }
}
