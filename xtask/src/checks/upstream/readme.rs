// SPDX-License-Identifier: GPL-2.0-only
//! `patches/upstream/README.md` as data: what each patch stands for, and how it is shown.

use anyhow::{bail, Context, Result};

/// How it is shown that a patch mends what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// The operations of `inputs/<number>.ops` tell Xen's C from the Rust.
    Difference,
    /// Xen's C breaks this rule of the test harness, on this machine.
    Rule { rule: String, machine: String },
    /// These tests of `test-harness/tests` show the property on the Rust.
    Tests(Vec<String>),
}

/// A row of the table of patches.
#[derive(Clone, Debug)]
pub(super) struct Patch {
    /// `0001`.
    pub(super) number: String,
    /// Its file, below `patches/upstream/`.
    pub(super) file: String,
    /// Numbers of the patches that must come before it.
    pub(super) after: Vec<String>,
    /// Ids of docs/differences.md.
    pub(super) mends: Vec<String>,
    /// The oracle's edits that it makes needless.
    pub(super) edits: Vec<String>,
    /// The evidence.
    pub(super) shown: Shown,
}

/// What heads the table of patches.
const PATCHES: &str = "| patch | after | mends | edits | shown by |";

/// The cells of a table's rows, found by its head.
fn rows<'t>(text: &'t str, head: &str) -> Result<Vec<Vec<&'t str>>> {
    let mut lines = text.lines().skip_while(|line| *line != head);
    if lines.next().is_none() {
        bail!("there is no table that begins with\n{head}");
    }
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    Ok(rows
        .map(|row| row.trim_matches('|').split('|').map(str::trim).collect())
        .collect())
}

/// The words of a cell, with commas between.
fn list(cell: &str) -> Vec<String> {
    cell.split(',')
        .map(|word| word.trim().trim_matches('`'))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// `[0001](staging/0001-a.patch)`.
fn link(cell: &str) -> Option<(&str, &str)> {
    cell.strip_prefix('[')?.strip_suffix(')')?.split_once("](")
}

fn shown(cell: &str) -> Result<Shown> {
    let words: Vec<&str> = cell.split(' ').map(|word| word.trim_matches('`')).collect();
    Ok(match words.as_slice() {
        ["input"] => Shown::Difference,
        ["rule", rule, "on", machine] => Shown::Rule {
            rule: (*rule).to_owned(),
            machine: (*machine).to_owned(),
        },
        ["tests", tests @ ..] if !tests.is_empty() => Shown::Tests(list(&tests.join(" "))),
        _ => bail!("`{cell}` is neither `input`, nor `rule R on MACHINE`, nor `tests ...`"),
    })
}

/// The patches, in their order.
pub(super) fn patches(text: &str) -> Result<Vec<Patch>> {
    let parse = |cells: &[&str]| {
        let [patch, after, mends, edits, evidence] = *cells else {
            bail!("it has {} cells instead of 5", cells.len());
        };
        let (number, file) = link(patch).context("its first cell is no link")?;
        Ok(Patch {
            number: number.to_owned(),
            file: file.to_owned(),
            after: list(after),
            mends: list(mends),
            edits: list(edits),
            shown: shown(evidence)?,
        })
    };
    rows(text, PATCHES)?
        .iter()
        .map(|cells| {
            parse(cells).with_context(|| format!("the row | {} | is not right", cells.join(" | ")))
        })
        .collect()
}

#[cfg(test)]
mod tests;
