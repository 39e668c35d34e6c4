// SPDX-License-Identifier: GPL-2.0-only
//! All CPUs at once on one domain: `cargo xtask diff --stress`.
//!
//! What happens depends on who is quicker, so there is nothing to compare between the C and the
//! Rust p2m: each is held against what must be so in any order (`stress.c` in the patch). Debug
//! builds, for Xen's own checks of its locks; and the Rust in a release build as well, where
//! look-ups take the lock in line, and not through C.

use anyhow::Result;

use super::log::Run;
use super::machine::{self, built, Machine, Purpose, Request, Views};
use crate::base::cli::{DiffArgs, P2m};
use crate::base::lock;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::table::{self, Row};

/// Which p2m, and whether in a debug build.
const BUILDS: [(P2m, bool); 3] = [(P2m::C, true), (P2m::Rust, true), (P2m::Rust, false)];

/// The C has no views. Only the debug build is asked for where time is short.
fn builds(args: &DiffArgs) -> &'static [(P2m, bool)] {
    match (args.views, args.debug) {
        (false, _) => &BUILDS,
        (true, false) => &[(P2m::Rust, true), (P2m::Rust, false)],
        (true, true) => &[(P2m::Rust, true)],
    }
}

/// Builds and runs them; true when all holds in each.
pub(super) fn run(paths: &Paths, progress: Progress, args: &DiffArgs) -> Result<bool> {
    let machine = Machine::plain(&args.cpu, args.smp)?;
    let request = Request {
        seed: args.seed,
        ops: args.ops,
        purpose: Purpose::Stress,
        views: if args.views { Views::Yes } else { Views::No },
        window: None,
    };
    let dir = paths.run(if args.views { "stress-views" } else { "stress" });
    let mut rows = Vec::new();
    for &(p2m, debug) in builds(args) {
        let xen = lock::alone(paths, progress, || built(paths, progress, args, p2m, debug))?;
        rows.push(Row::info("compilers", xen.compilers()?));
        let run = lock::booting(&dir, || {
            machine::run(progress, &xen, &machine, request, &dir)
        });
        let result = match run {
            Ok(run) => {
                verdict(&run, args.ops, args.smp).and_then(|said| with_views(&run, args, said))
            }
            Err(error) => Err(format!("{error:#}")),
        };
        rows.push(Row::of(&xen.name, result));
    }
    let title = format!(
        "{} CPUs at once on one domain, seed {}",
        args.smp, args.seed
    );
    Ok(table::conclude(&title, &rows))
}

/// The same, with what was done with views.
fn with_views(run: &Run, args: &DiffArgs, said: String) -> Result<String, String> {
    if args.views {
        Ok(format!("{said}; views: {}", run.done_with_views()?))
    } else {
        Ok(said)
    }
}

/// What held, or what did not.
fn verdict(run: &Run, asked: u64, cpus: u32) -> Result<String, String> {
    if !run.failures.is_empty() {
        return Err(run.failures.join("\n"));
    }
    if let Some(failure) = run.failure() {
        return Err(failure);
    }
    let summary = run.stress.as_ref().ok_or("it was no stress test")?;
    // Only a walk that finds a mapping is held against what must be there.
    if run.stressed("hits").unwrap_or(0) == 0 {
        return Err(format!("no walk has found anything: {summary}"));
    }
    if run.stressed("cpus") != Some(cpus.into()) || run.stressed("failed") != Some(0) {
        return Err(format!("not of {cpus} CPUs, or some failed: {summary}"));
    }
    let done = run.end.unwrap_or_default();
    if done != asked {
        return Err(format!("{done} operations of {asked}"));
    }
    Ok(format!("{done} operations, {summary}, no page is lost"))
}

#[cfg(test)]
mod tests {
    use super::verdict;
    use crate::boot::dom0::console::Console;
    use crate::selftest::log::Run;

    const GOOD: &str = "(XEN) p2m-selftest: start seed=1 ops=0 level=0 order=0\r\n\
        (XEN) p2m-selftest: stress cpus 4 walks 9 hits 7 failed 0\r\n\
        (XEN) p2m-selftest: free 5 before 5 after\r\n\
        (XEN) p2m-selftest: end ops=40 rounds=1\r\n";

    fn judged(text: &str) -> Result<String, String> {
        verdict(&Run::of(&Console::parse(text)), 40, 4)
    }

    #[test]
    fn what_is_said_of_a_run() {
        assert!(judged(GOOD).is_ok_and(|text| text.contains("walks 9")));
        assert!(judged(&GOOD.replace("5 after", "0 after")).is_err());
        assert!(judged(&GOOD.replace("stress", "at")).is_err());
        assert!(judged(&GOOD.replace("hits 7", "hits 0")).is_err());
        assert!(judged(&GOOD.replace("hits 7 ", "")).is_err());
        assert!(judged(&GOOD.replace("cpus 4", "cpus 1")).is_err());
        assert!(judged(&GOOD.replace("failed 0", "failed 2")).is_err());
        assert!(judged(&GOOD.replace("end ops=40", "end ops=39")).is_err());
        let wrong =
            format!("{GOOD}(XEN) p2m-selftest: failed: a\r\n(XEN) p2m-selftest: failed: b\r\n");
        assert_eq!(judged(&wrong), Err("a\nb".to_owned()));
    }
}
