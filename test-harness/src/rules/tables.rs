// SPDX-License-Identifier: GPL-2.0-only
//! Stores to tables, and what follows from them. Rules: L4, a live table changes only under its
//! p2m's write lock; P1 and P2, when the IOMMU reads memory, a table is in memory before it is
//! linked, and each word of a live one is cleaned before the IOTLB is flushed or the lock dropped;
//! R5, no store to a page in the heap's hands or free in a pool; T4, none to a table that was taken
//! out, nor is it linked again, before the flush; X1, no table is cleared by bytes while a guest or a
//! device walks it.

use std::ops::Range;

use super::State;
use crate::books::tables::Table;
use crate::ground::config::Iommu;
use crate::ground::event::{Event, Mfn};
use crate::ground::handles::Domain;
use crate::ground::pte;
use crate::model::domains::lock_of;
use crate::model::pages::WORDS;

impl State {
    /// A domain's root is in place: everything under it counts.
    pub(crate) fn adopt_root(&mut self, domain: usize, root: Mfn) {
        self.adopt_tree(domain, domain, root);
    }

    /// Of a view that was just created.
    pub(crate) fn adopt_view(&mut self, d: Domain, number: u16) {
        let views = d.views();
        let found = views.iter().find(|(other, _)| *other == number);
        let (_, view) = found.expect("a view of that number");
        let root = self.frames.of_info(view.root()).expect("its root");
        self.adopt_tree(d.address(), view.address(), root);
    }

    /// The same of the host p2m or a view.
    pub(crate) fn adopt_tree(&mut self, domain: usize, tree: usize, root: Mfn) {
        let (level, pages) = self.config.root();
        for i in 0..pages as u64 {
            let table = Table {
                domain,
                tree,
                level,
                gfn: i << (pte::order(level) + 9),
                parent: None,
            };
            self.link(root + i, table);
        }
    }

    fn link(&mut self, mfn: Mfn, table: Table) {
        let is_shared = table.is_of_host() && self.is_behind_iommu(table.domain);
        if self.tables.dirty.contains_key(&mfn) && is_shared {
            self.broken(
                "P1",
                format!("table {mfn:#x} is linked before all of it is in memory"),
            );
        }
        if self.tlb.is_not_left_alone(mfn) {
            let what = format!("table {mfn:#x} is linked while TLBs may hold it where it was");
            self.broken("T4", what);
        }
        self.tables.live.insert(mfn, table);
        if table.level == 3 {
            return;
        }
        for (index, entry) in self.frames.pages.words(mfn) {
            if pte::is_table(entry, table.level) {
                self.link(pte::mfn(entry), table.below(mfn, index));
            }
        }
    }

    /// A table leaves the tree, and all below; `gfns` led to it.
    fn unlink(&mut self, cpu: usize, mfn: Mfn, gfns: &Range<u64>) {
        let Some(table) = self.tables.live.remove(mfn) else {
            return;
        };
        if let Some(through) = table.parent {
            self.tlb_unlink(mfn, through);
        }
        if self.frames.is_free(mfn) {
            return;
        }
        for (index, entry) in self.frames.pages.words(mfn) {
            self.ram_left(cpu, table, index, entry);
            if table.is_of_host() {
                self.iotlb_remember(table.domain, table.level, entry, gfns.clone());
            }
            if pte::is_table(entry, table.level) {
                self.unlink(cpu, pte::mfn(entry), gfns);
            }
        }
    }

    fn check_store(&mut self, cpu: usize, mfn: Mfn) {
        if self.frames.is_free(mfn) {
            self.broken("R5", format!("CPU {cpu} stores to the free page {mfn:#x}"));
        }
        self.check_left_alone(cpu, mfn, "writes to");
        if let Some(table) = self.tables.live.get(mfn) {
            if !self.locks.holds_for_write(lock_of(table.domain), cpu) {
                self.broken(
                    "L4",
                    format!(
                        "CPU {cpu} changes the live table {mfn:#x} without its p2m's write lock"
                    ),
                );
            }
        }
    }

