// SPDX-License-Identifier: GPL-2.0-only
//! `xen_p2m_resolve_permission_fault()`: which accesses that stage 2 refused are tried again,
//! and which end in an abort. Every type against every access, with mem_access and without.
//!
//! A guest is made to go on as a guest does: it tries, faults, and tries again if Xen has it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;
use common::{access, guest, p2mt, plain, ram, world};
use test_harness::config::XEN_4_20;
use test_harness::{Config, Domain, World};
use xen_sys::{npfec, Facts};

const GFN: u64 = 0x1000;
const GPA: u64 = GFN << 12 | 0x123;
const GLA: u64 = 0xFFFF_0000_0000_0456;

const READ: u32 = 1;
const WRITE: u32 = 2;
const FETCH: u32 = 4;
/// gla_valid, and the kind: the access's own, or a walk of the guest's tables.
const OWN: u32 = 1 << 4 | 2 << 5;
const WALK: u32 = 1 << 4 | 1 << 5;

/// Each type, whether a guest may write it, and whether it may execute it: `p2m_set_permission`.
const TYPES: [(u32, bool, bool); 11] = [
    (p2mt::RAM_RW, true, true),
    (p2mt::RAM_RO, false, true),
    (p2mt::MMIO_DEV, true, false),
    (p2mt::MMIO_NC, true, false),
    (p2mt::MMIO_C, true, false),
    (p2mt::FOREIGN_RW, true, false),
    (p2mt::FOREIGN_RO, false, false),
    (p2mt::GRANT_RW, true, false),
    (p2mt::GRANT_RO, false, false),
    (p2mt::IOMMU_RW, true, false),
    (p2mt::IOMMU_RO, false, false),
];

/// What becomes of an access.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// It goes through, after so many faults.
    Through(u32),
    /// The guest gets an external abort, after so many faults.
    Abort(u32),
    /// The trap handler injects an abort.
    LeftToXen(u32),
    /// The guest faults for ever.
    Spins,
}

/// The vCPU of CPU 0 does it: `bits` is what the syndrome says, `wants` what stage 2 is asked.
fn does(w: &World, bits: u32, wants: u32) -> End {
    does_with(w, bits, 0, wants)
}

/// The same, with what the syndrome says beside.
fn does_with(w: &World, bits: u32, hsr: u64, wants: u32) -> End {
    let walks = bits & (3 << 5) == WALK & (3 << 5);
    let can = |write| match walks {
        true => w.walker_can(0, GPA, write),
        false => w.guest_can(0, GPA, write),
    };
    for faults in 0..8 {
        let refused = (wants & READ != 0 && !can(false))
            || (wants & WRITE != 0 && !can(true))
            || (wants & FETCH != 0 && !w.guest_can_execute(0, GPA));
        if !refused {
            return End::Through(faults);
        }
        let goes_on = w.permission_fault_with(GPA, GLA, npfec { bits }, hsr);
        match (goes_on, w.aborts_injected()[..] == [GLA]) {
            (true, false) => {}
            (true, true) => return End::Abort(faults + 1),
            (false, false) => return End::LeftToXen(faults + 1),
            (false, true) => panic!("two aborts"),
        }
    }
    End::Spins
}

fn scene(w: &World, ty: u32) -> Domain {
    let d = guest(w, 0);
    let owner = guest(w, 1);
    let v = w.vcpu(d);
    let rc = match ty {
        p2mt::FOREIGN_RW => d.map_foreign(owner, GFN, ram(1)),
        p2mt::FOREIGN_RO => {
            w.take_references(ram(1), 1);
            d.insert(GFN, 1, ram(1), ty)
        }
        _ => d.insert(GFN, 1, ram(0), ty),
    };
    assert_eq!(rc, 0);
    w.run(0, v);
    d
}

fn allows(writable: bool, executable: bool, wants: u32) -> bool {
    (writable || wants & WRITE == 0) && (executable || wants & FETCH == 0)
}

