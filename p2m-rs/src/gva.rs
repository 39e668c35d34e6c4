// SPDX-License-Identifier: GPL-2.0-only
//! The page behind a guest virtual address (`get_page_from_gva`): how Xen
//! finds the buffers that a hypercall names.
//!
//! This function held the p2m lock across everything once, and deadlocked:
//! the software walk of stage 1 takes it again. Since Xen commit 0012ae8afb
//! the lock covers the AT instruction only; here the token enforces it.
#![forbid(unsafe_code)]

use crate::addr::{Gva, Mfn};
use crate::lock::Unlocked;
use crate::types::P2mType;
use crate::xen::console;
use crate::xen::page::{Page, PageRef};
use crate::xen::reentry::{guest_walk, mem_access_check_and_get_page};
use crate::xen::translate::Gv2mFlags;
use crate::xen::vcpu::Vcpu;

/// The page that `gva` of the current vCPU translates to, with a reference,
/// if the guest may access it as `flags` say. `None` for any other vCPU: its
/// registers are not loaded.
pub fn get_page_from_gva(
    cx: &mut Unlocked<'_>,
    vcpu: &Vcpu,
    gva: Gva,
    flags: Gv2mFlags,
) -> Option<PageRef> {
    if !vcpu.is_current() {
        return None;
    }
    let p2m = vcpu.domain().p2m();
    // The lock ends with this statement.
    let hardware = p2m.read(cx).gva_to_maddr(gva, flags);

    let mfn = match hardware {
        Some(maddr) => maddr.mfn(),
        // Access was restricted, and that may be why the walk failed.
        None if p2m.mem_access_enabled() => {
            return mem_access_check_and_get_page(cx, gva, flags, vcpu);
        }
        None => software_walk(cx, vcpu, gva, flags)?,
    };

    let Some(page) = Page::of(mfn) else {
        console::invalid_mfn(vcpu, mfn);
        return None;
    };
    let page = page.get(vcpu.domain());
    if page.is_none() {
        console::cannot_get_page(vcpu, hardware.unwrap_or(crate::addr::Maddr::new(0)));
    }
    page
}

/// Both stages in software: the hardware stops at an entry without bit 0,
/// also one that maps the guest's own tables.
fn software_walk(cx: &mut Unlocked<'_>, vcpu: &Vcpu, gva: Gva, flags: Gv2mFlags) -> Option<Mfn> {
    let Some(stage1) = guest_walk(cx, vcpu, gva) else {
        console::no_stage1_translation(vcpu, gva);
        return None;
    };
    let (mfn, ty) = {
        let p2m = vcpu.domain().p2m().read(cx);
        let mapping = p2m.mapping(stage1.ipa.gfn())?;
        (mapping.mfn()?, mapping.ty()?)
    };
    // What AT would have checked (XSA-98).
    let writable = stage1.writable && ty == P2mType::RamRw;
    if !ty.is_ram() || flags.wants_write() && !writable {
        return None;
    }
    Some(mfn)
}
