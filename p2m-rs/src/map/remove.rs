// SPDX-License-Identifier: GPL-2.0-only
//! Unmapping (`p2m_set_entry` with INVALID_MFN).
//!
//! An entry whose whole span is unmapped is cleared at its own level; if it points to a
//! table, that table and everything below it are removed. A block of which a part is unmapped
//! is replaced by a table that already has the hole, so that one flush covers
//! split and removal. (Beside views the split comes first: [`super::beside_views`].)

use super::release::{leak, release, Released};
use super::split::{split, split_with, PartialUpdate, When};
use super::views::Room;
use crate::p2m::lock::WriteView;
use crate::table::{Entry, Table};
use crate::types::addr::Gfn;
use crate::types::errno::{Errno, Failure, Outcome, Result};
use crate::types::level::{Level, TableIndex};
use crate::types::owner::Forgotten;
use crate::types::progress::Progress;
use crate::types::pte::{Kind, Pte};
use crate::xen::iommu::IotlbFlush;

/// The [`PartialUpdate`] that unmaps a part of a block.
pub(super) struct Hole;

impl PartialUpdate for Hole {
    fn fits(&self, level: Level, gfn: Gfn, pages: u64) -> bool {
        level.is_covered_by(gfn, pages)
    }

    fn entry(&self, _part: Pte, _level: Level, _gfn: Gfn) -> Pte {
        Pte::EMPTY
    }
}

/// Unmaps `nr` frames from `gfn` on. Holes are no error.
///
/// # Errors
///
/// Those of [`super::insert::insert`]; a block that cannot be split stays whole
/// (XSA-222). Also that of an IOTLB flush. Then the part of the range that it was for is
/// unmapped and keeps its references for ever, as a device may still reach the pages; what
/// comes before it was unmapped and released, and what comes after it stays mapped.
pub fn remove(write: &mut WriteView<'_>, forgotten: Forgotten<'_>, gfn: Gfn, nr: u64) -> Result {
    write.refuse_if_dying()?;
    Ok(remove_any(write, forgotten, gfn, nr)?)
}

/// [`remove`], which also works on a dying domain.
pub(crate) fn remove_any(
    write: &mut WriteView<'_>,
    forgotten: Forgotten<'_>,
    gfn: Gfn,
    nr: u64,
) -> Outcome {
    let (mut done, mut room) = (0, Room::new());
    while done < nr {
        let (gfn, rest) = (gfn.add(done), nr - done);
        let is_whole = |level: Level| is_whole(level, gfn, rest);
        let table = Table::towards(write, gfn, Level::largest(is_whole))
            .ok_or(Failure::Refused(Errno::EINVAL))?;
        let more = remove_in(write, forgotten, table, gfn, rest);
        done += more.pages;
        match more.outcome {
            Err(failure) if room.make_room(write, failure) => {}
            outcome => outcome?,
        }
    }
    Ok(())
}

/// Unmaps the part of the range that `table`, a table of the tree, spans.
fn remove_in(
    write: &WriteView<'_>,
    forgotten: Forgotten<'_>,
    table: Table<'_>,
    start: Gfn,
    pages: u64,
) -> Progress {
    let level = table.level();
    let (mut done, mut index) = (0, Some(level.index(start)));
    while let Some(first) = index.filter(|_| done < pages) {
        let gfn = start.add(done);
        let (rest, span) = (pages - done, level.pages_from(gfn));
        let more = if is_whole(level, gfn, rest) {
            clear_run(write, forgotten, table, first, gfn, rest >> level.order())
        } else {
            remove_below(write, forgotten, table, first, gfn, rest.min(span))
        };
        done += more.pages;
        if more.outcome.is_err() {
            return Progress::of(done, more.outcome);
        }
        index = first.advanced((level.offset(gfn) + more.pages) >> level.order());
    }
    Progress::done(done)
}

