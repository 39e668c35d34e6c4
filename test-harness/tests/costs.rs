// SPDX-License-Identifier: GPL-2.0-only
//! What a call costs in what hardware makes dear: barriers, TLB invalidations,
//! stores to tables, tables. Exact numbers, worked out by hand: more is a step
//! back, less is a new number here and in docs/performance.md.
//!
//! A machine with a level-0 root, no IOMMU. A TLB invalidation brings barriers
//! of its own, which are not counted here; among them one for walks in flight, as
//! the domain does not run on the CPU, so that VTTBR_EL2 changes.
#![allow(clippy::unwrap_used)]

mod common;

use common::{access, guest, p2mt, ram, world, G1, M2};
use test_harness::{Config, Domain, Event, LockOp, World};

/// Counts of one call.
#[derive(Debug, PartialEq, Eq)]
struct Cost {
    barriers: usize,
    /// Invalidations of a whole VMID, of single IPAs, of a range.
    tlbi: (usize, usize, usize),
    stores: usize,
    /// Tables taken from the pool; given back if negative.
    tables: i64,
}

fn machine() -> (World, Domain) {
    let w = world(Config {
        ipa_bits: 48,
        log_capacity: 1 << 21,
        ..Config::default()
    });
    let d = guest(&w, 0);
    assert_eq!(d.set_pool(2048), 0);
    (w, d)
}

fn cost(w: &World, d: Domain, call: impl FnOnce()) -> Cost {
    w.clear_events();
    let before = w.free_pool_pages(d);
    call();
    let mut cost = Cost {
        barriers: 0,
        tlbi: (0, 0, 0),
        stores: 0,
        tables: i64::try_from(before).unwrap() - i64::try_from(w.free_pool_pages(d)).unwrap(),
    };
    let mut switches = 0;
    for (_, event) in w.events() {
        match event {
            Event::DsbSy | Event::DsbIshst | Event::DsbNsh => cost.barriers += 1,
            Event::DsbIsh => switches += 1,
            Event::TlbiVmid { .. } => cost.tlbi.0 += 1,
            Event::TlbiIpa { .. } => cost.tlbi.1 += 1,
            Event::TlbiRange { .. } => cost.tlbi.2 += 1,
            Event::PteStore { .. } => cost.stores += 1,
            _ => {}
        }
    }
    w.check();
    let (vmid, ipas, ranges) = cost.tlbi;
    assert_eq!(switches, vmid + ipas + ranges, "one DSB ISH a flush");
    cost
}

fn map(d: Domain, gfn: u64, nr: u64, mfn: u64) {
    assert_eq!(d.insert(gfn, nr, mfn, p2mt::RAM_RW), 0);
}

const NO_TLBI: (usize, usize, usize) = (0, 0, 0);
const ONE_IPA: (usize, usize, usize) = (0, 1, 0);
const WHOLE: (usize, usize, usize) = (1, 0, 0);

#[test]
fn mapping_a_gigabyte_of_2_mib_blocks_takes_two_barriers() {
    let (w, d) = machine();
    // Two tables below the root. 512 blocks; the tables are linked by one
    // pointer, and by one that is valid only after a barrier.
    assert_eq!(
        cost(&w, d, || map(d, G1, G1, ram(0) + M2)),
        Cost {
            barriers: 2,
            tlbi: NO_TLBI,
            stores: 512 + 1 + 2,
            tables: 2
        }
    );
}

#[test]
fn a_page_more_than_a_gigabyte_is_one_page_more() {
    let (w, d) = machine();
    // The block and the tables for the page: levels 1, 2 and 3.
    assert_eq!(
        cost(&w, d, || map(d, G1, G1 + 1, ram(0))),
        Cost {
            barriers: 2,
            tlbi: NO_TLBI,
            stores: 1 + 1 + 2 + 2,
            tables: 3
        }
    );
}

