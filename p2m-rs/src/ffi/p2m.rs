// SPDX-License-Identifier: GPL-2.0-only
//! The symbols of `p2m.c`. See [`crate::ffi`] for what they have in common.

use core::ffi::{c_int, c_uint, c_ulong};

use xen_sys as sys;

use super::{output, page_to_c, Out};
use crate::guest::{cache, gva};
use crate::lifecycle::{setup, vmid};
use crate::map::believed::Holes;
use crate::map::{self, lookup};
use crate::p2m::lock::WriteLockGivenUpByC;
use crate::p2m::token::CalledUnlocked;
use crate::p2m::translate::Gv2mFlags;
use crate::p2m::P2m;
use crate::types::addr::{Gfn, Gva, Mfn};
use crate::types::errno::{to_c, Errno, Result};
use crate::types::p2m_type::P2mType;
use crate::xen::console;
use crate::xen::domain::{Domain, UnsharedDomain};
use crate::xen::page::Page;
use crate::xen::target::VouchedMfn;
use crate::xen::vcpu::{CurrentVcpu, Vcpu};

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
fn insert(
    d: CalledUnlocked<'_, &Domain>,
    gfn: sys::gfn_t,
    nr: u64,
    mfn: VouchedMfn,
    t: sys::p2m_type_t,
) -> Result {
    let target = mfn.target(nr, t)?;
    let (mut cx, d) = d.enter();
    map::insert_mapping(&mut cx, P2m::host_of(d), Gfn::new(gfn), target)
}

/// `p2m_remove_mapping` and all functions that are another name for it.
#[inline(never)]
fn remove(
    d: CalledUnlocked<'_, &Domain>,
    gfn: sys::gfn_t,
    nr: u64,
    mfn: sys::mfn_t,
    holes: Holes,
) -> Result {
    let (mut cx, d) = d.enter();
    map::remove_mapping(
        &mut cx,
        P2m::host_of(d),
        Gfn::new(gfn),
        nr,
        Mfn::from_c(mfn),
        holes,
    )
}

/// Releases the write lock that C took, after the flush that was deferred.
#[no_mangle]
pub extern "C" fn p2m_write_unlock(p: WriteLockGivenUpByC<'_>) {
    p.unlock();
}

/// Nothing to do on Arm.
#[no_mangle]
pub extern "C" fn memory_type_changed(_d: &Domain) {}

/// What is mapped at a frame; INVALID_MFN for a hole. `t` may be null.
#[no_mangle]
pub extern "C" fn p2m_lookup(
    d: CalledUnlocked<'_, &Domain>,
    gfn: sys::gfn_t,
    t: Out<'_, sys::p2m_type_t>,
) -> sys::mfn_t {
    let (mut cx, d) = d.enter();
    lookup::with_mapping(&mut cx, P2m::host_of(d), Gfn::new(gfn), |_, found| {
        output(
            t,
            found.map_or(P2mType::to_c(None), |found| found.ty_to_c()),
        );
        Mfn::to_c(found.and_then(|found| found.mfn()))
    })
}

/// The page mapped at a frame, with a reference; null for none. `t` may be
/// null.
#[no_mangle]
pub extern "C" fn p2m_get_page_from_gfn(
    d: CalledUnlocked<'_, &Domain>,
    gfn: sys::gfn_t,
    t: Out<'_, sys::p2m_type_t>,
) -> *mut sys::page_info {
    let (mut cx, d) = d.enter();
    let (page, ty) = lookup::get_page_from_gfn(&P2m::host_of(d).read(&mut cx), Gfn::new(gfn));
    output(t, ty);
    page_to_c(page)
}

/// Not on Arm: -ENOSYS.
#[no_mangle]
pub extern "C" fn guest_physmap_mark_populate_on_demand(
    _d: &Domain,
    _gfn: c_ulong,
    _order: c_uint,
) -> c_int {
    Errno::ENOSYS.to_c()
}

/// Not on Arm: 0.
#[no_mangle]
pub extern "C" fn p2m_pod_decrease_reservation(
    _d: &Domain,
    _gfn: sys::gfn_t,
    _order: c_uint,
) -> c_ulong {
    0
}

