// SPDX-License-Identifier: GPL-2.0-only
//! How many pages each pool had when its lock was last dropped. The total is a plain field, which
//! C's callers write under the lock alone; whoever writes it without is found when the lock is taken
//! the next time.

use crate::ground::hash::WordMap;

/// Totals, by the address of the domain.
#[derive(Debug, Default)]
pub(crate) struct Pools(WordMap<u64>);

impl Pools {
    /// Nobody writes the total from now on.
    pub(crate) fn leave(&mut self, domain: usize, total: u64) {
        self.0.insert(domain as u64, total);
    }

    /// What the total was when it was left, if it is another now.
    pub(crate) fn changed(&self, domain: usize, total: u64) -> Option<u64> {
        let left = self.0.get(&(domain as u64)).copied();
        left.filter(|&left| left != total)
    }
}
