// SPDX-License-Identifier: GPL-2.0-only
//! Putting a block together again from the table that it was split into.
//!
//! mem_access splits blocks, since its restrictions are by pages. When they
//! are lifted from all of what was a block, the table is replaced by a block
//! again: fewer levels for the hardware to walk, and the table goes back to the
//! pool. C never does that. A table is looked at where a call that lifts comes to
//! its end, or to the call's own, and has been through more than a few of its pages
//! ([`MERGE_FROM`]). So flipping single pages costs no search; a call that was
//! preempted in the middle of a gigabyte does not leave its table behind; nor does a
//! monitor that leaves the guest's last page out, as xen-access does.
//!
//! Valid bits are no reason against it: they track what the guest touches
//! ([`crate::guest::fault`]), and of a block it has touched any part or none.

use crate::p2m::lock::WriteView;
use crate::table::pending::Pending;
use crate::table::removed::Owned;
use crate::table::{Entry, Table};
use crate::types::addr::Gfn;
use crate::types::level::{Level, TableIndex, ENTRIES};
use crate::types::p2m_type::P2mType;
use crate::types::pte::{Kind, Pte};
use crate::xen::page::pages_before_xen_heap;

/// Pages of a table that a call has been through when it looks whether the table may
/// be a block. Restart points of the hypercall are as far apart.
pub(crate) const MERGE_FROM: u64 = 64;

/// What is known of the entries of a table, without another look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entries {
    /// They map consecutive frames alike, their valid bits included.
    OneRun,
    /// Nothing.
    Unknown,
}

/// Replaces the table at `index`, at which `gfn` is looked up, by a block
/// if it maps just what a block would, and mem_access is in use. `entries` is what the
/// caller knows of that table. Says whether it did.
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
    // A table that this call has linked may still wait for its valid bit.
    if !table.load(index).valid_bit() {
        pending.complete();
    }
    let removed = if table.load(index).valid_bit() && block.valid_bit() {
        pending.map(index, gfn, block)
    } else {
        // The hardware stops here, as it did before or at the entries below.
        table.replace(write, gfn, 1, block.without_valid_bit()).0
    };
    if let Owned::Table(old) = removed.into_owned() {
        old.free_only(write, flushed);
    }
    write.count_unmapped(below.level(), ENTRIES as u64);
    write.count_mapped(level, 1);
    true
}

/// The block of `level` that maps what the table below maps, if a block may.
fn block_of(table: Table<'_>, level: Level, entries: Entries) -> Option<Pte> {
    let part = table.level();
    let first = table.load(TableIndex::FIRST);
    let is_leaf = first.kind(part) == Kind::Leaf;
    let is_aligned = first.mfn().raw() & (level.pages() - 1) == 0;
    // References of foreign pages are dropped a 2 MiB block at a time (B4), and
    // Xen remembers where single pages of its heap are mapped (M2P).
    let is_ram = first.ty().is_some_and(P2mType::is_ram);
    if !(is_leaf && is_aligned && is_ram) {
        return None;
    }
    let any_valid = match entries {
        Entries::OneRun => first.valid_bit(),
        Entries::Unknown => table.maps_one_block()?,
    };
    // A block that is there already has none of Xen's heap to remember.
    let may_be_block =
        part < Level::L3 || pages_before_xen_heap(first.mfn(), level.pages()) == level.pages();
    let block = first.at_level(level);
    may_be_block.then(|| match any_valid {
        true => block.with_valid_bit(),
        false => block.without_valid_bit(),
    })
}