/// Maps `nr` frames with the domain's default access: 0, -EINVAL for what no mapping can have or a
/// range beyond the root, -ENOMEM if the domain is dying or there is no page for a table.
#[no_mangle]
pub extern "C" fn p2m_insert_mapping(
    d: CalledUnlocked<'_, &Domain>,
    start_gfn: sys::gfn_t,
    nr: c_ulong,
    mfn: VouchedMfn,
    t: sys::p2m_type_t,
) -> c_int {
    to_c(insert(d, start_gfn, nr, mfn, t))
}

/// [`p2m_insert_mapping`].
#[no_mangle]
pub extern "C" fn map_regions_p2mt(
    d: CalledUnlocked<'_, &Domain>,
    gfn: sys::gfn_t,
    nr: c_ulong,
    mfn: VouchedMfn,
    p2mt: sys::p2m_type_t,
) -> c_int {
    to_c(insert(d, gfn, nr, mfn, p2mt))
}

/// Unmaps `nr` frames that map `mfn` and what follows it: 0, -EINVAL beyond the root, -ENOMEM if
/// the domain is dying or there is no page for a table, -EILSEQ if something else is mapped, or an IOMMU driver's error.
#[no_mangle]
pub extern "C" fn unmap_regions_p2mt(
    d: CalledUnlocked<'_, &Domain>,
    gfn: sys::gfn_t,
    nr: c_ulong,
    mfn: sys::mfn_t,
) -> c_int {
    to_c(remove(d, gfn, nr, mfn, Holes::Skip))
}

/// [`p2m_insert_mapping`] of device memory.
#[no_mangle]
pub extern "C" fn map_mmio_regions(
    d: CalledUnlocked<'_, &Domain>,
    start_gfn: sys::gfn_t,
    nr: c_ulong,
    mfn: VouchedMfn,
) -> c_int {
    to_c(insert(d, start_gfn, nr, mfn, P2mType::MmioDirectDev as u32))
}

/// [`unmap_regions_p2mt`].
#[no_mangle]
pub extern "C" fn unmap_mmio_regions(
    d: CalledUnlocked<'_, &Domain>,
    start_gfn: sys::gfn_t,
    nr: c_ulong,
    mfn: sys::mfn_t,
) -> c_int {
    to_c(remove(d, start_gfn, nr, mfn, Holes::Skip))
}

/// Maps a page of MMIO, cacheable, if the domain may have it; 0 also if not.
#[no_mangle]
pub extern "C" fn map_dev_mmio_page(
    d: CalledUnlocked<'_, &Domain>,
    gfn: sys::gfn_t,
    mfn: sys::mfn_t,
) -> c_int {
    let (owner, frame) = (d.argument(), Mfn::new(mfn));
    if !owner.iomem_access_permitted(frame) {
        return 0;
    }
    // SAFETY: the domain may reach this frame of I/O memory.
    let vouched = unsafe { VouchedMfn::new(mfn) };
    let result = insert(d, gfn, 1, vouched, P2mType::MmioDirectC as u32);
    if result.is_err() {
        console::cannot_map_mmio(owner, frame);
    }
    to_c(result)
}

/// [`p2m_insert_mapping`] of 2^`page_order` frames.
#[no_mangle]
pub extern "C" fn guest_physmap_add_entry(
    d: CalledUnlocked<'_, &Domain>,
    gfn: sys::gfn_t,
    mfn: VouchedMfn,
    page_order: c_ulong,
    t: sys::p2m_type_t,
) -> c_int {
    to_c(pages_of_order(page_order).and_then(|nr| insert(d, gfn, nr, mfn, t)))
}

/// [`unmap_regions_p2mt`] of 2^`page_order` frames; -EILSEQ if `mfn` is a page and one of the frames
/// does not map it, or the page after it that belongs there.
#[no_mangle]
pub extern "C" fn guest_physmap_remove_page(
    d: CalledUnlocked<'_, &Domain>,
    gfn: sys::gfn_t,
    mfn: sys::mfn_t,
    page_order: c_uint,
) -> c_int {
    let nr = pages_of_order(page_order.into());
    to_c(nr.and_then(|nr| remove(d, gfn, nr, mfn, Holes::Refuse)))
}

