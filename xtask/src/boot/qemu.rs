// SPDX-License-Identifier: GPL-2.0-only
//! Running QEMU: the machine, its time limits, and noticing that nothing more will come.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};

use super::dom0::console::Console;
use super::hang;
use super::images::Images;
use crate::base::command;
use crate::base::progress::Task;
use crate::host::emulator::{Emulator, SMMU_BOARD, SMMU_STAGE_2};
use crate::host::tools::QEMU;
use crate::xen::build::BuiltXen;

/// The machine's memory, of which dom0 gets a part.
const MEMORY_MIB: u32 = 4096;
const DOM0_MIB: u32 = 1024;

/// Where the loader puts dom0's kernel and initrd; Xen finds them in the device tree.
pub(super) const KERNEL_AT: &str = "0x49000000";
const INITRD_AT: &str = "0x60000000";

/// What is run.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// QEMU's `-cpu`.
    pub(crate) cpu: String,
    /// Number of processors.
    pub(crate) smp: u32,
    /// The hypervisor.
    pub(crate) xen: PathBuf,
    /// The same with symbols.
    pub(crate) syms: PathBuf,
    /// dom0.
    pub(crate) images: Images,
    /// More for Xen's command line.
    pub(crate) xen_arguments: String,
    /// More for dom0's command line.
    pub(crate) dom0_arguments: String,
    /// What dom0 does, by name and in order.
    pub(crate) steps: Vec<String>,
    /// A QEMU with an SMMU that translates stage 2, and so the board has one; otherwise the machine's own.
    pub(crate) smmu: Option<Emulator>,
    /// More for QEMU.
    pub(crate) devices: Vec<OsString>,
}

/// When to give up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    whole: Duration,
    silence: Duration,
}

impl Limits {
    /// The user's limit, or one that fits the build: Xen's debug checks cost time.
    pub(crate) fn new(seconds: Option<u64>, debug: bool) -> Self {
        let scale = if debug { 2 } else { 1 };
        Self {
            whole: Duration::from_secs(seconds.unwrap_or(600 * scale)),
            silence: Duration::from_secs(90 * scale),
        }
    }

    /// With another limit on silence.
    pub(crate) fn with_silence(self, seconds: u64) -> Self {
        Self {
            silence: Duration::from_secs(seconds),
            ..self
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// QEMU ended.
    ByItself {
        /// With exit code 0?
        success: bool,
    },
    /// After this many seconds it was stopped; where its CPUs were then.
    Timeout(u64, Vec<String>),
    /// After this many seconds without a word it was stopped; where its CPUs were then.
    Silence(u64, Vec<String>),
    /// It printed this, and was stopped.
    Crash(String),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByItself { success: true } => f.write_str("QEMU ended"),
            Self::ByItself { success: false } => f.write_str("QEMU failed"),
            Self::Timeout(s, _) => write!(f, "stopped after {s} s: give it more with --timeout"),
            Self::Silence(s, _) => write!(f, "the console said nothing for {s} s"),
            Self::Crash(line) => write!(f, "it crashed: {}", line.trim()),
        }
    }
}

impl Ended {
    /// Where the CPUs were when the machine had to be stopped.
    pub(crate) fn cpus(&self) -> &[String] {
        match self {
            Self::Timeout(_, cpus) | Self::Silence(_, cpus) => cpus,
            Self::ByItself { .. } | Self::Crash(_) => &[],
        }
    }
}

/// Runs the machine with its console going to `log`, until it ends or must be ended.
pub(crate) fn run(machine: &Machine, log: &Path, limits: Limits, mut task: Task) -> Result<Ended> {
    File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let errors = log.with_file_name("qemu.log");
    let out =
        File::create(&errors).with_context(|| format!("cannot write {}", errors.display()))?;
    let mut qemu = machine.command(&machine.steps.join(","));
    // Not below target/: a socket's path must be short.
    let short = tempfile::tempdir().context("cannot make a folder for QEMU's monitor")?;
    let monitor = short.path().join("monitor");
    let keyboard = short.path().join("console");
    qemu.arg("-chardev")
        .arg(format!(
            "socket,id=console,path={},server=on,wait=off,logfile={},logappend=on",
            commas(&keyboard),
            commas(log)
        ))
        .args(["-serial", "chardev:console", "-monitor"])
        .arg(format!("unix:{},server=on,wait=off", commas(&monitor)))
        .stdout(out.try_clone().context("cannot share a file")?)
        .stderr(out);
    let mut child = Running::start(&mut qemu)?;
    let ended = child.watch(log, limits, &mut task, || {
        let mut places = hang::describe(&monitor, &machine.syms);
        places.extend(hang::ask_xen(&keyboard, log));
        places
    })?;
    if ended == (Ended::ByItself { success: false }) {
        bail!(
            "QEMU failed; it said (in {})\n{}",
            errors.display(),
            command::tail(&errors, 5)
        );
    }
    task.done();
    Ok(ended)
}

/// Runs the machine with its console on this terminal.
pub(crate) fn interactive(machine: &Machine) -> Result<()> {
    eprintln!("The console of Xen and dom0; leave with `poweroff -f`, or Ctrl-A X.");
    let mut qemu = machine.command("shell");
    qemu.args(["-serial", "mon:stdio"]).stdin(Stdio::inherit());
    let status = Running::start(&mut qemu)?.wait()?;
    if !status {
        bail!("QEMU failed; what it said is above");
    }
    Ok(())
}

impl Machine {
    /// One that does nothing special.
    pub(crate) fn plain(cpu: String, smp: u32, xen: &BuiltXen, images: Images) -> Self {
        Self {
            cpu,
            smp,
            xen: xen.binary(),
            syms: xen.syms(),
            images,
            xen_arguments: String::new(),
            dom0_arguments: String::new(),
            steps: Vec::new(),
            smmu: None,
            devices: Vec::new(),
        }
    }

