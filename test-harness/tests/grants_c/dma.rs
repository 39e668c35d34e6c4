// SPDX-License-Identifier: GPL-2.0-only
//! The 1:1 mappings by which a direct-mapped domain behind an IOMMU has its devices reach granted frames: the grant
//! table makes one with the first grant of a frame (`arm_iommu_map_page`), and removes it with the last.

use super::{as_it_is, unmap, with_fault, Calls, FRAME, READ_ONLY};
use crate::common::{access, errno, guest, p2mt, plain};
use std::panic::{catch_unwind, AssertUnwindSafe};
use test_harness::{Domain, World, INVALID};

/// The guest frame with the number of [`FRAME`]: the 1:1 mapping is there.
const AT_ITS_OWN: u64 = FRAME;

fn add_for_dma(w: &World, c: Calls, d: Domain, order: u32, t: u32) -> i32 {
    // SAFETY: a domain of the machine.
    w.as_call("arm_iommu_map_page", || unsafe {
        (c.add_for_dma)(d.pointer(), AT_ITS_OWN, FRAME, order, t)
    })
}

fn remove_for_dma(w: &World, c: Calls, d: Domain, order: u32) -> i32 {
    // SAFETY: a domain of the machine.
    w.as_call("arm_iommu_unmap_page", || unsafe {
        (c.remove_for_dma)(d.pointer(), AT_ITS_OWN, FRAME, order)
    })
}

/// A machine whose first domain may have `there` mapped at that address.
fn with(there: Option<(u64, u32)>) -> (World, Domain) {
    let w = plain();
    let (d, _owner) = (guest(&w, 0), guest(&w, 1));
    if let Some((mfn, p2m_type)) = there {
        assert_eq!(d.insert(AT_ITS_OWN, 1, mfn, p2m_type), 0);
    }
    (w, d)
}

/// Devices reach the frame, and what the grant mapped there stays the grant's, with its rights, until it is unmapped.
fn a_grant_stays_a_grant(c: Calls) {
    for (granted, flags) in [(p2mt::GRANT_RW, 0), (p2mt::GRANT_RO, READ_ONLY)] {
        for t in [p2mt::IOMMU_RW, p2mt::IOMMU_RO] {
            let (w, d) = with(Some((FRAME, granted)));
            assert_eq!(add_for_dma(&w, c, d, 0, t), 0);
            assert_eq!(d.lookup(AT_ITS_OWN), (Some(FRAME), granted));
            assert_eq!(unmap(&w, c, d, AT_ITS_OWN, FRAME, flags), 0);
            assert_eq!(d.lookup(AT_ITS_OWN), (None, p2mt::INVALID));
            assert_eq!(remove_for_dma(&w, c, d, 0), 0, "it has gone already");
            w.check();
        }
    }
}

/// Whatever else is there is replaced, as by `guest_physmap_add_entry`, with the access of new mappings.
fn another_mapping_is_replaced(c: Calls) {
    let others = [
        None,
        Some((FRAME + 1, p2mt::GRANT_RW)),
        Some((FRAME + 1, p2mt::GRANT_RO)),
        Some((FRAME, p2mt::IOMMU_RO)),
        Some((FRAME, p2mt::IOMMU_RW)),
    ];
    for there in others {
        for t in [p2mt::IOMMU_RW, p2mt::IOMMU_RO] {
            let (w, d) = with(there);
            assert_eq!(d.set_access(INVALID, 0, 0, access::RX), 0);
            assert_eq!(add_for_dma(&w, c, d, 0, t), 0);
            let entry = d.get_entry(AT_ITS_OWN);
            assert_eq!((entry.mfn, entry.p2m_type), (Some(FRAME), t), "{there:?}");
            assert_eq!(entry.access, access::RX);
            assert_eq!(remove_for_dma(&w, c, d, 0), 0);
            assert_eq!(d.lookup(AT_ITS_OWN), (None, p2mt::INVALID));
            w.check();
        }
    }
}

/// Several frames are no grant's.
fn of_several_frames_all_are_mapped_and_unmapped(c: Calls) {
    let (w, d) = with(Some((FRAME, p2mt::GRANT_RW)));
    assert_eq!(add_for_dma(&w, c, d, 3, p2mt::IOMMU_RW), 0);
    let mapped = |d: Domain| (0..9).map(move |n| d.lookup(AT_ITS_OWN + n).0);
    let expected = (0..9).map(|n| (n < 8).then_some(FRAME + n));
    assert!(mapped(d).eq(expected));
    assert_eq!(remove_for_dma(&w, c, d, 3), 0);
    assert!(mapped(d).all(|mfn| mfn.is_none()));
    w.check();
}

/// What takes the place of a 1:1 mapping is not removed with it.
fn another_frames_grant_stays(c: Calls) {
    let (w, d) = with(Some((FRAME + 1, p2mt::GRANT_RW)));
    assert_eq!(remove_for_dma(&w, c, d, 0), errno::EILSEQ);
    assert_eq!(d.lookup(AT_ITS_OWN), (Some(FRAME + 1), p2mt::GRANT_RW));
    w.check();
}

fn all(c: Calls) {
    a_grant_stays_a_grant(c);
    another_mapping_is_replaced(c);
    of_several_frames_all_are_mapped_and_unmapped(c);
    another_frames_grant_stays(c);
}

#[test]
fn a_grant_that_is_mapped_at_its_frames_own_address_can_be_unmapped() {
    a_grant_stays_a_grant(as_it_is());
}

#[test]
fn devices_get_what_they_ask_for_where_no_grant_of_that_frame_is_mapped() {
    another_mapping_is_replaced(as_it_is());
    of_several_frames_all_are_mapped_and_unmapped(as_it_is());
}

#[test]
fn a_grant_of_another_frame_stays_where_a_mapping_for_devices_was() {
    another_frames_grant_stays(as_it_is());
}

/// Faults in the C, each of which one of these must notice.
const FAULTS: [(&str, &str); 8] = [
    ("if ( order || ", "if ( "),
    ("!mfn_eq(was, mfn) ||", ""),
    ("there != p2m_grant_map_rw && ", ""),
    (" && there != p2m_grant_map_ro", ""),
    ("1UL << order, mfn, t,", "1, mfn, t,"),
    (
        "                           p2m->default_access);",
        "p2m_access_rwx);",
    ),
    ("    int rc = 0;", "    int rc = 1;"),
    ("unmap_regions_p2mt(d, gfn, 1UL << (order), mfn)", "0"),
];

#[test]
fn each_fault_that_is_planted_in_these_is_noticed() {
    for (n, (from, to)) in FAULTS.into_iter().enumerate() {
        let c = with_fault(&format!("dma_fault_{n}"), from, to);
        let passes = catch_unwind(AssertUnwindSafe(|| all(c)));
        assert!(passes.is_err(), "nothing notices {from:?} as {to:?}");
    }
}
