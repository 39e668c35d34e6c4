// SPDX-License-Identifier: GPL-2.0-only
//! What an IOMMU that walks these tables may still reach.
//!
//! Rule P3: a page whose mapping was taken out, and a table, is put or freed,
//! and the table written, only after the IOTLB was flushed for the guest frames
//! that led to it, and the flush succeeded. Not for a dying domain: its devices are gone by then.
//! Only mappings that own a reference (foreign ones) and tables are followed.
//!
//! Rule P4: before the write lock is dropped the IOMMU is told of each page
//! whose translation has changed: that what it may hold is stale
//! (`IOMMU_FLUSHF_modified`), that there is something new (`added`), or both.
//! One that answers with an error was told.
//!
//! Rule P6: a device that uses a guest frame at any moment while tables that it
//! shares change comes to what was mapped there when the write lock was taken, to
//! what is mapped when it is dropped, or is refused. It is refused only where the
//! address, the type or the size of the mapping changes, which takes a
//! break-before-make ([`Met::is_gap`] counts what is refused though only the size
//! changes: the neighbours of a page in a block that is split). These are refused
//! only to a device whose IOTLB does not hold the block: it is not flushed before the
//! parts are there. And what is mapped in the end is within its reach: no valid bit is
//! clear.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::tlb::PERMISSIONS;
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

/// What a walk finds for one page: its entry, and the level of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) page: u64,
    pub(crate) level: u32,
    /// Xen's, which no device sees.
    pub(crate) p2m_type: u32,
}

/// A leaf of more pages than are watched one by one, which was taken out since the write lock was taken.
#[derive(Clone, Debug)]
pub(crate) struct Large {
    pub(crate) domain: usize,
    pub(crate) gfns: Range<u64>,
    pub(crate) entry: u64,
    pub(crate) level: u32,
}

impl Large {
    /// What it said of the page at `gfn`.
    pub(crate) fn found(&self, gfn: u64) -> Found {
        Found {
            page: page_of(self.entry, gfn - self.gfns.start),
            level: self.level,
            p2m_type: pte::p2m_type(self.entry),
        }
    }
}

/// Whether the same frame is mapped as the same, but for the rights.
pub(crate) fn differs_in_rights(one: u64, other: u64) -> bool {
    (one ^ other) & !PERMISSIONS == 0
}

/// What devices may have met at one guest frame since the write lock was taken.
#[derive(Debug)]
pub(crate) struct Met {
    pub(crate) before: Option<Found>,
    pub(crate) since: Vec<Option<Found>>,
    /// Nothing was mapped when the IOTLB was flushed, so that not even that led a device there.
    pub(crate) was_cut_off: bool,
}

impl Met {
    /// A frame in the middle that is neither the old nor the new one. Of the rights nothing is said: one call
    /// may set them twice (a list of frames with the same frame in it again).
    pub(crate) fn stranger(&self, after: Option<Found>) -> Option<Found> {
        let known = |met: &Found| {
            let ends = [self.before, after].into_iter().flatten();
            ends.into_iter()
                .any(|end| differs_in_rights(met.page, end.page))
        };
        self.since
            .iter()
            .flatten()
            .find(|&met| !known(met))
            .copied()
    }

    /// Refused in between, though it is the same frame with the same rights.
    pub(crate) fn is_gap(&self, after: Option<Found>) -> bool {
        let same = self
            .before
            .zip(after)
            .is_some_and(|(before, after)| before.page == after.page);
        same && self.since.contains(&None)
    }

    /// Out of reach for all devices in between, though it is a page of the same block that was split.
    pub(crate) fn is_cut_off(&self, after: Option<Found>) -> bool {
        let was_split = self.before.zip(after).is_some_and(|(before, after)| {
            let alike = before.p2m_type == after.p2m_type && before.level < after.level;
            alike && differs_in_rights(before.page, after.page)
        });
        was_split && self.was_cut_off
    }

    /// Refused in between for no more than other rights.
    pub(crate) fn is_needless(&self, after: Option<Found>) -> bool {
        let alike = self.before.zip(after).is_some_and(|(before, after)| {
            let alike = (before.level, before.p2m_type) == (after.level, after.p2m_type);
            alike && differs_in_rights(before.page, after.page)
        });
        alike && self.since.contains(&None)
    }
}

/// All of them, and what the IOMMU was not told of.
#[derive(Debug, Default)]
pub(crate) struct Iotlb {
    pub(crate) reachable: Vec<Reachable>,
    /// By domain and guest frame, what the IOMMU was told last.
    pub(crate) untold: BTreeMap<(usize, u64), Option<u64>>,
    /// By the same, what devices have met.
    pub(crate) met: BTreeMap<(usize, u64), Met>,
    /// Those of `met` where nothing is mapped, and the IOTLB was not flushed since.
    pub(crate) unmapped: BTreeSet<(usize, u64)>,
    /// Large leaves that are gone, the oldest first.
    pub(crate) large: Vec<Large>,
    /// How many frames were out of reach for a moment although their mapping stays.
    pub(crate) gaps: u64,
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
