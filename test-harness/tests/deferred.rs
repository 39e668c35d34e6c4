// SPDX-License-Identifier: GPL-2.0-only
//! What a holder of the write lock has deferred is done before anybody else gets the lock,
//! whatever was changed, in whatever order.

#![allow(clippy::unwrap_used)] // a test may stop on the spot

mod common;
use common::by_hand::{slot, store, xen};
use common::{access, guest, p2mt, plain, ram, world, M2};
use p2m_rs::map::remove;
use p2m_rs::map::views::forget;
use p2m_rs::p2m::lock::WriteView;
use p2m_rs::p2m::token::unlocked_entry;
use p2m_rs::p2m::P2m;
use p2m_rs::types::addr::Gfn;
use test_harness::{Config, Domain, Event, World, INVALID};
use xen_sys as sys;

/// With invalidation by range, and without.
fn both_kinds_of_tlb() -> impl Iterator<Item = World> {
    [false, true].into_iter().map(|tlb_range| {
        world(Config {
            tlb_range,
            ..Config::default()
        })
    })
}

/// Runs `body` as one holder of the write lock.
fn under_one_lock(d: Domain, body: impl FnOnce(&mut WriteView<'_>)) {
    // SAFETY: the world keeps the structure alive.
    let p2m = unsafe { P2m::from_ptr(d.p2m()) };
    // SAFETY: the test holds no lock.
    unsafe { unlocked_entry(|cx| body(&mut p2m.write(cx))) };
}

fn remove(view: &mut WriteView<'_>, gfn: u64, nr: u64) {
    let forgotten = forget(view, Gfn::new(gfn), nr);
    remove::remove(view, forgotten, Gfn::new(gfn), nr).unwrap();
}

#[test]
fn what_changed_from_the_end_backwards_is_flushed() {
    // In a table, in two, far apart; around what one invalidation by range takes.
    let most = 1 << 21;
    let places = [5, 0x1FF, M2 + 7, 0x4_0005, most + 1, most + 2, 2 * most];
    for (near, far) in places.map(|far| (3, far)) {
        for w in both_kinds_of_tlb() {
            let d = guest(&w, 0);
            for gfn in [near, far] {
                assert_eq!(d.insert(gfn, 1, ram(0) + gfn, p2mt::RAM_RW), 0);
            }
            under_one_lock(d, |view| {
                remove(view, far, 1);
                remove(view, near, 1);
            });
            w.check();
        }
    }
}

#[test]
fn a_page_next_to_a_block_is_flushed_as_a_page() {
    for pages_first in [false, true] {
        for w in both_kinds_of_tlb() {
            let d = guest(&w, 0);
            assert_eq!(d.insert(M2, M2, ram(0) + M2, p2mt::RAM_RW), 0);
            assert_eq!(d.insert(2 * M2 + 3, 1, ram(0), p2mt::RAM_RW), 0);
            under_one_lock(d, |view| {
                let mut parts = [(M2, M2), (2 * M2 + 3, 1)];
                if pages_first {
                    parts.reverse();
                }
                for (gfn, nr) in parts {
                    remove(view, gfn, nr);
                }
            });
            w.check();
        }
    }
}

#[test]
fn a_block_of_which_only_the_end_was_changed_is_flushed() {
    for w in both_kinds_of_tlb() {
        let d = guest(&w, 0);
        assert_eq!(d.insert(M2, M2, ram(0) + M2, p2mt::RAM_RW), 0);
        assert_eq!(d.remove(2 * M2 - 1, 1, ram(0) + 2 * M2 - 1), 0);
        w.check();
    }
}

#[test]
fn a_flush_that_c_deferred_comes_before_a_table_is_freed() {
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!(d.insert(M2 + 1, 3, ram(0), p2mt::RAM_RW), 0);
    let free = w.free_pool_pages(d);
    d.write_locked(|| {
        // SAFETY: the lock is held.
        unsafe { (*d.p2m()).need_flush = true };
        // SAFETY: the lock is held.
        let rc = unsafe {
            test_harness::symbols::p2m_set_entry(
                d.p2m(),
                M2,
                M2,
                INVALID,
                p2mt::INVALID,
                access::RWX,
            )
        };
        assert_eq!(rc, 0);
        assert_eq!(w.free_pool_pages(d), free + 1, "the table is free");
    });
    w.check();
}

#[test]
fn a_flush_that_was_made_is_not_made_again_at_the_unlock() {
    let w = plain();
    let d = guest(&w, 0);
    let flushes = || {
        let events = w.events();
        let is_flush = |event: &Event| matches!(event, Event::TlbiVmid { .. });
        events.iter().filter(|(_, event)| is_flush(event)).count()
    };
    d.write_locked(|| {
        // SAFETY: the lock is held.
        unsafe { (*d.p2m()).need_flush = true };
        w.clear_events();
        d.flush();
        assert!(!d.need_flush());
    });
    assert_eq!(flushes(), 1, "not again at the unlock");
    // Nor if a function of the p2m makes it.
    d.write_locked(|| {
        // SAFETY: the lock is held.
        unsafe { (*d.p2m()).need_flush = true };
    });
    assert_eq!(flushes(), 2);
    // It defers a flush for the root that it clears, and makes it.
    d.clear_root();
    assert!(!d.need_flush());
    assert_eq!(flushes(), 3, "not again at its unlock");
    w.check();
}

#[test]
fn a_flush_that_c_deferred_is_left_to_cs_unlock() {
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!(d.insert(5, 2, ram(0), p2mt::RAM_RW), 0);
    d.write_locked(|| {
        // SAFETY: the lock is held.
        unsafe { (*d.p2m()).need_flush = true };
        w.clear_events();
        // SAFETY: the lock is held.
        let rc =
            unsafe { test_harness::symbols::p2m_set_entry(d.p2m(), 5, 1, INVALID, 0, access::RWX) };
        assert_eq!(rc, 0);
        assert!(d.need_flush());
        let is_flush = |event: &Event| matches!(event, Event::TlbiVmid { .. });
        assert!(!w.events().iter().any(|(_, event)| is_flush(event)));
    });
    w.check();
}

#[test]
fn a_flush_that_c_deferred_comes_before_anything_new_is_mapped() {
    for (first, nr) in [(5, 1), (4, 3)] {
        let w = plain();
        let d = guest(&w, 0);
        assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
        let entry = slot(&w, d, 5, 3);
        d.write_locked(|| {
            store(entry, 0);
            // SAFETY: a live structure; the lock is held.
            unsafe { (*d.p2m()).stats.mappings[3] -= 1 };
            // SAFETY: as above.
            unsafe { (*d.p2m()).need_flush = true };
            // SAFETY: as above.
            let rc = unsafe {
                test_harness::symbols::p2m_set_entry(
                    d.p2m(),
                    first,
                    nr,
                    ram(0) + 9,
                    p2mt::RAM_RW,
                    access::RWX,
                )
            };
            assert_eq!(rc, 0);
            assert!(!d.need_flush(), "paid already");
        });
        w.check();
    }
}

/// Its references go after the flush, as nobody else flushes for it.
#[test]
fn a_foreign_page_that_nobody_owns_is_put_after_the_flush() {
    for by in ["a page", "a block over its table", "a removal of its table"] {
        let w = plain();
        let d = guest(&w, 0);
        let page = xen!(alloc_domheap_pages(std::ptr::null_mut(), 0, 0));
        let mfn = xen!(xs_page_to_mfn(page));
        w.take_references(mfn, 1);
        assert_eq!(d.insert(M2 + 5, 1, mfn, p2mt::FOREIGN_RW), 0);
        match by {
            "a page" => assert_eq!(d.insert(M2 + 5, 1, ram(0), p2mt::RAM_RW), 0),
            "a block over its table" => assert_eq!(d.insert(M2, M2, ram(0), p2mt::RAM_RW), 0),
            _ => under_one_lock(d, |view| remove(view, M2, M2)),
        }
        let rules: Vec<_> = w.take_violations().iter().map(|v| v.rule).collect();
        assert_eq!(rules, [] as [&str; 0], "replaced by {by}");
    }
}

/// Tables that a call takes out may be what it needs further on.
#[test]
fn a_call_is_not_refused_for_tables_that_it_takes_out_itself() {
    let w = plain();
    let d = guest(&w, 0);
    // Three tables of pages, three blocks, and no page in the pool.
    let ready = || {
        under_one_lock(d, |view| remove(view, 0, 8 * M2));
        assert_eq!(d.set_pool(64), 0);
        for n in 0..3 {
            assert_eq!(d.insert(n * M2 + 1, 9, ram(0), p2mt::RAM_RW), 0);
            let block = ram(0) + (n + 3) * M2;
            assert_eq!(d.insert((n + 3) * M2, M2, block, p2mt::RAM_RW), 0);
        }
        assert_eq!(d.set_pool(d.pool_pages() - w.free_pool_pages(d)), 0);
        w.check();
    };
    ready();
    // Blocks over the tables; then pages that need a table.
    let mfn = ram(0) + 16 * M2;
    assert_eq!(d.insert(0, 3 * M2 + 1, mfn, p2mt::RAM_RW), 0);
    w.check();
    ready();
    // The tables, and a part of a block.
    under_one_lock(d, |view| remove(view, 0, 3 * M2 + 1));
    w.check();
    assert_eq!(d.lookup(3 * M2 + 1).0, Some(ram(0) + 3 * M2 + 1));
    ready();
    // Tables are merged; blocks are split.
    assert_eq!(d.set_pool(64), 0);
    assert_eq!(d.insert(0, 3 * M2, ram(0), p2mt::RAM_RW), 0);
    let nr = u32::try_from(3 * M2).unwrap();
    assert_eq!(d.set_access(0, nr, 0, access::R), 0);
    assert_eq!(d.set_pool(d.pool_pages() - w.free_pool_pages(d)), 0);
    assert_eq!(d.set_access(0, nr + 9, 0, access::RWX), 0);
    w.check();
    assert_eq!(w.snapshot(d).get(&0).map(|leaf| leaf.order), Some(9));
    assert_eq!(d.access(3 * M2 + 8), (0, access::RWX));
}

#[test]
fn pages_taken_ahead_are_back_in_the_pool_after_each_call() {
    let w = plain();
    let d = guest(&w, 0);
    // The tables above stay.
    assert_eq!(d.insert(100 * M2, 1, ram(0), p2mt::RAM_RW), 0);
    // A table each: as many are taken ahead as were taken already.
    for tables in [1, 2, 3, 5, 17, 20] {
        let before = w.free_pool_pages(d);
        for pages in 0..tables {
            assert_eq!(d.insert(M2 * pages + 1, 1, ram(0), p2mt::RAM_RW), 0);
        }
        w.check();
        assert_eq!(d.remove(0, tables * M2, INVALID), -84, "RAM is not that");
        under_one_lock(d, |view| remove(view, 0, tables * M2));
        w.check();
        assert_eq!(w.free_pool_pages(d), before);
        // The same tables in one call, with nothing between them.
        assert_eq!(d.insert(1, (tables - 1) * M2 + 1, ram(0), p2mt::RAM_RW), 0);
        w.check();
        under_one_lock(d, |view| remove(view, 0, tables * M2));
        w.check();
        assert_eq!(w.free_pool_pages(d), before);
    }
}

/// The pages of the first block are there one by one, and the guest has touched none: the tables
/// above are the hardware's, the pages are not.
fn split_untouched(w: &World, d: Domain) {
    assert_eq!(d.insert(0, 2 * M2, ram(0), p2mt::RAM_RW), 0);
    d.creation_finished();
    assert!(d.resolve(M2));
    assert_eq!(d.remove(9, 1, ram(0) + 9), 0);
    assert_eq!(w.entry(d, 0, 2) & 3, 3);
}

#[test]
fn replacing_an_invalid_entry_is_followed_by_a_barrier() {
    for (t, mfn) in [(p2mt::RAM_RW, 9), (p2mt::RAM_RO, 0), (p2mt::MMIO_DEV, 9)] {
        let w = plain();
        let d = guest(&w, 0);
        split_untouched(&w, d);
        assert_eq!(w.entry(d, 4, 3) & 1, 0);
        assert_eq!(d.insert(4, 1, ram(0) + mfn, t), 0);
        assert_eq!(w.entry(d, 4, 3) & 1, 1);
        w.check();
    }
}

/// Nothing is flushed, since no TLB can hold an invalid entry: the barrier is all that there is.
#[test]
fn restricting_an_untouched_page_is_followed_by_a_barrier() {
    for restricted in [access::R, access::N, access::RX] {
        let w = plain();
        let d = guest(&w, 0);
        split_untouched(&w, d);
        assert_eq!(w.entry(d, 4, 3) & 1, 0);
        assert_eq!(d.set_access(4, 1, 0, restricted), 0);
        assert_eq!(w.entry(d, 4, 3) & 1, 1);
        w.check();
    }
}

#[test]
fn of_several_blocks_each_is_flushed() {
    for blocks in 1..12 {
        for w in both_kinds_of_tlb() {
            let d = guest(&w, 0);
            let (nr, mfn) = (blocks * M2, ram(0) + M2);
            assert_eq!(d.insert(M2, nr, mfn, p2mt::RAM_RW), 0);
            assert_eq!(d.insert(M2, nr, mfn + 64 * M2, p2mt::RAM_RW), 0);
            w.check();
            assert_eq!(d.remove(M2, nr, mfn + 64 * M2), 0);
            w.check();
            assert_eq!(w.snapshot(d).len(), 0);
        }
    }
}

/// Of three pages that the guest has not touched, one is mapped anew, to the frame between its
/// neighbours' or to another, and so can be used by the hardware.
#[test]
fn a_page_that_was_touched_is_flushed_whatever_is_around_it() {
    let restrict = |d: Domain| assert_eq!(d.set_access(4, 3, 0, access::R), 0);
    let unmap = |d: Domain| assert_eq!(d.set_entry(4, 3, INVALID, 0, access::RWX), 0);
    let changes: [&dyn Fn(Domain); 2] = [&restrict, &unmap];
    for (change, touched, elsewhere) in changes
        .into_iter()
        .flat_map(|change| (4..7).flat_map(move |touched| [0, 100].map(|by| (change, touched, by))))
    {
        for w in both_kinds_of_tlb() {
            let d = guest(&w, 0);
            w.run(0, w.vcpu(d));
            split_untouched(&w, d);
            assert_eq!(d.remove(touched, 1, ram(0) + touched), 0);
            let frame = ram(0) + touched + elsewhere;
            assert_eq!(d.insert(touched, 1, frame, p2mt::RAM_RW), 0);
            let live = [4, 5, 6].map(|gfn| w.entry(d, gfn, 3) & 1);
            assert_eq!(live, [4, 5, 6].map(|gfn| u64::from(gfn == touched)));
            change(d);
            w.check();
        }
    }
}

/// The first page of a run is no word for the others, if their types differ.
#[test]
fn references_are_those_of_each_page_though_the_frames_follow_each_other() {
    let all = |d: Domain| assert_eq!(d.remove(5, 3, ram(0) + 4), 0);
    let table = |d: Domain| assert_eq!(d.set_entry(0, M2, INVALID, 0, access::RWX), 0);
    let unmaps: [&dyn Fn(Domain); 2] = [&all, &table];
    for foreign in 0..3 {
        for unmap in unmaps {
            let w = plain();
            let (d, owner) = (w.domain(64), w.domain(64));
            for n in 0..3 {
                let mfn = ram(0) + 4 + n;
                if n == foreign {
                    w.ram(mfn, 1, owner);
                    assert_eq!(d.map_foreign(owner, 5 + n, mfn), 0);
                } else {
                    w.ram(mfn, 1, d);
                    assert_eq!(d.insert(5 + n, 1, mfn, p2mt::RAM_RW), 0);
                }
            }
            unmap(d);
            let left = [4, 5, 6].map(|n| w.references(ram(0) + n));
            assert_eq!(left, [1, 1, 1], "page {foreign} is foreign");
            w.check();
        }
    }
}

#[test]
fn b15_foreign_pages_below_a_table_are_put_after_the_flush() {
    let w = plain();
    let (d, owner) = (guest(&w, 0), guest(&w, 1));
    for n in 0..3 {
        assert_eq!(d.map_foreign(owner, M2 + n, ram(1) + 7 * n), 0);
    }
    w.clear_events();
    // All that one entry spans: its table goes as a whole.
    assert_eq!(d.set_entry(M2, M2, INVALID, 0, access::RWX), 0);
    let events = w.events();
    let at = |wanted: fn(&Event) -> bool| events.iter().position(|(_, e)| wanted(e));
    let is_flush = |e: &Event| {
        matches!(
            e,
            Event::TlbiVmid { .. } | Event::TlbiIpa { .. } | Event::TlbiRange { .. }
        )
    };
    let flush = at(is_flush).unwrap();
    let put = at(|e| matches!(e, Event::Put { .. })).unwrap();
    assert!(flush < put, "flush at {flush}, first put at {put}");
    let flushes = events.iter().filter(|(_, e)| is_flush(e)).count();
    assert_eq!(flushes, 1, "one for all of them");
    w.check();
}
