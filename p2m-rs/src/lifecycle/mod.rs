// SPDX-License-Identifier: GPL-2.0-only
//! Creating and destroying a p2m (`p2m_init`, `p2m_alloc_table`,
//! `relinquish_p2m_mapping`, `p2m_clear_root_pages`, `p2m_teardown`,
//! `p2m_final_teardown`).
//!
//! Destruction is preemptible, in this order: references are dropped
//! ([`relinquish`]), the root is cleared and the TLBs are flushed
//! ([`clear_root_pages`]), and table pages are freed ([`teardown`]). Last,
//! [`final_teardown`] frees the pool, the root and the VMID without preemption (XSA-410).
//! Who calls what differs between releases; [`crate::xen::release`] knows it.

pub(crate) mod allocation;
pub(crate) mod dump;
pub(crate) mod preemption;
pub(crate) mod setup;
pub(crate) mod stage2;
#[cfg(config_altp2m)]
mod view_state;
#[cfg(config_altp2m)]
pub(crate) mod view_switch;
#[cfg(config_altp2m)]
pub mod views;
pub(crate) mod vmid;

use core::sync::atomic::Ordering::Relaxed;

use self::preemption::{Preemption, PREEMPT_EVERY};
use crate::map::remove::{clear_run, remove_any};
use crate::map::views::forget_all;
use crate::p2m::lock::WriteView;
use crate::p2m::pages::RootIsEmpty;
use crate::p2m::token::Unlocked;
use crate::p2m::{P2m, UnsharedP2m};
use crate::table::{clear_root, Table};
use crate::types::addr::Gfn;
use crate::types::errno::{Errno, Failure, Outcome, Result};
use crate::types::level::Level;
use crate::types::owner::Forgotten;
use crate::xen::console;
use crate::xen::cpu;
use crate::xen::domain::{Domain, UnsharedDomain};
use crate::xen::pool::{alloc_root, free_root};
use crate::xen::release;
use crate::xen::vcpu::NO_VCPU;

/// `p2m_init`: initialises a new domain's p2m.
///
/// # Errors
///
/// [`Errno::EBUSY`] if no VMID is free, [`Errno::ENOMEM`] if there is no memory for a root or
/// for the first pages of the pool. The caller then calls [`final_teardown`], which handles a p2m
/// after any failure (XSA-181).
pub(crate) fn init(cx: &mut Unlocked<'_>, unshared: UnsharedDomain<'_>) -> Result {
    let (domain, p2m) = (unshared.domain(), UnsharedP2m::of(unshared));
    p2m.init_lock(cx);
    p2m.init_pages();
    unshared.init_pool();
    // An IOMMU that shares the tables may not snoop the caches.
    p2m.init_fields(domain.is_iommu_enabled() && !domain.has_coherent_iommu_walk());
    for last in cpu::all_possible().filter_map(|cpu| p2m.last_vcpu_ran(cpu)) {
        last.store(NO_VCPU, Relaxed);
    }
    // From here on, final_teardown tears the p2m down.
    p2m.set_domain(Some(domain));
    vmid::alloc(unshared)?;
    alloc_table(cx, p2m)?;
    match release::pages_for_creation() {
        0 => Ok(()),
        pages => {
            let mut pool = domain.lock_pool();
            allocation::set_allocation(&mut pool, pages, Preemption::Forbidden)
        }
    }
}

/// `p2m_alloc_table`: allocates an empty root, and flushes the TLB entries of the VMID's
/// previous owner.
fn alloc_table(cx: &mut Unlocked<'_>, p2m: UnsharedP2m<'_>) -> Result {
    p2m.set_root(alloc_root().ok_or(Errno::ENOMEM)?);
    p2m.write(cx).deferred().force_tlb_flush_sync();
    Ok(())
}

