// SPDX-License-Identifier: GPL-2.0-only
//! Rules T1, T3, T4, T5 and P5: what a TLB may hold must not be what the tables say no more; see
//! [`crate::books::tlb`].

use std::ops::Range;

use super::State;
use crate::books::changed::Key;
use crate::books::iotlb::{differs_in_rights, page_of};
use crate::books::tlb::{valid, Gone, Scope, Tlb};
use crate::ground::event::Mfn;
use crate::ground::handles::Domain;
use crate::ground::pte;

impl State {
    /// The key of a word of a live table.
    fn key_of(&self, mfn: Mfn, index: usize) -> Option<Key> {
        let table = self.tables.live.get(mfn)?;
        Some((table.tree, table.level, self.gfns_of(mfn, index).start))
    }

    /// Can a walker come to this table, or might it a moment ago?
    pub(crate) fn walkable(&self, mfn: Mfn) -> bool {
        self.walkable_with(&self.tlb, mfn)
    }

    pub(crate) fn walkable_with(&self, cache: &Tlb, mfn: Mfn) -> bool {
        let mut at = mfn;
        loop {
            let Some(table) = self.tables.live.get(at) else {
                return false;
            };
            let Some((above, index)) = table.parent else {
                return true;
            };
            if !valid(self.frames.pages.peek_word(above, index)) {
                let key = self.key_of(above, index);
                if !key.is_some_and(|key| cache.may_lead_to(key, at)) {
                    return false;
                }
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
            if let Some(stale) = self.tlb.store(key, old, new, |_| true) {
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
            let mut cache = std::mem::take(&mut self.iotlb_cache);
            let stale = cache.store(key, old, new, |was| !self.is_split(was, new, key.1));
            self.iotlb_cache = cache;
            if let Some(stale) = stale {
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

    /// Whether the entry `new` points to a table of parts of `old`, a block of that level: each page is the
    /// block's, with rights of its own, or is not there. An IOTLB may hold both for a moment, for the frames
    /// are the same.
    fn is_split(&self, old: u64, new: u64, level: u32) -> bool {
        let is_of_block = valid(old) && pte::is_leaf(old, level) && pte::is_table(new, level);
        is_of_block && self.has_parts_of(old, 0, new, level)
    }

    /// Whether the table that `pointer`, of `level`, names has pages of the block `old` alone, from the one
    /// `first` pages into it on.
    fn has_parts_of(&self, old: u64, first: u64, pointer: u64, level: u32) -> bool {
        let span = 1 << pte::order(level + 1);
        self.frames
            .pages
            .peek(pte::mfn(pointer))
            .zip(0_u64..)
            .filter(|&(part, _)| valid(part))
            .all(|(part, index)| {
                let at = first + index * span;
                if pte::is_table(part, level + 1) {
                    self.has_parts_of(old, at, part, level + 1)
                } else {
                    differs_in_rights(page_of(old, at), page_of(part, 0))
                }
            })
    }

    /// Whether the domain is dying: its devices are gone.
    pub(crate) fn is_gone(&self, domain: usize) -> bool {
        let record = self.domains.by_tree(domain);
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
        let above = self.tlb.tables.get(&through.0).map(|gone| gone.span);
        let span = above.or_else(|| {
            let key = self.key_of(through.0, through.1);
            key.filter(|key| self.tlb.spans.contains_key(key))
        });
        if let Some(span) = span {
            let words = self.frames.pages.peek(mfn);
            let entries = words.filter(|&entry| valid(entry)).collect();
            let gone = Gone {
                span,
                entries,
                is_said: false,
            };
            self.tlb.tables.insert(mfn, gone);
        }
    }

    /// TLBI for a VMID, on all CPUs.
    pub(crate) fn tlb_flush(&mut self, vmid: u16, scope: Scope) {
        if self.tlb.is_empty() && self.tlb.tables.is_empty() {
            return;
        }
        let mut tlb = std::mem::take(&mut self.tlb);
        let is_meant = |tree: usize| {
            let record = self.domains.by_tree(tree);
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
        let domains = &self.domains;
        let of_domain = |key: &Key| {
            let record = domains.by_tree(key.0);
            record.is_some_and(|record| record.pointer.addr() == domain)
        };
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
            let domains = &self.domains;
            let is_other = |key: Key| {
                let record = domains.by_tree(key.0);
                record.is_none_or(|record| record.pointer.addr() != domain)
            };
            self.tlb.entries.retain(is_other);
            self.tlb.spans.retain(|key, _| is_other(*key));
            self.tlb.tables.retain(|_, gone| is_other(gone.span));
        }
    }

    /// A reference to a page is dropped. If a foreign mapping owned it, its owner may
    /// give the page up at that moment. Of a page that nobody owns no entry at all may be left:
    /// `page_alloc.c` flushes only what had an owner before it hands it out again. (A domain that
    /// is dying does not use its TLB entries any more: none of its vCPUs runs, and whoever gets its
    /// VMID flushes it first.)
    pub(crate) fn check_leaf_uncached(&mut self, cpu: usize, mfn: Mfn) {
        if self.tlb.is_empty() {
            return;
        }
        let is_owned = self.frames.frame(mfn).owner.is_some();
        let is_meant = |leaf: u64| !is_owned || pte::is_foreign(leaf);
        let covers = |((domain, level, _), entry): (Key, u64)| {
            let frames = pte::mfn(entry)..pte::mfn(entry) + (1 << pte::order(level));
            let is_there = pte::is_leaf(entry, level) && frames.contains(&mfn);
            is_there && is_meant(entry) && !self.is_gone(domain)
        };
        // Below a table that was taken out: what was there then. Looking takes long, and a domain that is
        // dying puts thousands of pages: so that is asked first.
        let below = |(&(domain, level, _), &table): (&Key, &Mfn)| {
            let leaf = || self.leaf_below(table, level + 1, mfn);
            !self.is_gone(domain) && leaf().is_some_and(is_meant)
        };
        if self.tlb.spans.iter().any(below) || self.tlb.entries.near(mfn).any(covers) {
            self.broken(
                "T5",
                format!("CPU {cpu} puts frame {mfn:#x}, which TLBs may hold"),
            );
        }
    }

    /// The leaf by which a walk that goes on at `table`, of `level`, comes to the frame.
    fn leaf_below(&self, table: Mfn, level: u32, mfn: Mfn) -> Option<u64> {
        let from = |entry| self.leaf_from(entry, level, mfn);
        match self.tlb.tables.get(&table) {
            Some(gone) => gone.entries.iter().copied().find_map(from),
            None => self.frames.pages.peek(table).find_map(from),
        }
    }

    /// The same from an entry on.
    fn leaf_from(&self, entry: u64, level: u32, mfn: Mfn) -> Option<u64> {
        let first = pte::mfn(entry);
        if !valid(entry) {
            None
        } else if pte::is_table(entry, level) {
            self.leaf_below(first, level + 1, mfn)
        } else {
            let frames = first..first + (1 << pte::order(level));
            frames.contains(&mfn).then_some(entry)
        }
    }

    /// A table that was taken out goes to a pool or the heap, or it is written or linked again. Each is
    /// said once of a table: after that it is what it is.
    pub(crate) fn check_left_alone(&mut self, cpu: usize, mfn: Mfn, what: &str) {
        if self.tlb.is_not_left_alone(mfn) {
            self.broken(
                "T4",
                format!("CPU {cpu} {what} table {mfn:#x}, which TLBs may hold"),
            );
        }
    }
}