#[test]
fn mapping_a_gigabyte_of_pages_takes_two_barriers() {
    let (w, d) = machine();
    assert_eq!(
        cost(&w, d, || map(d, G1, G1, ram(0) + 1)),
        Cost {
            barriers: 2,
            tlbi: NO_TLBI,
            stores: 512 * 512 + 513 + 2,
            tables: 514
        }
    );
}

/// The page, the pointers to the tables of levels 3 and 2, and in one step the pointer to the
/// table of level 1.
#[test]
fn mapping_the_first_page_takes_one_store_a_table() {
    let (w, d) = machine();
    assert_eq!(
        cost(&w, d, || map(d, G1, 1, ram(0))),
        Cost {
            barriers: 2,
            tlbi: NO_TLBI,
            stores: 1 + 3,
            tables: 3
        }
    );
}

#[test]
fn mapping_a_page_into_a_table_takes_one_store_and_one_barrier() {
    let (w, d) = machine();
    map(d, G1, 1, ram(0));
    assert_eq!(
        cost(&w, d, || map(d, G1 + 1, 1, ram(0) + 9)),
        Cost {
            barriers: 1,
            tlbi: NO_TLBI,
            stores: 1,
            tables: 0
        }
    );
}

#[test]
fn unmapping_a_page_takes_one_store_and_one_invalidation_of_that_page() {
    let (w, d) = machine();
    map(d, G1, 8, ram(0));
    assert_eq!(
        cost(&w, d, || assert_eq!(d.remove(G1 + 1, 1, ram(0) + 1), 0)),
        Cost {
            barriers: 0,
            tlbi: ONE_IPA,
            stores: 1,
            tables: 0
        }
    );
}

#[test]
fn a_hole_in_a_block_takes_one_invalidation_of_the_block() {
    let (w, d) = machine();
    map(d, G1, G1, ram(0));
    // Two tables of 512 parts, the second linked into the first, which takes
    // the block's place in two steps; and the hole.
    assert_eq!(
        cost(&w, d, || assert_eq!(d.remove(G1 + 9, 1, ram(0) + 9), 0)),
        Cost {
            barriers: 1,
            tlbi: ONE_IPA,
            stores: 512 + 512 + 1 + 2 + 1,
            tables: 2
        }
    );
}

#[test]
fn unmapping_a_gigabyte_of_pages_takes_one_store_and_one_flush() {
    let (w, d) = machine();
    map(d, G1, G1, ram(0) + 1);
    assert_eq!(
        cost(&w, d, || assert_eq!(d.remove(G1, G1, ram(0) + 1), 0)),
        Cost {
            barriers: 0,
            tlbi: WHOLE,
            stores: 1,
            tables: -513
        }
    );
}

#[test]
fn restricting_a_gigabyte_of_pages_takes_one_store_a_page_and_one_flush() {
    let (w, d) = machine();
    map(d, G1, G1, ram(0) + 1);
    let nr = u32::try_from(G1).unwrap();
    assert_eq!(
        cost(&w, d, || assert_eq!(d.set_access(G1, nr, 0, access::R), 0)),
        Cost {
            barriers: 0,
            tlbi: WHOLE,
            stores: 512 * 512,
            tables: 0
        }
    );
}

#[test]
fn restricting_a_gigabyte_of_blocks_takes_a_flush_for_each_half() {
    let (w, d) = machine();
    map(d, G1, G1, ram(0) + M2);
    let nr = u32::try_from(G1).unwrap();
    // Each table is filled with restricted pages, and linked in two steps: not
    // more than 256 blocks are broken at a time.
    assert_eq!(
        cost(&w, d, || assert_eq!(d.set_access(G1, nr, 0, access::R), 0)),
        Cost {
            barriers: 1,
            tlbi: (2, 0, 0),
            stores: 512 * (512 + 2),
            tables: 512
        }
    );
}

