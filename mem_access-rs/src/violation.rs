// SPDX-License-Identifier: GPL-2.0-only
//! Judging a guest's stage-2 permission fault: whether it violates an access, and what Xen does
//! then (`p2m_mem_access_check`).
//!
//! **In which tables.** Those that refused the access: the host p2m's, or those of the view that
//! the vCPU is in. There the access is looked up, and there it is relaxed or lifted; what the
//! others say of the frame plays no part, and stays as it is. Whether the domain may run without a
//! monitor is one question for all of them. The number of the view is put into the event by C
//! (`monitor_traps`).
//!
//! **Faults of the table walker.** If stage 2 refused a walk of the guest's own tables
//! (S1PTW in the syndrome), the syndrome describes the instruction whose address
//! was being translated: WnR tells whether *the instruction* wrote, and an instruction
//! abort that it was being fetched. The walker itself fetches no instruction, and does not
//! know for which access it walks. It reads entries and, where the hardware manages the access
//! flag or the dirty state, writes them. So if the page's access forbids reads, a read was
//! refused; if it forbids only writes, such a write was refused
//! ([`Fault::at_stage_2`]). (KVM takes every permission fault of a walk for a write,
//! as its pages are always readable: `kvm_is_write_fault`.) The page's access is read when the
//! fault is judged: if the monitor has allowed reads since a read was refused,
//! the event says that the walker wrote. Nothing in the syndrome tells the two apart.
//!
//! The event for such a fault has the frame of the table (HPFAR_EL2 is valid for it),
//! and as `gla` the address that was being translated, as `MEM_ACCESS_FAULT_IN_GPT`
//! says. It is unknown which entry of the table was used: the low bits of the
//! address that Xen's trap handler composes are those of the virtual address.
//! `offset` has no flag for "not valid", so it is 0, the beginning of the table.
#![forbid(unsafe_code)]

use p2m_rs::map::active::{ActiveTables, Lifted};
use p2m_rs::map::lookup::lookup;
use p2m_rs::p2m::lock::ReadView;
use p2m_rs::p2m::monitor::{has_monitor, send_access_event, AccessEvent, Delivery};
use p2m_rs::p2m::reentry::domain_crash;
use p2m_rs::p2m::token::{current_vcpu, Unlocked};
use p2m_rs::p2m::P2m;
use p2m_rs::types::access::P2mAccess;
use p2m_rs::types::addr::{Gva, Ipa};
use p2m_rs::xen::console;
use xen_sys as sys;

/// A stage-2 permission fault (the arguments of C's `p2m_mem_access_check`).
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// The faulting address.
    pub ipa: Ipa,
    /// The guest virtual address, if the hardware reported it.
    pub gva: Option<Gva>,
    /// What the faulting address was used for.
    pub kind: FaultKind,
    /// Whether the instruction read.
    pub read: bool,
    /// Whether the instruction wrote.
    pub write: bool,
    /// Whether the fault was on the fetch of an instruction.
    pub fetch: bool,
}

impl Fault {
    /// The fault as stage 2 saw it, at a page with this access: for a walk of the guest's
    /// tables, what the walker did instead of what the instruction did.
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
    /// The use is not known.
    Unknown,
    /// The instruction's own access.
    WithGva,
    /// A walk of the guest's own tables.
    InGuestTables,
}

/// The result of [`check`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The fault violates no access. p2m-rs then looks at the type of the mapping
    /// (`guest/permission.rs`).
    NotOurs,
    /// The fault was handled: the guest tries again, or waits for the monitor.
    Handled,
}

/// Judges and handles a permission fault of the current vCPU (`p2m_mem_access_check`).
pub fn check(cx: &mut Unlocked<'_>, fault: Fault) -> Verdict {
    let vcpu = current_vcpu(cx);
    let domain = vcpu.domain();
    let p2m = P2m::host_of(domain);
    let active = ActiveTables::of(&vcpu);
    if !active.may_be_restricted(p2m) {
        return Verdict::NotOurs;
    }
    // `None`: nothing is mapped any more, or the view has forgotten the frame.
    let Some(access) = access_at(&p2m.read(cx), active, fault.ipa) else {
        return Verdict::NotOurs;
    };
    let fault = fault.at_stage_2(access);
    if !is_violation(access, fault) {
        return Verdict::NotOurs;
    }
    // A violation of these two accesses relaxes them.
    if fault.write && access == P2mAccess::Rx2rw {
        relax(cx, p2m, active, fault.ipa, access, P2mAccess::Rw);
        return Verdict::Handled;
    }
    if access == P2mAccess::N2rwx {
        relax(cx, p2m, active, fault.ipa, access, P2mAccess::Rwx);
    }
    if has_monitor(cx) {
        // The vCPU waits for the monitor's answer, but not if the access was lifted already.
        let delivery = match access {
            P2mAccess::N2rwx => Delivery::Async,
            _ => Delivery::Sync,
        };
        if !send_access_event(cx, delivery, event(fault)) {
            domain_crash(cx, domain);
        }
    } else if p2m.access_required() {
        console::no_access_monitor(&vcpu);
        domain_crash(cx, domain);
    } else if access != P2mAccess::N2rwx {
        // There is no monitor, and none is required: lift the restriction.
        relax(cx, p2m, active, fault.ipa, access, P2mAccess::Rwx);
    }
    Verdict::Handled
}

/// The access that the entry of a mapping in these tables stores.
#[inline(never)]
fn access_at(host: &ReadView, active: ActiveTables, ipa: Ipa) -> Option<P2mAccess> {
    lookup(active.tables(host)?, ipa.gfn()).and_then(|mapping| mapping.access())
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

/// Sets the access of the page at `ipa` to `to`, if it still is `from`, by which the fault was
/// judged. A monitor may have set another one since, which must not be lost: then the
/// guest tries again, and its next fault is judged by that. (x86 judges and sets under one lock.) If a monitor
/// sets the same access again meanwhile, it is lifted all the same, as if the fault had come before. That
/// would be wrong only if the fault was judged before the monitor was connected, and libxc pauses the domain
/// while one connects.
///
/// Only in a view can there be no room for that, and then the domain is crashed: the guest would
/// fault for ever.
fn relax(
    cx: &mut Unlocked<'_>,
    p2m: &P2m,
    active: ActiveTables,
    ipa: Ipa,
    from: P2mAccess,
    to: P2mAccess,
) {
    let lifted = {
        let mut write = p2m.write(cx);
        if access_at(&write, active, ipa) == Some(from) {
            active.lift(&mut write, ipa.gfn(), to)
        } else {
            Lifted::GoOn
        }
    };
    if lifted == Lifted::NoRoom {
        domain_crash(cx, current_vcpu(cx).domain());
    }
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
