// SPDX-License-Identifier: GPL-2.0-only
//! The pages of a p2m's tables (`p2m_alloc_page`, `p2m_free_page`).
//!
//! The pages of all tables but the root are on one list, `p2m->pages`, from their
//! allocation until they are freed. The page of a table that was removed from the
//! tree moves to the end of the list and is freed after the TLB flush, before the lock is
//! released: until the flush a walk may be in the table, and walk caches may hold it.

use core::cell::Cell;
use core::marker::PhantomData;

use xen_sys as sys;
use xen_sys::Opaque;

use super::{P2m, Pages, UnsharedP2m};
use crate::xen::console;
use crate::xen::domain::Domain;
use crate::xen::page::Page;
use crate::xen::pool::{free_heap_page, heap_page, FreePage, Spare};

/// The number of removed tables that count as many: what `p2m_teardown` frees between two
/// preemption checks.
const MANY_TABLES: usize = 512;

/// A page for a table.
///
/// # Invariants
///
/// The page is on the list of pages of the p2m that it was allocated for, and no entry of the
/// tree points to it. It is gone before the view is, through which it was allocated: so it
/// cannot be freed under the lock of another p2m. A `TablePage` proves nothing about the page's
/// contents, which are whatever the last user left.
#[must_use = "an unused table page must be given back"]
pub struct TablePage<'w>(Page, PhantomData<&'w P2m>);

impl TablePage<'_> {
    /// The page.
    pub fn page(&self) -> Page {
        self.0
    }

    /// The page of a table that was removed from the tree.
    ///
    /// # Safety
    ///
    /// The page was a `TablePage` before, and no entry of the tree points to it any more. Unless
    /// the TLBs were flushed since, the caller passes it to [`TablePages::free_later`] only.
    pub(crate) unsafe fn from_removed(page: Page) -> Self {
        Self(page, PhantomData)
    }
}

/// Proof that no walk, and no TLB, comes to a table of a host p2m but its root. (Of a view it is
/// `EmptyRoot`.)
///
/// # Invariants
///
/// All entries of the root are empty, and the TLBs were flushed since it was emptied. The domain will not
/// run again, and nothing can be mapped any more.
pub(crate) struct RootIsEmpty(());

impl RootIsEmpty {
    /// For a host p2m whose root was emptied before.
    ///
    /// # Safety
    ///
    /// The invariants hold.
    pub(crate) unsafe fn promised() -> Self {
        Self(())
    }
}

/// The list of the table pages of a p2m.
///
/// # Invariants
///
/// The p2m's write lock is held for `'l`. The last `removed` pages of the list are those of
/// tables that were removed from the tree, or from that of a view of the p2m.
pub(crate) struct TablePages<'l> {
    p2m: &'l P2m,
    removed: Cell<usize>,
    /// Pages that were taken from the pool in advance.
    spare: Spare,
}

impl<'l> TablePages<'l> {
    /// The table pages of a p2m.
    ///
    /// # Safety
    ///
    /// The write lock is held for `'l`, and no other `TablePages` of the p2m exists.
    #[inline(always)]
    pub(super) unsafe fn of(p2m: &'l P2m) -> Self {
        Self {
            p2m,
            removed: Cell::new(0),
            spare: Spare::default(),
        }
    }

