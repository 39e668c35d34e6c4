// SPDX-License-Identifier: GPL-2.0-only
//! What a TLB or a walk cache may still hold, at worst.
//!
//! A TLB may hold anything that could be walked to since the last TLBI that
//! covers it. So each entry that was valid and reachable and then changed is
//! remembered, by domain, level and guest frame, with its old value, until that
//! TLBI; and for an entry that led to a table, that anything below it may be
//! cached as well (its *span*). From this follow:
//!
//! - T1, break-before-make (Arm ARM, R_WHZWS): no new valid value while an old
//!   one may be cached that differs in more than permissions;
//! - T3: nothing is remembered any more when the write lock is dropped;
//! - T5: nor is a page put;
//! - T4: a table that was taken out is not freed while it may be cached;
//! - P5: T1 for the TLB of an IOMMU that uses the same tables.
//!
//! A TLBI by IPA takes what would be used to translate that IPA: the leaf whose
//! span holds it, and the table entries on its way. It takes no other page of a
//! table; so a span is clear only after all of it was invalidated page by page,
//! by range, or with the VMID.
//!
//! An entry under an invalid one cannot be walked to, unless that one itself
//! may be cached. Barriers are [`crate::visible`]'s; the TLBI helpers bring
//! their own.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::event::Mfn;
use crate::hash::WordMap;
use crate::machine::State;
use crate::pte;
use crate::world::Domain;

/// S2AP and XN; and bits 62:59, which hardware ignores.
const PERMISSIONS: u64 = pte::READ | pte::WRITE | pte::XN | 0xF << 59;

/// An entry: address of its domain, level, first guest frame.
type Key = (usize, u32, u64);

/// What may be cached though the tables say something else.
#[derive(Debug, Default)]
pub(crate) struct Tlb {
    /// Entries that changed: the old value.
    entries: BTreeMap<Key, u64>,
    /// Entries that led to a table, and which: anything below may be cached.
    spans: BTreeMap<Key, Mfn>,
    /// Tables out of the tree, and the span that they were in.
    tables: WordMap<Key>,
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
    fn takes(self, gfns: &Range<u64>) -> bool {
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
    fn takes_all(self, gfns: &Range<u64>) -> bool {
        let covers = |gfn: u64, nr: u64| gfn <= gfns.start && gfns.end <= gfn + nr;
        match self {
            Self::Vmid => true,
            Self::Ipas { gfn, count, order } => order == 0 && covers(gfn, count),
            Self::Range { gfn, nr } => covers(gfn, nr),
        }
    }
}

fn gfns((_, level, gfn): Key) -> Range<u64> {
    gfn..gfn + (1 << pte::order(level))
}

fn valid(entry: u64) -> bool {
    entry & pte::VALID != 0
}

impl Tlb {
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.spans.is_empty()
    }

    /// Whether a walk may go on at `table` from the entry at `key`, which is
    /// invalid now.
    fn may_lead_to(&self, key: Key, table: Mfn) -> bool {
        let entry = self.entries.get(&key);
        let is_pointer = |&entry: &u64| pte::is_table(entry, key.1) && pte::mfn(entry) == table;
        entry.is_some_and(is_pointer) || self.spans.get(&key) == Some(&table)
    }

    /// An entry that a walker could come to has changed. Returns what may be cached
    /// and may not coexist with what it says now.
    fn store(&mut self, key: Key, old: u64, new: u64) -> Option<u64> {
        let cached = self.entries.get(&key).copied();
        let previous = cached.or(valid(old).then_some(old));
        let conflict = valid(new)
            .then(|| self.conflict(key, previous, new))
            .flatten();
        if let Some(previous) = previous {
            self.entries.entry(key).or_insert(previous);
        }
        let level = key.1;
        let stays = valid(new) && pte::is_table(new, level) && pte::mfn(new) == pte::mfn(old);
        if valid(old) && pte::is_table(old, level) && !stays {
            self.spans.insert(key, pte::mfn(old));
        }
        conflict
    }

