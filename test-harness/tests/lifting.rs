// SPDX-License-Identifier: GPL-2.0-only
//! Setting an access that is there already costs nothing and changes nothing,
//! and lifting all restrictions leaves the tables as they were before the
//! first: this is how monitors re-arm, and how they leave.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;

use common::{access, behind, errno, guest, machines, p2mt, ram, world, G1, M2};
use test_harness::{Config, Domain, Event, Iommu, Preempt, World};

/// The accesses that a page may have.
const ACCESSES: [u32; 11] = [
    access::N,
    access::R,
    access::W,
    access::RW,
    access::X,
    access::RX,
    access::WX,
    access::RWX,
    access::RX2RW,
    access::N2RWX,
    access::R_PW,
];

fn nr(pages: u64) -> u32 {
    u32::try_from(pages).unwrap()
}

/// A guest with a pool that is large enough, and a log that keeps all.
fn prepared(config: Config) -> (World, Domain) {
    let w = world(Config {
        log_capacity: 1 << 16,
        // Rule P4 follows each page of a gigabyte.
        watch_iommu_news: false,
        ..config
    });
    let d = guest(&w, 0);
    assert_eq!(d.set_pool(1_100), 0);
    (w, d)
}

/// Maps blocks and pages of each size that there is.
fn map_all_sizes(d: Domain) {
    assert_eq!(d.insert(0, M2 + 7, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.insert(2 * M2, M2, ram(0) + M2 + 8, p2mt::RAM_RW), 0);
    assert_eq!(d.insert(G1, G1, ram(1), p2mt::RAM_RW), 0);
    assert_eq!(d.insert(2 * G1, 9 * M2, ram(2), p2mt::RAM_RO), 0);
}

/// What a call does that others can see, or that takes time.
fn effects(w: &World, call: impl FnOnce()) -> Vec<Event> {
    w.clear_events();
    call();
    common::effects(w)
}

/// Tables, mappings, statistics, free pages of the pool: all that lifting must
/// bring back.
fn state(w: &World, d: Domain) -> impl PartialEq + std::fmt::Debug {
    (w.dump(d), w.free_pool_pages(d), d.mapping_stats())
}

#[test]
fn setting_an_access_again_stores_nothing_and_flushes_nothing() {
    let shapes = machines().filter(|config| [40, 48].contains(&config.ipa_bits));
    for config in shapes {
        for access in ACCESSES {
            let (w, d) = prepared(config);
            map_all_sizes(d);
            // Some pages of each.
            let ranges = [(3, M2), (2 * M2, 5), (G1 + M2 + 3, 6), (2 * G1, M2)];
            for (gfn, pages) in ranges {
                assert_eq!(d.set_access_fully(gfn, nr(pages), access), 0);
            }
            let before = state(&w, d);
            for (gfn, pages) in ranges {
                let again = || assert_eq!(d.set_access_fully(gfn, nr(pages), access), 0);
                assert_eq!(
                    effects(&w, again),
                    [],
                    "{config:?}, access {access}, {gfn:#x}"
                );
            }
            assert_eq!(state(&w, d), before);
            w.check();
            w.destroy(d);
        }
    }
}

#[test]
fn lifting_what_was_never_restricted_changes_nothing_and_needs_no_memory() {
    for config in machines() {
        let (w, d) = prepared(config);
        map_all_sizes(d);
        let used = d.pool_pages() - w.free_pool_pages(d);
        assert_eq!(d.set_pool(used), 0, "no page is free");
        let before = state(&w, d);
        for (gfn, pages) in [(0, 1), (5, M2), (G1 + 7, 3), (G1, G1), (0, 3 * G1)] {
            let lift = || assert_eq!(d.set_access_fully(gfn, nr(pages), access::RWX), 0);
            assert_eq!(effects(&w, lift), [], "{config:?}, {gfn:#x}");
        }
        assert_eq!(state(&w, d), before);
        assert!(!d.mem_access_enabled());
        w.check();
        w.destroy(d);
    }
}

/// As xen-access and LibVMI leave: from frame 0 to the highest.
#[test]
fn lifting_everything_brings_back_the_tables_of_before() {
    let watched: [&[(u64, u64)]; 5] = [
        &[(G1 + 5, 1)],
        &[(G1 + M2 - 1, 1), (2 * G1 + M2 - 1, 2)],
        &[(G1, 8 * M2)],
        &[(G1 + 7 * M2 + 3, M2), (2 * G1 + M2, 1)],
        &[
            (3, 1),
            (G1 + 3, 1),
            (G1 + 300 * M2, 4),
            (2 * G1 + 8 * M2 + 511, 1),
        ],
    ];
    for (ipa_bits, ranges) in [40, 48]
        .into_iter()
        .flat_map(|bits| watched.map(|ranges| (bits, ranges)))
    {
        {
            for preempt in [Preempt::Never, Preempt::Always] {
                let (w, d) = prepared(Config {
                    ipa_bits,
                    ..Config::default()
                });
                // As a domain builder does: no pages where blocks fit.
                assert_eq!(d.insert(0, M2, ram(0), p2mt::RAM_RW), 0);
                assert_eq!(d.insert(G1, G1, ram(1), p2mt::RAM_RW), 0);
                assert_eq!(d.insert(2 * G1, 9 * M2, ram(2), p2mt::RAM_RO), 0);
                let before = state(&w, d);
                for &(gfn, pages) in ranges {
                    assert_eq!(d.set_access_fully(gfn, nr(pages), access::R), 0);
                }
                let used = d.pool_pages() - w.free_pool_pages(d);
                assert_eq!(d.set_pool(used), 0, "no page is free");
                w.preempt(preempt);
                assert_eq!(d.set_access_fully(0, nr(3 * G1), access::RWX), 0);
                w.preempt(Preempt::Never);
                assert_eq!(d.set_pool(1_100), 0);
                assert_eq!(
                    state(&w, d),
                    before,
                    "{ipa_bits} bits, {ranges:x?}, {preempt:?}"
                );
                // And there is nothing left to do.
                let again = || assert_eq!(d.set_access_fully(0, nr(3 * G1), access::RWX), 0);
                assert_eq!(effects(&w, again), []);
                w.check();
                w.destroy(d);
            }
        }
    }
}

/// xen-access's range ends before the guest's last page (`max_gpfn - START_PFN`).
#[test]
fn a_range_that_leaves_out_the_last_page_brings_back_all_blocks() {
    for (pages, blocks) in [(32 * M2, 32), (G1, 1)] {
        for left_out in [0, 1, 2, M2 - 64] {
            let (w, d) = prepared(Config::default());
            assert_eq!(d.insert(G1, pages, ram(0), p2mt::RAM_RW), 0);
            let before = state(&w, d);
            assert_eq!(w.snapshot(d).len(), blocks);
            let (watched, range) = (nr(3 * M2), nr(pages - left_out));
            assert_eq!(d.set_access(G1 + pages - 3 * M2, watched, 0, access::R), 0);
            // What is left out of the range is lifted before, page by page.
            for page in 0..left_out.min(8) {
                assert_eq!(d.set_access(G1 + pages - 1 - page, 1, 0, access::RWX), 0);
            }
            assert_eq!(d.set_access_fully(G1, range, access::RWX), 0);
            if left_out < 8 {
                assert_eq!(state(&w, d), before, "{left_out} of {pages:#x} left out");
            }
            w.check();
        }
    }
}

/// A monitor comes to a guest that runs: some blocks it has touched, others not.
#[test]
fn blocks_come_back_whatever_the_guest_has_touched_of_them() {
    for touched in [None, Some(0), Some(5), Some(M2 - 1)] {
        for when in 0..3 {
            let (w, d) = prepared(Config::default());
            assert_eq!(d.insert(G1, 2 * M2, ram(0), p2mt::RAM_RW), 0);
            let orders = |w: &World| w.snapshot(d).values().map(|l| l.order).collect::<Vec<_>>();
            d.creation_finished();
            assert!(d.resolve(G1 + M2), "the other block");
            let touch = |now| {
                if let Some(page) = touched.filter(|_| when == now) {
                    assert!(d.resolve(G1 + page));
                }
            };
            touch(0);
            assert_eq!(d.set_access(G1 + 5, 1, 0, access::R), 0);
            touch(1);
            if when == 2 {
                d.creation_finished();
                assert!(d.resolve(G1 + M2));
            }
            touch(2);
            assert_eq!(d.set_access(G1, nr(M2), 0, access::RWX), 0);
            assert_eq!(orders(&w), [9, 9], "touched {touched:?}, at {when}");
            let again = || assert_eq!(d.set_access(G1, nr(M2), 0, access::RWX), 0);
            assert_eq!(effects(&w, again), []);
            for page in [0, 5, M2 - 1] {
                assert!(d.resolve(G1 + page));
                assert_eq!(d.lookup(G1 + page).0, Some(ram(0) + page));
            }
            w.check();
        }
    }
}

#[test]
fn mapping_a_part_of_an_untouched_block_again_leaves_the_block() {
    let (w, d) = prepared(Config::default());
    assert_eq!(d.insert(G1, 2 * M2, ram(0), p2mt::RAM_RW), 0);
    d.creation_finished();
    assert!(d.resolve(G1), "its neighbour");
    let used = d.pool_pages() - w.free_pool_pages(d);
    assert_eq!(d.set_pool(used), 0, "no page is free");
    let again = || assert_eq!(d.insert(G1 + M2 + 5, 3, ram(0) + M2 + 5, p2mt::RAM_RW), 0);
    assert_eq!(effects(&w, again), []);
    assert_eq!(w.snapshot(d).len(), 2);
    w.check();
}

#[test]
fn of_restricted_and_free_blocks_all_are_blocks_again() {
    let (w, d) = prepared(Config::default());
    assert_eq!(d.insert(M2, 32 * M2, ram(0) + M2, p2mt::RAM_RW), 0);
    assert_eq!(d.set_access(M2, nr(8 * M2), 0, access::X), 0);
    assert_eq!(w.snapshot(d).len(), 8 * 512 + 24);
    assert_eq!(d.set_access(M2, nr(32 * M2), 0, access::RWX), 0);
    assert_eq!(w.snapshot(d).len(), 32);
    w.check();
}

#[test]
fn a_gigabyte_that_is_restricted_in_parts_is_one_block_again_when_one_call_lifts_it() {
    for (gfn, pages) in [
        (G1 + 77, 1),
        (G1, M2),
        (G1 + G1 - 1, 1),
        (G1 + 511 * M2, M2),
    ] {
        let (w, d) = prepared(Config::default());
        assert_eq!(d.insert(G1, G1, ram(0), p2mt::RAM_RW), 0);
        assert_eq!(d.set_access(gfn, nr(pages), 0, access::RX), 0);
        assert_eq!(d.set_access(G1, nr(G1), 0, access::RWX), 0);
        assert_eq!(w.snapshot(d).len(), 1, "restricted at {gfn:#x}");
        w.check();
    }
}

/// What `p2m_set_entry` maps with an access is restricted as a block.
#[test]
fn a_restricted_block_is_lifted_as_a_block() {
    for order in [9, 18] {
        for tracked in [false, true] {
            let (w, d) = prepared(Config::default());
            assert_eq!(
                d.set_entry(G1, 1 << order, ram(0), p2mt::RAM_RW, access::R),
                0
            );
            let used = d.pool_pages() - w.free_pool_pages(d);
            assert_eq!(d.set_pool(used), 0, "no page is free");
            if tracked {
                d.creation_finished();
            }
            assert_eq!(d.set_access(G1, 1 << order, 0, access::RWX), 0);
            let leaf = w.snapshot(d)[&G1];
            assert!(leaf.write && leaf.execute && leaf.order == order);
            w.check();
        }
    }
}

#[test]
fn restricted_blocks_are_lifted_together_and_the_iommu_is_told_of_each() {
    for iommu in [Iommu::Coherent, Iommu::NonCoherent] {
        let (w, d) = prepared(behind(iommu));
        assert_eq!(d.set_entry(G1, 3 * M2, ram(0), p2mt::RAM_RW, access::R), 0);
        w.clear_events();
        assert_eq!(d.set_access(G1, nr(3 * M2), 0, access::RWX), 0);
        let told: Vec<_> = w
            .events()
            .into_iter()
            .filter_map(|(_, event)| match event {
                Event::IommuFlush { gfn, nr, .. } => Some((gfn, nr)),
                _ => None,
            })
            .collect();
        assert_eq!(told, [(G1, 3 * M2)]);
        assert_eq!(w.snapshot(d).len(), 3);
        w.check();
    }
}

#[test]
fn lifting_a_part_of_a_restricted_block_leaves_the_rest_restricted() {
    let (w, d) = prepared(Config::default());
    assert_eq!(d.set_entry(G1, G1, ram(0), p2mt::RAM_RW, access::R), 0);
    assert_eq!(d.set_access(G1 + 3 * M2, nr(2 * M2 + 5), 0, access::RWX), 0);
    let can_write = |gfn: u64| {
        let snapshot = w.snapshot(d);
        let (_, leaf) = snapshot.range(..=gfn).next_back().unwrap();
        leaf.write
    };
    let lifted = G1 + 3 * M2..G1 + 5 * M2 + 5;
    for gfn in [lifted.start, lifted.end - 1, lifted.end - 6] {
        assert!(can_write(gfn), "{gfn:#x}");
    }
    for gfn in [G1, lifted.start - 1, lifted.end, G1 + G1 - 1] {
        assert!(!can_write(gfn), "{gfn:#x}");
    }
    w.check();
}

/// Pages with a clear bit are parts of a block that was split, so they are not restricted.
#[test]
fn an_entry_whose_access_is_right_keeps_its_valid_bit_clear() {
    let (w, d) = prepared(Config::default());
    // The guest has touched the last of three blocks: the pages of the first are not the
    // hardware's once it is split, but for the one that changes; nor is the second block.
    assert_eq!(d.insert(M2, 3 * M2, ram(0), p2mt::RAM_RW), 0);
    d.creation_finished();
    assert!(d.resolve(3 * M2));
    assert_eq!(d.set_access(M2 + 7, 1, 0, access::R), 0);
    let is_clear = |gfn, level| w.entry(d, gfn, level) & 1 == 0;
    assert!(is_clear(M2 + 8, 3) && is_clear(2 * M2, 2) && !is_clear(M2 + 7, 3));
    let before = w.dump(d);
    let again = || assert_eq!(d.set_access(M2 + 8, nr(2 * M2 - 8), 0, access::RWX), 0);
    assert_eq!(effects(&w, again), []);
    assert_eq!(w.dump(d), before);
    w.check();
}

#[test]
fn of_a_range_in_which_one_page_differs_one_entry_is_written_and_one_ipa_flushed() {
    let (w, d) = prepared(Config::default());
    assert_eq!(d.insert(M2, M2, ram(0) + 1, p2mt::RAM_RW), 0);
    assert_eq!(d.set_access(M2, nr(M2), 0, access::RX), 0);
    assert_eq!(d.set_access(M2 + 70, 1, 0, access::RWX), 0);
    let events = effects(&w, || {
        assert_eq!(d.set_access(M2, nr(M2), 0, access::RX), 0);
    });
    let stores = events
        .iter()
        .filter(|e| matches!(e, Event::PteStore { .. }));
    assert_eq!(stores.count(), 1);
    let flushes: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::TlbiIpa { gfn, count, .. } => Some((*gfn, *count)),
            Event::TlbiVmid { .. } | Event::TlbiRange { .. } => Some((0, 0)),
            _ => None,
        })
        .collect();
    assert_eq!(flushes, [(M2 + 70, 1)]);
    w.check();
}

