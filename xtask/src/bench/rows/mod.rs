// SPDX-License-Identifier: GPL-2.0-only
//! What is known of the rows beside their numbers: which section they are in, what no implementation can do
//! without, how long they may hold the lock, and which are made of others.

pub(super) mod bounds;
pub(super) mod floors;
pub(super) mod remainders;
pub(super) mod sections;
