// SPDX-License-Identifier: GPL-2.0-only
//! The parts of the machine: what hardware has, and what Xen keeps.

pub(crate) mod contents;
pub(crate) mod cpu;
pub(crate) mod devices;
pub(crate) mod domains;
pub(crate) mod framemap;
pub(crate) mod frames;
pub(crate) mod guests;
pub(crate) mod lists;
pub(crate) mod locks;
pub(crate) mod pages;
pub(crate) mod radix;
