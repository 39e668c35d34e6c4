// SPDX-License-Identifier: GPL-2.0-only
//! Tables that an IOMMU walks as well: what was mapped is forgotten by the CPUs'
//! TLBs and by the IOMMU's before another frame is mapped there, and before a
//! reference to it goes. Where a block becomes a table of its parts the IOMMU's forgets the
//! block when the parts are there.
#![allow(clippy::unwrap_used)] // a test may stop on the spot

mod common;

use common::{access, behind, guest, p2mt, ram, world, G1, M2};
use test_harness::{Config, Domain, Event, Iommu, World};

const MODIFIED: u32 = xen_sys::XS_IOMMU_FLUSHF_modified;

/// What happens to the entry for a frame, in its order.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Break,
    Tlbi,
    Iotlb,
    Make,
    Put,
}

/// The steps of a call on live entries; neighbours that are the same are one.
fn steps(w: &World, call: impl FnOnce()) -> Vec<Step> {
    w.clear_events();
    call();
    let step = |event: Event| match event {
        Event::PteStore { old, new, .. } if old & 1 != 0 && new & 1 == 0 => Some(Step::Break),
        Event::TlbiVmid { .. } | Event::TlbiIpa { .. } | Event::TlbiRange { .. } => {
            Some(Step::Tlbi)
        }
        Event::IommuFlush { flags, .. } => (flags & MODIFIED != 0).then_some(Step::Iotlb),
        Event::PteStore { old, new, .. } if new & 1 != 0 && old >> 55 & 15 != 0 => Some(Step::Make),
        Event::Put { .. } => Some(Step::Put),
        _ => None,
    };
    let mut steps: Vec<_> = w
        .events()
        .into_iter()
        .filter_map(|(_, e)| step(e))
        .collect();
    steps.dedup();
    // Before the break a new table is filled, which nobody walks yet.
    let first = steps.iter().position(|step| *step == Step::Break);
    steps.split_off(first.unwrap_or(0))
}

fn scene(iommu: Iommu) -> (World, Domain, Domain) {
    let w = world(behind(iommu));
    let (d, owner) = (guest(&w, 0), guest(&w, 1));
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.insert(M2, M2, ram(0) + M2, p2mt::RAM_RW), 0);
    w.take_references(ram(1), M2 + 3);
    assert_eq!(d.insert(4 * M2, M2, ram(1), p2mt::FOREIGN_RW), 0);
    assert_eq!(d.insert(6 * M2, 3, ram(1) + M2, p2mt::FOREIGN_RW), 0);
    (w, d, owner)
}

