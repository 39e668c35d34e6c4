// SPDX-License-Identifier: GPL-2.0-only
//! What docs/mem_access.md promises of the calls, beside its tables (`access_table/`): one test a
//! sentence.

mod common;
use common::{access, count, effects, errno, guest, p2mt, plain, ram, G1, M2};
use test_harness::{Domain, Event, World};

const GFN: u64 = G1;

/// A guest with so many pages, aligned so that they are blocks.
fn with(w: &World, pages: u64) -> Domain {
    let d = guest(w, 0);
    assert_eq!(d.insert(GFN, pages, ram(0), p2mt::RAM_RW), 0);
    d
}

fn set_default(d: Domain, a: u32) {
    assert_eq!(d.set_access(!0, 0, 0, a), 0);
}

#[test]
fn the_default_access_is_that_of_pages_that_are_mapped_from_now_on() {
    let w = plain();
    let d = with(&w, 4);
    set_default(d, access::R);
    assert_eq!(d.access(!0), (0, access::R));
    assert_eq!(d.access(GFN), (0, access::RWX));
    assert_eq!(d.insert(GFN + 4, 1, ram(0) + 4, p2mt::RAM_RW), 0);
    assert_eq!(d.access(GFN + 4), (0, access::R));
}

#[test]
fn a_page_that_is_unmapped_loses_its_restriction() {
    for default in [access::RWX, access::RX] {
        let w = plain();
        let d = with(&w, 4);
        if default != access::RWX {
            set_default(d, default);
        }
        assert_eq!(d.set_access(GFN, 4, 0, access::N), 0);
        assert_eq!(d.remove(GFN, 1, ram(0)), 0);
        // Nothing is there.
        assert_eq!(d.access(GFN), (errno::ESRCH, default));
        assert_eq!(d.insert(GFN, 1, ram(0), p2mt::RAM_RW), 0);
        assert_eq!(d.access(GFN), (0, default));
        // So does one that another is mapped over.
        assert_eq!(d.insert(GFN + 1, 1, ram(0) + 9, p2mt::RAM_RW), 0);
        assert_eq!(d.access(GFN + 1), (0, default));
        assert_eq!(d.access(GFN + 2), (0, access::N));
    }
}

#[test]
fn holes_are_skipped() {
    let w = plain();
    let d = with(&w, 2);
    assert_eq!(d.insert(GFN + 8, 1, ram(0) + 8, p2mt::RAM_RW), 0);
    assert_eq!(d.set_access(GFN, 9, 0, access::N), 0);
    assert_eq!(d.access(GFN + 8), (0, access::N));
    assert_eq!(d.access(GFN + 4), (errno::ESRCH, access::RWX));
}

#[test]
fn a_page_of_a_block_takes_a_table_for_each_level() {
    for (pages, tables) in [(M2, 1), (G1, 2)] {
        let w = plain();
        let d = with(&w, pages);
        let before = w.free_pool_pages(d);
        assert_eq!(d.set_access(GFN + 7, 1, 0, access::R), 0);
        assert_eq!(before - w.free_pool_pages(d), tables, "{pages:#x} pages");
        // The next page of the same block takes none.
        assert_eq!(d.set_access(GFN + 8, 1, 0, access::R), 0);
        assert_eq!(before - w.free_pool_pages(d), tables);
    }
}

#[test]
fn a_call_that_lifts_64_pages_merges_and_one_that_lifts_a_page_does_not() {
    for all_at_once in [true, false] {
        let w = plain();
        let d = with(&w, M2);
        let before = w.free_pool_pages(d);
        assert_eq!(d.set_access(GFN, 64, 0, access::R), 0);
        assert_eq!(before - w.free_pool_pages(d), 1);
        if all_at_once {
            assert_eq!(d.set_access(GFN, 64, 0, access::RWX), 0);
            assert_eq!(d.get_entry(GFN).order, 9);
        } else {
            for gfn in GFN..GFN + 64 {
                assert_eq!(d.set_access(gfn, 1, 0, access::RWX), 0);
            }
            assert_eq!(d.get_entry(GFN).order, 0);
        }
        assert_eq!(before - w.free_pool_pages(d), u64::from(!all_at_once));
    }
}

#[test]
fn setting_what_is_set_already_costs_a_walk_and_nothing_else() {
    let w = plain();
    let d = with(&w, M2);
    assert_eq!(d.set_access(GFN, 100, 0, access::R), 0);
    w.clear_events();
    assert_eq!(d.set_access(GFN, 100, 0, access::R), 0);
    assert_eq!(effects(&w), []);
}

#[test]
fn one_flush_covers_a_range_of_pages() {
    let w = plain();
    let d = with(&w, M2);
    assert_eq!(d.set_access(GFN, 512, 0, access::R), 0);
    w.clear_events();
    assert_eq!(d.set_access(GFN, 512, 0, access::RX), 0);
    let flushes = count(&w, |event| {
        matches!(
            event,
            Event::TlbiVmid { .. } | Event::TlbiIpa { .. } | Event::TlbiRange { .. }
        )
    });
    assert_eq!(flushes, 1);
}

