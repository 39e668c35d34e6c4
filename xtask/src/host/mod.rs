// SPDX-License-Identifier: GPL-2.0-only
//! What this machine has, and what is fetched for it.

pub(crate) mod archive;
pub(crate) mod debian_rust;
pub(crate) mod emulator;
pub(crate) mod libxen;
pub(crate) mod packages;
pub(crate) mod programs;
pub(crate) mod rust_toolchain;
pub(crate) mod sources;
pub(crate) mod tools;
pub(crate) mod unpack;
