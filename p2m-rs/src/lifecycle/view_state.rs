// SPDX-License-Identifier: GPL-2.0-only
//! Which views a domain has, and which may be entered by number. All of it changes under the host
//! p2m's write lock.

use core::cell::Cell;
use core::sync::atomic::{AtomicU16, Ordering::Relaxed};

use xen_sys as sys;

use crate::p2m::lock::{ReadView, WriteView};
use crate::p2m::views::{Number, Record};

sys::fields! {
    unsafe Limit: p2m_views.nr as Cell<u16>, "never changes";
    unsafe Visible: p2m_views.visible as AtomicU16, "under the host p2m's lock";
}

/// Whether all vCPUs may be told to enter that view; 0 is the host p2m.
pub(super) fn is_visible(host: &ReadView, number: u16) -> bool {
    visible(host) & bit(number) != 0
}

/// Sets whether all vCPUs may be told to enter that view; 0 is the host p2m.
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

/// The bit of a view in `p2m_views.visible`; 0 for a number that no view can have.
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
        // SAFETY: it lives until it is taken, and the slot was empty.
        unsafe { slot.set(Some(record.into_slot())) };
    }
    set_visible(write, number.to_c(), true);
}

/// Takes the view of that number away, if there is one: the number is free.
///
/// # Safety
///
/// No vCPU is in it, or will ever run again.
pub(super) unsafe fn take<'r>(write: &'r mut WriteView<'_>, number: Number) -> Option<Record<'r>> {
    let slot = write.slot(number)?;
    let record = slot.get()?;
    // SAFETY: `write` is borrowed exclusively, so nobody has borrowed it under the lock; nor
    // without, by the caller's promise.
    unsafe { slot.set(None) };
    // SAFETY: just taken out; no vCPU is in it, as promised to this function.
    Some(unsafe { Record::taken(record) })
}
