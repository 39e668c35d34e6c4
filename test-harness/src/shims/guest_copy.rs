// SPDX-License-Identifier: GPL-2.0-only
//! Copies from the memory of the guest whose hypercall is served.

use std::ffi::{c_uint, c_ulong, c_void};

use crate::ground::handles::live;
use crate::ground::symbols;
use crate::machine::with;

/// As `copy_guest()` of guestcopy.c: page by page, each found for the current vCPU by
/// `get_page_from_gva()`, which takes that domain's p2m lock. Returns the number of bytes
/// that are left when a page is not given.
///
/// # Safety
/// `len` bytes can be written at `to`.
#[unsafe(no_mangle)]
unsafe extern "C" fn raw_copy_from_guest(
    to: *mut c_void,
    from: *const c_void,
    len: c_uint,
) -> c_ulong {
    const PAGE: usize = 4096;
    const GV2M_READ: c_ulong = 0;

    let current = with(|m, cpu| {
        m.must_not_hold_p2m_lock(cpu, "raw_copy_from_guest()");
        let current = m.cpus.cpus[cpu].current;
        m.domains.vcpu(current).map(|record| record.pointer)
    });
    let Some(current) = current else {
        return len.into();
    };
    let (mut to, mut from, mut left) = (to.cast::<u8>(), from.addr(), len as usize);
    while left > 0 {
        let offset = from % PAGE;
        let size = left.min(PAGE - offset);
        // SAFETY: the vCPU that runs is one of the world's, which keeps it alive.
        let page = unsafe { symbols::get_page_from_gva(current, from as u64, GV2M_READ) };
        if page.is_null() {
            break;
        }
        let mfn = xen_sys::xs_page_to_mfn(live(page));
        let bytes = with(|m, _| m.contents.read(mfn, offset, size));
        // SAFETY: the caller's promise, for the next `size` of its bytes.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), size) };
        // SAFETY: the reference that came with the page.
        unsafe { xen_sys::put_page(live(page)) };
        to = to.wrapping_add(size);
        from = from.wrapping_add(size);
        left -= size;
    }
    left as c_ulong
}
