// SPDX-License-Identifier: GPL-2.0-only
//! The files of this repository that go into Xen's tree, and what of them is there after how many
//! commits. Folders are walked, so that a new file is in the series without being listed; a new folder
//! of a kind that the plan does not know is an error.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{bail, Result};

use super::lockfile;
use super::manifest;
use super::plan::{self, Part, Step, DOCUMENTS, LAYERED, STEPS};
use crate::base::files;

/// What is nowhere else in this repository.
const OWN: [(&str, &str); 2] = [
    (
        "README.md",
        include_str!("../../../assets/series/README.md"),
    ),
    (
        ".gitignore",
        include_str!("../../../assets/series/gitignore"),
    ),
];

/// The package at the root of the workspace.
const ROOT: &str = "xen-p2m";

/// Everything, by its path below the Rust's folder.
pub(crate) struct Sources {
    files: BTreeMap<String, String>,
    manifest: String,
    lock: String,
}

impl Sources {
    /// Reads them.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut all = BTreeMap::new();
        for name in plan::crates(STEPS).into_iter().chain(["src", "build.rs"]) {
            walk(root, name, &mut all)?;
        }
        for name in DOCUMENTS {
            walk(root, &format!("docs/{name}"), &mut all)?;
        }
        for (name, text) in OWN {
            all.insert(name.to_owned(), text.to_owned());
        }
        for path in all.keys() {
            part_of(path)?;
        }
        Ok(Self {
            files: all,
            manifest: files::read_text(&root.join("Cargo.toml"))?,
            lock: files::read_text(&root.join("Cargo.lock"))?,
        })
    }

    /// The whole folder as it is after these steps.
    pub(super) fn after(&self, steps: &[Step]) -> Result<BTreeMap<String, String>> {
        let there = |part: Part| steps.iter().any(|step| step.part == part);
        let mut tree = BTreeMap::new();
        for (path, text) in &self.files {
            if there(part_of(path)?) {
                tree.insert(path.clone(), text.clone());
            }
        }
        let crates = plan::crates(steps);
        let later: Vec<&str> = plan::layers()
            .filter(|layer| !there(Part::Layer(layer)))
            .collect();
        if crates.contains(&LAYERED) {
            let roots = format!("{LAYERED}/src/lib.rs");
            if let Some(text) = tree.get_mut(&roots) {
                *text = with_layers(text, |layer| !later.contains(&layer));
            }
        }
        if !crates.is_empty() {
            let root = there(Part::Archive);
            let shared: String = tree
                .iter()
                .filter(|(path, _)| path.ends_with("/Cargo.toml"))
                .map(|(_, text)| text.as_str())
                .collect();
            let used = |name: &str| shared.contains(&format!("{name}.workspace = true"));
            let manifest = manifest::reduce(&self.manifest, &crates, root, used)?;
            let mut packages = crates;
            packages.extend(root.then_some(ROOT));
            tree.insert("Cargo.toml".to_owned(), manifest);
            let lock = lockfile::reduce(&self.lock, &packages)?;
            tree.insert("Cargo.lock".to_owned(), lock);
        }
        Ok(tree)
    }
}

/// Which commit brings a file.
fn part_of(path: &str) -> Result<Part> {
    let mut names = path.split('/');
    let first = names.next().unwrap_or_default();
    match first {
        "README.md" | ".gitignore" | "docs" => Ok(Part::Documents),
        "src" | "build.rs" => Ok(Part::Archive),
        LAYERED => {
            let layer = match (names.next(), names.next(), names.next()) {
                (Some("src"), Some(folder), Some(_)) => Some(folder),
                _ => None,
            };
            let mut layers = plan::layers();
            let found = match layer {
                None => layers.next(),
                Some(folder) => layers.find(|known| *known == folder),
            };
            match found {
                Some(layer) => Ok(Part::Layer(layer)),
                None => bail!(
                    "{path} is in a layer that is not in the series: give it a commit in \
                     xtask/src/xen/series/plan.rs"
                ),
            }
        }
        other => match plan::crates(STEPS).iter().find(|known| **known == other) {
            Some(known) => Ok(Part::Crate(known)),
            None => bail!("{path} has no place in the series"),
        },
    }
}

/// What `lib.rs` has in addition as long as layers are missing.
const UNFINISHED: &str = "\
// Most of this is used by layers that come later; the last one takes these lines out.
#![allow(dead_code, unused_imports, unused_macros)]
";

/// `lib.rs` without the modules that are not there yet.
fn with_layers(lib: &str, there: impl Fn(&str) -> bool) -> String {
    let module = |line: &str| {
        let line = line.strip_suffix(';')?;
        let (visibility, name) = line.split_once("mod ")?;
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        (plain && ["", "pub ", "pub(crate) "].contains(&visibility)).then(|| name.to_owned())
    };
    let mut text = String::new();
    let mut missing = false;
    for line in lib.lines() {
        if module(line).is_some_and(|name| !there(&name)) {
            missing = true;
        } else {
            text.push_str(line);
            text.push('\n');
        }
    }
    if missing {
        let docs = lib.lines().take_while(|line| line.starts_with("//"));
        let end = docs.map(|line| line.len() + 1).sum();
        text.insert_str(end, UNFINISHED);
    }
    text
}

/// Adds a file, or all files below a folder.
fn walk(root: &Path, name: &str, into: &mut BTreeMap<String, String>) -> Result<()> {
    let path = root.join(name);
    if !path.is_dir() {
        into.insert(name.to_owned(), files::read_text(&path)?);
        return Ok(());
    }
    for entry in files::sorted_entries(&path)? {
        let Some(file) = entry.file_name().and_then(|file| file.to_str()) else {
            bail!("{} has a name that is not UTF-8", entry.display());
        };
        // What editors, patch and cargo leave behind.
        let litter = file.starts_with('.') || file == "target";
        if !litter && !["~", ".orig", ".rej"].iter().any(|end| file.ends_with(end)) {
            walk(root, &format!("{name}/{file}"), into)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "sources_tests.rs"]
mod tests;
