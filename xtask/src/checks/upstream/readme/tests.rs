// SPDX-License-Identifier: GPL-2.0-only
//! The table is complete: every defect has a patch or a reason, every patch a row and evidence.

use std::collections::BTreeSet;

use anyhow::{bail, Context, Result};

use super::{patches, rows, shown, Shown};
use crate::base::files::{read_text, sorted_entries};
use crate::base::paths::Paths;

/// What heads the table of what has no patch.
const WITHOUT: &str = "| id | why there is no patch |";

/// The ids that have no patch against staging, each with the reason.
fn without(text: &str) -> Result<Vec<(&str, &str)>> {
    rows(text, WITHOUT)?
        .iter()
        .map(|cells| match *cells.as_slice() {
            [id, why] if !why.is_empty() => Ok((id, why)),
            _ => bail!("| {} | gives no reason", cells.join(" | ")),
        })
        .collect()
}

fn readme() -> Result<String> {
    read_text(&Paths::find()?.patches().join("upstream/README.md"))
}

/// The ids of the first table of docs/differences.md.
fn defects() -> Result<BTreeSet<String>> {
    let text = read_text(&Paths::find()?.root().join("docs/differences.md"))?;
    let mut lines = text.lines();
    let head = lines.find(|line| line.starts_with("| id |") && line.contains("| in the C |"));
    let rows = rows(&text, head.unwrap_or_default())?;
    Ok(rows
        .iter()
        .filter_map(|cells| cells.first().map(|id| (*id).to_owned()))
        .collect())
}

#[test]
fn an_id_names_one_difference() -> Result<()> {
    let text = read_text(&Paths::find()?.root().join("docs/differences.md"))?;
    // What comes after these tables names their ids again.
    let (text, _) = text
        .split_once("## How the comparisons")
        .context("docs/differences.md has another order")?;
    let heads: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("| id |"))
        .collect();
    assert_eq!(heads.len(), 3, "{heads:?}");
    let mut ids = BTreeSet::new();
    for head in heads {
        for cells in rows(text, head)? {
            let id = cells.first().copied().unwrap_or_default();
            assert!(ids.insert(id), "{id} names two differences");
        }
    }
    Ok(())
}

#[test]
fn every_defect_has_a_patch_or_a_reason() -> Result<()> {
    let text = readme()?;
    let defects = defects()?;
    assert!(defects.len() > 10, "{defects:?}");
    let mended: BTreeSet<String> = patches(&text)?.into_iter().flat_map(|p| p.mends).collect();
    let reasons: BTreeSet<String> = without(&text)?
        .iter()
        .map(|(id, _)| (*id).to_owned())
        .collect();
    let named: BTreeSet<String> = mended.union(&reasons).cloned().collect();
    assert_eq!(
        named, defects,
        "patches/upstream/README.md and docs/differences.md"
    );
    Ok(())
}

#[test]
fn every_patch_has_a_row_and_every_row_a_patch() -> Result<()> {
    let folder = Paths::find()?.patches().join("upstream");
    let listed: Vec<_> = patches(&readme()?)?
        .iter()
        .map(|patch| folder.join(&patch.file))
        .collect();
    assert_eq!(listed, sorted_entries(&folder.join("staging"))?);
    Ok(())
}

#[test]
fn every_input_belongs_to_a_row_and_every_test_that_is_named_exists() -> Result<()> {
    let paths = Paths::find()?;
    let folder = paths.patches().join("upstream");
    let mut inputs = Vec::new();
    let mut sources = String::new();
    for file in sorted_entries(&paths.root().join("test-harness/tests"))? {
        if file.extension().is_some_and(|ext| ext == "rs") {
            sources.push_str(&read_text(&file)?);
        }
    }
    for patch in patches(&readme()?)? {
        match patch.shown {
            Shown::Difference => inputs.push(folder.join(format!("inputs/{}.ops", patch.number))),
            Shown::Rule { .. } => {}
            Shown::Tests(names) => {
                for name in names {
                    assert!(sources.contains(&format!("fn {name}()")), "no test {name}");
                }
            }
        }
    }
    assert_eq!(inputs, sorted_entries(&folder.join("inputs"))?);
    Ok(())
}

#[test]
fn every_patch_is_as_maintainers_want_it() -> Result<()> {
    let folder = Paths::find()?.patches().join("upstream");
    for patch in patches(&readme()?)? {
        let text = read_text(&folder.join(&patch.file))?;
        let (head, body) = text.split_once("\n---\n").unwrap_or((&text, ""));
        let name = &patch.file;
        let subject = head
            .split_once("\nSubject: [PATCH] ")
            .map_or("", |(_, rest)| rest);
        let subject = subject
            .split_once("\n\n")
            .map_or("", |(subject, _)| subject);
        assert!(subject.starts_with("xen/arm: "), "{name}");
        assert!(subject.replace('\n', "").len() <= 72, "{name}: {subject}");
        assert!(head.contains("\nSigned-off-by: "), "{name}");
        // All but one: the walks are as old as the port.
        let has_tag = head.contains("\nFixes: ");
        assert_eq!(
            has_tag,
            !patch.mends.contains(&"walks".to_owned()),
            "{name}"
        );
        let may_be_long = ["Subject: ", "Fixes: ", "Signed-off-by: "];
        let mut lines = head.lines().filter(|line| line.len() > 75);
        let long = lines.find(|line| !may_be_long.iter().any(|tag| line.starts_with(tag)));
        assert_eq!(long, None, "{name}");
        let added = body.lines().filter(|line| line.starts_with('+'));
        let mut bad =
            added.filter(|line| line.contains('\t') || line.len() > 81 || line.ends_with(' '));
        assert_eq!(bad.next(), None, "{name}");
    }
    Ok(())
}

#[test]
fn cells_are_understood() -> Result<()> {
    assert_eq!(shown("input")?, Shown::Difference);
    assert_eq!(
        shown("rule `T5` on `40-off-plain`")?,
        Shown::Rule {
            rule: "T5".to_owned(),
            machine: "40-off-plain".to_owned()
        }
    );
    assert_eq!(
        shown("tests `b11_a`, `b11_b`")?,
        Shown::Tests(vec!["b11_a".to_owned(), "b11_b".to_owned()])
    );
    for wrong in ["", "tests", "rule T5", "inputs"] {
        assert!(shown(wrong).is_err(), "{wrong}");
    }
    let table = "| id | why there is no patch |\n|---|---|\n| B1 | it is mended |\n\n| B2 | no |\n";
    assert_eq!(without(table)?, [("B1", "it is mended")]);
    assert!(without("| id | why there is no patch |\n|---|---|\n| B1 | |\n").is_err());
    assert!(without("").is_err());
    assert!(patches(table).is_err());
    Ok(())
}
