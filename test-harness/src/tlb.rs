// SPDX-License-Identifier: GPL-2.0-only
//! What a TLB or a walk cache may still hold, at worst.
//!
//! A TLB may hold anything that could be walked to since the last TLBI for its
//! VMID. So each word that was valid and reachable and then changed is
//! remembered with its old value until that TLBI. From this follow:
//!
//! - T1, break-before-make (Arm ARM, R_WHZWS): no new valid value while an old
//!   one may be cached that differs in more than permissions;
//! - T3: nothing is remembered any more when the write lock is dropped;
//! - T5: nor is a page put that nobody owns;
//! - T4: a table that was taken out is not freed while it may be cached.
//!
//! A word under an invalid entry cannot be walked to, unless that entry itself
//! may be cached. Barriers are not modelled: Xen's TLBI helper has its own.

use std::collections::HashMap;

use crate::event::Mfn;
use crate::hash::WordMap;
use crate::machine::State;
use crate::pte;
use crate::world::Domain;

/// S2AP and XN.
const PERMISSIONS: u64 = pte::READ | pte::WRITE | pte::XN | 0xF << 59;

/// Old values that may be cached, and the tables that went with them.
#[derive(Debug, Default)]
pub(crate) struct Tlb {
    /// Per word: the old value and the address of its domain.
    words: HashMap<(Mfn, usize), (u64, usize)>,
    /// Tables out of the tree, by address of their domain.
    tables: WordMap<usize>,
}

impl State {
    /// Can a walker come to this word, or might it a moment ago?
    fn walkable(&self, mfn: Mfn) -> bool {
        let mut at = mfn;
        loop {
            let Some(table) = self.tables.live.get(&at) else {
                return false;
            };
            let Some((above, index)) = table.parent else {
                return true;
            };
            let valid = self.frames.peek_word(above, index) & pte::VALID != 0;
            if !valid && !self.tlb.words.contains_key(&(above, index)) {
                return false;
            }
            at = above;
        }
    }

    /// A word of a live table is about to change.
    pub(crate) fn tlb_store(&mut self, mfn: Mfn, index: usize, old: u64, new: u64) {
        let Some(domain) = self.tables.live.get(&mfn).map(|t| t.domain) else {
            return;
        };
        let valid = |entry: u64| entry & pte::VALID != 0;
        if old == new || !self.walkable(mfn) {
            return;
        }
        let cached = self.tlb.words.get(&(mfn, index)).map(|&(entry, _)| entry);
        let previous = cached.or(valid(old).then_some(old));
        if let Some(previous) = previous {
            if valid(new) && (previous ^ new) & !PERMISSIONS != 0 {
                self.broken(
                    "T1",
                    format!(
                        "word {index} of table {mfn:#x} becomes {new:#x} while TLBs may hold {previous:#x}"
                    ),
                );
            }
            self.tlb
                .words
                .entry((mfn, index))
                .or_insert((previous, domain));
        }
    }

    /// A table leaves the tree; `through` is the word that pointed to it.
    pub(crate) fn tlb_unlink(&mut self, mfn: Mfn, domain: usize, through: (Mfn, usize)) {
        let cached = self.tlb.words.contains_key(&through);
        let below = self.tlb.tables.contains_key(&through.0)
            && self.frames.peek_word(through.0, through.1) & pte::VALID != 0;
        if cached || below {
            self.tlb.tables.insert(mfn, domain);
        }
    }

    /// TLBI for a VMID, on all CPUs.
    pub(crate) fn tlb_flush(&mut self, vmid: u16) {
        let flushed = |state: &Self, domain: usize| {
            let record = state.domains.by_address(domain);
            record.is_none_or(|d| Domain(d.pointer).vmid() == vmid)
        };
        let words = std::mem::take(&mut self.tlb.words);
        self.tlb.words = words
            .into_iter()
            .filter(|(_, (_, d))| !flushed(self, *d))
            .collect();
        let tables = std::mem::take(&mut self.tlb.tables);
        self.tlb.tables = tables
            .into_iter()
            .filter(|(_, d)| !flushed(self, *d))
            .collect();
    }

    /// The write lock of a domain is about to be dropped.
    pub(crate) fn check_flushed(&mut self, domain: usize) {
        let stale = self
            .tlb
            .words
            .values()
            .filter(|(_, d)| *d == domain)
            .count();
        if stale > 0 {
            self.broken(
                "T3",
                format!("the write lock is dropped with {stale} changed words that TLBs may hold"),
            );
            self.tlb.words.retain(|_, (_, d)| *d != domain);
        }
    }

    /// A reference to a page is dropped. One with an owner may still be cached:
    /// `page_alloc.c` flushes before it hands it out again.
    pub(crate) fn check_leaf_uncached(&mut self, cpu: usize, mfn: Mfn) {
        if self.tlb.words.is_empty() || self.frames.frame(mfn).owner.is_some() {
            return;
        }
        let covers = |(&(table, _), &(entry, _)): (&(Mfn, usize), &(u64, usize))| {
            let level = self.tables.live.get(&table).map(|t| t.level);
            level.is_some_and(|level| {
                let first = pte::mfn(entry);
                pte::is_leaf(entry, level)
                    && (first..first + (1 << pte::order(level))).contains(&mfn)
            })
        };
        if self.tlb.words.iter().any(covers) {
            self.broken(
                "T5",
                format!("CPU {cpu} puts frame {mfn:#x}, which has no owner and TLBs may hold"),
            );
        }
    }

    /// A page goes back to a pool or the heap.
    pub(crate) fn check_uncached(&mut self, cpu: usize, mfn: Mfn) {
        if self.tlb.tables.remove(&mfn).is_some() {
            self.broken(
                "T4",
                format!("CPU {cpu} frees table {mfn:#x}, which TLBs may hold"),
            );
        }
    }
}
