// SPDX-License-Identifier: GPL-2.0-only
//! A map by frame number, for what most frames of the heap have: each access to
//! a table asks several, so those frames are found by index.

use crate::ground::event::Mfn;
use crate::ground::hash::WordMap;
use crate::ground::memory_map::{HEAP_BASE, RUN_BASE, RUN_FRAMES};

/// Values by frame; like a `HashMap`.
#[derive(Debug)]
pub(crate) struct FrameMap<T> {
    /// From [`HEAP_BASE`] on.
    singles: Vec<Option<T>>,
    /// From [`RUN_BASE`] on.
    runs: Vec<Option<T>>,
    others: WordMap<T>,
}

impl<T> Default for FrameMap<T> {
    fn default() -> Self {
        Self {
            singles: Vec::new(),
            runs: Vec::new(),
            others: WordMap::default(),
        }
    }
}

/// Where a frame's value is.
enum Place {
    Single(usize),
    Run(usize),
    Other,
}

#[inline(always)]
fn place(mfn: Mfn) -> Place {
    let (single, run) = (mfn.wrapping_sub(HEAP_BASE), mfn.wrapping_sub(RUN_BASE));
    if single < RUN_BASE - HEAP_BASE {
        Place::Single(single as usize)
    } else if run < RUN_FRAMES {
        Place::Run(run as usize)
    } else {
        Place::Other
    }
}

#[cold]
fn grow<T>(slots: &mut Vec<Option<T>>, at: usize) {
    slots.resize_with(at + 1, || None);
}

/// The slot, which is made.
#[inline(always)]
fn slot<T>(slots: &mut Vec<Option<T>>, at: usize) -> &mut Option<T> {
    if at >= slots.len() {
        grow(slots, at);
    }
    &mut slots[at]
}

impl<T> FrameMap<T> {
    #[inline(always)]
    pub(crate) fn get(&self, mfn: Mfn) -> Option<&T> {
        match place(mfn) {
            Place::Single(at) => self.singles.get(at)?.as_ref(),
            Place::Run(at) => self.runs.get(at)?.as_ref(),
            Place::Other => self.others.get(&mfn),
        }
    }

    #[inline(always)]
    pub(crate) fn get_mut(&mut self, mfn: Mfn) -> Option<&mut T> {
        match place(mfn) {
            Place::Single(at) => self.singles.get_mut(at)?.as_mut(),
            Place::Run(at) => self.runs.get_mut(at)?.as_mut(),
            Place::Other => self.others.get_mut(&mfn),
        }
    }

    #[inline(always)]
    pub(crate) fn contains(&self, mfn: Mfn) -> bool {
        self.get(mfn).is_some()
    }

    #[inline(always)]
    pub(crate) fn insert(&mut self, mfn: Mfn, value: T) {
        match place(mfn) {
            Place::Single(at) => *slot(&mut self.singles, at) = Some(value),
            Place::Run(at) => *slot(&mut self.runs, at) = Some(value),
            Place::Other => {
                self.others.insert(mfn, value);
            }
        }
    }

    #[inline(always)]
    pub(crate) fn get_or_insert(&mut self, mfn: Mfn, value: T) -> &mut T {
        match place(mfn) {
            Place::Single(at) => slot(&mut self.singles, at).get_or_insert(value),
            Place::Run(at) => slot(&mut self.runs, at).get_or_insert(value),
            Place::Other => self.others.entry(mfn).or_insert(value),
        }
    }

    #[inline(always)]
    pub(crate) fn remove(&mut self, mfn: Mfn) -> Option<T> {
        match place(mfn) {
            Place::Single(at) => self.singles.get_mut(at)?.take(),
            Place::Run(at) => self.runs.get_mut(at)?.take(),
            Place::Other => self.others.remove(&mfn),
        }
    }

    /// Drops the values that do not pass.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        for value in self.singles.iter_mut().chain(&mut self.runs) {
            if value.as_ref().is_some_and(|value| !keep(value)) {
                *value = None;
            }
        }
        self.others.retain(|_, value| keep(value));
    }
}
