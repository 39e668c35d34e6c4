// SPDX-License-Identifier: GPL-2.0-only
//! What a holder of the write lock owes.
//!
//! Changing tables costs three things that need not be paid at once: a barrier
//! for stores to reachable entries, a TLB flush for entries that were live, and
//! the freeing of tables that were taken out, which must wait for that flush. A
//! [`WriteView`] keeps account of them, and settles when the lock is released:
//! one barrier, one flush for a whole call.
//!
//! What may *not* wait is paid in between: the flush between break and make
//! ([`crate::xen::table`]), and the barrier before a device is told
//! ([`crate::xen::iommu`]).
//!
//! C has `need_flush` in `struct p2m_domain` for the second of the three, and
//! flushes the whole VMID. That field is still there for functions that C calls
//! with the lock held: what they owe at their end is handed over to C's unlock.
#![forbid(unsafe_code)]

use core::cell::Cell;

use crate::addr::Gfn;
use crate::level::Level;
use crate::lock::WriteView;
use crate::xen::pool::Spare;
use crate::xen::tlb;

/// What TLBs may hold that the tables do not say any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stale {
    /// Nothing.
    Nothing,
    /// Entries that span at least 2^`granule`'s order pages each, from `first`
    /// to before `end`.
    Range {
        /// First frame.
        first: u64,
        /// Frame after the last one.
        end: u64,
        /// Level of the smallest entry.
        granule: Level,
    },
    /// Any entry of the domain.
    All,
}

impl Stale {
    /// Both: the smallest range that holds the two.
    fn and(self, other: Self) -> Self {
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

/// Tables that are freed without a look whether to preempt: as many as
/// `p2m_teardown` frees.
const MANY_TABLES: usize = 512;

/// The account.
pub(crate) struct Owed {
    barrier: Cell<bool>,
    stale: Cell<Stale>,
    /// Tables at the end of the list of pages that are in no tree any more.
    tables: Cell<usize>,
    /// Pages of the pool, taken ahead.
    pub(crate) spare: Spare,
}

impl Owed {
    /// For a view that begins; `need_flush` is what C's flag says.
    #[inline(always)]
    pub(crate) fn new(need_flush: bool) -> Self {
        Self {
            barrier: Cell::new(false),
            stale: Cell::new(if need_flush {
                Stale::All
            } else {
                Stale::Nothing
            }),
            tables: Cell::new(0),
            spare: Spare::default(),
        }
    }
}

impl WriteView<'_> {
    /// Stores to reachable entries were made: walkers must see them before the
    /// lock is released.
    pub(crate) fn owe_barrier(&self) {
        self.owed().barrier.set(true);
    }

    /// Entries of `level` in `gfn .. gfn + pages` were live and have changed.
    pub(crate) fn owe_flush(&self, gfn: Gfn, pages: u64, level: Level) {
        let first = gfn.raw() & !(level.pages() - 1);
        let stale = Stale::Range {
            first,
            end: gfn.raw().saturating_add(pages),
            granule: level,
        };
        let owed = &self.owed().stale;
        owed.set(owed.get().and(stale));
    }

    /// Anything may have changed.
    pub(crate) fn owe_whole_flush(&self) {
        self.owed().stale.set(Stale::All);
    }

    /// A table was taken out of the tree, and moved to the end of the list of
    /// pages.
    pub(crate) fn owe_table(&self) {
        let tables = &self.owed().tables;
        tables.set(tables.get() + 1);
    }

    /// Whether tables wait to be freed.
    pub(crate) fn owes_tables(&self) -> bool {
        self.owed().tables.get() > 0
    }

    /// Whether so many tables wait that freeing them takes as long as other
    /// work between two looks whether to preempt.
    pub(crate) fn owes_many_tables(&self) -> bool {
        self.owed().tables.get() >= MANY_TABLES
    }

    /// Walkers see all stores from here on (DSB ISHST), if any is owed.
    pub(crate) fn pay_barrier(&self) {
        if self.owed().barrier.replace(false) {
            tlb::stores_are_visible();
        }
    }

    /// All stores so far are visible to everybody (DSB SY), before a device is
    /// told about them.
    pub(crate) fn barrier_for_devices(&self) {
        self.owed().barrier.set(false);
        tlb::all_stores_are_complete();
    }

    /// Flushes what TLBs may hold, if anything (`p2m_tlb_flush_sync`). The
    /// flush begins with a barrier.
    #[inline]
    pub fn tlb_flush_sync(&self) {
        if self.owes_flush() {
            self.flush_stale();
        }
    }

    /// Whether TLBs may hold what the tables do not say any more.
    #[inline]
    pub(crate) fn owes_flush(&self) -> bool {
        self.owed().stale.get() != Stale::Nothing
    }

    #[inline(never)]
    fn flush_stale(&self) {
        match self.owed().stale.replace(Stale::Nothing) {
            Stale::Nothing => {}
            Stale::All => self.force_tlb_flush_sync(),
            Stale::Range {
                first,
                end,
                granule,
            } => {
                self.owed().barrier.set(false);
                tlb::flush_range(self.p2m(), first, end, granule);
            }
        }
    }

    /// Flushes all that TLBs hold for the domain, owed or not
    /// (`p2m_force_tlb_flush_sync`).
    pub fn force_tlb_flush_sync(&self) {
        self.owed().barrier.set(false);
        self.owed().stale.set(Stale::Nothing);
        tlb::flush_vmid(self.p2m());
        self.p2m().set_need_flush(false);
    }

    /// Pays everything before the lock is released: when table pages run out, or
    /// many wait.
    #[inline(never)]
    pub(crate) fn settle(&mut self) {
        self.pay_all();
    }

    /// Pays everything, at the unlock.
    #[inline(always)]
    pub(crate) fn pay_all(&mut self) {
        self.tlb_flush_sync();
        self.pay_barrier();
        if self.owes_tables() || self.owed().spare.is_any() {
            self.free_tables();
        }
    }

    #[inline(never)]
    fn free_tables(&mut self) {
        let tables = self.owed().tables.replace(0);
        self.free_table_pages(tables);
    }

    /// At the end of a function that C called with the lock held: a flush of
    /// the whole VMID is left to C's unlock, all else is paid.
    pub(crate) fn hand_over(&mut self) {
        if self.owed().stale.get() == Stale::All && !self.owes_tables() {
            self.owed().stale.set(Stale::Nothing);
            self.p2m().set_need_flush(true);
        }
        self.settle();
    }
}
