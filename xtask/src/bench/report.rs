// SPDX-License-Identifier: GPL-2.0-only
//! The tables: for the terminal, as Markdown, and for other programs.

use std::fmt::Write as _;

use comfy_table::{presets, Table};

use super::columns::{
    self, cell, shown, Column, CHECKS, DSB, INSTRUCTIONS, STORES, STRETCH, TABLES, TLBI,
};
use super::counts::Counted;
use super::rows::floors::{self, Floor};
use super::rows::sections::{self, Section};

/// A row, counted with both.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    /// Xen's own files.
    pub(super) c: Counted,
    /// This project.
    pub(super) rust: Counted,
}

impl Pair {
    /// What it is called.
    pub(super) fn name(&self) -> &str {
        &self.c.name
    }

    /// How often the C's number is the Rust's.
    pub(super) fn ratio(&self, column: &Column) -> Option<f64> {
        let (c, rust) = (column.per_call(&self.c)?, column.per_call(&self.rust)?);
        (c > 0.0 && rust > 0.0).then(|| c / rust)
    }
}

/// The floor of a column, for each call.
fn floor_of(column: &Column, row: &Counted) -> Option<f64> {
    let floor: &Floor = floors::of(&row.name)?;
    let total = match column.title {
        title if title == INSTRUCTIONS.title => floor.instructions,
        title if title == DSB.title => floor.dsb,
        title if title == TLBI.title => floor.tlbi,
        title if title == STORES.title => floor.stores,
        title if title == TABLES.title => floor.tables,
        _ => None,
    }?;
    Some(f64::from(total) / columns::float(row.calls.max(1)))
}

fn times(ratio: Option<f64>) -> String {
    ratio.map_or_else(String::new, |ratio| {
        if ratio >= 99.95 {
            shown(ratio.round())
        } else {
            format!("{ratio:.2}")
        }
    })
}

/// The short table: instructions only.
pub(super) fn terminal(pairs: &[Pair]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY).set_header([
        "instructions a call",
        "C",
        "Rust",
        "C/Rust",
        "floor",
        "DSB C",
        "Rust",
        "TLBI C",
        "Rust",
        "stretch C",
        "Rust",
    ]);
    for pair in pairs {
        let of = |column: Column| {
            [
                cell(column.per_call(&pair.c)),
                cell(column.per_call(&pair.rust)),
            ]
        };
        let mut row = vec![pair.name().to_owned()];
        row.extend(of(INSTRUCTIONS));
        row.push(times(pair.ratio(&INSTRUCTIONS)));
        row.push(cell(floor_of(&INSTRUCTIONS, &pair.c)));
        for column in [DSB, TLBI, STRETCH] {
            row.extend(of(column));
        }
        table.add_row(row);
    }
    table.to_string()
}

/// The sections with their tables.
pub(super) fn markdown(pairs: &[Pair]) -> String {
    let mut text = String::new();
    for section in sections::ALL {
        let rows: Vec<&Pair> = pairs
            .iter()
            .filter(|pair| section.has(pair.name()))
            .collect();
        if !rows.is_empty() {
            section_text(&mut text, section, &rows);
        }
    }
    text
}

/// How long operations that can be preempted go without looking whether they should be.
pub(super) fn latency(pairs: &[Pair]) -> String {
    let mut text = String::new();
    let checks = |row: &Counted| CHECKS.total(row).is_some_and(|checks| checks > 0.0);
    for pair in pairs {
        if pair.c.calls != 1 || !(checks(&pair.c) || checks(&pair.rust)) {
            continue;
        }
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | {} |",
            pair.name(),
            cell(STRETCH.total(&pair.c)),
            cell(STRETCH.total(&pair.rust)),
            times(pair.ratio(&STRETCH)),
            cell(CHECKS.total(&pair.c)),
            cell(CHECKS.total(&pair.rust)),
        );
    }
    text
}

/// Rows without which the mean says more: there the C does a thousand times what is needed.
const EXTREME: [&str; 2] = ["map-1g-plus-page", "map-1g-shifted"];

/// Rows that say nothing about how the implementations compare: an empty one, one where the C
/// forgets to do anything, the same operations at other sizes, and much else than the p2m; and
/// differences of others.
pub(super) const APART: [&str; 9] = [
    "nothing",
    "invalidate",
    "create-",
    "destroy-",
    "held-",
    "xl-",
    "event-xen",
    "event-p2m",
    "event-hook-p2m",
];

