// SPDX-License-Identifier: GPL-2.0-only
//! The 1:1 mappings by which a direct-mapped domain behind an IOMMU has its devices reach granted frames: the grant
//! table makes one with the first grant of a frame (`arm_iommu_map_page`), and removes it with the last.

use super::{as_it_is, locks_taken, unmap, with_fault, Calls, ANY_RAM, FRAME, READ_ONLY};
use crate::common::{access, errno, guest, p2mt, plain};
use std::panic::{catch_unwind, AssertUnwindSafe};
use test_harness::{Domain, World, INVALID};

/// The guest frame with the number of [`FRAME`]: the 1:1 mapping is there.
const AT_ITS_OWN: u64 = FRAME;

fn add_for_dma(w: &World, c: Calls, d: Domain, order: u32, t: u32) -> i32 {
    add_frame(w, c, d, FRAME, order, t)
}

/// The same of another frame. From 4.21 on there is one at whose address something else may be: an ITS's doorbell.
fn add_frame(w: &World, c: Calls, d: Domain, mfn: u64, order: u32, t: u32) -> i32 {
    // SAFETY: a domain of the machine.
    w.as_call("arm_iommu_map_page", || unsafe {
        (c.add_for_dma)(d.pointer(), AT_ITS_OWN, mfn, order, t)
    })
}

fn remove_for_dma(w: &World, c: Calls, d: Domain, order: u32) -> i32 {
    remove_named(w, c, d, FRAME, order)
}

