// SPDX-License-Identifier: GPL-2.0-only
//! Events for a monitor (vm_event). Sending one may take a p2m lock somewhere inside, so it
//! takes the token, as everything in [`super::reentry`] does. Only a Xen with mem_access has
//! these functions.

use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use xen_sys as sys;

use super::token::{current_vcpu, Unlocked};
use crate::types::addr::{Gva, Ipa};

sys::fields! {
    unsafe VmEventMonitor: domain.vm_event_monitor as AtomicPtr<sys::vm_event_domain>, "set by another CPU; what it points to is freed only while the domain is paused";
}

/// What a guest did that a monitor wants to hear of.
#[derive(Clone, Copy, Debug)]
pub struct AccessEvent {
    /// The faulting address; of an entry of the guest's tables, the page's start.
    pub ipa: Ipa,
    /// The guest virtual address, if it is known.
    pub gva: Option<Gva>,
    /// `MEM_ACCESS_*` flags of the public interface.
    pub flags: u32,
}

/// Whether the current vCPU's domain has a monitor. Takes no lock.
pub fn has_monitor(cx: &Unlocked<'_>) -> bool {
    let domain = current_vcpu(cx).domain();
    let ring = domain.c().field(VmEventMonitor).load(Relaxed);
    // SAFETY: null, or a ring of this domain's. It is freed (vm_event_disable) only while
    // the domain is paused, that is while none of its vCPUs is in Xen's code here.
    unsafe { sys::vm_event_check_ring(ring) }
}

/// Whether the vCPU waits for the monitor's answer to its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It is paused until the answer.
    Sync,
    /// It goes on.
    Async,
}

/// Sends a mem_access event of the current vCPU (`monitor_traps`). Says whether it could
/// be sent.
///
/// The request is built on the stack, where C allocates it: there is no event
/// to lose for want of memory.
pub fn send_access_event(cx: &mut Unlocked<'_>, delivery: Delivery, event: AccessEvent) -> bool {
    // SAFETY: all zeroes is a valid vm_event_st: integers and unions of them.
    let mut request: sys::vm_event_st = unsafe { core::mem::zeroed() };
    request.reason = sys::VM_EVENT_REASON_MEM_ACCESS;
    request.u.mem_access = sys::vm_event_mem_access {
        gfn: event.ipa.gfn().raw(),
        offset: event.ipa.page_offset(),
        gla: event.gva.map_or(0, Gva::raw),
        flags: event.flags,
        _pad: 0,
    };
    let vcpu = current_vcpu(cx);
    // SAFETY: the current vCPU, no p2m lock held; the request is copied into
    // the ring before the call returns.
    unsafe { sys::monitor_traps(vcpu.c(), delivery == Delivery::Sync, &mut request) >= 0 }
}
