// SPDX-License-Identifier: GPL-2.0-only
//! The p2m against a map: random sequences of operations, on every shape of
//! root, with no IOMMU, a coherent one and one that reads memory.
//!
//! After each step the tables say what the map says, page by page, and all
//! rules of the machine hold.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;

use common::reference::{place, run, run_bytes, Copying, Op, WRITERS};
use common::{access, machines, p2mt, ram, world, M2};
use proptest::prelude::*;
use test_harness::Config;

fn op(limit: u64) -> impl Strategy<Value = Op> {
    // Frames are named near block boundaries, so that ranges meet and overlap.
    let offset = (0u64..4, 0u64..6).prop_map(|(block, page)| block * M2 + page);
    let aligned = (0u64..3).prop_map(|block| block * M2);
    let gfn = (any::<bool>(), prop_oneof![offset.clone(), aligned])
        .prop_map(move |(top, at)| place(limit, top, at));
    let nr = prop_oneof![
        Just(1u64),
        1u64..8,
        Just(M2 - 1),
        Just(M2),
        Just(M2 + 1),
        Just(2 * M2)
    ];
    let mfn = prop_oneof![
        (0u64..4).prop_map(|b| ram(0) + b * M2),
        offset.prop_map(|o| ram(0) + o)
    ];
    let t = prop_oneof![
        3 => Just(p2mt::RAM_RW),
        1 => Just(p2mt::RAM_RO),
        1 => p2mt::MMIO_DEV..=p2mt::MMIO_C,
        1 => p2mt::FOREIGN_RW..=p2mt::FOREIGN_RO,
        1 => p2mt::GRANT_RW..=p2mt::IOMMU_RO,
    ];
    let access = access::N..=access::R_PW;
    let copying = (any::<bool>(), prop::bool::weighted(0.8))
        .prop_map(|(write, writable)| Copying { write, writable });
    prop_oneof![
        6 => (gfn.clone(), nr.clone(), mfn, t)
            .prop_map(|(gfn, nr, mfn, t)| Op::Insert { gfn, nr, mfn, t }),
        2 => (gfn.clone(), 0u64..16).prop_map(|(gfn, m)| Op::Foreign { gfn, mfn: ram(1) + m }),
        4 => (gfn.clone(), nr.clone(), prop::bool::weighted(0.8))
            .prop_map(|(gfn, nr, honest)| Op::Remove { gfn, nr, honest }),
        2 => (gfn.clone(), nr.clone(), access.clone())
            .prop_map(|(gfn, nr, access)| Op::SetAccess { gfn, nr, access }),
        4 => (gfn.clone(), gfn.clone(), copying)
            .prop_map(|(gfn, tables, how)| Op::Copy { gfn, tables, how }),
        3 => (gfn.clone(), prop::sample::select(WRITERS.to_vec()))
            .prop_map(|(gfn, writer)| Op::Write { gfn, writer }),
        1 => (gfn.clone(), 1u64..2 * M2, any::<bool>())
            .prop_map(|(gfn, nr, vm)| Op::Clean { gfn, nr, vm }),
        1 => access.prop_map(|access| Op::DefaultAccess { access }),
        1 => Just(Op::Invalidate),
        3 => gfn.clone().prop_map(|gfn| Op::Resolve { gfn }),
        3 => (gfn, 0u32..0x80).prop_map(|(gfn, npfec)| Op::Fault { gfn, npfec }),
        1 => any::<(bool, bool)>()
            .prop_map(|(listens, required)| Op::Monitor { listens, required }),
        1 => (0u32..9).prop_map(|n| Op::Dying { state: n.saturating_sub(6) }),
    ]
}

/// A machine and operations that make sense on it.
fn scenario() -> impl Strategy<Value = (Config, Vec<Op>)> {
    prop::sample::select(machines().collect::<Vec<_>>()).prop_flat_map(|config| {
        (
            Just(config),
            prop::collection::vec(op(config.gfn_limit()), 1..16),
        )
    })
}

/// `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or(320),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_sequence_of_operations_leaves_what_the_map_says((config, ops) in scenario()) {
        run(world(config), config, &ops);
    }
}

/// What the fuzzer found worth keeping, without the fuzzer.
#[test]
fn every_input_of_the_fuzzers_corpus_leaves_what_the_map_says() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/operations");
    let mut inputs = 0;
    for file in std::fs::read_dir(corpus).unwrap() {
        run_bytes(&std::fs::read(file.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs >= 16, "only {inputs} inputs");
}
