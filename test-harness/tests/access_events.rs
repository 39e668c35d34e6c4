// SPDX-License-Identifier: GPL-2.0-only
//! `p2m_mem_access_check()`: which faults are introspection's, and what
//! happens then. Every access against every kind of fault.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;
use common::{access, guest, p2mt, plain, ram};
use test_harness::{Domain, Event, MonitorRequest, World};
use xen_sys::npfec;

const GFN: u64 = 0x1000;
const GPA: u64 = GFN << 12 | 0x123;
const GLA: u64 = 0xFFFF_0000_0000_0456;

const READ: u32 = 1;
const WRITE: u32 = 2;
const FETCH: u32 = 4;

/// Which kinds of fault each access forbids, from xen/include/public/memory.h.
/// N and N2RWX forbid everything, also a fault of no kind.
const FORBIDDEN: [(u32, u32, bool); 11] = [
    (access::N, READ | WRITE | FETCH, true),
    (access::R, WRITE | FETCH, false),
    (access::W, READ | FETCH, false),
    (access::RW, FETCH, false),
    (access::X, READ | WRITE, false),
    (access::RX, WRITE, false),
    (access::WX, READ, false),
    (access::RWX, 0, false),
    (access::RX2RW, WRITE, false),
    (access::N2RWX, READ | WRITE | FETCH, true),
    (access::R_PW, WRITE | FETCH, false),
];

fn scene(w: &World, a: u32) -> Domain {
    let d = guest(w, 0);
    let v = w.vcpu(d);
    assert_eq!(d.insert(GFN, 1, ram(0), p2mt::RAM_RW), 0);
    // A neighbour is restricted, so that mem_access is in use with each of the accesses.
    assert_eq!(d.insert(GFN + 1, 1, ram(0) + 2, p2mt::RAM_RW), 0);
    assert_eq!(d.set_access(GFN + 1, 1, 0, access::N), 0);
    assert_eq!(d.set_access(GFN, 1, 0, a), 0);
    assert!(d.mem_access_enabled());
    w.run(0, v);
    d
}

fn faults() -> impl Iterator<Item = (u32, u32, u32, bool)> {
    FORBIDDEN.into_iter().flat_map(|(a, forbidden, always)| {
        (0..8).map(move |fault| (a, fault, forbidden, always || forbidden & fault != 0))
    })
}

#[test]
fn a_fault_is_a_violation_exactly_if_the_access_forbids_it() {
    for (a, fault, _, violation) in faults() {
        let w = plain();
        let d = scene(&w, a);
        w.monitor_listens(d, true);
        let handled = !w.mem_access_check(GPA, GLA, npfec { bits: fault });
        assert_eq!(handled, violation, "access {a} fault {fault:#b}");
        let events = w.monitor_requests();
        let converts = a == access::RX2RW && fault & WRITE != 0;
        let expected = MonitorRequest {
            reason: 1,
            gfn: GFN,
            offset: 0x123,
            gla: 0,
            flags: fault,
            sync: a != access::N2RWX,
        };
        if violation && !converts {
            assert_eq!(events, [expected], "access {a} fault {fault:#b}");
        } else {
            assert_eq!(events, [], "access {a} fault {fault:#b}");
        }
        let after = match a {
            access::N2RWX => access::RWX,
            access::RX2RW if converts => access::RW,
            _ => a,
        };
        assert_eq!(d.access(GFN), (0, after), "access {a} fault {fault:#b}");
        assert_eq!(
            w.fate(d).0,
            0,
            "nobody is crashed for an event that was sent"
        );
    }
}

#[test]
fn without_a_monitor_the_restriction_is_lifted() {
    for (a, fault, _, violation) in faults() {
        let w = plain();
        let d = scene(&w, a);
        assert_eq!(
            !w.mem_access_check(GPA, GLA, npfec { bits: fault }),
            violation
        );
        assert_eq!(w.monitor_requests(), []);
        let converts = a == access::RX2RW && fault & WRITE != 0;
        let after = match (violation, converts) {
            (_, true) => access::RW,
            (true, _) => access::RWX,
            _ => a,
        };
        assert_eq!(d.access(GFN), (0, after), "access {a} fault {fault:#b}");
        assert_eq!(w.fate(d).0, 0);
    }
}

