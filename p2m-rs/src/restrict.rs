// SPDX-License-Identifier: GPL-2.0-only
//! Changing the access of what is mapped, for introspection (what
//! `p2m_set_mem_access` makes of `p2m_get_entry` and `p2m_set_entry`).
//!
//! A range is worked on a table at a time. Permissions may change in a live
//! entry without break-before-make; one flush at the unlock does for all.
#![forbid(unsafe_code)]

use crate::access::P2mAccess;
use crate::addr::Gfn;
use crate::error::Result;
use crate::level::Level;
use crate::lock::WriteView;
use crate::pte::Pte;
use crate::walk::{Missing, Reached};
use crate::xen::table::Slot;

/// Outcome of [`WriteView::set_access`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessSet {
    /// So many pages are dealt with: those that are mapped have the access.
    Done(u64),
    /// Nothing is mapped in the entry of this level.
    Hole(Level),
}

impl WriteView<'_> {
    /// Restricts the access to the pages from `gfn` on, or lifts the
    /// restriction: at most `max` of them (not 0), and none past the table that
    /// holds the first. The mappings and what they own stay; pages that are
    /// not mapped are skipped.
    ///
    /// # Errors
    ///
    /// As for [`WriteView::insert`]; the pages before the failing one have the
    /// access then, and a block may have been split. Or those of the IOMMU's
    /// flush; then the access is set.
    pub fn set_access(&mut self, gfn: Gfn, max: u64, access: P2mAccess) -> Result<AccessSet> {
        if let Some(level) = self.hole_beyond_max(gfn) {
            return Ok(AccessSet::Hole(level));
        }
        if let Err(dying) = self.refuse_if_dying() {
            let lookup = self.get(gfn);
            return match lookup.mfn() {
                Some(_) => Err(dying),
                None => Ok(AccessSet::Hole(lookup.level())),
            };
        }
        let table = match self.walk_to(gfn, Level::L3, Missing::Stop)? {
            Reached::Table(table) => table,
            Reached::Hole(level) => return Ok(AccessSet::Hole(level)),
        };
        let first = Level::L3.index(gfn);
        let mut pages = 0;
        let (mut changed, mut was_live) = (false, false);
        let mut result = Ok(());
        for index in first.run(max) {
            let old = table.load(index);
            if let Some(ty) = old.ty() {
                result = self.set_access_setting(gfn.add(pages), access);
                if result.is_err() {
                    break;
                }
                let pte = Pte::leaf(old.mfn(), ty, access, Level::L3);
                self.change_permissions(table.slot(self, index), pte);
                changed = true;
                was_live |= old.hw_valid();
            }
            pages += 1;
        }
        if changed {
            self.publish(table, first, pages);
            self.iommu_flush(gfn, pages, was_live, true)?;
        }
        result.map(|()| AccessSet::Done(pages))
    }

    /// Replaces a mapping by one of the same frame and type, which takes over
    /// what it owned.
    fn change_permissions(&self, slot: Slot<'_>, pte: Pte) {
        match slot {
            Slot::Live(live) => {
                if let Err(live) = live.set_permissions(self, pte) {
                    live.break_(self).flush(self).make(self, pte).inherited();
                }
            }
            vacant => vacant.vacate(self).make(self, pte).inherited(),
        }
    }
}
