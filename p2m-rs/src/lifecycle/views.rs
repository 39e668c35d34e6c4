// SPDX-License-Identifier: GPL-2.0-only
//! Creating and destroying views (altp2m).
//!
//! A view's structure and its root come from the heap when the view is created; its tables from
//! the domain's pool, as the host's. Destroying one is preemptible, in the order of a p2m: the root
//! is emptied and the TLBs are flushed, tables are freed, then the root and the structure. The
//! view has no number any more when the first table is freed, so a call that goes on after a
//! preemption cannot meet another view of the same number.

use core::sync::atomic::Ordering::Relaxed;

use xen_sys as sys;

use super::preemption::PREEMPT_EVERY;
use super::{view_state, view_switch};
use crate::p2m::lock::WriteView;
use crate::p2m::pages::RootIsEmpty;
use crate::p2m::views::{Number, Record};
use crate::table::empty_root;
use crate::types::access::P2mAccess;
use crate::types::errno::{Errno, Result};
use crate::types::owner::Host;
use crate::types::vttbr::Vttbr;
use crate::xen::cpu;
use crate::xen::domain::Domain;
use crate::xen::globals::p2m_root_order;
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
    view_state::publish(write, number, record);
    Ok(number)
}

/// Destroys a view: its number is free at once, and then what it consists of is freed
/// ([`free_retired`]).
///
/// # Errors
///
/// [`Errno::EBUSY`] if there is none of that number, or a vCPU is in it; [`Errno::ERESTART`]:
/// preempted, call [`free_unused`].
pub fn destroy(write: &mut WriteView<'_>, number: Number) -> Result {
    if view_switch::is_entered(write, number) {
        return Err(Errno::EBUSY);
    }
    empty(write, number).ok_or(Errno::EBUSY)?;
    // SAFETY: no vCPU is in it, and none enters it without this lock.
    unsafe { view_state::retire(write, number) }?;
    free_retired(write)
}

/// A domain begins to use views, or stops to: then all its vCPUs, which are paused, go on in the
/// host p2m, and all views are destroyed. No change is no error.
///
/// # Errors
///
/// [`Errno::EINVAL`] if the domain cannot have views; [`Errno::ERESTART`]: preempted. If it was
/// to stop, it has, and [`free_unused`] frees what it had; if it was to begin, call again.
pub fn set_use(write: &mut WriteView<'_>, uses: bool) -> Result {
    if !write.has_views() {
        return Err(Errno::EINVAL);
    }
    if write.uses_views() == uses {
        return Ok(());
    }
    if uses {
        write.refuse_if_dying()?;
        // Of the last time.
        free_unused(write)?;
        write.set_uses_views(true);
        // The host p2m.
        view_state::set_visible(write, 0, true);
        return Ok(());
    }
    write.set_uses_views(false);
    view_switch::enter(write, 0);
    free_unused(write)
}

/// Frees the views that are retired, and if the domain does not use views, all of them.
///
/// # Errors
///
/// [`Errno::ERESTART`]: preempted, call again.
pub fn free_unused(write: &mut WriteView<'_>) -> Result {
    if !write.uses_views() {
        for number in Number::all() {
            match destroy(write, number) {
                Err(Errno::ERESTART) => return Err(Errno::ERESTART),
                // There is none of that number; and no vCPU is in one.
                _ => continue,
            }
        }
    }
    free_retired(write)
}

/// Destroys all views of a domain that will not run again, as what is known of its host p2m says.
///
/// # Errors
///
/// [`Errno::ERESTART`]: preempted, call again.
#[cold]
#[inline(never)]
pub(super) fn destroy_all(write: &mut WriteView<'_>, _ended: &RootIsEmpty<'_, Host>) -> Result {
    for number in Number::all() {
        if empty(write, number).is_some() {
            // SAFETY: no vCPU runs any more.
            unsafe { view_state::retire(write, number) }?;
            free_retired(write)?;
        }
    }
    free_retired(write)
}

/// Frees what a domain has for views, of which there is none any more (`altp2m_teardown`).
///
/// # Safety
///
/// Nobody else can reach the domain any more.
pub(super) unsafe fn forget(domain: &Domain) {
    // SAFETY: as promised to this function.
    unsafe { sys::altp2m_teardown(domain.c()) };
}

/// Empties the view, if there is one of that number, in which no vCPU is: nothing is mapped in it any
/// more, for a TLB neither.
fn empty(write: &mut WriteView<'_>, number: Number) -> Option<()> {
    let mut view = write.view_mut(number)?;
    let _before_it_is_freed = empty_root(view.tables_mut());
    Some(())
}

/// Frees what retired views consist of: tables, then the root and the structure.
///
/// # Errors
///
/// [`Errno::ERESTART`]: preempted, call again.
fn free_retired(write: &mut WriteView<'_>) -> Result {
    while free_one(write)? {
        // Whatever comes next has its own count of pages.
        if cpu::hypercall_preempt_check() {
            return Err(Errno::ERESTART);
        }
    }
    Ok(())
}

/// Frees one of them; false if there is none.
fn free_one(write: &mut WriteView<'_>) -> Result<bool> {
    let Some(view) = view_state::retired(write) else {
        return Ok(false);
    };
    // SAFETY: it was emptied before it retired, with a flush, and since then nobody finds it who
    // could map something in it.
    let unreachable = unsafe { RootIsEmpty::of_retired() };
    let mut count = 0;
    while view.deferred().pages().free_any(&unreachable) {
        count += 1;
        if count % PREEMPT_EVERY == 0 && cpu::hypercall_preempt_check() {
            return Err(Errno::ERESTART);
        }
    }
    drop(view);
    let Some(record) = view_state::take_retired(write) else {
        return Ok(false);
    };
    if let Some(root) = record.p2m().root() {
        // SAFETY: no vCPU was in the view when it retired, or will run again, and the TLBs were
        // flushed since its root was emptied. (VTTBR_EL2 of a CPU that has been idle since may
        // still hold it; no walk begins there: `guest/context.rs`.)
        unsafe { free_root(root, p2m_root_order().load(Relaxed)) };
    }
    record.free();
    Ok(true)
}