/// Without mem_access, and with mem_access in use on another page.
#[test]
fn what_the_type_forbids_ends_in_an_abort_and_nothing_else_does() {
    for used in [false, true] {
        for (ty, writable, executable) in TYPES {
            for wants in [READ, WRITE, FETCH] {
                let w = plain();
                let d = scene(&w, ty);
                if used {
                    assert_eq!(d.insert(7, 1, ram(0) + 7, p2mt::RAM_RW), 0);
                    assert_eq!(d.set_access(7, 1, 0, access::N), 0);
                    w.monitor_listens(d, true);
                }
                let expected = if allows(writable, executable, wants) {
                    End::Through(0)
                } else {
                    End::Abort(1)
                };
                let what = format!("type {ty}, access {wants:#b}, mem_access {used}");
                assert_eq!(does(&w, wants | OWN, wants), expected, "{what}");
                assert_eq!(w.monitor_requests(), [], "{what}");
                assert_eq!(w.fate(d).0, 0, "{what}");
            }
        }
    }
}

/// Arm's default: no function of mem_access is there to be asked.
#[test]
fn in_a_xen_without_mem_access_the_type_alone_decides() {
    for (ty, writable, executable) in TYPES {
        for (wants, bits) in [READ, WRITE, FETCH]
            .map(|wants| (wants, wants | OWN))
            .into_iter()
            .chain([(READ, READ | WALK)])
        {
            let w = world(Config {
                release: Facts {
                    mem_access: false,
                    ..XEN_4_20
                },
                ..Config::default()
            });
            let d = scene(&w, ty);
            let by_walker = bits & WALK == WALK;
            let allowed = allows(writable, executable, wants);
            let allowed = allowed && !(by_walker && ty == p2mt::MMIO_DEV);
            let ends = |through| if allowed { through } else { End::Abort(1) };
            let what = format!("type {ty}, {bits:#b}");
            assert_eq!(does(&w, bits, wants), ends(End::Through(0)), "{what}");
            // Nobody could restrict the page there. If it is, nobody is asked.
            assert_eq!(d.set_access(GFN, 1, 0, access::N), 0);
            w.monitor_listens(d, true);
            let writes_table = by_walker && !writable;
            let expected = if writes_table {
                End::Abort(1)
            } else {
                ends(End::Spins)
            };
            assert_eq!(does(&w, bits, wants), expected, "{what}");
            assert_eq!(w.monitor_requests(), [], "{what}");
        }
    }
}

/// A walker that sets the access flag or the dirty state in a read-only table; the instruction
/// may have done anything.
#[test]
fn a_walker_that_writes_a_read_only_table_ends_in_an_abort() {
    for (ty, writable, _) in TYPES {
        for by in [READ, WRITE, FETCH] {
            for wants in [READ, WRITE] {
                let w = plain();
                let _d = scene(&w, ty);
                let expected = if allows(writable, true, wants) && ty != p2mt::MMIO_DEV {
                    End::Through(0)
                } else {
                    End::Abort(1)
                };
                assert_eq!(
                    does(&w, by | WALK, wants),
                    expected,
                    "type {ty}, instruction {by:#b}, walker {wants:#b}"
                );
            }
        }
    }
}

/// Whatever has become of the table's page since: the walker fetches nothing, so that a type that
/// forbids fetching is no reason, though the instruction was being fetched.
#[test]
fn a_walk_for_a_fetch_is_no_fetch() {
    for (ty, writable, _) in TYPES {
        let w = plain();
        let _d = scene(&w, ty);
        let bits = FETCH | WALK;
        let again = writable && ty != p2mt::MMIO_DEV;
        assert!(w.permission_fault(GPA, GLA, npfec { bits }));
        assert_eq!(w.aborts_injected().is_empty(), again, "type {ty}");
    }
}

/// Restricted and forbidden by the type as well: first mem_access, then the abort.
#[test]
fn the_type_has_the_last_word_once_the_restriction_is_lifted() {
    for (ty, writable, executable) in TYPES {
        for wants in [READ, WRITE, FETCH] {
            let w = plain();
            let d = scene(&w, ty);
            assert_eq!(d.set_access(GFN, 1, 0, access::N), 0);
            // Nobody listens: the restriction is lifted.
            let expected = if allows(writable, executable, wants) {
                End::Through(1)
            } else {
                End::Abort(2)
            };
            let what = format!("type {ty}, access {wants:#b}");
            assert_eq!(does(&w, wants | OWN, wants), expected, "{what}");
            assert_eq!(d.access(GFN), (0, access::RWX), "{what}");
        }
    }
}

