// SPDX-License-Identifier: GPL-2.0-only
//! Every exported function, called through its C prototype as Xen calls it:
//! it is there, takes its arguments as C passes them, and does its first duty.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;
use std::ptr::null_mut;

use common::{access, errno, guest, p2mt, plain, ram, G1, M2};
use test_harness::symbols as c;
use test_harness::{Config, World, INVALID};

/// A call of an exported function.
macro_rules! call {
    ($name:ident($($argument:expr),* $(,)?)) => {{
        // SAFETY: pointers are to structures of the world or to locals.
        unsafe { c::$name($($argument),*) }
    }};
}

/// Whole files of tests are left out where there are no views: only where that was asked for.
#[test]
fn there_are_views_unless_they_were_left_out() {
    let left_out = option_env!("XEN_P2M_HOST_WITHOUT") == Some("ALTP2M");
    assert_eq!(cfg!(config_altp2m), !left_out);
}

/// The same of what stops a mistake before its consequences.
#[test]
fn there_are_no_assertions_where_they_were_switched_off() {
    let off = option_env!("CARGO_PROFILE_DEV_DEBUG_ASSERTIONS") == Some("false");
    assert!(!off || !cfg!(debug_assertions));
}

#[test]
fn relinquishing_a_domain_that_is_not_dying_is_a_bug() {
    let w = plain();
    let d = guest(&w, 0);
    let globals = p2m_rs::xen::globals::machine_for_test();
    let said = w.expect_stop(
        move || p2m_rs::xen::globals::attach_for_test(globals),
        move || {
            d.relinquish();
        },
    );
    assert_eq!(said.as_deref(), Some("BUG"));
}

#[test]
fn the_ways_to_map_differ_in_type_and_size() {
    let w = plain();
    let d = guest(&w, 0);
    let p = d.pointer();
    assert_eq!(call!(map_regions_p2mt(p, 1, 2, ram(0), p2mt::RAM_RO)), 0);
    assert_eq!(call!(map_mmio_regions(p, 8, 2, ram(3))), 0);
    assert_eq!(
        call!(guest_physmap_add_entry(p, M2, ram(0), 9, p2mt::RAM_RW)),
        0
    );
    assert_eq!(
        call!(p2m_insert_mapping(p, 4, 1, ram(0) + 9, p2mt::GRANT_RO)),
        0
    );
    assert_eq!(d.lookup(2), (Some(ram(0) + 1), p2mt::RAM_RO));
    assert_eq!(d.lookup(9), (Some(ram(3) + 1), p2mt::MMIO_DEV));
    assert_eq!(d.get_entry(M2 + 5).order, 9);
    assert_eq!(d.lookup(4), (Some(ram(0) + 9), p2mt::GRANT_RO));
    // map_dev_mmio_page() asks for permission first, and says nothing without.
    assert_eq!(call!(map_dev_mmio_page(p, 6, 0x9000)), 0);
    assert_eq!(d.lookup(6).0, None);
    w.permit_iomem(d, 0x9000..0x9001);
    assert_eq!(call!(map_dev_mmio_page(p, 6, 0x9000)), 0);
    assert_eq!(d.lookup(6), (Some(0x9000), p2mt::MMIO_C));

    assert_eq!(
        call!(unmap_regions_p2mt(p, 1, 2, ram(0) + 1)),
        errno::EILSEQ
    );
    assert_eq!(call!(unmap_regions_p2mt(p, 1, 2, ram(0))), 0);
    assert_eq!(call!(unmap_mmio_regions(p, 8, 2, ram(3))), 0);
    assert_eq!(call!(guest_physmap_remove_page(p, M2, ram(0), 9)), 0);
    assert_eq!(call!(guest_physmap_remove_page(p, 4, ram(0) + 9, 0)), 0);
    assert_eq!(w.snapshot(d).len(), 1);
    w.check();
}

