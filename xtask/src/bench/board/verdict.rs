// SPDX-License-Identifier: GPL-2.0-only
//! What the self-test of two boots came to: do C and Rust agree, and if not, from where on?
//!
//! Operations are found by their number: a line that was lost is no difference.

use std::collections::BTreeMap;

use super::log::Boot;
use crate::selftest::difference;
use crate::selftest::log::{Op, Run};

/// What agreed, or what did not.
pub(super) fn agreement(c: &Boot, rust: &Boot) -> Result<String, String> {
    let (ours, theirs) = (c.selftest(), rust.selftest());
    for key in ["seed", "level", "order", "iommu", "hole"] {
        let (a, b) = (c.asked(key), rust.asked(key));
        if a != b {
            return Err(format!(
                "{key}={} with the C and {key}={} with the Rust: boot both with the same arguments, on the same board",
                a.unwrap_or("?"),
                b.unwrap_or("?")
            ));
        }
    }
    if let Some((one, other)) = first_difference(&ours, &theirs) {
        return Err(difference(one, other) + &entries(&ours, &theirs));
    }
    if let Some((from, to)) = part(&ours, &theirs) {
        let seed = c.asked("seed").unwrap_or("1");
        return Err(format!(
            "all agrees before operation {from}, and not at {to}. To see which operation differs boot both again with\n\
             p2m-selftest=seed={seed},ops={to},print-from={from},print-to={to}\n\
             in the place of the other p2m-selftest=, and read those logs"
        ));
    }
    for (boot, run) in [(c, &ours), (rust, &theirs)] {
        if let Some(failure) = run.failure() {
            return Err(format!("{}: {failure} ({})", boot.name(), boot.place()));
        }
    }
    let Some((operations, hash)) = last_common(&ours, &theirs) else {
        return Err("no line with a hash arrived from both: boot again".to_owned());
    };
    if Some(operations) != ours.end || ours.end != theirs.end {
        return Err(format!(
            "{operations} operations agree, but the last line with a hash did not arrive from both: boot again"
        ));
    }
    Ok(format!(
        "{operations} operations agree, no page is lost ({hash})"
    ))
}

fn hashes(run: &Run) -> BTreeMap<u64, &str> {
    let hashes = run.hashes.iter();
    hashes.map(|(at, hash)| (*at, hash.as_str())).collect()
}

/// The last operation before which all that arrived from both agrees, and the first at which it does not.
fn part(one: &Run, other: &Run) -> Option<(u64, u64)> {
    let others = hashes(other);
    let mut from = 0;
    for (at, hash) in hashes(one) {
        match others.get(&at) {
            Some(same) if *same == hash => from = at,
            Some(_) => return Some((from, at)),
            None => {}
        }
    }
    None
}

fn last_common(one: &Run, other: &Run) -> Option<(u64, String)> {
    let others = hashes(other);
    let mut ones = hashes(one).into_iter().rev();
    let (at, hash) = ones.find(|(at, _)| others.contains_key(at))?;
    Some((at, hash.to_owned()))
}

/// Of the operations that arrived from both the first that is not the same.
fn first_difference<'a>(one: &'a Run, other: &'a Run) -> Option<(&'a Op, &'a Op)> {
    one.ops.iter().find_map(|a| {
        let b = other.ops.iter().find(|b| b.number == a.number)?;
        (a != b).then_some((a, b))
    })
}

/// The table entries that only one of them printed; the first few.
fn entries(c: &Run, rust: &Run) -> String {
    const SHOWN: usize = 4;
    let only = |who: &str, one: &Run, other: &Run| -> String {
        let own = one.entries.iter();
        own.filter(|entry| !other.entries.contains(entry))
            .take(SHOWN)
            .map(|entry| format!("\nentry only in {who}: {entry}"))
            .collect()
    };
    only("C", c, rust) + &only("Rust", rust, c)
}
