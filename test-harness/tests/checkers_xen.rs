// SPDX-License-Identifier: GPL-2.0-only
//! The machine's rules for what Xen asks of whoever calls it, and for what the
//! rest of Xen relies on after a call. Each is broken here once, by hand.

#![allow(clippy::unwrap_used)] // a test may stop on the spot

mod common;
use std::ptr::null_mut;

use common::by_hand::{broken, paging_lock, slot, store, xen};
use common::{behind, guest, p2mt, plain, ram, world, M2};
use test_harness::{Config, Iommu, Register, World};
use xen_sys as sys;

const NONE: [&str; 0] = [];

/// A guest whose vCPU runs on CPU 0.
fn running() -> (World, test_harness::Domain, test_harness::Vcpu) {
    let w = plain();
    let d = guest(&w, 0);
    let v = w.vcpu(d);
    w.run(0, v);
    (w, d, v)
}

unsafe extern "C" {
    /// Asked by the C alone.
    safe fn xs_hypercall_preempt_check() -> bool;
}

#[test]
fn x1_the_check_of_hypercalls_is_not_for_an_idle_vcpu() {
    let w = plain();
    let ask = || broken(&w, || assert!(!xs_hypercall_preempt_check()));
    assert_eq!(ask(), NONE);
    w.run(0, w.idle());
    assert_eq!(ask(), ["X1"]);
    let others = broken(&w, || {
        assert!(!xen!(xs_general_preempt_check()));
        assert!(!xen!(xs_softirq_pending()));
    });
    assert_eq!(others, NONE);
}

#[test]
fn x1_locks_are_taken_with_interrupts_on() {
    let (w, d, _) = running();
    let off = |f: &dyn Fn()| {
        broken(&w, || {
            let flags = xen!(xs_local_irq_save());
            f();
            xen!(xs_local_irq_restore(flags));
        })
    };
    assert_eq!(off(&|| d.read_locked(|| ())), ["X1"]);
    assert_eq!(off(&|| d.write_locked(|| ())), ["X1"]);
    let paging = || {
        xen!(xs_spin_lock(paging_lock(d)));
        xen!(xs_spin_unlock(paging_lock(d)));
    };
    assert_eq!(off(&paging), ["X1"]);
}

/// # Safety
/// `domain` is a live `struct domain`.
unsafe extern "C" fn allocates(domain: *mut std::ffi::c_void) {
    let page = xen!(alloc_domheap_pages(domain.cast(), 0, sys::XS_MEMF_no_owner));
    xen!(free_domheap_pages(page, 0));
}

/// `smp_call_function_interrupt()` has `irq_enter()` around it.
#[test]
fn x1_what_other_cpus_are_asked_to_do_is_done_in_an_interrupt() {
    let (w, d, _) = running();
    // SAFETY: a live domain, which is what the function is for.
    let asked = broken(&w, || unsafe {
        sys::smp_call_function(Some(allocates), d.pointer().cast(), 1);
    });
    assert_eq!(asked, ["X1"]);
    // Not so the CPU that asks.
    // SAFETY: a live domain.
    let here = broken(&w, || unsafe { allocates(d.pointer().cast()) });
    assert_eq!(here, NONE);
}

#[test]
fn x1_memory_is_allocated_and_freed_with_interrupts_on() {
    let (w, d, _) = running();
    w.ram(0x20_0000, 1, d);
    let page = xen!(alloc_domheap_pages(d.pointer(), 0, sys::XS_MEMF_no_owner));
    let last = xen!(xs_mfn_to_page(0x20_0000));
    let off = |f: &dyn Fn()| {
        broken(&w, || {
            let flags = xen!(xs_local_irq_save());
            f();
            xen!(xs_local_irq_restore(flags));
        })
    };
    let alloc = off(&|| {
        let page = xen!(alloc_domheap_pages(d.pointer(), 0, 0));
        assert!(!page.is_null());
    });
    assert_eq!(alloc, ["X1"]);
    assert_eq!(off(&|| xen!(free_domheap_pages(page, 0))), ["X1"]);
    assert_eq!(off(&|| xen!(put_page(last))), ["X1"]);
    w.abandon();
}

#[test]
fn x1_nothing_that_may_schedule_is_called_in_atomic_context() {
    let (w, d, v) = running();
    // SAFETY: a plain C structure.
    let mut request: sys::vm_event_st = unsafe { std::mem::zeroed() };
    request.reason = sys::VM_EVENT_REASON_MEM_ACCESS;
    let lock = paging_lock(d);
    let found = broken(&w, || {
        xen!(xs_spin_lock(lock));
        xen!(do_softirq());
        xen!(xs_spin_unlock(lock));
    });
    assert_eq!(found, ["X1"]);
    let found = broken(&w, || {
        let flags = xen!(xs_local_irq_save());
        xen!(monitor_traps(v.pointer(), true, &mut request));
        xen!(xs_local_irq_restore(flags));
    });
    assert_eq!(found, ["X1"]);
}

