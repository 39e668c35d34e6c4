// SPDX-License-Identifier: GPL-2.0-only
//! The plugin that counts: compiled for this machine, told where Xen is.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::base::command;
use crate::base::files;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::version::Version;
use crate::boot::qemu::commas;
use crate::host::tools::QEMU;
use crate::xen::build::BuiltXen;
use crate::xen::image;

const SOURCE: &str = include_str!("../../assets/bench/count.c");

/// From this release on, QEMU wants plugins for another interface.
const INTERFACE_CHANGED: Version = Version::new(9, 0);

/// The plugin.
#[derive(Clone, Debug)]
pub(super) struct Plugin(PathBuf);

/// The emulator's release.
pub(super) fn qemu() -> Result<Version> {
    let printed = command::output(command::clean(QEMU).arg("--version"))?;
    Version::find_in(&printed).with_context(|| format!("{QEMU} does not tell its version"))
}

impl Plugin {
    /// Compiles it; none when this QEMU has another interface.
    pub(super) fn build(paths: &Paths, progress: Progress) -> Result<Option<Self>> {
        let release = qemu()?;
        if release >= INTERFACE_CHANGED {
            progress.say(&format!(
                "QEMU {release} wants plugins for another interface than count.c has (that of \
                 QEMU 6.0 to 8.2): only instructions and table pages are counted, with -icount"
            ));
            return Ok(None);
        }
        let dir = paths.target().join("bench");
        files::create_dir(&dir)?;
        let source = dir.join("count.c");
        let library = dir.join("count.so");
        files::write(&source, SOURCE)?;
        command::logged(
            command::bound("gcc")
                .args(["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o"])
                .arg(&library)
                .arg(&source),
            &paths.log("bench-plugin"),
        )?;
        Ok(Some(Self(library)))
    }

    /// QEMU's argument, for this Xen, with the counts going to `out`. Whether Xen looks for
    /// preemption is only watched when `checks`: it makes all of Xen slower.
    pub(super) fn argument(&self, xen: &BuiltXen, out: &Path, checks: bool) -> Result<String> {
        let syms = xen.syms();
        let symbols = image::symbols(&syms)?;
        let address = |name: &str| {
            symbols
                .iter()
                .find(|symbol| symbol.name == name)
                .and_then(|symbol| symbol.address)
                .with_context(|| format!("{} has no symbol {name}", syms.display()))
        };
        let softirq = if checks {
            format!(",softirq={:#x}", address("irq_stat")?)
        } else {
            String::new()
        };
        Ok(format!(
            "{},out={},from={:#x},to={:#x}{softirq}",
            commas(&self.0),
            commas(out),
            address("_start")?,
            address("_end")?
        ))
    }
}
