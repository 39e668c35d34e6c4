// SPDX-License-Identifier: GPL-2.0-only
//! [`Unlocked`]: the proof that a chain of calls holds no p2m lock.
//! [`crate::p2m::lock`] explains its use.

use core::cell::Cell;
use core::marker::PhantomData;

use crate::xen::vcpu::Vcpu;

/// Proof that the current chain of calls holds no p2m lock.
///
/// # Invariants
///
/// While a token exists that is not borrowed, the CPU that it was created on holds no p2m
/// lock, neither one that this code took nor one that its C caller took.
///
/// A token is not `Send` (it speaks of this CPU), not `Copy`, and has no safe constructor. Its
/// lifetime is invariant, so a token cannot leave the exported function that created it.
/// A token does not prove that *other* CPUs hold no p2m lock, nor that no other kind of lock is
/// held.
pub struct Unlocked<'c>(PhantomData<(*mut (), Cell<&'c ()>)>);

static_assertions::assert_not_impl_any!(Unlocked<'static>: Send, Sync, Clone, Copy);

/// Runs `f` with a token.
///
/// # Safety
///
/// The calling CPU holds no p2m lock: only for functions that C calls without it.
#[inline(always)]
pub unsafe fn unlocked_entry<R>(f: impl for<'c> FnOnce(&mut Unlocked<'c>) -> R) -> R {
    f(&mut Unlocked(PhantomData))
}

/// The vCPU that runs on this CPU (`current`), for as long as the call that the token
/// stands for: whatever is scheduled in between, the call goes on as this vCPU.
pub fn current_vcpu<'c>(_cx: &Unlocked<'c>) -> &'c Vcpu {
    // SAFETY: a vCPU lives while it serves a call, and the token does not outlive the
    // call.
    unsafe { Vcpu::current() }
}
