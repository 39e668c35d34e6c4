// SPDX-License-Identifier: GPL-2.0-only
//! What was counted: the plugin's numbers, joined with the names that Xen printed.

use std::collections::BTreeMap;

use anyhow::{bail, ensure, Context, Result};

use crate::boot::dom0::console::Console;

/// What Xen prints before the name of a row.
const ROW: &str = "p2m-bench: row ";

/// What Xen prints when it is through.
const END: &str = "p2m-bench: end rows=";

/// With `-icount shift=0` an instruction takes 1 ns, and the counter runs at 62.5 MHz.
const INSTRUCTIONS_PER_TICK: i64 = 16;

/// One row, counted with one of the implementations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// What Xen calls it.
    pub(super) name: String,
    /// How many calls all the numbers are for.
    pub(super) calls: i64,
    /// The numbers by the plugin's names, and `tables`, `faults` and `ticks` by Xen's.
    pub(super) numbers: BTreeMap<String, i64>,
}

impl Counted {
    /// Is this the same, counted again? The plugin is exact; the clock is so to within a tick.
    pub(super) fn same_again(&self, other: &Self) -> bool {
        let near = |key: &str, a: i64, b: i64| match key {
            "ticks" => a.abs_diff(b) <= 1,
            "insn" if self.numbers.contains_key("ticks") => true,
            _ => a == b,
        };
        self.name == other.name
            && self.calls == other.calls
            && self.numbers.len() == other.numbers.len()
            && self.numbers.iter().all(|(key, &number)| {
                let again = other.numbers.get(key);
                again.is_some_and(|&again| near(key, number, again))
            })
    }

    /// The sum of these numbers; none when one is not known.
    pub(super) fn sum(&self, names: &[&str]) -> Option<i64> {
        names
            .iter()
            .map(|&name| self.numbers.get(name).copied())
            .sum()
    }
}

/// The regions that the plugin saw, in their order.
pub(super) fn regions(plugin: &str) -> Result<Vec<BTreeMap<String, i64>>> {
    let mut lines = plugin.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    lines
        .map(|line| {
            let numbers: Vec<i64> = line
                .split('\t')
                .map(str::parse)
                .collect::<Result<_, _>>()
                .with_context(|| format!("the plugin wrote {line:?}"))?;
            ensure!(
                numbers.len() == names.len(),
                "the plugin wrote {} numbers for {} names",
                numbers.len(),
                names.len()
            );
            let names = names.iter().map(|&name| name.to_owned());
            Ok(names.zip(numbers).collect())
        })
        .collect()
}

/// The rows that Xen printed; with the plugin's numbers, if there are any.
pub(super) fn rows(console: &Console, plugin: Option<&str>) -> Result<Vec<Counted>> {
    let mut rows = console
        .lines
        .iter()
        .filter_map(|line| line.split_once(ROW))
        .map(|(_, row)| printed(row))
        .collect::<Result<Vec<Counted>>>()?;
    let through = console
        .lines
        .iter()
        .any(|line| line.ends_with(&format!("{END}{}", rows.len())));
    ensure!(through, "Xen did not come to the end of the benchmark");
    let Some(plugin) = plugin else {
        for row in &mut rows {
            let ticks = row.sum(&["ticks"]).unwrap_or_default();
            let instructions = ticks.saturating_mul(INSTRUCTIONS_PER_TICK);
            row.numbers.insert("insn".to_owned(), instructions);
        }
        return Ok(rows);
    };
    let regions = regions(plugin)?;
    ensure!(
        regions.len() == rows.len(),
        "Xen printed {} rows and the plugin saw {} regions",
        rows.len(),
        regions.len()
    );
    for (row, region) in rows.iter_mut().zip(regions) {
        row.numbers.extend(region);
        agree(row)?;
        released(row)?;
    }
    Ok(rows)
}

