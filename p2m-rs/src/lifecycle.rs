// SPDX-License-Identifier: GPL-2.0-only
//! A p2m from creation to the end (`p2m_init`, `p2m_alloc_table`,
//! `relinquish_p2m_mapping`, `p2m_clear_root_pages`, `p2m_teardown`,
//! `p2m_final_teardown`).
//!
//! Destruction is preemptible and in this order: references are dropped
//! ([`relinquish`]), the root is cleared and the TLBs flushed
//! ([`clear_root_pages`]), table pages are freed ([`teardown`]), and at last,
//! without preemption, what is small ([`final_teardown`]) (XSA-410).

use crate::addr::Gfn;
use crate::allocation;
use crate::error::{Errno, Failure, Outcome, Result};
use crate::globals::p2m_root_order;
use crate::level::Level;
use crate::lock::{Unlocked, WriteView};
use crate::p2m::P2m;
use crate::setup::generate_vttbr;
use crate::vmid;
use crate::xen::console;
use crate::xen::cpu;
use crate::xen::domain::Domain;
use crate::xen::pool::{alloc_root, free_root};
use crate::xen::vcpu::NO_VCPU;

use core::sync::atomic::Ordering::Relaxed;

/// Steps between two looks whether to preempt.
const PREEMPT_EVERY: u64 = 512;

/// `p2m_init`: readies a new domain's p2m.
///
/// # Errors
///
/// [`Errno::BUSY`] without a VMID, [`Errno::NO_MEM`] without a root. The caller
/// calls [`final_teardown`], which copes with any failure (XSA-181).
pub fn init(cx: &mut Unlocked<'_>, domain: &Domain) -> Result {
    let p2m = domain.p2m();
    p2m.init_lock_and_pages();
    domain.init_pool();
    // An IOMMU that shares the tables may not snoop the caches.
    p2m.init_fields(domain.is_iommu_enabled() && !domain.has_coherent_iommu_walk());
    for last in cpu::all_possible().filter_map(|cpu| p2m.last_vcpu_ran(cpu)) {
        last.store(NO_VCPU, Relaxed);
    }
    // From here on, final_teardown has something to do.
    p2m.set_domain(Some(domain));
    vmid::alloc(domain)?;
    alloc_table(cx, p2m)
}

/// `p2m_alloc_table`: an empty root, and no TLB entries of whoever had the
/// VMID before.
fn alloc_table(cx: &mut Unlocked<'_>, p2m: &P2m) -> Result {
    let root = alloc_root(p2m_root_order().load(Relaxed)).ok_or(Errno::NO_MEM)?;
    p2m.set_root(Some(root));
    p2m.set_vttbr(generate_vttbr(p2m.vmid(), root.mfn()));
    p2m.write(cx).force_tlb_flush_sync();
    Ok(())
}

/// `relinquish_p2m_mapping`: unmaps everything, and so drops all references.
/// The domain is dying: nothing is mapped any more once the lock is released.
///
/// # Errors
///
/// [`Errno::RESTART`]: call again, it goes on where it stopped. A failed
/// IOTLB flush is no error here: the domain's devices were taken away before, but
/// should one still reach a page, that page keeps its references for ever; the
/// rest of the domain goes. (C returns the error; the domain then
/// stays for ever, with all its memory.)
pub fn relinquish(cx: &mut Unlocked<'_>, domain: &Domain) -> Result {
    if !domain.is_dying() {
        console::bug("relinquish of a domain that is not dying");
    }
    let mut p2m = domain.p2m().write(cx);
    let end = p2m.max_mapped_gfn().add(1);
    let mut gfn = p2m.lowest_mapped_gfn();
    let mut result = Ok(());
    // What the domain's TLBs hold is of no use to anybody any more.
    p2m.owe_whole_flush();
    // Each call gets on by one step.
    let mut look = false;
    let mut said = false;
    while gfn < end {
        if look && cpu::hypercall_preempt_check() {
            result = Err(Errno::RESTART);
            break;
        }
        look = true;
        if p2m.owes_many_tables() {
            p2m.settle();
            p2m.owe_whole_flush();
            continue;
        }
        match p2m.relinquish_step(gfn) {
            (next, Ok(())) => gfn = next,
            (next, Err(Failure::Iommu(_))) => {
                // Once a call: the next table will meet the same IOMMU.
                if !core::mem::replace(&mut said, true) {
                    console::kept_for_devices(domain, gfn);
                }
                gfn = next;
            }
            (_, Err(failure)) => {
                console::cannot_remove(domain, gfn, 0);
                result = Err(failure.into());
                break;
            }
        }
    }
    let next = if result.is_ok() { end } else { gfn };
    p2m.set_lowest_mapped_gfn(next);
    result
}

