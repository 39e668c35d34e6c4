// SPDX-License-Identifier: GPL-2.0-only
//! Rule T10, broken by hand: a register of EL1&0 is written while walks of a
//! guest may be in flight. And what each kind of DSB waits for.

mod common;

use common::by_hand::{broken, raw_store, slot, xen};
use common::{behind, guest, p2mt, plain, ram, world};
use test_harness::{Domain, Iommu, Stage1Entry, World};
use xen_sys as sys;
use xen_sys::arch;

const NONE: [&str; 0] = [];
const HCR_TVM: u64 = 1 << 26;

/// A machine with a guest on CPU 0.
fn running() -> World {
    let w = plain();
    let v = w.vcpu(guest(&w, 0));
    w.run(0, v);
    w
}

/// Writes one of the registers, with the value that it has or another one.
fn writes() -> [(&'static str, fn()); 4] {
    [
        ("VTTBR_EL2", || {
            let value = arch::read_vttbr_el2();
            // SAFETY: as above.
            unsafe { arch::write_vttbr_el2(value) }
        }),
        ("VTCR_EL2", || {
            // SAFETY: a register of the model.
            unsafe { arch::write_vtcr_el2(5) }
        }),
        ("HCR_EL2", || {
            // SAFETY: a register of the model.
            unsafe { arch::write_hcr_el2(HCR_TVM | 1) }
        }),
        ("SCTLR_EL1", || {
            // SAFETY: a register of the model.
            unsafe { arch::write_sctlr_el1(4) }
        }),
    ]
}

#[test]
fn t10_walks_of_the_interrupted_guest_use_the_registers_that_are_written() {
    for (name, write) in writes() {
        let w = running();
        assert_eq!(broken(&w, write), ["T10"], "{name}");
    }
}

#[test]
fn t10_only_a_dsb_that_waits_for_loads_waits_for_walks() {
    let barriers: [(&str, fn(), bool); 5] = [
        ("DSB ISHST", arch::dsb_ishst, false),
        ("ISB", arch::isb, false),
        ("DSB NSH", arch::dsb_nsh, true),
        ("DSB ISH", arch::dsb_ish, true),
        ("DSB SY", arch::dsb_sy, true),
    ];
    for (barrier, wait, is_enough) in barriers {
        for (name, write) in writes() {
            let w = running();
            wait();
            let expected = if is_enough { &NONE[..] } else { &["T10"] };
            assert_eq!(broken(&w, write), expected, "{barrier}, {name}");
        }
    }
}

#[test]
fn t10_a_guest_that_ran_again_or_an_at_instruction_begins_new_walks() {
    let w = running();
    arch::dsb_nsh();
    w.guest_traps();
    assert_eq!(broken(&w, writes()[3].1), ["T10"]);
    arch::dsb_nsh();
    let mut ipa = 0;
    xen!(xs_gva_to_ipa(0, &mut ipa, 0));
    assert_eq!(broken(&w, writes()[3].1), ["T10"]);
}

/// The registers that an AT uses are those of the vCPU that runs.
#[test]
fn r0_nothing_is_translated_for_a_vcpu_that_does_not_run() {
    let w = plain();
    let d = guest(&w, 0);
    let (runs, other) = (w.vcpu(d), w.vcpu(d));
    w.run(0, runs);
    for (v, expected) in [(runs, &NONE[..]), (other, &["R0"])] {
        let at = || {
            xen!(xs_gva_to_ma_par(v.pointer(), 0, 0));
        };
        assert_eq!(broken(&w, at), expected);
    }
}

#[test]
fn t10_what_traps_is_nothing_that_a_walk_looks_at() {
    let w = running();
    let trap = || {
        let hcr = arch::read_hcr_el2();
        // SAFETY: as above.
        unsafe { arch::write_hcr_el2(hcr ^ HCR_TVM) }
    };
    assert_eq!(broken(&w, trap), NONE);
}

/// The rules that are broken if an entry is written, with the lock held, and `then` follows.
fn after_a_store(w: World, then: impl Fn(Domain)) -> Vec<&'static str> {
    let d = guest(&w, 0);
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    let (page, word) = (slot(&w, d, 6, 3), w.entry(d, 5, 3));
    let found = broken(&w, || {
        d.write_locked(|| {
            raw_store(page, word + (1 << 12));
            then(d);
        });
    });
    w.abandon();
    found
}

/// A walker of another CPU is not in the non-shareable domain.
#[test]
fn t9_dsb_nsh_shows_a_store_to_this_cpu_only() {
    let barriers: [(fn(), bool); 4] = [
        (arch::dsb_nsh, false),
        (arch::dsb_ishst, true),
        (arch::dsb_ish, true),
        (arch::dsb_sy, true),
    ];
    for (publish, is_enough) in barriers {
        let found = after_a_store(plain(), |_| publish());
        let expected = if is_enough { &NONE[..] } else { &["T9"] };
        assert_eq!(found, expected);
    }
}

/// A device that walks the tables may be outside of the domain of the other barriers.
#[test]
fn t9_only_dsb_sy_shows_a_store_to_devices() {
    let barriers: [(fn(), bool); 3] = [
        (arch::dsb_ishst, false),
        (arch::dsb_ish, false),
        (arch::dsb_sy, true),
    ];
    for (publish, is_enough) in barriers {
        let found = after_a_store(world(behind(Iommu::Coherent)), |d| {
            publish();
            let added = sys::XS_IOMMU_FLUSHF_added;
            xen!(xs_iommu_iotlb_flush(d.pointer(), 6, 1, added));
        });
        let expected = if is_enough { &NONE[..] } else { &["T9"] };
        assert_eq!(found, expected);
    }
}

/// The idle vCPU has no walks, and what a guest left was waited for when it went.
#[test]
fn t10_an_idle_cpu_has_nothing_in_flight() {
    let w = running();
    let v = w.vcpu(guest(&w, 1));
    w.stage1_map(
        v,
        0,
        Stage1Entry {
            gfn: 0,
            writable: true,
        },
    );
    w.run(0, w.idle());
    w.guest_traps();
    for (name, write) in writes() {
        if name != "VTTBR_EL2" {
            assert_eq!(broken(&w, write), NONE, "{name}");
        }
    }
}
