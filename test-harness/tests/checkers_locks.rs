// SPDX-License-Identifier: GPL-2.0-only
//! The machine's rules for locks: each is broken here once, by hand, through the functions that the code
//! under test calls. A rule that cannot be broken proves nothing when it is not.

// Views have locks and steps of their own.
#![cfg(config_altp2m)]
#![allow(clippy::indexing_slicing)] // a test may stop on the spot

mod common;
use common::by_hand::{broken, freelist, p2m_lock, paging_lock, pool_locked, slot, store, xen};
use common::{guest, p2mt, plain, ram};
use test_harness::{attach, Checker, Domain, Event, Violation};
use xen_sys as sys;

#[test]
fn l0_a_lock_that_is_not_held_is_not_dropped() {
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!(broken(&w, || xen!(xs_read_unlock(p2m_lock(d)))), ["L0"]);
    assert_eq!(broken(&w, || xen!(xs_write_unlock(p2m_lock(d)))), ["L0"]);
    assert_eq!(broken(&w, || xen!(xs_spin_unlock(paging_lock(d)))), ["L0"]);
    let raw = w.raw_domain(false);
    let never_initialised = broken(&w, || {
        xen!(xs_read_lock(p2m_lock(raw)));
        xen!(xs_read_unlock(p2m_lock(raw)));
    });
    assert_eq!(never_initialised, ["L0"]);
}

#[test]
fn l0_a_lock_that_is_kept_is_found_at_the_next_check() {
    let w = plain();
    let d = guest(&w, 0);
    xen!(xs_read_lock(p2m_lock(d)));
    assert_eq!(w.violations()[0].rule, "L0");
    xen!(xs_read_unlock(p2m_lock(d)));
}

#[test]
fn l1_and_l2_no_cpu_takes_a_lock_that_it_holds() {
    type Step = fn(Domain);
    let pairs: [(Step, Step, &str); 4] = [
        (
            |d| d.read_locked(|| ()),
            |d| xen!(xs_read_lock(p2m_lock(d))),
            "L1",
        ),
        (
            |d| d.read_locked(|| ()),
            |d| xen!(xs_write_lock(p2m_lock(d))),
            "L1",
        ),
        (
            |d| d.write_locked(|| ()),
            |d| xen!(xs_read_lock(p2m_lock(d))),
            "L2",
        ),
        (
            |d| d.write_locked(|| ()),
            |d| xen!(xs_write_lock(p2m_lock(d))),
            "L2",
        ),
    ];
    for (again, first, rule) in pairs {
        let w = plain();
        let d = guest(&w, 0);
        let found = broken(&w, || {
            first(d);
            again(d);
        });
        assert_eq!(found, [rule]);
        w.abandon();
    }
}

#[test]
fn l3_locks_are_taken_in_order() {
    let w = plain();
    let (d, other) = (guest(&w, 0), guest(&w, 1));
    let under_spinlock = broken(&w, || {
        xen!(xs_spin_lock(paging_lock(d)));
        d.read_locked(|| ());
        xen!(xs_spin_unlock(paging_lock(d)));
    });
    assert_eq!(under_spinlock, ["L3"]);
    assert_eq!(
        broken(&w, || d.write_locked(|| other.read_locked(|| ()))),
        ["L3"]
    );
    let nested_spinlocks = broken(&w, || {
        xen!(xs_spin_lock(paging_lock(d)));
        xen!(xs_spin_lock(paging_lock(other)));
        xen!(xs_spin_unlock(paging_lock(other)));
        xen!(xs_spin_unlock(paging_lock(d)));
    });
    assert_eq!(nested_spinlocks, ["L3"]);
}

#[test]
fn l4_live_tables_are_read_and_written_under_their_lock() {
    let w = plain();
    let (d, other) = (guest(&w, 0), guest(&w, 1));
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    let empty = slot(&w, d, 6, 3);
    // SAFETY: an entry of a mapped table.
    let load = || unsafe { sys::arch::pte_load(empty) };
    assert_eq!(broken(&w, || assert_eq!(load(), 0)), ["L4"]);
    assert_eq!(
        broken(&w, || assert_eq!(d.read_locked(load), 0)),
        [] as [&str; 0]
    );
    assert_eq!(broken(&w, || store(empty, 0)), ["L4"]);
    assert_eq!(broken(&w, || d.read_locked(|| store(empty, 0))), ["L4"]);
    assert_eq!(
        broken(&w, || other.write_locked(|| store(empty, 0))),
        ["L4"]
    );
    assert_eq!(
        broken(&w, || d.write_locked(|| store(empty, 0))),
        [] as [&str; 0]
    );
}

