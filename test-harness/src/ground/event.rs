// SPDX-License-Identifier: GPL-2.0-only
//! What happens on the machine, one list for everybody.
//!
//! Every load and store of a table entry, barrier, TLB invalidation, register
//! write, lock operation, allocation, reference and IOMMU flush passes through
//! the log. A checker that wants more than the built-in rules subscribes
//! and sees each [`Event`] with the CPU that caused it. Checkers outside of this
//! repository read the stream as text: [`super::trace`].

use std::any::Any;
use std::fmt;

/// A machine frame number, as the harness stores it.
pub type Mfn = u64;

/// One step of the code under test, seen from the hardware's or Xen's side.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // the fields are what their names say
pub enum Event {
    PteLoad {
        mfn: Mfn,
        index: usize,
        value: u64,
    },
    PteStore {
        mfn: Mfn,
        index: usize,
        old: u64,
        new: u64,
    },
    ClearPage {
        mfn: Mfn,
        cleaned: bool,
    },
    CleanRange {
        address: usize,
        bytes: usize,
    },
    FlushPageToRam {
        mfn: Mfn,
        sync_icache: bool,
    },
    InvalidateIcache,
    Isb,
    DsbSy,
    DsbIshst,
    DsbIsh,
    DsbNsh,
    DmbIshld,
    /// TLBI VMALLS12E1IS: all of the VMID in VTTBR_EL2, every CPU.
    TlbiVmid {
        vmid: u16,
        irqs_on: bool,
    },
    /// TLBI IPAS2E1IS for `count` addresses, 2^`order` frames apart, then
    /// VMALLE1IS.
    TlbiIpa {
        vmid: u16,
        gfn: u64,
        count: u64,
        order: u32,
        irqs_on: bool,
    },
    /// TLBI RIPAS2E1IS over a range, then VMALLE1IS.
    TlbiRange {
        vmid: u16,
        gfn: u64,
        nr: u64,
        irqs_on: bool,
    },
    /// TLBI VMALLE1: stage 1 of the VMID in VTTBR_EL2, this CPU.
    TlbiStage1Local {
        vmid: u16,
    },
    /// TLBI VMALLS12E1: all of the VMID, this CPU.
    TlbiVmidLocal {
        vmid: u16,
    },
    /// Every VMID, this CPU.
    TlbiAllLocal,
    WriteRegister {
        register: Register,
        value: u64,
    },
    IrqSave,
    IrqRestore {
        enabled: bool,
    },
    Lock {
        lock: usize,
        op: LockOp,
    },
    /// `alloc_domheap_pages()`: the frame, or none, and with what it was asked
    /// for. `domain` is the number of the domain that was named.
    Alloc {
        mfn: Option<Mfn>,
        order: u32,
        domain: Option<u16>,
        memflags: u32,
    },
    Free {
        mfn: Mfn,
        order: u32,
    },
    Get {
        mfn: Mfn,
        ok: bool,
    },
    Put {
        mfn: Mfn,
    },
    RadixInsert {
        key: u64,
        rc: i32,
    },
    RadixDelete {
        key: u64,
    },
    IommuFlush {
        gfn: u64,
        nr: u64,
        flags: u32,
        rc: i32,
    },
    PreemptCheck {
        check: PreemptCheck,
        answer: bool,
    },
    DoSoftirq,
    PendingSoftirqs,
    GuestWalk {
        gva: u64,
    },
    AddressTranslation {
        va: u64,
        ok: bool,
    },
    MonitorTraps {
        sync: bool,
    },
    Crash,
    Shutdown {
        reason: u8,
    },
    InjectUndef,
    /// A synchronous external abort was injected into the current vCPU.
    InjectAbort {
        gva: u64,
    },
    MapcacheInvalidate,
}

impl Event {
    /// Whether other CPUs can tell that it happened, or when: the places at
    /// which a scheduler may switch. Loads are not among them: every store to a
    /// live table is, and so are both ends of the lock around a load (rule L4). Nor
    /// is what is done to a pool, which is no event: both ends of its lock are (L7).
    #[must_use]
    #[inline(always)]
    pub fn is_visible(&self) -> bool {
        matches!(
            self,
            Self::PteStore { .. }
                | Self::ClearPage { .. }
                | Self::TlbiVmid { .. }
                | Self::TlbiIpa { .. }
                | Self::TlbiRange { .. }
                | Self::TlbiStage1Local { .. }
                | Self::TlbiVmidLocal { .. }
                | Self::Lock { .. }
                | Self::Alloc { .. }
                | Self::Free { .. }
                | Self::Get { .. }
                | Self::Put { .. }
                | Self::IommuFlush { .. }
                | Self::PreemptCheck { .. }
                | Self::DoSoftirq
                | Self::PendingSoftirqs
                | Self::AddressTranslation { .. }
                | Self::MonitorTraps { .. }
        )
    }
}

impl Event {
    /// What it is about.
    #[must_use]
    #[inline(always)]
    pub fn topic(&self) -> Topic {
        match self {
            Self::PteLoad { .. } => Topic::Loads,
            Self::PteStore { .. } | Self::ClearPage { .. } => Topic::Stores,
            Self::Get { .. } | Self::Put { .. } => Topic::References,
            Self::Alloc { .. } | Self::Free { .. } => Topic::Heap,
            Self::RadixInsert { .. } | Self::RadixDelete { .. } => Topic::Settings,
            Self::InvalidateIcache | Self::MapcacheInvalidate => Topic::Caches,
            _ => Topic::Others,
        }
    }
}

/// Which of Xen's three questions was asked. They differ: see `shims/cpu.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreemptCheck {
    /// `softirq_pending(smp_processor_id())`.
    Softirq,
    /// `hypercall_preempt_check()`.
    Hypercall,
    /// `general_preempt_check()`.
    General,
}

/// The system registers that the p2m writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Register {
    Vttbr,
    Vtcr,
    Hcr,
    Sctlr,
}

/// What was done to a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum LockOp {
    Read,
    ReadUnlock,
    Write,
    WriteUnlock,
    Spin,
    SpinUnlock,
}

/// A broken rule: its id (see the crate documentation) and what happened.
#[derive(Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule's id, such as `L1`.
    pub rule: &'static str,
    /// One sentence.
    pub what: String,
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)
    }
}

/// What an event is about, for checkers that follow a few of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// [`Event::PteLoad`].
    Loads,
    /// Entries and tables that change.
    Stores,
    /// References to pages.
    References,
    /// Pages from the heap, and back.
    Heap,
    /// The trees of access settings.
    Settings,
    /// The instruction cache, and the mapcache of device models.
    Caches,
    /// All others.
    Others,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Loads,
        Self::Stores,
        Self::References,
        Self::Heap,
        Self::Settings,
        Self::Caches,
        Self::Others,
    ];
}

/// A rule that lives outside the machine and follows it by its events.
pub trait Checker: Send {
    /// Called for each event, in order; returns the rule that it breaks, if any.
    fn event(&mut self, cpu: usize, event: &Event) -> Option<Violation>;

    /// False for what the checker has no use for: it need not be called for events of that topic, of
    /// which there may be millions.
    fn follows(&self, _topic: Topic) -> bool {
        true
    }

    /// Hands over what the checker has gathered, if that is what it is for.
    fn gathered(&mut self) -> Option<Box<dyn Any>> {
        None
    }
}
