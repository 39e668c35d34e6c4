// SPDX-License-Identifier: GPL-2.0-only
//! The p2m lock, and the rule whose violation Xen commit 0012ae8afb fixed:
//!
//! > While a CPU holds a p2m lock, it calls no function that may take a p2m
//! > lock.
//!
//! Xen's rwlock is queued: once a writer waits, a new reader waits behind the writer,
//! *even if its CPU already holds the lock for reading*. So a CPU that takes the read lock twice
//! deadlocks if a writer begins to wait in between.
//!
//! **Token.** [`Unlocked`] proves that the current chain of calls holds no p2m lock. An
//! exported function creates a token ([`unlocked_entry`]) and passes it down by
//! `&mut`. Taking the lock borrows the token for as long as the guard lives,
//! and every function that may take a p2m lock inside (a stage-1 walk, a
//! guest copy, `domain_crash`, see [`crate::p2m::reentry`]) requires the token
//! too. So these lines do not compile:
//!
//! ```text
//! let guard = p2m.read(cx);
//! guest_walk(cx, vcpu, gva);      // error[E0499]: cx is borrowed by guard
//! let second = other.write(cx);   // error[E0499]
//! ```
//!
//! **View.** A function that needs the lock takes a [`ReadView`] or a
//! [`WriteView`]; guards dereference to views. A function that C calls with the
//! lock already held gets a view and no token ([`locked_entry_read`],
//! [`locked_entry_write`]). Whatever is obtained from a view (a [`Lookup`], a table)
//! borrows the view, so it cannot be used after the unlock (XSA-473).
//!
//! **What the types cannot prevent.** Safe Rust may forget a guard (`ManuallyDrop`, which the
//! lint on `mem::forget` does not catch). Then the lock stays taken while the
//! token is free again. Nothing here does that; in debug builds the second lock panics.
//!
//! **Deferred work.** Dropping a [`WriteGuard`] first does the work that changes of the tables
//! have deferred ([`crate::p2m::deferred`]): the barrier, the TLB flush and the freeing of
//! tables. Only then does it unlock, as C's `p2m_write_unlock` does.
//!
//! [`Lookup`]: crate::map::lookup::Lookup
//! [`unlocked_entry`]: super::token::unlocked_entry

use core::ops::{Deref, DerefMut};

use xen_sys as sys;

use super::deferred::Deferred;
use super::token::Unlocked;
use super::P2m;
use crate::xen::tlb;

