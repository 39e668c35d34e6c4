// SPDX-License-Identifier: GPL-2.0-only
//! Drawing a dump, or two and what differs.
//!
//! [`rows`] decides what the picture has and [`slots`] what is where; [`terminal`] draws it with characters and
//! [`svg`] as a picture. Both show the guest's address space in rows, each from left to right, and beside each row
//! its numbers.

mod rows;
mod says;
mod slots;
mod subject;
pub mod svg;
pub mod terminal;
mod transitions;
mod units;

pub use subject::Subject;
