// SPDX-License-Identifier: GPL-2.0-only
//! The exported functions with a domain or a vCPU in front: what a caller in
//! Xen does, in one line of a test.

use std::ptr::null_mut;

use xen_sys::page_info;

use crate::ground::event::Mfn;
use crate::ground::handles::{Domain, Vcpu};
use crate::machine::in_call::cleaning;
use crate::machine::with;
use crate::model::domains::poison_p2m;

/// Answer of `p2m_get_entry()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Entry {
    /// `None` for INVALID_MFN.
    pub mfn: Option<Mfn>,
    pub p2m_type: u32,
    pub access: u32,
    pub order: u32,
    pub valid: bool,
}

/// No frame.
pub const INVALID: u64 = u64::MAX;

/// A call of an exported function.
macro_rules! call {
    ($name:ident($($argument:expr),* $(,)?)) => {{
        let _call = $crate::machine::in_call::begin(stringify!($name));
        // SAFETY: handles point to structures that the world keeps alive,
        // other pointers are to locals.
        unsafe { $crate::ground::symbols::$name($($argument),*) }
    }};
}

pub(super) use call;

pub(crate) fn setup_virt_paging() {
    call!(setup_virt_paging());
}

pub(crate) fn setup_virt_paging_one() {
    call!(xen_p2m_setup_virt_paging_one(null_mut()));
}

fn frame(mfn: u64) -> Option<Mfn> {
    (mfn != INVALID).then_some(mfn)
}

impl Domain {
    /// `p2m_init()`; the machine learns of the root.
    pub fn init(self) -> i32 {
        // SAFETY: the world keeps the structure alive, and nobody uses it yet.
        poison_p2m(unsafe { &mut *self.p2m() });
        let rc = call!(p2m_init(self.0));
        with(|m, _| {
            if let Some(root) = m.root_of(self.address()) {
                m.adopt_root(self.address(), root);
            }
        });
        rc
    }

    /// `p2m_set_allocation()` under the paging lock, without preemption.
    pub fn set_pool(self, pages: u64) -> i32 {
        // SAFETY: the world keeps the structure alive.
        let lock = unsafe { &raw mut (*self.0).arch.paging.lock };
        // SAFETY: initialised by p2m_init().
        unsafe { xen_sys::xs_spin_lock(crate::ground::handles::live(lock)) };
        let rc = call!(p2m_set_allocation(self.0, pages, null_mut()));
        // SAFETY: taken above.
        unsafe { xen_sys::xs_spin_unlock(crate::ground::handles::live(lock)) };
        rc
    }

    /// `p2m_insert_mapping()`.
    pub fn insert(self, gfn: u64, nr: u64, mfn: Mfn, p2m_type: u32) -> i32 {
        call!(p2m_insert_mapping(self.0, gfn, nr, mfn, p2m_type))
    }

    /// `unmap_regions_p2mt()`.
    pub fn remove(self, gfn: u64, nr: u64, mfn: Mfn) -> i32 {
        call!(unmap_regions_p2mt(self.0, gfn, nr, mfn))
    }

    /// `guest_physmap_remove_page()`.
    pub fn remove_page(self, gfn: u64, mfn: Mfn, order: u32) -> i32 {
        call!(guest_physmap_remove_page(self.0, gfn, mfn, order))
    }

    /// `set_foreign_p2m_entry()`.
    pub fn map_foreign(self, owner: Domain, gfn: u64, mfn: Mfn) -> i32 {
        call!(set_foreign_p2m_entry(self.0, owner.0, gfn, mfn))
    }

    /// `p2m_lookup()`: frame and type.
    #[must_use]
    pub fn lookup(self, gfn: u64) -> (Option<Mfn>, u32) {
        let mut t = u32::MAX;
        let mfn = call!(p2m_lookup(self.0, gfn, &mut t));
        (frame(mfn), t)
    }

    /// `p2m_get_entry()` under the read lock.
    #[must_use]
    pub fn get_entry(self, gfn: u64) -> Entry {
        // What it does not write is seen: none of these is an answer.
        let (mut t, mut a, mut order, mut valid) = (u32::MAX, u32::MAX, u32::MAX, true);
        self.read_locked(|| {
            let mfn = call!(p2m_get_entry(
                self.p2m(),
                gfn,
                &mut t,
                &mut a,
                &mut order,
                &mut valid
            ));
            Entry {
                mfn: frame(mfn),
                p2m_type: t,
                access: a,
                order,
                valid,
            }
        })
    }

    /// `p2m_set_entry()` under the write lock, as mm.c does it.
    pub fn set_entry(self, gfn: u64, nr: u64, mfn: u64, p2m_type: u32, access: u32) -> i32 {
        self.write_locked(|| call!(p2m_set_entry(self.p2m(), gfn, nr, mfn, p2m_type, access)))
    }

    /// Runs `body` under the p2m read lock.
    pub fn read_locked<R>(self, body: impl FnOnce() -> R) -> R {
        // SAFETY: the world keeps the structure alive.
        let lock = unsafe { &raw mut (*self.p2m()).lock };
        // SAFETY: initialised by p2m_init().
        unsafe { xen_sys::xs_read_lock(crate::ground::handles::live(lock)) };
        let result = body();
        // SAFETY: taken above.
        unsafe { xen_sys::xs_read_unlock(crate::ground::handles::live(lock)) };
        result
    }

    /// Runs `body` under the p2m write lock; ends with `p2m_write_unlock()`.
    pub fn write_locked<R>(self, body: impl FnOnce() -> R) -> R {
        // SAFETY: the world keeps the structure alive.
        let lock = unsafe { &raw mut (*self.p2m()).lock };
        // SAFETY: initialised by p2m_init().
        unsafe { xen_sys::xs_write_lock(crate::ground::handles::live(lock)) };
        let result = body();
        call!(p2m_write_unlock(self.p2m()));
        result
    }

