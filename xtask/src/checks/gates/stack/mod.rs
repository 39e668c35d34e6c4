// SPDX-License-Identifier: GPL-2.0-only
//! How much of a CPU's stack the p2m takes: for each function that C calls, the deepest stack below it in this
//! code. What C takes below what is called from here comes on top, as it does below the C that this code
//! replaces; that C is measured in the same way, for the table.

mod frame;
mod graph;
mod listing;
mod names;

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Result;

use crate::base::table;
use crate::xen::image;
use graph::{Deepest, Graph, Recursion};

/// The most that any function may take, in bytes. A stack of Xen's has 32 KiB on Arm (`STACK_SIZE`), for everything that is
/// active on a CPU at once: a trap, the hypercall, this code, printk or the IOMMU's driver below it, an interrupt. Debian's
/// rustc 1.96 makes 3120 bytes of it (the C takes 864). A seventh more is for other compilers: code that grows by a frame
/// on each of four levels is seen.
const BOUND: u64 = 3584;

/// The functions that call themselves, in Rust and in C. Each goes down one level of the tables with each call, and where
/// one of them calls another it hands over what is left: together they are active once a level, of which there are four.
/// What leaves a mapping alone begins at an entry of the level at which its caller is, and is counted apart.
const RECURSIONS: [Recursion; 4] = [
    Recursion {
        names: &[
            "insert_in",
            "build",
            "remove_in",
            "change_in",
            "split_with",
            "release_table",
            "p2m_split_superpage",
            "p2m_free_entry",
        ],
        bound: 4,
    },
    Recursion {
        names: &["leak"],
        bound: 4,
    },
    // In the tables of a view (altp2m): a level with each call, too.
    Recursion {
        names: &["chain"],
        bound: 4,
    },
    Recursion {
        names: &["free_all"],
        bound: 4,
    },
];

/// The stacks below a list of functions.
pub(super) struct Stacks {
    all: Vec<Deepest>,
    /// How many functions call themselves.
    recursive: usize,
}

impl Stacks {
    /// Itself, if each of these functions was measured, by one of its names.
    pub(super) fn of_all<'a>(
        self,
        mut functions: impl Iterator<Item = &'a BTreeSet<String>>,
    ) -> Result<Self, String> {
        let all = self.all.iter();
        let measured: BTreeSet<&String> = all.filter_map(|deepest| deepest.chain.first()).collect();
        match functions.find(|names| names.iter().all(|name| !measured.contains(name))) {
            None => Ok(self),
            Some(names) => Err(format!("the stack below {names:?} is not known")),
        }
    }
}

/// Measures the functions called `names` in some objects, of which `wanted` says which count.
pub(super) fn measure(
    objects: &[PathBuf],
    names: &BTreeSet<String>,
    wanted: impl Fn(&str) -> bool,
) -> Result<Result<Stacks, String>> {
    let mut disassembly = String::new();
    let mut relocations = String::new();
    for object in objects {
        // readelf names only the members of an archive.
        relocations += &format!("File: {}\n", object.display());
        disassembly += &image::binutil("objdump", &["-dr", "--no-show-raw-insn"], object)?;
        relocations += &image::binutil("readelf", &["-rW"], object)?;
    }
    let graph = match Graph::read(&disassembly, &relocations, &RECURSIONS, wanted) {
        Ok(graph) => graph,
        Err(why) => return Ok(Err(why)),
    };
    let all = graph.deepest(&RECURSIONS, |name| names.contains(name));
    Ok(all.map(|all| Stacks {
        all,
        recursive: graph.recursive(),
    }))
}