/// A change of a domain's tables, and its name.
type Change = (&'static str, fn(Domain));

#[test]
fn a_live_mapping_is_forgotten_by_all_before_another_takes_its_place() {
    use Step::{Break, Iotlb, Make, Put, Tlbi};
    let replaced: [Change; 2] = [
        ("a page by another", |d| {
            assert_eq!(d.insert(5, 1, ram(0) + 9, p2mt::RAM_RW), 0);
        }),
        ("a block by another", |d| {
            assert_eq!(d.insert(M2, M2, ram(0) + 2 * M2, p2mt::RAM_RW), 0);
        }),
    ];
    for iommu in [Iommu::Coherent, Iommu::NonCoherent] {
        for (what, replace) in replaced {
            let (w, d, _) = scene(iommu);
            assert_eq!(
                steps(&w, || replace(d)),
                [Break, Tlbi, Iotlb, Make],
                "{what}"
            );
            w.check();
        }
        let (w, d, _) = scene(iommu);
        let table = || assert_eq!(d.insert(6 * M2, M2, ram(0), p2mt::RAM_RW), 0);
        assert_eq!(steps(&w, table), [Break, Tlbi, Iotlb, Make, Put]);
        w.check();
    }
}

#[test]
fn a_block_is_forgotten_by_the_iommu_when_its_parts_are_there() {
    use Step::{Break, Iotlb, Make, Tlbi};
    let split: [Change; 2] = [
        ("a hole", |d| {
            assert_eq!(d.remove(M2 + 7, 1, ram(0) + M2 + 7), 0);
        }),
        ("a restricted page", |d| {
            assert_eq!(d.set_access(M2 + 7, 1, 0, access::R), 0);
        }),
    ];
    for iommu in [Iommu::Coherent, Iommu::NonCoherent] {
        for (what, change) in split {
            let (w, d, _) = scene(iommu);
            let steps = steps(&w, || change(d));
            assert_eq!(steps, [Break, Tlbi, Make, Iotlb], "{what}");
            w.check();
        }
        // The page that is another one is replaced when its neighbours are there.
        let (w, d, _) = scene(iommu);
        let another = || assert_eq!(d.insert(M2 + 7, 1, ram(0), p2mt::RAM_RW), 0);
        let expected = [Break, Tlbi, Make, Iotlb, Break, Tlbi, Iotlb, Make];
        assert_eq!(steps(&w, another), expected);
        w.check();
    }
}

#[test]
fn a_foreign_page_is_put_after_both_flushes() {
    use Step::{Break, Iotlb, Make, Put, Tlbi};
    for iommu in [Iommu::Coherent, Iommu::NonCoherent] {
        let (w, d, _) = scene(iommu);
        let page = || assert_eq!(d.remove(6 * M2 + 1, 1, ram(1) + M2 + 1), 0);
        let removed = steps(&w, page);
        assert!(
            removed.starts_with(&[Break]) && removed.ends_with(&[Put]),
            "{removed:?}"
        );
        assert!(removed.contains(&Tlbi) && removed.contains(&Iotlb));
        let block = || assert_eq!(d.remove(4 * M2, M2, ram(1)), 0);
        let removed = steps(&w, block);
        assert!(
            removed.starts_with(&[Break]) && removed.ends_with(&[Put]),
            "{removed:?}"
        );
        assert!(removed.contains(&Tlbi) && removed.contains(&Iotlb));
        let replace = || assert_eq!(d.insert(6 * M2, 1, ram(0), p2mt::RAM_RW), 0);
        assert_eq!(steps(&w, replace), [Break, Tlbi, Iotlb, Make, Put]);
        w.check();
    }
}

/// One flush for all that are taken out together.
#[test]
fn foreign_pages_side_by_side_are_flushed_once() {
    for shared in [false, true] {
        let w = world(Config {
            iommu: if shared { Iommu::Coherent } else { Iommu::Off },
            iommu_shares_tables: shared,
            ..Config::default()
        });
        let (d, _owner) = (guest(&w, 0), guest(&w, 1));
        w.take_references(ram(1), 40);
        assert_eq!(d.insert(5, 40, ram(1), p2mt::FOREIGN_RW), 0);
        assert_eq!(d.insert(300, 1, ram(0), p2mt::RAM_RW), 0);
        let removed = steps(&w, || assert_eq!(d.remove(5, 40, ram(1)), 0));
        let flushes = removed.iter().filter(|step| **step == Step::Tlbi).count();
        assert_eq!(flushes, 1, "{removed:?}");
        assert!((0..40).all(|n| w.references(ram(1) + n) == 1));
        w.check();
    }
}

/// Pages whose mapping stays and which a device whose IOTLB does not hold them cannot reach for a moment: the others
/// of a block that is split, and no other. docs/e2e.md has what that means for a device.
#[test]
fn only_the_split_of_a_block_keeps_a_device_from_what_stays_mapped() {
    let changes: [(Change, u64); 9] = [
        (
            ("a hole in a block", |d| {
                assert_eq!(d.remove(M2 + 7, 1, ram(0) + M2 + 7), 0);
            }),
            M2 - 1,
        ),
        (
            ("another page in a block", |d| {
                assert_eq!(d.insert(M2 + 7, 1, ram(0), p2mt::RAM_RW), 0);
            }),
            M2 - 1,
        ),
        (
            ("a restricted page in a block", |d| {
                assert_eq!(d.set_access(M2 + 7, 1, 0, access::R), 0);
            }),
            M2 - 1,
        ),
        (
            ("all of a block", |d| {
                assert_eq!(d.remove(M2, M2, ram(0) + M2), 0);
            }),
            0,
        ),
        (
            ("a hole beside pages", |d| {
                assert_eq!(d.remove(8 * M2 + 7, 1, ram(0) + 9), 0);
            }),
            0,
        ),
        (
            ("a new page beside pages", |d| {
                assert_eq!(d.insert(8 * M2 + 70, 1, ram(0), p2mt::RAM_RW), 0);
            }),
            0,
        ),
        (
            ("a restricted page beside pages", |d| {
                assert_eq!(d.set_access(8 * M2 + 7, 1, 0, access::N), 0);
                assert_eq!(d.set_access(8 * M2 + 7, 1, 0, access::RW), 0);
                assert_eq!(d.set_access(8 * M2 + 7, 1, 0, access::RWX), 0);
            }),
            0,
        ),
        (
            ("a restricted page that is mapped again", |d| {
                assert_eq!(d.set_access(8 * M2 + 7, 1, 0, access::R), 0);
                assert_eq!(d.insert(8 * M2 + 7, 1, ram(0) + 9, p2mt::RAM_RW), 0);
            }),
            0,
        ),
        (
            ("one restriction for all pages of a table", |d| {
                assert_eq!(d.set_access(8 * M2, 64, 0, access::RW), 0);
                assert_eq!(d.set_access(8 * M2, 64, 0, access::RWX), 0);
            }),
            0,
        ),
    ];
    for iommu in [Iommu::Coherent, Iommu::NonCoherent] {
        for ((what, change), gaps) in changes {
            let (w, d, _) = scene(iommu);
            assert_eq!(d.insert(8 * M2, 64, ram(0) + 2, p2mt::RAM_RW), 0);
            let before = w.device_gaps();
            change(d);
            assert_eq!(w.device_gaps() - before, gaps, "{what}");
            w.check();
        }
    }
}

/// Of the pages of a large block most are met for the first time when it is in pieces (rule P6).
#[test]
fn pages_in_a_gigabyte_become_others_and_devices_meet_the_old_or_the_new() {
    for (iommu, gfn, nr) in [(Iommu::Coherent, 0, 2), (Iommu::NonCoherent, M2 + 7, 1)] {
        let w = world(behind(iommu));
        let d = guest(&w, 0);
        assert_eq!(d.insert(G1, G1, ram(0), p2mt::MMIO_NC), 0);
        assert_eq!(d.insert(G1 + gfn, nr, ram(0), p2mt::RAM_RW), 0);
        w.check();
    }
}
