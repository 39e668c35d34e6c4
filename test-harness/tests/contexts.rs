// SPDX-License-Identifier: GPL-2.0-only
//! Stage 2 of the whole machine, VMIDs, and the switch between contexts, by
//! their C symbols.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;

use common::{guest, p2mt, plain, ram, world};
use test_harness::symbols as c;
use test_harness::{Config, Event, Register};

/// A call of an exported function.
macro_rules! call {
    ($name:ident($($argument:expr),* $(,)?)) => {{
        // SAFETY: pointers are to structures of the world or to locals.
        unsafe { c::$name($($argument),*) }
    }};
}

#[test]
fn setup_virt_paging_chooses_the_shape_and_sets_every_cpu_up() {
    // (bits, PARange, T0SZ, SL0, root order), Arm ARM table D5-6.
    let shapes = [
        (32, 0, 32, 1, 0),
        (36, 1, 28, 1, 0),
        (40, 2, 24, 1, 1),
        (42, 3, 22, 1, 3),
        (44, 4, 20, 2, 0),
        (48, 5, 16, 2, 0),
    ];
    for (ipa_bits, ps, t0sz, sl0, order) in shapes {
        for vmid16 in [false, true] {
            let w = world(Config {
                ipa_bits,
                vmid16,
                ..Config::default()
            });
            // RES1, SH0 inner, ORGN0 and IRGN0 write-back; PS, SL0, T0SZ; VS.
            let expected = 1 << 31 | 3 << 12 | 1 << 10 | 1 << 8 | ps << 16 | sl0 << 6 | t0sz;
            let expected = expected | u64::from(vmid16) << 19;
            for cpu in 0..8 {
                assert_eq!(w.registers(cpu).1, expected, "{ipa_bits} bits, CPU {cpu}");
            }
            let (level, pages) = Config {
                ipa_bits,
                ..Config::default()
            }
            .root();
            assert_eq!(pages, 1 << order);
            let vmids = if vmid16 { 1 << 16 } else { 1 << 8 };
            let exported = p2m_rs::xen::globals::exported_for_test();
            assert_eq!(exported, [ipa_bits, vmids, order, level]);
            let said = w.console().concat();
            assert!(said.contains(&format!("{ipa_bits}-bit IPA")), "{said}");
        }
    }
}

/// 6 is 52 bits and 7 is 56; what a later architecture says is more (Arm ARM, D24.1.3). Xen uses
/// no more than 48 bits of any of them.
#[test]
fn a_physical_address_space_that_is_larger_than_xen_knows_is_no_obstacle() {
    for pa_range in [6, 7, 8, 15] {
        let w = world(Config {
            ipa_bits: 48,
            pa_range: Some(pa_range),
            ..Config::default()
        });
        let exported = p2m_rs::xen::globals::exported_for_test();
        assert_eq!(exported, [48, 1 << 8, 0, 0], "PARange {pa_range}");
        // PS is what Xen uses, not what the CPU has.
        assert_eq!(w.registers(3).1 >> 16 & 7, 5, "PARange {pa_range}");
        assert!(w.console().concat().contains("48-bit IPA with 48-bit PA"));
    }
}

#[test]
fn a_driver_may_restrict_the_address_space_and_a_hot_plugged_cpu_follows() {
    let w = world(Config {
        ipa_bits: 48,
        ..Config::default()
    });
    call!(p2m_restrict_ipa_bits(40));
    call!(p2m_restrict_ipa_bits(44)); // wider again: no
    w.setup_virt_paging();
    assert_eq!(p2m_rs::xen::globals::exported_for_test()[0], 40);
    let vtcr = w.registers(0).1;
    w.on_cpu(5, || {
        // SAFETY: a register of the model.
        unsafe { xen_sys::arch::write_vtcr_el2(0) };
    });
    w.bring_up(5);
    assert_eq!(w.registers(5).1, vtcr);
}

/// While it was off it heard of no flush, and a reset need not empty its TLBs.
#[test]
fn a_cpu_that_comes_up_forgets_what_its_tlbs_hold_of_guests() {
    for at_speculate in [false, true] {
        let w = world(Config {
            at_speculate,
            ..Config::default()
        });
        w.clear_events();
        w.bring_up(5);
        let is_flush = |(cpu, event): &(usize, Event)| *cpu == 5 && *event == Event::TlbiAllLocal;
        assert_eq!(w.events().iter().filter(|event| is_flush(event)).count(), 1);
        w.check();
    }
}

#[test]
fn an_unsupported_address_size_stops_xen_with_a_reason() {
    let w = plain();
    let said = w.expect_stop(
        || {
            p2m_rs::xen::globals::reset_for_test();
            call!(p2m_restrict_ipa_bits(39));
        },
        || call!(setup_virt_paging()),
    );
    assert_eq!(
        said.as_deref().map(str::trim_end),
        Some("panic: 39-bit P2M is not supported")
    );
}

