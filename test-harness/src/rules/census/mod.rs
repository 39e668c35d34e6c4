// SPDX-License-Identifier: GPL-2.0-only
//! What is counted: tables, pages, mappings and references.

mod check;
mod ledger;
