// SPDX-License-Identifier: GPL-2.0-only
//! What an IOMMU that walks these tables may still reach.
//!
//! Rule P3: a page whose mapping was taken out, and a table, is put or freed
//! only after the IOTLB was flushed for the guest frames that led to it, and
//! the flush succeeded. Not for a dying domain: its devices are gone by then.
//! Only mappings that own a reference (foreign ones) and tables are followed.
//!
//! Rule P4: before the write lock is dropped the IOMMU is told of each page
//! whose translation has changed: that what it may hold is stale
//! (`IOMMU_FLUSHF_modified`), that there is something new (`added`), or both.
//! One that answers with an error was told.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::ground::event::Mfn;
use crate::ground::pte;

/// Frames that devices may reach through guest frames that are unmapped.
#[derive(Debug)]
pub(crate) struct Reachable {
    pub(crate) domain: usize,
    pub(crate) gfns: Range<u64>,
    pub(crate) mfns: Range<Mfn>,
}

impl Reachable {
    /// What is left after a flush. Of a leaf each page goes for itself; all
    /// else goes only with the whole of what led to it.
    pub(crate) fn without(self, flushed: &Range<u64>) -> Vec<Self> {
        let (start, end) = (self.gfns.start, self.gfns.end);
        let is_leaf = end - start == self.mfns.end - self.mfns.start;
        let cut = flushed.start.clamp(start, end)..flushed.end.clamp(start, end);
        if !is_leaf && cut != self.gfns || cut.is_empty() {
            return vec![self];
        }
        [start..cut.start, cut.end..end]
            .into_iter()
            .filter(|gfns| !gfns.is_empty())
            .map(|gfns| Self {
                domain: self.domain,
                mfns: self.mfns.start + (gfns.start - start)..self.mfns.start + (gfns.end - start),
                gfns,
            })
            .collect()
    }
}

/// All of them, and what the IOMMU was not told of.
#[derive(Debug, Default)]
pub(crate) struct Iotlb {
    pub(crate) reachable: Vec<Reachable>,
    /// By domain and guest frame, what the IOMMU was told last.
    pub(crate) untold: BTreeMap<(usize, u64), Option<u64>>,
}

/// Bits 62:55, which hardware ignores, and those that tell pages from blocks.
pub(crate) const NO_MATTER: u64 = 0xFF << 55 | pte::TABLE;

/// What a valid leaf says of the page `offset` pages into it.
pub(crate) fn page_of(leaf: u64, offset: u64) -> u64 {
    (leaf & !NO_MATTER) + (offset << 12)
}

impl Iotlb {
    /// Whether devices may come to the frame through a mapping that was taken out.
    pub(crate) fn may_reach(&self, mfn: Mfn) -> bool {
        self.reachable.iter().any(|r| r.mfns.contains(&mfn))
    }
}
