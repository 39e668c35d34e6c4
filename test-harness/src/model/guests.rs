// SPDX-License-Identifier: GPL-2.0-only
//! A guest's own translation: a map that the test fills. Its tables lie in a guest page of the
//! test's choice.

use std::collections::HashMap;

/// A stage-1 mapping of one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage1Entry {
    /// The guest frame.
    pub gfn: u64,
    /// The guest may write through it.
    pub writable: bool,
}

/// The stage-1 tables of one vCPU.
#[derive(Debug, Default, Clone)]
pub(crate) struct Stage1 {
    /// The guest frame that holds the tables; `None` when the MMU needs none.
    pub(crate) tables_in: Option<u64>,
    pub(crate) pages: HashMap<u64, Stage1Entry>,
}

/// Stage-1 tables by address of `struct vcpu`.
pub(crate) type Guests = HashMap<usize, Stage1>;

/// What an access wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    Read,
    Write,
    Execute,
    /// Nothing but that it is mapped.
    Mapping,
}
