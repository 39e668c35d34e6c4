// SPDX-License-Identifier: GPL-2.0-only
//! Random operations: a pure function of machine, seed and episode.
//!
//! Guest frames are named near block boundaries of a few regions, so that
//! ranges meet, overlap, split and fill up; and now and then far out. What no
//! caller in Xen does is left out: a type or an access that is none, an order
//! above 30, an insertion of INVALID_MFN (docs/differences.md, "Small things").

use std::sync::OnceLock;

use crate::edits::facts;
use crate::ops::frames::{blocks, Generator};
use crate::ops::machine::{ram, Machine, G1, M2, MMIO, XENHEAP, XENHEAP_FRAMES};
use crate::ops::op::{Kind, Op, MATCHING};
use crate::ops::rng::Rng;

/// Operations of an episode.
pub const LENGTH: u64 = 4000;

/// Which allocation of a domain's creation fails: none; the root; the pool, where creation puts
/// pages there; or none, and creation fails later.
const FAILURES: [u64; 5] = [0, 0, 1, 9, 60];

/// The operations of an episode.
#[must_use]
pub fn episode(machine: Machine, seed: u64, episode: u64) -> Vec<Op> {
    let mut g = Generator {
        rng: Rng::new(seed ^ machine.salt(), episode),
        machine,
        pages_only: false,
    };
    let large = g.rng.one_in(40);
    let pool = if large {
        1500
    } else {
        g.rng.of(&[0, 3, 24, 64, 64, 120])
    };
    let mut ops = vec![Op::new(
        Kind::Boot,
        &[
            g.rng.one_in(4).into(),
            g.rng.one_in(4).into(),
            u64::from(!g.rng.one_in(4)),
            pool,
            // Whether what the IOMMU is told is followed, page by page: that takes up to fifty times as long.
            g.rng.one_in(128).into(),
            g.rng.one_in(2).into(),
        ],
    )];
    let begin = g.rng.below(LENGTH / 2);
    for n in 0..LENGTH {
        g.pages_only = machine.access && n >= begin;
        if g.rng.one_in(12) {
            let k = 1 + g.rng.below(4);
            ops.push(match g.rng.below(3) {
                0 | 1 => Op::new(Kind::Fail, &[k]),
                _ => Op::new(Kind::Preempt, &[k, g.rng.below(2)]),
            });
        }
        if g.rng.one_in(80) {
            ops.extend(g.buffer());
            continue;
        }
        let op = g.operation();
        if can_be_preempted(op.kind) && g.rng.one_in(2) {
            ops.push(Op::new(
                Kind::Preempt,
                &[1 + g.rng.below(4), g.rng.below(2)],
            ));
        }
        ops.push(op);
    }
    if large {
        let gfn = g.gfn() & !0x1FF;
        ops.push(Op::new(Kind::Sparse, &[0, gfn, 1100, ram(0)]));
        ops.push(g.operation());
    }
    for d in 0..3 {
        if g.rng.one_in(2) {
            ops.push(Op::new(
                Kind::Preempt,
                &[1 + g.rng.below(2), g.rng.below(2)],
            ));
        }
        let (fail, state) = (g.rng.of(&FAILURES), 1 + g.rng.below(2));
        ops.push(Op::new(Kind::Destroy, &[d, 8, fail, state]));
    }
    ops
}

/// How many accesses mem_access has in this Xen.
fn accesses() -> u64 {
    static NUMBER: OnceLock<u64> = OnceLock::new();
    *NUMBER.get_or_init(|| {
        if facts::hold("access_without_r_pw") {
            10
        } else {
            11
        }
    })
}

/// What stops for pending work is often told that there is some.
fn can_be_preempted(kind: Kind) -> bool {
    use Kind::{CacheFlush, Destroy, Pool, Relinquish, SetAccessFully};
    matches!(
        kind,
        CacheFlush | Destroy | Pool | Relinquish | SetAccessFully
    )
}

impl Generator {
    fn operation(&mut self) -> Op {
        let kind = self.rng.below(1000);
        let d = self.domain();
        match kind {
            0..=289 => self.insertion(d),
            290..=469 => self.removal(d),
            470..=599 => self.lookup(d),
            600..=749 => self.access(d),
            750..=859 => self.guest(d),
            860..=929 => self.tracking(d),
            _ => self.rare(d),
        }
    }

