// SPDX-License-Identifier: GPL-2.0-only
//! Cleaning guest RAM to memory, and the emulation of set/way operations
//! (`p2m_cache_flush_range`, `p2m_set_way_flush`, `p2m_toggle_cache`,
//! `p2m_flush_vm`).
//!
//! Set/way cache maintenance cannot be virtualised: it acts on one CPU's
//! caches, and lines migrate. What a guest wants with it is to clean all of
//! its cache when it turns the MMU on or off. So: the first trapped set/way
//! operation starts to trap the guest's changes of its MMU controls (HCR.TVM),
//! and each time the caches go on or off all of its RAM is cleaned by address.
//! Once they are on, the trapping ends (see Arm ARM, B1.14.4 of DDI 0406C).
//!
//! **What is cleaned: all RAM that is mapped**, whatever the valid bits of its entry
//! and of those above say. These bits track what the guest touches
//! ([`crate::guest::fault`]), and it is tempting to clean only that, as C means to. But a
//! page is clean only if *nobody* has written it since it was cleaned last, and of
//! those who can, the bits know one:
//!
//! - *The guest*, through an entry whose bit is set: known. But not what it, on another
//!   vCPU, writes after the pass has been at that page and before the root is
//!   invalidated: the entries above have lost the trace by then.
//! - *Xen*, in copies for hypercalls: where the AT instruction fails these reach pages
//!   by a walk in software, which asks for no bit and sets none ([`crate::guest::gva`]). Also pages that it shares with the
//!   guest: it writes them by mappings of its own, at any time.
//! - *Backends*, by grants and foreign mappings, which may be made, written and undone
//!   between two passes, or held across several.
//! - *The toolstack*, which loads kernels and patches them (LibVMI), by foreign
//!   mappings.
//! - *Devices* write past the caches or are coherent. Their tables are not ours to
//!   invalidate, and with shared ones there is no tracking at all.
//!
//! Whoever wants to skip a page needs the word of all of them.

use super::fault::invalidate_root;
use crate::p2m::lock::ReadView;
use crate::p2m::reentry::do_softirq;
use crate::p2m::token::Unlocked;
use crate::p2m::P2m;
use crate::table::Table;
use crate::types::addr::{Gfn, Mfn};
use crate::types::errno::{to_c, Errno, Result};
use crate::types::p2m_type::P2mType;
use crate::types::pte::{Kind, Pte};
use crate::xen::console;
use crate::xen::cpu;
use crate::xen::page::flush_to_ram;
use crate::xen::vcpu::Vcpu;

/// Work between two looks for pending softirqs, in units of a skipped hole.
const BUDGET: u64 = 512;

/// What cleaning one page counts.
const PAGE_COST: u64 = 10;

/// Entries that are looked at ahead. Pages, to be cleaned before the budget is
/// spent; of blocks there are not so many in a row.
const AT_ONCE: u64 = BUDGET / PAGE_COST;

/// `p2m_cache_flush_range`: cleans and invalidates the RAM that is mapped in
/// `*start .. end`. The page tables do not change, so a read lock does.
///
/// # Errors
///
/// [`Errno::ERESTART`]: a softirq is pending; `*start` says where to go on.
pub fn flush_range(cx: &mut Unlocked<'_>, p2m: &P2m, start: &mut Gfn, end: Gfn) -> Result {
    let p2m = p2m.read(cx);
    let end = end.min(p2m.max_mapped_gfn().add(1));
    let mut gfn = (*start).max(p2m.lowest_mapped_gfn());
    let result = flush_until(&p2m, &mut gfn, end);
    if result.is_ok() {
        cpu::invalidate_icache();
    }
    *start = gfn;
    result
}

/// Cleans from `gfn` on, table by table.
fn flush_until(view: &ReadView, gfn: &mut Gfn, end: Gfn) -> Result {
    let mut run = Run::default();
    let mut spent = 0;
    while *gfn < end {
        let Some(table) = Table::last(view, *gfn) else {
            *gfn = end;
            break;
        };
        // Entry by entry, to the end of the table or to a table below.
        let level = table.level();
        let mut at = Some(level.index(*gfn));
        while let Some(index) = at.filter(|_| *gfn < end) {
            let pte = table.load(index);
            if matches!(pte.kind(level), Kind::Table(_)) {
                break;
            }
            let next = gfn.next_boundary(level.order());
            let mut count = 1;
            if is_to_clean(pte) {
                count = table.run_of(index, pte, AT_ONCE);
                let next = next.add((count - 1) << level.order());
                let first = pte.mfn().add(level.offset(*gfn));
                run.clean(gfn, next.min(end), first, &mut spent)?;
            } else {
                run.preempt(&mut spent)?;
                spent += 1;
                *gfn = next;
            }
            at = index.advanced(count);
        }
    }
    Ok(())
}

