// SPDX-License-Identifier: GPL-2.0-only
//! A p2m as a map, and the operations on it: what the tables must say after
//! any sequence of them. Random tests and the fuzzer share it.

mod guest;
mod model;
mod op;
mod rights;
mod scene;

use std::collections::BTreeMap;
use std::sync::Mutex;

use arbitrary::Unstructured;
use p2m_rs::xen::globals::{attach_for_test, machine_for_test, reset_for_test, Machine};
use test_harness::{Config, World};

use self::model::Model;
pub use self::op::{place, Copying, Op, WRITERS};
use self::scene::Scene;
use super::{access, machines, ram, M2};

/// Runs the operations on a machine and on the map, and compares after each.
pub fn run(w: World, config: Config, ops: &[Op]) {
    let (d, owner) = (w.domain(128), w.domain(0));
    w.ram(ram(0), 8 * M2, d);
    w.ram(ram(1), 8 * M2, owner);
    let mut model = Model {
        pages: BTreeMap::new(),
        default_access: access::RWX,
        limit: config.gfn_limit(),
        ipa_bits: config.ipa_bits,
        listens: false,
        required: false,
        crashes: 0,
        dying: false,
    };
    let v = w.vcpu(d);
    w.run(0, v);
    let scene = Scene {
        w: &w,
        config,
        d,
        owner,
        v,
    };
    for op in ops {
        w.within(&op.reach(d), || model.step(&scene, op));
        model.agrees_with(d, &w.snapshot(d));
        w.check();
    }
    w.run(0, w.toolstack(0));
    d.set_dying_state(0);
    w.destroy(d);
    w.destroy(owner);
    w.check();
    assert_eq!(w.heap_in_use(), 0, "pages are leaked");
}

/// The globals of the code under test, for each machine: those of a test are
/// never freed, and a fuzzer runs for long.
static GLOBALS: Mutex<BTreeMap<usize, Machine>> = Mutex::new(BTreeMap::new());

/// A fuzzer's input: the first byte picks the machine, the rest are at most 24
/// operations.
pub fn run_bytes(input: &[u8]) {
    let mut bytes = Unstructured::new(input);
    let machines: Vec<_> = machines().collect();
    let Ok(which) = bytes.choose_index(machines.len()) else {
        return;
    };
    let config = machines[which];
    let mut ops = Vec::new();
    while !bytes.is_empty() && ops.len() < 24 {
        match Op::from_bytes(config.gfn_limit(), &mut bytes) {
            Ok(op) => ops.push(op),
            Err(_) => break,
        }
    }
    let mut globals = GLOBALS.lock().unwrap();
    attach_for_test(*globals.entry(which).or_insert_with(|| {
        reset_for_test();
        machine_for_test()
    }));
    run(World::new(config), config, &ops);
}
