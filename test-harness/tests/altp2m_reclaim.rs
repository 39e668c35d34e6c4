// SPDX-License-Identifier: GPL-2.0-only
//! Which tables of views give way once the pool is empty (A10): those of each view in its turn, and empty
//! ones of each level. What gives way at all is in `altp2m_pool.rs`.

#![cfg(config_altp2m)]
mod common;

use common::views::{ipa, Viewed};
use common::{access, count, p2mt, ram, G1, M2};
use p2m_rs::types::access::P2mAccess;
use p2m_rs::types::errno::Errno;
use test_harness::{Config, Event, INVALID};

/// The first of the blocks of 2 MiB.
const BLOCK: u64 = 0x4000;

/// Copies that nobody uses any more, of a view of a smaller number and of a larger one.
#[test]
fn a10_idle_copies_of_one_view_do_not_make_another_fault_for_ever() {
    for idle_is_first in [true, false] {
        let v = Viewed::plain();
        assert_eq!(v.d.set_pool(512), 0);
        for table in 0..100 {
            let gfn = BLOCK + table * M2;
            assert_eq!(v.d.insert(gfn, 1, ram(0) + table, p2mt::RAM_RW), 0);
        }
        let (first, second) = (v.create(), v.create());
        let (idle, busy) = if idle_is_first {
            (first, second)
        } else {
            (second, first)
        };
        v.vcpu_in(0, idle);
        for table in 0..100 {
            assert!(v.read(0, BLOCK + table * M2).is_some());
        }
        v.vcpu_in(0, busy);
        assert_eq!(v.d.set_pool(v.used() + 20), 0);
        let work = 0..40;
        for _round in 0..12 {
            for table in work.clone() {
                assert!(v.read(0, BLOCK + table * M2).is_some());
            }
        }
        let faults = |table: &u64| v.w.guest_reads(0, ipa(BLOCK + table * M2)).is_none();
        let faults = work.filter(faults).count();
        assert_eq!(faults, 0, "idle is first: {idle_is_first}");
        assert_eq!(v.w.fate(v.d).0, 0);
        v.w.check();
    }
}

/// A guest with one page at a time, each time far away from the one before, in a view.
#[test]
fn a10_a_guest_that_balloons_sparsely_does_not_fill_its_pool_with_empty_tables_of_a_view() {
    // The bits of the IPA, and how far away in bits: another table of level 2 each time, or of level 1.
    for (ipa_bits, step, times) in [(40, 18, 300), (48, 18, 300), (48, 27, 300)] {
        let v = Viewed::on(Config {
            ipa_bits,
            ..Config::default()
        });
        assert_eq!(v.d.set_pool(64), 0);
        let n = v.create();
        v.vcpu_in(0, n);
        for i in 1..times {
            let gfn = i << step;
            assert_eq!(v.d.insert(gfn, 1, ram(0), p2mt::RAM_RW), 0, "{i}");
            assert_eq!(v.read(0, gfn), Some(ram(0)), "{ipa_bits}, {step}, {i}");
            assert_eq!(v.d.remove(gfn, 1, ram(0)), 0);
        }
        assert_eq!(v.w.fate(v.d).0, 0, "{ipa_bits}, {step}");
        // And the monitor is not refused.
        let gfn = times << step;
        assert_eq!(v.d.insert(gfn, 1, ram(0), p2mt::RAM_RW), 0);
        assert_eq!(v.set_access(n, gfn, P2mAccess::R), Ok(()));
        v.w.check();
    }
}

/// A table that was emptied and is needed again is there again, whatever level it has.
#[test]
fn a10_empty_tables_of_a_view_come_back_when_something_is_mapped_there() {
    let v = Viewed::plain();
    assert_eq!(v.d.set_pool(64), 0);
    let n = v.create();
    v.vcpu_in(0, n);
    let page = |i: u64| (1 + i % 40) << 18;
    for i in 0..200 {
        assert_eq!(v.d.insert(page(i), 1, ram(0) + i, p2mt::RAM_RW), 0, "{i}");
        assert_eq!(v.read(0, page(i)), Some(ram(0) + i), "{i}");
        if i % 3 == 0 {
            assert_eq!(v.set_access(n, page(i), P2mAccess::R), Ok(()));
            assert_eq!(v.access(n, page(i)), Some(P2mAccess::R));
        }
        assert_eq!(v.d.remove(page(i), 1, ram(0) + i), 0);
    }
    assert_eq!(v.w.fate(v.d).0, 0);
    v.w.check();
}

