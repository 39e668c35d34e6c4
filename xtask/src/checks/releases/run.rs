// SPDX-License-Identifier: GPL-2.0-only
//! What the steps of a release have in common: a build, the self-test, a boot.

use anyhow::Result;

use crate::base::cli::{BootArgs, BuildArgs, DiffArgs, P2m, SourceArgs};
use crate::base::lock;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::table::{self, Status};
use crate::boot;
use crate::boot::dom0::steps;
use crate::selftest;
use crate::xen::build::{self, BuiltXen};

/// Builds while nothing else does.
pub(super) fn alone(paths: &Paths, progress: Progress, args: &BuildArgs) -> Result<BuiltXen> {
    lock::alone(paths, progress, || build::build(paths, progress, args))
}

/// The self-test, of debug builds.
pub(super) fn diff(
    paths: &Paths,
    progress: Progress,
    source: &SourceArgs,
    args: DiffArgs,
    what: String,
) -> Result<Result<String, String>> {
    let args = DiffArgs {
        debug: true,
        source: source.clone(),
        ..args
    };
    Ok(told(selftest::run(paths, progress, &args)?, what))
}

/// A step's outcome, of what a table above has shown.
pub(super) fn told(passed: bool, what: String) -> Result<String, String> {
    if passed {
        Ok(what)
    } else {
        Err(format!("no: {what}; the table above says more"))
    }
}

/// Boots it, with all that its release's tools can do.
pub(super) fn booted(
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
