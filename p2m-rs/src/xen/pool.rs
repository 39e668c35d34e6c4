// SPDX-License-Identifier: GPL-2.0-only
//! Where table pages come from: the domain's paging pool (`d->arch.paging`),
//! or the heap for the hardware domain.
//!
//! The pool bounds what a guest can make Xen spend on its tables (XSA-409).
//! `p2m_total_pages` counts free and used pages alike. The pool's spinlock is
//! taken inside the p2m lock, never the other way round.

use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use xen_sys as sys;

use crate::lock::WriteView;
use crate::xen::console;
use crate::xen::domain::Domain;
use crate::xen::page::Page;

/// The pool with its lock held.
pub struct PoolView<'d>(&'d Domain);

/// The pool's lock, held until drop.
pub struct PoolGuard<'d>(PoolView<'d>);

/// Runs `f` on a pool that the C caller locked.
///
/// # Safety
///
/// The caller of the exported function holds `domain`'s paging lock for the
/// whole call.
pub unsafe fn locked_pool_entry<R>(domain: &Domain, f: impl FnOnce(&mut PoolView<'_>) -> R) -> R {
    let pool = domain.paging_ptr();
    // SAFETY: a place inside the live structure.
    let lock = unsafe { &raw mut (*pool).lock };
    // SAFETY: reads the lock word.
    debug_assert!(unsafe { sys::xs_spin_is_locked(lock) });
    f(&mut PoolView(domain))
}

impl Domain {
    /// Takes the pool's lock.
    pub fn lock_pool(&self) -> PoolGuard<'_> {
        // SAFETY: initialised by p2m_init; nothing that is called under it
        // takes it again.
        unsafe { sys::xs_spin_lock(self.pool_lock()) };
        PoolGuard(PoolView(self))
    }

    /// Pages in the pool, free and used, at some recent moment.
    pub fn pool_pages(&self) -> u64 {
        self.pool_total().load(Relaxed)
    }

    /// Empty pool (`p2m_init`); nobody else can reach the domain.
    pub(crate) fn init_pool(&self) {
        // SAFETY: the domain is being created.
        unsafe { sys::xs_spin_lock_init(self.pool_lock()) };
        // SAFETY: the domain is being created.
        unsafe { sys::xs_init_page_list_head(self.pool_freelist()) };
    }

    fn pool_lock(&self) -> *mut sys::spinlock_t {
        let pool = self.paging_ptr();
        // SAFETY: a place inside the live structure.
        unsafe { &raw mut (*pool).lock }
    }

    fn pool_freelist(&self) -> *mut sys::page_list_head {
        let pool = self.paging_ptr();
        // SAFETY: a place inside the live structure.
        unsafe { &raw mut (*pool).p2m_freelist }
    }

    fn pool_total(&self) -> &AtomicU64 {
        let pool = self.paging_ptr();
        // SAFETY: a place inside the live structure.
        let total = unsafe { &raw mut (*pool).p2m_total_pages };
        // SAFETY: aligned, lives as long as the domain; readers without the
        // lock are why it is an atomic (ACCESS_ONCE in C).
        unsafe { AtomicU64::from_ptr(total) }
    }
}

impl PoolView<'_> {
    /// Pages in the pool, free and used.
    pub fn total(&self) -> u64 {
        self.0.pool_total().load(Relaxed)
    }

    /// Whether no page of the pool is free.
    pub fn is_empty(&self) -> bool {
        // SAFETY: the pool's lock is held.
        unsafe { sys::xs_page_list_empty(self.0.pool_freelist()) }
    }

    /// Takes a free page out, for use as a table or to give it back to the
    /// heap. Does not change the total.
    fn pop(&mut self) -> Option<Page> {
        // SAFETY: the pool's lock is held.
        let page = unsafe { sys::xs_page_list_remove_head(self.0.pool_freelist()) };
        // SAFETY: null or a page of the list.
        unsafe { Page::from_ptr(page) }
    }

    /// Puts a page in; it must be in no other list. Does not change the total.
    fn push(&mut self, page: Page) {
        // SAFETY: the pool's lock is held; the page is the caller's.
        unsafe { sys::xs_page_list_add_tail(page.as_ptr(), self.0.pool_freelist()) };
    }

    /// Adds a page from the heap. Says whether there was one.
    pub fn grow(&mut self) -> bool {
        let Some(page) = heap_page(self.0) else {
            return false;
        };
        self.0.pool_total().store(self.total() + 1, Relaxed);
        self.push(page);
        true
    }

    /// Gives a free page back to the heap. Says whether there was one.
    pub fn shrink(&mut self) -> bool {
        let Some(page) = self.pop() else {
            return false;
        };
        self.0.pool_total().store(self.total() - 1, Relaxed);
        free_heap_page(page);
        true
    }
}

