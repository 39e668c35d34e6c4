// SPDX-License-Identifier: GPL-2.0-only
//! Entries that changed since a TLBI covered them, by key: their old values.
//!
//! Each page that is put is looked for among them, and there may be thousands of either. So old leaves are found by
//! the stretches of frames that they are in, aligned and as long as a block of their level: whatever maps a frame is
//! in one of its four stretches.

use std::collections::btree_map::{BTreeMap, Entry};
use std::collections::BTreeSet;
use std::ops::Range;

use crate::ground::event::Mfn;
use crate::ground::pte;

/// An entry: its tree ([`super::tables::Table::tree`]), level, first guest frame.
pub(crate) type Key = (usize, u32, u64);

/// Old values, by key.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    values: BTreeMap<Key, u64>,
    /// Those that are leaves, by each stretch that they are in.
    leaves: BTreeSet<(u64, Key)>,
}

/// The stretch of a level that a frame is in.
fn stretch(level: u32, mfn: Mfn) -> u64 {
    mfn >> pte::order(level) << 2 | u64::from(level)
}

/// The stretches that the frames of a leaf are in: one, if it is aligned as it must be.
fn stretches((_, level, _): Key, value: u64) -> impl Iterator<Item = u64> {
    let first = pte::mfn(value);
    let last = first + (1 << pte::order(level)) - 1;
    let ends = [stretch(level, first), stretch(level, last)];
    let count = match ends {
        _ if !pte::is_leaf(value, level) => 0,
        [one, other] if one == other => 1,
        _ => 2,
    };
    ends.into_iter().take(count)
}

impl Changed {
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(crate) fn get(&self, key: &Key) -> Option<u64> {
        self.values.get(key).copied()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.values.keys()
    }

    pub(crate) fn range(&self, keys: Range<Key>) -> impl Iterator<Item = (&Key, &u64)> {
        self.values.range(keys)
    }

    /// The leaves that may map a frame: each that does, and others that are near.
    pub(crate) fn near(&self, mfn: Mfn) -> impl Iterator<Item = (Key, u64)> + '_ {
        const FIRST: Key = (0, 0, 0);
        const LAST: Key = (usize::MAX, u32::MAX, u64::MAX);
        let keys = (0..4).flat_map(move |level| {
            let stretch = stretch(level, mfn);
            self.leaves.range((stretch, FIRST)..=(stretch, LAST))
        });
        keys.filter_map(|(_, key)| Some((*key, self.get(key)?)))
    }

    /// Adds an entry, unless there is an older value. Returns the one that stays.
    pub(crate) fn add(&mut self, key: Key, value: u64) -> u64 {
        match self.values.entry(key) {
            Entry::Occupied(older) => *older.get(),
            Entry::Vacant(place) => {
                place.insert(value);
                for stretch in stretches(key, value) {
                    self.leaves.insert((stretch, key));
                }
                value
            }
        }
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(Key) -> bool) {
        let leaves = &mut self.leaves;
        self.values.retain(|&key, value| {
            let stays = keep(key);
            if !stays {
                for stretch in stretches(key, *value) {
                    leaves.remove(&(stretch, key));
                }
            }
            stays
        });
    }
}
