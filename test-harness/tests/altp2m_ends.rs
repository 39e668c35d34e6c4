// SPDX-License-Identifier: GPL-2.0-only
//! The end of a domain, or of a view, while vCPUs are in views: while a CPU still has the view's
//! tables loaded, while a vCPU was told another view and has not run since, and while answers and
//! faults are on their way.

#![cfg(config_altp2m)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;

use common::views::{ipa, Viewed};
use common::{access, errno, guest, p2mt, ram, M2};
use p2m_rs::types::access::P2mAccess;
use p2m_rs::types::errno::Errno;
use test_harness::{Config, Domain, Preempt, Vcpu};

const PAGES: u64 = 0x1000;
const BLOCK: u64 = 0x4000;
const FOREIGN: u64 = 0x2000;

/// Where a vCPU is when its domain is killed. Both views have been used by it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Where {
    /// In a view, whose tables its CPU still has loaded, for nobody has run there since.
    InView,
    /// It was told another view, and has not run since: what is loaded is the old one.
    ToldAnother,
    /// It was told the host p2m.
    ToldHost,
    /// It was told another view, and that was destroyed when it had left it.
    OldOneDestroyed,
}

const WHERE: [Where; 4] = [
    Where::InView,
    Where::ToldAnother,
    Where::ToldHost,
    Where::OldOneDestroyed,
];

struct Scene {
    v: Viewed,
    owner: Domain,
    n: u16,
    other: u16,
    vcpu: Vcpu,
    /// Heap pages before the guest's views.
    heap: u64,
}

impl Scene {
    fn new(at_speculate: bool) -> Self {
        let v = Viewed::on(Config {
            at_speculate,
            ..Config::default()
        });
        let owner = guest(&v.w, 1);
        assert_eq!(v.d.insert(PAGES, 64, ram(0), p2mt::RAM_RW), 0);
        assert_eq!(v.d.insert(BLOCK, M2, ram(0) + M2, p2mt::RAM_RW), 0);
        assert_eq!(v.d.map_foreign(owner, FOREIGN, ram(1)), 0);
        let heap = v.w.heap_in_use();
        let (n, other) = (v.create(), v.create());
        let vcpu = v.vcpu_in(0, other);
        assert_eq!(v.remap(other, PAGES + 1, PAGES + 2), Ok(()));
        assert_eq!(v.set_access(n, BLOCK + 3, P2mAccess::R), Ok(()));
        for number in [other, n] {
            v.w.run(0, v.w.toolstack(0));
            assert_eq!(vcpu.switch_view(number), 0);
            v.w.run(0, vcpu);
            for gfn in [PAGES, BLOCK, FOREIGN] {
                assert!(v.read(0, gfn).is_some());
            }
        }
        Self {
            v,
            owner,
            n,
            other,
            vcpu,
            heap,
        }
    }

    /// The vCPU is paused, and so it is descheduled. Returns the view that it is in.
    fn goes_to(&self, place: Where) -> u16 {
        self.v.w.run(0, self.v.w.toolstack(0));
        let told = match place {
            Where::InView => return self.n,
            Where::ToldHost => 0,
            Where::ToldAnother | Where::OldOneDestroyed => self.other,
        };
        assert_eq!(self.vcpu.switch_view(told), 0);
        if place == Where::OldOneDestroyed {
            assert_eq!(self.v.destroy(self.n), Ok(()));
        }
        told
    }
}

/// Calls it until it is through, and checks all rules whenever it was preempted.
fn finish(s: &Scene, step: impl Fn() -> i32) {
    loop {
        let rc = step();
        s.v.w.check();
        if rc == 0 {
            return;
        }
        assert_eq!(rc, errno::ERESTART);
    }
}

#[test]
fn a_domain_is_destroyed_whole_wherever_its_vcpus_are() {
    for place in WHERE {
        for preempt in [Preempt::Never, Preempt::Always] {
            for at_speculate in [false, true] {
                let s = Scene::new(at_speculate);
                let (w, d) = (&s.v.w, s.v.d);
                let told = s.goes_to(place);
                w.preempt(preempt);
                d.set_dying_state(1);
                finish(&s, || d.relinquish());
                // The tables are still there, and whoever walks them finds nothing.
                for (number, view) in d.views() {
                    assert!(w.view_snapshot(view).is_empty(), "{place:?}, {number}");
                }
                if place != Where::OldOneDestroyed {
                    assert_eq!(w.guest_reads(0, ipa(PAGES)), None, "{place:?}");
                }
                assert_eq!(w.references(ram(1)), 1, "{place:?}");
                d.clear_root();
                finish(&s, || d.teardown());
                assert!(d.views().is_empty());
                assert_eq!((s.v.used(), s.vcpu.view()), (0, told), "{place:?}");
                assert_eq!(w.heap_in_use(), s.heap, "{place:?}");
                finish(&s, || d.teardown_pool());
                d.final_teardown();
                w.check();
            }
        }
    }
}