#[test]
fn l4_a_translation_that_fails_without_the_lock_is_tried_again_under_it() {
    let w = plain();
    let d = guest(&w, 0);
    let v = w.vcpu(d);
    w.run(0, v);
    let (mut pa, mut ipa, mut perms) = (0, 0, 0);
    let mut translate = || assert_ne!(xen!(xs_gvirt_to_maddr(0, &mut pa, 0)), 0);
    let given_up = broken(&w, || w.as_call("a call", &mut translate));
    assert_eq!(given_up, ["L4"]);
    let walked = broken(&w, || {
        translate();
        xen!(guest_walk_tables(v.pointer(), 0, &mut ipa, &mut perms));
    });
    assert_eq!(walked, ["L4"]);
    let again = broken(&w, || {
        w.as_call("a call", || {
            translate();
            d.read_locked(&mut translate);
        });
    });
    assert_eq!(again, [] as [&str; 0]);
    // Nor is that an answer which another address gets under the lock.
    let other = broken(&w, || {
        w.as_call("a call", || {
            translate();
            d.read_locked(|| {
                let mut pa = 0;
                assert_ne!(xen!(xs_gvirt_to_maddr(0x1000, &mut pa, 0)), 0);
            });
        });
    });
    assert_eq!(other, ["L4"]);
}

#[test]
fn l4_a_failure_of_stage_1_alone_is_an_answer_only_behind_the_lock_and_an_isb_or_in_software() {
    let w = plain();
    let d = guest(&w, 0);
    let v = w.vcpu(d);
    w.run(0, v);
    let ask = || {
        let mut ipa = 0;
        assert_ne!(xen!(xs_gva_to_ipa(0, &mut ipa, 0)), 0);
    };
    let ways: [(&str, &dyn Fn(), bool); 5] = [
        ("no lock", &ask, false),
        ("the lock", &|| d.read_locked(ask), false),
        (
            "an ISB before the lock",
            &|| {
                sys::arch::isb();
                d.read_locked(ask);
            },
            false,
        ),
        (
            "the lock and an ISB",
            &|| {
                d.read_locked(|| {
                    sys::arch::isb();
                    ask();
                });
            },
            true,
        ),
        (
            "in software after it",
            &|| {
                let (mut ipa, mut perms) = (0, 0);
                ask();
                xen!(guest_walk_tables(v.pointer(), 0, &mut ipa, &mut perms));
            },
            true,
        ),
    ];
    for (name, way, is_answer) in ways {
        let expected: &[&str] = if is_answer { &[] } else { &["L4"] };
        assert_eq!(broken(&w, || w.as_call("a call", way)), expected, "{name}");
    }
}

#[test]
fn l4_without_the_lock_only_the_host_p2ms_tables_are_translated_through() {
    let w = plain();
    let (d, other) = (guest(&w, 0), guest(&w, 1));
    w.run(0, w.vcpu(d));
    let mut pa = 0;
    let load = |d: Domain| {
        // SAFETY: a model of the register.
        unsafe { sys::arch::write_vttbr_el2(d.vttbr()) };
        sys::arch::isb();
    };
    let mut elsewhere = || {
        let flags = xen!(xs_local_irq_save());
        sys::arch::dsb_sy();
        load(other);
        xen!(xs_gvirt_to_maddr(0, &mut pa, 0));
        sys::arch::dsb_sy();
        load(d);
        xen!(xs_local_irq_restore(flags));
    };
    let under_the_lock = broken(&w, || d.read_locked(&mut elsewhere));
    assert_eq!(under_the_lock, [] as [&str; 0]);
    assert_eq!(broken(&w, elsewhere), ["L4"]);
}

#[test]
fn l5_nothing_that_may_take_the_lock_is_called_under_it() {
    let w = plain();
    let d = guest(&w, 0);
    let v = w.vcpu(d);
    w.run(0, v);
    let mut ipa = 0;
    let mut perms = 0;
    // SAFETY: all zeroes is a request.
    let mut request: sys::vm_event_st = unsafe { std::mem::zeroed() };
    request.reason = sys::VM_EVENT_REASON_MEM_ACCESS;
    let walk = broken(&w, || {
        d.read_locked(|| xen!(guest_walk_tables(v.pointer(), 0, &mut ipa, &mut perms)));
    });
    assert_eq!(walk, ["L5"]);
    assert_eq!(broken(&w, || d.read_locked(|| xen!(do_softirq()))), ["L5"]);
    assert_eq!(
        broken(&w, || d.write_locked(|| xen!(__domain_crash(d.pointer())))),
        ["L5"]
    );
    let event = broken(&w, || {
        d.read_locked(|| xen!(monitor_traps(v.pointer(), true, &mut request)));
    });
    assert_eq!(event, ["L5"]);
    let mut to = [0_u8; 4];
    let (to, from) = (to.as_mut_ptr().cast(), std::ptr::null());
    let copy = broken(&w, || {
        d.read_locked(|| assert_eq!(xen!(raw_copy_from_guest(to, from, 4)), 4));
    });
    // L1 too: it is this domain's own vCPU whose memory is read.
    assert_eq!(copy, ["L1", "L5"]);
}

