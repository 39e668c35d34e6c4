// SPDX-License-Identifier: GPL-2.0-only
//! Cleaning guest RAM to memory, and the emulation of set/way operations
//! (`p2m_cache_flush_range`, `p2m_set_way_flush`, `p2m_toggle_cache`,
//! `p2m_flush_vm`).
//!
//! Set/way cache maintenance cannot be virtualised: it acts on one CPU's
//! caches, and lines migrate. A guest uses it to clean all of
//! its cache when it turns the MMU on or off. So the first trapped set/way
//! operation makes Xen trap the guest's writes to its MMU controls (HCR_EL2.TVM),
//! and clean all of the guest's RAM by address; RAM is cleaned again each time the guest's
//! caches are turned on or off. Once the caches are on, the trapping ends (see Arm ARM,
//! B1.14.4 of DDI 0406C).
//!
//! **All RAM that is mapped is cleaned**, whatever the valid bits of its entry
//! and of the entries above say. These bits track what the guest touches
//! ([`crate::guest::fault`]), so it is tempting to clean only what was touched, as C intends
//! to. But a page is clean only if *nobody* has written it since it was cleaned last, and the
//! bits track only one of the possible writers:
//!
//! - *The guest* writes through an entry whose valid bit is set, so that is tracked. What
//!   another vCPU writes after this pass has cleaned the page and before the root is
//!   invalidated is lost, since the invalidation resets the tracking.
//! - *Xen* writes guest buffers in hypercalls. Where the AT instruction fails, Xen reaches
//!   the page with a software walk, which ignores valid bits and sets none
//!   ([`crate::guest::gva`]). Xen also writes pages that it shares with the guest, through
//!   mappings of its own, at any time.
//! - *Backends* write through grants and foreign mappings, which may be made, used and undone
//!   between two passes, or kept across several.
//! - *The toolstack* loads and patches kernels (LibVMI) through foreign mappings.
//! - *Devices* either write to memory past the caches, or are coherent. Xen does not invalidate
//!   the IOMMU's own tables, and with shared tables nothing is tracked.
//!
//! A page may only be skipped if none of these has written it.

use super::fault::invalidate_root;
use crate::p2m::lock::ReadView;
use crate::p2m::reentry::do_softirq;
use crate::p2m::token::Unlocked;
use crate::p2m::P2m;
use crate::table::Table;
use crate::types::addr::{Gfn, Mfn};
use crate::types::errno::{to_c, Errno};
use crate::types::pte::Kind;
use crate::xen::console;
use crate::xen::cpu;
use crate::xen::page::flush_to_ram;
use crate::xen::vcpu::CurrentVcpu;

/// The work between two checks for pending softirqs, where skipping one hole costs 1.
const BUDGET: u64 = 512;

/// The cost of cleaning one page.
const PAGE_COST: u64 = 10;

/// The longest run of entries that is read at once: as many pages as the budget allows to
/// clean.
const AT_ONCE: u64 = BUDGET / PAGE_COST;

/// `p2m_cache_flush_range`: cleans and invalidates the RAM that is mapped in
/// `*start .. end`. The page tables do not change, so a read lock is enough. Between two checks for
/// softirqs it is released, whether or not one is pending: whoever waits to write would wait for the
/// whole range otherwise, and all who want to read behind him, dom0 among them. (C keeps it until a
/// softirq is pending.)
///
/// # Errors
///
/// [`Errno::ERESTART`]: a softirq is pending; `*start` is the frame to continue at.
pub(crate) fn flush_range(
    cx: &mut Unlocked<'_>,
    p2m: &P2m,
    start: &mut Gfn,
    end: Gfn,
) -> Result<(), Errno> {
    loop {
        let view = p2m.read(cx);
        let end = end.min(view.max_mapped_gfn().add(1));
        *start = (*start).max(view.lowest_mapped_gfn());
        let is_done = flush_some(&view, start, end).is_ok();
        drop(view);
        if is_done {
            cpu::invalidate_icache();
            return Ok(());
        }
        if cpu::softirq_pending() {
            return Err(Errno::ERESTART);
        }
    }
}

