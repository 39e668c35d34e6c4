// SPDX-License-Identifier: GPL-2.0-only
//! What the hardware finds in the tables, word by word.
//!
//! The expected words are built here from the Arm ARM (DDI 0487, D8.3: stage 2
//! descriptors, VMSAv8-64, 4 KiB granule) and written out; nothing of the code
//! under test computes them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;
use common::{access, p2mt, plain, ram, world, G1, M2};
use test_harness::{Config, INVALID};

/// Attributes of each type: (type, word without address and permissions).
/// Bits: 0 valid, 5:2 MemAttr, 9:8 SH, 10 AF, 58:55 the type.
const ATTRIBUTES: [(u32, u64); 11] = [
    // MemAttr 0b1111 (Normal write-back), SH 0b11 (inner)
    (p2mt::RAM_RW, 0x0080_0000_0000_073D),
    (p2mt::RAM_RO, 0x0100_0000_0000_073D),
    // MemAttr 0b0001 (Device-nGnRE), SH 0b10 (outer)
    (p2mt::MMIO_DEV, 0x0180_0000_0000_0605),
    // MemAttr 0b0101 (Normal non-cacheable), SH 0b10
    (p2mt::MMIO_NC, 0x0200_0000_0000_0615),
    // MemAttr 0b1111, SH 0b10
    (p2mt::MMIO_C, 0x0280_0000_0000_063D),
    (p2mt::FOREIGN_RW, 0x0300_0000_0000_073D),
    (p2mt::FOREIGN_RO, 0x0380_0000_0000_073D),
    (p2mt::GRANT_RW, 0x0400_0000_0000_073D),
    (p2mt::GRANT_RO, 0x0480_0000_0000_073D),
    (p2mt::IOMMU_RW, 0x0500_0000_0000_073D),
    (p2mt::IOMMU_RO, 0x0580_0000_0000_073D),
];

/// S2AP[0] (bit 6), S2AP[1] (bit 7), XN (bit 54).
const R: u64 = 0x40;
const W: u64 = 0x80;
const XN: u64 = 0x0040_0000_0000_0000;

/// What each type allows: RAM may run, the rest may not; the ro types and
/// nothing else may not be written.
const TYPE_PERMISSIONS: [(u32, u64); 11] = [
    (p2mt::RAM_RW, R | W),
    (p2mt::RAM_RO, R),
    (p2mt::MMIO_DEV, R | W | XN),
    (p2mt::MMIO_NC, R | W | XN),
    (p2mt::MMIO_C, R | W | XN),
    (p2mt::FOREIGN_RW, R | W | XN),
    (p2mt::FOREIGN_RO, R | XN),
    (p2mt::GRANT_RW, R | W | XN),
    (p2mt::GRANT_RO, R | XN),
    (p2mt::IOMMU_RW, R | W | XN),
    (p2mt::IOMMU_RO, R | XN),
];

/// What each access takes away: (access, cleared bits, set bits).
const RESTRICTIONS: [(u32, u64, u64); 11] = [
    (access::N, R | W, XN),
    (access::R, W, XN),
    (access::W, R, XN),
    (access::RW, 0, XN),
    (access::X, R | W, 0),
    (access::RX, W, 0),
    (access::WX, R, 0),
    (access::RWX, 0, 0),
    (access::RX2RW, W, 0),
    (access::N2RWX, R | W, XN),
    (access::R_PW, W, XN),
];

/// (level, frames, bit 1 of the leaf).
const LEVELS: [(u32, u64, u64); 3] = [(1, G1, 0), (2, M2, 0), (3, 1, 2)];

