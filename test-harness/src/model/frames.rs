// SPDX-License-Identifier: GPL-2.0-only
//! The frame table, the heap and the memory of table pages.
//!
//! Heap frames have real, 4 KiB aligned memory, so a mapped page is a real
//! pointer; guest RAM frames exist by number only, and come into being when
//! they are first named, so a 1 GiB block costs nothing. Pages are handed out
//! full of [`POISON`], which reads as a valid entry: code that forgets to clear
//! a table is found. Freed heap frames wait in a queue before they come again. Free
//! pages of a pool are poisoned like free pages of the heap.

use std::collections::{BTreeMap, VecDeque};

use xen_sys::page_info;

use crate::ground::event::Mfn;
use crate::ground::hash::WordMap;
use crate::ground::memory_map::{HEAP_BASE, RUNS, RUN_BASE, RUN_FRAMES, RUN_PAGES};
use crate::model::framemap::FrameMap;
use crate::model::pages::{Pages, FREED, POISON};

const PAGE_INFOS: u64 = 512;
/// Guest frames are described so many at a time.
const CHUNK: usize = 512;

/// Where a frame is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// Named but never given to anybody.
    Absent,
    /// In the heap's hands.
    Free,
    /// Allocated, and on the list of a pool's free pages.
    Pooled,
    /// Allocated; `order` is that of its allocation, on its first frame.
    Heap { order: u8 },
    /// Guest or Xen heap memory.
    Ram,
}

/// What the machine knows of a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) life: Life,
    pub(crate) owner: Option<usize>,
    pub(crate) refs: u32,
    /// No further reference can be had: the count is full or the owner dies.
    pub(crate) saturated: bool,
    /// The owner gave its own reference up.
    pub(crate) released: bool,
}

const ABSENT: Frame = Frame {
    life: Life::Absent,
    owner: None,
    refs: 0,
    saturated: false,
    released: false,
};

/// RAM that exists by number.
#[derive(Debug)]
struct Region {
    start: Mfn,
    end: Mfn,
    owner: Option<usize>,
    xenheap: bool,
    /// From `start` on; none where no frame was named yet.
    frames: Vec<Option<Box<[Frame; CHUNK]>>>,
    infos: Infos,
}

/// The `struct page_info` of consecutive frames: memory that the system fills
/// in as it is touched.
#[derive(Debug, Default)]
struct Infos(Vec<u64>);

const INFO_WORDS: usize = size_of::<page_info>() / 8;

impl Infos {
    fn get(&mut self, index: u64, count: u64) -> *mut page_info {
        if self.0.is_empty() {
            self.0 = vec![0; count as usize * INFO_WORDS];
        }
        self.0[index as usize * INFO_WORDS..].as_mut_ptr().cast()
    }

    /// Which of them is at an address.
    fn index_of(&self, address: usize) -> Option<u64> {
        let offset = address.wrapping_sub(self.0.as_ptr().addr());
        let is_one = offset < self.0.len() * 8 && offset % size_of::<page_info>() == 0;
        is_one.then_some((offset / size_of::<page_info>()) as u64)
    }
}

impl Region {
    fn frame(&mut self, mfn: Mfn) -> &mut Frame {
        let at = (mfn - self.start) as usize;
        let fresh = Frame {
            life: Life::Ram,
            owner: self.owner,
            refs: 1,
            ..ABSENT
        };
        let chunk = self.frames[at / CHUNK].get_or_insert_with(|| Box::new([fresh; CHUNK]));
        &mut chunk[at % CHUNK]
    }
}

pub(crate) struct Frames {
    /// Frames of the heap, and such as do not exist.
    known: FrameMap<Frame>,
    regions: Vec<Region>,
    /// Where guests see Xen heap pages.
    seen_at: WordMap<u64>,
    heap_infos: Infos,
    run_infos: Infos,
    infos: WordMap<Vec<page_info>>,
    info_at: BTreeMap<usize, u64>,
    pub(crate) pages: Pages,
    fresh: Mfn,
    limit: Mfn,
    recycled: VecDeque<Mfn>,
    runs: u64,
    recycled_runs: VecDeque<Mfn>,
    /// Pages allocated and not freed.
    pub(crate) allocated: u64,
    /// Fail the n-th allocation from now (1 is the next), once.
    pub(crate) fail_in: Option<u64>,
    /// Not once, but that one and all after it.
    pub(crate) fail_on: bool,
    /// Allocations tried since the last reset.
    pub(crate) tried: u64,
}

