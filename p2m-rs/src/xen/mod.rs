// SPDX-License-Identifier: GPL-2.0-only
//! Xen, made safe to call: its structures, its functions, and this CPU.
//!
//! One file a subject. Nothing here knows what a p2m or a table is; what may take a p2m
//! lock somewhere inside is in [`crate::p2m::reentry`].

pub mod console;
pub mod cpu;
pub mod domain;
pub mod globals;
pub mod iommu;
pub mod page;
pub mod pool;
pub mod target;
pub mod tlb;
pub mod vcpu;
pub mod vmid_pool;