/// A request, its name and its answer.
type Request = (&'static str, fn(Domain) -> i64);

/// C sets `mem_access_enabled` before it looks, and never clears it: from then
/// on only pages are mapped, and faults and copies take the slow path.
#[test]
fn a_call_that_changes_nothing_does_not_switch_mem_access_on() {
    let nothing: [Request; 6] = [
        ("lift what is not restricted", |d| {
            d.set_access(0, nr(G1), 0, access::RWX)
        }),
        ("restrict what is not mapped", |d| {
            d.set_access(4 * G1, 700, 0, access::N)
        }),
        ("the default, which it is", |d| {
            d.set_access(u64::MAX, 1, 0, access::RWX)
        }),
        ("the default's default", |d| {
            d.set_access(u64::MAX, 1, 0, access::DEFAULT)
        }),
        ("no pages", |d| d.set_access(0, 0, 0, access::N)),
        ("no memory", |d| d.set_access(0, 1, 0, access::N)),
    ];
    for (what, call) in nothing {
        let rc = if what == "no memory" {
            errno::ENOMEM.into()
        } else {
            0
        };
        let (w, d) = prepared(Config::default());
        assert_eq!(d.insert(0, M2, ram(0), p2mt::RAM_RW), 0);
        if rc != 0 {
            let used = d.pool_pages() - w.free_pool_pages(d);
            assert_eq!(d.set_pool(used), 0);
        }
        assert_eq!(call(d), rc, "{what}");
        assert!(!d.mem_access_enabled(), "{what}");
        assert_eq!(d.set_pool(1_100), 0);
        assert_eq!(d.insert(G1, G1, ram(1), p2mt::RAM_RW), 0);
        assert_eq!(w.snapshot(d)[&G1].order, 18, "{what}");
        w.check();
    }
    let changes: [Request; 2] = [
        ("restrict a page", |d| d.set_access(7, 1, 0, access::RX)),
        ("another default", |d| {
            d.set_access(u64::MAX, 1, 0, access::R)
        }),
    ];
    for (what, call) in changes {
        let (w, d) = prepared(Config::default());
        assert_eq!(d.insert(0, M2, ram(0), p2mt::RAM_RW), 0);
        assert_eq!(call(d), 0, "{what}");
        assert!(d.mem_access_enabled(), "{what}");
        assert_eq!(d.insert(G1, M2, ram(1), p2mt::RAM_RW), 0);
        assert_eq!(w.snapshot(d)[&G1].order, 0, "{what}");
        w.check();
    }
}

#[test]
fn mapping_what_is_mapped_there_already_changes_nothing() {
    for config in machines() {
        let (w, d) = prepared(config);
        map_all_sizes(d);
        let before = state(&w, d);
        let again: [(u64, u64, u64, u32); 6] = [
            (3, 1, ram(0) + 3, p2mt::RAM_RW),
            (0, M2, ram(0), p2mt::RAM_RW),
            (G1, G1, ram(1), p2mt::RAM_RW),
            (G1 + 4 * M2, M2, ram(1) + 4 * M2, p2mt::RAM_RW),
            (G1 + 77, 5, ram(1) + 77, p2mt::RAM_RW),
            (2 * G1 + M2 - 1, M2, ram(2) + M2 - 1, p2mt::RAM_RO),
        ];
        for (gfn, pages, mfn, t) in again {
            let map = || assert_eq!(d.insert(gfn, pages, mfn, t), 0);
            let told = |event: &Event| matches!(event, Event::IommuFlush { .. });
            let mut events = effects(&w, map);
            // An IOMMU is told of what a caller says that it has mapped.
            if config.iommu != Iommu::Off {
                events.retain(|event| !told(event) && *event != Event::DsbSy);
            }
            assert_eq!(events, [], "{config:?}, {gfn:#x}");
        }
        assert_eq!(state(&w, d), before);
        w.check();
        w.destroy(d);
    }
}

/// The IOTLB may still hold what a failed flush left there.
#[test]
fn after_a_failed_iotlb_flush_the_same_access_is_told_again() {
    for iommu in [Iommu::Coherent, Iommu::NonCoherent] {
        let (w, d) = prepared(behind(iommu));
        assert_eq!(d.insert(M2, 2 * M2, ram(0) + 1, p2mt::RAM_RW), 0);
        w.fail_iommu(Some(1));
        assert_eq!(d.set_access(M2, 7, 0, access::R), errno::EIO as i64);
        let events = effects(&w, || assert_eq!(d.set_access(M2, 7, 0, access::R), 0));
        let flushed = |event: &Event| matches!(event, Event::IommuFlush { gfn, nr, rc: 0, .. } if *gfn <= M2 && gfn + nr >= M2 + 7);
        assert!(events.iter().any(flushed), "{events:?}");
        w.check();
    }
}