/// While a monitor decides, there is no abort: the vCPU waits.
#[test]
fn an_event_is_no_abort() {
    for (ty, ..) in TYPES {
        let w = plain();
        let d = scene(&w, ty);
        assert_eq!(d.set_access(GFN, 1, 0, access::N), 0);
        w.monitor_listens(d, true);
        for wants in [READ, WRITE, FETCH] {
            let bits = wants | OWN;
            assert!(w.permission_fault(GPA, GLA, npfec { bits }), "type {ty}");
            assert_eq!(w.monitor_requests().len(), 1, "type {ty}");
            assert_eq!(w.aborts_injected(), [0; 0], "type {ty}");
        }
    }
}

/// Between the fault and the judgement, or between mem_access and the look at the type, another
/// CPU does something.
#[test]
fn who_was_quicker() {
    type Change = fn(Domain);
    let cases: [(u32, u32, Change, bool); 6] = [
        // The monitor lifts.
        (
            p2mt::RAM_RW,
            WRITE,
            |d| assert_eq!(d.set_access(GFN, 1, 0, access::RWX), 0),
            true,
        ),
        // The monitor restricts otherwise; the next fault is an event.
        (
            p2mt::RAM_RW,
            WRITE,
            |d| assert_eq!(d.set_access(GFN, 1, 0, access::N), 0),
            true,
        ),
        // The page goes.
        (
            p2mt::RAM_RO,
            WRITE,
            |d| assert_eq!(d.remove(GFN, 1, ram(0)), 0),
            true,
        ),
        // A page that may be written takes its place, and the other way round.
        (
            p2mt::RAM_RO,
            WRITE,
            |d| assert_eq!(d.insert(GFN, 1, ram(0) + 1, p2mt::RAM_RW), 0),
            true,
        ),
        (
            p2mt::RAM_RW,
            WRITE,
            |d| assert_eq!(d.insert(GFN, 1, ram(0) + 1, p2mt::RAM_RO), 0),
            false,
        ),
        (
            p2mt::RAM_RO,
            FETCH,
            |d| assert_eq!(d.insert(GFN, 1, ram(0) + 1, p2mt::GRANT_RO), 0),
            false,
        ),
    ];
    for (n, (ty, wants, change, again)) in cases.into_iter().enumerate() {
        for between in [false, true] {
            let w = plain();
            let d = scene(&w, ty);
            // In use, so that mem_access takes the lock before the type is looked at.
            assert_eq!(d.insert(7, 1, ram(0) + 7, p2mt::RAM_RW), 0);
            assert_eq!(d.set_access(7, 1, 0, access::N), 0);
            w.monitor_listens(d, true);
            if between {
                w.meanwhile(move || change(d));
            } else {
                change(d);
            }
            let bits = wants | OWN;
            let event = !between && n == 1;
            assert!(w.permission_fault(GPA, GLA, npfec { bits }));
            let retries = w.aborts_injected().is_empty();
            assert_eq!(retries, again, "case {n}, between {between}");
            assert_eq!(w.monitor_requests().len(), usize::from(event), "case {n}");
        }
    }
}

/// Xen has no external abort for it: the trap handler's own abort has to do.
#[test]
fn the_abort_of_a_32_bit_guest_is_left_to_the_trap_handler() {
    let w = plain();
    let d = scene(&w, p2mt::RAM_RO);
    w.guest_is_32_bit();
    assert_eq!(does(&w, WRITE | OWN, WRITE), End::LeftToXen(1));
    assert_eq!(does(&w, FETCH | OWN, FETCH), End::Through(0));
    assert_eq!(d.set_access(GFN, 1, 0, access::N), 0);
    assert_eq!(does(&w, WRITE | OWN, WRITE), End::LeftToXen(2));
}

/// The syndrome of DC and IC by address says that they wrote; ISS.CM is set.
const CACHE_MAINTENANCE: u64 = 0x24 << 26 | 1 << 8 | 1 << 6;

