// SPDX-License-Identifier: GPL-2.0-only
//! The deadlock that Xen commit 0012ae8afb fixed: `get_page_from_gva()` held
//! the p2m read lock while the software walk took it once more. A writer
//! queued in between waits for the first, and the second waits for the writer.
//!
//! Rule L1 (no CPU takes a read lock twice) finds it on one thread, whatever
//! the schedule. The replicas below have the old locking; the checker must
//! catch them, or the other tests here prove nothing.

#![allow(clippy::unwrap_used)] // a test may stop on the spot

mod common;
use common::{access, guest, p2mt, plain, ram};
use p2m_rs::p2m::token::unlocked_entry;
use p2m_rs::p2m::P2m;
use test_harness::{attach, Domain, Event, Preempt, Stage1Entry, Vcpu, Violation, World};

const BUFFER: u64 = 0x4000_0000;
const BUFFER_GFN: u64 = 0x1000;
const TABLES_GFN: u64 = 0x2000;

/// A guest on CPU 0 with a buffer and stage-1 tables, both mapped.
fn scene(w: &World) -> (Domain, Vcpu) {
    let d = guest(w, 0);
    let v = w.vcpu(d);
    assert_eq!(d.insert(BUFFER_GFN, 1, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.insert(TABLES_GFN, 1, ram(0) + 1, p2mt::RAM_RW), 0);
    w.stage1_map(
        v,
        BUFFER,
        Stage1Entry {
            gfn: BUFFER_GFN,
            writable: true,
        },
    );
    w.stage1_tables_in(v, TABLES_GFN);
    w.run(0, v);
    (d, v)
}

fn rules(violations: &[Violation]) -> Vec<&'static str> {
    violations.iter().map(|v| v.rule).collect()
}

#[test]
fn no_access_restriction_makes_get_page_from_gva_take_a_lock_twice() {
    for buffer_access in access::N..=access::R_PW {
        for tables_access in access::N..=access::R_PW {
            for write in [false, true] {
                let w = plain();
                let (d, v) = scene(&w);
                assert_eq!(d.set_access(BUFFER_GFN, 1, 0, buffer_access), 0);
                assert_eq!(d.set_access(TABLES_GFN, 1, 0, tables_access), 0);
                if let Some(page) = v.page_from_gva(BUFFER, write) {
                    assert_eq!(page.put(), ram(0));
                }
                w.check();
            }
        }
    }
}

#[test]
fn the_software_walk_is_reached_with_restricted_stage_1_tables() {
    let w = plain();
    let (d, v) = scene(&w);
    assert_eq!(d.set_access(BUFFER_GFN, 1, 0, access::N), 0);
    assert_eq!(d.set_access(TABLES_GFN, 1, 0, access::N), 0);
    w.clear_events();
    let page = v.page_from_gva(BUFFER, true).unwrap();
    assert_eq!(page.put(), ram(0));
    let walks = w
        .events()
        .iter()
        .filter(|(_, e)| matches!(e, Event::GuestWalk { .. }))
        .count();
    assert_eq!(walks, 1, "the path that deadlocked was not taken");
}

#[test]
fn the_checker_catches_the_old_lock_around_the_mem_access_path() {
    let w = plain();
    let (d, v) = scene(&w);
    assert_eq!(d.set_access(BUFFER_GFN, 1, 0, access::N), 0);
    assert_eq!(d.set_access(TABLES_GFN, 1, 0, access::N), 0);
    assert!(w.violations().is_empty());
    // get_page_from_gva() before 0012ae8afb: the lock is held over the call.
    let page = d.read_locked(|| v.check_and_get_page(BUFFER, false));
    page.unwrap().put();
    let found = rules(&w.take_violations());
    assert!(found.contains(&"L1"), "{found:?}");
    assert!(found.contains(&"L5"), "{found:?}");
}

#[test]
fn the_checker_catches_the_old_lock_even_where_no_walk_is_needed() {
    let w = plain();
    let (d, v) = scene(&w);
    assert_eq!(d.set_access(BUFFER_GFN, 1, 0, access::N), 0);
    let page = d.read_locked(|| v.check_and_get_page(BUFFER, false));
    page.unwrap().put();
    assert_eq!(rules(&w.take_violations()), ["L1"]);
}

