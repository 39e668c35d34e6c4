// SPDX-License-Identifier: GPL-2.0-only
//! A stage-2 descriptor, read bit by bit from the Arm ARM (D8.3) and Xen's
//! `asm/lpae.h`; on purpose not shared with the code under test.

use super::abi::{access, p2mt};

/// Bit 0: the hardware sees the entry.
pub const VALID: u64 = 1;
/// Bit 1: a table above level 3, a page at level 3.
pub const TABLE: u64 = 1 << 1;
/// S2AP\[0\], bit 6.
pub const READ: u64 = 1 << 6;
/// S2AP\[1\], bit 7.
pub const WRITE: u64 = 1 << 7;
/// XN\[1\], bit 54.
pub const XN: u64 = 1 << 54;

/// MemAttr\[3:2\], bits 5:4: 0b00 is Device memory.
const NOT_DEVICE: u64 = 3 << 4;

/// Whether a leaf's memory is Device memory.
#[must_use]
pub fn is_device(leaf: u64) -> bool {
    leaf & NOT_DEVICE == 0
}

/// Bits 47:12.
#[must_use]
pub fn mfn(entry: u64) -> u64 {
    entry >> 12 & 0xF_FFFF_FFFF
}

/// Bits 58:55, which hardware ignores and Xen keeps its type in.
#[must_use]
pub fn p2m_type(entry: u64) -> u32 {
    (entry >> 55 & 0xF) as u32
}

/// Whether the type is that of a foreign mapping, which owns a reference to each of
/// its pages (`p2m_map_foreign_rw`, `p2m_map_foreign_ro`).
#[must_use]
pub fn is_foreign(entry: u64) -> bool {
    p2mt::is_foreign(p2m_type(entry))
}

/// Bits 62:59, which hardware ignores and the p2m keeps the access setting in:
/// C's number for it, with the bits of "unrestricted" (7) flipped.
#[must_use]
pub fn setting(entry: u64) -> u32 {
    (entry >> 59 & 0xF) as u32 ^ access::RWX
}

/// Xen's notion: the type says that something is mapped.
#[must_use]
pub fn is_mapped(entry: u64) -> bool {
    p2m_type(entry) != p2mt::INVALID
}

/// Mapped, and pointing to a table.
#[must_use]
pub fn is_table(entry: u64, level: u32) -> bool {
    level < 3 && is_mapped(entry) && entry & TABLE != 0
}

/// Mapped, and a page or block.
#[must_use]
pub fn is_leaf(entry: u64, level: u32) -> bool {
    is_mapped(entry) && !is_table(entry, level)
}

/// Order of what an entry at a level covers.
#[must_use]
pub fn order(level: u32) -> u32 {
    9 * (3 - level)
}
