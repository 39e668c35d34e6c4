// SPDX-License-Identifier: GPL-2.0-only
//! The process that has both implementations in it.

use std::collections::BTreeMap;
use std::fmt::Write;

// The Rust exports are reached through their C symbols.
use mem_access_rs as _;

use crate::edits::fixes;
use crate::exec::outcome::Outcome;
use crate::lockstep::compare::Difference;
use crate::lockstep::run::{run, Mismatch, Tally};
use crate::ops::generate;
use crate::ops::machine::Machine;
use crate::ops::op::{Kind, Op, KINDS};
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
    println!(
        "done operations={} kinds={} fixes={} rules={} mended={} without={}",
        tally.operations,
        listed(&all_kinds(&tally.kinds)),
        fixes.join(","),
        listed(&tally.rules),
        env!("ORACLE_NOT_NEEDED"),
        env!("ORACLE_WITHOUT"),
    );
    Ok(())
}

/// Those, too, of which there was none.
fn all_kinds(done: &BTreeMap<&'static str, u64>) -> BTreeMap<&'static str, u64> {
    let prepares = |kind| matches!(kind, Kind::Boot | Kind::Fail | Kind::Preempt);
    KINDS
        .iter()
        .filter(|(kind, ..)| !prepares(*kind))
        .map(|(_, name, _)| (*name, done.get(name).copied().unwrap_or_default()))
        .collect()
}

/// `B1:3,B2:0`.
fn listed(counts: &BTreeMap<&'static str, u64>) -> String {
    let each = counts.iter().map(|(name, count)| format!("{name}:{count}"));
    each.collect::<Vec<_>>().join(",")
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
