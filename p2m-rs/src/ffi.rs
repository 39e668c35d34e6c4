// SPDX-License-Identifier: GPL-2.0-only
//! Every symbol that C calls: first those of `mmu/p2m.c`, then those of
//! `p2m.c`, in the order in which they stand there.
//!
//! A body converts, calls, converts back. Its first line says what the caller
//! must hold: `unlocked` mints the token of [`crate::lock`], `locked_read` and
//! `locked_write` are for functions that C calls with the p2m lock held. The
//! remaining ones take no p2m lock.
//!
//! # Safety
//!
//! All of these trust their caller as the C does: pointers are to live
//! structures of the named type (or null where that is said), and locks are
//! held, or not, as the first line says. The prototypes are in asm/p2m.h,
//! asm/mmu/p2m.h, xen/p2m-common.h and xen/domain.h.

// One contract for all of them, above.
#![allow(clippy::missing_safety_doc)]

use core::ffi::{c_int, c_uint, c_ulong, c_void};

use xen_sys as sys;

use crate::access::P2mAccess;
use crate::addr::{Gfn, Gva, Mfn};
use crate::allocation::{self, Preemption};
use crate::error::{to_c, Errno, Result};
use crate::lock::{locked_entry_read, locked_entry_write, unlocked_entry, Unlocked};
use crate::p2m::P2m;
use crate::types::P2mType;
use crate::xen::console;
use crate::xen::domain::Domain;
use crate::xen::page::{Page, PageRef};
use crate::xen::pool::locked_pool_entry;
use crate::xen::target::Target;
use crate::xen::translate::Gv2mFlags;
use crate::xen::vcpu::Vcpu;
use crate::{cache, context, dump, fault, gva, lifecycle, mapping, setup, vmid};

/// The caller holds no p2m lock.
unsafe fn unlocked<R>(f: impl for<'c> FnOnce(&mut Unlocked<'c>) -> R) -> R {
    // SAFETY: the exported function's contract.
    unsafe { unlocked_entry(f) }
}

/// A live domain of the caller's.
unsafe fn domain<'a>(d: *mut sys::domain) -> &'a Domain {
    // SAFETY: the exported function's contract.
    unsafe { Domain::from_ptr(d) }
}

/// A live p2m of the caller's.
unsafe fn p2m<'a>(p: *mut sys::p2m_domain) -> &'a P2m {
    // SAFETY: the exported function's contract.
    unsafe { P2m::from_ptr(p) }
}

/// A live vCPU of the caller's.
unsafe fn vcpu<'a>(v: *mut sys::vcpu) -> &'a Vcpu {
    // SAFETY: the exported function's contract.
    unsafe { Vcpu::from_ptr(v) }
}

/// Stores through an output parameter that may be null.
unsafe fn output<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: a valid place of the caller's, or null.
        unsafe { place.write(value) };
    }
}

/// Frames that the caller vouches for; an error for what is no type or frame.
unsafe fn target(mfn: sys::mfn_t, t: sys::p2m_type_t) -> Result<Target> {
    let ty = P2mType::from_c(t.into()).ok_or(Errno::Inval)?;
    let mfn = Mfn::from_c(mfn).ok_or(Errno::Inval)?;
    // SAFETY: the exported function's contract.
    Ok(unsafe { Target::vouched(mfn, ty) })
}

/// For C, null for none.
fn page_to_c(page: Option<PageRef>) -> *mut sys::page_info {
    page.map_or(core::ptr::null_mut(), PageRef::into_raw)
}

/// Pages in 2^`order`; an error for what no mapping can have.
fn pages_of_order(order: u64) -> Result<u64> {
    u32::try_from(order)
        .ok()
        .filter(|order| *order < 52)
        .map(|order| 1 << order)
        .ok_or(Errno::Inval)
}

