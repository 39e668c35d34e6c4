// SPDX-License-Identifier: GPL-2.0-only
//! What Xen prints when the Rust panics: `cargo xtask diff --crash`.
//!
//! The self-test makes a mistake that debug builds look for: it calls `p2m_write_unlock()`
//! without the p2m lock. A reader of the console must find the file and the line, what was
//! wrong, and the calls that led there: the exported function, and who called that.

use std::io::Write;
use std::process::Stdio;

use anyhow::{Context, Result};

use super::machine::{self, built, Machine, Purpose, Request, Views};
use crate::base::cli::{DiffArgs, P2m};
use crate::base::command;
use crate::base::lock;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::table::{self, Row};
use crate::boot::dom0::console::Console;

/// What must be there, each somewhere after the one before it.
const EXPECTED: [&str; 6] = [
    "p2m: Rust panic at p2m-rs/src/p2m/lock.rs:",
    "assertion failed: held.0.is_write_locked()",
    "Xen BUG at",
    "Xen call trace:",
    "p2m_write_unlock+",
    "p2m_selftest+",
];

/// Builds, crashes and reads; true when all was there.
pub(super) fn run(paths: &Paths, progress: Progress, args: &DiffArgs) -> Result<bool> {
    let machine = Machine::plain(&args.cpu, 1)?;
    let request = Request {
        seed: args.seed,
        ops: 1,
        purpose: Purpose::Crash,
        views: Views::No,
        window: None,
    };
    let dir = paths.run("crash");
    let xen = lock::alone(paths, progress, || {
        built(paths, progress, args, P2m::Rust, true)
    })?;
    lock::booting(&dir, || {
        machine::run(progress, &xen, &machine, request, &dir)
    })?;
    let log = dir.join(format!("{}.log", xen.p2m));
    let report = readable(&Console::read(&log)?)?;
    println!("{report}");
    let row = Row::of(&xen.name, verdict(&report));
    Ok(table::conclude("What a crash prints", &[row]))
}

/// The report of a crash, with the names of Rust's functions as they are written in the source.
fn readable(console: &Console) -> Result<String> {
    let report = console
        .lines
        .iter()
        .skip_while(|line| !line.contains("Rust panic"))
        .map(|line| line.trim_end())
        .filter(|line| !is_dump(line))
        .take_while(|line| !line.contains("Reboot in"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut filter = command::bound("c++filt")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start c++filt (Debian's package binutils)")?;
    if let Some(mut input) = filter.stdin.take() {
        input.write_all(report.as_bytes())?;
    }
    let output = filter.wait_with_output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a line has nothing but words of the stack, which say nothing to a reader.
fn is_dump(line: &str) -> bool {
    let mut words = line.split_whitespace().skip(1).peekable();
    words.peek().is_some()
        && words.all(|word| word.len() == 16 && u64::from_str_radix(word, 16).is_ok())
}

/// Whether everything is there that a reader needs.
fn verdict(report: &str) -> Result<String, String> {
    let mut rest = report;
    for expected in EXPECTED {
        let Some(at) = rest.find(expected) else {
            return Err(format!(
                "\"{expected}\" is not there, or not after what must come before it"
            ));
        };
        rest = rest.get(at..).unwrap_or_default();
    }
    let place = report.lines().next().unwrap_or_default();
    Ok(place.trim_start_matches("(XEN) ").to_owned())
}

#[cfg(test)]
mod tests {
    use super::{is_dump, verdict, EXPECTED};

    #[test]
    fn a_report_must_have_everything_in_order() {
        let good = EXPECTED.join("\n");
        assert!(verdict(&good).is_ok());
        for missing in EXPECTED {
            let bad = good.replacen(missing, "", 1);
            assert!(verdict(&bad).is_err(), "{missing}");
        }
    }

    #[test]
    fn words_of_the_stack_are_left_out() {
        assert!(is_dump("(XEN)    00000a0000200000 0000000000000002"));
        assert!(!is_dump(
            "(XEN)    [<00000a0000219e2c>] p2m_selftest+0x1/0x2"
        ));
        assert!(!is_dump("(XEN)"));
    }
}