static_assertions::assert_not_impl_any!(ReadGuard<'static>: Send, Sync, Clone, Copy);
static_assertions::assert_not_impl_any!(WriteGuard<'static>: Send, Sync, Clone, Copy);
static_assertions::assert_not_impl_any!(&'static ReadView: Send, Sync);
static_assertions::assert_not_impl_any!(ReadView: Send, Sync, Clone, Copy);

/// A p2m whose lock is held, for reading or writing. It is the p2m
/// itself, under another type.
///
/// # Invariants
///
/// Only references to a `ReadView` exist, and the lock is held at least for reading while such
/// a reference lives. A `ReadView` does not prove that the tables do not change: a [`WriteView`]
/// dereferences to one, and its holder changes them.
#[repr(transparent)]
pub struct ReadView(P2m);

/// A p2m whose lock is held for writing.
///
/// # Invariants
///
/// The write lock is held for `'l`, and no other `WriteView` of the p2m exists.
pub struct WriteView<'l> {
    deferred: Deferred<'l>,
}

/// Runs `f` under a lock that the C caller took, for reading at least.
///
/// # Safety
///
/// The caller of the exported function holds `p2m`'s lock and keeps it for the
/// whole call.
#[inline(always)]
pub unsafe fn locked_entry_read<R>(p2m: &P2m, f: impl FnOnce(&ReadView) -> R) -> R {
    debug_assert!(p2m.is_locked());
    f(ReadView::of(p2m))
}

/// Runs `f` under a lock that the C caller took for writing. The caller
/// unlocks with `p2m_write_unlock`, which does what of the flush is left.
///
/// # Safety
///
/// As for [`locked_entry_read`], with the write lock.
pub unsafe fn locked_entry_write<R>(p2m: &P2m, f: impl FnOnce(&mut WriteView<'_>) -> R) -> R {
    debug_assert!(p2m.is_write_locked());
    // SAFETY: the caller holds the write lock.
    let mut view = unsafe { WriteView::of(p2m) };
    let result = f(&mut view);
    view.deferred.leave_to_c();
    result
}

impl ReadView {
    /// Of a p2m whose lock is held as long as `p2m` is borrowed.
    #[inline(always)]
    fn of(p2m: &P2m) -> &Self {
        // SAFETY: repr(transparent), and the same lifetime.
        unsafe { &*core::ptr::from_ref(p2m).cast::<Self>() }
    }

    /// The p2m that is locked.
    #[inline(always)]
    pub fn p2m(&self) -> &P2m {
        &self.0
    }
}

impl<'l> WriteView<'l> {
    /// Of a p2m.
    ///
    /// # Safety
    ///
    /// The write lock is held for `'l`, and there is no other view of the same p2m.
    #[inline(always)]
    unsafe fn of(p2m: &'l P2m) -> Self {
        // SAFETY: by the caller's promise.
        let deferred = unsafe { Deferred::of(p2m) };
        Self { deferred }
    }

    /// Work that must be done before the unlock.
    #[inline(always)]
    pub(crate) fn deferred(&self) -> &Deferred<'l> {
        &self.deferred
    }

    /// Does the deferred work before the unlock ([`Deferred::finish_early`]).
    pub(crate) fn finish_early(&mut self) {
        self.deferred.finish_early();
    }
}

impl Deref for WriteView<'_> {
    type Target = ReadView;

    #[inline(always)]
    fn deref(&self) -> &ReadView {
        ReadView::of(self.deferred.p2m())
    }
}

/// A read lock, held until drop.
#[must_use = "the lock is released at once if the guard is not kept"]
pub struct ReadGuard<'g> {
    p2m: &'g P2m,
}

/// A write lock, held until drop, which does the deferred work first.
#[must_use = "the lock is released at once if the guard is not kept"]
pub struct WriteGuard<'g> {
    view: WriteView<'g>,
}

impl P2m {
    /// The C lock.
    #[inline(always)]
    fn lock_ptr(&self) -> *mut sys::rwlock_t {
        let c = self.as_ptr();
        // SAFETY: a place inside the live structure.
        unsafe { &raw mut (*c).lock }
    }

    /// Readies the lock (`p2m_init`).
    pub(crate) fn init_lock(&self) {
        // SAFETY: the domain is being created; nobody else can reach it.
        unsafe { sys::xs_rwlock_init(self.lock_ptr()) };
    }

