// SPDX-License-Identifier: GPL-2.0-only
//! Levels of the translation tables, and what each one spans.
//!
//! Levels count as in the Arm ARM: 0 is the one nearest the root, 3 holds
//! pages (`XEN_PT_LEVEL_ORDER` and friends of asm/lpae.h, for the 4 KiB
//! granule). Which level the root is at depends on the IPA size, see
//! [`crate::lifecycle::setup`].

use crate::types::addr::Gfn;

/// log2 of the entries in a table.
pub const TABLE_SHIFT: u32 = 9;

/// Entries in a table.
pub const ENTRIES: usize = 1 << TABLE_SHIFT;

/// A lookup level. As wide as a register: it goes wherever a table goes.
#[repr(u64)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// 512 GiB an entry; tables only.
    L0,
    /// 1 GiB an entry.
    L1,
    /// 2 MiB an entry.
    L2,
    /// 4 KiB an entry; pages only.
    L3,
}

impl Level {
    /// From the number that the architecture gives it; above 3 is 3.
    #[inline(always)]
    pub const fn from_number(level: u32) -> Self {
        match level {
            0 => Self::L0,
            1 => Self::L1,
            2 => Self::L2,
            _ => Self::L3,
        }
    }

    /// The number that the architecture gives it.
    #[inline(always)]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// log2 of the pages that one entry spans: 27, 18, 9 or 0.
    #[inline(always)]
    pub const fn order(self) -> u32 {
        (3 - self.number()) * TABLE_SHIFT
    }

    /// Pages that one entry spans.
    #[inline(always)]
    pub const fn pages(self) -> u64 {
        1 << self.order()
    }

    /// The level below; `None` below pages.
    #[inline(always)]
    pub const fn next(self) -> Option<Self> {
        match self {
            Self::L0 => Some(Self::L1),
            Self::L1 => Some(Self::L2),
            Self::L2 => Some(Self::L3),
            Self::L3 => None,
        }
    }

    /// Where `gfn` is looked up in a table of this level.
    #[inline(always)]
    pub const fn index(self, gfn: Gfn) -> TableIndex {
        TableIndex::truncate(gfn.raw() >> self.order())
    }

    /// The level whose entry maps exactly a block of 2^`order` pages
    /// (`order` as C knows it: 0, 9 or 18; others round down).
    pub const fn of_order(order: u32) -> Self {
        match order / TABLE_SHIFT {
            0 => Self::L3,
            1 => Self::L2,
            2 => Self::L1,
            _ => Self::L0,
        }
    }

    /// The level to begin at: that of the largest blocks for which `fits` holds,
    /// or of pages.
    #[inline(always)]
    pub fn largest(fits: impl Fn(Self) -> bool) -> Self {
        if fits(Self::L1) {
            Self::L1
        } else if fits(Self::L2) {
            Self::L2
        } else {
            Self::L3
        }
    }

    /// The level whose entries span so many pages.
    pub const fn of_pages(pages: u64) -> Option<Self> {
        match pages {
            0x1 => Some(Self::L3),
            0x200 => Some(Self::L2),
            0x4_0000 => Some(Self::L1),
            _ => None,
        }
    }

    /// Pages of the entry that holds `gfn`, from `gfn` to the entry's end.
    #[inline(always)]
    pub const fn pages_from(self, gfn: Gfn) -> u64 {
        self.pages() - self.offset(gfn)
    }

    /// Pages of the entry that holds `gfn` that come before `gfn`.
    #[inline(always)]
    pub const fn offset(self, gfn: Gfn) -> u64 {
        gfn.raw() & (self.pages() - 1)
    }
}

/// Index of an entry in a table: always below [`ENTRIES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableIndex(usize);

impl TableIndex {
    /// The first entry.
    pub const FIRST: Self = Self(0);

    /// The low nine bits of `index`.
    #[inline(always)]
    pub const fn truncate(index: u64) -> Self {
        // The mask keeps nine bits.
        #[allow(clippy::cast_possible_truncation)]
        Self((index & (ENTRIES as u64 - 1)) as usize)
    }

    /// The entry `count` further on; `None` past the end of the table.
    #[inline(always)]
    pub const fn advanced(self, count: u64) -> Option<Self> {
        if count < self.room() {
            Some(Self::truncate(self.0 as u64 + count))
        } else {
            None
        }
    }

    /// As an offset into a table.
    #[inline(always)]
    pub const fn get(self) -> usize {
        self.0
    }

    /// Entries from this one to the end of its table, at least 1.
    #[inline(always)]
    pub const fn room(self) -> u64 {
        ENTRIES as u64 - self.0 as u64
    }

    /// `count` entries from this one on, but none past the end of the table.
    #[inline(always)]
    pub fn run(self, count: u64) -> impl Iterator<Item = Self> {
        // No more than there is room for.
        #[allow(clippy::cast_possible_truncation)]
        let end = self.0 + count.min(self.room()) as usize;
        (self.0..end).map(Self)
    }

    /// All entries of a table, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..ENTRIES).map(Self)
    }
}