#[test]
fn l6_a_lock_that_nobody_will_drop_is_no_reason_to_hang() {
    let w = plain();
    let d = guest(&w, 0);
    let found = broken(&w, || {
        w.on_cpu(1, || xen!(xs_write_lock(p2m_lock(d))));
        xen!(xs_read_lock(p2m_lock(d)));
    });
    assert_eq!(found, ["L6"]);
    w.abandon();
}

#[test]
fn a_cpu_waits_for_a_lock_that_another_thread_will_drop() {
    let w = plain();
    let d = guest(&w, 0);
    let machine = w.shared();
    xen!(xs_write_lock(p2m_lock(d)));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let _cpu = attach(&machine, 1, false);
            d.read_locked(|| ());
        });
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert!(!reader.is_finished());
        xen!(xs_write_unlock(p2m_lock(d)));
    });
    w.check();
}

#[test]
fn a_checker_that_subscribes_sees_every_event_and_may_object() {
    struct NoLookups;
    impl Checker for NoLookups {
        fn event(&mut self, cpu: usize, event: &Event) -> Option<Violation> {
            matches!(event, Event::PteLoad { .. }).then(|| Violation {
                rule: "X1",
                what: format!("CPU {cpu} looks something up"),
            })
        }
    }
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    w.subscribe(Box::new(NoLookups));
    assert_eq!(
        broken(&w, || assert_eq!(d.lookup(5).0, Some(ram(0)))),
        ["X1"]
    );
    w.take_violations();
}

#[test]
#[should_panic(expected = "L0")]
fn a_world_that_ends_with_a_broken_rule_fails_its_test() {
    let w = plain();
    let d = guest(&w, 0);
    xen!(xs_read_lock(p2m_lock(d)));
}

#[test]
fn l7_the_pools_list_is_used_under_the_pools_lock() {
    let w = plain();
    let (d, other) = (guest(&w, 0), guest(&w, 1));
    let free = freelist(d);
    let moved = || {
        let page = xen!(xs_page_list_remove_head(free));
        xen!(xs_page_list_add_tail(page, free));
    };
    assert_eq!(broken(&w, moved), ["L7"]);
    assert_eq!(broken(&w, || pool_locked(other, moved)), ["L7"]);
    assert_eq!(broken(&w, || d.write_locked(moved)), ["L7"]);
    assert_eq!(broken(&w, || pool_locked(d, moved)), [""; 0]);
    let on_cpu_1 = || pool_locked(d, || w.on_cpu(1, moved));
    assert_eq!(broken(&w, on_cpu_1), ["L7"]);
}

#[test]
fn l7_a_list_of_tables_is_used_under_the_p2ms_write_lock() {
    let w = plain();
    let (d, other) = (guest(&w, 0), guest(&w, 1));
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    // SAFETY: a place in a live structure.
    let pages = unsafe { &raw mut (*d.p2m()).pages };
    let moved = || {
        let page = xen!(xs_page_list_last(pages));
        xen!(xs_page_list_del(page, pages));
        xen!(xs_page_list_add(page, pages));
    };
    assert_eq!(broken(&w, moved), ["L7"]);
    assert_eq!(broken(&w, || d.read_locked(moved)), ["L7"]);
    assert_eq!(broken(&w, || other.write_locked(moved)), ["L7"]);
    assert_eq!(broken(&w, || pool_locked(d, moved)), ["L7"]);
    assert_eq!(broken(&w, || d.write_locked(moved)), [""; 0]);
    // All of them to the pool, which asks for both locks.
    let spliced = || xen!(xs_page_list_splice(pages, freelist(d)));
    let back = || {
        d.write_locked(|| {
            pool_locked(d, || {
                let page = xen!(xs_page_list_remove_head(freelist(d)));
                xen!(xs_page_list_add(page, pages));
            });
        });
    };
    assert!(broken(&w, || pool_locked(d, spliced)).contains(&"L7"));
    back();
    assert!(broken(&w, || d.write_locked(spliced)).contains(&"L7"));
    back();
    let both = broken(&w, || d.write_locked(|| pool_locked(d, spliced)));
    assert!(!both.contains(&"L7"), "{both:?}");
    w.abandon();
}

#[test]
fn l7_the_pools_total_changes_under_the_pools_lock() {
    let w = plain();
    let d = guest(&w, 0);
    let add = |n: u64| {
        // SAFETY: a live structure, which no code of the p2m uses now.
        let total = unsafe { &mut (*d.pointer()).arch.paging.p2m_total_pages };
        *total = total.wrapping_add(n);
    };
    let unlocked = broken(&w, || {
        add(1);
        pool_locked(d, || ());
    });
    assert_eq!(unlocked, ["L7"]);
    assert_eq!(broken(&w, || pool_locked(d, || add(!0))), [""; 0]);
    // If nobody takes the lock again, it is found at the next check; with the pool being one page short.
    add(1);
    assert_eq!(broken(&w, || w.check_rules()), ["L7", "R2"]);
    pool_locked(d, || add(!0));
}