    /// Forgets what an invalidation takes, of the domains that are meant.
    fn flush(&mut self, is_meant: impl Fn(usize) -> bool, scope: Scope) {
        self.entries
            .retain(|&key, _| !(is_meant(key.0) && scope.takes(&gfns(key))));
        self.spans
            .retain(|&key, _| !(is_meant(key.0) && scope.takes_all(&gfns(key))));
        let spans = &self.spans;
        self.tables.retain(|_, span| spans.contains_key(span));
    }

    /// An old value that the valid `new` at `key` may not coexist with.
    fn conflict(&self, key: Key, previous: Option<u64>, new: u64) -> Option<u64> {
        if previous.is_none() && self.is_empty() {
            return None;
        }
        let (domain, level, gfn) = key;
        let same = previous.filter(|previous| (previous ^ new) & !PERMISSIONS != 0);
        let above = (0..level).find_map(|l| {
            let first = gfn >> pte::order(l) << pte::order(l);
            let old = self.entries.get(&(domain, l, first)).copied();
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
                let entry = self.entries.range(range.clone()).find(|(k, _)| **k != key);
                let span = || self.spans.range(range).next().map(|_| 0);
                entry.map(|(_, old)| *old).or_else(span)
            })
        };
        same.or(above).or_else(below)
    }
}

impl State {
    /// The key of a word of a live table.
    fn key_of(&self, mfn: Mfn, index: usize) -> Option<Key> {
        let table = self.tables.live.get(mfn)?;
        Some((table.domain, table.level, self.gfns_of(mfn, index).start))
    }

    /// Can a walker come to this table, or might it a moment ago?
    pub(crate) fn walkable(&self, mfn: Mfn) -> bool {
        self.walkable_with(&self.tlb, mfn)
    }

    fn walkable_with(&self, cache: &Tlb, mfn: Mfn) -> bool {
        let mut at = mfn;
        loop {
            let Some(table) = self.tables.live.get(at) else {
                return false;
            };
            let Some((above, index)) = table.parent else {
                return true;
            };
            let is_valid = valid(self.frames.pages.peek_word(above, index));
            let key = self.key_of(above, index);
            if !is_valid && !key.is_some_and(|key| cache.may_lead_to(key, at)) {
                return false;
            }
            at = above;
        }
    }

    /// A word of a live table has changed.
    pub(crate) fn tlb_store(&mut self, mfn: Mfn, index: usize, old: u64, new: u64) {
        if old == new {
            return;
        }
        let Some(key) = self.key_of(mfn, index) else {
            return;
        };
        if self.walkable_with(&self.tlb, mfn) {
            if let Some(stale) = self.tlb.store(key, old, new) {
                self.broken(
                    "T1",
                    format!(
                        "word {index} of table {mfn:#x} becomes {new:#x} while TLBs may hold \
                         {stale:#x}"
                    ),
                );
            }
        }
        let is_shared = self.is_behind_iommu(key.0) && self.config.iommu_shares_tables;
        if !is_shared || self.is_gone(key.0) {
            return;
        }
        if self.walkable_with(&self.iotlb_cache, mfn) {
            if let Some(stale) = self.iotlb_cache.store(key, old, new) {
                self.broken(
                    "P5",
                    format!(
                        "word {index} of table {mfn:#x} becomes {new:#x} while the IOTLB may \
                         hold {stale:#x}"
                    ),
                );
            }
        }
    }

    /// Whether the domain is dying: its devices are gone.
    pub(crate) fn is_gone(&self, domain: usize) -> bool {
        let record = self.domains.by_address(domain);
        record.is_none_or(|d| Domain(d.pointer).is_dying())
    }

    /// The IOTLB is flushed for some guest frames; or that failed, and what may be in
    /// it is the IOMMU's fault from then on.
    pub(crate) fn iotlb_cache_flush(&mut self, domain: usize, gfns: &Range<u64>) {
        let scope = Scope::Range {
            gfn: gfns.start,
            nr: gfns.end - gfns.start,
        };
        self.iotlb_cache.flush(|of| of == domain, scope);
    }

