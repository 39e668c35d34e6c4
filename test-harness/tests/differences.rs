// SPDX-License-Identifier: GPL-2.0-only
//! Where this code does other than Xen's C, on purpose: one test a difference.
//! The ids are those of docs/differences.md.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;
use common::{access, errno, guest, p2mt, plain, ram, world, G1, M2, SIZES};
use test_harness::{Config, Event, Iommu, Preempt, Stage1Entry, INVALID};

/// C stops at P2M_ROOT_LEVEL pages: none of a level-0 root, the first of
/// several concatenated ones.
#[test]
fn b1_invalidation_reaches_every_page_of_every_root() {
    for ipa_bits in SIZES {
        let config = Config {
            ipa_bits,
            ..Config::default()
        };
        let w = world(config);
        let d = guest(&w, 0);
        let v = w.vcpu(d);
        w.run(0, v);
        let (_, roots) = config.root();
        let gfns: Vec<u64> = (0..roots as u64)
            .map(|i| config.gfn_limit() / roots as u64 * i)
            .collect();
        for &gfn in &gfns {
            assert_eq!(d.insert(gfn, 1, ram(0) + gfn % 1000, p2mt::RAM_RW), 0);
        }
        let reached = |gfn: u64| gfn << 12 >> ipa_bits != 0 || w.guest_can(0, gfn << 12, true);
        assert!(gfns.iter().all(|&gfn| reached(gfn)), "{ipa_bits} bits");
        d.creation_finished();
        for &gfn in &gfns {
            assert!(
                !w.guest_can(0, gfn << 12, true),
                "{ipa_bits} bits, gfn {gfn:#x}"
            );
            assert_eq!(d.lookup(gfn).0, Some(ram(0) + gfn % 1000), "still mapped");
            for _ in 0..4 {
                assert!(d.resolve(gfn));
            }
            assert!(
                reached(gfn),
                "{ipa_bits} bits, gfn {gfn:#x} after the faults"
            );
        }
        w.check();
    }
}

/// C frees the block that it failed to split: 512 references gone while the
/// mapping stays.
#[test]
fn b2_a_failed_split_of_a_foreign_block_drops_no_reference() {
    let w = plain();
    let d = w.domain(2);
    let owner = guest(&w, 1);
    w.take_references(ram(1), M2);
    assert_eq!(d.insert(G1, M2, ram(1), p2mt::FOREIGN_RW), 0);
    let used = d.pool_pages() - w.free_pool_pages(d);
    assert_eq!(d.set_pool(used), 0);
    assert_eq!(d.remove(G1 + 7, 1, ram(1) + 7), errno::ENOMEM);
    assert!((0..M2).all(|i| w.references(ram(1) + i) == 2));
    assert_eq!(d.lookup(G1 + 7), (Some(ram(1) + 7), p2mt::FOREIGN_RW));
    w.check();
    let _ = owner;
}

/// C forgets the old mapping's reference when the frame stays the same.
#[test]
fn b3_mapping_a_foreign_page_again_at_its_place_keeps_one_reference() {
    let w = plain();
    let (d, owner) = (guest(&w, 0), guest(&w, 1));
    for _ in 0..3 {
        assert_eq!(d.map_foreign(owner, 5, ram(1)), 0);
        assert_eq!(w.references(ram(1)), 2);
        w.check();
    }
    // Foreign to granted: the reference of the former goes.
    assert_eq!(d.insert(5, 1, ram(1), p2mt::GRANT_RW), 0);
    assert_eq!(w.references(ram(1)), 1);
    w.check();
    w.destroy(d);
    w.destroy(owner);
    w.check();
}

/// The same for a block.
#[test]
fn b3_mapping_a_foreign_block_again_at_its_place_keeps_one_reference_a_page() {
    let w = plain();
    let (d, owner) = (guest(&w, 0), guest(&w, 1));
    for _ in 0..2 {
        w.take_references(ram(1), M2);
        assert_eq!(d.insert(G1, M2, ram(1), p2mt::FOREIGN_RO), 0);
        assert!((0..M2).all(|i| w.references(ram(1) + i) == 2));
        w.check();
    }
    w.destroy(d);
    assert!((0..M2).all(|i| w.references(ram(1) + i) == 1));
    w.destroy(owner);
}