#[test]
fn the_checker_catches_a_lookup_under_the_lock_of_another_domain() {
    let w = plain();
    let (d, _) = scene(&w);
    let other = guest(&w, 1);
    other.read_locked(|| d.lookup(BUFFER_GFN));
    assert_eq!(rules(&w.take_violations()), ["L3"]);
}

#[test]
fn readers_get_through_while_another_cpu_changes_the_same_pages() {
    let w = plain();
    let (d, v) = scene(&w);
    let machine = w.shared();
    let globals = p2m_rs::xen::globals::machine_for_test();
    let stop = std::sync::atomic::AtomicBool::new(false);
    w.preempt(Preempt::Never);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            p2m_rs::xen::globals::attach_for_test(globals);
            let _cpu = attach(&machine, 1, false);
            let mut n = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                n += 1;
                let a = if n % 2 == 0 { access::N } else { access::R };
                assert_eq!(d.set_access(BUFFER_GFN, 1, 0, a), 0);
                assert_eq!(d.set_access(TABLES_GFN, 1, 0, a), 0);
            }
        });
        for _ in 0..400 {
            if let Some(page) = v.page_from_gva(BUFFER, true) {
                assert_eq!(page.put(), ram(0));
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    w.check();
}

/// Debug key `d` prints the stack of the guest that it has interrupted: from the interrupt itself, or on another
/// CPU, where the code that was interrupted may hold the lock, or wait for it. What needs no lock is answered. For
/// the rest there is no page in a debug build, instead of a second lock (docs/differences.md, K9).
#[test]
fn an_interrupt_takes_no_lock_for_the_stack_of_a_guest_in_debug_builds() {
    // K9: in release builds it does, as in the C.
    if !cfg!(debug_assertions) {
        return;
    }
    for of_device in [false, true] {
        for held in [false, true] {
            for restricted in [false, true] {
                let w = plain();
                let (d, v) = scene(&w);
                // With it the hardware does not get through, and the lock is wanted.
                if restricted {
                    assert_eq!(d.set_access(BUFFER_GFN, 1, 0, access::N), 0);
                }
                let interrupt = || {
                    w.in_interrupt(of_device, || {
                        let page = v.page_from_gva(BUFFER, false);
                        assert_eq!(page.map(|page| page.put()), (!restricted).then_some(ram(0)));
                    });
                };
                // SAFETY: the world keeps the structure alive.
                let p2m = unsafe { P2m::from_ptr(d.p2m()) };
                // SAFETY: the test holds no lock.
                unsafe {
                    unlocked_entry(|cx| {
                        let _guard = held.then(|| p2m.write(cx));
                        interrupt();
                    });
                }
                // Outside, as ever.
                let page = v.page_from_gva(BUFFER, false).unwrap();
                assert_eq!(page.put(), ram(0));
                w.check();
            }
        }
    }
}

/// The debug key that prints a guest's stack may come while the guest is in a view.
#[cfg(config_altp2m)]
#[test]
fn an_interrupt_takes_no_lock_for_the_stack_of_a_guest_in_a_view() {
    for of_device in [false, true] {
        for held in [false, true] {
            let w = plain();
            let (d, v) = scene(&w);
            w.run(0, w.toolstack(0));
            w.allow_views(d);
            assert_eq!(d.use_views(true), 0);
            let n = d.create_view(access::RWX).unwrap();
            assert_eq!(v.switch_view(n), 0);
            w.run(0, v);
            // SAFETY: the world keeps the structure alive.
            let p2m = unsafe { P2m::from_ptr(d.p2m()) };
            // SAFETY: the test holds no lock.
            unsafe {
                unlocked_entry(|cx| {
                    let _guard = held.then(|| p2m.write(cx));
                    w.in_interrupt(of_device, || {
                        assert_eq!(v.page_from_gva(BUFFER, false), None);
                    });
                });
            }
            assert_eq!(v.page_from_gva(BUFFER, false).unwrap().put(), ram(0));
            w.check();
        }
    }
}
