// SPDX-License-Identifier: GPL-2.0-only
//! Which page a hypercall of a vCPU in a view gets for a buffer that it names by virtual address:
//! every state of the buffer with every state of the guest's own tables, in the view and in the
//! host p2m.
//!
//! One rule for all of them: the page is the one that the *host* maps, and it is given exactly if
//! the guest's tables, as the host maps them, allow the access, and the page is RAM of the
//! domain's own that is not read-only if it is to be written. What the view says plays no part, and
//! nothing that the view says changes.

#![cfg(config_altp2m)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;

use common::views::Viewed;
use common::{access, count, guest, p2mt, ram, M2};
use p2m_rs::types::access::P2mAccess;
use test_harness::{Event, LockOp, Stage1Entry, Vcpu};

const GVA: u64 = 0x8000_0000;
const GFN: u64 = 0x1000;
const TABLES: u64 = 0x2000;
/// What is shown in the place of the buffer, and of the tables.
const SHADOWS: [u64; 2] = [0x3000, 0x3001];
/// Where other tables than the guest's own lead to.
const ELSEWHERE: u64 = 0x3002;

/// How a page is mapped in the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InView {
    NotCopied,
    Copied,
    Restricted(P2mAccess),
    Remapped,
    /// To a page that may not be read there either.
    RemappedAndRestricted,
}

const STATES: [InView; 7] = [
    InView::NotCopied,
    InView::Copied,
    InView::Restricted(P2mAccess::X),
    InView::Restricted(P2mAccess::N),
    InView::Restricted(P2mAccess::R),
    InView::Remapped,
    InView::RemappedAndRestricted,
];

/// A guest whose vCPU runs in a view, with its tables and a buffer that they map.
struct Scene {
    v: Viewed,
    n: u16,
    vcpu: Vcpu,
}

fn put_in_state(v: &Viewed, n: u16, gfn: u64, shadow: u64, state: InView) {
    match state {
        InView::NotCopied => {}
        InView::Copied => assert!(v.d.resolve(gfn)),
        InView::Restricted(access) => assert_eq!(v.set_access(n, gfn, access), Ok(())),
        InView::Remapped => assert_eq!(v.remap(n, gfn, shadow), Ok(())),
        InView::RemappedAndRestricted => {
            assert_eq!(v.remap(n, gfn, shadow), Ok(()));
            assert_eq!(v.set_access(n, gfn, P2mAccess::N), Ok(()));
        }
    }
}

fn scene(ty: u32, buffer: InView, tables: InView, host: u32) -> Scene {
    let v = Viewed::plain();
    assert_eq!(v.d.insert(GFN, 1, ram(0) + 7, ty), 0);
    for (gfn, mfn) in [TABLES, SHADOWS[0], SHADOWS[1], ELSEWHERE]
        .into_iter()
        .zip(ram(0) + 8..)
    {
        assert_eq!(v.d.insert(gfn, 1, mfn, p2mt::RAM_RW), 0);
    }
    let n = v.create();
    for gfn in [GFN, TABLES] {
        assert_eq!(v.d.set_access(gfn, 1, 0, host), 0);
    }
    let vcpu = v.vcpu_in(0, n);
    put_in_state(&v, n, GFN, SHADOWS[0], buffer);
    put_in_state(&v, n, TABLES, SHADOWS[1], tables);
    v.w.stage1_tables_in(vcpu, TABLES);
    // The tables that the view shows in the place of the guest's lead somewhere else.
    let other = Stage1Entry {
        gfn: ELSEWHERE,
        writable: true,
    };
    v.w.stage1_shadow(vcpu, ram(0) + 10, GVA, other);
    Scene { v, n, vcpu }
}

#[test]
fn a16_a17_a_hypercall_gets_the_hosts_page_whatever_the_view_says_of_buffer_and_tables() {
    for ty in [p2mt::RAM_RW, p2mt::RAM_RO] {
        for buffer in STATES {
            let is_remapped = matches!(buffer, InView::Remapped | InView::RemappedAndRestricted);
            if is_remapped && ty != p2mt::RAM_RW {
                continue;
            }
            for tables in STATES {
                for host in [access::RWX, access::N] {
                    let s = scene(ty, buffer, tables, host);
                    ask(&s, ty, &format!("{ty}, {buffer:?}, {tables:?}, {host}"));
                }
            }
        }
    }
}

