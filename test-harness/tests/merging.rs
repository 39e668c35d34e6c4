// SPDX-License-Identifier: GPL-2.0-only
//! When a restriction is lifted from all of what could be a block, it becomes
//! one again; and when not.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;

use common::{access, behind, guest, p2mt, plain, ram, world, G1, M2};
use test_harness::{Config, Domain, Iommu, World};

/// Restricts all of 2 MiB and lifts that again, in one call.
fn restrict_and_lift(d: Domain, gfn: u64) {
    let nr = u32::try_from(M2).unwrap();
    assert_eq!(d.set_access(gfn, nr, 0, access::R), 0);
    assert_eq!(d.set_access(gfn, nr, 0, access::RWX), 0);
}

/// The order of what is mapped at the first of 2 MiB, after that.
fn order_after(prepare: impl FnOnce(&World, Domain)) -> u32 {
    let w = plain();
    let d = guest(&w, 0);
    prepare(&w, d);
    restrict_and_lift(d, M2);
    w.check();
    let order = w.snapshot(d).get(&M2).map_or(99, |leaf| leaf.order);
    w.destroy(d);
    order
}

fn map(d: Domain, gfn: u64, nr: u64, mfn: u64, t: u32) {
    assert_eq!(d.insert(gfn, nr, mfn, t), 0);
}

#[test]
fn a_block_is_one_again_and_its_table_free() {
    let w = plain();
    let d = guest(&w, 0);
    map(d, M2, M2, ram(0) + M2, p2mt::RAM_RW);
    let before = (w.snapshot(d), w.free_pool_pages(d), d.mapping_stats());
    restrict_and_lift(d, M2);
    assert_eq!(
        (w.snapshot(d), w.free_pool_pages(d), d.mapping_stats()),
        before
    );
    assert_eq!(d.access(M2 + 7), (0, access::RWX));
    w.check();
}

#[test]
fn pages_that_were_never_a_block_become_one() {
    assert_eq!(
        order_after(|_, d| map(d, M2, M2, ram(0) + M2, p2mt::RAM_RO)),
        9
    );
    let page_by_page = |_: &World, d: Domain| {
        (0..M2).for_each(|n| map(d, M2 + n, 1, ram(0) + n, p2mt::RAM_RW));
    };
    assert_eq!(order_after(page_by_page), 9);
}

/// In steps, so that no more tables wait to be freed than teardown frees
/// between two looks whether to preempt (W1).
#[test]
fn gigabytes_of_blocks_become_one_block_each() {
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!(d.set_pool(1_100), 0);
    map(d, G1, 2 * G1, ram(0), p2mt::RAM_RW);
    let before = (w.snapshot(d), w.free_pool_pages(d));
    let nr = u32::try_from(2 * G1).unwrap();
    for access in [access::RX, access::RWX] {
        assert_eq!(d.set_access_fully(G1, nr, access), 0);
    }
    assert_eq!((w.snapshot(d), w.free_pool_pages(d)), before);
    w.check();
}

#[test]
fn what_a_block_could_not_map_stays_pages() {
    // Machine frames that are not aligned.
    assert_eq!(
        order_after(|_, d| map(d, M2, M2, ram(0) + 1, p2mt::RAM_RW)),
        0
    );
    // A hole, another frame, another type, at the end and in the middle.
    for at in [M2 - 1, 77] {
        let other = |t, mfn| {
            move |_: &World, d: Domain| {
                map(d, M2, M2, ram(0) + M2, p2mt::RAM_RW);
                assert_eq!(d.remove(M2 + at, 1, ram(0) + M2 + at), 0);
                if t != p2mt::INVALID {
                    map(d, M2 + at, 1, mfn, t);
                }
            }
        };
        assert_eq!(order_after(other(p2mt::INVALID, 0)), 0, "hole at {at}");
        assert_eq!(order_after(other(p2mt::RAM_RW, ram(0))), 0, "frame at {at}");
        let same = ram(0) + M2 + at;
        assert_eq!(order_after(other(p2mt::RAM_RO, same)), 0, "type at {at}");
        assert_eq!(order_after(other(p2mt::RAM_RW, same)), 9, "as it was");
    }
}

