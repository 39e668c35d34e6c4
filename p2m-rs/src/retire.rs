// SPDX-License-Identifier: GPL-2.0-only
//! Letting go of what an entry held (`p2m_free_entry`, `p2m_put_page`).
//!
//! A mapping's references may go at once: the pages have an owner, and Xen's
//! allocator flushes before it hands such a page out again. A *table* has no
//! owner: it is freed only after the flush, and with an exclusive view, so
//! that no handle on it is left.
#![forbid(unsafe_code)]

use crate::level::Level;
use crate::lock::WriteView;
use crate::types::P2mType;
use crate::xen::page::{is_xen_heap, Page};
use crate::xen::table::{Owned, Removed, RemovedLeaf};

impl WriteView<'_> {
    /// Releases whatever the entry owned. The IOMMU has forgotten it.
    pub(crate) fn release(&mut self, removed: Removed) {
        match removed.into_owned() {
            Owned::Nothing => (),
            Owned::Leaf(leaf) => self.release_leaf(leaf),
            Owned::Table(table) => table.free(self, Self::release),
        }
    }

    /// Keeps what the entry owned for ever, for a device may still reach it;
    /// but counts the mappings out, for the guest does not.
    pub(crate) fn leak(&self, removed: Removed) {
        match removed.into_owned() {
            Owned::Nothing => (),
            Owned::Leaf(leaf) => self.count_unmapped(leaf.level()),
            Owned::Table(table) => table.leak(self, Self::leak),
        }
    }

    /// Drops a mapping's references and counts it out.
    // UPSTREAM-DEFECT: B15: a foreign page may be put before the TLB flush.
    pub(crate) fn release_leaf(&self, leaf: RemovedLeaf) {
        let is_ram = leaf.ty().is_some_and(P2mType::is_ram);
        if is_ram {
            if let Some(domain) = self.p2m().domain() {
                domain.invalidate_ioreq_mapcache();
            }
        }
        self.count_unmapped(leaf.level());
        // Xen's heap remembers where its pages are mapped (M2P).
        if is_ram && leaf.level() == Level::L3 && is_xen_heap(leaf.mfn()) {
            if let Some(page) = Page::of(leaf.mfn()) {
                page.forget_xenheap_gfn();
            }
        }
        leaf.put_references();
    }
}
