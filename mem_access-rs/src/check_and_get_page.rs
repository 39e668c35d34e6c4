// SPDX-License-Identifier: GPL-2.0-only
//! Xen's own access to a guest buffer while mem_access is enabled
//! (`p2m_mem_access_check_and_get_page`).
//!
//! `get_page_from_gva` first uses the AT instruction, and calls this function if that fails. The
//! cause may be a restriction of the page or of the pages with the guest's stage-1 tables
//! (Xen commit bf3872d566: "to side-step potential translation errors"), or a clear valid
//! bit. Xen gets the page all the same, if the guest's tables and the
//! page's type allow it; `guest/gva.rs` of p2m-rs says why nothing else counts.
//!
//! **No event tells the monitor**, as on x86, and no access changes: `rx2rw` and `n2rwx` stay what
//! they are, so that the guest's own next access is still seen. Xen copies only what the guest
//! asks for by a hypercall. An event for each copy could not wait for a slot of the ring, since
//! C copies with locks held (`gnttab_setup_table` with the grant table's), and one that is
//! dropped when the ring is full is nothing that a monitor could rely on.
#![forbid(unsafe_code)]

use p2m_rs::map::active::ActiveTables;
use p2m_rs::map::lookup::lookup;
use p2m_rs::p2m::reentry::guest_walk;
use p2m_rs::p2m::token::Unlocked;
use p2m_rs::p2m::translate::{gva_to_ipa, Gv2mFlags};
use p2m_rs::p2m::P2m;
use p2m_rs::types::addr::{Gva, Ipa};
use p2m_rs::xen::page::{Page, PageRef};
use p2m_rs::xen::vcpu::Vcpu;

/// The page at `gva`, with a reference. The caller must hold no p2m lock, since the
/// walk takes it.
pub fn check_and_get_page(
    cx: &mut Unlocked<'_>,
    vcpu: &Vcpu,
    gva: Gva,
    flags: Gv2mFlags,
) -> Option<PageRef> {
    let ipa = stage1(cx, vcpu, gva, flags)?;
    // The lock is taken only now, since the walk above takes it too (Xen commit 0012ae8afb).
    let view = P2m::host_of(vcpu.domain()).read(cx);
    let mapping = lookup(&view, ipa.gfn())?;
    if !flags.are_allowed_by(mapping.ty()?) {
        return None;
    }
    Page::get_at(mapping.mfn()?, vcpu.domain())
}

/// Translates `gva` through stage 1 with the AT instruction or, if that fails, in software. The
/// hardware reads the guest's tables through stage 2, which may refuse that; and in a view it
/// may read others than the guest's own, so that there the software is asked at once.
fn stage1(cx: &mut Unlocked<'_>, vcpu: &Vcpu, gva: Gva, flags: Gv2mFlags) -> Option<Ipa> {
    if ActiveTables::of(vcpu).are_hosts() {
        if let Some(ipa) = gva_to_ipa(gva, flags) {
            return Some(ipa);
        }
    }
    let walked = guest_walk(cx, vcpu, gva)?;
    walked.allows(flags).then_some(walked.ipa)
}