    /// `p2m_get_page_from_gfn()`: the page and its type.
    pub fn page_from_gfn(self, gfn: u64) -> (Option<Page>, u32) {
        let mut t = u32::MAX;
        let page = call!(p2m_get_page_from_gfn(self.0, gfn, &mut t));
        (Page::of(page), t)
    }

    /// `p2m_force_tlb_flush_sync()`; the caller holds the write lock.
    pub fn flush(self) {
        call!(p2m_force_tlb_flush_sync(self.p2m()));
    }

    /// `p2m_domain_creation_finished()`: invalidates the root.
    pub fn creation_finished(self) {
        call!(p2m_domain_creation_finished(self.0));
    }

    /// `p2m_resolve_translation_fault()`.
    pub fn resolve(self, gfn: u64) -> bool {
        call!(p2m_resolve_translation_fault(self.0, gfn))
    }

    /// `p2m_set_mem_access()` with the mask of the hypercall.
    pub fn set_access(self, gfn: u64, nr: u32, start: u32, access: u32) -> i64 {
        self.set_access_masked(gfn, nr, start, 0x3F, access)
    }

    /// `p2m_set_mem_access()`, restartable where these bits of the number of pages are clear.
    pub fn set_access_masked(self, gfn: u64, nr: u32, start: u32, mask: u32, access: u32) -> i64 {
        call!(p2m_set_mem_access(self.0, gfn, nr, start, mask, access, 0))
    }

    /// `p2m_set_mem_access()` until it is through, as the hypercall does it.
    pub fn set_access_fully(self, gfn: u64, nr: u32, access: u32) -> i64 {
        let mut start = 0;
        loop {
            match self.set_access(gfn, nr, start, access) {
                rc if rc > 0 => start = u32::try_from(rc).unwrap_or(u32::MAX),
                rc => return rc,
            }
        }
    }

    /// `p2m_get_mem_access()`: return code and access.
    #[must_use]
    pub fn access(self, gfn: u64) -> (i32, u32) {
        let mut access = u32::MAX;
        let rc = call!(p2m_get_mem_access(self.0, gfn, &mut access, 0));
        (rc, access)
    }

    /// `p2m_cache_flush_range()`: return code and where it stopped.
    pub fn cache_flush(self, start: u64, end: u64) -> (i32, u64) {
        cleaning("C2", self, start..end, || {
            let mut at = start;
            let rc = call!(p2m_cache_flush_range(self.0, &mut at, end));
            ((rc, at), if rc == 0 { u64::MAX } else { at })
        })
    }

    /// `relinquish_p2m_mapping()`.
    pub fn relinquish(self) -> i32 {
        call!(relinquish_p2m_mapping(self.0))
    }

    /// `p2m_clear_root_pages()`.
    pub fn clear_root(self) {
        call!(p2m_clear_root_pages(self.p2m()));
    }

    /// `p2m_teardown()`, as `domain_relinquish_resources()` of the release calls it.
    pub fn teardown(self) -> i32 {
        if with(|m, _| m.config.release.creation_maps) {
            call!(p2m_teardown_bool(self.0, true))
        } else {
            call!(p2m_teardown(self.0))
        }
    }

    /// `p2m_teardown_allocation()`.
    pub fn teardown_pool(self) -> i32 {
        call!(p2m_teardown_allocation(self.0))
    }

    /// `p2m_final_teardown()`.
    pub fn final_teardown(self) {
        call!(p2m_final_teardown(self.0));
        with(|m, _| {
            if let Some(record) = m.domains.by_address_mut(self.address()) {
                record.gone = true;
            }
        });
    }
}

/// A page with the reference that came with it; give it back with `put`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "the reference must be put"]
pub struct Page(*mut page_info);

impl Page {
    fn of(pointer: *mut page_info) -> Option<Self> {
        (!pointer.is_null()).then_some(Self(pointer))
    }

    /// Its frame.
    #[must_use]
    pub fn mfn(self) -> Mfn {
        xen_sys::xs_page_to_mfn(crate::ground::handles::live(self.0))
    }

    /// Drops the reference; the frame.
    pub fn put(self) -> Mfn {
        let mfn = self.mfn();
        // SAFETY: the reference that came with it.
        unsafe { xen_sys::put_page(crate::ground::handles::live(self.0)) };
        mfn
    }
}

impl Vcpu {
    /// `p2m_save_state()`.
    pub fn save_state(self) {
        call!(p2m_save_state(self.0));
    }

    /// `p2m_restore_state()`.
    pub fn restore_state(self) {
        call!(p2m_restore_state(self.0));
    }

    /// `get_page_from_gva()`.
    pub fn page_from_gva(self, gva: u64, write: bool) -> Option<Page> {
        Page::of(call!(get_page_from_gva(self.0, gva, u64::from(write))))
    }

    /// `p2m_mem_access_check_and_get_page()`.
    pub fn check_and_get_page(self, gva: u64, write: bool) -> Option<Page> {
        Page::of(call!(p2m_mem_access_check_and_get_page(
            gva,
            u64::from(write),
            self.0
        )))
    }

    fn of(self) -> Domain {
        // SAFETY: the world keeps the structure alive; the domain never changes.
        Domain(unsafe { (*self.0).domain })
    }

    /// `p2m_flush_vm()`.
    pub fn flush_vm(self) {
        cleaning("C1", self.of(), 0..u64::MAX, || {
            call!(p2m_flush_vm(self.0));
            ((), u64::MAX)
        });
    }

    /// `p2m_toggle_cache()`.
    pub fn toggle_cache(self, was_enabled: bool) {
        call!(p2m_toggle_cache(self.0, was_enabled));
    }
}
