// SPDX-License-Identifier: GPL-2.0-only
//! A guest's permission fault: was it a restriction, and what follows
//! (`p2m_mem_access_check`).
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
    /// It was a read.
    pub read: bool,
    /// It was a write.
    pub write: bool,
    /// It was an instruction fetch.
    pub fetch: bool,
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
    let Some(access) = access.filter(|&access| is_violation(access, fault)) else {
        return Verdict::NotOurs;
    };
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
