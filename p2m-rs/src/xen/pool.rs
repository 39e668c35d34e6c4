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
use xen_sys::Opaque;

use crate::types::addr::Mfn;
use crate::xen::domain::{Domain, UnsharedDomain};
use crate::xen::globals::p2m_root_order;
use crate::xen::page::Page;

sys::fields! {
    unsafe PoolLock: paging_domain.lock as Opaque<sys::spinlock_t>, "a place";
    unsafe PoolFreelist: paging_domain.p2m_freelist as Opaque<sys::page_list_head>, "a place";
    unsafe PoolTotal: paging_domain.p2m_total_pages as AtomicU64, "read without the lock too (ACCESS_ONCE in C)";
}

/// A page that is nobody's but the holder's: for a table, for the pool or for the heap.
///
/// # Invariants
///
/// The page came from the heap or from the pool, is in no list and in no tree, and there
/// is no second value for it. It does not prove anything about its contents.
#[must_use = "a page that is dropped is lost"]
pub(crate) struct FreePage(Page);

impl FreePage {
    /// A page that was somebody's until now.
    ///
    /// # Safety
    ///
    /// The page was a `FreePage` before, and all that the invariants say holds again.
    pub(crate) unsafe fn again(page: Page) -> Self {
        Self(page)
    }

    /// The page, for whoever uses it from now on.
    pub(crate) fn into_page(self) -> Page {
        self.0
    }
}

/// The pool with its lock held.
///
/// # Invariants
///
/// The paging lock of the domain is held for `'d`, by this code or by its C caller. It
/// does not prove that the pool has a free page.
pub struct PoolView<'d>(&'d Domain);

/// The pool's lock, held until drop.
///
/// # Invariants
///
/// This value holds the lock, and nobody else releases it.
pub struct PoolGuard<'d>(PoolView<'d>);

/// A domain whose paging lock the C caller holds.
///
/// # Invariants
///
/// It is held for `'c`. There is no constructor: C passes one to an exported function.
#[repr(transparent)]
pub struct PoolLockedByC<'c>(&'c Domain);

// SAFETY: `repr(transparent)` over what may stand for the pointer; that the lock is held is
// the contract of the function that takes it.
unsafe impl sys::SameAbi<*mut sys::domain> for PoolLockedByC<'_> {}

impl PoolLockedByC<'_> {
    /// Runs `f` on the pool.
    #[inline(always)]
    pub fn with<R>(self, f: impl FnOnce(&mut PoolView<'_>) -> R) -> R {
        debug_assert!(sys::xs_spin_is_locked(self.0.paging().field(PoolLock)));
        f(&mut PoolView(self.0))
    }
}

impl Domain {
    /// Takes the pool's lock.
    pub(crate) fn lock_pool(&self) -> PoolGuard<'_> {
        // SAFETY: C passes a domain to what takes this lock only after p2m_init, which initialises
        // the pool; nothing that is called under it takes it again.
        unsafe { sys::xs_spin_lock(self.paging().field(PoolLock)) };
        PoolGuard(PoolView(self))
    }

    /// Pages in the pool, free and used, at some recent moment.
    pub fn pool_pages(&self) -> u64 {
        self.pool_total().load(Relaxed)
    }

    #[inline(always)]
    fn pool_freelist(&self) -> &Opaque<sys::page_list_head> {
        self.paging().field(PoolFreelist)
    }

    #[inline(always)]
    fn pool_total(&self) -> &AtomicU64 {
        self.paging().field(PoolTotal)
    }
}

impl UnsharedDomain<'_> {
    /// Initialises an empty pool, once (`p2m_init`).
    pub(crate) fn init_pool(self) {
        // SAFETY: nobody else can reach the domain.
        unsafe { sys::xs_spin_lock_init(self.domain().paging().field(PoolLock)) };
        // SAFETY: as above; a new domain's pool has no pages.
        unsafe { sys::xs_init_page_list_head(self.domain().pool_freelist()) };
    }
}

