// SPDX-License-Identifier: GPL-2.0-only
//! The frames and numbers that operations are made of.
//!
//! Guest frames lie near block boundaries of a few regions, so that ranges
//! meet, overlap, split and fill up; and now and then far out.

use crate::ops::machine::{ram, Machine, G1, M2, MMIO};
use crate::ops::rng::Rng;

/// Chooses numbers.
pub(crate) struct Generator {
    pub(crate) rng: Rng,
    pub(crate) machine: Machine,
    /// mem_access may be in use by now: everything is page by page, and slow.
    pub(crate) pages_only: bool,
}

/// A gigabyte is mapped and unmapped in blocks only: page by page takes long.
pub(crate) fn blocks(gfn: u64, nr: u64) -> u64 {
    if nr < G1 {
        gfn
    } else {
        gfn & !(G1 - 1)
    }
}

impl Generator {
    pub(crate) fn domain(&mut self) -> u64 {
        self.rng.of(&[0, 0, 0, 0, 0, 0, 1, 2])
    }

    /// A frame offset near a block boundary.
    pub(crate) fn offset(&mut self) -> u64 {
        let block = self.rng.below(4) * M2;
        block
            + match self.rng.below(10) {
                0..=4 => 0,
                5..=6 => self.rng.below(6),
                7..=8 => M2 - 1 - self.rng.below(4),
                _ => self.rng.below(M2),
            }
    }

    pub(crate) fn gfn(&mut self) -> u64 {
        let limit = self.machine.gfn_limit();
        let offset = self.offset();
        match self.rng.below(40) {
            0..=21 => offset,
            22..=26 => G1 + offset,
            27 => 3 * G1,
            28..=31 => limit / 2 - M2 + offset,
            32..=35 => limit - 2 * M2 + offset,
            36 => limit + offset,
            37 => (1 << 36) + offset,
            38 => self
                .rng
                .of(&[u64::MAX, u64::MAX - offset, 1 << 63, 1 << 52, (1 << 52) + 5]),
            _ => self.rng.below(limit),
        }
    }

    /// A guest frame that is not INVALID_GFN.
    pub(crate) fn real_gfn(&mut self) -> u64 {
        match self.gfn() {
            u64::MAX => 7,
            gfn => gfn,
        }
    }

    /// A number of pages. Large ones are rare, for they cost as many steps where
    /// they do not fit a block.
    pub(crate) fn nr(&mut self) -> u64 {
        let large = !self.pages_only || self.rng.one_in(10);
        match self.rng.below(120) {
            0 => 0,
            1..=69 => 1,
            70..=105 => 1 + self.rng.below(9),
            106..=112 if large => M2,
            113 if large => 2 * M2,
            114 if large => self.rng.of(&[M2 - 1, M2 + 1]),
            115..=118 if !self.pages_only => G1,
            119 if !self.pages_only => G1 + M2,
            _ => 2,
        }
    }

    /// Device memory, of which frame 0 is one.
    pub(crate) fn mmio(&mut self, nr: u64) -> u64 {
        if nr >= G1 {
            MMIO[1] + self.rng.below(3) * G1
        } else {
            match self.rng.below(8) {
                0 => 0,
                1..=3 => MMIO[0] + self.rng.below(12),
                _ => MMIO[0] + self.offset(),
            }
        }
    }

    pub(crate) fn memory(&mut self, owner: u64, nr: u64) -> u64 {
        if nr >= G1 {
            return ram(owner);
        }
        ram(owner)
            + if self.rng.one_in(3) {
                self.rng.below(8)
            } else {
                self.offset()
            }
    }

    /// Number, frame and type of a mapping that makes sense.
    pub(crate) fn mapping(&mut self, d: u64) -> (u64, u64, u64) {
        let nr = self.nr();
        let other = (d + 1) % 3;
        match self.rng.below(20) {
            0..=8 => (nr, self.memory(d, nr), 1),
            9..=10 => (nr, self.memory(d, nr), 2),
            11..=13 => (nr, self.mmio(nr), 3 + self.rng.below(3)),
            14 => self.foreign(nr, other),
            15..=16 => (nr, self.memory(other, nr), 8 + self.rng.below(2)),
            // Of another domain's frames, as the grant table makes them, and of its own.
            17 => {
                let owner = self.rng.of(&[d, other]);
                (nr, self.memory(owner, nr), 10 + self.rng.below(2))
            }
            _ => (nr.min(4), self.memory(d, 1), 1),
        }
    }

    /// A foreign range: mostly blocks, for pages have an operation of their own.
    /// Its references are counted one by one, so that a gigabyte is rare.
    pub(crate) fn foreign(&mut self, nr: u64, owner: u64) -> (u64, u64, u64) {
        let nr = match self.rng.below(300) {
            0 if !self.pages_only => G1,
            1..=120 if !self.pages_only => M2,
            _ => nr.min(2 * M2),
        };
        let mfn = ram(owner)
            + if nr < M2 {
                self.offset()
            } else {
                self.rng.below(4) * M2
            };
        let mfn = if nr == G1 { ram(owner) } else { mfn };
        (nr, mfn, 6 + self.rng.below(2))
    }

    /// The highest order that fits the frames and is quick.
    pub(crate) fn order(&mut self) -> u64 {
        if self.pages_only {
            return self.rng.of(&[0, 0, 1, 3]);
        }
        self.rng.of(&[0, 0, 0, 1, 2, 5, 9, 9, 10])
    }
}
