// SPDX-License-Identifier: GPL-2.0-only
//! What a release goes through.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::identity;
use crate::base::cli::{BootArgs, BuildArgs, DiffArgs, Extra, P2m, SourceArgs};
use crate::base::lock;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::table::{self, Row, Status};
use crate::boot;
use crate::boot::dom0::steps;
use crate::checks::{c_to_rust, gates};
use crate::selftest;
use crate::xen::build::{self, BuiltXen};

/// The columns of the table.
pub(super) const NAMES: [&str; 7] = [BUILDS, IDENTITY, GATES, ROWS, SELFTEST, STRESS, BOOT];
const BUILDS: &str = "builds";
const IDENTITY: &str = "C as before";
const GATES: &str = "gates";
const ROWS: &str = "c-to-rust";
const SELFTEST: &str = "self-test";
const STRESS: &str = "stress";
const BOOT: &str = "boot";

/// Operations of the self-test, and of all CPUs at once.
const OPS: u64 = 20_000;

/// What came of one step.
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) result: Result<String, String>,
    pub(super) took: Duration,
}

/// Does it, and looks at the clock.
fn step(name: &'static str, what: impl FnOnce() -> Result<Result<String, String>>) -> Step {
    let begin = Instant::now();
    let result = what().unwrap_or_else(|error| Err(format!("{error:#}")));
    Step {
        name,
        result,
        took: begin.elapsed(),
    }
}

/// Memory access on, or off as is Arm's default.
const CONFIGURATIONS: [Option<Extra>; 2] = [None, Some(Extra::NoMemAccess)];

/// The Rust p2m of both configurations.
struct Built {
    with: BuiltXen,
    without: Option<BuiltXen>,
}

/// All steps, and what the source was.
pub(super) fn long(paths: &Paths, progress: Progress, source: &SourceArgs) -> (String, Vec<Step>) {
    let mut built = None;
    let mut steps = vec![
        step(BUILDS, || {
            let [with, without] = CONFIGURATIONS;
            let all = Built {
                with: build(paths, progress, source, P2m::Rust, with)?,
                without: Some(build(paths, progress, source, P2m::Rust, without)?),
            };
            let compilers = all.with.compilers()?;
            built = Some(all);
            Ok(Ok(format!("memory access on and off, {compilers}")))
        }),
        step(IDENTITY, || same_c(paths, progress, source)),
    ];
    steps.extend(judged(paths, progress, source, built.as_ref()));
    let described = built.map_or_else(|| "not built".to_owned(), |built| built.with.source);
    (described, steps)
}

/// The steps that `cargo xtask test` has for the release that is not the default one, as rows with their time.
pub(crate) fn short(
    paths: &Paths,
    progress: Progress,
    source: &SourceArgs,
) -> Vec<(Row, Duration)> {
    let mut built = None;
    let mut all = vec![step(BUILDS, || {
        let with = build(paths, progress, source, P2m::Rust, None)?;
        let text = with.binary().display().to_string();
        built = Some(Built {
            with,
            without: None,
        });
        Ok(Ok(text))
    })];
    all.extend(judged(paths, progress, source, built.as_ref()));
    let release = source.release.map_or_else(String::new, |r| r.to_string());
    all.into_iter()
        .map(|step| {
            (
                Row::of(&format!("Xen {release}: {}", step.name), step.result),
                step.took,
            )
        })
        .collect()
}

/// What is done with what was built.
fn judged(
    paths: &Paths,
    progress: Progress,
    source: &SourceArgs,
    built: Option<&Built>,
) -> Vec<Step> {
    let Some(built) = built else {
        let left = [GATES, ROWS, SELFTEST, STRESS, BOOT];
        return left
            .map(|name| Step {
                name,
                result: Err("there is no build".to_owned()),
                took: Duration::ZERO,
            })
            .into();
    };
    let diff = |stress: bool| {
        let short = if stress {
            DiffArgs::stress(OPS)
        } else {
            DiffArgs::short(false, OPS)
        };
        // Both from the same debug builds.
        let args = DiffArgs {
            debug: true,
            source: source.clone(),
            ..short
        };
        selftest::run(paths, progress, &args)
    };
    let told = |passed: bool, what: String| {
        if passed {
            Ok(what)
        } else {
            Err(format!("no: {what}; the table above says more"))
        }
    };
    vec![
        step(GATES, || through_gates(paths, progress, built)),
        step(ROWS, || {
            let row = c_to_rust::complete(paths, &built.with);
            Ok(told(row.status == Status::Pass, row.detail))
        }),
        step(SELFTEST, || {
            let what = format!("{OPS} operations as this release's own C");
            Ok(told(diff(false)?, what))
        }),
        step(STRESS, || {
            let what = format!("{OPS} operations of all CPUs on one domain");
            Ok(told(diff(true)?, what))
        }),
        step(BOOT, || booted(paths, progress, source, &built.with)),
    ]
}

fn build(
    paths: &Paths,
    progress: Progress,
    source: &SourceArgs,
    p2m: P2m,
    extra: Option<Extra>,
) -> Result<BuiltXen> {
    let args = BuildArgs {
        source: source.clone(),
        extra,
        ..BuildArgs::of(p2m)
    };
    lock::alone(paths, progress, || build::build(paths, progress, &args))
}

/// With the option off, the C's objects are those of a tree without the patches.
fn same_c(
    paths: &Paths,
    progress: Progress,
    source: &SourceArgs,
) -> Result<Result<String, String>> {
    let mut told = String::new();
    for extra in CONFIGURATIONS {
        let patched = build(paths, progress, source, P2m::C, extra)?;
        let args = BuildArgs {
            source: source.clone(),
            extra,
            pristine: true,
            ..BuildArgs::of(P2m::C)
        };
        let pristine = lock::alone(paths, progress, || build::build(paths, progress, &args))?;
        match identity::compare(paths, &pristine.tree, &patched.tree)? {
            Ok(text) => told = text,
            Err(why) => return Ok(Err(format!("{}: {why}", patched.name))),
        }
        // Nothing else needs it.
        std::fs::remove_dir_all(&pristine.tree)?;
    }
    Ok(Ok(told))
}

/// All gates with memory access, and the exports without.
fn through_gates(
    paths: &Paths,
    progress: Progress,
    built: &Built,
) -> Result<Result<String, String>> {
    let rows = gates::run(paths, progress, &built.with)?;
    if let Err(why) = table::none_failed(&rows) {
        table::print(&format!("Gates, {}", built.with.name), &rows);
        return Ok(Err(why));
    }
    if let Some(without) = &built.without {
        if let Err(why) = gates::exports_alone(paths, progress, without)? {
            return Ok(Err(format!("without memory access: {why}")));
        }
    }
    Ok(Ok(format!("{} gates", rows.len())))
}

fn booted(
    paths: &Paths,
    progress: Progress,
    source: &SourceArgs,
    xen: &BuiltXen,
) -> Result<Result<String, String>> {
    let mut args = BootArgs::of(P2m::Rust);
    args.build.source = source.clone();
    let outcome = boot::built(paths, progress, &args, xen, steps::ALL)?;
    table::print(&outcome.title, &outcome.rows);
    let passed = outcome.rows.iter().filter(|row| row.status == Status::Pass);
    let passed = passed.count();
    Ok(table::none_failed(&outcome.rows).map(|()| format!("{passed} things that had to happen")))
}
