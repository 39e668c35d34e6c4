// SPDX-License-Identifier: GPL-2.0-only
//! [`Deferred`]: work that is deferred until the write lock is released.
//!
//! Changes of the tables require three things that can be deferred: a barrier
//! for stores to reachable entries, a TLB flush for entries that were live, and
//! the freeing of removed tables, which must follow that flush. A
//! [`Deferred`] records which of them are needed, and does them when the lock is
//! released: one barrier and one flush for a whole call.
//!
//! What must *not* be deferred is done at once: the flush between break and make
//! ([`crate::table`]), and the barrier before an IOTLB flush
//! ([`crate::p2m::iommu`]).
//!
//! C has only a deferred flush, `need_flush` in `struct p2m_domain`, and
//! flushes the whole VMID. That field is still used for functions that C calls
//! with the lock held: if they end with a deferred flush, C's unlock does it.

use core::cell::Cell;

use super::pages::TablePages;
use super::P2m;
use crate::types::addr::Gfn;
use crate::types::level::Level;
use crate::xen::tlb;

/// The stale entries that TLBs may hold, since the tables have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stale {
    /// No stale entries.
    Nothing,
    /// Entries of level `granule` or larger ones, for the frames `first .. end`.
    Range {
        /// The first frame.
        first: u64,
        /// The frame after the last one.
        end: u64,
        /// The level of the smallest entry.
        granule: Level,
    },
    /// Any entry of the VMID.
    All,
}

impl Stale {
    /// The smallest value that covers both.
    fn union(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, one) | (one, Self::Nothing) => one,
            (Self::All, _) | (_, Self::All) => Self::All,
            (
                Self::Range {
                    first,
                    end,
                    granule,
                },
                Self::Range {
                    first: first2,
                    end: end2,
                    granule: granule2,
                },
            ) => Self::Range {
                first: first.min(first2),
                end: end.max(end2),
                granule: granule.max(granule2),
            },
        }
    }
}

/// The deferred work of one holder of the write lock.
///
/// # Invariants
///
/// The p2m's write lock is held for `'l` ([`TablePages`]). Whatever was deferred is done before
/// the lock is released: the drop of the guard calls [`Self::finish`], and a call by C with the
/// lock held ends with [`Self::leave_to_c`]. [`Self::finish_early`] may do it before. (What a
/// view has deferred may be handed to its host's first.)
pub(crate) struct Deferred<'l> {
    barrier: Cell<bool>,
    stale: Cell<Stale>,
    pages: TablePages<'l>,
}

impl<'l> Deferred<'l> {
    /// The deferred work of a p2m, of which there is none yet. (`need_flush` can only be set by a
    /// C caller that holds the lock: [`Self::take_over_from_c`].)
    ///
    /// # Safety
    ///
    /// The write lock is held for `'l`, and no other `Deferred` of the p2m exists.
    #[inline(always)]
    pub(super) unsafe fn of(p2m: &'l P2m) -> Self {
        Self {
            barrier: Cell::new(false),
            stale: Cell::new(Stale::Nothing),
            // SAFETY: by the caller's promise.
            pages: unsafe { TablePages::of(p2m) },
        }
    }

    /// The p2m.
    #[inline(always)]
    pub(super) fn p2m(&self) -> &'l P2m {
        self.pages.p2m()
    }

    /// The pages of new and of removed tables.
    #[inline(always)]
    pub(crate) fn pages(&self) -> &TablePages<'l> {
        &self.pages
    }

    /// Defers a barrier: stores to reachable entries were made, which walkers must see before
    /// the lock is released.
    pub(crate) fn defer_barrier(&self) {
        self.barrier.set(true);
    }

    /// Defers a flush: live entries of `level` in `gfn .. gfn + pages` have changed.
    pub(crate) fn defer_flush(&self, gfn: Gfn, pages: u64, level: Level) {
        let stale = Stale::Range {
            first: level.start(gfn).raw(),
            end: gfn.raw().saturating_add(pages),
            granule: level,
        };
        self.stale.set(self.stale.get().union(stale));
    }

    /// Defers a flush of the whole VMID: any live entry may have changed.
    pub(crate) fn defer_whole_flush(&self) {
        self.stale.set(Stale::All);
    }

    /// Whether TLBs may hold stale entries.
    #[inline]
    pub(crate) fn is_flush_needed(&self) -> bool {
        self.stale.get() != Stale::Nothing
    }

    /// Does the deferred barrier, if there is one (DSB ISHST): walkers see all stores made so far.
    pub(crate) fn barrier(&self) {
        if self.barrier.replace(false) {
            tlb::stores_are_visible();
        }
    }

    /// Makes all stores so far visible to all observers (DSB SY), before an IOTLB flush.
    pub(crate) fn barrier_for_devices(&self) {
        self.barrier.set(false);
        tlb::all_stores_are_complete();
    }

    /// Does the deferred flush, if there is one (`p2m_tlb_flush_sync`). The flush begins with a
    /// barrier.
    #[inline]
    pub(crate) fn tlb_flush_sync(&self) {
        if self.is_flush_needed() {
            self.flush_stale();
        }
    }

    #[inline(never)]
    fn flush_stale(&self) {
        match self.stale.replace(Stale::Nothing) {
            Stale::Nothing => {}
            Stale::All => self.force_tlb_flush_sync(),
            Stale::Range {
                first,
                end,
                granule,
            } => {
                self.barrier.set(false);
                tlb::flush_range(self.p2m().vttbr(), first, end, granule);
            }
        }
    }

    /// Flushes all TLB entries of the VMID, even if no flush is deferred
    /// (`p2m_force_tlb_flush_sync`).
    pub(crate) fn force_tlb_flush_sync(&self) {
        self.barrier.set(false);
        self.stale.set(Stale::Nothing);
        tlb::flush_vmid(self.p2m().vttbr());
        self.p2m().set_need_flush(false);
    }

    /// Does all deferred work without releasing the lock, when table pages run out or many
    /// removed tables are to be freed.
    #[inline(never)]
    pub(crate) fn finish_early(&mut self) {
        self.finish();
    }

    /// Does all deferred work, before the unlock.
    #[inline(always)]
    pub(super) fn finish(&mut self) {
        self.tlb_flush_sync();
        self.barrier();
        if self.pages.is_unfinished() {
            self.pages.finish();
        }
    }

    /// Takes over what a view of this p2m has deferred: it has the same VMID, and its tables come from the
    /// same pool.
    #[cfg(config_altp2m)]
    pub(super) fn take_over_from_view(&self, view: &Deferred<'_>) {
        self.barrier
            .set(self.barrier.get() | view.barrier.replace(false));
        let stale = view.stale.replace(Stale::Nothing);
        self.stale.set(self.stale.get().union(stale));
        self.pages.take_over_from_view(&view.pages);
    }

    /// Takes over the flush that C has deferred since it holds the lock (`need_flush`), at the
    /// beginning of a function that C calls with the lock held.
    #[inline(always)]
    pub(super) fn take_over_from_c(&self) {
        if self.p2m().need_flush() {
            self.defer_whole_flush();
        }
    }

    /// Does the deferred work at the end of a function that C called with the lock held, but
    /// leaves a flush of the whole VMID to C's unlock if no removed table needs it now.
    pub(super) fn leave_to_c(&mut self) {
        if self.stale.get() == Stale::All && !self.pages.any_removed() {
            self.stale.set(Stale::Nothing);
            self.p2m().set_need_flush(true);
        }
        self.finish_early();
    }
}
