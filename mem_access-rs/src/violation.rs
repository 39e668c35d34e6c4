// SPDX-License-Identifier: GPL-2.0-only
//! A guest's permission fault: was it a restriction, and what follows
//! (`p2m_mem_access_check`).
//!
//! **Faults of the table walker.** If a walk of the guest's own tables was refused
//! (S1PTW in the syndrome), the syndrome describes the instruction whose address
//! was being translated: WnR says whether *that* was a write, and an instruction
//! abort that *that* was a fetch. The walker itself fetches no instruction, and does not
//! know for which access it walks. It reads entries, and where the hardware manages the access flag or the
//! dirty state, it writes them. So if the page's access forbids reads, a read was
//! refused, and if it forbids only writes, it can have been nothing but such a write
//! ([`Fault::at_stage_2`]). (KVM takes every permission fault of a walk for a write,
//! as its pages are always readable: `kvm_is_write_fault`.) The access is the one of
//! now: if the monitor allows reads after a read was refused, and before it is judged,
//! the event says that the walker wrote. Nothing in the syndrome tells the two apart.
//!
//! The event then has the frame of the table (HPFAR_EL2 is valid for such faults),
//! and as `gla` the address that was being translated, as `MEM_ACCESS_FAULT_IN_GPT`
//! says. Which entry of the table was used, nothing tells: the low bits of the
//! address that Xen's trap handler puts together are those of the virtual address.
//! `offset` has no flag for "not valid", so it is 0, the begin of the table.
#![forbid(unsafe_code)]

use p2m_rs::map::lookup::lookup;
use p2m_rs::p2m::reentry::{domain_crash, has_monitor, send_access_event, AccessEvent};
use p2m_rs::p2m::token::{current_vcpu, Unlocked};
use p2m_rs::p2m::P2m;
use p2m_rs::types::access::P2mAccess;
use p2m_rs::types::addr::{Gva, Ipa};
use p2m_rs::xen::console;
use xen_sys as sys;

use crate::settings::{set, Range};
use crate::xenmem::XenmemAccess;

/// A stage-2 permission fault (C's `struct npfec` and its company).
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// The faulting address.
    pub ipa: Ipa,
    /// The guest virtual address, if the hardware reported it.
    pub gva: Option<Gva>,
    /// What kind of access `gva` was, if that is known.
    pub kind: FaultKind,
    /// The instruction read.
    pub read: bool,
    /// The instruction wrote.
    pub write: bool,
    /// It was the fetch of an instruction.
    pub fetch: bool,
}

impl Fault {
    /// The fault as stage 2 saw it, at a page of this access: for a walk of the guest's
    /// tables, what the walker wanted instead of what the instruction did.
    #[must_use]
    fn at_stage_2(self, access: P2mAccess) -> Self {
        if self.kind != FaultKind::InGuestTables {
            return self;
        }
        let read = !access.allows_read();
        Self {
            ipa: self.ipa.page_start(),
            read,
            write: !read && !access.allows_write(),
            fetch: false,
            ..self
        }
    }
}

/// What the fault's address was used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Not known.
    Unknown,
    /// The access itself.
    WithGva,
    /// A walk of the guest's own tables.
    InGuestTables,
}

/// What the trap handler is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The fault was no restriction's.
    // UPSTREAM-DEFECT: B13: the trap handler does not look, and a write to
    // read-only RAM faults for ever.
    NotOurs,
    /// The fault was dealt with: let the guest try again (or wait for the
    /// monitor).
    Handled,
}

/// Decides on a permission fault of the current vCPU.
pub fn check(cx: &mut Unlocked<'_>, fault: Fault) -> Verdict {
    let vcpu = current_vcpu(cx);
    let domain = vcpu.domain();
    let p2m = P2m::host_of(domain);
    if !p2m.mem_access_enabled() {
        return Verdict::NotOurs;
    }
    // What `settings::get` would say, now that mem_access is in use.
    let access = {
        let view = p2m.read(cx);
        let mapping = lookup(&view, fault.ipa.gfn());
        mapping.and_then(|mapping| mapping.access())
    };
    let Some(access) = access else {
        return Verdict::NotOurs;
    };
    let fault = fault.at_stage_2(access);
    if !is_violation(access, fault) {
        return Verdict::NotOurs;
    }
    // These two accesses lift themselves.
    if fault.write && access == P2mAccess::Rx2rw {
        relax(cx, p2m, fault.ipa, P2mAccess::Rw);
        return Verdict::Handled;
    }
    if access == P2mAccess::N2rwx {
        relax(cx, p2m, fault.ipa, P2mAccess::Rwx);
    }
    if has_monitor(domain) {
        // The monitor is asked, or, where the access lifts itself, told.
        let sync = access != P2mAccess::N2rwx;
        if !send_access_event(cx, vcpu, sync, event(fault)) {
            domain_crash(cx, domain);
        }
    } else if p2m.access_required() {
        console::no_access_monitor(vcpu);
        domain_crash(cx, domain);
    } else if access != P2mAccess::N2rwx {
        // Nobody wants to know: drop the restriction.
        relax(cx, p2m, fault.ipa, P2mAccess::Rwx);
    }
    Verdict::Handled
}

/// Whether the access forbids what the guest did.
fn is_violation(access: P2mAccess, fault: Fault) -> bool {
    match access {
        P2mAccess::N | P2mAccess::N2rwx => true,
        _ => {
            fault.read && !access.allows_read()
                || fault.write && !access.allows_write()
                || fault.fetch && !access.allows_execute()
        }
    }
}

/// Gives the page another access, without preemption: it is one page.
// UPSTREAM-DEFECT: B17: out of memory is ignored: the guest faults again.
fn relax(cx: &mut Unlocked<'_>, p2m: &P2m, ipa: Ipa, access: P2mAccess) {
    let page = Range {
        gfn: ipa.gfn(),
        nr: 1,
        start: 0,
        mask: !0,
    };
    let _faults_again = set(cx, p2m, page, XenmemAccess::Is(access));
}

/// The event for the monitor.
fn event(fault: Fault) -> AccessEvent {
    let flag = |set: bool, flag: u32| if set { flag } else { 0 };
    let known = |kind| fault.gva.is_some() && fault.kind == kind;
    AccessEvent {
        ipa: fault.ipa,
        gva: fault.gva,
        flags: flag(fault.gva.is_some(), sys::MEM_ACCESS_GLA_VALID)
            | flag(known(FaultKind::WithGva), sys::MEM_ACCESS_FAULT_WITH_GLA)
            | flag(
                known(FaultKind::InGuestTables),
                sys::MEM_ACCESS_FAULT_IN_GPT,
            )
            | flag(fault.read, sys::MEM_ACCESS_R)
            | flag(fault.write, sys::MEM_ACCESS_W)
            | flag(fault.fetch, sys::MEM_ACCESS_X),
    }
}