    fn insertion(&mut self, d: u64) -> Op {
        let (nr, mfn, t) = self.mapping(d);
        let mut gfn = blocks(self.gfn(), nr);
        if nr == M2 && !self.rng.one_in(4) {
            // Most that are as long as a block are one.
            gfn &= !(M2 - 1);
        }
        match self.rng.below(40) {
            0..=15 => Op::new(Kind::Insert, &[d, gfn, nr, mfn, t]),
            16..=18 => Op::new(Kind::MapRegions, &[d, gfn, nr, mfn, t]),
            19..=21 => Op::new(Kind::MapMmio, &[d, gfn, nr, self.mmio(nr)]),
            22 => Op::new(Kind::MapDev, &[d, gfn, self.mmio(1)]),
            // As libxl populates a guest, with gigabytes.
            23 if !self.pages_only && self.rng.one_in(16) => {
                Op::new(Kind::AddEntry, &[d, gfn & !(G1 - 1), ram(d), 18, 1])
            }
            23..=27 => {
                let order = self.order();
                Op::new(Kind::AddEntry, &[d, gfn, mfn, order, t])
            }
            28 => Op::new(Kind::MoveEntry, &[d, self.gfn(), gfn]),
            29..=30 => {
                let access = self.set_access_value(accesses());
                Op::new(Kind::SetEntry, &[d, gfn, nr, mfn, t, access])
            }
            31..=37 => {
                let owner = (d + 1 + self.rng.below(2)) % 3;
                let from = if self.rng.one_in(12) { d } else { owner };
                let mfn = if self.rng.one_in(16) {
                    self.heap_page()
                } else {
                    self.memory(from, 1)
                };
                Op::new(Kind::Foreign, &[d, owner, gfn, mfn])
            }
            38 => {
                let mfn = self.heap_page();
                // Of domain 0; another may have tables that still name it.
                let d = self.rng.of(&[0, 0, d]);
                Op::new(Kind::XenHeap, &[d, gfn, mfn])
            }
            _ if self.rng.one_in(8) => {
                let (count, mfn) = (self.rng.below(6), self.memory(d, 1));
                Op::new(Kind::Sparse, &[d, gfn, count, mfn])
            }
            _ => Op::new(Kind::Insert, &[d, gfn, nr, mfn, t]),
        }
    }

    fn removal(&mut self, d: u64) -> Op {
        let mut nr = self.nr();
        let gfn = blocks(self.gfn(), nr);
        // The C goes round past the last frame number, the Rust stops there.
        if gfn.checked_add(nr).is_none() {
            nr = 1;
        }
        let mfn = match self.rng.below(10) {
            0 => self.memory(d, 1),
            1 => self.rng.of(&[u64::MAX, 0, MMIO[0]]),
            _ => MATCHING,
        };
        match self.rng.below(20) {
            0..=8 => Op::new(Kind::UnmapRegions, &[d, gfn, nr, mfn]),
            9..=11 => Op::new(Kind::UnmapMmio, &[d, gfn, nr, mfn]),
            12..=16 => {
                let order = if gfn > 1 << 60 { 0 } else { self.order() };
                Op::new(Kind::RemovePage, &[d, gfn, mfn, order])
            }
            17 if !self.pages_only => {
                // From here to far beyond the end.
                let nr = self.rng.of(&[1 << 20, 1 << 30, 1 << 37]);
                let gfn = gfn & ((1 << 37) - G1);
                Op::new(Kind::UnmapRegions, &[d, gfn, nr, mfn])
            }
            _ => Op::new(Kind::ClearEntry, &[d, gfn, nr]),
        }
    }

    fn lookup(&mut self, d: u64) -> Op {
        let gfn = self.gfn();
        let kind = match self.rng.below(13) {
            0..=3 => Kind::GetEntry,
            4..=7 => Kind::Lookup,
            _ => Kind::PageFromGfn,
        };
        Op::new(kind, &[d, gfn])
    }

    /// An access below `limit`; mostly one that shows.
    fn set_access_value(&mut self, limit: u64) -> u64 {
        if self.rng.one_in(3) {
            7
        } else {
            self.rng.below(limit)
        }
    }

