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

use crate::xen::domain::Domain;
use crate::xen::page::Page;

/// The pool with its lock held.
///
/// # Invariants
///
/// The paging lock of the domain is held for `'d`, by this code or by its C caller.
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
    pub(crate) fn push(&mut self, page: Page) {
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
///
/// # Invariants
///
/// The pages are of one pool, on no list, and used by nobody; the first word of each is
/// null or points to the next.
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

    /// Gives all back to the pool.
    pub(crate) fn give_back(&self, pool: &mut PoolView<'_>) {
        while let Some(page) = self.pop() {
            pool.push(page);
        }
    }

    /// A free page, from here or from the pool.
    pub(crate) fn take(&self, domain: &Domain) -> Option<Page> {
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

/// A page of the heap that is counted to no domain, but coloured for
/// `domain`.
pub(crate) fn heap_page(domain: &Domain) -> Option<Page> {
    // SAFETY: allocates.
    let page = unsafe { sys::alloc_domheap_pages(domain.as_ptr(), 0, sys::XS_MEMF_no_owner) };
    // SAFETY: null or the page.
    unsafe { Page::from_ptr(page) }
}

/// Gives such a page back.
pub(crate) fn free_heap_page(page: Page) {
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