    /// Takes the lock for reading (`p2m_read_lock`).
    #[inline(always)]
    pub fn read<'g>(&'g self, _cx: &'g mut Unlocked<'_>) -> ReadGuard<'g> {
        nesting::enter();
        // SAFETY: the lock was initialised by p2m_init and lives as long as
        // the domain; the token proves that this CPU does not hold it.
        unsafe { sys::xs_read_lock(self.lock_ptr()) };
        ReadGuard { p2m: self }
    }

    /// Takes the lock for writing (`p2m_write_lock`).
    #[inline(always)]
    pub fn write<'g>(&'g self, _cx: &'g mut Unlocked<'_>) -> WriteGuard<'g> {
        nesting::enter();
        // SAFETY: as for `read`.
        unsafe { sys::xs_write_lock(self.lock_ptr()) };
        // SAFETY: just taken, until the guard drops.
        let view = unsafe { WriteView::of(self) };
        WriteGuard { view }
    }

    /// Whether anybody holds or awaits the lock (`p2m_is_locked`).
    pub fn is_locked(&self) -> bool {
        // SAFETY: reads the lock word; the lock lives as long as `self`.
        unsafe { sys::xs_rw_is_locked(self.lock_ptr()) }
    }

    /// Whether anybody holds the lock for writing (`p2m_is_write_locked`).
    pub fn is_write_locked(&self) -> bool {
        // SAFETY: as for `is_locked`.
        unsafe { sys::xs_rw_is_write_locked(self.lock_ptr()) }
    }

    /// Flushes what is deferred, then releases a write lock that C took
    /// (`p2m_write_unlock`).
    ///
    /// # Safety
    ///
    /// The calling CPU holds the write lock, and no guard will release it
    /// again.
    pub unsafe fn write_unlock(&self) {
        // The flush comes first: until it is complete nobody else may change
        // the tables (nor rely on them).
        // SAFETY: as promised to this function.
        unsafe { self.tlb_flush_sync() };
        // SAFETY: held for writing, by the caller's promise.
        unsafe { sys::xs_write_unlock(self.lock_ptr()) };
    }
}

impl P2m {
    /// Flushes the domain's TLB entries, under a lock that C took
    /// (`p2m_force_tlb_flush_sync`).
    ///
    /// # Safety
    ///
    /// The calling CPU holds the write lock.
    pub unsafe fn force_tlb_flush_sync(&self) {
        self.set_need_flush(false);
        tlb::flush_vmid(self.vttbr());
    }

    /// [`Self::force_tlb_flush_sync`], if a flush is needed (`p2m_tlb_flush_sync`).
    ///
    /// # Safety
    ///
    /// The calling CPU holds the write lock.
    pub unsafe fn tlb_flush_sync(&self) {
        if self.need_flush() {
            // SAFETY: as promised to this function.
            unsafe { self.force_tlb_flush_sync() };
        }
    }
}

impl Drop for ReadGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: taken when the guard was made, and released only here.
        unsafe { sys::xs_read_unlock(self.p2m.lock_ptr()) };
        nesting::leave();
    }
}

impl Drop for WriteGuard<'_> {
    fn drop(&mut self) {
        self.view.deferred.finish();
        // SAFETY: taken when the guard was made, and released only here.
        unsafe { sys::xs_write_unlock(self.view.deferred.p2m().lock_ptr()) };
        nesting::leave();
    }
}

impl Deref for ReadGuard<'_> {
    type Target = ReadView;

    #[inline(always)]
    fn deref(&self) -> &ReadView {
        ReadView::of(self.p2m)
    }
}

impl<'g> Deref for WriteGuard<'g> {
    type Target = WriteView<'g>;

    fn deref(&self) -> &WriteView<'g> {
        &self.view
    }
}

impl<'g> DerefMut for WriteGuard<'g> {
    fn deref_mut(&mut self) -> &mut WriteView<'g> {
        &mut self.view
    }
}

/// The same rule, checked at run time in debug builds: guest_walk.c and
/// guestcopy.c are C and call exported functions, so no token can be passed through them.
mod nesting {
    use core::sync::atomic::Ordering;

    use crate::xen::cpu;
    use crate::xen::globals::p2m_lock_held;

    /// Notes that this CPU is about to take a p2m lock: a nested one would
    /// wait for ever as soon as a writer is queued.
    pub(super) fn enter() {
        if cfg!(debug_assertions) {
            if let Some(held) = p2m_lock_held().get(cpu::id()) {
                let nested = held.swap(true, Ordering::Relaxed);
                assert!(!nested, "p2m lock taken while this CPU holds one");
            }
        }
    }

    /// Notes that this CPU has released its p2m lock.
    pub(super) fn leave() {
        if cfg!(debug_assertions) {
            if let Some(held) = p2m_lock_held().get(cpu::id()) {
                held.store(false, Ordering::Relaxed);
            }
        }
    }
}
