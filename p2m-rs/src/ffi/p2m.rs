// SPDX-License-Identifier: GPL-2.0-only
//! The symbols of `p2m.c`. See [`crate::ffi`] for what they have in common.
//!
//! # Safety
//!
//! As in [`crate::ffi`].

// One contract for all of them.
#![allow(clippy::missing_safety_doc)]

use core::ffi::{c_int, c_uint, c_ulong};

use xen_sys as sys;

use super::{domain, output, p2m, page_to_c, target, unlocked, vcpu};
use crate::guest::{cache, gva};
use crate::lifecycle::{setup, vmid};
use crate::map::{self, lookup};
use crate::p2m::translate::Gv2mFlags;
use crate::p2m::P2m;
use crate::types::addr::{Gfn, Gva, Mfn};
use crate::types::errno::{to_c, Errno, Result};
use crate::types::p2m_type::P2mType;
use crate::xen::console;
use crate::xen::page::Page;

/// Pages in 2^`order`; an error for what no mapping can have.
fn pages_of_order(order: u64) -> Result<u64> {
    u32::try_from(order)
        .ok()
        .filter(|order| *order < 52)
        .map(|order| 1 << order)
        .ok_or(Errno::EINVAL)
}

/// `p2m_insert_mapping` and all functions that are another name for it.
#[inline(never)]
unsafe fn insert(
    d: *mut sys::domain,
    gfn: sys::gfn_t,
    nr: u64,
    mfn: sys::mfn_t,
    t: sys::p2m_type_t,
) -> Result {
    // SAFETY: the exported function's contract.
    let target = unsafe { target(mfn, nr, t) }?;
    // SAFETY: the exported function's contract.
    let d = unsafe { domain(d) };
    // SAFETY: the exported function's contract: no p2m lock is held.
    unsafe { unlocked(|cx| map::insert_mapping(cx, P2m::host_of(d), Gfn::new(gfn), nr, target)) }
}

/// `p2m_remove_mapping` and all functions that are another name for it.
#[inline(never)]
unsafe fn remove(d: *mut sys::domain, gfn: sys::gfn_t, nr: u64, mfn: sys::mfn_t) -> Result {
    // SAFETY: the exported function's contract.
    let d = unsafe { domain(d) };
    let mfn = Mfn::from_c(mfn);
    // SAFETY: the exported function's contract: no p2m lock is held.
    unsafe { unlocked(|cx| map::remove_mapping(cx, P2m::host_of(d), Gfn::new(gfn), nr, mfn)) }
}

/// Releases the write lock that C took, after the flush that was deferred.
#[no_mangle]
pub unsafe extern "C" fn p2m_write_unlock(p: *mut sys::p2m_domain) {
    // SAFETY: the module's contract.
    let p = unsafe { p2m(p) };
    // SAFETY: the caller holds the write lock, taken by C's inline.
    unsafe { p.write_unlock() };
}

/// Nothing to do on Arm.
#[no_mangle]
pub unsafe extern "C" fn memory_type_changed(_d: *mut sys::domain) {}

/// What is mapped at a frame; INVALID_MFN for a hole. `t` may be null.
#[no_mangle]
pub unsafe extern "C" fn p2m_lookup(
    d: *mut sys::domain,
    gfn: sys::gfn_t,
    t: *mut sys::p2m_type_t,
) -> sys::mfn_t {
    // SAFETY: the module's contract.
    let p2m = P2m::host_of(unsafe { domain(d) });
    // SAFETY: no p2m lock is held.
    let (mfn, ty) = unsafe {
        unlocked(|cx| {
            let view = p2m.read(cx);
            let found = lookup::lookup(&view, Gfn::new(gfn));
            found.map_or((None, None), |found| (found.mfn(), found.ty()))
        })
    };
    // SAFETY: the module's contract.
    unsafe { output(t, P2mType::to_c(ty)) };
    Mfn::to_c(mfn)
}

/// The page mapped at a frame, with a reference; null for none. `t` may be
/// null.
#[no_mangle]
pub unsafe extern "C" fn p2m_get_page_from_gfn(
    d: *mut sys::domain,
    gfn: sys::gfn_t,
    t: *mut sys::p2m_type_t,
) -> *mut sys::page_info {
    // SAFETY: the module's contract.
    let p2m = P2m::host_of(unsafe { domain(d) });
    // SAFETY: no p2m lock is held.
    let (page, ty) =
        unsafe { unlocked(|cx| lookup::get_page_from_gfn(&p2m.read(cx), Gfn::new(gfn))) };
    // SAFETY: the module's contract.
    unsafe { output(t, P2mType::to_c(ty)) };
    page_to_c(page)
}

