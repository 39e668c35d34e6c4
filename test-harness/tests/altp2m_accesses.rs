// SPDX-License-Identifier: GPL-2.0-only
//! `p2m_set_mem_access()` of a range of pages in a view: which pages it sets, and where it goes on
//! after it was preempted. Lists of pages are in access_lists.rs.

#![cfg(config_altp2m)]
mod common;

use common::views::Viewed;
use common::{access, effects, errno, p2mt, ram};
use p2m_rs::types::access::P2mAccess;
use test_harness::{Preempt, Waiting};

const PAGES: u64 = 0x1000;
const MAPPED: u32 = 700;

/// What the memory_op hypercall can be continued at: multiples of 64.
const MASK: u32 = 0x3F;

/// A guest with [`MAPPED`] pages, and a view of it.
fn scene() -> (Viewed, u16) {
    let v = Viewed::plain();
    assert_eq!(v.d.insert(PAGES, MAPPED.into(), ram(0), p2mt::RAM_RW), 0);
    let n = v.create();
    (v, n)
}

/// All pages of `set` have the access, and no others.
#[track_caller]
fn are_set(v: &Viewed, n: u16, set: std::ops::Range<u32>, access: u32) {
    for page in 0..MAPPED {
        let wanted = if set.contains(&page) {
            access
        } else {
            access::RWX
        };
        let found = v.d.access_in_view(n, PAGES + u64::from(page));
        assert_eq!(found, (0, wanted), "page {page} of {set:?}");
    }
}

#[test]
fn a_range_in_a_view_is_set_from_where_it_goes_on_to_its_end() {
    for (nr, start) in [
        (1, 0),
        (63, 0),
        (64, 0),
        (65, 0),
        (130, 1),
        (128, 64),
        (130, 128),
        (600, 511),
    ] {
        let (v, n) = scene();
        let rc =
            v.d.set_accesses_in_view(n, PAGES, (nr, start, MASK), access::R);
        assert_eq!(rc, 0);
        are_set(&v, n, start..nr, access::R);
        v.w.check();
    }
    // There is nothing left to do, or never was.
    for (nr, start) in [(0, 0), (64, 64), (64, 65)] {
        let (v, n) = scene();
        let rc =
            v.d.set_accesses_in_view(n, PAGES, (nr, start, MASK), access::R);
        assert_eq!(rc, 0);
        are_set(&v, n, 0..0, access::R);
    }
}

/// At the first multiple that it comes to, wherever it began, and not once all is done.
#[test]
fn a_range_in_a_view_goes_on_where_it_was_preempted() {
    for (nr, start, mask, stops) in [
        (64, 0, MASK, vec![]),
        (65, 0, MASK, vec![64]),
        (128, 0, MASK, vec![64]),
        (200, 1, MASK, vec![64, 128, 192]),
        (600, 130, 0x7F, vec![256, 384, 512]),
    ] {
        let (v, n) = scene();
        v.w.preempt(Preempt::Always);
        let mut at = start;
        for stop in stops {
            let rc =
                v.d.set_accesses_in_view(n, PAGES, (nr, at, mask), access::R);
            assert_eq!(rc, i64::from(stop), "{nr} pages from {at}");
            are_set(&v, n, start..stop, access::R);
            at = stop;
        }
        let rc =
            v.d.set_accesses_in_view(n, PAGES, (nr, at, mask), access::R);
        assert_eq!(rc, 0, "{nr} pages from {at}");
        are_set(&v, n, start..nr, access::R);
        v.w.check();
    }
}

#[test]
fn a_range_in_a_view_without_a_page_for_a_table_is_set_as_far_as_it_goes() {
    let (v, n) = scene();
    assert_eq!(v.set_access(n, PAGES, P2mAccess::R), Ok(()));
    assert_eq!(v.d.set_pool(v.used()), 0);
    let set = || {
        let range = (600, 0, MASK);
        v.d.set_accesses_in_view(n, PAGES, range, access::R)
    };
    assert_eq!(set(), errno::ENOMEM.into());
    // All that the first table has.
    are_set(&v, n, 0..512, access::R);
    assert_eq!(v.d.set_pool(v.used() + 1), 0);
    assert_eq!(set(), 0);
    are_set(&v, n, 0..600, access::R);
    v.w.check();
}

/// No store, no barrier, no flush.
#[test]
fn an_access_in_a_view_that_pages_have_already_costs_nothing() {
    let (v, n) = scene();
    let set = || {
        let range = (200, 0, MASK);
        let rc = v.d.set_accesses_in_view(n, PAGES, range, access::R);
        assert_eq!(rc, 0);
    };
    set();
    v.w.clear_events();
    set();
    assert_eq!(effects(&v.w), vec![]);
    v.w.check();
}

#[test]
fn the_default_access_of_a_range_in_a_view_is_the_hosts() {
    let v = Viewed::plain();
    assert_eq!(v.d.insert(PAGES, MAPPED.into(), ram(0), p2mt::RAM_RW), 0);
    assert_eq!(v.d.set_access_fully(!0, 1, access::RX), 0);
    let n = v.create();
    let range = (8, 0, MASK);
    let rc = v.d.set_accesses_in_view(n, PAGES, range, access::DEFAULT);
    assert_eq!(rc, 0);
    are_set(&v, n, 0..8, access::RX);
    v.w.check();
}

#[test]
fn a_range_in_a_view_stops_for_whatever_waits() {
    for waiting in [Waiting::Softirq, Waiting::Event] {
        let (v, n) = scene();
        v.w.preempt_for(Preempt::Always, waiting);
        let rc = v.d.set_accesses_in_view(n, PAGES, (65, 0, MASK), access::R);
        assert_eq!(rc, 64, "{waiting:?}");
        v.w.check();
    }
}
