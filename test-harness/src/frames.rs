// SPDX-License-Identifier: GPL-2.0-only
//! The frame table, the heap and the memory of table pages.
//!
//! Heap frames have real, 4 KiB aligned memory, so a mapped page is a real
//! pointer; guest RAM frames exist by number only, and come into being when
//! they are first named, so a 1 GiB block costs nothing. Pages are handed out
//! full of [`POISON`], which reads as a valid entry: code that forgets to clear
//! a table is found. Freed heap frames wait in a queue before they come again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use xen_sys::page_info;

use crate::event::Mfn;
use crate::hash::WordMap;

/// Words in a table page.
pub(crate) const WORDS: usize = 512;
/// What an allocated page holds: bit 0 and a type are set.
pub(crate) const POISON: u64 = 0xA5A5_A5A5_A5A5_A5A5;
/// What a freed page holds.
pub(crate) const FREED: u64 = 0xF5F5_F5F5_F5F5_F5F5;

/// First heap frame; allocations of one page come from here.
const HEAP_BASE: Mfn = 0x4_0000;
/// Allocations of several pages come from here, 16 frames apart.
const RUN_BASE: Mfn = 0x8_0000;
const RUN_PAGES: u64 = 16;
const RUNS: u64 = 8192;
const PAGE_INFOS: u64 = 512;
const MEMORY_CHUNK: u64 = 16;

#[repr(C, align(4096))]
struct Page([AtomicU64; WORDS]);

impl Page {
    const fn of(value: u64) -> Self {
        let mut words = [const { AtomicU64::new(0) }; WORDS];
        let mut i = 0;
        while i < WORDS {
            words[i] = AtomicU64::new(value);
            i += 1;
        }
        Self(words)
    }
}

// Ready-made, to be copied: most of a short test's time would go into filling.
#[allow(clippy::declare_interior_mutable_const)] // a copy of it is what is wanted
const ZEROES: Page = Page::of(0);
#[allow(clippy::declare_interior_mutable_const)]
const POISONED: Page = Page::of(POISON);
#[allow(clippy::declare_interior_mutable_const)]
const DEAD: Page = Page::of(FREED);

/// What a page is filled with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fill {
    /// By `clear_page()`.
    Zeroes,
    /// [`POISON`].
    Poison,
    /// [`FREED`].
    Freed,
}

/// Where a frame is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// Named but never given to anybody.
    Absent,
    /// In the heap's hands.
    Free,
    /// Allocated; `order` is that of its allocation, on its first frame.
    Heap { order: u32 },
    /// Guest or Xen heap memory.
    Ram,
}

/// What the machine knows of a frame.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) life: Life,
    pub(crate) owner: Option<usize>,
    pub(crate) refs: u64,
    /// `Some(gfn)` on Xen heap pages: where a guest sees it.
    pub(crate) xenheap: Option<u64>,
    /// No further reference can be had: the count is full or the owner dies.
    pub(crate) saturated: bool,
    /// The owner gave its own reference up.
    pub(crate) released: bool,
}

const ABSENT: Frame = Frame {
    life: Life::Absent,
    owner: None,
    refs: 0,
    xenheap: None,
    saturated: false,
    released: false,
};

/// RAM that exists by number.
#[derive(Debug, Clone, Copy)]
struct Region {
    start: Mfn,
    end: Mfn,
    owner: Option<usize>,
    xenheap: bool,
}

pub(crate) struct Frames {
    known: WordMap<Frame>,
    regions: Vec<Region>,
    infos: WordMap<Vec<page_info>>,
    info_at: BTreeMap<usize, u64>,
    memory: WordMap<Vec<Page>>,
    memory_at: BTreeMap<usize, u64>,
    fresh: Mfn,
    limit: Mfn,
    recycled: VecDeque<Mfn>,
    runs: u64,
    recycled_runs: VecDeque<Mfn>,
    /// Pages allocated and not freed.
    pub(crate) allocated: u64,
    /// Fail the n-th allocation from now (1 is the next), once.
    pub(crate) fail_in: Option<u64>,
    /// Allocations tried since the last reset.
    pub(crate) tried: u64,
}

