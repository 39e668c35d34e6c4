// SPDX-License-Identifier: GPL-2.0-only
//! Switching a CPU from one vCPU's stage 2 to another's (`p2m_save_state`,
//! `p2m_restore_state`). Interrupts are masked; no lock is held or taken.
//!
//! **Walks in flight.** Translation table walks that EL1 or EL0 began can continue
//! after an exception to EL2 (DDI 0487K, D8.1.5, R_LFHQG). They use the registers of
//! the EL1&0 translation regime as they find them, so a walk could use a half-switched
//! context, and its result could stay in the TLBs. A DSB at EL2 completes these walks
//! (I_QVPYJ), and at EL2 only AT instructions begin new ones (R_NRJPP), of which a context
//! switch has none. So [`save`] begins with a DSB. Xen's `ctxt_switch_from` calls [`save`]
//! first, so the DSB precedes every register write of the whole switch,
//! also those of `ctxt_switch_to`, which is C. (Xen's entry from a guest happens to
//! have a DSB too, but not with the option `serrors=panic`.)
//!
//! The barrier is a DSB **NSH**, since only this CPU's own walks must complete. NSHST would
//! not do: a walk consists of loads, and a DSB for stores need not wait for loads. KVM
//! has the same barrier, for the same reason, in `__kvm_vcpu_run`.

#[cfg(config_altp2m)]
use core::sync::atomic::AtomicU8;
use core::sync::atomic::Ordering::Relaxed;

#[cfg(config_altp2m)]
use crate::p2m::views::LastInView;
use crate::p2m::P2m;
use crate::types::vttbr::Vttbr;
use crate::xen::cpu;
use crate::xen::globals::empty_root;
use crate::xen::tlb;
#[cfg(config_altp2m)]
use crate::xen::vcpu::{NoGuest, Vcpu};
use crate::xen::vcpu::{SwitchedVcpu, NO_VCPU};

/// `p2m_save_state`: the vCPU stops running on this CPU.
pub(crate) fn save(vcpu: SwitchedVcpu<'_>) {
    let (no_guest, vcpu) = vcpu.enter();
    cpu::wait_for_walks();
    vcpu.save_sctlr();
    // With the AT speculation erratum, nothing may fill the TLBs while the
    // registers belong to two vCPUs: the empty root translates nothing until `restore`.
    if cpu::has_at_speculate() {
        tlb::load_vttbr(&no_guest, Vttbr::new(empty_root(), P2m::INVALID_VMID));
        cpu::isb();
    }
}

/// `p2m_restore_state`: the vCPU starts running on this CPU.
pub(crate) fn restore(vcpu: SwitchedVcpu<'_>) {
    let (no_guest, vcpu) = vcpu.enter();
    if vcpu.is_idle() {
        return;
    }
    let p2m = P2m::host_of(vcpu.domain());
    vcpu.load_sctlr(&no_guest);
    vcpu.load_hcr(&no_guest);
    // With the erratum, VTTBR_EL2 must be written after all registers of EL1 and EL0.
    if cpu::has_at_speculate() {
        cpu::isb();
    }
    #[cfg(config_altp2m)]
    if vcpu.view() != 0 {
        return enter_view(&no_guest, vcpu, p2m);
    }
    tlb::load_vttbr(&no_guest, p2m.vttbr());
    // VTTBR_EL2 must be in effect before a TLBI, the EL1 registers before an AT.
    cpu::isb();

    // TLB entries are tagged with VMID and ASID, not with the vCPU: another
    // vCPU of the domain may have used an ASID on this CPU for another address space.
    // Stage 2 is the same for all vCPUs of a domain that are in no view (C flushes that as well).
    // And a vCPU whose MMU was off may have fetched instructions from beyond the point of unification, to which
    // others clean what they write: so the instruction cache goes, too (as in KVM, Linux commit 01dc9262ff57).
    let Some(last) = p2m.last_vcpu_ran(cpu::id()) else {
        return;
    };
    // A domain has at most 128 vCPUs; NO_VCPU is above their numbers.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let this = vcpu.id() as u8;
    let previous = last.load(Relaxed);
    if previous != NO_VCPU && previous != this {
        #[cfg(config_altp2m)]
        if previous == IN_A_VIEW {
            return leave_views(last, this);
        }
        tlb::flush_current_stage1_locally();
    }
    last.store(this, Relaxed);
}

/// In `last_vcpu_ran`: the last vCPU that ran on this CPU was in a view. `p2m_views.last_ran`
/// says which vCPU and which view. No vCPU has this number.
#[cfg(config_altp2m)]
const IN_A_VIEW: u8 = u8::MAX;
#[cfg(config_altp2m)]
static_assertions::const_assert!(IN_A_VIEW > NO_VCPU);

/// The vCPU, which is in a view, starts running on this CPU.
///
/// All tables of a domain have the same VMID. So what this CPU's TLBs hold of others goes before
/// a guest runs on these: the walks that the last guest began are over ([`save`]), and at EL2
/// only an AT begins new ones, of which there is none before the flush. (A CPU that may speculate
/// an AT may have walked the new tables by then, beside what it holds of the old ones. No guest
/// has run meanwhile, and the flush takes both.)
#[cfg(config_altp2m)]
#[cold]
#[inline(never)]
fn enter_view(no_guest: &NoGuest<'_>, vcpu: &Vcpu, p2m: &P2m) {
    tlb::load_vttbr(no_guest, p2m.vttbr_in_view(vcpu.view()));
    cpu::isb();
    let Some(last) = p2m.last_vcpu_ran(cpu::id()) else {
        return;
    };
    let previous = p2m.last_in_view(cpu::id(), vcpu);
    match (last.load(Relaxed), previous) {
        (NO_VCPU, _) | (IN_A_VIEW, LastInView::Same) => {}
        (IN_A_VIEW, LastInView::OtherVcpu) => tlb::flush_current_stage1_locally(),
        _ => tlb::flush_current_locally(),
    }
    last.store(IN_A_VIEW, Relaxed);
}

/// A vCPU that is in no view starts running where the last one was in a view.
#[cfg(config_altp2m)]
#[cold]
#[inline(never)]
fn leave_views(last: &AtomicU8, this: u8) {
    tlb::flush_current_locally();
    last.store(this, Relaxed);
}