/// The geometric means of how often the C's instructions are the Rust's.
pub(super) fn means(pairs: &[Pair]) -> String {
    let of = |without: &[&str]| {
        let logs: Vec<f64> = pairs
            .iter()
            .filter(|pair| !APART.iter().any(|start| pair.name().starts_with(start)))
            .filter(|pair| !without.contains(&pair.name()))
            .filter_map(|pair| Some(pair.ratio(&INSTRUCTIONS)?.ln()))
            .collect();
        let count = i64::try_from(logs.len()).unwrap_or(i64::MAX);
        let mean = (logs.iter().sum::<f64>() / columns::float(count)).exp();
        (count, mean)
    };
    let ((all, mean), (fewer, without)) = (of(&[]), of(&EXTREME));
    format!(
        "Geometric mean of C/Rust, instructions: {mean:.2} over {all} rows; {without:.2} over the \
         {fewer} of them without {}.",
        EXTREME.map(|name| format!("`{name}`")).join(", ")
    )
}

/// Only the columns that have something to show.
fn section_text(text: &mut String, section: &Section, rows: &[&Pair]) {
    let used: Vec<&Column> = columns::ALL
        .iter()
        .filter(|column| {
            rows.iter().any(|pair| {
                [&pair.c, &pair.rust]
                    .iter()
                    .any(|row| column.total(row).is_some_and(|total| total != 0.0))
            })
        })
        .collect();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "\n## {}\n\n{}\n", section.title, section.text);
    let titles: Vec<&str> = used.iter().map(|column| column.title).collect();
    let _ = writeln!(text, "| operation | | {} |", titles.join(" | "));
    let _ = writeln!(text, "|---|---|{}", "--:|".repeat(used.len()));
    for pair in rows {
        let calls = match pair.c.calls {
            1 => String::new(),
            calls => format!(" ({} calls)", shown(columns::float(calls))),
        };
        let name = format!("`{}`{calls}", pair.name());
        let mut line = |name: &str, who: &str, of: &dyn Fn(&Column) -> String| {
            let cells: Vec<String> = used.iter().map(|column| of(column)).collect();
            let _ = writeln!(text, "| {name} | {who} | {} |", cells.join(" | "));
        };
        line(&name, "C", &|column| cell(column.per_call(&pair.c)));
        line("", "Rust", &|column| cell(column.per_call(&pair.rust)));
        line("", "C/Rust", &|column| times(pair.ratio(column)));
        if floors::of(pair.name()).is_some() {
            line("", "floor", &|column| cell(floor_of(column, &pair.c)));
        }
    }
}

/// Every number, a line for each row and implementation.
pub(super) fn tsv(pairs: &[Pair]) -> String {
    let mut names: Vec<&str> = pairs
        .iter()
        .flat_map(|pair| pair.c.numbers.keys().chain(pair.rust.numbers.keys()))
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names.dedup();
    let mut text = format!("row\tp2m\tcalls\t{}\n", names.join("\t"));
    for pair in pairs {
        for (p2m, row) in [("c", &pair.c), ("rust", &pair.rust)] {
            let numbers: Vec<String> = names
                .iter()
                .map(|&name| {
                    let number = row.numbers.get(name);
                    number.map_or_else(String::new, ToString::to_string)
                })
                .collect();
            let _ = writeln!(
                text,
                "{}\t{p2m}\t{}\t{}",
                row.name,
                row.calls,
                numbers.join("\t")
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{markdown, tsv, Pair};
    use crate::bench::counts::Counted;

    fn counted(instructions: i64) -> Counted {
        let numbers = [("insn", instructions), ("isb", 0), ("tables", -2)];
        Counted {
            name: "map-1g-as-2m-calls".to_owned(),
            calls: 512,
            numbers: numbers.map(|(name, n)| (name.to_owned(), n)).into(),
        }
    }

    #[test]
    fn a_row_has_four_lines() {
        let pair = Pair {
            c: counted(512_000),
            rust: counted(51_200),
        };
        let text = markdown(std::slice::from_ref(&pair));
        let lines: Vec<&str> = text
            .lines()
            .skip_while(|line| !line.starts_with('|'))
            .collect();
        assert_eq!(
            lines,
            [
                "| operation | | instructions | table pages |",
                "|---|---|--:|--:|",
                "| `map-1g-as-2m-calls` (512 calls) | C | 1,000 | -0.004 |",
                "|  | Rust | 100 | -0.004 |",
                "|  | C/Rust | 10.00 |  |",
                "|  | floor |  | 0.004 |",
            ]
        );
        assert_eq!(tsv(&[pair]).lines().count(), 3);
    }
}