/// Unmaps `pages` pages from `gfn` on, a part of what one entry spans.
fn remove_below(
    write: &WriteView<'_>,
    forgotten: Forgotten<'_>,
    table: Table<'_>,
    index: TableIndex,
    gfn: Gfn,
    pages: u64,
) -> Progress {
    match table.entry(index) {
        Entry::Empty => Progress::of(pages, write.iommu_flush_in_doubt(gfn, pages)),
        Entry::Table(below) => remove_in(write, forgotten, below, gfn, pages),
        // A foreign block is split first: each page that is unmapped drops its
        // reference after the IOTLB flush.
        Entry::Leaf(block) if block.is_foreign() => match split(write, table, index, gfn) {
            Ok(below) => remove_in(write, forgotten, below, gfn, pages),
            Err(failure) => Progress::failed(failure),
        },
        Entry::Leaf(block) => {
            let (new, progress) =
                split_with(write, block, table.level(), gfn, pages, &Hole, When::Before);
            let flushed = new.map_or(Ok(()), |new| table.link(write, gfn, new));
            Progress::of(progress.pages, flushed.and(progress.outcome))
        }
    }
}

/// Clears at most `count` entries from `first` on: either a stretch of entries that own
/// nothing, or one entry that points to a table, or a run of foreign pages, or one foreign
/// block, which owns as many references as a table of pages (B4). If the IOTLB flush fails,
/// the entries are cleared all the same, and what they owned is kept for ever.
pub(crate) fn clear_run(
    write: &WriteView<'_>,
    forgotten: Forgotten<'_>,
    table: Table<'_>,
    first: TableIndex,
    gfn: Gfn,
    count: u64,
) -> Progress {
    let level = table.level();
    let cleared = clear_plain(write, forgotten, table, first, gfn, count);
    if cleared.pages > 0 {
        return cleared;
    }
    let limit = if level == Level::L3 { count } else { 1 };
    let removed = table.clear(write, gfn, limit, forgotten);
    let pages = removed.count() << level.order();
    let flush = IotlbFlush::modified_if(removed.was_live());
    match write.iommu_flush(gfn, pages, flush) {
        Ok(flushed) => {
            release(write, removed, flushed);
            Progress::done(pages)
        }
        Err(failure) => {
            // A device may still reach the pages: keep the references.
            leak(write, removed);
            Progress::of(pages, Err(failure))
        }
    }
}

/// Clears entries from `first` on that are empty or whose mapping owns no reference, up to
/// the first other one, `limit` at most. The progress counts the pages that they span.
fn clear_plain(
    write: &WriteView<'_>,
    forgotten: Forgotten<'_>,
    table: Table<'_>,
    first: TableIndex,
    gfn: Gfn,
    limit: u64,
) -> Progress {
    let level = table.level();
    let mut cleared = 0;
    let (mut stores, mut was_live) = (None, false);
    let mut released = Released::at(write, level);
    while let Some(index) = first.advanced(cleared).filter(|_| cleared < limit) {
        if !owns_nothing(table.load(index), level) {
            break;
        }
        let Some((leaf, unreported)) = table.take_run(write, index, limit - cleared, forgotten)
        else {
            cleared += 1;
            continue;
        };
        stores = Some(unreported.merge(stores));
        was_live |= leaf.was_live();
        cleared += leaf.count();
        released.add_plain(leaf);
    }
    drop(released);
    let pages = cleared << level.order();
    let Some(stores) = stores else {
        return Progress::of(pages, write.iommu_flush_in_doubt(gfn, pages));
    };
    stores.report(write, table, first, cleared);
    if was_live {
        write.deferred().defer_flush(gfn, pages, level);
    }
    let flushed = write.iommu_flush(gfn, pages, IotlbFlush::modified_if(was_live));
    Progress::of(pages, flushed.map(|_flushed| ()))
}

/// Whether the range covers the whole entry of `level` at `gfn`, so that the entry is cleared
/// as a whole. An entry of 512 GiB never is: C clears at most 1 GiB at a time.
fn is_whole(level: Level, gfn: Gfn, pages: u64) -> bool {
    level != Level::L0 && level.is_covered_by(gfn, pages)
}

/// Whether `pte`, an entry of `level`, is empty or a mapping without references.
pub(super) fn owns_nothing(pte: Pte, level: Level) -> bool {
    match pte.kind(level) {
        Kind::Empty => true,
        Kind::Table(_) => false,
        Kind::Leaf => !pte.is_foreign(),
    }
}
