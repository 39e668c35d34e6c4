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
