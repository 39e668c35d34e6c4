// SPDX-License-Identifier: GPL-2.0-only
//! What the rules remember of what happened: each book is data, and knows nothing of the machine.
#![forbid(unsafe_code)]

pub(crate) mod changed;
pub(crate) mod dirty;
pub(crate) mod iotlb;
pub(crate) mod mapcache;
pub(crate) mod pools;
pub(crate) mod stage1;
pub(crate) mod tables;
pub(crate) mod tlb;
pub(crate) mod visible;
pub(crate) mod vmids;
pub mod work;
