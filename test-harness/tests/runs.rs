// SPDX-License-Identifier: GPL-2.0-only
//! Entries that are alike change together, and nothing beside them does: wherever a
//! range begins, however long it is, and whatever interrupts it.

#![allow(clippy::unwrap_used)] // a test may stop on the spot

mod common;

use common::{access, guest, p2mt, plain, ram, G1, M2};
use test_harness::{Domain, Snapshot, World};

/// What is mapped: more than a table of pages.
const PAGES: u64 = 600;
const FIRST: u64 = 0x1_0000;

/// Around the ends of groups of entries and of a table.
fn ranges() -> impl Iterator<Item = (u64, u64)> {
    let starts = (0..6).chain(506..514);
    starts.flat_map(|start| (1..11).map(move |pages| (start, pages)))
}

/// A guest whose pages map consecutive frames but for one, which is `odd`, counted
/// in pages.
fn mapped(w: &World, odd: u64) -> Domain {
    let d = guest(w, 0);
    // Not aligned like the guest's frames: no blocks.
    assert_eq!(d.insert(FIRST, PAGES, ram(0) + 1, p2mt::RAM_RW), 0);
    assert_eq!(d.insert(FIRST + odd, 1, ram(0) + 4000, p2mt::RAM_RW), 0);
    d
}

/// Does `change` to each range in turn, and `undo`; `each` says what becomes of a
/// page in it.
fn exactly(
    change: impl Fn(Domain, u64, u64),
    each: impl Fn(&mut Snapshot, u64, u64),
    undo: impl Fn(Domain, u64, u64),
) {
    for odd in [0, 3, 4, 508, 511, 512] {
        let w = plain();
        let d = mapped(&w, odd);
        let before = w.snapshot(d);
        for (start, pages) in ranges() {
            let first = FIRST + start;
            change(d, first, pages);
            let mut expected = before.clone();
            (0..pages).for_each(|n| each(&mut expected, first, n));
            assert_eq!(
                w.snapshot(d),
                expected,
                "{pages} pages from {start} on, {odd} is odd"
            );
            undo(d, first, pages);
            assert_eq!(d.insert(FIRST + odd, 1, ram(0) + 4000, p2mt::RAM_RW), 0);
            assert_eq!(
                w.snapshot(d),
                before,
                "{pages} pages from {start} on, {odd} is odd"
            );
        }
        w.destroy(d);
    }
}

/// Maps the range as it was, but for the odd page.
fn as_it_was(d: Domain, first: u64, pages: u64) {
    let mfn = ram(0) + 1 + (first - FIRST);
    assert_eq!(d.insert(first, pages, mfn, p2mt::RAM_RW), 0);
}

#[test]
fn a_range_is_unmapped_to_the_page() {
    exactly(
        |d, first, pages| {
            // By p2m_set_entry, which need not be told their frames.
            assert_eq!(
                d.set_entry(first, pages, u64::MAX, p2mt::INVALID, access::RWX),
                0
            );
        },
        |expected, first, n| {
            expected.remove(&(first + n));
        },
        as_it_was,
    );
}

#[test]
fn a_range_is_replaced_to_the_page() {
    exactly(
        |d, first, pages| assert_eq!(d.insert(first, pages, ram(0) + 9001, p2mt::RAM_RO), 0),
        |expected, first, n| {
            let leaf = expected.get_mut(&(first + n)).unwrap();
            (leaf.mfn, leaf.p2m_type, leaf.write) = (ram(0) + 9001 + n, p2mt::RAM_RO, false);
        },
        as_it_was,
    );
}

#[test]
fn a_range_is_restricted_to_the_page() {
    exactly(
        |d, first, pages| {
            let pages = u32::try_from(pages).unwrap();
            assert_eq!(d.set_access(first, pages, 0, access::R), 0);
        },
        |expected, first, n| {
            let leaf = expected.get_mut(&(first + n)).unwrap();
            (leaf.write, leaf.execute) = (false, false);
        },
        |d, first, pages| {
            let pages = u32::try_from(pages).unwrap();
            assert_eq!(d.set_access(first, pages, 0, access::RWX), 0);
        },
    );
}