    /// A table leaves the tree; `through` is the word that pointed to it.
    pub(crate) fn tlb_unlink(&mut self, mfn: Mfn, through: (Mfn, usize)) {
        let above = self.tlb.tables.get(&through.0).copied();
        let span = above.or_else(|| {
            let key = self.key_of(through.0, through.1);
            key.filter(|key| self.tlb.spans.contains_key(key))
        });
        if let Some(span) = span {
            self.tlb.tables.insert(mfn, span);
        }
    }

    /// TLBI for a VMID, on all CPUs.
    pub(crate) fn tlb_flush(&mut self, vmid: u16, scope: Scope) {
        if self.tlb.is_empty() && self.tlb.tables.is_empty() {
            return;
        }
        let mut tlb = std::mem::take(&mut self.tlb);
        let is_meant = |domain: usize| {
            let record = self.domains.by_address(domain);
            record.is_none_or(|d| Domain(d.pointer).vmid() == vmid)
        };
        tlb.flush(is_meant, scope);
        self.tlb = tlb;
    }

    /// The write lock of a domain is about to be dropped.
    pub(crate) fn check_flushed(&mut self, domain: usize) {
        if self.tlb.is_empty() {
            return;
        }
        let of_domain = |key: &Key| key.0 == domain;
        let entries = self.tlb.entries.keys().filter(|k| of_domain(k)).count();
        let spans = self.tlb.spans.keys().filter(|k| of_domain(k)).count();
        if entries + spans > 0 {
            self.broken(
                "T3",
                format!(
                    "the write lock is dropped with {entries} changed entries that TLBs may \
                     hold, and {spans} tables below which they may hold any"
                ),
            );
            self.tlb.entries.retain(|key, _| !of_domain(key));
            self.tlb.spans.retain(|key, _| !of_domain(key));
        }
    }

    /// A reference to a page is dropped. If a foreign mapping owned it, its owner may
    /// give the page up at that moment. (One that is dying does not use its TLB
    /// entries any more.) Of a page that nobody owns no entry at all may be left:
    /// `page_alloc.c` flushes only what had an owner before it hands it out again.
    pub(crate) fn check_leaf_uncached(&mut self, cpu: usize, mfn: Mfn) {
        if self.tlb.is_empty() {
            return;
        }
        let is_owned = self.frames.frame(mfn).owner.is_some();
        let is_held =
            |domain: usize, leaf: u64| !is_owned || pte::is_foreign(leaf) && !self.is_gone(domain);
        let covers = |(&(domain, level, _), &entry): (&Key, &u64)| {
            let frames = pte::mfn(entry)..pte::mfn(entry) + (1 << pte::order(level));
            pte::is_leaf(entry, level) && frames.contains(&mfn) && is_held(domain, entry)
        };
        // Below a table that was taken out, and is still as it was.
        let below = |(&(domain, level, _), &table): (&Key, &Mfn)| {
            let leaf = self.leaf_below(table, level + 1, mfn);
            leaf.is_some_and(|leaf| is_held(domain, leaf))
        };
        if self.tlb.spans.iter().any(below) || self.tlb.entries.iter().any(covers) {
            self.broken(
                "T5",
                format!("CPU {cpu} puts frame {mfn:#x}, which TLBs may hold"),
            );
        }
    }

    /// The leaf by which a walk that goes on at `table`, of `level`, comes to the frame.
    fn leaf_below(&self, table: Mfn, level: u32, mfn: Mfn) -> Option<u64> {
        (0..512).find_map(|index| {
            let entry = self.frames.pages.peek_word(table, index);
            let first = pte::mfn(entry);
            if !valid(entry) {
                None
            } else if pte::is_table(entry, level) {
                self.leaf_below(first, level + 1, mfn)
            } else {
                let frames = first..first + (1 << pte::order(level));
                frames.contains(&mfn).then_some(entry)
            }
        })
    }

    /// A page goes back to a pool or the heap.
    pub(crate) fn check_uncached(&mut self, cpu: usize, mfn: Mfn) {
        let span = self.tlb.tables.remove(&mfn);
        if span.is_some_and(|span| self.tlb.spans.contains_key(&span)) {
            self.broken(
                "T4",
                format!("CPU {cpu} frees table {mfn:#x}, which TLBs may hold"),
            );
        }
    }
}
