// SPDX-License-Identifier: GPL-2.0-only
//! What a change does to a view it does to the frames concerned, whichever way they came into the
//! view, and to no others.

#![cfg(config_altp2m)]
mod common;

use common::views::{ipa, Viewed};
use common::{access, errno, p2mt, ram, M2};
use p2m_rs::map::views::fill;
use p2m_rs::p2m::views::Number;
use p2m_rs::types::access::P2mAccess;
use p2m_rs::types::addr::Gfn;
use p2m_rs::types::errno::Errno;
use test_harness::INVALID;

const PAGES: u64 = 0x1000;
const BLOCK: u64 = 16 * M2;

/// 64 pages, and a view with a vCPU in it.
fn scene() -> (Viewed, u16) {
    let v = Viewed::plain();
    assert_eq!(v.d.insert(PAGES, 64, ram(0), p2mt::RAM_RW), 0);
    let n = v.create();
    v.vcpu_in(0, n);
    (v, n)
}

/// How the highest frame of a view came there.
type Way = (&'static str, fn(&Viewed, u16, u64));

const WAYS: [Way; 4] = [
    ("copied for a guest", |v, _, gfn| {
        assert_eq!(v.read(0, gfn), Some(ram(0) + gfn - PAGES));
    }),
    ("an access was set", |v, n, gfn| {
        assert_eq!(v.set_access(n, gfn, P2mAccess::R), Ok(()));
    }),
    ("shown there", |v, n, gfn| {
        assert_eq!(v.remap(n, gfn, PAGES), Ok(()));
    }),
    ("shown after it was copied", |v, n, gfn| {
        assert_eq!(v.read(0, gfn), Some(ram(0) + gfn - PAGES));
        assert_eq!(v.remap(n, gfn, PAGES), Ok(()));
    }),
];

/// In tables that are made for it, and in those that are there.
#[test]
fn the_highest_frame_of_a_view_is_forgotten_whichever_way_it_came_there() {
    for (what, comes) in WAYS {
        for beside in [0, 1, 5] {
            let (v, n) = scene();
            for gfn in PAGES..PAGES + beside {
                assert_eq!(v.read(0, gfn), Some(ram(0) + gfn - PAGES));
            }
            let last = PAGES + 20;
            // (With one above it, it is not the highest.)
            let neighbours = if beside == 5 {
                vec![last - 1, last + 1]
            } else {
                vec![]
            };
            for &neighbour in &neighbours {
                assert_eq!(v.set_access(n, neighbour, P2mAccess::Rx), Ok(()));
            }
            comes(&v, n, last);
            assert!(v.w.guest_reads(0, ipa(last)).is_some(), "{what}");
            assert_eq!(v.d.remove(last, 1, ram(0) + 20), 0);
            assert_eq!(v.w.guest_reads(0, ipa(last)), None, "{what}");
            assert!(!v.w.view_snapshot(v.view(n)).contains_key(&last), "{what}");
            for neighbour in neighbours {
                assert_eq!(v.access(n, neighbour), Some(P2mAccess::Rx), "{what}");
            }
            v.w.check();
        }
    }
}

/// All frames of a range, and whether or not the host maps the first of them.
#[test]
fn a_range_that_changes_is_forgotten_from_its_first_frame_to_its_last() {
    type Change = fn(&Viewed);
    let changes: [Change; 3] = [
        |v| assert_eq!(v.d.remove(PAGES + 2, 4, ram(0) + 2), 0),
        |v| assert_eq!(v.d.insert(PAGES + 2, 4, ram(0) + M2, p2mt::RAM_RW), 0),
        |v| {
            assert_eq!(v.d.remove(PAGES + 2, 1, ram(0) + 2), 0);
            assert_eq!(v.d.insert(PAGES + 2, 4, ram(0) + M2, p2mt::RAM_RW), 0);
        },
    ];
    for change in changes {
        let (v, n) = scene();
        for gfn in PAGES..PAGES + 8 {
            assert_eq!(v.set_access(n, gfn, P2mAccess::R), Ok(()));
        }
        change(&v);
        let left: Vec<u64> = v.w.view_snapshot(v.view(n)).into_keys().collect();
        assert_eq!(left, [0, 1, 6, 7].map(|page| PAGES + page));
        v.w.check();
    }
}

/// Of a table that the range has only a part of, the rest stays as it was set.
#[test]
fn a_range_of_several_tables_begins_and_ends_within_one() {
    let v = Viewed::plain();
    let nr = 3 * M2;
    assert_eq!(v.d.insert(BLOCK, nr, ram(0), p2mt::RAM_RW), 0);
    let n = v.create();
    let edges = [
        0,
        4,
        5,
        M2 - 1,
        M2,
        2 * M2 - 1,
        2 * M2,
        nr - 6,
        nr - 5,
        nr - 1,
    ];
    for page in edges {
        assert_eq!(v.set_access(n, BLOCK + page, P2mAccess::R), Ok(()));
    }
    assert_eq!(v.d.remove(BLOCK + 5, nr - 10, ram(0) + 5), 0);
    let left: Vec<u64> = v.w.view_snapshot(v.view(n)).into_keys().collect();
    assert_eq!(left, [0, 4, nr - 5, nr - 1].map(|page| BLOCK + page));
    v.w.check();
}

/// So it is of the last page of a block, which is copied as a block.
#[test]
fn the_last_page_of_the_highest_block_of_a_view_is_forgotten() {
    for in_new_tables in [true, false] {
        let (v, _) = scene();
        assert_eq!(v.d.insert(BLOCK, 2 * M2, ram(0) + BLOCK, p2mt::RAM_RW), 0);
        if !in_new_tables {
            assert_eq!(v.read(0, BLOCK), Some(ram(0) + BLOCK));
        }
        let last = BLOCK + 2 * M2 - 1;
        assert_eq!(v.read(0, BLOCK + M2), Some(ram(0) + BLOCK + M2));
        assert_eq!(v.d.remove(last, 1, ram(0) + last), 0);
        assert_eq!(v.w.guest_reads(0, ipa(last)), None);
        assert_eq!(v.read(0, last - 1), Some(ram(0) + last - 1));
        v.w.check();
    }
}

/// Only a change of a frame that is shown elsewhere empties the view, or of one between two.
#[test]
fn a_view_is_emptied_by_changes_from_its_first_source_to_its_last() {
    let (first, last) = (PAGES + 10, PAGES + 13);
    for gone in first - 2..=last + 2 {
        let (v, n) = scene();
        assert_eq!(v.set_access(n, PAGES, P2mAccess::R), Ok(()));
        for (at, source) in [(30, last), (31, first), (32, first + 1)] {
            assert_eq!(v.remap(n, PAGES + at, source), Ok(()));
        }
        assert_eq!(v.d.remove(gone, 1, ram(0) + gone - PAGES), 0);
        let is_emptied = (first..=last).contains(&gone);
        let left = if is_emptied {
            P2mAccess::Rwx
        } else {
            P2mAccess::R
        };
        assert_eq!(v.access(n, PAGES), Some(left), "{gone:#x}");
        let shown = if is_emptied { PAGES + 31 } else { first };
        let read = v.read(0, PAGES + 31);
        assert_eq!(read, Some(ram(0) + shown - PAGES), "{gone:#x}");
        v.w.check();
    }
}

/// What the host tracks says nothing of a view (rule V1 looks at each entry).
#[test]
fn what_is_set_or_shown_where_the_host_has_no_valid_bit_is_valid_in_a_view() {
    let (v, n) = scene();
    assert_eq!(v.d.insert(BLOCK, M2, ram(0) + BLOCK, p2mt::RAM_RW), 0);
    v.d.creation_finished();
    // A vCPU in the host p2m comes to a page beside the block, whose entry is out of reach now.
    v.vcpu_in(1, 0);
    assert!(v.w.on_cpu(1, || v.d.resolve(PAGES)));
    assert_eq!(v.w.guest_reads(1, ipa(BLOCK)), None);
    assert_eq!(v.set_access(n, BLOCK, P2mAccess::R), Ok(()));
    assert_eq!(v.remap(n, BLOCK + 1, BLOCK + 2), Ok(()));
    for (page, shown) in [(0, 0), (1, 2)] {
        let read = v.w.guest_reads(0, ipa(BLOCK + page));
        assert_eq!(read, Some(ipa(ram(0) + BLOCK + shown)), "without a fault");
    }
    v.w.check();
}

/// The host p2m may have lost the frame after the fault was looked at there, and the view is one
/// that the vCPU was in.
#[test]
fn what_is_not_there_is_not_copied() {
    let (v, n) = scene();
    let gone = v.create();
    assert_eq!(v.destroy(gone), Ok(()));
    let copies = |number, gfn| {
        let number = Number::from_c(number)?;
        v.locked(|write| fill(write, number, Gfn::new(gfn))).ok()
    };
    assert_eq!(copies(n, PAGES), Some(true));
    assert_eq!(copies(n, PAGES), Some(true), "it is there");
    assert_eq!(copies(n, PAGES + 64), Some(false));
    assert_eq!(copies(gone, PAGES), Some(false));
    v.w.check();
}

#[test]
fn a_frame_that_is_shown_no_more_is_the_hosts_again_and_others_stay() {
    let (v, n) = scene();
    for page in [4, 5, 6] {
        assert_eq!(v.remap(n, PAGES + page, PAGES + 20), Ok(()));
    }
    assert_eq!(v.forget_remapping(n, PAGES + 5), Ok(()));
    assert_eq!(v.w.guest_reads(0, ipa(PAGES + 5)), None);
    for (page, shown) in [(4, 20), (5, 5), (6, 20)] {
        assert_eq!(v.read(0, PAGES + page), Some(ram(0) + shown));
    }
    assert_eq!(v.forget_remapping(n, PAGES + 40), Ok(()), "it is not");
    for none in [0, n + 1, 10] {
        let forgets = v.forget_remapping(none, PAGES + 4);
        assert_eq!(forgets, Err(Errno::EINVAL), "{none}");
        let shows = v.remap(none, PAGES + 4, PAGES);
        assert_eq!(shows, Err(Errno::EINVAL), "{none}");
    }
    v.w.check();
}

#[test]
fn of_blocks_side_by_side_only_those_of_the_range_are_forgotten() {
    let (v, n) = scene();
    let mfn = ram(0) + BLOCK;
    assert_eq!(v.d.insert(BLOCK, 4 * M2, mfn, p2mt::RAM_RW), 0);
    for block in 0..4 {
        assert!(v.read(0, BLOCK + block * M2).is_some());
    }
    assert_eq!(v.d.remove(BLOCK + M2, M2, mfn + M2), 0);
    let left: Vec<u64> = v.w.view_snapshot(v.view(n)).into_keys().collect();
    assert_eq!(left, [0, 2, 3].map(|block| BLOCK + block * M2));
    v.w.check();
}

#[test]
fn a_range_that_wraps_changes_nothing_of_a_view() {
    let (v, n) = scene();
    assert_eq!(v.set_access(n, PAGES, P2mAccess::R), Ok(()));
    assert_eq!(v.remap(n, PAGES + 1, PAGES + 2), Ok(()));
    assert_eq!(v.forget_remapping(n, INVALID), Ok(()));
    for gfn in [1 << 52, INVALID - 1, INVALID] {
        let rc = v.d.insert(gfn, 100, ram(0), p2mt::RAM_RW);
        assert_eq!(rc, errno::EINVAL, "{gfn:#x}");
        let rc = v.d.remove(gfn, u64::MAX, ram(0));
        assert_eq!(rc, errno::EINVAL, "{gfn:#x}");
    }
    assert_eq!(v.access(n, PAGES), Some(P2mAccess::R));
    v.w.check();
}

/// It is refused when the view has been emptied.
#[test]
fn a_range_that_begins_at_a_source_and_wraps_empties_the_view() {
    let (v, n) = scene();
    assert_eq!(v.set_access(n, PAGES, P2mAccess::R), Ok(()));
    assert_eq!(v.remap(n, PAGES + 1, PAGES + 2), Ok(()));
    let rc = v.d.set_entry(PAGES + 2, u64::MAX, INVALID, 0, access::RWX);
    assert_eq!(rc, errno::EINVAL);
    assert_eq!(v.access(n, PAGES), Some(P2mAccess::Rwx));
    v.w.check();
}

/// That is how Xen maps a grant table's frames and shared_info over a guest's RAM.
#[test]
fn what_p2m_set_entry_maps_is_forgotten_in_views() {
    let (v, n) = scene();
    for gfn in PAGES..PAGES + 8 {
        assert_eq!(v.set_access(n, gfn, P2mAccess::R), Ok(()));
    }
    let mfn = ram(0) + M2;
    let rc = v.d.set_entry(PAGES + 2, 4, mfn, p2mt::RAM_RW, access::RWX);
    assert_eq!(rc, 0);
    let left: Vec<u64> = v.w.view_snapshot(v.view(n)).into_keys().collect();
    assert_eq!(left, [0, 1, 6, 7].map(|page| PAGES + page));
    v.w.check();
}
