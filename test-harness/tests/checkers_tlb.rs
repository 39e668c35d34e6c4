// SPDX-License-Identifier: GPL-2.0-only
//! The machine's rules for TLB invalidation by address and for what walkers
//! see, each broken once by hand.

#![allow(clippy::indexing_slicing)] // a test may stop on the spot

mod common;

use common::by_hand::{broken, raw_store, slot, store, xen};
use common::{guest, p2mt, plain, ram, world, M2};
use test_harness::pte::{VALID, WRITE};
use test_harness::{Config, Domain, World};
use xen_sys as sys;

const NONE: [&str; 0] = [];

/// A table pointer to `mfn`, as the p2m writes it.
fn pointer(mfn: u64) -> u64 {
    mfn << 12 | 0x0080_0000_0000_07FF
}

/// A machine with FEAT_TLBIRANGE, and a guest that runs on CPU 0, so that a
/// TLBI here is for its VMID. Pages 0 to 511 are mapped, and the block after.
fn mapped() -> (World, Domain) {
    let w = world(Config {
        tlb_range: true,
        ..Config::default()
    });
    let d = guest(&w, 0);
    let v = w.vcpu(d);
    w.run(0, v);
    assert_eq!(d.insert(0, M2, ram(0) + 1, p2mt::RAM_RW), 0);
    assert_eq!(d.insert(M2, M2, ram(0) + 8 * M2, p2mt::RAM_RW), 0);
    (w, d)
}

/// What is broken when `change` is followed by `flush` under the lock.
fn with_flush(
    w: &World,
    d: Domain,
    change: impl FnOnce(),
    flush: impl FnOnce(),
) -> Vec<&'static str> {
    broken(w, || {
        d.write_locked(|| {
            change();
            flush();
        });
    })
}

fn by_ipa(gfn: u64, count: u64, order: u32) -> impl FnOnce() {
    move || xen!(xs_flush_guest_tlb_by_ipa(gfn, count, order))
}

fn by_range(gfn: u64, nr: u64) -> impl FnOnce() {
    move || xen!(xs_flush_guest_tlb_range(gfn, nr))
}

#[test]
fn t3_an_invalidation_by_ipa_is_for_that_ipa_only() {
    let (w, d) = mapped();
    for (flush, found) in [((5, 1), &["T3"][..]), ((7, 1), &["T3"]), ((4, 3), &NONE)] {
        let word = w.entry(d, 6, 3);
        let page = slot(&w, d, 6, 3);
        let change = || store(page, word ^ WRITE);
        assert_eq!(
            with_flush(&w, d, change, by_ipa(flush.0, flush.1, 0)),
            found
        );
    }
    // One too few of two.
    let pages = [slot(&w, d, 6, 3), slot(&w, d, 7, 3)];
    let clear = || pages.into_iter().for_each(|page| store(page, 0));
    assert_eq!(with_flush(&w, d, clear, by_ipa(6, 1, 0)), ["T3"]);
    w.abandon();
}

#[test]
fn t3_any_address_in_a_block_invalidates_the_block() {
    let (w, d) = mapped();
    let block = slot(&w, d, M2, 2);
    assert_eq!(
        with_flush(&w, d, || store(block, 0), by_ipa(M2 + 77, 1, 0)),
        NONE
    );
    w.abandon();
}

#[test]
fn t3_a_range_must_hold_every_page_below_a_table_that_went() {
    let (w, d) = mapped();
    let (above, word) = (slot(&w, d, 0, 2), w.entry(d, 0, 2));
    let put_back = || {
        d.write_locked(|| {
            store(above, word);
            d.flush();
        });
    };
    let clear = || store(above, 0);
    assert_eq!(with_flush(&w, d, clear, by_range(0, M2 - 1)), ["T3"]);
    put_back();
    assert_eq!(with_flush(&w, d, clear, by_range(1, M2 - 1)), ["T3"]);
    put_back();
    // The table's own entry goes with any address; its pages do not.
    assert_eq!(with_flush(&w, d, clear, by_ipa(0, 1, 9)), ["T3"]);
    put_back();
    assert_eq!(with_flush(&w, d, clear, by_ipa(0, M2, 0)), NONE);
    put_back();
    assert_eq!(with_flush(&w, d, clear, by_range(0, M2)), NONE);
    put_back();
    w.check();
}

