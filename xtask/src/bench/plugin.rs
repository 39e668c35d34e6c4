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

/// The first includes the others.
const SOURCES: [(&str, &str); 3] = [
    ("count.c", include_str!("../../assets/bench/count.c")),
    ("kinds.h", include_str!("../../assets/bench/kinds.h")),
    ("qemu.h", include_str!("../../assets/bench/qemu.h")),
];

/// From this release on, QEMU wants plugins for another interface.
const INTERFACE_CHANGED: Version = Version::new(9, 0);

/// What the plugin is told where it watches memory, and the symbols that say it: the word that
/// a preemption check reads, this CPU's variables, and the code that is only there for the
/// boot, of which the benchmark is a part.
const WATCHED: [(&str, &str); 5] = [
    ("softirq", "irq_stat"),
    ("percpu", "__per_cpu_start"),
    ("percpu_end", "__per_cpu_data_end"),
    ("callers", "_sinittext"),
    ("callers_end", "_einittext"),
];

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
        for (name, source) in SOURCES {
            files::write(&dir.join(name), source)?;
        }
        let library = dir.join("count.so");
        command::logged(
            command::bound("gcc")
                .args(["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o"])
                .arg(&library)
                .arg(dir.join("count.c")),
            &paths.log("bench-plugin"),
        )?;
        Ok(Some(Self(library)))
    }

    /// QEMU's argument, for this Xen, with the counts going to `out`. What Xen reads and writes
    /// is only watched when `memory`: it makes all of Xen slower.
    pub(super) fn argument(&self, xen: &BuiltXen, out: &Path, memory: bool) -> Result<String> {
        let syms = xen.syms();
        let symbols = image::symbols(&syms)?;
        let address = |name: &str| {
            symbols
                .iter()
                .find(|symbol| symbol.name == name)
                .and_then(|symbol| symbol.address)
                .with_context(|| format!("{} has no symbol {name}", syms.display()))
        };
        let mut known = vec![("from", "_start"), ("to", "_end")];
        if memory {
            known.extend(WATCHED);
        }
        let mut argument = format!("{},out={}", commas(&self.0), commas(out));
        for (name, symbol) in known {
            let address = address(symbol)?;
            argument.push_str(&format!(",{name}={address:#x}"));
        }
        Ok(argument)
    }
}
