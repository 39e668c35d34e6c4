// SPDX-License-Identifier: GPL-2.0-only
//! What is known of the rows beside their numbers: which section they are in, and what no
//! implementation can do without.

pub(super) mod floors;
pub(super) mod sections;