#[test]
fn without_a_monitor_that_is_required_the_domain_is_crashed() {
    for (a, fault, _, violation) in faults() {
        let w = plain();
        let d = scene(&w, a);
        d.set_access_required(true);
        assert_eq!(
            !w.mem_access_check(GPA, GLA, npfec { bits: fault }),
            violation
        );
        let converts = a == access::RX2RW && fault & WRITE != 0;
        let crashed = u32::from(violation && !converts);
        assert_eq!(w.fate(d).0, crashed, "access {a} fault {fault:#b}");
        w.check(); // in particular L5: the lock is not held at the crash
    }
}

#[test]
fn the_event_says_what_is_known_of_the_virtual_address() {
    // gla_valid is bit 4, kind bits 6:5: (npfec, flags beside R, gla).
    let cases = [
        (READ, 0, 0),
        (READ | 1 << 4, 1 << 3, GLA),
        (READ | 1 << 4 | 1 << 5, 1 << 3 | 1 << 5, GLA), // in a guest page table
        (READ | 1 << 4 | 2 << 5, 1 << 3 | 1 << 4, GLA), // with the address
        (READ | 2 << 5, 0, 0),                          // kind without an address
    ];
    for (bits, flags, gla) in cases {
        let w = plain();
        let d = scene(&w, access::N);
        w.monitor_listens(d, true);
        assert!(!w.mem_access_check(GPA, GLA, npfec { bits }));
        let event = w.monitor_requests()[0];
        assert_eq!(
            (event.flags, event.gla),
            (READ | flags, gla),
            "npfec {bits:#b}"
        );
    }
}

/// Between the question whether there is a monitor and the event, which may wait for room in the ring: the guest goes
/// on as if nobody had been asked, and its next try finds nobody.
#[test]
fn a_monitor_that_leaves_before_it_is_sent_an_event_crashes_nobody() {
    for (a, fault, _, violation) in faults() {
        if !violation || a == access::RX2RW {
            continue;
        }
        let w = plain();
        let d = scene(&w, a);
        w.monitor_listens(d, true);
        w.monitor_leaves_once_asked();
        let what = format!("access {a} fault {fault:#b}");
        assert!(
            !w.mem_access_check(GPA, GLA, npfec { bits: fault }),
            "{what}"
        );
        assert_eq!(w.fate(d).0, 0, "{what}");
        assert_eq!(w.monitor_requests(), [], "{what}");
        let expected = if a == access::N2RWX { access::RWX } else { a };
        assert_eq!(d.access(GFN), (0, expected), "{what}");
        w.check();
    }
}

#[test]
fn a_monitor_that_fails_crashes_the_domain() {
    for (a, fault, _, violation) in faults() {
        for is_in_view in [false, cfg!(config_altp2m)] {
            let w = plain();
            let d = scene(&w, a);
            #[cfg(config_altp2m)]
            if is_in_view {
                judged_in_a_view(&w, d, a);
            }
            w.monitor_listens(d, true);
            w.monitor_answers(-1);
            let what = format!("access {a} fault {fault:#b}, in a view: {is_in_view}");
            let handled = !w.mem_access_check(GPA, GLA, npfec { bits: fault });
            assert_eq!(handled, violation, "{what}");
            // Exactly where an event is sent to it.
            let converts = a == access::RX2RW && fault & WRITE != 0;
            let crashed = u32::from(violation && !converts);
            assert_eq!(w.fate(d).0, crashed, "{what}");
            w.check();
        }
    }
}

