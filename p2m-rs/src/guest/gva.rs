// SPDX-License-Identifier: GPL-2.0-only
//! [`get_page_from_gva`]: the page at a guest virtual address, with which Xen
//! finds the buffers of a hypercall.
//!
//! C's function once held the p2m lock throughout, and deadlocked, because
//! the software walk of stage 1 takes the lock again. Since Xen commit 0012ae8afb
//! the lock covers the AT instruction only; here the token enforces that, and for a vCPU that is
//! in no view there is no lock at all where the hardware translates.
//!
//! **When a page is returned.** A guest may name a buffer that its own accesses cannot
//! reach at the moment, since a valid bit is clear to track what the guest touches, or
//! mem_access restricts the page. The same may hold for the pages of the guest's
//! stage-1 tables, which the hardware reads through stage 2. The AT instruction fails
//! in each of these cases, and does not tell which. So a failed AT proves nothing, and the
//! guest's rights are determined in software: its own tables
//! must allow the access (XSA-98), and the mapping's *type* must allow it
//! ([`Gv2mFlags::are_allowed_by`]). Valid bits and mem_access restrictions do not count, neither
//! of the stage-1 tables' pages nor of the buffer's: they restrict the guest's own accesses, not
//! what Xen does on its behalf. They are not even read to find out why the AT failed, since
//! another vCPU's fault, or the monitor, may have changed them meanwhile. (C with
//! mem_access enabled does read them, and refuses if the failure is not explained by a
//! restriction of the page itself: docs/differences.md, "buffers".)
//!
//! **Without the lock, where the hardware translates.** The lock is there only so that an entry
//! in the middle of break-before-make does not make the AT fail. So the AT comes first, without
//! the lock; only if it fails, once more under it. (With mem_access enabled not even then: what
//! follows asks the hardware for stage 1 alone, and looks at stage 2 in software, under the
//! lock.) That this is as safe as the C:
//!
//! - *What the C relies on.* It drops the lock before it takes the reference, so between the two
//!   the page may be unmapped, freed, and given to somebody else. What keeps the copy away from
//!   another domain's page is `get_page(page, current domain)` alone: it
//!   succeeds only while the page belongs to this domain, and from then on the page stays so.
//! - *What is new.* Under the lock no writer is between the store that breaks an entry and the
//!   flush; without it the AT may use what this CPU's TLB still holds of the broken entry. Such
//!   an answer is one that the C gets an instant earlier, before the writer has the lock: the
//!   window begins earlier, at the break instead of at the unlock, and there is no other. A
//!   change that is complete, flush and all, is never missed: the DSB behind the TLBI on the
//!   CPU that makes the change waits until no CPU uses what was invalidated (DDI 0487K, D8.16),
//!   and what the guest saw before it trapped comes before the AT, as an exception entry is a
//!   context synchronization event.
//! - *A page that came to another domain* by then: `get_page` fails. *Came back to this
//!   domain*, at another guest frame: the copy goes to a page of its own domain, as in the C.
//!   *A foreign page*, now or then: it is another domain's, so `get_page` fails. *A
//!   restriction, or a page that has become read-only*: the copy is ordered before the change,
//!   as one is whose AT came before the lock was taken; in the C, too, the copy itself happens
//!   after the unlock.
//! - *Tables that are freed.* The AT walks them like the guest's own accesses on any CPU; they
//!   are freed only after the flush for exactly that reason.
//! - *The dying domain.* Its vCPUs are descheduled before its p2m is relinquished
//!   (`domain_kill` pauses the domain), so none is the current one.
//! - VTTBR_EL2 holds the root of this p2m, since the vCPU is the current one and in no view.
//!
//! **In a view** (altp2m) VTTBR_EL2 holds the view's root, and an AT says what the *view* maps: no
//! frame where nothing was copied yet, or another one than the guest's own. Xen's copies use what
//! the host maps, as on x86, whatever the view shows or forbids the guest: for the buffer, and for the
//! tables of the guest's stage 1. So:
//!
//! - *As long as the view shows nothing of another frame*, what an AT by both stages finds is what
//!   the host maps, since a view copies from nowhere else and is emptied before the host changes.
//!   It is asked under the lock, and behind an ISB: no frame can be shown elsewhere meanwhile, and what
//!   was shown elsewhere before is not what the AT finds.
//! - *Otherwise, and if that fails*, the guest's tables are walked in software, and the frame is
//!   looked up, both in the host p2m. In that order: what an AT by stage 1 alone says depends on
//!   the view, if the view shows other tables than the guest's own.
//! - *Only if the software finds nothing there*, the hardware is asked for stage 1: these tables may be
//!   of a kind that the software does not know, such as those of 52 bits, or not in RAM, and it does not
//!   say which. Then the tables are those that the guest itself uses in this view, and must have been
//!   copied: if one is not, as after the view was emptied, the hypercall gets nothing until the guest has
//!   used the tables again. The frame is the host's all the same.
//!
//! **No AT with the host's root.** To load it for the moment, as a TLB flush loads another VMID,
//! would be wrong: an AT caches what it finds, and the guest's next access in the view would be
//! answered by the host's translations, which have the same VMID.