/// The CPU has not run anybody else since: what it has loaded, and what its TLBs hold, were the views'.
#[test]
fn the_next_domain_with_the_vmid_of_one_that_ended_in_a_view_sees_its_own_memory() {
    for place in WHERE {
        for in_view in [false, true] {
            let s = Scene::new(false);
            let (w, vmid) = (&s.v.w, s.v.d.vmid());
            s.goes_to(place);
            w.destroy(s.v.d);
            // (The pages go with the domain that owned them.)
            let next = guest(w, 3);
            assert_eq!(next.vmid(), vmid, "the lowest that is free");
            assert_eq!(next.insert(PAGES, 4, ram(3), p2mt::RAM_RW), 0);
            w.allow_views(next);
            assert_eq!(next.use_views(true), 0);
            assert_eq!(next.create_view(access::RWX), Ok(s.n));
            let vcpu = w.vcpu(next);
            if in_view {
                assert_eq!(vcpu.switch_view(s.n), 0);
            }
            // Rule T7 watches that the CPU has flushed what it had.
            w.run(0, vcpu);
            for page in 0..4 {
                assert!(w.on_cpu(0, || next.resolve(PAGES + page)));
                let read = w.guest_reads(0, ipa(PAGES + page));
                assert_eq!(read, Some(ipa(ram(3) + page)), "{place:?}");
            }
            assert_eq!(w.guest_reads(0, ipa(BLOCK)), None);
            w.run(0, w.toolstack(0));
            w.destroy(next);
            w.check();
        }
    }
}

/// An answer says so, if it is anything that the vCPU will notice; and it will not run again.
#[test]
fn answers_and_calls_for_a_domain_that_is_dying_change_nothing_for_anybody() {
    type Step = fn(&Scene);
    let steps: [(&str, Step); 4] = [
        ("killed", |s| s.v.d.set_dying_state(1)),
        ("relinquished", |s| finish(s, || s.v.d.relinquish())),
        ("cleared", |s| s.v.d.clear_root()),
        ("torn down", |s| finish(s, || s.v.d.teardown())),
    ];
    for place in WHERE {
        let s = Scene::new(false);
        s.goes_to(place);
        for (what, step) in steps {
            step(&s);
            let what = format!("{place:?}, {what}");
            let exists = |number| s.v.d.views().iter().any(|(n, _)| *n == number);
            for number in [s.n, s.other, 0] {
                let expected = match number {
                    0 => 0,
                    _ if exists(number) => 0,
                    _ => errno::EINVAL,
                };
                assert_eq!(s.vcpu.switch_view(number), expected, "{what}, {number}");
            }
            let full = Err(Errno::ENOMEM.to_c());
            assert_eq!(s.v.d.create_view(access::RWX), full, "{what}");
            for number in [s.n, s.other] {
                let set = s.v.set_access(number, PAGES, P2mAccess::N);
                let shown = s.v.remap(number, PAGES, PAGES + 1);
                let refused = Err(if exists(number) {
                    Errno::ENOMEM
                } else {
                    Errno::EINVAL
                });
                assert_eq!(set, refused, "{what}, {number}");
                assert_eq!(shown, Err(Errno::ENOMEM), "{what}, {number}");
            }
            s.v.w.check();
        }
        finish(&s, || s.v.d.teardown_pool());
        s.v.d.final_teardown();
        assert_eq!(s.v.w.references(ram(1)), 1);
        s.v.w.check();
    }
}

/// Its vCPUs will not run again, so there is nothing to do and nobody to crash.
#[test]
fn a_fault_in_a_view_of_a_dying_domain_copies_nothing_and_is_no_crash() {
    let s = Scene::new(false);
    s.v.d.set_dying_state(1);
    let view = s.v.w.view_dump(s.v.view(s.n));
    assert!(s.v.w.on_cpu(0, || s.v.d.resolve(PAGES + 9)));
    assert_eq!(s.v.w.view_dump(s.v.view(s.n)), view);
    assert_eq!(s.v.w.fate(s.v.d).0, 0);
    s.v.w.check();
}

