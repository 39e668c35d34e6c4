// SPDX-License-Identifier: GPL-2.0-only
//! Random sequences of what a toolstack, a monitor and guests in views do, beside a model of what
//! each of them must see. After each step every rule is checked (V1 among them), and what guests
//! read is compared.
//!
//! `PROPTEST_CASES` sets the number of sequences.

#![cfg(config_altp2m)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;

use common::view_model::{run, run_bytes, Step, FIRST, FRAMES};
use common::views::Viewed;
use common::M2;
use proptest::prelude::*;

/// A frame out of a few, so that steps meet.
fn frame() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..4, M2 - 2..M2 + 2, FRAMES - 2..FRAMES].prop_map(|offset| FIRST + offset)
}

fn step() -> impl Strategy<Value = Step> {
    let view = || 1_u16..4;
    let cpu = || 0_usize..3;
    prop_oneof![
        2 => (frame(), 0_u64..64).prop_map(|(gfn, mfn)| Step::Map(gfn, mfn)),
        1 => (0_u64..2).prop_map(Step::MapBlock),
        2 => (frame(), 1_u64..4).prop_map(|(gfn, nr)| Step::Unmap(gfn, nr)),
        1 => (frame(), any::<bool>()).prop_map(|(gfn, all)| Step::HostAccess(gfn, all)),
        1 => any::<bool>().prop_map(Step::Create),
        1 => view().prop_map(Step::Destroy),
        2 => (view(), frame(), any::<bool>()).prop_map(|(n, gfn, all)| Step::Access(n, gfn, all)),
        6 => (view(), frame(), frame()).prop_map(|(n, gfn, to)| Step::Remap(n, gfn, to)),
        1 => (view(), frame()).prop_map(|(n, gfn)| Step::ForgetRemapping(n, gfn)),
        2 => (cpu(), 0_u16..4).prop_map(|(cpu, n)| Step::Enter(cpu, n)),
        6 => (cpu(), frame()).prop_map(|(cpu, gfn)| Step::Read(cpu, gfn)),
        6 => (cpu(), frame()).prop_map(|(cpu, gfn)| Step::Write(cpu, gfn)),
        9 => (cpu(), frame(), any::<bool>()).prop_map(|(cpu, gfn, write)| Step::Copy(cpu, gfn, write)),
        1 => any::<bool>().prop_map(Step::Listen),
        3 => cpu().prop_map(Step::Clean),
    ]
}

/// How many sequences: all rules are checked after each step, so a few take long enough.
fn cases() -> u32 {
    let wanted = std::env::var("PROPTEST_CASES");
    wanted.ok().and_then(|n| n.parse().ok()).unwrap_or(64)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn guests_in_views_see_what_the_model_says(steps in prop::collection::vec(step(), 1..80)) {
        run(&Viewed::plain(), &steps);
    }

    /// The fuzzer's way to such steps.
    #[test]
    fn guests_in_views_see_what_the_model_says_whatever_bytes_the_steps_are_from(
        bytes in prop::collection::vec(any::<u8>(), 0..250),
    ) {
        run_bytes(&bytes);
    }
}

/// What the fuzzer found worth keeping, without the fuzzer.
#[test]
fn guests_in_views_see_what_the_model_says_for_every_input_of_the_fuzzers_corpus() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/views");
    let mut inputs = 0;
    for file in std::fs::read_dir(corpus).unwrap() {
        run_bytes(&std::fs::read(file.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs >= 30, "only {inputs} inputs");
}