#[test]
fn pages_that_are_replaced_are_broken_together_but_no_more_than_256() {
    let (w, d) = machine();
    // Not aligned: pages.
    map(d, G1, 512, ram(0) + 1);
    assert_eq!(
        cost(&w, d, || map(d, G1, 512, ram(0) + 1001)),
        Cost {
            barriers: 1,
            tlbi: (2, 0, 0),
            stores: 2 * 512,
            tables: 0
        }
    );
}

#[test]
fn flipping_the_access_of_a_page_invalidates_that_page() {
    let (w, d) = machine();
    map(d, G1, 8, ram(0));
    for access in [access::R, access::RWX] {
        assert_eq!(
            cost(&w, d, || assert_eq!(d.set_access(G1 + 1, 1, 0, access), 0)),
            Cost {
                barriers: 0,
                tlbi: ONE_IPA,
                stores: 1,
                tables: 0
            }
        );
    }
}

#[test]
fn one_fault_resolves_all_levels_without_a_flush() {
    let (w, d) = machine();
    map(d, G1, 8, ram(0));
    d.creation_finished();
    // Root, levels 1 and 2: each pointer, and the entries of the tables of levels 1 and 2, in
    // groups of four. The pages keep their valid bits.
    assert_eq!(
        cost(&w, d, || assert!(d.resolve(G1 + 1))),
        Cost {
            barriers: 2,
            tlbi: NO_TLBI,
            stores: 3 + 4 + 4,
            tables: 0
        }
    );
}

#[test]
fn one_fault_is_enough_for_all_pages_of_a_table() {
    let (w, d) = machine();
    w.run(0, w.vcpu(d));
    let nr = 3 * M2;
    // Pages, since the frames are not aligned.
    map(d, G1, nr, ram(0) + 1);
    d.creation_finished();
    let mut faults = 0;
    for gfn in G1..G1 + nr {
        if !w.guest_can(0, gfn << 12, true) {
            faults += 1;
            assert!(d.resolve(gfn));
            assert!(w.guest_can(0, gfn << 12, true));
        }
    }
    assert_eq!(faults, 3);
}

/// A block that the guest has not touched is split: its pages have no valid bits.
#[test]
fn one_fault_is_enough_for_all_pages_of_a_block_that_was_split_untouched() {
    let (w, d) = machine();
    w.run(0, w.vcpu(d));
    map(d, G1, 2 * M2, ram(0));
    d.creation_finished();
    assert!(d.resolve(G1 + M2));
    assert_eq!(d.remove(G1 + 7, 1, ram(0) + 7), 0);
    assert_eq!(w.entry(d, G1 + 6, 3) & 1, 0);
    let pages = Cost {
        barriers: 1,
        tlbi: NO_TLBI,
        stores: 511,
        tables: 0,
    };
    assert_eq!(cost(&w, d, || assert!(d.resolve(G1 + 6))), pages);
    let reached = (G1..G1 + M2).filter(|gfn| w.guest_can(0, gfn << 12, true));
    assert_eq!(reached.count(), 511);
    assert_eq!(w.entry(d, G1 + 7, 3), 0, "a hole stays one");
}

/// Blocks are tracked one by one.
#[test]
fn a_fault_in_a_block_leaves_its_neighbours_untouched() {
    let (w, d) = machine();
    w.run(0, w.vcpu(d));
    map(d, G1, 4 * M2, ram(0));
    d.creation_finished();
    assert!(d.resolve(G1 + M2 + 5));
    let reached = [0, 1, 2, 3].map(|block| w.guest_can(0, (G1 + block * M2) << 12, true));
    assert_eq!(reached, [false, true, false, false]);
}