/// Runs of pages whose restrictions differed are gone through one by one: one
/// that would do for the rest of a block does not make up for what came before.
#[test]
fn what_a_block_could_not_map_is_not_forgotten_at_the_next_restriction() {
    for at in [0, 1, 77, M2 - 3] {
        for same_type in [false, true] {
            let w = plain();
            let d = guest(&w, 0);
            map(d, M2, M2, ram(0) + M2, p2mt::RAM_RW);
            assert_eq!(d.remove(M2 + at, 1, ram(0) + M2 + at), 0);
            if same_type {
                map(d, M2 + at, 1, ram(0), p2mt::RAM_RW);
            }
            let nr = u32::try_from(M2).unwrap();
            assert_eq!(d.set_access(M2, nr, 0, access::R), 0);
            assert_eq!(d.set_access(2 * M2 - 1, 1, 0, access::RX), 0);
            let before = w.snapshot(d).len();
            assert_eq!(d.set_access(M2, nr, 0, access::RWX), 0);
            assert_eq!(w.snapshot(d).len(), before, "another at {at}");
            assert_eq!(d.lookup(M2 + at).0, same_type.then_some(ram(0)));
            w.check();
        }
    }
}

/// Of each 2 MiB around them the pages become a block again.
#[test]
fn a_gigabyte_of_which_2_mib_are_something_else_becomes_blocks() {
    let nr = u32::try_from(G1).unwrap();
    for at in [0, 77 * M2, G1 - 2 * M2] {
        let is_as_before = |t, mfn| {
            let w = plain();
            let d = guest(&w, 0);
            assert_eq!(d.set_pool(1_100), 0);
            map(d, G1, G1, ram(0), p2mt::RAM_RW);
            assert_eq!(d.remove(G1 + at, M2, ram(0) + at), 0);
            if t != p2mt::INVALID {
                map(d, G1 + at, M2, mfn, t);
            }
            let before = w.snapshot(d);
            for access in [access::R, access::RWX] {
                assert_eq!(d.set_access_fully(G1, nr, access), 0);
            }
            w.check();
            w.snapshot(d) == before
        };
        assert!(is_as_before(p2mt::INVALID, 0), "hole at {at:#x}");
        assert!(is_as_before(p2mt::RAM_RW, ram(0) + G1), "frame at {at:#x}");
        assert!(is_as_before(p2mt::RAM_RO, ram(0) + at), "type at {at:#x}");
    }
}

#[test]
fn only_ram_of_the_domain_is_put_together() {
    let device = |_: &World, d: Domain| map(d, M2, M2, M2, p2mt::MMIO_DEV);
    assert_eq!(order_after(device), 0);
    let w = plain();
    let (d, owner) = (guest(&w, 0), guest(&w, 1));
    w.take_references(ram(1), M2);
    map(d, M2, M2, ram(1), p2mt::FOREIGN_RW);
    restrict_and_lift(d, M2);
    assert_eq!(w.snapshot(d).get(&M2).map(|leaf| leaf.order), Some(0));
    w.check();
    w.destroy(d);
    assert_eq!(w.references(ram(1)), 1);
    w.destroy(owner);
}

/// Xen remembers where each page of its heap is mapped.
#[test]
fn pages_of_xens_heap_stay_pages() {
    let all = |w: &World, d: Domain| {
        w.xenheap(ram(9), M2, d);
        map(d, M2, M2, ram(9), p2mt::RAM_RW);
    };
    assert_eq!(order_after(all), 0);
    for at in [0, 5, M2 - 1] {
        let one = |w: &World, d: Domain| {
            w.ram(ram(9), at, d);
            w.xenheap(ram(9) + at, 1, d);
            w.ram(ram(9) + at + 1, M2 - at - 1, d);
            map(d, M2, M2, ram(9), p2mt::RAM_RW);
        };
        assert_eq!(order_after(one), 0, "page {at}");
    }
}

#[test]
fn a_restriction_that_stays_on_a_page_keeps_the_table() {
    let w = plain();
    let d = guest(&w, 0);
    map(d, M2, M2, ram(0) + M2, p2mt::RAM_RW);
    let nr = u32::try_from(M2).unwrap();
    assert_eq!(d.set_access(M2, nr, 0, access::R), 0);
    // All but the last pages; then these alone, one and two in a call.
    assert_eq!(d.set_access(M2, nr - 3, 0, access::RWX), 0);
    assert_eq!(d.set_access(2 * M2 - 3, 1, 0, access::RWX), 0);
    assert_eq!(d.set_access(2 * M2 - 2, 2, 0, access::RWX), 0);
    assert_eq!(w.snapshot(d).len(), 512, "no single call lifted all of it");
    assert_eq!(d.set_access(M2, nr, 0, access::RWX), 0);
    assert_eq!(w.snapshot(d).len(), 1);
    w.check();
}

#[test]
fn a_table_of_which_a_request_lifts_the_end_only_stays() {
    let w = plain();
    let d = guest(&w, 0);
    map(d, M2, 2 * M2, ram(0) + M2, p2mt::RAM_RW);
    let nr = u32::try_from(M2 + 2).unwrap();
    assert_eq!(d.set_access(M2, nr, 0, access::R), 0);
    assert_eq!(d.set_access(M2, nr, 0, access::RWX), 0);
    let order = |gfn| w.snapshot(d).get(&gfn).map(|leaf| leaf.order);
    assert_eq!((order(M2), order(2 * M2)), (Some(9), Some(0)));
    w.check();
}

