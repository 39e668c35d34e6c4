// SPDX-License-Identifier: GPL-2.0-only
//! The symbols of `mmu/p2m.c`. See [`crate::ffi`] for what they have in common.
//!
//! # Safety
//!
//! As in [`crate::ffi`].

// One contract for all of them.
#![allow(clippy::missing_safety_doc)]

use core::ffi::{c_int, c_uint, c_ulong, c_void};

use xen_sys as sys;

use super::{domain, output, p2m, target, unlocked, vcpu};
use crate::guest::{cache, context, fault};
use crate::lifecycle::allocation::{self, Preemption};
use crate::lifecycle::{self, dump, setup};
use crate::map::{insert, lookup, remove};
use crate::p2m::lock::{locked_entry_read, locked_entry_write};
use crate::p2m::P2m;
use crate::types::access::P2mAccess;
use crate::types::addr::{Gfn, Mfn};
use crate::types::errno::{to_c, Errno};
use crate::types::p2m_type::P2mType;
use crate::xen::pool::locked_pool_entry;

/// Bytes in the domain's paging pool; always 0.
#[no_mangle]
pub unsafe extern "C" fn arch_get_paging_mempool_size(
    d: *mut sys::domain,
    size: *mut u64,
) -> c_int {
    // SAFETY: the module's contract.
    let bytes = allocation::mempool_size(unsafe { domain(d) });
    // SAFETY: the module's contract.
    unsafe { output(size, bytes) };
    0
}

/// Sets the pool's size in pages; the caller holds the paging lock. With
/// `preempted` non-null it may stop with -ERESTART.
#[no_mangle]
pub unsafe extern "C" fn p2m_set_allocation(
    d: *mut sys::domain,
    pages: c_ulong,
    preempted: *mut bool,
) -> c_int {
    let preemption = if preempted.is_null() {
        Preemption::Forbidden
    } else {
        Preemption::Allowed
    };
    // SAFETY: the module's contract.
    let d = unsafe { domain(d) };
    // SAFETY: the caller holds the paging lock.
    let result = unsafe { locked_pool_entry(d, |pool| pool.set_size(pages, preemption)) };
    if result == Err(Errno::ERESTART) {
        // SAFETY: the module's contract.
        unsafe { output(preempted, true) };
    }
    to_c(result)
}

/// Sets the pool's size in bytes: 0, -EINVAL, -ENOMEM, -ERESTART.
#[no_mangle]
pub unsafe extern "C" fn arch_set_paging_mempool_size(d: *mut sys::domain, size: u64) -> c_int {
    // SAFETY: the module's contract.
    to_c(allocation::set_mempool_size(unsafe { domain(d) }, size))
}

/// Empties the pool: 0, -ENOMEM, -ERESTART.
#[no_mangle]
pub unsafe extern "C" fn p2m_teardown_allocation(d: *mut sys::domain) -> c_int {
    // SAFETY: the module's contract.
    to_c(allocation::teardown(unsafe { domain(d) }))
}

/// Prints the statistics (debug key `q`).
#[no_mangle]
pub unsafe extern "C" fn p2m_dump_info(d: *mut sys::domain) {
    // SAFETY: the module's contract.
    let d = unsafe { domain(d) };
    // SAFETY: no p2m lock is held.
    unsafe { unlocked(|cx| dump::info(cx, d)) }
}

/// Prints the walk of an address.
#[no_mangle]
pub unsafe extern "C" fn dump_p2m_lookup(d: *mut sys::domain, addr: sys::paddr_t) {
    // SAFETY: the module's contract.
    dump::lookup(unsafe { domain(d) }, addr);
}

/// The vCPU stops to run on this CPU.
#[no_mangle]
pub unsafe extern "C" fn p2m_save_state(p: *mut sys::vcpu) {
    // SAFETY: the module's contract.
    context::save(unsafe { vcpu(p) });
}

/// The vCPU starts to run on this CPU.
#[no_mangle]
pub unsafe extern "C" fn p2m_restore_state(n: *mut sys::vcpu) {
    // SAFETY: the module's contract.
    context::restore(unsafe { vcpu(n) });
}

/// Flushes the domain's TLB entries now.
#[no_mangle]
pub unsafe extern "C" fn p2m_force_tlb_flush_sync(p: *mut sys::p2m_domain) {
    // SAFETY: the module's contract.
    let p = unsafe { p2m(p) };
    // SAFETY: the caller holds the write lock.
    unsafe { p.force_tlb_flush_sync() }
}

/// Flushes the domain's TLB entries if a flush was deferred.
#[no_mangle]
pub unsafe extern "C" fn p2m_tlb_flush_sync(p: *mut sys::p2m_domain) {
    // SAFETY: the module's contract.
    let p = unsafe { p2m(p) };
    // SAFETY: the caller holds the write lock.
    unsafe { p.tlb_flush_sync() }
}

