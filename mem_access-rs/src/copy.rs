// SPDX-License-Identifier: GPL-2.0-only
//! Xen's own access to a guest buffer whose pages are restricted
//! (`p2m_mem_access_check_and_get_page`).
//!
//! `get_page_from_gva` asks the MMU, which knows nothing of why a page is
//! restricted. If it was introspection, and not the guest's tables or the
//! page's type, Xen gets the page all the same.
// UPSTREAM-DEFECT: B17: no event tells the monitor.
#![forbid(unsafe_code)]

use p2m_rs::access::P2mAccess;
use p2m_rs::addr::{Gva, Ipa};
use p2m_rs::lock::{ReadView, Unlocked};
use p2m_rs::types::P2mType;
use p2m_rs::xen::page::{Page, PageRef};
use p2m_rs::xen::reentry::guest_walk;
use p2m_rs::xen::translate::{gva_to_ipa, Gv2mFlags};
use p2m_rs::xen::vcpu::Vcpu;

/// The page behind `gva`, with a reference, if a restriction is what keeps the
/// hardware from it. The caller holds no p2m lock: the walk takes it.
pub fn check_and_get_page(
    cx: &mut Unlocked<'_>,
    vcpu: &Vcpu,
    gva: Gva,
    flags: Gv2mFlags,
) -> Option<PageRef> {
    let ipa = stage1(cx, vcpu, gva, flags)?;
    // Only now: the walk above takes the lock itself (Xen commit 0012ae8afb).
    let p2m = vcpu.domain().p2m().read(cx);
    p2m.restricted_page(ipa, flags)
}

/// Stage 1 by the hardware, or in software where that fails: the hardware
/// reads the guest's tables through stage 2, and they may be restricted too.
fn stage1(cx: &mut Unlocked<'_>, vcpu: &Vcpu, gva: Gva, flags: Gv2mFlags) -> Option<Ipa> {
    if let Some(ipa) = gva_to_ipa(gva, flags) {
        return Some(ipa);
    }
    let walked = guest_walk(cx, vcpu, gva)?;
    // What AT would have checked (XSA-98). AT does not check for execution.
    if flags.wants_write() && !walked.writable {
        return None;
    }
    Some(walked.ipa)
}

/// What only this module asks of the p2m.
trait Restricted {
    /// See [`check_and_get_page`].
    fn restricted_page(&self, ipa: Ipa, flags: Gv2mFlags) -> Option<PageRef>;
}

impl Restricted for ReadView {
    fn restricted_page(&self, ipa: Ipa, flags: Gv2mFlags) -> Option<PageRef> {
        let mapping = self.mapping(ipa.gfn())?;
        let ty = mapping.ty()?;
        let type_allows = if is_the_cause(mapping.setting()?, flags) {
            // UPSTREAM-DEFECT: B7: reads of read-only RAM are refused too.
            ty == P2mType::RamRw
        } else if !mapping.is_walkable() {
            // Bit 0 was clear somewhere, to track what the guest touches (B5).
            ty.is_ram() && !(flags.wants_write() && ty != P2mType::RamRw)
        } else {
            // The hardware failed for a good reason.
            // UPSTREAM-DEFECT: or because it could not read the guest's own
            // tables, when they are restricted and the page is not.
            false
        };
        if !type_allows {
            return None;
        }
        Page::of(mapping.mfn()?)?.get(self.p2m().domain()?)
    }
}

/// Whether `access` forbids what `flags` ask for; if not, the hardware failed
/// for another reason.
fn is_the_cause(access: P2mAccess, flags: Gv2mFlags) -> bool {
    match access {
        P2mAccess::Rwx | P2mAccess::Rw => false,
        P2mAccess::N2rwx | P2mAccess::N | P2mAccess::X => true,
        P2mAccess::Wx | P2mAccess::W => flags.is_read_only(),
        P2mAccess::RPw | P2mAccess::Rx2rw | P2mAccess::Rx | P2mAccess::R => flags.is_write_only(),
    }
}