/// Xen's clear_page() stores byte by byte, and a walk might see half of an entry.
#[test]
fn x1_no_table_is_cleared_by_bytes_while_a_guest_walks_it() {
    let (w, d, _) = running();
    let clear = || {
        d.write_locked(|| {
            let root = xen!(xs_map_domain_page(w.root(d).unwrap()));
            xen!(xs_clear_page(root.cast()));
            xen!(xs_flush_guest_tlb());
        });
    };
    assert_eq!(broken(&w, clear), ["X1"]);
    // A vCPU that does not run walks nothing.
    w.run(0, w.idle());
    assert_eq!(broken(&w, clear), NONE);
}

/// Nor while devices do, whose IOMMU walks the same tables.
#[test]
fn x1_no_table_is_cleared_by_bytes_while_devices_walk_it() {
    let w = world(behind(Iommu::Coherent));
    let (d, without) = (guest(&w, 0), w.raw_domain(false));
    w.without_iommu(without);
    assert_eq!(without.init(), 0);
    let clear_root = |d: test_harness::Domain| {
        broken(&w, || {
            d.write_locked(|| {
                let root = xen!(xs_map_domain_page(w.root(d).unwrap()));
                xen!(xs_clear_page(root.cast()));
                sys::arch::dsb_ishst();
                d.flush();
            });
        })
    };
    assert_eq!(clear_root(d), ["X1"]);
    assert_eq!(clear_root(without), NONE);
    // Its devices are gone by then.
    d.set_dying_state(1);
    assert_eq!(clear_root(d), NONE);
    d.set_dying_state(0);
    // A table that was taken out, of which TLBs know no more, and the IOTLB may.
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    let (above, table) = (slot(&w, d, 5, 2), slot(&w, d, 0, 3));
    let removed = |told: &dyn Fn()| {
        broken(&w, || {
            d.write_locked(|| {
                store(above, 0);
                d.flush();
                told();
                xen!(xs_clear_page(table.cast()));
                sys::arch::dsb_ishst();
            });
        })
    };
    let tell = || {
        sys::arch::dsb_sy();
        xen!(xs_iommu_iotlb_flush(
            d.pointer(),
            0,
            M2,
            sys::XS_IOMMU_FLUSHF_modified
        ));
    };
    let word = w.entry(d, 5, 2);
    assert_eq!(removed(&tell), NONE);
    d.write_locked(|| {
        store(above, word);
        sys::arch::dsb_sy();
        xen!(xs_iommu_iotlb_flush(
            d.pointer(),
            0,
            M2,
            sys::XS_IOMMU_FLUSHF_added
        ));
    });
    assert_eq!(removed(&|| ()), ["X1"]);
    // Nor is it written as a whole or not at all, which is rule P3's.
    let written = broken(&w, || d.write_locked(|| store(table, 0)));
    assert_eq!(written, ["P3"]);
    d.write_locked(tell);
    let told = broken(&w, || d.write_locked(|| store(table, 0)));
    assert_eq!(told, NONE);
    w.abandon();
}

#[test]
fn x1_an_event_is_that_of_the_vcpu_that_runs() {
    let (w, d, _) = running();
    let other = w.vcpu(d);
    // SAFETY: a plain C structure.
    let mut request: sys::vm_event_st = unsafe { std::mem::zeroed() };
    request.reason = sys::VM_EVENT_REASON_MEM_ACCESS;
    let found = broken(&w, || {
        xen!(monitor_traps(other.pointer(), false, &mut request));
    });
    assert_eq!(found, ["X1"]);
}

#[test]
fn x1_other_cpus_are_called_with_interrupts_on_and_waited_for() {
    extern "C" fn nothing(_: *mut std::ffi::c_void) {}
    let w = plain();
    let call = |wait| {
        xen!(smp_call_function(
            Some(nothing as unsafe extern "C" fn(_)),
            null_mut(),
            wait
        ))
    };
    assert_eq!(broken(&w, || call(1)), NONE);
    assert_eq!(broken(&w, || call(0)), ["X1"]);
    let found = broken(&w, || {
        let flags = xen!(xs_local_irq_save());
        call(1);
        xen!(xs_local_irq_restore(flags));
    });
    assert_eq!(found, ["X1"]);
}

#[test]
fn x1_an_iommu_is_told_of_frames_that_it_may_know() {
    let w = world(behind(Iommu::Coherent));
    let d = guest(&w, 0);
    let without = w.raw_domain(false);
    w.without_iommu(without);
    assert_eq!(without.init(), 0);
    let tell_that = |d: test_harness::Domain, gfn, nr, flags| {
        broken(&w, || {
            d.write_locked(|| xen!(xs_iommu_iotlb_flush(d.pointer(), gfn, nr, flags)));
        })
    };
    let tell = |d, gfn, nr| tell_that(d, gfn, nr, 3);
    assert_eq!(tell(d, 5, 1), NONE);
    assert_eq!(tell(d, 5, 0), ["X1"]);
    assert_eq!(tell(d, u64::MAX, 1), ["X1"]);
    assert_eq!(tell(without, 5, 1), ["X1"]);
    // Neither something new nor something stale: the drivers assert that it is one of them.
    assert_eq!(tell_that(d, 5, 1, 0), ["X1"]);
}

