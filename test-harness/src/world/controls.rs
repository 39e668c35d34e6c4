// SPDX-License-Identifier: GPL-2.0-only
//! What a test may turn on the machine, and what it may read off.

use std::ptr::{null_mut, without_provenance_mut};
use std::time::Duration;

use xen_sys::cpu_user_regs;

use super::{attach, World};
use crate::ground::abi::{access, errno};
use crate::ground::config::Iommu;
use crate::ground::event::{Checker, Event, Mfn};
use crate::ground::handles::Domain;
use crate::ground::pte;
use crate::machine::here;
use crate::model::cpu::{Preempt, Waiting};
use crate::model::devices::MonitorRequest;
use crate::rules::tree::Visitor;

impl World {
    /// Fails the n-th allocation from now (1 is the next); `None` to stop.
    pub fn fail_allocation(&self, n: Option<u64>) {
        self.locked(|m| (m.frames.fail_in, m.frames.fail_on) = (n, false));
    }

    /// Fails the n-th page allocation from now, and all after it.
    pub fn fail_allocations_from(&self, n: Option<u64>) {
        self.locked(|m| (m.frames.fail_in, m.frames.fail_on) = (n, true));
    }

    /// Fails the n-th radix tree insertion from now.
    pub fn fail_radix(&self, n: Option<u64>) {
        self.locked(|m| m.radix.fail_in = n);
    }

    /// Fails the n-th IOTLB flush from now with -EIO; `None` to stop.
    pub fn fail_iommu(&self, n: Option<u64>) {
        self.locked(|m| m.devices.iommu_fail_in = n.map(|n| (n, errno::EIO)));
    }

    /// Fails the n-th IOTLB flush from now with another negated errno.
    pub fn fail_iommu_with(&self, n: u64, rc: i32) {
        self.locked(|m| m.devices.iommu_fail_in = Some((n, rc)));
    }

    /// Fails all IOTLB flushes from now on with -EIO.
    pub fn fail_iommu_for_good(&self) {
        self.locked(|m| m.devices.iommu_fails_on = true);
        self.fail_iommu(Some(1));
    }

    /// IOTLB flushes that failed so far.
    #[must_use]
    pub fn iommu_failures(&self) -> u64 {
        self.locked(|m| m.devices.iommu_failures)
    }

    /// Frames that stay mapped as they are, and that devices could not reach for a moment: so far.
    #[must_use]
    pub fn device_gaps(&self) -> u64 {
        self.locked(|m| m.iotlb.gaps)
    }

    /// When preemption checks answer yes, and what it is that waits.
    pub fn preempt_for(&self, when: Preempt, waiting: Waiting) {
        self.locked(|m| (m.cpus.preempt, m.cpus.waiting) = (when, waiting));
    }

    /// When preemption checks answer yes: a softirq waits, which all of them see.
    pub fn preempt(&self, when: Preempt) {
        self.preempt_for(when, Waiting::Softirq);
    }

    /// Preemption checks so far.
    #[must_use]
    pub fn preempt_checks(&self) -> u64 {
        self.locked(|m| m.cpus.preempt_checks)
    }

    /// Stops Xen when a call takes more steps than this (rule W2).
    pub fn max_steps(&self, steps: u64) {
        self.locked(|m| m.work.max_steps = steps);
    }

    /// Runs `body` as what an exported function does.
    pub fn as_call<R>(&self, name: &'static str, body: impl FnOnce() -> R) -> R {
        let _call = crate::machine::in_call::begin(name);
        body()
    }

    /// A call has returned and its caller keeps the write lock: what devices have met and been told of is looked at
    /// as when the lock is dropped (rules P4 and P6), so that the next call's changes are judged on their own.
    pub fn call_is_over(&self, d: Domain) {
        self.locked(|m| {
            m.check_told(d.pointer().addr());
            m.check_met(d.pointer().addr());
        });
    }

