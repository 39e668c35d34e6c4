// SPDX-License-Identifier: GPL-2.0-only
//! The page behind a guest virtual address (`get_page_from_gva`): how Xen
//! finds the buffers that a hypercall names.
//!
//! This function held the p2m lock across everything once, and deadlocked:
//! the software walk of stage 1 takes it again. Since Xen commit 0012ae8afb
//! the lock covers the AT instruction only; here the token enforces it.
//!
//! **Which pages are given.** The guest may name a buffer that its own accesses do
//! not reach at the moment: a valid bit is clear to track what it touches, or
//! mem_access restricts the page; and the same may be so of the pages that hold its
//! stage-1 tables, which the hardware reads through stage 2. The AT instruction fails
//! for any of these, and does not say for which. So when it fails, nothing follows
//! from that, and what the guest is entitled to is worked out anew: its own tables
//! must allow the access (XSA-98), and the mapping's *type* must
//! ([`Gv2mFlags::are_allowed_by`]). Valid bits and restrictions do not count, neither
//! the tables' nor the page's: they are Xen's business with the guest, not limits of
//! what Xen may do for it. They are not looked at even to learn why the AT failed;
//! another vCPU's fault, or the monitor, may have changed them since. (C with
//! mem_access in use does look, and refuses what no restriction of the page itself
//! explains: docs/differences.md, "buffers".)

use crate::map::lookup::lookup;
use crate::p2m::reentry::{guest_walk, mem_access_check_and_get_page};
use crate::p2m::token::Unlocked;
use crate::p2m::translate::Gv2mFlags;
use crate::p2m::P2m;
use crate::types::addr::{Gva, Maddr, Mfn};
use crate::xen::console;
use crate::xen::page::{Page, PageRef};
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
    let p2m = P2m::host_of(vcpu.domain());
    // The lock ends with this statement.
    let hardware = p2m.read(cx).gva_to_maddr(gva, flags);

    let mfn = match hardware {
        Some(maddr) => maddr.mfn(),
        // With mem_access the same question is put by its own function, as in C.
        None if p2m.mem_access_enabled() => {
            return mem_access_check_and_get_page(cx, gva, flags, vcpu);
        }
        None => software_walk(cx, p2m, vcpu, gva, flags)?,
    };

    let Some(page) = Page::of(mfn) else {
        console::invalid_mfn(vcpu, mfn);
        return None;
    };
    let page = page.get(vcpu.domain());
    if page.is_none() {
        console::cannot_get_page(vcpu, hardware.unwrap_or(Maddr::new(0)));
    }
    page
}

/// Both stages in software, which go by no valid bit.
fn software_walk(
    cx: &mut Unlocked<'_>,
    p2m: &P2m,
    vcpu: &Vcpu,
    gva: Gva,
    flags: Gv2mFlags,
) -> Option<Mfn> {
    let Some(stage1) = guest_walk(cx, vcpu, gva) else {
        console::no_stage1_translation(vcpu, gva);
        return None;
    };
    let (mfn, ty) = {
        let view = p2m.read(cx);
        let mapping = lookup(&view, stage1.ipa.gfn())?;
        (mapping.mfn()?, mapping.ty()?)
    };
    (stage1.allows(flags) && flags.are_allowed_by(ty)).then_some(mfn)
}
