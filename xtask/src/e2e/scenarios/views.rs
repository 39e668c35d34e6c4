// SPDX-License-Identifier: GPL-2.0-only
//! Views of a guest's memory (altp2m), with a monitor and a guest of our own. Only the Rust has them.

use crate::boot::dom0::console::StepRun;
use crate::boot::dom0::steps::memory_back;
use crate::e2e::scenario::{ended_well, scenario, Scenario, Seen};

const OPS: Scenario = scenario!("views-ops", "HVMOP_altp2m: what is refused", ops);
const EXEC: Scenario = scenario!("views-exec", "an execute-only view", exec);
const SHADOW: Scenario = scenario!("views-shadow", "a view shows another page", shadow);
const CYCLE: Scenario = scenario!("views-cycle", "views come and go", cycle);
const STEP: Scenario = scenario!("views-step", "single step by two views", step);
const STAGE1: Scenario = scenario!("views-stage1", "stage 1 changes under two views", stage1);
const LINUX: Scenario = scenario!("views-linux", "Linux in a view", linux);
const END: Scenario = scenario!("views-end", "guest destroyed with views", end);
const HOSTILE: Scenario = scenario!("views-hostile", "hostile guest, hostile toolstack", hostile);

/// In the order in which they run.
pub(in crate::e2e) const WITH_VIEWS: &[Scenario] =
    &[OPS, EXEC, SHADOW, CYCLE, STEP, STAGE1, LINUX, END, HOSTILE];

/// What `cargo xtask test` runs each time.
pub(in crate::e2e) const SHORT_WITH_VIEWS: &[Scenario] = &[OPS, EXEC, SHADOW, CYCLE];

/// The operations that `views/ops.c` of the monitor tries, at least: with fewer something was left out.
const OPERATIONS: u64 = 300;

/// How often `views/step.c` tries to step inside an exclusive sequence.
const INSIDE: u64 = 16;

/// Nothing was otherwise than the monitor knows that it must be.
fn well(run: &StepRun) -> Result<(), String> {
    ended_well(run)?;
    nothing_wrong(run, "wrong")
}

fn nothing_wrong(run: &StepRun, key: &str) -> Result<(), String> {
    match run.number(key)? {
        0 => Ok(()),
        wrong => {
            let said = run.lines.iter().find(|line| line.contains("wrong: "));
            let said = said.map_or("", |line| line.trim());
            Err(format!("{wrong} things are wrong, the first: {said}"))
        }
    }
}

/// The value, which must be at least so much.
fn at_least(run: &StepRun, key: &str, least: u64) -> Result<u64, String> {
    match run.number(key)? {
        is if is >= least => Ok(is),
        is => Err(format!("{key} is {is}, and not {least} or more")),
    }
}

fn told(text: String) -> Result<Seen, String> {
    Ok(Seen {
        text,
        ..Seen::default()
    })
}

fn ops(run: &StepRun) -> Result<Seen, String> {
    well(run)?;
    nothing_wrong(run, "wrong_without")?;
    if run.number("refused")? != 2 {
        return Err("a guest was created with altp2m in another mode than external".to_owned());
    }
    let (tried, without) = (
        at_least(run, "tried", OPERATIONS)?,
        at_least(run, "tried_without", 16)?,
    );
    told(format!(
        "{tried} operations by dom0 and by the guest, {without} on a guest without views"
    ))
}

fn exec(run: &StepRun) -> Result<Seen, String> {
    well(run)?;
    if run.number("code")? != 42 {
        return Err("the guest does not execute its code any more".to_owned());
    }
    told("each read and write an event that names the view".to_owned())
}

fn shadow(run: &StepRun) -> Result<Seen, String> {
    well(run)?;
    let rounds = at_least(run, "rounds", 1)?;
    told(format!(
        "{rounds} rounds; its own page once the other is given back"
    ))
}

fn cycle(run: &StepRun) -> Result<Seen, String> {
    well(run)?;
    let rounds = at_least(run, "rounds", 1)?;
    if rounds != run.number("wanted")? {
        return Err(format!("only {rounds} rounds"));
    }
    let (before, after) = (run.number("pool_before")?, run.number("pool_after")?);
    if before == 0 || before != after {
        return Err(format!(
            "{before} pages of the pool were in tables before, {after} after it"
        ));
    }
    let pages = memory_back(run)?;
    told(format!(
        "{rounds} times; {before} pages of the pool used before and after; {pages}"
    ))
}

fn step(run: &StepRun) -> Result<Seen, String> {
    well(run)?;
    let calls = at_least(run, "calls", 1)?;
    // The shortest way through the code has so many places to stop at.
    let steps = at_least(run, "steps", 15 * calls)?;
    let inside = run.number("inside")?;
    if inside != INSIDE {
        return Err(format!(
            "an exclusive store succeeded after an exception, the {inside}th time"
        ));
    }
    told(format!(
        "{steps} steps in {calls} calls; an exclusive store fails between two steps"
    ))
}

