// SPDX-License-Identifier: GPL-2.0-only
//! A boot of a Xen for whose release no Debian has the tools: dom0 comes up and runs none, and beside it are two
//! guests that Xen makes itself, or dom0 is alone with a disk behind an SMMU. With a Xen that has views, a program of
//! ours makes a guest with views. dom0's kernel and busybox are those of the default release's Debian.

use std::path::Path;

use anyhow::Result;

use super::dom0::console::{Console, StepRun};
use super::dom0::dma;
use super::dom0::steps::{memory_back, Step};
use super::images;
use super::qemu::Machine;
use super::smmu::Owner;
use super::{cpu, dom0less};
use crate::base::cli::BootArgs;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::table::Row;
use crate::host::emulator::Emulator;
use crate::host::programs;
use crate::xen::build::BuiltXen;
use crate::xen::release;

/// The guests' nodes.
const NODES: &str = include_str!("../../assets/no-tools/dom0less.dts");

/// How often a guest must have counted.
const TICKS: usize = 3;

/// All that dom0 does.
pub(super) fn steps(args: &BootArgs, xen: &BuiltXen) -> Vec<Step> {
    let dma = if args.smmu { dma::STEPS } else { &[] };
    let views = if makes_views(args, xen) { VIEWS } else { &[] };
    [STEPS, dma, views].concat()
}

fn makes_views(args: &BootArgs, xen: &BuiltXen) -> bool {
    xen.views && !args.smmu
}

const STEPS: &[Step] = &[Step {
    name: "up",
    title: "dom0 stays up",
    script: include_str!("../../assets/no-tools/up"),
    counts: true,
    check: stays_up,
}];

const VIEWS: &[Step] = &[Step {
    name: "views",
    title: "a guest with views",
    script: include_str!("../../assets/no-tools/views"),
    counts: true,
    check: has_views,
}];

/// What is booted, made in `dir`.
pub(super) fn machine(
    paths: &Paths,
    progress: Progress,
    args: &BootArgs,
    xen: &BuiltXen,
    steps: &[Step],
    dir: &Path,
) -> Result<Machine> {
    let mut more = Vec::new();
    if makes_views(args, xen) {
        let kernel = images::kernel(paths, progress, release::DEFAULT)?;
        more.push(kernel.module(paths, dma::PRIVCMD, dir)?);
        more.push(programs::probe(paths, &xen.tree, dir)?);
        more.push(programs::create(paths, &xen.tree, dir)?);
    }
    if args.smmu {
        let kernel = images::kernel(paths, progress, release::DEFAULT)?;
        for module in dma::MODULES {
            more.push(kernel.module(paths, module, dir)?);
        }
        more.push(programs::probe(paths, &xen.tree, dir)?);
    }
    let images = images::without_tools(paths, progress, steps, &more)?;
    let mut machine = Machine {
        steps: steps.iter().map(|step| step.name.to_owned()).collect(),
        ..Machine::plain(cpu::argument(&args.cpu)?, args.smp, xen, images)
    };
    if args.smmu {
        // Alone: guests that count take the time that an emulated disk needs.
        machine.smmu = Some(Emulator::with_smmu(paths, progress)?);
        machine.devices = Owner::dom0(xen.release).0.devices(paths, &machine, dir)?;
    } else {
        let guest = programs::guest(paths, &xen.tree, dir)?;
        machine.devices = dom0less::devices(paths, &machine, &guest, NODES, dir)?;
    }
    Ok(machine)
}

/// A row for each guest.
pub(super) fn rows(console: &Console) -> Vec<Row> {
    (1..=2)
        .map(|me| Row::of(&format!("dom0less guest {me} ticks"), ticks(console, me)))
        .collect()
}

