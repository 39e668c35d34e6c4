// SPDX-License-Identifier: GPL-2.0-only
//! A domain's stage 2 as a picture.
//!
//! [`dump`] reads what Xen's debug key `D` prints; [`facts`] computes what a reader asks (where
//! is memory in pages, what is restricted, what would one block do for, what differs); [`picture`]
//! draws it, for a terminal and as SVG. [`select`] finds the dumps that are meant in files with several. docs/show.md
//! shows it.

pub mod dump;
pub mod facts;
pub mod picture;
pub mod select;
