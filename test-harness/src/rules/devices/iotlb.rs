// SPDX-License-Identifier: GPL-2.0-only
//! Rules P3, P4 and P6: what devices may still reach is not given up, the IOMMU is told of each
//! change, and nothing comes in between for the devices; see [`crate::books::iotlb`].

use std::ops::Range;

use xen_sys::{XS_IOMMU_FLUSHF_added, XS_IOMMU_FLUSHF_modified};

use crate::books::iotlb::{page_of, Found, Large, Met, Reachable};
use crate::ground::config::Iommu;
use crate::ground::event::Mfn;
use crate::ground::pte;
use crate::rules::State;

impl State {
    /// An IOMMU is the machine's, but each domain is made with or without.
    pub(crate) fn is_behind_iommu(&self, domain: usize) -> bool {
        let record = self.domains.by_address(domain);
        self.config.iommu != Iommu::Off && record.is_some_and(|record| record.iommu)
    }

    /// The guest frames behind a word of a live table.
    pub(crate) fn gfns_of(&self, mfn: Mfn, index: usize) -> Range<u64> {
        let Some(table) = self.tables.live.get(mfn) else {
            return 0..0;
        };
        let first = table.gfn_at(index);
        first..first + (1 << pte::order(table.level))
    }

    /// A valid entry was taken out; `gfns` led to it.
    pub(crate) fn iotlb_remember(
        &mut self,
        domain: usize,
        level: u32,
        entry: u64,
        gfns: Range<u64>,
    ) {
        let gone = !self.is_behind_iommu(domain) || self.is_gone(domain);
        let owns = pte::is_table(entry, level) || pte::is_foreign(entry);
        if self.config.iommu == Iommu::Off || gone || !owns || entry & pte::VALID == 0 {
            return;
        }
        let frames = if pte::is_table(entry, level) {
            1
        } else {
            1 << pte::order(level)
        };
        let mfns = pte::mfn(entry)..pte::mfn(entry) + frames;
        self.iotlb.reachable.push(Reachable { domain, gfns, mfns });
    }

    /// A word of a live table has changed from `old`; whatever was below it is
    /// still there.
    pub(crate) fn iotlb_changed(&mut self, mfn: Mfn, index: usize, old: u64) {
        let Some(table) = self.tables.live.get(mfn).copied() else {
            return;
        };
        let gone = !self.is_behind_iommu(table.domain) || self.is_gone(table.domain);
        if self.config.iommu == Iommu::Off || gone || !self.config.watch_iommu_news {
            return;
        }
        let first = self.gfns_of(mfn, index).start;
        let seen = self.is_valid_above(mfn);
        let mut changed = Vec::new();
        for entry in [old, self.frames.pages.peek_word(mfn, index)] {
            self.valid_leaves(entry, table.level, first, &mut changed);
        }
        if self.config.iommu_shares_tables {
            if seen {
                self.note_large(table.domain, old, table.level, first);
            }
            for gfn in changed.iter().flat_map(some_of) {
                if !self.iotlb.met.contains_key(&(table.domain, gfn)) {
                    let below = || self.walk_from(old, table.level, gfn);
                    let before = self.found_large(table.domain, gfn);
                    let before = before.or_else(|| seen.then(below).flatten());
                    let since = Vec::new();
                    let met = Met {
                        before,
                        since,
                        was_cut_off: false,
                    };
                    self.iotlb.met.insert((table.domain, gfn), met);
                }
            }
            self.meet_again(table.domain, &changed);
        }
        for gfn in changed.into_iter().flatten() {
            let key = (table.domain, gfn);
            if !self.iotlb.untold.contains_key(&key) {
                let below = || self.walk_from(old, table.level, gfn);
                let was = seen.then(below).flatten().map(|found| found.page);
                self.iotlb.untold.insert(key, was);
            }
        }
    }

    /// What devices come to now at the frames of `changed` that they have met.
    fn meet_again(&mut self, domain: usize, changed: &[Range<u64>]) {
        let met = |gfns: &Range<u64>| {
            self.iotlb
                .met
                .range((domain, gfns.start)..(domain, gfns.end))
        };
        let mut met: Vec<u64> = changed
            .iter()
            .flat_map(met)
            .map(|(&(_, gfn), _)| gfn)
            .collect();
        // What was mapped and what is may be the same frames.
        met.sort_unstable();
        met.dedup();
        for gfn in met {
            let is = self.iommu_find(domain, gfn);
            if is.is_none() {
                self.iotlb.unmapped.insert((domain, gfn));
            } else {
                self.iotlb.unmapped.remove(&(domain, gfn));
            }
            let met = self.iotlb.met.get_mut(&(domain, gfn));
            met.into_iter().for_each(|met| met.since.push(is));
        }
    }

