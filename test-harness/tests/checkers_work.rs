// SPDX-License-Identifier: GPL-2.0-only
//! The machine's rules for bounded work and for VMIDs, each broken once by
//! hand; and how near the p2m comes to the bounds.

// Views have locks and steps of their own.
#![cfg(config_altp2m)]
#![allow(clippy::cast_possible_truncation)] // numbers of the ABI

mod common;
use std::ptr::null_mut;

use common::by_hand::{broken, p2m_lock, slot, store, xen};
use common::{access, guest, p2mt, plain, ram, M2};
use test_harness::work::{MAX_ENTRIES, PREEMPTIBLE};
use test_harness::{Preempt, Vcpu, World};
use xen_sys as sys;

const NONE: [&str; 0] = [];

#[test]
fn w1_so_many_entries_need_a_look_in_between() {
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    let empty = slot(&w, d, 6, 3);
    let loads = |n: u64| {
        for _ in 0..n {
            // SAFETY: an entry of a mapped table.
            unsafe { sys::arch::pte_load(empty) };
        }
    };
    xen!(xs_read_lock(p2m_lock(d)));
    for (name, _) in PREEMPTIBLE {
        let bounded = || {
            loads(MAX_ENTRIES);
            xen!(xs_general_preempt_check());
            loads(MAX_ENTRIES);
        };
        assert_eq!(broken_under_lock(&w, name, bounded), NONE, "{name}");
        let too_many = || loads(MAX_ENTRIES + 1);
        assert_eq!(broken_under_lock(&w, name, too_many), ["W1"], "{name}");
    }
    // What cannot be preempted need not look.
    assert_eq!(
        broken_under_lock(&w, "p2m_lookup", || loads(MAX_ENTRIES + 1)),
        NONE
    );
    xen!(xs_read_unlock(p2m_lock(d)));
}

