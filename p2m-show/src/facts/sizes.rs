// SPDX-License-Identifier: GPL-2.0-only
//! Sizes of blocks, in pages.

/// Pages of a block of 2 MiB, and of what a level-3 table maps.
pub const MIB2: u64 = 1 << 9;

/// Pages of a block of 1 GiB.
pub const GIB1: u64 = 1 << 18;
