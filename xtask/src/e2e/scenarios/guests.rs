// SPDX-License-Identifier: GPL-2.0-only
//! Guests come and go: many, two at once, rebooting, crashing, destroyed while being made.

use crate::boot::dom0::console::StepRun;
use crate::boot::dom0::steps::memory_back;
use crate::e2e::scenario::{ended_well, scenario, value, Scenario, Seen};

pub(super) const MANY: Scenario = scenario!("many-guests", "guests in a row", many);
pub(super) const TWO: Scenario = scenario!("two-guests", "2 guests, 2 vCPUs each", two);
pub(super) const REBOOT: Scenario = scenario!("reboot", "guest reboot", reboot);
pub(super) const CRASH: Scenario = scenario!("crash", "guest crash", crash);
pub(super) const REFUSED: Scenario =
    scenario!("refused", "what a type forbids", refused, Some("B13, B22"));
pub(super) const DESTROY_IN_CREATE: Scenario = scenario!(
    "destroy-in-create",
    "xl destroy within xl create",
    destroy_in_create
);

fn many(run: &StepRun) -> Result<Seen, String> {
    ended_well(run)?;
    let guests = run.number("guests")?;
    let pages = memory_back(run)?;
    if guests == 0 {
        return Err("no guest was made".to_owned());
    }
    let middle = run.number("pages_middle")?;
    let (before, after) = (run.number("pages_before")?, run.number("pages_after")?);
    // dom0's tables may take a page at some time; guests that leave something leave it each time.
    if middle < before && after < middle {
        return Err(format!("free pages go down: {before}, {middle}, {after}"));
    }
    let text = format!("{guests} ran; {pages}");
    Seen::of(run, text, &["guests"])
}

fn two(run: &StepRun) -> Result<Seen, String> {
    ended_well(run)?;
    for key in ["cpus_one", "cpus_two", "vcpus_one", "vcpus_two"] {
        if run.number(key)? != 2 {
            return Err(format!("{key} is not 2"));
        }
    }
    Ok(Seen {
        text: "both see 2 CPUs and count on".to_owned(),
        ..Seen::default()
    })
}

fn reboot(run: &StepRun) -> Result<Seen, String> {
    ended_well(run)?;
    let lives = run.number("lives")?;
    if lives < 4 {
        return Err(format!("it started {lives} times instead of 4"));
    }
    let pages = memory_back(run)?;
    Ok(Seen {
        text: format!("{} reboots; {pages}", lives - 1),
        ..Seen::default()
    })
}

fn crash(run: &StepRun) -> Result<Seen, String> {
    ended_well(run)?;
    let state = value(run, "state")?;
    if !state.contains('c') {
        return Err(format!("its state is {state}, not crashed"));
    }
    let pages = memory_back(run)?;
    let exception = value(run, "exception")?.replace('_', " ");
    let text = format!("{state}, {exception}; {pages}");
    Seen::of(run, text, &["exception"])
}

/// The exceptions of a guest that writes a read-only page, executes it, walks through it, and walks through
/// a device: synchronous external aborts from EL1, for data that is written, an instruction, and data that
/// is read. The C has the guest fault for ever.
const ABORTS: [&str; 4] = [
    "96000050_30000000",
    "86000010_30000000",
    "96000010_c0000000",
    "96000010_c0000000",
];

/// What Xen says when the guest unmaps its grant where nothing is mapped, and then where its own page
/// is: `GNTST_general_error`. The C takes the first for the grant's mapping, and has no grant for the
/// second (`GNTST_bad_handle`).
const UNMAPS: &str = "-1_-1";
const UNMAPS_IN_C: &str = "0_-4";

fn refused(run: &StepRun) -> Result<Seen, String> {
    ended_well(run)?;
    let (expected, unmaps) = match value(run, "p2m")? {
        "rust" => (ABORTS, UNMAPS),
        _ => (["spins"; 4], UNMAPS_IN_C),
    };
    let mut excused = Vec::new();
    for (n, expected) in expected.into_iter().enumerate() {
        for (key, expected) in [("seen", expected), ("unmaps", unmaps)] {
            let key = format!("{key}_{n}");
            let seen = value(run, &key)?;
            if seen != expected {
                return Err(format!("{key} is {seen}, not {expected}"));
            }
            excused.push((key, seen.to_owned()));
        }
    }
    Ok(Seen {
        text: format!("{}; {}", expected.join(", "), memory_back(run)?),
        excused,
        ..Seen::default()
    })
}

