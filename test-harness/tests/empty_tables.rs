// SPDX-License-Identifier: GPL-2.0-only
//! Tables in which nothing is mapped any more: they are kept, for the guest mostly maps
//! something there again, and given back once table pages run out (B10). What that costs is
//! bounded, and what runs out of pages all the same says -ENOMEM (B9) and changes nothing.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;
use common::{access, behind, count, errno, machines, p2mt, plain, ram, world, G1, IOMMUS, M2};
use test_harness::{Config, Domain, Event, Preempt, Violation, Waiting, World, INVALID};

/// A guest whose tables may have so many pages.
fn small(w: &World, pool: u64) -> Domain {
    let d = w.domain(pool);
    w.ram(ram(0), G1 << 4, d);
    d
}

fn insert(d: Domain, gfn: u64) -> i32 {
    d.insert(gfn, 1, ram(0) + gfn % G1, p2mt::RAM_RW)
}

fn remove(d: Domain, gfn: u64) -> i32 {
    d.remove(gfn, 1, ram(0) + gfn % G1)
}

/// It maps a page, unmaps it, and maps one elsewhere, until each table has been used often.
#[test]
fn a_guest_that_balloons_sparsely_does_not_fill_its_pool_with_empty_tables() {
    for config in machines() {
        let w = world(config);
        // As many as a walk needs, and two.
        let d = small(&w, 5);
        let reach = if config.ipa_bits == 32 { 3 } else { 13 };
        for n in 0..200 {
            let gfn = (n % reach) * G1 + (n * 7 % 512) * M2 + n;
            assert_eq!(insert(d, gfn), 0, "{config:?}: page {n}");
            assert_eq!(remove(d, gfn), 0, "{config:?}: page {n}");
        }
        assert_eq!(insert(d, 5), 0);
        assert_eq!(w.snapshot(d).len(), 1);
        w.check();
        w.destroy(d);
    }
}

/// Splitting a block needs a table as well: for a removal, which cannot be asked for again and so finds one
/// also where preemption is due, and for a restriction.
#[test]
fn a_split_gets_the_page_of_an_empty_table() {
    for iommu in IOMMUS {
        for restrict in [false, true] {
            let w = world(behind(iommu));
            let d = small(&w, 2);
            assert_eq!(d.insert(G1, M2, ram(0), p2mt::RAM_RW), 0);
            assert_eq!(insert(d, G1 + 3 * M2), 0);
            assert_eq!(remove(d, G1 + 3 * M2), 0);
            assert_eq!(w.free_pool_pages(d), 0);
            if restrict {
                assert_eq!(d.set_access(G1 + 9, 1, 0, access::R), 0);
                assert_eq!(d.access(G1 + 9), (0, access::R));
            } else {
                w.preempt(Preempt::Always);
                assert_eq!(d.remove(G1 + 9, 1, ram(0) + 9), 0);
                w.preempt(Preempt::Never);
                assert_eq!(d.lookup(G1 + 9).0, None);
            }
            assert_eq!(d.lookup(G1 + 10).0, Some(ram(0) + 10));
            w.check();
            w.destroy(d);
        }
    }
}

/// A foreign block is split before the change. If that takes the search, the change is made all the same.
#[test]
fn a_part_of_a_foreign_block_goes_also_if_the_table_for_the_others_has_to_be_found() {
    for is_replaced in [false, true] {
        let w = world(Config::default());
        let (d, _owner) = (small(&w, 2), common::guest(&w, 1));
        w.take_references(ram(1), M2);
        assert_eq!(d.insert(G1, M2, ram(1), p2mt::FOREIGN_RW), 0);
        assert_eq!(insert(d, G1 + 3 * M2), 0);
        assert_eq!(remove(d, G1 + 3 * M2), 0);
        assert_eq!(w.free_pool_pages(d), 0);
        let rc = if is_replaced {
            d.insert(G1 + 9, 1, ram(0), p2mt::RAM_RW)
        } else {
            d.remove(G1 + 9, 1, ram(1) + 9)
        };
        assert_eq!(rc, 0);
        assert_eq!(d.lookup(G1 + 9).0, is_replaced.then_some(ram(0)));
        assert_eq!(w.references(ram(1) + 9), 1, "the owner's");
        assert_eq!(w.references(ram(1) + 10), 2, "and the mapping's");
        w.check();
    }
}