impl Frames {
    pub(crate) fn new(heap_pages: u64) -> Self {
        Self {
            known: WordMap::default(),
            regions: Vec::new(),
            infos: WordMap::default(),
            info_at: BTreeMap::new(),
            memory: WordMap::default(),
            memory_at: BTreeMap::new(),
            fresh: HEAP_BASE,
            limit: HEAP_BASE + heap_pages.min(RUN_BASE - HEAP_BASE),
            recycled: VecDeque::new(),
            runs: 0,
            recycled_runs: VecDeque::new(),
            allocated: 0,
            fail_in: None,
            tried: 0,
        }
    }

    pub(crate) fn add_region(
        &mut self,
        start: Mfn,
        count: u64,
        owner: Option<usize>,
        xenheap: bool,
    ) {
        let end = start + count;
        assert!(
            end <= HEAP_BASE || start >= RUN_BASE + RUNS * RUN_PAGES,
            "guest RAM at {start:#x} overlaps the heap"
        );
        assert!(
            self.regions
                .iter()
                .all(|r| end <= r.start || start >= r.end),
            "guest RAM at {start:#x} overlaps other RAM"
        );
        self.regions.push(Region {
            start,
            end,
            owner,
            xenheap,
        });
    }

    /// Is there memory behind this number?
    pub(crate) fn is_ram(&self, mfn: Mfn) -> bool {
        (HEAP_BASE..RUN_BASE + RUNS * RUN_PAGES).contains(&mfn)
            || self.regions.iter().any(|r| (r.start..r.end).contains(&mfn))
    }

    pub(crate) fn frame(&mut self, mfn: Mfn) -> &mut Frame {
        let region = self
            .regions
            .iter()
            .find(|r| (r.start..r.end).contains(&mfn));
        self.known.entry(mfn).or_insert_with(|| match region {
            Some(r) => Frame {
                life: Life::Ram,
                owner: r.owner,
                refs: 1,
                xenheap: r.xenheap.then_some(u64::MAX),
                saturated: false,
                released: false,
            },
            None => ABSENT,
        })
    }

    pub(crate) fn peek(&self, mfn: Mfn) -> Option<&Frame> {
        self.known.get(&mfn)
    }

    /// Every RAM frame that has been named so far.
    pub(crate) fn ram(&self) -> impl Iterator<Item = (Mfn, &Frame)> {
        self.known
            .iter()
            .filter(|(_, f)| f.life == Life::Ram)
            .map(|(&mfn, f)| (mfn, f))
    }

    pub(crate) fn info(&mut self, mfn: Mfn) -> *mut page_info {
        let (chunk, index) = (mfn / PAGE_INFOS, (mfn % PAGE_INFOS) as usize);
        if !self.infos.contains_key(&chunk) {
            let mut infos: Vec<_> = (0..PAGE_INFOS).map(|_| page_info::default()).collect();
            self.info_at.insert(infos.as_mut_ptr().addr(), chunk);
            self.infos.insert(chunk, infos);
        }
        self.infos
            .get_mut(&chunk)
            .map_or(std::ptr::null_mut(), |infos| {
                infos.as_mut_ptr().wrapping_add(index)
            })
    }

    /// The frame of a `struct page_info *`, if it is one.
    pub(crate) fn of_info(&self, info: *const page_info) -> Option<Mfn> {
        let (base, chunk) = self.info_at.range(..=info.addr()).next_back()?;
        let offset = info.addr() - base;
        let index = (offset / size_of::<page_info>()) as u64;
        (index < PAGE_INFOS && offset % size_of::<page_info>() == 0)
            .then_some(chunk * PAGE_INFOS + index)
    }

    fn page(&mut self, mfn: Mfn) -> &mut Page {
        let (chunk, index) = (mfn / MEMORY_CHUNK, (mfn % MEMORY_CHUNK) as usize);
        let pages = self.memory.entry(chunk).or_insert_with(|| {
            let pages: Vec<_> = (0..MEMORY_CHUNK).map(|_| POISONED).collect();
            self.memory_at.insert(pages.as_ptr().addr(), chunk);
            pages
        });
        &mut pages[index]
    }

    /// The words of a page that are not zero, with their index.
    pub(crate) fn words(&mut self, mfn: Mfn) -> Vec<(usize, u64)> {
        let mut found = Vec::new();
        for (index, word) in self.page(mfn).0.iter_mut().enumerate() {
            if *word.get_mut() != 0 {
                found.push((index, *word.get_mut()));
            }
        }
        found
    }

