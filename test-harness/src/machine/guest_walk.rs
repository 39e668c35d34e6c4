// SPDX-License-Identifier: GPL-2.0-only
//! The software walk of a guest's own tables, for `guest_walk_tables()`.

use std::ffi::c_uint;

use xen_sys::{domain, gfn_t, p2m_type_t, paddr_t, page_info, vaddr_t, vcpu};

use super::with;
use crate::ground::abi::p2mt;
use crate::ground::handles::live;

/// An implementation's `p2m_get_page_from_gfn()`.
pub type PageFromGfn = unsafe extern "C" fn(*mut domain, gfn_t, *mut p2m_type_t) -> *mut page_info;

/// Translates `gva` by the stage-1 tables of `v`, which it reads through the p2m, as
/// `access_guest_memory_by_gpa()` does: `page_from_gfn` takes the p2m lock for it.
///
/// # Safety
/// `v` points to a vCPU of this thread's machine, `ipa` and `perms` can be written.
pub unsafe fn guest_walk(
    v: *const vcpu,
    gva: vaddr_t,
    ipa: *mut paddr_t,
    perms: *mut c_uint,
    page_from_gfn: PageFromGfn,
) -> bool {
    const GV2M_WRITE: c_uint = 1;
    const GV2M_EXEC: c_uint = 2;

    let tables_in = with(|m, _| m.guests.get(&v.addr()).and_then(|s| s.tables_in));
    let mut tables = None;
    if let Some(gfn) = tables_in {
        let mut t = p2mt::INVALID;
        // SAFETY: the caller's promise.
        let domain = unsafe { (*v).domain };
        // SAFETY: a domain and a local to write to.
        let page = unsafe { page_from_gfn(domain, gfn, &mut t) };
        if page.is_null() {
            return false;
        }
        tables = Some(xen_sys::xs_page_to_mfn(live(page)));
        // SAFETY: the reference that was just taken.
        unsafe { xen_sys::put_page(live(page)) };
        if !p2mt::is_ram(t) {
            return false;
        }
    }
    let entry = with(|m, _| m.guests.get(&v.addr())?.entry(tables, gva >> 12));
    let Some(entry) = entry else { return false };
    // SAFETY: the caller's promise.
    unsafe { ipa.write(entry.gfn << 12 | gva & 0xFFF) };
    // SAFETY: the caller's promise.
    unsafe { perms.write(GV2M_EXEC | if entry.writable { GV2M_WRITE } else { 0 }) };
    true
}
