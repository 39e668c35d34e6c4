// SPDX-License-Identifier: GPL-2.0-only
//! What a dom0 without Xen's tools does with a disk behind an SMMU that shares its tables.

use super::console::StepRun;
use super::steps::Step;

/// In the order in which they run.
pub(crate) const STEPS: &[Step] = &[
    Step {
        name: "dma-io",
        title: "DMA of dom0's disk",
        script: include_str!("../../../assets/smmu/dma-io"),
        counts: true,
        check: io,
    },
    Step {
        name: "dma-hole",
        title: "DMA to a page without mapping",
        script: include_str!("../../../assets/smmu/dma-hole"),
        counts: true,
        check: hole,
    },
    Step {
        name: "dma-balloon",
        title: "DMA while dom0 balloons",
        script: include_str!("../../../assets/smmu/dma-balloon"),
        counts: true,
        check: balloon,
    },
];

/// The module by which programs make hypercalls.
pub(crate) const PRIVCMD: &str = "kernel/drivers/xen/xen-privcmd";

/// The kernel's modules that these need, in the order in which they must be loaded.
pub(crate) const MODULES: [&str; 4] = [
    PRIVCMD,
    "kernel/drivers/nvme/common/nvme-auth",
    "kernel/drivers/nvme/host/nvme-core",
    "kernel/drivers/nvme/host/nvme",
];

/// Faults that Xen told of meanwhile, where nothing is mapped or a permission lacks.
fn faults(run: &StepRun) -> u64 {
    let is_fault = |line: &&String| {
        ["event 0x10 received", "event 0x13 received"]
            .iter()
            .any(|fault| line.contains(fault))
    };
    run.lines.iter().filter(is_fault).count() as u64
}

fn ended(run: &StepRun) -> Result<(), String> {
    match run.rc {
        Some(0) => Ok(()),
        _ => Err(format!(
            "its script failed: {}",
            run.lines.last().map_or("", String::as_str)
        )),
    }
}

fn io(run: &StepRun) -> Result<String, String> {
    ended(run)?;
    match (run.number("wrong")?, faults(run)) {
        (0, 0) => Ok("32 MiB written and read, no fault".to_owned()),
        (wrong, faults) => Err(format!("{wrong} blocks are wrong, {faults} faults")),
    }
}

/// Without translation the device would write there all the same.
fn hole(run: &StepRun) -> Result<String, String> {
    ended(run)?;
    if run.number("lands_before")? != 1 || run.number("lands_after")? != 1 {
        return Err("the device does not write to a page that is mapped".to_owned());
    }
    if run.number("reached")? != 0 {
        return Err("the device wrote to a page that was not mapped".to_owned());
    }
    match faults(run) {
        0 => Err("Xen tells of no fault".to_owned()),
        faults => Ok(format!("not reached, Xen tells of {faults} faults")),
    }
}

/// A write beside a block that is split may be lost (break-before-make), and Xen tells of it; but never
/// without that.
fn balloon(run: &StepRun) -> Result<String, String> {
    ended(run)?;
    let (given, back) = (run.number("given_kb")?, run.number("back_kb")?);
    if given == 0 || back != 0 {
        return Err(format!("{given} KiB given up, {back} of them not back"));
    }
    let (wrong, faults) = (run.number("wrong")?, faults(run));
    if wrong > faults {
        return Err(format!("{wrong} blocks are wrong, with {faults} faults"));
    }
    Ok(format!(
        "{} MiB given up and back, {} times; {faults} faults",
        given >> 10,
        run.number("rounds")?
    ))
}

#[cfg(test)]
mod tests {
    use super::{balloon, hole, io};
    use crate::boot::dom0::console::{Console, StepRun};

    const FAULT: &str = "(XEN) SMMUv3: /smmuv3@9050000: event 0x10 received:\n";

    fn run(output: &str) -> StepRun {
        let text = format!("@@step x begin\n{output}\n@@step x end rc=0\n");
        Console::parse(&text).steps().pop().unwrap_or_default()
    }

    #[test]
    fn data_and_faults_are_looked_at() {
        assert!(io(&run("@@value wrong=0")).is_ok());
        assert!(io(&run("@@value wrong=1")).is_err());
        assert!(io(&run(&format!("{FAULT}@@value wrong=0"))).is_err());
        let good =
            format!("{FAULT}@@value lands_before=1\n@@value reached=0\n@@value lands_after=1");
        assert!(hole(&run(&good)).is_ok());
        assert!(hole(&run(good.trim_start_matches(FAULT))).is_err());
        assert!(hole(&run(&good.replace("reached=0", "reached=1"))).is_err());
        assert!(hole(&run(&good.replace("before=1", "before=0"))).is_err());
        assert!(hole(&run(&good.replace("after=1", "after=0"))).is_err());
    }

    #[test]
    fn what_is_lost_must_have_been_told_of() {
        let good = "@@value rounds=3\n@@value given_kb=2048\n@@value back_kb=0\n@@value wrong=0";
        assert!(balloon(&run(good)).is_ok());
        assert!(balloon(&run(&good.replace("wrong=0", "wrong=1"))).is_err());
        let lost = format!("{FAULT}{}", good.replace("wrong=0", "wrong=1"));
        assert!(balloon(&run(&lost)).is_ok());
        assert!(balloon(&run(&good.replace("back_kb=0", "back_kb=4"))).is_err());
        assert!(balloon(&run(&good.replace("2048", "0"))).is_err());
    }
}
