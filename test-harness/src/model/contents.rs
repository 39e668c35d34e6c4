// SPDX-License-Identifier: GPL-2.0-only
//! What is in guests' memory, of the pages that a test has written to. (Tables are in
//! [`super::pages`].)

use crate::ground::event::Mfn;
use crate::ground::hash::WordMap;

const BYTES: usize = 4096;

/// What a byte holds that nobody has written.
const UNWRITTEN: u8 = 0xA5;

#[derive(Default)]
pub(crate) struct Contents(WordMap<Box<[u8; BYTES]>>);

impl Contents {
    /// Writes into one frame.
    pub(crate) fn write(&mut self, mfn: Mfn, offset: usize, bytes: &[u8]) {
        let page = self.0.entry(mfn);
        let page = page.or_insert_with(|| Box::new([UNWRITTEN; BYTES]));
        page[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// A part of a frame.
    pub(crate) fn read(&self, mfn: Mfn, offset: usize, length: usize) -> Vec<u8> {
        match self.0.get(&mfn) {
            Some(page) => page[offset..offset + length].to_vec(),
            None => vec![UNWRITTEN; length],
        }
    }
}