/// A range over several tables goes on where it stopped for want of a page, wherever that was, and leaves no
/// page out.
#[test]
fn a_range_goes_on_where_it_stopped_for_want_of_a_table() {
    // From the end of one gigabyte into the next; no table begins with it.
    let (gfn, nr) = (2 * G1 - 3 * M2 - 5, 6 * M2 + 10);
    // The second gigabyte may be new, and its tables are built before anything points to them.
    let cases = (0..=10).flat_map(|spare| [(spare, true), (spare, false)]);
    for iommu in IOMMUS {
        for (spare, is_new) in cases.clone() {
            let w = world(behind(iommu));
            let d = small(&w, 40);
            // The table of tables is there of one or both, and empty tables that are enough for the rest.
            assert_eq!(insert(d, G1), 0);
            if !is_new {
                assert_eq!(insert(d, 2 * G1 + 9 * M2), 0);
            }
            for n in 0..10 {
                assert_eq!(insert(d, 5 * G1 + n * M2), 0);
                assert_eq!(remove(d, 5 * G1 + n * M2), 0);
            }
            assert_eq!(d.set_pool(d.pool_pages() - w.free_pool_pages(d) + spare), 0);
            assert_eq!(d.insert(gfn, nr, ram(7), p2mt::RAM_RW), 0);
            for page in 0..nr {
                assert_eq!(
                    d.lookup(gfn + page).0,
                    Some(ram(7) + page),
                    "{spare}: {page}"
                );
            }
            assert_eq!(w.snapshot(d).len() as u64, nr + if is_new { 1 } else { 2 });
            w.check();
            w.destroy(d);
        }
    }
}

/// All empty tables go at once, and no other.
#[test]
fn tables_that_are_in_use_stay() {
    for iommu in IOMMUS {
        let w = world(behind(iommu));
        let d = small(&w, 18);
        let gfns = (0..16).map(|n| G1 + n * M2 + n * 31);
        for gfn in gfns.clone() {
            assert_eq!(insert(d, gfn), 0);
        }
        // The last page of a table is the last that a look at it finds.
        assert_eq!(insert(d, G1 + 3 * M2 + 511), 0);
        for gfn in gfns.clone() {
            assert_eq!(remove(d, gfn), 0);
        }
        assert_eq!(d.set_pool(d.pool_pages() - w.free_pool_pages(d)), 0);
        let before = w.snapshot(d);
        assert_eq!(insert(d, 7 * M2), 0);
        // All but the one in use and the new one.
        assert_eq!(w.free_pool_pages(d), 15 - 2);
        let after = w.snapshot(d);
        assert!(before
            .iter()
            .all(|(gfn, leaf)| after.get(gfn) == Some(leaf)));
        assert_eq!(after.len(), before.len() + 1);
        w.check();
        w.destroy(d);
    }
}

/// A table of tables goes once the last of these is gone, wherever that was; and one that never
/// had a table below, as it held blocks.
#[test]
fn tables_above_others_go_as_well() {
    for block in [false, true] {
        let w = plain();
        let d = small(&w, 2);
        let (gfn, nr) = if block {
            (G1 + 5 * M2, M2)
        } else {
            (G1 + 5 * M2 + 7, 1)
        };
        assert_eq!(d.insert(gfn, nr, ram(0) + 5 * M2, p2mt::RAM_RW), 0);
        assert_eq!(d.remove(gfn, nr, ram(0) + 5 * M2), 0);
        assert_eq!(w.free_pool_pages(d), u64::from(block));
        // It takes two.
        assert_eq!(insert(d, 3 * G1), 0, "block: {block}");
        w.check();
        w.destroy(d);
    }
}

/// Tables of blocks, most of which have one, at their end: the search for tables below is
/// bounded as well, wherever it ends.
#[test]
fn tables_of_blocks_count_as_well() {
    for first in 0..6 {
        let w = world(Config {
            log_capacity: 1 << 17,
            ..Config::default()
        });
        let d = small(&w, 70);
        for n in 0..70 {
            let gfn = n * G1 + if n < first { 0 } else { 511 * M2 };
            assert_eq!(d.insert(gfn, M2, ram(0), p2mt::RAM_RW), 0);
        }
        let read = reads(&w, || assert_eq!(insert(d, 99 * G1), errno::ENOMEM));
        assert!(
            (63 * 512..64 * 512 + 256).contains(&read),
            "{read} entries are read"
        );
        w.check();
        w.destroy(d);
    }
}

/// What cannot be mapped leaves neither a mapping nor a table, and says -ENOMEM.
#[test]
fn what_finds_no_table_changes_nothing() {
    for pool in 0..4 {
        let w = world(Config {
            ipa_bits: 48,
            ..Config::default()
        });
        let d = small(&w, pool);
        let rc = insert(d, 5);
        assert_eq!(rc, if pool < 3 { errno::ENOMEM } else { 0 });
        assert_eq!(w.free_pool_pages(d), if pool < 3 { pool } else { 0 });
        w.check();
        w.destroy(d);
    }
}

/// Entries that a call reads.
fn reads(w: &World, call: impl FnOnce()) -> usize {
    w.clear_events();
    call();
    count(w, |event| matches!(event, Event::PteLoad { .. }))
}

