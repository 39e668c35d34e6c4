// SPDX-License-Identifier: GPL-2.0-only
//! The symbols of `mmu/p2m.c`. See [`crate::ffi`] for what they have in common.

use core::ffi::{c_int, c_uint, c_ulong, c_void};

use xen_sys as sys;

use super::{output, Out};
use crate::guest::{cache, context, fault, permission};
use crate::lifecycle::allocation;
use crate::lifecycle::{self, dump, setup, stage2};
use crate::map::{self, lookup};
use crate::p2m::lock::{ReadLockedByC, WriteLockedByC};
use crate::p2m::token::CalledUnlocked;
use crate::p2m::P2m;
use crate::types::addr::{Gfn, Gva, Ipa, Mfn};
use crate::types::errno::{to_c, Errno};
use crate::xen::cpu;
use crate::xen::domain::{Domain, UnsharedDomain};
use crate::xen::release::access_from_c;
use crate::xen::target::VouchedMfn;
use crate::xen::vcpu::{CurrentVcpu, NoGuest, SwitchedVcpu};

/// Bytes in the domain's paging pool; always 0.
#[no_mangle]
pub extern "C" fn arch_get_paging_mempool_size(d: &Domain, size: Out<'_, u64>) -> c_int {
    output(size, allocation::mempool_size(d));
    0
}

/// Sets the pool's size in bytes: 0, -EINVAL, -ENOMEM, -ERESTART.
#[no_mangle]
pub extern "C" fn arch_set_paging_mempool_size(d: &Domain, size: u64) -> c_int {
    to_c(allocation::set_mempool_size(d, size))
}

/// Empties the pool: 0, -ENOMEM, -ERESTART.
#[no_mangle]
pub extern "C" fn p2m_teardown_allocation(d: &Domain) -> c_int {
    to_c(allocation::teardown(d))
}

/// Prints the statistics (debug key `q`).
#[no_mangle]
pub extern "C" fn p2m_dump_info(d: CalledUnlocked<'_, &Domain>) {
    let (mut cx, d) = d.enter();
    dump::info(&mut cx, d);
}

/// Prints the walk of an address.
#[cfg_attr(declared_dump_p2m_lookup, no_mangle)]
pub extern "C" fn dump_p2m_lookup(d: &Domain, addr: sys::paddr_t) {
    dump::lookup(d, addr);
}

/// The vCPU stops to run on this CPU.
#[no_mangle]
pub extern "C" fn p2m_save_state(p: SwitchedVcpu<'_>) {
    context::save(p);
}

/// The vCPU starts to run on this CPU.
#[no_mangle]
pub extern "C" fn p2m_restore_state(n: SwitchedVcpu<'_>) {
    context::restore(n);
}

/// Flushes the domain's TLB entries now.
#[cfg_attr(declared_p2m_force_tlb_flush_sync, no_mangle)]
pub extern "C" fn p2m_force_tlb_flush_sync(p: WriteLockedByC<'_>) {
    p.force_tlb_flush_sync();
}

/// Flushes the domain's TLB entries if a flush was deferred.
#[no_mangle]
pub extern "C" fn p2m_tlb_flush_sync(p: WriteLockedByC<'_>) {
    p.tlb_flush_sync();
}

/// What is mapped at a frame; INVALID_MFN for a hole. All outputs may be null.
#[no_mangle]
pub extern "C" fn p2m_get_entry(
    p: ReadLockedByC<'_>,
    gfn: sys::gfn_t,
    t: Out<'_, sys::p2m_type_t>,
    a: Out<'_, sys::p2m_access_t>,
    page_order: Out<'_, c_uint>,
    valid: Out<'_, bool>,
) -> sys::mfn_t {
    let view = p.view();
    let found = lookup::get_entry(view, Gfn::new(gfn));
    output(t, found.ty_to_c());
    if let Some(access) = lookup::access_to_c(view, &found) {
        output(a, access);
    }
    output(page_order, found.order());
    output(valid, found.valid_bit());
    Mfn::to_c(found.mfn())
}

/// Maps, or with INVALID_MFN unmaps, `nr` frames: 0, -EINVAL, -ENOMEM, or when unmapping an IOMMU
/// driver's error.
#[no_mangle]
pub extern "C" fn p2m_set_entry(
    p: WriteLockedByC<'_>,
    sgfn: sys::gfn_t,
    nr: c_ulong,
    smfn: VouchedMfn,
    t: sys::p2m_type_t,
    a: sys::p2m_access_t,
) -> c_int {
    let gfn = Gfn::new(sgfn);
    let target = smfn.mfn().map(|_| smfn.target(nr, t));
    let access = access_from_c(a.into()).ok_or(Errno::EINVAL);
    to_c(p.with(|view| match target {
        Some(target) => map::insert_locked(view, gfn, target?, access?),
        None => map::remove_locked(view, gfn, nr),
    }))
}