/// What is mapped at a frame; INVALID_MFN for a hole. All outputs may be null.
#[no_mangle]
pub unsafe extern "C" fn p2m_get_entry(
    p: *mut sys::p2m_domain,
    gfn: sys::gfn_t,
    t: *mut sys::p2m_type_t,
    a: *mut sys::p2m_access_t,
    page_order: *mut c_uint,
    valid: *mut bool,
) -> sys::mfn_t {
    // SAFETY: the module's contract.
    let p = unsafe { p2m(p) };
    let gfn = Gfn::new(gfn);
    // SAFETY: the caller holds the lock.
    let (mfn, ty, order, valid_bit, access) = unsafe {
        locked_entry_read(p, |view| {
            let found = lookup::get_entry(view, gfn);
            let wanted = found.mfn().filter(|_| !a.is_null());
            let access = wanted.and_then(|_| lookup::access_of(view, &found));
            (
                found.mfn(),
                found.ty(),
                found.order(),
                found.valid_bit(),
                access,
            )
        })
    };
    // SAFETY: the module's contract.
    unsafe { output(t, P2mType::to_c(ty)) };
    if let Some(access) = access {
        // SAFETY: the module's contract.
        unsafe { output(a, access.to_c()) };
    }
    // SAFETY: the module's contract.
    unsafe { output(page_order, order) };
    // SAFETY: the module's contract.
    unsafe { output(valid, valid_bit) };
    Mfn::to_c(mfn)
}

/// Maps, or with INVALID_MFN unmaps, `nr` frames.
#[no_mangle]
pub unsafe extern "C" fn p2m_set_entry(
    p: *mut sys::p2m_domain,
    sgfn: sys::gfn_t,
    nr: c_ulong,
    smfn: sys::mfn_t,
    t: sys::p2m_type_t,
    a: sys::p2m_access_t,
) -> c_int {
    // SAFETY: the module's contract.
    let p = unsafe { p2m(p) };
    let gfn = Gfn::new(sgfn);
    // SAFETY: the caller vouches for the frames that are to be mapped.
    let target = Mfn::from_c(smfn).map(|_| unsafe { target(smfn, nr, t) });
    let access = P2mAccess::from_c(a.into()).ok_or(Errno::EINVAL);
    // SAFETY: the caller holds the write lock.
    to_c(unsafe {
        locked_entry_write(p, |view| match target {
            Some(target) => insert::insert(view, gfn, nr, target?, access?),
            None => remove::remove(view, gfn, nr),
        })
    })
}

/// Empties the root of a dying domain.
#[no_mangle]
pub unsafe extern "C" fn p2m_clear_root_pages(p: *mut sys::p2m_domain) {
    // SAFETY: the module's contract.
    let p = unsafe { p2m(p) };
    // SAFETY: no p2m lock is held.
    unsafe { unlocked(|cx| lifecycle::clear_root_pages(cx, p)) }
}

/// The domain is about to run for the first time.
#[no_mangle]
pub unsafe extern "C" fn p2m_domain_creation_finished(d: *mut sys::domain) {
    // SAFETY: the module's contract.
    let d = unsafe { domain(d) };
    // SAFETY: no p2m lock is held.
    unsafe { unlocked(|cx| fault::creation_finished(cx, d)) }
}

/// Whether the guest may try the faulting access again.
#[no_mangle]
pub unsafe extern "C" fn p2m_resolve_translation_fault(
    d: *mut sys::domain,
    gfn: sys::gfn_t,
) -> bool {
    // SAFETY: the module's contract.
    let d = unsafe { domain(d) };
    // SAFETY: no p2m lock is held.
    unsafe { unlocked(|cx| fault::resolve(cx, P2m::host_of(d), Gfn::new(gfn))) }
}

/// Frees the tables of a dying domain: 0, -ERESTART.
#[no_mangle]
pub unsafe extern "C" fn p2m_teardown(d: *mut sys::domain) -> c_int {
    // SAFETY: the module's contract.
    let d = unsafe { domain(d) };
    // SAFETY: no p2m lock is held.
    to_c(unsafe { unlocked(|cx| lifecycle::teardown(cx, P2m::host_of(d))) })
}

/// Frees what is left.
#[no_mangle]
pub unsafe extern "C" fn p2m_final_teardown(d: *mut sys::domain) {
    // SAFETY: the module's contract.
    lifecycle::final_teardown(unsafe { domain(d) });
}

/// Readies a new domain's p2m: 0, -EBUSY, -ENOMEM.
#[no_mangle]
pub unsafe extern "C" fn p2m_init(d: *mut sys::domain) -> c_int {
    // SAFETY: the module's contract.
    let d = unsafe { domain(d) };
    // SAFETY: no p2m lock is held.
    to_c(unsafe { unlocked(|cx| lifecycle::init(cx, d)) })
}

/// Unmaps everything of a dying domain: 0, -ERESTART.
#[no_mangle]
pub unsafe extern "C" fn relinquish_p2m_mapping(d: *mut sys::domain) -> c_int {
    // SAFETY: the module's contract.
    let d = unsafe { domain(d) };
    // SAFETY: no p2m lock is held.
    to_c(unsafe { unlocked(|cx| lifecycle::relinquish(cx, d)) })
}

/// Cleans the RAM of the current vCPU's domain.
#[no_mangle]
pub unsafe extern "C" fn p2m_flush_vm(v: *mut sys::vcpu) {
    // SAFETY: the module's contract.
    let v = unsafe { vcpu(v) };
    // SAFETY: no p2m lock is held.
    unsafe { unlocked(|cx| cache::flush_vm(cx, v)) }
}

/// Stage 2 for the whole machine, at boot.
#[no_mangle]
pub unsafe extern "C" fn setup_virt_paging() {
    setup::all_cpus(xen_p2m_setup_virt_paging_one);
}

/// Stage 2 on this CPU: C's static `setup_virt_paging_one`, which the notifier
/// in helpers.c calls as well.
#[no_mangle]
pub unsafe extern "C" fn xen_p2m_setup_virt_paging_one(_data: *mut c_void) {
    setup::this_cpu();
}
