// SPDX-License-Identifier: GPL-2.0-only
//! The table in docs/releases.md: what was run on which release, when, and with which source. Each step of a release
//! is there once, in the row of its last run; a release has as many rows as there were such runs.

use anyhow::{Context, Result};

use super::outcome::Outcome;
use super::steps::NAMES;
use crate::base::command;
use crate::base::files;
use crate::base::paths::Paths;
use crate::base::version::Version;

/// The document, and the lines around its table.
const DOCUMENT: &str = "docs/releases.md";
const BEGIN: &str = "<!-- written by cargo xtask releases --write -->";
const END: &str = "<!-- end -->";

const HEAD: &str = "| Xen | source | when, at which commit here | what was run on it, and passed | what failed |\n\
                    |---|---|---|---|---|\n";

/// Puts the rows in.
pub(super) fn write(paths: &Paths, when: &str, outcomes: &[Outcome]) -> Result<()> {
    let document = paths.root().join(DOCUMENT);
    let rows = outcomes.iter().map(|outcome| row(outcome, when)).collect();
    let text = merge(&files::read_text(&document)?, rows)
        .with_context(|| format!("{DOCUMENT} has not the lines {BEGIN} and {END}"))?;
    files::write(&document, text)
}

/// The day and the commit, to be asked for before anything is run.
pub(super) fn when(paths: &Paths) -> Result<String> {
    let today = command::output(command::clean("date").args(["--utc", "+%F"]))?;
    Ok(format!("{}, {}", today.trim(), commit(paths)?))
}

/// This repository's, and whether there is more than that.
fn commit(paths: &Paths) -> Result<String> {
    let git = |args: &[&str]| {
        command::output(command::clean("git").arg("-C").arg(paths.root()).args(args))
    };
    let commit = git(&["rev-parse", "--short=10", "HEAD"])?;
    // The page itself changes with each release that is run.
    let changed = git(&["status", "--porcelain", "--", ".", ":!docs/releases.md"])?;
    let more = if changed.trim().is_empty() {
        ""
    } else {
        " and changes"
    };
    Ok(format!("{}{more}", commit.trim()))
}

/// A row of the table.
struct Line {
    release: Version,
    source: String,
    when: String,
    passed: Vec<String>,
    /// A name, and what somebody may have written behind it: `boot: mended since`.
    failed: Vec<String>,
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let mut cells = line.split('|').skip(1).map(str::trim);
        let mut cell = || cells.next();
        Some(Self {
            release: Version::find_in(cell()?)?,
            source: cell()?.to_owned(),
            when: cell()?.to_owned(),
            passed: steps_in(cell()?),
            failed: steps_in(cell()?),
        })
    }

    /// What was run again is not here any more.
    fn without(mut self, other: &Self) -> Self {
        let names: Vec<&str> = other.steps().map(|step| name_of(step)).collect();
        let again = |step: &String| names.contains(&name_of(step));
        if self.release == other.release {
            self.passed.retain(|step| !again(step));
            self.failed.retain(|step| !again(step));
        }
        self
    }

    fn steps(&self) -> impl Iterator<Item = &String> {
        self.passed.iter().chain(&self.failed)
    }

    fn text(&self) -> String {
        let cell = |steps: &[String]| {
            if steps.is_empty() {
                "-".to_owned()
            } else {
                steps.join(", ")
            }
        };
        format!(
            "| {} | {} | {} | {} | {} |\n",
            self.release,
            self.source,
            self.when,
            cell(&self.passed),
            cell(&self.failed)
        )
    }
}

/// The step that this is about.
fn name_of(step: &str) -> &str {
    step.split_once(':').map_or(step, |(name, _)| name)
}

/// The steps in a cell: whatever is no step's name belongs to the one before.
fn steps_in(cell: &str) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    for part in cell.split(", ").filter(|part| *part != "-") {
        let part = part.to_owned();
        match steps.last_mut() {
            Some(last) if !NAMES.contains(&name_of(&part)) => *last = format!("{last}, {part}"),
            _ => steps.push(part),
        }
    }
    steps
}

fn row(outcome: &Outcome, when: &str) -> Line {
    let names = |passed: bool| {
        let steps = outcome.steps.iter();
        let of_kind = steps.filter(|step| step.result.is_ok() == passed);
        of_kind.map(|step| step.name.to_owned()).collect()
    };
    Line {
        release: outcome.release,
        source: outcome.source.clone(),
        when: when.to_owned(),
        passed: names(true),
        failed: names(false),
    }
}

/// The document with these rows, and of the others what was not run again.
fn merge(document: &str, new: Vec<Line>) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (table, after) = rest.split_once(END)?;
    let old = table.lines().filter_map(Line::parse);
    let old = old.map(|line| new.iter().fold(line, Line::without));
    let mut lines: Vec<Line> = old.filter(|line| line.steps().next().is_some()).collect();
    lines.extend(new);
    lines.sort_by_key(|line| line.release);
    let lines: String = lines.iter().map(Line::text).collect();
    Some(format!("{before}{BEGIN}\n{HEAD}{lines}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::{merge, Line, BEGIN, END, HEAD};

    fn page(rows: &str) -> String {
        format!("# T\n\n{BEGIN}\n{HEAD}{rows}{END}\nmore\n")
    }

    fn merged(old: &str, new: &[&str]) -> Option<String> {
        let new: Vec<Line> = new.iter().filter_map(|line| Line::parse(line)).collect();
        merge(&page(old), new)
    }

    const OLD: &str = "| 4.20 | a | old | builds, boot | - |\n\
                       | 4.22 | b | old | builds | boot: lost a value, mended since; passed at c |\n";

    #[test]
    fn rows_of_other_releases_stay() {
        let new = [
            "| 4.22 | c | new | builds, boot | - |",
            "| 4.17 | d | new | builds | boot |",
        ];
        let expected = "| 4.17 | d | new | builds | boot |\n\
                        | 4.20 | a | old | builds, boot | - |\n\
                        | 4.22 | c | new | builds, boot | - |\n";
        assert_eq!(merged(OLD, &new), Some(page(expected)));
        assert_eq!(merge("# T\n", Vec::new()), None);
    }

    #[test]
    fn steps_that_were_not_run_again_stay_with_their_commit() {
        let new = ["| 4.22 | b | new | builds | views |"];
        let expected = OLD.replace("| old | builds | boot:", "| old | - | boot:")
            + "| 4.22 | b | new | builds | views |\n";
        assert_eq!(merged(OLD, &new), Some(page(&expected)));
        // What failed and passes now is not told of any more.
        let new = ["| 4.22 | b | new | boot | - |"];
        let expected = OLD.replace("boot: lost a value, mended since; passed at c", "-")
            + "| 4.22 | b | new | boot | - |\n";
        assert_eq!(merged(OLD, &new), Some(page(&expected)));
    }
}
