// SPDX-License-Identifier: GPL-2.0-only
//! Flushing a domain's TLB entries.
//!
//! The architecture flushes for the VMID in VTTBR_EL2 only, so for a domain
//! that does not run here VTTBR_EL2 is switched for the moment, with
//! interrupts masked. The flush itself is Xen's helper (VMALLS12E1IS between
//! DSB ISHST and DSB ISH, ISB), which knows about CPUs that want the TLBI
//! repeated (XSA-493).

use xen_sys as sys;
use xen_sys::arch;

use crate::globals::empty_root;
use crate::lock::WriteView;
use crate::p2m::P2m;
use crate::setup::generate_vttbr;
use crate::xen::cpu::{self, IrqsOff};

/// Another VTTBR_EL2 on this CPU, the old one on drop. No guest context may
/// be entered and no interrupt taken in between.
struct OtherVttbr {
    old: u64,
    _irqs: IrqsOff,
}

impl OtherVttbr {
    fn load(vttbr: u64, old: u64) -> Self {
        let irqs = IrqsOff::mask();
        // SAFETY: interrupts are masked, and the old value comes back before
        // they are not.
        unsafe { arch::write_vttbr_el2(vttbr) };
        // VTTBR_EL2 must be in place before the TLBI that uses its VMID.
        cpu::isb();
        Self { old, _irqs: irqs }
    }
}

impl Drop for OtherVttbr {
    fn drop(&mut self) {
        // SAFETY: the value that was there before.
        unsafe { arch::write_vttbr_el2(self.old) };
        // Back in place before interrupts are on again (fields drop later).
        cpu::isb();
    }
}

impl WriteView<'_> {
    /// Flushes now what TLBs hold for the domain, whether owed or not
    /// (`p2m_force_tlb_flush_sync`).
    pub fn force_tlb_flush_sync(&self) {
        flush_vmid_of(self.p2m());
        self.set_need_flush(false);
    }

    /// Flushes if a flush is owed (`p2m_tlb_flush_sync`).
    pub fn tlb_flush_sync(&self) {
        if self.need_flush() {
            self.force_tlb_flush_sync();
        }
    }
}

/// Invalidates all stage-1 and stage-2 entries of the domain's VMID, on all
/// CPUs, and waits for it.
fn flush_vmid_of(p2m: &P2m) {
    // SAFETY: Xen runs at EL2.
    let current = unsafe { arch::read_vttbr_el2() };
    let _other = (current != p2m.vttbr()).then(|| {
        // With the AT speculation erratum a speculative AT may fill the TLBs
        // while the context is half of one domain and half of another: use
        // the VMID with a root that translates nothing.
        let vttbr = if cpu::has_at_speculate() {
            generate_vttbr(p2m.vmid(), empty_root())
        } else {
            p2m.vttbr()
        };
        OtherVttbr::load(vttbr, current)
    });
    // SAFETY: invalidates what can be read from the tables again.
    unsafe { sys::xs_flush_guest_tlb() };
}

/// This CPU's entries of the VMID in VTTBR_EL2.
pub(crate) fn flush_current_vmid_locally() {
    // SAFETY: as in `flush_vmid_of`.
    unsafe { sys::xs_flush_guest_tlb_local() };
}

/// This CPU's entries of all guests.
pub(crate) fn flush_all_guests_locally() {
    // SAFETY: as in `flush_vmid_of`.
    unsafe { sys::xs_flush_all_guests_tlb_local() };
}

/// Loads VTTBR_EL2 for the context that is being switched to.
pub(crate) fn load_vttbr(vttbr: u64) {
    // SAFETY: context switch or CPU bring-up: no guest context is active.
    unsafe { arch::write_vttbr_el2(vttbr) };
}