/// Whether the entry maps RAM, which somebody may have written.
fn is_to_clean(pte: Pte) -> bool {
    pte.ty().is_some_and(P2mType::is_any_ram)
}

/// Consecutive frames that wait to be cleaned together: one pair of barriers
/// for all. Never more than the budget is good for.
#[derive(Default)]
struct Run(Option<(Mfn, u64)>);

impl Run {
    /// Cleans what is mapped at `gfn .. end`, from the frame `first` on.
    fn clean(&mut self, gfn: &mut Gfn, end: Gfn, first: Mfn, spent: &mut u64) -> Result {
        let mut mfn = first;
        while *gfn < end {
            self.preempt(spent)?;
            let rest = end.raw() - gfn.raw();
            let pages = rest.min((BUDGET - *spent).div_ceil(PAGE_COST));
            self.add(mfn, pages);
            *spent += pages * PAGE_COST;
            *gfn = gfn.add(pages);
            mfn = mfn.add(pages);
        }
        Ok(())
    }

    fn add(&mut self, mfn: Mfn, pages: u64) {
        match &mut self.0 {
            Some((first, before)) if first.add(*before) == mfn => *before += pages,
            _ => {
                self.finish();
                self.0 = Some((mfn, pages));
            }
        }
    }

    /// Once the budget is spent: cleans what waits.
    ///
    /// # Errors
    ///
    /// [`Errno::ERESTART`]: it is spent, and a softirq is pending.
    fn preempt(&mut self, spent: &mut u64) -> Result {
        if *spent < BUDGET {
            return Ok(());
        }
        self.finish();
        *spent = 0;
        if cpu::softirq_pending() {
            return Err(Errno::ERESTART);
        }
        Ok(())
    }

    #[inline(never)]
    fn finish(&mut self) {
        if let Some((first, pages)) = self.0.take() {
            flush_to_ram(first, pages);
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Whether [`set_way`] emulated the instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetWay {
    /// Yes.
    Emulated,
    /// No: the guest must get an undefined instruction exception.
    Undefined,
}

/// `p2m_set_way_flush`: a trapped set/way operation of the current vCPU.
pub fn set_way(vcpu: &Vcpu) -> SetWay {
    debug_assert!(vcpu.is_current());
    if vcpu.domain().iommu_shares_tables() {
        console::set_way_with_shared_tables();
        return SetWay::Undefined;
    }
    if !vcpu.traps_vm_controls() {
        vcpu.set_need_flush_to_ram(true);
        vcpu.trap_vm_controls(true);
    }
    SetWay::Emulated
}

/// `p2m_toggle_cache`: the current vCPU wrote one of the trapped controls;
/// `was_enabled` says how its caches were before.
pub fn toggle(vcpu: &Vcpu, was_enabled: bool) {
    debug_assert!(vcpu.is_current());
    let now_enabled = vcpu.has_cache_enabled();
    // On: the caches must not hold stale lines. Off: memory must be up to
    // date. Clean and invalidate does for both.
    if was_enabled != now_enabled {
        vcpu.set_need_flush_to_ram(true);
    }
    if now_enabled {
        vcpu.trap_vm_controls(false);
    }
}

/// `p2m_flush_vm`: cleans the RAM of the current vCPU's domain, and starts to
/// track anew what it touches, as C does. Interrupts are on; may be descheduled.
pub fn flush_vm(cx: &mut Unlocked<'_>, vcpu: &Vcpu) {
    debug_assert!(vcpu.is_current());
    debug_assert!(cpu::irqs_enabled());
    debug_assert!(vcpu.need_flush_to_ram());

    let p2m = P2m::host_of(vcpu.domain());
    let mut start = Gfn::new(0);
    let result = loop {
        match flush_range(cx, p2m, &mut start, Gfn::new(!0)) {
            Err(Errno::ERESTART) => do_softirq(cx),
            result => break result,
        }
    };
    if result.is_err() {
        console::cannot_clean_p2m(to_c(result));
    }
    invalidate_root(cx, p2m);
    vcpu.set_need_flush_to_ram(false);
}