/// Empties the root of a dying domain.
///
/// # Safety
///
/// The domain will not run again, and its devices are gone.
#[cfg_attr(declared_p2m_clear_root_pages, no_mangle)]
pub unsafe extern "C" fn p2m_clear_root_pages(p: CalledUnlocked<'_, &P2m>) {
    let (mut cx, p) = p.enter();
    // SAFETY: as promised to this function.
    unsafe { lifecycle::clear_root_pages(&mut cx, p) };
}

/// The domain is about to run for the first time.
#[cfg_attr(declared_p2m_domain_creation_finished, no_mangle)]
pub extern "C" fn p2m_domain_creation_finished(d: CalledUnlocked<'_, &Domain>) {
    let (mut cx, d) = d.enter();
    fault::creation_finished(&mut cx, d);
}

/// The domain is about to run for the first time, and no IOMMU shares its tables.
#[cfg_attr(declared_p2m_invalidate_root, no_mangle)]
pub extern "C" fn p2m_invalidate_root(p: CalledUnlocked<'_, &P2m>) {
    let (mut cx, p) = p.enter();
    fault::invalidate_root(&mut cx, p);
}

/// Whether the guest may try the faulting access again.
#[no_mangle]
pub extern "C" fn p2m_resolve_translation_fault(
    d: CalledUnlocked<'_, &Domain>,
    gfn: sys::gfn_t,
) -> bool {
    let (mut cx, d) = d.enter();
    fault::resolve(&mut cx, P2m::host_of(d), Gfn::new(gfn))
}

/// Stage 2 has refused an access of the current vCPU: true if the guest goes on, either with
/// the same access or with an external abort. Xen's trap handler calls it where it called
/// `p2m_mem_access_check`, and injects an abort itself if this returns false.
#[cfg_attr(declared_xen_p2m_resolve_permission_fault, no_mangle)]
pub extern "C" fn xen_p2m_resolve_permission_fault(
    gpa: sys::paddr_t,
    gla: sys::vaddr_t,
    npfec: CalledUnlocked<'_, sys::npfec>,
    hsr: sys::register_t,
) -> bool {
    let (mut cx, npfec) = npfec.enter();
    let npfec = permission::with_el0_maintenance_as_read(&cx, npfec, hsr);
    permission::resolve(&mut cx, Ipa::new(gpa), Gva::new(gla), npfec)
}

/// Frees what is left.
///
/// # Safety
///
/// The domain will not run again, and its devices are gone.
#[no_mangle]
pub unsafe extern "C" fn p2m_final_teardown(d: CalledUnlocked<'_, UnsharedDomain<'_>>) {
    let (mut cx, d) = d.enter();
    // SAFETY: as promised to this function.
    unsafe { lifecycle::final_teardown(&mut cx, d) };
}

/// Readies a new domain's p2m: 0, -EBUSY, -ENOMEM.
#[no_mangle]
pub extern "C" fn p2m_init(d: CalledUnlocked<'_, UnsharedDomain<'_>>) -> c_int {
    let (mut cx, d) = d.enter();
    to_c(lifecycle::init(&mut cx, d))
}

/// Unmaps everything of a dying domain: 0, -ERESTART, or the errno of what could not be unmapped.
#[no_mangle]
pub extern "C" fn relinquish_p2m_mapping(d: CalledUnlocked<'_, &Domain>) -> c_int {
    let (mut cx, d) = d.enter();
    to_c(lifecycle::relinquish(&mut cx, d))
}

/// Cleans the RAM of the current vCPU's domain.
#[no_mangle]
pub extern "C" fn p2m_flush_vm(v: CalledUnlocked<'_, CurrentVcpu<'_>>) {
    let (mut cx, v) = v.enter();
    cache::flush_vm(&mut cx, v);
}

/// Stage 2 for the whole machine, at boot.
///
/// # Safety
///
/// At boot, once, with the direct map set up, before any vCPU runs.
#[no_mangle]
pub unsafe extern "C" fn setup_virt_paging() {
    // SAFETY: as promised to this function.
    let no_guest = unsafe { NoGuest::coming_up() };
    setup::all_cpus(&no_guest, || {
        // SAFETY: the other CPUs come up, too; it needs no argument, and waits for nobody.
        unsafe { cpu::call_all_others(xen_p2m_setup_virt_paging_one) };
    });
}

/// Stage 2 on this CPU: C's static `setup_virt_paging_one`, which the notifier
/// in helpers.c calls as well.
///
/// # Safety
///
/// On a CPU that comes up and has run no vCPU, after `setup_virt_paging`.
#[no_mangle]
pub unsafe extern "C" fn xen_p2m_setup_virt_paging_one(_data: *mut c_void) {
    // SAFETY: as promised to this function.
    setup::this_cpu(&unsafe { NoGuest::coming_up() });
}

/// Prints the stage 2 of a domain, as runs of entries (debug key `D`), with at most `lines` lines for
/// runs, and four more; with as many as it takes for 0.
#[cfg_attr(declared_p2m_dump_stage2, no_mangle)]
pub extern "C" fn p2m_dump_stage2(d: CalledUnlocked<'_, &Domain>, lines: c_ulong) {
    let (mut cx, d) = d.enter();
    stage2::dump(&mut cx, d, lines);
}
