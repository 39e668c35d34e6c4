// SPDX-License-Identifier: GPL-2.0-only
//! The Rust's exports in one form, as `c/vmid.h` and `c/lifecycle.h` have the C's: each is reached in
//! the form that it has in the given release, as its callers do there.

use std::ffi::{c_int, c_ulong};
use std::ptr::null_mut;

use test_harness::symbols as rust;
use xen_sys::{cpu_user_regs, domain, hsr, vcpu};

use crate::edits::facts;

// What has one form only.
pub(crate) use test_harness::symbols::*;

pub(crate) unsafe extern "C" fn p2m_set_allocation(d: *mut domain, pages: c_ulong) -> c_int {
    if facts::hold("set_allocation_bool") {
        // SAFETY: the caller's promise.
        unsafe { rust::p2m_set_allocation_bool(d, pages, false) }
    } else {
        // SAFETY: the caller's promise.
        unsafe { rust::p2m_set_allocation(d, pages, null_mut()) }
    }
}

pub(crate) unsafe extern "C" fn p2m_set_way_flush(v: *mut vcpu, regs: *mut cpu_user_regs) {
    if facts::hold("set_way_plain") {
        // SAFETY: the caller's promise.
        unsafe { rust::p2m_set_way_flush_plain(v, regs) }
    } else {
        // SAFETY: the caller's promise.
        unsafe { rust::p2m_set_way_flush(v, regs, hsr { bits: 0 }) }
    }
}

pub(crate) unsafe extern "C" fn p2m_domain_creation_finished(d: *mut domain) {
    if facts::hold("declared_p2m_domain_creation_finished") {
        // SAFETY: the caller's promise.
        unsafe { rust::p2m_domain_creation_finished(d) }
    } else if !xen_sys::xs_iommu_use_hap_pt(test_harness::live(d)) {
        // SAFETY: a place in a live structure.
        let p2m = unsafe { &raw mut (*d).arch.p2m };
        // SAFETY: the caller's promise.
        unsafe { rust::p2m_invalidate_root(p2m) }
    }
}

pub(crate) unsafe extern "C" fn p2m_teardown(d: *mut domain) -> c_int {
    if facts::hold("teardown_bool") {
        // SAFETY: the caller's promise.
        unsafe { rust::p2m_teardown_bool(d, true) }
    } else {
        // SAFETY: the caller's promise.
        unsafe { rust::p2m_teardown(d) }
    }
}

pub(crate) unsafe extern "C" fn p2m_clear_root_pages(d: *mut domain) {
    if !facts::hold("declared_p2m_clear_root_pages") {
        return;
    }
    // SAFETY: a place in a live structure.
    let p2m = unsafe { &raw mut (*d).arch.p2m };
    // SAFETY: the caller's promise.
    unsafe { rust::p2m_clear_root_pages(p2m) }
}
