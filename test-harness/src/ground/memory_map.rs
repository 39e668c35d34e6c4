// SPDX-License-Identifier: GPL-2.0-only
//! Where the heap's frames are: high up, so that all bits of a table's address matter (36 of a frame number).

use super::event::Mfn;

/// First heap frame; allocations of one page come from here.
pub(crate) const HEAP_BASE: Mfn = 0xA_0004_0000;
/// Allocations of several pages come from here, 16 frames apart.
pub(crate) const RUN_BASE: Mfn = 0xA_0008_0000;
pub(crate) const RUN_PAGES: u64 = 16;
pub(crate) const RUNS: u64 = 1024;
/// Frames of all of those.
pub(crate) const RUN_FRAMES: u64 = RUNS * RUN_PAGES;
