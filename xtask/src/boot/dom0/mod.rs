// SPDX-License-Identifier: GPL-2.0-only
//! What dom0 does at its start, and what it says of it.

pub(crate) mod console;
pub(crate) mod dma;
pub(crate) mod dump;
pub(crate) mod steps;