fn destroy_in_create(run: &StepRun) -> Result<Seen, String> {
    ended_well(run)?;
    let (hits, left) = (run.number("hits")?, run.number("left")?);
    let moments = run.number("moments")?;
    if hits < moments.div_ceil(2) {
        return Err(format!("only {hits} times in the middle of it"));
    }
    if left != 0 {
        return Err(format!("{left} domains are left"));
    }
    let pages = memory_back(run)?;
    Ok(Seen {
        text: format!("{hits} of {moments} in the middle; {pages}"),
        ..Seen::default()
    })
}

#[cfg(test)]
mod tests {
    use super::{crash, destroy_in_create, many, reboot, refused, two};
    use crate::e2e::scenario::tests::run;

    const BACK: &str = "@@value pages_before=9\n@@value pages_middle=9\n@@value pages_after=9\n";
    const LOST: &str = "@@value pages_before=9\n@@value pages_middle=9\n@@value pages_after=6\n";

    #[test]
    fn each_page_must_come_back() {
        let with = |pages: &str, rest: &str| run(0, &format!("{pages}{rest}"));
        let guests = "@@value guests=100";
        assert!(many(&with(BACK, guests)).is_ok());
        assert!(many(&with(LOST, guests)).is_err());
        let tables = BACK.replace("after=9", "after=8");
        assert!(many(&with(&tables, guests)).is_ok());
        let down = tables.replace("before=9", "before=10");
        assert!(many(&with(&down, guests)).is_err());
        assert!(many(&with(BACK, "@@value guests=0")).is_err());
        assert!(many(&run(1, &format!("{BACK}{guests}"))).is_err());
        let lives = "@@value lives=4";
        assert!(reboot(&with(BACK, lives)).is_ok());
        assert!(reboot(&with(LOST, lives)).is_err());
        assert!(reboot(&with(BACK, "@@value lives=3")).is_err());
        let crashed = "@@value state=---sc-\n@@value exception=ESR_1";
        assert!(crash(&with(BACK, crashed)).is_ok());
        assert!(crash(&with(LOST, crashed)).is_err());
        assert!(crash(&with(BACK, "@@value state=r-----\n@@value exception=ESR_1")).is_err());
        let torn = "@@value moments=20\n@@value hits=10\n@@value left=0";
        assert!(destroy_in_create(&with(BACK, torn)).is_ok());
        assert!(destroy_in_create(&with(LOST, torn)).is_err());
        assert!(destroy_in_create(&with(
            BACK,
            "@@value moments=20\n@@value hits=9\n@@value left=0"
        ))
        .is_err());
        assert!(destroy_in_create(&with(
            BACK,
            "@@value moments=20\n@@value hits=10\n@@value left=1"
        ))
        .is_err());
    }

    #[test]
    fn a_guest_that_is_refused_gets_its_abort_from_the_rust() {
        let all = |p2m: &str, what: [&str; 4], unmaps: &str| {
            let mut text = format!("{BACK}@@value p2m={p2m}");
            for (n, seen) in what.into_iter().enumerate() {
                text += &format!("\n@@value seen_{n}={seen}\n@@value unmaps_{n}={unmaps}");
            }
            refused(&run(0, &text))
        };
        let saw = |p2m: &str, what| {
            let unmaps = match p2m {
                "rust" => super::UNMAPS,
                _ => super::UNMAPS_IN_C,
            };
            all(p2m, what, unmaps)
        };
        let spins = ["spins"; 4];
        assert!(saw("rust", super::ABORTS).is_ok());
        assert!(saw("c", spins).is_ok());
        assert!(saw("rust", spins).is_err());
        assert!(saw("c", super::ABORTS).is_err());
        for act in 0..4 {
            let mut n = 0..;
            let seen = super::ABORTS.map(|abort| match n.next() == Some(act) {
                true => "goes_on",
                false => abort,
            });
            assert!(saw("rust", seen).is_err(), "act {act}");
        }
        assert!(all("rust", super::ABORTS, super::UNMAPS_IN_C).is_err());
        assert!(all("rust", super::ABORTS, "-1_0").is_err());
    }

    #[test]
    fn two_guests_have_two_cpus_each() {
        let good =
            "@@value cpus_one=2\n@@value cpus_two=2\n@@value vcpus_one=2\n@@value vcpus_two=";
        assert!(two(&run(0, &format!("{good}2"))).is_ok());
        assert!(two(&run(0, &format!("{good}1"))).is_err());
        assert!(two(&run(0, "")).is_err());
    }
}
