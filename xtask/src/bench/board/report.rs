// SPDX-License-Identifier: GPL-2.0-only
//! The tables of a board: what it is, and what each row took.

use std::fmt::Write as _;

use comfy_table::{presets, Table};

use super::log::Boot;
use super::rows::{median, Measured};
use crate::bench::columns::{float, shown};
use crate::bench::report::APART;

/// A row with each p2m; one of them may be missing.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    /// Its name.
    pub(super) name: String,
    /// Xen's own files.
    pub(super) c: Option<Measured>,
    /// This project.
    pub(super) rust: Option<Measured>,
}

/// Rows by name, in the order of the first.
pub(super) fn pairs(c: Vec<Measured>, rust: Vec<Measured>) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = Vec::new();
    let sides = c.into_iter().map(|row| (true, row));
    for (is_c, row) in sides.chain(rust.into_iter().map(|row| (false, row))) {
        let at = pairs.iter().position(|pair| pair.name == row.name);
        let at = at.unwrap_or_else(|| {
            pairs.push(Pair {
                name: row.name.clone(),
                c: None,
                rust: None,
            });
            pairs.len() - 1
        });
        if let Some(pair) = pairs.get_mut(at) {
            let side = if is_c { &mut pair.c } else { &mut pair.rust };
            *side = Some(row);
        }
    }
    pairs
}

/// What of a row's runs is shown.
#[derive(Clone, Copy)]
pub(super) enum Of {
    /// Half took longer.
    Median,
    /// None took less.
    Least,
}

/// Which clock.
#[derive(Clone, Copy)]
enum Clock {
    Cycles,
    Ticks,
}

fn number(row: Option<&Measured>, clock: Clock, of: Of) -> Option<f64> {
    let row = row?;
    let runs = match clock {
        Clock::Cycles => &row.cycles,
        Clock::Ticks => &row.ticks,
    };
    let total = match of {
        Of::Median => median(runs),
        Of::Least => runs.first().copied(),
    }?;
    Some(float(total) / float(row.calls.max(1)))
}

impl Pair {
    fn both(&self, clock: Clock, of: Of) -> [Option<f64>; 2] {
        [&self.c, &self.rust].map(|row| number(row.as_ref(), clock, of))
    }

    fn ratio(&self, clock: Clock, of: Of) -> Option<f64> {
        let [Some(c), Some(rust)] = self.both(clock, of) else {
            return None;
        };
        (c > 0.0 && rust > 0.0).then(|| c / rust)
    }
}

/// Are there cycles?
fn clock_of(pairs: &[Pair]) -> Clock {
    let rows = pairs.iter().flat_map(|pair| [&pair.c, &pair.rust]);
    if rows.flatten().any(|row| !row.cycles.is_empty()) {
        Clock::Cycles
    } else {
        Clock::Ticks
    }
}

fn cell(number: Option<f64>) -> String {
    number.map_or_else(String::new, shown)
}

fn times(ratio: Option<f64>) -> String {
    ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"))
}

/// The table; `tick` is how many nanoseconds the timer's tick has.
pub(super) fn table(pairs: &[Pair], tick: Option<f64>) -> String {
    let cycles = matches!(clock_of(pairs), Clock::Cycles);
    let mut header = vec!["a call of"];
    if cycles {
        header.extend(["cycles: C", "Rust", "C/Rust", "least: C", "Rust", "C/Rust"]);
    }
    header.extend(["ns: C", "Rust", "C/Rust"]);
    if !cycles {
        header.extend(["least: C", "Rust", "C/Rust"]);
    }
    header.extend(["table pages: C", "Rust", "runs: C", "Rust"]);
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_BORDERS_ONLY)
        .set_header(header);
    for pair in pairs {
        let mut row = vec![pair.name.clone()];
        let mut add = |clock: Clock, of: Of| {
            let scale = match clock {
                Clock::Cycles => Some(1.0),
                Clock::Ticks => tick,
            };
            let scaled =
                |number: Option<f64>| cell(number.zip(scale).map(|(number, scale)| number * scale));
            let [c, rust] = pair.both(clock, of);
            row.extend([c, rust].map(scaled));
            row.push(times(pair.ratio(clock, of)));
        };
        if cycles {
            add(Clock::Cycles, Of::Median);
            add(Clock::Cycles, Of::Least);
        }
        add(Clock::Ticks, Of::Median);
        if !cycles {
            add(Clock::Ticks, Of::Least);
        }
        let sides = [&pair.c, &pair.rust];
        let of = |number: fn(&Measured) -> String| {
            sides.map(|side| side.as_ref().map(number).unwrap_or_default())
        };
        row.extend(of(|row| row.tables.to_string()));
        row.extend(of(|row| row.runs().to_string()));
        table.add_row(row);
    }
    table.to_string()
}