/// A view that has few tables, or none, leaves its share of the search to the others.
#[test]
fn a10_views_in_which_nothing_is_mapped_hide_no_copies_of_another() {
    for in_use in 0..9 {
        let v = Viewed::plain();
        assert_eq!(v.d.set_pool(256), 0);
        for table in 0..=40 {
            let gfn = BLOCK + table * M2;
            assert_eq!(v.d.insert(gfn, 1, ram(0) + table, p2mt::RAM_RW), 0);
        }
        let views: Vec<u16> = (0..9).map(|_| v.create()).collect();
        let n = views.into_iter().nth(in_use);
        v.vcpu_in(0, n.unwrap_or(0));
        for table in 0..40 {
            assert!(v.read(0, BLOCK + table * M2).is_some());
        }
        assert_eq!(v.d.set_pool(v.used()), 0);
        assert_eq!(v.read(0, BLOCK + 40 * M2), Some(ram(0) + 40), "{n:?}");
        assert_eq!(v.w.fate(v.d).0, 0, "{n:?}");
        v.w.check();
    }
}

/// They are all that the guest runs in, and few enough for its next fault to crash it, if a call took them. Each block
/// lies in a gigabyte of its own, so that its copy takes a table of level 2.
#[test]
fn a10_tables_of_copied_blocks_stay_and_a_call_is_refused() {
    for (ipa_bits, blocks) in [(40, 3), (48, 3), (40, 40), (48, 40)] {
        let v = Viewed::on(Config {
            ipa_bits,
            ..Config::default()
        });
        assert_eq!(v.d.set_pool(256), 0);
        for i in 0..=blocks {
            assert_eq!(v.d.insert(i * G1, M2, ram(0) + i * M2, p2mt::RAM_RW), 0);
        }
        let n = v.create();
        v.vcpu_in(0, n);
        for i in 0..blocks {
            assert!(v.read(0, i * G1).is_some());
        }
        assert_eq!(v.d.set_pool(v.used()), 0);
        let refused = v.set_access(n, blocks * G1, P2mAccess::R);
        assert_eq!(refused, Err(Errno::ENOMEM));
        for i in 0..blocks {
            assert!(v.w.guest_reads(0, ipa(i * G1)).is_some(), "no fault");
        }
        v.w.check();
    }
}

/// Many blocks are looked at at little cost, so that the copies of pages behind them are found.
#[test]
fn a10_copied_blocks_hide_no_copies_of_pages() {
    for ipa_bits in [40, 48] {
        let v = Viewed::on(Config {
            ipa_bits,
            log_capacity: 1 << 18,
            ..Config::default()
        });
        assert_eq!(v.d.set_pool(512), 0);
        let blocks = 40 * 512;
        let n = v.create();
        v.vcpu_in(0, n);
        // In each gigabyte a page was set as well.
        for i in 0..blocks {
            let (gfn, mfn) = (G1 + i * M2, ram(0) + (1 + i % 8000) * M2);
            assert_eq!(v.d.insert(gfn, M2, mfn, p2mt::RAM_RW), 0);
            if i % 512 == 511 {
                assert_eq!(v.set_access(n, gfn, P2mAccess::R), Ok(()));
            } else {
                assert!(v.read(0, gfn).is_some());
            }
        }
        let page = |i: u64| 50 * G1 + i * M2;
        for i in 0..=20 {
            assert_eq!(v.d.insert(page(i), 1, ram(0) + i, p2mt::RAM_RW), 0);
        }
        for i in 0..20 {
            assert!(v.read(0, page(i)).is_some());
        }
        assert_eq!(v.d.set_pool(v.used()), 0);
        assert_eq!(v.read(0, page(20)), Some(ram(0) + 20), "{ipa_bits}");
        assert_eq!(v.w.fate(v.d).0, 0);
        v.w.check();
    }
}

