// SPDX-License-Identifier: GPL-2.0-only
//! Xen's rwlock, taken for reading without a call where nobody writes or waits to: for
//! look-ups, in which the two calls and their barriers would be a quarter of the work.
//!
//! These are `_read_lock()` and `_read_unlock()` of `xen/rwlock.h`, on the same word and
//! with the header's own values. Where `_read_lock()` would begin to wait, this one gives up:
//! it takes back what it has added, which is the first thing that
//! `queue_read_lock_slowpath()` does, too. So C's functions and these may be mixed.
//!
//! **Barriers.** C has a DMB ISH after taking the lock and before releasing it. Here the
//! load that takes it is an acquire and the store that releases it is a release (LDAXR,
//! STLXR), as in Linux's rwlock: what is done under the lock is seen by the next writer,
//! and what the last writer did is seen here. Nothing in Xen relies on this lock for more.
//!
//! The build script compiles this file for trees whose header has these functions in a form
//! that it was compared with (`build/rwlock.rs`), and without `CONFIG_DEBUG_LOCKS`, whose
//! checks are in C. For others, C's `read_trylock()` stands in.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use core::sync::atomic::{compiler_fence, AtomicU32};

use crate::inlines::preempt_count;
use crate::{rwlock_t, Opaque, XS_QR_BIAS, XS_QW_WMASK};

crate::fields! {
    unsafe Count: rwlock_t.cnts.counter as AtomicU32, "atomic operations, here and in C";
}

/// A writer has the lock or waits for it, or there are more readers than the word can count
/// (`_can_read_lock()`).
const NOT_FREE: u32 = XS_QW_WMASK | 1 << 31;

/// Takes the lock for reading if it is free. Returns whether it did.
///
/// Safe: it never waits, and a lock that is never released stops others, but breaks nothing.
#[inline(always)]
pub fn read_trylock(l: &Opaque<rwlock_t>) -> bool {
    preempt_disable();
    let before = l.field(Count).fetch_add(XS_QR_BIAS, Acquire);
    let is_taken = before.wrapping_add(XS_QR_BIAS) & NOT_FREE == 0;
    if !is_taken {
        l.field(Count).fetch_sub(XS_QR_BIAS, Relaxed);
        preempt_enable();
    }
    is_taken
}

/// Releases a lock that [`read_trylock`] has taken.
///
/// # Safety
///
/// This CPU holds it for reading, and gives it up.
#[inline(always)]
pub unsafe fn read_unlock(l: &Opaque<rwlock_t>) {
    l.field(Count).fetch_sub(XS_QR_BIAS, Release);
    preempt_enable();
}

/// `preempt_disable()`; nothing that follows is moved before it.
#[inline(always)]
fn preempt_disable() {
    let count = preempt_count();
    count.set(count.get().wrapping_add(1));
    compiler_fence(SeqCst);
}

/// `preempt_enable()`; nothing that precedes is moved behind it.
#[inline(always)]
fn preempt_enable() {
    compiler_fence(SeqCst);
    let count = preempt_count();
    count.set(count.get().wrapping_sub(1));
}
