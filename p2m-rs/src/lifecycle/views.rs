// SPDX-License-Identifier: GPL-2.0-only
//! Creating and destroying views (altp2m).
//!
//! A view's structure and its root come from the heap when the view is created; its tables from
//! the domain's pool, as the host's. Destroying one goes in the order of a p2m: the root is emptied
//! and the TLBs are flushed, tables are freed, then the root and the structure. The tables go back to
//! the pool all at once, however many there are, so nothing of it has to be preemptible.

use xen_sys as sys;

use super::{view_state, view_switch};
use crate::p2m::lock::WriteView;
use crate::p2m::pages::RootIsEmpty;
use crate::p2m::token::Unlocked;
use crate::p2m::views::{Number, Record};
use crate::p2m::P2m;
use crate::table::empty_root;
use crate::types::access::P2mAccess;
use crate::types::errno::{Errno, Result};
use crate::xen::domain::{PausedDomain, UnsharedDomain};
use crate::xen::pool::{alloc_root, free_root};

/// Creates a view, in which nothing is mapped yet; what will be copied gets `access`.
///
/// No TLB holds anything of its root, which is new, and a CPU that enters the view flushes what it
/// holds of other views with the same VMID.
///
/// # Errors
///
/// [`Errno::EOPNOTSUPP`] if the domain uses no views, [`Errno::EINVAL`] if it has as many as it
/// can; [`Errno::ENOMEM`] if it is dying, or there is no memory. Then nothing has changed.
pub fn create(write: &mut WriteView<'_>, access: P2mAccess) -> Result<Number> {
    write.refuse_if_dying()?;
    if !write.uses_views() {
        return Err(Errno::EOPNOTSUPP);
    }
    let number = view_state::free_number(write).ok_or(Errno::EINVAL)?;
    let record = Record::alloc().ok_or(Errno::ENOMEM)?;
    let Some(root) = alloc_root() else {
        record.free();
        return Err(Errno::ENOMEM);
    };
    let view = record.p2m();
    // Devices do not use a view's tables: nothing is cleaned to memory.
    view.init_fields(false);
    view.set_vmid(write.p2m().vmid());
    view.set_view_default_access(access);
    view.init_pages();
    view.set_domain(write.p2m().domain());
    view.set_root(root);
    view_state::publish(write, number, record);
    Ok(number)
}

/// Destroys a view.
///
/// # Errors
///
/// [`Errno::EBUSY`] if there is none of that number, or a vCPU is in it.
pub fn destroy(write: &mut WriteView<'_>, number: Number) -> Result {
    if view_switch::is_entered(write, number) {
        return Err(Errno::EBUSY);
    }
    // SAFETY: no vCPU is in it, and none enters it without this lock.
    unsafe { destroy_unused(write, number) }.ok_or(Errno::EBUSY)
}

/// A domain begins to use views, or stops to: then all its vCPUs go on in the host p2m, and all views
/// are destroyed. No change is no error.
///
/// # Errors
///
/// [`Errno::EINVAL`] if the domain cannot have views; [`Errno::ENOMEM`] if it is dying and was to
/// begin.
pub fn set_use(cx: &mut Unlocked<'_>, paused: PausedDomain<'_>, uses: bool) -> Result {
    let mut write = P2m::host_of(paused.domain()).write(cx);
    if !write.has_views() {
        return Err(Errno::EINVAL);
    }
    if write.uses_views() == uses {
        return Ok(());
    }
    if uses {
        write.refuse_if_dying()?;
        write.set_uses_views(true);
        // The host p2m.
        view_state::set_visible(&mut write, 0, true);
        return Ok(());
    }
    write.set_uses_views(false);
    view_switch::enter(&mut write, paused, 0);
    for number in Number::all() {
        // No vCPU is in a view any more: an error says that there is none of that number.
        let _if_there_is_one = destroy(&mut write, number);
    }
    Ok(())
}

/// Destroys all views of a domain that will not run again, as `_ended` proves.
#[cold]
#[inline(never)]
pub(super) fn destroy_all(write: &mut WriteView<'_>, _ended: &RootIsEmpty) {
    for number in Number::all() {
        // SAFETY: no vCPU runs any more.
        let _if_there_is_one = unsafe { destroy_unused(write, number) };
    }
}

/// Frees what a domain has for views, of which there is none any more (`altp2m_teardown`).
pub(super) fn forget(domain: UnsharedDomain<'_>) {
    // SAFETY: nobody else can reach the domain, and `teardown` has destroyed its views.
    unsafe { sys::altp2m_teardown(domain.domain().c()) };
}

/// Destroys the view of that number, if there is one.
///
/// # Safety
///
/// No vCPU is in it, or will ever run again.
unsafe fn destroy_unused(write: &mut WriteView<'_>, number: Number) -> Option<()> {
    let mut view = write.view_mut(number)?;
    empty_root(view.tables_mut()).free_tables();
    drop(view);
    // SAFETY: as promised to this function.
    let record = unsafe { view_state::take(write, number) }?;
    if let Some(root) = record.p2m().take_root() {
        // SAFETY: no vCPU is in the view, or will run again, and the TLBs were flushed since its root
        // was emptied. (VTTBR_EL2 of a CPU that has been idle since may still hold it; no walk begins
        // there: `guest/context.rs`.)
        unsafe { free_root(root) };
    }
    record.free();
    Some(())
}