    /// Notes the leaves of more than [`WATCHED`] pages that a walk found from `entry` on: of these pages most have
    /// not been looked at before.
    fn note_large(&mut self, domain: usize, entry: u64, level: u32, gfn: u64) {
        let order = pte::order(level);
        if entry & pte::VALID == 0 || 1 << order <= WATCHED {
            return;
        }
        if !pte::is_table(entry, level) {
            // One that has come under this lock was not there before: its first frame is watched.
            if self.iotlb.met.contains_key(&(domain, gfn)) {
                return;
            }
            self.iotlb.large.push(Large {
                domain,
                gfns: gfn..gfn + (1 << order),
                entry,
                level,
            });
            return;
        }
        for index in 0..512 {
            let below = self.frames.pages.peek_word(pte::mfn(entry), index);
            self.note_large(
                domain,
                below,
                level + 1,
                gfn + ((index as u64) << (order - 9)),
            );
        }
    }

    /// What such a leaf said of `gfn`.
    fn found_large(&self, domain: usize, gfn: u64) -> Option<Found> {
        let covers = |large: &&Large| large.domain == domain && large.gfns.contains(&gfn);
        self.iotlb
            .large
            .iter()
            .find(covers)
            .map(|large| large.found(gfn))
    }

    /// The guest frames from `gfn` on that a walk finds from `entry` on.
    fn valid_leaves(&self, entry: u64, level: u32, gfn: u64, found: &mut Vec<Range<u64>>) {
        let order = pte::order(level);
        if entry & pte::VALID == 0 {
            return;
        }
        if !pte::is_table(entry, level) {
            found.push(gfn..gfn + (1 << order));
            return;
        }
        for index in 0..512 {
            let below = self.frames.pages.peek_word(pte::mfn(entry), index);
            let at = gfn + ((index as u64) << (order - 9));
            self.valid_leaves(below, level + 1, at, found);
        }
    }

    /// Whether all entries that lead to the table are valid.
    fn is_valid_above(&self, mfn: Mfn) -> bool {
        let Some(table) = self.tables.live.get(mfn) else {
            return false;
        };
        table.parent.is_none_or(|(above, index)| {
            self.frames.pages.peek_word(above, index) & pte::VALID != 0
                && self.is_valid_above(above)
        })
    }

    /// What a walk finds for `gfn` that has come to `entry`, of `level`.
    fn walk_from(&self, mut entry: u64, level: u32, gfn: u64) -> Option<Found> {
        for level in level..4 {
            if entry & pte::VALID == 0 {
                return None;
            }
            let order = pte::order(level);
            if !pte::is_table(entry, level) {
                let page = page_of(entry, gfn & ((1 << order) - 1));
                let p2m_type = pte::p2m_type(entry);
                return Some(Found {
                    page,
                    level,
                    p2m_type,
                });
            }
            let index = gfn >> (order - 9) & 511;
            entry = self.frames.pages.peek_word(pte::mfn(entry), index as usize);
        }
        None
    }

    /// What the IOMMU finds for `gfn` now.
    fn iommu_walk(&self, domain: usize, gfn: u64) -> Option<u64> {
        self.iommu_find(domain, gfn).map(|found| found.page)
    }

    /// The same, and in an entry of which level.
    pub(crate) fn iommu_find(&self, domain: usize, gfn: u64) -> Option<Found> {
        let (level, _) = self.config.root();
        let order = pte::order(level);
        let root = self.root_of(domain)? + (gfn >> order >> 9);
        let entry = self
            .frames
            .pages
            .peek_word(root, (gfn >> order & 511) as usize);
        self.walk_from(entry, level, gfn)
    }