fn ticks(console: &Console, me: u32) -> Result<String, String> {
    let words = format!("tick: {me} counts ");
    let ticks: Vec<u64> = console
        .lines
        .iter()
        .filter_map(|line| line.split_once(&words)?.1.trim().parse().ok())
        .collect();
    let rising = ticks.iter().zip(ticks.iter().skip(1)).all(|(a, b)| a < b);
    match (ticks.first(), ticks.last()) {
        (Some(first), Some(last)) if rising && ticks.len() >= TICKS => {
            Ok(format!("counts from {first} to {last}"))
        }
        _ => Err(format!("not {TICKS} rising ticks: {ticks:?}")),
    }
}

fn stays_up(run: &StepRun) -> Result<String, String> {
    let seconds = run.number("seconds")?;
    match run.rc {
        Some(0) if seconds >= 15 => Ok(format!("runs no tools; {seconds} s")),
        Some(0) => Err(format!("slept 15 s in {seconds} s")),
        rc => Err(format!("its script did not come to its end: {rc:?}")),
    }
}

/// The program stops at what is otherwise than it must be.
fn has_views(run: &StepRun) -> Result<String, String> {
    if run.rc != Some(0) {
        let last = run.lines.last().map_or("", |line| line.trim());
        return Err(format!("it stopped at {last}"));
    }
    let (refused, mode, views) = (
        run.number("refused")?,
        run.number("mode")?,
        run.number("views")?,
    );
    if mode != EXTERNAL || refused < 3 || views < 3 {
        return Err(format!(
            "mode {mode}, {views} views, {refused} domains refused"
        ));
    }
    let pages = memory_back(run)?;
    Ok(format!(
        "counts in {views} views; {refused} domains refused; {pages}"
    ))
}

/// `XEN_ALTP2M_external`.
const EXTERNAL: u64 = 2;

#[cfg(test)]
mod tests {
    use super::{has_views, rows, stays_up, NODES};
    use crate::base::table::Status;
    use crate::boot::dom0::console::{Console, StepRun};
    use crate::boot::dom0less::images_are_there;

    #[test]
    fn the_images_are_where_the_nodes_say() {
        assert!(images_are_there(NODES));
    }

    #[test]
    fn each_guest_must_count() {
        let of = |text: &str| -> Vec<bool> {
            let rows = rows(&Console::parse(text));
            rows.iter().map(|row| row.status == Status::Pass).collect()
        };
        let one = "tick: 1 counts 1\n(XEN) x\n(d1) tick: 1 counts 2\ntick: 1 counts 3\n";
        assert_eq!(of(""), [false, false]);
        assert_eq!(of(one), [true, false]);
        assert_eq!(
            of(&format!("{one}{}", one.replace("tick: 1", "tick: 2"))),
            [true, true]
        );
        assert_eq!(of(&one.replace("counts 3", "counts 2")), [false, false]);
    }

    #[test]
    fn dom0_must_come_to_its_end_with_its_clock_going() {
        let run = |rc, seconds: &str| StepRun {
            rc,
            values: [("seconds".to_owned(), seconds.to_owned())].into(),
            ..StepRun::default()
        };
        assert!(stays_up(&run(Some(0), "15")).is_ok());
        assert!(stays_up(&run(Some(0), "3")).is_err());
        assert!(stays_up(&run(None, "15")).is_err());
        assert!(stays_up(&StepRun::default()).is_err());
    }
    #[test]
    fn a_guest_with_views_must_come_to_its_end_and_give_its_memory_back() {
        let judged = |rc, text: &str| {
            let pairs = text.split(' ').filter_map(|pair| pair.split_once('='));
            let run = StepRun {
                rc: Some(rc),
                values: pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
                ..StepRun::default()
            };
            has_views(&run)
        };
        let good = "refused=7 mode=2 views=3 pages_before=90 pages_after=90";
        assert!(judged(0, good).is_ok_and(|text| text.contains("3 views")));
        assert!(judged(1, good).is_err());
        for (from, to) in [
            ("refused=7", "refused=2"),
            ("mode=2", "mode=1"),
            ("views=3", "views=1"),
            ("views=3 ", ""),
            ("after=90", "after=80"),
        ] {
            assert!(judged(0, &good.replace(from, to)).is_err(), "{to}");
        }
    }
}