    fn access(&mut self, d: u64) -> Op {
        let gfn = self.gfn();
        if !self.pages_only {
            return match self.rng.below(3) {
                0 => Op::new(Kind::GetAccess, &[d, gfn]),
                1 => self.check(),
                _ => self.insertion(d),
            };
        }
        let nr = match self.rng.below(30) {
            0 => self
                .rng
                .of(&[0, 0x8_0000, u64::from(u32::MAX), u64::from(u32::MAX) - 511]),
            1..=2 => self.rng.below(2000),
            3..=8 => self.rng.below(130),
            _ => 1 + self.rng.below(4),
        };
        // Holes far out are small ones, and the hypercall refuses them.
        let gfn = if nr > 2000 && gfn != u64::MAX {
            gfn & ((1 << 37) - 1)
        } else {
            gfn
        };
        // One more: the default.
        let access = self.set_access_value(accesses() + 1);
        // A block would be put together again, or lifted as a block.
        let nr = if access == 7 || access == accesses() {
            nr.min(63)
        } else {
            nr
        };
        match self.rng.below(20) {
            0..=4 => {
                let start = if self.rng.one_in(4) {
                    self.rng.below(nr + 2)
                } else {
                    0
                };
                let mask = self.rng.of(&[0x3F, 0x3F, 0, u64::from(u32::MAX)]);
                let access = if self.rng.one_in(30) {
                    accesses() + 1 + self.rng.below(300)
                } else {
                    access
                };
                Op::new(Kind::SetAccess, &[d, gfn, nr, start, mask, access])
            }
            5..=10 => {
                let gfn = if self.rng.one_in(40) { u64::MAX } else { gfn };
                Op::new(Kind::SetAccessFully, &[d, gfn, nr, access])
            }
            11..=13 => Op::new(Kind::GetAccess, &[d, gfn]),
            14..=18 => self.check(),
            _ => match self.rng.below(4) {
                0 => Op::new(Kind::RequireListener, &[d, self.rng.below(2)]),
                _ => {
                    let (listens, fails) = (self.rng.below(2), u64::from(self.rng.one_in(4)));
                    Op::new(Kind::Monitor, &[d, listens, fails])
                }
            },
        }
    }

    fn check(&mut self) -> Op {
        let gpa = self.gfn() << 12 | self.rng.below(4096);
        let gla = self.gva();
        Op::new(Kind::CheckAccess, &[gpa, gla, self.rng.below(128)])
    }

    fn gva(&mut self) -> u64 {
        0x40_0000 + (self.rng.below(12) << 12 | self.rng.below(4096))
    }

    fn guest(&mut self, _d: u64) -> Op {
        let gva = self.gva();
        let v = self.rng.below(4);
        match self.rng.below(20) {
            0..=3 => {
                let gfn = self.real_gfn() & ((1 << 36) - 1);
                Op::new(Kind::Stage1, &[v, gva, gfn, u64::from(!self.rng.one_in(3))])
            }
            4 => {
                let gfn = self.real_gfn() & ((1 << 36) - 1);
                Op::new(Kind::Stage1Tables, &[v, gfn])
            }
            5..=8 => Op::new(Kind::Run, &[self.rng.below(5)]),
            9..=15 => Op::new(Kind::PageFromGva, &[v, gva, self.rng.below(2)]),
            _ => Op::new(Kind::CheckAndGet, &[gva, self.rng.below(2)]),
        }
    }

    /// A hypercall with a buffer. The page with the guest's stage-1 tables is there, and
    /// so is the buffer, mostly; either may be restricted or not touched yet. A fault of
    /// another vCPU may come before the second try, and the walker's own may be judged.
    fn buffer(&mut self) -> Vec<Op> {
        let v = self.rng.below(4);
        // The domain of each vCPU, as in `side::VCPUS`.
        let d = v.saturating_sub(1);
        let (gva, gfn) = (self.gva(), self.real_gfn() & ((1 << 36) - 1));
        let tables = self.rng.below(4) * M2 + 16 + self.rng.below(8);
        let mut ops = vec![
            Op::new(Kind::Run, &[v]),
            Op::new(Kind::Insert, &[d, tables, 1, self.memory(d, 1), 1]),
            Op::new(Kind::Stage1Tables, &[v, tables]),
        ];
        let writable = u64::from(!self.rng.one_in(4));
        ops.push(Op::new(Kind::Stage1, &[v, gva, gfn, writable]));
        if !self.rng.one_in(4) {
            let (_, mfn, t) = self.mapping(d);
            ops.push(Op::new(Kind::Insert, &[d, gfn, 1, mfn, t]));
        }
        if self.pages_only {
            for at in [gfn, tables] {
                if self.rng.one_in(2) {
                    let access = self.set_access_value(accesses());
                    ops.push(Op::new(Kind::SetAccessFully, &[d, at, 1, access]));
                }
            }
        }
        if self.rng.one_in(2) {
            ops.push(Op::new(Kind::Finished, &[d]));
            for at in [gfn, tables] {
                if self.rng.one_in(2) {
                    ops.push(Op::new(Kind::Resolve, &[d, at]));
                }
            }
        }
        for _ in 0..2 {
            ops.push(Op::new(Kind::PageFromGva, &[v, gva, self.rng.below(2)]));
            ops.push(Op::new(Kind::CheckAndGet, &[gva, self.rng.below(2)]));
            let at = self.rng.of(&[gfn, tables]);
            ops.push(Op::new(Kind::Resolve, &[d, at]));
        }
        // Any instruction, and a walk of the tables.
        let walk = 1 << self.rng.below(3) | 3 << 4;
        ops.push(Op::new(Kind::CheckAccess, &[tables << 12 | 8, gva, walk]));
        ops
    }

