// SPDX-License-Identifier: GPL-2.0-only
//! What the tests share: worlds, names for the numbers of the ABI, and a fixed
//! place for a guest's memory.

// Each test binary has a copy and uses its own part of it.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    clippy::unwrap_used,
    clippy::indexing_slicing
)]

pub mod by_hand;
pub mod reference;

// The exports are reached through their C symbols.
use mem_access_rs as _;
use test_harness::{Config, Domain, Event, Iommu, World};

/// `p2m_type_t`, by C's names and values.
pub mod p2mt {
    pub const INVALID: u32 = 0;
    pub const RAM_RW: u32 = 1;
    pub const RAM_RO: u32 = 2;
    pub const MMIO_DEV: u32 = 3;
    pub const MMIO_NC: u32 = 4;
    pub const MMIO_C: u32 = 5;
    pub const FOREIGN_RW: u32 = 6;
    pub const FOREIGN_RO: u32 = 7;
    pub const GRANT_RW: u32 = 8;
    pub const GRANT_RO: u32 = 9;
    pub const IOMMU_RW: u32 = 10;
    pub const IOMMU_RO: u32 = 11;
}

/// `xenmem_access_t`, whose values `p2m_access_t` shares.
pub mod access {
    pub const N: u32 = 0;
    pub const R: u32 = 1;
    pub const W: u32 = 2;
    pub const RW: u32 = 3;
    pub const X: u32 = 4;
    pub const RX: u32 = 5;
    pub const WX: u32 = 6;
    pub const RWX: u32 = 7;
    pub const RX2RW: u32 = 8;
    pub const N2RWX: u32 = 9;
    pub const R_PW: u32 = 10;
    pub const DEFAULT: u32 = 11;
}

/// Errno values that the p2m returns, negated.
pub mod errno {
    pub const ENOENT: i32 = -2;
    pub const ESRCH: i32 = -3;
    pub const EIO: i32 = -5;
    pub const ENOMEM: i32 = -12;
    pub const EBUSY: i32 = -16;
    pub const EINVAL: i32 = -22;
    pub const ENOSYS: i32 = -38;
    pub const EILSEQ: i32 = -84;
    pub const ERESTART: i32 = -85;
    pub const EOPNOTSUPP: i32 = -95;
}

/// Frames of a 2 MiB and of a 1 GiB block.
pub const M2: u64 = 1 << 9;
pub const G1: u64 = 1 << 18;

/// Where the memory of guest number `n` is: 16 GiB, 1 GiB aligned.
pub const fn ram(n: u64) -> u64 {
    0x100_0000 + n * (G1 << 4)
}

/// A machine, with globals of its own in the code under test.
pub fn world(config: Config) -> World {
    p2m_rs::xen::globals::reset_for_test();
    World::new(config)
}

/// The plainest machine.
pub fn plain() -> World {
    world(Config::default())
}

/// A guest with a pool of 64 pages that owns `ram(n)` and what follows.
pub fn guest(world: &World, n: u64) -> Domain {
    let d = world.domain(64);
    world.ram(ram(n), G1 << 4, d);
    d
}

/// Every shape of root, without an IOMMU.
pub const SIZES: [u32; 6] = [32, 36, 40, 42, 44, 48];

/// Every machine shape that changes how tables are written, and every second
/// one with TLB invalidation by range. An IOMMU uses the CPU's tables, as on
/// Arm it always does; accesses are not tracked then.
pub fn machines() -> impl Iterator<Item = Config> {
    let iommus = [Iommu::Off, Iommu::Coherent, Iommu::NonCoherent];
    SIZES.into_iter().flat_map(move |ipa_bits| {
        iommus.into_iter().map(move |iommu| Config {
            ipa_bits,
            iommu,
            iommu_shares_tables: iommu != Iommu::Off,
            tlb_range: (ipa_bits / 4 + iommu as u32) % 2 == 0,
            ..Config::default()
        })
    })
}

/// What others can see of the events since `clear_events()`, or what takes time:
/// stores, barriers, flushes, memory. The first few.
pub fn effects(w: &World) -> Vec<Event> {
    let has_effect = |event: &Event| {
        !matches!(
            event,
            Event::PteLoad { .. } | Event::Lock { .. } | Event::PreemptCheck { .. }
        )
    };
    let events = w.events().into_iter().map(|(_, event)| event);
    events.filter(has_effect).take(8).collect()
}