fn calls_until_mapped(d: Domain, gfn: u64) -> u64 {
    let mut calls = 1;
    while insert(d, gfn) != 0 {
        calls += 1;
        assert!(calls < 1000, "the empty table is never found");
    }
    calls
}

/// A guest fills its pool with tables of which each has one page, at its very end, and goes
/// on to ask for more: no call looks at all of them, and the one that is empty is found.
#[test]
fn a_call_that_runs_out_of_tables_looks_at_some_and_the_next_goes_on() {
    const TABLES: u64 = 500;
    let w = world(Config {
        log_capacity: 1 << 17,
        ..Config::default()
    });
    let d = small(&w, TABLES + 1);
    for n in 0..TABLES {
        assert_eq!(insert(d, G1 + n * M2 + 511), 0);
    }
    assert_eq!(w.free_pool_pages(d), 0);
    for _ in 0..3 {
        let read = reads(&w, || assert_eq!(insert(d, G1 + 510 * M2), errno::ENOMEM));
        assert!(read <= 64 * 512 + 256, "{read} entries are read");
        assert!(read > 63 * 512, "{read} entries: not as many as allowed");
    }
    // Wherever it is.
    for empty in [3, TABLES - 7] {
        assert_eq!(remove(d, G1 + empty * M2 + 511), 0);
        let calls = calls_until_mapped(d, G1 + 510 * M2);
        assert!(calls <= TABLES / 64 + 2, "{calls} calls for table {empty}");
        assert_eq!(remove(d, G1 + 510 * M2), 0);
        calls_until_mapped(d, G1 + empty * M2 + 511);
    }
    w.check();
    w.destroy(d);
}

/// It begins where the last one ended, and goes round once: a step over tables that are not there any more may
/// pass the place where it began and the end of the tables at once.
#[test]
fn a_search_goes_round_once() {
    let w = world(Config {
        log_capacity: 1 << 17,
        ..Config::default()
    });
    let d = small(&w, 101);
    for n in 0..100 {
        assert_eq!(insert(d, G1 + n * M2 + 511), 0);
    }
    let finds_none = || assert_eq!(insert(d, G1 + 510 * M2), errno::ENOMEM);
    finds_none();
    let gone = d.set_entry(G1 + 10 * M2, 90 * M2, INVALID, 0, access::RWX);
    assert_eq!(gone, 0);
    assert_eq!(d.set_pool(d.pool_pages() - w.free_pool_pages(d)), 0);
    // Ten tables, and the entries of those above them.
    let read = reads(&w, finds_none);
    assert!(
        (10 * 512..13 * 512).contains(&read),
        "{read} entries are read"
    );
    w.check();
    w.destroy(d);
}

/// A monitor's call searches as well as the others, but not while preemption is due. (W1 counts
/// what it does without a check.)
#[test]
fn a_search_ends_where_preemption_is_due() {
    let w = plain();
    let d = small(&w, 39);
    assert_eq!(d.insert(G1, M2, ram(0), p2mt::RAM_RW), 0);
    for n in 1..39 {
        assert_eq!(insert(d, G1 + n * M2 + 511), 0);
    }
    assert_eq!(w.free_pool_pages(d), 0);
    let enomem = i64::from(errno::ENOMEM);
    let restrict = || d.set_access(G1, 1, 0, access::R);
    assert_eq!(restrict(), enomem);
    w.preempt(Preempt::Always);
    let read = reads(&w, || assert_eq!(restrict(), enomem));
    assert!(read < 64, "{read} entries are read");
    w.preempt(Preempt::Never);
    assert_eq!(remove(d, G1 + 20 * M2 + 511), 0);
    assert_eq!(restrict(), 0);
    assert_eq!(d.access(G1), (0, access::R));
    w.check();
    w.destroy(d);
}

/// A search that was given up has not found that there is no room. So a call that can say how far it got
/// does so, and goes on later. One that cannot says -ENOMEM.
#[test]
fn a_call_that_is_preempted_while_it_searches_goes_on_later() {
    let w = plain();
    let d = small(&w, 39);
    // Pages, which have a table, and a block, which needs one.
    for n in [0].into_iter().chain(2..39) {
        assert_eq!(insert(d, G1 + n * M2 + 511), 0);
    }
    assert_eq!(d.insert(G1 + M2, M2, ram(0) + M2, p2mt::RAM_RW), 0);
    assert_eq!(w.free_pool_pages(d), 0);
    let table = u32::try_from(M2).unwrap();
    let restrict = |start| d.set_access(G1, table + 1, start, access::R);
    let enomem = i64::from(errno::ENOMEM);
    assert_eq!(restrict(0), enomem);
    let checks = w.preempt_checks();
    assert_eq!(restrict(0), enomem);
    let checks = w.preempt_checks() - checks;
    assert!(checks > 2, "only {checks} looks, so none in the search");
    for waiting in [Waiting::Softirq, Waiting::Event] {
        for k in 1..=checks {
            w.preempt_for(Preempt::From(k), waiting);
            let what = format!("{waiting:?}, look {k} of {checks}");
            assert_eq!(restrict(0), i64::from(table), "{what}");
        }
    }
    // It has got nowhere: that is not repeated without end.
    w.preempt_for(Preempt::Always, Waiting::Softirq);
    assert_eq!(restrict(table), enomem);
    w.preempt(Preempt::Never);
    assert_eq!(remove(d, G1 + 20 * M2 + 511), 0);
    assert_eq!(restrict(table), 0);
    assert_eq!(d.access(G1 + M2), (0, access::R));
    w.check();
    w.destroy(d);
}

