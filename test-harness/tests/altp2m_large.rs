// SPDX-License-Identifier: GPL-2.0-only
//! Views of a guest that its host p2m maps in blocks of 2 MiB and of 1 GiB: what is copied as a
//! block, whether the view's block is split or the host's, and what is left of a copied block once the
//! host changes one page of it.
//! Where blocks and the address space end is tested in altp2m_borders.rs.

#![cfg(config_altp2m)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;

use common::large::{default_leaf, scenes, Scene, FIRST, PAGES};
use common::views::ipa;
use common::{access, p2mt, ram, G1, M2};
use p2m_rs::types::access::P2mAccess;

/// Pages of a block that are something special: its ends, and one in the middle.
fn special(size: u64) -> [u64; 3] {
    [0, size / 2 + 7, size - 1]
}

/// Pages that are looked at when one of them was changed: it, its neighbours, and those at the ends
/// of all that the block is split into.
fn looked_at(size: u64, page: u64) -> Vec<u64> {
    let table = page - page % M2;
    let near = [page.saturating_sub(1), page, page + 1];
    let of_table = [table, table + M2 - 1, table.saturating_sub(1), table + M2];
    let ends = [0, size / 2, size - 1];
    let all = near.into_iter().chain(of_table).chain(ends);
    all.filter(|page| *page < size).collect()
}

#[test]
fn a_block_is_copied_as_one_whichever_of_its_pages_a_guest_comes_to() {
    for shape in scenes() {
        for page in special(shape.size) {
            let s = Scene::new(shape);
            let used = s.v.used();
            assert_eq!(s.v.w.guest_reads(0, ipa(FIRST + page)), None);
            assert!(s.v.w.on_cpu(0, || s.v.d.resolve(FIRST + page)));
            let copied = s.copies(s.n);
            assert_eq!(copied.len(), 1, "{shape:?}, page {page:#x}");
            assert_eq!(
                copied[&FIRST],
                default_leaf(ram(0), shape.size),
                "{shape:?}"
            );
            assert_eq!(s.v.used() - used, shape.tables(), "{shape:?}");
            for other in special(shape.size) {
                let read = s.v.w.guest_reads(0, ipa(FIRST + other));
                assert_eq!(read, Some(ipa(ram(0) + other)), "without a fault");
            }
            s.v.w.check();
        }
    }
}

#[test]
fn what_is_copied_beside_a_page_that_was_set_or_shown_is_as_large_as_there_is_room() {
    for shape in scenes() {
        for shown in [false, true] {
            let s = Scene::new(shape);
            if shown {
                assert_eq!(s.v.remap(s.n, FIRST + 5, PAGES), Ok(()));
            } else {
                assert_eq!(s.v.set_access(s.n, FIRST + 5, P2mAccess::R), Ok(()));
            }
            let order = |gfn| {
                assert_eq!(s.v.read(0, gfn), Some(s.mfn(gfn)));
                let copied = s.copies(s.n);
                let (_, leaf) = copied.range(..=gfn).next_back().unwrap();
                leaf.order
            };
            assert_eq!(order(FIRST + 6), 0, "{shape:?}, in the same table");
            assert_eq!(order(FIRST + M2 + 6), 9, "{shape:?}, in the same gigabyte");
            let next = s.block(1);
            assert_eq!(
                1 << order(next + 6),
                shape.size,
                "{shape:?}, the next block"
            );
            s.v.w.check();
        }
    }
}

