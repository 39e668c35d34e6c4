// SPDX-License-Identifier: GPL-2.0-only
//! [`Unlocked`]: the proof that a chain of calls holds no p2m lock.
//! [`crate::p2m::lock`] explains its use.

use core::cell::Cell;
use core::marker::PhantomData;

use xen_sys as sys;
use xen_sys::SameAbi;

use crate::xen::cpu;
use crate::xen::vcpu::CurrentVcpu;

/// Proof that the current chain of calls holds no p2m lock.
///
/// # Invariants
///
/// While a token exists that is not borrowed, the CPU that this chain of calls runs on holds
/// no p2m lock that the chain took, neither this code nor its C caller.
///
/// A token is not `Send` (it speaks of this CPU), not `Copy`, and has no safe constructor. Its
/// lifetime is invariant, so a token cannot leave the exported function that created it.
/// A token does not prove that *other* CPUs hold no p2m lock, nor that no other kind of lock is
/// held.
pub struct Unlocked<'c>(PhantomData<(*mut (), Cell<&'c ()>)>);

static_assertions::assert_not_impl_any!(Unlocked<'static>: Send, Sync, Clone, Copy);

/// Runs `f` with a token. For the host's tests: exported functions use [`CalledUnlocked`].
///
/// # Safety
///
/// The calling CPU holds no p2m lock.
#[cfg(not(target_os = "none"))]
#[inline(always)]
pub unsafe fn unlocked_entry<R>(f: impl for<'c> FnOnce(&mut Unlocked<'c>) -> R) -> R {
    nesting::check_none();
    f(&mut Unlocked(PhantomData))
}

/// An argument of a function that C calls without a p2m lock, and with it the token. Such
/// a function has one.
///
/// # Invariants
///
/// When the exported function that takes this value begins, this CPU holds no p2m lock, and every
/// token of an outer call is borrowed: a software walk re-enters an exported function while the
/// outer call's token is borrowed. (One caller breaks this: debug key `d` calls
/// `get_page_from_gva` from an interrupt, perhaps while the lock is held; docs/differences.md, K9.)
/// There is no constructor: C passes one.
#[repr(transparent)]
pub struct CalledUnlocked<'c, A>(A, PhantomData<Unlocked<'c>>);

// SAFETY: `repr(transparent)` over what may stand for the pointer; that no lock is held is
// the contract of the function that takes it.
unsafe impl<A: SameAbi<*mut C>, C> SameAbi<*mut C> for CalledUnlocked<'_, A> {}
// SAFETY: as above.
unsafe impl<A: SameAbi<*const C>, C> SameAbi<*const C> for CalledUnlocked<'_, A> {}
// SAFETY: as above.
unsafe impl SameAbi<sys::npfec> for CalledUnlocked<'_, sys::npfec> {}

impl<'c, A: Copy> CalledUnlocked<'c, A> {
    /// The argument, for what needs no token.
    #[inline(always)]
    pub fn argument(&self) -> A {
        self.0
    }

    /// The token for this call, and the argument.
    #[inline(always)]
    pub fn enter(self) -> (Unlocked<'c>, A) {
        nesting::check_none();
        (Unlocked(PhantomData), self.0)
    }
}

/// The current vCPU, for as long as the call that the token stands for.
pub fn current_vcpu<'c>(_cx: &Unlocked<'c>) -> CurrentVcpu<'c> {
    // SAFETY: a vCPU lives while it serves a call, and the token does not outlive the
    // call.
    unsafe { CurrentVcpu::get() }
}

/// Whether no p2m lock may be taken now, since this is an interrupt: it may have come while this CPU held or
/// awaited one, and with interrupts off Xen's own checks stop at such a lock. For what is called from
/// interrupts (docs/differences.md, K9). Always false in release builds, which do not look.
#[inline(always)]
pub(crate) fn refuses_locks() -> bool {
    cfg!(debug_assertions) && cpu::handles_interrupt()
}

/// The rule of [`crate::p2m::lock`], checked at run time in debug builds: guest_walk.c and
/// guestcopy.c are C and call exported functions, so no token can be passed through them.
pub(super) mod nesting {
    use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

    use crate::xen::cpu;
    use crate::xen::globals::p2m_lock_held;

    fn held() -> Option<&'static AtomicBool> {
        p2m_lock_held().get(cpu::id())
    }

    /// This CPU holds no p2m lock of this code's; or an interrupt has come meanwhile, for which
    /// [`super::refuses_locks`] holds.
    pub(super) fn check_none() {
        if cfg!(debug_assertions) {
            let nested = held().is_some_and(|held| held.load(Relaxed));
            assert!(
                !nested || cpu::handles_interrupt(),
                "called by a CPU that holds a p2m lock"
            );
        }
    }

    /// Notes that this CPU is about to take a p2m lock: a nested one would
    /// wait for ever as soon as a writer is queued.
    pub(in crate::p2m) fn enter() {
        if cfg!(debug_assertions) {
            let nested = held().is_some_and(|held| held.swap(true, Relaxed));
            assert!(!nested, "p2m lock taken while this CPU holds one");
        }
    }

    /// Notes that this CPU has released its p2m lock.
    pub(in crate::p2m) fn leave() {
        if cfg!(debug_assertions) {
            if let Some(held) = held() {
                held.store(false, Relaxed);
            }
        }
    }
}
