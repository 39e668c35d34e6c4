// SPDX-License-Identifier: GPL-2.0-only
//! Prose in Markdown is wrapped, its links lead somewhere, and the tests that it names are there.

use std::path::{Path, PathBuf};

use crate::base::files::read_text;
use crate::base::paths::Paths;

/// Columns of a line of prose.
const COLUMNS: usize = 120;

/// Folders with Markdown, below the root; the first is the root itself, without what is below it.
const FOLDERS: [&str; 5] = ["", "docs", "patches", "patches/upstream", "test-harness"];

/// Files that commands write, with lines as long as their data.
const GENERATED: [&str; 3] = ["docs/bench.md", "docs/bench-native.md", "docs/agreement.md"];

/// The lines that are too long, by number: of prose, not of tables or code.
fn too_long(text: &str) -> Vec<usize> {
    prose(text)
        .filter(|(_, line)| line.chars().count() > COLUMNS)
        .map(|(number, _)| number)
        .collect()
}

/// The lines that are neither a table's nor code, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence && !line.starts_with('|')
    })
}

/// The targets of links to files: `[text](target)`, without what follows a `#`.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', ' ', '\n']).next())
        .filter(|target| !target.contains("://") && !target.starts_with('#'))
        .map(|target| target.split('#').next().unwrap_or(target))
}

/// The names in backticks that are as long as only tests' are.
fn named_tests(text: &str) -> impl Iterator<Item = &str> {
    let is_name = |word: &&str| {
        word.chars()
            .all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_'))
    };
    let is_long = |word: &&str| word.matches('_').count() >= 5 && !word.ends_with('_');
    text.split('`')
        .skip(1)
        .step_by(2)
        .filter(is_name)
        .filter(is_long)
}

/// All Rust of the tests below a folder.
fn sources(folder: &Path) -> anyhow::Result<String> {
    let mut all = String::new();
    for path in crate::base::files::sorted_entries(folder)? {
        if path.is_dir() {
            all += &sources(&path)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            all += &read_text(&path)?;
        }
    }
    Ok(all)
}

/// All Markdown that belongs to the project.
fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        let entries = std::fs::read_dir(root.join(folder)).into_iter().flatten();
        let paths = entries.flatten().map(|entry| entry.path());
        found.extend(paths.filter(|path| path.extension().is_some_and(|e| e == "md")));
    }
    found
}

#[test]
fn prose_in_markdown_is_wrapped() -> anyhow::Result<()> {
    let root = Paths::find()?.root().to_path_buf();
    let files = files(&root);
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        let name = file.strip_prefix(&root)?.display().to_string();
        if !GENERATED.contains(&name.as_str()) {
            let lines = too_long(&read_text(&file)?);
            assert!(
                lines.is_empty(),
                "{name}: lines {lines:?} are longer than {COLUMNS} columns"
            );
        }
    }
    Ok(())
}

#[test]
fn each_link_to_a_file_leads_to_one() -> anyhow::Result<()> {
    let root = Paths::find()?.root().to_path_buf();
    for file in files(&root) {
        let text = read_text(&file)?;
        let folder = file.parent().unwrap_or(&root);
        for target in targets(&text) {
            let exists = folder.join(target).exists();
            assert!(exists, "{}: {target} is not there", file.display());
        }
    }
    Ok(())
}

#[test]
fn each_test_that_a_text_about_tests_names_is_there() -> anyhow::Result<()> {
    let root = Paths::find()?.root().join("test-harness");
    let sources = sources(&root)?;
    let mut named = 0;
    for path in crate::base::files::sorted_entries(&root)? {
        if path.extension().is_none_or(|e| e != "md") {
            continue;
        }
        for name in named_tests(&read_text(&path)?) {
            named += 1;
            let exists = sources.contains(&format!("fn {name}("));
            assert!(exists, "{}: there is no {name}", path.display());
        }
    }
    assert!(named > 20, "{named}");
    Ok(())
}

#[test]
fn a_test_is_named_by_its_whole_name() {
    let text =
        "`a_page_is_not_put_twice_in_a_row`, `a18_` tests in `p2m_set_entry()`, `a_b_c_d_e_f`";
    assert_eq!(
        named_tests(text).collect::<Vec<_>>(),
        ["a_page_is_not_put_twice_in_a_row", "a_b_c_d_e_f"]
    );
}

#[test]
fn only_prose_is_too_long() {
    let long = "x ".repeat(61);
    let text = format!("{long}\n| {long}\n```\n{long}\n```\nshort\n{long}\n");
    assert_eq!(too_long(&text), [1, 7]);
}

#[test]
fn a_link_is_its_target() {
    let text = "[a](b.md) and [c](d/e.rs#L3), [f](https://example.org/g), [h](#i)";
    assert_eq!(targets(text).collect::<Vec<_>>(), ["b.md", "d/e.rs"]);
}
