// SPDX-License-Identifier: GPL-2.0-only
//! Every symbol of `mem_access.c` that C calls, and [`MEM_ACCESS`], which is the whole of
//! it as data. See `p2m_rs::ffi` for the conventions. The prototypes are in
//! xen/mem_access.h and asm/mem_access.h.

use core::ffi::{c_int, c_long, c_uint, c_ulong};
use core::mem::MaybeUninit;

use p2m_rs::ffi::page_to_c;
use p2m_rs::p2m::guest_copy::GuestArray;
use p2m_rs::p2m::token::CalledUnlocked;
use p2m_rs::p2m::translate::Gv2mFlags;
use p2m_rs::p2m::P2m;
use p2m_rs::types::addr::{Gfn, Gva, Ipa};
#[cfg(config_altp2m)]
use p2m_rs::types::errno::to_c;
use p2m_rs::types::errno::{Errno, Result};
use p2m_rs::xen::domain::Domain;
use p2m_rs::xen::release::has_set_access_multi;
use p2m_rs::xen::vcpu::Vcpu;
use xen_sys as sys;

use crate::check_and_get_page;
use crate::multi::{self, List};
use crate::settings::{self, Progress, Range};
#[cfg(config_altp2m)]
use crate::views;
use crate::violation::{self, Fault, FaultKind, Verdict};
use crate::xenmem::XenmemAccess;

use crate::ffi;
p2m_rs::exports! {
    /// Those of `mem_access.c`.
    MEM_ACCESS = "mem_access.c", ffi:
    header p2m_mem_access_check_and_get_page(gva, flag, v): NoP2mLock, Read => check_and_get_page::check_and_get_page;
    header p2m_mem_access_check(gpa, gla, npfec): NoP2mLock, ReadThenWrite => violation::check;
    header p2m_set_mem_access(d, gfn, nr, start, mask, access, altp2m_idx): NoP2mLock, Write => settings::set;
    header p2m_set_mem_access_multi(d, pfn_list, access_list, nr, start, mask, altp2m_idx): NoP2mLock, ReadThenWrite => multi::set;
    header p2m_get_mem_access(d, gfn, access, altp2m_idx): NoP2mLock, Read => settings::get;
    header arch_p2m_set_access_required(d, access_required): Any, Nothing => P2m::set_access_required;
}

/// The page behind an address whose translation failed, if the guest's tables and the
/// page's type allow the access; null if not.
#[no_mangle]
pub extern "C" fn p2m_mem_access_check_and_get_page(
    gva: sys::vaddr_t,
    flag: c_ulong,
    v: CalledUnlocked<'_, &Vcpu>,
) -> *mut sys::page_info {
    // GV2M_* are small flags, and C truncates as well.
    #[allow(clippy::cast_possible_truncation)]
    let flags = Gv2mFlags::from_c(flag as u32);
    let (mut cx, v) = v.enter();
    page_to_c(check_and_get_page::check_and_get_page(
        &mut cx,
        v,
        Gva::new(gva),
        flags,
    ))
}

/// The current vCPU's permission fault; false if it was dealt with.
#[no_mangle]
pub extern "C" fn p2m_mem_access_check(
    gpa: sys::paddr_t,
    gla: sys::vaddr_t,
    npfec: CalledUnlocked<'_, sys::npfec>,
) -> bool {
    let (mut cx, npfec) = npfec.enter();
    let fault = Fault {
        ipa: Ipa::new(gpa),
        gva: (npfec.gla_valid() != 0).then_some(Gva::new(gla)),
        kind: match npfec.kind() {
            sys::npfec_kind_with_gla => FaultKind::WithGva,
            sys::npfec_kind_in_gpt => FaultKind::InGuestTables,
            _ => FaultKind::Unknown,
        },
        read: npfec.read_access() != 0,
        write: npfec.write_access() != 0,
        fetch: npfec.insn_fetch() != 0,
    };
    violation::check(&mut cx, fault) == Verdict::NotOurs
}