/// Whether or not the block was copied before, in this view and in another.
#[test]
fn what_is_set_or_shown_in_a_block_splits_that_views_block_and_no_other() {
    type Call = (&'static str, fn(&Scene, u64), fn(&Scene, u64) -> u64);
    let calls: [Call; 3] = [
        (
            "an access",
            |s, gfn| assert_eq!(s.v.set_access(s.n, gfn, P2mAccess::R), Ok(())),
            |s, gfn| s.mfn(gfn),
        ),
        (
            "a page shown in it",
            |s, gfn| assert_eq!(s.v.remap(s.n, gfn, PAGES + 3), Ok(())),
            |s, _| s.mfn(PAGES + 3),
        ),
        (
            "a page of another block shown in it",
            |s, gfn| assert_eq!(s.v.remap(s.n, gfn, s.block(2) + 9), Ok(())),
            |s, _| s.mfn(s.block(2) + 9),
        ),
    ];
    for shape in scenes() {
        for (what, call, expected) in calls {
            for page in special(shape.size) {
                let (s, gfn) = (Scene::new(shape), FIRST + page);
                s.copy_blocks();
                let host = (s.v.w.dump(s.v.d), s.v.d.mapping_stats());
                let other = s.copies(s.other);
                call(&s, gfn);
                assert_eq!((s.v.w.dump(s.v.d), s.v.d.mapping_stats()), host, "{what}");
                assert_eq!(s.v.d.shattered_stats(), [0; 4], "{what}");
                assert_eq!(s.copies(s.other), other, "{what}");
                // The rest is mapped as before, without another fault, in leaves as large as can be.
                for page in looked_at(shape.size, page) {
                    let at = FIRST + page;
                    let shows = if at == gfn {
                        expected(&s, gfn)
                    } else {
                        s.mfn(at)
                    };
                    assert_eq!(s.v.w.guest_reads(0, ipa(at)), Some(ipa(shows)), "{what}");
                    let can_write = at != gfn || what != "an access";
                    assert_eq!(s.v.w.guest_can(0, ipa(at), true), can_write, "{what}");
                }
                let larger = shape.size / M2 - 1;
                assert_eq!(s.leaves(s.n, FIRST), (M2, M2 + larger), "{what}");
                s.v.w.check();
            }
        }
    }
}

/// What the host does to one page, and what a guest in a view reads there then.
type Change = (
    &'static str,
    fn(&Scene, u64),
    fn(&Scene, u64) -> Option<u64>,
);

const OTHER: u64 = ram(0) + 13 * G1;

fn changes() -> [Change; 7] {
    [
        (
            "is unmapped",
            |s, gfn| assert_eq!(s.v.d.remove(gfn, 1, s.mfn(gfn)), 0),
            |_, _| None,
        ),
        (
            "is unmapped by p2m_set_entry",
            |s, gfn| {
                let rc = s.v.d.set_entry(gfn, 1, !0, p2mt::INVALID, access::RWX);
                assert_eq!(rc, 0);
            },
            |_, _| None,
        ),
        (
            "is another",
            |s, gfn| assert_eq!(s.v.d.insert(gfn, 1, OTHER, p2mt::RAM_RW), 0),
            |_, _| Some(OTHER),
        ),
        (
            "is read-only",
            |s, gfn| assert_eq!(s.v.d.insert(gfn, 1, s.mfn(gfn), p2mt::RAM_RO), 0),
            |s, gfn| Some(s.mfn(gfn)),
        ),
        (
            "is a grant",
            |s, gfn| assert_eq!(s.v.d.insert(gfn, 1, ram(1) + 4, p2mt::GRANT_RW), 0),
            |_, _| Some(ram(1) + 4),
        ),
        (
            "is foreign",
            |s, gfn| assert_eq!(s.v.d.map_foreign(s.owner, gfn, ram(1) + 5), 0),
            |_, _| Some(ram(1) + 5),
        ),
        (
            "is a device's",
            |s, gfn| assert_eq!(s.v.d.insert(gfn, 1, 0x9000, p2mt::MMIO_DEV), 0),
            |_, _| Some(0x9000),
        ),
    ]
}

/// Rules T1, T3 and T5 watch that no TLB holds what a view had of it, and in which order it goes.
#[test]
fn no_view_maps_a_page_of_a_copied_block_any_more_once_the_host_has_changed_it() {
    for shape in scenes() {
        for (what, change, reads) in changes() {
            for page in special(shape.size) {
                let (s, gfn) = (Scene::new(shape), FIRST + page);
                // Two views have a block, the third pages, of which a neighbour was set.
                s.copy_blocks();
                let (third, neighbour) = (s.v.create(), gfn ^ 1);
                assert_eq!(s.v.set_access(third, neighbour, P2mAccess::R), Ok(()));
                s.v.vcpu_in(3, third);
                assert_eq!(s.v.read(3, gfn), Some(s.mfn(gfn)));
                change(&s, gfn);
                for (cpu, number) in [(0, s.n), (1, s.other), (3, third)] {
                    let now = s.shown(number, gfn);
                    assert_eq!(now, None, "{what}: {shape:?}, {page:#x}, view {number}");
                    assert_eq!(s.v.w.guest_reads(cpu, ipa(gfn)), None, "{what}");
                }
                assert_eq!(s.v.access(third, neighbour), Some(P2mAccess::R), "{what}");
                for cpu in [0, 1, 2, 3] {
                    let read = s.v.read(cpu, gfn);
                    assert_eq!(read, reads(&s, gfn), "{what}: {shape:?}, CPU {cpu}");
                    let can_write = s.v.w.guest_can(cpu, ipa(gfn), true);
                    assert_eq!(can_write, read.is_some() && what != "is read-only");
                    for page in looked_at(shape.size, page) {
                        let at = FIRST + page;
                        let expected = if at == gfn { read } else { Some(s.mfn(at)) };
                        assert_eq!(s.v.read(cpu, at), expected, "{what}: {shape:?}");
                    }
                }
                s.v.w.check();
            }
        }
    }
}

/// The end of one block and the beginning of the next.
#[test]
fn a_range_across_the_border_of_two_copied_blocks_is_forgotten_on_both_sides() {
    for shape in scenes() {
        for (before, after) in [(1, 1), (M2, 1), (1, M2), (shape.size, 1), (1, shape.size)] {
            let s = Scene::new(shape);
            s.copy_blocks();
            let (border, last) = (s.block(1), s.block(1) + after - 1);
            let rc =
                s.v.d
                    .set_entry(border - before, before + after, !0, 0, access::RWX);
            assert_eq!(rc, 0);
            for gfn in [border - before, border - 1, border, last] {
                assert_eq!(
                    s.shown(s.n, gfn),
                    None,
                    "{shape:?}, {before:#x}, {after:#x}"
                );
                assert_eq!(s.v.read(0, gfn), None);
            }
            for gfn in [border - before - 1, last + 1] {
                let is_mapped = gfn >= FIRST;
                assert_eq!(s.v.read(0, gfn), is_mapped.then(|| s.mfn(gfn)));
            }
            // Blocks that the range does not touch stay as they were copied.
            let third = s.copies(s.n)[&s.block(3)];
            assert_eq!(third, default_leaf(s.mfn(s.block(3)), shape.size));
            s.v.w.check();
        }
    }
}

/// What a view has not copied is no end of it: neither in a table, nor where a table would be.
#[test]
fn a_block_that_a_view_has_copied_behind_holes_is_forgotten_with_all_of_the_range() {
    for shape in scenes() {
        for copied in 0..4 {
            let s = Scene::new(shape);
            let gfn = s.block(copied) + 5;
            assert_eq!(s.v.read(0, gfn), Some(s.mfn(gfn)));
            let rc =
                s.v.d
                    .set_entry(FIRST, s.block(copied) + 6 - FIRST, !0, 0, access::RWX);
            assert_eq!(rc, 0);
            assert_eq!(s.copies(s.n).len(), 0, "{shape:?}, block {copied}");
            assert_eq!(s.v.read(0, gfn), None);
            assert_eq!(s.v.read(0, gfn + 1), Some(s.mfn(gfn + 1)));
            s.v.w.check();
        }
    }
}

/// A block has its view's default access, and so have all of its parts but the one that was set.
#[test]
fn a_view_that_restricts_by_default_has_restricted_blocks_and_one_page_of_them_is_set() {
    for shape in scenes() {
        for (default, read, write) in [(P2mAccess::X, false, false), (P2mAccess::Rx, true, false)] {
            let s = Scene::new(shape);
            let n = s.v.try_create(default).unwrap();
            s.v.vcpu_in(3, n);
            assert!(s.v.w.on_cpu(3, || s.v.d.resolve(FIRST + 5)));
            let copied = s.copies(n)[&FIRST];
            let of_block = (copied.order, copied.read, copied.write, copied.execute);
            assert_eq!(of_block, (s.order(), read, write, true), "{shape:?}");
            assert_eq!(s.v.set_access(n, FIRST + 5, P2mAccess::Rw), Ok(()));
            for page in looked_at(shape.size, 5) {
                let gpa = ipa(FIRST + page);
                let can = (
                    s.v.w.guest_can(3, gpa, false),
                    s.v.w.guest_can(3, gpa, true),
                    s.v.w.guest_can_execute(3, gpa),
                );
                let expected = match page {
                    5 => (true, true, false),
                    _ => (read, write, true),
                };
                assert_eq!(can, expected, "{shape:?}, page {page:#x}");
                let access = if page == 5 { P2mAccess::Rw } else { default };
                assert_eq!(s.v.access(n, FIRST + page), Some(access));
            }
            s.v.w.check();
        }
    }
}

#[test]
fn a_block_that_replaces_a_block_or_its_parts_is_what_all_views_copy_next() {
    for shape in scenes() {
        let s = Scene::new(shape);
        s.copy_blocks();
        let third = s.v.create();
        assert_eq!(s.v.set_access(third, FIRST + 3, P2mAccess::R), Ok(()));
        s.v.vcpu_in(3, third);
        let new = ram(0) + 9 * G1;
        for _ in 0..2 {
            assert_eq!(s.v.d.insert(FIRST, shape.size, new, p2mt::RAM_RW), 0);
            for (cpu, number) in [(0, s.n), (1, s.other), (3, third)] {
                assert_eq!(s.leaves(number, FIRST), (0, 0), "{shape:?}");
                assert_eq!(s.v.read(cpu, FIRST + 3), Some(new + 3));
                assert_eq!(s.v.access(number, FIRST + 3), Some(P2mAccess::Rwx));
            }
            assert_eq!(s.copies(s.n)[&FIRST], default_leaf(new, shape.size));
            // Then of pages, with some of which the host's block was taken apart.
            assert_eq!(s.v.d.insert(FIRST + 4, 2, OTHER, p2mt::RAM_RO), 0);
            assert_eq!(s.v.read(0, FIRST + 4), Some(OTHER));
        }
        s.v.w.check();
    }
}

/// A part of a gigabyte is replaced by a block of 2 MiB: the view's gigabyte goes as a whole.
#[test]
fn a_smaller_block_in_the_middle_of_a_copied_gigabyte_is_seen_and_so_is_the_rest() {
    for shape in scenes().filter(|shape| shape.size == G1) {
        let s = Scene::new(shape);
        s.copy_blocks();
        let (at, new) = (FIRST + 3 * M2, ram(0) + 9 * G1);
        assert_eq!(s.v.d.insert(at, M2, new, p2mt::RAM_RW), 0);
        for cpu in [0, 1] {
            assert_eq!(s.v.w.guest_reads(cpu, ipa(at)), None);
            assert_eq!(s.v.read(cpu, at + 5), Some(new + 5));
            assert_eq!(s.v.read(cpu, at - 1), Some(s.mfn(at - 1)));
            assert_eq!(s.v.read(cpu, at + M2), Some(s.mfn(at + M2)));
        }
        let orders: Vec<_> = s
            .copies(s.n)
            .range(FIRST..FIRST + G1)
            .map(|(_, l)| l.order)
            .collect();
        assert_eq!(orders, [9; 3], "what the host has left is 2 MiB each");
        s.v.w.check();
    }
}

/// None of this changes which frame is mapped where.
#[test]
fn the_hosts_restrictions_splits_and_merges_leave_what_views_have_copied_alone() {
    for shape in scenes() {
        let (s, size) = (Scene::new(shape), shape.size);
        s.copy_blocks();
        let (late, set) = (s.v.create(), FIRST + 9);
        assert_eq!(s.v.set_access(late, set, P2mAccess::X), Ok(()));
        s.v.vcpu_in(3, late);
        let copied = s.copies(s.n);
        for page in special(size) {
            assert_eq!(s.v.d.set_access(FIRST + page, 1, 0, access::R), 0);
        }
        assert_ne!(
            s.v.w.snapshot(s.v.d)[&FIRST].order,
            s.order(),
            "it is split"
        );
        assert_eq!(s.copies(s.n), copied, "{shape:?}: split by the host");
        // A view that copies a part now has a part.
        assert_eq!(s.v.read(3, FIRST + 1), Some(s.mfn(FIRST + 1)));
        let of_late = s.copies(late);
        let nr = u32::try_from(size).unwrap();
        assert_eq!(s.v.d.set_access_fully(FIRST, nr, access::RWX), 0);
        assert_eq!(
            s.v.w.snapshot(s.v.d)[&FIRST].order,
            s.order(),
            "it is whole again"
        );
        assert_eq!(s.copies(s.n), copied, "{shape:?}: merged by the host");
        assert_eq!(s.copies(late), of_late, "{shape:?}");
        assert_eq!(s.v.access(late, set), Some(P2mAccess::X));
        // And what changes then is forgotten in both.
        assert_eq!(s.v.d.remove(FIRST + 1, 1, s.mfn(FIRST + 1)), 0);
        for (cpu, number) in [(0, s.n), (3, late)] {
            assert_eq!(s.shown(number, FIRST + 1), None, "{shape:?}");
            assert_eq!(s.v.read(cpu, FIRST + 1), None);
        }
        s.v.w.check();
    }
}

/// The view's block has no references of its own to split, or to put.
#[test]
fn a_page_of_a_foreign_block_is_put_once_no_view_maps_it() {
    for shape in scenes().filter(|shape| shape.size == M2) {
        let s = Scene::new(shape);
        let (gfn, first) = (s.block(6), ram(1) + M2);
        s.v.w.take_references(first, M2);
        assert_eq!(s.v.d.insert(gfn, M2, first, p2mt::FOREIGN_RW), 0);
        let count = |n| s.v.w.references(first + n);
        for cpu in [0, 1] {
            assert_eq!(s.v.read(cpu, gfn + 3), Some(first + 3));
        }
        assert_eq!(s.copies(s.n)[&gfn].order, 9);
        assert_eq!(s.v.set_access(s.other, gfn + 7, P2mAccess::R), Ok(()));
        assert_eq!((count(3), count(7)), (2, 2), "the owner's, and the host's");
        assert_eq!(s.v.d.remove(gfn + 3, 1, first + 3), 0);
        assert_eq!((count(2), count(3), count(7)), (2, 1, 2));
        for (cpu, number) in [(0, s.n), (1, s.other)] {
            assert_eq!(s.shown(number, gfn + 3), None);
            assert_eq!(s.v.read(cpu, gfn + 2), Some(first + 2));
        }
        assert_eq!(s.v.access(s.other, gfn + 7), Some(P2mAccess::R));
        assert_eq!(s.v.d.set_entry(gfn, M2, !0, 0, access::RWX), 0);
        assert!((0..M2).all(|n| count(n) == 1));
        assert_eq!(s.leaves(s.other, gfn), (0, 0));
        s.v.w.check();
    }
}
