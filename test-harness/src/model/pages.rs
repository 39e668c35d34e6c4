// SPDX-License-Identifier: GPL-2.0-only
//! The memory of the heap's pages.
//!
//! Real memory, 4 KiB aligned, so a mapped page is a real pointer. All of it is
//! one reservation, which the system fills in as pages are touched: a frame's
//! words, and the frame of an address, are found by arithmetic.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::ground::event::Mfn;
use crate::ground::hash::WordMap;
use crate::ground::memory_map::{HEAP_BASE, RUN_BASE, RUN_FRAMES};

/// Words in a table page.
pub(crate) const WORDS: usize = 512;
/// What an allocated page holds: bit 0 and a type are set.
pub(crate) const POISON: u64 = 0xA5A5_A5A5_A5A5_A5A5;
/// What a freed page holds.
pub(crate) const FREED: u64 = 0xF5F5_F5F5_F5F5_F5F5;

#[repr(C, align(4096))]
struct Page([AtomicU64; WORDS]);

pub(crate) struct Pages {
    /// All frames that the heap may give out, first the single ones.
    heap: Box<[AtomicU64]>,
    /// Words before the first whole page.
    skip: usize,
    singles: u64,
    /// Frames that are none of the heap's, which nobody should map.
    strays: WordMap<Box<Page>>,
    stray_at: BTreeMap<usize, Mfn>,
}

/// `count` words, untouched.
fn zeroes(count: usize) -> Box<[AtomicU64]> {
    let words = Box::into_raw(vec![0_u64; count].into_boxed_slice());
    // SAFETY: an AtomicU64 is as a u64 in memory, and these have no other owner.
    unsafe { Box::from_raw(words as *mut [AtomicU64]) }
}

impl Pages {
    pub(crate) fn new(singles: u64) -> Self {
        let pages = (singles + RUN_FRAMES) as usize;
        let heap = zeroes((pages + 1) * WORDS);
        let past = heap.as_ptr().addr() % (WORDS * 8) / 8;
        Self {
            heap,
            skip: (WORDS - past) % WORDS,
            singles,
            strays: WordMap::default(),
            stray_at: BTreeMap::new(),
        }
    }

    /// Where a frame of the heap begins.
    #[inline(always)]
    fn start(&self, mfn: Mfn) -> Option<usize> {
        let (single, run) = (mfn.wrapping_sub(HEAP_BASE), mfn.wrapping_sub(RUN_BASE));
        let page = if single < self.singles {
            single
        } else if run < RUN_FRAMES {
            self.singles + run
        } else {
            return None;
        };
        Some(self.skip + page as usize * WORDS)
    }

    #[inline(always)]
    fn page(&mut self, mfn: Mfn) -> &mut [AtomicU64] {
        match self.start(mfn) {
            Some(start) => &mut self.heap[start..start + WORDS],
            None => self.stray(mfn),
        }
    }

    #[cold]
    fn stray(&mut self, mfn: Mfn) -> &mut [AtomicU64] {
        let stray = self.strays.entry(mfn).or_insert_with(|| {
            let page = Box::new(Page([const { AtomicU64::new(POISON) }; WORDS]));
            self.stray_at.insert(page.0.as_ptr().addr(), mfn);
            page
        });
        &mut stray.0
    }

    #[inline(always)]
    fn known(&self, mfn: Mfn) -> Option<&[AtomicU64]> {
        match self.start(mfn) {
            Some(start) => Some(&self.heap[start..start + WORDS]),
            None => self.strays.get(&mfn).map(|page| page.0.as_slice()),
        }
    }

    /// The words of a page that are not zero, with their index.
    pub(crate) fn words(&mut self, mfn: Mfn) -> Vec<(usize, u64)> {
        let words = self.page(mfn);
        // It is asked for often, and most pages are empty, or full.
        let any = words.iter_mut().fold(0, |any, word| any | *word.get_mut());
        if any == 0 {
            return Vec::new();
        }
        let mut found = Vec::with_capacity(WORDS);
        for (index, word) in words.iter_mut().enumerate() {
            let word = *word.get_mut();
            if word != 0 {
                found.push((index, word));
            }
        }
        found
    }

    /// The address at which the page is mapped.
    #[inline(always)]
    pub(crate) fn map(&mut self, mfn: Mfn) -> *mut u64 {
        self.page(mfn)[0].as_ptr()
    }

    /// The table word behind an address.
    #[inline(always)]
    pub(crate) fn word_at(&self, address: usize) -> Option<(Mfn, usize)> {
        let first = self.heap.as_ptr().addr() + self.skip * 8;
        let word = address.wrapping_sub(first) / 8;
        if address % 8 != 0 {
            return None;
        }
        let page = (word / WORDS) as u64;
        if page < self.singles {
            return Some((HEAP_BASE + page, word % WORDS));
        }
        if page < self.singles + RUN_FRAMES {
            return Some((RUN_BASE + page - self.singles, word % WORDS));
        }
        let (base, mfn) = self.stray_at.range(..=address).next_back()?;
        let word = (address - base) / 8;
        (word < WORDS).then_some((*mfn, word))
    }

    #[inline(always)]
    pub(crate) fn load(&mut self, mfn: Mfn, index: usize) -> u64 {
        *self.page(mfn)[index].get_mut()
    }

    /// A word of a page that is known; 0 elsewhere.
    #[inline(always)]
    pub(crate) fn peek_word(&self, mfn: Mfn, index: usize) -> u64 {
        self.known(mfn)
            .map_or(0, |words| words[index].load(Ordering::Relaxed))
    }

    /// All words of a page that is known; none elsewhere.
    pub(crate) fn peek(&self, mfn: Mfn) -> impl Iterator<Item = u64> + '_ {
        let words = self.known(mfn).unwrap_or_default();
        words.iter().map(|word| word.load(Ordering::Relaxed))
    }

    /// The old value.
    #[inline(always)]
    pub(crate) fn store(&mut self, mfn: Mfn, index: usize, value: u64) -> u64 {
        std::mem::replace(self.page(mfn)[index].get_mut(), value)
    }

    pub(crate) fn fill(&mut self, mfn: Mfn, with: u64) {
        for word in self.page(mfn) {
            *word.get_mut() = with;
        }
    }
}
