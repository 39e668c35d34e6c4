// SPDX-License-Identifier: GPL-2.0-only
//! Which views a domain has, which may be entered by number, and which are on their way out. All
//! of it changes under the host p2m's write lock.
//!
//! **Retired**: a view that is destroyed loses its number at once, and what it consists of is
//! freed later, step by step. So a call that goes on after a preemption says "free what is
//! retired", and not "destroy view 3": the number may be another view's by then.

use core::cell::Cell;
use core::sync::atomic::{AtomicU16, Ordering::Relaxed};

use xen_sys as sys;
use xen_sys::Link;

use crate::p2m::lock::{ReadView, WriteView};
use crate::p2m::views::{Number, Record, ViewWrite};
use crate::types::errno::{Errno, Result};

sys::fields! {
    unsafe Limit: p2m_views.nr as Cell<u16>, "never changes";
    unsafe Visible: p2m_views.visible as AtomicU16, "under the host p2m's lock";
    unsafe Retired: p2m_views.retired as Link<sys::p2m_view>, "under the host p2m's write lock, under which it is freed";
    unsafe Next: p2m_view.next as Link<sys::p2m_view>, "under the host p2m's write lock, under which it is freed";
}

/// Whether all vCPUs may be told to enter that view; 0 is the host p2m.
pub(super) fn is_visible(host: &ReadView, number: u16) -> bool {
    visible(host) & bit(number) != 0
}

/// Whether all vCPUs may be told to enter that view.
pub(super) fn set_visible(write: &mut WriteView<'_>, number: u16, visible: bool) {
    let others = self::visible(write) & !bit(number);
    let this = if visible { bit(number) } else { 0 };
    if let Some(all) = write.p2m().views() {
        all.field(Visible).store(others | this, Relaxed);
    }
}

fn visible(host: &ReadView) -> u16 {
    let all = host.p2m().views();
    all.map_or(0, |all| all.field(Visible).load(Relaxed))
}

/// A view has ten numbers to choose from.
fn bit(number: u16) -> u16 {
    1_u16.checked_shl(number.into()).unwrap_or_default()
}

/// A number that no view has, of those that the domain may use.
pub(super) fn free_number(host: &ReadView) -> Option<Number> {
    let limit = host.p2m().views()?.field(Limit).get();
    let mut allowed = Number::all().take_while(|number| number.to_c() < limit);
    allowed.find(|&number| host.view(number).is_none())
}

/// Makes a view of the record, under a number that none has. It is visible.
pub(super) fn publish(write: &mut WriteView<'_>, number: Number, record: Record<'_>) {
    debug_assert!(write.view(number).is_none());
    if let Some(slot) = write.slot(number) {
        // SAFETY: it lives until it is retired, and the slot was empty.
        unsafe { slot.set(Some(record.0)) };
    }
    set_visible(write, number.to_c(), true);
}

/// Takes a view's number away from it, and leaves the view to [`retired`].
///
/// # Errors
///
/// [`Errno::EINVAL`] if there is no view of that number.
///
/// # Safety
///
/// No vCPU is in it, or will ever run again.
pub(super) unsafe fn retire(write: &mut WriteView<'_>, number: Number) -> Result {
    let all = write.p2m().views().ok_or(Errno::EINVAL)?;
    let slot = write.slot(number).ok_or(Errno::EINVAL)?;
    let record = slot.get().ok_or(Errno::EINVAL)?;
    let retired = all.field(Retired);
    // SAFETY: a retired view lives until it is taken out of the list; this one is in none.
    unsafe { record.field(Next).set(retired.get()) };
    // SAFETY: as above.
    unsafe { retired.set(Some(record)) };
    // SAFETY: `write` is borrowed exclusively, so nobody has borrowed it under the lock; nor
    // without, by the caller's promise.
    unsafe { slot.set(None) };
    Ok(())
}

/// A view that is retired, if there is one.
pub(super) fn retired<'v>(write: &'v mut WriteView<'_>) -> Option<ViewWrite<'v>> {
    let record = write.p2m().views()?.field(Retired).get()?;
    // SAFETY: it was a view of this p2m, and `write` is borrowed as long as the result lives.
    Some(unsafe { ViewWrite::of(record, write) })
}

/// Takes the view that [`retired`] returned out of the list.
pub(super) fn take_retired<'r>(write: &'r mut WriteView<'_>) -> Option<Record<'r>> {
    let retired = write.p2m().views()?.field(Retired);
    let record = retired.get()?;
    // SAFETY: as in `retire`; `write` is borrowed exclusively, so nobody has borrowed it.
    unsafe { retired.set(record.field(Next).get()) };
    Some(Record(record))
}
