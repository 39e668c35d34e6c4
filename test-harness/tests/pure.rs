// SPDX-License-Identifier: GPL-2.0-only
//! The pure modules: frame numbers, levels, types, accesses, entries as values.
//! Expected numbers are those of the Arm ARM and of Xen's headers.

#![allow(clippy::unwrap_used)] // a test may stop on the spot

mod common;
use p2m_rs::types::access::P2mAccess;
use p2m_rs::types::addr::{Gfn, Ipa, Mfn};
use p2m_rs::types::errno::Errno;
use p2m_rs::types::level::{Level, TableIndex};
use p2m_rs::types::p2m_type::P2mType;
use p2m_rs::types::pte::{Kind, Pte};
use p2m_rs::types::vttbr::Vttbr;
use proptest::prelude::*;

const LEVELS: [Level; 4] = [Level::L0, Level::L1, Level::L2, Level::L3];

#[test]
fn a_level_spans_512_times_the_level_below() {
    let orders: Vec<u32> = LEVELS.iter().map(|l| l.order()).collect();
    assert_eq!(orders, [27, 18, 9, 0]);
    assert!(LEVELS.iter().all(|l| l.pages() == 1 << l.order()));
    assert_eq!(Level::L0.next(), Some(Level::L1));
    assert_eq!(Level::L3.next(), None);
    for (number, level) in (0..).zip(LEVELS) {
        assert_eq!(
            (Level::from_number(number), level.number()),
            (level, number)
        );
    }
}

#[test]
fn an_order_that_c_knows_has_its_level() {
    assert_eq!(Level::of_order(0), Level::L3);
    assert_eq!(Level::of_order(9), Level::L2);
    assert_eq!(Level::of_order(18), Level::L1);
}

#[test]
fn invalid_frames_exist_only_at_the_edge() {
    assert_eq!(Gfn::from_c(u64::MAX), None);
    assert_eq!(Mfn::from_c(u64::MAX), None);
    assert_eq!(Gfn::to_c(None), u64::MAX);
    assert_eq!(Mfn::to_c(None), u64::MAX);
    assert_eq!(Mfn::from_c(u64::MAX - 1), Some(Mfn::new(u64::MAX - 1)));
}

#[test]
fn types_and_accesses_have_the_numbers_of_the_abi() {
    for value in 0..20u64 {
        let t = P2mType::from_c(value);
        assert_eq!(t.is_some(), (1..=11).contains(&value), "type {value}");
        let back = u64::from(P2mType::to_c(t));
        assert_eq!(back, if t.is_some() { value } else { 0 });
        let a = P2mAccess::from_c(value);
        assert_eq!(a.is_some(), value <= 10, "access {value}");
        assert!(a.is_none_or(|a| u64::from(a.to_c()) == value));
    }
}

#[test]
fn the_plain_accesses_are_bit_masks() {
    for value in 0..8u64 {
        let a = P2mAccess::from_c(value).unwrap();
        let bits = (a.allows_read(), a.allows_write(), a.allows_execute());
        assert_eq!(
            bits,
            (value & 1 != 0, value & 2 != 0, value & 4 != 0),
            "{a:?}"
        );
    }
    let special = [
        (P2mAccess::Rx2rw, P2mAccess::Rx),
        (P2mAccess::N2rwx, P2mAccess::N),
        (P2mAccess::RPw, P2mAccess::R),
    ];
    for (a, like) in special {
        let bits = |a: P2mAccess| (a.allows_read(), a.allows_write(), a.allows_execute());
        assert_eq!(bits(a), bits(like), "{a:?}");
    }
}

/// What C is told of an entry is read off its bits, and not by way of the enumerations.
#[test]
fn an_entry_says_the_numbers_of_the_abi_itself() {
    for ty in P2mType::ALL {
        for access in P2mAccess::ALL {
            let pte = Pte::leaf(Mfn::new(0x1234), ty, access, Level::L3).with_access(access);
            let told = (pte.ty_to_c(), pte.access_to_c());
            assert_eq!(told, (P2mType::to_c(Some(ty)), access.to_c()), "{pte:?}");
            assert_eq!((pte.ty(), pte.access()), (Some(ty), access), "{pte:?}");
            let groups = [pte.is_ram(), pte.is_foreign(), pte.is_any_ram()];
            let of_type = [ty.is_ram(), ty.is_foreign(), ty.is_any_ram()];
            assert_eq!(groups, of_type, "{pte:?}");
        }
    }
    let hole = Pte::EMPTY;
    assert_eq!(hole.ty_to_c(), 0);
    assert!(!hole.is_ram() && !hole.is_foreign() && !hole.is_any_ram());
}

