// SPDX-License-Identifier: GPL-2.0-only
//! What a thread does around a call of the code under test.

use std::ops::Range;

use super::with;
use crate::ground::handles::Domain;

/// Ends the call when dropped.
pub(crate) struct InCall;

/// The CPU enters an exported function.
pub(crate) fn begin(name: &'static str) -> InCall {
    with(|m, cpu| m.call_begins(cpu, name));
    InCall
}

impl Drop for InCall {
    fn drop(&mut self) {
        with(|m, cpu| m.call_ends(cpu));
    }
}

/// Runs `body` as what cleans these guest frames; it says how far it got.
pub(crate) fn cleaning<R>(
    rule: &'static str,
    d: Domain,
    gfns: Range<u64>,
    body: impl FnOnce() -> (R, u64),
) -> R {
    with(|m, cpu| m.cleaning_begins(cpu, d, gfns));
    let (result, end) = body();
    with(|m, cpu| m.cleaning_ends(cpu, end, rule));
    result
}