fn ask(s: &Scene, ty: u32, what: &str) {
    let Scene { v, n, vcpu } = s;
    let before = (v.w.view_snapshot(v.view(*n)), v.d.access(GFN));
    for (writable, write) in [(true, false), (true, true), (false, false), (false, true)] {
        let entry = Stage1Entry { gfn: GFN, writable };
        v.w.stage1_map(*vcpu, GVA, entry);
        let allowed = !write || writable && ty == p2mt::RAM_RW;
        let expected = allowed.then_some(ram(0) + 7);
        for by_itself in [false, true] {
            let page = if by_itself {
                vcpu.check_and_get_page(GVA + 0x21, write)
            } else {
                vcpu.page_from_gva(GVA + 0x21, write)
            };
            let given = page.map(|page| page.put());
            assert_eq!(given, expected, "{what}, {writable}, {write}, {by_itself}");
        }
    }
    let after = (v.w.view_snapshot(v.view(*n)), v.d.access(GFN));
    assert_eq!(before, after, "{what}");
    assert!(v.w.monitor_requests().is_empty(), "{what}");
    v.w.check();
}

/// The tables of the guest lie in a page that Xen's walk does not read, and the hardware does.
#[test]
fn a17_tables_that_only_the_hardware_can_read() {
    for number in [0, 1] {
        for remapped in [false, true] {
            let v = Viewed::plain();
            let owner = guest(&v.w, 1);
            assert_eq!(v.d.insert(GFN, 1, ram(0) + 7, p2mt::RAM_RW), 0);
            assert_eq!(v.d.insert(GFN + 1, 1, ram(0) + 8, p2mt::RAM_RW), 0);
            assert_eq!(v.d.map_foreign(owner, TABLES, ram(1)), 0);
            let n = v.create();
            if remapped {
                assert_eq!(v.remap(n, GFN, GFN + 1), Ok(()));
            }
            let vcpu = v.vcpu_in(0, number);
            v.w.stage1_tables_in(vcpu, TABLES);
            for writable in [true, false] {
                let entry = Stage1Entry { gfn: GFN, writable };
                v.w.stage1_map(vcpu, GVA, entry);
                // The guest has just used them.
                assert_eq!(v.read(0, TABLES), Some(ram(1)));
                let page = vcpu.page_from_gva(GVA, true).map(|page| page.put());
                assert_eq!(page, writable.then_some(ram(0) + 7), "{number}, {remapped}");
            }
            v.w.check();
        }
    }
}

/// The guest's own tables have no such entry, and those that the view shows in their place do: the software
/// finds nothing, as with tables that it cannot walk, and the hardware walks what the view shows.
#[test]
fn a17_tables_that_only_the_view_shows_lead_to_the_hosts_page_as_well() {
    let s = scene(p2mt::RAM_RW, InView::Copied, InView::Remapped, access::RWX);
    let page = s.vcpu.page_from_gva(GVA, true).map(|page| page.put());
    assert_eq!(page, s.v.d.lookup(ELSEWHERE).0);
    // In the host p2m there are none that lead there.
    s.v.w.run(0, s.v.vcpu_in(0, 0));
    assert_eq!(s.vcpu.page_from_gva(GVA, true), None);
    s.v.w.check();
}

/// What is not the domain's own RAM, or not there.
#[test]
fn a16_what_the_host_does_not_give_is_not_given_in_a_view() {
    for ty in [p2mt::FOREIGN_RW, p2mt::GRANT_RW, p2mt::MMIO_DEV, 0] {
        for copied in [false, true] {
            let s = scene(p2mt::RAM_RW, InView::NotCopied, InView::Copied, access::RWX);
            let owner = guest(&s.v.w, 1);
            assert_eq!(s.v.d.remove(GFN, 1, ram(0) + 7), 0);
            let rc = match ty {
                0 => 0,
                p2mt::FOREIGN_RW => s.v.d.map_foreign(owner, GFN, ram(1)),
                _ => s.v.d.insert(GFN, 1, ram(1), ty),
            };
            assert_eq!(rc, 0);
            if copied {
                let _nothing_there = s.v.d.resolve(GFN);
            }
            let entry = Stage1Entry {
                gfn: GFN,
                writable: true,
            };
            s.v.w.stage1_map(s.vcpu, GVA, entry);
            for write in [false, true] {
                assert_eq!(s.vcpu.page_from_gva(GVA, write), None, "type {ty}");
            }
            s.v.w.check();
        }
    }
}