/// Whatever the access was before, and nothing but the permissions and the stored access changes.
#[test]
fn a_new_access_gives_the_entry_that_a_mapping_with_it_would_have() {
    for ty in P2mType::ALL {
        for (before, after) in all_pairs(&P2mAccess::ALL) {
            let of = |a| Pte::leaf(Mfn::new(0x1234), ty, a, Level::L3).with_access(a);
            let (old, new) = (of(before), of(after));
            assert_eq!(old.with_rights(ty, after), new, "{ty:?}: {before:?}");
            let untouched = old.without_valid_bit().with_rights(ty, after);
            assert_eq!(untouched, new.without_valid_bit(), "{ty:?}: {before:?}");
        }
    }
}

fn all_pairs<T: Copy>(all: &[T]) -> impl Iterator<Item = (T, T)> + '_ {
    all.iter()
        .flat_map(move |&one| all.iter().map(move |&other| (one, other)))
}

#[test]
fn types_fall_into_xens_groups() {
    let group = |f: fn(P2mType) -> bool| -> Vec<u32> {
        P2mType::ALL
            .into_iter()
            .filter(|t| f(*t))
            .map(|t| t as u32)
            .collect()
    };
    assert_eq!(group(P2mType::is_ram), [1, 2]);
    assert_eq!(group(P2mType::is_foreign), [6, 7]);
    assert_eq!(group(P2mType::is_any_ram), [1, 2, 6, 7, 8, 9]);
    assert_eq!(group(P2mType::is_executable), [1, 2]);
    assert_eq!(group(P2mType::is_writable), [1, 3, 4, 5, 6, 8, 10]);
}

#[test]
fn errors_have_the_numbers_of_xens_errno_h() {
    let errors = [
        (Errno::ESRCH, -3),
        (Errno::ENOMEM, -12),
        (Errno::EBUSY, -16),
        (Errno::EINVAL, -22),
        (Errno::ENOSYS, -38),
        (Errno::EILSEQ, -84),
        (Errno::ERESTART, -85),
        (Errno::EOPNOTSUPP, -95),
        (Errno::check(-5).unwrap_err(), -5),
    ];
    for (errno, value) in errors {
        assert_eq!(errno.to_c(), value);
    }
    for no_error in [0, 1, 22, i32::MAX] {
        assert_eq!(Errno::check(no_error), Ok(()));
    }
}

#[test]
fn the_valid_bit_and_being_mapped_are_independent() {
    let leaf = Pte::leaf(Mfn::new(7), P2mType::RamRw, P2mAccess::Rwx, Level::L3);
    let tracked = leaf.without_valid_bit();
    assert!(leaf.valid_bit() && leaf.is_mapped());
    assert!(!tracked.valid_bit() && tracked.is_mapped());
    assert_eq!(tracked.with_valid_bit(), leaf);
    assert_eq!(tracked.mfn(), Mfn::new(7));
    // Bits that hardware would use, but no type: nothing is mapped.
    let no_type = Pte::from_bits(0x743);
    assert!(no_type.valid_bit() && !no_type.is_mapped());
    assert!(LEVELS.iter().all(|l| no_type.kind(*l) == Kind::Empty));
}

#[test]
fn a_leaf_of_any_level_becomes_one_of_any_level() {
    let leaf = |level| Pte::leaf(Mfn::new(1 << 18), P2mType::RamRw, P2mAccess::Rwx, level);
    let levels = || [Level::L1, Level::L2, Level::L3].into_iter();
    for (from, to) in levels().flat_map(|from| levels().map(move |to| (from, to))) {
        assert_eq!(leaf(from).at_level(to), leaf(to), "{from:?} to {to:?}");
    }
}

#[test]
fn the_table_bit_means_a_table_above_level_3_and_a_page_at_level_3() {
    let page = Pte::leaf(Mfn::new(7), P2mType::RamRw, P2mAccess::Rwx, Level::L3);
    let block = Pte::leaf(Mfn::new(512), P2mType::RamRw, P2mAccess::Rwx, Level::L2);
    assert_eq!(page.bits() & 2, 2);
    assert_eq!(block.bits() & 2, 0);
    assert_eq!(page.kind(Level::L3), Kind::Leaf);
    assert_eq!(page.kind(Level::L2), Kind::Table(Mfn::new(7)));
    assert_eq!(block.kind(Level::L2), Kind::Leaf);
}

