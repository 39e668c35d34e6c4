// SPDX-License-Identifier: GPL-2.0-only
//! What the mistakes came to: for the terminal, and for `test-harness/mutants/record.md`.

use std::fmt::Write;

use anyhow::Result;

use super::judged::Judged;
use super::outcome::{Found, Verdict};
use super::tool::PIECES;
use crate::base::commit::short;
use crate::base::files;
use crate::base::paths::Paths;
use crate::base::table;

/// Of the mistakes that change something, the tests must notice so many percent.
const LEAST: f64 = 92.0;

/// Below the repository's root.
const FILE: &str = "test-harness/mutants/record.md";

/// All of a run.
pub(super) struct Record<'r> {
    /// Where the mistakes were made.
    pub(super) commit: &'r str,
    /// Whose tests looked at the missed ones once more.
    pub(super) tests: Option<&'r str>,
    pub(super) pieces: usize,
    /// Of cargo-mutants.
    pub(super) tool: &'static str,
    pub(super) judged: &'r Judged,
    pub(super) found: &'r Found,
}

impl Record<'_> {
    fn count(&self, verdict: Verdict) -> usize {
        self.found.values().filter(|v| **v == verdict).count()
    }

    fn equivalent(&self) -> usize {
        self.count(Verdict::Missed) - self.judged.open(self.found).len()
    }

    /// So many percent of what compiles, ends and changes something are noticed.
    fn percent(&self) -> f64 {
        let (noticed, missed) = (
            self.count(Verdict::Noticed),
            self.judged.open(self.found).len(),
        );
        // Far fewer than 2^52.
        noticed as f64 * 100.0 / (noticed + missed).max(1) as f64
    }

    /// Do the tests notice what they must?
    pub(super) fn is_enough(&self) -> bool {
        self.percent() >= LEAST
    }

    fn rows(&self) -> [[String; 2]; 7] {
        let open = self.judged.open(self.found).len();
        [
            ("tried", self.found.len().to_string()),
            ("do not compile", self.count(Verdict::NoProgram).to_string()),
            ("tests do not end", self.count(Verdict::Endless).to_string()),
            ("change nothing", self.equivalent().to_string()),
            ("noticed", self.count(Verdict::Noticed).to_string()),
            ("missed", open.to_string()),
            (
                "noticed of those that end and change something",
                format!("{:.1} %", self.percent()),
            ),
        ]
        .map(|(name, value)| [name.to_owned(), value])
    }

    fn title(&self) -> String {
        let tests = self.tests.map_or_else(String::new, |tests| {
            format!(", the missed ones with the tests of {}", short(tests))
        });
        format!(
            "{} of {PIECES} pieces of {}{tests}",
            self.pieces,
            short(self.commit)
        )
    }

    /// Prints it.
    pub(super) fn print(&self) {
        table::print_columns([&self.title(), ""], self.rows().into_iter());
        for mistake in self.judged.open(self.found) {
            println!("missed: {mistake}");
        }
        if !self.is_enough() {
            println!("fewer than {LEAST} %");
        }
    }

    /// Keeps it.
    pub(super) fn write(&self, paths: &Paths) -> Result<()> {
        files::write(&paths.root().join(FILE), self.page())
    }

    fn page(&self) -> String {
        let mut page = format!(
            "<!-- SPDX-License-Identifier: GPL-2.0-only -->\n# Mistakes that a program made: what the tests noticed\n\n\
             Written by `cargo xtask mutants --write` with cargo-mutants {}.\n\n{}.\n\n\
             What changes nothing is in [equivalent.tsv](equivalent.tsv), with the reason. Among those that do not end are\n\
             some that are only slow on a busy machine.\n\n| mistakes | |\n|---|---|\n",
            self.tool,
            self.title()
        );
        for [name, value] in self.rows() {
            let _ = writeln!(page, "| {name} | {value} |");
        }
        for (title, verdict) in [
            ("Missed", Verdict::Missed),
            ("Tests that do not end", Verdict::Endless),
        ] {
            let all = self.found.iter().filter(|(_, v)| **v == verdict);
            let all: Vec<_> = all.filter(|(m, _)| self.judged.why(m).is_none()).collect();
            if all.is_empty() {
                continue;
            }
            let _ = writeln!(
                page,
                "\n## {title}\n\n| file | change | line |\n|---|---|---|"
            );
            for (mistake, _) in all {
                let code = |text: &str| format!("`{}`", text.replace('|', "\\|"));
                let _ = writeln!(
                    page,
                    "| {} | {} | {} |",
                    mistake.file,
                    code(&mistake.change),
                    code(&mistake.line)
                );
            }
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::super::outcome::Mistake;
    use super::{Found, Judged, Record, Verdict};

    #[test]
    fn what_does_not_compile_or_end_counts_neither_way() {
        use Verdict::{Endless, Missed, NoProgram, Noticed};
        let mistake = |n: usize| Mistake {
            file: "a.rs".to_owned(),
            change: format!("replace {n} with | in f"),
            line: "f()".to_owned(),
        };
        let verdicts = [NoProgram, Noticed, Noticed, Noticed, Endless, Missed];
        let found: Found = verdicts
            .iter()
            .enumerate()
            .map(|(n, v)| (mistake(n), *v))
            .collect();
        let record = Record {
            commit: "1",
            tests: None,
            pieces: 1,
            tool: "1",
            judged: &Judged::default(),
            found: &found,
        };
        assert!((record.percent() - 75.0).abs() < 0.001);
        let page = record.page();
        assert!(page.contains("| noticed | 3 |\n| missed | 1 |\n"), "{page}");
        assert!(
            page.contains("| a.rs | `replace 5 with \\| in f` | `f()` |\n"),
            "{page}"
        );
    }
}