impl Frames {
    pub(crate) fn new(heap_pages: u64) -> Self {
        let singles = heap_pages.min(RUN_BASE - HEAP_BASE);
        Self {
            known: FrameMap::default(),
            regions: Vec::new(),
            seen_at: WordMap::default(),
            heap_infos: Infos::default(),
            run_infos: Infos::default(),
            infos: WordMap::default(),
            info_at: BTreeMap::new(),
            pages: Pages::new(singles),
            fresh: HEAP_BASE,
            limit: HEAP_BASE + singles,
            recycled: VecDeque::new(),
            runs: 0,
            recycled_runs: VecDeque::new(),
            allocated: 0,
            fail_in: None,
            fail_on: false,
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
            end <= HEAP_BASE || start >= RUN_BASE + RUN_FRAMES,
            "guest RAM at {start:#x} overlaps the heap"
        );
        assert!(
            self.regions
                .iter()
                .all(|r| end <= r.start || start >= r.end),
            "guest RAM at {start:#x} overlaps other RAM"
        );
        let chunks = (count as usize).div_ceil(CHUNK);
        self.regions.push(Region {
            start,
            end,
            owner,
            xenheap,
            frames: std::iter::repeat_with(|| None).take(chunks).collect(),
            infos: Infos::default(),
        });
    }

    fn region(&self, mfn: Mfn) -> Option<&Region> {
        self.regions
            .iter()
            .find(|r| (r.start..r.end).contains(&mfn))
    }

    /// Is there memory behind this number?
    pub(crate) fn is_ram(&self, mfn: Mfn) -> bool {
        (HEAP_BASE..RUN_BASE + RUN_FRAMES).contains(&mfn) || self.region(mfn).is_some()
    }

    #[inline(always)]
    pub(crate) fn frame(&mut self, mfn: Mfn) -> &mut Frame {
        // No region overlaps the heap.
        if (HEAP_BASE..RUN_BASE + RUN_FRAMES).contains(&mfn) {
            return self.known.get_or_insert(mfn, ABSENT);
        }
        let mut regions = self.regions.iter_mut();
        match regions.find(|r| (r.start..r.end).contains(&mfn)) {
            Some(region) => region.frame(mfn),
            None => self.known.get_or_insert(mfn, ABSENT),
        }
    }

    /// `Some(gfn)` for Xen heap pages: where a guest sees it.
    pub(crate) fn xenheap(&self, mfn: Mfn) -> Option<u64> {
        let seen_at = self.seen_at.get(&mfn).copied().unwrap_or(u64::MAX);
        let is_xen_heap = self.region(mfn).is_some_and(|r| r.xenheap);
        is_xen_heap.then_some(seen_at)
    }

    /// A guest sees the Xen heap page there; false if it is none.
    pub(crate) fn set_xenheap(&mut self, mfn: Mfn, gfn: u64) -> bool {
        let is_xen_heap = self.region(mfn).is_some_and(|r| r.xenheap);
        if is_xen_heap {
            self.seen_at.insert(mfn, gfn);
        }
        is_xen_heap
    }

    /// The last reference to a frame is gone: it is nobody's. But a page of Xen's heap is not freed by that, and
    /// stays its owner's (`free_domheap_pages`).
    pub(crate) fn last_reference_goes(&mut self, mfn: Mfn) {
        if self.xenheap(mfn).is_none() {
            self.frame(mfn).owner = None;
        }
    }

    /// Frames from `first` on, `nr` at most, before the first Xen heap page.
    pub(crate) fn before_xenheap(&self, first: Mfn, nr: u64) -> u64 {
        let inside = |r: &&Region| r.xenheap && r.start < first + nr && first < r.end;
        let from = self.regions.iter().filter(inside);
        from.map(|r| r.start.saturating_sub(first))
            .min()
            .unwrap_or(nr)
    }

    /// Every RAM frame that has been named so far, and its neighbours.
    pub(crate) fn ram(&self) -> impl Iterator<Item = (Mfn, &Frame)> {
        self.regions.iter().flat_map(|region| {
            let chunks = (region.start..).step_by(CHUNK).zip(&region.frames);
            let frames =
                chunks.filter_map(|(mfn, chunk)| Some((mfn..).zip(chunk.as_ref()?.iter())));
            frames.flatten()
        })
    }

