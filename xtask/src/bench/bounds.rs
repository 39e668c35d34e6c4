// SPDX-License-Identifier: GPL-2.0-only
//! How long the p2m lock may be held, in instructions, whatever the size of the guest. Each
//! bound follows from constants of the source, and from an estimate from above of what one of
//! the entries, tables or lines that they count takes. The bench fails where one is exceeded.
//!
//! Mappings and unmappings have no bound: they are not preempted, and hold the lock for as
//! long as their range is.

use std::fmt::Write as _;

use anyhow::{ensure, Result};

use super::columns::{self, cell, HELD};
use super::counts::Counted;
use super::report::Pair;

/// So many of something, at so many instructions each.
#[derive(Clone, Copy, Debug)]
struct Term {
    number: i64,
    what: &'static str,
    each: i64,
    /// The line of the source that says how many: file and constant.
    from: Constant,
}

type Constant = (&'static str, &'static str);

const ENTRIES: Constant = (
    "p2m-rs/src/types/level.rs",
    "pub const TABLE_SHIFT: u32 = 9;",
);
const MANY_TABLES: Constant = ("p2m-rs/src/p2m/pages.rs", "const MANY_TABLES: usize = 512;");
const PREEMPT_EVERY: Constant = (
    "p2m-rs/src/lifecycle/preemption.rs",
    "pub(crate) const PREEMPT_EVERY: u64 = 512;",
);
const BUDGET: Constant = ("p2m-rs/src/guest/cache.rs", "const BUDGET: u64 = 512;");
const PAGE_COST: Constant = ("p2m-rs/src/guest/cache.rs", "const PAGE_COST: u64 = 10;");
const SWEEP_BUDGET: Constant = (
    "p2m-rs/src/table/sweep.rs",
    "const BUDGET: u64 = 64 * ENTRIES as u64;",
);

const fn term(number: i64, what: &'static str, each: i64, from: Constant) -> Term {
    Term {
        number,
        what,
        each,
        from,
    }
}

/// The bound of some rows.
#[derive(Clone, Copy, Debug)]
struct Bound {
    /// How the names of the rows begin.
    rows: &'static [&'static str],
    /// What is done while the lock is held.
    why: &'static str,
    terms: &'static [Term],
    /// Lock, unlock, walk, barriers and flush.
    fixed: i64,
}

const BOUNDS: &[Bound] = &[
    Bound {
        rows: &["held-invalidate-"],
        why: "The valid bits of the root are cleared; here it is one table.",
        terms: &[term(512, "entries", 6, ENTRIES)],
        fixed: 300,
    },
    Bound {
        rows: &["held-fault-", "touch-one-page"],
        why: "Of the tables of three levels, those of the entries are cleared, or set.",
        terms: &[term(3 * 512, "entries", 6, ENTRIES)],
        fixed: 600,
    },
    Bound {
        rows: &["held-access-first-"],
        why: "Between two checks at most one table of pages is changed; a block of 1 GiB becomes two tables before.",
        terms: &[
            term(512, "changed entries", 11, ENTRIES),
            term(2 * 512, "entries of new tables", 4, ENTRIES),
        ],
        fixed: 1_500,
    },
    Bound {
        rows: &["held-access-lift-", "access-1g-4k-preempted"],
        why: "Between two checks at most one table of pages is changed, and two are looked at, whether they can be \
              merged; so many removed tables are freed together.",
        terms: &[
            term(512, "changed entries", 11, ENTRIES),
            term(2 * 512, "compared entries", 6, ENTRIES),
            term(512, "freed tables", 80, MANY_TABLES),
        ],
        fixed: 1_500,
    },
    Bound {
        rows: &["held-relinquish-", "relinquish-1g-4k-preempted"],
        why: "Between two checks at most one table, or one block with its references; so many removed tables are freed \
              together.",
        terms: &[
            term(512, "removed entries", 40, ENTRIES),
            term(512, "freed tables", 80, MANY_TABLES),
        ],
        fixed: 1_000,
    },
    Bound {
        rows: &["held-teardown-"],
        why: "So many tables are freed between two checks.",
        terms: &[term(512, "freed tables", 100, PREEMPT_EVERY)],
        fixed: 500,
    },
    Bound {
        rows: &["held-flush-"],
        why: "So many entries are skipped between two checks, or a tenth as many pages cleaned, of 64 lines each. (The \
              lock is held for reading.)",
        terms: &[
            term(512, "skipped entries", 40, BUDGET),
            term(52 * 64, "cleaned lines", 3, PAGE_COST),
        ],
        fixed: 500,
    },
    Bound {
        rows: &["held-exhausted-"],
        why: "Before a call says -ENOMEM it looks for empty tables, in so many entries.",
        terms: &[term(64 * 512, "entries", 12, SWEEP_BUDGET)],
        fixed: 2_000,
    },
];