/// Maps a page of another domain, with a reference of its own: 0, -EINVAL if
/// `fd` does not own it, or what [`p2m_insert_mapping`] returns.
#[no_mangle]
pub extern "C" fn set_foreign_p2m_entry(
    d: CalledUnlocked<'_, &Domain>,
    fd: &Domain,
    gfn: c_ulong,
    mfn: sys::mfn_t,
) -> c_int {
    debug_assert!(d.argument() != fd);
    let Some(reference) = Page::of(Mfn::new(mfn)).and_then(|page| page.get(fd)) else {
        return Errno::EINVAL.to_c();
    };
    // SAFETY: the caller has asked whether `d` may; the reference goes with the mapping.
    let vouched = unsafe { VouchedMfn::new(mfn) };
    let result = insert(d, gfn, 1, vouched, P2mType::ForeignRw as u32);
    if result.is_ok() {
        let _of_the_mapping = reference.into_raw();
    }
    to_c(result)
}

/// Reserves VMID 0.
///
/// # Safety
///
/// The caller runs at boot, before any domain exists.
#[cfg_attr(declared_p2m_vmid_allocator_init, no_mangle)]
pub unsafe extern "C" fn p2m_vmid_allocator_init() {
    vmid::init();
}

/// Gives the domain, which is being created and has none, a VMID: 0, -EBUSY.
#[cfg_attr(declared_p2m_alloc_vmid, no_mangle)]
pub extern "C" fn p2m_alloc_vmid(d: UnsharedDomain<'_>) -> c_int {
    to_c(vmid::alloc(d))
}

/// Takes the VMID back.
///
/// # Safety
///
/// The domain will not run again, or not before it has got another VMID and a root.
#[cfg_attr(declared_p2m_free_vmid, no_mangle)]
pub unsafe extern "C" fn p2m_free_vmid(d: UnsharedDomain<'_>) {
    vmid::free(d);
}

/// Cleans the RAM in `*pstart .. end`: 0, -ERESTART with `*pstart` moved on.
#[no_mangle]
pub extern "C" fn p2m_cache_flush_range(
    d: CalledUnlocked<'_, &Domain>,
    pstart: &mut sys::gfn_t,
    end: sys::gfn_t,
) -> c_int {
    let (mut cx, d) = d.enter();
    let mut start = Gfn::new(*pstart);
    let result = cache::flush_range(&mut cx, P2m::host_of(d), &mut start, Gfn::new(end));
    *pstart = start.raw();
    to_c(result)
}

/// The current vCPU turned its caches on or off, or did neither.
#[no_mangle]
pub extern "C" fn p2m_toggle_cache(v: CurrentVcpu<'_>, was_enabled: bool) {
    cache::toggle(v, was_enabled);
}

/// [`p2m_lookup`] without the type.
#[no_mangle]
pub extern "C" fn gfn_to_mfn(d: CalledUnlocked<'_, &Domain>, gfn: sys::gfn_t) -> sys::mfn_t {
    p2m_lookup(d, gfn, None)
}

/// The page behind an address of the current vCPU, with a reference; null for
/// none.
#[no_mangle]
pub extern "C" fn get_page_from_gva(
    v: CalledUnlocked<'_, &Vcpu>,
    va: sys::vaddr_t,
    flags: c_ulong,
) -> *mut sys::page_info {
    // GV2M_* are small flags, and C truncates as well.
    #[allow(clippy::cast_possible_truncation)]
    let flags = Gv2mFlags::from_c(flags as u32);
    let (mut cx, v) = v.enter();
    page_to_c(gva::get_page_from_gva(&mut cx, v, Gva::new(va), flags))
}

/// A driver supports no more than `ipa_bits`.
#[no_mangle]
pub extern "C" fn p2m_restrict_ipa_bits(ipa_bits: c_uint) {
    setup::restrict_ipa_bits(ipa_bits);
}