#[test]
fn x1_the_hardware_domain_is_not_shut_down() {
    let w = plain();
    let (d, hardware) = (guest(&w, 0), w.hardware_domain());
    let shut = |d: test_harness::Domain| {
        broken(&w, || {
            xen!(domain_shutdown(d.pointer(), 3));
        })
    };
    assert_eq!(shut(d), NONE);
    assert_eq!(shut(hardware), ["X1"]);
}

/// As a call that forgets one of the two.
#[test]
fn x2_registers_and_structures_agree_after_a_call() {
    let (w, d, v) = running();
    let call = |body: &dyn Fn()| broken(&w, || w.as_call("p2m_toggle_cache", body));
    let hcr = v.hcr();
    assert_eq!(call(&|| ()), NONE);
    assert_eq!(call(&|| v.set_hcr(hcr | 1 << 26)), ["X2"]);
    // SAFETY: a register of the model.
    let write = |value| unsafe { sys::arch::write_hcr_el2(value) };
    assert_eq!(call(&|| write(hcr | 1 << 26)), NONE);
    v.set_hcr(hcr);
    assert_eq!(call(&|| ()), ["X2"]);
    write(hcr);
    let was = d.vttbr();
    let moved = call(&|| {
        sys::arch::dsb_nsh();
        // SAFETY: a register of the model.
        unsafe { sys::arch::write_vttbr_el2(was ^ 1 << 48) };
    });
    assert_eq!(moved, ["T6", "X2"]);
    // SAFETY: as above.
    unsafe { sys::arch::write_vttbr_el2(was) };
    sys::arch::isb();
}

#[test]
fn x2_a_context_switch_saves_and_loads_all() {
    let w = plain();
    let d = guest(&w, 0);
    let (a, b) = (w.vcpu(d), w.vcpu(d));
    w.run(0, a);
    w.guest_writes_sctlr(0x15);
    b.set_sctlr(0x1005);
    b.set_hcr(1 << 26);
    w.run(0, b);
    assert_eq!(a.sctlr(), 0x15);
    let loaded = |register| {
        let value = |(_, event): &(usize, test_harness::Event)| match event {
            test_harness::Event::WriteRegister { register: r, value } if *r == register => {
                Some(*value)
            }
            _ => None,
        };
        w.events().iter().filter_map(value).next_back()
    };
    assert_eq!(loaded(Register::Sctlr), Some(0x1005));
    assert_eq!(loaded(Register::Hcr), Some(1 << 26));
    assert_eq!(loaded(Register::Vttbr), Some(d.vttbr()));
    // A switch that does nothing is one that forgets all.
    let forgets = broken(&w, || {
        w.run_with(
            a,
            |_| w.as_call("p2m_save_state", || b.set_sctlr(0)),
            |_| w.as_call("p2m_restore_state", || ()),
        );
    });
    assert_eq!(forgets, ["T10", "T11", "T7", "X2"]);
}

/// `assign_pages()`, and colours: an allocation may fail for other reasons than a
/// lack of memory.
#[test]
fn memory_is_refused_to_the_dying_and_coloured_memory_comes_in_single_pages() {
    let w = world(Config {
        llc_coloring: true,
        ..Config::default()
    });
    let d = guest(&w, 0);
    let has = |order, memflags| {
        let page = xen!(alloc_domheap_pages(d.pointer(), order, memflags));
        let has = !page.is_null();
        if has {
            xen!(free_domheap_pages(page, order));
        }
        has
    };
    assert!(has(0, 0) && has(0, sys::XS_MEMF_no_owner));
    assert!(!has(1, 0) && !has(1, sys::XS_MEMF_no_owner));
    for state in [1, 2] {
        d.set_dying_state(state);
        assert!(!has(0, 0) && has(0, sys::XS_MEMF_no_owner), "{state}");
    }
    let none = xen!(alloc_domheap_pages(null_mut(), 3, 0));
    assert!(!none.is_null(), "a root is nobody's");
    xen!(free_domheap_pages(none, 3));
}

/// A page that is counted to nobody has no reference that could be put.
#[test]
fn r0_a_page_that_nobody_owns_is_not_put() {
    let w = plain();
    let d = guest(&w, 0);
    let page = xen!(alloc_domheap_pages(d.pointer(), 0, sys::XS_MEMF_no_owner));
    assert!(!xen!(get_page(page, d.pointer())));
    assert!(xen!(page_get_owner_and_reference(page)).is_null());
    assert_eq!(broken(&w, || xen!(put_page(page))), ["R0"]);
    xen!(free_domheap_pages(page, 0));
}
