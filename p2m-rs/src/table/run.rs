// SPDX-License-Identifier: GPL-2.0-only
//! Runs of entries: leaves that map consecutive frames with the same attributes, or entries
//! that are all empty.
//!
//! Functions that change a range spend nearly all of their time here, so entries are read
//! and written four at a time, each of them single-copy atomically (LDP and STP
//! of two registers: DDI 0487K, B2.2.1).

use core::marker::PhantomData;

use xen_sys::arch;

use super::{Slot, Table, Unreported};
use crate::p2m::lock::WriteView;
use crate::types::level::{Level, TableIndex, ENTRIES};
use crate::types::owner::Owner;
use crate::types::pte::Pte;

/// Entries that are read or written together.
const GROUP: usize = 4;

/// The values of the entries of a run, in order.
#[derive(Clone, Copy)]
pub(super) struct Series {
    next: Pte,
    /// Pages from one entry's frame to the next one's; 0 for empty entries.
    step: u64,
}

impl Series {
    /// The run that begins with `first`: a leaf of `level` and the leaves that map the frames
    /// after it; or empty entries, if `first` is empty.
    #[inline(always)]
    pub(super) fn of(first: Pte, level: Level) -> Self {
        let step = if first.is_mapped() { level.pages() } else { 0 };
        Self { next: first, step }
    }

    #[inline(always)]
    fn skip(&mut self, entries: usize) {
        self.next = self.next.advanced(self.step * entries as u64);
    }

    #[inline(always)]
    fn group(self) -> [u64; GROUP] {
        let second = self.next.advanced(self.step);
        let third = second.advanced(self.step);
        let fourth = third.advanced(self.step);
        [self.next, second, third, fourth].map(Pte::bits)
    }
}

/// Whether two groups are equal, without a branch for each entry.
#[inline(always)]
fn same(one: [u64; GROUP], other: [u64; GROUP]) -> bool {
    let ([a, b, c, d], [e, f, g, h]) = (one, other);
    (a == e) & (b == f) & (c == g) & (d == h)
}

/// The entries of a table that are still to be read or written.
///
/// # Invariants
///
/// There are `left` entries from `at` on, of a table as [`Table`]'s invariants say; `at`
/// itself need not be the begin of one.
struct Rest<'v> {
    at: *mut u64,
    left: usize,
    _lock: PhantomData<&'v ()>,
}

impl<'v> Rest<'v> {
    /// The first of them, if there is any.
    #[inline(always)]
    fn first(&self) -> Option<Slot<'v>> {
        // INVARIANT: there is an entry at `at`.
        (self.left > 0).then_some(Slot(self.at, self._lock))
    }

    /// The next entry, if there is one.
    #[inline(always)]
    fn peek(&self) -> Option<Pte> {
        self.first().map(Slot::load)
    }

    /// The next [`GROUP`] entries, if so many are left.
    #[inline(always)]
    fn peek_group(&self) -> Option<[u64; GROUP]> {
        // SAFETY: `left` entries follow in a live table (the lock is held): at least GROUP.
        (self.left >= GROUP).then(|| unsafe { arch::pte_load_four(self.at) })
    }

    /// Writes the next entry, if there is one.
    #[inline(always)]
    fn put(&self, entry: Pte) {
        if let Some(slot) = self.first() {
            slot.store(entry);
        }
    }

    /// Writes the next [`GROUP`] entries, if so many are left, without a barrier.
    #[inline(always)]
    fn put_group(&self, group: [u64; GROUP]) {
        if self.left >= GROUP {
            // SAFETY: `left` entries follow in a live table: at least GROUP; all callers
            // have a WriteView, or own the table.
            unsafe { arch::pte_store_four(self.at, group) };
        }
    }

    /// Skips `entries` entries; at least so many must be left.
    #[inline(always)]
    fn skip(&mut self, entries: usize) {
        self.at = self.at.wrapping_add(entries);
        self.left -= entries;
    }
}

