// SPDX-License-Identifier: GPL-2.0-only
//! The tables of a view: making room for an entry, and clearing.
//!
//! A view's tables differ from a host's in what goes with an entry, which is nothing: no
//! reference, no statistics, no IOMMU. So clearing a range is a walk that clears, and there is no
//! failure of it.

use crate::p2m::iommu::IotlbFlushed;
use crate::p2m::lock::{ReadView, WriteView};
use crate::p2m::views::ViewWrite;
use crate::table::new::NewTable;
use crate::table::removed::{Owned, Removed, RemovedTable};
use crate::table::{empty_root, empty_root_in_use, Entry, Table};
use crate::types::addr::Gfn;
use crate::types::errno::{Errno, Failure, Outcome};
use crate::types::level::Level;
use crate::types::owner::View;
use crate::types::pte::Pte;

/// Clears all entries of the view that map any of `pages` frames from `gfn` on, blocks that
/// reach beyond them as a whole: what else these mapped is copied again, with the same access,
/// since only pages have another than the view's default.
pub(super) fn clear(view: &ViewWrite<'_>, gfn: Gfn, pages: u64) {
    // `end` is not cut off at the last mapped frame, so that its table is removed as a whole too.
    let (end, last) = (gfn.raw().saturating_add(pages), view.max_mapped_gfn());
    let mut at = gfn;
    while at.raw() < end && at <= last {
        let rest = end - at.raw();
        let largest = Level::largest(|level| level.is_covered_by(at, rest));
        let Some(table) = Table::towards(view, at, largest) else {
            break;
        };
        let level = table.level();
        let first = level.start(at);
        if !table.load(level.index(at)).is_mapped() {
            at = first.add(level.pages());
            continue;
        }
        let whole = rest >> level.order();
        let removed = table.clear(view, at, whole.max(1), ());
        at = first.add(removed.count() << level.order());
        free_tables(view, removed);
    }
}

/// Takes the table of `level` on the walk to `gfn`, which is no root and has no table below, out of the
/// view's tables.
pub(super) fn drop_table(view: &ViewWrite<'_>, gfn: Gfn, level: Level) {
    let above = Level::from_number(level.number().saturating_sub(1));
    let Some(table) = Table::of_level(view, gfn, above) else {
        return;
    };
    let removed = table.clear(view, gfn, 1, ());
    if let (Owned::Table(table), Some(flushed)) = (removed.into_owned(), view.without_iommu()) {
        table.free_only(view, flushed);
    }
}

/// Whether any of `pages` frames from `gfn` on is mapped.
pub(super) fn maps_any(host: &ReadView, gfn: Gfn, pages: u64) -> bool {
    let end = Gfn::new(gfn.raw().saturating_add(pages)).min(host.max_mapped_gfn().add(1));
    let mut at = gfn;
    while at < end {
        let Some(table) = Table::last(host, at) else {
            return false;
        };
        // Entry by entry, up to the end of the table or one that points to another table.
        let level = table.level();
        let mut index = Some(level.index(at));
        while let Some(here) = index.filter(|_| at < end) {
            match table.entry(here) {
                Entry::Leaf(_) => return true,
                Entry::Table(_) => break,
                Entry::Empty => at = at.next_boundary(level.order()),
            }
            index = here.advanced(1);
        }
    }
    false
}

/// Defers the freeing of the tables that were removed.
fn free_tables(view: &WriteView<'_, View>, removed: Removed<'_, View>) {
    if let (Owned::Table(table), Some(flushed)) = (removed.into_owned(), view.without_iommu()) {
        free_all(view, table, flushed);
    }
}

fn free_all(view: &WriteView<'_, View>, table: RemovedTable<'_, View>, flushed: IotlbFlushed) {
    // A leaf of a view owns nothing: nobody has to look at it.
    if table.level() == Level::L3 {
        return table.free_only(view, flushed);
    }
    table.free(view, flushed, |owned| {
        if let Owned::Table(below) = owned {
            free_all(view, below, flushed);
        }
    });
}

/// Empties a view of a dying domain, to which nothing will be copied any more: nothing is mapped in it,
/// and no walk or TLB comes to one of its tables. They stay, for whoever frees them. (Each continuation of
/// the call that relinquishes the domain's memory comes here: only the first finds anything to do.)
pub(super) fn empty(view: &mut ViewWrite<'_>) {
    let nothing = Gfn::new(!0);
    if view.lowest_mapped_gfn() != nothing {
        let _tables_are_left = empty_root(view.tables_mut());
        view.tables_mut().set_lowest_mapped_gfn(nothing);
    }
}

/// Empties the view, in which vCPUs may be, and frees its tables, in one step however many there are.
pub fn reset(view: &mut ViewWrite<'_>) {
    empty_root_in_use(view.tables_mut()).free_tables();
    view.set_sources(Gfn::new(!0), Gfn::new(0));
}

/// A place for a leaf: the entry for `gfn` in a table of `level`, or of a smaller level if the
/// view has smaller tables there.
pub(super) struct Place<'v> {
    /// The table with the entry.
    pub(super) table: Table<'v>,
    /// What the entry says.
    pub(super) old: Pte,
}

/// Finds or makes the place for `leaf`, of `level`, at `gfn`. A block of the view that is in the
/// way is split. If there are no tables yet, the leaf is written with the tables, and there is
/// nothing left to do.
///
/// # Errors
///
/// [`Failure::NoTable`]; nothing has changed, but that a block may be split.
pub(super) fn place<'v>(
    view: &'v ViewWrite<'_>,
    gfn: Gfn,
    level: Level,
    leaf: Pte,
) -> Outcome<Option<Place<'v>>> {
    let mut table = Table::towards(view, gfn, level).ok_or(Failure::Refused(Errno::EINVAL))?;
    loop {
        let here = table.level();
        let index = here.index(gfn);
        match table.entry(index) {
            Entry::Table(below) => table = below,
            Entry::Leaf(block) if here < level => {
                let part = here.next().ok_or(Failure::NoTable)?;
                let page = view.deferred().pages().alloc().ok_or(Failure::NoTable)?;
                let new = NewTable::split_of(page, block, part);
                table.link(view, gfn, new)?;
            }
            Entry::Empty if here < level => {
                let new = chain(view, gfn, here, level, leaf)?;
                table.link(view, gfn, new)?;
                view.note_mapped(gfn, gfn.add(level.pages_from(gfn) - 1));
                return Ok(None);
            }
            Entry::Leaf(_) | Entry::Empty => {
                let old = table.load(index);
                return Ok(Some(Place { table, old }));
            }
        }
    }
}

/// New tables below an entry of `above`, down to one of `level` with one leaf in it.
fn chain<'w>(
    view: &'w ViewWrite<'_>,
    gfn: Gfn,
    above: Level,
    level: Level,
    leaf: Pte,
) -> Outcome<NewTable<'w>> {
    let here = above.next().ok_or(Failure::NoTable)?;
    let page = view.deferred().pages().alloc().ok_or(Failure::NoTable)?;
    let mut new = NewTable::empty(page, here);
    if here == level {
        new.fill(here.index(gfn), 1, leaf);
        return Ok(new);
    }
    match chain(view, gfn, here, level, leaf) {
        Ok(below) => {
            new.attach(view, here.index(gfn), below);
            Ok(new)
        }
        Err(failure) => {
            new.discard(view);
            Err(failure)
        }
    }
}
