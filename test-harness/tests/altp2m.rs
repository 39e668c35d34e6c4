// SPDX-License-Identifier: GPL-2.0-only
//! Views of a guest's memory: what is copied, what is forgotten, and what an adversary tries. Tests
//! that begin with a letter and a number are named after the list of abuses in docs/altp2m.md.

#![cfg(config_altp2m)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;

use common::views::{ipa, Viewed};
use common::{guest, p2mt, ram, M2};
use p2m_rs::types::access::P2mAccess;
use p2m_rs::types::errno::Errno;
use test_harness::{Config, Preempt};

/// A guest with RAM at frame 0x1000 on, 64 pages of it, and one block of 2 MiB at [`BLOCK`].
fn with_ram() -> Viewed {
    let v = Viewed::plain();
    assert_eq!(v.d.insert(PAGES, 64, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(v.d.insert(BLOCK, M2, ram(0) + M2, p2mt::RAM_RW), 0);
    v
}

const PAGES: u64 = 0x1000;
const BLOCK: u64 = 0x4000;

#[test]
fn a_view_is_empty_at_first_and_copies_what_a_guest_comes_to() {
    let v = with_ram();
    let n = v.create();
    assert!(v.w.view_snapshot(v.view(n)).is_empty());
    v.vcpu_in(0, n);
    assert_eq!(v.read(0, PAGES + 3), Some(ram(0) + 3));
    assert_eq!(v.w.view_snapshot(v.view(n)).len(), 1, "one page");
    assert_eq!(v.read(0, BLOCK + 7), Some(ram(0) + M2 + 7));
    let copied = v.w.view_snapshot(v.view(n));
    assert_eq!(copied[&BLOCK].order, 9, "a block stays a block");
    assert_eq!(v.read(0, 0x9_0000), None, "the host maps nothing there");
    v.w.check();
}

#[test]
fn what_is_copied_gets_the_views_default_access_and_not_the_hosts() {
    let v = with_ram();
    let n = v.try_create(P2mAccess::Rx).unwrap();
    assert_eq!(v.d.set_access_fully(PAGES, 1, common::access::N), 0);
    v.vcpu_in(0, n);
    assert_eq!(v.read(0, PAGES), Some(ram(0)));
    assert!(!v.w.guest_can(0, ipa(PAGES), true));
    assert!(v.w.guest_can_execute(0, ipa(PAGES)));
    assert_eq!(v.access(n, PAGES), Some(P2mAccess::Rx), "copied");
    assert_eq!(v.access(n, PAGES + 1), Some(P2mAccess::Rx), "not yet");
    assert_eq!(v.access(n, 0x9_0000), None);
    v.w.check();
}

#[test]
fn an_access_in_a_view_is_that_views_alone_and_stays_when_the_hosts_changes() {
    let v = with_ram();
    let (n, other) = (v.create(), v.create());
    assert_eq!(v.set_access(n, BLOCK + 5, P2mAccess::X), Ok(()));
    v.vcpu_in(0, n);
    assert_eq!(v.w.guest_reads(0, ipa(BLOCK + 5)), None);
    assert_eq!(v.access(n, BLOCK + 5), Some(P2mAccess::X));
    assert_eq!(v.access(n, BLOCK + 6), Some(P2mAccess::Rwx));
    assert_eq!(v.access(other, BLOCK + 5), Some(P2mAccess::Rwx));
    assert_eq!(v.d.set_access_fully(BLOCK, 8, common::access::R), 0);
    assert_eq!(v.access(n, BLOCK + 5), Some(P2mAccess::X));
    assert_eq!(v.set_access(n, BLOCK + 5, P2mAccess::Rw), Ok(()));
    assert_eq!(v.read(0, BLOCK + 5), Some(ram(0) + M2 + 5));
    assert!(!v.w.guest_can_execute(0, ipa(BLOCK + 5)));
    assert_eq!(v.set_access(n, 0x9_0000, P2mAccess::R), Ok(()), "a hole");
    assert_eq!(v.access(n, 0x9_0000), None);
    v.w.check();
}

#[test]
fn an_access_of_one_page_of_a_copied_block_leaves_the_rest_copied() {
    let v = with_ram();
    let n = v.create();
    v.vcpu_in(0, n);
    assert_eq!(v.read(0, BLOCK), Some(ram(0) + M2));
    assert_eq!(v.set_access(n, BLOCK + 5, P2mAccess::R), Ok(()));
    for page in [4, 5, 6, M2 - 1] {
        let reads = v.w.guest_reads(0, ipa(BLOCK + page));
        assert_eq!(reads, Some(ipa(ram(0) + M2 + page)), "without a fault");
        assert_eq!(v.w.guest_can(0, ipa(BLOCK + page), true), page != 5);
    }
    v.w.check();
}

#[test]
fn a_remapped_frame_shows_the_sources_page_and_nothing_else_does() {
    let v = with_ram();
    let (n, other) = (v.create(), v.create());
    assert_eq!(v.remap(n, BLOCK + 1, PAGES + 2), Ok(()));
    v.vcpu_in(0, n);
    v.vcpu_in(1, other);
    v.vcpu_in(2, 0);
    assert_eq!(v.read(0, BLOCK + 1), Some(ram(0) + 2));
    assert_eq!(v.read(0, PAGES + 2), Some(ram(0) + 2), "the source itself");
    assert_eq!(v.read(0, BLOCK + 2), Some(ram(0) + M2 + 2));
    assert_eq!(v.read(1, BLOCK + 1), Some(ram(0) + M2 + 1));
    assert_eq!(v.read(2, BLOCK + 1), Some(ram(0) + M2 + 1));
    v.w.check();
}

#[test]
fn a1_a_source_that_is_ballooned_out_is_out_of_reach() {
    // A page, a page out of a block, a whole block.
    for (source, gone, count) in [
        (PAGES + 2, PAGES + 2, 1),
        (BLOCK + 2, BLOCK + 2, 1),
        (BLOCK + 2, BLOCK, M2),
    ] {
        let v = with_ram();
        let (n, other) = (v.create(), v.create());
        v.vcpu_in(0, n);
        v.vcpu_in(1, other);
        let (own, mfn) = (v.d.lookup(PAGES + 9).0, v.d.lookup(source).0.unwrap());
        for number in [n, other] {
            assert_eq!(v.remap(number, PAGES + 9, source), Ok(()));
        }
        for cpu in [0, 1] {
            assert_eq!(v.read(cpu, PAGES + 9), Some(mfn));
            assert_eq!(v.read(cpu, source), Some(mfn), "at its own frame as well");
        }
        let first = v.d.lookup(gone).0.unwrap();
        assert_eq!(v.d.remove(gone, count, first), 0);
        // Both views, without another fault, and after some.
        for cpu in [0, 1] {
            assert_ne!(v.w.guest_reads(cpu, ipa(PAGES + 9)), Some(ipa(mfn)));
            assert_eq!(v.w.guest_reads(cpu, ipa(source)), None);
            assert_eq!(v.read(cpu, PAGES + 9), own, "its own page again");
            assert_eq!(v.read(cpu, source), None);
        }
        v.w.check();
    }
}

#[test]
fn a1_a_source_that_is_exchanged_is_out_of_reach() {
    let v = with_ram();
    let n = v.create();
    v.vcpu_in(0, n);
    assert_eq!(v.remap(n, PAGES + 9, PAGES + 2), Ok(()));
    assert_eq!(v.read(0, PAGES + 9), Some(ram(0) + 2));
    // memory_exchange(): the old page goes, another comes to the same frame.
    assert_eq!(v.d.remove(PAGES + 2, 1, ram(0) + 2), 0);
    assert_eq!(v.d.insert(PAGES + 2, 1, ram(0) + 0x900, p2mt::RAM_RW), 0);
    assert_eq!(v.read(0, PAGES + 9), Some(ram(0) + 9));
    assert_eq!(v.read(0, PAGES + 2), Some(ram(0) + 0x900));
    v.w.check();
}

#[test]
fn a_new_mapping_where_nothing_was_leaves_views_alone() {
    let v = with_ram();
    let n = v.create();
    v.vcpu_in(0, n);
    // The sources span what lies between them.
    assert_eq!(v.remap(n, PAGES + 9, PAGES + 2), Ok(()));
    assert_eq!(v.remap(n, PAGES + 8, BLOCK), Ok(()));
    assert_eq!(v.set_access(n, PAGES, P2mAccess::R), Ok(()));
    let before = v.w.view_snapshot(v.view(n));
    assert_eq!(v.d.insert(0x2000, 1, ram(0) + 0x900, p2mt::RAM_RW), 0);
    assert_eq!(
        v.d.insert(0x2000 + M2, M2, ram(0) + 8 * M2, p2mt::RAM_RW),
        0
    );
    assert_eq!(v.w.view_snapshot(v.view(n)), before);
    // One that replaces empties the view.
    assert_eq!(v.d.insert(0x2000, 1, ram(0) + 0x901, p2mt::RAM_RW), 0);
    assert!(v.w.view_snapshot(v.view(n)).is_empty());
    v.w.check();
}

#[test]
fn a2_a_source_that_is_replaced_is_out_of_reach() {
    for ty in [p2mt::RAM_RW, p2mt::GRANT_RO, p2mt::MMIO_DEV] {
        let v = with_ram();
        let n = v.create();
        v.vcpu_in(0, n);
        assert_eq!(v.remap(n, PAGES + 9, PAGES + 2), Ok(()));
        assert_eq!(v.read(0, PAGES + 9), Some(ram(0) + 2));
        // As XENMEM_add_to_physmap does, without a removal before.
        assert_eq!(v.d.insert(PAGES + 2, 1, ram(0) + 0x900, ty), 0);
        assert_eq!(v.w.guest_reads(0, ipa(PAGES + 9)), None, "type {ty}");
        assert_eq!(v.read(0, PAGES + 9), Some(ram(0) + 9));
        v.w.check();
    }
    let v = with_ram();
    let owner = guest(&v.w, 1);
    let n = v.create();
    v.vcpu_in(0, n);
    assert_eq!(v.remap(n, PAGES + 9, PAGES + 2), Ok(()));
    assert_eq!(v.d.map_foreign(owner, PAGES + 2, ram(1)), 0);
    assert_eq!(v.read(0, PAGES + 9), Some(ram(0) + 9));
    assert_eq!(
        v.remap(n, PAGES + 9, PAGES + 2),
        Err(Errno::ESRCH),
        "foreign"
    );
    v.w.check();
}

#[test]
fn a3_a_foreign_page_is_not_in_a_view_any_more_when_its_reference_goes() {
    let v = with_ram();
    let owner = guest(&v.w, 1);
    let (n, other) = (v.create(), v.create());
    v.vcpu_in(0, n);
    v.vcpu_in(1, other);
    assert_eq!(v.d.map_foreign(owner, 0x2000, ram(1)), 0);
    for cpu in [0, 1] {
        assert_eq!(v.read(cpu, 0x2000), Some(ram(1)));
    }
    assert_eq!(
        v.w.references(ram(1)),
        2,
        "the owner's, and one for the host's mapping"
    );
    // Rule T5 watches that no TLB holds it when the reference is put.
    assert_eq!(v.d.remove(0x2000, 1, ram(1)), 0);
    assert_eq!(v.w.references(ram(1)), 1);
    for cpu in [0, 1] {
        assert_eq!(v.w.guest_reads(cpu, ipa(0x2000)), None);
    }
    v.w.check();
}

#[test]
fn a4_a_grant_that_is_unmapped_is_out_of_reach() {
    for ty in [p2mt::GRANT_RW, p2mt::GRANT_RO] {
        let v = with_ram();
        let owner = guest(&v.w, 1);
        let n = v.create();
        v.vcpu_in(0, n);
        assert_eq!(v.d.insert(0x2000, 1, ram(1) + 4, ty), 0);
        assert_eq!(v.read(0, 0x2000), Some(ram(1) + 4));
        assert_eq!(v.w.guest_can(0, ipa(0x2000), true), ty == p2mt::GRANT_RW);
        assert!(!v.w.guest_can_execute(0, ipa(0x2000)));
        assert_eq!(v.d.remove(0x2000, 1, ram(1) + 4), 0);
        assert_eq!(v.w.guest_reads(0, ipa(0x2000)), None);
        assert_eq!(v.read(0, 0x2000), None);
        assert!(v.w.is_owned_by(ram(1) + 4, owner));
        v.w.check();
    }
}

#[test]
fn a5_what_may_not_be_remapped_is_refused_and_changes_nothing() {
    let v = with_ram();
    let owner = guest(&v.w, 1);
    let n = v.create();
    v.vcpu_in(0, n);
    assert_eq!(v.d.map_foreign(owner, 0x2000, ram(1)), 0);
    assert_eq!(v.d.insert(0x2001, 1, ram(1) + 1, p2mt::GRANT_RW), 0);
    assert_eq!(v.d.insert(0x2002, 1, 0x9000, p2mt::MMIO_DEV), 0);
    assert_eq!(v.d.insert(0x2003, 1, ram(0) + 0x900, p2mt::RAM_RO), 0);
    let hole = 0x2004;
    for other in [
        0x2000,
        0x2001,
        0x2002,
        0x2003,
        hole,
        Config::default().gfn_limit(),
        !0 >> 12,
        !1,
    ] {
        assert_eq!(v.remap(n, PAGES, other), Err(Errno::ESRCH), "to {other:#x}");
        assert_eq!(v.remap(n, other, PAGES), Err(Errno::ESRCH), "of {other:#x}");
    }
    assert_eq!(v.remap(n, !0, PAGES), Err(Errno::ESRCH), "of no frame");
    assert!(v.w.view_snapshot(v.view(n)).is_empty());
    // To itself.
    assert_eq!(v.remap(n, PAGES, PAGES), Ok(()));
    assert_eq!(v.read(0, PAGES), Some(ram(0)));
    // No chains: a source is a frame of the host's.
    assert_eq!(v.remap(n, PAGES + 1, PAGES + 2), Ok(()));
    assert_eq!(v.remap(n, PAGES + 3, PAGES + 1), Ok(()));
    assert_eq!(v.read(0, PAGES + 3), Some(ram(0) + 1));
    v.w.check();
}

#[test]
fn a_copied_block_stays_one_when_the_host_splits_its_own() {
    let v = with_ram();
    let n = v.create();
    v.vcpu_in(0, n);
    assert_eq!(v.read(0, BLOCK), Some(ram(0) + M2));
    assert_eq!(v.d.set_access_fully(BLOCK, 1, common::access::R), 0);
    // A fault that another CPU's fault has made needless.
    assert!(v.w.on_cpu(0, || v.d.resolve(BLOCK + 1)));
    let copied = v.w.view_snapshot(v.view(n));
    assert_eq!((copied.len(), copied[&BLOCK].order), (1, 9));
    v.w.check();
}

#[test]
fn a6_one_page_of_a_copied_block_changes() {
    let v = with_ram();
    let n = v.create();
    v.vcpu_in(0, n);
    assert_eq!(v.read(0, BLOCK + 5), Some(ram(0) + M2 + 5));
    assert_eq!(v.d.remove(BLOCK + 5, 1, ram(0) + M2 + 5), 0);
    assert_eq!(v.w.guest_reads(0, ipa(BLOCK + 5)), None);
    assert_eq!(v.read(0, BLOCK + 5), None);
    for page in [0, 4, 6, M2 - 1] {
        assert_eq!(v.read(0, BLOCK + page), Some(ram(0) + M2 + page));
    }
    assert_eq!(v.d.insert(BLOCK + 6, 1, ram(0) + 0x900, p2mt::RAM_RO), 0);
    assert_eq!(v.read(0, BLOCK + 6), Some(ram(0) + 0x900));
    assert!(!v.w.guest_can(0, ipa(BLOCK + 6), true));
    v.w.check();
}

#[test]
fn a6_a_restricted_page_beside_one_that_changes_stays_restricted() {
    let v = with_ram();
    let n = v.create();
    v.vcpu_in(0, n);
    assert_eq!(v.read(0, BLOCK), Some(ram(0) + M2));
    assert_eq!(v.set_access(n, BLOCK + 4, P2mAccess::R), Ok(()));
    assert_eq!(v.d.remove(BLOCK + 5, 1, ram(0) + M2 + 5), 0);
    assert_eq!(v.access(n, BLOCK + 4), Some(P2mAccess::R));
    // A removal that fails, since the page is another, changes nothing in a view either.
    assert_ne!(v.d.remove(BLOCK + 4, 1, ram(0)), 0);
    assert_eq!(v.access(n, BLOCK + 4), Some(P2mAccess::R));
    v.w.check();
}

#[test]
fn a10_a_pool_that_is_empty_at_any_allocation_of_any_operation() {
    // What is done, and whether it was.
    type Step = (
        &'static str,
        fn(&Viewed, u16) -> bool,
        fn(&Viewed, u16) -> bool,
    );
    let steps: [Step; 3] = [
        (
            "access of a page",
            |v, n| v.set_access(n, PAGES, P2mAccess::R).is_ok(),
            |v, n| v.access(n, PAGES) == Some(P2mAccess::R),
        ),
        (
            "access of a page of a block",
            |v, n| v.set_access(n, BLOCK + 3, P2mAccess::R).is_ok(),
            |v, n| v.access(n, BLOCK + 3) == Some(P2mAccess::R),
        ),
        (
            "remapping",
            |v, n| v.remap(n, BLOCK + 3, PAGES).is_ok(),
            |v, _| v.w.guest_reads(0, ipa(BLOCK + 3)) == Some(ipa(ram(0))),
        ),
    ];
    for (what, step, is_done) in steps {
        for filled in [false, true] {
            for free in 0.. {
                assert!(free < 8, "{what}: needs no more than eight pages");
                let v = with_ram();
                let n = v.create();
                v.vcpu_in(0, n);
                if filled {
                    assert_eq!(v.read(0, BLOCK), Some(ram(0) + M2));
                }
                assert_eq!(v.d.set_pool(v.used() + free), 0);
                let before = v.w.view_snapshot(v.view(n));
                if step(&v, n) {
                    assert!(is_done(&v, n), "{what} with {free} pages");
                    v.w.check();
                    break;
                }
                assert!(!is_done(&v, n), "{what} with {free} pages");
                // (A block may have been split.)
                let after = v.w.view_snapshot(v.view(n));
                let reads = |s: &test_harness::Snapshot| -> u64 {
                    s.values()
                        .filter(|leaf| leaf.read && leaf.write)
                        .map(|leaf| 1 << leaf.order)
                        .sum()
                };
                assert_eq!(reads(&before), reads(&after), "{what} with {free} pages");
                v.w.check();
                assert_eq!(v.d.set_pool(v.used() + 8), 0);
                assert!(step(&v, n), "{what}, with room");
                v.w.check();
            }
        }
    }
}

#[test]
fn a10_a_guest_whose_fault_finds_no_table_page_is_crashed_and_nothing_else_happens() {
    let v = with_ram();
    let n = v.create();
    let vcpu = v.vcpu_in(0, n);
    assert_eq!(v.d.set_pool(v.used()), 0);
    assert!(v.w.on_cpu(0, || v.d.resolve(PAGES)));
    assert_eq!(v.w.fate(v.d).0, 1, "domain_crash()");
    assert!(v.w.view_snapshot(v.view(n)).is_empty());
    // Another vCPU, in the host p2m, needs no page.
    vcpu.set_view(0);
    v.w.run(0, vcpu);
    assert_eq!(v.read(0, PAGES), Some(ram(0)));
    v.w.check();
}

#[test]
fn a10_no_memory_for_a_view_is_an_error_and_leaves_nothing_behind() {
    for n in 1..3 {
        let v = with_ram();
        let heap = v.w.heap_in_use();
        v.w.fail_allocation(Some(n));
        assert_eq!(v.try_create(P2mAccess::Rwx), Err(Errno::ENOMEM));
        v.w.fail_allocation(None);
        assert_eq!(v.w.heap_in_use(), heap);
        assert!(v.d.views().is_empty());
        assert_eq!(v.create(), 1);
        v.w.check();
    }
}

#[test]
fn a12_vcpus_of_two_views_take_turns_on_one_cpu() {
    for at_speculate in [false, true] {
        let v = Viewed::on(Config {
            at_speculate,
            ..Config::default()
        });
        assert_eq!(v.d.insert(PAGES, 64, ram(0), p2mt::RAM_RW), 0);
        // Numbers that differ in the last bit alone.
        let (_, n, other) = (v.create(), v.create(), v.create());
        assert_eq!((n, other), (2, 3));
        assert_eq!(v.remap(n, PAGES + 1, PAGES + 2), Ok(()));
        let vcpus = [n, other, 0].map(|number| v.vcpu_in(0, number));
        let reads = [2, 1, 1].map(|page| Some(ram(0) + page));
        for turn in [0, 1, 0, 2, 1, 2, 0, 0, 1, 0] {
            // Rule T7 watches what this CPU's TLB may hold.
            v.w.run(0, vcpus[turn]);
            assert_eq!(v.read(0, PAGES + 1), reads[turn]);
        }
        // A vCPU that goes on in another view.
        v.w.run(0, v.w.toolstack(0));
        vcpus[0].set_view(other);
        v.w.run(0, vcpus[0]);
        assert_eq!(v.read(0, PAGES + 1), Some(ram(0) + 1));
        v.w.check();
    }
}

#[test]
fn a12_a_view_that_has_the_number_of_a_destroyed_one() {
    let v = with_ram();
    let n = v.create();
    let vcpu = v.vcpu_in(0, n);
    assert_eq!(v.remap(n, PAGES + 1, PAGES + 2), Ok(()));
    assert_eq!(v.read(0, PAGES + 1), Some(ram(0) + 2));
    v.w.run(0, v.w.toolstack(0));
    vcpu.set_view(0);
    assert_eq!(v.destroy(n), Ok(()));
    assert_eq!(v.create(), n);
    vcpu.set_view(n);
    v.w.run(0, vcpu);
    assert_eq!(v.read(0, PAGES + 1), Some(ram(0) + 1));
    v.w.check();
}

#[test]
fn a_vcpu_that_returns_to_the_same_view_costs_no_flush() {
    let v = with_ram();
    let n = v.create();
    let vcpu = v.vcpu_in(0, n);
    v.w.run(0, v.w.toolstack(0));
    v.w.clear_events();
    v.w.run(0, vcpu);
    let flushes = common::count(&v.w, |event| {
        matches!(
            event,
            test_harness::Event::TlbiVmidLocal { .. } | test_harness::Event::TlbiStage1Local { .. }
        )
    });
    assert_eq!(flushes, 0);
    v.w.check();
}

#[test]
fn a_thousand_views_come_and_go_and_all_pages_are_back() {
    let v = with_ram();
    let (used, heap) = (v.used(), v.w.heap_in_use());
    for _ in 0..1000 {
        let n = v.create();
        assert_eq!(v.set_access(n, PAGES, P2mAccess::R), Ok(()));
        assert_eq!(v.remap(n, BLOCK, PAGES), Ok(()));
        assert_eq!(v.destroy(n), Ok(()));
    }
    assert_eq!((v.used(), v.w.heap_in_use()), (used, heap));
    v.w.check();
}

#[test]
fn there_are_nine_views_and_no_more() {
    let v = with_ram();
    let all: Vec<u16> = (0..9).map(|_| v.create()).collect();
    assert_eq!(all, (1..10).collect::<Vec<_>>());
    assert_eq!(v.try_create(P2mAccess::Rwx), Err(Errno::EINVAL));
    assert_eq!(v.destroy(4), Ok(()));
    assert_eq!(v.destroy(4), Err(Errno::EBUSY));
    assert_eq!(v.create(), 4, "the lowest that is free");
    v.w.check();
}

/// What is stored, locked and invalidated while a view of so many tables is destroyed, or emptied
/// because the host takes the source of a remapping away.
fn end_of_a_view(tables: u64, destroy: bool) -> usize {
    let v = with_ram();
    assert_eq!(v.d.set_pool(4000), 0);
    let n = v.create();
    for block in 0..tables {
        let gfn = 0x10_0000 + block * M2;
        let mfn = ram(0) + (block + 8) * M2;
        assert_eq!(v.d.insert(gfn, M2, mfn, p2mt::RAM_RW), 0);
        assert_eq!(v.set_access(n, gfn, P2mAccess::R), Ok(()));
    }
    assert_eq!(v.remap(n, PAGES, PAGES + 1), Ok(()));
    let used = v.used();
    v.w.preempt(Preempt::Always);
    v.w.clear_events();
    if destroy {
        assert_eq!(v.destroy(n), Ok(()));
    } else {
        assert_eq!(v.d.remove(PAGES + 1, 1, ram(0) + 1), 0);
    }
    let events = v.w.events().len();
    assert!(v.used() < used - tables, "all its tables are back");
    v.w.check();
    events
}

#[test]
fn a_view_is_destroyed_and_emptied_at_the_same_cost_however_many_tables_it_has() {
    for destroy in [true, false] {
        assert_eq!(end_of_a_view(3, destroy), end_of_a_view(1200, destroy));
    }
}

#[test]
fn a_dying_domain_loses_its_views_before_its_memory_and_gets_none() {
    let v = with_ram();
    let owner = guest(&v.w, 1);
    let (n, other) = (v.create(), v.create());
    assert_eq!(v.d.map_foreign(owner, 0x2000, ram(1)), 0);
    for (cpu, number) in [(0, n), (1, other)] {
        v.vcpu_in(cpu, number);
        assert_eq!(v.read(cpu, 0x2000), Some(ram(1)));
        assert_eq!(v.read(cpu, BLOCK), Some(ram(0) + M2));
        v.w.run(cpu, v.w.toolstack(cpu));
    }
    v.d.set_dying_state(1);
    assert_eq!(v.try_create(P2mAccess::Rwx), Err(Errno::ENOMEM));
    assert_eq!(v.set_access(n, PAGES, P2mAccess::R), Err(Errno::ENOMEM));
    assert_eq!(v.remap(n, PAGES, PAGES + 1), Err(Errno::ENOMEM));
    assert_eq!(v.d.relinquish(), 0);
    for number in [n, other] {
        assert!(v.w.view_snapshot(v.view(number)).is_empty(), "rule V2");
    }
    assert_eq!(v.w.references(ram(1)), 1);
    v.w.check();
    v.d.clear_root();
    assert_eq!(v.d.teardown(), 0);
    assert!(v.d.views().is_empty());
    assert_eq!(v.used(), 0);
    assert_eq!(v.d.teardown_pool(), 0);
    v.d.final_teardown();
    v.w.check();
}
