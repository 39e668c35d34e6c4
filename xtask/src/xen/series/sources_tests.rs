// SPDX-License-Identifier: GPL-2.0-only
//! What goes into Xen's tree is all of the crates, and nothing that speaks of what is not there.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context;

use super::{part_of, with_layers, Sources};
use crate::base::files::{create_dir, read_text, sorted_entries, write};
use crate::base::paths::Paths;
use crate::xen::series::plan::{self, Step, DOCUMENTS, STEPS};

/// The first steps.
fn first(count: usize) -> &'static [Step] {
    STEPS.get(..count).unwrap_or(STEPS)
}

fn sources() -> anyhow::Result<Sources> {
    Sources::read(Paths::find()?.root())
}

/// Every file below a folder, by another way than the one that is tested.
fn listed(root: &Path, dir: &Path, into: &mut BTreeSet<String>) -> anyhow::Result<()> {
    for entry in sorted_entries(dir)? {
        if entry.is_dir() {
            listed(root, &entry, into)?;
        } else {
            into.insert(entry.strip_prefix(root)?.display().to_string());
        }
    }
    Ok(())
}

#[test]
fn every_file_of_every_crate_is_in_the_series() -> anyhow::Result<()> {
    let paths = Paths::find()?;
    let root = paths.root();
    // The crates that the archive is made of, as cargo's own files say.
    let manifest: toml::Table = toml::from_str(&read_text(&root.join("Cargo.toml"))?)?;
    let mut wanted = BTreeSet::from(["build.rs".to_owned()]);
    listed(root, &root.join("src"), &mut wanted)?;
    let mut folders: Vec<String> = vec![String::new()];
    let mut seen = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        let manifest = read_text(&root.join(&folder).join("Cargo.toml"))?;
        let table: toml::Table = toml::from_str(&manifest)?;
        for kind in ["dependencies", "build-dependencies"] {
            for name in table
                .get(kind)
                .and_then(|t| t.as_table())
                .into_iter()
                .flat_map(|t| t.keys())
            {
                if root.join(name).join("Cargo.toml").is_file() && seen.insert(name.clone()) {
                    listed(root, &root.join(name), &mut wanted)?;
                    folders.push(name.clone());
                }
            }
        }
    }
    assert!(
        manifest.contains_key("workspace") && seen.len() >= 3,
        "{seen:?}"
    );
    let there: BTreeSet<String> = sources()?.after(STEPS)?.into_keys().collect();
    let missing: Vec<&String> = wanted.difference(&there).collect();
    assert!(missing.is_empty(), "not in the series: {missing:?}");
    // And nothing else but what the workspace needs, and documents.
    let others: Vec<&String> = there.difference(&wanted).collect();
    let known = |name: &str| {
        ["Cargo.toml", "Cargo.lock", "README.md", ".gitignore"].contains(&name)
            || name
                .strip_prefix("docs/")
                .is_some_and(|name| DOCUMENTS.contains(&name))
    };
    assert!(others.iter().all(|name| known(name)), "{others:?}");
    Ok(())
}

#[test]
fn a_layer_without_a_commit_is_an_error() {
    assert!(part_of("p2m-rs/src/lib.rs").is_ok());
    assert!(part_of("p2m-rs/build.rs").is_ok());
    for path in ["p2m-rs/src/altp2m/mod.rs", "tools/x.rs"] {
        assert!(
            part_of(path).is_err_and(|e| e.to_string().contains(path)),
            "{path}"
        );
    }
}

