// SPDX-License-Identifier: GPL-2.0-only
//! Every value of every state and enumeration of the ABI that the p2m looks at:
//! alive, dying and dead domains, types, accesses, and the answers of
//! `p2m_get_entry()`, all of them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;
use std::ptr::null_mut;

use common::{access, errno, guest, p2mt, plain, ram, world, G1, M2};
use test_harness::{symbols, Config, Domain, Reach, World, INVALID};

/// A call of an exported function with handles that the world keeps alive.
macro_rules! c {
    ($name:ident($($argument:expr),*)) => {{
        // SAFETY: handles are live, other pointers are to locals.
        unsafe { symbols::$name($($argument),*) }
    }};
}

/// `enum domain_dying`: XSA-410 is about both that are not alive.
const DYING: u32 = 1;
const DEAD: u32 = 2;

type Call = (&'static str, fn(Domain, Domain) -> i32);

/// Everything that could map at frames 6 and 7, or in the block at 512.
const MAPS: [Call; 8] = [
    ("p2m_insert_mapping", |d, _| {
        d.insert(6, 1, ram(0) + 6, p2mt::RAM_RW)
    }),
    ("p2m_insert_mapping of a block", |d, _| {
        d.insert(2 * M2, M2, ram(0), p2mt::RAM_RW)
    }),
    ("p2m_set_entry", |d, _| {
        d.set_entry(6, 2, ram(0) + 6, p2mt::RAM_RO, access::RWX)
    }),
    ("map_regions_p2mt", |d, _| {
        c!(map_regions_p2mt(d.pointer(), 6, 1, 0x20, p2mt::MMIO_C))
    }),
    ("map_mmio_regions", |d, _| {
        c!(map_mmio_regions(d.pointer(), 6, 2, 0x20))
    }),
    ("map_dev_mmio_page", |d, _| {
        c!(map_dev_mmio_page(d.pointer(), 6, 0x20))
    }),
    ("guest_physmap_add_entry", |d, _| {
        c!(guest_physmap_add_entry(
            d.pointer(),
            6,
            ram(0) + 6,
            0,
            p2mt::GRANT_RW
        ))
    }),
    ("set_foreign_p2m_entry", |d, owner| {
        d.map_foreign(owner, 6, ram(1))
    }),
];

/// Everything that could unmap or change what is there.
const CHANGES: [Call; 8] = [
    ("unmap_regions_p2mt", |d, _| d.remove(5, 1, ram(0))),
    ("unmap_regions_p2mt of a block", |d, _| {
        d.remove(M2, M2, ram(0) + M2)
    }),
    ("unmap_mmio_regions", |d, _| {
        c!(unmap_mmio_regions(d.pointer(), 5, 1, ram(0)))
    }),
    ("guest_physmap_remove_page", |d, _| {
        c!(guest_physmap_remove_page(d.pointer(), 5, ram(0), 0))
    }),
    ("p2m_set_entry with INVALID_MFN", |d, _| {
        d.set_entry(5, 1, INVALID, p2mt::INVALID, access::RWX)
    }),
    ("p2m_set_mem_access", |d, _| {
        i32::try_from(d.set_access(5, 1, 0, access::R)).unwrap()
    }),
    ("p2m_set_mem_access of a range", |d, _| {
        i32::try_from(d.set_access(4, 3, 0, access::R)).unwrap()
    }),
    ("p2m_set_mem_access in a block", |d, _| {
        i32::try_from(d.set_access(M2 + 3, 1, 0, access::R)).unwrap()
    }),
];

fn scene() -> (World, Domain, Domain) {
    let w = plain();
    let (d, owner) = (guest(&w, 0), guest(&w, 1));
    w.permit_iomem(d, 0x20..0x30);
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.insert(M2, M2, ram(0) + M2, p2mt::RAM_RW), 0);
    (w, d, owner)
}

#[test]
fn nothing_is_mapped_unmapped_or_restricted_in_a_domain_that_is_dying_or_dead() {
    for state in [DYING, DEAD] {
        for (name, call) in MAPS.iter().chain(&CHANGES) {
            let (w, d, owner) = scene();
            d.set_dying_state(state);
            let rc = w.within(&Reach::nothing(), || call(d, owner));
            assert_eq!(rc, errno::ENOMEM, "{name}, state {state}");
            assert_eq!(w.references(ram(1)), 1, "{name}");
            w.check();
        }
    }
}

#[test]
fn all_of_that_is_done_for_a_living_domain() {
    for (name, call) in MAPS.iter().chain(&CHANGES) {
        let (w, d, owner) = scene();
        let before = (w.dump(d), d.mem_access_enabled());
        assert_eq!(call(d, owner), 0, "{name}");
        assert_ne!((w.dump(d), d.mem_access_enabled()), before, "{name}");
        w.check();
    }
}

