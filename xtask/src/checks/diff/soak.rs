// SPDX-License-Identifier: GPL-2.0-only
//! The comparison on the host for a thousand times a million operations: `cargo xtask soak`.
//!
//! Slice N is what `cargo xtask diff --host --ops 1000000 --seed N` does, so that each can be repeated alone at its commit. All
//! take two processors some eight hours, in as many turns as one likes: a slice that agreed is recorded at once in
//! `docs/soak.tsv`, with the commit, the C and the compilers, and is not run again. `docs/agreement.md` shows
//! the record.

use std::fmt::Write;

use anyhow::{Context, Result};

use super::{all_machines, machines, oracle};
use crate::base::cli::{DiffArgs, SoakArgs};
use crate::base::commit;
use crate::base::files;
use crate::base::lock;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::selftest::agreement;
use crate::xen::image;
use crate::xen::source::Chosen;

/// So many slices are all.
const SLICES: u64 = 1000;

/// At least so many operations are in each.
const OPERATIONS: u64 = 1_000_000;

/// Below the repository's root.
const FILE: &str = "docs/soak.tsv";

/// What the comparison is made of: a change of these that is not committed would be in no record.
const WHAT_COUNTS: [&str; 7] = [
    "Cargo.lock",
    "Cargo.toml",
    "mem_access-rs",
    "oracle",
    "p2m-rs",
    "test-harness",
    "xen-sys",
];

/// Runs as many slices as are asked for; true when all agreed.
pub(crate) fn run(paths: &Paths, progress: Progress, args: &SoakArgs) -> Result<bool> {
    let dir = paths.target().join("soak");
    let advice = "another cargo xtask soak is at work: wait for its end";
    lock::in_folder(&dir, advice, || {
        let file = paths.root().join(FILE);
        let mut record = Record::parse(&files::read_text(&file)?)?;
        let diff = DiffArgs {
            source: args.source.clone(),
            ..DiffArgs::short(true, OPERATIONS)
        };
        let commit = commit::of(paths.root(), &WHAT_COUNTS)?;
        let built = lock::alone(paths, progress, || {
            oracle::build(paths, progress, &diff, None)
        })?;
        // Its own, since another command may build it anew meanwhile.
        let program = dir.join("oracle");
        std::fs::copy(&built, &program).context("cannot copy the oracle")?;
        let made = Made {
            commit: commit::short(&commit).to_owned(),
            xen: Chosen::by(&args.source)?.release().to_string(),
            compilers: image::compilers_of_program(&program)?.join(", "),
        };
        let names = machines(&[])?;
        let todo: Vec<u64> = (0..SLICES).filter(|n| !record.has(*n)).collect();
        for slice in todo.into_iter().take(args.slices) {
            let results = all_machines(paths, progress, &program, &names, (slice, OPERATIONS))?;
            if let Some((at, wrong)) = results.iter().find(|(_, outcome)| !outcome.passed) {
                let name = names.get(*at).map_or("?", String::as_str);
                println!(
                    "slice {slice}, {name}: {}\n{}",
                    wrong.summary, wrong.details
                );
                return Ok(false);
            }
            let operations = results.values().map(oracle::Outcome::operations).sum();
            record.add(slice, operations, &made);
            files::write(&file, record.text())?;
            show(paths, &record)?;
            println!(
                "slice {slice}: {operations} operations agree, {} of all slices",
                record.slices()
            );
        }
        Ok(true)
    })
}

/// Puts the record on its page.
fn show(paths: &Paths, record: &Record) -> Result<()> {
    let file = paths.root().join("docs/agreement.md");
    let page = files::read_text(&file)?;
    files::write(
        &file,
        agreement::parts(&page).0.to_owned() + &record.section(),
    )
}

/// What was compared.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Made {
    commit: String,
    /// The release whose C it is.
    xen: String,
    compilers: String,
}

/// Slices in a row that are of the same.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    first: u64,
    last: u64,
    operations: u64,
    made: Made,
}

impl Run {
    /// As the file has them.
    fn columns(&self) -> [String; 6] {
        let Made {
            commit,
            xen,
            compilers,
        } = self.made.clone();
        let [first, last, operations] =
            [self.first, self.last, self.operations].map(|number| number.to_string());
        [first, last, operations, commit, xen, compilers]
    }
}

