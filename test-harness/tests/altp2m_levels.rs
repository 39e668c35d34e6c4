// SPDX-License-Identifier: GPL-2.0-only
//! Faults in a view, by where the walk ends and by what is mapped there: a translation fault at each
//! level copies, and is no event; a refusal by a leaf of each size is judged by that leaf; and what is
//! copied has the rights that its type and the view's default allow.

#![cfg(config_altp2m)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;

use common::views::{ipa, Viewed};
use common::{access, guest, p2mt, ram, G1, M2};
use p2m_rs::types::access::P2mAccess;
use test_harness::{pte, Config, Domain};
use xen_sys::npfec;

const GLA: u64 = 0xFFFF_0000_0000_0456;

/// What a guest may do: read, write, execute.
type Rights = (bool, bool, bool);

/// What each type allows.
const TYPES: [(u32, Rights); 11] = [
    (p2mt::RAM_RW, (true, true, true)),
    (p2mt::RAM_RO, (true, false, true)),
    (p2mt::MMIO_DEV, (true, true, false)),
    (p2mt::MMIO_NC, (true, true, false)),
    (p2mt::MMIO_C, (true, true, false)),
    (p2mt::FOREIGN_RW, (true, true, false)),
    (p2mt::FOREIGN_RO, (true, false, false)),
    (p2mt::GRANT_RW, (true, true, false)),
    (p2mt::GRANT_RO, (true, false, false)),
    (p2mt::IOMMU_RW, (true, true, false)),
    (p2mt::IOMMU_RO, (true, false, false)),
];

/// What each access allows.
const ACCESSES: [(u32, Rights); 11] = [
    (access::N, (false, false, false)),
    (access::R, (true, false, false)),
    (access::W, (false, true, false)),
    (access::RW, (true, true, false)),
    (access::X, (false, false, true)),
    (access::RX, (true, false, true)),
    (access::WX, (false, true, true)),
    (access::RWX, (true, true, true)),
    (access::RX2RW, (true, false, true)),
    (access::N2RWX, (false, false, false)),
    (access::R_PW, (true, false, false)),
];

fn both(one: Rights, other: Rights) -> Rights {
    (one.0 && other.0, one.1 && other.1, one.2 && other.2)
}

/// Maps that many pages with a type, of which the owner has the right frames.
fn map(v: &Viewed, gfn: u64, nr: u64, ty: u32) -> u64 {
    let _owner: Domain = guest(&v.w, 1);
    let mfn = match ty {
        p2mt::RAM_RW | p2mt::RAM_RO | p2mt::IOMMU_RW | p2mt::IOMMU_RO => ram(0),
        p2mt::MMIO_DEV | p2mt::MMIO_NC | p2mt::MMIO_C => 0x8000,
        _ => ram(1),
    };
    if p2mt::is_foreign(ty) {
        v.w.take_references(mfn, nr);
    }
    assert_eq!(v.d.insert(gfn, nr, mfn, ty), 0);
    mfn
}

/// The word of a view's tables for a frame, in the table of that level.
fn word(v: &Viewed, number: u16, gfn: u64, level: u32) -> u64 {
    let tables = v.w.view_dump(v.view(number));
    let of_level: Vec<_> = tables.iter().filter(|table| table.level == level).collect();
    let [table] = of_level[..] else {
        panic!("{} tables of level {level}", of_level.len());
    };
    let index = usize::try_from(gfn >> pte::order(level) & 511).unwrap();
    table.words[&index]
}

/// All but the rights, the access and the valid bit is the host's: frame, type, memory attributes,
/// and the access flag.
#[test]
fn what_a_fault_copies_has_the_types_rights_as_far_as_the_views_default_allows() {
    let gfn = 0x4000;
    for (nr, level) in [(1, 3), (M2, 2)] {
        for (ty, given) in TYPES {
            for (default, left) in ACCESSES {
                let what = format!("type {ty}, access {default}, {nr} pages");
                let v = Viewed::plain();
                let mfn = map(&v, gfn, nr, ty);
                let n = v.d.create_view(default).unwrap();
                v.vcpu_in(0, n);
                assert!(v.w.on_cpu(0, || v.d.resolve(gfn + nr / 2)), "{what}");
                let can = (
                    v.w.guest_can(0, ipa(gfn), false),
                    v.w.guest_can(0, ipa(gfn), true),
                    v.w.guest_can_execute(0, ipa(gfn)),
                );
                assert_eq!(can, both(given, left), "{what}");
                let (copied, host) = (word(&v, n, gfn, level), v.w.entry(v.d, gfn, level));
                assert_eq!(
                    (pte::mfn(copied), pte::p2m_type(copied)),
                    (mfn, ty),
                    "{what}"
                );
                assert_eq!(pte::setting(copied), default, "{what}");
                assert_eq!(copied & pte::VALID, pte::VALID, "{what}");
                let own = pte::READ | pte::WRITE | pte::XN | 0xF << 59 | pte::VALID;
                assert_eq!((copied ^ host) & !own, 0, "{what}");
                assert_eq!(copied >> 10 & 1, 1, "{what}: the access flag");
                assert!(v.d.access_in_view(n, gfn) == (0, default), "{what}");
                v.w.check();
            }
        }
    }
}