/// Where a view only copies, the hardware finds what the host maps, with one walk of its own and
/// none in software.
#[test]
fn a_view_that_only_copies_costs_no_walk_in_software() {
    let s = scene(p2mt::RAM_RW, InView::Copied, InView::Copied, access::RWX);
    let entry = Stage1Entry {
        gfn: GFN,
        writable: true,
    };
    s.v.w.stage1_map(s.vcpu, GVA, entry);
    let walks = || {
        s.v.w.clear_events();
        let page = s.vcpu.page_from_gva(GVA, true).map(|page| page.put());
        assert_eq!(page, Some(ram(0) + 7));
        let software = count(&s.v.w, |event| matches!(event, Event::GuestWalk { .. }));
        let hardware = count(&s.v.w, |event| {
            matches!(event, Event::AddressTranslation { .. })
        });
        (software, hardware)
    };
    assert_eq!(walks(), (0, 1));
    // Something is remapped, anywhere: only the software knows the host's frame.
    assert_eq!(s.v.remap(s.n, ELSEWHERE, SHADOWS[0]), Ok(()));
    assert_eq!(walks(), (1, 0));
    // And no more.
    assert_eq!(s.v.d.remove(SHADOWS[0], 1, ram(0) + 9), 0);
    for gfn in [GFN, TABLES] {
        assert!(s.v.read(0, gfn).is_some());
    }
    assert_eq!(walks(), (0, 1));
    s.v.w.check();
}

/// Another vCPU of the domain, in another view and in none: each gets the host's page, on the
/// same CPU, one after the other.
#[test]
fn a16_vcpus_of_two_views_and_of_none_copy_on_one_cpu() {
    let s = scene(p2mt::RAM_RW, InView::Remapped, InView::Copied, access::RWX);
    let other = s.v.create();
    assert_eq!(s.v.set_access(other, GFN, P2mAccess::N), Ok(()));
    let vcpus = [s.n, other, 0].map(|number| s.v.vcpu_in(0, number));
    for vcpu in vcpus {
        s.v.w.stage1_tables_in(vcpu, TABLES);
        let entry = Stage1Entry {
            gfn: GFN,
            writable: true,
        };
        s.v.w.stage1_map(vcpu, GVA, entry);
    }
    for turn in [0, 1, 2, 1, 0, 2, 2, 0, 1] {
        s.v.w.run(0, vcpus[turn]);
        let page = vcpus[turn].page_from_gva(GVA, true).map(|page| page.put());
        assert_eq!(page, Some(ram(0) + 7));
        // Another vCPU's buffers are none of the current one's.
        assert_eq!(vcpus[(turn + 1) % 3].page_from_gva(GVA, true), None);
    }
    s.v.w.check();
}

/// An execute-only view of blocks.
#[test]
fn a16_a_buffer_in_a_block_of_a_view_that_may_only_be_executed() {
    let v = Viewed::plain();
    assert_eq!(v.d.insert(0x4000, M2, ram(0) + M2, p2mt::RAM_RW), 0);
    let n = v.try_create(P2mAccess::X).unwrap();
    let vcpu = v.vcpu_in(0, n);
    v.w.stage1_tables_in(vcpu, 0x4001);
    for page in 0..4 {
        let entry = Stage1Entry {
            gfn: 0x4010 + page,
            writable: true,
        };
        v.w.stage1_map(vcpu, GVA + (page << 12), entry);
    }
    assert!(v.d.resolve(0x4000));
    for page in 0..4 {
        let given = vcpu.page_from_gva(GVA + (page << 12), true);
        let given = given.map(|page| page.put());
        assert_eq!(given, Some(ram(0) + M2 + 0x10 + page));
    }
    let copied = v.w.view_snapshot(v.view(n));
    assert_eq!((copied.len(), copied[&0x4000].order), (1, 9));
    v.w.check();
}

/// What the view shows is read under the lock, and AT is no access to memory: without an ISB behind
/// the lock the CPU may have translated before, when another CPU's remapping was still there.
#[test]
fn the_hardware_is_asked_after_the_lock_was_taken() {
    let s = scene(p2mt::RAM_RW, InView::Copied, InView::Copied, access::RWX);
    let entry = Stage1Entry {
        gfn: GFN,
        writable: true,
    };
    s.v.w.stage1_map(s.vcpu, GVA, entry);
    s.v.w.clear_events();
    let page = s.vcpu.page_from_gva(GVA, true).map(|page| page.put());
    assert!(page.is_some());
    let events = s.v.w.events();
    let order = events.iter().filter_map(|(_, event)| match event {
        Event::Lock {
            op: LockOp::Read, ..
        } => Some("lock"),
        Event::Isb => Some("isb"),
        Event::AddressTranslation { ok: true, .. } => Some("at"),
        _ => None,
    });
    assert_eq!(order.collect::<Vec<_>>(), ["lock", "isb", "at"]);
}