#[test]
fn layers_come_in_the_order_of_the_plan_of_layers() -> anyhow::Result<()> {
    // Only if a layer imports none that comes later does each commit compile.
    let root = Paths::find()?.root().join("p2m-rs/src");
    let layers: Vec<&str> = plan::layers().collect();
    for (at, layer) in layers.iter().enumerate() {
        let mut files = BTreeSet::new();
        listed(&root, &root.join(layer), &mut files)?;
        assert!(!files.is_empty(), "{layer}");
        for file in files {
            let text = read_text(&root.join(&file))?;
            for later in layers.iter().skip(at + 1) {
                let import = format!("use crate::{later}");
                assert!(
                    !text.contains(&import),
                    "{file} imports {later}, which is not there yet"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn modules_that_are_not_there_yet_are_not_named() {
    let lib = "//! mod guest;\npub mod types;\nmod guest;\npub(crate) mod map;\nmod own;\nuse x;\n";
    let left = with_layers(lib, |name| ["types", "own"].contains(&name));
    let allowed = "#![allow(dead_code, unused_imports, unused_macros)]\n";
    let (head, tail) = left.split_once(allowed).unwrap_or_default();
    assert!(head.starts_with("//! mod guest;\n// "), "{left}");
    assert_eq!(tail, "pub mod types;\nmod own;\nuse x;\n");
    assert_eq!(with_layers(lib, |_| true), lib);
}

#[test]
fn each_step_adds_and_none_takes_away() -> anyhow::Result<()> {
    let sources = sources()?;
    let mut before = std::collections::BTreeMap::new();
    for at in 1..=STEPS.len() {
        let after = sources.after(first(at))?;
        assert!(
            before.keys().all(|name| after.contains_key(name)),
            "step {at}"
        );
        assert_ne!(before, after, "step {at} changes nothing");
        // Three files grow; all others are there or not.
        let grow = ["Cargo.toml", "Cargo.lock", "p2m-rs/src/lib.rs"];
        for (name, text) in &before {
            assert!(
                after.get(name) == Some(text) || grow.contains(&name.as_str()),
                "step {at}: {name}"
            );
        }
        before = after;
    }
    let lib = Paths::find()?.root().join("p2m-rs/src/lib.rs");
    assert_eq!(before.get("p2m-rs/src/lib.rs"), Some(&read_text(&lib)?));
    Ok(())
}

/// What is in this repository and not in the series.
fn outside() -> anyhow::Result<Vec<String>> {
    let root = Paths::find()?.root().to_path_buf();
    let there = sources()?.after(STEPS)?;
    let mut names: Vec<String> = Vec::new();
    for entry in sorted_entries(&root)? {
        let name = entry
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let is_there = there
            .keys()
            .any(|path| path.split('/').next() == Some(&name));
        if entry.is_dir() && !is_there && !name.starts_with('.') && name != "target" {
            names.push(name);
        }
    }
    for entry in sorted_entries(&root.join("docs"))? {
        let name = format!(
            "docs/{}",
            entry.file_name().unwrap_or_default().to_string_lossy()
        );
        if !there.contains_key(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

#[test]
fn no_source_speaks_of_a_file_that_is_not_there() -> anyhow::Result<()> {
    let outside = outside()?;
    assert!(
        outside.iter().any(|name| name == "test-harness"),
        "{outside:?}"
    );
    for (path, text) in sources()?.after(STEPS)? {
        // The documents may: the README says where that is.
        if path.ends_with(".md") || path == "Cargo.lock" {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let words = line.split(|c: char| !(c.is_alphanumeric() || "-_./".contains(c)));
            for word in words {
                let named = outside.iter().find(|name| {
                    // "patches" is a word of its own; a folder is followed by a slash.
                    let below = word.strip_prefix(name.as_str());
                    below.is_some_and(|rest| {
                        rest.starts_with('/') || rest.is_empty() && *name != "patches"
                    })
                });
                assert!(named.is_none(), "{path}:{}: {line}", number + 1);
            }
        }
    }
    Ok(())
}

#[test]
fn every_link_leads_to_a_file_of_the_series() -> anyhow::Result<()> {
    let there = sources()?.after(STEPS)?;
    let mut links = 0;
    for (path, text) in there.iter().filter(|(path, _)| path.ends_with(".md")) {
        let dir = Path::new(path).parent().unwrap_or(Path::new(""));
        for rest in text.split("](").skip(1) {
            let target = rest.split([')', '#']).next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let mut full: Vec<&str> = dir.iter().filter_map(|part| part.to_str()).collect();
            for part in target.split('/') {
                if part == ".." {
                    full.pop();
                } else {
                    full.push(part);
                }
            }
            let full = full.join("/");
            let folder = format!("{full}/");
            let found =
                there.contains_key(&full) || there.keys().any(|name| name.starts_with(&folder));
            assert!(found, "{path}: {target}");
            links += 1;
        }
    }
    assert!(links > 10, "{links}");
    Ok(())
}

#[test]
fn every_file_says_its_licence_and_has_clean_lines() -> anyhow::Result<()> {
    for (path, text) in sources()?.after(STEPS)? {
        // Commands write these, but for the list of what git is to ignore.
        let generated =
            ["Cargo.lock", "xen-sys/build/known-c.txt", ".gitignore"].contains(&path.as_str());
        let first = text.lines().next().unwrap_or_default();
        assert!(
            generated || first.contains("SPDX-License-Identifier: GPL-2.0-only"),
            "{path}"
        );
        assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{path}");
        for line in text.lines() {
            assert!(!line.ends_with([' ', '\t', '\r']), "{path}: {line}");
        }
    }
    Ok(())
}

#[test]
fn the_smaller_workspace_is_consistent() -> anyhow::Result<()> {
    let sources = sources()?;
    for at in 1..=STEPS.len() {
        let steps = first(at);
        let tree = sources.after(steps)?;
        let Some(manifest) = tree.get("Cargo.toml") else {
            continue;
        };
        let manifest: toml::Table = toml::from_str(manifest)?;
        let lock: toml::Table = toml::from_str(tree.get("Cargo.lock").context("no lock file")?)?;
        let members = manifest
            .get("workspace")
            .and_then(|t| t.get("members"))
            .and_then(|m| m.as_array());
        let members: Vec<&str> = members
            .into_iter()
            .flatten()
            .filter_map(|m| m.as_str())
            .collect();
        for member in &members {
            assert!(
                tree.contains_key(&format!("{member}/Cargo.toml")),
                "step {at}: {member}"
            );
        }
        let own = |package: &&toml::Value| package.get("source").is_none();
        let packages = lock
            .get("package")
            .and_then(|p| p.as_array())
            .map_or(&[][..], Vec::as_slice);
        let own = packages.iter().filter(own).count();
        assert_eq!(
            own,
            members.len() + usize::from(manifest.contains_key("package")),
            "step {at}"
        );
    }
    Ok(())
}

#[test]
fn cargo_takes_the_smaller_lock_file_at_each_step() -> anyhow::Result<()> {
    let sources = sources()?;
    for at in 1..=STEPS.len() {
        let tree = sources.after(first(at))?;
        if !tree.contains_key("Cargo.toml") {
            continue;
        }
        let dir = tempfile::tempdir()?;
        for (path, text) in &tree {
            let file = dir.path().join(path);
            create_dir(file.parent().unwrap_or(dir.path()))?;
            write(&file, text)?;
        }
        // Resolves, and downloads nothing.
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut cargo = std::process::Command::new(cargo);
        cargo.args(["update", "--workspace", "--locked", "--offline"]);
        let done = cargo.current_dir(dir.path()).output()?;
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "step {at}: {said}");
    }
    Ok(())
}
