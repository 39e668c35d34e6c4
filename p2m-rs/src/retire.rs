// SPDX-License-Identifier: GPL-2.0-only
//! Letting go of what an entry held (`p2m_free_entry`, `p2m_put_page`).
//!
//! References to a foreign page go after the TLB flush, and after the IOMMU's: the
//! page's owner may give it up at that moment, and whoever gets it next must not
//! share it with this guest. (C relies on the allocator's flush when the page is
//! handed out again, and puts it before: B15.) A dying domain does not run, so for
//! it the one flush at the end does. A *table* is freed with what is owed before
//! the unlock, after the flush as well ([`crate::owed`]).
#![forbid(unsafe_code)]

use crate::addr::Mfn;
use crate::level::Level;
use crate::lock::WriteView;
use crate::pte::Pte;
use crate::types::P2mType;
use crate::xen::page::{pages_before_xen_heap, Page};
use crate::xen::table::{Owned, Removed, RemovedLeaf, RemovedTable};

impl WriteView<'_> {
    /// Releases whatever the entry owned. The IOMMU has forgotten it.
    pub(crate) fn release(&self, removed: Removed) {
        match removed.into_owned() {
            Owned::Nothing => (),
            Owned::Leaf(leaf) => Retired::at(self, leaf.level()).add(leaf),
            Owned::Table(table) => self.release_table(table),
        }
    }

    fn release_table(&self, table: RemovedTable) {
        let mut retired = Retired::at(self, table.level());
        table.free(self, |owned| match owned {
            Owned::Nothing => (),
            Owned::Leaf(leaf) => retired.add(leaf),
            Owned::Table(below) => self.release_table(below),
        });
    }

    /// Keeps what the entry owned for ever, for a device may still reach it; but for
    /// the guest, and for Xen's books, it is gone.
    pub(crate) fn leak(&self, removed: Removed) {
        match removed.into_owned() {
            Owned::Nothing => (),
            Owned::Leaf(leaf) => Retired::at(self, leaf.level()).note(&leaf),
            Owned::Table(table) => table.leak(|entry| self.leak(entry)),
        }
    }
}

/// Mappings of one level that are out of their table. What must be done for
/// all of them is done once, on drop.
pub(crate) struct Retired<'v> {
    write: &'v WriteView<'v>,
    level: Level,
    count: u64,
    any_ram: bool,
}

impl<'v> Retired<'v> {
    /// None yet.
    pub(crate) fn at(write: &'v WriteView<'v>, level: Level) -> Self {
        Self {
            write,
            level,
            count: 0,
            any_ram: false,
        }
    }

    /// `count` consecutive parts of a block, of which `part` is the first. It
    /// mapped no foreign pages: their references would be dropped one by one.
    pub(crate) fn add_parts(&mut self, part: Pte, count: u64) {
        debug_assert!(!part.ty().is_some_and(P2mType::is_foreign));
        self.count += count;
        if part.ty().is_some_and(P2mType::is_ram) {
            self.any_ram = true;
            if self.level == Level::L3 {
                self.forget_xenheap_gfns(part.mfn(), count);
            }
        }
    }

    /// Drops a mapping's references.
    #[inline]
    pub(crate) fn add(&mut self, leaf: RemovedLeaf) {
        self.note(&leaf);
        if leaf.ty().is_some_and(P2mType::is_foreign) {
            self.put_foreign(leaf);
        }
    }

    /// All that follows from a mapping's end but its references.
    #[inline]
    fn note(&mut self, leaf: &RemovedLeaf) {
        self.count += leaf.count();
        if leaf.ty().is_some_and(P2mType::is_ram) {
            self.any_ram = true;
            if self.level == Level::L3 {
                self.forget_xenheap_gfns(leaf.mfn(), leaf.count());
            }
        }
    }

    #[inline(never)]
    fn put_foreign(&self, leaf: RemovedLeaf) {
        // All that was taken out together is flushed together.
        if self.write.refuse_if_dying().is_ok() {
            self.write.tlb_flush_sync();
        }
        leaf.put_references();
    }

    /// [`Self::add`] for a mapping of one page without references, which is `page`.
    pub(crate) fn add_page(&mut self, leaf: RemovedLeaf, page: Page) {
        debug_assert!(!leaf.ty().is_some_and(P2mType::is_foreign));
        self.count += 1;
        self.any_ram |= leaf.ty().is_some_and(P2mType::is_ram);
        if self.any_ram && page.is_of_xen_heap() {
            self.forget_xenheap_gfn(page);
        }
    }

    /// Xen's heap remembers where its pages are mapped (M2P): not any more.
    #[inline(never)]
    fn forget_xenheap_gfns(&self, mut mfn: Mfn, mut pages: u64) {
        while pages > 0 {
            let skipped = pages_before_xen_heap(mfn, pages);
            if skipped >= pages {
                return;
            }
            mfn = mfn.add(skipped);
            if let Some(page) = Page::of(mfn) {
                self.forget_xenheap_gfn(page);
            }
            mfn = mfn.add(1);
            pages -= skipped + 1;
        }
    }

    /// Only of a page that is the domain's, and stays so for the moment. The tables
    /// of a dying domain name frames that were freed before, which may be another
    /// domain's shared page by now, or on their way through the heap.
    #[inline(never)]
    fn forget_xenheap_gfn(&self, page: Page) {
        let domain = self.write.p2m().domain();
        if let Some(reference) = domain.and_then(|domain| page.get(domain)) {
            // Nobody changes what kind of page it is any more.
            if page.is_of_xen_heap() {
                reference.forget_xenheap_gfn();
            }
        }
    }
}

impl Drop for Retired<'_> {
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