/// Sets the access of a range, or with INVALID_GFN the default: 0, a restart
/// point, or a negative errno.
#[no_mangle]
pub extern "C" fn p2m_set_mem_access(
    d: CalledUnlocked<'_, &Domain>,
    gfn: sys::gfn_t,
    nr: u32,
    start: u32,
    mask: u32,
    access: sys::xenmem_access_t,
    altp2m_idx: c_uint,
) -> c_long {
    let range = Gfn::from_c(gfn).map(|gfn| Range {
        gfn,
        nr,
        start,
        mask,
    });
    #[cfg(config_altp2m)]
    if altp2m_idx != 0 {
        // A view's default access is set when it is created.
        return set_in_view(d, range, access, altp2m_idx);
    }
    let _without_views = altp2m_idx;
    let (mut cx, d) = d.enter();
    let Some(access) = XenmemAccess::from_c(access.into()) else {
        return Errno::EINVAL.to_c().into();
    };
    let Some(range) = range else {
        settings::set_default(&mut cx, P2m::host_of(d), access);
        return 0;
    };
    progress_to_c(settings::set(&mut cx, P2m::host_of(d), range, access))
}

/// Sets the accesses of many pages, each with its own: 0, a restart point, or a negative
/// errno. -EOPNOTSUPP if the tree's configuration does not want it.
#[no_mangle]
pub extern "C" fn p2m_set_mem_access_multi(
    d: CalledUnlocked<'_, &Domain>,
    pfn_list: GuestArray<u64>,
    access_list: GuestArray<u8>,
    nr: u32,
    start: u32,
    mask: u32,
    altp2m_idx: c_uint,
) -> c_long {
    if !has_set_access_multi() {
        return Errno::EOPNOTSUPP.to_c().into();
    }
    #[cfg(not(config_altp2m))]
    if altp2m_idx != 0 {
        return Errno::EINVAL.to_c().into();
    }
    let (mut cx, d) = d.enter();
    let list = List {
        gfns: pfn_list,
        accesses: access_list,
        nr,
        start,
        mask,
        view: altp2m_idx,
    };
    progress_to_c(multi::set(&mut cx, P2m::host_of(d), list))
}

/// 0, a restart point, or a negative errno.
fn progress_to_c(progress: Result<Progress>) -> c_long {
    match progress {
        Ok(Progress::Done) => 0,
        Ok(Progress::RestartAt(start)) => start.into(),
        Err(errno) => errno.to_c().into(),
    }
}

/// The access of a page, or with INVALID_GFN the default: 0, or -ESRCH if nothing is mapped, with
/// the default in `*access` (in a view nothing is stored). Before mem_access is used it is `rwx`,
/// whatever is mapped. In a view also -EINVAL.
#[no_mangle]
pub extern "C" fn p2m_get_mem_access(
    d: CalledUnlocked<'_, &Domain>,
    gfn: sys::gfn_t,
    access: &mut MaybeUninit<sys::xenmem_access_t>,
    altp2m_idx: c_uint,
) -> c_int {
    #[cfg(config_altp2m)]
    if altp2m_idx != 0 {
        return get_in_view(d, gfn, access, altp2m_idx);
    }
    debug_assert!(altp2m_idx == 0);
    let (mut cx, d) = d.enter();
    settings::get(&mut cx, P2m::host_of(d), Gfn::from_c(gfn), access)
}

/// Whether a violation without a monitor crashes the domain, which is paused.
#[no_mangle]
pub extern "C" fn arch_p2m_set_access_required(d: &Domain, access_required: bool) {
    debug_assert!(d.is_paused());
    P2m::host_of(d).set_access_required(access_required);
}

/// [`p2m_set_mem_access`] with the number of a view.
#[cfg(config_altp2m)]
#[cold]
#[inline(never)]
fn set_in_view(
    d: CalledUnlocked<'_, &Domain>,
    range: Option<Range>,
    access: sys::xenmem_access_t,
    view: c_uint,
) -> c_long {
    let (mut cx, d) = d.enter();
    let access = XenmemAccess::from_c(access.into());
    let Some((range, access)) = range.zip(access) else {
        return Errno::EINVAL.to_c().into();
    };
    progress_to_c(views::set(&mut cx, P2m::host_of(d), view, range, access))
}

/// [`p2m_get_mem_access`] with the number of a view.
#[cfg(config_altp2m)]
#[cold]
#[inline(never)]
fn get_in_view(
    d: CalledUnlocked<'_, &Domain>,
    gfn: sys::gfn_t,
    access: &mut MaybeUninit<sys::xenmem_access_t>,
    view: c_uint,
) -> c_int {
    let (mut cx, d) = d.enter();
    let found = views::get(&mut cx, P2m::host_of(d), view, Gfn::from_c(gfn));
    to_c(found.map(|found| {
        access.write(found.to_c());
    }))
}