#[test]
fn without_memory_for_the_empty_root_xen_does_not_boot() {
    let w = world(Config {
        at_speculate: true,
        ..Config::default()
    });
    w.fail_allocation(Some(1));
    let said = w.expect_stop(p2m_rs::xen::globals::reset_for_test, || {
        call!(setup_virt_paging());
    });
    assert!(
        said.as_deref().is_some_and(|s| s.starts_with("panic: ")),
        "{said:?}"
    );
}

#[test]
fn an_idle_vcpu_leaves_the_guests_registers_alone() {
    let w = plain();
    let v = w.vcpu(guest(&w, 0));
    w.run(0, v);
    w.clear_events();
    w.idle().restore_state();
    assert_eq!(w.events(), []);
}

#[test]
fn vmids_are_given_taken_back_and_started_anew() {
    let w = plain();
    let d = w.raw_domain(false);
    assert_eq!(call!(p2m_alloc_vmid(d.pointer())), 0);
    assert_eq!(d.vmid(), 1);
    call!(p2m_free_vmid(d.pointer()));
    assert_eq!(call!(p2m_alloc_vmid(d.pointer())), 0);
    assert_eq!(d.vmid(), 1);
    // What a domain has given back is another's, and is not given back twice.
    call!(p2m_free_vmid(d.pointer()));
    let (next, other) = (w.raw_domain(false), w.raw_domain(false));
    assert_eq!(call!(p2m_alloc_vmid(next.pointer())), 0);
    call!(p2m_free_vmid(d.pointer()));
    assert_eq!(call!(p2m_alloc_vmid(other.pointer())), 0);
    assert_eq!((next.vmid(), other.vmid()), (1, 2));
    // 0 is nobody's, and those of living domains stay theirs.
    call!(p2m_vmid_allocator_init());
    let third = w.raw_domain(false);
    assert_eq!(call!(p2m_alloc_vmid(third.pointer())), 0);
    assert_eq!(third.vmid(), 3);
    // Before Xen has set anything up, 0 is free.
    p2m_rs::xen::globals::reset_for_test();
    call!(p2m_vmid_allocator_init());
    assert_eq!(call!(p2m_alloc_vmid(d.pointer())), 0);
    assert_eq!(d.vmid(), 1);
}

/// The register's field has all sixteen bits.
#[test]
fn with_16_bit_vmids_there_are_more_than_255_and_each_is_the_registers() {
    let w = world(Config {
        vmid16: true,
        ..Config::default()
    });
    let domains: Vec<_> = (1..=257).map(|_| w.domain(0)).collect();
    for (d, vmid) in domains.iter().zip(1_u16..) {
        assert_eq!(d.vmid(), vmid);
    }
    for at in [0, 254, 255, 256] {
        w.run(2, w.vcpu(domains[at]));
        assert_eq!(w.registers(2).0 >> 48, at as u64 + 1);
    }
    w.run(2, w.toolstack(2));
    // It comes back, in a word of the bitmap that is not the first.
    w.destroy(domains[255]);
    assert_eq!(w.domain(0).vmid(), 256);
}

/// Whoever had it before, even firmware: its last owner's end is not relied on.
#[test]
fn the_vmid_of_a_new_domain_is_flushed_before_it_is_used() {
    let w = plain();
    let d = w.raw_domain(false);
    w.clear_events();
    assert_eq!(d.init(), 0);
    let flushed = |event: &Event| match *event {
        Event::TlbiVmid { vmid, .. } => Some(vmid),
        _ => None,
    };
    let flushes: Vec<u16> = w.events().iter().filter_map(|(_, e)| flushed(e)).collect();
    assert_eq!(flushes, [d.vmid()]);
    w.check();
    d.final_teardown();
}

#[test]
fn a_flush_goes_to_the_vmid_of_its_domain_with_interrupts_off() {
    let w = plain();
    let (d, other) = (guest(&w, 0), guest(&w, 1));
    let v = w.vcpu(other);
    w.run(0, v);
    for (target, irqs_on) in [(d, false), (other, true)] {
        w.clear_events();
        target.write_locked(|| call!(p2m_force_tlb_flush_sync(target.p2m())));
        // Not owed: no second flush.
        target.write_locked(|| call!(p2m_tlb_flush_sync(target.p2m())));
        let events = w.events();
        let flushes: Vec<_> = events
            .iter()
            .filter(|(_, e)| matches!(e, Event::TlbiVmid { .. }))
            .collect();
        assert_eq!(
            flushes,
            [&(
                0,
                Event::TlbiVmid {
                    vmid: target.vmid(),
                    irqs_on
                }
            )]
        );
        w.check();
    }
}