/// From now on a vCPU runs that is in a view, in which the page has that access; the host p2m does not
/// restrict it.
#[cfg(config_altp2m)]
fn judged_in_a_view(w: &World, d: Domain, a: u32) {
    assert_eq!(d.set_access(GFN, 1, 0, access::RWX), 0);
    w.allow_views(d);
    assert_eq!(d.use_views(true), 0);
    let n = d.create_view(access::RWX).unwrap();
    assert_eq!(d.set_access_in_view(n, GFN, a), 0);
    let v = w.vcpu(d);
    w.run(0, w.toolstack(0));
    assert_eq!(v.switch_view(n), 0);
    w.run(0, v);
    // The guest has used the page, so that the view maps it.
    assert!(d.resolve(GFN));
    assert_eq!(d.access_in_view(n, GFN), (0, a));
}

#[test]
fn a_fault_without_mem_access_is_not_handled_here() {
    let w = plain();
    let d = guest(&w, 0);
    let v = w.vcpu(d);
    w.run(0, v);
    // Not in use at all.
    assert!(w.mem_access_check(GPA, GLA, npfec { bits: WRITE }));
    // In use, but nothing is mapped there.
    assert_eq!(d.insert(GFN + 1, 1, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.set_access(GFN + 1, 1, 0, access::R), 0);
    assert!(w.mem_access_check(GPA, GLA, npfec { bits: WRITE }));
    // Mapped without a restriction: a read-only type, for instance.
    assert_eq!(d.insert(GFN, 1, ram(0) + 1, p2mt::RAM_RO), 0);
    assert!(w.mem_access_check(GPA, GLA, npfec { bits: WRITE }));
    assert_eq!(w.monitor_requests(), []);
}

/// `gla_valid` of `struct npfec`, and its kind: a walk of the guest's own tables.
const IN_TABLES: u32 = 1 << 4 | 1 << 5;

/// `MEM_ACCESS_GLA_VALID` and `MEM_ACCESS_FAULT_IN_GPT`.
const OF_A_WALK: u32 = 1 << 3 | 1 << 5;

/// What a walk of the guest's tables was refused, by the access of the page that
/// holds them: a read if that is forbidden. If not, it was the write by which the
/// walker sets the access flag or the dirty state. Where it may do both, the
/// restriction was not what stopped it.
const REFUSED_WALKS: [(u32, u32); 11] = [
    (access::N, READ),
    (access::R, WRITE),
    (access::W, READ),
    (access::RW, 0),
    (access::X, READ),
    (access::RX, WRITE),
    (access::WX, READ),
    (access::RWX, 0),
    (access::RX2RW, WRITE),
    (access::N2RWX, READ),
    (access::R_PW, WRITE),
];

/// The access, what the walk was refused, and what the instruction did that began
/// it: a read, a write (WnR of the syndrome) or a fetch, which say nothing of it.
fn walks() -> impl Iterator<Item = (u32, u32, u32)> {
    let instructions = [READ, WRITE, FETCH];
    REFUSED_WALKS
        .into_iter()
        .flat_map(move |(a, refused)| instructions.map(|by| (a, refused, by)))
}

#[test]
fn a_walk_of_the_guests_tables_is_judged_by_what_the_walker_did() {
    for (a, refused, by) in walks() {
        let w = plain();
        let d = scene(&w, a);
        w.monitor_listens(d, true);
        let bits = by | IN_TABLES;
        let handled = !w.mem_access_check(GPA, GLA, npfec { bits });
        assert_eq!(handled, refused != 0, "access {a}, instruction {by:#b}");
        // Which entry of the table it was is not known: the low bits of the address
        // that comes with the fault are the virtual address's.
        let event = MonitorRequest {
            reason: 1,
            gfn: GFN,
            offset: 0,
            gla: GLA,
            flags: refused | OF_A_WALK,
            sync: a != access::N2RWX,
        };
        let expected = match a {
            access::RX2RW | access::RW | access::RWX => vec![],
            _ => vec![event],
        };
        let what = format!("access {a}, instruction {by:#b}");
        assert_eq!(w.monitor_requests(), expected, "{what}");
        let after = match a {
            access::N2RWX => access::RWX,
            access::RX2RW => access::RW,
            _ => a,
        };
        assert_eq!(d.access(GFN), (0, after), "{what}");
        w.check();
    }
}

/// Debian stood still: each fault was judged by the instruction, found to be nobody's,
/// and came again.
#[test]
fn a_guest_whose_tables_are_restricted_gets_on() {
    for (a, refused, by) in walks() {
        for walker_writes in [false, true] {
            let w = plain();
            let _d = scene(&w, a);
            let gets_through =
                || w.guest_can(0, GPA, false) && (!walker_writes || w.guest_can(0, GPA, true));
            let mut faults = 0;
            while !gets_through() {
                let bits = by | IN_TABLES;
                assert!(!w.mem_access_check(GPA, GLA, npfec { bits }));
                faults += 1;
                assert!(faults < 2, "access {a}, instruction {by:#b}");
            }
            assert!(faults == 0 || refused != 0);
        }
    }
}

#[test]
fn a_walk_that_violates_without_a_monitor_that_is_required_crashes_the_domain() {
    for (a, refused, by) in walks() {
        let w = plain();
        let d = scene(&w, a);
        d.set_access_required(true);
        let bits = by | IN_TABLES;
        assert_eq!(
            !w.mem_access_check(GPA, GLA, npfec { bits }),
            refused != 0,
            "access {a}"
        );
        let crashes = refused != 0 && a != access::RX2RW;
        assert_eq!(w.fate(d).0, u32::from(crashes), "access {a}");
    }
}

/// The other kinds: the address is the access's own, and so are its low bits.
#[test]
fn the_offset_of_an_access_that_is_no_walk_is_told() {
    for kind in [0, 2 << 5] {
        let w = plain();
        let d = scene(&w, access::N);
        w.monitor_listens(d, true);
        let bits = WRITE | 1 << 4 | kind;
        assert!(!w.mem_access_check(GPA, GLA, npfec { bits }));
        let event = w.monitor_requests()[0];
        assert_eq!((event.gfn, event.offset), (GFN, 0x123));
    }
}

/// Between the judgement of a fault and the lifting that follows, a monitor may come and set
/// another access: its word counts, and the next fault is judged by it.
#[test]
fn an_access_that_is_set_while_a_fault_is_judged_is_not_lifted() {
    // Whichever access is relaxed without a monitor's answer.
    let cases = [
        (access::RX2RW, WRITE, access::RW),
        (access::N2RWX, READ, access::RWX),
        (access::R, WRITE, access::RWX),
    ];
    for (a, fault, lifted) in cases {
        for new in [access::N, access::RX, access::R_PW, a] {
            let w = plain();
            let d = scene(&w, a);
            w.meanwhile(move || assert_eq!(d.set_access(GFN, 1, 0, new), 0));
            assert!(!w.mem_access_check(GPA, GLA, npfec { bits: fault }));
            let expected = if new == a { lifted } else { new };
            assert_eq!(d.access(GFN), (0, expected), "access {a}, then {new}");
            w.check();
        }
    }
}

/// Nor is a page restricted, or an access of a page lifted, that took the place of the page.
#[test]
fn a_page_that_is_replaced_while_a_fault_is_judged_keeps_its_access() {
    let w = plain();
    let d = scene(&w, access::RX2RW);
    // What is mapped from now on is write-only.
    assert_eq!(d.set_access(u64::MAX, 0, 0, access::W), 0);
    w.meanwhile(move || assert_eq!(d.insert(GFN, 1, ram(0) + 9, p2mt::RAM_RW), 0));
    assert!(!w.mem_access_check(GPA, GLA, npfec { bits: WRITE }));
    assert_eq!(d.access(GFN), (0, access::W));
    w.check();
}

/// The monitor may restrict the page again as soon as it has the event.
#[test]
fn n2rwx_is_lifted_before_its_event_is_sent() {
    let w = plain();
    let d = scene(&w, access::N2RWX);
    w.monitor_listens(d, true);
    w.clear_events();
    assert!(!w.mem_access_check(GPA, GLA, npfec { bits: READ }));
    let events = w.events();
    let order = events.iter().filter_map(|(_, event)| match event {
        Event::PteStore { .. } => Some("lifted"),
        Event::MonitorTraps { .. } => Some("sent"),
        _ => None,
    });
    assert_eq!(order.collect::<Vec<_>>(), ["lifted", "sent"]);
}
