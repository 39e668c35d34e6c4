// SPDX-License-Identifier: GPL-2.0-only
//! One of the two worlds: a machine, an implementation on it, its domains, and
//! what an operation touched.

use std::any::Any;
use std::sync::Arc;

use test_harness::{
    attach_alone, Attached, Checker, Config, Domain, Event, Machine, Topic, Vcpu, Violation, World,
};
use xen_sys::{domain, p2m_domain, page_info, vcpu};

use crate::ops::machine::{self, MMIO};
use crate::sides::exports::{call, Exports};

/// What happened since the last comparison.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// Table pages with a store, or cleared.
    pub(crate) tables: Vec<u64>,
    /// Frames with a reference taken or dropped.
    pub(crate) references: Vec<u64>,
    /// Guest frames whose access setting was written or deleted.
    pub(crate) settings: Vec<u64>,
    /// Pages came or went.
    pub(crate) pool: bool,
    /// Calls of `invalidate_icache()`.
    pub(crate) icache: u64,
    /// Was the mapcache invalidated?
    pub(crate) mapcache: bool,
}

/// Follows the events of a machine.
#[derive(Default)]
struct Follower(Touched);

fn note(list: &mut Vec<u64>, mfn: u64) {
    if list.last() != Some(&mfn) {
        list.push(mfn);
    }
}

impl Checker for Follower {
    fn event(&mut self, _cpu: usize, event: &Event) -> Option<Violation> {
        let touched = &mut self.0;
        match event {
            Event::PteStore { mfn, .. } => note(&mut touched.tables, *mfn),
            Event::ClearPage { mfn, .. } => {
                touched.pool = true;
                note(&mut touched.tables, *mfn);
            }
            Event::Get { mfn, .. } | Event::Put { mfn } => note(&mut touched.references, *mfn),
            Event::RadixInsert { key, .. } | Event::RadixDelete { key } => {
                note(&mut touched.settings, *key);
            }
            Event::Alloc { .. } | Event::Free { .. } => touched.pool = true,
            Event::InvalidateIcache => touched.icache += 1,
            Event::MapcacheInvalidate => touched.mapcache = true,
            _ => {}
        }
        None
    }

    fn follows(&self, topic: Topic) -> bool {
        // As above.
        !matches!(topic, Topic::Loads | Topic::Others)
    }

    fn gathered(&mut self) -> Option<Box<dyn Any>> {
        Some(Box::new(std::mem::take(&mut self.0)))
    }
}

/// One side.
pub(crate) struct Side {
    pub(crate) world: World,
    pub(crate) exports: &'static Exports,
    machine: Arc<Machine>,
    pub(crate) domains: Vec<Domain>,
    /// Two of the guest, one of each other domain, and the idle one.
    pub(crate) vcpus: Vec<Vcpu>,
    /// A structure to try VMIDs with.
    pub(crate) scratch: Domain,
}

/// The domain of each of `vcpus`; none for the idle one.
pub(crate) const VCPUS: [Option<usize>; 5] = [Some(0), Some(0), Some(1), Some(2), None];

impl Side {
    /// A machine with three domains. `World::new` boots it with the Rust; this
    /// boots it again, with whichever it is.
    pub(crate) fn new(config: Config, exports: &'static Exports) -> Self {
        let world = World::new(config);
        world.subscribe(Box::<Follower>::default());
        world.boot_with(|| call!(exports, setup_virt_paging()));
        let domains: Vec<Domain> = [false, false, true]
            .into_iter()
            .map(|hardware| world.raw_domain(hardware))
            .collect();
        let scratch = world.raw_domain(false);
        // Where the machine has an IOMMU, this one has no device behind it.
        if let Some(d) = domains.get(1) {
            world.without_iommu(*d);
        }
        let mut vcpus = Vec::new();
        for d in VCPUS {
            vcpus.push(match d.and_then(|d| domains.get(d)) {
                Some(d) => world.vcpu(*d),
                None => world.idle(),
            });
        }
        for (n, d) in (0..).zip(&domains) {
            world.ram(machine::ram(n), machine::RAM_FRAMES, *d);
            world.permit_iomem(*d, MMIO[0]..MMIO[0] + 8);
            world.pause(*d, true);
        }
        if let Some(d) = domains.first() {
            world.xenheap(machine::XENHEAP, machine::XENHEAP_FRAMES, *d);
        }
        let machine = world.shared();
        Self {
            world,
            exports,
            machine,
            domains,
            vcpus,
            scratch,
        }
    }