/// A page, and what a view has to have copied for a walk to it to end at each level.
const PAGE: u64 = 3 * G1 + 5 * M2 + 7;
const HOLE: u64 = PAGE + 2;
const BESIDE: [(u32, Option<u64>); 4] = [
    (0, None),
    (1, Some(4 * G1)),
    (2, Some(3 * G1 + 7 * M2)),
    (3, Some(PAGE + 1)),
];

/// A guest under a root of level 0, and a view in which a walk to [`PAGE`] ends at a level. A monitor
/// listens, and the host p2m has restricted the page, which is no matter.
fn walk_ends_at(beside: Option<u64>) -> (Viewed, u16) {
    let v = Viewed::on(Config {
        ipa_bits: 48,
        ..Config::default()
    });
    for (n, gfn) in (0..).zip([PAGE, PAGE + 1, 3 * G1 + 7 * M2, 4 * G1]) {
        assert_eq!(v.d.insert(gfn, 1, ram(0) + n, p2mt::RAM_RW), 0);
    }
    assert_eq!(v.d.set_access(PAGE, 1, 0, access::N), 0);
    let n = v.create();
    v.vcpu_in(0, n);
    if let Some(gfn) = beside {
        assert!(v.read(0, gfn).is_some());
    }
    v.w.monitor_listens(v.d, true);
    (v, n)
}

#[test]
fn a_translation_fault_at_each_level_makes_the_tables_that_are_missing_and_is_no_event() {
    for (level, beside) in BESIDE {
        let (v, n) = walk_ends_at(beside);
        let (used, host) = (v.used(), v.w.dump(v.d));
        assert!(!v.w.guest_is_mapped(0, ipa(PAGE)));
        assert!(v.w.on_cpu(0, || v.d.resolve(PAGE)), "level {level}");
        assert_eq!(v.w.guest_reads(0, ipa(PAGE)), Some(ipa(ram(0))));
        assert!(v.w.guest_can(0, ipa(PAGE), true), "level {level}");
        assert_eq!(v.used() - used, u64::from(3 - level));
        assert_eq!(v.access(n, PAGE), Some(P2mAccess::Rwx));
        let leaves = v.w.view_snapshot(v.view(n)).len();
        assert_eq!(leaves, 1 + usize::from(beside.is_some()));
        assert_eq!(v.w.monitor_requests(), []);
        assert_eq!(v.w.dump(v.d), host, "level {level}");
        v.w.check();
    }
}

#[test]
fn a_translation_fault_where_the_host_maps_nothing_is_the_guests_and_makes_no_table() {
    for (level, beside) in BESIDE {
        let (v, n) = walk_ends_at(beside);
        let (view, used) = (v.w.view_dump(v.view(n)), v.used());
        assert!(!v.w.on_cpu(0, || v.d.resolve(HOLE)), "level {level}");
        assert_eq!((v.w.view_dump(v.view(n)), v.used()), (view, used));
        assert_eq!(v.w.monitor_requests(), []);
        assert_eq!(v.w.fate(v.d).0, 0, "no crash");
        v.w.check();
    }
}

/// What refused the access has gone meanwhile, with as many of the tables to it.
#[test]
fn a_refusal_by_an_entry_that_is_not_there_at_any_level_is_tried_again() {
    for (level, beside) in BESIDE {
        for gfn in [PAGE, HOLE] {
            for bits in [1, 2, 4] {
                let (v, n) = walk_ends_at(beside);
                let view = v.w.view_dump(v.view(n));
                let npfec = npfec {
                    bits: bits | 1 << 4 | 2 << 5,
                };
                let again = v.w.permission_fault(ipa(gfn), GLA, npfec);
                assert!(again, "level {level}, {gfn:#x}");
                assert_eq!(v.w.monitor_requests(), []);
                assert_eq!(v.w.aborts_injected(), [0; 0]);
                assert_eq!(v.w.view_dump(v.view(n)), view, "level {level}");
                v.w.check();
            }
        }
    }
}

/// Where the leaves are: pages, a block of 2 MiB, one of 1 GiB. In the second root page, if there
/// are two.
const LEAVES: u64 = 513 * G1;