impl Drop for PoolGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: taken by `lock_pool`.
        unsafe { sys::xs_spin_unlock(self.0 .0.pool_lock()) };
    }
}

impl<'d> core::ops::Deref for PoolGuard<'d> {
    type Target = PoolView<'d>;

    fn deref(&self) -> &PoolView<'d> {
        &self.0
    }
}

impl core::ops::DerefMut for PoolGuard<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

/// Most pages that are taken ahead.
const SPARE_PAGES: usize = 16;

/// Free pages of the pool that were taken out together: whoever needs many
/// tables locks the pool once for sixteen. They go back when the p2m lock is
/// released. The first word of each says which is the next: nobody else has a
/// use for it, and a view of the tables costs no more to make.
#[derive(Default)]
pub(crate) struct Spare {
    first: Cell<Option<Page>>,
    /// Pages taken so far: as many are taken ahead.
    taken: Cell<usize>,
}

impl Spare {
    /// Whether there are any.
    #[inline]
    pub(crate) fn is_any(&self) -> bool {
        self.first.get().is_some()
    }

    /// One that was taken ahead.
    fn pop(&self) -> Option<Page> {
        let page = self.first.get()?;
        // SAFETY: a page of the pool, which is nobody's but this value's.
        let word = unsafe { page.first_word() }?;
        // SAFETY: `keep` has written it.
        let next = unsafe { word.as_ptr().cast::<*mut sys::page_info>().read() };
        // SAFETY: null, or a page that was kept before.
        self.first.set(unsafe { Page::from_ptr(next) });
        Some(page)
    }

    /// Keeps a page of the pool.
    fn keep(&self, page: Page) -> Option<()> {
        let next = self.first.get().map_or(core::ptr::null_mut(), Page::as_ptr);
        // SAFETY: as in `pop`.
        let word = unsafe { page.first_word() }?;
        // SAFETY: the first eight bytes of a page that is nobody's.
        unsafe { word.as_ptr().cast::<*mut sys::page_info>().write(next) };
        self.first.set(Some(page));
        Some(())
    }

    /// A free page, from here or from the pool.
    fn take(&self, domain: &Domain) -> Option<Page> {
        let taken = self.taken.get();
        self.taken.set(taken + 1);
        if let Some(page) = self.pop() {
            return Some(page);
        }
        let mut pool = domain.lock_pool();
        let page = pool.pop()?;
        for _ in 1..taken.min(SPARE_PAGES) {
            if pool.pop().and_then(|more| self.keep(more)).is_none() {
                break;
            }
        }
        Some(page)
    }
}

/// A page for a table: in the p2m's list of pages, and in no table yet. Its
/// contents are whatever the last user left.
#[must_use = "an unused table page must be given back"]
pub struct TablePage(Page);

impl TablePage {
    /// The page.
    pub fn page(&self) -> Page {
        self.0
    }

    /// Of a table that was taken out of the tree.
    ///
    /// # Safety
    ///
    /// The page was a `TablePage` once, and no table points to it any more. Unless the
    /// TLBs have forgotten it, it goes nowhere but to
    /// [`WriteView::free_table_page_later`].
    pub(crate) unsafe fn from_removed(page: Page) -> Self {
        Self(page)
    }
}