    /// Makes this thread CPU 0 of this side's machine.
    pub(crate) fn enter(&self) -> Attached {
        attach_alone(&self.machine)
    }

    /// What was touched since last asked.
    pub(crate) fn touched(&self) -> Touched {
        self.world.gathered()
    }

    pub(crate) fn d(&self, n: u64) -> Domain {
        let n = usize::try_from(n).unwrap_or(0) % self.domains.len();
        self.domains[n]
    }

    /// The C structure of domain `n`.
    pub(crate) fn domain(&self, n: u64) -> *mut domain {
        self.d(n).pointer()
    }

    pub(crate) fn p2m(&self, n: u64) -> *mut p2m_domain {
        self.d(n).p2m()
    }

    pub(crate) fn vcpu(&self, n: usize) -> *mut vcpu {
        self.vcpus[n % self.vcpus.len()].pointer()
    }

    /// The vCPU that runs: its number.
    pub(crate) fn current(&self) -> usize {
        let running = xen_sys::xs_current();
        let at = self.vcpus.iter().position(|v| v.pointer() == running);
        at.unwrap_or(self.vcpus.len() - 1)
    }

    /// `p2m_init()`, and the machine learns of the root.
    pub(crate) fn init(&self, n: u64) -> i32 {
        // SAFETY: a live structure, which nobody uses yet.
        test_harness::poison_p2m(unsafe { &mut *self.p2m(n) });
        let rc = call!(self.exports, p2m_init(self.domain(n)));
        self.world.adopt(self.d(n));
        rc
    }

    /// `p2m_set_allocation()` under its lock, unpreempted.
    pub(crate) fn set_pool(&self, n: u64, pages: u64) -> i32 {
        // SAFETY: a place in a live structure.
        let lock = unsafe { &raw mut (*self.domain(n)).arch.paging.lock };
        // SAFETY: initialised by p2m_init().
        unsafe { xen_sys::xs_spin_lock(test_harness::live(lock)) };
        let rc = call!(self.exports, p2m_set_allocation(self.domain(n), pages));
        // SAFETY: taken above.
        unsafe { xen_sys::xs_spin_unlock(test_harness::live(lock)) };
        rc
    }

    /// Runs `body` under the p2m write lock; ends with `p2m_write_unlock()`.
    pub(crate) fn write_locked<R>(&self, n: u64, body: impl FnOnce() -> R) -> R {
        // SAFETY: a place in a live structure.
        let lock = unsafe { &raw mut (*self.p2m(n)).lock };
        // SAFETY: initialised by p2m_init().
        unsafe { xen_sys::xs_write_lock(test_harness::live(lock)) };
        let result = body();
        call!(self.exports, p2m_write_unlock(self.p2m(n)));
        result
    }

    /// Runs `body` under the p2m read lock.
    pub(crate) fn read_locked<R>(&self, n: u64, body: impl FnOnce() -> R) -> R {
        // SAFETY: a place in a live structure.
        let lock = unsafe { &raw mut (*self.p2m(n)).lock };
        // SAFETY: initialised by p2m_init().
        unsafe { xen_sys::xs_read_lock(test_harness::live(lock)) };
        let result = body();
        // SAFETY: taken above.
        unsafe { xen_sys::xs_read_unlock(test_harness::live(lock)) };
        result
    }

    /// A vCPU comes to run on CPU 0.
    pub(crate) fn run(&self, n: usize) {
        let exports = self.exports;
        self.world.run_with(
            self.vcpus[n % self.vcpus.len()],
            |v| call!(exports, p2m_save_state(v.pointer())),
            |v| call!(exports, p2m_restore_state(v.pointer())),
        );
    }

    /// A toolstack's vCPU runs, if the idle one did.
    pub(crate) fn leave_idle(&self) {
        let running = xen_sys::xs_current();
        if running == self.world.idle().pointer() {
            let exports = self.exports;
            self.world.run_with(
                self.world.toolstack(0),
                |v| call!(exports, p2m_save_state(v.pointer())),
                |v| call!(exports, p2m_restore_state(v.pointer())),
            );
        }
    }

    /// A page that came with a reference: frame and references, and gives it
    /// back. All ones for none.
    pub(crate) fn page(&self, page: *mut page_info) -> (u64, u64) {
        if page.is_null() {
            return (u64::MAX, 0);
        }
        let mfn = xen_sys::xs_page_to_mfn(test_harness::live(page));
        let references = self.world.references(mfn);
        // SAFETY: the reference that came with it.
        unsafe { xen_sys::put_page(test_harness::live(page)) };
        (mfn, references)
    }
}