#[test]
fn pages_of_the_same_frames_get_another_type_to_the_page() {
    exactly(
        |d, first, pages| {
            let mfn = ram(0) + 1 + (first - FIRST);
            assert_eq!(d.insert(first, pages, mfn, p2mt::RAM_RO), 0);
        },
        |expected, first, n| {
            let leaf = expected.get_mut(&(first + n)).unwrap();
            leaf.mfn = ram(0) + 1 + (first - FIRST) + n;
            (leaf.p2m_type, leaf.write) = (p2mt::RAM_RO, false);
        },
        as_it_was,
    );
}

#[test]
fn wherever_an_entry_is_in_its_table_it_loses_its_bit_to_the_tracking_of_touches() {
    for n in 0..8 {
        let w = plain();
        let d = guest(&w, 0);
        let v = w.vcpu(d);
        w.run(0, v);
        let gfn = n * G1 + n;
        assert_eq!(d.insert(gfn, 1, ram(0), p2mt::RAM_RW), 0);
        assert!(w.guest_can(0, gfn << 12, true));
        d.creation_finished();
        assert!(!w.guest_can(0, gfn << 12, true), "entry {n}");
        assert!(d.resolve(gfn));
        assert!(w.guest_can(0, gfn << 12, true), "entry {n}");
        w.check();
    }
}

/// Entries are looked at in groups of four.
#[test]
fn whichever_entries_of_a_group_are_used_all_lose_their_bits_to_the_tracking_of_touches() {
    for group in 1..16_u64 {
        let w = plain();
        let d = guest(&w, 0);
        let v = w.vcpu(d);
        w.run(0, v);
        let used = || (0..4).filter(move |n| group >> n & 1 != 0).map(|n| n * G1);
        for gfn in used() {
            assert_eq!(d.insert(gfn, 1, ram(0), p2mt::RAM_RW), 0);
        }
        d.creation_finished();
        for gfn in used() {
            let reached = w.guest_can(0, gfn << 12, true);
            assert!(!reached, "{gfn:#x} of group {group:#06b}");
        }
        w.check();
    }
}

/// The part of the block that changes is its last 2 MiB: what is restricted next is
/// behind the block, not at its beginning.
#[test]
fn a_range_that_begins_at_the_end_of_a_gigabyte_goes_on_behind_it() {
    for beyond in [0, 2, 600] {
        let w = plain();
        let d = guest(&w, 0);
        assert_eq!(d.insert(G1, G1, ram(0), p2mt::RAM_RW), 0);
        assert_eq!(d.insert(2 * G1, 4, ram(0) + G1 + 1, p2mt::RAM_RW), 0);
        let nr = u32::try_from(2 + beyond).unwrap();
        assert_eq!(d.set_access_fully(2 * G1 - 2, nr, access::R), 0);
        for (gfn, leaf) in w.snapshot(d) {
            let restricted = gfn >= 2 * G1 - 2 && gfn < 2 * G1 + beyond;
            assert_eq!(!leaf.write, restricted, "{gfn:#x}, {beyond} beyond");
        }
        w.check();
        w.destroy(d);
    }
}

/// A range that begins in a table that is there, or in a new one, and ends in the next one: wherever that is, nothing is
/// mapped beyond its end. (Together they may be as many pages as a table has.)
#[test]
fn a_range_that_ends_in_a_new_table_maps_nothing_behind_it() {
    for before in [1, 100, 255, 256] {
        for nr in [
            before + 1,
            M2 - before,
            M2 - before + 1,
            M2,
            M2 + before - 1,
        ] {
            for is_there in [true, false] {
                let w = plain();
                let d = guest(&w, 0);
                let gfn = FIRST + M2 - before;
                if is_there {
                    assert_eq!(d.insert(FIRST, 1, ram(0), p2mt::RAM_RW), 0);
                }
                assert_eq!(d.insert(gfn, nr, ram(0) + 1, p2mt::RAM_RW), 0);
                let mapped = w.snapshot(d).into_keys().filter(|&there| there != FIRST);
                assert_eq!(
                    mapped.collect::<Vec<_>>(),
                    (gfn..gfn + nr).collect::<Vec<_>>()
                );
                w.check();
                w.destroy(d);
            }
        }
    }
}