#[test]
fn every_type_and_access_at_every_level_gives_the_word_of_the_arm_arm() {
    let w = plain();
    let d = w.domain(64);
    let owner = w.domain(0);
    w.ram(ram(5), G1, owner);
    let mut words = 0;
    for (t, attributes) in ATTRIBUTES {
        let allowed = TYPE_PERMISSIONS.iter().find(|p| p.0 == t).unwrap().1;
        for (a, clear, set) in RESTRICTIONS {
            for (level, frames, page_bit) in LEVELS {
                let (gfn, mfn) = (G1 * 3, ram(5));
                if [p2mt::FOREIGN_RW, p2mt::FOREIGN_RO].contains(&t) {
                    if level == 1 {
                        continue; // foreign memory is mapped by 2 MiB at most
                    }
                    w.take_references(mfn, frames); // the mapping will own them
                }
                assert_eq!(d.set_entry(gfn, frames, mfn, t, a), 0);
                let expected = attributes | allowed & !clear | set | page_bit | mfn << 12;
                let found = w.entry(d, gfn, level);
                assert_eq!(
                    found, expected,
                    "type {t} access {a} level {level}: {found:#018x}"
                );
                words += 1;
                assert_eq!(d.set_entry(gfn, frames, INVALID, 0, access::RWX), 0);
            }
        }
    }
    assert_eq!(words, 11 * 11 * 3 - 2 * 11);
    w.check();
}

#[test]
fn a_table_entry_is_valid_points_to_its_table_and_counts_as_mapped() {
    for ipa_bits in common::SIZES {
        let w = world(Config {
            ipa_bits,
            ..Config::default()
        });
        let d = w.domain(16);
        assert_eq!(d.insert(0x123, 1, ram(0), p2mt::RAM_RW), 0);
        let (root_level, _) = Config {
            ipa_bits,
            ..Config::default()
        }
        .root();
        for level in root_level..3 {
            let word = w.entry(d, 0x123, level);
            // Valid, table, and the attributes of RAM, which hardware ignores.
            assert_eq!(
                word & 0xFFFF_0000_0000_0FFF,
                0x0080_0000_0000_07FF,
                "{word:#x}"
            );
        }
    }
}

#[test]
fn a_removed_entry_is_zero_at_every_level() {
    let w = plain();
    let d = w.domain(16);
    for (level, frames, _) in LEVELS {
        let gfn = G1 * 2;
        assert_eq!(d.insert(gfn, frames, ram(0), p2mt::RAM_RW), 0);
        assert_ne!(w.entry(d, gfn, level), 0);
        assert_eq!(d.set_entry(gfn, frames, INVALID, 0, access::RWX), 0);
        assert_eq!(w.entry(d, gfn, level), 0);
    }
}

#[test]
fn a_split_block_maps_the_same_frames_with_the_same_rights() {
    let w = plain();
    let d = w.domain(16);
    w.ram(ram(0), G1, d);
    assert_eq!(d.insert(G1, G1, ram(0), p2mt::RAM_RO), 0);
    let block = w.entry(d, G1, 1);
    // Take one page out of the middle: 1 GiB becomes 511 x 2 MiB + 511 x 4 KiB.
    let hole = G1 + 7 * M2 + 5;
    assert_eq!(d.remove(hole, 1, ram(0) + 7 * M2 + 5), 0);
    let rights = block & 0xFFFF_0000_0000_0FFD;
    for i in (0..512).filter(|&i| i != 7) {
        let word = w.entry(d, G1 + i * M2, 2);
        assert_eq!(word, rights | (ram(0) + i * M2) << 12, "2 MiB block {i}");
    }
    for i in (0..512).filter(|&i| i != 5) {
        let word = w.entry(d, G1 + 7 * M2 + i, 3);
        assert_eq!(word, rights | 2 | (ram(0) + 7 * M2 + i) << 12, "page {i}");
    }
    assert_eq!(w.entry(d, hole, 3), 0);
    assert_eq!(d.mapping_stats(), [0, 0, 511, 511]);
    assert_eq!(d.shattered_stats(), [0, 1, 1, 0]);
    w.check();
}

#[test]
fn tables_are_cleared_before_use_though_the_heap_hands_out_poison() {
    let w = plain();
    let d = w.domain(16);
    assert_eq!(d.insert(0x4_0000, 1, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(w.snapshot(d).len(), 1);
    let words: usize = w.dump(d).iter().map(|table| table.words.len()).sum();
    assert_eq!(words, 3, "two table entries and a page");
}
