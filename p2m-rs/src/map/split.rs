// SPDX-License-Identifier: GPL-2.0-only
//! Changing a part of a block (`p2m_split_superpage`).
//!
//! The block is replaced by a table of its 512 parts *in which the change is already
//! made*. One break-before-make covers both the split and the change, for all
//! levels that the split creates. (But where an IOMMU walks the tables, another frame takes the
//! place of a part only when the parts are there: [`When::After`]. The same holds for each change of a
//! part of a block in a domain that can have views: [`super::beside_views`].)
//!
//! The table pages down to the first part that changes are allocated before any entry of the
//! tree changes. A block that cannot be split stays as it is, with its references and
//! statistics (XSA-222; C drops the references of a foreign block in this case, see
//! docs/differences.md, B2).

use crate::map::release::Released;
use crate::p2m::lock::WriteView;
use crate::p2m::pages::TablePage;
use crate::table::new::NewTable;
use crate::table::{Entry, Table};
use crate::types::addr::Gfn;
use crate::types::errno::{Failure, Outcome};
use crate::types::level::{Level, TableIndex, ENTRIES};
use crate::types::progress::Progress;
use crate::types::pte::Pte;

/// A change of a part of a block.
pub(crate) trait PartialUpdate {
    /// Whether the change of the `pages` pages from `gfn` on can begin with an entry of
    /// `level`, or needs smaller ones.
    fn fits(&self, level: Level, gfn: Gfn, pages: u64) -> bool;

    /// The entry at `gfn` that replaces `part`, of a level that fits. The entries that replace
    /// the parts after it map the frames after its own.
    fn entry(&self, part: Pte, level: Level, gfn: Gfn) -> Pte;
}

/// When the parts of a block that are to change do so.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// In the new table, before it is linked.
    Before,
    /// Later: the new table maps what the block did.
    After,
}

/// Builds a table that replaces `block`, a block of `level`, with `update` applied to the
/// `pages` pages from `start` on, or to a prefix of them if table pages run out; or, with
/// [`When::After`], with nothing changed yet, but with tables down to where the update fits. `None` if
/// that prefix is empty.
pub(crate) fn split_with<'w>(
    write: &'w WriteView<'_>,
    block: Pte,
    level: Level,
    start: Gfn,
    pages: u64,
    update: &dyn PartialUpdate,
    when: When,
) -> (Option<NewTable<'w>>, Progress) {
    let (part, page) = match split_page(write, level) {
        Ok(split) => split,
        Err(failure) => return (None, Progress::failed(failure)),
    };
    if when == When::Before && pages == level.pages() && update.fits(part, start, pages) {
        let entry = updated(
            write,
            block.at_level(part),
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
            let count = ((pages - done) >> part.order()).min(index.entries_left());
            if when == When::Before {
                let entry = updated(write, new.load(index), part, gfn, count, update);
                new.fill(index, count, entry);
            }
            done += count << part.order();
            continue;
        }
        let pages = span.min(pages - done);
        let (below, progress) = split_with(write, new.load(index), part, gfn, pages, update, when);
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

/// The entry that replaces `part`, at `gfn`, the first of `count` parts of a
/// block that change. Releases what the parts mapped, unless the entries map the same frames.
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
    if !stays {
        if is_mapped {
            write.count_mapped(level, count);
        }
        Released::at(write, level).add_parts(part, count);
    }
    entry
}

/// Replaces the block at `index`, the index of `gfn`, by a table
/// of its 512 parts, which the caller changes afterwards.
///
/// A device whose IOMMU walks these tables, and whose IOTLB does not hold the block, may fault
/// between the break and the make ([`crate::table`]).
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
    Ok(table.link_whatever_the_iommu_says(write, gfn, new))
}

/// Splits the block that `at` is in, if there is one and it is too large for `update`, of the `pages`
/// pages from `gfn` on, which `at` is one of. There is a table then for each entry that the update makes
/// of the block. What is mapped stays.
///
/// # Errors
///
/// [`Failure::NoTable`]; nothing is split, or (of 1 GiB, if both ends of the pages are in it) the part at
/// one end is not.
pub(super) fn split_block(
    write: &WriteView<'_>,
    at: Gfn,
    gfn: Gfn,
    pages: u64,
    update: &dyn PartialUpdate,
) -> Outcome {
    let Some(table) = Table::last(write, at) else {
        return Ok(());
    };
    let level = table.level();
    let Entry::Leaf(block) = table.entry(level.index(at)) else {
        return Ok(());
    };
    let first = level.start(at).max(gfn);
    let before = first.raw() - gfn.raw();
    let part = level.pages_from(first).min(pages - before);
    if update.fits(level, first, part) {
        return Ok(());
    }
    let (new, progress) = split_with(write, block, level, first, part, update, When::After);
    if let Some(new) = new {
        table.link_whatever_the_iommu_says(write, first, new);
    }
    progress.outcome
}

/// Allocates a page for the table that replaces a block of `level`. Returns the level of the
/// parts and the page; the statistics count the parts as if the table were linked.
///
/// # Errors
///
/// [`Failure::NoTable`]; nothing has changed.
fn split_page<'w>(write: &'w WriteView<'_>, level: Level) -> Outcome<(Level, TablePage<'w>)> {
    let part = level.next().ok_or(Failure::NoTable)?;
    let page = write.deferred().pages().alloc().ok_or(Failure::NoTable)?;
    write.count_shattered(level, 1);
    write.count_unmapped(level, 1);
    write.count_mapped(part, ENTRIES as u64);
    Ok((part, page))
}

/// Takes [`split_page`]'s changes of the statistics back: the new table will not be linked,
/// and the block stays.
fn uncount_split(write: &WriteView<'_>, level: Level) {
    let Some(part) = level.next() else { return };
    write.count_shattered(level, 1_u64.wrapping_neg());
    write.count_mapped(level, 1);
    write.count_unmapped(part, ENTRIES as u64);
}
