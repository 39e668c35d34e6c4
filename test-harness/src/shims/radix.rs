// SPDX-License-Identifier: GPL-2.0-only
//! The radix tree.

use std::ffi::{c_int, c_ulong, c_void};
use std::ptr::without_provenance_mut;

use xen_sys::radix_tree_root;

use crate::ground::event::Event;
use crate::machine::with;

#[unsafe(no_mangle)]
extern "C" fn radix_tree_init(tree: *mut radix_tree_root) {
    with(|m, _| m.radix.init(tree.addr()));
}

#[unsafe(no_mangle)]
extern "C" fn radix_tree_insert(
    tree: *mut radix_tree_root,
    key: c_ulong,
    item: *mut c_void,
) -> c_int {
    with(|m, cpu| {
        let rc = m.radix.insert(tree.addr(), key, item);
        m.event(cpu, Event::RadixInsert { key, rc });
        rc
    })
}

#[unsafe(no_mangle)]
extern "C" fn radix_tree_delete(tree: *mut radix_tree_root, key: c_ulong) -> *mut c_void {
    with(|m, cpu| {
        m.event(cpu, Event::RadixDelete { key });
        m.radix.delete(tree.addr(), key)
    })
}

#[unsafe(no_mangle)]
extern "C" fn radix_tree_lookup(tree: *mut radix_tree_root, key: c_ulong) -> *mut c_void {
    with(|m, _| m.radix.lookup(tree.addr(), key))
}

#[unsafe(no_mangle)]
extern "C" fn radix_tree_lookup_slot(tree: *mut radix_tree_root, key: c_ulong) -> *mut *mut c_void {
    with(|m, _| m.radix.slot(tree.addr(), key))
}

/// # Safety
/// `slot_free` can be called with each item of the tree.
#[unsafe(no_mangle)]
unsafe extern "C" fn radix_tree_destroy(
    tree: *mut radix_tree_root,
    slot_free: Option<unsafe extern "C" fn(*mut c_void)>,
) {
    let items = with(|m, _| m.radix.destroy(tree.addr()));
    for item in items {
        if let Some(free) = slot_free {
            // SAFETY: the caller's promise.
            unsafe { free(item) }
        }
    }
}

/// As Xen: the low two bits are a tag, of which bit 1 is always set.
#[unsafe(no_mangle)]
extern "C" fn xs_radix_tree_int_to_ptr(val: c_int) -> *mut c_void {
    without_provenance_mut((i64::from(val) << 2 | 2) as usize)
}

#[unsafe(no_mangle)]
extern "C" fn xs_radix_tree_ptr_to_int(ptr: *mut c_void) -> c_int {
    (ptr.addr() as i64 >> 2) as c_int
}

/// # Safety
/// `slot` is one that `radix_tree_lookup_slot()` gave and still exists.
#[unsafe(no_mangle)]
unsafe extern "C" fn xs_radix_tree_replace_slot(slot: *mut *mut c_void, item: *mut c_void) {
    // SAFETY: the caller's promise.
    unsafe { slot.write(item) }
}