/// The row of the gate.
pub(super) fn within_bound(stacks: &Result<Stacks, String>) -> Result<String, String> {
    let stacks = stacks.as_ref().map_err(Clone::clone)?;
    let Some(deepest) = stacks.all.first() else {
        return Err("no exported function was found in the archive".to_owned());
    };
    let chain = deepest.chain.join(" -> ");
    if deepest.bytes > BOUND {
        return Err(format!(
            "{} bytes of stack, more than {BOUND}: {chain}",
            deepest.bytes
        ));
    }
    Ok(format!(
        "{} functions, at most {} bytes of {BOUND} ({}); {} recursions, each with its bound",
        stacks.all.len(),
        deepest.bytes,
        deepest.chain.first().map_or("", String::as_str),
        stacks.recursive
    ))
}

/// Prints the number of each function, the largest first, next to the C's.
pub(super) fn print(rust: &Stacks, c: &Result<Stacks, String>) {
    let c_bytes = |name: &str| match c {
        Err(why) => why.clone(),
        Ok(c) => c
            .all
            .iter()
            .find(|deepest| deepest.chain.first().is_some_and(|first| first == name))
            .map_or_else(String::new, |deepest| deepest.bytes.to_string()),
    };
    let rows = rust.all.iter().map(|deepest| {
        let mut chain = deepest.chain.iter();
        let name = chain.next().cloned().unwrap_or_default();
        let through = chain.map(|name| name.rsplit("::").next().unwrap_or(name));
        let through = abridged(through);
        let in_c = c_bytes(&name);
        [name, deepest.bytes.to_string(), in_c, through]
    });
    table::print_columns(["Stack below", "Rust", "C", "deepest through"], rows);
}

/// `a > b (4) > c`: with the number of times that a name follows itself.
fn abridged<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut runs: Vec<(&str, usize)> = Vec::new();
    for name in names {
        match runs.last_mut() {
            Some((last, count)) if *last == name => *count += 1,
            _ => runs.push((name, 1)),
        }
    }
    let shown = runs.iter().map(|(name, count)| match count {
        1 => (*name).to_owned(),
        count => format!("{name} ({count})"),
    });
    shown.collect::<Vec<_>>().join(" > ")
}

#[cfg(test)]
mod tests {
    use super::{abridged, within_bound, Deepest, Stacks, BOUND, RECURSIONS};
    use crate::base::files::read_text;
    use crate::base::paths::Paths;
    use std::path::PathBuf;

    #[test]
    fn a_stack_beyond_the_bound_fails_and_so_does_an_archive_without_functions() {
        let stacks = |bytes: &[u64]| {
            let all = bytes.iter().map(|bytes| Deepest {
                bytes: *bytes,
                chain: vec!["p2m_init".to_owned()],
            });
            Ok(Stacks {
                all: all.collect(),
                recursive: 0,
            })
        };
        assert!(within_bound(&stacks(&[BOUND, 16])).is_ok());
        assert!(within_bound(&stacks(&[BOUND + 16, 16])).is_err());
        assert!(within_bound(&stacks(&[])).is_err());
        assert!(within_bound(&Err("a recursion".to_owned())).is_err());
    }

    #[test]
    fn a_recursion_is_shown_once() {
        let names = ["insert", "insert_in", "insert_in", "leak"];
        assert_eq!(abridged(names.into_iter()), "insert > insert_in (2) > leak");
        assert_eq!(abridged([].into_iter()), "");
    }

    #[test]
    fn the_functions_that_may_call_themselves_exist() -> anyhow::Result<()> {
        let mut sources = String::new();
        let mut folders: Vec<PathBuf> = vec![Paths::find()?.root().join("p2m-rs/src")];
        while let Some(folder) = folders.pop() {
            for path in crate::base::files::sorted_entries(&folder)? {
                if path.is_dir() {
                    folders.push(path);
                } else {
                    sources += &read_text(&path)?;
                }
            }
        }
        for name in RECURSIONS.iter().flat_map(|row| row.names) {
            let ours = !name.starts_with("p2m_");
            let is_there = ['(', '<'].map(|next| sources.contains(&format!("fn {name}{next}")));
            assert_eq!(is_there.contains(&true), ours, "{name}");
        }
        Ok(())
    }
}
