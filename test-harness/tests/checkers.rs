// SPDX-License-Identifier: GPL-2.0-only
//! The machine's own rules: each is broken here once, by hand, through the
//! functions that the code under test calls. A rule that cannot be broken
//! proves nothing when it is not.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;
use common::{guest, p2mt, plain, ram, world, G1, M2};
use std::ptr::null_mut;
use test_harness::{attach, Checker, Config, Domain, Event, Iommu, Violation, World};
use xen_sys as sys;

/// The rules that `break_it` breaks, each once, in order of id.
fn broken(w: &World, break_it: impl FnOnce()) -> Vec<&'static str> {
    assert_eq!(w.take_violations(), [], "broken before");
    break_it();
    let mut rules: Vec<_> = w.take_violations().iter().map(|v| v.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

fn p2m_lock(d: Domain) -> *mut sys::rwlock_t {
    // SAFETY: a field of a live structure.
    unsafe { &raw mut (*d.p2m()).lock }
}

fn paging_lock(d: Domain) -> *mut sys::spinlock_t {
    // SAFETY: a field of a live structure.
    unsafe { &raw mut (*d.pointer()).arch.paging.lock }
}

/// Calls a mock function.
macro_rules! xen {
    ($name:ident($($argument:expr),*)) => {{
        // SAFETY: the mock copes with any argument; pointers are live.
        unsafe { sys::$name($($argument),*) }
    }};
}

/// Maps the page in which the entry for `gfn` at `level` is; its address.
fn slot(w: &World, d: Domain, gfn: u64, level: u32) -> *mut u64 {
    let above = w.entry(d, gfn, level - 1);
    assert_eq!(above & 3, 3, "no table");
    let table = xen!(xs_map_domain_page(above >> 12 & 0xF_FFFF_FFFF));
    table.wrapping_add((gfn >> (9 * (3 - level))) as usize & 511)
}

fn store(slot: *mut u64, value: u64) {
    // SAFETY: an entry of a mapped table.
    unsafe { sys::arch::pte_store(slot, value) }
}

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
    let pairs: [(fn(Domain), fn(Domain), &str); 4] = [
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
fn t1_to_t4_the_tlb_is_remembered() {
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    let page = slot(&w, d, 5, 3);
    let word = w.entry(d, 5, 3);
    // Another address with no break; the flush at the end comes too late.
    let no_break = broken(&w, || {
        d.write_locked(|| {
            store(page, word + 0x1000);
            d.flush();
        });
    });
    assert_eq!(no_break, ["T1"]);
    // A break, but no flush before the make.
    let no_flush = broken(&w, || {
        d.write_locked(|| {
            store(page, 0);
            store(page, word);
            d.flush();
        });
    });
    assert_eq!(no_flush, ["T1"]);
    // Fewer permissions need no break, but a flush before the unlock.
    let read_only = word & !test_harness::pte::WRITE;
    assert_eq!(
        broken(&w, || d.write_locked(|| store(page, read_only))),
        ["T3"]
    );
    let flushed = broken(&w, || {
        d.write_locked(|| {
            store(page, word);
            d.flush();
        });
    });
    assert_eq!(flushed, [] as [&str; 0]);
    // A table taken out and freed at once.
    let freed_early = broken(&w, || {
        d.write_locked(|| {
            let above = slot(&w, d, 5, 2);
            let table = w.entry(d, 5, 2) >> 12 & 0xF_FFFF_FFFF;
            store(above, 0);
            w.give_back_table(d, table);
            d.flush();
        });
    });
    assert_eq!(freed_early, ["T4"]);
    w.abandon();
}

#[test]
fn t2_and_t6_a_foreign_vttbr_is_loaded_with_care() {
    use sys::arch::{isb, read_vttbr_el2, write_vttbr_el2};
    let w = plain();
    let d = guest(&w, 0);
    // SAFETY: registers of the model.
    let home = unsafe { read_vttbr_el2() };
    let load = |value| {
        // SAFETY: registers of the model.
        unsafe { write_vttbr_el2(value) }
    };
    let with_irqs = broken(&w, || {
        load(d.vttbr());
        isb();
        load(home);
        isb();
    });
    assert_eq!(with_irqs, ["T6"]);
    let no_isb = broken(&w, || {
        let flags = xen!(xs_local_irq_save());
        load(d.vttbr());
        xen!(xs_flush_guest_tlb());
        load(home);
        isb();
        xen!(xs_local_irq_restore(flags));
    });
    assert_eq!(no_isb, ["T2"]);
    let too_early = broken(&w, || {
        let flags = xen!(xs_local_irq_save());
        load(d.vttbr());
        isb();
        xen!(xs_local_irq_restore(flags));
        load(home);
    });
    assert_eq!(too_early, ["T6"]);
    // Never put back: found at the next check.
    let flags = xen!(xs_local_irq_save());
    load(d.vttbr());
    assert_eq!(w.violations()[0].rule, "T6");
    load(home);
    xen!(xs_local_irq_restore(flags));
}

#[test]
fn p1_and_p2_memory_has_what_a_non_coherent_iommu_reads() {
    let w = world(Config {
        iommu: Iommu::NonCoherent,
        ..Config::default()
    });
    let d = guest(&w, 0);
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    let word = w.entry(d, 5, 3);
    let page = slot(&w, d, 6, 3);
    assert_eq!(broken(&w, || d.write_locked(|| store(page, word))), ["P2"]);
    let cleaned = broken(&w, || {
        d.write_locked(|| {
            store(page, word ^ 1 << 55);
            xen!(xs_clean_dcache_va_range(page.cast(), 8));
            d.flush();
        });
    });
    assert_eq!(cleaned, ["T1"], "cleaned, if not broken first");
    d.write_locked(|| {
        store(page, 0);
        xen!(xs_clean_dcache_va_range(page.cast(), 8));
        d.flush();
    });
    // A table that is linked before it is in memory.
    let table = xen!(alloc_domheap_pages(null_mut(), 0, 0));
    let table_mfn = xen!(xs_page_to_mfn(table));
    let mapped = xen!(xs_map_domain_page(table_mfn)).cast();
    xen!(xs_clear_page(mapped));
    let above = slot(&w, d, M2, 2);
    let linked = broken(&w, || {
        d.write_locked(|| {
            store(above, table_mfn << 12 | 0x0080_0000_0000_07FF);
            xen!(xs_clean_dcache_va_range(mapped, 4096));
            store(above, 0);
            xen!(xs_clean_dcache_va_range(above.cast(), 8));
            d.flush();
        });
    });
    assert_eq!(linked, ["P1"]);
    xen!(free_domheap_pages(table, 0));
}

#[test]
fn r0_and_r5_pages_are_used_as_what_they_are() {
    let w = plain();
    let d = guest(&w, 0);
    let page = xen!(alloc_domheap_pages(d.pointer(), 0, sys::XS_MEMF_no_owner));
    let mfn = xen!(xs_page_to_mfn(page));
    let mapped = xen!(xs_map_domain_page(mfn));
    assert_eq!(
        broken(&w, || xen!(free_domheap_pages(page, 1))),
        ["R0"],
        "wrong order"
    );
    xen!(free_domheap_pages(page, 0));
    assert_eq!(
        broken(&w, || xen!(free_domheap_pages(page, 0))),
        ["R0"],
        "twice"
    );
    assert_eq!(broken(&w, || store(mapped, 1)), ["R5"]);
    let ram_page = xen!(xs_mfn_to_page(ram(0)));
    assert_eq!(
        broken(&w, || xen!(free_domheap_pages(ram_page, 0))),
        ["R0"],
        "no heap page"
    );
    xen!(put_page(ram_page));
    assert_eq!(
        broken(&w, || xen!(put_page(ram_page))),
        ["R0"],
        "below zero"
    );
    w.forget_frame(ram(0));
    let nowhere = xen!(xs_mfn_to_page(0x3));
    let got = broken(&w, || assert!(!xen!(get_page(nowhere, d.pointer()))));
    assert_eq!(got, ["R0"], "no memory");
}

#[test]
fn r1_a_reference_too_many_or_too_few_is_found() {
    let w = plain();
    let (d, owner) = (guest(&w, 0), guest(&w, 1));
    assert_eq!(d.map_foreign(owner, 5, ram(1)), 0);
    w.take_references(ram(1), 1);
    assert_eq!(w.violations()[0].rule, "R1");
    let page = xen!(xs_mfn_to_page(ram(1)));
    xen!(put_page(page));
    w.check();
    xen!(put_page(page));
    assert_eq!(w.violations()[0].rule, "R1");
    w.take_references(ram(1), 1);
    w.check();
    // The owner's own reference counts as well.
    let other = xen!(xs_mfn_to_page(ram(1) + G1));
    xen!(put_page(other));
    assert_eq!(w.violations()[0].rule, "R1");
    w.forget_frame(ram(1) + G1);
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
