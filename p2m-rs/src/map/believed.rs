// SPDX-License-Identifier: GPL-2.0-only
//! What a caller that unmaps frames believes to be mapped there. The caller has looked before,
//! without the lock, and another CPU may have changed the mapping since.

use crate::p2m::lock::ReadView;
use crate::table::Table;
use crate::types::addr::{Gfn, Mfn};
use crate::types::errno::{Errno, Result};
use crate::types::level::Level;
use crate::types::pte::Kind;
use crate::xen::page::Page;

/// What a caller says of a frame where nothing is mapped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Holes {
    /// Nothing has to be done there.
    Skip,
    /// If the caller names a page, that page must be mapped there, as in x86's `p2m_remove_entry`:
    /// the caller drops a reference once the page is unmapped. If another CPU has unmapped it before,
    /// the page may be mapped elsewhere by now, on that very reference.
    Refuse,
}

/// Checks that all RAM in the range is what the caller believes to be there: `mfn` and the frames
/// after it. If `mfn` is a page and `holes` are refused, checks that of the whole range.
pub(super) fn check_maps(
    view: &ReadView,
    start: Gfn,
    nr: u64,
    mfn: Option<Mfn>,
    holes: Holes,
) -> Result {
    let believed = mfn.filter(|&mfn| Page::exists(mfn));
    let all = holes == Holes::Refuse && believed.is_some();
    let mut done = 0;
    while done < nr {
        let gfn = start.add(done);
        if gfn > view.max_mapped_gfn() {
            // Nothing is mapped from here on.
            break;
        }
        let Some(table) = Table::last(view, gfn) else {
            break;
        };
        // Check the table's entries one by one (pages in runs), up to an entry that
        // points to another table.
        let level = table.level();
        let mut at = Some(level.index(gfn));
        while let Some(index) = at.filter(|_| done < nr) {
            let (gfn, pte) = (start.add(done), table.load(index));
            if let Kind::Table(_) = pte.kind(level) {
                break;
            }
            if all || pte.is_any_ram() {
                let mapped = pte.is_mapped().then(|| pte.mfn().add(level.offset(gfn)));
                if believed.map(|mfn| mfn.add(done)) != mapped {
                    return Err(Errno::EILSEQ);
                }
            }
            let count = if level == Level::L3 && pte.is_mapped() {
                table.run_of(index, pte, nr - done)
            } else {
                1
            };
            // Only pages come in runs.
            done += level.pages_from(gfn) + (count - 1);
            at = index.advanced(count);
        }
    }
    if all && done < nr {
        return Err(Errno::EILSEQ);
    }
    Ok(())
}
