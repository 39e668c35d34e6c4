// SPDX-License-Identifier: GPL-2.0-only
//! How much of the p2m the host tests run through: `cargo xtask coverage`.
//!
//! rustc instruments (lines and branches, the latter behind `-Z`), the tests run as always, and an
//! LLVM that can read what rustc writes counts. Left out are the tests of what must not compile:
//! they run nothing. Code for the hypervisor alone (`cfg(target_os = "none")`) is not in the count.

mod lcov;
mod llvm;

use std::path::{Path, PathBuf};

use anyhow::{ensure, Context, Result};

use crate::base::command;
use crate::base::files;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::table;
use lcov::{Covered, Share};
use llvm::Llvm;

/// The least shares in percent.
const LEAST_LINES: f64 = 95.0;
const LEAST_BRANCHES: f64 = 90.0;

/// What is counted.
const CRATES: [&str; 2] = ["p2m-rs/src", "mem_access-rs/src"];

/// Nothing of the p2m runs in these tests.
const NOT_RUN: &str = "compile_fail";

/// Measures and prints the table; true when enough is covered.
pub(crate) fn run(paths: &Paths, progress: Progress) -> Result<bool> {
    let llvm = Llvm::require(paths, progress)?;
    let dir = paths.target().join("coverage");
    let tests = build(paths, progress, &dir)?;
    let profile = measure(paths, progress, &dir, &tests, &llvm)?;
    let report = llvm.export(&profile, &tests)?;
    let files = lcov::read(&report, paths.root(), &CRATES);
    ensure!(!files.is_empty(), "no file of the p2m was counted");
    let enough = print(&files);
    println!("measured with {}", llvm.version);
    Ok(enough)
}

/// Builds the host tests for counting; returns the programs.
fn build(paths: &Paths, progress: Progress, dir: &Path) -> Result<Vec<PathBuf>> {
    let task = progress.start("Building the host tests, instrumented");
    let mut cargo = llvm::cargo();
    cargo
        .args(["test", "--package", "test-harness", "--no-run"])
        .args(["--message-format", "json-render-diagnostics"])
        .arg("--target-dir")
        .arg(dir)
        .current_dir(paths.root())
        .env("RUSTC_BOOTSTRAP", "1")
        // Build scripts are instrumented too, and of no interest.
        .env("LLVM_PROFILE_FILE", dir.join("build.profraw"))
        .env(
            "RUSTFLAGS",
            "-Cinstrument-coverage -Zcoverage-options=branch",
        );
    let tests: Vec<PathBuf> = command::output(&mut cargo)?
        .lines()
        .filter_map(executable)
        .filter(|path| !is_left_out(path))
        .collect();
    ensure!(!tests.is_empty(), "cargo built no test");
    task.done();
    Ok(tests)
}

/// The program that a line of cargo's messages says was built.
fn executable(message: &str) -> Option<PathBuf> {
    let (_, rest) = message.split_once("\"executable\":\"")?;
    Some(PathBuf::from(rest.split('"').next()?))
}

fn is_left_out(test: &Path) -> bool {
    test.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with(NOT_RUN))
}

/// Runs the tests; returns the merged profile.
fn measure(
    paths: &Paths,
    progress: Progress,
    dir: &Path,
    tests: &[PathBuf],
    llvm: &Llvm,
) -> Result<PathBuf> {
    let mut task = progress.start("Running the host tests");
    let profiles = dir.join("profiles");
    // Of an earlier run.
    if profiles.exists() {
        std::fs::remove_dir_all(&profiles).context("cannot remove old profiles")?;
    }
    for test in tests {
        let name = test.file_stem().unwrap_or_default().to_string_lossy();
        task.note(name.split('-').next().unwrap_or_default());
        let mut run = command::clean(test);
        run.env("LLVM_PROFILE_FILE", profiles.join("%p-%m.profraw"))
            .current_dir(paths.root().join("test-harness"));
        command::logged(&mut run, &paths.log("coverage"))?;
    }
    let raw = files::sorted_entries(&profiles).context("the tests left no profile")?;
    let merged = dir.join("merged.profdata");
    llvm.merge(&raw, &merged)?;
    task.done();
    Ok(merged)
}

/// Prints a row a file and the totals; true when they are high enough.
fn print(files: &[Covered]) -> bool {
    let total = files.iter().fold(Covered::named("all"), Covered::and);
    let rows = files.iter().chain([&total]).map(|file| {
        [
            file.name.clone(),
            file.lines.to_string(),
            file.branches.to_string(),
        ]
    });
    table::print_columns(["Covered by the host tests", "lines", "branches"], rows);
    let enough = |what: &str, share: &Share, least: f64| {
        let is_enough = share.percent() >= least;
        if !is_enough {
            println!("fewer {what} than {least} %");
        }
        is_enough
    };
    let lines = enough("lines", &total.lines, LEAST_LINES);
    let branches = enough("branches", &total.branches, LEAST_BRANCHES);
    lines && branches
}

#[cfg(test)]
mod tests {
    use super::{executable, is_left_out};
    use std::path::{Path, PathBuf};

    #[test]
    fn programs_are_found_in_cargos_messages() {
        let line = r#"{"reason":"compiler-artifact","executable":"/t/deps/model-1f","fresh":true}"#;
        assert_eq!(executable(line), Some(PathBuf::from("/t/deps/model-1f")));
        assert_eq!(executable(r#"{"executable":null}"#), None);
        assert!(is_left_out(Path::new("/t/deps/compile_fail-2a")));
        assert!(!is_left_out(Path::new("/t/deps/model-1f")));
    }
}
