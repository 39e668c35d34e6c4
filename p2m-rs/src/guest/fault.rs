// SPDX-License-Identifier: GPL-2.0-only
//! Clearing valid bits to track what a guest touches, and resolving the faults that follow
//! (`p2m_invalidate_root`, `p2m_resolve_translation_fault`).
//!
//! To learn which memory a guest touches, Xen clears the valid bits of the root's
//! entries and no other bits. Resolving the translation fault sets the valid bit of the entry
//! again; if the entry points to a table, the valid bits of *that* table's entries are cleared
//! first, so that what is not touched stays out of the hardware's reach.
//!
//! **Pages are tracked by the table**: the valid bits of a level-3 table are not cleared, and
//! where a page's bit is clear all the same (its block was split before it was touched), the
//! fault sets those of all 512. So the first touch of any of them is the one fault for all.
//! Blocks are tracked one by one. (C tracks each page, at the price of 262,144 faults for a
//! gigabyte of pages.) Nothing is lost by that: RAM is cleaned whatever the bits say, and a
//! page may count as touched that was not, never the other way round. No entry becomes valid here
//! that another CPU has broken and not made yet: both happen under one write lock.
//!
//! An entry that the hardware can walk to was therefore used by a vCPU of the domain since the
//! last invalidation (it, or a page of the same table), or was written since. The valid bits do
//! not prove that nobody has written the other pages: neither Xen's own copies nor other
//! domains' mappings go through these tables, and an invalidation forgets what was touched
//! before. So a clear valid bit is no reason to skip a page when RAM is cleaned
//! ([`crate::guest::cache`]). The bits are maintained all the same: `p2m_get_entry` shows them,
//! and other parts of Xen may come to use them.
//!
//! **Who was quicker.** After an invalidation several vCPUs fault on the same entries. All but
//! the first find them valid, and for that the read lock is enough: it keeps out whoever breaks
//! entries, so an entry that is valid under it is there for the hardware too.

use crate::p2m::lock::{ReadView, WriteView};
use crate::p2m::token::Unlocked;
use crate::p2m::P2m;
use crate::table::walk::Walk;
use crate::table::Table;
use crate::types::addr::Gfn;
use crate::types::level::{Level, TableIndex, ENTRIES};
use crate::xen::domain::Domain;
use crate::xen::globals::is_translated;
#[cfg(config_altp2m)]
use crate::{
    map::views::{fill, with_room},
    p2m::{reentry::domain_crash, token::current_vcpu, views::Number},
    types::errno::Failure,
};

/// `p2m_domain_creation_finished`: begins to track what the guest touches.
///
/// Nothing is tracked where an IOMMU shares the tables: a device's fault cannot be resolved.
pub(crate) fn creation_finished(cx: &mut Unlocked<'_>, domain: &Domain) {
    if !domain.iommu_shares_tables() {
        invalidate_root(cx, P2m::host_of(domain));
    }
}

/// `p2m_invalidate_root`: clears the valid bits of all entries of all root pages. (C's loop ends
/// at the root's *level* instead of its number of pages: docs/differences.md, B1.)
pub(crate) fn invalidate_root(cx: &mut Unlocked<'_>, p2m: &P2m) {
    debug_assert!(!p2m.domain().is_some_and(Domain::iommu_shares_tables));
    let write = p2m.write(cx);
    for table in Table::roots(&write) {
        if invalidate_table(&write, table) {
            // With an entry cached in a TLB the next access would not fault.
            write.deferred().defer_whole_flush();
        }
    }
}

/// `p2m_resolve_translation_fault`: returns whether the guest may try again, because the
/// mapping is valid now, or was valid already (another vCPU's fault was resolved before, or
/// another CPU had broken an entry for a moment). It may not where the MMU translates no such
/// address, whatever is mapped there (B24). One fault sets the valid bits of all entries
/// of the walk. (C restores one level per fault, so that a touched page costs as many faults as
/// there are levels.)
pub(crate) fn resolve(cx: &mut Unlocked<'_>, p2m: &P2m, gfn: Gfn) -> bool {
    #[cfg(config_altp2m)]
    if let Some(number) = view_of_current(cx, p2m) {
        return resolve_in_host(cx, p2m, gfn) && copy_to_view(cx, p2m, number, gfn);
    }
    resolve_in_host(cx, p2m, gfn)
}

