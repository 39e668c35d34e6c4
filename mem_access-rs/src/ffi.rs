// SPDX-License-Identifier: GPL-2.0-only
//! Every symbol of `mem_access.c` that C calls. None is called with a p2m lock
//! held. See `p2m_rs::ffi` for the conventions.
//!
//! # Safety
//!
//! All of these trust their caller as the C does: pointers are to live
//! structures of the named type. The prototypes are in xen/mem_access.h and
//! asm/mem_access.h.

// One contract for all of them, above.
#![allow(clippy::missing_safety_doc)]

use core::ffi::{c_int, c_long, c_uint, c_ulong, c_void};

use p2m_rs::p2m::token::unlocked_entry;
use p2m_rs::p2m::translate::Gv2mFlags;
use p2m_rs::p2m::P2m;
use p2m_rs::types::addr::{Gfn, Gva, Ipa};
use p2m_rs::types::errno::Errno;
use p2m_rs::xen::domain::Domain;
use p2m_rs::xen::page::PageRef;
use p2m_rs::xen::vcpu::Vcpu;
use xen_sys as sys;

use crate::check_and_get_page::check_and_get_page;
use crate::settings::{self, Progress, Range};
use crate::violation::{self, Fault, FaultKind, Verdict};
use crate::xenmem::XenmemAccess;

/// The page behind an address whose translation failed, if the guest's tables and the
/// page's type allow the access; null if not.
#[no_mangle]
pub unsafe extern "C" fn p2m_mem_access_check_and_get_page(
    gva: sys::vaddr_t,
    flag: c_ulong,
    v: *const sys::vcpu,
) -> *mut sys::page_info {
    // GV2M_* are small flags, and C truncates as well.
    #[allow(clippy::cast_possible_truncation)]
    let flags = Gv2mFlags::from_c(flag as u32);
    // SAFETY: the module's contract.
    let v = unsafe { Vcpu::from_ptr(v.cast_mut()) };
    // SAFETY: no p2m lock is held.
    let page = unsafe { unlocked_entry(|cx| check_and_get_page(cx, v, Gva::new(gva), flags)) };
    page.map_or(core::ptr::null_mut(), PageRef::into_raw)
}

/// The current vCPU's permission fault; false if it was dealt with.
#[no_mangle]
pub unsafe extern "C" fn p2m_mem_access_check(
    gpa: sys::paddr_t,
    gla: sys::vaddr_t,
    npfec: sys::npfec,
) -> bool {
    let fault = Fault {
        ipa: Ipa::new(gpa),
        gva: (npfec.gla_valid() != 0).then_some(Gva::new(gla)),
        kind: match npfec.kind() {
            sys::npfec_kind_with_gla => FaultKind::WithGva,
            sys::npfec_kind_in_gpt => FaultKind::InGuestTables,
            _ => FaultKind::Unknown,
        },
        read: npfec.read_access() != 0,
        write: npfec.write_access() != 0,
        fetch: npfec.insn_fetch() != 0,
    };
    // SAFETY: no p2m lock is held.
    unsafe { unlocked_entry(|cx| violation::check(cx, fault)) == Verdict::NotOurs }
}

/// Sets the access of a range, or with INVALID_GFN the default: 0, a restart
/// point, or a negative errno.
#[no_mangle]
pub unsafe extern "C" fn p2m_set_mem_access(
    d: *mut sys::domain,
    gfn: sys::gfn_t,
    nr: u32,
    start: u32,
    mask: u32,
    access: sys::xenmem_access_t,
    _altp2m_idx: c_uint,
) -> c_long {
    // SAFETY: the module's contract.
    let d = unsafe { Domain::from_ptr(d) };
    let Some(access) = XenmemAccess::from_c(access.into()) else {
        return Errno::EINVAL.to_c().into();
    };
    let Some(gfn) = Gfn::from_c(gfn) else {
        // SAFETY: no p2m lock is held.
        unsafe { unlocked_entry(|cx| settings::set_default(cx, P2m::host_of(d), access)) };
        return 0;
    };
    let range = Range {
        gfn,
        nr,
        start,
        mask,
    };
    // SAFETY: no p2m lock is held.
    match unsafe { unlocked_entry(|cx| settings::set(cx, P2m::host_of(d), range, access)) } {
        Ok(Progress::Done) => 0,
        Ok(Progress::RestartAt(start)) => start.into(),
        Err(errno) => errno.to_c().into(),
    }
}

/// Not on Arm: -EOPNOTSUPP. The lists are guest handles, structures of one
/// pointer.
#[no_mangle]
pub unsafe extern "C" fn p2m_set_mem_access_multi(
    _d: *mut sys::domain,
    _pfn_list: *const c_void,
    _access_list: *const c_void,
    _nr: u32,
    _start: u32,
    _mask: u32,
    _altp2m_idx: c_uint,
) -> c_long {
    Errno::EOPNOTSUPP.to_c().into()
}

/// The access of a page, or with INVALID_GFN the default: 0, or -ESRCH with the
/// default in `*access`.
#[no_mangle]
pub unsafe extern "C" fn p2m_get_mem_access(
    d: *mut sys::domain,
    gfn: sys::gfn_t,
    access: *mut sys::xenmem_access_t,
    altp2m_idx: c_uint,
) -> c_int {
    // There is no altp2m on Arm.
    debug_assert!(altp2m_idx == 0);
    // SAFETY: the module's contract.
    let d = unsafe { Domain::from_ptr(d) };
    // SAFETY: no p2m lock is held.
    let found =
        unsafe { unlocked_entry(|cx| settings::get(cx, P2m::host_of(d), Gfn::from_c(gfn))) };
    let (rc, found) = match found {
        Ok(found) => (0, found),
        Err(default) => (Errno::ESRCH.to_c(), default),
    };
    // SAFETY: a valid place of the caller's.
    unsafe { access.write(found.to_c()) };
    rc
}

/// Whether a violation without a monitor crashes the domain, which is paused.
#[no_mangle]
pub unsafe extern "C" fn arch_p2m_set_access_required(d: *mut sys::domain, access_required: bool) {
    // SAFETY: the module's contract.
    let d = unsafe { Domain::from_ptr(d) };
    debug_assert!(d.is_paused());
    P2m::host_of(d).set_access_required(access_required);
}