    /// The most table entries, and the most pages, that a function which can be
    /// preempted went through between two looks.
    #[must_use]
    pub fn most_work(&self) -> (u64, u64) {
        self.locked(|m| m.work.most)
    }

    /// Heap pages in use.
    #[must_use]
    pub fn heap_in_use(&self) -> u64 {
        self.locked(|m| m.frames.allocated)
    }

    /// Console lines since the last call.
    pub fn console(&self) -> Vec<String> {
        self.locked(|m| std::mem::take(&mut m.console))
    }

    /// Memory access events since the last call.
    pub fn monitor_requests(&self) -> Vec<MonitorRequest> {
        self.locked(|m| std::mem::take(&mut m.devices.monitor_requests))
    }

    /// The same, which stay.
    #[must_use]
    pub fn monitor_requests_so_far(&self) -> Vec<MonitorRequest> {
        self.locked(|m| m.devices.monitor_requests.clone())
    }

    /// From now on `printk_ratelimit()` says that there was enough, or not.
    pub fn limit_printk(&self, limited: bool) {
        self.locked(|m| m.devices.printk_limited = limited);
    }

    /// The monitor goes away once Xen has asked whether there is one.
    pub fn monitor_leaves_once_asked(&self) {
        self.locked(|m| m.devices.monitor_leaves = true);
    }

    /// The error that `monitor_traps()` answers from now on; 0 for none, and then
    /// it answers as Xen's does.
    pub fn monitor_answers(&self, rc: i32) {
        self.locked(|m| m.devices.monitor_rc = rc);
    }

    /// The frames that `flush_page_to_ram()` was called for since last asked.
    pub fn flushed_to_ram(&self) -> Vec<Mfn> {
        self.locked(|m| std::mem::take(&mut m.devices.flushed_to_ram))
    }

    /// A checker that follows every event from now on.
    pub fn subscribe(&self, checker: Box<dyn Checker>) {
        self.locked(|m| m.log.subscribe(checker));
    }

