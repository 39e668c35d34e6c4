// SPDX-License-Identifier: GPL-2.0-only
//! The data caches, as far as guest RAM is concerned: which pages hold data that
//! memory does not, and what a call that cleans had to clean.
//!
//! Xen cleans guest RAM when the guest asks for it by set/way operations
//! (`p2m_flush_vm`), and when the toolstack does (`p2m_cache_flush_range`). What is
//! dirty then may be anybody's work, see [`Writer`], and stage 2 knows of the guest's
//! own writes only: everyone else writes through mappings of their own. So the model
//! notes for each page who wrote it last, and takes the note back when the page is
//! cleaned. Rules:
//!
//! - C1: when `p2m_flush_vm` is done, each page of the domain's RAM that was dirty when
//!   it began has been cleaned since;
//! - C2: so has each page of the part of the range that `p2m_cache_flush_range` is
//!   through with.
//!
//! What becomes dirty meanwhile may be left to the next call, but not forgotten by it.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::Mfn;
use crate::machine::{with, State};
use crate::pte;
use crate::snapshot::Visitor;
use crate::stage1::Want;
use crate::world::{Domain, Vcpu, World};

/// Who makes a page of a guest's dirty in the caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// The guest, through stage 2.
    Guest,
    /// Xen: hypercalls' results, and pages that it shares with the guest.
    Xen,
    /// A driver in another domain, by a grant or a foreign mapping, which it may hold
    /// for as long as it likes.
    Backend,
    /// The toolstack, which loads kernels, and introspection, which patches them.
    Toolstack,
}

/// What a call that is in progress still has to clean.
#[derive(Debug)]
struct Cleaning {
    domain: usize,
    /// Guest frame and frame of each.
    due: BTreeSet<(u64, Mfn)>,
}

/// Dirty pages, and the calls that clean, by CPU.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    pages: BTreeMap<Mfn, Writer>,
    calls: BTreeMap<usize, Cleaning>,
}

/// Leaves of RAM, anybody's, with dirty pages in them.
struct Found<'a> {
    pages: &'a BTreeMap<Mfn, Writer>,
    gfns: std::ops::Range<u64>,
    due: BTreeSet<(u64, Mfn)>,
}

/// `p2m_is_any_ram`.
fn is_any_ram(entry: u64) -> bool {
    matches!(pte::p2m_type(entry), 1 | 2 | 6..=9)
}

impl Visitor for Found<'_> {
    fn leaf(&mut self, gfn: u64, level: u32, entry: u64) {
        if !is_any_ram(entry) {
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
    fn dirty_in(&mut self, domain: usize, gfns: std::ops::Range<u64>) -> BTreeSet<(u64, Mfn)> {
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
    pub(crate) fn cleaning_begins(&mut self, cpu: usize, d: Domain, gfns: std::ops::Range<u64>) {
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

fn write(writer: Writer, mfn: Mfn) {
    with(|m, _| m.dirty.pages.insert(mfn, writer));
}

impl Domain {
    /// The domain's vCPU that runs on this CPU writes a page of its own: through stage 2,
    /// after the faults that this takes. The frame, or none if it may not.
    pub fn guest_writes(self, gfn: u64) -> Option<Mfn> {
        for _ in 0..8 {
            let maddr = with(|m, cpu| m.hardware_walk(cpu, gfn << 12, Want::Write));
            if let Some(maddr) = maddr {
                write(Writer::Guest, maddr >> 12);
                return Some(maddr >> 12);
            }
            if !self.resolve(gfn) {
                return None;
            }
        }
        None
    }
}

impl World {
    /// `writer` writes a page in the caches, through a mapping of its own.
    pub fn writes(&self, writer: Writer, mfn: Mfn) {
        write(writer, mfn);
    }

    /// Xen writes to a buffer of the current vCPU's. Its frame, or none if there is no
    /// page to be had.
    pub fn xen_copies_to(&self, v: Vcpu, gva: u64) -> Option<Mfn> {
        let page = v.page_from_gva(gva, true)?;
        self.writes(Writer::Xen, page.mfn());
        Some(page.put())
    }

    /// A backend or the toolstack maps a guest's page, writes it, and unmaps it. Its
    /// frame, or none if there is no page to be had.
    pub fn foreign_writes(&self, writer: Writer, d: Domain, gfn: u64) -> Option<Mfn> {
        let page = d.page_from_gfn(gfn).0?;
        self.writes(writer, page.mfn());
        Some(page.put())
    }

    /// Pages that memory is behind of, and who wrote them.
    #[must_use]
    pub fn dirty_pages(&self) -> Vec<(Mfn, Writer)> {
        with(|m, _| m.dirty.pages.iter().map(|(&m, &w)| (m, w)).collect())
    }

    /// Runs `body` as what cleans these guest frames; it says how far it got.
    pub fn as_cleaning<R>(
        &self,
        rule: &'static str,
        d: Domain,
        gfns: std::ops::Range<u64>,
        body: impl FnOnce() -> (R, u64),
    ) -> R {
        cleaning(rule, d, gfns, body)
    }
}

/// As [`World::as_cleaning`].
pub(crate) fn cleaning<R>(
    rule: &'static str,
    d: Domain,
    gfns: std::ops::Range<u64>,
    body: impl FnOnce() -> (R, u64),
) -> R {
    with(|m, cpu| m.cleaning_begins(cpu, d, gfns));
    let (result, end) = body();
    with(|m, cpu| m.cleaning_ends(cpu, end, rule));
    result
}