    /// A store to a table word.
    pub(crate) fn store_entry(&mut self, cpu: usize, mfn: Mfn, index: usize, value: u64) {
        self.check_store(cpu, mfn);
        if self.is_stale_table_of_devices(mfn) {
            let what = format!("CPU {cpu} writes to table {mfn:#x}, which devices may walk");
            self.broken("P3", what);
        }
        let old = self.frames.pages.store(mfn, index, value);
        let store = Event::PteStore {
            mfn,
            index,
            old,
            new: value,
        };
        if self.tables.live.contains(mfn) {
            self.event(cpu, store);
        } else {
            self.private_event(cpu, store);
        }
        self.dirty(mfn, index..index + 1);
        let Some(table) = self.tables.live.get(mfn).copied() else {
            self.unpublished(cpu, mfn);
            return;
        };
        self.tlb_store(mfn, index, old, value);
        if table.is_of_host() {
            self.iotlb_changed(mfn, index, old);
        }
        if pte::mfn(old) != pte::mfn(value) {
            self.ram_left(cpu, table, index, old);
        }
        let (was, is) = (
            pte::is_table(old, table.level),
            pte::is_table(value, table.level),
        );
        let same = was && is && pte::mfn(old) == pte::mfn(value);
        let goes = !(same || old & pte::VALID == 0 || pte::mfn(old) == pte::mfn(value));
        if goes && table.is_of_host() {
            let gfns = self.gfns_of(mfn, index);
            self.iotlb_remember(table.domain, table.level, old, gfns);
        }
        if was && !same {
            let gfns = self.gfns_of(mfn, index);
            self.unlink(cpu, pte::mfn(old), &gfns);
        }
        if is && !same {
            self.link(pte::mfn(value), table.below(mfn, index));
        }
        self.unpublished(cpu, mfn);
    }

    /// The CPU with a guest whose walks may come to that table.
    fn walked_by(&self, mfn: Mfn) -> Option<usize> {
        let domain = self.tables.live.get(mfn)?.domain;
        // The vCPUs of a dying domain do not run any more: domain_kill() pauses it first.
        if self.is_gone(domain) || !self.walkable(mfn) {
            return None;
        }
        let above = |at: Mfn| self.tables.live.get(at)?.parent.map(|(above, _)| above);
        let root = std::iter::successors(Some(mfn), |&at| above(at)).last()?;
        self.runs_on(domain, root)
    }

    /// The CPU that runs a vCPU of the domain on that root.
    fn runs_on(&self, domain: usize, root: Mfn) -> Option<usize> {
        let (_, pages) = self.config.root();
        let cpus = self.cpus.cpus.iter().enumerate();
        let (cpu, _) = cpus
            .filter(|(_, c)| {
                self.domains
                    .vcpu(c.current)
                    .is_some_and(|v| v.domain == domain)
            })
            .find(|(_, c)| {
                let base = (c.vttbr & 0x0000_FFFF_FFFF_FFFE) >> 12;
                (base..base + pages as u64).contains(&root)
            })?;
        Some(cpu)
    }

    /// Whether devices may walk the table: it is of a tree that they share, or was, and the IOTLB was not flushed since.
    fn is_within_devices_reach(&self, mfn: Mfn) -> bool {
        let is_reachable = |table: &Table| {
            let shared = table.is_of_host() && self.config.iommu_shares_tables;
            shared && self.is_behind_iommu(table.domain) && !self.is_gone(table.domain)
        };
        let table = self.tables.live.get(mfn);
        let walked = table.is_some_and(is_reachable) && self.walkable_with(&self.iotlb_cache, mfn);
        walked || self.is_stale_table_of_devices(mfn)
    }

    /// Whether it was a table, and the IOTLB was not flushed since, so that devices may still walk it.
    fn is_stale_table_of_devices(&self, mfn: Mfn) -> bool {
        let mut gone = self.iotlb.reachable.iter();
        gone.any(|r| r.mfns.contains(&mfn) && !self.is_gone(r.domain))
    }

    /// A whole page set to zero, as `clear_page()` does it: by DC ZVA, which is so many stores of a byte
    /// (DDI 0601, DC ZVA), and not by stores that a walk sees as a whole or not at all.
    pub(crate) fn clear_table(&mut self, cpu: usize, mfn: Mfn, cleaned: bool) {
        self.check_store(cpu, mfn);
        if let Some(walks) = self.walked_by(mfn) {
            let what =
                format!("CPU {cpu} clears {mfn:#x} by bytes while a guest on CPU {walks} walks it");
            self.broken("X1", what);
        } else if self.is_within_devices_reach(mfn) {
            let what = format!("CPU {cpu} clears {mfn:#x} by bytes while devices may walk it");
            self.broken("X1", what);
        }
        if let Some(table) = self.tables.live.get(mfn).copied() {
            for (index, old) in self.frames.pages.words(mfn) {
                self.tlb_store(mfn, index, old, 0);
                self.ram_left(cpu, table, index, old);
                if pte::is_table(old, table.level) {
                    let gfns = self.gfns_of(mfn, index);
                    self.unlink(cpu, pte::mfn(old), &gfns);
                }
            }
        }
        self.frames.pages.fill(mfn, 0);
        let clear = Event::ClearPage { mfn, cleaned };
        if self.tables.live.contains(mfn) {
            self.event(cpu, clear);
        } else {
            self.private_event(cpu, clear);
        }
        self.unpublished(cpu, mfn);
        if cleaned {
            self.publish_to_devices(cpu);
            self.undirty(mfn);
        } else {
            self.dirty(mfn, 0..WORDS);
        }
    }

