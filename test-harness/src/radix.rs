// SPDX-License-Identifier: GPL-2.0-only
//! Xen's radix tree, as far as a caller can tell: a map with stable slots.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::hash::WordMap;

const ENOMEM: i32 = 12;
const EEXIST: i32 = 17;

/// All trees, by the address of their root.
#[derive(Debug, Default)]
pub(crate) struct Radix {
    trees: WordMap<BTreeMap<u64, Box<AtomicPtr<c_void>>>>,
    /// Fail the n-th insertion from now (1 is the next), once.
    pub(crate) fail_in: Option<u64>,
}

impl Radix {
    pub(crate) fn init(&mut self, tree: usize) {
        self.trees.insert(tree as u64, BTreeMap::new());
    }

    pub(crate) fn insert(&mut self, tree: usize, key: u64, item: *mut c_void) -> i32 {
        let slots = self.trees.entry(tree as u64).or_default();
        if slots.contains_key(&key) {
            return -EEXIST;
        }
        if let Some(n) = self.fail_in {
            self.fail_in = (n > 1).then_some(n.saturating_sub(1));
            if n <= 1 {
                return -ENOMEM;
            }
        }
        slots.insert(key, Box::new(AtomicPtr::new(item)));
        0
    }

    pub(crate) fn delete(&mut self, tree: usize, key: u64) -> *mut c_void {
        self.trees
            .get_mut(&(tree as u64))
            .and_then(|slots| slots.remove(&key))
            .map_or(null_mut(), |slot| slot.load(Ordering::Relaxed))
    }

    pub(crate) fn slot(&self, tree: usize, key: u64) -> *mut *mut c_void {
        self.trees
            .get(&(tree as u64))
            .and_then(|slots| slots.get(&key))
            .map_or(null_mut(), |slot| slot.as_ptr())
    }

    pub(crate) fn lookup(&self, tree: usize, key: u64) -> *mut c_void {
        self.trees
            .get(&(tree as u64))
            .and_then(|slots| slots.get(&key))
            .map_or(null_mut(), |slot| slot.load(Ordering::Relaxed))
    }

    pub(crate) fn destroy(&mut self, tree: usize) -> Vec<*mut c_void> {
        self.trees
            .insert(tree as u64, BTreeMap::new())
            .into_iter()
            .flatten()
            .map(|(_, slot)| slot.load(Ordering::Relaxed))
            .collect()
    }

    /// The integer that a tree holds for a key.
    pub(crate) fn integer(&self, tree: usize, key: u64) -> Option<i64> {
        let item = self.lookup(tree, key);
        (!item.is_null()).then(|| item.addr() as i64 >> 2)
    }

    /// The integers that a tree holds (see `radix_tree_int_to_ptr()`).
    pub(crate) fn integers(&self, tree: usize) -> BTreeMap<u64, i64> {
        self.trees
            .get(&(tree as u64))
            .into_iter()
            .flatten()
            .map(|(&key, slot)| (key, slot.load(Ordering::Relaxed).addr() as i64 >> 2))
            .collect()
    }
}
