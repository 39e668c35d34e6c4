// SPDX-License-Identifier: GPL-2.0-only
//! The folder that a user boots from: both images, recipes for U-Boot and UEFI, and an archive of it all.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::base::cli::{BuildArgs, Extra, ImageArgs, P2m};
use crate::base::command;
use crate::base::commit;
use crate::base::files;
use crate::base::lock;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::host::tools::{self, Use};
use crate::xen::build::{self, BuiltXen};

/// What a reader of the folder reads first.
pub(crate) const README: &str = "README.md";

const README_TEXT: &str = include_str!("../../../assets/board/README.md");
const UBOOT_TEXT: &str = include_str!("../../../assets/board/uboot.txt");
const CFG_TEXT: &str = include_str!("../../../assets/board/xen.cfg");

/// Builds both and writes the folder; where it is.
pub(crate) fn write(paths: &Paths, progress: Progress, args: &ImageArgs) -> Result<PathBuf> {
    tools::require(paths, progress, &Use::build(P2m::Rust))?;
    lock::alone(paths, progress, || {
        let both = [P2m::C, P2m::Rust].map(|p2m| built(paths, progress, args, p2m));
        let [c, rust] = both;
        let (c, rust) = (c?, rust?);
        let dir = match &args.out {
            Some(dir) => dir.clone(),
            None => paths
                .target()
                .join(format!("image/p2m-board-{}", rust.release)),
        };
        fill(paths, &dir, args, [&c, &rust])?;
        pack(&dir)?;
        Ok(dir)
    })
}

fn built(paths: &Paths, progress: Progress, args: &ImageArgs, p2m: P2m) -> Result<BuiltXen> {
    let args = BuildArgs {
        debug: args.debug,
        source: args.source.clone(),
        extra: Some(Extra::Selftest),
        early_printk: args.early_printk.clone(),
        ..BuildArgs::of(p2m)
    };
    build::build(paths, progress, &args)
}

/// What Xen is told: each argument, and what for.
fn arguments(args: &ImageArgs) -> Vec<(String, String)> {
    let of = |argument: &str, why: &str| (argument.to_owned(), why.to_owned());
    vec![
        of("console=dtuart", "Xen's console is the serial port of the device tree"),
        of("noreboot", ""),
        of("bootscrub=0", "free memory is not cleared first, which takes long"),
        of(
            "iommu=no",
            "an SMMU is left alone; without it, Xen shares the tables with one that it has a driver for, and flushes that as well",
        ),
        (
            format!("p2m-board={}", args.runs),
            "these are a board's logs (sums of lines, cycles), and each row is done so many times".to_owned(),
        ),
        (
            format!("p2m-selftest=seed={},ops={}", args.seed, args.ops),
            "the self-test; without it, only the benchmark".to_owned(),
        ),
        (
            format!("p2m-bench={}", args.rows),
            "which rows of the benchmark: a part of their names, or `all`; without it, only the self-test".to_owned(),
        ),
    ]
}

/// The files.
fn fill(paths: &Paths, dir: &Path, args: &ImageArgs, both: [&BuiltXen; 2]) -> Result<()> {
    files::create_dir(dir)?;
    let all = arguments(args);
    let line: Vec<&str> = all.iter().map(|(argument, _)| argument.as_str()).collect();
    let line = line.join(" ");
    let list: Vec<String> = all
        .iter()
        .filter(|(_, why)| !why.is_empty())
        .map(|(argument, why)| format!("* `{argument}`: {why}."))
        .collect();
    let [c, _] = both;
    let text = |text: &str| {
        text.replace("@ARGUMENTS@", &line)
            .replace("@ARGUMENTS_LIST@", &list.join("\n"))
            .replace("@XEN@", &c.source)
    };
    let commit = commit::of(paths.root(), &["."]).unwrap_or_else(|_| "none".to_owned());
    let mut manifest = format!("commit of this project: {commit}\narguments: {line}\n");
    let mut sums = command::clean("sha256sum");
    sums.current_dir(dir);
    for xen in both {
        let name = format!("xen-{}.efi", xen.p2m);
        let image = dir.join(&name);
        std::fs::copy(xen.binary(), &image).with_context(|| {
            format!(
                "cannot copy {} to {}",
                xen.binary().display(),
                image.display()
            )
        })?;
        files::write(&dir.join(format!("xen-{}.cfg", xen.p2m)), text(CFG_TEXT))?;
        let debug = if xen.debug { ", debug" } else { "" };
        let compilers = xen.compilers()?;
        manifest += &format!("{name}: Xen {}{debug}; {compilers}\n", xen.source);
        sums.arg(name);
    }
    manifest += &command::output(&mut sums)?;
    files::write(&dir.join("uboot.txt"), text(UBOOT_TEXT))?;
    files::write(&dir.join("nothing"), "Not a kernel: see README.md.\n")?;
    files::write(&dir.join("manifest.txt"), manifest)?;
    files::write(&dir.join(README), text(README_TEXT))
}

/// The folder as an archive beside it, under its own name.
fn pack(dir: &Path) -> Result<()> {
    let name = dir.file_name().context("the folder has no name")?;
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut archive = name.to_owned();
    archive.push(".tar");
    let archive = parent.map_or_else(|| PathBuf::from(&archive), |parent| parent.join(&archive));
    command::output(
        command::clean("tar")
            .args([
                "--sort=name",
                "--owner=0",
                "--group=0",
                "--numeric-owner",
                "-cf",
            ])
            .arg(&archive)
            .arg("-C")
            .arg(parent.unwrap_or_else(|| Path::new(".")))
            .arg(name),
    )?;
    Ok(())
}
