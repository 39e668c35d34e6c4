// SPDX-License-Identifier: GPL-2.0-only
//! The exported functions whose prototype is not the same in every release: each form that
//! there is. The headers of a tree have one form of a function, and its archive too; on the
//! host there are all, and those of other releases than 4.20 have another symbol.
//!
//! The cfgs are those of `xen-sys/build/facts.rs`.

use core::ffi::{c_int, c_ulong};

use xen_sys as sys;

use super::{output, Out};
use crate::guest::cache;
use crate::lifecycle::preemption::Preemption;
use crate::lifecycle::{self, allocation};
use crate::p2m::token::CalledUnlocked;
use crate::p2m::P2m;
use crate::types::errno::{to_c, Errno};
use crate::xen::domain::Domain;
use crate::xen::pool::PoolLockedByC;
use crate::xen::vcpu::CurrentVcpu;

/// The current vCPU's set/way operation trapped: `p2m_set_way_flush` up to 4.20.
///
/// # Safety
///
/// The registers are those that the vCPU's trap has saved.
#[cfg_attr(set_way_hsr, export_name = "p2m_set_way_flush")]
pub unsafe extern "C" fn p2m_set_way_flush_hsr(
    v: CurrentVcpu<'_>,
    regs: &sys::Opaque<sys::cpu_user_regs>,
    hsr: sys::hsr,
) {
    if cache::set_way(v) == cache::SetWay::Undefined {
        // SAFETY: the current vCPU's registers, by the caller's promise.
        unsafe { sys::xs_inject_undef_exception(regs, hsr) };
    }
}

/// The current vCPU's set/way operation trapped: `p2m_set_way_flush` from 4.21 on.
///
/// # Safety
///
/// The registers are those that the vCPU's trap has saved.
#[cfg_attr(
    all(set_way_plain, target_os = "none"),
    export_name = "p2m_set_way_flush"
)]
#[cfg_attr(not(target_os = "none"), no_mangle)]
pub unsafe extern "C" fn p2m_set_way_flush_plain(
    v: CurrentVcpu<'_>,
    regs: &sys::Opaque<sys::cpu_user_regs>,
) {
    // In these releases injecting the exception needs no syndrome.
    let unused = sys::hsr { bits: 0 };
    // SAFETY: as promised to this function.
    unsafe { p2m_set_way_flush_hsr(v, regs, unused) };
}

/// Sets the pool's size in pages; the caller holds the paging lock. With
/// `preempted` non-null it may stop with -ERESTART: `p2m_set_allocation` up to 4.22.
#[cfg_attr(set_allocation_pointer, export_name = "p2m_set_allocation")]
pub extern "C" fn p2m_set_allocation_pointer(
    d: PoolLockedByC<'_>,
    pages: c_ulong,
    preempted: Out<'_, bool>,
) -> c_int {
    let preemption = match preempted {
        None => Preemption::Forbidden,
        Some(_) => Preemption::Allowed,
    };
    let result = d.with(|pool| allocation::set_allocation(pool, pages, preemption));
    if result == Err(Errno::ERESTART) {
        output(preempted, true);
    }
    to_c(result)
}

/// Sets the pool's size in pages; the caller holds the paging lock. With
/// `can_preempt` it may stop with -ERESTART: `p2m_set_allocation` from 4.23 on.
#[cfg_attr(
    all(set_allocation_bool, target_os = "none"),
    export_name = "p2m_set_allocation"
)]
#[cfg_attr(not(target_os = "none"), no_mangle)]
pub extern "C" fn p2m_set_allocation_bool(
    d: PoolLockedByC<'_>,
    pages: c_ulong,
    can_preempt: bool,
) -> c_int {
    let preemption = Preemption::of(can_preempt);
    to_c(d.with(|pool| allocation::set_allocation(pool, pages, preemption)))
}

/// Frees the tables of a dying domain: 0, -ERESTART. `p2m_teardown` from 4.18 on.
///
/// # Safety
///
/// `p2m_clear_root_pages` was called before, if there is one: no walk finds a table.
#[cfg_attr(teardown_plain, export_name = "p2m_teardown")]
pub unsafe extern "C" fn p2m_teardown_plain(d: CalledUnlocked<'_, &Domain>) -> c_int {
    let (mut cx, d) = d.enter();
    // SAFETY: as promised to this function.
    to_c(unsafe { lifecycle::teardown(&mut cx, P2m::host_of(d), Preemption::Allowed) })
}

/// Frees the tables of a domain that is dying, or was never finished: 0, or -ERESTART if
/// `allow_preemption`. `p2m_teardown` up to 4.17.
///
/// # Safety
///
/// The domain will not run again, and its devices are gone.
#[cfg_attr(all(teardown_bool, target_os = "none"), export_name = "p2m_teardown")]
#[cfg_attr(not(target_os = "none"), no_mangle)]
pub unsafe extern "C" fn p2m_teardown_bool(
    d: CalledUnlocked<'_, &Domain>,
    allow_preemption: bool,
) -> c_int {
    let (mut cx, d) = d.enter();
    let preemption = Preemption::of(allow_preemption);
    // SAFETY: as promised to this function.
    to_c(unsafe { lifecycle::teardown(&mut cx, P2m::host_of(d), preemption) })
}
