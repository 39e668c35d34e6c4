// SPDX-License-Identifier: GPL-2.0-only
//! Where the Rust differs from the C on purpose (docs/differences.md), as edits
//! that mend the C before it is compiled.
//!
//! So all that is compared is compared strictly: no observable is excused. Each
//! edit calls `oracle_excused()` where the unmended C would have done other
//! than what it does now; these calls are counted and shown, so an entry that
//! nothing exercises is seen.
//!
//! `XEN_P2M_ORACLE_WITHOUT` leaves entries out, so edits do not build on one
//! another: none names a text that another makes.

mod defects;
mod fix;
mod others;

pub use fix::Fix;

/// All of them, in the order of [`constant`]'s values.
pub fn all() -> impl Iterator<Item = &'static Fix> {
    defects::DEFECTS.iter().chain(others::OTHERS)
}

/// The name that the C has for an entry, which `oracle_excused()` is called with.
#[must_use]
pub fn constant(id: &str) -> String {
    format!("FIX_{}", id.replace('-', "_"))
}

/// Differences that need no edit, because the operations steer around them.
pub const AVOIDED: &[(&str, &str)] = &[
    ("B11", "no IOTLB flush fails; none in Xen does"),
    ("B6", "its race: there is one thread"),
    (
        "B13",
        "the trap handler is not compared, and what it asks of mem_access is as in the C",
    ),
    ("B17", "its race: there is one thread"),
    ("B14", "no machine of the comparison has a PARange above 5"),
    (
        "faults",
        "each fault is resolved as often as there are levels, and the last answer compared",
    ),
    (
        "settings",
        "bits 62:59 of an entry are compared with the C's radix tree",
    ),
    (
        "merging",
        "restrictions are lifted from 63 pages at most, so no block is put together again",
    ),
    (
        "small things",
        "types, accesses, orders and machine frames are real ones, no INVALID_MFN is inserted, \
         no range that is removed wraps past the last frame; printed text is not compared",
    ),
];
