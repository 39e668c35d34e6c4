// SPDX-License-Identifier: GPL-2.0-only
//! With an option off the patches for it change nothing: each object of a patched tree against the one of a tree
//! without those patches, built in the same configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::base::command;
use crate::base::files::{self, Fingerprint};
use crate::base::paths::Paths;
use crate::host::tools::CROSS;
use crate::xen::image;

/// Says when it was compiled, and where.
const VERSION: &str = "common/version.o";

/// Contains the `.config`, which has a line more for each option of ours.
const CONFIG: &str = "common/config_data.o";

/// All of the Rust, where it is linked.
const ARCHIVE: &str = "arch/arm/libxen_p2m.a";

/// Programs for this machine.
const TOOLS: &str = "tools/";

/// Are all objects the same to the byte, but for what debuggers read (it names the tree's folder)?
pub(super) fn compare(paths: &Paths, one: &Path, two: &Path) -> Result<Result<String, String>> {
    let (one, two) = (hashes(paths, one)?, hashes(paths, two)?);
    Ok(judge(&one, &two))
}

/// How much code and constant data a linked Xen has.
pub(super) fn text_size(syms: &Path) -> Result<u64> {
    let shown = image::binutil("size", &[], syms)?;
    text_in(&shown).with_context(|| format!("the size of {} is no table", syms.display()))
}

/// Of the line below the heading the first number.
fn text_in(shown: &str) -> Option<u64> {
    shown
        .lines()
        .nth(1)?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

fn judge(one: &BTreeMap<String, String>, two: &BTreeMap<String, String>) -> Result<String, String> {
    let only = |one: &BTreeMap<String, String>, two: &BTreeMap<String, String>| -> Vec<String> {
        let missing = one.keys().filter(|name| !two.contains_key(*name));
        missing.cloned().collect()
    };
    let differ: Vec<&str> = one
        .iter()
        .filter(|(name, hash)| two.get(*name).is_some_and(|other| other != *hash))
        .map(|(name, _)| name.as_str())
        .collect();
    let (gone, new) = (only(one, two), only(two, one));
    if one.is_empty() {
        Err("there are no objects".to_owned())
    } else if differ.is_empty() && gone.is_empty() && new.is_empty() {
        Ok(format!(
            "{} objects are the same to the byte (all but {VERSION} and {CONFIG})",
            one.len()
        ))
    } else {
        Err(format!(
            "objects that differ: {differ:?}, that are gone: {gone:?}, that are new: {new:?}"
        ))
    }
}

/// Each object's hash, by its name below `xen/`. What is linked from others is left out.
fn hashes(paths: &Paths, tree: &Path) -> Result<BTreeMap<String, String>> {
    let xen = tree.join("xen");
    let shown = command::output(
        command::clean("find")
            .args([
                ".", "-type", "f", "(", "-name", "*.o", "-o", "-name", "*.a", ")",
            ])
            .args(["-printf", "%P\\n"])
            .current_dir(&xen),
    )?;
    let scratch = files::scratch_dir(paths)?;
    let stripped: PathBuf = scratch.path().join("object");
    let mut all = BTreeMap::new();
    for name in shown.lines().filter(|name| is_compared(name)) {
        command::output(
            command::clean(format!("{CROSS}objcopy"))
                .args(["--strip-debug", "--enable-deterministic-archives"])
                .args([&xen.join(name), &stripped]),
        )
        .with_context(|| format!("cannot read {name} in {}", xen.display()))?;
        let hash = Fingerprint::default().add_file(&stripped)?.hex();
        all.insert(name.to_owned(), hash);
    }
    Ok(all)
}

fn is_compared(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    let linked = ["built_in.o", "built_in_bin.o", "prelink.o"].contains(&file);
    let other_archive = name.ends_with(".a") && name != ARCHIVE;
    !linked && !other_archive && !name.starts_with(TOOLS) && ![VERSION, CONFIG].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::{is_compared, judge, text_in};
    use std::collections::BTreeMap;

    fn objects(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |&(name, hash): &(&str, &str)| (name.to_owned(), hash.to_owned());
        list.iter().map(owned).collect()
    }

    #[test]
    fn one_that_differs_is_gone_or_is_new_is_named() {
        let one = objects(&[("a.o", "1"), ("b.o", "2")]);
        assert!(judge(&one, &one).is_ok());
        assert!(judge(&objects(&[]), &objects(&[])).is_err());
        for (other, name) in [
            (objects(&[("a.o", "1"), ("b.o", "3")]), "b.o"),
            (objects(&[("b.o", "2")]), "a.o"),
            (objects(&[("a.o", "1"), ("b.o", "2"), ("c.o", "2")]), "c.o"),
        ] {
            assert!(judge(&one, &other).is_err_and(|said| said.contains(name)));
        }
    }

    #[test]
    fn the_size_of_the_text() {
        let shown = "   text\t   data\t    bss\n 862345\t  67234\t 176543\n";
        assert_eq!(text_in(shown), Some(862_345));
        assert_eq!(text_in("text\n"), None);
    }

    #[test]
    fn which_objects() {
        assert!(is_compared("arch/arm/p2m.o") && is_compared("arch/arm/mmu/p2m.o"));
        assert!(is_compared("arch/arm/libxen_p2m.a"));
        for not in [
            "arch/arm/built_in.o",
            "tools/symbols.o",
            "common/version.o",
            "lib/lib.a",
        ] {
            assert!(!is_compared(not), "{not}");
        }
    }
}
