// SPDX-License-Identifier: GPL-2.0-only
//! Which pages are live tables, and which of their words memory lacks.
//!
//! A page is live from the moment that an entry of a live table points to it.

use std::ops::Range;

use crate::ground::event::Mfn;
use crate::ground::hash::WordMap;
use crate::ground::pte;
use crate::model::framemap::FrameMap;
use crate::model::pages::WORDS;

/// A live table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    /// Address of its `struct domain`.
    pub(crate) domain: usize,
    /// Which of the domain's trees: the address of the view, or of the domain for the host p2m.
    pub(crate) tree: usize,
    pub(crate) level: u32,
    /// The first guest frame that is translated here.
    pub(crate) gfn: u64,
    /// The word that points to it; `None` for the root.
    pub(crate) parent: Option<(Mfn, usize)>,
}

/// The live tables, and the words that are newer in the cache than in memory.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) live: FrameMap<Table>,
    pub(crate) dirty: WordMap<Words>,
}

/// Some words of a page, a bit each.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Words(pub(crate) [u64; WORDS / 64]);

impl Words {
    pub(crate) fn set(&mut self, words: Range<usize>, dirty: bool) {
        for index in words {
            let bit = 1 << (index % 64);
            let group = &mut self.0[index / 64];
            *group = if dirty { *group | bit } else { *group & !bit };
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|group| *group == 0)
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        (0..WORDS).filter(move |index| self.0[index / 64] >> (index % 64) & 1 != 0)
    }
}

impl Table {
    /// The table that word `index` of this one, which is page `mfn`, leads to.
    pub(crate) fn below(self, mfn: Mfn, index: usize) -> Self {
        Self {
            level: self.level + 1,
            gfn: self.gfn_at(index),
            parent: Some((mfn, index)),
            ..self
        }
    }

    /// Whether devices may use it: those of views are for CPUs alone.
    pub(crate) fn is_of_host(self) -> bool {
        self.tree == self.domain
    }

    /// The first guest frame behind a word.
    pub(crate) fn gfn_at(self, index: usize) -> u64 {
        self.gfn + ((index as u64) << pte::order(self.level))
    }
}
