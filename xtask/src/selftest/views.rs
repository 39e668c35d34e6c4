// SPDX-License-Identifier: GPL-2.0-only
//! Views of a domain's memory (altp2m) inside the hypervisor: `cargo xtask diff --views`.
//!
//! The C has no views, so the Rust runs twice: once the domain has views, and after each operation there is
//! one on a view; once it has none. The host p2m must be the same in both. What the views map is held against
//! the host p2m by the self-test itself (`views-step.c` in the patch).

use std::path::Path;

use anyhow::{Context, Result};

use super::log::{self, Run};
use super::machine::{self, built, Machine, Purpose, Request, Views};
use crate::base::cli::{DiffArgs, P2m};
use crate::base::lock;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::table::{self, Row};
use crate::xen::build::BuiltXen;

/// What the two runs are called.
const WITHOUT: &str = "without";
const WITH: &str = "with";

/// Builds, runs and compares; true when the host p2m is the same and the views are right.
pub(super) fn run(paths: &Paths, progress: Progress, args: &DiffArgs) -> Result<bool> {
    let machine = Machine::plain(&args.cpu, args.smp)?;
    let xen = lock::alone(paths, progress, || {
        built(paths, progress, args, P2m::Rust, args.debug)
    })?;
    let dir = paths.run("diff-views");
    let result = lock::booting(&dir, || {
        let ask = |ops, window| both(progress, &xen, &machine, args.seed, ops, window, &dir);
        let (without, with) = ask(args.ops, None)?;
        let Some((from, to)) = log::part(&without, &with) else {
            return Ok(verdict(&without, &with, args.ops));
        };
        let to = to.unwrap_or(args.ops);
        let (without, with) = ask(to, Some((from, to)))?;
        Ok(Err(apart(&without, &with, from)))
    });
    let result = result.unwrap_or_else(|error: anyhow::Error| Err(format!("{error:#}")));
    let rows = [
        Row::info("compilers", xen.compilers()?),
        Row::of(&xen.name, result),
    ];
    let title = format!("The host p2m with and without views, seed {}", args.seed);
    Ok(table::conclude(&title, &rows))
}

/// Runs the same operations without views and with them, at the same time.
fn both(
    progress: Progress,
    xen: &BuiltXen,
    machine: &Machine,
    seed: u64,
    ops: u64,
    window: Option<(u64, u64)>,
    dir: &Path,
) -> Result<(Run, Run)> {
    let ask = |views, name: &str| {
        let request = Request {
            seed,
            ops,
            purpose: Purpose::Compare,
            views,
            window,
        };
        let dir = dir.join(name);
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        machine::run(progress, xen, machine, request, &dir)
    };
    std::thread::scope(|scope| {
        let without = scope.spawn(|| ask(Views::OnlyFaults, WITHOUT));
        let with = ask(Views::Yes, WITH);
        let without = without
            .join()
            .ok()
            .context("the thread of a run panicked")?;
        Ok((without?, with?))
    })
}

/// The hashes agree; is each run whole, and was something done with views?
fn verdict(without: &Run, with: &Run, asked: u64) -> Result<String, String> {
    if !with.failures.is_empty() {
        return Err(with.failures.join("\n"));
    }
    for (name, run) in [(WITHOUT, without), (WITH, with)] {
        run.is_whole(asked)
            .map_err(|failure| format!("{name} views: {failure}"))?;
    }
    Ok(format!(
        "{} operations, the same host p2m with and without views ({}), no page is lost",
        with.end.unwrap_or_default(),
        with.done_with_views()?
    ))
}

/// The first operation whose outcome views have changed.
fn apart(without: &Run, with: &Run, from: u64) -> String {
    let mut text = with.failures.join("\n");
    text.push_str(&format!(
        "\nthe host p2m is the same before operation {from}\n"
    ));
    match log::first_difference(without, with) {
        Some((Some(a), Some(b))) => {
            let (same, one) = a.against(b);
            let (_, other) = b.against(a);
            text.push_str(&format!(
                "operation {}, {}: {same}\nwithout views: {one}\nwith views: {other}",
                a.number, a.name
            ));
        }
        Some((Some(a), None)) => text.push_str(&format!(
            "with views it ended in operation {}, {}: {}",
            a.number,
            a.name,
            with.failure().unwrap_or_default()
        )),
        _ => text.push_str("no operation up to the next checkpoint shows a difference"),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{apart, verdict};
    use crate::boot::dom0::console::Console;
    use crate::selftest::log::Run;

    const WITHOUT: &str = "(XEN) p2m-selftest: start seed=1 ops=1024 level=0 order=0\r\n\
        (XEN) p2m-selftest: op 7 view-fault gfn=5 resolved=1 => tree=1 hash=2\r\n\
        (XEN) p2m-selftest: at 1024 hash aa\r\n\
        (XEN) p2m-selftest: free 100 before 100 after\r\n\
        (XEN) p2m-selftest: end ops=1024 rounds=1\r\n";

    fn run(text: &str) -> Run {
        Run::of(&Console::parse(text))
    }

    #[test]
    fn what_is_said_of_two_runs() {
        let without = run(WITHOUT);
        let with = format!("{WITHOUT}(XEN) p2m-selftest: views made 3 filled 9\r\n");
        let judged = |with: &str| verdict(&without, &run(with), 1024);
        assert!(judged(&with).is_ok_and(|text| text.contains("filled 9")));
        assert!(judged(WITHOUT).is_err());
        assert!(judged(&with.replace("made 3", "made 0")).is_err());
        assert!(judged(&with.replace("100 after", "99 after")).is_err());
        assert!(judged(&with.replace("ops=1024", "ops=1023")).is_err());
        assert!(judged(&with.replace("at 1024", "at 1023")).is_err());
        assert!(verdict(&without, &run(&with), 1025).is_err());
        let wrong = format!("{with}(XEN) p2m-selftest: failed: view 2 is left\r\n");
        assert_eq!(judged(&wrong), Err("view 2 is left".to_owned()));
        let other = apart(&without, &run(&with.replace("resolved=1", "resolved=0")), 0);
        assert!(other.contains("with views: resolved=0"), "{other}");
        let ended = apart(&without, &run(""), 0);
        assert!(ended.contains("ended in operation 7"), "{ended}");
    }
}