/// Each store to the lock's word takes it or releases it, in turn; so in the end it must have
/// been released.
fn released(row: &Counted) -> Result<()> {
    let stores = row.sum(&["p2m_lock"]).unwrap_or_default();
    ensure!(
        stores % 2 == 0,
        "{}: {stores} stores to the p2m lock's word, so taking it and releasing it are not one store each; \
         count.c cannot tell how long it was held",
        row.name
    );
    Ok(())
}

/// Two ways to count the same, to within a tick and what is around the markers. The ticks are
/// then forgotten: when in a tick a region begins is not the same each time.
fn agree(row: &mut Counted) -> Result<()> {
    let counted = row.sum(&["insn"]).unwrap_or_default();
    let ticks = row.numbers.remove("ticks").unwrap_or_default();
    let clock = ticks.saturating_mul(INSTRUCTIONS_PER_TICK);
    ensure!(
        counted.abs_diff(clock) <= 2 * INSTRUCTIONS_PER_TICK.unsigned_abs(),
        "{}: the plugin counted {counted} instructions and the clock {clock}",
        row.name
    );
    Ok(())
}

/// `NAME calls=1 rc=0 tables=3 ...`
pub(super) fn printed(row: &str) -> Result<Counted> {
    let mut words = row.split_whitespace();
    let mut counted = Counted {
        name: words.next().unwrap_or_default().to_owned(),
        ..Counted::default()
    };
    for word in words {
        let (key, value) = word
            .split_once('=')
            .with_context(|| format!("Xen printed {row:?}"))?;
        let value: i64 = value
            .parse()
            .with_context(|| format!("Xen printed {row:?}"))?;
        match key {
            "calls" => counted.calls = value,
            "rc" if value == 0 => {}
            "rc" => bail!("{} failed with {value}", counted.name),
            _ => {
                counted.numbers.insert(key.to_owned(), value);
            }
        }
    }
    Ok(counted)
}

#[cfg(test)]
mod tests {
    use super::{rows, Counted};
    use crate::boot::dom0::console::Console;

    const LOG: &str = "(XEN) p2m-bench: start\n\
        (XEN) p2m-bench: row map calls=2 rc=0 tables=3 faults=0 ticks=10\n\
        (XEN) p2m-bench: end rows=1\n";

    #[test]
    fn names_and_numbers_are_joined() -> anyhow::Result<()> {
        let rows = rows(&Console::parse(LOG), Some("insn\tisb\n161\t4\n"))?;
        let row = rows.first().ok_or_else(|| anyhow::anyhow!("no row"))?;
        assert_eq!((row.name.as_str(), row.calls), ("map", 2));
        assert_eq!(row.sum(&["insn", "isb", "tables"]), Some(168));
        assert_eq!(row.sum(&["insn", "unknown"]), None);
        Ok(())
    }

    #[test]
    fn again_is_exact_with_a_plugin() {
        let of = |numbers: &[(&str, i64)]| Counted {
            name: "map".to_owned(),
            calls: 1,
            numbers: numbers.iter().map(|&(k, n)| (k.to_owned(), n)).collect(),
        };
        let plugin = of(&[("insn", 160), ("isb", 1)]);
        assert!(plugin.same_again(&plugin));
        assert!(!plugin.same_again(&of(&[("insn", 161), ("isb", 1)])));
        assert!(!plugin.same_again(&of(&[("insn", 160)])));
        let clock = of(&[("insn", 160), ("ticks", 10)]);
        assert!(clock.same_again(&of(&[("insn", 176), ("ticks", 11)])));
        assert!(!clock.same_again(&of(&[("insn", 192), ("ticks", 12)])));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let of = |log: &str, plugin| rows(&Console::parse(log), plugin).is_err();
        assert!(of(LOG, Some("insn\n161\n161\n")), "one region more");
        assert!(of(LOG, Some("insn\n16100\n")), "another count");
        assert!(of(LOG, Some("insn\tp2m_lock\n161\t3\n")), "not released");
        assert!(of(&LOG.replace("rc=0", "rc=-2"), None), "an error");
        assert!(of(&LOG.replace("end", "ended"), None), "no end");
        assert!(!of(LOG, None), "without a plugin");
    }
}
