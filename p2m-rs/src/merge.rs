// SPDX-License-Identifier: GPL-2.0-only
//! Putting a block together again from the table that it was split into.
//!
//! Introspection splits blocks, since its restrictions are by pages. When they
//! are lifted from all of what was a block, the table is replaced by a block
//! again: fewer levels for the hardware to walk, and the table goes back to the
//! pool. C never does that. Only what one call lifts as a whole is looked at, so
//! that flipping single pages costs no search.
#![forbid(unsafe_code)]

use crate::addr::Gfn;
use crate::level::{Level, TableIndex, ENTRIES};
use crate::lock::WriteView;
use crate::pte::{Kind, Pte};
use crate::types::P2mType;
use crate::xen::page::pages_before_xen_heap;
use crate::xen::table::{Entry, Owned, Pending, Table};

impl WriteView<'_> {
    /// Replaces the table at `index`, at which `gfn` is looked up, by a block
    /// if it maps just what a block would. The caller has just been through that
    /// table: `alike` says whether it maps consecutive frames by leaves that are
    /// alike in everything else.
    pub(crate) fn merge(
        &self,
        pending: &mut Pending<'_>,
        table: Table<'_>,
        index: TableIndex,
        gfn: Gfn,
        alike: bool,
    ) {
        let (level, pointer) = (table.level(), table.load(index));
        let Entry::Table(below) = table.entry(index) else {
            return;
        };
        if level == Level::L0 || !pointer.hw_valid() || !alike {
            return;
        }
        let Some(block) = block_of(below, level) else {
            return;
        };
        // Referenced through an IOMMU as well: leave it (B18).
        if self.has_iommu() {
            return;
        }
        if let Owned::Table(old) = pending.map(index, gfn, block).into_owned() {
            old.free_only(self);
        }
        self.count_unmapped(below.level(), ENTRIES as u64);
        self.count_mapped(level, 1);
    }
}

/// The block of `level` that maps what the table below maps, whose leaves are
/// alike, if a block may.
fn block_of(table: Table<'_>, level: Level) -> Option<Pte> {
    let part = table.level();
    let first = table.load(TableIndex::FIRST);
    let is_leaf = first.kind(part) == Kind::Leaf && first.hw_valid();
    let is_aligned = first.mfn().raw() & (level.pages() - 1) == 0;
    // References of foreign pages are dropped a 2 MiB block at a time (B4), and
    // Xen remembers where single pages of its heap are mapped (M2P).
    let is_ram = first.ty().is_some_and(P2mType::is_ram);
    if !(is_leaf && is_aligned && is_ram) {
        return None;
    }
    // A block that is there already has none of Xen's heap to remember.
    let may_be_block =
        part < Level::L3 || pages_before_xen_heap(first.mfn(), level.pages()) == level.pages();
    may_be_block.then(|| first.at_level(level))
}
