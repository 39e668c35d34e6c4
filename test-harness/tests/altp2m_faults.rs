// SPDX-License-Identifier: GPL-2.0-only
//! Accesses that stage 2 refuses a vCPU in a view: judged by the view, and lifted in the view.
//!
//! Most of it is one comparison: what becomes of an access with a restriction in a view is what
//! becomes of it with that restriction in the host p2m and a vCPU in no view, and what the other
//! tables of the domain say plays no part in it and stays as it is.

#![cfg(config_altp2m)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;

use common::views::{ipa, Viewed};
use common::{access, guest, p2mt, ram, M2};
use p2m_rs::types::access::P2mAccess;
use test_harness::MonitorRequest;
use xen_sys::npfec;

/// A page that is mapped with the type that a case wants.
const GFN: u64 = 0x1000;
/// A block of 2 MiB.
const BLOCK: u64 = 0x4000;
const GLA: u64 = 0xFFFF_0000_0000_0456;

const READ: u32 = 1;
const WRITE: u32 = 2;
const FETCH: u32 = 4;
/// gla_valid, and the kind: the access's own, or a walk of the guest's tables.
const OWN: u32 = 1 << 4 | 2 << 5;
const WALK: u32 = 1 << 4 | 1 << 5;

/// What becomes of an access.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// It goes through, after so many permission faults.
    Through(u32),
    /// The vCPU waits for the monitor.
    Waits(u32),
    /// The guest gets an external abort.
    Abort(u32),
    /// The trap handler injects an abort.
    LeftToXen(u32),
    /// The domain is crashed.
    Crashed(u32),
    /// The guest faults for ever.
    Spins,
}

/// An access of the vCPU on CPU 0: `bits` is what the syndrome says, `wants` what stage 2 is asked.
/// What is not mapped in the view is copied first, by a translation fault.
fn does(v: &Viewed, gfn: u64, bits: u32, wants: u32) -> End {
    let gpa = ipa(gfn) | 0x123;
    let mut faults = 0;
    for _ in 0..8 {
        let refused = (wants & READ != 0 && !v.w.guest_can(0, gpa, false))
            || (wants & WRITE != 0 && !v.w.guest_can(0, gpa, true))
            || (wants & FETCH != 0 && !v.w.guest_can_execute(0, gpa));
        if !refused {
            return End::Through(faults);
        }
        if !v.w.guest_is_mapped(0, gpa) {
            if !v.d.resolve(gfn) {
                return End::LeftToXen(faults);
            }
            continue;
        }
        let sent = v.w.monitor_requests_so_far();
        let goes_on = v.w.permission_fault(gpa, GLA, npfec { bits });
        faults += 1;
        if v.w.fate(v.d).0 > 0 {
            return End::Crashed(faults);
        }
        if !goes_on {
            return End::LeftToXen(faults);
        }
        if v.w.aborts_injected()[..] == [GLA] {
            return End::Abort(faults);
        }
        if v.w.monitor_requests_so_far()[sent.len()..]
            .iter()
            .any(|event| event.sync)
        {
            return End::Waits(faults);
        }
    }
    End::Spins
}

/// Which tables have the restriction, and the vCPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Host,
    View,
}

/// Who listens to events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listens {
    /// A monitor.
    Yes,
    /// Nobody, and nobody need.
    No,
    /// Nobody, and the domain is not to run without.
    Required,
}

/// All that a case can tell.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    end: End,
    events: Vec<MonitorRequest>,
    /// The access in the tables of the vCPU afterwards.
    access: Option<P2mAccess>,
}

fn restriction(raw: u32) -> P2mAccess {
    P2mAccess::from_c(raw.into()).unwrap()
}

/// A page of a type, in a domain with a view that nobody is in.
fn with_page(ty: u32) -> Viewed {
    let v = Viewed::plain();
    let owner = guest(&v.w, 1);
    let rc = match ty {
        p2mt::FOREIGN_RW => v.d.map_foreign(owner, GFN, ram(1)),
        p2mt::FOREIGN_RO => {
            v.w.take_references(ram(1), 1);
            v.d.insert(GFN, 1, ram(1), ty)
        }
        _ => v.d.insert(GFN, 1, ram(0), ty),
    };
    assert_eq!(rc, 0);
    v
}

