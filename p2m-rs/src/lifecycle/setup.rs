// SPDX-License-Identifier: GPL-2.0-only
//! Setting up stage 2 on all CPUs at boot (`setup_virt_paging`).
//!
//! The IPA space is as large as the physical address space, or smaller if an IOMMU
//! supports less. The IPA size decides the shape of the tables: one root table at level 0,
//! or up to 8 concatenated tables at level 1.
#![forbid(unsafe_code)]

use core::sync::atomic::Ordering::Relaxed;

use xen_sys as sys;

use super::vmid;
use crate::p2m::P2m;
use crate::types::level::{Level, TABLE_SHIFT};
use crate::types::vttbr::Vttbr;
use crate::xen::console;
use crate::xen::cpu;
use crate::xen::globals::{
    empty_root, empty_root_mfn, max_vmid, p2m_ipa_bits, p2m_root_level, p2m_root_order,
    root_page_order, vtcr,
};
use crate::xen::page::Page;
use crate::xen::pool::alloc_root;
use crate::xen::tlb;
use crate::xen::vcpu::NoGuest;
use crate::xen::vmid_pool::MAX_VMID_16_BIT;

const VTCR_SL0_SHIFT: u32 = 6;
const VTCR_PS_SHIFT: u32 = 16;

/// A physical address size and the table shape for it.
struct PaRange {
    pa_bits: u8,
    root_order: u8,
    sl0: u8,
}

impl PaRange {
    const fn new(pa_bits: u8, root_order: u8, sl0: u8) -> Self {
        Self {
            pa_bits,
            root_order,
            sl0,
        }
    }

    fn pa_bits(&self) -> u32 {
        self.pa_bits.into()
    }
}

/// The physical address sizes, by PARange, each with its greatest SL0 (DDI 0487H.a,
/// table D5-6). T0SZ is 64 minus the number of bits.
const PA_RANGES: [PaRange; 7] = [
    PaRange::new(32, 0, 1),
    PaRange::new(36, 0, 1),
    PaRange::new(40, 1, 1),
    PaRange::new(42, 3, 1),
    PaRange::new(44, 0, 2),
    PaRange::new(48, 0, 2),
    PaRange::new(52, 4, 2),
];

/// `p2m_restrict_ipa_bits`: a driver supports no more than `ipa_bits`. Drivers call this before
/// [`all_cpus`].
pub(crate) fn restrict_ipa_bits(ipa_bits: u32) {
    p2m_ipa_bits().fetch_min(ipa_bits, Relaxed);
}

/// `setup_virt_paging`: the boot CPU sets stage 2 up for all CPUs that are online. CPUs that
/// come up later call [`this_cpu`]; `on_all_others` has those that are online call it, and waits for them.
pub(crate) fn all_cpus(no_guest: &NoGuest<'_>, on_all_others: fn()) {
    console::implementation();
    Page::ready(no_guest);
    // A PARange that is not known here, such as 7 for 56 bits, is larger than those that are
    // (DDI 0487K, D24.1.3), and so restricts nothing. Linux takes it so, too.
    if let Some(row) = PA_RANGES.get(cpu::pa_range()) {
        restrict_ipa_bits(row.pa_bits());
    }
    if cpu::has_16_bit_vmids() {
        max_vmid().store(MAX_VMID_16_BIT, Relaxed);
    }
    let sixteen_bit_vmids = max_vmid().load(Relaxed) == MAX_VMID_16_BIT;

    let ipa_bits = p2m_ipa_bits().load(Relaxed);
    let (ps, shape) = shape_for(ipa_bits);
    let mut value = u64::from(sys::XS_VTCR_BASE)
        | u64::from(ps) << VTCR_PS_SHIFT
        | u64::from(shape.sl0) << VTCR_SL0_SHIFT
        | u64::from(64 - ipa_bits);
    if sixteen_bit_vmids {
        value |= u64::from(sys::XS_VTCR_VS);
    }
    let (level, root_order) = (2 - u32::from(shape.sl0), shape.root_order.into());
    p2m_root_order().store(root_order, Relaxed);
    p2m_root_level().store(level, Relaxed);
    root_page_order().store(Level::from_number(level).order() + TABLE_SHIFT, Relaxed);

    let vmid_bits = if sixteen_bit_vmids { 16 } else { 8 };
    console::stage2_sizes(ipa_bits, shape.pa_bits(), vmid_bits);
    console::stage2_shape(4 - level, root_order, value);

    vmid::init();
    if level == 0 && root_order > 0 {
        console::bug("level-0 tables cannot be concatenated");
    }
    vtcr().store(value, Relaxed);
    if cpu::found_at_speculate() {
        let Some(root) = alloc_root() else {
            console::panic_no_empty_root();
        };
        empty_root_mfn().store(root.mfn().raw(), Relaxed);
    }
    this_cpu(no_guest);
    on_all_others();
}

/// The PARange and the table shape for an IPA size.
fn shape_for(ipa_bits: u32) -> (u32, &'static PaRange) {
    (0..)
        .zip(&PA_RANGES)
        .find(|(_, row)| row.pa_bits() == ipa_bits)
        .unwrap_or_else(|| console::panic_unsupported_ipa_bits(ipa_bits))
}

/// `setup_virt_paging_one`: sets stage 2 up on this CPU.
pub(crate) fn this_cpu(no_guest: &NoGuest<'_>) {
    cpu::load_vtcr(no_guest);
    // With the AT speculation erratum, the TLBs must hold nothing of EL1 until
    // a vCPU runs: stage 2 is enabled now, with the empty root, which translates nothing.
    if cpu::found_at_speculate() {
        tlb::load_vttbr(no_guest, Vttbr::new(empty_root(), P2m::INVALID_VMID));
        cpu::enable_stage2(no_guest);
        cpu::isb();
    }
    // A reset need not empty the TLBs, and while a CPU is off it hears of no flush. (KVM has the
    // same, in `___kvm_hyp_init`.)
    tlb::flush_all_guests_locally();
}
