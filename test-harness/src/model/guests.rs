// SPDX-License-Identifier: GPL-2.0-only
//! A guest's own translation: a map that the test fills. Its tables lie in a guest page of the
//! test's choice.

use crate::ground::event::Mfn;
use crate::ground::hash::{MapBy, WordMap};

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
    pub(crate) pages: WordMap<Stage1Entry>,
    /// What the tables say where that guest frame leads to another machine frame, by that: a
    /// monitor shows the guest other tables than its own.
    pub(crate) shadows: WordMap<WordMap<Stage1Entry>>,
}

impl Stage1 {
    /// The mapping of a page, by the tables in that machine frame.
    pub(crate) fn entry(&self, tables: Option<Mfn>, page: u64) -> Option<Stage1Entry> {
        let shadow = tables.and_then(|mfn| self.shadows.get(&mfn));
        shadow.unwrap_or(&self.pages).get(&page).copied()
    }
}

/// Stage-1 tables by address of `struct vcpu`.
pub(crate) type Guests = MapBy<usize, Stage1>;

/// What an access wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    Read,
    Write,
    Execute,
    /// An entry of the guest's own tables, by the walker: to read it, or to write the access flag or the
    /// dirty state to it.
    WalkRead,
    WalkWrite,
    /// Nothing but that it is mapped.
    Mapping,
}
