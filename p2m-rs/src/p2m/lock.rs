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
//! exported function gets a token from its caller ([`CalledUnlocked`]) and passes it down by
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
//! lock already held gets a view and no token ([`ReadLockedByC`],
//! [`WriteLockedByC`]). Whatever is obtained from a view (a [`Lookup`], a table)
//! borrows the view, so it cannot be used after the unlock (XSA-473).
//!
//! **What the types cannot prevent.** Safe Rust may forget a guard (`ManuallyDrop`, which the
//! lint on `mem::forget` does not catch). Then the lock stays taken while the
//! token is free again. Nothing here does that; in debug builds the second lock panics.
//!
//! **In line.** [`P2m::with_free_lock`] is the one way to hold the lock without a guard: a
//! closure, for look-ups.
//!
//! **Deferred work.** Dropping a [`WriteGuard`] first does the work that changes of the tables
//! have deferred ([`crate::p2m::deferred`]): the barrier, the TLB flush and the freeing of
//! tables. Only then does it unlock, as C's `p2m_write_unlock` does.
//!
//! [`Lookup`]: crate::map::lookup::Lookup
//! [`CalledUnlocked`]: super::token::CalledUnlocked

use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use xen_sys as sys;

use super::deferred::Deferred;
use super::token::{nesting, Unlocked};
use super::{Lock, P2m, UnsharedP2m};
use crate::types::owner::{Host, Owner};
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
pub struct WriteView<'l, O = Host> {
    deferred: Deferred<'l>,
    owner: PhantomData<O>,
}

/// A p2m whose lock the C caller holds, for reading at least.
///
/// # Invariants
///
/// It is held for `'c`. There is no constructor: C passes one to an exported function.
#[repr(transparent)]
pub struct ReadLockedByC<'c>(&'c P2m);

/// A p2m whose write lock the C caller holds.
///
/// # Invariants
///
/// It is held for `'c`, and there is no view of it. There is no constructor: C passes one
/// to an exported function.
#[repr(transparent)]
pub struct WriteLockedByC<'c>(&'c P2m);

/// A p2m whose write lock the C caller holds, and gives up by the call.
///
/// # Invariants
///
/// As of [`WriteLockedByC`], until [`Self::unlock`]; nobody else will release the lock.
#[repr(transparent)]
pub struct WriteLockGivenUpByC<'c>(WriteLockedByC<'c>);

// SAFETY: `repr(transparent)` over what may stand for the pointer; that the lock is held is
// the contract of the function that takes it.
unsafe impl sys::SameAbi<*mut sys::p2m_domain> for ReadLockedByC<'_> {}
// SAFETY: as above.
unsafe impl sys::SameAbi<*mut sys::p2m_domain> for WriteLockedByC<'_> {}
// SAFETY: as above.
unsafe impl sys::SameAbi<*mut sys::p2m_domain> for WriteLockGivenUpByC<'_> {}

impl<'c> ReadLockedByC<'c> {
    /// What may be done under it.
    #[inline(always)]
    pub fn view(self) -> &'c ReadView {
        debug_assert!(self.0.is_locked());
        ReadView::of(self.0)
    }
}

impl WriteLockedByC<'_> {
    /// Runs `f`. The caller unlocks with `p2m_write_unlock`, which does what of the flush
    /// is left.
    pub fn with<R>(self, f: impl FnOnce(&mut WriteView<'_>) -> R) -> R {
        debug_assert!(self.0.is_write_locked());
        // SAFETY: the caller holds the write lock, and this is the one view.
        let mut view = unsafe { WriteView::of(self.0) };
        view.deferred.take_over_from_c();
        let result = f(&mut view);
        view.deferred.leave_to_c();
        result
    }

    /// Flushes the domain's TLB entries (`p2m_force_tlb_flush_sync`).
    pub fn force_tlb_flush_sync(&self) {
        debug_assert!(self.0.is_write_locked());
        self.0.set_need_flush(false);
        tlb::flush_vmid(self.0.vttbr());
    }

    /// [`Self::force_tlb_flush_sync`], if a flush is needed (`p2m_tlb_flush_sync`).
    pub fn tlb_flush_sync(&self) {
        if self.0.need_flush() {
            self.force_tlb_flush_sync();
        }
    }
}

impl WriteLockGivenUpByC<'_> {
    /// Flushes what is deferred, then releases the lock (`p2m_write_unlock`). The flush
    /// comes first: until it is complete nobody else may change the tables, nor rely on
    /// them.
    pub fn unlock(self) {
        let Self(held) = self;
        debug_assert!(held.0.is_write_locked());
        held.tlb_flush_sync();
        // SAFETY: held for writing, and nobody else releases it, by the invariant.
        unsafe { sys::xs_write_unlock(held.0.c().field(Lock)) };
    }
}

impl ReadView {
    /// The view of a p2m whose lock is held as long as `p2m` is borrowed.
    #[inline(always)]
    pub(super) fn of(p2m: &P2m) -> &Self {
        // SAFETY: repr(transparent), and the same lifetime.
        unsafe { &*core::ptr::from_ref(p2m).cast::<Self>() }
    }

