// SPDX-License-Identifier: GPL-2.0-only
//! Xen's radix tree, as far as a caller can tell: a map with stable slots.

use std::cell::Cell;
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

/// A tree: nodes by their first key over [`SLOTS`], in the order in which they were made.
#[derive(Debug, Default)]
struct Tree {
    nodes: Vec<(u64, Box<Node>)>,
    at: WordMap<usize>,
    /// Which node was found last: the keys of a range come one after another.
    last: Cell<usize>,
}

impl Tree {
    fn node(&self, key: u64) -> Option<usize> {
        let first = key / SLOTS as u64;
        let last = self.last.get();
        if self.nodes.get(last).is_some_and(|(at, _)| *at == first) {
            return Some(last);
        }
        let found = self.at.get(&first).copied()?;
        self.last.set(found);
        Some(found)
    }

    fn slot(&self, key: u64) -> Option<&AtomicPtr<c_void>> {
        let slot = &self.nodes[self.node(key)?].1 .0[key as usize % SLOTS];
        (!slot.load(Ordering::Relaxed).is_null()).then_some(slot)
    }

    fn insert(&mut self, key: u64, item: *mut c_void) {
        let node = self.node(key).unwrap_or_else(|| {
            let fresh = Box::new(Node([const { AtomicPtr::new(null_mut()) }; SLOTS]));
            self.nodes.push((key / SLOTS as u64, fresh));
            let made = self.nodes.len() - 1;
            self.at.insert(key / SLOTS as u64, made);
            made
        });
        *self.nodes[node].1 .0[key as usize % SLOTS].get_mut() = item;
    }

    /// Key and item of each slot, by key.
    fn items(&self) -> Vec<(u64, *mut c_void)> {
        let mut nodes: Vec<_> = self.nodes.iter().collect();
        nodes.sort_unstable_by_key(|(at, _)| *at);
        let items = nodes.into_iter().flat_map(|(at, node)| {
            let slots = (at * SLOTS as u64..).zip(&node.0);
            slots.map(|(key, slot)| (key, slot.load(Ordering::Relaxed)))
        });
        items.filter(|(_, item)| !item.is_null()).collect()
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

    /// The integers that a tree holds for some keys.
    pub(crate) fn integers_at(&self, tree: usize, keys: &[u64]) -> Vec<Option<i64>> {
        let Some(tree) = self.trees.get(&(tree as u64)) else {
            return vec![None; keys.len()];
        };
        let mut integers = Vec::with_capacity(keys.len());
        for near in keys.chunk_by(|one, next| one / SLOTS as u64 == next / SLOTS as u64) {
            let node = tree.node(near[0]).map(|at| &tree.nodes[at].1 .0);
            integers.extend(near.iter().map(|key| {
                let item = node?[*key as usize % SLOTS].load(Ordering::Relaxed);
                (!item.is_null()).then(|| integer(item))
            }));
        }
        integers
    }

    /// The integers that a tree holds (see `radix_tree_int_to_ptr()`), by key.
    pub(crate) fn integers(&self, tree: usize) -> Vec<(u64, i64)> {
        let items = self.trees.get(&(tree as u64)).into_iter();
        items
            .flat_map(Tree::items)
            .map(|(key, item)| (key, integer(item)))
            .collect()
    }
}

/// As `radix_tree_ptr_to_int()`.
fn integer(item: *mut c_void) -> i64 {
    item.addr() as i64 >> 2
}