/// The rules that `body` breaks as part of the exported function `name`.
fn broken_under_lock(w: &World, name: &'static str, body: impl FnOnce()) -> Vec<&'static str> {
    w.as_call(name, body);
    w.take_violations().iter().map(|v| v.rule).collect()
}

#[test]
fn w1_so_many_pages_need_a_look_in_between() {
    let w = plain();
    let _ = guest(&w, 0);
    let page = xen!(xs_mfn_to_page(ram(0)));
    w.take_references(ram(0), 1);
    let puts = |n: u64| {
        for _ in 0..n {
            w.take_references(ram(0), 1);
            xen!(put_page(page));
        }
    };
    for (name, most) in PREEMPTIBLE {
        let bounded = || {
            puts(most);
            xen!(xs_general_preempt_check());
            puts(most);
        };
        assert_eq!(broken_under_lock(&w, name, bounded), NONE, "{name}");
        let too_many = || puts(most + 1);
        assert_eq!(broken_under_lock(&w, name, too_many), ["W1"], "{name}");
    }
    xen!(put_page(page));
}

#[test]
fn w2_a_call_that_goes_on_and_on_stops_xen() {
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!(d.insert(1, M2, ram(0), p2mt::RAM_RW), 0);
    d.set_dying_state(1);
    w.max_steps(1000);
    // Looks do not help.
    w.preempt(Preempt::Never);
    let globals = p2m_rs::xen::globals::machine_for_test();
    let stop = w.expect_stop(
        move || p2m_rs::xen::globals::attach_for_test(globals),
        move || {
            d.relinquish();
        },
    );
    assert!(
        stop.as_ref()
            .is_some_and(|s| s.starts_with("W2: relinquish_p2m_mapping()")),
        "{stop:?}"
    );
}

/// Each function on what is worst for it.
#[test]
fn what_can_be_preempted_looks_often_enough_whatever_the_tables_are() {
    let w = plain();
    let d = w.domain(640);
    let owner = guest(&w, 1);
    w.ram(ram(0), 64 * M2, d);
    // Foreign blocks, then single foreign pages.
    w.take_references(ram(1), 4 * M2);
    assert_eq!(d.insert(0x600, 2 * M2, ram(1), p2mt::FOREIGN_RW), 0);
    assert_eq!(
        d.insert(0xA01, 2 * M2, ram(1) + 2 * M2, p2mt::FOREIGN_RW),
        0
    );
    // A page every 2 MiB, in a table of its own, and blocks to be split.
    for i in 0..600 {
        assert_eq!(d.insert(0x4000 + i * M2, 1, ram(0) + i, p2mt::RAM_RW), 0);
    }
    assert_eq!(d.insert(0x2000, 2 * M2, ram(0) + 8 * M2, p2mt::RAM_RW), 0);
    assert_eq!(d.set_access_fully(0x2001, 0x700, access::R), 0);
    assert_eq!(d.cache_flush(0, u64::MAX).0, 0);
    w.destroy(d);
    w.destroy(owner);
    let (entries, pages) = w.most_work();
    assert!(entries <= MAX_ENTRIES);
    // The bounds are not so loose that they say nothing.
    assert!(2 * entries > MAX_ENTRIES, "{entries} entries");
    assert!(pages > 512, "{pages} pages");
}

/// The owner of a foreign page may give it up as soon as the mapping's reference is
/// put: whoever gets it next would share it with this guest.
#[test]
fn t5_a_foreign_page_is_put_after_the_flush() {
    let w = plain();
    let (d, owner) = (guest(&w, 0), guest(&w, 1));
    let put_early = |gfn: u64, flush_first: bool| {
        assert_eq!(d.map_foreign(owner, gfn, ram(1)), 0);
        let entry = slot(&w, d, gfn, 3);
        let page = xen!(xs_mfn_to_page(ram(1)));
        let rules = broken(&w, || {
            d.write_locked(|| {
                store(entry, 0);
                if flush_first {
                    d.flush();
                }
                xen!(put_page(page));
                d.flush();
            });
        });
        // SAFETY: the domain does not run, and nobody changes its tables.
        unsafe { (*d.p2m()).stats.mappings[3] -= 1 };
        rules
    };
    assert_eq!(put_early(5, false), ["T5"]);
    assert_eq!(put_early(5, true), [""; 0]);
}

#[test]
fn t5_a_page_without_an_owner_is_not_put_while_it_may_be_cached() {
    let w = plain();
    let d = guest(&w, 0);
    let page = xen!(alloc_domheap_pages(null_mut(), 0, 0));
    let mfn = xen!(xs_page_to_mfn(page));
    w.take_references(mfn, 1);
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    let entry = slot(&w, d, 6, 3);
    let word = w.entry(d, 5, 3) & !0xFFFF_FFFF_F000 | mfn << 12;
    let put_first = broken(&w, || {
        d.write_locked(|| {
            store(entry, word);
            store(entry, 0);
            xen!(put_page(page));
            d.flush();
        });
    });
    assert_eq!(put_first, ["T5"]);
    // The same below a table that goes.
    assert_eq!(d.insert(M2 + 5, 1, mfn, p2mt::MMIO_DEV), 0);
    w.take_references(mfn, 1);
    let above = slot(&w, d, M2 + 5, 2);
    let table = w.entry(d, M2 + 5, 2) >> 12 & 0xF_FFFF_FFFF;
    let put_below = broken(&w, || {
        d.write_locked(|| {
            store(above, 0);
            xen!(put_page(page));
            d.flush();
            w.give_back_table(d, table);
        });
    });
    assert_eq!(put_below, ["T5"]);
    // SAFETY: the domain does not run, and nobody changes its tables.
    unsafe { (*d.p2m()).stats.mappings[3] -= 1 };
    w.take_references(mfn, 1);
    let flushed_first = broken(&w, || {
        d.write_locked(|| {
            store(entry, word);
            store(entry, 0);
            d.flush();
            xen!(put_page(page));
        });
    });
    assert_eq!(flushed_first, NONE);
}

/// A walk finds below a table that was taken out what was there then, whatever is there now.
#[test]
fn t5_what_was_below_a_table_that_was_taken_out_counts() {
    let w = plain();
    let d = guest(&w, 0);
    let page = xen!(alloc_domheap_pages(null_mut(), 0, 0));
    let mfn = xen!(xs_page_to_mfn(page));
    w.take_references(mfn, 1);
    assert_eq!(d.insert(M2 + 5, 1, mfn, p2mt::MMIO_DEV), 0);
    let (above, inside) = (slot(&w, d, M2 + 5, 2), slot(&w, d, M2 + 5, 3));
    let put_below = broken(&w, || {
        d.write_locked(|| {
            store(above, 0);
            store(inside, 0);
            xen!(put_page(page));
            d.flush();
        });
    });
    assert_eq!(put_below, ["T4", "T5"]);
    w.abandon();
}

#[test]
fn t7_a_vmid_is_flushed_before_another_domain_runs_with_it() {
    let w = plain();
    let (a, b) = (guest(&w, 0), guest(&w, 1));
    let (va, vb) = (w.vcpu(a), w.vcpu(b));
    w.run(0, va);
    let (vmid, vttbr) = (b.vmid(), b.vttbr());
    // SAFETY: the domain does not run.
    let p2m = unsafe { &mut *b.p2m() };
    p2m.vttbr = vttbr & 0x0000_FFFF_FFFF_FFFF | u64::from(a.vmid()) << 48;
    assert_eq!(broken(&w, || w.run(1, vb)), ["T7"]);
    p2m.vttbr = vttbr;
    p2m.vmid = a.vmid();
    assert_eq!(broken(&w, || w.check_rules()), ["T7"], "one VMID for two");
    p2m.vmid = vmid;
}

#[test]
fn t7_a_vmid_may_be_reused_after_its_domain() {
    let w = plain();
    let a = guest(&w, 0);
    let vmid = a.vmid();
    w.run(0, w.vcpu(a));
    w.destroy(a);
    // CPU 0 has still the old VTTBR_EL2; the new domain flushes.
    let b = w.domain(4);
    assert_eq!(b.vmid(), vmid);
    let found = broken(&w, || w.run(1, w.vcpu(b)));
    assert_eq!(found, NONE);
}

#[test]
fn t7_the_local_tlb_is_flushed_between_two_vcpus_of_a_domain() {
    let w = plain();
    let d = guest(&w, 0);
    let (v0, v1) = (w.vcpu(d), w.vcpu(d));
    assert_eq!(broken(&w, || w.run(0, v0)), NONE);
    assert_eq!(broken(&w, || w.run(0, v1)), NONE);
    assert_eq!(broken(&w, || w.run(1, v0)), NONE, "another CPU's TLB");
    // Nobody remembers who ran here.
    // SAFETY: the CPU runs no code of the p2m.
    let p2m = unsafe { &mut *d.p2m() };
    p2m.last_vcpu_ran = [sys::XS_INVALID_VCPU_ID as u8; sys::XS_NR_CPUS as usize];
    assert_eq!(broken(&w, || w.run(0, v0)), ["T11", "T7"]);
}

/// What Xen's C does: it flushes both stages, and leaves the instruction cache.
#[test]
fn t11_the_instruction_cache_goes_between_two_vcpus_of_a_domain() {
    let restores_with = |flush: fn()| {
        let w = plain();
        let d = guest(&w, 0);
        let (v0, v1) = (w.vcpu(d), w.vcpu(d));
        w.run(0, v0);
        let vttbr = d.vttbr();
        let found = broken(&w, || {
            w.run_with(v1, Vcpu::save_state, |_| {
                // SAFETY: the machine is in the middle of a context switch.
                unsafe { sys::arch::write_vttbr_el2(vttbr) };
                sys::arch::isb();
                flush();
            });
        });
        w.run(0, w.toolstack(0));
        found
    };
    let both_stages = || xen!(xs_flush_guest_tlb_local());
    assert_eq!(restores_with(both_stages), ["T11"]);
    assert_eq!(restores_with(sys::arch::flush_stage1_local), NONE);
    assert_eq!(
        restores_with(|| {
            xen!(xs_flush_guest_tlb_local());
            xen!(xs_invalidate_icache_local());
        }),
        NONE
    );
    // On all CPUs, while the other vCPU runs: it may fetch again before it goes.
    let w = plain();
    let d = guest(&w, 0);
    let (v0, v1) = (w.vcpu(d), w.vcpu(d));
    w.run(0, v0);
    xen!(xs_invalidate_icache());
    // Nobody remembers who ran here.
    // SAFETY: the CPU runs no code of the p2m.
    let p2m = unsafe { &mut *d.p2m() };
    p2m.last_vcpu_ran = [sys::XS_INVALID_VCPU_ID as u8; sys::XS_NR_CPUS as usize];
    assert_eq!(broken(&w, || w.run(0, v1)), ["T11", "T7"]);
}
