// SPDX-License-Identifier: GPL-2.0-only
//! The data caches, as far as guest RAM is concerned: which pages hold data that
//! memory does not, and what a call that cleans had to clean.
//!
//! Xen cleans guest RAM when the guest asks for it by set/way operations
//! (`p2m_flush_vm`), and when the toolstack does (`p2m_cache_flush_range`). What is
//! dirty then may be anybody's work, see [`Writer`], and stage 2 knows of the guest's
//! own writes only: everyone else writes through mappings of their own. So the model
//! notes for each page who wrote it last, and takes the note back when the page is
//! cleaned.

use std::collections::{BTreeMap, BTreeSet};

use crate::ground::event::Mfn;

/// Who makes a page of a guest's dirty in the caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// The guest, through stage 2.
    Guest,
    /// Xen: hypercalls' results, and pages that it shares with the guest.
    Xen,
    /// A driver in another domain, by a grant or a foreign mapping, which it may hold
    /// for as long as it likes.
    Backend,
    /// The toolstack, which loads kernels, and introspection, which patches them.
    Toolstack,
}

/// What a call that is in progress still has to clean.
#[derive(Debug)]
pub(crate) struct Cleaning {
    pub(crate) domain: usize,
    /// Guest frame and frame of each.
    pub(crate) due: BTreeSet<(u64, Mfn)>,
}

/// Dirty pages, and the calls that clean, by CPU.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    pub(crate) pages: BTreeMap<Mfn, Writer>,
    pub(crate) calls: BTreeMap<usize, Cleaning>,
}
