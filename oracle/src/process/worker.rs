// SPDX-License-Identifier: GPL-2.0-only
//! The process that has both implementations in it.

use std::fmt::Write;

// The Rust exports are reached through their C symbols.
use mem_access_rs as _;

use crate::edits::fixes;
use crate::exec::outcome::Outcome;
use crate::lockstep::compare::Difference;
use crate::lockstep::run::{run, Mismatch, Tally};
use crate::ops::generate;
use crate::ops::machine::Machine;
use crate::ops::op::Op;
use crate::sides::xen_c;

/// Runs episodes; says on stdout where it is and what came of it.
///
/// # Errors
///
/// The difference that ended it.
pub fn work(machine: Machine, seed: u64, episodes: u64) -> Result<(), String> {
    let top = 0_u8;
    xen_c::begin((&raw const top).addr());
    let mut tally = Tally::default();
    for n in 0..episodes {
        println!("at {n}");
        let ops = generate::episode(machine, seed, n);
        run(machine, &ops, &mut tally).map_err(|mismatch| described(&ops, &mismatch))?;
    }
    let not_needed: Vec<&str> = env!("ORACLE_NOT_NEEDED").split(',').collect();
    let fixes: Vec<String> = fixes::all()
        .zip(xen_c::excused())
        .filter(|(fix, _)| !not_needed.contains(&fix.id))
        .map(|(fix, count)| format!("{}:{count}", fix.id))
        .collect();
    let rules: Vec<String> = tally
        .rules
        .iter()
        .map(|(rule, count)| format!("{rule}:{count}"))
        .collect();
    println!(
        "done operations={} fixes={} rules={} mended={} without={}",
        tally.operations,
        fixes.join(","),
        rules.join(","),
        env!("ORACLE_NOT_NEEDED"),
        env!("ORACLE_WITHOUT"),
    );
    Ok(())
}

/// Carries one list out.
///
/// # Errors
///
/// The difference that ended it.
pub fn replay(machine: Machine, ops: &[Op]) -> Result<(), String> {
    let top = 0_u8;
    xen_c::begin((&raw const top).addr());
    run(machine, ops, &mut Tally::default()).map_err(|mismatch| described(ops, &mismatch))
}

fn shown(outcome: &Outcome) -> String {
    let mut text = String::new();
    for (name, value) in outcome.iter().take(40) {
        let signed = *value as i64;
        let _ = if (-200..0).contains(&signed) {
            write!(text, " {name}={signed}")
        } else {
            write!(text, " {name}={value:#x}")
        };
    }
    text
}

fn described(ops: &[Op], mismatch: &Mismatch) -> String {
    let op = ops.get(mismatch.at).map(ToString::to_string);
    let Difference { what, rust, c } = &mismatch.difference;
    let mut text = format!("{what} after `{}`\n", op.unwrap_or_default());
    // Answers that differ are shown with the others.
    if !rust.is_empty() || !c.is_empty() {
        let _ = write!(text, "Rust: {rust}\nC:    {c}\n");
    }
    let (rust, c) = &mismatch.answers;
    let _ = write!(text, "answers: Rust{}; C{}", shown(rust), shown(c));
    text
}
