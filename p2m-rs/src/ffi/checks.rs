// SPDX-License-Identifier: GPL-2.0-only
//! What Rust and C must agree on, checked against the tree's headers when the
//! archive is built: values that cross the border. (Of prototypes:
//! [`crate::exports!`]. Of `r_pw`, which not every release has: `xen-sys/build/facts.rs`.)

use static_assertions::const_assert_eq;
use xen_sys as sys;

use crate::types::access::P2mAccess;
use crate::types::addr::PAGE_SHIFT;
use crate::types::p2m_type::P2mType;
use crate::types::pte::MemoryAttributes;

macro_rules! same_value {
    ($($ours:expr => $c:ident;)*) => { $(const_assert_eq!($ours as u64, sys::$c as u64);)* };
}

same_value! {
    P2mType::RamRw => p2m_ram_rw;
    P2mType::RamRo => p2m_ram_ro;
    P2mType::MmioDirectDev => p2m_mmio_direct_dev;
    P2mType::MmioDirectNc => p2m_mmio_direct_nc;
    P2mType::MmioDirectC => p2m_mmio_direct_c;
    P2mType::ForeignRw => p2m_map_foreign_rw;
    P2mType::ForeignRo => p2m_map_foreign_ro;
    P2mType::GrantRw => p2m_grant_map_rw;
    P2mType::GrantRo => p2m_grant_map_ro;
    P2mType::IommuRw => p2m_iommu_map_rw;
    P2mType::IommuRo => p2m_iommu_map_ro;
    P2mType::IommuRo as u64 + 1 => p2m_max_real_type;

    P2mAccess::N => p2m_access_n;
    P2mAccess::R => p2m_access_r;
    P2mAccess::W => p2m_access_w;
    P2mAccess::Rw => p2m_access_rw;
    P2mAccess::X => p2m_access_x;
    P2mAccess::Rx => p2m_access_rx;
    P2mAccess::Wx => p2m_access_wx;
    P2mAccess::Rwx => p2m_access_rwx;
    P2mAccess::Rx2rw => p2m_access_rx2rw;
    P2mAccess::N2rwx => p2m_access_n2rwx;

    MemoryAttributes::DEVICE.mattr => XS_MATTR_DEV;
    MemoryAttributes::NON_CACHEABLE.mattr => XS_MATTR_MEM_NC;
    MemoryAttributes::CACHEABLE_INNER.mattr => XS_MATTR_MEM;
    MemoryAttributes::CACHEABLE_OUTER.mattr => XS_MATTR_MEM;
    MemoryAttributes::DEVICE.shareability => XS_LPAE_SH_OUTER;
    MemoryAttributes::NON_CACHEABLE.shareability => XS_LPAE_SH_OUTER;
    MemoryAttributes::CACHEABLE_OUTER.shareability => XS_LPAE_SH_OUTER;
    MemoryAttributes::CACHEABLE_INNER.shareability => XS_LPAE_SH_INNER;

    PAGE_SHIFT => XS_PAGE_SHIFT;

    // The flag of `gva_to_ipa` for a write; a read has none set.
    1 => XS_GV2M_WRITE;

    // Bits of registers, as the Arm ARM numbers them. helpers.h puts some of them together, and no guest
    // on an emulated machine would show that one was left out. First RES1, and for the walks of stage 2:
    // inner shareable, and outer and inner write-back, write-allocate. (TG0 is 0 for 4 KiB.)
    1_u64 << 31 | 3 << 12 | 1 << 10 | 1 << 8 => XS_VTCR_BASE;
    1_u64 << 19 => XS_VTCR_VS;
    1_u64 << 26 => XS_HCR_TVM;
    1_u64 << 0 => XS_HCR_VM;
    1_u64 << 2 | 1 << 0 => XS_SCTLR_M_C;
}