/// A view with that default that has copied a leaf; the guest's write is refused by it.
fn refused_by_leaf(ipa_bits: u32, size: u64, default: P2mAccess) -> (Viewed, u16) {
    let v = Viewed::on(Config {
        ipa_bits,
        ..Config::default()
    });
    // (Not all of 2 MiB, which would be a block.)
    let nr = if size == 1 { 64 } else { size };
    assert_eq!(v.d.insert(LEAVES, nr, ram(0), p2mt::RAM_RW), 0);
    let n = v.try_create(default).unwrap();
    v.vcpu_in(0, n);
    assert!(v.w.on_cpu(0, || v.d.resolve(LEAVES + 5 % size)));
    assert!(!v.w.guest_can(0, ipa(LEAVES + 5 % size), true));
    let leaves = v.w.view_snapshot(v.view(n));
    assert_eq!(leaves.len(), 1);
    assert_eq!(leaves[&LEAVES].order, size.trailing_zeros());
    (v, n)
}

fn leaves() -> impl Iterator<Item = (u32, u64)> {
    [40, 48]
        .into_iter()
        .flat_map(|ipa_bits| [1, M2, G1].map(|size| (ipa_bits, size)))
}

fn write_is_refused(v: &Viewed, gfn: u64) -> bool {
    let bits = 1 << 1 | 1 << 4 | 2 << 5;
    v.w.permission_fault(ipa(gfn) | 0x123, GLA, npfec { bits })
}

#[test]
fn a_refusal_by_a_leaf_of_each_size_is_one_event_and_the_leaf_stays_whole() {
    for (ipa_bits, size) in leaves() {
        for default in [P2mAccess::R, P2mAccess::X, P2mAccess::Rx, P2mAccess::N] {
            let (v, n) = refused_by_leaf(ipa_bits, size, default);
            v.w.monitor_listens(v.d, true);
            let (view, host) = (v.w.view_dump(v.view(n)), v.w.dump(v.d));
            let gfn = LEAVES + 5 % size;
            assert!(write_is_refused(&v, gfn));
            let events = v.w.monitor_requests();
            assert_eq!(events.len(), 1, "{ipa_bits}, {size:#x}");
            let event = events[0];
            assert_eq!((event.gfn, event.flags & 7, event.sync), (gfn, 2, true));
            assert_eq!(v.w.view_dump(v.view(n)), view, "{ipa_bits}, {size:#x}");
            assert_eq!(v.w.dump(v.d), host);
            v.w.check();
        }
    }
}

/// Nobody listens, or the access says so: the page of the fault is lifted, and no other.
#[test]
fn a_restriction_by_a_leaf_of_each_size_is_lifted_for_the_page_of_the_fault_alone() {
    for (ipa_bits, size) in leaves() {
        for (default, lifted) in [
            (P2mAccess::R, P2mAccess::Rwx),
            (P2mAccess::N, P2mAccess::Rwx),
            (P2mAccess::Rx2rw, P2mAccess::Rw),
            (P2mAccess::N2rwx, P2mAccess::Rwx),
        ] {
            let (v, n) = refused_by_leaf(ipa_bits, size, default);
            v.w.monitor_listens(
                v.d,
                default == P2mAccess::Rx2rw || default == P2mAccess::N2rwx,
            );
            let (host, page) = (v.w.dump(v.d), 5 % size);
            assert!(write_is_refused(&v, LEAVES + page));
            let what = format!("{ipa_bits}, {size:#x}, {default:?}");
            assert!(v.w.guest_can(0, ipa(LEAVES + page), true), "{what}");
            assert_eq!(v.access(n, LEAVES + page), Some(lifted), "{what}");
            for other in [0, 4, 6, M2 - 1, M2, G1 - 1]
                .into_iter()
                .filter(|o| *o < size)
            {
                if other != page {
                    assert_eq!(v.access(n, LEAVES + other), Some(default), "{what}");
                    assert!(v.w.guest_is_mapped(0, ipa(LEAVES + other)), "{what}");
                    assert!(!v.w.guest_can(0, ipa(LEAVES + other), true), "{what}");
                }
            }
            assert_eq!(v.w.dump(v.d), host, "{what}");
            // The one that says so by itself is told of, and the vCPU does not wait.
            let events = v.w.monitor_requests();
            assert!(events.iter().all(|event| !event.sync), "{what}");
            let is_told = default == P2mAccess::N2rwx;
            assert_eq!(events.len(), usize::from(is_told), "{what}");
            assert_eq!(v.w.aborts_injected(), [0; 0], "{what}");
            v.w.check();
        }
    }
}
