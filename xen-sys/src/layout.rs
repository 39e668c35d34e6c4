// SPDX-License-Identifier: GPL-2.0-only
//! bindgen's layout (clang) against the compiler that builds Xen (gcc).
//!
//! `struct domain` moves in every release and with the configuration: no
//! offset is written down anywhere, all come from the tree at build time, by
//! two compilers which must agree.

use crate::{
    cpu_user_regs, domain, hsr, npfec, p2m_domain, page_info, paging_domain, vcpu, vm_event_st,
};
use core::mem::{offset_of, size_of};
use static_assertions::{const_assert, const_assert_eq};

// The oldest rustc takes what only a `const _` uses for unused.
#[allow(dead_code)]
mod gcc {
    include!(concat!(env!("OUT_DIR"), "/gcc_layout.rs"));
}

macro_rules! same_offset {
    ($($ty:ident, $($field:ident).+ => $gcc:ident;)*) => {
        $(const_assert_eq!(offset_of!($ty, $($field).+), gcc::$gcc);)*
    };
}

same_offset! {
    domain, domain_id => STRUCT_DOMAIN_DOMAIN_ID;
    domain, options => STRUCT_DOMAIN_OPTIONS;
    domain, is_dying => STRUCT_DOMAIN_IS_DYING;
    domain, vm_event_monitor => STRUCT_DOMAIN_VM_EVENT_MONITOR;
    domain, arch.p2m => STRUCT_DOMAIN_ARCH_P2M;
    domain, arch.paging => STRUCT_DOMAIN_ARCH_PAGING;
    vcpu, vcpu_id => STRUCT_VCPU_VCPU_ID;
    vcpu, domain => STRUCT_VCPU_DOMAIN;
    vcpu, arch.sctlr => STRUCT_VCPU_ARCH_SCTLR;
    vcpu, arch.hcr_el2 => STRUCT_VCPU_ARCH_HCR_EL2;
    vcpu, arch.need_flush_to_ram => STRUCT_VCPU_ARCH_NEED_FLUSH_TO_RAM;
    p2m_domain, lock => STRUCT_P2M_DOMAIN_LOCK;
    p2m_domain, pages => STRUCT_P2M_DOMAIN_PAGES;
    p2m_domain, root => STRUCT_P2M_DOMAIN_ROOT;
    p2m_domain, vmid => STRUCT_P2M_DOMAIN_VMID;
    p2m_domain, vttbr => STRUCT_P2M_DOMAIN_VTTBR;
    p2m_domain, max_mapped_gfn => STRUCT_P2M_DOMAIN_MAX_MAPPED_GFN;
    p2m_domain, lowest_mapped_gfn => STRUCT_P2M_DOMAIN_LOWEST_MAPPED_GFN;
    p2m_domain, clean_pte => STRUCT_P2M_DOMAIN_CLEAN_PTE;
    p2m_domain, need_flush => STRUCT_P2M_DOMAIN_NEED_FLUSH;
    p2m_domain, stats => STRUCT_P2M_DOMAIN_STATS;
    p2m_domain, access_required => STRUCT_P2M_DOMAIN_ACCESS_REQUIRED;
    p2m_domain, mem_access_enabled => STRUCT_P2M_DOMAIN_MEM_ACCESS_ENABLED;
    p2m_domain, default_access => STRUCT_P2M_DOMAIN_DEFAULT_ACCESS;
    p2m_domain, mem_access_settings => STRUCT_P2M_DOMAIN_MEM_ACCESS_SETTINGS;
    p2m_domain, domain => STRUCT_P2M_DOMAIN_DOMAIN;
    p2m_domain, last_vcpu_ran => STRUCT_P2M_DOMAIN_LAST_VCPU_RAN;
    paging_domain, lock => STRUCT_PAGING_DOMAIN_LOCK;
    paging_domain, p2m_freelist => STRUCT_PAGING_DOMAIN_P2M_FREELIST;
    paging_domain, p2m_total_pages => STRUCT_PAGING_DOMAIN_P2M_TOTAL_PAGES;
    vm_event_st, reason => STRUCT_VM_EVENT_ST_REASON;
    vm_event_st, u => STRUCT_VM_EVENT_ST_U_MEM_ACCESS;
}

#[cfg(config_altp2m)]
mod altp2m {
    use super::{const_assert_eq, gcc, offset_of, p2m_domain, vcpu};
    use crate::{p2m_view, p2m_views};

    same_offset! {
        p2m_domain, views => STRUCT_P2M_DOMAIN_VIEWS;
        vcpu, arch.p2m_view => STRUCT_VCPU_ARCH_P2M_VIEW;
        p2m_views, last_ran => STRUCT_P2M_VIEWS_LAST_RAN;
        p2m_views, view => STRUCT_P2M_VIEWS_VIEW;
        p2m_view, p2m => STRUCT_P2M_VIEW_P2M;
        p2m_view, first_source => STRUCT_P2M_VIEW_FIRST_SOURCE;
        p2m_view, last_source => STRUCT_P2M_VIEW_LAST_SOURCE;
        p2m_views, active => STRUCT_P2M_VIEWS_ACTIVE;
        p2m_views, nr => STRUCT_P2M_VIEWS_NR;
        p2m_views, visible => STRUCT_P2M_VIEWS_VISIBLE;
        p2m_views, reclaim => STRUCT_P2M_VIEWS_RECLAIM;
    }
}

const_assert_eq!(size_of::<domain>(), gcc::STRUCT_DOMAIN_SIZE);
const_assert_eq!(size_of::<vcpu>(), gcc::STRUCT_VCPU_SIZE);
const_assert_eq!(size_of::<p2m_domain>(), gcc::STRUCT_P2M_DOMAIN_SIZE);
const_assert_eq!(size_of::<paging_domain>(), gcc::STRUCT_PAGING_DOMAIN_SIZE);
const_assert_eq!(size_of::<page_info>(), gcc::STRUCT_PAGE_INFO_SIZE);
const_assert_eq!(size_of::<vm_event_st>(), gcc::STRUCT_VM_EVENT_ST_SIZE);
const_assert_eq!(size_of::<npfec>(), gcc::STRUCT_NPFEC_SIZE);
const_assert_eq!(size_of::<hsr>(), gcc::UNION_HSR_SIZE);
const_assert!(size_of::<cpu_user_regs>() > 0);
#[cfg(rwlock_in_line)]
const_assert_eq!(offset_of!(crate::rwlock_t, cnts.counter), 0);
