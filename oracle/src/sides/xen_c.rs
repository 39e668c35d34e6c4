// SPDX-License-Identifier: GPL-2.0-only
//! What the shim below the C asks of the Rust side, and its global state.

use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_int, c_uint, CStr};
use std::io::Write;
use std::mem::offset_of;

use test_harness::guest_walk;
use xen_sys::{arch_domain, arch_vcpu, domain, p2m_domain, paddr_t, vaddr_t, vcpu, vm_event_st};

use crate::edits::fixes;
use crate::sides::exports::C;

thread_local! {
    static STACK_TOP: Cell<usize> = const { Cell::new(0) };
    static EXCUSED: RefCell<Vec<u64>> = RefCell::new(vec![0; fixes::all().count()]);
}

unsafe extern "C" {
    static oracle_layout: [usize; LAYOUT.len()];
    fn oracle_reset();
    fn oracle_globals(globals: *mut c_uint);
}

/// As in layout.c.
const LAYOUT: [usize; 15] = {
    let p2m = offset_of!(domain, arch) + offset_of!(arch_domain, p2m);
    [
        size_of::<domain>(),
        p2m,
        p2m + offset_of!(p2m_domain, pages),
        p2m + offset_of!(p2m_domain, vmid),
        p2m + offset_of!(p2m_domain, vttbr),
        p2m + offset_of!(p2m_domain, lowest_mapped_gfn),
        p2m + offset_of!(p2m_domain, clean_pte),
        p2m + offset_of!(p2m_domain, stats),
        p2m + offset_of!(p2m_domain, default_access),
        p2m + offset_of!(p2m_domain, mem_access_settings),
        p2m + offset_of!(p2m_domain, last_vcpu_ran),
        offset_of!(domain, arch) + offset_of!(arch_domain, paging),
        size_of::<vcpu>(),
        offset_of!(vcpu, arch) + offset_of!(arch_vcpu, need_flush_to_ram),
        size_of::<vm_event_st>(),
    ]
};

/// Begins: both sides must see the same structures. `top` is an address in the
/// outermost frame of this thread's stack.
pub(crate) fn begin(top: usize) {
    STACK_TOP.set(top);
    // SAFETY: a constant of the C.
    let theirs = unsafe { oracle_layout };
    assert_eq!(theirs, LAYOUT, "the shim's structures are not the mock's");
}

/// A machine boots: the C's globals as they were linked.
pub(crate) fn reset() {
    // SAFETY: no C runs.
    unsafe { oracle_reset() }
}

/// `p2m_ipa_bits`, `max_vmid`, `p2m_root_order`, `p2m_root_level`.
pub(crate) fn globals() -> [u32; 4] {
    let mut globals = [0; 4];
    // SAFETY: four words to write.
    unsafe { oracle_globals(globals.as_mut_ptr()) };
    globals
}

/// How often each fix made a difference.
pub(crate) fn excused() -> Vec<u64> {
    EXCUSED.with_borrow(Clone::clone)
}

#[unsafe(no_mangle)]
extern "C" fn oracle_excused(fix: c_uint) {
    EXCUSED.with_borrow_mut(|counts| {
        if let Some(count) = counts.get_mut(fix as usize) {
            *count += 1;
        }
    });
}

/// # Safety
/// The texts are C strings.
#[unsafe(no_mangle)]
unsafe extern "C" fn oracle_stop(what: *const c_char, file: *const c_char, line: c_int) -> ! {
    // SAFETY: the caller's promise.
    let what = unsafe { CStr::from_ptr(what) };
    // SAFETY: the caller's promise.
    let file = unsafe { CStr::from_ptr(file) };
    let _ = writeln!(
        std::io::stderr(),
        "the C stops: {} at {}:{line}",
        what.to_string_lossy(),
        file.to_string_lossy()
    );
    std::process::abort()
}

/// `write_pte()`: the C also builds entries in variables on its stack
/// (`p2m_split_superpage`), which are none of the machine's business.
///
/// # Safety
/// `entry` is a table's word or a variable.
#[unsafe(no_mangle)]
unsafe extern "C" fn oracle_write_pte(entry: *mut u64, value: u64) {
    let here = 0_u8;
    let on_stack = (&raw const here).addr()..STACK_TOP.get();
    if on_stack.contains(&entry.addr()) {
        // SAFETY: the caller's promise.
        unsafe { entry.write(value) };
    } else {
        xen_sys::arch::dsb_sy();
        // SAFETY: the caller's promise.
        unsafe { xen_sys::arch::pte_store(entry, value) };
        xen_sys::arch::dsb_sy();
    }
}

/// The harness' walk, but through the C's p2m.
///
/// # Safety
/// `v` points to a vCPU, `ipa` and `perms` can be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn oracle_guest_walk_tables(
    v: *const vcpu,
    gva: vaddr_t,
    ipa: *mut paddr_t,
    perms: *mut c_uint,
) -> bool {
    // SAFETY: the caller's promise.
    unsafe { guest_walk(v, gva, ipa, perms, C.p2m_get_page_from_gfn) }
}