/// C looks for pending work before a foreign block only above 2 MiB, which it
/// never maps with references: 511 blocks of 512 references between two looks.
#[test]
fn b4_no_more_than_one_foreign_block_is_dropped_between_two_looks() {
    let w = plain();
    let (d, owner) = (guest(&w, 0), guest(&w, 1));
    w.take_references(ram(1), 20 * M2);
    assert_eq!(d.insert(G1, 20 * M2, ram(1), p2mt::FOREIGN_RW), 0);
    d.set_dying_state(1);
    w.clear_events();
    assert_eq!(d.relinquish(), 0);
    let mut puts = 0;
    for (_, event) in w.events() {
        match event {
            Event::Put { .. } => puts += 1,
            Event::PreemptCheck { .. } => puts = 0,
            _ => {}
        }
        assert!(puts <= 512, "{puts} references dropped in one go");
    }
    assert!((0..20 * M2).all(|i| w.references(ram(1) + i) == 1));
    w.check();
    let _ = owner;
}

/// C never drops the references of a 1 GiB foreign block.
#[test]
fn b4_the_references_of_a_foreign_gigabyte_are_dropped() {
    let w = plain();
    let (d, owner) = (guest(&w, 0), guest(&w, 1));
    w.take_references(ram(1), G1);
    assert_eq!(d.insert(G1, G1, ram(1), p2mt::FOREIGN_RW), 0);
    d.set_dying_state(1);
    assert_eq!(d.relinquish(), 0);
    assert!((0..G1).step_by(511).all(|i| w.references(ram(1) + i) == 1));
    w.check();
    let _ = owner;
}

/// The hardware does not get through where bit 0 is clear, be it in the page's
/// own entry or above. No restriction is the cause, but no reason to refuse.
/// (tests/buffers.rs has all that may keep the hardware from a page.)
#[test]
fn b5_a_page_that_the_guest_has_not_touched_is_given_out() {
    const GVA: u64 = 0x7000;
    let given = |t, access, touched: bool, write| {
        let w = plain();
        let d = guest(&w, 0);
        let v = w.vcpu(d);
        w.run(0, v);
        w.stage1_map(
            v,
            GVA,
            Stage1Entry {
                gfn: 0x1000,
                writable: true,
            },
        );
        // Two blocks, and the guest has touched the second one: the tables above are the
        // hardware's, and the pages of the first, once it is split, are not.
        assert_eq!(d.insert(0x1000, M2, ram(0), t), 0);
        assert_eq!(d.insert(0x1000 + M2, M2, ram(0) + M2, t), 0);
        d.creation_finished();
        if touched {
            assert!(d.resolve(0x1000 + M2));
        }
        assert_eq!(d.set_access(0x1001, 1, 0, access::N), 0);
        assert_eq!(d.set_access(0x1000, 1, 0, access), 0);
        assert!(d.mem_access_enabled());
        let has_own_bit = !touched || access == access::N;
        assert_eq!(w.entry(d, 0x1000, 3) & 1, u64::from(has_own_bit));
        let page = v.page_from_gva(GVA, write);
        page.is_some_and(|page| page.put() == ram(0))
    };
    for touched in [false, true] {
        assert!(given(p2mt::RAM_RW, access::RWX, touched, false));
        assert!(given(p2mt::RAM_RW, access::RWX, touched, true));
        assert!(given(p2mt::RAM_RO, access::RWX, touched, false));
        assert!(!given(p2mt::RAM_RO, access::RWX, touched, true));
        assert!(!given(p2mt::GRANT_RW, access::RWX, touched, false));
        // As with a restriction that explains it.
        assert!(given(p2mt::RAM_RW, access::N, touched, true));
    }
}

