// SPDX-License-Identifier: GPL-2.0-only
//! Running the benchmark of a built Xen under QEMU.

use std::path::Path;

use anyhow::{bail, Context, Result};

use super::counts::{self, Counted};
use super::plugin::Plugin;
use crate::base::command;
use crate::base::files;
use crate::base::progress::Progress;
use crate::boot::alone::Alone;
use crate::boot::dom0::console::Console;
use crate::boot::qemu::{Ended, Limits, Running};
use crate::host::tools::QEMU;
use crate::xen::build::BuiltXen;

/// Enough for a block of 1 GiB next to one of 256 MiB.
const MEMORY_MIB: u32 = 8192;

/// Long enough on a slow machine.
const LIMIT: u64 = 1800;

/// What is counted, and on what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    /// QEMU's `-cpu`.
    pub(super) cpu: &'a str,
    /// `all`, or a part of the rows' names.
    pub(super) rows: &'a str,
    /// Who counts; none: only the clock.
    pub(super) plugin: Option<&'a Plugin>,
}

/// Runs it, with the console and the counts going to files in `dir`.
pub(super) fn run(
    progress: Progress,
    xen: &BuiltXen,
    request: Request<'_>,
    dir: &Path,
) -> Result<Vec<Counted>> {
    let log = dir.join(format!("{}.log", xen.p2m));
    let out = dir.join(format!("{}.tsv", xen.p2m));
    files::write(&log, "")?;
    let mut qemu = command::bound(QEMU);
    qemu.args(["-icount", "shift=0"]);
    let alone = Alone {
        xen,
        cpu: request.cpu,
        smp: 1,
        memory_mib: MEMORY_MIB,
        board: "",
        arguments: &format!("bootscrub=0 p2m-bench={}", request.rows),
    };
    alone.add_to(&mut qemu, &log);
    if let Some(plugin) = request.plugin {
        qemu.arg("-plugin").arg(plugin.argument(xen, &out, true)?);
    }
    let mut task = progress.start(format!("Counting in {}", xen.name));
    let limits = Limits::new(Some(LIMIT), false);
    let ended = Running::start(&mut qemu)?.watch(&log, limits, &mut task, Vec::new)?;
    task.done();
    if ended != (Ended::ByItself { success: true }) {
        bail!("{}: {ended}; see {}", xen.name, log.display());
    }
    let console = Console::read(&log)?;
    let counted = match request.plugin {
        None => None,
        Some(_) => Some(files::read_text(&out)?),
    };
    counts::rows(&console, counted.as_deref())
        .with_context(|| format!("the benchmark of {}, see {}", xen.name, log.display()))
}