    /// The p2m.
    #[inline(always)]
    pub(super) fn p2m(&self) -> &'l P2m {
        self.p2m
    }

    /// A page for a new table (`p2m_alloc_page`).
    pub(crate) fn alloc(&self) -> Option<TablePage<'_>> {
        let domain = self.p2m.domain()?;
        let page = if domain.is_hardware_domain() {
            let page = heap_page(domain);
            if page.is_none() {
                console::no_table_page_for_hwdom();
            }
            page?
        } else {
            self.spare.take(domain)?
        };
        let page = page.into_page();
        // SAFETY: the write lock is held; the page is in no list.
        unsafe { sys::xs_page_list_add(page.c(), self.list()) };
        Some(TablePage(page, PhantomData))
    }

    /// Gives back a page that no table has ever pointed to (`p2m_free_page`).
    pub(crate) fn free(&self, page: TablePage<'_>) {
        self.give_back(self.unlist(page));
    }

    /// Defers the freeing of a removed table's page until after the TLB flush: moves the page to
    /// the end of the list.
    pub(crate) fn free_later(&self, page: TablePage<'_>) {
        self.list_removed(self.unlist(page));
    }

    #[inline(always)]
    fn list_removed(&self, page: FreePage) {
        // SAFETY: the write lock is held; the page is in no list.
        unsafe { sys::xs_page_list_add_tail(page.into_page().c(), self.list()) };
        self.removed.set(self.removed.get() + 1);
    }

    /// Whether there are removed tables to free.
    pub(crate) fn any_removed(&self) -> bool {
        self.removed.get() > 0
    }

    /// Whether there are so many removed tables to free that freeing them takes as long as other
    /// work between two preemption checks.
    pub(crate) fn many_removed(&self) -> bool {
        self.removed.get() >= MANY_TABLES
    }

    /// Whether [`Self::finish`] has anything to do.
    #[inline(always)]
    pub(super) fn is_unfinished(&self) -> bool {
        self.any_removed() || self.spare.is_any()
    }

    /// Frees the removed tables, and gives the spare pages back, with one lock of the
    /// pool. The caller has flushed the TLBs.
    #[inline(never)]
    pub(super) fn finish(&self) {
        let domain = self.p2m.domain();
        let mut pool = domain
            .filter(|domain| !domain.is_hardware_domain())
            .map(Domain::lock_pool);
        for page in self.take_removed() {
            match &mut pool {
                Some(pool) => pool.push(page),
                None => free_heap_page(page),
            }
        }
        if let Some(pool) = &mut pool {
            self.spare.give_back(pool);
        }
    }

    /// Takes over the pages of the tables that were removed from a view of this p2m: they are freed with
    /// this p2m's.
    #[cfg(config_altp2m)]
    pub(super) fn take_over_from_view(&self, view: &TablePages<'_>) {
        debug_assert_eq!(
            self.p2m.domain().map(Domain::id),
            view.p2m.domain().map(Domain::id)
        );
        for page in view.take_removed() {
            self.list_removed(page);
        }
    }

    /// All pages, for whoever frees them all, removed tables among them.
    #[cfg(config_altp2m)]
    pub(super) fn all(&self) -> &Opaque<sys::page_list_head> {
        self.removed.set(0);
        self.list()
    }

    /// Frees the first page of the list. Returns whether there was one.
    #[inline(always)]
    pub(crate) fn free_any(&self, _unreachable: &RootIsEmpty) -> bool {
        // SAFETY: the write lock is held.
        let Some(page) = (unsafe { sys::xs_page_list_remove_head(self.list()) }) else {
            return false;
        };
        // SAFETY: off the list, and out of reach, since the root is empty.
        self.give_back(unsafe { FreePage::again(Page::from_c(page)) });
        true
    }

    /// Takes the pages of the removed tables off the list.
    #[inline(always)]
    fn take_removed(&self) -> impl Iterator<Item = FreePage> + '_ {
        (0..self.removed.replace(0)).map_while(|_| {
            // SAFETY: the write lock is held.
            let page = unsafe { sys::xs_page_list_last(self.list()) }?;
            Some(self.unlist(TablePage(Page::from_c(page), PhantomData)))
        })
    }

    /// Takes a page off the list.
    fn unlist(&self, page: TablePage<'_>) -> FreePage {
        // SAFETY: the write lock is held. The page is in this list: a `TablePage` does not outlive
        // the view that it came from, and a `ViewWrite` gives nobody the list of its host.
        unsafe { sys::xs_page_list_del(page.0.c(), self.list()) };
        // SAFETY: a FreePage before it was a TablePage; in no list, and in no tree.
        unsafe { FreePage::again(page.0) }
    }

    fn list(&self) -> &Opaque<sys::page_list_head> {
        self.p2m.c().field(Pages)
    }

    /// To the pool, or to the heap for the hardware domain.
    fn give_back(&self, page: FreePage) {
        match self.p2m.domain() {
            Some(domain) if !domain.is_hardware_domain() => domain.lock_pool().push(page),
            _ => free_heap_page(page),
        }
    }
}

impl P2m {
    /// Whether no table page but the root is left.
    pub(crate) fn has_no_table_pages(&self) -> bool {
        sys::xs_page_list_empty(self.c().field(Pages))
    }
}

impl UnsharedP2m<'_> {
    /// Initialises the list of pages, once (`p2m_init`).
    pub(crate) fn init_pages(self) {
        // SAFETY: nobody else can reach the p2m, and one that begins has no tables.
        unsafe { sys::xs_init_page_list_head(self.c().field(Pages)) };
    }
}
