// SPDX-License-Identifier: GPL-2.0-only
//! Changing mappings (`p2m_set_entry`, `__p2m_set_entry`).
//!
//! C has one function for three things, told apart by INVALID_MFN and by
//! comparing frames. Here they are three: [`WriteView::insert`] and
//! [`WriteView::remove`] in this file, [`WriteView::set_access`] in
//! [`crate::restrict`].
//!
//! A range is worked on in *runs*: consecutive entries of one table, at the
//! largest level that frame numbers and the rest of the count allow. So a
//! table is walked to once, and stores to empty entries share one barrier.
//!
//! Order within a change, whatever the kind: settings tree (may fail), table
//! entry, TLB flush (now or owed), IOMMU flush, references to pages.
#![forbid(unsafe_code)]

use crate::access::P2mAccess;
use crate::addr::{Gfn, Mfn};
use crate::error::{Errno, Result};
use crate::level::{Level, TableIndex};
use crate::lock::WriteView;
use crate::pte::{Kind, Pte};
use crate::types::P2mType;
use crate::walk::{Missing, Reached};
use crate::xen::table::{Owned, Removed, Table};
use crate::xen::target::Target;

/// What to map: frames from `mfn` on.
#[derive(Clone, Copy)]
struct Leaf {
    mfn: Mfn,
    ty: P2mType,
    access: P2mAccess,
}

impl Leaf {
    /// The entry that maps the frame `pages` further on.
    fn pte(self, pages: u64, level: Level) -> Pte {
        Pte::leaf(self.mfn.add(pages), self.ty, self.access, level)
    }
}