#[test]
fn what_arm_does_not_have_is_refused() {
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!(
        call!(guest_physmap_mark_populate_on_demand(d.pointer(), 0, 0)),
        errno::ENOSYS
    );
    assert_eq!(call!(p2m_pod_decrease_reservation(d.pointer(), 0, 0)), 0);
    call!(memory_type_changed(d.pointer()));
}

#[test]
fn a_lookup_is_the_same_with_a_hole_in_the_direct_map() {
    let found = [false, true].map(|hole| {
        let w = plain();
        let d = guest(&w, 0);
        assert_eq!(d.insert(G1 + 3, 1, ram(0) + 3, p2mt::RAM_RO), 0);
        assert_eq!(d.insert(2 * M2, M2, ram(1), p2mt::RAM_RW), 0);
        d.creation_finished();
        xen_sys::mock_direct_map_hole(hole);
        let at = [0, 2 * M2 + 5, G1, G1 + 3, G1 + 4, 2 * G1, 1 << 30, INVALID];
        let found = at.map(|gfn| (d.lookup(gfn), d.get_entry(gfn)));
        xen_sys::mock_direct_map_hole(false);
        w.check();
        found
    });
    assert_eq!(found[0], found[1]);
    assert_eq!(found[0][1].0, (Some(ram(1) + 5), p2mt::RAM_RW));
}

#[test]
fn a_lookup_says_frame_type_access_size_and_validity() {
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!(d.insert(M2, M2, ram(0), p2mt::RAM_RW), 0);
    let e = d.get_entry(M2 + 7);
    assert_eq!(
        (e.mfn, e.p2m_type, e.order, e.valid),
        (Some(ram(0) + 7), p2mt::RAM_RW, 9, true)
    );
    assert_eq!(e.access, access::RWX);
    let hole = d.get_entry(3);
    assert_eq!(
        (hole.mfn, hole.p2m_type, hole.order, hole.valid),
        (None, p2mt::INVALID, 9, false)
    );
    let far = d.get_entry(1 << 27);
    assert_eq!((far.mfn, far.order), (None, 18));
    assert_eq!(call!(gfn_to_mfn(d.pointer(), M2 + 1)), ram(0) + 1);
    assert_eq!(call!(gfn_to_mfn(d.pointer(), 0)), INVALID);
    // All results may be left out.
    d.read_locked(|| {
        let (t, a) = (null_mut(), null_mut());
        let mfn = call!(p2m_get_entry(d.p2m(), M2, t, a, null_mut(), null_mut()));
        assert_eq!(mfn, ram(0));
    });
    assert_eq!(call!(p2m_lookup(d.pointer(), M2, null_mut())), ram(0));
    let page = call!(p2m_get_page_from_gfn(d.pointer(), M2, null_mut()));
    assert!(!page.is_null());
    // SAFETY: the reference that came with it.
    unsafe { xen_sys::put_page(test_harness::live(page)) };
    w.check();
}

#[test]
fn a_removed_xen_heap_page_forgets_where_it_was_mapped() {
    let w = plain();
    let d = guest(&w, 0);
    w.xenheap(ram(9), 2, d);
    w.set_xenheap_gfn(ram(9), 5);
    assert_eq!(d.set_entry(5, 1, ram(9), p2mt::RAM_RW, access::RWX), 0);
    assert_eq!(w.xenheap_gfn(ram(9)), Some(5));
    assert_eq!(d.remove(5, 1, ram(9)), 0);
    assert_eq!(w.xenheap_gfn(ram(9)), Some(INVALID));
}

/// Which of the frames know where they are mapped, after all were told and
/// `unmap` was called.
fn still_known(w: &World, mfns: &[u64], unmap: impl FnOnce()) -> Vec<u64> {
    for &mfn in mfns {
        w.set_xenheap_gfn(mfn, 1);
    }
    unmap();
    let known = |mfn: &u64| w.xenheap_gfn(*mfn) != Some(INVALID);
    mfns.iter().copied().filter(known).collect()
}

