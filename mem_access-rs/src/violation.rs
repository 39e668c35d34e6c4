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

use p2m_rs::access::P2mAccess;
use p2m_rs::addr::{Gva, Ipa};
use p2m_rs::lock::Unlocked;
use p2m_rs::xen::console;
use p2m_rs::xen::domain::Domain;
use p2m_rs::xen::reentry::{domain_crash, has_monitor, send_access_event, AccessEvent};
use p2m_rs::xen::vcpu::Vcpu;
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
    let vcpu = Vcpu::current(cx);
    let domain = vcpu.domain();
    if !domain.p2m().mem_access_enabled() {
        return Verdict::NotOurs;
    }
    // What `settings::get` would say, now that introspection is in use.
    let access = {
        let p2m = domain.p2m().read(cx);
        let mapping = p2m.mapping(fault.ipa.gfn());
        mapping.and_then(|mapping| mapping.setting())
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
        relax(cx, domain, fault.ipa, P2mAccess::Rw);
        return Verdict::Handled;
    }
    if access == P2mAccess::N2rwx {
        relax(cx, domain, fault.ipa, P2mAccess::Rwx);
    }
    if has_monitor(domain) {
        // A listener is asked, or, where the access lifts itself, told.
        let sync = access != P2mAccess::N2rwx;
        if !send_access_event(cx, vcpu, sync, event(fault)) {
            domain_crash(cx, domain);
        }
    } else if domain.p2m().access_required() {
        console::no_access_listener(vcpu);
        domain_crash(cx, domain);
    } else if access != P2mAccess::N2rwx {
        // Nobody wants to know: drop the restriction.
        relax(cx, domain, fault.ipa, P2mAccess::Rwx);
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
fn relax(cx: &mut Unlocked<'_>, domain: &Domain, ipa: Ipa, access: P2mAccess) {
    let page = Range {
        gfn: ipa.gfn(),
        nr: 1,
        start: 0,
        mask: !0,
    };
    let _faults_again = set(cx, domain, page, XenmemAccess::Is(access));
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
