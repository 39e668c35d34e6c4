// SPDX-License-Identifier: GPL-2.0-only
//! A pool that has no page left, in a domain with views (A10): what views have merely copied gives
//! way to whatever needs a table, and what was set in a view never does.

#![cfg(config_altp2m)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;

use common::large::{scenes, Scene, FIRST, PAGES};
use common::views::{ipa, Viewed};
use common::{access, guest, p2mt, ram, G1, M2};
use p2m_rs::map::views::set_accesses;
use p2m_rs::p2m::views::Number;
use p2m_rs::types::access::P2mAccess;
use p2m_rs::types::addr::Gfn;
use p2m_rs::types::errno::Errno;
use test_harness::{Preempt, Waiting, INVALID};

/// The first of the blocks of 2 MiB.
const BLOCK: u64 = 0x4000;

/// A domain with `tables` blocks of 2 MiB, and a pool that is empty once a view has come to a page
/// of each in small pages. (A setting in each block makes it pages.)
fn with_tables(tables: u64) -> (Viewed, u16) {
    let v = Viewed::plain();
    assert_eq!(v.d.set_pool(256), 0);
    for table in 0..=tables {
        let block = BLOCK + table * M2;
        assert_eq!(v.d.insert(block, 1, ram(0) + table, p2mt::RAM_RW), 0);
    }
    let n = v.create();
    v.vcpu_in(0, n);
    for table in 0..tables {
        let mfn = ram(0) + table;
        assert_eq!(v.read(0, BLOCK + table * M2), Some(mfn));
    }
    assert_eq!(v.d.set_pool(v.used()), 0);
    (v, n)
}

#[test]
fn a10_mere_copies_are_dropped_before_a_guest_is_crashed() {
    let (v, n) = with_tables(40);
    let all = v.w.view_snapshot(v.view(n));
    assert_eq!(v.read(0, BLOCK + 40 * M2), Some(ram(0) + 40));
    assert_eq!(v.w.fate(v.d).0, 0);
    let left = v.w.view_snapshot(v.view(n));
    assert!(left.len() >= 8, "not more than a call may drop: {left:?}");
    assert!(left.len() + 16 <= all.len() + 1, "enough for the guest");
    // All of it is there again when the guest comes to it, over and over.
    for _ in 0..3 {
        for table in 0..=40 {
            assert_eq!(v.read(0, BLOCK + table * M2), Some(ram(0) + table));
        }
    }
    assert_eq!(v.w.fate(v.d).0, 0);
    v.w.check();
}

/// The next time it is the turn of others, and not of what the guest has just come back to.
#[test]
fn a10_copies_are_dropped_by_turns() {
    let (v, n) = with_tables(40);
    let has = |table: u64| {
        let copied = v.w.view_snapshot(v.view(n));
        copied.contains_key(&(BLOCK + table * M2))
    };
    assert!(v.read(0, BLOCK + 40 * M2).is_some());
    let first: Vec<u64> = (0..40).filter(|&table| !has(table)).collect();
    assert!(!first.is_empty() && first.len() < 40, "{first:?}");
    for &table in &first {
        assert!(v.read(0, BLOCK + table * M2).is_some());
    }
    // That took one page more than there was.
    let second: Vec<u64> = (0..=40).filter(|&table| !has(table)).collect();
    let others: Vec<u64> = (0..=40).filter(|table| !first.contains(table)).collect();
    for table in others {
        assert!(second.contains(&table), "{table} of {second:?}, {first:?}");
    }
    v.w.check();
}

#[test]
fn a10_what_was_set_in_a_view_is_never_dropped() {
    let (v, n) = with_tables(40);
    // In every second table: an access, or another frame.
    let set = |table: u64| BLOCK + table * M2;
    for table in (0..40).step_by(4) {
        assert_eq!(v.set_access(n, set(table), P2mAccess::R), Ok(()));
        assert_eq!(v.remap(n, set(table + 2), set(table + 1)), Ok(()));
    }
    for _ in 0..3 {
        for table in (1..=40).step_by(2).chain([40]) {
            assert_eq!(v.read(0, set(table)), Some(ram(0) + table));
        }
    }
    assert_eq!(v.w.fate(v.d).0, 0);
    let left = v.w.view_snapshot(v.view(n));
    for table in (0..40).step_by(4) {
        assert!(!left[&set(table)].write, "the access of {table}");
        assert_eq!(left[&set(table + 2)].mfn, ram(0) + table + 1);
    }
    v.w.check();
}