#[test]
fn from_the_first_restriction_on_mappings_are_pages() {
    let w = plain();
    let d = with(&w, M2);
    assert_eq!(d.insert(GFN + M2, M2, ram(0) + M2, p2mt::RAM_RW), 0);
    assert_eq!(d.get_entry(GFN + M2).order, 9);
    assert_eq!(d.set_access(GFN, 1, 0, access::R), 0);
    assert_eq!(d.set_access(GFN, 1, 0, access::RWX), 0);
    assert_eq!(d.insert(GFN + 2 * M2, M2, ram(0) + 2 * M2, p2mt::RAM_RW), 0);
    assert_eq!(d.get_entry(GFN + 2 * M2).order, 0);
}

#[test]
fn with_an_empty_pool_the_pages_before_have_the_access() {
    let w = plain();
    let d = w.domain(4);
    w.ram(ram(0), G1, d);
    assert_eq!(d.insert(GFN, 4 * M2, ram(0), p2mt::RAM_RW), 0);
    let free = w.free_pool_pages(d);
    assert!((1..4).contains(&free), "{free} pages");
    let rc = d.set_access(GFN, 4 * 512, 0, access::R);
    assert_eq!(rc, i64::from(errno::ENOMEM));
    for block in 0..4 {
        let a = if block < free { access::R } else { access::RWX };
        assert_eq!(d.access(GFN + block * M2), (0, a), "block {block}");
    }
}

#[test]
fn what_has_become_a_block_again_needs_a_page_of_the_pool_the_next_time() {
    let w = plain();
    let d = with(&w, M2);
    assert_eq!(d.set_access(GFN, 64, 0, access::R), 0);
    assert_eq!(d.set_access(GFN, 64, 0, access::RWX), 0);
    assert!(w.free_pool_pages(d) > 0);
    // The guest takes what is left, for pages that are far apart.
    for at in (1..).map(|n| GFN + n * M2) {
        if w.free_pool_pages(d) == 0 {
            break;
        }
        assert_eq!(d.insert(at, 1, ram(0) + at % G1, p2mt::RAM_RW), 0);
    }
    assert_eq!(d.set_access(GFN, 64, 0, access::R), errno::ENOMEM.into());
    assert_eq!(d.access(GFN), (0, access::RWX));
    assert_eq!(d.set_pool(w.mempool_size(d) / 4096 + 1), 0);
    assert_eq!(d.set_access(GFN, 64, 0, access::R), 0);
    assert_eq!(d.access(GFN + 63), (0, access::R));
}

/// Each call looks at a part of the tables, and together they look at all. (In the host p2m. With views they look at
/// what is copied as well; and one that is cut short does not count.)
#[test]
fn an_empty_table_is_found_within_a_call_for_each_32_pages_of_the_pool() {
    const TABLES: u64 = 500;
    for empty in [None, Some(3), Some(TABLES / 2), Some(TABLES - 7)] {
        let w = plain();
        let d = w.domain(TABLES + 1);
        w.ram(ram(0), G1 << 4, d);
        assert_eq!(d.insert(GFN, M2, ram(0), p2mt::RAM_RW), 0);
        // One page in each, at its very end.
        let at = |n: u64| GFN + (n + 2) * M2 - 1;
        for n in 0..TABLES {
            assert_eq!(d.insert(at(n), 1, ram(0) + at(n), p2mt::RAM_RW), 0);
        }
        assert_eq!(w.free_pool_pages(d), 0);
        if let Some(n) = empty {
            assert_eq!(d.remove(at(n), 1, ram(0) + at(n)), 0);
        }
        let calls = (TABLES + 1) / 32;
        let mut rcs = (0..calls).map(|_| d.set_access(GFN, 1, 0, access::R));
        assert_eq!(rcs.any(|rc| rc == 0), empty.is_some(), "{empty:?}");
    }
}

#[test]
fn what_others_map_of_the_guest_goes_past_a_restriction() {
    let w = plain();
    let d = with(&w, 1);
    assert_eq!(d.set_access(GFN, 1, 0, access::N), 0);
    let (page, t) = d.page_from_gfn(GFN);
    assert_eq!(t, p2mt::RAM_RW);
    assert!(page.is_some_and(|page| page.put() == ram(0)));
    let dom0 = w.hardware_domain();
    assert_eq!(dom0.map_foreign(d, 0x5000, ram(0)), 0);
    assert_eq!(dom0.get_entry(0x5000).mfn, Some(ram(0)));
    assert_eq!(dom0.access(0x5000), (0, access::RWX));
}

#[test]
fn until_the_first_restriction_all_frames_are_unrestricted() {
    let w = plain();
    let d = with(&w, 1);
    assert_eq!(d.access(GFN + 9), (0, access::RWX));
    assert_eq!(d.set_access(GFN, 1, 0, access::R), 0);
    assert_eq!(d.access(GFN + 9), (errno::ESRCH, access::RWX));
}
