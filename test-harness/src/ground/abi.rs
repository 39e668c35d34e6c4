// SPDX-License-Identifier: GPL-2.0-only
//! The numbers of the ABI, by C's names; on purpose not taken from the code under test.
#![allow(missing_docs)] // their names are C's

/// `p2m_type_t`, by C's names and values.
pub mod p2mt {
    pub const INVALID: u32 = 0;
    pub const RAM_RW: u32 = 1;
    pub const RAM_RO: u32 = 2;
    pub const MMIO_DEV: u32 = 3;
    pub const MMIO_NC: u32 = 4;
    pub const MMIO_C: u32 = 5;
    pub const FOREIGN_RW: u32 = 6;
    pub const FOREIGN_RO: u32 = 7;
    pub const GRANT_RW: u32 = 8;
    pub const GRANT_RO: u32 = 9;
    pub const IOMMU_RW: u32 = 10;
    pub const IOMMU_RO: u32 = 11;

    /// `p2m_is_ram()`.
    #[must_use]
    pub const fn is_ram(t: u32) -> bool {
        matches!(t, RAM_RW | RAM_RO)
    }

    /// `p2m_is_foreign()`.
    #[must_use]
    pub const fn is_foreign(t: u32) -> bool {
        matches!(t, FOREIGN_RW | FOREIGN_RO)
    }

    /// `p2m_is_any_ram()`.
    #[must_use]
    pub const fn is_any_ram(t: u32) -> bool {
        is_ram(t) || is_foreign(t) || matches!(t, GRANT_RW | GRANT_RO)
    }
}

/// `xenmem_access_t`, whose values `p2m_access_t` shares.
pub mod access {
    pub const N: u32 = 0;
    pub const R: u32 = 1;
    pub const W: u32 = 2;
    pub const RW: u32 = 3;
    pub const X: u32 = 4;
    pub const RX: u32 = 5;
    pub const WX: u32 = 6;
    pub const RWX: u32 = 7;
    pub const RX2RW: u32 = 8;
    pub const N2RWX: u32 = 9;
    pub const R_PW: u32 = 10;
    pub const DEFAULT: u32 = 11;
}

/// Errno values that the p2m returns, negated.
pub mod errno {
    pub const ENOENT: i32 = -2;
    pub const ESRCH: i32 = -3;
    /// An address that cannot be read.
    pub const EFAULT: i32 = -14;
    pub const EIO: i32 = -5;
    pub const ENOMEM: i32 = -12;
    pub const EBUSY: i32 = -16;
    pub const EINVAL: i32 = -22;
    pub const ENOSYS: i32 = -38;
    pub const EILSEQ: i32 = -84;
    pub const ERESTART: i32 = -85;
    pub const EOPNOTSUPP: i32 = -95;
}
