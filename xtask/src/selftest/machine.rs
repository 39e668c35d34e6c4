// SPDX-License-Identifier: GPL-2.0-only
//! Running the self-test of a built Xen under QEMU.

use std::path::Path;

use anyhow::{bail, Context, Result};

use super::log::Run;
use crate::base::cli::{BuildArgs, DiffArgs, Extra, P2m};
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::boot::alone::Alone;
use crate::boot::cpu;
use crate::boot::dom0::console::Console;
use crate::boot::hole;
use crate::boot::qemu::{Ended, Limits, Running};
use crate::host::emulator::{Emulator, SMMU_BOARD, SMMU_STAGE_2};
use crate::xen::build::{self, BuiltXen};

/// Enough for a 1 GiB block of the machine's own memory.
const MEMORY_MIB: u32 = 4096;

/// What the self-test is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// Where its random numbers begin.
    pub(super) seed: u64,
    /// How many operations.
    pub(super) ops: u64,
    /// What they are for.
    pub(super) purpose: Purpose,
    /// What is done with views of the domain's memory besides.
    pub(super) views: Views,
    /// The operations to print one by one.
    pub(super) window: Option<(u64, u64)>,
}

/// What is done with views of the domain's memory (altp2m).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Views {
    /// Nothing, and Xen need not know of them.
    No,
    /// Nothing but what their faults do to the host p2m.
    OnlyFaults,
    /// All kinds of operations.
    Yes,
}

/// What the self-test is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Operations one after the other, to be compared.
    Compare,
    /// From all CPUs at once.
    Stress,
    /// A mistake, to see how it is reported.
    Crash,
}

/// The machine to run it on.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    /// QEMU's `-cpu`.
    pub(super) cpu: String,
    /// Number of processors.
    pub(super) smp: u32,
    /// An SMMU that shares the tables with the CPUs.
    pub(super) smmu: bool,
    /// RAM with a hole.
    pub(super) hole: bool,
    /// QEMU.
    pub(super) emulator: Emulator,
}

impl Machine {
    /// One without an SMMU and without a hole, with this Debian's QEMU. `cpu` is what the user calls
    /// the processor.
    pub(super) fn plain(cpu: &str, smp: u32) -> Result<Self> {
        Ok(Self {
            cpu: cpu::argument(cpu)?,
            smp,
            smmu: false,
            hole: false,
            emulator: Emulator::own()?,
        })
    }
}

impl Request {
    /// For Xen's command line.
    fn parameter(self) -> String {
        let kind = match self.purpose {
            Purpose::Compare => "ops",
            Purpose::Stress => "stress",
            Purpose::Crash => "crash",
        };
        let views = match self.views {
            Views::No => "",
            Views::OnlyFaults => ",views=1",
            Views::Yes => ",views=2",
        };
        let base = format!("p2m-selftest=seed={},{kind}={}{views}", self.seed, self.ops);
        match self.window {
            None => base,
            Some((from, to)) => format!("{base},print-from={from},print-to={to}"),
        }
    }
}

/// Runs it, with the console going to a file in `dir`.
pub(super) fn run(
    progress: Progress,
    xen: &BuiltXen,
    machine: &Machine,
    request: Request,
    dir: &Path,
) -> Result<Run> {
    let log = dir.join(format!("{}.log", xen.p2m));
    std::fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut qemu = machine.emulator.command();
    if machine.smmu {
        qemu.args(SMMU_STAGE_2);
    }
    let alone = Alone {
        xen,
        cpu: &machine.cpu,
        smp: machine.smp,
        memory_mib: MEMORY_MIB,
        board: if machine.smmu { SMMU_BOARD } else { "" },
        arguments: &request.parameter(),
    };
    if machine.hole {
        hole::add_to(alone, &mut qemu, &log, dir)?;
    } else {
        alone.add_to(&mut qemu, &log);
    }
    let mut task = progress.start(format!(
        "{} of {} on {}, {} CPUs",
        match request.purpose {
            Purpose::Compare => "Self-test",
            Purpose::Stress => "Stress",
            Purpose::Crash => "Crash",
        },
        xen.name,
        machine.cpu,
        machine.smp
    ));
    let seconds = 120 + request.ops / 100;
    let limits = Limits::new(Some(seconds), xen.debug);
    let ended = Running::start(&mut qemu)?.watch(&log, limits, &mut task, Vec::new)?;
    task.done();
    match ended {
        Ended::ByItself { success: true } | Ended::Crash(_) => Ok(Run::of(&Console::read(&log)?)),
        other => bail!("{}: {other}; see {}", xen.name, log.display()),
    }
}

/// Builds the Xen that runs there.
pub(super) fn built(
    paths: &Paths,
    progress: Progress,
    args: &DiffArgs,
    p2m: P2m,
    debug: bool,
) -> Result<BuiltXen> {
    let extra = if args.views {
        Extra::SelftestViews
    } else {
        Extra::Selftest
    };
    let args = BuildArgs {
        debug,
        source: args.source.clone(),
        extra: Some(extra),
        ..BuildArgs::of(p2m)
    };
    build::build(paths, progress, &args)
}

#[cfg(test)]
mod tests {
    use super::{Purpose, Request, Views};

    #[test]
    fn parameter_for_xen() {
        let mut request = Request {
            seed: 7,
            ops: 5,
            purpose: Purpose::Compare,
            views: Views::No,
            window: None,
        };
        assert_eq!(request.parameter(), "p2m-selftest=seed=7,ops=5");
        request.purpose = Purpose::Stress;
        assert_eq!(request.parameter(), "p2m-selftest=seed=7,stress=5");
        request.purpose = Purpose::Crash;
        assert_eq!(request.parameter(), "p2m-selftest=seed=7,crash=5");
        request.purpose = Purpose::Compare;
        request.window = Some((1, 2));
        assert_eq!(
            request.parameter(),
            "p2m-selftest=seed=7,ops=5,print-from=1,print-to=2"
        );
        request.views = Views::Yes;
        request.window = None;
        assert_eq!(request.parameter(), "p2m-selftest=seed=7,ops=5,views=2");
    }
}