impl PoolView<'_> {
    /// Pages in the pool, free and used.
    pub fn total(&self) -> u64 {
        self.0.pool_total().load(Relaxed)
    }

    /// Whether no page of the pool is free.
    pub fn is_empty(&self) -> bool {
        sys::xs_page_list_empty(self.0.pool_freelist())
    }

    /// Takes a free page out, for use as a table or to give it back to the
    /// heap. Does not change the total.
    fn pop(&mut self) -> Option<FreePage> {
        // SAFETY: the pool's lock is held.
        let page = unsafe { sys::xs_page_list_remove_head(self.0.pool_freelist()) };
        page.map(|page| FreePage(Page::from_c(page)))
    }

    /// Puts a page in. Does not change the total.
    pub(crate) fn push(&mut self, page: FreePage) {
        // SAFETY: the pool's lock is held; the page is in no other list.
        unsafe { sys::xs_page_list_add_tail(page.0.c(), self.0.pool_freelist()) };
    }

    /// The list of free pages, for whoever gives back many at once. Does not change the total.
    #[cfg(config_altp2m)]
    pub(crate) fn freelist(&mut self) -> &Opaque<sys::page_list_head> {
        self.0.pool_freelist()
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
        unsafe { sys::xs_spin_unlock(self.0 .0.paging().field(PoolLock)) };
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

/// The most pages that one refill takes out of the pool.
const SPARE_PAGES: usize = 16;

/// Free pages that were taken out of the pool together, so that a call that needs many tables
/// locks the pool once for up to sixteen. They go back before the p2m lock is released. They
/// form a list: the first word of each page, which nobody else uses, names the next one. So an
/// empty `Spare` is two words, and a view costs little to make.
///
/// # Invariants
///
/// The pages are those of [`FreePage`]s of one pool; the first word of each is `None`
/// or the next one.
#[derive(Default)]
pub(crate) struct Spare {
    first: Cell<Option<Page>>,
    /// Pages taken so far. The next refill takes as many, [`SPARE_PAGES`] at most.
    taken: Cell<usize>,
}

impl Spare {
    /// Whether there are any.
    #[inline]
    pub(crate) fn is_any(&self) -> bool {
        self.first.get().is_some()
    }

    /// One that was taken ahead.
    fn pop(&self) -> Option<FreePage> {
        let page = self.first.get()?;
        let next = page.first_word()?.cast::<Option<Page>>();
        // SAFETY: `keep` has written it, to a page that is nobody's but this value's.
        self.first.set(unsafe { next.read() });
        Some(FreePage(page))
    }

    /// Keeps a page of the pool.
    fn keep(&self, page: FreePage) -> Option<()> {
        let next = page.0.first_word()?.cast::<Option<Page>>();
        // SAFETY: the first eight bytes of a page that is nobody's.
        unsafe { next.write(self.first.get()) };
        self.first.set(Some(page.0));
        Some(())
    }

    /// Gives all back to the pool.
    pub(crate) fn give_back(&self, pool: &mut PoolView<'_>) {
        while let Some(page) = self.pop() {
            pool.push(page);
        }
    }

    /// A free page, from here or from the pool.
    pub(crate) fn take(&self, domain: &Domain) -> Option<FreePage> {
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
pub(crate) fn heap_page(domain: &Domain) -> Option<FreePage> {
    let page = sys::alloc_domheap_pages(Some(domain.c()), 0, sys::XS_MEMF_no_owner);
    page.map(|page| FreePage(Page::from_c(page)))
}

/// Gives such a page back.
pub(crate) fn free_heap_page(page: FreePage) {
    // SAFETY: came from `heap_page`, and nobody can reach it.
    unsafe { sys::free_domheap_pages(page.0.c(), 0) };
}

/// The pages of a root: 2^`p2m_root_order` of them, one after the other.
///
/// # Invariants
///
/// They came from the heap for this, and there is no second value for them. It does not prove
/// that nobody reads them: the hardware may.
#[must_use = "a root that is dropped is lost"]
pub(crate) struct Root(Page);

impl Root {
    /// A root that somebody has kept.
    ///
    /// # Safety
    ///
    /// The page was taken out of a `Root` by [`Self::into_page`], and is kept there no more.
    pub(crate) unsafe fn again(page: Page) -> Self {
        Self(page)
    }

    /// The first page, for whoever keeps it.
    pub(crate) fn into_page(self) -> Page {
        self.0
    }

    /// Where it begins.
    pub(crate) fn mfn(&self) -> Mfn {
        self.0.mfn()
    }
}

/// Zeroed pages for a root, cleaned to memory (`p2m_allocate_root`).
pub(crate) fn alloc_root() -> Option<Root> {
    let order = p2m_root_order().load(Relaxed);
    let root = Page::from_c(sys::alloc_domheap_pages(None, order, 0)?);
    for page in (0..1 << order).filter_map(|n| root.nth(n)) {
        // SAFETY: just allocated.
        unsafe { page.clear_and_clean() };
    }
    Some(Root(root))
}

/// Frees a root.
///
/// # Safety
///
/// No VTTBR and no IOMMU holds it any more, and the TLBs have forgotten it.
pub(crate) unsafe fn free_root(root: Root) {
    // SAFETY: by the caller's promise nobody can reach the pages.
    unsafe { sys::free_domheap_pages(root.0.c(), p2m_root_order().load(Relaxed)) };
}