    fn tracking(&mut self, d: u64) -> Op {
        match self.rng.below(14) {
            0 => Op::new(Kind::Finished, &[d]),
            1..=9 => Op::new(Kind::Resolve, &[d, self.gfn()]),
            10 => Op::new(Kind::SetWay, &[]),
            11 => Op::new(Kind::Toggle, &[self.rng.below(2), self.rng.below(8)]),
            12 => Op::new(Kind::FlushVm, &[]),
            _ => {
                let start = self.gfn();
                let end = self.rng.of(&[u64::MAX, start.wrapping_add(700), 0, G1]);
                Op::new(Kind::CacheFlush, &[d, start, end])
            }
        }
    }

    /// A page of Xen's heap.
    fn heap_page(&mut self) -> u64 {
        XENHEAP + self.rng.below(XENHEAP_FRAMES)
    }

    /// A page of the domain's memory, or of Xen's heap.
    fn page(&mut self, d: u64) -> u64 {
        if self.rng.one_in(6) {
            self.heap_page()
        } else {
            self.memory(d, 1)
        }
    }

    fn rare(&mut self, d: u64) -> Op {
        match self.rng.below(64) {
            0..=7 => Op::new(Kind::Flush, &[d]),
            8..=23 => {
                let bytes = self.rng.of(&[0, 4, 10, 40, 64, 64, 90]) << 12;
                let odd = u64::from(self.rng.one_in(16));
                // A domctl may name any domain, and the hardware domain's tables are not from its pool.
                let d = if self.rng.one_in(8) { d } else { d.min(1) };
                Op::new(Kind::Pool, &[d, bytes + odd])
            }
            24 => Op::new(Kind::Vmids, &[]),
            25..=31 => {
                let mfn = self.page(d);
                Op::new(Kind::Saturate, &[mfn, u64::from(self.rng.one_in(3))])
            }
            32..=34 => Op::new(Kind::OwnerFrees, &[self.page(d)]),
            35..=37 => {
                let mfn = self.mmio(1);
                Op::new(Kind::Permit, &[d, mfn, 8])
            }
            38..=41 => Op::new(Kind::Dump, &[d, self.gfn() << 12]),
            42 => Op::new(Kind::Constant, &[d, self.gfn()]),
            43 if self.rng.one_in(2) => Op::new(Kind::Kill, &[d, 1 + self.rng.below(2)]),
            44..=51 => Op::new(Kind::Relinquish, &[d]),
            52 => {
                let pool = self.rng.of(&[2, 8, 64, 64]);
                let fail = self.rng.of(&FAILURES);
                Op::new(Kind::Destroy, &[d, pool, fail, 1 + self.rng.below(2)])
            }
            _ => Op::new(Kind::Run, &[self.rng.below(5)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::episode;
    use crate::ops::machine::Machine;
    use crate::ops::op::Kind;

    #[test]
    fn a_seed_repeats_and_every_kind_comes() {
        for machine in Machine::all() {
            assert_eq!(episode(machine, 7, 3), episode(machine, 7, 3));
        }
        let machine = Machine {
            access: true,
            ..Machine::all().next().unwrap()
        };
        let all: Vec<_> = (0..40).flat_map(|n| episode(machine, 1, n)).collect();
        for (kind, name, _) in crate::ops::op::KINDS {
            assert!(all.iter().any(|op| op.kind == *kind), "{name}");
        }
        assert_eq!(all.first().map(|op| op.kind), Some(Kind::Boot));
    }
}