/// Not on Arm: -ENOSYS.
#[no_mangle]
pub unsafe extern "C" fn guest_physmap_mark_populate_on_demand(
    _d: *mut sys::domain,
    _gfn: c_ulong,
    _order: c_uint,
) -> c_int {
    Errno::ENOSYS.to_c()
}

/// Not on Arm: 0.
#[no_mangle]
pub unsafe extern "C" fn p2m_pod_decrease_reservation(
    _d: *mut sys::domain,
    _gfn: sys::gfn_t,
    _order: c_uint,
) -> c_ulong {
    0
}

/// Maps `nr` frames with the domain's default access.
#[no_mangle]
pub unsafe extern "C" fn p2m_insert_mapping(
    d: *mut sys::domain,
    start_gfn: sys::gfn_t,
    nr: c_ulong,
    mfn: sys::mfn_t,
    t: sys::p2m_type_t,
) -> c_int {
    // SAFETY: the module's contract.
    to_c(unsafe { insert(d, start_gfn, nr, mfn, t) })
}

/// [`p2m_insert_mapping`].
#[no_mangle]
pub unsafe extern "C" fn map_regions_p2mt(
    d: *mut sys::domain,
    gfn: sys::gfn_t,
    nr: c_ulong,
    mfn: sys::mfn_t,
    p2mt: sys::p2m_type_t,
) -> c_int {
    // SAFETY: the module's contract.
    to_c(unsafe { insert(d, gfn, nr, mfn, p2mt) })
}

/// Unmaps `nr` frames that map `mfn` and what follows it.
#[no_mangle]
pub unsafe extern "C" fn unmap_regions_p2mt(
    d: *mut sys::domain,
    gfn: sys::gfn_t,
    nr: c_ulong,
    mfn: sys::mfn_t,
) -> c_int {
    // SAFETY: the module's contract.
    to_c(unsafe { remove(d, gfn, nr, mfn) })
}

/// [`p2m_insert_mapping`] of device memory.
#[no_mangle]
pub unsafe extern "C" fn map_mmio_regions(
    d: *mut sys::domain,
    start_gfn: sys::gfn_t,
    nr: c_ulong,
    mfn: sys::mfn_t,
) -> c_int {
    // SAFETY: the module's contract.
    to_c(unsafe { insert(d, start_gfn, nr, mfn, P2mType::MmioDirectDev as u32) })
}

/// [`unmap_regions_p2mt`].
#[no_mangle]
pub unsafe extern "C" fn unmap_mmio_regions(
    d: *mut sys::domain,
    start_gfn: sys::gfn_t,
    nr: c_ulong,
    mfn: sys::mfn_t,
) -> c_int {
    // SAFETY: the module's contract.
    to_c(unsafe { remove(d, start_gfn, nr, mfn) })
}

/// Maps a page of MMIO, cacheable, if the domain may have it; 0 also if not.
#[no_mangle]
pub unsafe extern "C" fn map_dev_mmio_page(
    d: *mut sys::domain,
    gfn: sys::gfn_t,
    mfn: sys::mfn_t,
) -> c_int {
    // SAFETY: the module's contract.
    let owner = unsafe { domain(d) };
    let frame = Mfn::new(mfn);
    if !owner.iomem_access_permitted(frame) {
        return 0;
    }
    // SAFETY: the module's contract.
    let result = unsafe { insert(d, gfn, 1, mfn, P2mType::MmioDirectC as u32) };
    if result.is_err() {
        console::cannot_map_mmio(owner, frame);
    }
    to_c(result)
}

/// [`p2m_insert_mapping`] of 2^`page_order` frames.
#[no_mangle]
pub unsafe extern "C" fn guest_physmap_add_entry(
    d: *mut sys::domain,
    gfn: sys::gfn_t,
    mfn: sys::mfn_t,
    page_order: c_ulong,
    t: sys::p2m_type_t,
) -> c_int {
    // SAFETY: the module's contract.
    to_c(pages_of_order(page_order).and_then(|nr| unsafe { insert(d, gfn, nr, mfn, t) }))
}

/// [`unmap_regions_p2mt`] of 2^`page_order` frames.
#[no_mangle]
pub unsafe extern "C" fn guest_physmap_remove_page(
    d: *mut sys::domain,
    gfn: sys::gfn_t,
    mfn: sys::mfn_t,
    page_order: c_uint,
) -> c_int {
    // SAFETY: the module's contract.
    to_c(pages_of_order(page_order.into()).and_then(|nr| unsafe { remove(d, gfn, nr, mfn) }))
}