/// `relinquish_p2m_mapping`: unmaps everything, and so drops all references.
/// The domain is dying, so nothing is mapped again afterwards.
///
/// # Errors
///
/// [`Errno::ERESTART`]: preempted; the next call continues where this one stopped. A failed
/// IOTLB flush is no error here: the domain's devices were deassigned before. Should
/// a device still reach a page, that page keeps its references for ever; the
/// rest of the domain is freed. (C returns the error, and the domain
/// stays for ever with all its memory.)
pub(crate) fn relinquish(cx: &mut Unlocked<'_>, domain: &Domain) -> Result {
    if !domain.is_dying() {
        console::bug("relinquish of a domain that is not dying");
    }
    let mut p2m = P2m::host_of(domain).write(cx);
    let forgotten = forget_all(&mut p2m);
    let end = p2m.max_mapped_gfn().add(1);
    let mut gfn = p2m.lowest_mapped_gfn();
    let mut result = Ok(());
    // One flush of the whole VMID covers all entries: the domain does not run any more.
    p2m.deferred().defer_whole_flush();
    // No preemption check before the first step, so that each call makes progress.
    let mut past_first_step = false;
    let mut is_logged = false;
    while gfn < end {
        if past_first_step && cpu::general_preempt_check() {
            result = Err(Errno::ERESTART);
            break;
        }
        past_first_step = true;
        if p2m.deferred().pages().many_removed() {
            p2m.finish_early();
            p2m.deferred().defer_whole_flush();
            continue;
        }
        match relinquish_step(&mut p2m, forgotten, gfn) {
            (next, Ok(())) => gfn = next,
            (next, Err(Failure::Iommu(_))) => {
                // Print this once per call: the next table probably fails as well.
                if !core::mem::replace(&mut is_logged, true) {
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

/// Unmaps at most as many pages or blocks as one table maps, or one block of
/// foreign pages, which owns as many references (B4). Returns the frame to continue at, even
/// if the IOTLB flush failed.
fn relinquish_step(
    write: &mut WriteView<'_>,
    forgotten: Forgotten<'_>,
    gfn: Gfn,
) -> (Gfn, Outcome) {
    let Some(table) = Table::last(write, gfn) else {
        // Nothing is mapped beyond the root.
        return (write.max_mapped_gfn().add(1), Ok(()));
    };
    let level = table.level();
    if level == Level::L3 {
        // Clear the one entry that points to this table.
        let end = gfn.next_boundary(Level::L2.order());
        let first = end.raw() - Level::L2.pages();
        return (
            end,
            remove_any(write, forgotten, Gfn::new(first), Level::L2.pages()),
        );
    }
    let first = level.index(gfn);
    let progress = clear_run(write, forgotten, table, first, gfn, first.entries_left());
    let start = gfn.raw() - level.offset(gfn);
    (Gfn::new(start + progress.pages), progress.outcome)
}

/// `p2m_clear_root_pages`: empties the root and flushes the TLBs, so that no walk reaches a
/// table. The domain will not run again and its devices were deassigned; the flush is done all
/// the same.
///
/// # Safety
///
/// The domain will not run again, and its devices are gone.
pub(crate) unsafe fn clear_root_pages(cx: &mut Unlocked<'_>, p2m: &P2m) {
    let mut write = p2m.write(cx);
    clear_root(&mut write);
    write.deferred().force_tlb_flush_sync();
}

/// `p2m_teardown`: frees all tables but the root, which must be empty. Where nobody empties it
/// before ([`release::teardown_clears_root`]) it does so itself.
///
/// # Errors
///
/// [`Errno::ERESTART`]: preempted; call again.
///
/// # Safety
///
/// The domain will not run again, and its devices are gone. [`clear_root_pages`] was called
/// before, where the release has it.
pub(crate) unsafe fn teardown(cx: &mut Unlocked<'_>, p2m: &P2m, preemption: Preemption) -> Result {
    if release::teardown_clears_root() {
        // Nothing to free; perhaps there is not even a root.
        if p2m.has_no_table_pages() {
            return Ok(());
        }
        // SAFETY: as promised to this function.
        unsafe { clear_root_pages(cx, p2m) };
    }
    // SAFETY: the root is empty and the TLBs were flushed since: just now, or before as
    // promised to this function. The domain is dying or was never finished, so nothing has
    // been mapped in between, nor will it run again.
    let unreachable = unsafe { RootIsEmpty::promised() };
    let write = p2m.write(cx);
    #[cfg(config_altp2m)]
    let mut write = write;
    #[cfg(config_altp2m)]
    if write.has_views() {
        views::destroy_all(&mut write, &unreachable);
    }
    let mut count = 0;
    while write.deferred().pages().free_any(&unreachable) {
        count += 1;
        if preemption == Preemption::Allowed
            && count % PREEMPT_EVERY == 0
            && cpu::general_preempt_check()
        {
            return Err(Errno::ERESTART);
        }
    }
    Ok(())
}

/// `p2m_final_teardown`: frees what is left, before the domain structure is freed. It is also
/// called after [`init`] failed at any point, or was never called.
///
/// # Safety
///
/// The domain will not run again, and its devices are gone.
pub(crate) unsafe fn final_teardown(cx: &mut Unlocked<'_>, unshared: UnsharedDomain<'_>) {
    let (domain, p2m) = (unshared.domain(), UnsharedP2m::of(unshared));
    if p2m.domain().is_none() {
        return;
    }
    if release::final_teardown_frees_tables() {
        // SAFETY: as promised to this function.
        let result = unsafe { teardown(cx, &p2m, Preemption::Forbidden) };
        debug_assert!(result == Ok(()));
    }
    debug_assert!(p2m.has_no_table_pages());
    // No preemption here, but neither are there many pages: `domain_kill` has emptied the pool, or
    // the domain's creation failed, and there are those of `release::pages_for_creation`. (Or a
    // toolstack has given the dying domain pages again: K5.)
    while allocation::teardown(domain) == Err(Errno::ERESTART) {}
    debug_assert!(domain.lock_pool().is_empty());

    if let Some(root) = p2m.take_root() {
        // SAFETY: the domain never runs again, or never ran, and its devices were
        // deassigned. TLB entries of its VMID are flushed before the next
        // owner of the VMID runs (`alloc_table`).
        unsafe { free_root(root) };
    }
    vmid::free(unshared);
    #[cfg(config_altp2m)]
    views::forget(unshared);
    p2m.set_domain(None);
}
