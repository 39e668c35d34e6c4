// SPDX-License-Identifier: GPL-2.0-only
//! What a TLB or a walk cache may still hold, at worst.
//!
//! A TLB may hold anything that could be walked to since the last TLBI that
//! covers it. So each entry that was valid and reachable and then changed is
//! remembered, by tree, level and guest frame, with its old value, until that
//! TLBI; and for an entry that led to a table, that anything below it may be
//! cached as well (its *span*). From this follow:
//!
//! - T1, break-before-make (Arm ARM, R_WHZWS): no new valid value while an old
//!   one may be cached that differs in more than permissions;
//! - T3: nothing is remembered any more when the write lock is dropped;
//! - T5: nor is a page put;
//! - T4: a table that was taken out is not freed, written, or linked again while it may be
//!   cached: walks may be in it, and what they find there must be what they were to find;
//! - P5: T1 for the TLB of an IOMMU that uses the same tables, except that it may hold a block beside its parts
//!   for a moment: they name the same frames.
//!
//! A TLBI by IPA takes what would be used to translate that IPA: the leaf whose
//! span holds it, and the table entries on its way. It takes no other page of a
//! table; so a span is clear only after all of it was invalidated page by page,
//! by range, or with the VMID.
//!
//! An entry under an invalid one cannot be walked to, unless that one itself
//! may be cached. Barriers are [`super::visible`]'s; the TLBI helpers bring
//! their own.

use std::collections::BTreeMap;
use std::ops::Range;

use super::changed::{Changed, Key};
use crate::ground::event::Mfn;
use crate::ground::hash::WordMap;
use crate::ground::pte;

/// S2AP and XN; and bits 62:59, which hardware ignores.
pub(crate) const PERMISSIONS: u64 = pte::READ | pte::WRITE | pte::XN | 0xF << 59;

/// What may be cached though the tables say something else.
#[derive(Debug, Default)]
pub(crate) struct Tlb {
    /// Entries that changed: the old value.
    pub(crate) entries: Changed,
    /// Entries that led to a table, and which: anything below may be cached.
    pub(crate) spans: BTreeMap<Key, Mfn>,
    /// Tables out of the tree.
    pub(crate) tables: WordMap<Gone>,
}

/// A table that was taken out of the tree, in which walks may be until its span is flushed.
#[derive(Debug)]
pub(crate) struct Gone {
    /// The span that it was in.
    pub(crate) span: Key,
    /// Its valid entries at that moment: a walk, and a walk cache, may go on from any of them.
    pub(crate) entries: Vec<u64>,
    /// That it was not left alone was said.
    pub(crate) is_said: bool,
}

/// What an invalidation covers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope {
    /// Everything.
    Vmid,
    /// `count` addresses, 2^`order` frames apart.
    Ipas { gfn: u64, count: u64, order: u32 },
    /// All of a range.
    Range { gfn: u64, nr: u64 },
}

impl Scope {
    /// Whether an entry of these frames is invalidated: one address is enough.
    pub(crate) fn takes(self, gfns: &Range<u64>) -> bool {
        match self {
            Self::Vmid => true,
            Self::Ipas { gfn, count, order } => {
                let first = gfns.start.saturating_sub(gfn).div_ceil(1 << order);
                first < count && gfns.contains(&(gfn + (first << order)))
            }
            Self::Range { gfn, nr } => gfns.start < gfn + nr && gfn < gfns.end,
        }
    }

    /// Whether every page of these frames is invalidated.
    pub(crate) fn takes_all(self, gfns: &Range<u64>) -> bool {
        let covers = |gfn: u64, nr: u64| gfn <= gfns.start && gfns.end <= gfn + nr;
        match self {
            Self::Vmid => true,
            Self::Ipas { gfn, count, order } => order == 0 && covers(gfn, count),
            Self::Range { gfn, nr } => covers(gfn, nr),
        }
    }
}

pub(crate) fn gfns((_, level, gfn): Key) -> Range<u64> {
    gfn..gfn + (1 << pte::order(level))
}

pub(crate) fn valid(entry: u64) -> bool {
    entry & pte::VALID != 0
}