#[test]
fn what_is_read_is_read_whatever_becomes_of_the_domain() {
    for state in [0, DYING, DEAD] {
        let (w, d, _) = scene();
        d.creation_finished();
        d.set_dying_state(state);
        w.clear_events();
        assert_eq!(d.lookup(5), (Some(ram(0)), p2mt::RAM_RW));
        let (page, t) = d.page_from_gfn(M2 + 1);
        assert_eq!((page.unwrap().put(), t), (ram(0) + M2 + 1, p2mt::RAM_RW));
        assert_eq!(d.access(5), (0, access::RWX));
        assert_eq!(d.cache_flush(0, u64::MAX).0, 0);
        // The valid bits on the way to the page.
        let valid = || [1, 2, 3].map(|level| w.entry(d, 5, level) & 1);
        assert_eq!(valid(), [0, 1, 1], "state {state}");
        assert!(d.resolve(5));
        assert_eq!(valid(), [1; 3], "state {state}");
    }
}

#[test]
fn a_domain_is_relinquished_once_it_is_dying_and_not_before() {
    for state in [DYING, DEAD] {
        let (w, d, _) = scene();
        d.set_dying_state(state);
        assert_eq!(d.relinquish(), 0);
        assert!(w.snapshot(d).is_empty(), "state {state}");
    }
    let (w, d, _) = scene();
    let stops = w.expect_stop(p2m_rs::xen::globals::reset_for_test, move || {
        d.relinquish();
    });
    assert_eq!(stops.as_deref(), Some("BUG"));
}

/// C's `p2m_get_entry()` for a frame above the highest: the loop as it stands there.
fn order_above(root: u32, gfn: u64, max: u64) -> u32 {
    let mut level = root;
    while level < 3 {
        let order = 9 * (3 - level);
        let mask = !((1_u64 << (order + 12)) - 1);
        if gfn & (mask >> 12) > max {
            break;
        }
        level += 1;
    }
    9 * (3 - level)
}

#[test]
fn a_hole_above_the_highest_frame_is_as_large_as_in_c() {
    for ipa_bits in common::SIZES {
        let config = Config {
            ipa_bits,
            ..Config::default()
        };
        let w = world(config);
        let (root, _) = config.root();
        let d = guest(&w, 0);
        let near = |at: u64| [at.wrapping_sub(2), at - 1, at, at + 1, at + 700];
        let interesting = [3, M2, 2 * M2, 5 * M2, G1, 2 * G1, 3 * G1 + M2, G1 << 3];
        for max in interesting {
            if max >= config.gfn_limit() {
                continue;
            }
            assert_eq!(d.insert(max, 1, ram(0), p2mt::RAM_RW), 0);
            let above = interesting.into_iter().flat_map(near);
            let far = [1 << 27, 1 << 36, 1 << 50, 1 << 52, INVALID - 1, INVALID];
            for gfn in above.chain(far).filter(|&gfn| gfn > max) {
                let found = d.get_entry(gfn);
                let expected = order_above(root, gfn, max);
                assert_eq!(
                    (found.mfn, found.p2m_type, found.order, found.valid),
                    (None, p2mt::INVALID, expected, false),
                    "{ipa_bits} bits: {gfn:#x} above {max:#x}"
                );
                assert_eq!(found.access, u32::MAX, "not written for a hole, as in C");
            }
        }
    }
}

#[test]
fn each_out_parameter_of_a_lookup_may_be_left_out() {
    let (_w, d, _) = scene();
    for mask in 0..16 {
        let (mut t, mut a, mut order, mut valid) = (99, 99, 99, false);
        let p = |n: u32| mask & 1 << n != 0;
        let t_at = if p(0) { &raw mut t } else { null_mut() };
        let a_at = if p(1) { &raw mut a } else { null_mut() };
        let order_at = if p(2) { &raw mut order } else { null_mut() };
        let valid_at = if p(3) { &raw mut valid } else { null_mut() };
        let mfn = d.read_locked(|| {
            c!(p2m_get_entry(
                d.p2m(),
                M2 + 7,
                t_at,
                a_at,
                order_at,
                valid_at
            ))
        });
        assert_eq!(mfn, ram(0) + M2 + 7);
        let or = |n: u32, value: u32| if p(n) { value } else { 99 };
        assert_eq!(
            (t, a, order),
            (or(0, p2mt::RAM_RW), or(1, access::RWX), or(2, 9))
        );
        assert_eq!(valid, p(3));
    }
}

