// SPDX-License-Identifier: GPL-2.0-only
//! `xen-sys/src/inlines.rs`, Xen's inlines: only the hypervisor compiles them. Here they read variables and structures
//! of this file. That Xen has what they read where they look for it, the compiler and the linker see.

#![allow(non_camel_case_types, non_upper_case_globals)] // C's names

use std::cell::Cell;
use std::ffi::c_uint;
use std::ptr::{addr_of_mut, null_mut};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[allow(dead_code, unreachable_pub)] // as the crate has it
#[path = "../../xen-sys/src/opaque.rs"]
mod opaque;
use opaque::{Field, Opaque, ViewOf};

#[allow(unexpected_cfgs, unreachable_pub)] // as the crate has it
#[allow(clippy::multiple_unsafe_ops_per_block)] // to name a variable of C's is safe, and a `static mut` is not
#[path = "../../xen-sys/src/inlines.rs"]
mod inlines;

#[derive(Default)]
pub(crate) struct domain {
    pub(crate) _before: [u64; 2],
    pub(crate) domain_id: u16,
    pub(crate) options: c_uint,
}

pub(crate) struct vcpu {
    pub(crate) _before: [u64; 3],
    pub(crate) domain: *mut domain,
}

/// As in 4.20.
const XS_CDF_iommu: c_uint = 1 << 5;
const XS_DOMID_IDLE: c_uint = 0x7FFF;
const XS_ARM64_WORKAROUND_AT_SPECULATE: c_uint = 9;

static cpu_hwcaps: AtomicU64 = AtomicU64::new(0);
static mut hardware_domain: *mut domain = null_mut();
static per_cpu__cpu_id: c_uint = 77;
static mut per_cpu__curr_vcpu: *mut vcpu = null_mut();

mod arch {
    use std::cell::Cell;

    thread_local! {
        /// TPIDR_EL2.
        pub(crate) static OFFSET: Cell<usize> = const { Cell::new(0) };
    }

    pub(crate) fn this_cpu_offset() -> usize {
        OFFSET.with(Cell::get)
    }
}

/// A structure as the inlines get it.
fn opaque<T>(it: &mut T) -> &Opaque<T> {
    // SAFETY: it lives as long as the borrow, which nobody else has.
    unsafe { Opaque::from_ptr(it) }
}

/// An erratum is found by its own bit of the first word, and by no other.
#[test]
fn an_erratum_is_its_own_bit() {
    for bit in 0..64 {
        cpu_hwcaps.store(1 << bit, Relaxed);
        assert_eq!(inlines::found_at_speculate(), bit == 9, "bit {bit}");
        cpu_hwcaps.store(!(1 << bit), Relaxed);
        assert_eq!(inlines::found_at_speculate(), bit != 9, "all but {bit}");
    }
}

/// A CPU's copy of a variable is at the variable's address and the CPU's offset.
#[test]
fn a_cpu_reads_its_own_copy() {
    let base = (&raw const per_cpu__cpu_id).addr();
    for cpu in [0, 1, 300] {
        let copy = Box::new(Cell::new(cpu));
        let place: *const Cell<c_uint> = &raw const *copy;
        arch::OFFSET.with(|offset| offset.set(place.expose_provenance().wrapping_sub(base)));
        assert_eq!(inlines::smp_processor_id(), cpu);
    }
    let base = addr_of_mut!(per_cpu__curr_vcpu).addr();
    let mut runs = vcpu {
        _before: [0; 3],
        domain: null_mut(),
    };
    let copy = Box::new(Cell::new(&raw mut runs));
    let place: *const Cell<*mut vcpu> = &raw const *copy;
    arch::OFFSET.with(|offset| offset.set(place.expose_provenance().wrapping_sub(base)));
    assert_eq!(inlines::current_vcpu(), &raw mut runs);
}

#[test]
fn a_vcpu_is_idle_if_its_domain_is_the_idle_one() {
    for (domain_id, is_idle) in [
        (0x7FFF, true),
        (0, false),
        (1, false),
        (0x7FF0, false),
        (0x7FFE, false),
        (0xFFFF, false),
    ] {
        let mut of = domain {
            domain_id,
            options: !0,
            ..domain::default()
        };
        let mut v = vcpu {
            _before: [0; 3],
            domain: &raw mut of,
        };
        assert_eq!(
            inlines::is_idle_vcpu(opaque(&mut v)),
            is_idle,
            "{domain_id:#x}"
        );
    }
}

/// Not what is number 0: there may be none with that.
#[test]
fn the_hardware_domain_is_the_one_that_xen_names() {
    let [mut one, mut other] = [0, 0].map(|domain_id| domain {
        domain_id,
        ..domain::default()
    });
    // SAFETY: no other test looks at it.
    unsafe { hardware_domain = &raw mut one };
    assert!(inlines::is_hardware_domain(opaque(&mut one)));
    assert!(!inlines::is_hardware_domain(opaque(&mut other)));
    // SAFETY: as above.
    unsafe { hardware_domain = null_mut() };
    assert!(!inlines::is_hardware_domain(opaque(&mut one)));
}

#[test]
fn a_domain_is_behind_an_iommu_if_it_was_created_so() {
    for bit in 0..32 {
        for options in [1 << bit, !(1 << bit)] {
            let mut d = domain {
                options,
                ..domain::default()
            };
            let is = options >> 5 & 1 != 0;
            assert_eq!(
                inlines::is_iommu_enabled(opaque(&mut d)),
                is,
                "{options:#x}"
            );
        }
    }
}