/// A neighbour dies, and takes its pages back one by one.
#[test]
fn a_view_outlives_the_domain_whose_page_it_had_copied() {
    let s = Scene::new(false);
    assert_eq!(s.v.read(0, FOREIGN), Some(ram(1)));
    s.v.w.destroy(s.owner);
    s.v.w.owner_frees(ram(1));
    // The host's mapping keeps the page.
    assert_eq!(
        (s.v.read(0, FOREIGN), s.v.w.references(ram(1))),
        (Some(ram(1)), 1)
    );
    assert_eq!(s.v.d.set_entry(FOREIGN, 1, !0, 0, access::RWX), 0);
    assert_eq!(s.v.w.references(ram(1)), 0);
    assert_eq!(s.v.w.guest_reads(0, ipa(FOREIGN)), None);
    assert_eq!(s.v.read(0, FOREIGN), None);
    s.v.w.check();
}

/// A view is not destroyed as long as a vCPU is on its way to it, and is once the last is on its way
/// to another one, whatever CPUs have loaded; also if that is a new one with the same number.
#[test]
fn a_view_that_a_vcpu_was_told_is_not_destroyed_and_one_that_it_was_told_to_leave_is() {
    enum To {
        Host,
        Other,
        New,
    }
    for (to, shown) in [(To::Host, 1), (To::Other, 2), (To::New, 9)] {
        let s = Scene::new(false);
        s.v.w.run(0, s.v.w.toolstack(0));
        let told = if matches!(to, To::Other) { s.other } else { 0 };
        assert_eq!(s.vcpu.switch_view(told), 0);
        if told != 0 {
            assert_eq!(s.v.destroy(told), Err(Errno::EBUSY));
        }
        assert_eq!(s.v.destroy(s.n), Ok(()));
        // Its pages are somebody else's by now.
        let filled = guest(&s.v.w, 2);
        assert_eq!(filled.insert(BLOCK, 1, ram(2), p2mt::RAM_RW), 0);
        assert_eq!(s.v.create(), s.n, "the number as well");
        assert_eq!(s.v.remap(s.n, PAGES + 1, PAGES + 9), Ok(()));
        if matches!(to, To::New) {
            assert_eq!(s.vcpu.switch_view(s.n), 0);
        }
        s.v.w.run(0, s.vcpu);
        assert_eq!(s.v.read(0, PAGES + 1), Some(ram(0) + shown));
        assert_eq!(s.v.read(0, BLOCK), Some(ram(0) + M2));
        s.v.w.check();
    }
}

/// All of its vCPUs were told so, and not all have run since.
#[test]
fn views_are_not_used_any_more_while_vcpus_are_on_their_way() {
    let s = Scene::new(false);
    let second = s.v.vcpu_in(1, s.n);
    assert_eq!(s.v.read(1, PAGES), Some(ram(0)));
    for cpu in [0, 1] {
        s.v.w.run(cpu, s.v.w.toolstack(cpu));
    }
    assert_eq!(s.vcpu.switch_view(s.other), 0);
    s.v.w.preempt(Preempt::Always);
    assert_eq!(s.v.d.use_views(false), 0);
    s.v.w.preempt(Preempt::Never);
    assert_eq!((s.vcpu.view(), second.view()), (0, 0));
    assert_eq!(s.v.w.heap_in_use(), s.heap);
    // The domain may use views again before they run, and they are in none of them.
    assert_eq!(s.v.d.use_views(true), 0);
    assert_eq!(s.v.create(), s.n);
    assert_eq!(s.v.remap(s.n, PAGES, PAGES + 5), Ok(()));
    for (cpu, vcpu) in [(0, s.vcpu), (1, second)] {
        s.v.w.run(cpu, vcpu);
        assert_eq!(s.v.read(cpu, PAGES), Some(ram(0)));
        assert_eq!(s.v.read(cpu, BLOCK + 3), Some(ram(0) + M2 + 3));
        assert!(s.v.w.guest_can(cpu, ipa(BLOCK + 3), true));
    }
    s.v.w.check();
}