#[test]
fn cache_maintenance_from_el0_is_a_read_whatever_its_syndrome_says() {
    for a in access::N..=access::R_PW {
        let reads = ![access::N, access::W, access::X, access::WX, access::N2RWX].contains(&a);
        for listens in [false, true] {
            let w = plain();
            let d = scene(&w, p2mt::RAM_RW);
            w.guest_is_at_el0(true);
            assert_eq!(d.set_access(GFN, 1, 0, a), 0);
            w.monitor_listens(d, listens);
            assert_eq!(w.guest_can(0, GPA, false), reads, "access {a}");
            if listens && !reads {
                let bits = WRITE | OWN;
                assert!(w.permission_fault_with(GPA, GLA, npfec { bits }, CACHE_MAINTENANCE));
                let events = w.monitor_requests();
                let flags = events.iter().map(|event| event.flags & 7);
                assert_eq!(flags.collect::<Vec<_>>(), [READ], "access {a}");
                continue;
            }
            let end = does_with(&w, WRITE | OWN, CACHE_MAINTENANCE, READ);
            assert_eq!(end, End::Through(u32::from(!reads)), "access {a}");
            let left = if reads { a } else { access::RWX };
            assert_eq!(d.access(GFN), (0, left), "access {a}");
        }
    }
}

#[test]
fn cache_maintenance_from_el0_of_read_only_memory_is_no_reason_for_an_abort() {
    for (ty, ..) in TYPES {
        let w = plain();
        let d = scene(&w, ty);
        w.guest_is_at_el0(true);
        assert_eq!(d.set_access(GFN, 1, 0, access::N), 0);
        let end = does_with(&w, WRITE | OWN, CACHE_MAINTENANCE, READ);
        assert_eq!(end, End::Through(1), "type {ty}");
    }
}

/// DC IVAC asks for the permission to write, and EL0 cannot execute it.
#[test]
fn cache_maintenance_from_el1_that_is_refused_is_a_write() {
    for a in access::N..=access::R_PW {
        let writes = [access::W, access::RW, access::WX, access::RWX].contains(&a);
        for listens in [false, true] {
            let w = plain();
            let d = scene(&w, p2mt::RAM_RW);
            assert_eq!(d.set_access(GFN, 1, 0, a), 0);
            w.monitor_listens(d, listens);
            assert_eq!(w.guest_can(0, GPA, true), writes, "access {a}");
            if listens && !writes && a != access::RX2RW {
                let bits = WRITE | OWN;
                assert!(w.permission_fault_with(GPA, GLA, npfec { bits }, CACHE_MAINTENANCE));
                let events = w.monitor_requests();
                let flags = events.iter().map(|event| event.flags & 7);
                assert_eq!(flags.collect::<Vec<_>>(), [WRITE], "access {a}");
                continue;
            }
            let end = does_with(&w, WRITE | OWN, CACHE_MAINTENANCE, WRITE);
            assert_eq!(end, End::Through(u32::from(!writes)), "access {a}");
        }
    }
}

#[test]
fn cache_maintenance_from_el1_of_read_only_memory_ends_in_an_abort() {
    for (ty, writable, _) in TYPES {
        let w = plain();
        let _d = scene(&w, ty);
        let expected = match writable {
            true => End::Through(0),
            false => End::Abort(1),
        };
        let end = does_with(&w, WRITE | OWN, CACHE_MAINTENANCE, WRITE);
        assert_eq!(end, expected, "type {ty}");
    }
}

/// HCR_EL2.PTW: stage 2 lets no walk come to Device memory, though an instruction may read it.
#[test]
fn a_walk_of_tables_in_device_memory_ends_in_an_abort() {
    for by in [READ, WRITE, FETCH] {
        for restricted in [false, true] {
            let w = plain();
            let d = scene(&w, p2mt::MMIO_DEV);
            if restricted {
                assert_eq!(d.set_access(GFN, 1, 0, access::N), 0);
            }
            assert!(!w.walker_can(0, GPA, false));
            let end = does(&w, by | WALK, READ);
            assert_eq!(
                end,
                End::Abort(1 + u32::from(restricted)),
                "instruction {by:#b}"
            );
            assert!(w.guest_can(0, GPA, false));
        }
    }
}
