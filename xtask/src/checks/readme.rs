// SPDX-License-Identifier: GPL-2.0-only
//! What the README says of the code is true: the count of unsafe blocks.

use std::collections::BTreeMap;
use std::path::Path;

use crate::base::files::read_text;
use crate::base::paths::Paths;

/// The crates that end up in the hypervisor.
const SOURCES: [&str; 4] = ["src", "p2m-rs/src", "mem_access-rs/src", "xen-sys/src"];

/// Not part of the hypervisor: the host's face of xen-sys.
const MOCK: &str = "xen-sys/src/mock.rs";

/// Unsafe blocks by file, of all files that have any.
fn counted(root: &Path) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let mut folders: Vec<_> = SOURCES.iter().map(|s| root.join(s)).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = read_text(&path).unwrap_or_default();
                let blocks = text.matches("unsafe {").count();
                let name = path
                    .strip_prefix(root)
                    .unwrap_or(&path)
                    .display()
                    .to_string();
                if blocks > 0 && name != MOCK {
                    counts.insert(name, blocks);
                }
            }
        }
    }
    counts
}

/// The rows ``| `file` | count | ...`` of the README's table.
fn claimed(readme: &str) -> BTreeMap<String, usize> {
    readme
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('|');
            let name = cells.next()?.trim().strip_suffix('`')?;
            Some((name.to_owned(), cells.next()?.trim().parse().ok()?))
        })
        .collect()
}

#[test]
fn the_readme_counts_the_unsafe_blocks() -> anyhow::Result<()> {
    let paths = Paths::find()?;
    let readme = read_text(&paths.root().join("README.md"))?;
    assert_eq!(claimed(&readme), counted(paths.root()));
    Ok(())
}

#[test]
fn a_row_is_a_file_and_a_number() {
    let rows = claimed("| `a.rs` | 3 | why |\n| `b.rs` *unsafe* | text |\n| file | blocks |");
    assert_eq!(rows, BTreeMap::from([("a.rs".to_owned(), 3)]));
}