/// The same where another frame is named, or none ([`INVALID`]).
fn remove_named(w: &World, c: Calls, d: Domain, named: u64, order: u32) -> i32 {
    // SAFETY: a domain of the machine.
    w.as_call("arm_iommu_unmap_page", || unsafe {
        (c.remove_for_dma)(d.pointer(), AT_ITS_OWN, named, order)
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

/// What is no grant of the frame that devices ask for makes room for it.
fn another_frame_replaces_a_grant(c: Calls) {
    let (w, d) = with(Some((FRAME, p2mt::GRANT_RW)));
    assert_eq!(add_frame(&w, c, d, FRAME + 1, 0, p2mt::IOMMU_RW), 0);
    assert_eq!(d.lookup(AT_ITS_OWN), (Some(FRAME + 1), p2mt::IOMMU_RW));
    w.check();
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

/// One vCPU unmaps the last grant of a frame elsewhere while another maps one at the frame's own address. The grant
/// table has no lock around mapping and counting, so this mapping may be there when the 1:1 mapping goes.
fn a_new_grant_at_its_own_address_outlives_the_last_of_the_others(c: Calls) {
    for (granted, flags) in [(p2mt::GRANT_RW, 0), (p2mt::GRANT_RO, READ_ONLY)] {
        // Up to 4.20 the frame is named, and later none.
        for named in [FRAME, INVALID] {
            let (w, d) = with(None);
            assert_eq!(add_for_dma(&w, c, d, 0, p2mt::IOMMU_RW), 0);
            assert_eq!(d.insert(AT_ITS_OWN, 1, FRAME, granted), 0);
            assert_eq!(remove_named(&w, c, d, named, 0), 0);
            assert_eq!(d.lookup(AT_ITS_OWN), (Some(FRAME), granted));
            assert_eq!(add_for_dma(&w, c, d, 0, p2mt::IOMMU_RW), 0);
            assert_eq!(unmap(&w, c, d, AT_ITS_OWN, FRAME, flags), 0);
            assert_eq!(remove_named(&w, c, d, named, 0), 0, "it has gone already");
            w.check();
        }
    }
}

/// The look and the removal are one: no grant of another vCPU comes between.
fn a_removal_takes_one_lock(c: Calls) {
    for there in [
        None,
        Some((FRAME, p2mt::IOMMU_RW)),
        Some((FRAME, p2mt::GRANT_RO)),
    ] {
        let (w, d) = with(there);
        w.clear_events();
        assert_eq!(remove_for_dma(&w, c, d, 0), 0);
        assert_eq!(locks_taken(&w, d), (1, 0), "{there:?}");
    }
}

/// What the removal of a page finds, by the frame that is named: as `guest_physmap_remove_page` of the C, but for
/// a grant of the frame itself.
fn the_removal_compares_only_memory(c: Calls) {
    for there in p2mt::RAM_RW..=p2mt::IOMMU_RO {
        for named in [FRAME, FRAME + 1, INVALID] {
            for frame in [FRAME, FRAME + 1] {
                let w = plain();
                let (d, _owner) = (guest(&w, 0), guest(&w, 1));
                if p2mt::is_foreign(there) {
                    w.take_references(frame, 1);
                }
                assert_eq!(d.insert(AT_ITS_OWN, 1, frame, there), 0);
                let is_grant = [p2mt::GRANT_RW, p2mt::GRANT_RO].contains(&there);
                let is_memory = ANY_RAM >> there & 1 != 0;
                let stays = is_grant && frame == FRAME;
                let refused = !stays && is_memory && named != frame;
                let rc = remove_named(&w, c, d, named, 0);
                let what = format!("type {there} of {frame:#x}, {named:#x} is named");
                assert_eq!(rc, if refused { errno::EILSEQ } else { 0 }, "{what}");
                let is_there = d.lookup(AT_ITS_OWN).0 == Some(frame);
                assert_eq!(is_there, stays || refused, "{what}");
                w.check();
            }
        }
    }
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
    another_frame_replaces_a_grant(c);
    of_several_frames_all_are_mapped_and_unmapped(c);
    another_frames_grant_stays(c);
    a_new_grant_at_its_own_address_outlives_the_last_of_the_others(c);
    a_removal_takes_one_lock(c);
    the_removal_compares_only_memory(c);
}

#[test]
fn a_grant_at_its_frames_own_address_is_not_unmapped_with_the_last_grant_elsewhere() {
    a_new_grant_at_its_own_address_outlives_the_last_of_the_others(as_it_is());
}

#[test]
fn a_mapping_for_devices_is_looked_at_and_removed_under_one_lock() {
    a_removal_takes_one_lock(as_it_is());
}

#[test]
fn the_frame_is_compared_where_memory_is_mapped_for_devices() {
    the_removal_compares_only_memory(as_it_is());
}

#[test]
fn a_grant_that_is_mapped_at_its_frames_own_address_can_be_unmapped() {
    a_grant_stays_a_grant(as_it_is());
}

#[test]
fn devices_get_what_they_ask_for_where_no_grant_of_that_frame_is_mapped() {
    another_mapping_is_replaced(as_it_is());
    another_frame_replaces_a_grant(as_it_is());
    of_several_frames_all_are_mapped_and_unmapped(as_it_is());
}

#[test]
fn a_grant_of_another_frame_stays_where_a_mapping_for_devices_was() {
    another_frames_grant_stays(as_it_is());
}

/// Faults in the C, each of which one of these must notice.
const FAULTS: [(&str, &str); 14] = [
    ("mfn_eq(mfn, _mfn(gfn_x(gfn))) &&", ""),
    ("(t == p2m_grant_map_rw || ", "("),
    (" || t == p2m_grant_map_ro)", ")"),
    ("if ( order || ", "if ( "),
    ("!mfn_eq(was, mfn) ||", ""),
    (" || !is_own_grant(gfn, was, there)", ""),
    ("1UL << order, mfn, t,", "1, mfn, t,"),
    (
        "                           p2m->default_access);",
        "p2m_access_rwx);",
    ),
    ("    if ( order )\n", "    if ( 0 )\n"),
    ("unmap_regions_p2mt(d, gfn, 1UL << order, mfn)", "0"),
    ("if ( !is_own_grant(gfn, was, there) )\n        rc", "rc"),
    ("p2m_is_any_ram(there) && ", ""),
    ("p2m_is_any_ram(there) && !mfn_eq(was, mfn)", "0"),
    ("? -EILSEQ", "? -ENOENT"),
];

#[test]
fn each_fault_that_is_planted_in_these_is_noticed() {
    for (n, (from, to)) in FAULTS.into_iter().enumerate() {
        let c = with_fault(&format!("dma_fault_{n}"), from, to);
        let passes = catch_unwind(AssertUnwindSafe(|| all(c)));
        assert!(passes.is_err(), "nothing notices {from:?} as {to:?}");
    }
}
