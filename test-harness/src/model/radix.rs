// SPDX-License-Identifier: GPL-2.0-only
//! Xen's radix tree, as far as a caller can tell: a map with stable slots.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::ground::hash::WordMap;

const ENOMEM: i32 = 12;
const EEXIST: i32 = 17;

/// Slots of a node: keys come in runs.
const SLOTS: usize = 64;

/// Slots of consecutive keys; null where there is none.
#[derive(Debug)]
struct Node([AtomicPtr<c_void>; SLOTS]);

/// A tree: nodes by their first key over [`SLOTS`].
#[derive(Debug, Default)]
struct Tree(BTreeMap<u64, Box<Node>>);

impl Tree {
    fn slot(&self, key: u64) -> Option<&AtomicPtr<c_void>> {
        let node = self.0.get(&(key / SLOTS as u64))?;
        let slot = &node.0[key as usize % SLOTS];
        (!slot.load(Ordering::Relaxed).is_null()).then_some(slot)
    }

    fn insert(&mut self, key: u64, item: *mut c_void) {
        let fresh = || Box::new(Node([const { AtomicPtr::new(null_mut()) }; SLOTS]));
        let node = self.0.entry(key / SLOTS as u64).or_insert_with(fresh);
        *node.0[key as usize % SLOTS].get_mut() = item;
    }

    /// Key and item of each slot.
    fn items(&self) -> impl Iterator<Item = (u64, *mut c_void)> + '_ {
        self.0.iter().flat_map(|(at, node)| {
            let slots = (at * SLOTS as u64..).zip(&node.0);
            let items = slots.map(|(key, slot)| (key, slot.load(Ordering::Relaxed)));
            items.filter(|(_, item)| !item.is_null())
        })
    }
}

/// All trees, by the address of their root.
#[derive(Debug, Default)]
pub(crate) struct Radix {
    trees: WordMap<Tree>,
    /// Fail the n-th insertion from now (1 is the next), once.
    pub(crate) fail_in: Option<u64>,
}

impl Radix {
    pub(crate) fn init(&mut self, tree: usize) {
        self.trees.insert(tree as u64, Tree::default());
    }

    pub(crate) fn insert(&mut self, tree: usize, key: u64, item: *mut c_void) -> i32 {
        let tree = self.trees.entry(tree as u64).or_default();
        if tree.slot(key).is_some() {
            return -EEXIST;
        }
        if let Some(n) = self.fail_in {
            self.fail_in = (n > 1).then_some(n.saturating_sub(1));
            if n <= 1 {
                return -ENOMEM;
            }
        }
        tree.insert(key, item);
        0
    }

    pub(crate) fn delete(&mut self, tree: usize, key: u64) -> *mut c_void {
        self.found(tree, key)
            .map_or(null_mut(), |slot| slot.swap(null_mut(), Ordering::Relaxed))
    }

    fn found(&self, tree: usize, key: u64) -> Option<&AtomicPtr<c_void>> {
        self.trees.get(&(tree as u64))?.slot(key)
    }

    pub(crate) fn slot(&self, tree: usize, key: u64) -> *mut *mut c_void {
        self.found(tree, key)
            .map_or(null_mut(), |slot| slot.as_ptr())
    }

    pub(crate) fn lookup(&self, tree: usize, key: u64) -> *mut c_void {
        self.found(tree, key)
            .map_or(null_mut(), |slot| slot.load(Ordering::Relaxed))
    }

    pub(crate) fn destroy(&mut self, tree: usize) -> Vec<*mut c_void> {
        let gone = self.trees.insert(tree as u64, Tree::default());
        let items = gone.iter().flat_map(Tree::items);
        items.map(|(_, item)| item).collect()
    }

    /// The integer that a tree holds for a key.
    pub(crate) fn integer(&self, tree: usize, key: u64) -> Option<i64> {
        let item = self.lookup(tree, key);
        (!item.is_null()).then(|| item.addr() as i64 >> 2)
    }

    /// The integers that a tree holds (see `radix_tree_int_to_ptr()`), by key.
    pub(crate) fn integers(&self, tree: usize) -> Vec<(u64, i64)> {
        let items = self.trees.get(&(tree as u64)).into_iter();
        items
            .flat_map(Tree::items)
            .map(|(key, item)| (key, item.addr() as i64 >> 2))
            .collect()
    }
}
