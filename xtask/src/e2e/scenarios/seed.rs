// SPDX-License-Identifier: GPL-2.0-only
//! The bug that this project began with, live.

use crate::boot::dom0::console::StepRun;
use crate::e2e::scenario::{ended_well, scenario, value, Scenario, Seen};

pub(in crate::e2e) const SEED: Scenario =
    scenario!("seed", "the seed's scenario, 60 s, debug", seed);

fn seed(run: &StepRun) -> Result<Seen, String> {
    ended_well(run)?;
    let (flips, done, refused) = (
        run.number("flips")?,
        run.number("done")?,
        run.number("refused")?,
    );
    // The C refuses copies through a restricted table to a page that is not restricted; so restrictions are
    // met. To the Rust they are no reason.
    let expected = match value(run, "p2m")? {
        "rust" => refused == 0,
        _ => refused > 0,
    };
    if flips == 0 || done == 0 || !expected || run.number("least")? == 0 {
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
    fn all_must_move_and_only_the_c_refuses() {
        let good = "@@value flips=4\n@@value done=3\n@@value least=1\n";
        let saw = |p2m, refused, good: &str| {
            let which = format!("@@value p2m={p2m}\n@@value refused={refused}");
            seed(&run(0, &format!("{good}{which}")))
        };
        assert!(saw("c", 2, good).is_ok());
        assert!(saw("c", 0, good).is_err());
        assert!(saw("rust", 0, good).is_ok());
        assert!(saw("rust", 1, good).is_err());
        for key in ["flips=4", "done=3", "least=1"] {
            let (name, _) = key.split_once('=').unwrap_or_default();
            let stands = good.replace(key, &format!("{name}=0"));
            assert!(saw("rust", 0, &stands).is_err());
        }
    }
}
