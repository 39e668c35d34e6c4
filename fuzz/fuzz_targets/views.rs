// SPDX-License-Identifier: GPL-2.0-only
//! Steps of a toolstack, a monitor and guests in views from bytes, beside a model of what they see.
#![no_main]

#[path = "../../test-harness/tests/common/mod.rs"]
mod common;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| common::view_model::run_bytes(input));