    /// An IOTLB flush, which succeeded or not.
    pub(crate) fn iotlb_flush(&mut self, domain: usize, gfns: &Range<u64>, flags: u32, done: bool) {
        let (modified, added) = (
            flags & XS_IOMMU_FLUSHF_modified != 0,
            flags & XS_IOMMU_FLUSHF_added != 0,
        );
        let told = self
            .iotlb
            .untold
            .range((domain, gfns.start)..(domain, gfns.end));
        let told: Vec<_> = told.map(|(&key, &was)| (key, was)).collect();
        for (key, was) in told {
            let is = self.iommu_walk(domain, key.1);
            if (modified || was.is_none()) && (added || is.is_none()) {
                self.iotlb.untold.remove(&key);
            }
        }
        if modified {
            self.iotlb_cache_flush(domain, gfns);
        }
        // Xen's drivers flush the whole domain, whatever range and flags they are given.
        let mut unmapped = self.iotlb.unmapped.split_off(&(domain, 0));
        self.iotlb
            .unmapped
            .append(&mut unmapped.split_off(&(domain + 1, 0)));
        for key in unmapped {
            let met = self.iotlb.met.get_mut(&key);
            met.into_iter().for_each(|met| met.was_cut_off = true);
        }
        if done && modified && !self.iotlb.reachable.is_empty() {
            let before = std::mem::take(&mut self.iotlb.reachable);
            let left = before.into_iter().flat_map(|r| {
                if r.domain == domain {
                    r.without(gfns)
                } else {
                    vec![r]
                }
            });
            self.iotlb.reachable = left.collect();
        }
    }

    /// The write lock of a domain is about to be dropped: rule P4.
    pub(crate) fn check_told(&mut self, domain: usize) {
        let mut untold = std::mem::take(&mut self.iotlb.untold);
        let mut mine = untold.split_off(&(domain, 0));
        let after = mine.split_off(&(domain + 1, 0));
        untold.extend(after);
        self.iotlb.untold = untold;
        let late = |(&(_, gfn), &was): (&(usize, u64), &Option<u64>)| {
            (self.iommu_walk(domain, gfn) != was).then_some(gfn)
        };
        let late: Vec<u64> = mine.iter().filter_map(late).collect();
        if let Some(gfn) = late.first() {
            self.broken(
                "P4",
                format!(
                    "the write lock is dropped, and the IOMMU was not told that gfn {gfn:#x} \
                     changed ({} frames)",
                    late.len()
                ),
            );
        }
    }

    /// The write lock of a domain is about to be dropped: rule P6.
    pub(crate) fn check_met(&mut self, domain: usize) {
        let mut met = std::mem::take(&mut self.iotlb.met);
        let mut mine = met.split_off(&(domain, 0));
        met.append(&mut mine.split_off(&(domain + 1, 0)));
        self.iotlb.met = met;
        self.iotlb.unmapped.retain(|&(of, _)| of != domain);
        self.iotlb.large.retain(|large| large.domain != domain);
        if self.is_gone(domain) {
            return;
        }
        for ((_, gfn), met) in mine {
            let after = self.iommu_find(domain, gfn);
            if let Some(stranger) = met.stranger(after) {
                self.broken(
                    "P6",
                    format!(
                        "at gfn {gfn:#x} a device comes to {stranger:x?}, which is neither what was mapped nor what will be"
                    ),
                );
            }
            if met.is_cut_off(after) {
                self.broken(
                    "P6",
                    format!("the IOTLB is flushed for gfn {gfn:#x} before a part of a block is there again"),
                );
            }
            if met.is_needless(after) {
                self.broken(
                    "P6",
                    format!("a device is refused at gfn {gfn:#x} for a change of its rights"),
                );
            }
            if after.is_none() && self.mapped_at(domain, gfn).is_some() {
                self.broken(
                    "P6",
                    format!("gfn {gfn:#x} is mapped and a device cannot reach it"),
                );
            }
            self.iotlb.gaps += u64::from(met.is_gap(after));
        }
    }

    /// A reference to the page is dropped, or the table freed.
    pub(crate) fn check_out_of_reach(&mut self, cpu: usize, mfn: Mfn) {
        if let Some(at) = self
            .iotlb
            .reachable
            .iter()
            .position(|r| r.mfns.contains(&mfn))
        {
            let gfns = self.iotlb.reachable.swap_remove(at).gfns;
            self.broken(
                "P3",
                format!(
                    "CPU {cpu} lets go of frame {mfn:#x}, which devices may reach at {gfns:#x?}"
                ),
            );
        }
    }
}

/// The guest frames of a range at which devices are watched: all of what a table spans; of more the two ends,
/// and some in between.
fn some_of(gfns: &Range<u64>) -> impl Iterator<Item = u64> {
    let step = ((gfns.end - gfns.start) / WATCHED).max(1) as usize;
    gfns.clone().step_by(step).chain(gfns.end.checked_sub(1))
}

const WATCHED: u64 = 512;