/// A search ends with the table of a view's last page, also where that page is the table's last: of the table above it
/// reads nothing more, which would be missing for the copies of another view. So a guest that has just enough copies
/// goes on. (Two views, of which the first has one table. It is looked at twice, 549 entries each time; of the other
/// one 34 and 515 for each table. So 62 tables of it can be looked at, and 60 if what is empty behind the first view's
/// table was read as well.)
#[test]
fn a10_what_is_empty_behind_the_last_page_of_a_view_costs_no_copies_of_another() {
    const SET: u64 = 45;
    const TABLES: u64 = SET + 16;
    for ipa_bits in [40, 48] {
        let v = Viewed::on(Config {
            ipa_bits,
            ..Config::default()
        });
        assert_eq!(v.d.set_pool(256), 0);
        // What is set is the last page of its table, so that all of it is looked at; what is copied is the first.
        let page = |table: u64| {
            let in_table = if table < SET { M2 - 1 } else { 0 };
            BLOCK + table * M2 + in_table
        };
        for table in 0..=TABLES {
            assert_eq!(v.d.insert(page(table), 1, ram(0) + table, p2mt::RAM_RW), 0);
        }
        let (first, n) = (v.create(), v.create());
        assert!(first < n, "its turn comes first");
        assert_eq!(v.set_access(first, page(0), P2mAccess::R), Ok(()));
        v.vcpu_in(0, n);
        for table in 0..SET {
            assert_eq!(v.set_access(n, page(table), P2mAccess::R), Ok(()));
        }
        for table in SET..TABLES {
            assert_eq!(v.read(0, page(table)), Some(ram(0) + table));
        }
        assert_eq!(v.d.set_pool(v.used()), 0);
        let read = v.read(0, page(TABLES));
        assert_eq!(v.w.fate(v.d).0, 0, "{ipa_bits}: domain_crash()");
        assert_eq!(read, Some(ram(0) + TABLES), "{ipa_bits}");
        v.w.check();
    }
}

/// Entries that a call reads which finds no table, in a domain with a view in which that page of one table was set.
fn reads_in_vain(in_table: u64) -> usize {
    let v = Viewed::plain();
    for gfn in [BLOCK + in_table, BLOCK + M2] {
        assert_eq!(v.d.insert(gfn, 1, ram(0) + gfn, p2mt::RAM_RW), 0);
    }
    let n = v.create();
    assert_eq!(v.set_access(n, BLOCK + in_table, P2mAccess::R), Ok(()));
    assert_eq!(v.d.set_pool(v.used()), 0);
    v.w.clear_events();
    let refused = v.set_access(n, BLOCK + M2, P2mAccess::R);
    assert_eq!(refused, Err(Errno::ENOMEM));
    let reads = count(&v.w, |event| matches!(event, Event::PteLoad { .. }));
    v.w.check();
    reads
}

/// It reads the table up to that page, in two rounds, and nothing of the table above beyond it.
#[test]
fn a10_a_search_reads_nothing_behind_the_last_page_of_a_view() {
    let (before, last) = (reads_in_vain(M2 - 3), reads_in_vain(M2 - 1));
    assert!(last.abs_diff(before) < 64, "{last}, and {before}");
}

/// The search goes on where it stopped. What was a table there may by now be the middle of an empty entry of a higher
/// table, and the search must look behind that entry, and not as far behind as it was inside.
#[test]
fn a10_a_search_that_goes_on_inside_an_empty_entry_passes_over_nothing_behind_it() {
    let v = Viewed::plain();
    assert_eq!(v.d.set_pool(512), 0);
    let map = |gfn, mfn| assert_eq!(v.d.insert(gfn, 1, ram(0) + mfn, p2mt::RAM_RW), 0);
    let n = v.create();
    v.vcpu_in(0, n);
    let fault = |gfn| assert!(v.read(0, gfn).is_some(), "{gfn:#x}");
    for table in 0..=40 {
        map(table * M2, table);
    }
    for table in 0..40 {
        fault(table * M2);
    }
    assert_eq!(v.d.set_pool(v.used()), 0);
    // The search takes copies of the first gigabyte, and stops among them. Then the gigabyte goes.
    fault(40 * M2);
    assert_eq!(v.d.set_pool(512), 0);
    let gone = v.d.set_entry(0, G1, INVALID, p2mt::INVALID, access::RWX);
    assert_eq!(gone, 0);
    // Behind it are just enough copies, and behind these more that was set than a search looks at.
    for table in 0..16 {
        map(G1 + table * M2, table);
        fault(G1 + table * M2);
    }
    for table in 32..102 {
        let gfn = G1 + table * M2 + M2 - 1;
        map(gfn, table);
        assert_eq!(v.set_access(n, gfn, P2mAccess::R), Ok(()));
    }
    map(G1 + 102 * M2, 102);
    assert_eq!(v.d.set_pool(v.used()), 0);
    fault(G1 + 102 * M2);
    assert_eq!(v.w.fate(v.d).0, 0, "domain_crash()");
    v.w.check();
}
