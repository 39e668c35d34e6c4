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

    fn words(&self) -> &[AtomicU64; WORDS] {
        // SAFETY: a page that the world keeps mapped; only accessed as atomics there.
        unsafe { &*self.words.cast() }
    }

    fn load(&self, index: usize) -> u64 {
        self.words()[index].load(Ordering::Relaxed)
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

    /// The access settings in the Rust's entries for some guest frames, in their order; none
    /// where nothing is mapped or nothing restricted. All tables are known.
    pub(crate) fn settings(&self, gfns: &[u64]) -> Vec<Option<i64>> {
        let mut settings = Vec::with_capacity(gfns.len());
        // Those that a table of pages spans, or an entry above.
        for near in gfns.chunk_by(|one, next| one / WORDS as u64 == next / WORDS as u64) {
            match self.table_of(near[0]) {
                Some(pair) if pair.level == 3 => {
                    settings.extend(near.iter().map(|gfn| pair.setting(*gfn)));
                }
                other => {
                    let setting = other.and_then(|pair| pair.setting(near[0]));
                    settings.extend(near.iter().map(|_| setting));
                }
            }
        }
        settings
    }

    /// The last table on the way to a guest frame.
    fn table_of(&self, gfn: u64) -> Option<&Pair> {
        let top = self.0.first()?.level;
        let mut pair = self.0.get((gfn >> (pte::order(top) + 9)) as usize)?;
        loop {
            let index = pair.index(gfn);
            if !pte::is_table(pair.rust.load(index), pair.level) {
                return Some(pair);
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
    /// Which word is on the way to a guest frame.
    fn index(&self, gfn: u64) -> usize {
        (gfn >> pte::order(self.level)) as usize % WORDS
    }

    /// The access setting in the Rust's entry for a guest frame, which leads to no table.
    fn setting(&self, gfn: u64) -> Option<i64> {
        let entry = self.rust.load(self.index(gfn));
        let setting = i64::from(pte::setting(entry));
        let is_restricted = pte::is_leaf(entry, self.level) && setting != i64::from(access::RWX);
        is_restricted.then_some(setting)
    }

    fn compare(&mut self, rust: &Side, c: &Side, stores: &Stores<'_>) -> Result<(), Unequal> {
        if stores.concern(self) {
            self.scan(rust, c)?;
        }
        self.below
            .iter_mut()
            .try_for_each(|(_, pair)| pair.compare(rust, c, stores))
    }

    /// Whether all words are equal, in tables that lead to none.
    fn is_equal(&self) -> bool {
        let words = self.rust.words().iter().zip(self.c.words());
        let differences = words.map(|(r, x)| r.load(Ordering::Relaxed) ^ x.load(Ordering::Relaxed));
        // The C keeps access settings elsewhere.
        differences.fold(0, |all, one| all | one) & !SETTING == 0
    }

    /// Reads both tables; new ones below are read as well.
    fn scan(&mut self, rust: &Side, c: &Side) -> Result<(), Unequal> {
        if self.level == 3 && self.is_equal() {
            return Ok(());
        }
        let mut known = std::mem::take(&mut self.below).into_iter().peekable();
        let words = self.rust.words().iter().zip(self.c.words());
        for (index, (r, x)) in words.enumerate() {
            let (r, x) = (r.load(Ordering::Relaxed), x.load(Ordering::Relaxed));
            if r == 0 && x == 0 {
                continue;
            }
            while known.peek().is_some_and(|(at, _)| *at < index) {
                known.next();
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
        let words = self.rust.words().iter();
        let leaves = words
            .map(|word| word.load(Ordering::Relaxed))
            .filter(|word| pte::is_leaf(*word, self.level) && word & pte::VALID != 0)
            .filter(|word| any_ram(pte::p2m_type(*word)))
            .count() as u64;
        let below: u64 = self.below.iter().map(|(_, pair)| pair.flushable()).sum();
        (leaves << pte::order(self.level)) + below
    }
}
