// SPDX-License-Identifier: GPL-2.0-only
//! `xen-access` on a guest that works: each of its pages gives one event.

use crate::boot::dom0::console::StepRun;
use crate::e2e::scenario::{ended_well, scenario, value, Scenario, Seen};

pub(super) const WRITE: Scenario =
    scenario!("access-write", "xen-access write, under load", access);
pub(super) const EXEC: Scenario = scenario!("access-exec", "xen-access exec, under load", access);
pub(super) const REQUIRED: Scenario =
    scenario!("access-required", "xen-access -m write, under load", access);

/// Pages in which the guest works: 200 for each of its two CPUs.
const PAGES: u64 = 400;

fn access(run: &StepRun) -> Result<Seen, String> {
    ended_well(run)?;
    let (events, pages, twice) = (
        run.number("events")?,
        run.number("pages")?,
        run.number("twice")?,
    );
    if pages != PAGES || twice != 0 {
        return Err(format!(
            "{pages} pages of {PAGES} gave an event, {twice} of them more than one"
        ));
    }
    if run.number("alive")? != 0 {
        return Err("the guest stopped working".to_owned());
    }
    if run.number("listener")? != 0 {
        return Err(format!("xen-access ended with {}", value(run, "listener")?));
    }
    let kind = value(run, "kind")?.replace('_', " ");
    let text = format!(
        "{events} events ({}), guest works on",
        kind.trim_matches([' ', ','])
    );
    Seen::of(run, text, &["pages", "twice"])
}

#[cfg(test)]
mod tests {
    use super::access;
    use crate::e2e::scenario::tests::run;

    #[test]
    fn each_page_once_and_the_guest_lives() {
        let with = |pages, twice, alive, listener| {
            access(&run(
                0,
                &format!(
                    "@@value events=404\n@@value pages={pages}\n@@value twice={twice}\n\
                     @@value alive={alive}\n@@value listener={listener}\n@@value kind=-w-,"
                ),
            ))
        };
        assert!(with(400, 0, 0, 0).is_ok());
        assert!(with(399, 0, 0, 0).is_err());
        assert!(with(400, 1, 0, 0).is_err());
        assert!(with(400, 0, 1, 0).is_err());
        assert!(with(400, 0, 0, 1).is_err());
    }
}
