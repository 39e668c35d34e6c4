// SPDX-License-Identifier: GPL-2.0-only
//! Flushing a domain's TLB entries: all of them, or those of a range.
//!
//! The architecture flushes for the VMID in VTTBR_EL2 only, so for a domain
//! that does not run here VTTBR_EL2 is switched for the moment, with
//! interrupts masked. A DSB ISH comes before that: walks of the guest that was
//! interrupted may be in flight, and must not meet another VTTBR_EL2
//! ([`crate::guest::context`] says more). For them a DSB NSH would do; the ISH is KVM's
//! (`enter_vmid_context`), and makes the stores that the flush is about visible to
//! all CPUs' walkers before anything else happens.
//!
//! The flush itself is Xen's helper (VMALLS12E1IS between DSB ISHST and DSB ISH,
//! ISB), which knows about CPUs that want the TLBI repeated (XSA-493), or one of the
//! same build for IPAs (`helpers.c`).
//!
//! **By address or all?** A flush of the whole VMID is one instruction, and the
//! guest then walks anew for each page that it uses, on each CPU: up to the
//! thousand or two that its TLBs hold. A flush by IPA is one broadcast for each
//! entry, and one for stage 1. [`MAX_BY_IPA`] is where the second is clearly
//! less work than the first. With FEAT_TLBIRANGE any range below
//! [`MAX_RANGE`] takes six broadcasts at most, stage 1's among them.

use xen_sys as sys;
use xen_sys::arch;

use crate::types::level::Level;
use crate::types::vttbr::Vttbr;
use crate::xen::cpu::{self, IrqsOff};
use crate::xen::globals::empty_root;
use crate::xen::vcpu::NoGuest;

/// Another VTTBR_EL2 on this CPU, the old one on drop.
///
/// # Invariants
///
/// Interrupts are masked, and no walk of the guest's is in flight, for as long as there
/// is one; `old` is what was loaded before.
struct OtherVttbr {
    old: Vttbr,
    _irqs: IrqsOff,
}

impl OtherVttbr {
    /// For the VMID of `vttbr`, in the place of `old`, which is there now.
    #[inline(always)]
    fn load(vttbr: Vttbr, old: Vttbr) -> Self {
        // With the AT speculation erratum a speculative AT may fill the TLBs
        // while the context is half of one domain and half of another: use
        // the VMID with a root that translates nothing.
        let vttbr = if cpu::has_at_speculate() {
            vttbr.with_root(empty_root())
        } else {
            vttbr
        };
        let irqs = IrqsOff::mask();
        // Walks that the interrupted guest began use VTTBR_EL2: they end first.
        arch::dsb_ish();
        // SAFETY: interrupts are masked, no walk is in flight, and the old value
        // comes back before interrupts are on.
        unsafe { arch::write_vttbr_el2(vttbr.bits()) };
        // VTTBR_EL2 must be in place before the TLBI that uses its VMID.
        cpu::isb();
        Self { old, _irqs: irqs }
    }
}

impl Drop for OtherVttbr {
    fn drop(&mut self) {
        // SAFETY: the value that was there before; the DSB at the end of the flush
        // has waited for walks.
        unsafe { arch::write_vttbr_el2(self.old.bits()) };
        // Back in place before interrupts are on again (fields drop later).
        cpu::isb();
    }
}

/// Most invalidations by IPA that one flush may consist of.
const MAX_BY_IPA: u64 = 8;

/// A flush by range covers fewer frames than this: one by IPA, and what RIPAS2E1IS takes at its
/// four scales.
const MAX_RANGE: u64 = 1 << 21;

/// RIPAS2E1IS has 37 bits for a frame number.
const RANGE_END: u64 = 1 << 37;

/// What a flush takes.
#[derive(Clone, Copy)]
enum Extent {
    /// All that TLBs hold for the VMID, both stages.
    Vmid,
    /// `count` entries from `first` on, of 2^`order` frames each.
    Ipas { first: u64, count: u64, order: u32 },
    /// `pages` frames from `first` on, with FEAT_TLBIRANGE.
    Range { first: u64, pages: u64 },
}