/// One access of a page with a type and a restriction.
fn case(place: Place, ty: u32, raw: u32, bits: u32, wants: u32, listens: Listens) -> Outcome {
    let v = with_page(ty);
    let (n, other) = (v.create(), v.create());
    // What the tables that are not asked say: the opposite.
    let opposite = if raw == access::RWX {
        access::N
    } else {
        access::RWX
    };
    assert_eq!(v.set_access(other, GFN, restriction(opposite)), Ok(()));
    match place {
        Place::Host => {
            assert_eq!(v.d.set_access(GFN, 1, 0, raw), 0);
            assert_eq!(v.set_access(n, GFN, restriction(opposite)), Ok(()));
            v.vcpu_in(0, 0);
        }
        Place::View => {
            assert_eq!(v.d.set_access(GFN, 1, 0, opposite), 0);
            assert_eq!(v.set_access(n, GFN, restriction(raw)), Ok(()));
            v.vcpu_in(0, n);
        }
    }
    let in_use = v.d.mem_access_enabled();
    v.w.monitor_listens(v.d, listens == Listens::Yes);
    v.d.set_access_required(listens == Listens::Required);
    let end = does(&v, GFN, bits, wants);
    let events = v.w.monitor_requests();
    // What plays no part in it is as it was.
    let what = format!("{place:?}, type {ty}, access {raw}, {bits:#b}, {wants:#b}, {listens:?}");
    assert_eq!(v.access(other, GFN), Some(restriction(opposite)), "{what}");
    let access = match place {
        Place::Host => {
            assert_eq!(v.access(n, GFN), Some(restriction(opposite)), "{what}");
            Some(restriction(v.d.access(GFN).1))
        }
        Place::View => {
            assert_eq!(v.d.mem_access_enabled(), in_use, "{what}");
            assert_eq!(v.d.access(GFN), (0, opposite), "{what}");
            v.access(n, GFN)
        }
    };
    v.w.check();
    Outcome {
        end,
        events,
        access,
    }
}

const ACCESSES: std::ops::RangeInclusive<u32> = access::N..=access::R_PW;

#[test]
fn each_fault_at_each_access_ends_in_a_view_as_in_the_host() {
    for raw in ACCESSES {
        for listens in [Listens::Yes, Listens::No, Listens::Required] {
            for wants in [READ, WRITE, FETCH] {
                let at = |place| case(place, p2mt::RAM_RW, raw, wants | OWN, wants, listens);
                let (view, host) = (at(Place::View), at(Place::Host));
                assert_eq!(view, host, "access {raw}, {wants:#b}, {listens:?}");
                assert_ne!(view.end, End::Spins, "access {raw}, {wants:#b}");
            }
        }
    }
}

#[test]
fn each_walk_of_the_guests_tables_ends_in_a_view_as_in_the_host() {
    for raw in ACCESSES {
        for listens in [Listens::Yes, Listens::No, Listens::Required] {
            for by in [READ, WRITE, FETCH] {
                for wants in [READ, WRITE] {
                    let at = |place| case(place, p2mt::RAM_RW, raw, by | WALK, wants, listens);
                    let (view, host) = (at(Place::View), at(Place::Host));
                    let what = format!("access {raw}, by {by:#b}, {wants:#b}, {listens:?}");
                    assert_eq!(view, host, "{what}");
                    assert_ne!(view.end, End::Spins, "{what}");
                }
            }
        }
    }
}

#[test]
fn what_a_type_forbids_ends_in_a_view_as_in_the_host() {
    for ty in [
        p2mt::RAM_RW,
        p2mt::RAM_RO,
        p2mt::MMIO_DEV,
        p2mt::FOREIGN_RW,
        p2mt::FOREIGN_RO,
        p2mt::GRANT_RW,
        p2mt::GRANT_RO,
    ] {
        for raw in [access::RWX, access::N, access::R] {
            for wants in [READ, WRITE, FETCH] {
                let at = |place| case(place, ty, raw, wants | OWN, wants, Listens::No);
                let (view, host) = (at(Place::View), at(Place::Host));
                assert_eq!(view, host, "type {ty}, access {raw}, {wants:#b}");
                assert_ne!(view.end, End::Spins, "type {ty}, access {raw}");
            }
        }
    }
}

/// Only the view is restricted: the host p2m has never heard of mem_access.
#[test]
fn a_restriction_in_a_view_is_enough_for_an_event_and_the_host_stays_out_of_it() {
    let v = with_page(p2mt::RAM_RW);
    assert_eq!(v.d.insert(BLOCK, M2, ram(0) + M2, p2mt::RAM_RW), 0);
    let n = v.create();
    assert_eq!(v.set_access(n, GFN, P2mAccess::R), Ok(()));
    v.vcpu_in(0, n);
    v.w.monitor_listens(v.d, true);
    assert_eq!(does(&v, GFN, WRITE | OWN, WRITE), End::Waits(1));
    let events = v.w.monitor_requests();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].gfn, events[0].flags & 7), (GFN, WRITE));
    assert!(!v.d.mem_access_enabled());
    assert!(v.w.access_settings(v.d).is_empty());
    // So a block of the host's stays one.
    assert_eq!(v.w.snapshot(v.d)[&BLOCK].order, 9);
    v.w.check();
}

