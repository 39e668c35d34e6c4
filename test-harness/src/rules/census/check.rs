// SPDX-License-Identifier: GPL-2.0-only
//! What must hold whenever no function of the p2m runs.
//!
//! R1 the reference ledger, R2 the pool equation, R4 the statistics, R5 every
//! table reachable once and on `p2m->pages`, V1 views map what their host maps, no lock held, no
//! CPU astray, no flush owed.

use std::collections::{BTreeMap, HashSet};

use super::ledger::Owning;
use crate::ground::event::Mfn;
use crate::ground::handles::Domain;
use crate::ground::pte;
use crate::rules::tree::Visitor;
use crate::rules::State;

/// What the tree of one domain holds.
#[derive(Default)]
struct Census {
    mappings: [u64; 4],
    tables: Vec<Mfn>,
    owning: Owning,
}

impl Visitor for Census {
    fn leaf(&mut self, gfn: u64, level: u32, entry: u64) {
        self.mappings[level as usize] += 1;
        self.owning.leaf(gfn, level, entry);
    }

    fn table(&mut self, mfn: Mfn, _level: u32) {
        self.tables.push(mfn);
    }
}

impl State {
    /// Everything that must hold between calls.
    pub(crate) fn check(&mut self) {
        for held in self.locks.held() {
            self.broken("L0", held);
        }
        for astray in self.cpus.astray() {
            self.broken("T6", astray);
        }
        self.check_vmids();
        self.check_view_structures();
        let mut owning = Owning::default();
        let mut pooled = HashSet::new();
        for i in 0..self.domains.domains.len() {
            let d = Domain(self.domains.domains[i].pointer);
            self.check_pool_left(d);
            let mut census = Census::default();
            self.visit(d.address(), &mut census);
            owning.append(&mut census.owning);
            if !self.domains.domains[i].gone && d.p2m_is_initialised() {
                let of_views = self.check_views(d, &mut pooled);
                self.check_domain(d, &census, &mut pooled, of_views);
            }
        }
        self.check_ledger(&owning);
    }

    fn check_domain(
        &mut self,
        d: Domain,
        census: &Census,
        pooled: &mut HashSet<Mfn>,
        of_views: usize,
    ) {
        let name = self.domains.name(d.address());
        let (_, roots) = self.config.root();
        let listed = self.lists.pages(d.pages_head());
        let on_list: HashSet<Mfn> = listed.iter().copied().collect();
        let torn_down = census.tables.len() <= roots;
        let in_tree: HashSet<Mfn> = census.tables.iter().copied().collect();
        if in_tree.len() != census.tables.len() {
            self.broken("R5", format!("{name}: a table is reachable twice"));
        }
        let below_root = census.tables.len().saturating_sub(roots);
        let missing = census
            .tables
            .iter()
            .filter(|t| !on_list.contains(t))
            .count()
            .saturating_sub(roots);
        if missing != 0 {
            self.broken(
                "R5",
                format!("{name}: {missing} tables are not on p2m->pages"),
            );
        }
        // What devices may still walk to, for the IOTLB was not flushed, stays on the
        // list until the end.
        let has_failed = self.devices.iommu_failures > 0;
        let kept = listed
            .iter()
            .filter(|&&page| !in_tree.contains(&page))
            .filter(|&&page| self.iotlb.may_reach(page) || d.is_dying() && has_failed)
            .count();
        // After the root was cleared the list is what is left to free.
        if listed.len() != below_root + kept && !(torn_down && d.is_dying()) {
            self.broken(
                "R5",
                format!(
                    "{name}: {} pages on p2m->pages, {below_root} tables in the tree",
                    listed.len()
                ),
            );
        }
        let free = self.lists.pages(d.freelist_head());
        let total = d.pool_pages();
        let hardware = self
            .domains
            .by_address(d.address())
            .is_some_and(|r| r.hardware);
        let used = if hardware { 0 } else { listed.len() + of_views };
        if total != (free.len() + used) as u64 {
            self.broken(
                "R2",
                format!(
                    "{name}: pool of {total} pages, {} free and {used} in use",
                    free.len()
                ),
            );
        }
        for page in free.iter().chain(&listed) {
            if !pooled.insert(*page) {
                self.broken("R2", format!("{name}: page {page:#x} is in use twice"));
            }
        }
        let stats = d.mapping_stats();
        if stats != census.mappings && !(torn_down && d.is_dying()) {
            self.broken(
                "R4",
                format!(
                    "{name}: stats say {stats:?} mappings, the tree has {:?}",
                    census.mappings
                ),
            );
        }
        if d.need_flush() {
            self.broken("T3", format!("{name}: a TLB flush is still owed"));
        }
    }
}

/// What an entry maps.
#[derive(Clone, Copy)]
struct Mapped {
    mfn: Mfn,
    p2m_type: u32,
    pages: u64,
}

/// Leaves, by their first guest frames; and tables.
#[derive(Default)]
struct Leaves {
    mapped: BTreeMap<u64, Mapped>,
    invalid: Vec<u64>,
    tables: Vec<Mfn>,
}