/// Rights of a type, from asm/p2m.h and `p2m_set_permission()`: write, execute.
fn type_allows(t: u32) -> (bool, bool) {
    match t {
        p2mt::RAM_RW => (true, true),
        p2mt::RAM_RO => (false, true),
        p2mt::FOREIGN_RO | p2mt::GRANT_RO | p2mt::IOMMU_RO => (false, false),
        _ => (true, false),
    }
}

#[test]
fn each_type_with_each_access_has_the_rights_of_both() {
    let w = plain();
    let d = guest(&w, 0);
    let owner = guest(&w, 1);
    let _ = owner;
    for t in p2mt::RAM_RW..=p2mt::IOMMU_RO {
        for a in access::N..=access::R_PW {
            let foreign = [p2mt::FOREIGN_RW, p2mt::FOREIGN_RO].contains(&t);
            let mfn = if foreign { ram(1) } else { ram(0) };
            if foreign {
                w.take_references(mfn, 1);
            }
            assert_eq!(d.set_entry(5, 1, mfn, t, a), 0, "type {t} access {a}");
            let leaf = w.snapshot(d)[&5];
            let (write, execute) = type_allows(t);
            let read = ![access::N, access::W, access::X, access::WX, access::N2RWX].contains(&a);
            let may_write = [access::W, access::RW, access::WX, access::RWX].contains(&a);
            let may_execute = [
                access::X,
                access::RX,
                access::WX,
                access::RWX,
                access::RX2RW,
            ]
            .contains(&a);
            assert_eq!(
                (leaf.p2m_type, leaf.read, leaf.write, leaf.execute),
                (t, read, write && may_write, execute && may_execute),
                "type {t} access {a}"
            );
            w.check();
        }
    }
    // There is no other type.
    for t in [p2mt::INVALID, 12, 13, 15, 16, 17, 0x1_0001, u32::MAX] {
        let rc = w.within(&Reach::nothing(), || {
            d.set_entry(5, 1, ram(0), t, access::RWX)
        });
        assert_eq!(rc, errno::EINVAL, "type {t}");
    }
}

/// A block of 2 MiB that has pages of Xen's heap in it (a domain builder may map
/// what it was given), of which a part gets another type or another frame.
#[test]
fn a_page_of_a_block_that_is_mapped_again_at_its_place_keeps_its_m2p() {
    for order in [9, 18] {
        let w = plain();
        let d = w.domain(64);
        w.ram(ram(0), G1, d);
        let heap = ram(9);
        w.xenheap(heap, 1 << order, d);
        let first = G1;
        assert_eq!(d.insert(first, 1 << order, heap, p2mt::RAM_RW), 0);
        for at in [3, 4, 5, 6, 7] {
            w.set_xenheap_gfn(heap + at, first + at);
        }
        // The same frame, read-only; and then as it was.
        for t in [p2mt::RAM_RO, p2mt::RAM_RW] {
            assert_eq!(d.insert(first + 4, 2, heap + 4, t), 0);
            for at in [3, 4, 5, 6, 7] {
                let seen = w.xenheap_gfn(heap + at);
                assert_eq!(seen, Some(first + at), "order {order} type {t} page {at}");
            }
        }
        // Another frame: that one page is forgotten.
        assert_eq!(d.insert(first + 5, 1, ram(0), p2mt::RAM_RW), 0);
        assert_eq!(w.xenheap_gfn(heap + 5), Some(INVALID));
        for at in [3, 4, 6, 7] {
            assert_eq!(w.xenheap_gfn(heap + at), Some(first + at), "page {at}");
        }
        w.check();
    }
}

/// The first part of the block that changes is the one that is split off.
#[test]
fn a_part_of_a_whole_block_that_is_mapped_again_at_its_place_keeps_its_m2p() {
    for (from, to, moved) in [
        (4, 6, false),
        (4, 6, true),
        (0, 512, false),
        (511, 512, true),
    ] {
        let w = plain();
        let d = guest(&w, 0);
        let heap = ram(9);
        w.xenheap(heap, M2, d);
        assert_eq!(d.insert(M2, M2, heap, p2mt::RAM_RW), 0);
        for at in 0..M2 {
            w.set_xenheap_gfn(heap + at, M2 + at);
        }
        let mfn = if moved { ram(0) + 1 } else { heap + from };
        assert_eq!(d.insert(M2 + from, to - from, mfn, p2mt::RAM_RO), 0);
        for at in 0..M2 {
            let gone = moved && (from..to).contains(&at);
            let expected = if gone { INVALID } else { M2 + at };
            assert_eq!(
                w.xenheap_gfn(heap + at),
                Some(expected),
                "page {at} of {from}..{to}"
            );
        }
    }
}