/// C switches introspection on before it takes the lock, also for a request
/// that then fails.
#[test]
fn b6_a_refused_request_does_not_switch_mem_access_on() {
    let w = plain();
    let d = guest(&w, 0);
    for bad in [12, 255, u32::MAX] {
        assert_eq!(d.set_access(5, 1, 0, bad), i64::from(errno::EINVAL));
        assert!(!d.mem_access_enabled());
    }
    // Blocks are still mapped as blocks.
    assert_eq!(d.insert(G1, M2, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.get_entry(G1).order, 9);
}

/// C writes both fields with no lock held.
#[test]
fn b6_mem_access_is_switched_on_under_the_write_lock() {
    let w = plain();
    let d = guest(&w, 0);
    for gfn in [INVALID_GFN, 5] {
        w.clear_events();
        assert_eq!(d.set_access(gfn, 1, 0, access::RW), 0);
        let took = w.events().iter().any(|(_, e)| {
            matches!(
                e,
                Event::Lock {
                    op: test_harness::LockOp::Write,
                    ..
                }
            )
        });
        assert!(took, "gfn {gfn:#x}");
        assert!(d.mem_access_enabled());
    }
    assert_eq!(d.default_access(), access::RW);
}

const INVALID_GFN: u64 = u64::MAX;

/// C looks for pending work only where the count is a multiple of 64 after a
/// step; steps of 512 from an odd place never are.
#[test]
fn b8_holes_do_not_keep_a_request_from_looking() {
    const GIBS: u64 = 40;
    for offset in [0, 5, 63] {
        let w = plain();
        let d = guest(&w, 0);
        // An empty table for each GiB: 512 holes of 2 MiB.
        for i in 0..GIBS {
            assert_eq!(d.insert(i * G1, M2, ram(0), p2mt::RAM_RW), 0);
            assert_eq!(d.remove(i * G1, M2, ram(0)), 0);
        }
        assert_eq!(d.insert(GIBS * G1, 1, ram(0), p2mt::RAM_RW), 0);
        let before = w.preempt_checks();
        let nr = u32::try_from(GIBS * G1).unwrap();
        assert_eq!(d.set_access(offset, nr, 0, access::R), 0);
        let looks = w.preempt_checks() - before;
        assert!(
            looks >= GIBS,
            "{looks} looks for {GIBS} x 512 holes at offset {offset}"
        );
        w.check();
    }
}

/// C's 32-bit counter wraps near its end: the request goes on to the last guest frame,
/// with the lock held, and touches what is outside of it.
#[test]
fn b8_a_request_for_nearly_all_frames_ends_and_stays_inside() {
    let w = world(Config {
        ipa_bits: 48,
        ..Config::default()
    });
    let d = guest(&w, 0);
    let outside = 0x3_0000_0000;
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.insert(outside, 1, ram(0) + 1, p2mt::RAM_RW), 0);
    w.preempt(Preempt::Always);
    assert_eq!(d.set_access_fully(3, u32::MAX, access::R), 0);
    w.preempt(Preempt::Never);
    assert_eq!(d.access(5), (0, access::R));
    assert_eq!(d.access(outside), (0, access::RWX));
    w.check();
}

/// C reports the IOMMU's failure although the mapping is there: its caller
/// drops the reference that the mapping owns.
#[test]
fn b11_an_iommu_that_fails_to_flush_costs_no_reference() {
    for iommu in [Iommu::Coherent, Iommu::NonCoherent] {
        let w = world(Config {
            iommu,
            ..Config::default()
        });
        let (d, owner) = (guest(&w, 0), guest(&w, 1));
        w.fail_iommu(Some(1));
        assert_eq!(d.map_foreign(owner, 5, ram(1)), 0);
        assert_eq!(d.lookup(5), (Some(ram(1)), p2mt::FOREIGN_RW));
        assert_eq!(w.references(ram(1)), 2);
        assert!(
            d.is_shutting_down(),
            "a domain whose IOMMU is lost goes down"
        );
        assert_eq!(w.fate(d).0, 0, "crashed under the lock");
        w.check();
    }
}

/// On removal a device may still reach the page: it keeps its reference.
#[test]
fn b11_a_page_that_a_device_may_reach_is_not_put() {
    let w = world(Config {
        iommu: Iommu::Coherent,
        ..Config::default()
    });
    let (d, owner) = (guest(&w, 0), guest(&w, 1));
    assert_eq!(d.map_foreign(owner, 5, ram(1)), 0);
    w.fail_iommu(Some(1));
    assert!(d.remove(5, 1, ram(1)) < 0);
    assert_eq!(w.references(ram(1)), 2);
    assert!(d.is_shutting_down());
    assert_eq!(d.lookup(5).0, None);
    w.destroy(d);
    assert_eq!(w.references(ram(1)), 2);
    // The ledger says so, and nothing else is wrong.
    let rules: Vec<_> = w.violations().iter().map(|v| v.rule).collect();
    assert_eq!(rules, ["R1"]);
    w.forget_frame(ram(1));
}

