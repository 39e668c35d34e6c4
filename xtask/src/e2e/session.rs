// SPDX-License-Identifier: GPL-2.0-only
//! One boot that goes through several scenarios.

use anyhow::Result;

use super::scenario::{Result1, Scenario};
use super::{dom0less, images};
use crate::base::cli::{BuildArgs, Extra, P2m};
use crate::base::command;
use crate::base::lock;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::boot::dom0::console::{Console, StepRun};
use crate::boot::qemu::{self, Ended, Limits, Machine};
use crate::boot::report;
use crate::boot::smmu::Owner;
use crate::boot::{self, cpu};
use crate::host::emulator::Emulator;
use crate::host::{libxen, programs};
use crate::xen;

/// What brings Xen's tools up; every boot begins with it.
const TOOLSTACK: &str = "toolstack";

/// How many of the log's last lines are shown when something failed.
const TAIL: usize = 20;

/// What is booted, and how.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Its name: for the table and for the folder of its logs.
    pub(super) name: &'static str,
    /// What dom0 goes through.
    pub(super) scenarios: Vec<Scenario>,
    /// With Xen's debug checks?
    pub(super) debug: bool,
    /// What Xen has besides.
    pub(super) extra: Option<Extra>,
    /// There is a device behind an SMMU, for this one.
    behind_smmu: Option<Owner>,
    /// More for Xen's command line.
    xen_arguments: &'static str,
    /// dom0 has the monitor of `xtask/guests/monitor`.
    monitor: bool,
    /// How many guests in a row, and at how many moments one is destroyed early.
    guests: u32,
    moments: u32,
    /// How many rounds of what needs many.
    rounds: u32,
    /// What is drawn is drawn from this; otherwise from the time.
    seed: Option<u32>,
    /// Limits in seconds: of the whole, of silence, of one scenario.
    limits: (u64, u64, u64),
}

impl Plan {
    /// Everything that dom0 does with its tools, on the hypervisor as it is shipped.
    pub(super) fn tools(scenarios: Vec<Scenario>) -> Self {
        Self {
            name: "tools",
            scenarios,
            debug: false,
            extra: None,
            behind_smmu: None,
            xen_arguments: "",
            monitor: false,
            guests: 100,
            moments: 12,
            rounds: 0,
            seed: None,
            limits: (3600, 300, 900),
        }
    }

    /// The seed's scenario, with Xen's lock checks. dom0 has one of the two CPUs, so that the one who
    /// changes the tables and the ones who read them never wait for each other's turn to run.
    pub(super) fn seed(scenarios: Vec<Scenario>) -> Self {
        Self {
            name: "seed",
            scenarios,
            debug: true,
            extra: None,
            behind_smmu: None,
            xen_arguments: "dom0_max_vcpus=1",
            monitor: false,
            guests: 0,
            moments: 0,
            rounds: 0,
            seed: None,
            limits: (1200, 120, 900),
        }
    }

    /// The quick part of [`Plan::tools`].
    pub(super) fn short(scenarios: Vec<Scenario>) -> Self {
        Self {
            name: "short",
            monitor: true,
            guests: 4,
            moments: 4,
            ..Self::tools(scenarios)
        }
    }

    /// A monitor of our own, against libxenctrl.
    pub(super) fn monitor(scenarios: Vec<Scenario>) -> Self {
        Self {
            name: "monitor",
            monitor: true,
            limits: (3600, 300, 900),
            ..Self::tools(scenarios)
        }
    }

    /// Views of a guest's memory, with Xen's debug checks. Only the Rust has them.
    pub(super) fn views(scenarios: Vec<Scenario>) -> Self {
        Self {
            name: "views",
            debug: true,
            extra: Some(Extra::Views),
            rounds: 1000,
            ..Self::monitor(scenarios)
        }
    }

    /// What a run before has drawn, again.
    pub(super) fn with_seed(self, seed: Option<u32>) -> Self {
        Self { seed, ..self }
    }

    /// The quick part of [`Plan::views`], on the hypervisor as it is shipped.
    pub(super) fn short_views(scenarios: Vec<Scenario>) -> Self {
        Self {
            name: "short-views",
            debug: false,
            rounds: 40,
            ..Self::views(scenarios)
        }
    }

    /// A device behind an SMMU that shares the tables of guests.
    pub(super) fn smmu(scenarios: Vec<Scenario>) -> Self {
        Self {
            name: "smmu",
            extra: Some(Extra::Smmu),
            behind_smmu: Some(Owner::Guest),
            ..Self::monitor(scenarios)
        }
    }

    /// The same, of dom0.
    pub(super) fn smmu_of_dom0(scenarios: Vec<Scenario>) -> Self {
        Self {
            name: "smmu-dom0",
            extra: Some(Extra::Smmu),
            behind_smmu: Some(Owner::Dom0),
            ..Self::monitor(scenarios)
        }
    }

    /// Guests that Xen makes itself, of static memory.
    pub(super) fn dom0less(scenarios: Vec<Scenario>) -> Self {
        Self {
            name: "dom0less",
            extra: Some(Extra::StaticMemory),
            ..Self::tools(scenarios)
        }
    }
}

/// What came of a boot.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// The steps dom0 went through.
    pub(super) steps: Vec<StepRun>,
    /// How it ended, as it should or not.
    pub(super) end: Result<String, String>,
    /// How QEMU ended.
    pub(super) ended: Ended,
}

