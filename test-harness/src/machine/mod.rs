// SPDX-License-Identifier: GPL-2.0-only
//! The machine: its state behind a lock, and how a thread finds it.
//!
//! One mutex guards the whole [`State`]. It is held for the time of one mock
//! function and never while Xen code runs, so `guest_walk_tables` can call
//! back into the p2m, and a test may have several OS threads on one machine.
//!
//! A thread may also have a machine alone ([`alone`]): then the state is the thread's until it
//! leaves, and no mock function locks anything.

pub(crate) mod alone;
pub(crate) mod guest_walk;
pub(crate) mod in_call;
mod shared;

use std::cell::RefCell;
use std::sync::atomic::Ordering;
use std::sync::Arc;

pub use shared::{Machine, Scheduler};

use crate::ground::panics::die;
use crate::rules::State;

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

/// Runs `body` as what CPU 1 does, on this thread.
pub(crate) fn on_the_other_cpu(body: impl FnOnce()) {
    let outer = set_here(Some(Here { cpu: 1, ..here() }));
    body();
    set_here(outer);
}

/// What is left to do when a mock function has dropped the state's lock.
enum Then {
    /// Xen is stopped.
    Stop(String),
    /// Another task may have this thread meanwhile, and be somewhere else.
    Yield(Arc<Machine>),
}

/// What is to be done after a mock function, before which `visible` events had happened.
#[cold]
fn then(machine: &Arc<Machine>, state: &mut State, visible: u64) -> Option<Box<Then>> {
    if let Some(text) = state.work.endless.take() {
        return Some(Box::new(Then::Stop(text)));
    }
    let yields = machine.scheduler.is_some() && state.log.visible() != visible;
    yields.then(|| Box::new(Then::Yield(machine.clone())))
}

/// Runs `body` on the state of this thread's machine, as its CPU.
pub(crate) fn at<R>(body: impl FnOnce(&Arc<Machine>, &mut State, usize) -> R) -> R {
    HERE.with_borrow(|here| {
        let here = here.as_ref().unwrap_or_else(|| nowhere());
        alone::on(&here.machine, |own| {
            let mut shared;
            let (state, cpu) = match own {
                Some(own) => (own, here.cpu),
                None => {
                    shared = here.machine.lock();
                    (&mut *shared, here.machine.cpu(here.cpu))
                }
            };
            body(&here.machine, state, cpu)
        })
    })
}

/// Runs one mock function's body on this thread's machine.
pub(crate) fn with<R>(body: impl FnOnce(&mut State, usize) -> R) -> R {
    let (result, then) = at(|machine, state, cpu| {
        let before = state.log.visible();
        let result = body(state, cpu);
        // Millions of calls have nothing left to do: this is all that they pay for it.
        let is_watched = machine.scheduler.is_some() || state.work.endless.is_some();
        let then = is_watched.then(|| then(machine, state, before));
        (result, then.flatten())
    });
    if let Some(then) = then {
        match *then {
            Then::Stop(text) => stop(text),
            Then::Yield(machine) => machine.yield_point(),
        }
    }
    result
}

/// After a lock was taken or dropped: wakes who waits, if `wake` says so, and lets others run.
pub(crate) fn let_others_run(wake: bool) {
    let watched = HERE.with_borrow(|here| {
        let machine = &here.as_ref()?.machine;
        let is_watched = machine.scheduler.is_some() || machine.waiting.load(Ordering::SeqCst) > 0;
        is_watched.then(|| machine.clone())
    });
    if let Some(machine) = watched {
        if wake {
            machine.wake();
        }
        machine.yield_point();
    }
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
