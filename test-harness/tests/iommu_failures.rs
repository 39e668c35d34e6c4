// SPDX-License-Identifier: GPL-2.0-only
//! An IOMMU that does not flush its TLB: devices may still reach what was
//! mapped. No caller is told that all went well, and no page that a device may
//! reach is given away.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;

use common::{access, count, errno, guest, p2mt, ram, world, G1, M2};
use test_harness::{Config, Domain, Event, Iommu, World, INVALID};

fn with_iommu(iommu: Iommu, ipa_bits: u32) -> World {
    world(Config {
        ipa_bits,
        iommu,
        iommu_shares_tables: true,
        // Rule P4 follows each page of a gigabyte.
        watch_iommu_news: false,
        ..Config::default()
    })
}

/// Maps what a removal takes apart: pages whose table goes as a whole, blocks,
/// a block of which only a part goes.
fn map_all_kinds(d: Domain) {
    assert_eq!(d.set_pool(600), 0);
    assert_eq!(d.insert(M2, M2, ram(0) + 1, p2mt::RAM_RW), 0);
    assert_eq!(d.insert(2 * M2, 2 * M2, ram(0) + 2 * M2, p2mt::RAM_RW), 0);
    assert_eq!(d.insert(G1, G1, ram(1), p2mt::RAM_RW), 0);
}

/// The table of the pages waits to be freed when the block's flush fails: that
/// was taken for a lack of tables, and tried again.
#[test]
fn unmapping_reports_a_flush_that_failed_after_a_table_was_taken_out() {
    for rc in [errno::EIO, errno::ENOMEM, errno::EINVAL] {
        let w = with_iommu(Iommu::Coherent, 40);
        let d = guest(&w, 0);
        assert_eq!(d.insert(M2, M2, ram(0) + 1, p2mt::RAM_RW), 0);
        assert_eq!(d.insert(2 * M2, M2, ram(0) + 2 * M2, p2mt::RAM_RW), 0);
        w.fail_iommu_with(2, rc);
        assert_eq!(d.set_entry(M2, 2 * M2, INVALID, 0, access::RWX), rc);
        assert_eq!(w.iommu_failures(), 1);
        w.check();
    }
}