#[test]
fn a10_too_few_copies_crash_the_guest_and_nothing_that_was_set_is_lost() {
    // All but 15 tables have something that was set, which is one too few; or all but 16.
    for (set, crashes) in [(25, 1), (24, 0)] {
        let (v, n) = with_tables(40);
        for table in 0..set {
            assert_eq!(v.set_access(n, BLOCK + table * M2, P2mAccess::R), Ok(()));
        }
        assert!(v.w.on_cpu(0, || v.d.resolve(BLOCK + 40 * M2)));
        assert_eq!(v.w.fate(v.d).0, crashes, "domain_crash()");
        let read = v.w.guest_reads(0, ipa(BLOCK + 40 * M2));
        assert_eq!(read.is_some(), crashes == 0);
        for table in 0..set {
            assert_eq!(v.access(n, BLOCK + table * M2), Some(P2mAccess::R));
        }
        v.w.check();
    }
}

/// The copies of a view make room for another one's.
#[test]
fn a10_copies_of_another_view_are_dropped_as_well() {
    let (v, n) = with_tables(40);
    let other = {
        assert_eq!(v.d.set_pool(v.used() + 1), 0);
        let other = v.create();
        assert_eq!(v.d.set_pool(v.used()), 0);
        other
    };
    v.vcpu_in(1, other);
    for table in 0..=40 {
        assert_eq!(v.read(1, BLOCK + table * M2), Some(ram(0) + table));
    }
    assert_eq!(v.w.fate(v.d).0, 0);
    assert!(v.w.view_snapshot(v.view(n)).len() < 40);
    v.w.check();
}

/// Copies of two views, of which neither has enough.
#[test]
fn a10_copies_of_several_views_are_enough_together() {
    let v = Viewed::plain();
    assert_eq!(v.d.set_pool(256), 0);
    for table in 0..17 {
        let gfn = BLOCK + table * M2;
        assert_eq!(v.d.insert(gfn, 1, ram(0) + table, p2mt::RAM_RW), 0);
    }
    let views = [v.create(), v.create()];
    for (number, tables) in views.into_iter().zip([0..8, 8..16]) {
        v.vcpu_in(0, number);
        for table in tables {
            assert_eq!(v.read(0, BLOCK + table * M2), Some(ram(0) + table));
        }
    }
    assert_eq!(v.d.set_pool(v.used()), 0);
    assert_eq!(v.read(0, BLOCK + 16 * M2), Some(ram(0) + 16));
    assert_eq!(v.w.fate(v.d).0, 0);
    v.w.check();
}

/// [`with_tables`] of 40, of which so many have a page whose access was set.
fn with_settings(tables: u64) -> (Viewed, u16) {
    let (v, n) = with_tables(40);
    for table in 0..tables {
        assert_eq!(v.set_access(n, BLOCK + table * M2, P2mAccess::R), Ok(()));
    }
    (v, n)
}

