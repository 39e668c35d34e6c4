// SPDX-License-Identifier: GPL-2.0-only
//! The event stream as text, for checkers that are not part of this repository.
//!
//! With `XEN_P2M_EVENTS=DIR` in the environment each [`World`](crate::World)
//! writes a file `DIR/TEST.PID.N.events`: TEST is the name of the thread, which
//! is the test's (`::` as `.`), N counts the worlds of the process. Its form:
//!
//! ```text
//! file   = "# xen-p2m events 1" LF { line LF }
//! line   = cpu " " event { " " field "=" value }
//! cpu    = decimal                    the CPU that caused it
//! event  = lower-case letters, digits and "-"
//! value  = decimal | "0x" hexadecimal | "yes" | "no" | "none" | word
//! ```
//!
//! Lines are in the order of the machine. Frames, addresses, entries and register
//! values are hexadecimal, counts and return codes decimal (these may be
//! negative). A line's event and fields are those of one variant of [`Event`],
//! whose documentation says what they mean: `PteStore { .. }` is `pte-store`.
//! Each event has all of its fields, in one order. Readers skip what they do not
//! know: later versions of this form 1 may add events, and fields at the end of a
//! line; anything else is a form 2.
//!
//! The root of a domain's tables is where a `write-register register=vttbr` or
//! the first stores of a new domain point; a table is known by the `pte-store` of
//! an entry that leads to it. A process that is aborted may leave its last lines out.

use std::fmt;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::event::{Event, LockOp, PreemptCheck, Register};
use super::panics::die;

/// Names the directory for the files.
pub const VARIABLE: &str = "XEN_P2M_EVENTS";

/// The first line of a file.
pub const HEADER: &str = "# xen-p2m events 1";

/// An event and who caused it, which prints as its line.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// The CPU.
    pub cpu: usize,
    /// What happened there.
    pub event: &'a Event,
}

/// `yes` or `no`.
struct Flag(bool);

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 { "yes" } else { "no" })
    }
}

/// A number, or `none`.
struct Or<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for Or<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(number) => number.fmt(f),
            None => f.write_str("none"),
        }
    }
}

impl<T: fmt::LowerHex> fmt::LowerHex for Or<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(number) => number.fmt(f),
            None => f.write_str("none"),
        }
    }
}