    /// The p2m that is locked.
    #[inline(always)]
    pub fn p2m(&self) -> &P2m {
        &self.0
    }
}

impl<'l, O: Owner> WriteView<'l, O> {
    /// The view of a p2m.
    ///
    /// # Safety
    ///
    /// The write lock is held for `'l`, and no other `WriteView` of the p2m exists.
    #[inline(always)]
    pub(super) unsafe fn of(p2m: &'l P2m) -> Self {
        // SAFETY: by the caller's promise.
        let deferred = unsafe { Deferred::of(p2m) };
        Self {
            deferred,
            owner: PhantomData,
        }
    }

    /// The deferred work, which is done before the unlock.
    #[inline(always)]
    pub(crate) fn deferred(&self) -> &Deferred<'l> {
        &self.deferred
    }

    /// Does the deferred work before the unlock ([`Deferred::finish_early`]).
    pub(crate) fn finish_early(&mut self) {
        self.deferred.finish_early();
    }
}

impl<O> Deref for WriteView<'_, O> {
    type Target = ReadView;

    #[inline(always)]
    fn deref(&self) -> &ReadView {
        ReadView::of(self.deferred.p2m())
    }
}

/// A read lock, held until drop.
///
/// # Invariants
///
/// This CPU holds it for reading, and nobody else releases it. It does not prove that nobody
/// uses the tables: the hardware walks them, and other CPUs may hold the lock for reading too.
#[must_use = "the lock is released at once if the guard is not kept"]
pub struct ReadGuard<'g> {
    p2m: &'g P2m,
}

/// A write lock, held until drop, which does the deferred work first.
///
/// # Invariants
///
/// This CPU holds it for writing, and nobody else releases it.
#[must_use = "the lock is released at once if the guard is not kept"]
pub struct WriteGuard<'g> {
    view: WriteView<'g>,
}

impl UnsharedP2m<'_> {
    /// Initialises the lock, once (`p2m_init`).
    pub(crate) fn init_lock(self, _cx: &mut Unlocked<'_>) {
        // SAFETY: nobody else can reach the p2m, and this CPU does not hold the lock.
        unsafe { sys::xs_rwlock_init(self.c().field(Lock)) };
    }
}

impl P2m {
    /// Takes the lock for reading (`p2m_read_lock`).
    #[inline(always)]
    pub fn read<'g>(&'g self, _cx: &'g mut Unlocked<'_>) -> ReadGuard<'g> {
        nesting::enter();
        // SAFETY: C passes a domain to these functions only after p2m_init, and a view's P2m is
        // reached only while its host's guard borrows the token. The token proves that this CPU
        // does not hold the lock.
        unsafe { sys::xs_read_lock(self.c().field(Lock)) };
        ReadGuard { p2m: self }
    }

    /// What `f` makes of `argument` with the lock held for reading, if nobody has it for writing or
    /// waits to. Otherwise gives `argument` back, without having waited. Where
    /// [`xen_sys::read_trylock`] is no call, neither is this: it is for look-ups, which are as
    /// short as the lock itself.
    #[inline(always)]
    pub(crate) fn with_free_lock<R, A>(
        &self,
        _cx: &mut Unlocked<'_>,
        argument: A,
        f: impl FnOnce(&ReadView, A) -> Result<R, A>,
    ) -> Result<R, A> {
        nesting::enter();
        let result = if sys::read_trylock(self.c().field(Lock)) {
            let result = f(ReadView::of(self), argument);
            // SAFETY: just taken. (A panic on the host leaves it taken.)
            unsafe { sys::read_unlock(self.c().field(Lock)) };
            result
        } else {
            Err(argument)
        };
        nesting::leave();
        result
    }

    /// Takes the lock for writing (`p2m_write_lock`).
    #[inline(always)]
    pub fn write<'g>(&'g self, _cx: &'g mut Unlocked<'_>) -> WriteGuard<'g> {
        nesting::enter();
        // SAFETY: as for `read`.
        unsafe { sys::xs_write_lock(self.c().field(Lock)) };
        debug_assert!(!self.need_flush(), "released with a flush pending");
        // SAFETY: just taken, until the guard drops.
        let view = unsafe { WriteView::of(self) };
        WriteGuard { view }
    }

    /// Whether anybody holds or awaits the lock (`p2m_is_locked`).
    pub fn is_locked(&self) -> bool {
        sys::xs_rw_is_locked(self.c().field(Lock))
    }

    /// Whether anybody holds the lock for writing (`p2m_is_write_locked`).
    pub fn is_write_locked(&self) -> bool {
        sys::xs_rw_is_write_locked(self.c().field(Lock))
    }
}

impl Drop for ReadGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: taken when the guard was made, and released only here.
        unsafe { sys::xs_read_unlock(self.p2m.c().field(Lock)) };
        nesting::leave();
    }
}

impl Drop for WriteGuard<'_> {
    fn drop(&mut self) {
        self.view.deferred.finish();
        // SAFETY: taken when the guard was made, and released only here.
        unsafe { sys::xs_write_unlock(self.view.deferred.p2m().c().field(Lock)) };
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
