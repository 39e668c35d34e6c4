// SPDX-License-Identifier: GPL-2.0-only
//! `docs/c-to-rust.md` is complete and true: each function of the three C files has a row, each row is for one that
//! exists, and each place in Rust that a row names exists. The Rust's side is a host test; the C's needs Xen's
//! source and is a row of `cargo xtask test`.

#[cfg(test)]
mod rust;

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;

use crate::base::files::read_text;
use crate::base::paths::Paths;
use crate::base::table::Row;
use crate::base::version::Version;
use crate::xen::build::BuiltXen;
use crate::xen::known_c as list;

/// The document.
const DOCUMENT: &str = "docs/c-to-rust.md";

/// The C files below `xen/arch/arm`; each has a section of its name.
const FILES: [&str; 3] = [WHOLE, SPLIT, "mem_access.c"];

/// What was one file became two in 4.19.
const WHOLE: &str = "p2m.c";
const SPLIT: &str = "mmu/p2m.c";

/// The document's rows against the C of a tree.
pub(crate) fn complete(paths: &Paths, xen: &BuiltXen) -> Row {
    let sources = xen.tree.join("xen/arch/arm");
    let result = read(paths).and_then(|rows| against(&rows, xen.release, &sources));
    let result = result.unwrap_or_else(|error| Err(format!("{error:#}")));
    Row::of(DOCUMENT, result)
}

fn read(paths: &Paths) -> Result<Vec<Entry>> {
    Ok(entries(&read_text(&paths.root().join(DOCUMENT))?))
}

/// One row of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// The heading above it, without backticks.
    section: String,
    /// The C function.
    function: String,
    /// `map/lookup.rs::lookup` ...; none for a function that is gone.
    places: Vec<String>,
    /// "From 4.18", "Up to 4.20": the first and the last release that has the function.
    since: Option<Version>,
    until: Option<Version>,
}

impl Entry {
    /// Does the C of this release have it?
    fn is_for(&self, release: Version) -> bool {
        self.since.is_none_or(|since| since <= release)
            && self.until.is_none_or(|until| release <= until)
    }
}

/// Reads ``| `p2m_lookup` | `map/lookup.rs::lookup` | ... |``.
fn entries(document: &str) -> Vec<Entry> {
    let mut section = String::new();
    let mut all = Vec::new();
    for line in document.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading.replace('`', "");
        }
        let mut cells = line.split('|').skip(1);
        let (Some(function), Some(places)) = (cells.next(), cells.next()) else {
            continue;
        };
        let Some(function) = quoted(function).into_iter().next() else {
            continue;
        };
        let remark = cells.next().unwrap_or_default();
        let release = |words: &str| Version::find_in(remark.split_once(words)?.1);
        all.push(Entry {
            section: section.clone(),
            function,
            places: quoted(places),
            since: release("From "),
            until: release("Up to "),
        });
    }
    all
}

/// What stands in backticks.
fn quoted(cell: &str) -> Vec<String> {
    let parts = cell.split('`').skip(1).step_by(2);
    parts.map(str::to_owned).collect()
}

/// Up to 4.18 there is one p2m.c, with what is in two files after.
fn against(rows: &[Entry], release: Version, sources: &Path) -> Result<Result<String, String>> {
    let (mut count, mut wrong) = (0, Vec::new());
    let split = sources.join(SPLIT).is_file();
    for file in FILES.into_iter().filter(|&file| split || file != SPLIT) {
        let defined: BTreeSet<String> = list::functions(&read_text(&sources.join(file))?)
            .into_iter()
            .map(|(name, _)| name)
            .filter(|name| name != list::OUTSIDE)
            .collect();
        let is_here =
            |section: &str| section == file || !split && file == WHOLE && section == SPLIT;
        let listed = rows
            .iter()
            .filter(|row| is_here(&row.section) && row.is_for(release));
        let listed: BTreeSet<String> = listed.map(|row| row.function.clone()).collect();
        let missing = defined.difference(&listed);
        wrong.extend(missing.map(|name| format!("{file}: no row for {name}")));
        let added = listed.difference(&defined);
        wrong.extend(added.map(|name| format!("{file}: there is no {name}")));
        count += defined.len();
    }
    Ok(match (count, wrong.as_slice()) {
        (0, _) => Err("the C files have no function".to_owned()),
        (n, []) => Ok(format!("a row for each of {n} C functions")),
        (_, wrong) => Err(wrong.join("; ")),
    })
}

#[cfg(test)]
mod tests {
    use super::{against, entries, list, read, rust, Entry, FILES};
    use crate::base::files::{read_text, write};
    use crate::base::paths::Paths;
    use crate::base::version::Version;

    const LATEST: Version = Version::new(4, 99);

    /// Where places are looked for that name no crate.
    const CRATE: &str = "p2m-rs/src";