impl<'v> Table<'v> {
    /// The `count` entries from `first` on, but none past the end of the table.
    #[inline(always)]
    fn rest(self, first: TableIndex, count: u64) -> Rest<'v> {
        // At most 512, by the minimum with entries_left().
        #[allow(clippy::cast_possible_truncation)]
        let left = count.min(first.entries_left()) as usize;
        let Slot(at, _lock) = self.slot(first);
        Rest { at, left, _lock }
    }

    /// The length of the run from `first` on, `limit` at most, that begins with `leaf`, the
    /// value of entry `first`.
    #[inline(never)]
    pub(crate) fn run_of(self, first: TableIndex, leaf: Pte, limit: u64) -> u64 {
        let mut like = Series::of(leaf, self.level);
        let mut rest = self.rest(first, limit);
        let most = rest.left;
        while let Some(found) = rest.peek_group() {
            if !same(found, like.group()) {
                break;
            }
            like.skip(GROUP);
            rest.skip(GROUP);
        }
        while rest.peek() == Some(like.next) {
            like.skip(1);
            rest.skip(1);
        }
        (most - rest.left) as u64
    }

    /// `None` unless all entries together map what one block would, that is, consecutive
    /// frames with the same attributes; their valid bits may differ. `Some` says whether any
    /// entry has its valid bit set.
    #[inline(never)]
    pub(crate) fn maps_one_block(self) -> Option<bool> {
        let valid = |entry| Pte::from_bits(entry).with_valid_bit().bits();
        let first = self.load(TableIndex::FIRST).with_valid_bit();
        let mut like = Series::of(first, self.level);
        let mut rest = self.rest(TableIndex::FIRST, ENTRIES as u64);
        let mut any = false;
        while let Some(found @ [a, b, c, d]) = rest.peek_group() {
            if !same(found.map(valid), like.group()) {
                return None;
            }
            any |= Pte::from_bits(a | b | c | d).valid_bit();
            like.skip(GROUP);
            rest.skip(GROUP);
        }
        Some(any)
    }

    /// Replaces entries from `first` on by those of `new`, for as long as they equal those of
    /// `old`, `limit` entries at most, without a barrier. Returns the number of entries replaced.
    #[inline(never)]
    pub(super) fn rewrite_while(
        self,
        first: TableIndex,
        limit: u64,
        mut old: Series,
        mut new: Series,
    ) -> u64 {
        let mut rest = self.rest(first, limit);
        let most = rest.left;
        while let Some(found) = rest.peek_group() {
            if !same(found, old.group()) {
                break;
            }
            rest.put_group(new.group());
            old.skip(GROUP);
            new.skip(GROUP);
            rest.skip(GROUP);
        }
        while rest.peek() == Some(old.next) {
            rest.put(new.next);
            old.skip(1);
            new.skip(1);
            rest.skip(1);
        }
        (most - rest.left) as u64
    }

    /// [`Self::rewrite_while`] for callers that know that entry `first` equals the first of
    /// `old`: for a `limit` of 1 no function is called.
    #[inline(always)]
    pub(super) fn rewrite(self, first: TableIndex, limit: u64, old: Series, new: Series) -> u64 {
        debug_assert!(self.load(first) == old.next);
        if limit == 1 {
            self.store(first, new.next);
            return 1;
        }
        self.rewrite_while(first, limit, old, new)
    }

    /// Writes `count` entries from `first` on, without a barrier.
    #[inline(never)]
    pub(super) fn write(self, first: TableIndex, count: u64, mut new: Series) {
        let mut rest = self.rest(first, count);
        while rest.left >= GROUP {
            rest.put_group(new.group());
            new.skip(GROUP);
            rest.skip(GROUP);
        }
        while rest.left > 0 {
            rest.put(new.next);
            new.skip(1);
            rest.skip(1);
        }
    }

    /// Clears all entries, each by a single-copy atomic store. The caller reports the stores, and defers
    /// a flush.
    #[cfg(config_altp2m)]
    pub(super) fn clear_all(self, _write: &WriteView<'_, impl Owner>) -> Unreported {
        let empty = Series::of(Pte::EMPTY, self.level).group();
        let mut rest = self.rest(TableIndex::FIRST, ENTRIES as u64);
        while let Some(found) = rest.peek_group() {
            if !same(found, empty) {
                rest.put_group(empty);
            }
            rest.skip(GROUP);
        }
        Unreported(())
    }

    /// Clears the valid bits of all entries, and no other bits. `None` if all were clear
    /// already. Otherwise the caller reports the stores, and defers a flush if the hardware
    /// could walk to the table.
    pub(crate) fn clear_valid_bits(self, _write: &WriteView<'_, impl Owner>) -> Option<Unreported> {
        let mut any = false;
        let mut rest = self.rest(TableIndex::FIRST, ENTRIES as u64);
        while let Some([a, b, c, d]) = rest.peek_group() {
            if Pte::from_bits(a | b | c | d).valid_bit() {
                let clear = |entry| Pte::from_bits(entry).without_valid_bit().bits();
                rest.put_group([clear(a), clear(b), clear(c), clear(d)]);
                any = true;
            }
            rest.skip(GROUP);
        }
        any.then(|| Unreported(()))
    }

    /// Sets the valid bits of all entries that map something, and no other bits, as
    /// [`Slot::validate`] does for one. The caller reports the stores.
    pub(crate) fn set_valid_bits(self, _write: &WriteView<'_, impl Owner>) -> Unreported {
        let mut rest = self.rest(TableIndex::FIRST, ENTRIES as u64);
        while let Some(pte) = rest.peek() {
            if pte.is_mapped() {
                rest.put(pte.with_valid_bit());
            }
            rest.skip(1);
        }
        Unreported(())
    }
}

// A table consists of whole groups.
const _: () = assert!(ENTRIES % GROUP == 0);