/// Maps a page of another domain, with a reference of its own: 0, -EINVAL if
/// `fd` does not own it.
#[no_mangle]
pub unsafe extern "C" fn set_foreign_p2m_entry(
    d: *mut sys::domain,
    fd: *const sys::domain,
    gfn: c_ulong,
    mfn: sys::mfn_t,
) -> c_int {
    debug_assert!(!core::ptr::eq(d, fd));
    // SAFETY: the module's contract.
    let owner = unsafe { domain(fd.cast_mut()) };
    let Some(reference) = Page::of(Mfn::new(mfn)).and_then(|page| page.get(owner)) else {
        return Errno::EINVAL.to_c();
    };
    // SAFETY: the module's contract; the reference goes with the mapping.
    let result = unsafe { insert(d, gfn, 1, mfn, P2mType::ForeignRw as u32) };
    if result.is_ok() {
        let _of_the_mapping = reference.into_raw();
    }
    to_c(result)
}

/// At boot: no VMID is in use.
#[no_mangle]
pub unsafe extern "C" fn p2m_vmid_allocator_init() {
    vmid::init();
}

/// Gives the domain a VMID: 0, -EBUSY.
#[no_mangle]
pub unsafe extern "C" fn p2m_alloc_vmid(d: *mut sys::domain) -> c_int {
    // SAFETY: the module's contract.
    to_c(vmid::alloc(unsafe { domain(d) }))
}

/// Takes the VMID back.
#[no_mangle]
pub unsafe extern "C" fn p2m_free_vmid(d: *mut sys::domain) {
    // SAFETY: the module's contract.
    vmid::free(unsafe { domain(d) });
}

/// Cleans the RAM in `*pstart .. end`: 0, -ERESTART with `*pstart` moved on.
#[no_mangle]
pub unsafe extern "C" fn p2m_cache_flush_range(
    d: *mut sys::domain,
    pstart: *mut sys::gfn_t,
    end: sys::gfn_t,
) -> c_int {
    // SAFETY: the module's contract.
    let d = unsafe { domain(d) };
    // SAFETY: a valid place of the caller's.
    let mut start = Gfn::new(unsafe { pstart.read() });
    // SAFETY: no p2m lock is held.
    let result = unsafe {
        unlocked(|cx| cache::flush_range(cx, P2m::host_of(d), &mut start, Gfn::new(end)))
    };
    // SAFETY: a valid place of the caller's.
    unsafe { pstart.write(start.raw()) };
    to_c(result)
}

/// The current vCPU's set/way operation trapped.
#[no_mangle]
pub unsafe extern "C" fn p2m_set_way_flush(
    v: *mut sys::vcpu,
    regs: *mut sys::cpu_user_regs,
    hsr: sys::hsr,
) {
    // SAFETY: the module's contract.
    if cache::set_way(unsafe { vcpu(v) }) == cache::SetWay::Undefined {
        // SAFETY: the current vCPU's registers, as the trap handler has them.
        unsafe { sys::xs_inject_undef_exception(regs, hsr) };
    }
}

/// The current vCPU turned its caches on or off, or did neither.
#[no_mangle]
pub unsafe extern "C" fn p2m_toggle_cache(v: *mut sys::vcpu, was_enabled: bool) {
    // SAFETY: the module's contract.
    cache::toggle(unsafe { vcpu(v) }, was_enabled);
}

/// [`p2m_lookup`] without the type.
#[no_mangle]
pub unsafe extern "C" fn gfn_to_mfn(d: *mut sys::domain, gfn: sys::gfn_t) -> sys::mfn_t {
    // SAFETY: the module's contract.
    unsafe { p2m_lookup(d, gfn, core::ptr::null_mut()) }
}

/// The page behind an address of the current vCPU, with a reference; null for
/// none.
#[no_mangle]
pub unsafe extern "C" fn get_page_from_gva(
    v: *mut sys::vcpu,
    va: sys::vaddr_t,
    flags: c_ulong,
) -> *mut sys::page_info {
    // GV2M_* are small flags, and C truncates as well.
    #[allow(clippy::cast_possible_truncation)]
    let flags = Gv2mFlags::from_c(flags as u32);
    // SAFETY: the module's contract.
    let v = unsafe { vcpu(v) };
    // SAFETY: no p2m lock is held.
    page_to_c(unsafe { unlocked(|cx| gva::get_page_from_gva(cx, v, Gva::new(va), flags)) })
}

/// A driver supports no more than `ipa_bits`.
#[no_mangle]
pub unsafe extern "C" fn p2m_restrict_ipa_bits(ipa_bits: c_uint) {
    setup::restrict_ipa_bits(ipa_bits);
}
