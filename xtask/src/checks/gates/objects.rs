// SPDX-License-Identifier: GPL-2.0-only
//! The C objects that the archive takes the place of, compiled from the same tree in the same
//! configuration for the comparison. They are not linked.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::base::command;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::host::tools::CROSS;
use crate::xen::build::BuiltXen;
use crate::xen::image;

/// Compiles them; mem_access.o only where the configuration has it.
pub(super) fn compile(paths: &Paths, progress: Progress, xen: &BuiltXen) -> Result<Vec<PathBuf>> {
    let config = crate::base::files::read_text(&xen.tree.join("xen/.config"))?;
    let mut goals = vec!["arch/arm/p2m.o", "arch/arm/mmu/p2m.o"];
    if config.lines().any(|line| line == "CONFIG_MEM_ACCESS=y") {
        goals.push("arch/arm/mem_access.o");
    }
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
    Ok(goals
        .iter()
        .map(|goal| xen.tree.join("xen").join(goal))
        .collect())
}

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
    let rust = text_bytes(archive, |member| member.starts_with("xen_p2m-"))?;
    let helpers = text_bytes(archive, |member| member.contains("-helpers.o"))?;
    let detail = format!(
        "Rust {rust} + helpers {helpers} bytes, C {c_bytes}: {:.2} times",
        times(rust + helpers, c_bytes)
    );
    Ok(if times(rust + helpers, c_bytes) <= ratio {
        Ok(detail)
    } else {
        Err(format!("{detail}, more than {ratio}"))
    })
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