/// A call that takes mappings or rights away, its name and its answer.
type Call = (&'static str, fn(Domain) -> i64);

#[test]
fn whichever_flush_fails_unmapping_and_restricting_report_it() {
    let calls: [Call; 6] = [
        ("pages and blocks", |d| {
            d.set_entry(M2, 3 * M2, INVALID, 0, access::RWX).into()
        }),
        ("from the middle to the middle", |d| {
            d.set_entry(M2 + 7, 2 * M2, INVALID, 0, access::RWX).into()
        }),
        ("a page of a gigabyte", |d| {
            d.set_entry(G1 + 77, 1, INVALID, 0, access::RWX).into()
        }),
        ("one page", |d| d.remove(M2, 1, ram(0) + 1).into()),
        ("restrict pages and blocks", |d| {
            d.set_access(M2, 3 * 512, 0, access::R)
        }),
        ("restrict a page of a gigabyte", |d| {
            d.set_access(G1 + 7, 1, 0, access::N)
        }),
    ];
    for iommu in [Iommu::Coherent, Iommu::NonCoherent] {
        for (what, call) in calls {
            for rc in [errno::EIO, errno::ENOMEM] {
                for n in 1.. {
                    let w = with_iommu(iommu, 48);
                    let d = guest(&w, 0);
                    map_all_kinds(d);
                    w.fail_iommu_with(n, rc);
                    let answer = call(d);
                    let failed = w.iommu_failures() > 0;
                    assert_eq!(
                        answer,
                        if failed { rc.into() } else { 0 },
                        "{what}, flush {n}"
                    );
                    w.check();
                    w.destroy(d);
                    if !failed {
                        assert!(n > 1, "{what}: the IOMMU is never told");
                        break;
                    }
                }
            }
        }
    }
}

/// Insertions in the middle of blocks, which are split first: they succeed whichever flush fails, since the mapping
/// is there (B11), and nothing is given away.
#[test]
fn whichever_flush_fails_an_insertion_into_a_block_succeeds() {
    let calls: [Call; 4] = [
        ("a page", |d| {
            d.insert(2 * M2 + 7, 1, ram(0), p2mt::RAM_RW).into()
        }),
        ("a block's frames, not aligned", |d| {
            d.insert(2 * M2, M2, ram(0) + 1, p2mt::RAM_RW).into()
        }),
        ("from the middle to the middle", |d| {
            d.insert(2 * M2 + 7, M2, ram(0) + 9, p2mt::RAM_RW).into()
        }),
        ("pages and blocks of a gigabyte", |d| {
            d.insert(G1 + 77, 2 * M2 + 1, ram(0) + 77, p2mt::RAM_RW)
                .into()
        }),
    ];
    for iommu in [Iommu::Coherent, Iommu::NonCoherent] {
        for (what, call) in calls {
            for n in 1.. {
                let w = with_iommu(iommu, 48);
                let d = guest(&w, 0);
                map_all_kinds(d);
                w.fail_iommu_with(n, errno::EIO);
                assert_eq!(call(d), 0, "{what}, flush {n}");
                let failed = w.iommu_failures() > 0;
                w.check();
                w.destroy(d);
                if !failed {
                    assert!(n > 3, "{what}: for the block, for the page twice");
                    break;
                }
            }
        }
    }
}

/// At whichever level: the insertion into it fails.
#[test]
fn a_block_for_whose_split_pages_run_out_stays_as_it_is() {
    for tables in 0..4 {
        let w = world(Config {
            ipa_bits: 48,
            iommu: Iommu::Coherent,
            ..Config::default()
        });
        let d = guest(&w, 0);
        assert_eq!(d.set_pool(8), 0);
        assert_eq!(d.insert(G1, G1, ram(1), p2mt::RAM_RW), 0);
        let used = 8 - w.free_pool_pages(d);
        assert_eq!(d.set_pool(used + tables), 0);
        let before = w.snapshot(d);
        // One page needs tables of pages and of blocks below the gigabyte.
        let expected = if tables < 2 { errno::ENOMEM } else { 0 };
        assert_eq!(d.insert(G1 + 77, 1, ram(0), p2mt::RAM_RW), expected);
        let frame = if tables < 2 { ram(1) + 77 } else { ram(0) };
        assert_eq!(d.lookup(G1 + 77).0, Some(frame), "{tables} tables");
        assert_eq!(d.lookup(G1 + 78).0, Some(ram(1) + 78));
        if tables < 2 {
            assert!(w.snapshot(d) == before, "{tables} tables");
        }
        w.check();
        w.destroy(d);
    }
}

/// Teardown goes on: nobody could kill the domain a second time. What a device
/// may still reach keeps its references.
#[test]
fn a_dying_domain_whose_iommu_fails_is_torn_down_and_keeps_what_devices_may_reach() {
    // Of each failed flush: what was being unmapped, and the foreign pages and pages of a foreign block
    // that were kept.
    let mut seen = Vec::new();
    for n in 1.. {
        let w = with_iommu(Iommu::Coherent, 40);
        let (d, owner) = (guest(&w, 0), guest(&w, 1));
        map_all_kinds(d);
        for page in 0..3 {
            assert_eq!(d.map_foreign(owner, 9 * M2 + 2 * page, ram(1) + page), 0);
        }
        w.take_references(ram(1) + M2, M2);
        assert_eq!(d.insert(11 * M2, M2, ram(1) + M2, p2mt::FOREIGN_RW), 0);
        assert_eq!(d.insert(13 * M2 + 5, 1, ram(0), p2mt::RAM_RW), 0);
        // Some are destroyed while they run, some were shut down before.
        if n % 2 == 0 {
            d.set_shutting_down(true);
        }
        d.set_dying_state(1);
        let _ = w.console();
        w.clear_events();
        w.fail_iommu(Some(n));
        let mut calls = 0;
        while d.relinquish() == errno::ERESTART {
            calls += 1;
            assert!(calls < 1_000, "flush {n}: no end");
        }
        assert_eq!(w.snapshot(d).len(), 0, "flush {n}");
        let flushes = count(&w, |event| matches!(event, Event::IommuFlush { .. }));
        let lines = w.console().into_iter();
        let mut said = lines.filter(|line| line.contains("stays referenced"));
        let (line, another) = (said.next(), said.next());
        d.clear_root();
        while d.teardown() != 0 {}
        assert_eq!(d.teardown_pool(), 0);
        d.final_teardown();
        if w.iommu_failures() == 0 {
            // It was left undisturbed: each of its flushes has failed once.
            assert_eq!((line, n), (None, flushes as u64 + 1));
            break;
        }
        assert_eq!((w.iommu_failures(), another), (1, None), "flush {n}");
        let line = line.unwrap();
        let gfn = line
            .strip_prefix("<G><0>d1: devices may still reach what was mapped at gfn=0x")
            .and_then(|rest| rest.strip_suffix(": it stays referenced\n"));
        let Some(Ok(gfn)) = gfn.map(|gfn| u64::from_str_radix(gfn, 16)) else {
            panic!("{line}");
        };
        let kept = |first: u64, pages: u64| {
            (0..pages)
                .filter(|i| w.references(ram(1) + first + i) == 2)
                .count()
        };
        let kept = (kept(0, 3), kept(M2, M2));
        // The ledger says so, and nothing else is wrong.
        let rules: Vec<_> = w.violations().iter().map(|v| v.rule).collect();
        let expected: &[&str] = if kept == (0, 0) { &[] } else { &["R1"] };
        assert_eq!(rules, expected, "flush {n}");
        for frame in (0..3).chain(M2..2 * M2) {
            w.forget_frame(ram(1) + frame);
        }
        w.check();
        seen.push((gfn, kept));
    }
    let expected = [
        (M2, (0, 0)),
        // Both blocks, for which there is one flush.
        (2 * M2, (0, 0)),
        (9 * M2, (3, 0)),
        (11 * M2, (0, 512)),
        (13 * M2, (0, 0)),
        (G1, (0, 0)),
    ];
    assert_eq!(seen, expected);
}

/// The page stays where it was, with other rights. A device may use it by the old ones, so what the old mapping owned
/// is kept; what Xen knows of the new one stays as it is.
#[test]
fn a_failed_flush_of_new_rights_keeps_the_old_mappings_reference_and_nothing_else() {
    let w = with_iommu(Iommu::Coherent, 40);
    let (d, owner) = (guest(&w, 0), guest(&w, 1));
    let restricted = |gfn| assert_eq!(d.set_access(gfn, 1, 0, access::R), 0);
    assert_eq!(d.map_foreign(owner, 5, ram(1)), 0);
    restricted(5);
    w.fail_iommu(Some(1));
    assert_eq!(d.map_foreign(owner, 5, ram(1)), 0);
    assert_eq!(w.iommu_failures(), 1);
    assert_eq!(
        w.references(ram(1)),
        3,
        "the owner's, the old one's, the new one's"
    );
    assert_eq!(d.mapping_stats(), [0, 0, 0, 1]);
    assert_eq!(d.remove(5, 1, ram(1)), 0);
    assert_eq!(w.references(ram(1)), 2, "the owner's, the old one's");
    w.forget_frame(ram(1));

    w.xenheap(ram(9), 1, d);
    w.owner_frees(ram(9));
    w.set_xenheap_gfn(ram(9), 6);
    assert_eq!(d.insert(6, 1, ram(9), p2mt::RAM_RW), 0);
    restricted(6);
    w.fail_iommu(Some(1));
    assert_eq!(d.insert(6, 1, ram(9), p2mt::RAM_RW), 0);
    assert_eq!(w.iommu_failures(), 2);
    assert_eq!(w.xenheap_gfn(ram(9)), Some(6));
    assert_eq!(d.mapping_stats(), [0, 0, 0, 1]);
    w.check();
}

/// Nothing is mapped there any more, but the IOTLB may still hold what was.
#[test]
fn after_a_failed_flush_removing_the_hole_flushes_again() {
    for range in [(M2, 1), (M2, M2), (M2 + 3, 2 * M2)] {
        let w = with_iommu(Iommu::Coherent, 40);
        let d = guest(&w, 0);
        map_all_kinds(d);
        let remove = || d.set_entry(range.0, range.1, INVALID, 0, access::RWX);
        w.fail_iommu(Some(1));
        assert_eq!(remove(), errno::EIO);
        // It may have stopped there.
        assert_eq!(remove(), 0);
        w.fail_iommu(Some(1));
        assert_eq!(remove(), errno::EIO, "{range:x?}: it is told, and fails");
        assert_eq!(remove(), 0);
        // A table that was kept for the IOMMU stays on the list until teardown.
        assert!(w.violations().iter().all(|v| v.rule == "R5"));
        w.abandon();
    }
}

#[test]
fn a_failed_flush_does_not_stop_a_relinquish_half_way() {
    let w = with_iommu(Iommu::Coherent, 40);
    let d = guest(&w, 0);
    assert_eq!(d.set_pool(600), 0);
    for n in 0..40 {
        assert_eq!(d.insert(n * M2 + 3, 2, ram(0) + n, p2mt::RAM_RW), 0);
    }
    d.set_dying_state(1);
    w.fail_iommu(Some(3));
    assert_eq!(d.relinquish(), 0);
    assert_eq!(w.iommu_failures(), 1);
    assert_eq!(w.snapshot(d).len(), 0);
    w.check();
}

/// The lack of tables is mended by a search for empty ones, and the call goes on; but the device
/// may still reach what is unmapped by then.
#[test]
fn a_failed_flush_is_told_though_tables_ran_out_as_well() {
    for empty_tables in [false, true] {
        let w = with_iommu(Iommu::Coherent, 40);
        let d = guest(&w, 0);
        assert_eq!(d.insert(G1, G1, ram(1), p2mt::RAM_RW), 0);
        if empty_tables {
            assert_eq!(d.insert(2 * G1 + 5, 1, ram(0), p2mt::RAM_RW), 0);
            assert_eq!(d.remove(2 * G1 + 5, 1, ram(0)), 0);
        }
        // Two are free; the hole takes three.
        let used = d.pool_pages() - w.free_pool_pages(d);
        assert_eq!(d.set_pool(used + 2), 0);
        w.fail_iommu(Some(1));
        let hole = d.set_entry(G1 + 77, 2 * M2, INVALID, 0, access::RWX);
        assert_eq!(hole, errno::EIO, "empty tables: {empty_tables}");
        w.check();
        w.destroy(d);
    }
}

#[test]
fn after_a_failed_flush_all_of_the_hole_is_told_as_changed() {
    let both = xen_sys::XS_IOMMU_FLUSHF_modified | xen_sys::XS_IOMMU_FLUSHF_added;
    for (first, again) in [((M2 + 3, 100), (M2 + 3, 100)), ((M2, M2), (M2 + 5, 9))] {
        let w = with_iommu(Iommu::Coherent, 40);
        let d = guest(&w, 0);
        map_all_kinds(d);
        let remove = |(gfn, nr)| d.set_entry(gfn, nr, INVALID, 0, access::RWX);
        w.fail_iommu(Some(1));
        assert_eq!(remove(first), errno::EIO);
        w.clear_events();
        assert_eq!(remove(again), 0);
        let told: Vec<_> = w
            .events()
            .into_iter()
            .filter_map(|(_, event)| match event {
                Event::IommuFlush { gfn, nr, flags, .. } => Some((gfn, nr, flags)),
                _ => None,
            })
            .collect();
        assert_eq!(told, [(again.0, again.1, both)]);
        w.abandon();
    }
}

/// One flush is between break and make, and one after the make.
#[test]
fn a_replaced_foreign_page_is_put_if_either_flush_forgot_it() {
    for n in [1, 2] {
        let w = with_iommu(Iommu::Coherent, 40);
        let (d, owner) = (guest(&w, 0), guest(&w, 1));
        assert_eq!(d.map_foreign(owner, 5, ram(1)), 0);
        w.fail_iommu(Some(n));
        assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
        assert_eq!(w.iommu_failures(), 1);
        assert_eq!(w.references(ram(1)), 1, "flush {n} failed");
        w.check();
    }
}

#[test]
fn an_insertion_into_a_block_that_runs_out_of_tables_maps_a_prefix() {
    let w = with_iommu(Iommu::Coherent, 40);
    let d = guest(&w, 0);
    assert_eq!(d.set_pool(2), 0);
    assert_eq!(d.insert(G1, G1, ram(1), p2mt::RAM_RW), 0);
    let rc = d.insert(G1 + 77, 2 * M2, ram(0), p2mt::RAM_RW);
    assert_eq!(rc, errno::ENOMEM);
    assert_eq!(d.lookup(G1 + M2 - 1).0, Some(ram(0) + M2 - 78));
    assert_eq!(d.lookup(G1 + M2).0, Some(ram(1) + M2));
    w.check();
    w.destroy(d);
}

/// Neither the flush before the new page is there nor the one after it: a device may reach the old one for ever.
#[test]
fn a_page_that_is_replaced_while_no_flush_succeeds_keeps_its_reference_for_ever() {
    let w = with_iommu(Iommu::Coherent, 40);
    let (d, owner) = (guest(&w, 0), guest(&w, 1));
    assert_eq!(d.map_foreign(owner, 5, ram(1)), 0);
    w.fail_iommu_for_good();
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    assert!(w.iommu_failures() > 1);
    assert_eq!(d.lookup(5).0, Some(ram(0)));
    assert_eq!(d.mapping_stats(), [0, 0, 0, 1]);
    assert_eq!(w.references(ram(1)), 2, "the owner's, the old mapping's");
    w.forget_frame(ram(1));
    w.check();
}

/// A guest has as many tables as it likes, and its end must not fill the console.
#[test]
fn an_end_in_which_no_flush_succeeds_says_so_once_in_each_call() {
    let w = with_iommu(Iommu::Coherent, 40);
    let d = guest(&w, 0);
    map_all_kinds(d);
    for table in 0..20 {
        assert_eq!(
            d.insert(4 * G1 + table * M2 + 5, 1, ram(0), p2mt::RAM_RW),
            0
        );
    }
    d.set_dying_state(1);
    w.fail_iommu_for_good();
    let mut failures = w.iommu_failures();
    loop {
        let _before = w.console();
        let rc = d.relinquish();
        let lines = w.console().into_iter();
        let said = lines
            .filter(|line| line.contains("stays referenced"))
            .count();
        let failed = w.iommu_failures() - failures;
        assert_eq!(said as u64, failed.min(1));
        failures += failed;
        if rc == 0 {
            break;
        }
        assert_eq!(rc, errno::ERESTART);
    }
    assert!(failures > 20, "{failures}");
    assert_eq!(w.snapshot(d).len(), 0);
}