/// The most that can come together: a block of 1 GiB is split, for which one page is free and
/// one is found, and nothing was done yet.
#[test]
fn a_search_and_a_split_come_before_one_look_for_preemption() {
    let w = plain();
    let d = small(&w, 4);
    assert_eq!(d.insert(2 * G1, G1, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(insert(d, G1), 0);
    assert_eq!(insert(d, G1 + M2), 0);
    assert_eq!(remove(d, G1), 0);
    assert_eq!(w.free_pool_pages(d), 1);
    assert_eq!(d.set_access(2 * G1 + 1, 511, 0, access::R), 0);
    assert_eq!(w.free_pool_pages(d), 0);
    w.check();
    w.destroy(d);
}

/// Tracking has cleared the valid bits above the empty tables.
#[test]
fn empty_tables_that_the_hardware_cannot_reach_go_as_well() {
    let w = plain();
    let d = small(&w, 3);
    assert_eq!(insert(d, G1), 0);
    assert_eq!(insert(d, G1 + M2), 0);
    assert_eq!(remove(d, G1), 0);
    d.creation_finished();
    assert_eq!(insert(d, G1 + 2 * M2), 0);
    assert!(d.resolve(G1 + M2) && d.resolve(G1 + 2 * M2) && !d.resolve(G1));
    w.check();
    w.destroy(d);
}

/// A device may walk a table that the IOTLB could not be made to forget.
#[test]
fn a_table_that_an_iommu_may_be_walking_is_not_used_again() {
    let w = world(behind(common::IOMMUS[1]));
    let d = small(&w, 3);
    assert_eq!(insert(d, G1), 0);
    assert_eq!(insert(d, G1 + M2), 0);
    assert_eq!(remove(d, G1), 0);
    assert_eq!(remove(d, G1 + M2), 0);
    assert_eq!(w.free_pool_pages(d), 0);
    w.fail_iommu(Some(1));
    assert_eq!(insert(d, G1 + 2 * M2), 0);
    assert_eq!(w.iommu_failures(), 1);
    assert_eq!(w.fate(d).1.len(), 1, "the domain is shut down");
    assert_eq!(w.free_pool_pages(d), 0, "one of the two is kept for ever");
    // It stays on the list of tables until the teardown, though no entry leads to it.
    let broken = w.violations();
    let [Violation { rule: "R5", what }] = &broken[..] else {
        panic!("{broken:#?}");
    };
    let kept = "d1: 3 pages on p2m->pages, 2 tables in the tree";
    assert!(what.starts_with(kept), "{what}");
    w.destroy(d);
    w.check();
}

/// The hardware domain's tables are of the heap.
#[test]
fn the_heap_gets_the_empty_tables_of_the_hardware_domain() {
    let w = plain();
    let d = w.hardware_domain();
    w.ram(ram(0), G1 << 4, d);
    for n in 0..8 {
        assert_eq!(insert(d, G1 + n * M2), 0);
        assert_eq!(remove(d, G1 + n * M2), 0);
    }
    let heap = w.heap_in_use();
    w.fail_allocations_from(Some(1));
    assert_eq!(insert(d, G1 + 9 * M2), errno::ENOMEM);
    w.fail_allocations_from(None);
    // Eight tables of pages, and the one above them.
    assert_eq!(w.heap_in_use(), heap - 9);
    assert_eq!(insert(d, G1 + 9 * M2), 0);
    w.check();
    w.destroy(d);
}

#[test]
fn the_table_below_a_level_0_root_goes_as_well() {
    let w = world(Config {
        ipa_bits: 48,
        ..Config::default()
    });
    let d = small(&w, 3);
    assert_eq!(insert(d, 5), 0);
    assert_eq!(remove(d, 5), 0);
    assert_eq!(w.free_pool_pages(d), 0);
    let elsewhere = G1 << 9;
    assert_eq!(
        insert(d, elsewhere),
        0,
        "another entry of the root: all three"
    );
    w.check();
    w.destroy(d);
}