/// The mapping is gone, so it is not counted any more.
#[test]
fn b11_a_mapping_whose_page_is_kept_for_a_device_is_counted_out() {
    let w = world(Config {
        iommu: Iommu::Coherent,
        ..Config::default()
    });
    let (d, owner) = (guest(&w, 0), guest(&w, 1));
    assert_eq!(d.map_foreign(owner, 5, ram(1)), 0);
    w.fail_iommu(Some(1));
    assert!(d.remove(5, 1, ram(1)) < 0);
    w.forget_frame(ram(1));
    assert_eq!(d.mapping_stats(), [0; 4]);
    // The same where another mapping takes its place, but the flush after that has the device
    // forget the page, so it is not kept.
    assert_eq!(d.map_foreign(owner, 5, ram(1) + 1), 0);
    w.fail_iommu(Some(1));
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(w.references(ram(1) + 1), 1);
    assert_eq!(d.mapping_stats(), [0, 0, 0, 1]);
    w.check();
}

/// A hole in a block, all of a table, and a mapping in the hardware domain.
#[test]
fn b11_what_an_iommu_that_fails_has_forgotten_or_not_is_unmapped() {
    let config = Config {
        iommu: Iommu::Coherent,
        ..Config::default()
    };
    let w = world(config);
    let (d, owner) = (guest(&w, 0), guest(&w, 1));
    assert_eq!(d.insert(M2, M2, ram(0) + M2, p2mt::RAM_RW), 0);
    w.fail_iommu(Some(1));
    assert_eq!(d.remove(M2 + 5, 2, ram(0) + M2 + 5), errno::EIO);
    assert_eq!((d.lookup(M2 + 5).0, d.lookup(M2 + 6).0), (None, None));
    assert_eq!(d.lookup(M2 + 7).0, Some(ram(0) + M2 + 7));
    w.check();
    // A table goes as a whole; what foreign pages it maps is kept.
    for n in 0..3 {
        assert_eq!(d.map_foreign(owner, 2 * M2 + n, ram(1) + n), 0);
    }
    let (before, free) = (d.mapping_stats(), w.free_pool_pages(d));
    w.fail_iommu(Some(1));
    assert_eq!(d.set_entry(2 * M2, M2, INVALID, 0, access::RWX), errno::EIO);
    assert_eq!(d.lookup(2 * M2).0, None);
    let [blocks @ .., pages] = before;
    let [blocks_now @ .., pages_now] = d.mapping_stats();
    assert_eq!((blocks_now, pages_now), (blocks, pages - 3));
    for n in 0..3 {
        assert_eq!(w.references(ram(1) + n), 2);
        w.forget_frame(ram(1) + n);
    }
    // Nor is the table given back before the teardown, as the device may be walking it.
    assert_eq!(w.free_pool_pages(d), free);
    w.check();
    w.destroy(d);
    w.check();
}

#[test]
fn b11_the_hardware_domain_is_not_shut_down_for_its_iommu() {
    let w = world(Config {
        iommu: Iommu::Coherent,
        ..Config::default()
    });
    let d = w.hardware_domain();
    w.fail_iommu(Some(1));
    assert_eq!(d.insert(5, 1, 0x9000, p2mt::MMIO_DEV), 0);
    assert!(!d.is_shutting_down());
    w.check();
}