fn stage1(run: &StepRun) -> Result<Seen, String> {
    well(run)?;
    let times = at_least(run, "times", 1)?;
    told(format!("{times} changes in each of four pairs of views"))
}

fn linux(run: &StepRun) -> Result<Seen, String> {
    well(run)?;
    let switches = at_least(run, "switches", 8)?;
    if run.number("works")? != 0 {
        return Err("Linux stands still".to_owned());
    }
    told(format!("{switches} switches; it goes on"))
}

fn end(run: &StepRun) -> Result<Seen, String> {
    well(run)?;
    if run.number("moments")? != 12 || run.number("left")? != 0 {
        return Err("guests are left".to_owned());
    }
    let pages = memory_back(run)?;
    told(format!("at 12 moments; {pages}"))
}

fn hostile(run: &StepRun) -> Result<Seen, String> {
    well(run)?;
    for (key, what) in [
        ("stuck", "a vCPU stands still though nobody pauses it"),
        ("seen", "the guest has seen a secret of another"),
        (
            "changed",
            "the victim's pages were written by somebody else",
        ),
        ("victim_works", "the victim stands still"),
        ("left", "guests are left"),
    ] {
        if run.number(key)? != 0 {
            return Err(what.to_owned());
        }
    }
    let guests = at_least(run, "guests", 6)?;
    // Far fewer than on the slowest machine that this was run on.
    let calls = at_least(run, "calls", 500)?;
    let (acts, kills) = (
        at_least(run, "acts", 5000)?,
        at_least(run, "kills", guests)?,
    );
    at_least(run, "events", 1)?;
    let pages = memory_back(run)?;
    told(format!(
        "{guests} guests; {acts} acts, {calls} calls, {kills} processes killed; {pages}"
    ))
}

#[cfg(test)]
mod tests {
    use super::{cycle, end, exec, hostile, linux, ops, shadow, stage1, step, Seen};
    use crate::boot::dom0::console::StepRun;
    use crate::e2e::scenario::tests::run;

    type Judged = fn(&StepRun) -> Result<Seen, String>;

    /// What a good run prints besides `wrong=0`, and what each must not be.
    const CASES: [(Judged, &str, &str); 9] = [
        (
            ops,
            "refused=2 tried=400 wrong_without=0 tried_without=30",
            "refused=1 tried=299 wrong_without=1 tried_without=0",
        ),
        (exec, "code=42", "code=41"),
        (shadow, "rounds=2", "rounds=0"),
        (
            cycle,
            "rounds=9 wanted=9 pool_before=7 pool_after=7 pages_before=90 pages_after=90",
            "rounds=8 pool_after=8 pool_before=0 pages_after=80",
        ),
        (
            step,
            "calls=2 steps=40 inside=16",
            "calls=0 steps=29 inside=15",
        ),
        (stage1, "times=5", "times=0"),
        (linux, "switches=9 works=0", "switches=7 works=1"),
        (
            end,
            "moments=12 left=0 pages_before=90 pages_after=90",
            "moments=11 left=1 pages_after=80",
        ),
        (
            hostile,
            "guests=6 calls=900 acts=9000 kills=9 events=4 stuck=0 seen=0 changed=0 victim_works=0 left=0 \
             pages_before=90 pages_after=90",
            "guests=5 calls=499 acts=4999 kills=5 events=0 stuck=1 seen=1 changed=1 victim_works=1 left=1 \
             pages_after=80",
        ),
    ];

    fn print(values: &[&str]) -> StepRun {
        let lines: Vec<String> = values
            .iter()
            .map(|pair| format!("@@value {pair}"))
            .collect();
        run(0, &lines.join("\n"))
    }

    #[test]
    fn each_value_counts() {
        for (judge, good, bad) in CASES {
            let good: Vec<&str> = good.split(' ').chain(["wrong=0"]).collect();
            assert!(judge(&print(&good)).is_ok(), "{good:?}");
            for planted in bad.split(' ').chain(["wrong=1"]) {
                let key = planted.split('=').next().unwrap_or_default();
                let of_key = |pair: &&str| pair.split('=').next() == Some(key);
                let mut values = good.clone();
                values.retain(|pair| !of_key(pair));
                assert!(judge(&print(&values)).is_err(), "without {key}");
                values.push(planted);
                assert!(judge(&print(&values)).is_err(), "{planted}");
            }
            let mut failed = print(&good);
            failed.rc = Some(1);
            assert!(judge(&failed).is_err());
        }
    }
}
