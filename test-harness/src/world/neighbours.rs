// SPDX-License-Identifier: GPL-2.0-only
//! What an operation must leave alone: every page of every domain but those that
//! it was asked to change.
//!
//! [`World::neighbours`] is taken before an operation and after it, and both must
//! be equal. Pages are compared by everything that their entry says, ignored bits
//! too, and by whether the hardware gets to them; not by the size of the entry, for
//! splitting and merging blocks changes nothing that a guest could tell.

use std::ops::Range;

use super::World;
use crate::ground::event::Mfn;
use crate::ground::handles::Domain;
use crate::ground::pte;
use crate::rules::State;

/// Bits of an entry that its size decides (bit 1), or that are compared otherwise
/// (bit 0, the frame).
const NOT_COMPARED: u64 = 3 | 0x0000_FFFF_FFFF_F000;

/// Consecutive pages that map consecutive frames alike.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    /// Which domain of the machine.
    domain: usize,
    gfn: u64,
    pages: u64,
    mfn: Mfn,
    /// The rest of the entry.
    attributes: u64,
    /// The hardware gets there; false if that is not compared.
    walkable: bool,
}

impl Run {
    fn goes_on_with(&self, next: &Self) -> bool {
        let same = (self.domain, self.attributes, self.walkable)
            == (next.domain, next.attributes, next.walkable);
        same && self.gfn + self.pages == next.gfn && self.mfn + self.pages == next.mfn
    }

    /// What of it lies in `gfns`.
    fn within(&self, gfns: &Range<u64>) -> Option<Self> {
        let from = self.gfn.max(gfns.start);
        let to = (self.gfn + self.pages).min(gfns.end);
        (from < to).then(|| Self {
            gfn: from,
            pages: to - from,
            mfn: self.mfn + (from - self.gfn),
            ..self.clone()
        })
    }
}

/// Which pages an operation may change, and whether it may change to which of the
/// others the hardware gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The domain and its guest frames.
    pub pages: Option<(Domain, Range<u64>)>,
    /// Bit 0 of any entry may change.
    pub valid_bits: bool,
}

impl Reach {
    /// The pages of `gfns` and nothing else.
    #[must_use]
    pub fn of(d: Domain, gfns: Range<u64>) -> Self {
        Self {
            pages: Some((d, gfns)),
            valid_bits: false,
        }
    }

    /// Nothing at all.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            pages: None,
            valid_bits: false,
        }
    }

    /// Bit 0 of any entry.
    #[must_use]
    pub fn valid_bits() -> Self {
        Self {
            pages: None,
            valid_bits: true,
        }
    }
}

/// All pages out of an operation's reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbours(Vec<Run>);

/// Collects the runs that are out of a reach.
struct Collector {
    kept: Vec<Run>,
    /// The domain that the operation may change, and its guest frames.
    own: Option<(usize, Range<u64>)>,
    compares_valid_bits: bool,
}

impl Collector {
    fn add(&mut self, mut run: Run) {
        run.walkable &= self.compares_valid_bits;
        let end = run.gfn + run.pages;
        match &self.own {
            Some((n, gfns)) if run.domain == *n && run.gfn < gfns.end && gfns.start < end => {
                let before = run.within(&(0..gfns.start));
                let after = run.within(&(gfns.end..u64::MAX));
                before
                    .into_iter()
                    .chain(after)
                    .for_each(|part| self.keep(part));
            }
            _ => self.keep(run),
        }
    }

    fn keep(&mut self, run: Run) {
        match self.kept.last_mut() {
            Some(last) if last.goes_on_with(&run) => last.pages += run.pages,
            _ => self.kept.push(run),
        }
    }

    fn domain(&mut self, m: &mut State, domain: usize, address: usize) {
        let Some(root) = m.root_of(address) else {
            return;
        };
        let (level, pages) = m.config.root();
        for i in 0..pages as u64 {
            let gfn = i << (pte::order(level) + 9);
            self.table(m, domain, (root + i, level, gfn, true));
        }
    }

    fn table(
        &mut self,
        m: &mut State,
        domain: usize,
        (table, level, gfn, walkable): (Mfn, u32, u64, bool),
    ) {
        for (index, entry) in m.frames.pages.words(table) {
            let gfn = gfn + ((index as u64) << pte::order(level));
            let walkable = walkable && entry & pte::VALID != 0;
            if pte::is_table(entry, level) {
                self.table(m, domain, (pte::mfn(entry), level + 1, gfn, walkable));
            } else if pte::is_leaf(entry, level) {
                self.add(Run {
                    domain,
                    gfn,
                    pages: 1 << pte::order(level),
                    mfn: pte::mfn(entry),
                    attributes: entry & !NOT_COMPARED,
                    walkable,
                });
            }
        }
    }
}

impl World {
    /// What an operation of that reach must leave as it is.
    #[must_use]
    pub fn neighbours(&self, reach: &Reach) -> Neighbours {
        self.locked(|m| {
            let domains: Vec<usize> = m.domains.domains.iter().map(|d| d.pointer.addr()).collect();
            let number = |d: Domain| domains.iter().position(|&a| a == d.address());
            let own = reach.pages.as_ref();
            let mut found = Collector {
                kept: Vec::new(),
                own: own.and_then(|(d, gfns)| Some((number(*d)?, gfns.clone()))),
                compares_valid_bits: !reach.valid_bits,
            };
            for (n, &address) in domains.iter().enumerate() {
                found.domain(m, n, address);
            }
            Neighbours(found.kept)
        })
    }

    /// Runs an operation of that reach.
    ///
    /// # Panics
    ///
    /// If it changed anything out of its reach.
    #[track_caller]
    pub fn within<R>(&self, reach: &Reach, body: impl FnOnce() -> R) -> R {
        let before = self.neighbours(reach);
        let result = body();
        let after = self.neighbours(reach);
        if let Some(changed) = before.first_difference(&after) {
            panic!("out of the operation's reach ({reach:x?}) {changed}");
        }
        result
    }
}

impl Neighbours {
    /// What differs first, as a sentence.
    #[must_use]
    pub fn first_difference(&self, after: &Self) -> Option<String> {
        if self == after {
            return None;
        }
        let same = self.0.iter().zip(&after.0).take_while(|(a, b)| a == b);
        let at = same.count();
        let (before, now) = (self.0.get(at), after.0.get(at));
        Some(format!("there was {before:x?}, and now is {now:x?}"))
    }
}