/// A view whose default is a restriction copies blocks with it. One page is lifted, in the view.
#[test]
fn one_page_of_a_restricted_block_of_a_view_is_lifted() {
    for default in [P2mAccess::X, P2mAccess::N, P2mAccess::N2rwx] {
        let v = Viewed::plain();
        assert_eq!(v.d.insert(BLOCK, M2, ram(0) + M2, p2mt::RAM_RW), 0);
        let n = v.try_create(default).unwrap();
        v.vcpu_in(0, n);
        assert!(v.d.resolve(BLOCK));
        assert_eq!(v.w.view_snapshot(v.view(n))[&BLOCK].order, 9);
        assert_eq!(does(&v, BLOCK + 5, READ | OWN, READ), End::Through(1));
        assert_eq!(v.access(n, BLOCK + 5), Some(P2mAccess::Rwx));
        for page in [0, 4, 6, M2 - 1] {
            assert_eq!(v.access(n, BLOCK + page), Some(default));
        }
        assert_eq!(v.w.snapshot(v.d)[&BLOCK].order, 9, "the host's block");
        assert!(!v.d.mem_access_enabled());
        v.w.check();
    }
}

/// Its vCPUs will not run again.
#[test]
fn nothing_is_lifted_in_a_view_of_a_dying_domain_and_nobody_is_crashed_for_that() {
    let v = with_page(p2mt::RAM_RW);
    let n = v.create();
    assert_eq!(v.set_access(n, GFN, P2mAccess::R), Ok(()));
    v.vcpu_in(0, n);
    v.d.set_dying_state(1);
    let bits = WRITE | OWN;
    assert!(v.w.permission_fault(ipa(GFN), GLA, npfec { bits }));
    assert_eq!(v.w.fate(v.d).0, 0);
    assert_eq!(v.access(n, GFN), Some(P2mAccess::R));
    v.w.check();
}

/// Between the judgement and the lifting the monitor sets another access, in the view or in the
/// host: the first must not be lost, the second is no matter.
#[test]
fn an_access_that_is_set_in_the_view_meanwhile_is_not_lost() {
    for in_view in [true, false] {
        let v = with_page(p2mt::RAM_RW);
        let n = v.create();
        assert_eq!(v.set_access(n, GFN, P2mAccess::R), Ok(()));
        v.vcpu_in(0, n);
        assert!(v.w.guest_is_mapped(0, ipa(GFN)));
        let (v, d) = (std::sync::Arc::new(v), GFN);
        let monitor = v.clone();
        v.w.meanwhile(move || {
            if in_view {
                assert_eq!(monitor.set_access(n, d, P2mAccess::X), Ok(()));
            } else {
                assert_eq!(monitor.d.set_access(d, 1, 0, access::X), 0);
            }
        });
        let bits = WRITE | OWN;
        assert!(v.w.permission_fault(ipa(GFN), GLA, npfec { bits }));
        let expected = if in_view {
            (P2mAccess::X, access::RWX)
        } else {
            (P2mAccess::Rwx, access::X)
        };
        assert_eq!(v.access(n, GFN), Some(expected.0));
        assert_eq!(v.d.access(GFN), (0, expected.1));
        v.w.check();
    }
}

/// A fault of a frame of another domain's is none of the view's that this CPU's vCPU is in.
#[test]
fn a_fault_that_is_resolved_for_another_domain_is_one_of_its_host() {
    let v = with_page(p2mt::RAM_RW);
    let other = guest(&v.w, 2);
    assert_eq!(other.insert(BLOCK, 1, ram(2), p2mt::RAM_RW), 0);
    let n = v.create();
    v.vcpu_in(0, n);
    let resolve = |d: test_harness::Domain, gfn| v.w.on_cpu(0, || d.resolve(gfn));
    assert!(resolve(other, BLOCK));
    assert!(!resolve(other, GFN));
    // Nor is one of its view: it has none of that number, or the vCPU is not in it.
    v.w.allow_views(other);
    assert_eq!(other.use_views(true), 0);
    let theirs = other.create_view(access::RWX).unwrap();
    assert_eq!(theirs, n);
    let before = other.pool_pages() - v.w.free_pool_pages(other);
    assert!(resolve(other, BLOCK));
    assert_eq!(other.pool_pages() - v.w.free_pool_pages(other), before);
    v.w.check();
}

/// What a guest touches in a view is tracked in the host p2m, by the fault before the copy.
#[test]
fn a_fault_in_a_view_sets_the_hosts_valid_bits() {
    let v = with_page(p2mt::RAM_RW);
    let n = v.create();
    let in_host = v.w.vcpu(v.d);
    v.w.run(1, in_host);
    v.d.creation_finished();
    assert_eq!(v.w.guest_reads(1, ipa(GFN)), None);
    v.vcpu_in(0, n);
    assert_eq!(v.read(0, GFN), Some(ram(0)));
    assert_eq!(v.w.guest_reads(1, ipa(GFN)), Some(ipa(ram(0))));
    v.w.check();
}

