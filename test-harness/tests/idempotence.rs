// SPDX-License-Identifier: GPL-2.0-only
//! Asking a second time for what is there already: whatever came before, no
//! store, no barrier, no flush, no memory.
#![allow(clippy::unwrap_used)] // a test may stop on the spot

mod common;

use common::{access, effects, guest, machines, p2mt, plain, ram, world, G1, M2};
use proptest::prelude::*;
use test_harness::{Config, Domain, Event, Iommu, INVALID};

/// A request that can be made twice.
#[derive(Debug, Clone, Copy)]
enum Request {
    Map { gfn: u64, nr: u64, mfn: u64, t: u32 },
    Unmap { gfn: u64, nr: u64 },
    SetAccess { gfn: u64, nr: u64, access: u32 },
    SetDefault { access: u32 },
    Track,
    Resolve { gfn: u64 },
    SetPool { pages: u64 },
}

impl Request {
    /// Makes it; whether it was granted as a whole.
    fn make(self, config: Config, d: Domain) -> bool {
        match self {
            Self::Map { gfn, nr, mfn, t } => d.insert(gfn, nr, mfn, t) == 0,
            Self::Unmap { gfn, nr } => d.set_entry(gfn, nr, INVALID, 0, access::RWX) == 0,
            Self::SetAccess { gfn, nr, access } => {
                d.set_access_fully(gfn, u32::try_from(nr).unwrap(), access) == 0
            }
            Self::SetDefault { access } => d.set_access(INVALID, 1, 0, access) == 0,
            Self::Track if config.iommu_shares_tables => false,
            Self::Track => {
                d.creation_finished();
                true
            }
            Self::Resolve { gfn } => d.resolve(gfn),
            Self::SetPool { pages } => d.set_pool(pages) == 0,
        }
    }
}

fn request() -> impl Strategy<Value = Request> {
    let offset = (0u64..4, 0u64..6).prop_map(|(block, page)| block * M2 + page);
    let gfn = prop_oneof![offset.clone(), (0u64..3).prop_map(|block| block * M2)];
    let mfn = prop_oneof![
        gfn.clone().prop_map(|gfn| ram(0) + gfn),
        offset.prop_map(|offset| ram(0) + offset)
    ];
    let nr = prop_oneof![Just(1u64), 1u64..9, Just(M2), Just(M2 + 1), Just(3 * M2)];
    let t = prop_oneof![
        3 => Just(p2mt::RAM_RW),
        1 => Just(p2mt::RAM_RO),
        1 => p2mt::MMIO_DEV..=p2mt::MMIO_C,
        1 => p2mt::GRANT_RW..=p2mt::GRANT_RO,
    ];
    let any_access = access::N..=access::R_PW;
    let access = prop_oneof![2 => Just(access::RWX), 3 => any_access];
    prop_oneof![
        6 => (gfn.clone(), nr.clone(), mfn, t)
            .prop_map(|(gfn, nr, mfn, t)| Request::Map { gfn, nr, mfn, t }),
        2 => (gfn.clone(), nr.clone()).prop_map(|(gfn, nr)| Request::Unmap { gfn, nr }),
        5 => (gfn.clone(), nr, access.clone())
            .prop_map(|(gfn, nr, access)| Request::SetAccess { gfn, nr, access }),
        1 => access.prop_map(|access| Request::SetDefault { access }),
        1 => Just(Request::Track),
        2 => gfn.prop_map(|gfn| Request::Resolve { gfn }),
        1 => (30u64..60).prop_map(|pages| Request::SetPool { pages }),
    ]
}

fn scenario() -> impl Strategy<Value = (Config, Vec<Request>)> {
    let shapes = machines().filter(|config| [40, 48].contains(&config.ipa_bits));
    (
        prop::sample::select(shapes.collect::<Vec<_>>()),
        prop::collection::vec(request(), 1..14),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_asked_for_twice_is_done_once((config, requests) in scenario()) {
        let w = world(config);
        let d = guest(&w, 0);
        for request in requests {
            if !request.make(config, d) {
                continue;
            }
            let before = (w.dump(d), w.free_pool_pages(d), d.mapping_stats(), d.shattered_stats());
            w.clear_events();
            prop_assert!(request.make(config, d), "{request:?} is not granted again");
            let mut effects = effects(&w);
            // An IOMMU is told of what a caller says that it has mapped.
            if config.iommu != Iommu::Off && matches!(request, Request::Map { .. }) {
                effects.retain(|e| !matches!(e, Event::IommuFlush { .. } | Event::DsbSy));
            }
            prop_assert_eq!(effects, vec![], "{:?}", request);
            let after = (w.dump(d), w.free_pool_pages(d), d.mapping_stats(), d.shattered_stats());
            prop_assert_eq!(before, after, "{:?}", request);
        }
        w.check();
    }
}

/// The blocks are from before mem_access came into use, after which the range is mapped in pages.
#[test]
fn blocks_that_are_as_asked_already_are_no_end_of_a_range() {
    let w = plain();
    let d = guest(&w, 0);
    let (first, end) = (M2 - 1, 3 * M2 + 2);
    assert_eq!(d.insert(M2, 2 * M2, ram(0) + M2, p2mt::RAM_RW), 0);
    assert_eq!(d.insert(G1, 1, ram(1), p2mt::RAM_RW), 0);
    assert_eq!(d.set_access(G1, 1, 0, access::R), 0);
    let nr = end - first;
    assert_eq!(d.insert(first, nr, ram(0) + first, p2mt::RAM_RW), 0);
    for gfn in first..end {
        assert_eq!(
            d.lookup(gfn),
            (Some(ram(0) + gfn), p2mt::RAM_RW),
            "{gfn:#x}"
        );
    }
    // The page before, the two blocks, the two pages behind, and the restricted one.
    assert_eq!(w.snapshot(d).len(), 1 + 2 + 2 + 1);
    w.check();
}