/// All that was run and agreed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Record {
    runs: Vec<Run>,
}

impl Record {
    fn parse(text: &str) -> Result<Self> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let runs = lines.map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            let [first, last, operations, commit, xen, compilers] = columns
                .try_into()
                .ok()
                .with_context(|| format!("{FILE}: not six columns: {line:?}"))?;
            Ok(Run {
                first: first.parse()?,
                last: last.parse()?,
                operations: operations.parse()?,
                made: Made {
                    commit: commit.to_owned(),
                    xen: xen.to_owned(),
                    compilers: compilers.to_owned(),
                },
            })
        });
        Ok(Self {
            runs: runs.collect::<Result<_>>()?,
        })
    }

    fn has(&self, slice: u64) -> bool {
        self.runs
            .iter()
            .any(|run| (run.first..=run.last).contains(&slice))
    }

    fn add(&mut self, slice: u64, operations: u64, made: &Made) {
        let before = self
            .runs
            .iter_mut()
            .find(|run| run.last + 1 == slice && run.made == *made);
        match before {
            Some(run) => {
                run.last = slice;
                run.operations += operations;
            }
            None => self.runs.push(Run {
                first: slice,
                last: slice,
                operations,
                made: made.clone(),
            }),
        }
        self.runs.sort_by_key(|run| run.first);
    }

    fn slices(&self) -> u64 {
        self.runs.iter().map(|run| run.last + 1 - run.first).sum()
    }

    fn text(&self) -> String {
        let mut text = "# SPDX-License-Identifier: GPL-2.0-only\n\
             # By cargo xtask soak: first slice, last slice, operations, commit, Xen, compilers\n"
            .to_owned();
        for run in &self.runs {
            let _ = writeln!(text, "{}", run.columns().join("\t"));
        }
        text
    }

    /// For people.
    fn section(&self) -> String {
        let total: u64 = self.runs.iter().map(|run| run.operations).sum();
        let mut section = format!(
            "{}\n{total} operations agree, in {} of {SLICES} slices of a million. Both p2ms are in one process, on a \
             machine that\nchecks what they do, with failing allocations and preemption; a slice is divided among 36 \
             machines (six sizes of\nguest addresses, three kinds of IOMMU, without and with mem_access). What an IOMMU is \
             told, and what a device\ncomes to meanwhile, is looked at in some episodes only (of today's one in 128), since \
             these take much longer.\nSlice N is repeated, at its commit, by `cargo xtask diff --host --ops 1000000 --seed N`; `cargo xtask soak` runs those\n\
             that are still missing, and adds them.\n\n\
             | slices | operations | commit | C of Xen | compilers |\n|---|---|---|---|---|\n",
            agreement::HOST,
            self.slices()
        );
        for run in &self.runs {
            let [first, last, rest @ ..] = run.columns();
            let _ = writeln!(section, "| {first} to {last} | {} |", rest.join(" | "));
        }
        section
    }
}

#[cfg(test)]
mod tests {
    use super::{Made, Record};

    fn made(commit: &str) -> Made {
        Made {
            commit: commit.to_owned(),
            xen: "4.20".to_owned(),
            compilers: "rustc 1, GCC: 2".to_owned(),
        }
    }

    #[test]
    fn slices_in_a_row_are_one_line_as_long_as_they_are_of_the_same() {
        let mut record = Record::default();
        for (slice, commit) in [(0, "a"), (1, "a"), (3, "a"), (2, "b"), (4, "a")] {
            record.add(slice, 10, &made(commit));
        }
        let lines: Vec<_> = record
            .runs
            .iter()
            .map(|run| (run.first, run.last, run.operations))
            .collect();
        assert_eq!(lines, [(0, 1, 20), (2, 2, 10), (3, 4, 20)]);
        assert_eq!(record.slices(), 5);
        assert!(record.has(4) && !record.has(5));
        let again = Record::parse(&record.text()).unwrap_or_default();
        assert_eq!(again, record);
        assert!(record
            .section()
            .contains("| 3 to 4 | 20 | a | 4.20 | rustc 1, GCC: 2 |\n"));
    }

    #[test]
    fn half_a_line_is_refused() {
        assert!(Record::parse("0\t1\t20\n").is_err());
    }
}
