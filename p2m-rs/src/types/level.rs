// SPDX-License-Identifier: GPL-2.0-only
//! Levels of the translation tables, and what an entry of each level spans.
//!
//! Levels are numbered as in the Arm ARM: the tables of level 3 map
//! pages, level 0 is the highest (`XEN_PT_LEVEL_ORDER` and related macros of asm/lpae.h, for
//! the 4 KiB granule). The level of the root depends on the IPA size, see
//! [`crate::lifecycle::setup`].

use crate::types::addr::Gfn;

/// log2 of the number of entries in a table.
pub const TABLE_SHIFT: u32 = 9;

/// The number of entries in a table.
pub const ENTRIES: usize = 1 << TABLE_SHIFT;

/// A lookup level. It is as wide as a register, since it is passed together with every table.
#[repr(u64)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// An entry spans 512 GiB and can only point to a table.
    L0,
    /// An entry spans 1 GiB.
    L1,
    /// An entry spans 2 MiB.
    L2,
    /// An entry spans 4 KiB and can only be a page.
    L3,
}

impl Level {
    /// The level that the architecture gives this number; numbers above 3 give level 3.
    #[inline(always)]
    pub const fn from_number(level: u32) -> Self {
        match level {
            0 => Self::L0,
            1 => Self::L1,
            2 => Self::L2,
            _ => Self::L3,
        }
    }

    /// The architecture's number of this level.
    #[inline(always)]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// log2 of the number of pages that one entry spans: 27, 18, 9 or 0.
    #[inline(always)]
    pub const fn order(self) -> u32 {
        (3 - self.number()) * TABLE_SHIFT
    }

    /// The number of pages that one entry spans.
    #[inline(always)]
    pub const fn pages(self) -> u64 {
        1 << self.order()
    }

    /// The next level down; `None` for level 3.
    #[inline(always)]
    pub const fn next(self) -> Option<Self> {
        match self {
            Self::L0 => Some(Self::L1),
            Self::L1 => Some(Self::L2),
            Self::L2 => Some(Self::L3),
            Self::L3 => None,
        }
    }

    /// The index of `gfn` in a table of this level.
    #[inline(always)]
    pub const fn index(self, gfn: Gfn) -> TableIndex {
        TableIndex::truncate(gfn.raw() >> self.order())
    }

    /// The level whose entries span 2^`order` pages; an `order` in between is rounded down.
    pub const fn of_order(order: u32) -> Self {
        match order / TABLE_SHIFT {
            0 => Self::L3,
            1 => Self::L2,
            2 => Self::L1,
            _ => Self::L0,
        }
    }

    /// The level of the largest leaves for which `fits` holds; level 3 if it holds for none.
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

    /// The level, 1 to 3, whose entries span exactly `pages` pages.
    pub const fn of_pages(pages: u64) -> Option<Self> {
        match pages {
            0x1 => Some(Self::L3),
            0x200 => Some(Self::L2),
            0x4_0000 => Some(Self::L1),
            _ => None,
        }
    }

    /// The number of pages from `gfn` to the end of the entry that holds `gfn`.
    #[inline(always)]
    pub const fn pages_from(self, gfn: Gfn) -> u64 {
        self.pages() - self.offset(gfn)
    }

    /// The number of pages from the beginning of the entry that holds `gfn` to `gfn`.
    #[inline(always)]
    pub const fn offset(self, gfn: Gfn) -> u64 {
        gfn.raw() & (self.pages() - 1)
    }

    /// The first frame of the entry that holds `gfn`.
    #[inline(always)]
    pub const fn start(self, gfn: Gfn) -> Gfn {
        Gfn::new(gfn.raw() & !(self.pages() - 1))
    }

    /// Whether `pages` pages from `gfn` on cover the whole entry that holds `gfn`.
    #[inline(always)]
    pub const fn is_covered_by(self, gfn: Gfn, pages: u64) -> bool {
        self.offset(gfn) == 0 && pages >= self.pages()
    }
}

/// Index of an entry in a table: always below [`ENTRIES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableIndex(usize);

impl TableIndex {
    /// The first entry.
    pub const FIRST: Self = Self(0);

    /// The index in the low nine bits of `index`.
    #[inline(always)]
    pub const fn truncate(index: u64) -> Self {
        // The mask keeps nine bits.
        #[allow(clippy::cast_possible_truncation)]
        Self((index & (ENTRIES as u64 - 1)) as usize)
    }

    /// The index `count` entries after this one; `None` past the end of the table.
    #[inline(always)]
    pub const fn advanced(self, count: u64) -> Option<Self> {
        if count < self.entries_left() {
            Some(Self::truncate(self.0 as u64 + count))
        } else {
            None
        }
    }

    /// The index as a number.
    #[inline(always)]
    pub const fn get(self) -> usize {
        self.0
    }

    /// The number of entries from this one to the end of the table, at least 1.
    #[inline(always)]
    pub const fn entries_left(self) -> u64 {
        ENTRIES as u64 - self.0 as u64
    }

    /// The indices of all entries of a table, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..ENTRIES).map(Self)
    }
}