#[test]
fn a_vcpu_that_follows_another_of_its_domain_flushes_what_that_left() {
    let w = plain();
    let d = guest(&w, 0);
    let (a, b) = (w.vcpu(d), w.vcpu(d));
    let other = w.vcpu(guest(&w, 1));
    a.set_hcr(0x55);
    let flushes = |v| {
        w.clear_events();
        w.run(2, v);
        w.events()
            .iter()
            .filter(|(_, e)| matches!(e, Event::TlbiStage1Local { .. }))
            .count()
    };
    assert_eq!(
        (flushes(a), w.registers(2).0, w.registers(2).2),
        (0, d.vttbr(), 0x55)
    );
    assert_eq!(d.last_vcpu_ran(2), 0);
    assert_eq!(flushes(other), 0);
    assert_eq!(flushes(a), 0, "the same vCPU comes back");
    assert_eq!(flushes(b), 1);
    assert_eq!(flushes(a), 1);
}

#[test]
fn with_the_speculation_erratum_no_half_switched_context_translates() {
    let w = world(Config {
        at_speculate: true,
        ..Config::default()
    });
    let empty = w.registers(0).0;
    assert_ne!(empty, 0);
    assert_eq!(empty >> 48, 0, "VMID 0");
    let d = guest(&w, 0);
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    let other = guest(&w, 1);
    w.run(0, w.vcpu(d));
    w.run(1, w.vcpu(other));
    assert_eq!(w.registers(0).0, d.vttbr());
    // A flush from the CPU of another guest: that VMID, but the empty root, and back.
    w.clear_events();
    w.on_cpu(1, || assert_eq!(d.remove(5, 1, ram(0)), 0));
    let written: Vec<_> = w
        .events()
        .into_iter()
        .filter_map(|(cpu, event)| match event {
            Event::WriteRegister { register, value } => Some((cpu, register, value)),
            _ => None,
        })
        .collect();
    let for_the_flush = u64::from(d.vmid()) << 48 | empty;
    let expected = [for_the_flush, other.vttbr()].map(|value| (1, Register::Vttbr, value));
    assert_eq!(written, expected);
    w.check();
}

/// Arm's errata notices: all that the translation depends on is in place before
/// VTTBR_EL2 names the guest's tables, and the other way round.
#[test]
fn with_the_speculation_erratum_vttbr_comes_last_and_goes_first() {
    let w = world(Config {
        at_speculate: true,
        ..Config::default()
    });
    let (v, next) = (w.vcpu(guest(&w, 0)), w.vcpu(guest(&w, 1)));
    w.run(0, v);
    w.clear_events();
    w.run(0, next);
    let steps: Vec<String> = w
        .events()
        .into_iter()
        .filter_map(|(_, event)| match event {
            Event::WriteRegister { register, .. } => Some(format!("{register:?}")),
            Event::Isb => Some("Isb".to_owned()),
            _ => None,
        })
        .collect();
    let expected = ["Vttbr", "Isb", "Sctlr", "Hcr", "Isb", "Vttbr", "Isb"];
    assert_eq!(steps, expected);
}

/// A walk that began before VTTBR_EL2 named the empty root may have left
/// anything.
#[test]
fn with_the_speculation_erratum_a_cpu_that_comes_up_forgets_what_it_guessed() {
    for at_speculate in [false, true] {
        let w = world(Config {
            at_speculate,
            ..Config::default()
        });
        w.clear_events();
        w.bring_up(5);
        let on_it: Vec<Event> = w.events().into_iter().map(|(_, event)| event).collect();
        let forgot = on_it.ends_with(&[Event::Isb, Event::TlbiAllLocal]);
        assert_eq!(forgot, at_speculate, "{on_it:?}");
    }
}

/// Rule T10 watches every test; here is where the two barriers stand.
#[test]
fn walks_of_the_interrupted_guest_are_waited_for_before_its_registers_change() {
    for at_speculate in [false, true] {
        let w = world(Config {
            at_speculate,
            ..Config::default()
        });
        let (d, other) = (guest(&w, 0), guest(&w, 1));
        let (v, next) = (w.vcpu(d), w.vcpu(other));
        for cpu in [0, 3] {
            w.run(cpu, v);
            w.clear_events();
            w.run(cpu, next);
            let first = w.events().into_iter().next();
            assert_eq!(first, Some((cpu, Event::DsbNsh)));
        }
        // The guest on CPU 0 makes a hypercall that flushes another domain's TLBs.
        w.clear_events();
        assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
        assert_eq!(d.remove(5, 1, ram(0)), 0);
        let events: Vec<Event> = w.events().into_iter().map(|(_, event)| event).collect();
        let is_switch = |e: &Event| matches!(e, Event::WriteRegister { .. });
        let switch = events.iter().position(is_switch).unwrap();
        assert_eq!(events[..switch].last(), Some(&Event::DsbIsh));
        w.check();
    }
}
