// SPDX-License-Identifier: GPL-2.0-only
//! The machine's rules for views, each broken once by hand.

#![cfg(config_altp2m)]

mod common;

use common::by_hand::{broken, slot, store, xen};
use common::views::Viewed;
use common::{p2mt, ram};
use test_harness::{Config, Vcpu};
use xen_sys as sys;

#[test]
fn v1_a_view_maps_what_its_host_does_not_any_more() {
    let v = Viewed::plain();
    assert_eq!(v.d.insert(0x1000, 8, ram(0), p2mt::RAM_RW), 0);
    let n = v.create();
    v.vcpu_in(0, n);
    assert_eq!(v.read(0, 0x1003), Some(ram(0) + 3));
    let page = slot(&v.w, v.d, 0x1003, 3);
    let old = v.w.entry(v.d, 0x1003, 3);
    let clear = || {
        v.d.write_locked(|| {
            store(page, 0);
            xen!(xs_flush_guest_tlb());
        });
        v.w.check_rules();
    };
    // (And a mapping fewer than the statistics say.)
    assert_eq!(broken(&v.w, clear), ["R4", "V1"]);
    v.d.write_locked(|| store(page, old));
    v.w.check();
}

#[test]
fn r5_the_structure_of_a_view_is_lost() {
    let v = Viewed::plain();
    v.create();
    v.w.check();
    let lost = xen!(xs_alloc_p2m_view());
    assert_eq!(broken(&v.w, || v.w.check_rules()), ["R5"]);
    xen!(xs_free_p2m_view(lost));
    v.w.check();
    // What a domain has for all its views.
    let d = v.w.raw_domain(false);
    assert_eq!(d.init(), 0);
    d.final_teardown();
    v.w.allow_views(d);
    assert_eq!(broken(&v.w, || v.w.check_rules()), ["R5"]);
    xen!(altp2m_teardown(d.pointer()));
    v.w.check();
}

#[test]
fn t4_no_root_is_freed_that_a_guest_runs_on() {
    for is_running in [true, false] {
        let v = Viewed::plain();
        let n = v.create();
        v.vcpu_in(0, n);
        if !is_running {
            v.w.run(0, v.w.toolstack(0));
        }
        let (_, pages) = Config::default().root();
        let root = v.view(n).root();
        let free = || xen!(free_domheap_pages(root, pages.trailing_zeros()));
        let expected: &[&str] = if is_running { &["T4"] } else { &[] };
        assert_eq!(broken(&v.w, free), expected);
        v.w.abandon();
    }
}

/// The same vCPU comes back in another view, and `flush` is what is done about that.
fn returns_in_another_view(flush: impl FnOnce()) -> Vec<&'static str> {
    let v = Viewed::plain();
    let (n, other) = (v.create(), v.create());
    let vcpu = v.vcpu_in(0, n);
    v.w.run(0, v.w.toolstack(0));
    vcpu.set_view(other);
    let vttbr = v.view(other).vttbr();
    let found = broken(&v.w, || {
        v.w.run_with(vcpu, Vcpu::save_state, |_| {
            // SAFETY: the machine is in the middle of a context switch.
            unsafe { sys::arch::write_vttbr_el2(vttbr) };
            sys::arch::isb();
            flush();
        });
    });
    v.w.run(0, v.w.toolstack(0));
    found
}

#[test]
fn t7_a_cpu_returns_to_a_guest_with_what_another_view_left() {
    assert_eq!(returns_in_another_view(|| ()), ["T7"]);
    let stage1 = || sys::arch::flush_stage1_local();
    assert_eq!(returns_in_another_view(stage1), ["T7"], "stage 2 is left");
    let both = || xen!(xs_flush_guest_tlb_local());
    assert_eq!(returns_in_another_view(both), [""; 0]);
}

#[test]
fn t7_an_at_through_other_tables_with_the_same_vmid() {
    let v = Viewed::plain();
    let n = v.create();
    let vcpu = v.vcpu_in(0, n);
    let (view, host) = (v.view(n).vttbr(), v.d.vttbr());
    let through_the_hosts = || {
        let flags = sys::arch::local_irq_save();
        sys::arch::dsb_ish();
        // SAFETY: interrupts are off, and the old value comes back.
        unsafe { sys::arch::write_vttbr_el2(host) };
        sys::arch::isb();
        xen!(xs_gva_to_ma_par(vcpu.pointer(), 0x1000, 0));
        sys::arch::dsb_ish();
        // SAFETY: as above.
        unsafe { sys::arch::write_vttbr_el2(view) };
        sys::arch::isb();
        // SAFETY: what was saved above.
        unsafe { sys::arch::local_irq_restore(flags) };
    };
    let found = broken(&v.w, || v.d.read_locked(through_the_hosts));
    assert_eq!(found, ["T7"]);
}
