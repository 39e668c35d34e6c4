// SPDX-License-Identifier: GPL-2.0-only
//! What happens on the machine, one list for everybody.
//!
//! Every load and store of a table entry, barrier, TLB invalidation, register
//! write, lock operation, allocation, reference and IOMMU flush passes through
//! [`Log::push`]. A checker that wants more than the built-in rules subscribes
//! and sees each [`Event`] with the CPU that caused it.

use std::collections::VecDeque;
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
    /// TLBI VMALLS12E1IS: all of the VMID in VTTBR_EL2, every CPU.
    TlbiVmid {
        vmid: u16,
        irqs_on: bool,
    },
    /// The same on this CPU only.
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
    Alloc {
        mfn: Option<Mfn>,
        order: u32,
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
        answer: bool,
    },
    DoSoftirq,
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
    MapcacheInvalidate,
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

/// A rule that lives outside the machine and follows it by its events.
pub trait Checker: Send {
    /// Called for each event, in order; returns the rule that it breaks, if any.
    fn event(&mut self, cpu: usize, event: &Event) -> Option<Violation>;
}

/// The last events, how many there were, and who listens.
pub(crate) struct Log {
    ring: VecDeque<(usize, Event)>,
    capacity: usize,
    total: u64,
    checkers: Vec<Box<dyn Checker>>,
}

impl Log {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            ring: VecDeque::new(),
            capacity,
            total: 0,
            checkers: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, cpu: usize, event: Event) -> Option<Violation> {
        let found = self
            .checkers
            .iter_mut()
            .fold(None, |found, c| c.event(cpu, &event).or(found));
        if self.ring.len() == self.capacity {
            self.ring.pop_front();
        }
        self.ring.push_back((cpu, event));
        self.total += 1;
        found
    }

    pub(crate) fn subscribe(&mut self, checker: Box<dyn Checker>) {
        self.checkers.push(checker);
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(usize, Event)> {
        self.ring.iter()
    }

    pub(crate) fn clear(&mut self) {
        self.ring.clear();
    }
}