/// C's counters go wrong when one mapping takes another's place, when a split
/// fails, and when frame 0 is unmapped.
#[test]
fn b12_the_statistics_count_what_is_there() {
    let w = plain();
    let d = guest(&w, 0);
    for n in 0..4 {
        assert_eq!(d.insert(5, 1, ram(0) + n, p2mt::RAM_RW), 0);
        assert_eq!(d.mapping_stats(), [0, 0, n.min(1), 1]);
        assert_eq!(d.insert(G1, M2, ram(0) + n * M2, p2mt::RAM_RO), 0);
        assert_eq!(d.mapping_stats(), [0, 0, 1, 1]);
    }
    // A block over a table of pages.
    assert_eq!(d.insert(G1 * 2 + 1, 3, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.insert(G1 * 2, M2, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.mapping_stats(), [0, 0, 2, 1]);
    // Frame 0.
    assert_eq!(d.insert(7, 1, 0, p2mt::MMIO_DEV), 0);
    assert_eq!(d.remove(7, 1, 0), 0);
    assert_eq!(d.mapping_stats(), [0, 0, 2, 1]);
    // In a block of which a part goes.
    assert_eq!(d.insert(M2, M2, 0, p2mt::MMIO_NC), 0);
    assert_eq!(d.set_entry(M2, 3, INVALID, 0, access::RWX), 0);
    assert_eq!(d.mapping_stats(), [0, 0, 2, M2 - 3 + 1]);
    w.check();
}

/// A failed split counts no shattered block.
#[test]
fn b12_a_failed_split_is_not_counted() {
    let w = plain();
    let d = w.domain(1);
    w.ram(ram(0), G1, d);
    assert_eq!(d.insert(G1, G1, ram(0), p2mt::RAM_RW), 0);
    // One page where two are needed.
    assert_eq!(d.remove(G1, 1, ram(0)), errno::ENOMEM);
    assert_eq!(d.shattered_stats(), [0; 4]);
    assert_eq!(d.mapping_stats(), [0, 1, 0, 0]);
    assert_eq!(w.free_pool_pages(d), 1);
    w.check();
}

/// C's caller drops a page's reference once the page was unmapped; C says so of a hole, too.
/// Whatever is there and however far the tables go: a page that is named must be there.
#[test]
fn b23_a_page_that_is_named_must_be_there() {
    let w = plain();
    let d = guest(&w, 0);
    let (page, other, device) = (ram(0) + 5, ram(0) + 6, 0x1234_5678);
    assert_eq!(d.insert(M2 + 1, 1, page, p2mt::RAM_RW), 0);
    assert_eq!(d.insert(M2 + 2, 1, device, p2mt::MMIO_DEV), 0);
    // A page that is mapped for the IOMMU, at its own number.
    assert_eq!(d.insert(page, 1, page, p2mt::IOMMU_RW), 0);
    assert_eq!(d.insert(G1, M2, ram(0) + M2, p2mt::RAM_RW), 0);
    assert_eq!(d.insert(2 * G1, 3, ram(0) + 2 * M2, p2mt::RAM_RW), 0);
    let before = w.snapshot(d);
    w.clear_events();
    let beyond = 2 * page;
    for (gfn, order, mfn, what) in [
        (M2 + 3, 0, page, "a hole beside it"),
        (5 * M2, 0, page, "a hole without a table"),
        (beyond, 0, page, "beyond the highest frame"),
        (M2 + 2, 0, page, "a device"),
        (M2 + 1, 0, other, "another page"),
        (M2 + 1, 0, INVALID, "a page, and none is named"),
        (M2, 1, page, "a page and a hole before it"),
        (2 * G1, 2, ram(0) + 2 * M2, "three pages and a hole"),
        (G1, 10, ram(0) + M2, "a block and a hole"),
        (2 * G1 + M2, 9, page, "a hole of 2 MiB"),
    ] {
        let rc = d.remove_page(gfn, mfn, order);
        assert_eq!(rc, errno::EILSEQ, "{what}");
    }
    let flushed = |event: &Event| matches!(event, Event::TlbiVmid { .. } | Event::TlbiIpa { .. });
    assert_eq!(common::count(&w, flushed), 0);
    assert_eq!(w.snapshot(d), before);
    // Without a page that is named there is nothing that must be there: as in C.
    let mut lenient = vec![
        (M2 + 3, 0, INVALID),
        (M2 + 3, 0, device),
        (M2 + 2, 0, device),
    ];
    lenient.extend([(5 * M2, 0, INVALID), (beyond, 0, device)]);
    lenient.extend([(page, 0, page), (M2 + 1, 0, page), (G1, 9, ram(0) + M2)]);
    for (gfn, order, mfn) in lenient {
        let rc = d.remove_page(gfn, mfn, order);
        assert_eq!(rc, 0, "{gfn:#x}");
        assert_eq!(d.lookup(gfn), (None, p2mt::INVALID));
    }
    // Those that unmap what a toolstack has mapped are content with holes.
    assert_eq!(d.remove(M2 + 3, 4, page), 0);
    w.check();
}

/// An entry whose rights alone change needs no break, so nothing has been flushed by then.
#[test]
fn b15_a_foreign_page_mapped_again_with_other_rights_is_put_after_the_flush() {
    let w = plain();
    let (d, owner) = (guest(&w, 0), guest(&w, 1));
    assert_eq!(d.map_foreign(owner, 5, ram(1)), 0);
    assert_eq!(d.set_access(5, 1, 0, access::R), 0);
    assert_eq!(d.map_foreign(owner, 5, ram(1)), 0);
    assert_eq!(w.references(ram(1)), 2);
    w.check();
}