use crate::map::lookup::lookup;
use crate::p2m::reentry::{guest_walk, mem_access_check_and_get_page};
use crate::p2m::token::{current_vcpu, refuses_locks, Unlocked};
use crate::p2m::translate::{gva_to_maddr_unlocked, Gv2mFlags};
use crate::p2m::P2m;
#[cfg(config_altp2m)]
use crate::p2m::{translate::gva_to_ipa, views::Number};
use crate::types::addr::{Gva, Mfn};
use crate::xen::console;
#[cfg(config_altp2m)]
use crate::xen::cpu;
use crate::xen::page::{Page, PageRef};
use crate::xen::vcpu::{CurrentVcpu, Vcpu};

/// The page that `gva` of the current vCPU translates to, with a reference,
/// if the guest may access it as `flags` say. `None` for any other vCPU: its
/// registers are not loaded.
pub(crate) fn get_page_from_gva(
    cx: &mut Unlocked<'_>,
    vcpu: &Vcpu,
    gva: Gva,
    flags: Gv2mFlags,
) -> Option<PageRef> {
    let current = current_vcpu(cx);
    if !current.is(vcpu) {
        return None;
    }
    let vcpu = current;
    #[cfg(config_altp2m)]
    if vcpu.view() != 0 {
        return in_view(cx, vcpu, gva, flags);
    }
    match gva_to_maddr_unlocked(vcpu, gva, flags) {
        Some(maddr) => page_of_guest(&vcpu, maddr.mfn()),
        None => after_failure(cx, vcpu, gva, flags),
    }
}

/// The page, if the domain owns it.
#[inline(always)]
fn page_of_guest(vcpu: &Vcpu, mfn: Mfn) -> Option<PageRef> {
    let page = Page::get_at(mfn, vcpu.domain());
    if cfg!(debug_assertions) && page.is_none() {
        if Page::exists(mfn) {
            console::cannot_get_page(vcpu, mfn);
        } else {
            console::invalid_mfn(vcpu, mfn);
        }
    }
    page
}

/// The AT has failed, perhaps because another CPU was replacing an entry.
#[cold]
#[inline(never)]
fn after_failure(
    cx: &mut Unlocked<'_>,
    vcpu: CurrentVcpu<'_>,
    gva: Gva,
    flags: Gv2mFlags,
) -> Option<PageRef> {
    if refuses_locks() {
        return None;
    }
    let p2m = P2m::host_of(vcpu.domain());
    if p2m.mem_access_enabled() {
        // Its own function does the software walk, as in C.
        return mem_access_check_and_get_page(cx, gva, flags, &vcpu);
    }
    // The lock is released at the end of this statement.
    let hardware = p2m.read(cx).gva_to_maddr(vcpu, gva, flags);
    let mfn = match hardware {
        Some(maddr) => maddr.mfn(),
        None => software_walk(cx, p2m, &vcpu, gva, flags)?,
    };
    page_of_guest(&vcpu, mfn)
}

/// Translates `gva` through both stages in software, ignoring stage 2's valid bits.
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

/// The same for a vCPU that is in a view.
#[cfg(config_altp2m)]
#[cold]
#[inline(never)]
fn in_view(
    cx: &mut Unlocked<'_>,
    vcpu: CurrentVcpu<'_>,
    gva: Gva,
    flags: Gv2mFlags,
) -> Option<PageRef> {
    if refuses_locks() {
        return None;
    }
    let p2m = P2m::host_of(vcpu.domain());
    let hardware = {
        let host = p2m.read(cx);
        let view = Number::of_vcpu(&vcpu).and_then(|number| host.view(number));
        match view {
            Some(view) if !view.may_have_remapped() => {
                // The lock orders accesses to memory, and AT is none: without the ISB the CPU may
                // have translated before it had the lock, by what the view showed then.
                cpu::isb();
                host.gva_to_maddr(vcpu, gva, flags)
            }
            _ => None,
        }
    };
    let mfn = match hardware {
        Some(maddr) => maddr.mfn(),
        None => {
            let walked = guest_walk(cx, &vcpu, gva);
            let host = p2m.read(cx);
            let ipa = match walked {
                Some(stage1) => stage1.allows(flags).then_some(stage1.ipa),
                None => {
                    // As above: no entry of the view is being replaced while it is asked.
                    cpu::isb();
                    gva_to_ipa(gva, flags)
                }
            }?;
            let mapping = lookup(&host, ipa.gfn())?;
            if !flags.are_allowed_by(mapping.ty()?) {
                return None;
            }
            mapping.mfn()?
        }
    };
    page_of_guest(&vcpu, mfn)
}
