// SPDX-License-Identifier: GPL-2.0-only
//! What altp2m.c calls, which a patch of this repository adds: views of a guest's memory. See
//! [`crate::ffi`] for what these have in common with the others; the prototypes are in
//! asm/p2m-views.h.
//!
//! The C looks at the hypercall's arguments, asks XSM and pauses vCPUs. Here is all that needs
//! the p2m lock. The C passes view numbers on unchecked; each function here checks
//! its own.

use core::ffi::c_int;
use core::mem::MaybeUninit;

use xen_sys as sys;

use crate::lifecycle::{view_switch, views};
use crate::map::views::{forget_remapping, remap};
use crate::p2m::lock::WriteView;
use crate::p2m::token::CalledUnlocked;
use crate::p2m::views::Number;
use crate::p2m::P2m;
use crate::types::addr::Gfn;
use crate::types::errno::{to_c, Errno, Result};
use crate::xen::domain::{Domain, PausedDomain};
use crate::xen::release::{access_from_c, xenmem_access_default};
use crate::xen::vcpu::PausedVcpu;

/// Under the write lock of the domain's host p2m.
fn under_lock<R>(
    d: CalledUnlocked<'_, &Domain>,
    work: impl FnOnce(&mut WriteView<'_>) -> Result<R>,
) -> Result<R> {
    let (mut cx, d) = d.enter();
    let mut write = P2m::host_of(d).write(&mut cx);
    work(&mut write)
}

/// The domain, whose vCPUs are paused, begins to use views, or stops to: 0, -EINVAL if it cannot have
/// any, -ENOMEM if it is dying and was to begin.
#[no_mangle]
pub extern "C" fn p2m_views_set_use(d: CalledUnlocked<'_, PausedDomain<'_>>, uses: bool) -> c_int {
    let (mut cx, d) = d.enter();
    to_c(views::set_use(&mut cx, d, uses))
}

/// Creates a view; what is copied to it gets `access`, and with XENMEM_access_default what is
/// the host p2m's default now: 0 with its number in `*view`, -EOPNOTSUPP, -EINVAL if that is no
/// access or there are enough views, -ENOMEM.
#[no_mangle]
pub extern "C" fn p2m_view_create(
    d: CalledUnlocked<'_, &Domain>,
    access: sys::xenmem_access_t,
    view: &mut MaybeUninit<u16>,
) -> c_int {
    to_c(under_lock(d, |write| {
        let access = match u64::from(access) {
            value if value == xenmem_access_default() => write.default_access(),
            value => access_from_c(value).ok_or(Errno::EINVAL)?,
        };
        let number = views::create(write, access)?;
        view.write(number.to_c());
        Ok(())
    }))
}

/// Destroys a view: 0, -EOPNOTSUPP, -EBUSY if there is none or a vCPU is in it.
#[no_mangle]
pub extern "C" fn p2m_view_destroy(d: CalledUnlocked<'_, &Domain>, view: u16) -> c_int {
    to_c(under_lock(d, |write| {
        if !write.uses_views() {
            return Err(Errno::EOPNOTSUPP);
        }
        views::destroy(write, Number::from_c(view).ok_or(Errno::EBUSY)?)
    }))
}

/// All vCPUs of the domain, which are paused, go on in that view, or in the host p2m, which is 0: 0,
/// -EOPNOTSUPP, -EINVAL if there is none, or it is hidden.
#[no_mangle]
pub extern "C" fn p2m_view_switch_domain(
    d: CalledUnlocked<'_, PausedDomain<'_>>,
    view: u16,
) -> c_int {
    let (mut cx, d) = d.enter();
    to_c(view_switch::switch_domain(&mut cx, d, view))
}

/// The vCPU, which is paused, goes on in that view, hidden or not: 0, -EOPNOTSUPP, -EINVAL.
#[no_mangle]
pub extern "C" fn p2m_view_switch_vcpu(v: CalledUnlocked<'_, PausedVcpu<'_>>, view: u16) -> c_int {
    let (mut cx, v) = v.enter();
    to_c(view_switch::switch_vcpu(&mut cx, v, view))
}

/// Sets whether all vCPUs may be told to go on in that view, or in the host p2m, which is 0: 0,
/// -EOPNOTSUPP, -EINVAL.
#[no_mangle]
pub extern "C" fn p2m_view_set_visible(
    d: CalledUnlocked<'_, &Domain>,
    view: u16,
    visible: bool,
) -> c_int {
    to_c(under_lock(d, |write| {
        view_switch::set_visible(write, view, visible)
    }))
}

/// Shows at `old` in a view what the host p2m maps at `new`; with INVALID_GFN what it maps at
/// `old` itself: 0, -EOPNOTSUPP, -EINVAL, -ESRCH if one of the two is not the domain's own
/// writable RAM, -ENOMEM.
#[no_mangle]
pub extern "C" fn p2m_view_change_gfn(
    d: CalledUnlocked<'_, &Domain>,
    view: u16,
    old: sys::gfn_t,
    new: sys::gfn_t,
) -> c_int {
    to_c(under_lock(d, |write| {
        if !write.uses_views() {
            return Err(Errno::EOPNOTSUPP);
        }
        let number = Number::from_c(view).ok_or(Errno::EINVAL)?;
        match Gfn::from_c(new) {
            Some(new) => remap(write, number, Gfn::new(old), new),
            None => forget_remapping(write, number, Gfn::new(old)),
        }
    }))
}