    fn dirty(&mut self, mfn: Mfn, words: Range<usize>) {
        if self.config.iommu == Iommu::NonCoherent {
            self.tables.dirty.entry(mfn).or_default().set(words, true);
        }
    }

    fn undirty(&mut self, mfn: Mfn) {
        if self.config.iommu == Iommu::NonCoherent {
            self.tables.dirty.remove(&mfn);
        }
    }

    /// DC CVAC over a range of addresses: whole cache lines of 64 bytes.
    pub(crate) fn clean(&mut self, cpu: usize, address: usize, bytes: usize) {
        // DSB SY comes first and last.
        self.publish_to_devices(cpu);
        self.cpus.walks_complete(cpu);
        self.event(cpu, Event::CleanRange { address, bytes });
        if self.tables.dirty.is_empty() {
            return;
        }
        let (from, to) = (address & !63, (address + bytes + 63) & !63);
        for line in (from..to).step_by(64) {
            let Some((mfn, index)) = self.frames.pages.word_at(line) else {
                continue;
            };
            if let Some(words) = self.tables.dirty.get_mut(&mfn) {
                words.set(index..index + 8, false);
                if words.is_empty() {
                    self.tables.dirty.remove(&mfn);
                }
            }
        }
    }

    /// A root is freed, with its domain or its view: rule T4, if a guest runs on it.
    pub(crate) fn drop_root(&mut self, cpu: usize, first: Mfn) {
        let Some(domain) = self.tables.live.get(first).map(|table| table.domain) else {
            return;
        };
        // The vCPUs of a dying domain do not run: see above.
        let runs = self
            .runs_on(domain, first)
            .filter(|_| !self.is_gone(domain));
        if let Some(runs) = runs {
            let what =
                format!("CPU {cpu} frees the root {first:#x}, on which a guest runs on CPU {runs}");
            self.broken("T4", what);
        }
        let (_, pages) = self.config.root();
        for mfn in first..first + pages as u64 {
            self.unlink(cpu, mfn, &(0..0));
        }
    }

    /// The page goes back to a pool or the heap: no table may point to it.
    pub(crate) fn retire_table(&mut self, cpu: usize, mfn: Mfn) {
        if self.tables.live.remove(mfn).is_some() {
            self.broken(
                "T4",
                format!("CPU {cpu} frees {mfn:#x} while a live table points to it"),
            );
        }
        self.check_left_alone(cpu, mfn, "frees");
        self.check_out_of_reach(cpu, mfn);
        self.forget_stores(mfn);
        self.undirty(mfn);
    }

    /// Rule P2, at the points where an IOMMU may look.
    pub(crate) fn check_cleaned(&mut self, domain: usize, when: &str) {
        let is_clean = self.tables.dirty.is_empty();
        if self.config.iommu != Iommu::NonCoherent || is_clean || !self.is_behind_iommu(domain) {
            return;
        }
        let live = &self.tables.live;
        let of_domain = |mfn: Mfn| {
            let table = live.get(mfn);
            table.is_some_and(|t| t.domain == domain && t.is_of_host())
        };
        let dirty = self.tables.dirty.iter();
        let mut dirty: Vec<_> = dirty
            .filter(|(&mfn, _)| of_domain(mfn))
            .map(|(&mfn, &words)| (mfn, words))
            .collect();
        dirty.sort_unstable_by_key(|(mfn, _)| *mfn);
        for (mfn, words) in dirty {
            self.tables.dirty.remove(&mfn);
            for index in words.iter() {
                self.broken(
                    "P2",
                    format!("word {index} of the live table {mfn:#x} is not in memory {when}"),
                );
            }
        }
    }
}
