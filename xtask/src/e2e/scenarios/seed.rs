// SPDX-License-Identifier: GPL-2.0-only
//! The bug that this project began with, live.

use crate::boot::dom0::console::StepRun;
use crate::e2e::scenario::{ended_well, scenario, Scenario, Seen};

pub(in crate::e2e) const SEED: Scenario =
    scenario!("seed", "the seed's scenario, 60 s, debug", seed);

fn seed(run: &StepRun) -> Result<Seen, String> {
    ended_well(run)?;
    let (flips, done, refused) = (
        run.number("flips")?,
        run.number("done")?,
        run.number("refused")?,
    );
    // Refused are copies through a restricted table to a page that is not: so restrictions were met.
    if flips == 0 || refused == 0 || run.number("least")? == 0 {
        return Err(format!(
            "{flips} flips, {done} hypercalls, {refused} refused"
        ));
    }
    Ok(Seen {
        text: format!("{done} hypercalls, {refused} refused, {flips} changes of access"),
        ..Seen::default()
    })
}

#[cfg(test)]
mod tests {
    use super::seed;
    use crate::e2e::scenario::tests::run;

    #[test]
    fn all_must_move() {
        let good = "@@value flips=4\n@@value done=3\n@@value refused=2\n@@value least=1";
        assert!(seed(&run(0, good)).is_ok());
        for key in ["flips=4", "refused=2", "least=1"] {
            let (name, _) = key.split_once('=').unwrap_or_default();
            assert!(seed(&run(0, &good.replace(key, &format!("{name}=0")))).is_err());
        }
    }
}
