// SPDX-License-Identifier: GPL-2.0-only
//! Address translation by the hardware (AT instructions), for the current
//! vCPU only: the registers must be loaded.
//!
//! The MMU reads the p2m's tables as it does for a guest that runs, whoever holds the lock. What
//! the lock changes is what a *failure* means: while it is held for reading, no entry is in the
//! middle of break-before-make, so the tables really have no such translation. Without it a
//! failure means nothing. (Strictly, an AT may be executed before the lock is taken, unless an ISB
//! comes in between. It would fail for no reason then, and cost a walk by software.)

use xen_sys as sys;

use super::lock::ReadView;
use crate::types::addr::{Gva, Ipa, Maddr, PAGE_SHIFT, PAGE_SIZE};
use crate::types::p2m_type::P2mType;
use crate::xen::vcpu::CurrentVcpu;

/// PAR_EL1 bit 0: the translation failed.
const PAR_F: u64 = 1;

/// PAR_EL1 bits 47:12: the page's address.
const PAR_ADDRESS: u64 = ((1 << 36) - 1) << PAGE_SHIFT;

/// What a copy to or from the guest wants to do (C's `GV2M_*`).
///
/// Instruction fetch (`GV2M_EXEC`) is accepted and, as in C, not checked: AT
/// cannot test for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gv2mFlags(u32);

impl Gv2mFlags {
    /// From C.
    pub const fn from_c(flags: u32) -> Self {
        Self(flags)
    }

    /// For C.
    pub const fn to_c(self) -> u32 {
        self.0
    }

    /// Whether a write is wanted, among other things.
    pub const fn wants_write(self) -> bool {
        self.0 & sys::XS_GV2M_WRITE != 0
    }

    /// Whether Xen may do that for a guest with a page of this type: read its own
    /// RAM, and write what is not read-only. (What is not the domain's own RAM,
    /// `get_page` would refuse too.)
    pub const fn are_allowed_by(self, ty: P2mType) -> bool {
        match ty {
            P2mType::RamRw => true,
            P2mType::RamRo => !self.wants_write(),
            _ => false,
        }
    }
}

impl ReadView {
    /// Both stages (`gvirt_to_maddr`). The lock keeps other CPUs from breaking
    /// entries meanwhile, which would make the translation fail for no reason.
    pub fn gva_to_maddr(&self, vcpu: CurrentVcpu<'_>, gva: Gva, flags: Gv2mFlags) -> Option<Maddr> {
        both_stages(vcpu, gva, flags)
    }
}

/// [`ReadView::gva_to_maddr`] without the lock, through the tables in VTTBR_EL2: those of the
/// vCPU's p2m. `None` means nothing: ask again under the lock. The
/// frame was mapped there at some moment since the last change of that entry *began*: another
/// CPU may have cleared the entry, and not have flushed this CPU's TLB yet. So the page may
/// be used only by who asks `get_page` whether it is still the domain's.
#[inline(always)]
pub(crate) fn gva_to_maddr_unlocked(
    vcpu: CurrentVcpu<'_>,
    gva: Gva,
    flags: Gv2mFlags,
) -> Option<Maddr> {
    both_stages(vcpu, gva, flags)
}

#[inline(always)]
fn both_stages(vcpu: CurrentVcpu<'_>, gva: Gva, flags: Gv2mFlags) -> Option<Maddr> {
    let par = sys::xs_gva_to_ma_par(vcpu.c(), gva.raw(), flags.to_c());
    let maddr = par & PAR_ADDRESS | gva.raw() & (PAGE_SIZE - 1);
    (par & PAR_F == 0).then_some(Maddr::new(maddr))
}

/// Stage 1 (`gva_to_ipa`). The guest's own tables are read through stage 2,
/// so this may fail where a software walk does not.
pub fn gva_to_ipa(gva: Gva, flags: Gv2mFlags) -> Option<Ipa> {
    let mut ipa = 0;
    let rc = sys::xs_gva_to_ipa(gva.raw(), &mut ipa, flags.to_c());
    (rc >= 0).then_some(Ipa::new(ipa))
}