    /// Files in which macros may make the items: there the name must stand.
    const MACROS: &str = "ffi";

    #[test]
    fn functions_are_found_in_each_form_that_xen_has() {
        let source = r#"
#define FOR(x) for ( x = 0; \
                     x < 1; x++ ) {
unsigned int __read_mostly p2m_ipa_bits = PADDR_BITS;
static DEFINE_SPINLOCK(lock);
int declared(struct domain *d);
static inline bool one(lpae_t pte)
{
    if ( pte.bits ) { printk("}{ (\" {"); }
    return '{';
}
/* void in_a_comment(void) { } */
struct page_info*
two(vaddr_t gva, unsigned long flag,
    const struct vcpu *v)
{
}
static struct notifier_block nfb = {
    .notifier_call = one,
};
#ifdef CONFIG_ARM_64
static int __init three(void)
{
    static const struct { int a; } info[] __initconst = { { f(1) } };
}
#endif
__initcall(three);
"#;
        let found = list::functions(source).into_iter().map(|(name, _)| name);
        let names: Vec<String> = found.filter(|name| name != list::OUTSIDE).collect();
        assert_eq!(names, ["one", "two", "three"]);
    }

    #[test]
    fn rows_are_read_with_their_section() {
        let document = "# A\n## `p2m.c`\n| C | Rust |\n|---|---|\n| `f` | `a.rs::g` `b.rs::T::h` | why |\n| `k` | gone | x |\n";
        let entry = |function: &str, places: &[&str]| Entry {
            section: "p2m.c".to_owned(),
            function: function.to_owned(),
            places: places.iter().map(|&place| place.to_owned()).collect(),
            since: None,
            until: None,
        };
        let expected = [entry("f", &["a.rs::g", "b.rs::T::h"]), entry("k", &[])];
        assert_eq!(entries(document), expected);
    }

    #[test]
    fn a_function_without_a_row_and_a_row_without_a_function_fail() -> anyhow::Result<()> {
        let tree = tempfile::tempdir()?;
        std::fs::create_dir(tree.path().join("mmu"))?;
        for file in FILES {
            write(&tree.path().join(file), "int f(void)\n{\n}\n")?;
        }
        let row = |section: &str, function: &str| Entry {
            section: section.to_owned(),
            function: function.to_owned(),
            places: Vec::new(),
            since: None,
            until: None,
        };
        let mut rows: Vec<Entry> = FILES.iter().map(|file| row(file, "f")).collect();
        assert!(against(&rows, LATEST, tree.path())?.is_ok());
        rows.push(row("p2m.c", "g"));
        assert!(against(&rows, LATEST, tree.path())?.is_err_and(|e| e == "p2m.c: there is no g"));
        rows.retain(|row| row.section != "mmu/p2m.c" && row.function == "f");
        assert!(against(&rows, LATEST, tree.path())?.is_err_and(|e| e == "mmu/p2m.c: no row for f"));
        Ok(())
    }

    #[test]
    fn a_row_may_be_for_some_releases() -> anyhow::Result<()> {
        let tree = tempfile::tempdir()?;
        write(
            &tree.path().join("p2m.c"),
            "int f(void)\n{\n}\nint g(void)\n{\n}\n",
        )?;
        write(&tree.path().join("mem_access.c"), "")?;
        let document =
            "## `p2m.c`\n| `f` | gone | Up to 4.18. |\n## `mmu/p2m.c`\n| `g` | gone | |\n\
                        | `h` | gone | From 4.19, it is said. |\n";
        let rows = entries(document);
        let of = |minor| against(&rows, Version::new(4, minor), tree.path());
        // One file there: its functions may be in either section.
        assert!(of(17)?.is_ok() && of(18)?.is_ok());
        let wrong = "p2m.c: no row for f; p2m.c: there is no h";
        assert_eq!(of(19)?, Err(wrong.to_owned()));
        Ok(())
    }

    #[test]
    fn every_place_that_the_document_names_exists() -> anyhow::Result<()> {
        let paths = Paths::find()?;
        let rows = read(&paths)?;
        assert!(!rows.is_empty());
        let mut wrong = Vec::new();
        for row in &rows {
            for place in &row.places {
                let (file, item) = place.split_once("::").unwrap_or((place, ""));
                let below = paths.root().join(CRATE).join(file);
                let file = if below.is_file() {
                    below
                } else {
                    paths.root().join(file)
                };
                let source = read_text(&file).unwrap_or_default();
                let is_there = if place.contains(MACROS) || !place.contains(".rs") {
                    source.contains(&format!("{item}("))
                } else {
                    rust::items(&source)?.contains(item)
                };
                if !is_there {
                    wrong.push(format!("{}: {place}", row.function));
                }
            }
        }
        assert_eq!(wrong, Vec::<String>::new());
        Ok(())
    }
}
