// SPDX-License-Identifier: GPL-2.0-only
//! The functions that `xen-sys` declares, one file a subject.
//!
//! Each finds the machine of its thread, does its deed on the model and
//! returns. The unsafe blocks are those that C's pointers ask for.

mod arch;
mod console;
mod cpu;
mod domain;
mod guest_copy;
mod iommu;
mod lock;
mod monitor;
mod page;
mod radix;
mod release;
mod views;
