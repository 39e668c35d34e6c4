// SPDX-License-Identifier: GPL-2.0-only
//! A domain whose vCPUs sit in fresh views behaves as one without views: the same operations of
//! toolstack, neighbours, devices and guest, once so and once so, with the same answers, the same
//! host p2m, the same memory for the guest to see, the same pages cleaned and referenced, and the
//! IOTLB flushed for the same frames. `common/identity.rs` has the operations, and says what is left out.
//!
//! `XEN_P2M_IDENTITY_OPS` sets the number of operations of all machines together.

#![cfg(config_altp2m)]
#![allow(clippy::unwrap_used)] // a test may stop on the spot

mod common;

use common::identity::{Run, EPISODE};
use common::{behind, SIZES};
use test_harness::config::{XEN_4_18, XEN_4_20};
use test_harness::{Config, Iommu};

/// Operations by default.
const DEFAULT: u64 = 36_000;

/// Every shape of root, with each of these IOMMUs, which walk the p2m's tables.
fn machines(iommus: &[Iommu]) -> impl Iterator<Item = Config> + Clone + '_ {
    let of_size = move |ipa_bits| {
        iommus.iter().map(move |&iommu| Config {
            ipa_bits,
            ..behind(iommu)
        })
    };
    SIZES.into_iter().flat_map(of_size)
}

/// Half of the operations, on these machines in turn; what else differs between machines does so from
/// one episode to the next.
fn behaves_alike(iommus: &[Iommu]) {
    let asked = std::env::var("XEN_P2M_IDENTITY_OPS");
    let ops = asked.map_or(DEFAULT, |asked| asked.parse().unwrap()) / 2;
    for (seed, config) in (1..=ops.div_ceil(EPISODE)).zip(machines(iommus).cycle()) {
        let has = |what: u64| seed / what % 2 == 1;
        let config = Config {
            log_capacity: 0,
            at_speculate: has(1),
            tlb_range: has(2),
            vmid16: has(3),
            // Where it is on, it takes more time than all else.
            watch_iommu_news: seed % 4 == 1,
            release: if has(5) { XEN_4_18 } else { XEN_4_20 },
            ..config
        };
        let plain = Run::new(config, false).through(seed);
        let in_views = Run::new(config, true).through(seed);
        for (n, (plain, in_views)) in plain.iter().zip(&in_views).enumerate() {
            assert_eq!(plain, in_views, "answer {n} of seed {seed}, {config:?}");
        }
        assert_eq!(plain.len(), in_views.len(), "seed {seed}");
    }
}

#[test]
fn a_domain_whose_vcpus_sit_in_fresh_views_behaves_as_one_without_views() {
    behaves_alike(&[Iommu::Off]);
}

/// What a guest touches is not tracked there, and a device is refused nothing for a view's sake.
#[test]
fn so_does_one_whose_devices_walk_the_same_tables() {
    behaves_alike(&[Iommu::Coherent, Iommu::NonCoherent]);
}