/// The entry that refused the access is forgotten before Xen looks, or between its two looks:
/// the guest tries again, without an event and without an abort, whatever the host maps by then.
#[test]
fn what_the_view_has_forgotten_meanwhile_is_tried_again() {
    type Change = fn(test_harness::Domain);
    let changes: [Change; 3] = [
        |d| assert_eq!(d.remove(GFN, 1, ram(0)), 0),
        |d| assert_eq!(d.insert(GFN, 1, ram(0) + 1, p2mt::RAM_RO), 0),
        |d| assert_eq!(d.insert(GFN, 1, ram(0) + 1, p2mt::RAM_RW), 0),
    ];
    for change in changes {
        for between in [false, true] {
            let v = with_page(p2mt::RAM_RW);
            let n = v.create();
            // Refused by the type, so that both looks are taken.
            assert_eq!(v.d.insert(GFN, 1, ram(0), p2mt::RAM_RO), 0);
            assert_eq!(v.set_access(n, GFN, P2mAccess::Rw), Ok(()));
            v.vcpu_in(0, n);
            v.w.monitor_listens(v.d, true);
            let d = v.d;
            if between {
                v.w.meanwhile(move || change(d));
            } else {
                change(d);
            }
            let bits = WRITE | OWN;
            assert!(v.w.permission_fault(ipa(GFN), GLA, npfec { bits }));
            assert_eq!(v.w.aborts_injected(), [0; 0]);
            assert_eq!(v.w.monitor_requests(), []);
            v.w.check();
        }
    }
}

#[test]
fn a_remapped_frame_is_lifted_and_stays_remapped() {
    let v = with_page(p2mt::RAM_RW);
    assert_eq!(v.d.insert(GFN + 1, 1, ram(0) + 1, p2mt::RAM_RW), 0);
    let n = v.create();
    // The frame has the access that its source has in the view.
    assert_eq!(v.set_access(n, GFN + 1, P2mAccess::X), Ok(()));
    assert_eq!(v.remap(n, GFN, GFN + 1), Ok(()));
    v.vcpu_in(0, n);
    assert_eq!(does(&v, GFN, WRITE | OWN, WRITE), End::Through(1));
    assert_eq!(v.w.guest_reads(0, ipa(GFN)), Some(ipa(ram(0) + 1)));
    assert_eq!(v.access(n, GFN), Some(P2mAccess::Rwx));
    assert_eq!(v.access(n, GFN + 1), Some(P2mAccess::X), "of the source");
    v.w.check();
}

/// Two vCPUs in two views, and one in none: an access is lifted for the vCPUs of a view.
#[test]
fn what_is_lifted_for_one_vcpu_is_not_for_another_in_another_view() {
    let v = with_page(p2mt::RAM_RW);
    let (n, other) = (v.create(), v.create());
    for number in [n, other] {
        assert_eq!(v.set_access(number, GFN, P2mAccess::R), Ok(()));
    }
    assert_eq!(v.d.set_access(GFN, 1, 0, access::R), 0);
    v.vcpu_in(0, n);
    v.vcpu_in(1, other);
    v.vcpu_in(2, 0);
    assert_eq!(does(&v, GFN, WRITE | OWN, WRITE), End::Through(1));
    assert!(!v.w.guest_can(1, ipa(GFN), true));
    assert!(!v.w.guest_can(2, ipa(GFN), true));
    v.w.check();
}

/// To lift one page of a restricted block takes a table.
#[test]
fn a10_a_page_of_a_restricted_block_is_lifted_with_the_tables_of_copies_or_the_guest_is_crashed() {
    for tables in [40, 4] {
        let v = Viewed::plain();
        let block = BLOCK + 0x10_0000;
        assert_eq!(v.d.set_pool(256), 0);
        assert_eq!(v.d.insert(block, M2, ram(0) + M2, p2mt::RAM_RW), 0);
        for table in 0..tables {
            let gfn = BLOCK + table * M2;
            assert_eq!(v.d.insert(gfn, 1, ram(0) + table, p2mt::RAM_RW), 0);
        }
        let n = v.try_create(P2mAccess::X).unwrap();
        v.vcpu_in(0, n);
        for table in 0..tables {
            assert!(v.d.resolve(BLOCK + table * M2));
        }
        assert!(v.d.resolve(block));
        assert_eq!(v.d.set_pool(v.used()), 0);
        let end = does(&v, block + 5, READ | OWN, READ);
        let (expected, access) = match tables {
            40 => (End::Through(1), P2mAccess::Rwx),
            _ => (End::Crashed(1), P2mAccess::X),
        };
        assert_eq!(end, expected);
        assert_eq!(v.access(n, block + 5), Some(access));
        v.w.check();
    }
}