#[test]
fn each_xen_heap_page_of_a_range_forgets_whatever_is_between_them() {
    let heap = ram(9);
    // Neighbours, a gap, backwards, other RAM and nothing in between.
    let there = [0, 1, 4, 3, 2].map(|n| heap + n);
    for whole_table in [false, true] {
        let w = plain();
        let d = guest(&w, 0);
        w.xenheap(heap, 5, d);
        let places = [10, 11, 12, 20, 21];
        for (gfn, mfn) in places.into_iter().zip(there) {
            assert_eq!(d.insert(gfn, 1, mfn, p2mt::RAM_RW), 0);
        }
        assert_eq!(d.insert(13, 5, ram(0), p2mt::RAM_RW), 0);
        let (gfn, nr) = if whole_table { (0, M2) } else { (10, 12) };
        let unmap = || assert_eq!(d.set_entry(gfn, nr, INVALID, 0, access::RWX), 0);
        assert_eq!(still_known(&w, &there, unmap), []);
    }
}

#[test]
fn xen_heap_pages_that_were_a_part_of_a_block_forget() {
    let w = plain();
    // Pages of Xen's heap that are shared with a guest are that guest's.
    let shared_with = |d, heap| {
        w.xenheap(heap, M2, d);
        [heap, heap + 5, heap + 6, heap + 7, heap + 511]
    };
    let (d, heap) = (guest(&w, 0), ram(9));
    let pages = shared_with(d, heap);
    assert_eq!(d.insert(M2, M2, heap, p2mt::RAM_RW), 0);
    assert_eq!(w.snapshot(d).len(), 1);
    let hole = || assert_eq!(d.remove(M2 + 5, 2, heap + 5), 0);
    assert_eq!(still_known(&w, &pages, hole), [heap, heap + 7, heap + 511]);
    // Replaced, instead of removed.
    let (d, heap) = (guest(&w, 1), ram(9) + M2);
    let pages = shared_with(d, heap);
    assert_eq!(d.insert(M2, M2, heap, p2mt::RAM_RW), 0);
    let other = || assert_eq!(d.insert(M2 + 7, 1, ram(1), p2mt::RAM_RW), 0);
    let known = [heap, heap + 5, heap + 6, heap + 511];
    assert_eq!(still_known(&w, &pages, other), known);
    // Only its access is restricted: it stays where it is.
    let (d, heap) = (guest(&w, 2), ram(9) + 2 * M2);
    let pages = shared_with(d, heap);
    assert_eq!(d.insert(M2, M2, heap, p2mt::RAM_RW), 0);
    let restrict = || assert_eq!(d.set_access(M2 + 7, 1, 0, access::R), 0);
    assert_eq!(still_known(&w, &pages, restrict), pages);
}

#[test]
fn a_xen_heap_page_that_is_mapped_again_at_its_place_is_not_forgotten() {
    let w = plain();
    let d = guest(&w, 0);
    w.xenheap(ram(9), 2, d);
    assert_eq!(d.insert(5, 2, ram(9), p2mt::RAM_RW), 0);
    let frames = [ram(9), ram(9) + 1];
    let again = || assert_eq!(d.insert(5, 2, ram(9), p2mt::RAM_RO), 0);
    assert_eq!(still_known(&w, &frames, again), frames);
    let swapped = || {
        assert_eq!(d.insert(5, 1, ram(9) + 1, p2mt::RAM_RW), 0);
    };
    assert_eq!(still_known(&w, &frames, swapped), [ram(9) + 1]);
    w.check();
}

