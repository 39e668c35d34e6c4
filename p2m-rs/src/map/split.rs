// SPDX-License-Identifier: GPL-2.0-only
//! Changing a part of a block (`p2m_split_superpage`).
//!
//! The block is replaced by a table of its 512 parts *with the change made
//! already*: one break-before-make does for split and change, and for as many
//! levels as the part wants.
//!
//! The table page for the first part that changes is allocated before anything does: a
//! block that cannot be split stays as it is, with its references and
//! statistics (XSA-222; C drops the references of a foreign block here, see
//! docs/differences.md, B2).

use crate::map::progress::Progress;
use crate::map::release::Released;
use crate::p2m::lock::WriteView;
use crate::p2m::pages::TablePage;
use crate::table::new::NewTable;
use crate::table::Table;
use crate::types::addr::Gfn;
use crate::types::errno::{Errno, Failure, Outcome};
use crate::types::level::{Level, TableIndex, ENTRIES};
use crate::types::pte::Pte;

/// What becomes of a part of a block.
pub(crate) trait PartialUpdate {
    /// Whether entries of `level` are small enough for the `pages` pages from
    /// `gfn` on.
    fn fits(&self, level: Level, gfn: Gfn, pages: u64) -> bool;

    /// The entry at `gfn` in the place of `part`, which has the right size. Those
    /// of the parts that follow map the frames that follow.
    fn entry(&self, part: Pte, level: Level, gfn: Gfn) -> Pte;

    /// Whether `entry` takes the place of what `part` mapped, which is released
    /// then, or maps the same.
    fn replaces(&self) -> bool;
}

/// A block that cannot be split for want of a table: C answers -ENOMEM.
const NO_TABLE: Failure = Failure::NoTable(Errno::ENOMEM);

/// A table for the place of a block of `level`, with `update` made to the
/// pages from `start` on; or, if memory lacks, to a prefix of them. None if
/// there is no such prefix.
pub(crate) fn split_with(
    write: &WriteView<'_>,
    block: Pte,
    level: Level,
    start: Gfn,
    pages: u64,
    update: &dyn PartialUpdate,
) -> (Option<NewTable>, Progress) {
    let (part, page) = match split_page(write, level) {
        Ok(split) => split,
        Err(failure) => return (None, Progress::failed(failure)),
    };
    if pages == level.pages() && update.fits(part, start, pages) {
        let entry = updated(
            write,
            block.child(0, part),
            part,
            start,
            ENTRIES as u64,
            update,
        );
        let new = NewTable::full(page, part, entry);
        return (Some(new), Progress::done(pages));
    }
    let mut new = NewTable::split_of(page, block, part);
    let mut done = 0;
    let mut result = Ok(());
    while done < pages && result.is_ok() {
        let gfn = start.add(done);
        let (index, span) = (part.index(gfn), part.pages_from(gfn));
        if update.fits(part, gfn, pages - done) {
            let count = ((pages - done) >> part.order()).min(index.room());
            let entry = updated(write, new.load(index), part, gfn, count, update);
            new.fill(index, count, entry);
            done += count << part.order();
            continue;
        }
        let pages = span.min(pages - done);
        let (below, progress) = split_with(write, new.load(index), part, gfn, pages, update);
        if let Some(below) = below {
            new.attach(write, index, below);
        }
        done += progress.pages;
        result = progress.outcome;
    }
    if done == 0 {
        uncount_split(write, level);
        new.discard(write);
        return (None, Progress::of(0, result));
    }
    (Some(new), Progress::of(done, result))
}

/// What takes the place of `part`, at `gfn`, the first of `count` parts of a
/// block that change; releases what they mapped, if that changes.
fn updated(
    write: &WriteView<'_>,
    part: Pte,
    level: Level,
    gfn: Gfn,
    count: u64,
    update: &dyn PartialUpdate,
) -> Pte {
    let entry = update.entry(part, level, gfn);
    let is_mapped = entry.is_mapped();
    let stays = is_mapped && entry.mfn() == part.mfn();
    if update.replaces() && !stays {
        if is_mapped {
            write.count_mapped(level, count);
        }
        Released::at(write, level).add_parts(part, count);
    }
    entry
}

/// Replaces the block at `index`, at which `gfn` is looked up, by a table
/// of its 512 parts, which change afterwards.
///
/// A device whose IOMMU shares the tables may fault between the break and the
/// make ([`crate::table`]).
///
/// # Errors
///
/// [`Failure::NoTable`]; nothing has changed.
pub(crate) fn split<'v>(
    write: &'v WriteView<'_>,
    table: Table<'v>,
    index: TableIndex,
    gfn: Gfn,
) -> Outcome<Table<'v>> {
    let (part, page) = split_page(write, table.level())?;
    let new = NewTable::split_of(page, table.load(index), part);
    // Whatever the IOMMU still knows leads to the frames that are mapped now.
    let _logged = table.link(write, gfn, new);
    table.next(table.load(index)).ok_or(NO_TABLE)
}

/// A page for the table of a block of `level`, and the level of its parts,
/// which are counted as if they were linked.
///
/// # Errors
///
/// [`Failure::NoTable`]; nothing has changed.
fn split_page(write: &WriteView<'_>, level: Level) -> Outcome<(Level, TablePage)> {
    let part = level.next().ok_or(NO_TABLE)?;
    let page = write.deferred().pages().alloc().ok_or(NO_TABLE)?;
    write.count_shattered(level, 1);
    write.count_unmapped(level, 1);
    write.count_mapped(part, ENTRIES as u64);
    Ok((part, page))
}

/// The new table will not be linked: the block stays.
fn uncount_split(write: &WriteView<'_>, level: Level) {
    let Some(part) = level.next() else { return };
    write.count_shattered(level, 1_u64.wrapping_neg());
    write.count_mapped(level, 1);
    write.count_unmapped(part, ENTRIES as u64);
}
