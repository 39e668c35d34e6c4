// SPDX-License-Identifier: GPL-2.0-only
//! Views where blocks end: pages of blocks that are shown elsewhere, the window (the range from a
//! view's lowest source to its highest), and the end of the address space.

#![cfg(config_altp2m)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;

use common::large::{default_leaf, scenes, Scene, Shape, FIRST, PAGES};
use common::views::{ipa, Viewed};
use common::{access, p2mt, ram, G1, M2, SIZES};
use p2m_rs::types::access::P2mAccess;
use p2m_rs::types::errno::Errno;
use test_harness::{Config, INVALID};

/// Where the source is shown.
const AT: u64 = PAGES + 9;

/// Unmaps frames, whatever is mapped there.
fn unmap(s: &Scene, gfn: u64, nr: u64) {
    assert_eq!(s.v.d.set_entry(gfn, nr, INVALID, 0, access::RWX), 0);
}

fn sources(size: u64) -> [u64; 5] {
    [0, 1, size / 2 + 7, size - M2, size - 1].map(|page| FIRST + page)
}

#[test]
fn a_page_of_a_block_is_shown_elsewhere_and_nobodys_block_is_split_for_it() {
    for shape in scenes() {
        for source in sources(shape.size) {
            for copied in [false, true] {
                let s = Scene::new(shape);
                if copied {
                    s.copy_blocks();
                }
                let (host, blocks) = (s.v.w.dump(s.v.d), s.leaves(s.n, FIRST));
                assert_eq!(s.v.remap(s.n, AT, source), Ok(()));
                let shows = s.v.w.guest_reads(0, ipa(AT));
                assert_eq!(shows, Some(ipa(s.mfn(source))), "{shape:?}, {source:#x}");
                assert_eq!(s.v.w.dump(s.v.d), host, "{shape:?}, {source:#x}");
                assert_eq!(s.leaves(s.n, FIRST), blocks, "{shape:?}, {source:#x}");
                assert_eq!(s.v.read(0, source), Some(s.mfn(source)));
                assert_eq!(s.copies(s.n)[&FIRST].order, s.order());
                assert_eq!(s.v.read(1, AT), Some(s.mfn(AT)), "in the other view");
                s.v.w.check();
            }
        }
    }
}

#[test]
fn a_page_of_a_block_is_shown_at_another_page_of_that_block() {
    for shape in scenes() {
        let last = FIRST + shape.size - 1;
        for (at, source) in [(FIRST, last), (last, FIRST), (FIRST + 3, FIRST + 4)] {
            let s = Scene::new(shape);
            s.copy_blocks();
            assert_eq!(s.v.remap(s.n, at, source), Ok(()));
            for (gfn, shows) in [(at, source), (source, source), (FIRST + 9, FIRST + 9)] {
                assert_eq!(s.v.w.guest_reads(0, ipa(gfn)), Some(ipa(s.mfn(shows))));
            }
            assert_eq!(s.v.forget_remapping(s.n, at), Ok(()));
            assert_eq!(s.v.read(0, at), Some(s.mfn(at)), "its own again");
            s.v.w.check();
        }
    }
}

