// SPDX-License-Identifier: GPL-2.0-only
//! Creating and destroying views (altp2m).
//!
//! A view's structure and its root come from the heap when the view is created; its tables from
//! the domain's pool, as the host's. Destroying one is preemptible, in the order of a p2m: the root
//! is emptied and the TLBs are flushed, tables are freed, then the root and the structure.

use core::sync::atomic::Ordering::Relaxed;

use super::preemption::PREEMPT_EVERY;
use crate::p2m::lock::WriteView;
use crate::p2m::pages::RootIsEmpty;
use crate::p2m::views::{Number, Record};
use crate::table::empty_root;
use crate::types::access::P2mAccess;
use crate::types::addr::Gfn;
use crate::types::errno::{Errno, Result};
use crate::types::owner::Host;
use crate::types::vttbr::Vttbr;
use crate::xen::cpu;
use crate::xen::globals::p2m_root_order;
use crate::xen::pool::{alloc_root, free_root};

/// Creates a view, in which nothing is mapped yet; what will be copied gets `access`.
///
/// No TLB holds anything of its root, which is new, and a CPU that enters the view flushes what it
/// holds of other views with the same VMID.
///
/// # Errors
///
/// [`Errno::EINVAL`] if the domain cannot have views, or no more than it has; [`Errno::ENOMEM`] if
/// it is dying, or there is no memory. Then nothing has changed.
pub fn create(write: &mut WriteView<'_>, access: P2mAccess) -> Result<Number> {
    write.refuse_if_dying()?;
    let number = write.free_number().ok_or(Errno::EINVAL)?;
    let record = Record::alloc().ok_or(Errno::ENOMEM)?;
    let Some(root) = alloc_root(p2m_root_order().load(Relaxed)) else {
        record.free();
        return Err(Errno::ENOMEM);
    };
    let view = record.p2m();
    // Devices do not use a view's tables: nothing is cleaned to memory.
    view.init_fields(false);
    view.set_vmid(write.p2m().vmid());
    view.set_view_default_access(access);
    // SAFETY: nobody else can reach it yet, and it has no tables.
    unsafe { view.init_pages() };
    // SAFETY: nobody else can reach it yet.
    unsafe { view.set_domain(write.p2m().domain()) };
    let vttbr = Vttbr::new(root.mfn(), view.vmid());
    // SAFETY: nobody else can reach it yet; the root was just allocated for it.
    unsafe { view.set_tables(Some(root), vttbr) };
    write.publish(number, record);
    Ok(number)
}

/// Destroys a view.
///
/// # Errors
///
/// [`Errno::EINVAL`] if there is none of that number; [`Errno::ERESTART`]: preempted, call again.
///
/// # Safety
///
/// No vCPU is in the view, and none enters it.
pub unsafe fn destroy(write: &mut WriteView<'_>, number: Number) -> Result {
    let mut view = write.view_mut(number).ok_or(Errno::EINVAL)?;
    view.set_sources(Gfn::new(!0), Gfn::new(0));
    let unreachable = empty_root(view.tables_mut());
    let mut count = 0;
    while view.deferred().pages().free_any(&unreachable) {
        count += 1;
        if count % PREEMPT_EVERY == 0 && cpu::hypercall_preempt_check() {
            return Err(Errno::ERESTART);
        }
    }
    drop(view);
    // SAFETY: as promised to this function.
    let Some(record) = (unsafe { write.withdraw(number) }) else {
        return Ok(());
    };
    if let Some(root) = record.p2m().root() {
        // SAFETY: no vCPU is in the view, by the caller's promise, and the TLBs were flushed since
        // its root was emptied.
        unsafe { free_root(root, p2m_root_order().load(Relaxed)) };
    }
    record.free();
    Ok(())
}

/// Destroys all views of a domain that will not run again, as what is known of its host p2m says.
///
/// # Errors
///
/// [`Errno::ERESTART`]: preempted, call again.
pub(super) fn destroy_all(write: &mut WriteView<'_>, _ended: &RootIsEmpty<'_, Host>) -> Result {
    for number in Number::all() {
        if write.view(number).is_some() {
            // SAFETY: no vCPU runs any more.
            unsafe { destroy(write, number) }?;
        }
    }
    Ok(())
}