impl WriteView<'_> {
    /// Maps `nr` frames from `gfn` on to `target`. What was mapped there is
    /// replaced (and its references dropped).
    ///
    /// # Errors
    ///
    /// [`Errno::NoMem`] for a dying domain (XSA-410) or if a block cannot be
    /// split, [`Errno::NoEnt`] if a table cannot be created, [`Errno::Inval`]
    /// beyond the IPA space. A prefix of the range may be mapped then.
    // UPSTREAM-DEFECT: B16: an existing mapping is replaced without a word.
    pub fn insert(&mut self, gfn: Gfn, nr: u64, target: Target, access: P2mAccess) -> Result {
        self.refuse_if_dying()?;
        let (mfn, ty) = target.into_parts();
        let mut done = 0;
        while done < nr {
            let (gfn, mfn) = (gfn.add(done), mfn.add(done));
            let mut level = self.block_level(gfn.raw() | mfn.raw() | (nr - done));
            // Each page of a foreign block owns a reference, and a block is
            // dropped between two preemption checks (B4).
            if ty.is_foreign() {
                level = level.max(Level::L2);
            }
            let leaf = Leaf { mfn, ty, access };
            done += self.insert_run(gfn, level, (nr - done) >> level.order(), leaf)?;
        }
        Ok(())
    }

    /// Unmaps `nr` frames from `gfn` on. Holes are no error.
    ///
    /// # Errors
    ///
    /// As for [`Self::insert`]; a block that cannot be split stays whole
    /// (XSA-222). Also if the IOMMU may still reach what was unmapped; then no
    /// reference is dropped.
    pub fn remove(&mut self, gfn: Gfn, nr: u64) -> Result {
        self.refuse_if_dying()?;
        let mut done = 0;
        while done < nr {
            let gfn = gfn.add(done);
            let level = self.block_level(gfn.raw() | (nr - done));
            done += self.remove_run(gfn, level, (nr - done) >> level.order())?;
        }
        Ok(())
    }

    /// Removes exactly the mapping that a lookup found at `gfn`, also of a
    /// dying domain (`relinquish_p2m_mapping`). `gfn` is its first frame.
    ///
    /// # Errors
    ///
    /// As for [`Self::remove`].
    pub(crate) fn remove_mapping(&mut self, gfn: Gfn, level: Level) -> Result {
        self.remove_run(gfn, level, 1).map(|_| ())
    }

    /// No mapping may appear once relinquishing has begun.
    pub(crate) fn refuse_if_dying(&self) -> Result {
        match self.p2m().domain() {
            Some(domain) if !domain.is_dying() => Ok(()),
            _ => Err(Errno::NoMem),
        }
    }

    /// Level of the next run: pages only while introspection is in use.
    fn block_level(&self, mask: u64) -> Level {
        if self.p2m().mem_access_enabled() {
            Level::L3
        } else {
            Level::largest_block(mask)
        }
    }

    /// Maps at most `count` entries of `level`, in one table. Returns how many
    /// pages.
    fn insert_run(&mut self, gfn: Gfn, level: Level, count: u64, leaf: Leaf) -> Result<u64> {
        let first = level.index(gfn);
        let limit = count.min(first.room());
        let replaced = {
            let Reached::Table(table) = self.walk_to(gfn, level, Missing::Create)? else {
                return Err(Errno::NoEnt);
            };
            let filled = self.fill(table, first, limit, gfn, leaf)?;
            if filled > 0 {
                return Ok(filled << level.order());
            }
            self.replace(table, first, gfn, leaf)?
        };
        if let Some(replaced) = replaced {
            self.release(replaced);
        }
        Ok(level.pages())
    }

    /// Fills empty entries, up to the first that is not empty. Returns how
    /// many.
    fn fill(
        &self,
        table: Table<'_>,
        first: TableIndex,
        limit: u64,
        gfn: Gfn,
        leaf: Leaf,
    ) -> Result<u64> {
        let level = table.level();
        let mut filled = 0;
        let mut result = Ok(());
        for index in first.run(limit) {
            if table.load(index) != Pte::EMPTY {
                break;
            }
            let pages = filled << level.order();
            result = self.set_access_setting(gfn.add(pages), leaf.access);
            if result.is_err() {
                break;
            }
            let pte = leaf.pte(pages, level);
            table
                .slot(self, index)
                .vacate(self)
                .make(self, pte)
                .inherited();
            filled += 1;
        }
        if filled > 0 {
            let pages = filled << level.order();
            self.publish(table, first, filled);
            self.count_mapped(level, filled);
            self.note_mapped(gfn, gfn.add(pages - 1));
            // The mappings are there and own what the caller gave: an IOMMU
            // that did not flush is no failure of the insertion (B11). It was
            // logged, and the domain shut down.
            let _logged = self.iommu_flush(gfn, pages, false, true);
        }
        result.map(|()| filled)
    }

    /// Replaces the mapping or the table at one entry. Returns what is to be
    /// released.
    // UPSTREAM-DEFECT: B18: as in `split`.
    fn replace(
        &self,
        table: Table<'_>,
        index: TableIndex,
        gfn: Gfn,
        leaf: Leaf,
    ) -> Result<Option<Removed>> {
        let level = table.level();
        let pte = leaf.pte(0, level);
        let old = table.load(index);
        self.set_access_setting(gfn, leaf.access)?;

        let removed = table.slot(self, index).vacate(self).make(self, pte);
        self.publish(table, index, 1);
        self.count_mapped(level, 1);
        self.note_mapped(gfn, gfn.add(level.pages() - 1));
        if self
            .iommu_flush(gfn, level.pages(), old.hw_valid(), true)
            .is_err()
        {
            // The new mapping is there and owns what the caller gave (B11).
            // But a device may still reach what was there before: keep that.
            self.leak(removed);
            return Ok(None);
        }
        if old.kind(level) == Kind::Leaf && old.mfn() == pte.mfn() {
            self.release_same_frame(removed);
            return Ok(None);
        }
        Ok(Some(removed))
    }

    /// Releases a mapping whose place another mapping of the same frame took:
    /// its references go (B3), the page stays where it is.
    fn release_same_frame(&self, removed: Removed) {
        if let Owned::Leaf(leaf) = removed.into_owned() {
            self.count_unmapped(leaf.level());
            leaf.put_references();
        }
    }

    /// Clears at most `count` entries of `level`, in one table or in the hole
    /// that is there instead. Returns how many pages.
    fn remove_run(&mut self, gfn: Gfn, level: Level, count: u64) -> Result<u64> {
        let first = level.index(gfn);
        let limit = count.min(first.room());
        let removed = {
            let table = match self.walk_to(gfn, level, Missing::Stop)? {
                Reached::Table(table) => table,
                Reached::Hole(hole) => {
                    let rest = gfn
                        .next_boundary(hole.order())
                        .raw()
                        .wrapping_sub(gfn.raw());
                    return Ok(rest.min(count << level.order()));
                }
            };
            let cleared = self.clear_plain(table, first, limit, gfn)?;
            if cleared > 0 {
                return Ok(cleared << level.order());
            }
            self.set_access_setting(gfn, P2mAccess::Rwx)?;
            let removed = table.slot(self, first).clear(self);
            if let Err(errno) = self.iommu_flush(gfn, level.pages(), removed.was_live(), false) {
                // A device may still reach the pages: keep the references.
                self.leak(removed);
                return Err(errno);
            }
            removed
        };
        self.release(removed);
        Ok(level.pages())
    }

    /// Clears entries that are empty or whose mapping owns no reference, up to
    /// the first other one. Returns how many.
    fn clear_plain(
        &self,
        table: Table<'_>,
        first: TableIndex,
        limit: u64,
        gfn: Gfn,
    ) -> Result<u64> {
        let level = table.level();
        let mut cleared = 0;
        let mut was_live = false;
        let mut result = Ok(());
        for index in first.run(limit) {
            if !owns_nothing(table.load(index), level) {
                break;
            }
            result = self.set_access_setting(gfn.add(cleared << level.order()), P2mAccess::Rwx);
            if result.is_err() {
                break;
            }
            let removed = table.slot(self, index).clear(self);
            was_live |= removed.was_live();
            if let Owned::Leaf(leaf) = removed.into_owned() {
                self.release_leaf(leaf);
            }
            cleared += 1;
        }
        self.iommu_flush(gfn, cleared << level.order(), was_live, false)?;
        result.map(|()| cleared)
    }
}

/// Whether the entry is empty, or a mapping without references.
fn owns_nothing(pte: Pte, level: Level) -> bool {
    match pte.kind(level) {
        Kind::Empty => true,
        Kind::Table(_) => false,
        Kind::Leaf => !pte.ty().is_some_and(|ty| ty.is_foreign()),
    }
}
