// SPDX-License-Identifier: GPL-2.0-only
//! The machine: its state behind a lock, and how a thread finds it.
//!
//! One mutex guards the whole [`State`]. It is held for the time of one mock
//! function and never while Xen code runs, so `guest_walk_tables` can call
//! back into the p2m, and a test may have several OS threads on one machine.

pub(crate) mod guest_walk;
pub(crate) mod in_call;

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
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
    state: Mutex<State>,
    bell: Condvar,
    /// Threads that wait for the bell.
    waiting: AtomicUsize,
    pub(crate) attached: AtomicUsize,
    scheduler: Option<Box<dyn Scheduler>>,
}

/// The machine of this thread and its place there.
#[derive(Clone)]
pub(crate) struct Here {
    pub(crate) machine: Arc<Machine>,
    pub(crate) cpu: usize,
    /// A BUG parks this thread instead of ending the process.
    pub(crate) may_stop: bool,
}

thread_local! {
    static HERE: RefCell<Option<Here>> = const { RefCell::new(None) };
}

pub(crate) fn set_here(here: Option<Here>) -> Option<Here> {
    HERE.with(|h| h.replace(here))
}

pub(crate) fn here() -> Here {
    HERE.with_borrow(Clone::clone).unwrap_or_else(|| nowhere())
}

fn nowhere() -> ! {
    die("a mock function was called on a thread that is attached to no World")
}

impl Machine {
    pub(crate) fn new(config: Config, scheduler: Option<Box<dyn Scheduler>>) -> Self {
        let mut state = State::new(config);
        state.locks.strict = scheduler.is_some();
        Self {
            state: Mutex::new(state),
            bell: Condvar::new(),
            waiting: AtomicUsize::new(0),
            attached: AtomicUsize::new(0),
            scheduler,
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn cpu(&self, here: &Here) -> usize {
        self.scheduler
            .as_ref()
            .and_then(|s| s.cpu())
            .unwrap_or(here.cpu)
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
    pub(crate) fn listen<'m>(
        &self,
        state: MutexGuard<'m, State>,
        limit: Duration,
    ) -> (MutexGuard<'m, State>, bool) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let waited = self.bell.wait_timeout(state, limit);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        (state, timeout.timed_out())
    }

    /// Lets others run until something changed; `false` for a deadlock.
    pub(crate) fn block(&self, state: MutexGuard<'_, State>) -> bool {
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

/// Runs `body` as what CPU 1 does, on this thread.
pub(crate) fn on_the_other_cpu(body: impl FnOnce()) {
    let outer = set_here(Some(Here { cpu: 1, ..here() }));
    body();
    set_here(outer);
}

/// Runs one mock function's body on this thread's machine.
pub(crate) fn with<R>(body: impl FnOnce(&mut State, usize) -> R) -> R {
    let (result, scheduled, endless) = HERE.with_borrow(|here| {
        let here = here.as_ref().unwrap_or_else(|| nowhere());
        let machine = &here.machine;
        let cpu = machine.cpu(here);
        let mut state = machine.lock();
        let before = state.log.visible();
        let result = body(&mut state, cpu);
        let yields = machine.scheduler.is_some() && state.log.visible() != before;
        let scheduled = yields.then(|| machine.clone());
        (result, scheduled, state.work.endless.take())
    });
    if let Some(text) = endless {
        stop(text);
    }
    // Another task may have this thread meanwhile, and be somewhere else.
    if let Some(machine) = scheduled {
        machine.yield_point();
    }
    result
}

/// Xen has stopped: parks the thread for whoever waits in `expect_stop`, or
/// ends the process where nobody does.
pub(crate) fn stop(text: String) -> ! {
    let here = here();
    if !here.may_stop {
        die(&format!("Xen stopped: {text}"));
    }
    here.machine.lock().stopped = Some(text);
    here.machine.ring();
    loop {
        std::thread::park();
    }
}
