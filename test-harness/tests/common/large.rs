// SPDX-License-Identifier: GPL-2.0-only
//! A guest with views whose host p2m maps blocks of one size.

use test_harness::{Config, Domain, Leaf, Snapshot};

use super::views::Viewed;
use super::{guest, p2mt, ram, G1, M2};

/// Where the blocks are: in the second page of a root of 40 bits, and below the second entry of one
/// of 48.
pub const FIRST: u64 = 513 * G1;

/// Where pages are, and how many.
pub const PAGES: u64 = 0x1000;
pub const NR_PAGES: u64 = 64;

/// How many blocks there are, one beside another.
pub const BLOCKS: usize = 4;

/// The size of the blocks, and the root.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub ipa_bits: u32,
    pub size: u64,
}

/// Both sizes, below a root of level 1 that is two pages, and below one of level 0.
pub fn scenes() -> impl Iterator<Item = Shape> {
    let sizes = [M2, G1].into_iter();
    sizes.flat_map(|size| [40, 48].map(|ipa_bits| Shape { ipa_bits, size }))
}

impl Shape {
    /// The tables of a view that lead to a block, the root not among them.
    pub fn tables(self) -> u64 {
        u64::from(self.ipa_bits == 48) + u64::from(self.size == M2)
    }
}

/// What a view maps of a block of writable RAM, if its default is to restrict nothing.
pub fn default_leaf(mfn: u64, size: u64) -> Leaf {
    Leaf {
        mfn,
        p2m_type: p2mt::RAM_RW,
        read: true,
        write: true,
        execute: true,
        order: size.trailing_zeros(),
        valid: true,
    }
}

/// Blocks of RAM, whose frames are not side by side; pages; two views with a vCPU in each, on CPU
/// 0 and 1; and one on CPU 2 in the host p2m.
pub struct Scene {
    pub v: Viewed,
    pub owner: Domain,
    pub n: u16,
    pub other: u16,
    size: u64,
}

impl Scene {
    pub fn new(shape: Shape) -> Self {
        let v = Viewed::on(Config {
            ipa_bits: shape.ipa_bits,
            ..Config::default()
        });
        let owner = guest(&v.w, 1);
        assert_eq!(v.d.set_pool(256), 0);
        let (n, other) = (v.create(), v.create());
        for (cpu, number) in [(0, n), (1, other), (2, 0)] {
            v.vcpu_in(cpu, number);
        }
        let size = shape.size;
        let s = Self {
            v,
            owner,
            n,
            other,
            size,
        };
        for block in s.blocks() {
            let rc = s.v.d.insert(block, size, s.mfn(block), p2mt::RAM_RW);
            assert_eq!(rc, 0);
        }
        let rc = s.v.d.insert(PAGES, NR_PAGES, s.mfn(PAGES), p2mt::RAM_RW);
        assert_eq!(rc, 0);
        s
    }

    /// The first frame of a block.
    pub fn block(&self, n: u64) -> u64 {
        FIRST + n * self.size
    }

    fn blocks(&self) -> impl Iterator<Item = u64> + '_ {
        (0..BLOCKS as u64).map(|n| self.block(n))
    }

    /// What the host p2m maps at a frame to begin with.
    pub fn mfn(&self, gfn: u64) -> u64 {
        if gfn < FIRST {
            return ram(0) + 15 * G1 + gfn - PAGES;
        }
        let (block, page) = ((gfn - FIRST) / self.size, (gfn - FIRST) % self.size);
        ram(0) + 2 * block * self.size + page
    }

    /// The pages of a block.
    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn order(&self) -> u32 {
        self.size.trailing_zeros()
    }

    /// All vCPUs come to all blocks, which the views have copied then, as blocks.
    pub fn copy_blocks(&self) {
        for cpu in 0..3 {
            for block in self.blocks() {
                assert_eq!(self.v.read(cpu, block), Some(self.mfn(block)));
            }
        }
        let orders = |number| self.copies(number).into_values().map(|leaf| leaf.order);
        for number in [self.n, self.other] {
            assert!(orders(number).eq([self.order(); BLOCKS]));
        }
    }

    /// What a view maps.
    pub fn copies(&self, number: u16) -> Snapshot {
        self.v.w.view_snapshot(self.v.view(number))
    }

    /// The frame that a view maps at another, if any.
    pub fn shown(&self, number: u16, gfn: u64) -> Option<u64> {
        let copied = self.copies(number);
        let (first, leaf) = copied.range(..=gfn).next_back()?;
        let part = gfn - first;
        (part < 1 << leaf.order).then(|| leaf.mfn + part)
    }

    /// How many pages a view maps of the block that begins at a frame in leaves of a page, and how
    /// many leaves it has there.
    pub fn leaves(&self, number: u16, first: u64) -> (u64, u64) {
        let copied = self.copies(number);
        let within = || copied.range(first..first + self.size);
        let pages = within().filter(|(_, leaf)| leaf.order == 0).count();
        (pages as u64, within().count() as u64)
    }
}