#[test]
fn a_device_model_hears_of_ram_that_is_gone_and_of_nothing_else() {
    let w = plain();
    let d = guest(&w, 0);
    let owner = guest(&w, 1);
    assert_eq!(d.insert(5, 4, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.insert(M2, M2, ram(0) + M2, p2mt::RAM_RO), 0);
    assert_eq!(d.insert(2 * M2, M2, ram(0) + 2 * M2, p2mt::RAM_RW), 0);
    assert_eq!(d.insert(3 * M2, M2, 0x40_0000, p2mt::MMIO_DEV), 0);
    assert_eq!(d.insert(G1, G1, ram(0) + G1, p2mt::RAM_RW), 0);
    assert_eq!(d.insert(2 * G1, G1, ram(0) + 2 * G1, p2mt::RAM_RW), 0);
    assert_eq!(d.insert(9, 1, 0x9000, p2mt::MMIO_DEV), 0);
    assert_eq!(d.insert(10, 1, ram(1), p2mt::GRANT_RW), 0);
    assert_eq!(d.map_foreign(owner, 11, ram(1)), 0);
    assert_eq!(w.mapcache_invalidations(), 0, "nothing was gone");
    let told = |gfn, nr| {
        assert_eq!(d.set_entry(gfn, nr, INVALID, 0, access::RWX), 0);
        w.mapcache_invalidations() > 0
    };
    assert!(told(5, 1));
    assert!(!told(5, 1), "nothing there any more");
    assert!(told(6, 2));
    assert_eq!(d.insert(7, 1, ram(0) + 7, p2mt::RAM_RW), 0);
    assert_eq!(d.remove(7, 1, ram(0) + 7), 0);
    assert!(w.mapcache_invalidations() > 0, "a page by its frame");
    assert!(!told(9, 3), "a device, a grant, a foreign page");
    assert!(told(M2 + 7, 1), "a part of a block");
    assert!(told(M2, M2), "a table");
    assert!(told(2 * M2, M2), "a block of 2 MiB");
    assert!(!told(3 * M2, M2), "one of a device");
    assert!(told(G1 + M2, M2), "a part of one of 1 GiB");
    assert!(told(2 * G1, G1), "one of 1 GiB");
    assert!(told(G1, G1), "a table of blocks");
    assert_eq!(d.insert(8, 1, ram(0) + 9, p2mt::RAM_RW), 0);
    assert!(w.mapcache_invalidations() > 0, "another in its place");
    for (gfn, pages) in [(4 * M2, M2), (3 * G1, G1)] {
        assert_eq!(d.insert(gfn, pages, ram(0) + gfn, p2mt::RAM_RW), 0);
        assert_eq!(w.mapcache_invalidations(), 0, "new");
        assert_eq!(d.insert(gfn, pages, ram(0) + gfn, p2mt::RAM_RO), 0);
        assert_eq!(w.mapcache_invalidations(), 0, "the same block in its place");
        assert_eq!(d.insert(gfn, pages, ram(0) + pages, p2mt::RAM_RW), 0);
        assert!(w.mapcache_invalidations() > 0, "another block in its place");
    }
    assert_eq!(d.insert(8, 1, ram(0) + 9, p2mt::RAM_RO), 0);
    assert_eq!(w.mapcache_invalidations(), 0, "the same in its place");
}

#[test]
fn set_way_operations_track_what_the_guest_touches() {
    let w = plain();
    let d = guest(&w, 0);
    let v = w.vcpu(d);
    w.run(0, v);
    assert_eq!(d.insert(0, 4, ram(0), p2mt::RAM_RW), 0);
    // Another table, which the guest does not touch.
    assert_eq!(d.insert(M2, 1, ram(0) + 9, p2mt::RAM_RW), 0);
    let hsr = xen_sys::hsr { bits: 0 };
    call!(p2m_set_way_flush(
        v.pointer(),
        &mut xen_sys::cpu_user_regs::default(),
        hsr
    ));
    assert!(v.need_flush_to_ram());
    assert_eq!(v.hcr() & 1 << 26, 1 << 26, "HCR.TVM");
    v.flush_vm();
    assert_eq!(w.flushed_to_ram(), [0, 1, 2, 3, 9].map(|n| ram(0) + n));
    assert!(!v.need_flush_to_ram());
    // What the guest touches from now on is seen; all is flushed again.
    assert!(!w.guest_can(0, 2 << 12, true));
    assert!(d.resolve(2));
    assert!(w.guest_can(0, 2 << 12, true) && !w.guest_can(0, M2 << 12, true));
    v.set_need_flush_to_ram(true);
    v.flush_vm();
    assert_eq!(w.flushed_to_ram().len(), 5);
    assert!(!w.guest_can(0, 2 << 12, true));
    // Caches on: the trapping ends.
    w.guest_writes_sctlr(5);
    v.toggle_cache(false);
    assert!(v.need_flush_to_ram());
    assert_eq!(v.hcr() & 1 << 26, 0);
    // With tables that an IOMMU shares it cannot be done. In those no valid bit is clear on the way to a page.
    assert!(d.resolve(2));
    w.share_tables(test_harness::Iommu::Coherent, true);
    call!(p2m_set_way_flush(
        v.pointer(),
        &mut xen_sys::cpu_user_regs::default(),
        hsr
    ));
    assert_eq!(w.undef_injected(), 1);
    assert_eq!(d.insert(9, 1, ram(0), p2mt::RAM_RW), 0);
    let before = w.dump(d);
    call!(p2m_domain_creation_finished(d.pointer()));
    assert_eq!(w.dump(d), before, "nothing is invalidated then");
}

#[test]
fn a_lookup_says_which_access_was_set() {
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!(d.insert(5, 2, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.get_entry(5).access, access::RWX, "without introspection");
    assert_eq!(d.set_access(5, 1, 0, access::RX2RW), 0);
    assert_eq!(d.get_entry(5).access, access::RX2RW);
    assert_eq!(d.get_entry(6).access, access::RWX);
}

#[test]
fn a_range_one_page_short_of_a_block_leaves_that_page() {
    // From pages, from a block, and in a gigabyte of either.
    for (span, mfn) in [(M2, ram(0) + 1), (M2, ram(0)), (G1, ram(0))] {
        for (skipped, gfn) in [(span - 1, span), (0, span + 1)] {
            let w = plain();
            let d = guest(&w, 0);
            let other = ram(0) + 3 * G1;
            for what in ["removed", "replaced", "restricted"] {
                assert_eq!(d.set_entry(span, span, INVALID, 0, access::RWX), 0);
                assert_eq!(d.insert(span, span, mfn, p2mt::RAM_RW), 0);
                let rc = match what {
                    "removed" => d.remove(gfn, span - 1, mfn + gfn - span).into(),
                    "replaced" => {
                        let other = other + gfn - span;
                        d.insert(gfn, span - 1, other, p2mt::RAM_RO).into()
                    }
                    _ if span == G1 => continue,
                    _ => d.set_access(gfn, u32::try_from(span - 1).unwrap_or(0), 0, access::R),
                };
                assert_eq!(rc, 0, "{what}");
                let left = span + skipped;
                assert_eq!(
                    d.lookup(left),
                    (Some(mfn + skipped), p2mt::RAM_RW),
                    "{what}"
                );
                assert_eq!(d.access(left), (0, access::RWX), "{what}");
                let middle = d.lookup(span + span / 2);
                match what {
                    "removed" => assert_eq!(middle.0, None),
                    "replaced" => assert_eq!(middle.1, p2mt::RAM_RO),
                    _ => assert_eq!(d.access(span + span / 2), (0, access::R)),
                }
                w.check();
            }
        }
    }
}

#[test]
fn new_mappings_are_pages_once_mem_access_is_in_use() {
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!(d.insert(0, M2, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.set_access(INVALID, 0, 0, access::RX), 0);
    assert_eq!(d.insert(M2, M2, ram(0) + M2, p2mt::RAM_RW), 0);
    let orders: Vec<u32> = w.snapshot(d).values().map(|leaf| leaf.order).collect();
    assert_eq!(orders, [vec![9], vec![0; 512]].concat());
    assert_eq!(d.access(M2 + 5), (0, access::RX));
}

#[test]
fn the_bounds_of_what_was_ever_mapped_are_exact() {
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!((d.lowest_mapped(), d.max_mapped()), (u64::MAX, 0));
    let bounds = |gfn, nr, mfn| {
        assert_eq!(d.insert(gfn, nr, mfn, p2mt::RAM_RW), 0);
        (d.lowest_mapped(), d.max_mapped())
    };
    assert_eq!(bounds(M2 + 5, 1, ram(0)), (M2 + 5, M2 + 5), "a new table");
    assert_eq!(bounds(M2 + 7, 3, ram(0)), (M2 + 5, M2 + 9), "its entries");
    assert_eq!(bounds(0, M2, ram(0)), (0, M2 + 9), "a block");
    assert_eq!(bounds(4 * M2, M2, ram(0)), (0, 5 * M2 - 1), "above");
    assert_eq!(bounds(6 * M2, M2, ram(0) + 1), (0, 7 * M2 - 1), "pages");
    assert_eq!(bounds(4 * M2 + 3, 1, ram(0)), (0, 7 * M2 - 1), "in a block");
    assert_eq!(d.remove(6 * M2, M2, ram(0) + 1), 0);
    assert_eq!((d.lowest_mapped(), d.max_mapped()), (0, 7 * M2 - 1), "ever");
    w.check();
}

#[test]
fn a_page_mapped_into_a_foreign_block_drops_one_reference() {
    let w = plain();
    let (d, owner) = (guest(&w, 0), guest(&w, 1));
    w.take_references(ram(1), M2);
    assert_eq!(d.insert(M2, M2, ram(1), p2mt::FOREIGN_RW), 0);
    assert_eq!(w.snapshot(d).len(), 1);
    assert_eq!(d.insert(M2 + 5, 1, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.lookup(M2 + 4), (Some(ram(1) + 4), p2mt::FOREIGN_RW));
    assert_eq!(d.lookup(M2 + 5), (Some(ram(0)), p2mt::RAM_RW));
    assert_eq!((w.references(ram(1) + 4), w.references(ram(1) + 5)), (2, 1));
    w.check();
    // Without a page for the table nothing changes.
    assert_eq!(d.insert(2 * M2, M2, ram(0), p2mt::RAM_RW), 0);
    w.take_references(ram(1) + M2, M2);
    assert_eq!(d.insert(4 * M2, M2, ram(1) + M2, p2mt::FOREIGN_RW), 0);
    assert_eq!(d.set_pool(d.pool_pages() - w.free_pool_pages(d)), 0);
    let before = w.snapshot(d);
    assert_eq!(d.insert(4 * M2 + 5, 1, ram(0), p2mt::RAM_RW), errno::ENOMEM);
    assert_eq!(w.snapshot(d), before);
    w.check();
    w.destroy(d);
    assert_eq!(w.references(ram(1)), 1);
    w.destroy(owner);
}

/// Two CPUs may be removing the same page: each names what it believes is there.
#[test]
fn what_is_not_what_the_caller_believes_stays_whatever_its_type() {
    for t in [
        p2mt::RAM_RO,
        p2mt::FOREIGN_RW,
        p2mt::FOREIGN_RO,
        p2mt::GRANT_RW,
    ] {
        for nr in [1, 2] {
            let w = plain();
            let (d, _owner) = (guest(&w, 0), guest(&w, 1));
            let is_foreign = t == p2mt::FOREIGN_RW || t == p2mt::FOREIGN_RO;
            if is_foreign {
                w.take_references(ram(1), 2);
            }
            assert_eq!(d.insert(5, 2, ram(1), t), 0);
            for believed in [ram(1) + 1, ram(0), INVALID] {
                assert_eq!(d.remove(5, nr, believed), errno::EILSEQ, "type {t}");
                assert_eq!(d.lookup(5), (Some(ram(1)), t));
            }
            let references = if is_foreign { 2 } else { 1 };
            assert_eq!(w.references(ram(1)), references);
            assert_eq!(d.remove(5, nr, ram(1)), 0);
            assert_eq!(d.lookup(5), (None, p2mt::INVALID));
            assert_eq!(w.references(ram(1)), 1);
            w.check();
        }
    }
}

/// Blocks that follow each other, one of another type, and pages: the whole range is compared, and each part at its own
/// place.
#[test]
fn a_range_of_blocks_and_pages_is_what_the_caller_believes_or_stays() {
    let parts = [
        (M2, 2 * M2, 0, p2mt::RAM_RW),
        (3 * M2, M2, 2 * M2, p2mt::RAM_RO),
        (4 * M2, 3, 3 * M2, p2mt::RAM_RW),
    ];
    // None, or one of them maps other frames than those that follow.
    for other in [None, Some(0), Some(1), Some(2)] {
        let w = plain();
        let d = guest(&w, 0);
        for (at, (gfn, nr, offset, t)) in parts.into_iter().enumerate() {
            let moved = if other == Some(at) { 8 * M2 } else { 0 };
            assert_eq!(d.insert(gfn, nr, ram(0) + offset + moved, t), 0);
        }
        let before = w.snapshot(d);
        assert_eq!(d.remove(M2, 3 * M2 + 3, ram(0) + 1), errno::EILSEQ);
        assert_eq!(w.snapshot(d), before);
        let rc = d.remove(M2, 3 * M2 + 3, ram(0));
        if other.is_some() {
            assert_eq!(rc, errno::EILSEQ, "{other:?}");
            assert_eq!(w.snapshot(d), before);
        } else {
            assert_eq!(rc, 0);
            assert!(w.snapshot(d).is_empty());
        }
        w.check();
    }
}

#[test]
fn a_foreign_page_that_is_none_is_refused() {
    let w = plain();
    let (d, owner) = (guest(&w, 0), guest(&w, 1));
    assert_eq!(d.map_foreign(owner, 5, 0x9000), errno::EINVAL, "no memory");
    assert_eq!(
        d.map_foreign(owner, 5, ram(0)),
        errno::EINVAL,
        "not its own"
    );
    // And one that cannot be mapped is given back.
    let beyond = Config::default().gfn_limit();
    assert_eq!(d.map_foreign(owner, beyond, ram(1)), errno::EINVAL);
    assert_eq!(w.references(ram(1)), 1);
    assert_eq!(w.snapshot(d).len(), 0);
    w.check();
}

#[test]
fn a_device_page_is_mapped_if_it_is_permitted_and_there_is_memory() {
    let w = plain();
    let d = w.domain(0);
    let map = |mfn| call!(map_dev_mmio_page(d.pointer(), 5, mfn));
    assert_eq!((map(0x9000), d.lookup(5).0), (0, None), "not permitted");
    w.permit_iomem(d, 0x9000..0x9001);
    assert_eq!((map(0x9000), d.lookup(5).0), (errno::ENOMEM, None));
    assert_eq!(d.set_pool(4), 0);
    assert_eq!((map(0x9000), d.lookup(5).0), (0, Some(0x9000)));
    assert_eq!(d.lookup(5).1, p2mt::MMIO_C);
    assert_eq!((map(0x9001), d.lookup(5).0), (0, Some(0x9000)));
}

#[test]
fn a_domain_without_tables_has_none_to_dump() {
    let w = plain();
    let d = w.raw_domain(false);
    call!(dump_p2m_lookup(d.pointer(), 0x5000));
    assert_eq!(w.pt_walk_dumps(), []);
}

#[test]
fn access_required_is_set_on_a_paused_domain() {
    let w = plain();
    let d = guest(&w, 0);
    w.pause(d, true);
    call!(arch_p2m_set_access_required(d.pointer(), true));
    assert!(d.access_required());
    call!(arch_p2m_set_access_required(d.pointer(), false));
    assert!(!d.access_required());
}

#[test]
fn the_dumps_say_how_many_mappings_there_are_and_where_the_root_is() {
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!(d.insert(0, M2, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.insert(M2, 3, ram(0), p2mt::RAM_RW), 0);
    w.console();
    call!(p2m_dump_info(d.pointer()));
    let said = w.console().concat();
    assert!(said.contains("2M mappings: 1 (shattered 0)"), "{said}");
    assert!(said.contains("4K mappings: 3"), "{said}");
    call!(dump_p2m_lookup(d.pointer(), 0x123_4000));
    let root = w.root(d).unwrap() << 12;
    assert_eq!(w.pt_walk_dumps(), [(root, 0x123_4000, 1, 2)]);
    w.check();
}