impl WriteView<'_> {
    /// Unmaps at most one table's worth of pages or blocks, or one block of
    /// foreign pages, which is as many references (B4). Returns where to go on, also
    /// if the IOMMU did not flush.
    fn relinquish_step(&mut self, gfn: Gfn) -> (Gfn, Outcome) {
        let Some(table) = self.last_table(gfn) else {
            // Beyond the root there is nothing.
            return (self.max_mapped_gfn().add(1), Ok(()));
        };
        let level = table.level();
        if level == Level::L3 {
            // All of the table, by the one entry that points to it.
            let end = gfn.next_boundary(Level::L2.order());
            let first = end.raw() - Level::L2.pages();
            return (end, self.remove_any(Gfn::new(first), Level::L2.pages()));
        }
        let first = level.index(gfn);
        let (done, result) = self.clear_run(table, first, gfn, first.room());
        let start = gfn.raw() - level.offset(gfn);
        (Gfn::new(start + done), result)
    }
}

/// `p2m_clear_root_pages`: no walk finds anything any more. The domain will
/// not run again and its devices are gone; flush all the same.
pub fn clear_root_pages(cx: &mut Unlocked<'_>, p2m: &P2m) {
    let mut p2m = p2m.write(cx);
    p2m.clear_root();
    p2m.force_tlb_flush_sync();
}

/// `p2m_teardown`: frees all tables but the root, which is clear.
///
/// # Errors
///
/// [`Errno::RESTART`]: call again.
pub fn teardown(cx: &mut Unlocked<'_>, domain: &Domain) -> Result {
    let mut p2m = domain.p2m().write(cx);
    free_tables(&mut p2m)
}

fn free_tables(p2m: &mut WriteView<'_>) -> Result {
    let mut count = 0;
    // SAFETY: domain_relinquish_resources() empties the root and flushes
    // (`clear_root_pages`) before it calls for this.
    while unsafe { p2m.free_any_table_page() } {
        count += 1;
        if count % PREEMPT_EVERY == 0 && cpu::hypercall_preempt_check() {
            return Err(Errno::RESTART);
        }
    }
    Ok(())
}

/// `p2m_final_teardown`: the domain structure is about to be freed. Also
/// right after [`init`] failed, wherever, and if it was never called.
pub fn final_teardown(domain: &Domain) {
    let p2m = domain.p2m();
    if p2m.domain().is_none() {
        return;
    }
    debug_assert!(p2m.has_no_table_pages());
    // UPSTREAM-DEFECT: B19: no preemption here, however large the pool is.
    while allocation::teardown(domain) == Err(Errno::RESTART) {}
    debug_assert!(domain.lock_pool().is_empty());

    if let Some(root) = p2m.root() {
        // SAFETY: the domain never runs again, or never ran, and its devices
        // are gone. What TLBs may hold of its VMID is flushed before the next
        // owner of the VMID runs (`alloc_table`).
        unsafe { free_root(root, p2m_root_order().load(Relaxed)) };
    }
    p2m.set_root(None);
    p2m.set_vttbr(0);
    vmid::free(domain);
    p2m.set_domain(None);
}
