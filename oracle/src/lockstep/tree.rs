// SPDX-License-Identifier: GPL-2.0-only
//! The trees of the two sides, word by word.
//!
//! Frame numbers of tables differ, so a pair of tables is compared by its place
//! in the walk. A pair that neither side has stored to since is equal still,
//! and so is not read again; `full` reads all.

use std::sync::atomic::{AtomicU64, Ordering};

use test_harness::abi::access;
use test_harness::pte;

use crate::sides::side::Side;

/// Output address, bits 47:12.
const BASE: u64 = 0x0000_FFFF_FFFF_F000;
/// The access setting, bits 62:59.
const SETTING: u64 = 0xF << 59;
const WORDS: usize = 512;
/// A table page of one side.
#[derive(Clone, Copy)]
struct Page {
    mfn: u64,
    words: *mut u64,
}

impl Page {
    fn new(side: &Side, mfn: u64) -> Self {
        let _here = side.enter();
        let words = xen_sys::xs_map_domain_page(mfn);
        Self { mfn, words }
    }

    fn load(self, index: usize) -> u64 {
        let word = self.words.wrapping_add(index);
        // SAFETY: a word of a page that the world keeps mapped; only accessed
        // as an atomic there.
        unsafe { AtomicU64::from_ptr(word) }.load(Ordering::Relaxed)
    }
}

/// A table in the same place of both trees.
struct Pair {
    rust: Page,
    c: Page,
    level: u32,
    gfn: u64,
    below: Vec<(usize, Pair)>,
}

/// Two words that differ.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unequal {
    pub(crate) gfn: u64,
    pub(crate) level: u32,
    pub(crate) rust: u64,
    pub(crate) c: u64,
}

/// The trees of one domain.
#[derive(Default)]
pub(crate) struct Trees(Vec<Pair>);

/// What the two sides stored to, sorted.
pub(crate) struct Stores<'a> {
    pub(crate) rust: &'a [u64],
    pub(crate) c: &'a [u64],
    pub(crate) full: bool,
}

impl Stores<'_> {
    fn concern(&self, pair: &Pair) -> bool {
        self.full
            || self.rust.binary_search(&pair.rust.mfn).is_ok()
            || self.c.binary_search(&pair.c.mfn).is_ok()
    }
}

impl Trees {
    /// New roots.
    pub(crate) fn of(rust: &Side, c: &Side, d: u64, root: (u32, usize)) -> Self {
        let first = |side: &Side| {
            let _here = side.enter();
            side.world.root(side.d(d))
        };
        let (Some(r), Some(x)) = (first(rust), first(c)) else {
            return Self::default();
        };
        let (level, pages) = root;
        let pair = |n: u64| Pair {
            rust: Page::new(rust, r + n),
            c: Page::new(c, x + n),
            level,
            gfn: (n << 9) << pte::order(level),
            below: Vec::new(),
        };
        Self((0..pages as u64).map(pair).collect())
    }

    /// Compares what may have changed.
    pub(crate) fn compare(
        &mut self,
        rust: &Side,
        c: &Side,
        stores: &Stores<'_>,
    ) -> Result<(), Unequal> {
        self.0
            .iter_mut()
            .try_for_each(|pair| pair.compare(rust, c, stores))
    }

    /// The access setting in the Rust's entry for a guest frame; none if nothing
    /// is mapped there or nothing restricted. All tables are known.
    pub(crate) fn setting(&self, gfn: u64) -> Option<i64> {
        let top = self.0.first()?.level;
        let mut pair = self.0.get((gfn >> (pte::order(top) + 9)) as usize)?;
        loop {
            let index = (gfn >> pte::order(pair.level)) as usize % WORDS;
            let entry = pair.rust.load(index);
            if !pte::is_table(entry, pair.level) {
                let setting = i64::from(pte::setting(entry));
                return (pte::is_leaf(entry, pair.level) && setting != i64::from(access::RWX))
                    .then_some(setting);
            }
            let below = pair.below.binary_search_by_key(&index, |(at, _)| *at);
            pair = &pair.below[below.unwrap()].1;
        }
    }

    /// RAM pages that a cache flush would clean, one by one.
    pub(crate) fn flushable(&self) -> u64 {
        self.0.iter().map(Pair::flushable).sum()
    }
}

impl Pair {
    fn compare(&mut self, rust: &Side, c: &Side, stores: &Stores<'_>) -> Result<(), Unequal> {
        if stores.concern(self) {
            self.scan(rust, c)?;
        }
        self.below
            .iter_mut()
            .try_for_each(|(_, pair)| pair.compare(rust, c, stores))
    }

    /// Reads both tables; new ones below are read as well.
    fn scan(&mut self, rust: &Side, c: &Side) -> Result<(), Unequal> {
        let mut known = std::mem::take(&mut self.below).into_iter().peekable();
        for index in 0..WORDS {
            let (r, x) = (self.rust.load(index), self.c.load(index));
            while known.peek().is_some_and(|(at, _)| *at < index) {
                known.next();
            }
            if r == 0 && x == 0 {
                continue;
            }
            let gfn = self.gfn + ((index as u64) << pte::order(self.level));
            let tables = (pte::is_table(r, self.level), pte::is_table(x, self.level));
            // The C keeps access settings elsewhere.
            let unequal = if tables == (true, true) {
                (r ^ x) & !BASE
            } else {
                (r ^ x) & !SETTING
            };
            if unequal != 0 {
                return Err(Unequal {
                    gfn,
                    level: self.level,
                    rust: r,
                    c: x,
                });
            }
            if !tables.0 {
                continue;
            }
            let (r, x) = (pte::mfn(r), pte::mfn(x));
            let same = known
                .next_if(|(at, _)| *at == index)
                .filter(|(_, pair)| (pair.rust.mfn, pair.c.mfn) == (r, x));
            let pair = match same {
                Some((_, pair)) => pair,
                None => {
                    let mut pair = Self {
                        rust: Page::new(rust, r),
                        c: Page::new(c, x),
                        level: self.level + 1,
                        gfn,
                        below: Vec::new(),
                    };
                    pair.scan(rust, c)?;
                    pair
                }
            };
            self.below.push((index, pair));
        }
        Ok(())
    }

    fn flushable(&self) -> u64 {
        let any_ram = |t: u32| t == 1 || t == 2 || (6..=9).contains(&t);
        let leaves = (0..WORDS)
            .map(|index| self.rust.load(index))
            .filter(|word| pte::is_leaf(*word, self.level) && word & pte::VALID != 0)
            .filter(|word| any_ram(pte::p2m_type(*word)))
            .count() as u64;
        let below: u64 = self.below.iter().map(|(_, pair)| pair.flushable()).sum();
        (leaves << pte::order(self.level)) + below
    }
}