impl Tlb {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.spans.is_empty()
    }

    /// Whether a walk may go on at `table` from the entry at `key`, which is
    /// invalid now.
    pub(crate) fn may_lead_to(&self, key: Key, table: Mfn) -> bool {
        let entry = self.entries.get(&key);
        let is_pointer = |entry: u64| pte::is_table(entry, key.1) && pte::mfn(entry) == table;
        entry.is_some_and(is_pointer) || self.spans.get(&key) == Some(&table)
    }

    /// What may be used in place of the entry at `key`: the old value, or that of a table below
    /// which anything may be cached.
    pub(crate) fn cached(&self, key: Key) -> Option<u64> {
        let table = |&mfn: &Mfn| pte::VALID | pte::TABLE | mfn << 12;
        let entry = self.entries.get(&key);
        entry.or_else(|| self.spans.get(&key).map(table))
    }

    /// An entry that a walker could come to has changed. Returns what may be cached
    /// and may not coexist with what it says now; the entry's own old value only if that
    /// `may_not_stay`.
    pub(crate) fn store(
        &mut self,
        key: Key,
        old: u64,
        new: u64,
        may_not_stay: impl Fn(u64) -> bool,
    ) -> Option<u64> {
        let previous = if valid(old) {
            Some(self.entries.add(key, old))
        } else {
            self.entries.get(&key)
        };
        let conflict = valid(new)
            .then(|| self.conflict(key, previous, new, may_not_stay))
            .flatten();
        let level = key.1;
        let stays = valid(new) && pte::is_table(new, level) && pte::mfn(new) == pte::mfn(old);
        if valid(old) && pte::is_table(old, level) && !stays {
            self.spans.insert(key, pte::mfn(old));
        }
        conflict
    }

    /// Forgets what an invalidation takes, of the domains that are meant.
    pub(crate) fn flush(&mut self, is_meant: impl Fn(usize) -> bool, scope: Scope) {
        self.entries
            .retain(|key| !(is_meant(key.0) && scope.takes(&gfns(key))));
        self.spans
            .retain(|&key, _| !(is_meant(key.0) && scope.takes_all(&gfns(key))));
        let spans = &self.spans;
        self.tables.retain(|_, gone| spans.contains_key(&gone.span));
    }

    /// Whether walks may be in a table that is out of the tree: true once, for somebody who says so.
    pub(crate) fn is_not_left_alone(&mut self, table: Mfn) -> bool {
        let gone = self.tables.get_mut(&table);
        gone.is_some_and(|gone| {
            let was_said = std::mem::replace(&mut gone.is_said, true);
            !was_said && self.spans.contains_key(&gone.span)
        })
    }

    /// An old value that the valid `new` at `key` may not coexist with.
    pub(crate) fn conflict(
        &self,
        key: Key,
        previous: Option<u64>,
        new: u64,
        may_not_stay: impl Fn(u64) -> bool,
    ) -> Option<u64> {
        if previous.is_none() && self.is_empty() {
            return None;
        }
        let (domain, level, gfn) = key;
        let same = previous.filter(|&previous| (previous ^ new) & !PERMISSIONS != 0);
        let same = same.filter(|&previous| may_not_stay(previous));
        let above = (0..level).find_map(|l| {
            let first = gfn >> pte::order(l) << pte::order(l);
            let old = self.entries.get(&(domain, l, first));
            old.filter(|&old| pte::is_leaf(old, l))
        });
        let below = || {
            if pte::is_table(new, level) {
                // Another table than before: its entries are no news for what
                // is cached of the old one's.
                return self.spans.get(&key).map(|_| 0);
            }
            let gfns = gfns(key);
            (level..4).find_map(|l| {
                let range = (domain, l, gfns.start)..(domain, l, gfns.end);
                let mut entries = self.entries.range(range.clone());
                let entry = entries.find(|(k, _)| **k != key);
                let span = || self.spans.range(range).next().map(|_| 0);
                entry.map(|(_, old)| *old).or_else(span)
            })
        };
        same.or(above).or_else(below)
    }
}
