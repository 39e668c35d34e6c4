// SPDX-License-Identifier: GPL-2.0-only
//! The table in docs/releases.md: what was run on which release, when, and with which source. Rows of releases that
//! were not run stay as they are.

use anyhow::{Context, Result};

use super::outcome::Outcome;
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
pub(super) fn write(paths: &Paths, outcomes: &[Outcome]) -> Result<()> {
    let document = paths.root().join(DOCUMENT);
    let today = command::output(command::clean("date").args(["--utc", "+%F"]))?;
    let when = format!("{}, {}", today.trim(), commit(paths)?);
    let rows: Vec<(Version, String)> = outcomes
        .iter()
        .map(|outcome| (outcome.release, row(outcome, &when)))
        .collect();
    let text = merge(&files::read_text(&document)?, rows)
        .with_context(|| format!("{DOCUMENT} has not the lines {BEGIN} and {END}"))?;
    files::write(&document, text)
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

fn row(outcome: &Outcome, when: &str) -> String {
    let names = |passed: bool| {
        let steps = outcome.steps.iter();
        let names: Vec<&str> = steps
            .filter(|step| step.result.is_ok() == passed)
            .map(|step| step.name)
            .collect();
        if names.is_empty() {
            "-".to_owned()
        } else {
            names.join(", ")
        }
    };
    format!(
        "| {} | {} | {when} | {} | {} |",
        outcome.release,
        outcome.source,
        names(true),
        names(false)
    )
}

/// The document with these rows in the place of those of the same releases.
fn merge(document: &str, new: Vec<(Version, String)>) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (table, after) = rest.split_once(END)?;
    let mut rows: Vec<(Version, String)> = table
        .lines()
        .filter_map(|line| {
            let first = line.split('|').nth(1)?;
            Some((Version::find_in(first)?, line.to_owned()))
        })
        .filter(|(release, _)| new.iter().all(|(other, _)| other != release))
        .collect();
    rows.extend(new);
    rows.sort_by_key(|(release, _)| *release);
    let lines: String = rows.iter().map(|(_, line)| format!("{line}\n")).collect();
    Some(format!("{before}{BEGIN}\n{HEAD}{lines}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::{merge, BEGIN, END, HEAD};
    use crate::base::version::Version;

    #[test]
    fn rows_of_other_releases_stay() {
        let row = |release: &str, text: &str| format!("| {release} | {text} |\n");
        let page = |rows: &str| format!("# T\n\n{BEGIN}\n{HEAD}{rows}{END}\nmore\n");
        let old = page(&(row("4.20", "old") + &row("4.22", "old")));
        let new = vec![
            (Version::new(4, 22), row("4.22", "new").trim().to_owned()),
            (Version::new(4, 17), row("4.17", "new").trim().to_owned()),
        ];
        let expected = row("4.17", "new") + &row("4.20", "old") + &row("4.22", "new");
        assert_eq!(merge(&old, new), Some(page(&expected)));
        assert_eq!(merge("# T\n", Vec::new()), None);
    }
}
