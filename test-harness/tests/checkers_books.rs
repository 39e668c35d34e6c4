// SPDX-License-Identifier: GPL-2.0-only
//! The machine's rules for what must add up between calls: pool, statistics,
//! tree and list of tables, what values mean. Each is broken here once, by hand.

#![allow(clippy::indexing_slicing)] // a test may stop on the spot

mod common;
use std::ptr::null_mut;

use common::by_hand::{broken, freelist, pool_locked, slot, store, xen};
use common::{guest, p2mt, plain, ram, M2};
use test_harness::{Domain, World};
use xen_sys as sys;

const NONE: [&str; 0] = [];

/// What is broken while a change is in place.
fn meanwhile(w: &World, change: impl FnOnce(), undo: impl FnOnce()) -> Vec<&'static str> {
    change();
    let found = broken(w, || w.check_rules());
    undo();
    assert_eq!(broken(w, || w.check_rules()), NONE, "after the change");
    found
}

fn with_a_page() -> (World, Domain) {
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    (w, d)
}

#[test]
fn r2_the_pool_is_what_is_free_and_what_is_in_use() {
    let (w, d) = with_a_page();
    let add = |n: u64| {
        pool_locked(d, || {
            // SAFETY: a live structure, which no code of the p2m uses now.
            let total = unsafe { &mut (*d.pointer()).arch.paging.p2m_total_pages };
            *total = total.wrapping_add(n);
        });
    };
    assert_eq!(meanwhile(&w, || add(1), || add(!0)), ["R2"]);
    assert_eq!(meanwhile(&w, || add(!0), || add(1)), ["R2"]);
}

#[test]
fn r2_a_page_of_the_pool_that_was_forgotten_is_missed() {
    let (w, d) = with_a_page();
    let free = freelist(d);
    let page = std::cell::Cell::new(null_mut());
    let forget = || pool_locked(d, || page.set(xen!(xs_page_list_remove_head(free))));
    let back = || pool_locked(d, || xen!(xs_page_list_add_tail(page.get(), free)));
    assert_eq!(meanwhile(&w, forget, back), ["R2"]);
}

#[test]
fn r4_the_statistics_count_the_tree() {
    let (w, d) = with_a_page();
    for level in 1..4 {
        let add = |n: u64| {
            // SAFETY: a live structure, which no code of the p2m uses now.
            let count = unsafe { &mut (*d.p2m()).stats.mappings[level] };
            *count = count.wrapping_add(n);
        };
        assert_eq!(meanwhile(&w, || add(1), || add(!0)), ["R4"], "{level}");
        assert_eq!(meanwhile(&w, || add(!0), || add(1)), ["R4"], "{level}");
    }
}

#[test]
fn r5_each_table_is_reachable_once_and_on_the_list() {
    let (w, d) = with_a_page();
    let pointer = w.entry(d, 5, 2);
    let page = xen!(xs_mfn_to_page(pointer >> 12 & 0xF_FFFF_FFFF));
    // SAFETY: a place in a live structure.
    let pages = unsafe { &raw mut (*d.p2m()).pages };
    let off = || d.write_locked(|| xen!(xs_page_list_del(page, pages)));
    let on = || d.write_locked(|| xen!(xs_page_list_add(page, pages)));
    // Its page is one of the pool that nobody knows of, too.
    assert_eq!(meanwhile(&w, off, on), ["R2", "R5"]);
    let second = slot(&w, d, M2, 2);
    let set = |to: u64| {
        d.write_locked(|| {
            store(second, to);
            d.flush();
        });
    };
    // The page below it is mapped twice, then, and counted once.
    let twice = meanwhile(&w, || set(pointer), || set(0));
    assert_eq!(twice.first(), Some(&"R4"));
    assert!(twice.contains(&"R5"));
}

#[test]
fn a1_an_entry_that_maps_nothing_is_zero() {
    let (w, d) = with_a_page();
    let empty = slot(&w, d, 6, 3);
    let set = |to: u64| d.write_locked(|| store(empty, to));
    // XSA-393: no address, right or setting may stay.
    for left in [1 << 12, 1 << 6, 1 << 59] {
        assert_eq!(meanwhile(&w, || set(left), || set(0)), ["A1"], "{left:#x}");
    }
}

#[test]
fn a1_a_monitor_is_asked_with_the_reason_that_it_knows() {
    let (w, d) = with_a_page();
    let v = w.vcpu(d);
    w.run(0, v);
    // SAFETY: a plain C structure.
    let mut request: sys::vm_event_st = unsafe { std::mem::zeroed() };
    let ask = |request: &mut sys::vm_event_st| {
        broken(&w, || {
            xen!(monitor_traps(v.pointer(), false, request));
        })
    };
    assert_eq!(ask(&mut request), ["A1"]);
    request.reason = sys::VM_EVENT_REASON_MEM_ACCESS;
    assert_eq!(ask(&mut request), NONE);
}