/// One of these takes a table that is not there: in the view, or in the host p2m.
type Call = (&'static str, fn(&Viewed, u16) -> i32);

fn calls() -> [Call; 6] {
    [
        ("an access in the view", |v, n| {
            to_c(v.set_access(n, BLOCK + 40 * M2, P2mAccess::R))
        }),
        ("another frame in the view", |v, n| {
            to_c(v.remap(n, BLOCK + 40 * M2, BLOCK))
        }),
        ("a mapping of the host's", |v, _| {
            v.d.insert(BLOCK + 41 * M2, 1, ram(0) + 41, p2mt::RAM_RW)
        }),
        ("mappings of the host's", |v, _| {
            v.d.insert(BLOCK + 41 * M2 + 1, 2, ram(0) + 41, p2mt::RAM_RW)
        }),
        ("a removal from a block of the host's", |v, _| {
            v.d.remove(HOST_BLOCK + 1, 1, ram(0) + M2 + 1)
        }),
        ("a restriction of the host's", |v, _| {
            v.d.set_access(HOST_BLOCK + 1, 1, 0, access::R)
                .try_into()
                .unwrap()
        }),
    ]
}

fn to_c(result: Result<(), Errno>) -> i32 {
    result.map_or_else(Errno::to_c, |()| 0)
}

/// A block of the host's, which a removal or a restriction splits.
const HOST_BLOCK: u64 = 0x10_0000;

/// Maps that block; the pool is empty afterwards, as it was.
fn add_host_block(v: &Viewed) {
    assert_eq!(v.d.set_pool(v.used() + 8), 0);
    assert_eq!(v.d.insert(HOST_BLOCK, M2, ram(0) + M2, p2mt::RAM_RW), 0);
    assert_eq!(v.d.set_pool(v.used()), 0);
}

#[test]
fn a10_mere_copies_give_way_to_every_call() {
    for (what, call) in calls() {
        let (v, n) = with_tables(40);
        add_host_block(&v);
        assert_eq!(call(&v, n), 0, "{what}");
        let left = v.w.view_snapshot(v.view(n));
        assert!(left.len() < 40, "{what}: {} are left", left.len());
        for table in 0..40 {
            assert!(v.read(0, BLOCK + table * M2).is_some(), "{what}");
        }
        v.w.check();
    }
}

/// Then it is as without views: a call that finds no table says so, and nothing has changed.
#[test]
fn a10_what_was_set_gives_way_to_no_call() {
    for (what, call) in calls() {
        let (v, n) = with_settings(40);
        add_host_block(&v);
        let (before, host) = (v.w.view_snapshot(v.view(n)), v.w.snapshot(v.d));
        assert_eq!(call(&v, n), Errno::ENOMEM.to_c(), "{what}");
        assert_eq!(v.w.view_snapshot(v.view(n)), before, "{what}");
        assert_eq!(v.w.snapshot(v.d), host, "{what}");
        assert_eq!(v.w.fate(v.d).0, 0, "{what}: no crash");
        v.w.check();
    }
}

/// A guest needs 16 tables at the same time; who can be told -ENOMEM is content with one.
#[test]
fn a10_one_copy_is_enough_for_a_call() {
    for (what, call) in calls() {
        let (v, n) = with_settings(39);
        add_host_block(&v);
        assert_eq!(call(&v, n), 0, "{what}");
        for table in 0..39 {
            assert_eq!(
                v.access(n, BLOCK + table * M2),
                Some(P2mAccess::R),
                "{what}"
            );
        }
        v.w.check();
    }
}

/// Sets the access of these pages in the view, in one call.
fn set_list(v: &Viewed, n: u16, gfns: &[u64]) -> Result<(), Errno> {
    let pages = gfns.iter().map(|&gfn| Ok((Gfn::new(gfn), P2mAccess::R)));
    v.locked(|write| set_accesses(write, Number::from_c(n).unwrap(), pages))
}

/// Of a list, the page that finds no table is set after copies were dropped, and those after it.
#[test]
fn a10_a_list_goes_on_after_copies_were_dropped() {
    let (v, n) = with_tables(40);
    let gfns = [1, 40, 2].map(|table| BLOCK + table * M2);
    assert_eq!(set_list(&v, n, &gfns), Ok(()));
    for gfn in gfns {
        assert_eq!(v.access(n, gfn), Some(P2mAccess::R), "{gfn:#x}");
    }
    v.w.check();
}

/// Copies are looked for once in a call, which bounds its work; the caller can call again.
#[test]
fn a10_a_list_that_needs_more_tables_than_that_ends_with_what_is_done() {
    let (v, n) = with_tables(40);
    assert_eq!(v.d.set_pool(256), 0);
    let gfns: Vec<u64> = (100..160).map(|table| BLOCK + table * M2).collect();
    for gfn in &gfns {
        assert_eq!(v.d.insert(*gfn, 1, ram(0) + gfn, p2mt::RAM_RW), 0);
    }
    assert_eq!(v.d.set_pool(v.used()), 0);
    let set = || {
        let is_set = |gfn: &&u64| v.access(n, **gfn) == Some(P2mAccess::R);
        gfns.iter().take_while(is_set).count()
    };
    assert_eq!(set_list(&v, n, &gfns), Err(Errno::ENOMEM));
    let done = set();
    assert!((16..60).contains(&done), "{done}");
    assert_eq!(set_list(&v, n, &gfns[done..]), Err(Errno::ENOMEM));
    assert_eq!(set(), 40, "all that the pool had for copies");
    v.w.check();
}

/// However many tables of one view are looked at in vain, those of another are found.
#[test]
fn a10_a_view_full_of_settings_hides_no_copies_of_another() {
    let v = Viewed::plain();
    assert_eq!(v.d.set_pool(1024), 0);
    let page = |i: u64| 0x10_0000 + i * M2;
    for i in 0..80 {
        assert_eq!(v.d.insert(page(i), M2, ram(0) + M2 * i, p2mt::RAM_RW), 0);
    }
    for table in 0..=20 {
        let gfn = BLOCK + table * M2;
        assert_eq!(
            v.d.insert(gfn, 1, ram(0) + 80 * M2 + table, p2mt::RAM_RW),
            0
        );
    }
    let (full, n) = (v.create(), v.create());
    // The last page of each table, so that all of it is looked at; before it everything is copied.
    v.vcpu_in(1, full);
    for i in 0..80 {
        assert_eq!(v.set_access(full, page(i) + M2 - 1, P2mAccess::R), Ok(()));
        for gfn in (0..M2 - 1).map(|copied| page(i) + copied) {
            assert!(v.read(1, gfn).is_some());
        }
    }
    v.vcpu_in(0, n);
    for table in 0..20 {
        assert!(v.read(0, BLOCK + table * M2).is_some());
    }
    assert_eq!(v.d.set_pool(v.used()), 0);
    assert!(v.read(0, BLOCK + 20 * M2).is_some());
    assert_eq!(v.w.fate(v.d).0, 0);
    v.w.check();
}

/// A call that can be preempted looks whether to, however many tables it looks at (W1).
#[test]
fn a10_the_search_of_a_call_looks_whether_to_preempt() {
    let v = Viewed::plain();
    assert_eq!(v.d.set_pool(1024), 0);
    let page = |i: u64| 0x10_0000 + i * M2;
    for i in 0..21 {
        assert_eq!(v.d.insert(page(i), M2, ram(0) + M2 * i, p2mt::RAM_RW), 0);
    }
    let n = v.create();
    v.vcpu_in(0, n);
    for i in 0..20 {
        assert_eq!(v.set_access(n, page(i) + M2 - 1, P2mAccess::R), Ok(()));
        for gfn in (0..M2 - 1).map(|copied| page(i) + copied) {
            assert!(v.read(0, gfn).is_some());
        }
    }
    assert_eq!(v.d.set_pool(v.used()), 0);
    assert_eq!(v.set_access(n, page(20), P2mAccess::R), Err(Errno::ENOMEM));
    let enomem = Errno::ENOMEM.to_c().into();
    assert_eq!(v.d.set_access(page(20), 1, 0, access::R), enomem);
    v.w.check();
}

/// A change of a source empties the view; but this is none.
#[test]
fn a10_what_could_not_be_shown_elsewhere_is_no_source() {
    let (v, n) = with_settings(40);
    let source = BLOCK + 39 * M2;
    assert_eq!(v.remap(n, BLOCK + 40 * M2, source), Err(Errno::ENOMEM));
    assert_eq!(v.d.remove(source, 1, ram(0) + 39), 0);
    assert_eq!(v.access(n, BLOCK), Some(P2mAccess::R));
    v.w.check();
}

/// To set one page of a gigabyte takes two tables.
#[test]
fn a10_a_gigabyte_for_which_there_are_too_few_tables_stays_mapped_as_it_was() {
    type Call = (&'static str, fn(&Scene) -> Result<(), Errno>);
    let calls: [Call; 2] = [
        ("an access", |s| {
            s.v.set_access(s.n, FIRST + 5, P2mAccess::R)
        }),
        ("another frame", |s| s.v.remap(s.n, FIRST + 5, PAGES)),
    ];
    for shape in scenes().filter(|shape| shape.size == G1) {
        for (what, call) in calls {
            for tables in [0, 1] {
                let s = Scene::new(shape);
                s.copy_blocks();
                assert_eq!(s.v.d.set_pool(s.v.used() + tables), 0);
                assert_eq!(call(&s), Err(Errno::ENOMEM), "{what}");
                assert_eq!(s.v.access(s.n, FIRST + 5), Some(P2mAccess::Rwx));
                for page in [0, 4, 5, 6, M2 - 1, M2, G1 - 1] {
                    let gpa = ipa(FIRST + page);
                    assert_eq!(s.v.w.guest_reads(0, gpa), Some(ipa(ram(0) + page)));
                    assert!(s.v.w.guest_can(0, gpa, true) && s.v.w.guest_can_execute(0, gpa));
                }
                s.v.w.check();
                assert_eq!(s.v.d.set_pool(s.v.used() + 2), 0);
                assert_eq!(call(&s), Ok(()), "{what}, with room");
                s.v.w.check();
            }
        }
    }
}

/// The calls, and a guest that comes to a page.
fn calls_and_a_fault() -> impl Iterator<Item = Call> {
    let fault: Call = ("a fault", |v, _| {
        i32::from(v.read(0, BLOCK + 40 * M2).is_none())
    });
    calls().into_iter().chain([fault])
}

/// Tables of the host p2m in which nothing is mapped; the pool is empty afterwards, as it was.
fn add_empty_tables(v: &Viewed, tables: u64) {
    assert_eq!(v.d.set_pool(v.used() + tables), 0);
    for table in 50..50 + tables {
        let (gfn, mfn) = (BLOCK + table * M2, ram(0) + table);
        assert_eq!(v.d.insert(gfn, 1, mfn, p2mt::RAM_RW), 0);
        assert_eq!(v.d.remove(gfn, 1, mfn), 0);
    }
    assert_eq!(v.w.free_pool_pages(v.d), 0);
}

/// Who sets an access is told -ENOMEM and can call again. All others must find a table, whatever waits for the CPU.
#[test]
fn a10_who_cannot_call_again_finds_a_table_also_where_preemption_is_due() {
    for (what, call) in calls_and_a_fault() {
        for copies in [true, false] {
            let (v, n) = if copies {
                with_tables(40)
            } else {
                with_settings(40)
            };
            add_host_block(&v);
            if !copies {
                add_empty_tables(&v, 1);
            }
            v.w.preempt(Preempt::Always);
            let sets = ["an access in the view", "a restriction of the host's"];
            let expected = if sets.contains(&what) {
                Errno::ENOMEM.to_c()
            } else {
                0
            };
            assert_eq!(call(&v, n), expected, "{what}, copies: {copies}");
            assert_eq!(v.w.fate(v.d).0, 0, "{what}");
            v.w.preempt(Preempt::Never);
            assert_eq!(call(&v, n), 0, "{what}, copies: {copies}");
            v.w.check();
        }
    }
}

#[test]
fn a10_copies_give_way_where_empty_tables_are_too_few() {
    let (v, _) = with_tables(40);
    assert_eq!(v.d.set_pool(v.used() + 2), 0);
    assert_eq!(v.d.insert(3 * G1, 1, ram(0) + 99, p2mt::RAM_RW), 0);
    // The view needs two.
    add_empty_tables(&v, 1);
    assert_eq!(v.read(0, 3 * G1), Some(ram(0) + 99));
    assert_eq!(v.w.fate(v.d).0, 0);
    v.w.check();
}

/// A mapping that runs out of tables twice: it begins in a table that is there, goes on in an empty one, and then in
/// those of copies. No page is left out.
#[test]
fn a10_a_mapping_goes_on_where_it_stopped_each_time_that_room_is_made() {
    let (v, _) = with_tables(40);
    add_empty_tables(&v, 1);
    let (gfn, nr) = (BLOCK + 40 * M2 + 7, 3 * M2);
    assert_eq!(v.d.insert(gfn, nr, ram(1), p2mt::RAM_RW), 0);
    for page in 0..nr {
        assert_eq!(v.d.lookup(gfn + page).0, Some(ram(1) + page), "{page}");
    }
    v.w.check();
}

#[test]
fn a10_copies_stay_as_long_as_the_host_has_an_empty_table() {
    for (what, call) in calls_and_a_fault() {
        let (v, n) = with_tables(40);
        add_host_block(&v);
        add_empty_tables(&v, 1);
        let before = v.w.view_snapshot(v.view(n));
        assert_eq!(call(&v, n), 0, "{what}");
        let after = v.w.view_snapshot(v.view(n));
        let stays = |gfn: &u64| after.contains_key(gfn);
        assert!(before.keys().all(stays), "{what}");
        v.w.check();
    }
}

/// Pages of a block of the host's, where something was set in the view, and set back.
#[test]
fn a10_pages_that_are_as_the_hosts_block_give_way() {
    let v = Viewed::plain();
    assert_eq!(v.d.set_pool(256), 0);
    assert_eq!(v.d.insert(BLOCK, 1, ram(0), p2mt::RAM_RW), 0);
    let n = v.create();
    v.vcpu_in(0, n);
    for i in 0..20 {
        let gfn = HOST_BLOCK + i * M2;
        let mfn = ram(0) + M2 * (1 + i);
        assert_eq!(v.d.insert(gfn, M2, mfn, p2mt::RAM_RW), 0);
        assert!(v.read(0, gfn).is_some());
        for access in [P2mAccess::R, P2mAccess::Rwx] {
            assert_eq!(v.set_access(n, gfn + 7, access), Ok(()));
        }
    }
    assert_eq!(v.d.set_pool(v.used()), 0);
    assert_eq!(v.read(0, BLOCK), Some(ram(0)));
    assert_eq!(v.w.fate(v.d).0, 0);
    v.w.check();
}

#[test]
fn a10_a_view_that_is_empty_has_no_table_that_gives_way() {
    // Ten tables are mere copies, which are too few.
    let (v, _) = with_settings(30);
    for _ in 0..8 {
        v.create();
    }
    assert!(v.w.on_cpu(0, || v.d.resolve(BLOCK + 40 * M2)));
    assert_eq!(v.w.fate(v.d).0, 1, "domain_crash()");
    v.w.check();
}

#[test]
fn a10_the_search_of_a_call_ends_for_whatever_waits() {
    for waiting in [Waiting::Softirq, Waiting::Event] {
        let (v, n) = with_tables(40);
        v.w.preempt_for(Preempt::Always, waiting);
        let set = || v.set_access(n, BLOCK + 40 * M2, P2mAccess::R);
        assert_eq!(set(), Err(Errno::ENOMEM), "{waiting:?}");
        v.w.preempt(Preempt::Never);
        assert_eq!(set(), Ok(()));
        v.w.check();
    }
}

/// A guest can empty its pool and then have a page of a block taken away, or replaced. It keeps the page, for there is no
/// table for the others; so it must not lose what a monitor has set for it.
#[test]
fn a10_a_change_of_the_hosts_that_finds_no_table_leaves_what_was_set() {
    // Where the range begins in the block, how many pages, and the first frame's offset from the block's.
    type Change = (u64, u64, Option<u64>);
    const CHANGES: [Change; 9] = [
        (5, 1, None),
        (0, 7, None),
        (5, M2 - 5, None),
        (5, 2 * M2, None),
        (5, 1, Some(M2)),
        (5, 3, Some(0)),
        // Not aligned: pages.
        (0, M2, Some(1)),
        // From a block into the next.
        (5, M2, Some(M2)),
        (5, M2, Some(5 + 1)),
    ];
    for locked in [false, true] {
        for (at, nr, offset) in CHANGES {
            let (v, n) = with_settings(40);
            add_host_block(&v);
            assert_eq!(v.d.set_pool(v.used() + 8), 0);
            let pages = HOST_BLOCK + M2;
            assert_eq!(v.d.insert(pages, 600, ram(0) + 2 * M2, p2mt::RAM_RW), 0);
            for gfn in [5, 6, M2 - 1, M2 + 3, M2 + 8].map(|page| HOST_BLOCK + page) {
                assert_eq!(v.set_access(n, gfn, P2mAccess::N), Ok(()));
            }
            assert_eq!(v.d.set_pool(v.used()), 0);
            let state = || (v.w.view_snapshot(v.view(n)), v.w.snapshot(v.d));
            let before = state();
            let gfn = HOST_BLOCK + at;
            let change = || match offset {
                None if locked => v.d.set_entry(gfn, nr, INVALID, 0, access::RWX),
                None => v.d.remove(gfn, nr, ram(0) + M2 + at),
                Some(offset) if locked => {
                    let mfn = ram(0) + M2 + offset;
                    v.d.set_entry(gfn, nr, mfn, p2mt::RAM_RW, access::RWX)
                }
                Some(offset) => v.d.insert(gfn, nr, ram(0) + M2 + offset, p2mt::RAM_RW),
            };
            let what = format!("{nr} from {at}, to {offset:?}");
            assert_eq!(change(), Errno::ENOMEM.to_c(), "{what}");
            assert_eq!(state(), before, "{what}");
            // With a table it is done, and what was set is forgotten where something has changed.
            assert_eq!(v.d.set_pool(v.used() + 2), 0);
            assert_eq!(change(), 0, "{what}");
            for gfn in [5, 6, M2 - 1, M2 + 3, M2 + 8].map(|page| HOST_BLOCK + page) {
                let stays = gfn < HOST_BLOCK + at || gfn >= HOST_BLOCK + at + nr;
                let set = v.access(n, gfn) == Some(P2mAccess::N);
                assert_eq!(set, stays, "{what}: {gfn:#x}");
            }
            v.w.check();
        }
    }
}

/// What is mapped as it was takes no table, and splits nothing.
#[test]
fn a_mapping_that_is_there_already_leaves_the_block_whole_beside_views() {
    let (v, _) = with_settings(40);
    add_host_block(&v);
    let before = v.w.snapshot(v.d);
    for (at, nr) in [(5, 1), (0, 7), (5, M2 - 5), (0, M2)] {
        let (gfn, mfn) = (HOST_BLOCK + at, ram(0) + M2 + at);
        assert_eq!(v.d.insert(gfn, nr, mfn, p2mt::RAM_RW), 0);
        assert_eq!(v.w.snapshot(v.d), before, "{nr} from {at}");
    }
    v.w.check();
}

/// A mapping that begins where there is no table, and goes on where a page was set.
#[test]
fn a10_what_was_set_behind_a_hole_that_gets_no_table_stays() {
    for locked in [false, true] {
        let (v, n) = with_settings(40);
        let (hole, page) = (BLOCK + 42 * M2 - 3, BLOCK + 42 * M2 + 5);
        assert_eq!(v.d.set_pool(v.used() + 8), 0);
        assert_eq!(v.d.insert(page, 1, ram(0) + 42, p2mt::RAM_RW), 0);
        assert_eq!(v.set_access(n, page, P2mAccess::N), Ok(()));
        assert_eq!(v.d.set_pool(v.used()), 0);
        let (before, host) = (v.w.view_snapshot(v.view(n)), v.w.snapshot(v.d));
        let refused = if locked {
            v.d.set_entry(hole, M2, ram(1), p2mt::RAM_RW, access::RWX)
        } else {
            v.d.insert(hole, M2, ram(1), p2mt::RAM_RW)
        };
        assert_eq!(refused, Errno::ENOMEM.to_c());
        assert_eq!(v.w.view_snapshot(v.view(n)), before);
        assert_eq!(v.w.snapshot(v.d), host);
        v.w.check();
    }
}

/// Three blocks side by side, each with pages that were set. There is one table for a change that needs more.
#[test]
fn a10_what_was_set_behind_a_block_that_gets_no_table_stays() {
    for is_removed in [true, false] {
        let (v, n) = with_settings(40);
        assert_eq!(v.d.set_pool(v.used() + 16), 0);
        let at = 5;
        let (gfn, nr, mfn) = (HOST_BLOCK + at, 2 * M2, ram(0) + M2);
        assert_eq!(v.d.insert(HOST_BLOCK, 3 * M2, mfn, p2mt::RAM_RW), 0);
        let set = [2, 6, M2 + 6, 2 * M2 + 2].map(|page| HOST_BLOCK + page);
        for gfn in set {
            assert_eq!(v.set_access(n, gfn, P2mAccess::N), Ok(()));
        }
        assert_eq!(v.d.set_pool(v.used() + 1), 0);
        let is_set = || set.map(|gfn| v.access(n, gfn) == Some(P2mAccess::N));
        if is_removed {
            // Nothing goes: it is one range.
            assert_eq!(v.d.remove(gfn, nr, mfn + at), Errno::ENOMEM.to_c());
            assert_eq!(is_set(), [true; 4]);
            for page in [0, at, M2, 2 * M2 + at] {
                assert_eq!(v.d.lookup(HOST_BLOCK + page).0, Some(mfn + page));
            }
        } else {
            // A part is mapped: the views have forgotten that part.
            let rc = v.d.insert(gfn, nr, ram(0) + 8 * M2, p2mt::RAM_RW);
            assert_eq!(rc, Errno::ENOMEM.to_c());
            assert_eq!(is_set(), [true, false, true, true]);
            assert_eq!(v.d.lookup(gfn).0, Some(ram(0) + 8 * M2));
            assert_eq!(v.d.lookup(HOST_BLOCK + M2).0, Some(mfn + M2));
        }
        v.w.check();
    }
}

/// A page of a block of 1 GiB takes two tables.
#[test]
fn a10_a_gigabyte_of_the_hosts_with_one_table_for_two_stays_as_it_was() {
    let (gfn, mfn) = (8 * G1, ram(0) + 8 * G1);
    for offset in [None, Some(9)] {
        let (v, n) = with_settings(40);
        assert_eq!(v.d.set_pool(v.used() + 8), 0);
        assert_eq!(v.d.insert(gfn, G1, mfn, p2mt::RAM_RW), 0);
        assert_eq!(v.set_access(n, gfn + 5, P2mAccess::N), Ok(()));
        assert_eq!(v.d.set_pool(v.used() + 1), 0);
        let state = || {
            let tables = (v.w.view_snapshot(v.view(n)), v.w.snapshot(v.d));
            let statistics = (v.d.mapping_stats(), v.d.shattered_stats());
            (tables, statistics, v.used(), v.w.free_pool_pages(v.d))
        };
        let before = state();
        let rc = match offset {
            None => v.d.remove(gfn + 5, 1, mfn + 5),
            Some(offset) => v.d.insert(gfn + 5, 1, mfn + offset, p2mt::RAM_RW),
        };
        assert_eq!(rc, Errno::ENOMEM.to_c());
        assert!(state() == before, "{offset:?}");
        v.w.check();
    }
}

/// Each page of a foreign block that is mapped again drops a reference, so it takes a table.
#[test]
fn a10_foreign_pages_that_are_mapped_again_and_find_no_table_leave_what_was_set() {
    let (v, n) = with_settings(40);
    let _owner = guest(&v.w, 1);
    assert_eq!(v.d.set_pool(v.used() + 8), 0);
    v.w.take_references(ram(1), M2);
    let map = |at, nr| {
        v.d.insert(HOST_BLOCK + at, nr, ram(1) + at, p2mt::FOREIGN_RW)
    };
    assert_eq!(map(0, M2), 0);
    assert_eq!(v.set_access(n, HOST_BLOCK + 6, P2mAccess::N), Ok(()));
    assert_eq!(v.d.set_pool(v.used()), 0);
    v.w.take_references(ram(1) + 5, 3);
    assert_eq!(map(5, 3), Errno::ENOMEM.to_c());
    v.w.give_back_references(ram(1) + 5, 3);
    assert_eq!(v.access(n, HOST_BLOCK + 6), Some(P2mAccess::N));
    v.w.check();
}
