// SPDX-License-Identifier: GPL-2.0-only
//! What the tests share: worlds, and a fixed place for a guest's memory.

// Each test binary has a copy and uses its own part of it.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    clippy::unwrap_used,
    clippy::indexing_slicing
)]

pub mod by_hand;
pub mod identity;
pub mod large;
pub mod loaded;
pub mod reference;
pub mod view_model;
pub mod views;

// The exports are reached through their C symbols.
use mem_access_rs as _;
pub use test_harness::abi::{access, errno, p2mt};
use test_harness::{Config, Domain, Event, Iommu, World};

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

/// Every kind of IOMMU.
pub const IOMMUS: [Iommu; 3] = [Iommu::Off, Iommu::Coherent, Iommu::NonCoherent];

/// The plainest machine with such an IOMMU, which uses the CPU's tables, as on Arm it
/// always does.
pub fn behind(iommu: Iommu) -> Config {
    Config {
        iommu,
        iommu_shares_tables: iommu != Iommu::Off,
        ..Config::default()
    }
}

/// Every machine shape that changes how tables are written, and every second
/// one with TLB invalidation by range. Accesses are not tracked where there is an
/// IOMMU.
pub fn machines() -> impl Iterator<Item = Config> {
    SIZES.into_iter().flat_map(move |ipa_bits| {
        IOMMUS.into_iter().map(move |iommu| Config {
            ipa_bits,
            tlb_range: (ipa_bits / 4 + iommu as u32) % 2 == 0,
            ..behind(iommu)
        })
    })
}

/// How many events of a kind there were since `clear_events()`.
pub fn count(w: &World, is_one: impl Fn(&Event) -> bool) -> usize {
    let events = w.events().into_iter();
    events.filter(|(_, event)| is_one(event)).count()
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
