// SPDX-License-Identifier: GPL-2.0-only
//! Both sides in lock step, and all that is compared.

pub(crate) mod compare;
mod reach;
pub(crate) mod run;
mod tree;