impl Leaves {
    /// What is mapped from a frame on, to the end of the leaf.
    fn at(&self, gfn: u64) -> Option<Mapped> {
        let (first, leaf) = self.mapped.range(..=gfn).next_back()?;
        let part = gfn - first;
        (part < leaf.pages).then(|| Mapped {
            mfn: leaf.mfn + part,
            pages: leaf.pages - part,
            ..*leaf
        })
    }

    /// Whether the frame is mapped with that type at one of these guest frames.
    fn has_source(&self, mfn: Mfn, p2m_type: u32, (first, last): (u64, u64)) -> bool {
        self.mapped.iter().any(|(gfn, leaf)| {
            let part = mfn.wrapping_sub(leaf.mfn);
            leaf.p2m_type == p2m_type && part < leaf.pages && (first..=last).contains(&(gfn + part))
        })
    }

    /// The first page of a view's leaf that the host p2m maps neither there nor at a source.
    fn stranger(&self, gfn: u64, leaf: Mapped, sources: (u64, u64)) -> Option<u64> {
        let mut part = 0;
        while part < leaf.pages {
            let (mfn, p2m_type) = (leaf.mfn + part, leaf.p2m_type);
            let own = self.at(gfn + part);
            let same = own.filter(|own| (own.mfn, own.p2m_type) == (mfn, p2m_type));
            match same {
                Some(own) => part += own.pages,
                None if self.has_source(mfn, p2m_type, sources) => part += 1,
                None => return Some(part),
            }
        }
        None
    }
}

impl Visitor for Leaves {
    fn leaf(&mut self, gfn: u64, level: u32, entry: u64) {
        let leaf = Mapped {
            mfn: pte::mfn(entry),
            p2m_type: pte::p2m_type(entry),
            pages: 1 << pte::order(level),
        };
        self.mapped.insert(gfn, leaf);
        if entry & pte::VALID == 0 {
            self.invalid.push(gfn);
        }
    }

    fn table(&mut self, mfn: Mfn, _level: u32) {
        self.tables.push(mfn);
    }
}

impl State {
    /// What was allocated for a view is a view's, or that of one that is being freed; and a domain
    /// that is gone has nothing for views.
    fn check_view_structures(&mut self) {
        let gone = self.domains.domains.iter().filter(|d| d.gone);
        let left = gone.filter(|d| Domain(d.pointer).can_have_views()).count();
        if left > 0 {
            self.broken(
                "R5",
                format!("{left} domains are gone, what they had for views is not"),
            );
        }
        let domains = self.domains.domains.iter().map(|d| Domain(d.pointer));
        let reached: HashSet<usize> = domains
            .flat_map(Domain::views)
            .map(|(_, view)| view.address())
            .collect();
        let all = self.domains.views.iter();
        let lost = all.filter(|view| !reached.contains(&view.addr())).count();
        if lost > 0 {
            self.broken("R5", format!("{lost} structures of views are lost"));
        }
    }

    /// Checks the views of a domain. Returns how many table pages they have.
    pub(crate) fn check_views(&mut self, d: Domain, pooled: &mut HashSet<Mfn>) -> usize {
        let views = d.views();
        if views.is_empty() {
            return 0;
        }
        let mut host = Leaves::default();
        self.visit(d.address(), &mut host);
        let mut all = 0;
        for (number, view) in views {
            let of = self.domains.name(d.address());
            let name = format!("view {number} of {of}");
            let mut copied = Leaves::default();
            self.visit_view(view, &mut copied);
            let sources = (view.first_source(), view.last_source());
            for (&gfn, &leaf) in &copied.mapped {
                if let Some(part) = host.stranger(gfn, leaf, sources) {
                    let (gfn, mfn, ty) = (gfn + part, leaf.mfn + part, leaf.p2m_type);
                    self.broken(
                        "V1",
                        format!(
                            "{name} maps {mfn:#x} with type {ty} at {gfn:#x}, which the host \
                             p2m does not"
                        ),
                    );
                }
            }
            for gfn in &copied.invalid {
                self.broken("V1", format!("{name}: the entry at {gfn:#x} is not valid"));
            }
            let listed = self.lists.pages(view.pages_head());
            let (_, roots) = self.config.root();
            let in_tree: HashSet<Mfn> = copied.tables.iter().copied().collect();
            let below_root = in_tree.len().saturating_sub(roots);
            let unlisted = below_root
                .saturating_sub(listed.iter().filter(|page| in_tree.contains(page)).count());
            // Emptied, and not freed yet: the domain is dying, or the view is being destroyed.
            let left = listed.len() - (below_root - unlisted);
            if unlisted > 0 || left > 0 && below_root > 0 {
                self.broken(
                    "R5",
                    format!("{name}: {} pages listed, {below_root} tables", listed.len()),
                );
            }
            for page in &listed {
                if !pooled.insert(*page) {
                    self.broken("R2", format!("{name}: page {page:#x} is in use twice"));
                }
            }
            all += listed.len();
        }
        all
    }
}