#[test]
fn r6_the_m2p_is_written_with_a_reference() {
    let w = plain();
    let d = guest(&w, 0);
    w.xenheap(ram(9), 1, d);
    let page = xen!(xs_mfn_to_page(ram(9)));
    let write = || xen!(xs_page_set_xenheap_gfn(page, 7));
    assert_eq!(broken(&w, write), ["R6"]);
    assert!(xen!(get_page(page, d.pointer())));
    assert_eq!(broken(&w, write), NONE);
    xen!(put_page(page));
}

#[test]
fn r6_or_under_the_p2m_lock_of_the_living_domain_that_owns_the_page() {
    let w = plain();
    let (d, other) = (guest(&w, 0), guest(&w, 1));
    w.xenheap(ram(9), 1, d);
    w.owner_frees(ram(9));
    let page = xen!(xs_mfn_to_page(ram(9)));
    let write = |of: Domain| of.write_locked(|| xen!(xs_page_set_xenheap_gfn(page, 7)));
    assert_eq!(broken(&w, || write(d)), NONE);
    assert_eq!(broken(&w, || write(other)), ["R6"]);
    d.set_dying_state(1);
    assert_eq!(broken(&w, || write(d)), ["R6"]);
}

#[test]
fn a1_a_monitor_is_told_nothing_but_the_event() {
    let (w, d) = with_a_page();
    let v = w.vcpu(d);
    w.run(0, v);
    // SAFETY: a plain C structure.
    let mut request: sys::vm_event_st = unsafe { std::mem::zeroed() };
    request.reason = sys::VM_EVENT_REASON_MEM_ACCESS;
    let wrong: [fn(&mut sys::vm_event_st, &mut sys::vm_event_mem_access); 6] = [
        |request, _| request.version = 1,
        |request, _| request.flags = 1,
        |request, _| request.vcpu_id = 1,
        |_, access| access._pad = 1,
        |_, access| access.offset = 0x1000,
        |_, access| access.gla = 1,
    ];
    for change in wrong {
        let (mut request, mut access) = (request, sys::vm_event_mem_access::default());
        change(&mut request, &mut access);
        request.u.mem_access = access;
        let told = broken(&w, || {
            xen!(monitor_traps(v.pointer(), false, &mut request));
        });
        assert_eq!(told, ["A1"]);
    }
}

/// As a call that changes an entry, and forgets the device model.
#[test]
fn m1_a_device_model_hears_of_ram_that_left_its_place() {
    let (w, d) = with_a_page();
    assert_eq!(d.insert(M2, M2, ram(0) + M2, p2mt::RAM_RO), 0);
    assert_eq!(d.insert(7, 1, 0x9000, p2mt::MMIO_DEV), 0);
    let tell = || xen!(xs_ioreq_mapcache_invalidate(d.pointer()));
    // What is broken if these words are stored one after the other, and the device model is told before the
    // store of that number.
    let told = |gfn, level, words: &[u64], before: usize| {
        let (entry, was) = (slot(&w, d, gfn, level), w.entry(d, gfn, level));
        let found = broken(&w, || {
            d.write_locked(|| {
                w.as_call("p2m_set_entry", || {
                    for (n, &word) in words.iter().chain([&was]).enumerate() {
                        if n == before {
                            tell();
                        }
                        if n < words.len() {
                            store(entry, word);
                            d.flush();
                        }
                    }
                });
            });
        });
        d.write_locked(|| {
            store(entry, 0);
            d.flush();
            store(entry, was);
        });
        found
    };
    const NEVER: usize = usize::MAX;
    for (gfn, level) in [(5, 3), (M2, 2)] {
        let word = w.entry(d, gfn, level);
        let other = word + (M2 << 12);
        assert_eq!(told(gfn, level, &[0], NEVER), ["M1"]);
        assert_eq!(told(gfn, level, &[0], 0), NONE, "the lock is held");
        assert_eq!(told(gfn, level, &[0], 1), NONE);
        assert_eq!(told(gfn, level, &[0, other], NEVER), ["M1"]);
        assert_eq!(told(gfn, level, &[0, other], 1), NONE);
        // Before the lock is taken is too early.
        tell();
        assert_eq!(told(gfn, level, &[0], NEVER), ["M1"]);
        // The same frame again, with or without a break, is no news.
        assert_eq!(told(gfn, level, &[0, word], NEVER), NONE);
        let read_only = word & !test_harness::pte::WRITE;
        assert_eq!(told(gfn, level, &[read_only], NEVER), NONE);
    }
    assert_eq!(told(7, 3, &[0], NEVER), NONE, "a device");
    // All that is below a table.
    assert_eq!(told(5, 2, &[0], NEVER), ["M1"]);
    assert_eq!(told(5, 2, &[0], 1), NONE);
    // A dying domain's ioreq servers are gone.
    d.set_dying_state(1);
    assert_eq!(told(5, 3, &[0], NEVER), NONE);
    d.set_dying_state(0);
}
