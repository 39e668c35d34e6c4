// SPDX-License-Identifier: GPL-2.0-only
//! Merging the entries of a table into one block again.
//!
//! mem_access splits blocks, since it restricts single pages. When the restrictions
//! are lifted from all pages of a former block, the table is replaced by a block
//! again: the hardware walks fewer levels, and the table's page goes back to the
//! pool. C never merges.
//!
//! A call that lifts restrictions checks a table when it reaches the end of the table, or the
//! end of its own range, and has passed at least [`MERGE_FROM`] pages of the table. So
//! changing single pages back and forth costs no search. Tables are also merged when a call
//! was preempted in the middle of a gigabyte, and when a monitor leaves out the guest's last
//! page, as xen-access does.
//!
//! Valid bits that differ do not prevent a merge. They track what the guest touches
//! ([`crate::guest::fault`]): the block's valid bit is set if that of any part was.

use crate::p2m::lock::WriteView;
use crate::table::pending::Pending;
use crate::table::removed::Owned;
use crate::table::{Entry, Table};
use crate::types::addr::Gfn;
use crate::types::level::{Level, TableIndex, ENTRIES};
use crate::types::pte::{Kind, Pte};
use crate::xen::page::pages_before_xen_heap;

/// A call checks whether a table can be merged after it has passed this many of its pages.
/// The restart points of the hypercall are as far apart.
pub(crate) const MERGE_FROM: u64 = 64;

/// What a caller of [`merge`] knows of the entries of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entries {
    /// They map consecutive frames with the same attributes, valid bits included.
    OneRun,
    /// Nothing.
    Unknown,
}

/// Replaces the table at `index`, the index of `gfn`, by a block, if mem_access is enabled
/// and the table maps exactly what a block would. `entries` is what the caller knows of that
/// table. Returns whether the table was replaced.
pub(crate) fn merge(
    write: &WriteView<'_>,
    pending: &mut Pending<'_>,
    table: Table<'_>,
    index: TableIndex,
    gfn: Gfn,
    entries: Entries,
) -> bool {
    let level = table.level();
    let Entry::Table(below) = table.entry(index) else {
        return false;
    };
    if level == Level::L0 || !write.p2m().mem_access_enabled() {
        return false;
    }
    // A device would fault between break and make ([`crate::table`]).
    let Some(flushed) = write.without_iommu() else {
        return false;
    };
    let Some(block) = block_of(below, level, entries) else {
        return false;
    };
    // A table that this call has made keeps a part with the old access, so it is not merged. If
    // one ever is, its pointer's pending valid bit must not be set in the block's entry.
    if !table.load(index).valid_bit() {
        pending.complete();
    }
    let removed = if table.load(index).valid_bit() && block.valid_bit() {
        pending.map(index, gfn, block, write.same_mapping())
    } else {
        // The block's valid bit stays clear: walks ended here, or at the entries below,
        // before the merge as well.
        table
            .replace(
                write,
                gfn,
                1,
                block.without_valid_bit(),
                write.same_mapping(),
            )
            .0
    };
    if let Owned::Table(old) = removed.into_owned() {
        old.free_only(write, flushed);
    }
    write.count_unmapped(below.level(), ENTRIES as u64);
    write.count_mapped(level, 1);
    true
}

/// The block of `level` that maps what `table` maps; `None` if no block can or may.
fn block_of(table: Table<'_>, level: Level, entries: Entries) -> Option<Pte> {
    let part = table.level();
    let first = table.load(TableIndex::FIRST);
    let is_leaf = first.kind(part) == Kind::Leaf;
    let is_aligned = first.mfn().raw() & (level.pages() - 1) == 0;
    // Only RAM: references of foreign pages are dropped at most 2 MiB at a time (B4).
    // Xen records where single pages of its heap are mapped (M2P), see below.
    let is_ram = first.is_ram();
    if !(is_leaf && is_aligned && is_ram) {
        return None;
    }
    let any_valid = match entries {
        Entries::OneRun => first.valid_bit(),
        Entries::Unknown => table.maps_one_block()?,
    };
    // Parts that are blocks hold no page of Xen's heap.
    let may_be_block =
        part < Level::L3 || pages_before_xen_heap(first.mfn(), level.pages()) == level.pages();
    let block = first.at_level(level);
    may_be_block.then(|| match any_valid {
        true => block.with_valid_bit(),
        false => block.without_valid_bit(),
    })
}
