// SPDX-License-Identifier: GPL-2.0-only
//! Fast paths for one page or one block, which is what most calls ask for. They take
//! fewer instructions than the general path of each verb and have the same effect. In any
//! case that they do not cover, they call the general path, or return `None` and their caller does.
//!
//! The benchmark of the p2m counts what each fast path saves, in these rows:
//!
//! | function | rows |
//! |---|---|
//! | [`insert`] | one call maps one page, in an existing table or a new one; or one block |
//! | [`remove`] | one call unmaps one page |
//! | [`set_access`] | one call changes the access of one page |

use super::insert::{note_one, replace, Insertion, Leaves};
use super::release::Released;
use super::remove::{clear_run, owns_nothing};
use super::set_access::{self as general, AccessChange, Restart};
use crate::p2m::lock::WriteView;
use crate::table::walk::Walk;
use crate::table::Table;
use crate::types::access::P2mAccess;
use crate::types::addr::{Gfn, Mfn};
use crate::types::errno::{Errno, Outcome, Result};
use crate::types::level::Level;
use crate::types::owner::Forgotten;
use crate::types::pte::Pte;
use crate::xen::page::Page;
use crate::xen::target::Target;

/// [`super::insert::insert`], with a fast path for a range that is one leaf.
#[inline(always)]
pub(super) fn insert(
    write: &mut WriteView<'_>,
    forgotten: Forgotten<'_>,
    gfn: Gfn,
    target: Target,
    access: P2mAccess,
) -> Result {
    let domain = write.living_domain()?;
    let nr = target.pages();
    let leaves = Leaves::new(write, gfn, &target, access);
    let insertion = Insertion { leaves, forgotten };
    let level = Level::of_pages(nr).filter(|&level| leaves.fits(level, 0, level.pages()));
    // No closure: the symbol of the instance of `and_then` would exceed KSYM_NAME_LEN.
    let walk = match level {
        Some(level) => Walk::towards(write, gfn, level),
        None => None,
    };
    let (Some(level), Some(walk)) = (level, walk) else {
        return Ok(insertion.insert_all(write, nr)?);
    };
    if walk.order() != level.order() {
        let outcome = match insert_in_new(write, walk.table(), gfn, &insertion, nr) {
            Some(Ok(())) => Ok(()),
            Some(Err(failure)) => insertion.insert_after(write, nr, failure),
            None => insertion.insert_all(write, nr),
        };
        return Ok(outcome?);
    }
    let (table, leaf) = (walk.table_of(level), leaves.leaf(0, level));
    if !domain.is_iommu_enabled() && table.fill_one(write, gfn, leaf) {
        note_one(write, level, gfn);
    } else {
        replace(write, table, gfn, 1, leaf, forgotten);
    }
    Ok(())
}

/// Maps `nr` frames, which are one leaf, in one or more new tables; on an error nothing has
/// changed. Returns `None`, with nothing changed, if the entry of `table` that ended the walk is
/// not empty, or if there is an IOMMU.
#[inline(never)]
fn insert_in_new(
    write: &WriteView<'_>,
    table: Table<'_>,
    gfn: Gfn,
    insertion: &Insertion<'_>,
    nr: u64,
) -> Option<Outcome> {
    let end = table.load(table.level().index(gfn));
    if end != Pte::EMPTY || write.has_iommu() {
        return None;
    }
    let (new, progress) = insertion.build(write, table.level(), 0, nr);
    if let Some(new) = new {
        // Only an IOMMU flush can fail here, and there is no IOMMU.
        let _done = table.link(write, gfn, new);
    }
    Some(progress.outcome)
}

/// [`super::remove_mapping`] for one page of RAM: `table` is the level-3 table that holds the entry
/// for `gfn`. Returns `None`, with nothing changed, if no RAM is mapped there.
///
/// # Errors
///
/// -EILSEQ if it is not `mfn`; otherwise those of [`super::remove::remove`].
pub(super) fn remove(
    write: &WriteView<'_>,
    forgotten: Forgotten<'_>,
    table: Table<'_>,
    gfn: Gfn,
    mfn: Option<Mfn>,
) -> Option<Result> {
    let pte = table.load(Level::L3.index(gfn));
    if !pte.is_any_ram() {
        return None;
    }
    let page = mfn.filter(|&mfn| mfn == pte.mfn()).and_then(Page::of);
    Some(match page {
        Some(page) => clear_page(write, forgotten, table, gfn, page).map_err(Into::into),
        None => Err(Errno::EILSEQ),
    })
}

/// Clears the entry for `gfn` in a level-3 table, where `page` is mapped.
///
/// # Errors
///
/// Those of [`super::remove::remove`].
fn clear_page(
    write: &WriteView<'_>,
    forgotten: Forgotten<'_>,
    table: Table<'_>,
    gfn: Gfn,
    page: Page,
) -> Outcome {
    write.refuse_if_dying()?;
    let index = Level::L3.index(gfn);
    if write.has_iommu() || !owns_nothing(table.load(index), Level::L3) {
        return clear_run(write, forgotten, table, index, gfn, 1).outcome;
    }
    if let Some((leaf, unreported)) = table.take_run(write, index, 1, forgotten) {
        unreported.report(write, table, index, 1);
        if leaf.was_live() {
            write.deferred().defer_flush(gfn, 1, Level::L3);
        }
        Released::at(write, Level::L3).add_page(leaf, page);
    }
    Ok(())
}

/// [`super::set_access::set_access`], with a fast path for one page whose level-3 table
/// exists, where no IOMMU walks it.
///
/// # Errors
///
/// Those of [`super::set_access::set_access`].
pub fn set_access(
    write: &mut WriteView<'_>,
    first: Gfn,
    pages: u64,
    access: P2mAccess,
    restart: Restart,
) -> Result<u64> {
    let table = match pages {
        1 => Table::of_level(write, first, Level::L3),
        _ => None,
    };
    let Some(table) = table.filter(|_| !write.has_iommu()) else {
        return general::set_access(write, first, pages, access, restart);
    };
    let index = Level::L3.index(first);
    let old = table.load(index);
    if let Some(new) = AccessChange::new(first, 1, access).becomes(old) {
        write.refuse_if_dying()?;
        write.enable_mem_access();
        table.set_permission(write, first, index, old, new);
    }
    Ok(1)
}
