// SPDX-License-Identifier: GPL-2.0-only
//! Booting a built Xen under QEMU and judging what its console printed.
//!
//! `images` makes what is booted, `qemu` runs it (`alone` has Xen without a dom0, `hang` says where it got stuck),
//! `dom0::console` reads the log, `dom0::steps` lists what dom0 does and how each is judged, `report` judges the rest, `smmu` has a
//! device for dom0 or a guest.

pub(crate) mod alone;
pub(crate) mod cpio;
pub(crate) mod cpu;
pub(crate) mod dom0;
pub(crate) mod dom0less;
mod hang;
pub(crate) mod hole;
pub(crate) mod images;
mod no_tools;
pub(crate) mod qemu;
pub(crate) mod report;
pub(crate) mod smmu;

use anyhow::Result;

use crate::base::cli::{BootArgs, Extra, P2m};
use crate::base::lock;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::table::Row;
use crate::host::tools::{self, Use};
use crate::xen::{self, build::BuiltXen, release};

use dom0::console::Console;
use dom0::steps::{self, Step};

/// How a boot went.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What was booted, for the table's title.
    pub(crate) title: String,
    /// A row for each thing that had to happen; empty after an interactive boot.
    pub(crate) rows: Vec<Row>,
}

/// Builds what is needed, boots it, and judges it.
pub(crate) fn boot(paths: &Paths, progress: Progress, args: &BootArgs) -> Result<Outcome> {
    let mut uses = Use::build(args.build.p2m);
    uses.push(Use::Boot);
    tools::require(paths, progress, &uses)?;
    cpu::argument(&args.cpu)?;
    let mut build = args.build.clone();
    if args.smmu {
        let release = xen::source::Chosen::by(&build.source)?.release();
        build.extra = Some(smmu::Owner::dom0(release).1);
    } else if build.p2m == P2m::Rust && build.extra.is_none() {
        build.extra = Some(Extra::Dump);
    }
    let xen = lock::alone(paths, progress, || {
        xen::build::build(paths, progress, &build)
    })?;
    built(paths, progress, args, &xen, steps::ALL)
}

/// Boots a Xen that was built, and judges it by what these steps print.
pub(crate) fn built(
    paths: &Paths,
    progress: Progress,
    args: &BootArgs,
    xen: &BuiltXen,
    steps: &[Step],
) -> Result<Outcome> {
    let dir = paths.run(&format!("{}-{}-smp{}", xen.name, args.cpu, args.smp));
    let tools = release::has_tools(xen.release) && !args.smmu;
    let steps = if tools {
        steps.to_vec()
    } else {
        no_tools::steps(args, xen)
    };
    let steps: Vec<Step> = steps
        .into_iter()
        .filter(|step| xen.dumps || !step.is_dump())
        .map(|step| step.on(xen.release))
        .collect();
    let machine = lock::alone(paths, progress, || {
        if !tools {
            return no_tools::machine(paths, progress, args, xen, &steps, &dir);
        }
        let images = images::prepare(paths, progress, xen)?;
        Ok(qemu::Machine {
            steps: steps.iter().map(|step| step.name.to_owned()).collect(),
            ..qemu::Machine::plain(cpu::argument(&args.cpu)?, args.smp, xen, images)
        })
    })?;
    let title = format!("Xen {}, {} p2m, {}", xen.release, xen.p2m, args.cpu);
    let rows = lock::booting(&dir, || {
        if args.interactive {
            qemu::interactive(&machine)?;
            return Ok(Vec::new());
        }
        let limits = qemu::Limits::new(args.timeout, xen.debug);
        let log = dir.join("console.log");
        let task = progress.start(format!("Booting {title}"));
        let ended = qemu::run(&machine, &log, limits, task)?;
        let mut rows = vec![Row::info("compilers", xen.compilers()?)];
        let console = Console::read(&log)?;
        rows.extend(report::rows(&console, &ended, xen.p2m, xen.debug, &steps));
        if steps.iter().any(Step::is_dump) {
            rows.push(dom0::dump::kept(&console, &dir)?);
        }
        if !tools && !args.smmu {
            rows.extend(no_tools::rows(&console));
        }
        report::explain_failure(progress, &rows, &ended, &log);
        Ok(rows)
    })?;
    Ok(Outcome { title, rows })
}