impl fmt::Display for Line<'_> {
    // No wildcard and no `..`: what is new in `Event` must get its place here.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.cpu)?;
        match *self.event {
            Event::PteLoad { mfn, index, value } => {
                write!(f, "pte-load mfn={mfn:#x} index={index} value={value:#x}")
            }
            Event::PteStore {
                mfn,
                index,
                old,
                new,
            } => write!(
                f,
                "pte-store mfn={mfn:#x} index={index} old={old:#x} new={new:#x}"
            ),
            Event::ClearPage { mfn, cleaned } => {
                write!(f, "clear-page mfn={mfn:#x} cleaned={}", Flag(cleaned))
            }
            Event::CleanRange { address, bytes } => {
                write!(f, "clean-range address={address:#x} bytes={bytes}")
            }
            Event::FlushPageToRam { mfn, sync_icache } => write!(
                f,
                "flush-page-to-ram mfn={mfn:#x} sync-icache={}",
                Flag(sync_icache)
            ),
            Event::InvalidateIcache => f.write_str("invalidate-icache"),
            Event::Isb => f.write_str("isb"),
            Event::DsbSy => f.write_str("dsb-sy"),
            Event::DsbIshst => f.write_str("dsb-ishst"),
            Event::DsbIsh => f.write_str("dsb-ish"),
            Event::DsbNsh => f.write_str("dsb-nsh"),
            Event::DmbIshld => f.write_str("dmb-ishld"),
            Event::TlbiVmid { vmid, irqs_on } => {
                write!(f, "tlbi-vmid vmid={vmid} irqs-on={}", Flag(irqs_on))
            }
            Event::TlbiIpa {
                vmid,
                gfn,
                count,
                order,
                irqs_on,
            } => write!(
                f,
                "tlbi-ipa vmid={vmid} gfn={gfn:#x} count={count} order={order} irqs-on={}",
                Flag(irqs_on)
            ),
            Event::TlbiRange {
                vmid,
                gfn,
                nr,
                irqs_on,
            } => write!(
                f,
                "tlbi-range vmid={vmid} gfn={gfn:#x} nr={nr} irqs-on={}",
                Flag(irqs_on)
            ),
            Event::TlbiStage1Local { vmid } => write!(f, "tlbi-stage1-local vmid={vmid}"),
            Event::TlbiVmidLocal { vmid } => write!(f, "tlbi-vmid-local vmid={vmid}"),
            Event::TlbiAllLocal => f.write_str("tlbi-all-local"),
            Event::WriteRegister { register, value } => write!(
                f,
                "write-register register={} value={value:#x}",
                register_name(register)
            ),
            Event::IrqSave => f.write_str("irq-save"),
            Event::IrqRestore { enabled } => write!(f, "irq-restore enabled={}", Flag(enabled)),
            Event::Lock { lock, op } => write!(f, "lock lock={lock:#x} op={}", op_name(op)),
            Event::Alloc {
                mfn,
                order,
                domain,
                memflags,
            } => write!(
                f,
                "alloc mfn={:#x} order={order} domain={} memflags={memflags:#x}",
                Or(mfn),
                Or(domain)
            ),
            Event::Free { mfn, order } => write!(f, "free mfn={mfn:#x} order={order}"),
            Event::Get { mfn, ok } => write!(f, "get mfn={mfn:#x} ok={}", Flag(ok)),
            Event::Put { mfn } => write!(f, "put mfn={mfn:#x}"),
            Event::RadixInsert { key, rc } => write!(f, "radix-insert key={key:#x} rc={rc}"),
            Event::RadixDelete { key } => write!(f, "radix-delete key={key:#x}"),
            Event::IommuFlush { gfn, nr, flags, rc } => write!(
                f,
                "iommu-flush gfn={gfn:#x} nr={nr} flags={flags:#x} rc={rc}"
            ),
            Event::PreemptCheck { check, answer } => write!(
                f,
                "preempt-check check={} answer={}",
                check_name(check),
                Flag(answer)
            ),
            Event::DoSoftirq => f.write_str("do-softirq"),
            Event::PendingSoftirqs => f.write_str("pending-softirqs"),
            Event::GuestWalk { gva } => write!(f, "guest-walk gva={gva:#x}"),
            Event::AddressTranslation { va, ok } => {
                write!(f, "address-translation va={va:#x} ok={}", Flag(ok))
            }
            Event::MonitorTraps { sync } => write!(f, "monitor-traps sync={}", Flag(sync)),
            Event::Crash => f.write_str("crash"),
            Event::Shutdown { reason } => write!(f, "shutdown reason={reason}"),
            Event::InjectUndef => f.write_str("inject-undef"),
            Event::InjectAbort { gva } => write!(f, "inject-abort gva={gva:#x}"),
            Event::MapcacheInvalidate => f.write_str("mapcache-invalidate"),
        }
    }
}

fn register_name(register: Register) -> &'static str {
    match register {
        Register::Vttbr => "vttbr",
        Register::Vtcr => "vtcr",
        Register::Hcr => "hcr",
        Register::Sctlr => "sctlr",
    }
}

fn check_name(check: PreemptCheck) -> &'static str {
    match check {
        PreemptCheck::Softirq => "softirq",
        PreemptCheck::Hypercall => "hypercall",
        PreemptCheck::General => "general",
    }
}

fn op_name(op: LockOp) -> &'static str {
    match op {
        LockOp::Read => "read",
        LockOp::ReadUnlock => "read-unlock",
        LockOp::Write => "write",
        LockOp::WriteUnlock => "write-unlock",
        LockOp::Spin => "spin",
        LockOp::SpinUnlock => "spin-unlock",
    }
}

/// A file that is being written.
pub(crate) struct Trace(BufWriter<File>);

impl Trace {
    /// A new file, if the environment asks for one.
    pub(crate) fn on_request() -> Option<Self> {
        static WORLDS: AtomicU64 = AtomicU64::new(0);
        let dir = std::env::var_os(VARIABLE)?;
        let n = WORLDS.fetch_add(1, Ordering::Relaxed);
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("unnamed").replace("::", ".");
        let name = format!("{test}.{}.{n}.events", std::process::id());
        let open = || -> std::io::Result<Self> {
            fs::create_dir_all(&dir)?;
            let mut file = BufWriter::new(File::create(Path::new(&dir).join(&name))?);
            writeln!(file, "{HEADER}")?;
            Ok(Self(file))
        };
        Some(open().unwrap_or_else(|e| die(&format!("{VARIABLE}: {name}: {e}"))))
    }

    /// Adds a line.
    pub(crate) fn write(&mut self, line: Line<'_>) {
        if let Err(e) = writeln!(self.0, "{line}") {
            die(&format!("{VARIABLE}: {e}"));
        }
    }
}