#[test]
fn t3_stage_1_alone_leaves_stage_2() {
    let (w, d) = mapped();
    let page = slot(&w, d, 6, 3);
    let stage1 = || xen!(xs_flush_guest_stage1_tlb_local());
    assert_eq!(with_flush(&w, d, || store(page, 0), stage1), ["T3"]);
    w.abandon();
}

#[test]
fn t3_another_domains_vmid_flushes_nothing_here() {
    let (w, d) = mapped();
    let other = guest(&w, 1);
    let v = w.vcpu(other);
    w.run(0, v);
    let page = slot(&w, d, 6, 3);
    assert_eq!(
        with_flush(&w, d, || store(page, 0), by_ipa(6, 1, 0)),
        ["T3"]
    );
    w.abandon();
}

#[test]
fn t4_a_table_goes_only_after_all_below_it_is_invalidated() {
    let (w, d) = mapped();
    let (above, word) = (slot(&w, d, 0, 2), w.entry(d, 0, 2));
    let table = word >> 12 & 0xF_FFFF_FFFF;
    let early = broken(&w, || {
        d.write_locked(|| {
            store(above, 0);
            xen!(xs_flush_guest_tlb_by_ipa(0, 1, 0));
            w.give_back_table(d, table);
            d.flush();
        });
    });
    assert_eq!(early, ["T4"]);
    w.abandon();
}

/// Until the flush a walk may be in a table that was taken out, and walk caches may hold it.
#[test]
fn t4_a_table_that_was_taken_out_is_left_alone_until_the_flush() {
    let (w, d) = mapped();
    let (above, word) = (slot(&w, d, 0, 2), w.entry(d, 0, 2));
    let (inside, leaf) = (slot(&w, d, 6, 3), w.entry(d, 6, 3));
    let elsewhere = slot(&w, d, 4 * M2, 2);
    let out_and = |early: &dyn Fn(), late: &dyn Fn()| {
        let found = broken(&w, || {
            d.write_locked(|| {
                store(above, 0);
                early();
                d.flush();
                late();
            });
        });
        d.write_locked(|| {
            store(above, 0);
            d.flush();
            store(above, word);
        });
        found
    };
    let changed = || store(inside, leaf);
    let moved = || {
        store(elsewhere, word);
        store(elsewhere, 0);
        d.flush();
    };
    let put_back = || store(above, word);
    let cleared = || xen!(xs_clear_page(inside.wrapping_sub(6).cast()));
    assert_eq!(out_and(&|| (), &|| ()), NONE);
    for (what, expected) in [
        (&changed as &dyn Fn(), &["T4"][..]),
        (&moved, &["T4"]),
        (&put_back, &["T1", "T4"]),
        (&cleared, &["T4"]),
    ] {
        assert_eq!(out_and(&|| (), what), NONE);
        assert_eq!(out_and(what, &|| ()), expected);
    }
    w.abandon();
}

/// The page of the table that was taken out becomes another table at once.
#[test]
fn t4_the_page_of_a_table_is_not_used_again_before_the_flush() {
    let (w, d) = mapped();
    let (above, word) = (slot(&w, d, 0, 2), w.entry(d, 0, 2));
    let table = slot(&w, d, 0, 3);
    let other = slot(&w, d, 4 * M2, 2);
    let reused = broken(&w, || {
        d.write_locked(|| {
            store(above, 0);
            xen!(xs_clear_page(table.cast()));
            sys::arch::dsb_ishst();
            store(other, word);
            d.flush();
        });
    });
    assert_eq!(reused, ["T4"]);
    w.abandon();
}