/// Another vCPU was quicker, or there is nothing: the read lock is enough.
#[test]
fn a_fault_that_has_nothing_to_do_takes_no_write_lock() {
    let (w, d) = machine();
    map(d, G1, 8, ram(0));
    d.creation_finished();
    assert!(d.resolve(G1));
    w.clear_events();
    assert!(d.resolve(G1 + 1));
    assert!(!d.resolve(G1 + 100));
    assert!(!d.resolve(G1 + 100 * M2));
    let taken = |wanted| {
        let is_wanted = |e: &Event| matches!(e, Event::Lock { op, .. } if *op == wanted);
        w.events().iter().filter(|(_, e)| is_wanted(e)).count()
    };
    assert_eq!((taken(LockOp::Read), taken(LockOp::Write)), (3, 0));
}

#[test]
fn each_page_of_a_vm_is_cleaned_once_however_little_of_it_was_touched() {
    let (w, d) = machine();
    map(d, 0, G1 / 8, ram(0) + 1);
    d.creation_finished();
    assert!(d.resolve(G1 / 16));
    let v = w.vcpu(d);
    w.run(0, v);
    v.set_need_flush_to_ram(true);
    v.flush_vm();
    assert!(w
        .flushed_to_ram()
        .into_iter()
        .eq(ram(0) + 1..ram(0) + 1 + G1 / 8));
}

#[test]
fn a_vcpu_that_follows_another_keeps_what_the_tlb_holds_of_stage_2() {
    let (w, d) = machine();
    let (a, b) = (w.vcpu(d), w.vcpu(d));
    w.run(0, a);
    w.clear_events();
    w.run(0, b);
    let tlbi: Vec<Event> = w
        .events()
        .into_iter()
        .map(|(_, event)| event)
        .filter(|e| {
            matches!(
                e,
                Event::TlbiStage1Local { .. }
                    | Event::TlbiVmidLocal { .. }
                    | Event::TlbiVmid { .. }
            )
        })
        .collect();
    assert!(
        matches!(tlbi.as_slice(), [Event::TlbiStage1Local { .. }]),
        "{tlbi:?}"
    );
}

/// All in one table: linked together.
#[test]
fn mapping_pages_into_neighbouring_new_tables_takes_two_barriers() {
    let (w, d) = machine();
    map(d, G1, 1, ram(0));
    // Not aligned: pages. Three pointers, and their valid bits after one barrier.
    assert_eq!(
        cost(&w, d, || map(d, G1 + M2, 3 * M2, ram(0) + 1001)),
        Cost {
            barriers: 2,
            tlbi: NO_TLBI,
            stores: 3 * (512 + 2),
            tables: 3
        }
    );
}

#[test]
fn blocks_that_are_replaced_by_pages_are_broken_together() {
    let (w, d) = machine();
    map(d, G1, 3 * M2, ram(0) + 8 * M2);
    // One flush for all three.
    assert_eq!(
        cost(&w, d, || map(d, G1, 3 * M2, ram(0) + 1001)),
        Cost {
            barriers: 1,
            tlbi: ONE_IPA,
            stores: 3 * (512 + 2),
            tables: 3
        }
    );
}

/// By one instruction where a CPU has it (FEAT_TLBIRANGE); otherwise a few one by one, and many by the whole VMID.
#[test]
fn restricted_pages_are_invalidated_by_ipa_by_range_or_with_all_others() {
    const RANGE: (usize, usize, usize) = (0, 0, 1);
    for (tlb_range, pages, expected) in [
        (true, 1, ONE_IPA),
        (true, 2, RANGE),
        (true, 512, RANGE),
        (false, 1, ONE_IPA),
        (false, 8, ONE_IPA),
        (false, 9, WHOLE),
        (false, 512, WHOLE),
    ] {
        let w = world(Config {
            tlb_range,
            ..Config::default()
        });
        let d = guest(&w, 0);
        map(d, 5, 1, ram(0));
        map(d, G1, M2, ram(0) + 1001);
        assert_eq!(d.set_access(5, 1, 0, access::R), 0);
        let restrict = || assert_eq!(d.set_access(G1, pages, 0, access::R), 0);
        assert_eq!(
            cost(&w, d, restrict).tlbi,
            expected,
            "{pages} pages, by range: {tlb_range}"
        );
    }
}