    /// What the checker that gathers a `T` has gathered since last asked; nothing if there is none.
    #[must_use]
    pub fn gathered<T: Default + 'static>(&self) -> T {
        let gathered = self.locked(|m| m.log.gathered());
        gathered
            .and_then(|it| it.downcast().ok())
            .map_or_else(T::default, |it| *it)
    }

    /// The events since [`World::clear_events`], as many as the log keeps.
    #[must_use]
    pub fn events(&self) -> Vec<(usize, Event)> {
        self.locked(|m| m.log.iter().cloned().collect())
    }

    /// Forgets the events so far.
    pub fn clear_events(&self) {
        self.locked(|m| m.log.clear());
    }

    /// The hypervisor's stop (BUG or panic) that `body` runs into, or `None`
    /// if it returns. `body` runs on a thread of its own, which is abandoned
    /// at the stop; nothing else can be done with the world after that.
    ///
    /// `prepare` runs on that thread first.
    pub fn expect_stop(
        &self,
        prepare: impl FnOnce() + Send + 'static,
        body: impl FnOnce() + Send + 'static,
    ) -> Option<String> {
        let machine = self.shared();
        let thread = std::thread::spawn(move || {
            let _attached = attach(&machine, 0, true);
            prepare();
            body();
        });
        let machine = self.shared();
        let mut state = machine.lock();
        loop {
            if state.stopped.is_some() {
                return state.stopped.clone();
            }
            if thread.is_finished() {
                return None;
            }
            state = machine.listen(state, Duration::from_millis(5)).0;
        }
    }

    /// Changes the IOMMU's mind about sharing tables.
    pub fn share_tables(&self, iommu: Iommu, shared: bool) {
        self.locked(|m| {
            m.config.iommu = iommu;
            m.config.iommu_shares_tables = shared;
        });
    }

    /// A monitor is connected, or goes. A domain without one has no ring (`vm_event_disable()` frees it).
    pub fn monitor_listens(&self, d: Domain, listens: bool) {
        self.locked(|m| {
            let mut all = m.domains.domains.iter_mut().zip(&m.domains.rings);
            if let Some((record, ring)) = all.find(|(record, _)| record.pointer == d.0) {
                record.ring = listens;
                d.set_monitor(if listens { *ring } else { null_mut() });
            }
        });
    }

    /// Pauses a domain, for calls that ask for it.
    pub fn pause(&self, d: Domain, paused: bool) {
        self.locked(|m| {
            if let Some(record) = m.domains.by_address_mut(d.address()) {
                record.paused = paused;
            }
        });
    }

    /// Lets a domain map MMIO frames.
    pub fn permit_iomem(&self, d: Domain, mfns: std::ops::Range<Mfn>) {
        self.locked(|m| {
            if let Some(record) = m.domains.by_address_mut(d.address()) {
                record.iomem.push(mfns);
            }
        });
    }

    /// How often a domain was crashed, and the reasons of its shutdowns.
    #[must_use]
    pub fn fate(&self, d: Domain) -> (u32, Vec<u8>) {
        self.locked(|m| {
            m.domains
                .by_address(d.address())
                .map_or((0, Vec::new()), |r| (r.crashes, r.shutdowns.clone()))
        })
    }

    /// Undefined instruction exceptions injected so far.
    #[must_use]
    pub fn undef_injected(&self) -> u32 {
        self.locked(|m| m.devices.undef_injected.len() as u32)
    }

    /// Of each the registers that were named, and the syndrome.
    #[must_use]
    pub fn undef_arguments(&self) -> Vec<(*mut cpu_user_regs, u64)> {
        self.locked(|m| {
            let all = m.devices.undef_injected.iter();
            all.map(|&(regs, syndrome)| (without_provenance_mut(regs), syndrome))
                .collect()
        })
    }

    /// Runs `body` in an interrupt of this CPU: one of a device, with interrupts on, or from another CPU,
    /// with interrupts off.
    pub fn in_interrupt<R>(&self, of_device: bool, body: impl FnOnce() -> R) -> R {
        let cpu = here().cpu;
        let set = |is: bool| {
            self.locked(|m| {
                let c = &mut m.cpus.cpus[cpu];
                if of_device {
                    c.in_irq = is;
                } else {
                    (c.in_ipi, c.irqs_off) = (is, is);
                }
            });
        };
        set(true);
        let result = body();
        set(false);
        result
    }

    /// From now on guests are 32-bit ones: no external abort can be injected by us.
    pub fn guest_is_32_bit(&self) {
        self.locked(|m| m.devices.guest_is_32_bit = true);
    }

    /// From now on guests trap from EL0, or from EL1, where they are at the beginning.
    pub fn guest_is_at_el0(&self, is: bool) {
        self.locked(|m| m.devices.guest_is_at_el0 = is);
    }

    /// The virtual addresses of the external aborts injected since last asked.
    pub fn aborts_injected(&self) -> Vec<u64> {
        self.locked(|m| std::mem::take(&mut m.devices.aborts_injected))
    }

    /// The indices, and the sizes of arrays, that `array_index_nospec()` was asked for since the last
    /// call.
    pub fn indices(&self) -> Vec<(u32, u32)> {
        self.locked(|m| std::mem::take(&mut m.devices.indices))
    }

    /// Times that the softirqs ran.
    #[must_use]
    pub fn softirqs(&self) -> u32 {
        self.locked(|m| m.devices.softirqs)
    }

    /// Calls of `dump_pt_walk()`: table base, address, root level, root pages.
    #[must_use]
    pub fn pt_walk_dumps(&self) -> Vec<(u64, u64, u32, u32)> {
        self.locked(|m| m.devices.pt_walk_dumps.clone())
    }

    /// VTTBR_EL2, VTCR_EL2 and HCR_EL2 of a CPU.
    #[must_use]
    pub fn registers(&self, cpu: usize) -> (u64, u64, u64) {
        self.locked(|m| {
            let c = &m.cpus.cpus[cpu];
            (c.vttbr, c.vtcr, c.hcr)
        })
    }

    /// What the entries of a domain's tables say of the access that
    /// introspection set (bits 62:59), where it is a restriction; by guest frame.
    #[must_use]
    pub fn access_settings(&self, d: Domain) -> Vec<(u64, i64)> {
        let mut settings = Settings::default();
        self.locked(|m| m.visit(d.address(), &mut settings));
        settings.0
    }

    /// What a domain's tree of access settings holds: where C keeps them.
    #[must_use]
    pub fn access_tree(&self, d: Domain) -> Vec<(u64, i64)> {
        self.locked(|m| m.radix.integers(d.access_tree()))
    }

    /// How often a device model was told that its mappings of RAM are stale
    /// (`ioreq_request_mapcache_invalidate()`), since the last time.
    pub fn mapcache_invalidations(&self) -> u32 {
        self.locked(|m| std::mem::take(&mut m.devices.mapcache_invalidations))
    }

    /// What that tree holds for each of some guest frames.
    #[must_use]
    pub fn access_tree_at(&self, d: Domain, gfns: &[u64]) -> Vec<Option<i64>> {
        self.locked(|m| m.radix.integers_at(d.access_tree(), gfns))
    }

    /// Gives up on this world: a test has broken it, and said how.
    pub fn abandon(&self) {
        self.locked(|m| m.stopped = Some("abandoned".into()));
    }

    /// Moves a table page to the pool, as the p2m does when it frees one. The caller holds the p2m's write lock.
    pub fn give_back_table(&self, d: Domain, mfn: Mfn) {
        let pg = xen_sys::xs_mfn_to_page(mfn);
        // SAFETY: a place in a live structure.
        let pages = unsafe { &raw mut (*d.0).arch.p2m.pages };
        // SAFETY: a place in a live structure.
        let free = unsafe { &raw mut (*d.0).arch.paging.p2m_freelist };
        // SAFETY: as above.
        unsafe {
            xen_sys::xs_page_list_del(
                crate::ground::handles::live(pg),
                crate::ground::handles::live(pages),
            )
        };
        // SAFETY: a place in a live structure.
        let lock = unsafe { &raw mut (*d.0).arch.paging.lock };
        // SAFETY: initialised by p2m_init().
        unsafe { xen_sys::xs_spin_lock(crate::ground::handles::live(lock)) };
        // SAFETY: as above.
        unsafe {
            xen_sys::xs_page_list_add_tail(
                crate::ground::handles::live(pg),
                crate::ground::handles::live(free),
            )
        };
        // SAFETY: taken above.
        unsafe { xen_sys::xs_spin_unlock(crate::ground::handles::live(lock)) };
    }

    /// Free pages in a domain's pool.
    #[must_use]
    pub fn free_pool_pages(&self, d: Domain) -> u64 {
        self.locked(|m| m.lists.len(d.freelist_head()))
    }

    /// First frame of a domain's root.
    #[must_use]
    pub fn root(&self, d: Domain) -> Option<Mfn> {
        self.locked(|m| m.root_of(d.address()))
    }

    /// From now on AT by both stages is answered by what TLBs and walk caches may still hold, if
    /// there is an old entry that no invalidation has taken yet. (With `false`, as at the
    /// beginning, by the tables alone. A test that wants all that can happen tries both.)
    pub fn translations_are_stale(&self, stale: bool) {
        self.locked(|m| m.cpus.stale_translations = stale);
    }
}

/// Access settings by guest frame.
#[derive(Default)]
struct Settings(Vec<(u64, i64)>);

impl Visitor for Settings {
    fn leaf(&mut self, gfn: u64, _level: u32, entry: u64) {
        let setting = i64::from(pte::setting(entry));
        if setting != i64::from(access::RWX) {
            self.0.push((gfn, setting));
        }
    }
}