impl Session {
    /// The scenario's result.
    pub(super) fn of(&self, scenario: &Scenario) -> Result1 {
        self.steps
            .iter()
            .find(|step| step.name == scenario.name)
            .ok_or_else(|| "was not reached".to_owned())
            .and_then(|run| (scenario.judge)(run).map_err(|wrong| run.with_xens_words(wrong)))
    }
}

/// Builds what is needed, boots it, and reads what it said.
pub(super) fn run(paths: &Paths, progress: Progress, plan: &Plan, p2m: P2m) -> Result<Session> {
    let build = BuildArgs {
        debug: plan.debug,
        extra: plan.extra,
        ..BuildArgs::of(p2m)
    };
    let (machine, dir) = lock::alone(paths, progress, || {
        let xen = xen::build::build(paths, progress, &build)?;
        let dir = paths.run(&format!("e2e-{}-{}", plan.name, xen.name));
        progress.say(&format!("Compilers of {}: {}", xen.name, xen.compilers()?));
        let base = boot::images::prepare(paths, progress, &xen)?;
        let kernel = boot::images::kernel(paths, progress, xen.release)?;
        let guest = programs::guest(paths, &xen.tree, &dir)?;
        let monitor = if plan.monitor {
            let suite = xen::release::debian_suite(xen.release)?;
            let tree = libxen::fetch(paths, progress, suite)?;
            Some(libxen::monitor(paths, &tree, &dir)?)
        } else {
            None
        };
        let images = images::extend(paths, &base, &kernel, &guest, monitor.as_deref(), &dir)?;
        let mut steps = vec![TOOLSTACK.to_owned()];
        steps.extend(plan.scenarios.iter().map(|s| s.name.to_owned()));
        let mut machine = Machine {
            xen_arguments: plan.xen_arguments.to_owned(),
            dom0_arguments: format!(
                "xtask.limit={} xtask.guests={} xtask.moments={} xtask.rounds={}{}",
                plan.limits.2,
                plan.guests,
                plan.moments,
                plan.rounds,
                plan.seed
                    .map_or(String::new(), |seed| format!(" xtask.seed={seed}"))
            ),
            steps,
            ..Machine::plain(cpu::argument("max")?, 2, &xen, images)
        };
        if let Some(owner) = plan.behind_smmu {
            machine.smmu = Some(Emulator::with_smmu(paths, progress)?);
            machine.devices = owner.devices(paths, &machine, &dir)?;
        }
        if plan.extra == Some(Extra::StaticMemory) {
            machine.devices = dom0less::devices(paths, &machine, &guest, &dir)?;
        }
        Ok((machine, dir))
    })?;
    let log = dir.join("console.log");
    let ended = lock::booting(&dir, || {
        let limits = Limits::new(Some(plan.limits.0), plan.debug).with_silence(plan.limits.1);
        let task = progress.start(format!("End to end, {} with the {p2m} p2m", plan.name));
        qemu::run(&machine, &log, limits, task)
    })?;
    let console = Console::read(&log)?;
    let end = end(&console, &ended, p2m);
    if end.is_err() && plan.extra != Some(Extra::OldLocking) {
        progress.say(&format!(
            "The boot failed ({ended}); the console's log is {} and ends with\n{}",
            log.display(),
            command::tail(&log, TAIL)
        ));
        ended.cpus().iter().for_each(|cpu| progress.say(cpu));
    }
    Ok(Session {
        steps: console.steps(),
        end,
        ended,
    })
}

/// Was it the p2m that was asked for, did dom0 come to its end, and nothing crash?
fn end(console: &Console, ended: &Ended, asked: P2m) -> Result<String, String> {
    if let Some(line) = console.alarm() {
        return Err(line.to_owned());
    }
    report::linked(console, asked)?;
    match ended {
        Ended::ByItself { success: true } if console.find("@@all-done").is_some() => {
            Ok("no crash, powered off".to_owned())
        }
        other => Err(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::end;
    use crate::base::cli::P2m;
    use crate::boot::dom0::console::Console;
    use crate::boot::qemu::Ended;

    const C: &str = "(XEN) Xen version 4.20.4-pre (u@) (gcc 12.2.0) debug=n 2026\n";
    const OFF: Ended = Ended::ByItself { success: true };

    /// The end of a boot that was asked for with this p2m and printed that after the banner.
    fn ended(printed: &str, how: &Ended, asked: P2m) -> Result<String, String> {
        end(&Console::parse(&format!("{C}{printed}")), how, asked)
    }

    #[test]
    fn only_dom0_ends_it() {
        assert!(ended("@@all-done\n", &OFF, P2m::C).is_ok());
        assert!(ended("", &OFF, P2m::C).is_err());
        let silence = Ended::Silence(5, Vec::new());
        assert!(ended("@@all-done\n", &silence, P2m::C).is_err());
        for bad in ["Xen BUG at x.c:1", "Xen WARN at x.c:1"] {
            let printed = format!("(XEN) {bad}\n@@all-done\n");
            assert!(ended(&printed, &OFF, P2m::C).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_boot_of_the_other_p2m_does_not_end_well() {
        let rust = "(XEN) p2m: Rust implementation (libxen_p2m 0.1.0)\n@@all-done\n";
        assert!(ended(rust, &OFF, P2m::Rust).is_ok());
        assert!(ended(rust, &OFF, P2m::C).is_err());
        assert!(ended("@@all-done\n", &OFF, P2m::Rust).is_err());
    }
}