/// `p2m_insert_mapping` and all functions that are another name for it.
unsafe fn insert(
    d: *mut sys::domain,
    gfn: sys::gfn_t,
    nr: u64,
    mfn: sys::mfn_t,
    t: sys::p2m_type_t,
) -> Result {
    // SAFETY: the exported function's contract.
    let target = unsafe { target(mfn, t) }?;
    // SAFETY: the exported function's contract.
    let d = unsafe { domain(d) };
    // SAFETY: the exported function's contract: no p2m lock is held.
    unsafe { unlocked(|cx| mapping::insert(cx, d, Gfn::new(gfn), nr, target)) }
}

/// `p2m_remove_mapping` and all functions that are another name for it.
unsafe fn remove(d: *mut sys::domain, gfn: sys::gfn_t, nr: u64, mfn: sys::mfn_t) -> Result {
    // SAFETY: the exported function's contract.
    let d = unsafe { domain(d) };
    let mfn = Mfn::from_c(mfn);
    // SAFETY: the exported function's contract: no p2m lock is held.
    unsafe { unlocked(|cx| mapping::remove(cx, d, Gfn::new(gfn), nr, mfn)) }
}

// mmu/p2m.c

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
    if result == Err(Errno::Restart) {
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
    unsafe { locked_entry_write(p, |view| view.force_tlb_flush_sync()) }
}

/// Flushes the domain's TLB entries if that is owed.
#[no_mangle]
pub unsafe extern "C" fn p2m_tlb_flush_sync(p: *mut sys::p2m_domain) {
    // SAFETY: the module's contract.
    let p = unsafe { p2m(p) };
    // SAFETY: the caller holds the write lock.
    unsafe { locked_entry_write(p, |view| view.tlb_flush_sync()) }
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
    let (mfn, ty, order, hw_valid, access) = unsafe {
        locked_entry_read(p, |view| {
            let found = view.get(gfn);
            let wanted = found.mfn().filter(|_| !a.is_null());
            let access = wanted.and_then(|_| view.access_of(gfn));
            (
                found.mfn(),
                found.ty(),
                found.order(),
                found.hw_valid(),
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
    unsafe { output(valid, hw_valid) };
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
    let target = Mfn::from_c(smfn).map(|_| unsafe { target(smfn, t) });
    let access = P2mAccess::from_c(a.into()).ok_or(Errno::Inval);
    // SAFETY: the caller holds the write lock.
    to_c(unsafe {
        locked_entry_write(p, |view| match target {
            Some(target) => view.insert(gfn, nr, target?, access?),
            None => view.remove(gfn, nr),
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
    unsafe { unlocked(|cx| fault::resolve(cx, d, Gfn::new(gfn))) }
}

/// Frees the tables of a dying domain: 0, -ERESTART.
#[no_mangle]
pub unsafe extern "C" fn p2m_teardown(d: *mut sys::domain) -> c_int {
    // SAFETY: the module's contract.
    let d = unsafe { domain(d) };
    // SAFETY: no p2m lock is held.
    to_c(unsafe { unlocked(|cx| lifecycle::teardown(cx, d)) })
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

/// Cleans the RAM that the current vCPU's domain has touched.
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

// p2m.c

/// Releases the write lock that C took, after the flush that is owed.
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
    let p2m = unsafe { domain(d) }.p2m();
    // SAFETY: no p2m lock is held.
    let (mfn, ty) = unsafe {
        unlocked(|cx| {
            let view = p2m.read(cx);
            let found = view.get(Gfn::new(gfn));
            (found.mfn(), found.ty())
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
    let p2m = unsafe { domain(d) }.p2m();
    // SAFETY: no p2m lock is held.
    let (page, ty) = unsafe { unlocked(|cx| p2m.read(cx).get_page(Gfn::new(gfn))) };
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
    Errno::NoSys.to_c()
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
        return Errno::Inval.to_c();
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
    let result = unsafe { unlocked(|cx| cache::flush_range(cx, d, &mut start, Gfn::new(end))) };
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
