// SPDX-License-Identifier: GPL-2.0-only
//! [`P2mType`]: the type of a mapping, C's `p2m_type_t`.
//!
//! The values are ABI: callers pass them, and table entries store them in bits 58:55.
//! `p2m_invalid` (0) has no variant: a frame that is not mapped has the type `None`.

/// The type of a mapping. It decides the memory attributes, the permissions, and whether
/// the mapping owns a reference.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum P2mType {
    /// Normal guest RAM (`p2m_ram_rw`).
    RamRw = 1,
    /// Read-only guest RAM (`p2m_ram_ro`).
    RamRo = 2,
    /// Device memory (`p2m_mmio_direct_dev`).
    MmioDirectDev = 3,
    /// MMIO that is mapped as Normal, non-cacheable (`p2m_mmio_direct_nc`).
    MmioDirectNc = 4,
    /// MMIO that is mapped as Normal, cacheable (`p2m_mmio_direct_c`).
    MmioDirectC = 5,
    /// Another domain's page, read-write; the mapping owns a reference.
    ForeignRw = 6,
    /// Another domain's page, read-only; the mapping owns a reference.
    ForeignRo = 7,
    /// A granted page, read-write; the grant table owns the reference.
    GrantRw = 8,
    /// A granted page, read-only; the grant table owns the reference.
    GrantRo = 9,
    /// Device access through the IOMMU, read-write.
    IommuRw = 10,
    /// Device access through the IOMMU, read-only.
    IommuRo = 11,
}

impl P2mType {
    /// All types, by value.
    pub const ALL: [Self; 11] = [
        Self::RamRw,
        Self::RamRo,
        Self::MmioDirectDev,
        Self::MmioDirectNc,
        Self::MmioDirectC,
        Self::ForeignRw,
        Self::ForeignRo,
        Self::GrantRw,
        Self::GrantRo,
        Self::IommuRw,
        Self::IommuRo,
    ];

    /// Converts C's value, or an entry's bits 58:55; `None` for `p2m_invalid` and for
    /// values that no type has.
    #[inline(always)]
    pub const fn from_c(value: u64) -> Option<Self> {
        Some(match value {
            1 => Self::RamRw,
            2 => Self::RamRo,
            3 => Self::MmioDirectDev,
            4 => Self::MmioDirectNc,
            5 => Self::MmioDirectC,
            6 => Self::ForeignRw,
            7 => Self::ForeignRo,
            8 => Self::GrantRw,
            9 => Self::GrantRo,
            10 => Self::IommuRw,
            11 => Self::IommuRo,
            _ => return None,
        })
    }

    /// C's value; 0 (`p2m_invalid`) for `None`.
    #[inline(always)]
    pub fn to_c(ty: Option<Self>) -> u32 {
        ty.map_or(0, |t| t as u32)
    }

    /// `p2m_is_ram`: the domain's own RAM.
    pub const fn is_ram(self) -> bool {
        Types::RAM.have(self as u64)
    }

    /// `p2m_is_foreign`: the mapping owns a reference to the page.
    pub const fn is_foreign(self) -> bool {
        Types::FOREIGN.have(self as u64)
    }

    /// `p2m_is_any_ram`: RAM of any domain.
    pub const fn is_any_ram(self) -> bool {
        Types::ANY_RAM.have(self as u64)
    }

    /// Whether the type itself allows writes.
    pub const fn is_writable(self) -> bool {
        !matches!(
            self,
            Self::RamRo | Self::ForeignRo | Self::GrantRo | Self::IommuRo
        )
    }

    /// Whether the type itself allows instruction fetches: only RAM does.
    pub const fn is_executable(self) -> bool {
        self.is_ram()
    }

    /// Whether a guest's own tables may be there: Xen sets HCR_EL2.PTW, so stage 2 lets no walk of
    /// stage 1 come to Device memory.
    pub const fn is_walkable(self) -> bool {
        !matches!(self, Self::MmioDirectDev)
    }
}

/// Some of the types: bit n for the type with C's value n.
#[derive(Clone, Copy)]
pub(super) struct Types(u16);

impl Types {
    /// [`P2mType::is_ram`].
    pub(super) const RAM: Self = Self::of([P2mType::RamRw, P2mType::RamRo]);
    /// [`P2mType::is_foreign`].
    pub(super) const FOREIGN: Self = Self::of([P2mType::ForeignRw, P2mType::ForeignRo]);
    /// [`P2mType::is_any_ram`].
    pub(super) const ANY_RAM: Self =
        Self(Self::RAM.0 | Self::FOREIGN.0 | Self::of([P2mType::GrantRw, P2mType::GrantRo]).0);

    const fn of([one, other]: [P2mType; 2]) -> Self {
        Self(1 << one as u16 | 1 << other as u16)
    }

    /// Whether C's value `ty`, below 16, is of one of them.
    #[inline(always)]
    pub(super) const fn have(self, ty: u64) -> bool {
        self.0 >> ty & 1 != 0
    }
}
