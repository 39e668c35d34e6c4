// SPDX-License-Identifier: GPL-2.0-only
//! The machine that threads share: its state behind a lock, and who waits for what.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::ground::config::Config;
use crate::ground::panics::die;
use crate::rules::State;

/// Who runs, for tests that bring their own scheduler: each task of it is a
/// CPU, and CPUs wait for locks as on hardware, themselves included.
///
/// The default is OS threads: a CPU number for each attached thread.
pub trait Scheduler: Send + Sync {
    /// The CPU on which the caller runs; `None` for the thread's own.
    fn cpu(&self) -> Option<usize>;
    /// After each step that other CPUs can tell ([`is_visible`](crate::Event::is_visible)): a
    /// chance to switch.
    fn yield_point(&self);
    /// How often [`Scheduler::wake`] was called. Nobody else runs between a
    /// look at a lock and this.
    fn wakes(&self) -> u64;
    /// The caller waits until there were more than `seen` wakes; `false` when
    /// nobody is left to cause one.
    fn block(&self, seen: u64) -> bool;
    /// A lock was dropped.
    fn wake(&self);
}

/// A machine: shared by every thread that is attached to it.
pub struct Machine {
    /// None while a thread has the machine alone.
    pub(super) state: Mutex<Option<Box<State>>>,
    bell: Condvar,
    /// Threads that wait for the bell.
    pub(super) waiting: AtomicUsize,
    pub(crate) attached: AtomicUsize,
    pub(super) scheduler: Option<Box<dyn Scheduler>>,
}

/// The state of a machine that several threads may have, locked.
pub(crate) struct Locked<'m>(pub(super) MutexGuard<'m, Option<Box<State>>>);

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        self.0.as_deref().unwrap_or_else(|| taken())
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        self.0.as_deref_mut().unwrap_or_else(|| taken())
    }
}

fn taken() -> ! {
    die("a machine is used that another thread has alone")
}

impl Machine {
    pub(crate) fn new(config: Config, scheduler: Option<Box<dyn Scheduler>>) -> Self {
        let mut state = State::new(config);
        state.locks.strict = scheduler.is_some();
        Self {
            state: Mutex::new(Some(Box::new(state))),
            bell: Condvar::new(),
            waiting: AtomicUsize::new(0),
            attached: AtomicUsize::new(0),
            scheduler,
        }
    }

    pub(crate) fn lock(&self) -> Locked<'_> {
        Locked(self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The CPU on which the caller runs; `own` is its thread's.
    pub(crate) fn cpu(&self, own: usize) -> usize {
        self.scheduler.as_ref().and_then(|s| s.cpu()).unwrap_or(own)
    }

    pub(crate) fn yield_point(&self) {
        if let Some(scheduler) = &self.scheduler {
            scheduler.yield_point();
        }
    }

    /// A lock was dropped: whoever waits looks again.
    pub(crate) fn wake(&self) {
        match &self.scheduler {
            Some(scheduler) => scheduler.wake(),
            None => self.ring(),
        }
    }

    /// Something has changed; it was with the state locked.
    pub(crate) fn ring(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.bell.notify_all();
        }
    }

    /// Waits for the bell; true if it did not ring in time.
    pub(crate) fn listen<'m>(&self, state: Locked<'m>, limit: Duration) -> (Locked<'m>, bool) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let waited = self.bell.wait_timeout(state.0, limit);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        (Locked(state), timeout.timed_out())
    }

    /// Lets others run until something changed; `false` for a deadlock.
    pub(crate) fn block(&self, state: Locked<'_>) -> bool {
        if let Some(scheduler) = &self.scheduler {
            let seen = scheduler.wakes();
            drop(state);
            return scheduler.block(seen);
        }
        if self.attached.load(Ordering::SeqCst) < 2 {
            return false;
        }
        let (_state, in_vain) = self.listen(state, Duration::from_secs(10));
        !in_vain
    }
}