#[test]
fn with_an_iommu_the_pages_stay() {
    let w = world(behind(Iommu::Coherent));
    let d = guest(&w, 0);
    map(d, M2, M2, ram(0) + M2, p2mt::RAM_RW);
    restrict_and_lift(d, M2);
    assert_eq!(w.snapshot(d).len(), 512);
    w.check();
}

/// The entry stays without bit 0, so that the guest's first touch shows.
#[test]
fn what_the_guest_has_not_touched_becomes_a_block_that_it_has_not_touched() {
    let w = plain();
    let d = guest(&w, 0);
    map(d, M2, M2, ram(0) + M2, p2mt::RAM_RW);
    assert_eq!(d.set_access(M2 + 1, 1, 0, access::R), 0);
    map(d, 5, 1, ram(0), p2mt::RAM_RW);
    d.creation_finished();
    assert!(d.resolve(5), "its neighbour is touched");
    assert_eq!(w.entry(d, M2, 2) & 1, 0);
    restrict_and_lift(d, M2);
    assert_eq!(w.entry(d, M2, 2) & 1, 0);
    assert_eq!(w.snapshot(d).len(), 2);
    assert!(d.resolve(M2 + 3));
    assert_eq!(d.lookup(M2 + 3).0, Some(ram(0) + M2 + 3));
    w.check();
}

/// Pages without bit 0, but for those that were restricted meanwhile; entries are looked at in
/// groups of four.
#[test]
fn a_block_counts_as_touched_if_any_of_its_pages_does() {
    for group in 0..16_u64 {
        let w = plain();
        let d = guest(&w, 0);
        map(d, M2, M2, ram(0) + M2, p2mt::RAM_RW);
        map(d, 5, 1, ram(0), p2mt::RAM_RW);
        d.creation_finished();
        assert!(d.resolve(5));
        assert_eq!(w.entry(d, M2, 2) & 1, 0);
        for gfn in (M2..M2 + 4).filter(|gfn| group >> (gfn - M2) & 1 != 0) {
            assert_eq!(d.set_access(gfn, 1, 0, access::R), 0);
        }
        assert_eq!(d.set_access(M2, 512, 0, access::RWX), 0);
        assert_eq!(w.snapshot(d).len(), 2);
        let touched = w.entry(d, M2, 2) & 1 != 0;
        assert_eq!(touched, group != 0, "group {group:#06b}");
        w.check();
    }
}

/// There is no block of 512 GiB.
#[test]
fn gigabytes_that_fill_an_entry_of_level_0_stay_blocks_of_their_own() {
    const T: u64 = G1 << 9;
    let w = world(Config {
        ipa_bits: 48,
        ..Config::default()
    });
    let d = w.domain(64);
    w.ram(T, T, d);
    map(d, T, T, T, p2mt::RAM_RW);
    let before = w.snapshot(d);
    assert_eq!(before.len(), 512);
    assert_eq!(d.set_access(T + 5, 1, 0, access::R), 0);
    let nr = u32::try_from(T).unwrap();
    assert_eq!(d.set_access_fully(T, nr, access::RWX), 0);
    assert_eq!(w.snapshot(d), before);
    w.check();
}

/// A call of less than 64 pages looks for nothing to put together, also where it goes on in another table, and whatever
/// it skips there.
#[test]
fn a_short_request_that_goes_on_in_a_gigabyte_of_blocks_leaves_them_blocks() {
    let w = plain();
    let d = guest(&w, 0);
    // The last pages of a gigabyte; then blocks that could be one, each mapped by a call of its own.
    map(d, G1 - 30, 30, ram(0) + 1, p2mt::RAM_RW);
    for gfn in (G1..2 * G1).step_by(512) {
        map(d, gfn, M2, ram(0) + gfn, p2mt::RAM_RW);
    }
    let state = || (w.snapshot(d), w.free_pool_pages(d), d.mapping_stats());
    let before = state();
    assert_eq!(d.set_access(G1 - 30, 30, 0, access::R), 0);
    assert_eq!(d.set_access(G1 - 30, 60, 0, access::RWX), 0);
    assert_eq!(state(), before);
    // They could be one: 64 pages are enough.
    assert_eq!(d.set_access(G1, 64, 0, access::RWX), 0);
    assert_eq!(w.snapshot(d).get(&G1).map(|leaf| leaf.order), Some(18));
    w.check();
}