    pub(crate) fn info(&mut self, mfn: Mfn) -> *mut page_info {
        let (single, run) = (mfn.wrapping_sub(HEAP_BASE), mfn.wrapping_sub(RUN_BASE));
        let singles = self.limit - HEAP_BASE;
        if single < singles {
            return self.heap_infos.get(single, singles);
        }
        if run < RUN_FRAMES {
            return self.run_infos.get(run, RUN_FRAMES);
        }
        let mut regions = self.regions.iter_mut();
        if let Some(region) = regions.find(|r| (r.start..r.end).contains(&mfn)) {
            let (at, count) = (mfn - region.start, region.end - region.start);
            return region.infos.get(at, count);
        }
        let (chunk, index) = (mfn / PAGE_INFOS, (mfn % PAGE_INFOS) as usize);
        let infos = self.infos.entry(chunk).or_insert_with(|| {
            let mut infos: Vec<_> = (0..PAGE_INFOS).map(|_| page_info::default()).collect();
            self.info_at.insert(infos.as_mut_ptr().addr(), chunk);
            infos
        });
        infos.as_mut_ptr().wrapping_add(index)
    }

    /// The frame of a `struct page_info *`, if it is one.
    pub(crate) fn of_info(&self, info: *const page_info) -> Option<Mfn> {
        let address = info.addr();
        if let Some(at) = self.heap_infos.index_of(address) {
            return Some(HEAP_BASE + at);
        }
        if let Some(at) = self.run_infos.index_of(address) {
            return Some(RUN_BASE + at);
        }
        for region in &self.regions {
            if let Some(at) = region.infos.index_of(address) {
                return Some(region.start + at);
            }
        }
        let (base, chunk) = self.info_at.range(..=address).next_back()?;
        let offset = address - base;
        let index = (offset / size_of::<page_info>()) as u64;
        (index < PAGE_INFOS && offset % size_of::<page_info>() == 0)
            .then_some(chunk * PAGE_INFOS + index)
    }

    /// Counts an allocation, of pages or by xmalloc. Whether a test wants it to fail.
    pub(crate) fn allocation_fails(&mut self) -> bool {
        self.tried += 1;
        let Some(n) = self.fail_in else {
            return false;
        };
        self.fail_in = (n > 1).then_some(n.saturating_sub(1));
        if n <= 1 && self.fail_on {
            self.fail_in = Some(1);
        }
        n <= 1
    }

    pub(crate) fn alloc(&mut self, order: u32, owner: Option<usize>) -> Option<Mfn> {
        if self.allocation_fails() {
            return None;
        }
        let mfn = if order == 0 {
            self.take_page()
        } else {
            self.take_run(order)
        }?;
        for m in mfn..mfn + (1 << order) {
            self.pages.fill(m, POISON);
            *self.frame(m) = Frame {
                life: Life::Heap { order: 0 },
                owner,
                // Nobody counts the references of a page that nobody owns.
                refs: u32::from(owner.is_some()),
                ..ABSENT
            };
        }
        self.frame(mfn).life = Life::Heap { order: order as u8 };
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
            Life::Heap { order: o } if u32::from(o) == order => {}
            Life::Heap { order: o } => {
                return Err(format!(
                    "frame {mfn:#x} of order {o} is freed as order {order}"
                ))
            }
            Life::Free => return Err(format!("frame {mfn:#x} is freed twice")),
            Life::Pooled => {
                return Err(format!(
                    "frame {mfn:#x} is freed, and a free page of a pool"
                ))
            }
            other => return Err(format!("frame {mfn:#x} is freed, but it is {other:?}")),
        }
        for m in mfn..mfn + (1 << order) {
            self.pages.fill(m, FREED);
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

    /// A page is a pool's from now on: nobody's, like one that was freed. Xen leaves what is in it; it is poisoned
    /// here, so that who still reads it is found.
    pub(crate) fn put_in_pool(&mut self, mfn: Mfn) {
        self.pages.fill(mfn, FREED);
        self.frame(mfn).life = Life::Pooled;
    }

    /// It was taken out of the pool: nothing is known of what is in it, as of a page that comes from the heap.
    pub(crate) fn take_from_pool(&mut self, mfn: Mfn) {
        self.pages.fill(mfn, POISON);
        self.frame(mfn).life = Life::Heap { order: 0 };
    }

    /// In the heap's hands, or a free page of a pool: nobody may read or write it.
    #[inline(always)]
    pub(crate) fn is_free(&self, mfn: Mfn) -> bool {
        let frame = self.known.get(mfn);
        frame.is_some_and(|f| matches!(f.life, Life::Free | Life::Pooled))
    }
}
