// SPDX-License-Identifier: GPL-2.0-only
//! Build, boot and test commands:
//! `cargo xtask boot | build-xen | test | diff | soak | bench | image | releases | series | upstream | show | known-c |
//! coverage | mutants | doctor`.
//!
//! Results go to stdout, progress and errors to stderr; the exit code is 0 only if all that was
//! asked for passed.
//!
//! Floors, from the ground up; each uses those below it:
//!
//! | folder | what it is |
//! |---|---|
//! | `base` | the command line, paths, files, commands, tables of results |
//! | `host` | what this machine has and gets: programs, packages, Rust, our own guests |
//! | `xen` | sources, patches, configuration, build and image of Xen |
//! | `show` | pictures of stage 2, by the crate `p2m-show/` |
//! | `boot` | QEMU, what is booted, its console |
//! | `e2e`, `selftest` | scenarios with real guests, comparison inside Xen |
//! | `bench` | counts; and both, the comparison and the benchmark, on a board |
//! | `checks` | gates, the comparison on this machine, coverage, and `test`, which runs all |

#![forbid(unsafe_code)]

mod base;
mod bench;
mod boot;
mod checks;
mod e2e;
mod host;
mod selftest;
mod show;
mod xen;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use base::cli::{Action, Cli};
use base::paths::Paths;
use base::progress::Progress;
use base::{lock, table};
use checks::{coverage, diff, doctor, known_c, mutants, releases, test, upstream};

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does what was asked; true when all of it passed.
fn run(cli: &Cli) -> Result<bool> {
    let paths = Paths::find()?;
    let progress = Progress::detect();
    match &cli.command {
        Action::Boot(args) => {
            let outcome = boot::boot(&paths, progress, args)?;
            if !args.interactive {
                table::print(&outcome.title, &outcome.rows);
            }
            Ok(table::all_passed(&outcome.rows))
        }
        Action::BuildXen(args) => {
            let xen = lock::alone(&paths, progress, || {
                xen::build::build(&paths, progress, args)
            })?;
            println!("{}", xen.binary().display());
            Ok(true)
        }
        Action::Test(args) if args.e2e => e2e::run(&paths, progress, args),
        Action::Test(args) => Ok(test::run(&paths, progress, args)),
        Action::Diff(args) if args.host => diff::run(&paths, progress, args),
        Action::Diff(args) => selftest::run(&paths, progress, args),
        Action::Soak(args) => diff::soak::run(&paths, progress, args),
        Action::Upstream(args) => upstream::run(&paths, progress, args),
        Action::Bench(args) => bench::run(&paths, progress, args),
        Action::Image(args) => bench::board::run(&paths, progress, args),
        Action::Releases(args) => releases::run(&paths, progress, args),
        Action::Series(args) => xen::series::run(&paths, progress, args),
        Action::Show(args) => show::run(&paths, args).map(|()| true),
        Action::Coverage => coverage::run(&paths, progress),
        Action::Mutants(args) => mutants::run(&paths, progress, args),
        Action::KnownC(args) => known_c::run(&paths, args).map(|()| true),
        Action::Doctor => Ok(doctor::run()),
    }
}
