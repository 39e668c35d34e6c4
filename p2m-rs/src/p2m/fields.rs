// SPDX-License-Identifier: GPL-2.0-only
//! The fields of `struct p2m_domain` that the lock protects, and statistics.

use core::sync::atomic::Ordering::Relaxed;

use super::lock::{ReadView, WriteView};
use super::{
    DefaultAccess, LowestMappedGfn, Mappings, MaxMappedGfn, MemAccessEnabled, Shattered,
    SweepCursor,
};
use crate::types::access::P2mAccess;
use crate::types::addr::Gfn;
use crate::types::errno::{Errno, Failure, Outcome};
use crate::types::level::{Level, TABLE_SHIFT};
use crate::types::owner::Owner;
use crate::xen::domain::Domain;

impl ReadView {
    /// Highest guest frame that was ever mapped, 0 if none was.
    #[inline(always)]
    pub fn max_mapped_gfn(&self) -> Gfn {
        Gfn::new(self.p2m().c().field(MaxMappedGfn).load(Relaxed))
    }

    /// Lowest guest frame that was ever mapped, `!0` if none was; during teardown, where to
    /// resume.
    pub fn lowest_mapped_gfn(&self) -> Gfn {
        Gfn::new(self.p2m().c().field(LowestMappedGfn).load(Relaxed))
    }

    /// The access that new mappings get.
    pub fn default_access(&self) -> P2mAccess {
        let raw = self.p2m().c().field(DefaultAccess).load(Relaxed);
        match P2mAccess::from_c(raw.into()) {
            Some(access) => access,
            None => P2mAccess::N,
        }
    }

    /// Leaves at `level`, for the statistics.
    pub fn mappings(&self, level: Level) -> u64 {
        let counts = self.p2m().c().field(Mappings);
        counts.get(level as usize).map_or(0, |n| n.load(Relaxed))
    }

    /// How often a leaf of `level` was split.
    pub fn shattered(&self, level: Level) -> u64 {
        let counts = self.p2m().c().field(Shattered);
        counts.get(level as usize).map_or(0, |n| n.load(Relaxed))
    }
}

impl<O: Owner> WriteView<'_, O> {
    /// No mapping may appear once relinquishing has begun.
    ///
    /// # Errors
    ///
    /// [`Errno::ENOMEM`], as C answers (XSA-410).
    pub(crate) fn refuse_if_dying(&self) -> Outcome {
        self.living_domain().map(|_| ())
    }

    /// The domain, if it is not being destroyed.
    ///
    /// # Errors
    ///
    /// As [`Self::refuse_if_dying`].
    #[inline(always)]
    pub(crate) fn living_domain(&self) -> Outcome<&Domain> {
        match self.p2m().domain() {
            Some(domain) if !domain.is_dying() => Ok(domain),
            _ => Err(Failure::Refused(Errno::ENOMEM)),
        }
    }

    /// Widens the range of frames that may be mapped to hold
    /// `first ..= last`.
    pub(crate) fn note_mapped(&self, first: Gfn, last: Gfn) {
        let fields = self.p2m().c();
        // Load, compare, store: the write lock is held, so no read-modify-write is needed.
        if last > self.max_mapped_gfn() {
            fields.field(MaxMappedGfn).store(last.raw(), Relaxed);
        }
        if first < self.lowest_mapped_gfn() {
            fields.field(LowestMappedGfn).store(first.raw(), Relaxed);
        }
    }

    /// During teardown, where to resume.
    pub(crate) fn set_lowest_mapped_gfn(&mut self, gfn: Gfn) {
        self.p2m()
            .c()
            .field(LowestMappedGfn)
            .store(gfn.raw(), Relaxed);
    }

    /// The frame with which the next search for empty tables begins (`table::sweep`).
    pub(crate) fn sweep_cursor(&self) -> Gfn {
        let table = self.p2m().c().field(SweepCursor).get();
        Gfn::new(u64::from(table) << TABLE_SHIFT)
    }

    /// Sets [`Self::sweep_cursor`], to the first frame of a level-3 table.
    pub(crate) fn set_sweep_cursor(&self, gfn: Gfn) {
        // 27 bits: a mapped frame has at most 36. A search that ran past the IPA space restarts at 0.
        let table = u32::try_from(gfn.raw() >> TABLE_SHIFT).unwrap_or(0);
        self.p2m().c().field(SweepCursor).set(table);
    }

    /// mem_access is in use from now on: no block mappings any more. To be called
    /// before the first entry, or the default access, becomes anything but what a
    /// domain without mem_access has.
    pub(crate) fn enable_mem_access(&self) {
        self.p2m().c().field(MemAccessEnabled).store(true, Relaxed);
    }

    /// Sets the access that new mappings will get. If it is another one than before,
    /// mem_access is in use from then on.
    pub fn set_default_access(&mut self, access: P2mAccess) {
        if access != self.default_access() {
            self.enable_mem_access();
            self.p2m()
                .c()
                .field(DefaultAccess)
                .store(access.to_c(), Relaxed);
        }
    }

    /// Counts `n` more leaves at `level`.
    pub(crate) fn count_mapped(&self, level: Level, n: u64) {
        if let Some(count) = self.p2m().c().field(Mappings).get(level as usize) {
            count.store(count.load(Relaxed).wrapping_add(n), Relaxed);
        }
    }

    /// Counts `n` leaves fewer at `level`.
    pub(crate) fn count_unmapped(&self, level: Level, n: u64) {
        if let Some(count) = self.p2m().c().field(Mappings).get(level as usize) {
            count.store(count.load(Relaxed).wrapping_sub(n), Relaxed);
        }
    }

    /// Counts `n` more splits of leaves at `level` (modulo 2^64).
    pub(crate) fn count_shattered(&self, level: Level, n: u64) {
        if let Some(count) = self.p2m().c().field(Shattered).get(level as usize) {
            count.store(count.load(Relaxed).wrapping_add(n), Relaxed);
        }
    }
}
