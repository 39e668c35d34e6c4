// SPDX-License-Identifier: GPL-2.0-only
//! An index that a guest chose, for a CPU that runs ahead of the check (`array_index_nospec`).
//!
//! A CPU may predict that an index is in bounds, and load what lies beyond the array, before it
//! knows better; what it loads decides what it brings into its caches, where the guest can measure
//! it. So an index from a guest goes through [`clamped`] after the check. Where an index is out of
//! bounds the result is 0, by arithmetic and not by a branch or a select, so that there is nothing
//! to be predicted. Xen does the same where the architecture has nothing better
//! (`array_index_mask_nospec` in xen/nospec.h).

/// `index`, if it is below `size`, and 0 if not; `size` is not 0, and both are below 2^63.
#[inline(always)]
pub fn clamped(index: usize, size: usize) -> usize {
    // The compiler knows that the index was checked, and must not use that.
    let index = core::hint::black_box(index);
    // The top bit of the difference says that the index is beyond.
    let beyond = (index | (size - 1).wrapping_sub(index)) >> (usize::BITS - 1);
    index & beyond.wrapping_sub(1)
}