#[inline(always)]
fn resolve_in_host(cx: &mut Unlocked<'_>, p2m: &P2m, gfn: Gfn) -> bool {
    let seen = as_hardware_sees(&p2m.read(cx), gfn).ok();
    let is_mapped = match seen {
        Some(is_mapped) => is_mapped,
        None => validate(&p2m.write(cx), gfn),
    };
    is_mapped && is_translated(gfn)
}

/// The view that the current vCPU is in, if it is one of this p2m.
#[cfg(config_altp2m)]
#[inline(always)]
fn view_of_current(cx: &Unlocked<'_>, p2m: &P2m) -> Option<Number> {
    let vcpu = current_vcpu(cx);
    let number = Number::of_vcpu(&vcpu)?;
    core::ptr::eq(P2m::host_of(vcpu.domain()), p2m).then_some(number)
}

/// Copies the host's mapping to the view. Without a page for a table, nor copies that can be
/// dropped, the guest cannot go on, and its domain is crashed. If it is dying, nothing is copied, and
/// it does not run again.
#[cfg(config_altp2m)]
#[cold]
#[inline(never)]
fn copy_to_view(cx: &mut Unlocked<'_>, p2m: &P2m, number: Number, gfn: Gfn) -> bool {
    let filled = with_room(&mut p2m.write(cx), |write| fill(write, number, gfn));
    if let (Err(Failure::NoTable), Some(domain)) = (&filled, p2m.domain()) {
        domain_crash(cx, domain);
    }
    filled.unwrap_or(true)
}

/// Walks to `gfn` as far as the hardware would. `Ok` says whether anything is mapped there.
///
/// # Errors
///
/// A mapped entry on the way has its valid bit clear, so the hardware faults there. The error
/// is the walk at the first such entry.
#[inline(never)]
fn as_hardware_sees(view: &ReadView, gfn: Gfn) -> Result<bool, Walk<'_>> {
    if gfn > view.max_mapped_gfn() {
        return Ok(false);
    }
    let Some(mut walk) = Walk::from_root(view, gfn) else {
        debug_assert!(false, "no root for a frame that was mapped");
        return Ok(false);
    };
    loop {
        let pte = walk.slot(gfn).load();
        if !pte.is_mapped() {
            return Ok(false);
        }
        if !pte.valid_bit() {
            return Err(walk);
        }
        if !walk.follow(pte) {
            return Ok(true);
        }
    }
}

/// Sets the valid bits on the walk to `gfn`. Returns whether something is mapped there.
fn validate(write: &WriteView<'_>, gfn: Gfn) -> bool {
    // Between the two locks another vCPU's fault may have been resolved, or the mapping removed.
    let mut walk = match as_hardware_sees(write, gfn) {
        Ok(is_mapped) => return is_mapped,
        Err(walk) => walk,
    };
    // The first valid bit is set last, so that until then no walker reaches the entries below.
    let mut first_invalid = None;
    let is_mapped = loop {
        let here = walk.slot(gfn);
        let pte = here.load();
        if !pte.is_mapped() {
            break false;
        }
        let descended = walk.follow(pte);
        if !pte.valid_bit() {
            let is_of_pages = walk.order() == Level::L3.order();
            if descended && !is_of_pages {
                // No flush: the valid bit of the entry that points to the table has been
                // clear since a flush, so the TLBs hold nothing of what is below that entry.
                let _no_flush = invalidate_table(write, walk.table());
            } else if !descended && is_of_pages {
                validate_table(write, walk.table());
                break true;
            }
            match first_invalid {
                None => first_invalid = Some(here),
                Some(_) => here.validate(write),
            }
        }
        if !descended {
            break true;
        }
    };
    if let Some(first_invalid) = first_invalid {
        write.deferred().barrier();
        first_invalid.validate(write);
    }
    is_mapped
}

/// Sets the valid bits of all pages of a table, which needs no break-before-make.
fn validate_table(write: &WriteView<'_>, table: Table<'_>) {
    table
        .set_valid_bits(write)
        .report(write, table, TableIndex::FIRST, ENTRIES as u64);
}

/// Clears the valid bits of all entries of a table (`p2m_invalidate_table`). Returns whether
/// any was set; then the caller must flush, if the hardware could walk to the table.
#[inline(never)]
fn invalidate_table(write: &WriteView<'_>, table: Table<'_>) -> bool {
    let Some(unreported) = table.clear_valid_bits(write) else {
        return false;
    };
    unreported.report(write, table, TableIndex::FIRST, ENTRIES as u64);
    true
}
