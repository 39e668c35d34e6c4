// SPDX-License-Identifier: GPL-2.0-only
//! The benchmark's rows on a board: each was done several times, and no two took the same time.

use std::collections::BTreeMap;

use anyhow::{bail, Result};

use super::log::Boot;

/// One row with one p2m.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Measured {
    /// What Xen calls it.
    pub(super) name: String,
    /// How many calls the numbers are for.
    pub(super) calls: i64,
    /// Pages taken for tables.
    pub(super) tables: i64,
    /// Cycles of each run, in order of size; empty when the board counts none.
    pub(super) cycles: Vec<i64>,
    /// Ticks of the timer, the same.
    pub(super) ticks: Vec<i64>,
}

impl Measured {
    /// How often it was done, as far as the log tells.
    pub(super) fn runs(&self) -> usize {
        self.ticks.len()
    }
}

/// The one in the middle, or between the two there.
pub(super) fn median(sorted: &[i64]) -> Option<i64> {
    let half = sorted.len() / 2;
    let upper = *sorted.get(half)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get(half.checked_sub(1)?)?;
    Some(lower + (upper - lower) / 2)
}

/// The rows of a boot, in the order in which they were done first.
pub(super) fn measured(boot: &Boot) -> Result<Vec<Measured>> {
    let mut rows: Vec<Measured> = Vec::new();
    let mut seen: BTreeMap<(String, i64), usize> = BTreeMap::new();
    for (line, row) in &boot.rows {
        let number = |key: &str| row.numbers.get(key).copied();
        let run = number("run").unwrap_or(1);
        if let Some(before) = seen.insert((row.name.clone(), run), *line) {
            bail!(
                "{}: run {run} of {} is in line {before} and again in line {line}: the board was restarted in between \
                 without a word of it; cut the log there, or boot once more",
                boot.log,
                row.name
            );
        }
        let at = rows.iter().position(|known| known.name == row.name);
        let at = at.unwrap_or_else(|| {
            rows.push(Measured {
                name: row.name.clone(),
                calls: row.calls,
                tables: number("tables").unwrap_or_default(),
                ..Measured::default()
            });
            rows.len() - 1
        });
        if let Some(known) = rows.get_mut(at) {
            known.cycles.extend(number("cycles"));
            known.ticks.extend(number("ticks"));
        }
    }
    for row in &mut rows {
        row.cycles.sort_unstable();
        row.ticks.sort_unstable();
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[7]), Some(7));
        assert_eq!(median(&[1, 4]), Some(2));
        assert_eq!(median(&[1, 2, 900]), Some(2));
        assert_eq!(median(&[1, 2, 4, 900]), Some(3));
    }
}
