// SPDX-License-Identifier: GPL-2.0-only
//! Mapping and unmapping as the rest of Xen asks for it: take the write lock,
//! change, flush, unlock (`p2m_insert_mapping`, `p2m_remove_mapping` and the
//! functions on top).
#![forbid(unsafe_code)]

use crate::addr::{Gfn, Mfn};
use crate::error::{Errno, Result};
use crate::level::Level;
use crate::lock::{Unlocked, WriteView};
use crate::pte::Kind;
use crate::types::P2mType;
use crate::xen::domain::Domain;
use crate::xen::page::Page;
use crate::xen::table::Table;
use crate::xen::target::Target;

/// `p2m_insert_mapping`: maps `nr` frames with the domain's default access.
///
/// # Errors
///
/// As [`WriteView::insert`].
pub fn insert(cx: &mut Unlocked<'_>, domain: &Domain, gfn: Gfn, nr: u64, target: Target) -> Result {
    let mut p2m = domain.p2m().write(cx);
    let access = p2m.default_access();
    p2m.insert_quickly(gfn, nr, target, access)
}

/// `p2m_remove_mapping`: unmaps `nr` frames, which the caller believes to map
/// `mfn` and the frames after it.
///
/// # Errors
///
/// [`Errno::IL_SEQ`] if RAM there is not what the caller believes: two CPUs may
/// be removing the same page. Nothing was changed then. Else as
/// [`WriteView::remove`].
// UPSTREAM-DEFECT: B16: MMIO is unmapped without a look at the frame.
pub fn remove(
    cx: &mut Unlocked<'_>,
    domain: &Domain,
    gfn: Gfn,
    nr: u64,
    mfn: Option<Mfn>,
) -> Result {
    let mut p2m = domain.p2m().write(cx);
    if nr == 1 {
        if let Some(table) = p2m.table_at(gfn, Level::L3) {
            return p2m.remove_page(table, gfn, mfn);
        }
    }
    p2m.check_maps(gfn, nr, mfn)?;
    p2m.remove(gfn, nr)
}

impl WriteView<'_> {
    /// [`remove`] for the entry for `gfn` in a table of pages: what most calls
    /// ask for.
    fn remove_page(&self, table: Table<'_>, gfn: Gfn, mfn: Option<Mfn>) -> Result {
        let index = Level::L3.index(gfn);
        let pte = table.load(index);
        if !pte.ty().is_some_and(P2mType::is_any_ram) {
            return Ok(self.clear_page(table, gfn, None)?);
        }
        let page = mfn.filter(|&mfn| mfn == pte.mfn()).and_then(Page::of);
        if page.is_none() {
            return Err(Errno::IL_SEQ);
        }
        Ok(self.clear_page(table, gfn, page)?)
    }

    /// Checks that all RAM in the range is what the caller believes.
    fn check_maps(&self, start: Gfn, nr: u64, mfn: Option<Mfn>) -> Result {
        let believed = mfn.filter(|&mfn| Page::exists(mfn));
        let mut done = 0;
        while done < nr {
            let gfn = start.add(done);
            if gfn > self.max_mapped_gfn() {
                // Nothing is mapped from here on.
                break;
            }
            let Some(table) = self.last_table(gfn) else {
                break;
            };
            // Entries of the table one by one, pages in runs, but not what is below
            // another table.
            let level = table.level();
            let mut at = Some(level.index(gfn));
            while let Some(index) = at.filter(|_| done < nr) {
                let (gfn, pte) = (start.add(done), table.load(index));
                if let Kind::Table(_) = pte.kind(level) {
                    break;
                }
                if pte.ty().is_some_and(P2mType::is_any_ram) {
                    let mapped = pte.mfn().add(level.offset(gfn));
                    if believed.map(|mfn| mfn.add(done)) != Some(mapped) {
                        return Err(Errno::IL_SEQ);
                    }
                }
                let count = if level == Level::L3 && pte.is_mapped() {
                    table.run_of(index, pte, nr - done)
                } else {
                    1
                };
                done += level.pages_from(gfn) + ((count - 1) << level.order());
                at = index.advanced(count);
            }
        }
        Ok(())
    }
}
