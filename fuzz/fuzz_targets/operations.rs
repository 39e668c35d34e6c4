// SPDX-License-Identifier: GPL-2.0-only
//! Operations on the p2m from bytes, on the machine model and on a map.
#![no_main]

#[path = "../../test-harness/tests/common/mod.rs"]
mod common;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| common::reference::run_bytes(input));