/// All that TLBs hold for the VMID of `vttbr`, both stages, on all CPUs; waits for it.
pub(crate) fn flush_vmid(vttbr: Vttbr) {
    match another_vttbr(vttbr) {
        None => flush_current(Extent::Vmid),
        Some(current) => flush_other_vmid(vttbr, current),
    }
}

/// Out of line, so that a flush of the running domain's saves no registers for it.
#[inline(never)]
fn flush_other_vmid(vttbr: Vttbr, current: Vttbr) {
    let _other = OtherVttbr::load(vttbr, current);
    flush_current(Extent::Vmid);
}

/// What TLBs hold for the VMID of `vttbr` of the frames `first .. end`, of entries that
/// span at least what one of `granule` does, on all CPUs; waits for it. `first` is a
/// multiple of that.
#[inline(always)]
pub(crate) fn flush_range(vttbr: Vttbr, first: u64, end: u64, granule: Level) {
    let (pages, order) = (end.saturating_sub(first), granule.order());
    let count = pages.div_ceil(granule.pages());
    let by_range = sys::xs_has_tlb_range;
    let extent = if count == 1 || count <= MAX_BY_IPA && !by_range() {
        Extent::Ipas {
            first,
            count,
            order,
        }
    } else if pages < MAX_RANGE && end <= RANGE_END && by_range() {
        Extent::Range { first, pages }
    } else {
        Extent::Vmid
    };
    let _other = another_vttbr(vttbr).map(|current| OtherVttbr::load(vttbr, current));
    flush_current(extent);
}

/// What is in VTTBR_EL2, if a TLBI for `vttbr` must not be done with that. All views of a domain
/// have its VMID, and a TLBI looks at nothing else.
#[inline(always)]
fn another_vttbr(vttbr: Vttbr) -> Option<Vttbr> {
    let current = Vttbr::from_bits(arch::read_vttbr_el2());
    let will_do = if cfg!(config_altp2m) {
        current.has_vmid_of(vttbr)
    } else {
        current == vttbr
    };
    (!will_do).then_some(current)
}

/// Flushes for the VMID in VTTBR_EL2.
#[inline(always)]
fn flush_current(extent: Extent) {
    match extent {
        Extent::Vmid => sys::xs_flush_guest_tlb(),
        Extent::Ipas {
            first,
            count,
            order,
        } => {
            // SAFETY: the order is that of a level.
            unsafe { sys::xs_flush_guest_tlb_by_ipa(first, count, order) }
        }
        Extent::Range { first, pages } => {
            // SAFETY: `flush_range` chooses this only with FEAT_TLBIRANGE.
            unsafe { sys::xs_flush_guest_tlb_range(first, pages) }
        }
    }
}

/// Earlier stores are complete for all observers, devices too.
pub(crate) fn all_stores_are_complete() {
    arch::dsb_sy();
}

/// Earlier stores to tables are visible to the walkers of all CPUs, and of a
/// coherent SMMU.
pub(crate) fn stores_are_visible() {
    arch::dsb_ishst();
}

/// What another vCPU has left on this CPU: stage 1 for the VMID in VTTBR_EL2, and instructions
/// ([`crate::guest::context`]). What the CPU holds of stage 2 stays.
pub(crate) fn flush_current_stage1_locally() {
    arch::flush_stage1_local();
}

/// The same, with both stages.
#[cfg(config_altp2m)]
pub(crate) fn flush_current_locally() {
    sys::xs_flush_guest_tlb_local();
    sys::xs_invalidate_icache_local();
}

/// This CPU's entries of all guests.
pub(crate) fn flush_all_guests_locally() {
    sys::xs_flush_all_guests_tlb_local();
}

/// Loads VTTBR_EL2 for the vCPU that this CPU is switched to: the value of its p2m or of its view, or that
/// of the empty root.
#[inline(always)]
pub(crate) fn load_vttbr(_: &NoGuest<'_>, vttbr: Vttbr) {
    // SAFETY: no guest's context is in use, so none can be half one domain's and half another's.
    unsafe { arch::write_vttbr_el2(vttbr.bits()) };
}
