// SPDX-License-Identifier: GPL-2.0-only
//! A guest with views beside a model of what each of its vCPUs must see. Random tests and the fuzzer
//! share it.

mod apply;
mod model;
mod step;

use std::sync::Mutex;

use arbitrary::Unstructured;
use p2m_rs::xen::globals::{attach_for_test, machine_for_test, reset_for_test, Machine};
use test_harness::{Config, Vcpu, World};

use self::apply::{apply, TABLES};
use self::model::Model;
pub use self::step::{Step, FIRST, FRAMES};
use super::views::{ipa, Viewed};
use super::M2;

/// Wherever a guest gets through without a fault, it sees what it is to see.
fn compare(v: &Viewed, model: &Model) {
    for cpu in 0..3 {
        for offset in [
            0,
            1,
            2,
            3,
            M2 - 2,
            M2 - 1,
            M2,
            M2 + 1,
            FRAMES - 2,
            FRAMES - 1,
        ] {
            let gfn = FIRST + offset;
            if let Some(maddr) = v.w.guest_reads(cpu, ipa(gfn)) {
                let sees = model.sees(model.at[cpu], gfn);
                assert_eq!(
                    sees.map(|(mfn, _)| mfn),
                    Some(maddr >> 12),
                    "CPU {cpu}, {gfn:#x}"
                );
            }
        }
    }
}

/// Runs the steps. After each, every rule is checked (V1 among them), and what guests read is
/// compared.
pub fn run(v: &Viewed, steps: &[Step]) {
    let vcpus: Vec<Vcpu> = (0..3).map(|cpu| v.vcpu_in(cpu, 0)).collect();
    for &vcpu in &vcpus {
        v.w.stage1_tables_in(vcpu, TABLES);
    }
    let mut model = Model::default();
    // Something is mapped at first, and there are two views with a vCPU in each.
    let first = [
        Step::MapBlock(0),
        Step::MapBlock(1),
        Step::Create(true),
        Step::Create(false),
        Step::Enter(0, 1),
        Step::Enter(1, 2),
    ];
    for step in first.iter().chain(steps) {
        apply(v, &vcpus, &mut model, step);
        compare(v, &model);
        v.w.check();
    }
    // A fuzzer's process has one set of VMIDs.
    (0..3).for_each(|cpu| v.w.run(cpu, v.w.toolstack(cpu)));
    v.w.destroy(v.d);
    v.w.check();
}

/// The globals of the code under test: those of a test are never freed, and a fuzzer runs for long.
static GLOBALS: Mutex<Option<Machine>> = Mutex::new(None);

/// A fuzzer's input: at most 40 steps.
pub fn run_bytes(input: &[u8]) {
    let mut bytes = Unstructured::new(input);
    let mut steps = Vec::new();
    while !bytes.is_empty() && steps.len() < 40 {
        match Step::from_bytes(&mut bytes) {
            Ok(step) => steps.push(step),
            Err(_) => break,
        }
    }
    let mut globals = GLOBALS.lock().unwrap();
    attach_for_test(*globals.get_or_insert_with(|| {
        reset_for_test();
        machine_for_test()
    }));
    run(&Viewed::of(World::new(Config::default())), &steps);
}