    /// Writes the device tree that QEMU would give to Xen.
    pub(crate) fn dump_tree(&self, to: &Path, log: &Path) -> Result<()> {
        let mut qemu = self.command(&self.steps.join(","));
        qemu.arg("-machine").arg(format!("dumpdtb={}", commas(to)));
        command::logged(&mut qemu, log)
    }

    /// QEMU with all but the console; dom0 is to do these steps. Each processor has a thread of its own,
    /// as is QEMU's default here. With one thread for all, QEMU goes on to the next processor where a TLBI
    /// is, which is inside the p2m lock; a reader that waits for this lock then has its turn for 100 ms,
    /// again and again, and never finds it free.
    pub(crate) fn command(&self, steps: &str) -> Command {
        let (mut qemu, board) = match &self.smmu {
            None => (command::bound(QEMU), ""),
            Some(emulator) => (emulator.command(), SMMU_BOARD),
        };
        if self.smmu.is_some() {
            qemu.args(SMMU_STAGE_2);
        }
        add_machine(&mut qemu, board, &self.cpu, self.smp, MEMORY_MIB);
        qemu.arg("-kernel")
            .arg(&self.xen)
            .arg("-append")
            .arg(format!(
                "console=dtuart dom0_mem={DOM0_MIB}M loglvl=all guest_loglvl=all \
                 conring_size=4M noreboot {}",
                self.xen_arguments
            ))
            .arg("-device")
            .arg(format!(
                "guest-loader,addr={KERNEL_AT},kernel={},bootargs=console=hvc0 earlycon=xen \
                 rdinit=/init panic=1 oops=panic {} xtask.steps={}",
                commas(&self.images.kernel),
                self.dom0_arguments,
                steps.replace(',', ",,")
            ))
            .arg("-device")
            .arg(format!(
                "guest-loader,addr={INITRD_AT},initrd={}",
                commas(&self.images.initrd)
            ))
            .args(&self.devices);
        qemu
    }
}

/// The board on which all of them run, and nothing that QEMU would add by itself.
pub(super) fn add_machine(qemu: &mut Command, board: &str, cpu: &str, smp: u32, memory_mib: u32) {
    qemu.arg("-machine")
        .arg(format!("virt,virtualization=on,gic-version=3{board}"))
        .args(["-cpu", cpu, "-smp", &smp.to_string()])
        .args(["-m", &memory_mib.to_string()])
        .args(["-nodefaults", "-no-user-config", "-display", "none"]);
}

/// QEMU's way to have a comma in a value.
pub(crate) fn commas(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

/// A child process that does not survive its owner.
pub(crate) struct Running(Child);

impl Running {
    /// Starts it.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        command
            .spawn()
            .map(Self)
            .with_context(|| format!("cannot start `{}`", command::shown(command)))
    }

    /// Types at its console, if it was started with a pipe there.
    pub(crate) fn type_in(&mut self, text: &str) -> Result<()> {
        let input = self.0.stdin.as_mut().context("QEMU has no input")?;
        let typed = input
            .write_all(text.as_bytes())
            .and_then(|()| input.flush());
        typed.context("QEMU takes no input")
    }

    fn wait(&mut self) -> Result<bool> {
        Ok(self.0.wait().context("cannot wait for QEMU")?.success())
    }

    /// Waits for its end, or until it must be ended; `cpus` says where it hangs.
    pub(crate) fn watch(
        &mut self,
        log: &Path,
        limits: Limits,
        task: &mut Task,
        cpus: impl Fn() -> Vec<String>,
    ) -> Result<Ended> {
        let started = Instant::now();
        let mut size = 0;
        let mut spoke = started;
        loop {
            std::thread::sleep(Duration::from_millis(250));
            if let Some(status) = self.0.try_wait().context("cannot wait for QEMU")? {
                let success = status.success();
                return Ok(Ended::ByItself { success });
            }
            let now = fs::metadata(log).map_or(0, |meta| meta.len());
            if now != size {
                size = now;
                spoke = Instant::now();
                let console = Console::read(log)?;
                if let Some(line) = console.fatal() {
                    let line = line.to_owned();
                    // Let it print what it knows: registers, the call trace.
                    std::thread::sleep(Duration::from_secs(3));
                    return Ok(Ended::Crash(line));
                }
                if let Some(step) = console.running_step() {
                    task.note(&step);
                }
            }
            if started.elapsed() > limits.whole {
                return Ok(Ended::Timeout(limits.whole.as_secs(), cpus()));
            }
            if spoke.elapsed() > limits.silence {
                return Ok(Ended::Silence(limits.silence.as_secs(), cpus()));
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It is our own child; when it has ended already both do nothing.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::{Images, Machine};
    use std::path::PathBuf;

    #[test]
    fn an_oops_of_dom0_s_ends_the_boot() {
        let machine = Machine {
            cpu: "max".to_owned(),
            smp: 1,
            xen: PathBuf::new(),
            syms: PathBuf::new(),
            images: Images {
                kernel: PathBuf::new(),
                initrd: PathBuf::new(),
            },
            xen_arguments: String::new(),
            dom0_arguments: String::new(),
            steps: Vec::new(),
            smmu: None,
            devices: Vec::new(),
        };
        let qemu = machine.command("toolstack");
        let mut words = qemu.get_args().map(|word| word.to_string_lossy());
        let dom0 = words.find(|word| word.contains("rdinit=/init"));
        assert!(dom0.is_some_and(|dom0| dom0.contains(" panic=1 oops=panic ")));
    }
}
