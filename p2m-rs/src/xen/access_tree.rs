// SPDX-License-Identifier: GPL-2.0-only
//! Which access introspection set for which guest frame.
//!
//! A radix tree in `struct p2m_domain`, because a table entry has no room for
//! the access beside the type. No entry means "unrestricted". Reading needs
//! the p2m lock, writing the write lock: hence methods of the views.

use core::ffi::c_int;

use xen_sys as sys;

use crate::access::P2mAccess;
use crate::addr::Gfn;
use crate::error::{Errno, Result};
use crate::lock::{ReadView, WriteView};
use crate::p2m::P2m;

/// `-EEXIST`, from `radix_tree_insert`.
const EEXIST: c_int = -17;

impl ReadView<'_> {
    /// The setting for `gfn`: `None` if there is none, [`Errno::Range`] if
    /// what is stored is no access.
    pub fn access_setting(&self, gfn: Gfn) -> Option<Result<P2mAccess>> {
        let tree = self.p2m().access_tree_ptr();
        // SAFETY: the tree is initialised and the p2m lock is held.
        let item = unsafe { sys::radix_tree_lookup(tree, gfn.raw()) };
        if item.is_null() {
            return None;
        }
        // SAFETY: only `set_access_setting` stores items, all of them
        // integers.
        let raw = unsafe { sys::xs_radix_tree_ptr_to_int(item) };
        let access = u64::try_from(raw).ok().and_then(P2mAccess::from_c);
        Some(access.ok_or(Errno::Range))
    }
}

impl WriteView<'_> {
    /// Remembers the access of `gfn` (`p2m_mem_access_radix_set`); nothing is
    /// stored before introspection is in use.
    ///
    /// # Errors
    ///
    /// Out of memory; then the old setting is still there.
    pub(crate) fn set_access_setting(&self, gfn: Gfn, access: P2mAccess) -> Result {
        if !self.p2m().mem_access_enabled() {
            return Ok(());
        }
        let tree = self.p2m().access_tree_ptr();
        if access == P2mAccess::Rwx {
            // SAFETY: the tree is initialised, the write lock is held. The
            // items are integers: nothing is to be freed.
            unsafe { sys::radix_tree_delete(tree, gfn.raw()) };
            return Ok(());
        }
        // A small enumerator.
        #[allow(clippy::cast_possible_wrap)]
        let raw = access.to_c() as c_int;
        // SAFETY: turns an integer into an item.
        let item = unsafe { sys::xs_radix_tree_int_to_ptr(raw) };
        // SAFETY: the tree is initialised, the write lock is held.
        let rc = unsafe { sys::radix_tree_insert(tree, gfn.raw(), item) };
        if rc != EEXIST {
            return Errno::check(rc);
        }
        // SAFETY: as above.
        let slot = unsafe { sys::radix_tree_lookup_slot(tree, gfn.raw()) };
        if slot.is_null() {
            return Err(Errno::Srch);
        }
        // SAFETY: the slot was just found under the write lock.
        unsafe { sys::xs_radix_tree_replace_slot(slot, item) };
        Ok(())
    }
}

/// Makes the tree empty, before anybody can see it (`p2m_init`).
pub(crate) fn init(p2m: &P2m) {
    // SAFETY: the domain is being created; nobody else can reach it.
    unsafe { sys::radix_tree_init(p2m.access_tree_ptr()) };
}

/// Frees the tree's nodes (`p2m_final_teardown`).
pub(crate) fn destroy(p2m: &P2m) {
    // SAFETY: the domain is being freed; nobody else can reach it. The items
    // are integers, so none is to be freed.
    unsafe { sys::radix_tree_destroy(p2m.access_tree_ptr(), None) };
}
