// SPDX-License-Identifier: GPL-2.0-only
//! The C objects that the archive takes the place of, compiled from the same tree in the same
//! configuration for the comparison. They are not linked.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::base::command;
use crate::base::files::{self, read_text};
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::host::tools::CROSS;
use crate::xen::build::BuiltXen;
use crate::xen::image;

/// Those that the tree's make would link with the option off: the releases up to 4.18 have one p2m.c, and build
/// mem_access.c always.
fn goals(xen: &Path) -> Result<Vec<&'static str>> {
    let mut goals = vec!["arch/arm/p2m.o"];
    if xen.join("arch/arm/mmu/p2m.c").is_file() {
        goals.push("arch/arm/mmu/p2m.o");
    }
    let makefile = read_text(&xen.join("arch/arm/Makefile"))?;
    let condition = makefile
        .lines()
        .find_map(|line| line.strip_suffix(" += mem_access.o")?.strip_prefix("obj-"))
        .context("arch/arm/Makefile does not say when it builds mem_access.o")?;
    let option = condition.trim_start_matches("$(").trim_end_matches(')');
    let config = read_text(&xen.join(".config"))?;
    if option == "y" || config.lines().any(|line| line == format!("{option}=y")) {
        goals.push("arch/arm/mem_access.o");
    }
    Ok(goals)
}

/// Compiles them. They are kept beside Xen's own tree: an object in it that its make does not want would be one
/// that another configuration's tree has not.
pub(super) fn compile(paths: &Paths, progress: Progress, xen: &BuiltXen) -> Result<Vec<PathBuf>> {
    let goals = goals(&xen.tree.join("xen"))?;
    let task = progress.start("Compiling the C objects to compare with");
    let mut make = command::bound("make");
    make.arg("-C")
        .arg(xen.tree.join("xen"))
        .arg("XEN_TARGET_ARCH=arm64")
        .arg(format!("CROSS_COMPILE={CROSS}"))
        .args(&goals);
    command::logged(
        &mut make,
        &paths.log(&format!("xen-c-objects-{}", xen.name)),
    )?;
    task.done();
    let kept = xen.tree.join("c-objects");
    files::create_dir(&kept)?;
    let mut objects = Vec::new();
    for goal in goals {
        let (from, to) = (
            xen.tree.join("xen").join(goal),
            kept.join(goal.replace('/', "-")),
        );
        fs::rename(&from, &to).with_context(|| format!("cannot move {}", from.display()))?;
        objects.push(to);
    }
    Ok(objects)
}

/// Functions that the C does not have, or only as a refusal: they are counted apart.
const BEYOND_THE_C: [&str; 2] = [
    "p2m_set_mem_access_multi",
    "xen_p2m_resolve_permission_fault",
];

/// Helpers that only these call.
const HELPERS_BEYOND: [&str; 2] = ["xs_inject_external_abort", "xs_trap_is_from_el0"];

/// How large these may be, with every compiler.
const MOST_BEYOND: u32 = 2048;

/// Code and read-only data of the archive's members that are ours, against the C's.
pub(super) fn text_within(
    c: &[PathBuf],
    archive: &Path,
    ratio: f64,
) -> Result<Result<String, String>> {
    let mut c_bytes = 0;
    for object in c {
        c_bytes += text_bytes(object, |_| true)?;
    }
    let symbols = image::binutil("nm", &["-S", "--defined-only"], archive)?;
    let [functions, their_helpers] =
        [&BEYOND_THE_C[..], &HELPERS_BEYOND[..]].map(|names| sizes(&symbols, names));
    let beyond = functions + their_helpers;
    let rust = text_bytes(archive, |member| member.starts_with("xen_p2m-"))? - functions;
    let helpers = text_bytes(archive, |member| member.contains("-helpers.o"))? - their_helpers;
    let detail = format!(
        "Rust {rust} + helpers {helpers} bytes, C {c_bytes}: {:.2} times; {beyond} bytes of what the C does not have",
        times(rust + helpers, c_bytes)
    );
    Ok(if beyond > MOST_BEYOND {
        Err(format!("{detail}, more than {MOST_BEYOND}"))
    } else if times(rust + helpers, c_bytes) > ratio {
        Err(format!("{detail}; more than {ratio} times"))
    } else {
        Ok(detail)
    })
}

/// The sizes of some functions, in all, from what `nm -S` prints. Those that are not there have none.
fn sizes(nm: &str, names: &[&str]) -> u32 {
    nm.lines()
        .filter_map(
            |line| match line.split_whitespace().collect::<Vec<_>>()[..] {
                [_, size, "T", name] if names.contains(&name) => u32::from_str_radix(size, 16).ok(),
                _ => None,
            },
        )
        .sum()
}

fn times(a: u32, b: u32) -> f64 {
    f64::from(a) / f64::from(b)
}

/// `size` calls code and read-only data "text".
fn text_bytes(object: &Path, wanted: impl Fn(&str) -> bool) -> Result<u32> {
    image::binutil("size", &[], object)?
        .lines()
        .skip(1)
        .filter(|line| line.split_whitespace().nth(5).is_some_and(&wanted))
        .map(|line| {
            line.split_whitespace()
                .next()
                .and_then(|text| text.parse::<u32>().ok())
                .with_context(|| format!("cannot read the size in `{line}`"))
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::{goals, sizes};
    use crate::base::files::{create_dir, write};

    #[test]
    fn functions_that_the_c_does_not_have_are_added_up() {
        let nm = "\nxen_p2m.o:\n0000000000000740 00000000000003b8 T p2m_set_mem_access_multi\n\
                  0000000000000534 000000000000020c T p2m_set_mem_access\n\
                  0000000000000010 0000000000000002 t xen_p2m_local\n                 U memcpy\n\
                  0000000000000010 0000000000000002 T xen_p2m_local\n";
        assert_eq!(
            sizes(nm, &["p2m_set_mem_access_multi", "xen_p2m_local"]),
            0x3ba
        );
        assert_eq!(sizes(nm, &["memcpy"]), 0);
    }

    #[test]
    fn what_the_tree_would_link() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let xen = dir.path();
        let (p2m, mmu, access) = (
            "arch/arm/p2m.o",
            "arch/arm/mmu/p2m.o",
            "arch/arm/mem_access.o",
        );
        create_dir(&xen.join("arch/arm/mmu"))?;
        write(&xen.join(".config"), "CONFIG_X=y\n")?;
        write(&xen.join("arch/arm/Makefile"), "obj-y += mm.o\n")?;
        assert!(goals(xen).is_err());
        write(&xen.join("arch/arm/Makefile"), "obj-y += mem_access.o\n")?;
        assert_eq!(goals(xen)?, [p2m, access]);
        write(&xen.join("arch/arm/mmu/p2m.c"), "")?;
        for (option, built) in [("VM_EVENT", vec![p2m, mmu]), ("X", vec![p2m, mmu, access])] {
            let line = format!("obj-$(CONFIG_{option}) += mem_access.o\n");
            write(&xen.join("arch/arm/Makefile"), line)?;
            assert_eq!(goals(xen)?, built);
        }
        Ok(())
    }
}