/// The budget is spent.
struct Spent;

/// Cleans `*gfn .. end`, table by table, and advances `*gfn`.
///
/// # Errors
///
/// [`Spent`]: it has not come to the end.
fn flush_some(view: &ReadView, gfn: &mut Gfn, end: Gfn) -> Result<(), Spent> {
    let mut run = Run::default();
    let mut spent = 0;
    while *gfn < end {
        let Some(table) = Table::last(view, *gfn) else {
            *gfn = end;
            break;
        };
        // Entry by entry, up to the end of the table or an entry that points to a table.
        let level = table.level();
        let mut at = Some(level.index(*gfn));
        while let Some(index) = at.filter(|_| *gfn < end) {
            let pte = table.load(index);
            if matches!(pte.kind(level), Kind::Table(_)) {
                break;
            }
            let next = gfn.next_boundary(level.order());
            let mut count = 1;
            if pte.is_any_ram() {
                count = table.run_of(index, pte, AT_ONCE);
                let next = next.add((count - 1) << level.order());
                let first = pte.mfn().add(level.offset(*gfn));
                run.clean(gfn, next.min(end), first, &mut spent)?;
            } else {
                within_budget(spent)?;
                spent += 1;
                *gfn = next;
            }
            at = index.advanced(count);
        }
    }
    Ok(())
}

/// Checks that some of the budget is left.
///
/// # Errors
///
/// [`Spent`].
fn within_budget(spent: u64) -> Result<(), Spent> {
    if spent < BUDGET {
        Ok(())
    } else {
        Err(Spent)
    }
}

/// Consecutive frames that will be cleaned together, with one pair of barriers
/// for all, at the latest when this value is dropped. There are never more than the budget allows.
#[derive(Default)]
struct Run(Option<(Mfn, u64)>);

impl Run {
    /// Adds the frames that are mapped at `*gfn .. end`, of which `first` is the first, and
    /// advances `*gfn`.
    fn clean(&mut self, gfn: &mut Gfn, end: Gfn, first: Mfn, spent: &mut u64) -> Result<(), Spent> {
        let mut mfn = first;
        while *gfn < end {
            within_budget(*spent)?;
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
pub(crate) enum SetWay {
    /// Yes.
    Emulated,
    /// No: the guest must get an undefined instruction exception.
    Undefined,
}

/// `p2m_set_way_flush`: a trapped set/way operation of the current vCPU.
pub(crate) fn set_way(vcpu: CurrentVcpu<'_>) -> SetWay {
    debug_assert!(vcpu.is_current());
    if vcpu.domain().iommu_shares_tables() {
        console::set_way_with_shared_tables(&vcpu);
        return SetWay::Undefined;
    }
    if !vcpu.traps_vm_controls() {
        vcpu.set_need_flush_to_ram(true);
        vcpu.trap_vm_controls(true);
    }
    SetWay::Emulated
}

/// `p2m_toggle_cache`: the current vCPU wrote one of the trapped controls;
/// `was_enabled` says whether its caches were on before.
pub(crate) fn toggle(vcpu: CurrentVcpu<'_>, was_enabled: bool) {
    debug_assert!(vcpu.is_current());
    let now_enabled = vcpu.has_cache_enabled();
    // If the caches are turned on, they must not hold stale lines; if they are turned off,
    // memory must be up to date. Clean and invalidate serves both.
    if was_enabled != now_enabled {
        vcpu.set_need_flush_to_ram(true);
    }
    if now_enabled {
        vcpu.trap_vm_controls(false);
    }
}

/// `p2m_flush_vm`: cleans the RAM of the current vCPU's domain, then invalidates the root, so
/// that tracking what the guest touches begins anew, as in C. Interrupts must be enabled; the
/// vCPU may be descheduled.
pub(crate) fn flush_vm(cx: &mut Unlocked<'_>, vcpu: CurrentVcpu<'_>) {
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
        console::cannot_clean_p2m(&vcpu, to_c(result));
    }
    invalidate_root(cx, p2m);
    vcpu.set_need_flush_to_ram(false);
}
