// SPDX-License-Identifier: GPL-2.0-only
//! The tables: times of one thread, and what more threads do together.

use std::fmt::Write as _;

use comfy_table::{presets, Table};

use super::samples::{Measured, Spread};

/// What was measured, and where.
#[derive(Debug)]
pub(super) struct Machine {
    /// The processor's name.
    pub(super) cpu: String,
    /// How many this program may use.
    pub(super) processors: usize,
    /// /proc/loadavg, when it began.
    pub(super) load: String,
    /// Runs before what makes that load?
    pub(super) is_real_time: bool,
    /// Which Xen.
    pub(super) xen: String,
    /// Which compilers.
    pub(super) compilers: String,
    /// Pairs of blocks.
    pub(super) blocks: u32,
}

impl Machine {
    /// As a list.
    pub(super) fn lines(&self) -> String {
        let load: Vec<&str> = self.load.split(' ').take(3).collect();
        let policy = if self.is_real_time {
            "; this ran before all other processes (`chrt -f 1`), which had what it left of the caches and the memory"
        } else {
            ""
        };
        format!(
            "* This machine: {}, {} processors; its load when this began: {}{policy}.\n\
             * Xen: {}.\n\
             * Compilers: {}.\n\
             * {} pairs of blocks for each row and number of threads.",
            self.cpu,
            self.processors,
            load.join(", "),
            self.xen,
            self.compilers,
            self.blocks
        )
    }
}

/// The columns of the first table.
const ALONE: [&str; 6] = ["row", "C ns", "Rust ns", "C / Rust", "quartiles", "pairs"];

/// The columns of the second.
const TOGETHER: [&str; 9] = [
    "row",
    "threads",
    "C M/s",
    "Rust M/s",
    "C, to one",
    "Rust, to one",
    "C / Rust",
    "quartiles",
    "pairs",
];

fn quartiles(spread: Spread) -> [String; 2] {
    [
        format!("{:.2}", spread.median),
        format!("{:.2} to {:.2}", spread.low, spread.high),
    ]
}

fn alone(all: &[Measured]) -> Vec<[String; 6]> {
    all.iter()
        .filter(|row| row.threads == 1)
        .map(|row| {
            let (c, rust) = row.nanoseconds();
            let [median, rest] = quartiles(row.ratio());
            [
                row.name.clone(),
                format!("{c:.1}"),
                format!("{rust:.1}"),
                median,
                rest,
                row.pairs(),
            ]
        })
        .collect()
}

fn together(all: &[Measured]) -> Vec<[String; 9]> {
    let several = |row: &&Measured| all.iter().any(|r| r.name == row.name && r.threads > 1);
    all.iter()
        .filter(several)
        .map(|row| {
            let (c, rust) = row.nanoseconds();
            let one = all.iter().find(|r| r.name == row.name && r.threads == 1);
            let (one_c, one_rust) = one.map_or((c, rust), Measured::nanoseconds);
            let [median, rest] = quartiles(row.ratio());
            [
                row.name.clone(),
                row.threads.to_string(),
                format!("{:.2}", 1e3 / c),
                format!("{:.2}", 1e3 / rust),
                format!("{:.2}", one_c / c),
                format!("{:.2}", one_rust / rust),
                median,
                rest,
                row.pairs(),
            ]
        })
        .collect()
}

fn table<const N: usize>(header: [&str; N], rows: Vec<[String; N]>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY);
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    table.to_string()
}

fn markdown<const N: usize>(header: [&str; N], rows: Vec<[String; N]>) -> String {
    let mut text = format!(
        "| {} |\n|---|{}\n",
        header.join(" | "),
        "--:|".repeat(N - 1)
    );
    for row in rows {
        if let Some((name, cells)) = row.split_first() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "| `{name}` | {} |", cells.join(" | "));
        }
    }
    text
}

/// Both, for a terminal.
pub(super) fn terminal(all: &[Measured]) -> String {
    let mut text = table(ALONE, alone(all));
    let several = together(all);
    if !several.is_empty() {
        text.push('\n');
        text.push_str(&table(TOGETHER, several));
    }
    text
}

/// The page.
pub(super) fn document(machine: &Machine, all: &[Measured]) -> String {
    format!(
        include_str!("../../../assets/bench/native.md"),
        machine = machine.lines(),
        alone = markdown(ALONE, alone(all)).trim_end(),
        together = markdown(TOGETHER, together(all)).trim_end(),
    )
}

#[cfg(test)]
mod tests {
    use super::super::samples::Run;
    use super::{alone, markdown, together, ALONE, TOGETHER};

    #[test]
    fn throughput_is_compared_with_one_thread() -> anyhow::Result<()> {
        let run = Run::read("map 1 100 800 400 0 a\nmap 2 200 800 500 0 a\nget 1 9 9 9 0 a\n")?;
        let [map, _get] = &alone(&run.rows)[..] else {
            anyhow::bail!("two rows have one thread");
        };
        assert!(map.starts_with(&["map", "8.0", "4.0", "2.00"].map(str::to_owned)));
        let rows = together(&run.rows);
        let [one, two] = &rows[..] else {
            anyhow::bail!("one row has several threads, and stands there with one too: {rows:?}");
        };
        assert!(one.starts_with(&["map", "1", "125.00", "250.00"].map(str::to_owned)));
        let [_, rest @ ..] = two;
        let wanted = ["2", "250.00", "400.00", "2.00", "1.60"];
        assert!(rest.starts_with(&wanted.map(str::to_owned)), "{two:?}");
        let text = markdown(TOGETHER, rows);
        assert!(text.contains("| `map` | 2 | 250.00 |"), "{text}");
        assert!(markdown(ALONE, Vec::new()).ends_with("|---|--:|--:|--:|--:|--:|\n"));
        Ok(())
    }
}
