// SPDX-License-Identifier: GPL-2.0-only
//! Calls that clean guest RAM; what is dirty is [`crate::books::dirty`]'s. Rules:
//!
//! - C1: when `p2m_flush_vm` is done, each page of the domain's RAM that was dirty when
//!   it began has been cleaned since;
//! - C2: so has each page of the part of the range that `p2m_cache_flush_range` is
//!   through with.
//!
//! What becomes dirty meanwhile may be left to the next call, but not forgotten by it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::tree::Visitor;
use super::State;
use crate::books::dirty::{Cleaning, Writer};
use crate::ground::abi::p2mt;
use crate::ground::event::Mfn;
use crate::ground::handles::Domain;
use crate::ground::pte;

/// Leaves of RAM, anybody's, with dirty pages in them.
struct Found<'a> {
    pages: &'a BTreeMap<Mfn, Writer>,
    gfns: Range<u64>,
    due: BTreeSet<(u64, Mfn)>,
}

impl Visitor for Found<'_> {
    fn leaf(&mut self, gfn: u64, level: u32, entry: u64) {
        if !p2mt::is_any_ram(pte::p2m_type(entry)) {
            return;
        }
        let first = pte::mfn(entry);
        for &mfn in self
            .pages
            .range(first..first + (1 << pte::order(level)))
            .map(|(mfn, _)| mfn)
        {
            let gfn = gfn + (mfn - first);
            if self.gfns.contains(&gfn) {
                self.due.insert((gfn, mfn));
            }
        }
    }
}

impl State {
    /// The dirty pages that are mapped in these guest frames.
    fn dirty_in(&mut self, domain: usize, gfns: Range<u64>) -> BTreeSet<(u64, Mfn)> {
        if self.dirty.pages.is_empty() {
            return BTreeSet::new();
        }
        let pages = self.dirty.pages.clone();
        let mut found = Found {
            pages: &pages,
            gfns,
            due: BTreeSet::new(),
        };
        self.visit(domain, &mut found);
        // What a guest reaches by a view only: nothing, as long as rule V1 holds.
        let record = self.domains.by_address(domain);
        let views = record.map_or_else(Vec::new, |d| Domain(d.pointer).views());
        for (_, view) in views {
            self.visit_view(view, &mut found);
        }
        found.due
    }

    /// A frame was cleaned and invalidated.
    pub(crate) fn cleaned(&mut self, mfn: Mfn) {
        self.dirty.pages.remove(&mfn);
        for call in self.dirty.calls.values_mut() {
            call.due.retain(|(_, due)| *due != mfn);
        }
    }

    /// A call that cleans these guest frames begins.
    pub(crate) fn cleaning_begins(&mut self, cpu: usize, d: Domain, gfns: Range<u64>) {
        let domain = d.address();
        let due = self.dirty_in(domain, gfns);
        self.dirty.calls.insert(cpu, Cleaning { domain, due });
    }

    /// It is through with all guest frames below `end`.
    pub(crate) fn cleaning_ends(&mut self, cpu: usize, end: u64, rule: &'static str) {
        let Some(call) = self.dirty.calls.remove(&cpu) else {
            return;
        };
        // What was taken from the domain meanwhile is not its RAM any more.
        let still = self.dirty_in_tables(call.domain, &call.due);
        for (gfn, mfn) in still.into_iter().filter(|(gfn, _)| *gfn < end) {
            let writer = self.dirty.pages.get(&mfn).copied();
            self.broken(
                rule,
                format!(
                    "frame {mfn:#x} at guest frame {gfn:#x} is not cleaned: {writer:?} wrote it"
                ),
            );
        }
    }

    /// Those of `due` that are mapped there still.
    fn dirty_in_tables(&mut self, domain: usize, due: &BTreeSet<(u64, Mfn)>) -> Vec<(u64, Mfn)> {
        if due.is_empty() {
            return Vec::new();
        }
        let now = self.dirty_in(domain, 0..u64::MAX);
        due.intersection(&now).copied().collect()
    }
}