impl Bound {
    fn of(name: &str) -> Option<&'static Self> {
        BOUNDS
            .iter()
            .find(|bound| bound.rows.iter().any(|start| name.starts_with(start)))
    }

    fn instructions(&self) -> i64 {
        let terms = self.terms.iter().map(|term| term.number * term.each);
        terms.sum::<i64>() + self.fixed
    }

    fn formula(&self) -> String {
        let mut text = String::new();
        for term in self.terms {
            // Writing to a String cannot fail.
            let _ = write!(text, "{} {} × {} + ", term.number, term.what, term.each);
        }
        let _ = write!(text, "{}", self.fixed);
        text
    }
}

/// Is each bound kept, by the Rust?
pub(super) fn check(name: &str, rows: &[Counted]) -> Result<()> {
    for row in rows {
        let (Some(bound), Some(held)) = (Bound::of(&row.name), row.sum(&["held"])) else {
            continue;
        };
        let most = bound.instructions();
        ensure!(
            held <= most,
            "{name}: {} holds the p2m lock for {held} instructions, and at most {most} are allowed ({}): {} If that is \
             meant to be so, say why in xtask/src/bench/bounds.rs",
            row.name,
            bound.formula(),
            bound.why
        );
    }
    Ok(())
}

/// Has each bound a row of those that were counted, when all were? A row by another name has none.
pub(super) fn are_used(pairs: &[Pair]) -> Result<()> {
    for start in BOUNDS.iter().flat_map(|bound| bound.rows) {
        ensure!(
            pairs
                .iter()
                .any(|pair| pair.name().starts_with(start) && HELD.total(&pair.rust).is_some()),
            "no row whose name begins with {start} says how long the p2m lock was held: its bound in \
             xtask/src/bench/bounds.rs was not looked at"
        );
    }
    Ok(())
}

/// What they are, and what was counted.
pub(super) fn text(pairs: &[Pair]) -> String {
    let mut text = String::new();
    for bound in BOUNDS {
        let rows: Vec<String> = bound.rows.iter().map(|row| format!("`{row}`")).collect();
        let mut files: Vec<&str> = bound.terms.iter().map(|term| term.from.0).collect();
        files.dedup();
        let files: Vec<String> = files.iter().map(|file| format!("`{file}`")).collect();
        let _ = writeln!(
            text,
            "* {}: {} At most {} instructions. {} ({})",
            rows.join(", "),
            bound.formula() + ".",
            cell(Some(columns::float(bound.instructions()))),
            bound.why,
            files.join(", ")
        );
    }
    text.push_str("\n| operation | C | Rust | at most |\n|---|--:|--:|--:|\n");
    for pair in pairs {
        if let Some(bound) = Bound::of(pair.name()) {
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {} |",
                pair.name(),
                cell(HELD.total(&pair.c)),
                cell(HELD.total(&pair.rust)),
                cell(Some(columns::float(bound.instructions())))
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{are_used, check, Bound, BOUNDS};
    use crate::bench::counts::Counted;
    use crate::bench::report::Pair;

    fn held(name: &str, held: i64) -> Vec<Counted> {
        vec![Counted {
            name: name.to_owned(),
            calls: 1,
            numbers: [("held".to_owned(), held)].into(),
        }]
    }

    #[test]
    fn a_bound_that_is_exceeded_is_an_error() {
        let most = Bound::of("held-invalidate-1t-as-2m").map(Bound::instructions);
        assert_eq!(most, Some(512 * 6 + 300));
        let most = most.unwrap_or_default();
        assert!(check("x", &held("held-invalidate-1t-as-2m", most)).is_ok());
        let error = check("x", &held("held-invalidate-1t-as-2m", most + 1));
        let error = error.err().map(|error| error.to_string());
        assert!(error.is_some_and(|text| text.contains("512 entries × 6 + 300")));
        assert!(check("x", &held("map-1g-as-1g", i64::MAX)).is_ok());
    }

    #[test]
    fn a_bound_without_a_row_is_an_error() {
        let starts: Vec<&str> = BOUNDS
            .iter()
            .flat_map(|bound| bound.rows)
            .copied()
            .collect();
        let pairs = |left_out: &str| -> Vec<Pair> {
            let others = starts.iter().filter(|start| **start != left_out);
            let rows = others.flat_map(|start| held(&format!("{start}1t"), 1));
            rows.map(|row| Pair {
                c: row.clone(),
                rust: row,
            })
            .collect()
        };
        assert!(are_used(&pairs("")).is_ok());
        for start in &starts {
            assert!(are_used(&pairs(start)).is_err(), "{start}");
        }
    }

    #[test]
    fn the_constants_are_those_of_the_source() -> anyhow::Result<()> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for term in BOUNDS.iter().flat_map(|bound| bound.terms) {
            let (file, line) = term.from;
            let source = fs::read_to_string(root.join(file))?;
            assert!(
                source.lines().any(|it| it == line),
                "{file} has no line \"{line}\" any more: the bounds that follow from it are to be derived anew"
            );
        }
        Ok(())
    }
}
