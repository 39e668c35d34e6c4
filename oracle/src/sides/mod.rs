// SPDX-License-Identifier: GPL-2.0-only
//! The two sides: an implementation on a machine each.

pub(crate) mod exports;
mod ours;
pub(crate) mod side;
pub(crate) mod xen_c;