/// Only what the host maps at the source counts, and not what else is in its block.
#[test]
fn a_source_in_a_block_is_out_of_reach_with_its_own_page_and_stays_without_the_others() {
    type Change = (&'static str, fn(&Scene, u64));
    let changes: [Change; 3] = [
        ("unmapped", |s, gfn| unmap(s, gfn, 1)),
        ("replaced", |s, gfn| {
            assert_eq!(s.v.d.insert(gfn, 1, ram(0) + 9 * G1, p2mt::RAM_RW), 0);
        }),
        ("read-only", |s, gfn| {
            assert_eq!(s.v.d.insert(gfn, 1, s.mfn(gfn), p2mt::RAM_RO), 0);
        }),
    ];
    for shape in scenes() {
        for (what, change) in changes {
            for source in sources(shape.size) {
                let s = Scene::new(shape);
                s.copy_blocks();
                assert_eq!(s.v.remap(s.n, AT, source), Ok(()));
                let old = s.mfn(source);
                for other in [source ^ 1, source ^ (shape.size / 2)] {
                    change(&s, other);
                    assert_eq!(
                        s.shown(s.n, AT),
                        Some(old),
                        "{what}: {source:#x}, {other:#x}"
                    );
                }
                // (The host's block is split by now.)
                change(&s, source);
                for number in [s.n, s.other] {
                    let maps = s.copies(number);
                    let mut leaves = maps.values();
                    let has_old = |leaf: &test_harness::Leaf| {
                        (leaf.mfn..leaf.mfn + (1 << leaf.order)).contains(&old)
                    };
                    assert!(!leaves.any(has_old), "{what}: {shape:?}, {source:#x}");
                }
                assert_eq!(s.v.read(0, AT), Some(s.mfn(AT)), "its own again");
                s.v.w.check();
            }
        }
    }
}

/// What the host does, whether it reaches into the window, and its name.
type Change = (&'static str, fn(&Scene), bool);

/// The window is from the last page of block 1 to the first page of block 2.
fn around_the_window() -> [Change; 14] {
    [
        ("the page before", |s| unmap(s, s.block(2) - 2, 1), false),
        ("the first source", |s| unmap(s, s.block(2) - 1, 1), true),
        ("the last source", |s| unmap(s, s.block(2), 1), true),
        ("the page after", |s| unmap(s, s.block(2) + 1, 1), false),
        (
            "the block before",
            |s| unmap(s, s.block(0), s.size()),
            false,
        ),
        ("the first block", |s| unmap(s, s.block(1), s.size()), true),
        ("the last block", |s| unmap(s, s.block(2), s.size()), true),
        ("the block after", |s| unmap(s, s.block(3), s.size()), false),
        (
            "up to it",
            |s| unmap(s, s.block(0), 2 * s.size() - 1),
            false,
        ),
        ("into it", |s| unmap(s, s.block(0), 2 * s.size()), true),
        (
            "from behind it on",
            |s| unmap(s, s.block(2) + 1, 2 * s.size() - 1),
            false,
        ),
        ("all of it", |s| unmap(s, s.block(0), 4 * s.size()), true),
        (
            "the first block, by another",
            |s| {
                let new = ram(0) + 9 * G1;
                assert_eq!(s.v.d.insert(s.block(1), s.size(), new, p2mt::RAM_RW), 0);
            },
            true,
        ),
        (
            "the block after, by another",
            |s| {
                let new = ram(0) + 9 * G1;
                assert_eq!(s.v.d.insert(s.block(3), s.size(), new, p2mt::RAM_RW), 0);
            },
            false,
        ),
    ]
}

#[test]
fn a_view_is_emptied_by_a_block_that_has_a_source_in_it_and_by_none_beside_it() {
    for shape in scenes() {
        for (what, change, empties) in around_the_window() {
            for low_first in [false, true] {
                let s = Scene::new(shape);
                s.copy_blocks();
                assert_eq!(s.v.set_access(s.n, PAGES, P2mAccess::R), Ok(()));
                let (first, last) = (s.block(2) - 1, s.block(2));
                let order = if low_first {
                    [first, last]
                } else {
                    [last, first]
                };
                for (at, source) in (AT..).zip(order) {
                    assert_eq!(s.v.remap(s.n, at, source), Ok(()));
                }
                change(&s);
                let expected = if empties {
                    P2mAccess::Rwx
                } else {
                    P2mAccess::R
                };
                assert_eq!(s.v.access(s.n, PAGES), Some(expected), "{shape:?}: {what}");
                for (at, source) in (AT..).zip(order) {
                    let shown = s.mfn(if empties { at } else { source });
                    assert_eq!(s.v.read(0, at), Some(shown), "{shape:?}: {what}");
                }
                s.v.w.check();
            }
        }
    }
}

/// Its sources went with all else, so what was one of them is a frame like others.
#[test]
fn a_view_that_was_emptied_has_no_window_any_more() {
    for shape in scenes() {
        let s = Scene::new(shape);
        s.copy_blocks();
        for (at, block) in [(AT, 1), (AT + 1, 3)] {
            assert_eq!(s.v.remap(s.n, at, s.block(block)), Ok(()));
        }
        unmap(&s, s.block(2) + 5, 1);
        assert_eq!(s.v.read(0, AT), Some(s.mfn(AT)), "it is emptied");
        assert_eq!(s.v.set_access(s.n, PAGES, P2mAccess::R), Ok(()));
        for block in [1, 2, 3] {
            unmap(&s, s.block(block), shape.size);
        }
        assert_eq!(s.v.access(s.n, PAGES), Some(P2mAccess::R), "{shape:?}");
        s.v.w.check();
    }
}

/// A block in which a frame is shown elsewhere is no source, and neither is what lies between two.
#[test]
fn a_change_of_the_block_that_shows_a_page_empties_no_view() {
    for shape in scenes() {
        let s = Scene::new(shape);
        s.copy_blocks();
        assert_eq!(s.v.set_access(s.n, PAGES, P2mAccess::R), Ok(()));
        assert_eq!(s.v.remap(s.n, s.block(1) + 5, s.block(3) + 6), Ok(()));
        assert_eq!(s.v.remap(s.n, s.block(2) + 5, s.block(3) + 6), Ok(()));
        unmap(&s, s.block(1), shape.size);
        assert_eq!(s.v.read(0, s.block(1) + 5), None);
        assert_eq!(s.v.read(0, s.block(2) + 5), Some(s.mfn(s.block(3) + 6)));
        assert_eq!(s.v.access(s.n, PAGES), Some(P2mAccess::R));
        s.v.w.check();
    }
}

/// The last page that a guest can have, of a root of each shape.
fn last_page(ipa_bits: u32) -> u64 {
    (1 << (ipa_bits - 12)) - 1
}

/// A guest with a block at the end of its address space, and a vCPU in a view.
fn at_the_end(Shape { ipa_bits, size }: Shape) -> (Viewed, u16, u64) {
    let v = Viewed::on(Config {
        ipa_bits,
        ..Config::default()
    });
    let last = last_page(ipa_bits);
    assert_eq!(v.d.insert(last + 1 - size, size, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(v.d.insert(PAGES, 4, ram(0) + 2 * G1, p2mt::RAM_RW), 0);
    let n = v.create();
    v.vcpu_in(0, n);
    (v, n, last)
}

fn ends() -> impl Iterator<Item = Shape> {
    let sizes = [1, M2, G1].into_iter();
    sizes.flat_map(|size| SIZES.map(|ipa_bits| Shape { ipa_bits, size }))
}

#[test]
fn the_last_frame_of_the_address_space_is_copied_and_forgotten_as_any_other() {
    for shape in ends() {
        for (whole, by_first) in [(false, false), (false, true), (true, false), (true, true)] {
            let (v, n, last) = at_the_end(shape);
            let (first, mfn) = (last + 1 - shape.size, ram(0) + shape.size - 1);
            // The block is copied when the guest comes to either end of it.
            let comes_to = if by_first { first } else { last };
            assert_eq!(v.read(0, comes_to), Some(mfn + comes_to - last));
            let copied = v.w.view_snapshot(v.view(n));
            assert_eq!(
                copied[&first],
                default_leaf(ram(0), shape.size),
                "{shape:?}"
            );
            let (gone, nr) = if whole {
                (first, shape.size)
            } else {
                (last, 1)
            };
            assert_eq!(v.d.remove(gone, nr, mfn + gone - last), 0);
            assert_eq!(v.w.guest_reads(0, ipa(last)), None, "{shape:?}");
            assert_eq!(v.read(0, last), None, "{shape:?}");
            let left = shape.size > 1 && !whole;
            assert_eq!(v.read(0, last - 1), left.then(|| mfn - 1), "{shape:?}");
            assert_eq!(v.d.insert(last, 1, ram(0) + 3 * G1, p2mt::RAM_RO), 0);
            assert_eq!(v.read(0, last), Some(ram(0) + 3 * G1), "{shape:?}");
            assert!(!v.w.guest_can(0, ipa(last), true), "{shape:?}");
            v.w.check();
        }
    }
}

#[test]
fn the_last_frame_of_the_address_space_has_an_access_and_is_shown_as_any_other() {
    for shape in ends() {
        let (v, n, last) = at_the_end(shape);
        let mfn = ram(0) + shape.size - 1;
        assert_eq!(v.set_access(n, last, P2mAccess::R), Ok(()));
        assert_eq!(v.access(n, last), Some(P2mAccess::R));
        assert_eq!(v.w.guest_reads(0, ipa(last)), Some(ipa(mfn)), "{shape:?}");
        assert!(!v.w.guest_can(0, ipa(last), true), "{shape:?}");
        assert_eq!(v.set_access(n, last, P2mAccess::Rwx), Ok(()));
        // As what shows another, and as what is shown.
        assert_eq!(v.remap(n, last, PAGES), Ok(()));
        assert_eq!(v.read(0, last), Some(ram(0) + 2 * G1), "{shape:?}");
        assert_eq!(v.forget_remapping(n, last), Ok(()));
        assert_eq!(v.read(0, last), Some(mfn), "{shape:?}");
        assert_eq!(v.remap(n, PAGES + 1, last), Ok(()));
        assert_eq!(v.read(0, PAGES + 1), Some(mfn), "{shape:?}");
        assert_eq!(v.d.remove(last, 1, mfn), 0);
        assert_eq!(v.w.guest_reads(0, ipa(PAGES + 1)), None, "{shape:?}");
        assert_eq!(v.read(0, PAGES + 1), Some(ram(0) + 2 * G1 + 1), "{shape:?}");
        v.w.check();
    }
}

#[test]
fn beyond_the_address_space_a_view_has_nothing_and_nothing_happens() {
    for shape in ends() {
        let (v, n, last) = at_the_end(shape);
        assert_eq!(v.read(0, last), Some(ram(0) + shape.size - 1));
        let (view, host) = (v.w.view_dump(v.view(n)), v.w.dump(v.d));
        let limit = Config {
            ipa_bits: shape.ipa_bits,
            ..Config::default()
        };
        for beyond in [last + 1, limit.gfn_limit(), 1 << 40, INVALID - 1] {
            assert_eq!(v.read(0, beyond & (INVALID >> 12)), None, "{beyond:#x}");
            assert_eq!(v.set_access(n, beyond, P2mAccess::R), Ok(()), "{beyond:#x}");
            assert_eq!(v.access(n, beyond), None, "{beyond:#x}");
            let esrch = Err(Errno::ESRCH);
            assert_eq!(v.remap(n, beyond, PAGES), esrch, "{beyond:#x}");
            assert_eq!(v.remap(n, PAGES, beyond), esrch, "{beyond:#x}");
            assert_eq!(v.forget_remapping(n, beyond), Ok(()), "{beyond:#x}");
            assert_eq!(v.w.view_dump(v.view(n)), view, "{shape:?}, {beyond:#x}");
        }
        assert_eq!(v.w.dump(v.d), host, "{shape:?}");
        v.w.check();
    }
}
