// SPDX-License-Identifier: GPL-2.0-only
//! What altp2m.c calls of the archive: the Rust itself, with all rules of the machine.

use std::ffi::{c_int, c_long, c_uint};

use test_harness::symbols::{self, GuestHandle};
use xen_sys::{domain, vcpu};

use crate::xen::{note, with, world};

/// A call of the Rust with the rules of the machine.
macro_rules! rust {
    ($name:ident($($argument:expr),*)) => {{
        note(stringify!($name));
        // SAFETY: what the C gives are the machine's domains and vCPUs.
        world().as_call(stringify!($name), || unsafe { symbols::$name($($argument),*) })
    }};
}

extern "C" fn p2m_set_mem_access(
    d: *mut domain,
    gfn: u64,
    nr: u32,
    start: u32,
    mask: u32,
    access: c_uint,
    view: c_uint,
) -> c_long {
    rust!(p2m_set_mem_access(d, gfn, nr, start, mask, access, view))
}

extern "C" fn p2m_set_mem_access_multi(
    d: *mut domain,
    pfn_list: GuestHandle,
    access_list: GuestHandle,
    nr: u32,
    start: u32,
    mask: u32,
    view: c_uint,
) -> c_long {
    rust!(p2m_set_mem_access_multi(
        d,
        pfn_list,
        access_list,
        nr,
        start,
        mask,
        view
    ))
}

extern "C" fn p2m_get_mem_access(
    d: *mut domain,
    gfn: u64,
    access: *mut c_uint,
    view: c_uint,
) -> c_int {
    rust!(p2m_get_mem_access(d, gfn, access, view))
}

extern "C" fn p2m_views_set_use(d: *mut domain, uses: bool) -> c_int {
    rust!(p2m_views_set_use(d, uses))
}

extern "C" fn p2m_view_create(d: *mut domain, access: c_uint, view: *mut u16) -> c_int {
    let rc = rust!(p2m_view_create(d, access, view));
    let known = with(|s| s.guests.iter().copied().find(|known| known.pointer() == d));
    if let (0, Some(known)) = (rc, known) {
        // SAFETY: the Rust has written it.
        world().adopt_view(known, unsafe { *view });
    }
    rc
}

extern "C" fn p2m_view_destroy(d: *mut domain, view: u16) -> c_int {
    rust!(p2m_view_destroy(d, view))
}

extern "C" fn p2m_view_switch_domain(d: *mut domain, view: u16) -> c_int {
    rust!(p2m_view_switch_domain(d, view))
}

extern "C" fn p2m_view_switch_vcpu(v: *mut vcpu, view: u16) -> c_int {
    rust!(p2m_view_switch_vcpu(v, view))
}

extern "C" fn p2m_view_set_visible(d: *mut domain, view: u16, visible: bool) -> c_int {
    rust!(p2m_view_set_visible(d, view, visible))
}

extern "C" fn p2m_view_change_gfn(d: *mut domain, view: u16, old: u64, new: u64) -> c_int {
    rust!(p2m_view_change_gfn(d, view, old, new))
}

/// All of them, by name.
pub(crate) fn calls() -> Vec<(&'static str, *const ())> {
    macro_rules! all {
        ($($name:ident)*) => { vec![$((stringify!($name), $name as *const ())),*] };
    }
    all!(
        p2m_set_mem_access p2m_set_mem_access_multi p2m_get_mem_access p2m_views_set_use
        p2m_view_create p2m_view_destroy p2m_view_switch_domain
        p2m_view_switch_vcpu p2m_view_set_visible p2m_view_change_gfn
    )
}
