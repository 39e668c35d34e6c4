// SPDX-License-Identifier: GPL-2.0-only
//! Maps by frame number: a multiplication hashes well enough here, and the
//! tests spend their time in such maps.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Fibonacci hashing of one word.
#[derive(Default)]
pub(crate) struct WordHasher(u64);

impl Hasher for WordHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u16(&mut self, word: u16) {
        self.write_u64(u64::from(word));
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_u64(&mut self, word: u64) {
        // 2^64 / golden ratio; the high bits are the good ones.
        self.0 = (self.0 ^ word)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(20);
    }
}

/// A map whose keys are words, or made of a few.
pub(crate) type MapBy<K, V> = HashMap<K, V, BuildHasherDefault<WordHasher>>;

/// A map whose keys are words.
pub(crate) type WordMap<V> = MapBy<u64, V>;
