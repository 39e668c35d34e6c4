// SPDX-License-Identifier: GPL-2.0-only
//! Doing by hand what the code under test would do, to break a rule.

use test_harness::{Domain, World};
use xen_sys as sys;

/// Calls a mock function.
macro_rules! xen {
    ($name:ident($($argument:expr),*)) => {{
        #[allow(unused_unsafe)] // some are safe to call
        // SAFETY: the mock copes with any argument; pointers are live.
        let answer = unsafe { sys::$name($(test_harness::Given::given($argument)),*) };
        test_harness::Answer::raw(answer)
    }};
}

/// The rules that `break_it` breaks, each once, in order of id.
pub fn broken(w: &World, break_it: impl FnOnce()) -> Vec<&'static str> {
    assert_eq!(w.take_violations(), [], "broken before");
    break_it();
    let mut rules: Vec<_> = w.take_violations().iter().map(|v| v.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

pub fn p2m_lock(d: Domain) -> *mut sys::rwlock_t {
    // SAFETY: a field of a live structure.
    unsafe { &raw mut (*d.p2m()).lock }
}

pub fn paging_lock(d: Domain) -> *mut sys::spinlock_t {
    // SAFETY: a field of a live structure.
    unsafe { &raw mut (*d.pointer()).arch.paging.lock }
}

/// The list of the pool's free pages.
pub fn freelist(d: Domain) -> *mut sys::page_list_head {
    // SAFETY: a field of a live structure.
    unsafe { &raw mut (*d.pointer()).arch.paging.p2m_freelist }
}

/// Runs `body` with the pool's lock held.
pub fn pool_locked<R>(d: Domain, body: impl FnOnce() -> R) -> R {
    xen!(xs_spin_lock(paging_lock(d)));
    let result = body();
    xen!(xs_spin_unlock(paging_lock(d)));
    result
}

/// Maps the page in which the entry for `gfn` at `level` is; its address.
pub fn slot(w: &World, d: Domain, gfn: u64, level: u32) -> *mut u64 {
    let above = w.entry(d, gfn, level - 1);
    assert_eq!(above & 3, 3, "no table");
    let table = xen!(xs_map_domain_page(above >> 12 & 0xF_FFFF_FFFF));
    let index = usize::try_from(gfn >> (9 * (3 - level)) & 511).unwrap();
    table.wrapping_add(index)
}

/// A store and the barrier that makes it visible.
pub fn store(slot: *mut u64, value: u64) {
    raw_store(slot, value);
    sys::arch::dsb_ishst();
}

/// Only the store.
pub fn raw_store(slot: *mut u64, value: u64) {
    // SAFETY: an entry of a mapped table.
    unsafe { sys::arch::pte_store(slot, value) }
}

pub(crate) use xen;