#[test]
fn only_permissions_may_differ_without_a_break() {
    let of = |mfn, t, a| Pte::leaf(Mfn::new(mfn), t, a, Level::L3);
    let base = of(7, P2mType::RamRw, P2mAccess::Rwx);
    for a in P2mAccess::ALL {
        assert!(
            of(7, P2mType::RamRw, a).differs_only_in_permissions(base),
            "{a:?}"
        );
        assert!(
            !of(8, P2mType::RamRw, a).differs_only_in_permissions(base),
            "{a:?}"
        );
    }
    assert!(!of(7, P2mType::MmioDirectDev, P2mAccess::Rwx).differs_only_in_permissions(base));
    assert!(!base.without_valid_bit().differs_only_in_permissions(base));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn vttbr_el2_holds_a_root_of_36_bits_and_a_vmid_of_16(
        root in 0u64..1 << 36, other in 0u64..1 << 36, vmid in 1u16.., number in 0u64..16
    ) {
        // The tables of a root lie one behind the other, and as many are aligned.
        let root = root & !15;
        let vttbr = Vttbr::new(Mfn::new(root), vmid);
        prop_assert_eq!(vttbr.bits(), u64::from(vmid) << 48 | root << 12);
        prop_assert_eq!(Vttbr::from_bits(vttbr.bits()), vttbr);
        prop_assert_eq!(vttbr.root(), Some(Mfn::new(root)));
        let pointer = vttbr.root_pointer(number).unwrap();
        prop_assert_eq!(pointer >> 12 & ((1 << 36) - 1), root + number);
        let moved = vttbr.with_root(Mfn::new(other));
        prop_assert_eq!(moved, Vttbr::new(Mfn::new(other), vmid));
        prop_assert!(moved.has_vmid_of(vttbr));
        prop_assert!(!Vttbr::new(Mfn::new(root), vmid ^ 1).has_vmid_of(vttbr));
        prop_assert_eq!(Vttbr::NONE.root(), None);
        prop_assert_eq!(Vttbr::NONE.root_pointer(number), None);
    }

    #[test]
    fn a_frame_is_found_again_by_its_index_at_each_level(gfn in 0u64..1 << 36) {
        let mut rebuilt = 0;
        for level in LEVELS {
            rebuilt = rebuilt << 9 | level.index(Gfn::new(gfn)).get() as u64;
        }
        prop_assert_eq!(rebuilt, gfn);
    }

    #[test]
    fn an_index_is_below_512_and_leaves_room_to_the_end(index: u64) {
        let index = TableIndex::truncate(index);
        prop_assert!(index.get() < 512);
        prop_assert_eq!(index.get() as u64 + index.entries_left(), 512);
    }

    #[test]
    fn the_next_boundary_is_aligned_above_and_within_a_block(gfn in 0u64..1 << 52, level in 0usize..4) {
        let order = LEVELS.map(Level::order).get(level).copied().unwrap();
        let next = Gfn::new(gfn).next_boundary(order).raw();
        prop_assert!(next > gfn && next - gfn <= 1 << order);
        prop_assert_eq!(next % (1 << order), 0);
    }

    #[test]
    fn an_entry_spans_what_comes_before_a_frame_and_what_is_left(gfn in 0u64..1 << 52, level in 0usize..4) {
        let (level, gfn) = (LEVELS.get(level).copied().unwrap(), Gfn::new(gfn));
        prop_assert_eq!(level.offset(gfn) + level.pages_from(gfn), level.pages());
        prop_assert_eq!(gfn.raw() + level.pages_from(gfn), gfn.next_boundary(level.order()).raw());
    }

    #[test]
    fn a_run_of_entries_of_a_table_ends_with_the_table(at in 0u64..512, count in 0u64..1024) {
        let index = TableIndex::truncate(at);
        let next = index.advanced(count).map(|next| next.get() as u64);
        prop_assert_eq!(next, (at + count < 512).then_some(at + count));
    }

    #[test]
    fn an_entry_stores_its_access_in_bits_that_the_hardware_ignores(
        a in prop::sample::select(P2mAccess::ALL.to_vec()),
        bits: u64,
    ) {
        let pte = Pte::from_bits(bits);
        let set = pte.with_access(a);
        prop_assert_eq!(set.access(), a);
        prop_assert_eq!((set.bits() ^ bits) & !(0xF << 59), 0);
        prop_assert!(pte.differs_only_in_permissions(set));
    }

    #[test]
    fn an_address_is_its_frame_and_its_offset(ipa: u64) {
        let ipa = Ipa::new(ipa);
        prop_assert_eq!(ipa.gfn().raw() << 12 | ipa.page_offset(), ipa.raw());
    }

    #[test]
    fn an_entry_gives_back_what_it_was_made_of(
        mfn in 0u64..1 << 36,
        t in prop::sample::select(P2mType::ALL.to_vec()),
        a in prop::sample::select(P2mAccess::ALL.to_vec()),
        level in prop::sample::select(vec![Level::L1, Level::L2, Level::L3]),
    ) {
        let mfn = Mfn::new(mfn & !(level.pages() - 1));
        let pte = Pte::leaf(mfn, t, a, level);
        prop_assert_eq!((pte.mfn(), pte.ty(), pte.kind(level)), (mfn, Some(t), Kind::Leaf));
        prop_assert!(pte.valid_bit() && pte.is_mapped());
        if let Some(below) = level.next() {
            for i in [0, 1, 511] {
                let child = pte.advanced(i * below.pages()).at_level(below);
                prop_assert_eq!(child.mfn().raw(), mfn.raw() + i * below.pages());
                prop_assert_eq!(child.kind(below), Kind::Leaf);
                prop_assert_eq!(child.ty(), Some(t));
            }
        }
    }
}