    /// The address at which the page is mapped.
    pub(crate) fn map(&mut self, mfn: Mfn) -> *mut u64 {
        self.page(mfn).0[0].as_ptr()
    }

    /// The table word behind an address.
    pub(crate) fn word_at(&self, address: usize) -> Option<(Mfn, usize)> {
        let (base, chunk) = self.memory_at.range(..=address).next_back()?;
        let word = (address - base) / 8;
        (word < MEMORY_CHUNK as usize * WORDS && address % 8 == 0)
            .then_some((chunk * MEMORY_CHUNK + (word / WORDS) as u64, word % WORDS))
    }

    pub(crate) fn load(&mut self, mfn: Mfn, index: usize) -> u64 {
        self.page(mfn).0[index].load(Ordering::Relaxed)
    }

    /// A word of a page that is known; 0 elsewhere.
    pub(crate) fn peek_word(&self, mfn: Mfn, index: usize) -> u64 {
        let page = self.memory.get(&(mfn / MEMORY_CHUNK));
        page.map_or(0, |pages| {
            pages[(mfn % MEMORY_CHUNK) as usize].0[index].load(Ordering::Relaxed)
        })
    }

    pub(crate) fn store(&mut self, mfn: Mfn, index: usize, value: u64) -> u64 {
        self.page(mfn).0[index].swap(value, Ordering::Relaxed)
    }

    pub(crate) fn fill(&mut self, mfn: Mfn, with: Fill) {
        *self.page(mfn) = match with {
            Fill::Zeroes => ZEROES,
            Fill::Poison => POISONED,
            Fill::Freed => DEAD,
        };
    }

    pub(crate) fn alloc(&mut self, order: u32, owner: Option<usize>) -> Option<Mfn> {
        self.tried += 1;
        if let Some(n) = self.fail_in {
            self.fail_in = (n > 1).then_some(n.saturating_sub(1));
            if n <= 1 {
                return None;
            }
        }
        let mfn = if order == 0 {
            self.take_page()
        } else {
            self.take_run(order)
        }?;
        for m in mfn..mfn + (1 << order) {
            self.fill(m, Fill::Poison);
            *self.frame(m) = Frame {
                life: Life::Heap { order: 0 },
                owner,
                refs: 1,
                ..ABSENT
            };
        }
        self.frame(mfn).life = Life::Heap { order };
        self.allocated += 1 << order;
        Some(mfn)
    }

    fn take_page(&mut self) -> Option<Mfn> {
        if self.fresh < self.limit {
            self.fresh += 1;
            return Some(self.fresh - 1);
        }
        self.recycled.pop_front()
    }

    fn take_run(&mut self, order: u32) -> Option<Mfn> {
        assert!(
            1 << order <= RUN_PAGES,
            "the heap has no runs of order {order}"
        );
        if self.runs < RUNS {
            self.runs += 1;
            return Some(RUN_BASE + (self.runs - 1) * RUN_PAGES);
        }
        self.recycled_runs.pop_front()
    }

    /// Gives an allocation back; says what is wrong with that, if anything.
    pub(crate) fn free(&mut self, mfn: Mfn, order: u32) -> Result<(), String> {
        match self.frame(mfn).life {
            Life::Heap { order: o } if o == order => {}
            Life::Heap { order: o } => {
                return Err(format!(
                    "frame {mfn:#x} of order {o} is freed as order {order}"
                ))
            }
            Life::Free => return Err(format!("frame {mfn:#x} is freed twice")),
            other => return Err(format!("frame {mfn:#x} is freed, but it is {other:?}")),
        }
        for m in mfn..mfn + (1 << order) {
            self.fill(m, Fill::Freed);
            *self.frame(m) = Frame {
                life: Life::Free,
                ..ABSENT
            };
        }
        self.allocated -= 1 << order;
        if order == 0 {
            self.recycled.push_back(mfn);
        } else {
            self.recycled_runs.push_back(mfn);
        }
        Ok(())
    }

    pub(crate) fn is_free(&self, mfn: Mfn) -> bool {
        self.peek(mfn).is_some_and(|f| f.life == Life::Free)
    }
}