/// The geometric means of how often the C's number is the Rust's, over the rows that `cargo xtask bench` takes.
pub(super) fn means(pairs: &[Pair]) -> Option<String> {
    let clock = clock_of(pairs);
    let mean = |of: Of| {
        let counted = pairs
            .iter()
            .filter(|pair| !APART.iter().any(|start| pair.name.starts_with(start)));
        let logs: Vec<f64> = counted
            .filter_map(|pair| Some(pair.ratio(clock, of)?.ln()))
            .collect();
        let count = i64::try_from(logs.len()).ok().filter(|count| *count > 0)?;
        Some((count, (logs.iter().sum::<f64>() / float(count)).exp()))
    };
    let ((count, median), (_, least)) = (mean(Of::Median)?, mean(Of::Least)?);
    let what = match clock {
        Clock::Cycles => "cycles",
        Clock::Ticks => "time",
    };
    Some(format!(
        "Geometric mean of C/Rust over {count} rows, {what}: {median:.2} (medians), {least:.2} (the least of each)."
    ))
}

/// What the numbers are, by what the log says of the machine: for the head of the table.
pub(super) fn what_they_are(boot: &Boot) -> String {
    let runs = boot.board.get("runs").map_or("?", String::as_str);
    let cycles = match boot.board.get("cycles").map(String::as_str) {
        Some("yes") => "Cycles are PMCCNTR_EL0's, nanoseconds the generic timer's.",
        Some("no-pmu") => "This processor has no PMU, so there are no cycles: nanoseconds are the generic timer's.",
        Some("stands-still") => {
            "The cycle counter stands still (does the firmware forbid it at EL2?): nanoseconds are the generic timer's."
        }
        Some("unwanted") => "Cycles were not asked for (p2m-pmu=no): nanoseconds are the generic timer's.",
        _ => "The line that says whether there are cycles is damaged. Nanoseconds are the generic timer's.",
    };
    let model = boot.model.as_deref().unwrap_or_default();
    let emulated = if is_qemu(boot) {
        " THIS IS QEMU: its cycles and its timer are one clock, which counts instructions with -icount shift=0, and the \
         time of the machine that runs QEMU without it. Neither says how long hardware takes."
    } else if ["FVP", "Foundation"]
        .iter()
        .any(|name| model.contains(name))
    {
        " THIS IS A MODEL: its cycles and its timer do not say how long hardware takes."
    } else {
        ""
    };
    format!(
        "Each row was done {runs} times, on a new domain each; shown are the median and the least of the runs. {cycles} \
         Row `nothing` is what measuring itself takes, and is in all others.{emulated}"
    )
}

/// QEMU's board, or its own processor, whose implementer is 0.
fn is_qemu(boot: &Boot) -> bool {
    let midr = boot.board.get("midr");
    let midr = midr.and_then(|midr| u64::from_str_radix(midr, 16).ok());
    boot.model.as_deref() == Some("linux,dummy-virt")
        || midr.is_some_and(|midr| midr >> 24 & 0xff == 0)
}

/// How many nanoseconds a tick has.
pub(super) fn tick(boot: &Boot) -> Option<f64> {
    let hertz: u32 = boot.board.get("timer")?.parse().ok()?;
    (hertz > 0).then(|| 1e9 / f64::from(hertz))
}

/// The machine in a line.
pub(super) fn machine(boot: &Boot) -> String {
    let of = |key: &str| boot.board.get(key).map_or("?", String::as_str);
    let model = boot.model.as_deref();
    format!(
        "{}; MIDR {}, {} CPUs, timer {} Hz, PMUVer {}{}",
        model.unwrap_or("a model that is not known (no device tree, or a damaged line)"),
        of("midr"),
        of("cpus"),
        of("timer"),
        of("pmu"),
        if of("debug") == "1" {
            ", DEBUG BUILD"
        } else {
            ""
        }
    )
}

/// Every run's numbers, for other programs.
pub(super) fn tsv(pairs: &[Pair]) -> String {
    let mut text = "row\tp2m\tcalls\ttables\tcycles\tticks\n".to_owned();
    let list = |numbers: &[i64]| {
        let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        numbers.join(",")
    };
    for pair in pairs {
        for (p2m, row) in [("c", &pair.c), ("rust", &pair.rust)] {
            let Some(row) = row else { continue };
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{}\t{p2m}\t{}\t{}\t{}\t{}",
                row.name,
                row.calls,
                row.tables,
                list(&row.cycles),
                list(&row.ticks)
            );
        }
    }
    text
}