impl WriteView<'_> {
    /// A page for a new table (`p2m_alloc_page`).
    pub(crate) fn alloc_table_page(&self) -> Option<TablePage> {
        let domain = self.p2m().domain()?;
        let page = if domain.is_hardware_domain() {
            let page = heap_page(domain);
            if page.is_none() {
                console::no_table_page_for_hwdom();
            }
            page?
        } else {
            self.owed().spare.take(domain)?
        };
        // SAFETY: the write lock is held; the page is in no list.
        unsafe { sys::xs_page_list_add(page.as_ptr(), self.p2m().pages_ptr()) };
        Some(TablePage(page))
    }

    /// Gives a table page back (`p2m_free_page`).
    pub(crate) fn free_table_page(&self, page: TablePage) {
        // SAFETY: the write lock is held; every TablePage is in this list.
        unsafe { sys::xs_page_list_del(page.0.as_ptr(), self.p2m().pages_ptr()) };
        self.give_back(page.0);
    }

    /// Keeps the page of a table that was taken out of the tree until TLBs have
    /// forgotten it: moves it to the end of the list of pages.
    pub(crate) fn free_table_page_later(&self, page: TablePage) {
        // SAFETY: the write lock is held; every TablePage is in this list.
        unsafe { sys::xs_page_list_del(page.0.as_ptr(), self.p2m().pages_ptr()) };
        // SAFETY: the write lock is held; just taken off.
        unsafe { sys::xs_page_list_add_tail(page.0.as_ptr(), self.p2m().pages_ptr()) };
        self.owe_table();
    }

    /// Frees the last `tables` pages of the list, where those wait that were
    /// taken out, and gives back what was taken ahead: the pool is locked once.
    pub(crate) fn free_table_pages(&mut self, tables: usize) {
        let domain = self.p2m().domain();
        let mut pool = domain
            .filter(|domain| !domain.is_hardware_domain())
            .map(Domain::lock_pool);
        for _ in 0..tables {
            // SAFETY: the write lock is held.
            let page = unsafe { sys::xs_page_list_last(self.p2m().pages_ptr()) };
            // SAFETY: null or a page of the list.
            let Some(page) = (unsafe { Page::from_ptr(page) }) else {
                break;
            };
            // SAFETY: the write lock is held; the page is in this list.
            unsafe { sys::xs_page_list_del(page.as_ptr(), self.p2m().pages_ptr()) };
            match &mut pool {
                Some(pool) => pool.push(page),
                None => free_heap_page(page),
            }
        }
        if let Some(pool) = &mut pool {
            while let Some(page) = self.owed().spare.pop() {
                pool.push(page);
            }
        }
    }

    /// Frees one page of the list, whatever table it is. Says whether there
    /// was one.
    ///
    /// # Safety
    ///
    /// No table of the list can be reached: the root is empty and the TLBs
    /// were flushed since.
    pub(crate) unsafe fn free_any_table_page(&mut self) -> bool {
        // SAFETY: the write lock is held.
        let page = unsafe { sys::xs_page_list_remove_head(self.p2m().pages_ptr()) };
        // SAFETY: null or a page of the list.
        let Some(page) = (unsafe { Page::from_ptr(page) }) else {
            return false;
        };
        self.give_back(page);
        true
    }

    /// To the pool, or to the heap for the hardware domain.
    fn give_back(&self, page: Page) {
        match self.p2m().domain() {
            Some(domain) if !domain.is_hardware_domain() => domain.lock_pool().push(page),
            _ => free_heap_page(page),
        }
    }
}

impl crate::p2m::P2m {
    /// Whether no table page but the root is left.
    pub(crate) fn has_no_table_pages(&self) -> bool {
        // SAFETY: the domain is being freed; nobody else can reach it.
        unsafe { sys::xs_page_list_empty(self.pages_ptr()) }
    }

    /// Readies the lock and the list of pages (`p2m_init`).
    pub(crate) fn init_lock_and_pages(&self) {
        // SAFETY: the domain is being created; nobody else can reach it.
        unsafe { sys::xs_rwlock_init(self.lock_ptr()) };
        // SAFETY: as above.
        unsafe { sys::xs_init_page_list_head(self.pages_ptr()) };
    }
}

/// A page of the heap that is counted to no domain, but coloured for
/// `domain`.
fn heap_page(domain: &Domain) -> Option<Page> {
    // SAFETY: allocates.
    let page = unsafe { sys::alloc_domheap_pages(domain.as_ptr(), 0, sys::XS_MEMF_no_owner) };
    // SAFETY: null or the page.
    unsafe { Page::from_ptr(page) }
}

/// Gives such a page back.
fn free_heap_page(page: Page) {
    // SAFETY: came from `heap_page` and is the caller's to free.
    unsafe { sys::free_domheap_pages(page.as_ptr(), 0) };
}

/// 2^`order` zeroed pages for a root, cleaned to memory (`p2m_allocate_root`).
pub(crate) fn alloc_root(order: u32) -> Option<Page> {
    // SAFETY: allocates.
    let root = unsafe { sys::alloc_domheap_pages(core::ptr::null_mut(), order, 0) };
    // SAFETY: null or the first page.
    let root = unsafe { Page::from_ptr(root) }?;
    for page in (0..1 << order).filter_map(|n| root.nth(n)) {
        // SAFETY: just allocated.
        unsafe { page.clear_and_clean() };
    }
    Some(root)
}

/// Frees a root.
///
/// # Safety
///
/// No VTTBR and no IOMMU holds it any more, and the TLBs have forgotten it.
pub(crate) unsafe fn free_root(root: Page, order: u32) {
    // SAFETY: by the caller's promise nobody can reach the pages.
    unsafe { sys::free_domheap_pages(root.as_ptr(), order) };
}
