// SPDX-License-Identifier: GPL-2.0-only
//! Releasing what a removed entry owned (`p2m_free_entry`, `p2m_put_page`).
//!
//! The reference to a foreign page is dropped after the TLB flush and the IOTLB flush: once
//! it is dropped, the page's owner may free the page, and its next owner must not
//! share it with this guest. (C drops the reference before the flush, and relies on the
//! allocator's flush when the page is handed out again: B15.) A dying domain does not run, so
//! for it the one flush at the end is enough. A *table* is freed before the unlock, after the
//! flush as well ([`crate::p2m::deferred`]).

use crate::p2m::iommu::IotlbFlushed;
use crate::p2m::lock::WriteView;
use crate::table::removed::{Owned, Removed, RemovedLeaf, RemovedTable};
use crate::types::addr::Mfn;
use crate::types::level::Level;
use crate::types::pte::Pte;
use crate::xen::page::{pages_before_xen_heap, Page};

/// Releases whatever the removed entry owned. The IOTLB holds the entry no more.
pub(crate) fn release(write: &WriteView<'_>, removed: Removed<'_>, flushed: IotlbFlushed) {
    match removed.into_owned() {
        Owned::Nothing => (),
        Owned::Leaf(leaf) => Released::at(write, leaf.level()).add(leaf, flushed),
        Owned::Table(table) => release_table(write, table, flushed),
    }
}

fn release_table(write: &WriteView<'_>, table: RemovedTable<'_>, flushed: IotlbFlushed) {
    let mut released = Released::at(write, table.level());
    table.free(write, flushed, |owned| match owned {
        Owned::Nothing => (),
        Owned::Leaf(leaf) => released.add(leaf, flushed),
        Owned::Table(below) => release_table(write, below, flushed),
    });
}

/// Releases a mapping that was replaced by another mapping of the same frame: its
/// references are dropped (B3), but the page stays mapped at the same guest frame. Without
/// the IOTLB flush, a device may use the old rights, and the references are kept for ever.
pub(crate) fn release_same_frame(
    write: &WriteView<'_>,
    removed: Removed<'_>,
    flushed: Option<IotlbFlushed>,
) {
    if let Owned::Leaf(leaf) = removed.into_owned() {
        write.count_unmapped(leaf.level(), leaf.count());
        let Some(flushed) = flushed else {
            return;
        };
        // If only permissions changed, the flush is still deferred. It must precede the
        // drop of a foreign page's reference (B15).
        if leaf.is_foreign() {
            write.deferred().tlb_flush_sync();
        }
        leaf.put_references(flushed);
    }
}

/// Keeps what the entry owned for ever, since a device may still reach it. For
/// the guest and in the statistics the mapping is gone.
pub(crate) fn leak(write: &WriteView<'_>, removed: Removed<'_>) {
    match removed.into_owned() {
        Owned::Nothing => (),
        Owned::Leaf(leaf) => Released::at(write, leaf.level()).note(&leaf),
        Owned::Table(table) => table.leak(|entry| leak(write, entry)),
    }
}

/// Mappings of one level that were removed from their table. Statistics and the ioreq mapcache
/// are updated once for all of them, on drop.
pub(crate) struct Released<'v> {
    write: &'v WriteView<'v>,
    level: Level,
    count: u64,
    any_ram: bool,
}

impl<'v> Released<'v> {
    /// No mappings yet, of `level`.
    pub(crate) fn at(write: &'v WriteView<'v>, level: Level) -> Self {
        Self {
            write,
            level,
            count: 0,
            any_ram: false,
        }
    }

    /// Adds `count` consecutive parts of a block, of which `part` is the first. The block
    /// must not be foreign: foreign references are dropped page by page.
    pub(crate) fn add_parts(&mut self, part: Pte, count: u64) {
        debug_assert!(!part.is_foreign());
        self.note_run(part.is_ram(), part.mfn(), count);
    }

    /// Adds a mapping without references.
    #[inline]
    pub(crate) fn add_plain(&mut self, leaf: RemovedLeaf<'_>) {
        debug_assert!(!leaf.is_foreign());
        self.note(&leaf);
    }

    /// Adds a mapping and drops its references (`p2m_put_l2_superpage`,
    /// `p2m_put_l3_page`).
    #[inline]
    pub(crate) fn add(&mut self, leaf: RemovedLeaf<'_>, flushed: IotlbFlushed) {
        self.note(&leaf);
        if leaf.is_foreign() {
            self.flush_and_put(leaf, flushed);
        }
    }

    /// Adds a mapping, but keeps its references.
    #[inline]
    fn note(&mut self, leaf: &RemovedLeaf<'_>) {
        self.note_run(leaf.is_ram(), leaf.mfn(), leaf.count());
    }

    /// The same of `count` mappings, of `mfn` and the frames after it.
    #[inline(never)]
    fn note_run(&mut self, is_ram: bool, mfn: Mfn, count: u64) {
        self.count += count;
        if is_ram {
            self.any_ram = true;
            if self.level == Level::L3 {
                self.forget_xenheap_gfns(mfn, count);
            }
        }
    }

    #[inline(never)]
    fn flush_and_put(&self, leaf: RemovedLeaf<'_>, flushed: IotlbFlushed) {
        // One flush covers all entries that were removed together.
        if self.write.living_domain().is_ok() {
            self.write.deferred().tlb_flush_sync();
        }
        leaf.put_references(flushed);
    }

    /// Adds a mapping of one page, `page`, that owns no reference.
    pub(crate) fn add_page(&mut self, leaf: RemovedLeaf<'_>, page: Page) {
        debug_assert!(!leaf.is_foreign());
        self.count += 1;
        self.any_ram |= leaf.is_ram();
        if self.any_ram && page.is_of_xen_heap() {
            self.forget_xenheap_gfns(leaf.mfn(), 1);
        }
    }

    /// Erases the recorded guest frame (M2P) of the pages of Xen's heap among `pages` pages
    /// from `mfn` on, which the domain owns.
    #[inline(never)]
    fn forget_xenheap_gfns(&self, mut mfn: Mfn, mut pages: u64) {
        while pages > 0 {
            let skipped = pages_before_xen_heap(mfn, pages);
            if skipped >= pages {
                return;
            }
            mfn = mfn.add(skipped);
            if let Some((page, domain)) = Page::of(mfn).zip(self.write.p2m().domain()) {
                page.forget_xenheap_gfn(domain);
            }
            mfn = mfn.add(1);
            pages -= skipped + 1;
        }
    }
}

impl Drop for Released<'_> {
    fn drop(&mut self) {
        if self.count > 0 {
            self.write.count_unmapped(self.level, self.count);
        }
        if self.any_ram {
            if let Some(domain) = self.write.p2m().domain() {
                domain.invalidate_ioreq_mapcache();
            }
        }
    }
}