#[test]
fn t1_a_block_waits_for_the_pages_that_were_there() {
    let (w, d) = mapped();
    let (above, word) = (slot(&w, d, 0, 2), w.entry(d, 0, 2));
    let block = w.entry(d, M2, 2);
    let too_early = broken(&w, || {
        d.write_locked(|| {
            store(above, 0);
            // The pointer, and one page of 512.
            xen!(xs_flush_guest_tlb_by_ipa(0, 1, 0));
            store(above, block);
            d.flush();
        });
    });
    assert_eq!(too_early, ["T1"]);
    let in_order = broken(&w, || {
        d.write_locked(|| {
            store(above, 0);
            xen!(xs_flush_guest_tlb_range(0, M2));
            store(above, block);
            d.flush();
        });
    });
    assert_eq!(in_order, NONE);
    d.write_locked(|| {
        store(above, 0);
        d.flush();
        store(above, word);
    });
}

#[test]
fn t2_a_range_that_no_instruction_takes_is_found() {
    let (w, d) = mapped();
    for (gfn, nr) in [(0, 1 << 21), ((1 << 37) - 1, 2)] {
        let flush = || d.write_locked(|| xen!(xs_flush_guest_tlb_range(gfn, nr)));
        assert_eq!(broken(&w, flush), ["T2"]);
    }
    let w = plain();
    let flush = || xen!(xs_flush_guest_tlb_range(0, 1));
    assert_eq!(broken(&w, flush), ["T2"], "without FEAT_TLBIRANGE");
}

/// A table of its own with one page in it, that nothing points to.
fn new_table(d: Domain, word: u64) -> (u64, *mut u64) {
    let page = xen!(alloc_domheap_pages(d.pointer(), 0, sys::XS_MEMF_no_owner));
    let mfn = xen!(xs_page_to_mfn(page));
    let table = xen!(xs_map_domain_page(mfn));
    xen!(xs_clear_page(table.cast()));
    raw_store(table, word);
    (mfn, table)
}

#[test]
fn t8_a_table_is_visible_before_it_can_be_walked_to() {
    let (w, d) = mapped();
    let (word, above) = (w.entry(d, 3, 3), slot(&w, d, 4 * M2, 2));
    let (mfn, _) = new_table(d, word);
    let too_early = broken(&w, || {
        d.write_locked(|| {
            raw_store(above, pointer(mfn));
            sys::arch::dsb_ishst();
            raw_store(above, 0);
            d.flush();
        });
    });
    assert_eq!(too_early, ["T8"]);
    let (mfn, _) = new_table(d, word);
    let in_two_steps = broken(&w, || {
        d.write_locked(|| {
            raw_store(above, pointer(mfn) & !VALID);
            sys::arch::dsb_ishst();
            raw_store(above, pointer(mfn));
            sys::arch::dsb_ishst();
            raw_store(above, 0);
            d.flush();
        });
    });
    assert_eq!(in_two_steps, NONE);
    w.abandon();
}

#[test]
fn t9_walkers_see_all_stores_when_the_lock_is_dropped() {
    let (w, d) = mapped();
    let page = slot(&w, d, 4 * M2 - M2, 2);
    let block = w.entry(d, M2, 2) + (M2 << 12);
    assert_eq!(
        broken(&w, || d.write_locked(|| raw_store(page, block))),
        ["T9"]
    );
    let published = broken(&w, || {
        d.write_locked(|| {
            raw_store(page, 0);
            d.flush();
        });
    });
    assert_eq!(published, NONE, "a TLBI begins with a DSB");
    // Another CPU's barrier does not help.
    let other_cpu = broken(&w, || {
        d.write_locked(|| {
            raw_store(page, block);
            w.on_cpu(1, sys::arch::dsb_ishst);
        });
    });
    assert_eq!(other_cpu, ["T9"]);
    w.abandon();
}
