// SPDX-License-Identifier: GPL-2.0-only
//! Shuttle as the machine's scheduler: its tasks are the CPUs.
//!
//! Shuttle runs one task at a time, on one OS thread, and chooses at each
//! scheduling point who goes on. So the machine and the code under test, which
//! belong to an OS thread, are the same for all CPUs of an execution.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler};
use shuttle::{Config as Shuttle, Runner};
use test_harness::{Config, Scheduler, World};

/// How to choose among the CPUs that can go on.
#[derive(Clone, Copy)]
pub(crate) enum Search {
    /// Every choice at every point.
    Exhaustive,
    /// So many executions of random choices.
    Random(usize),
    /// So many executions with random priorities, which change at three random
    /// points (probabilistic concurrency testing).
    Priorities(usize),
}

const SEED: u64 = 0x0012_AE8A_FB20_1802;

/// What came of a search.
pub(crate) struct Outcome {
    /// Schedules tried, the last one included.
    pub(crate) schedules: usize,
    /// What shuttle says of the one that failed.
    pub(crate) failure: Option<String>,
}

/// Runs `scenario` once for each schedule, until one fails.
pub(crate) fn explore(search: Search, scenario: fn()) -> Outcome {
    let tried = Arc::new(AtomicUsize::new(0));
    let counter = tried.clone();
    let once = move || {
        counter.fetch_add(1, Ordering::Relaxed);
        scenario();
    };
    let failure = std::panic::catch_unwind(|| run(search, once)).err();
    Outcome {
        schedules: tried.load(Ordering::Relaxed),
        failure: failure.map(|cause| match cause.downcast_ref::<String>() {
            Some(text) => text.clone(),
            None => "see above".into(),
        }),
    }
}

fn run(search: Search, scenario: impl Fn() + Send + Sync + 'static) -> usize {
    p2m_rs::xen::globals::reset_for_test();
    let mut config = Shuttle::new();
    config.stack_size = 0x4_0000;
    match search {
        Search::Exhaustive => Runner::new(DfsScheduler::new(None, false), config).run(scenario),
        Search::Random(n) => {
            Runner::new(RandomScheduler::new_from_seed(SEED, n), config).run(scenario)
        }
        Search::Priorities(n) => {
            Runner::new(PctScheduler::new_from_seed(SEED, 3, n), config).run(scenario)
        }
    }
}

/// The machine of one execution. Its domains must be destroyed at the end: the
/// VMIDs in use are the code's, which lives longer.
pub(crate) fn machine() -> World {
    // The smallest root, and not many events to remember.
    let config = Config {
        ipa_bits: 36,
        log_capacity: 256,
        ..Config::default()
    };
    World::with_scheduler(config, Some(Box::new(Tasks::default())))
}

/// Runs `here` on CPU 0 and each of `there` on the CPUs from 1 on, until all
/// are done.
pub(crate) fn together(here: impl FnOnce(), there: &[&(dyn Fn() + Sync)]) {
    shuttle::thread::scope(|scope| {
        for &body in there {
            scope.spawn(body);
        }
        here();
    });
}

/// CPU n is the task that was made n-th after the test itself, which is CPU 0.
///
/// Only what is one scheduling point and nothing else is used of shuttle: its
/// atomics and semaphores are two of them in some releases, which multiplies the
/// schedules and adds none that differs.
#[derive(Default)]
struct Tasks {
    wakes: AtomicU64,
    /// Who waits for the next wake, by its waker.
    sleepers: Mutex<Vec<Waker>>,
}

impl Tasks {
    /// Asleep until there were more than `seen` wakes.
    fn poll(&self, seen: u64, waker: &Waker) -> Poll<()> {
        if self.wakes() != seen {
            return Poll::Ready(());
        }
        self.sleepers.lock().unwrap().push(waker.clone());
        Poll::Pending
    }
}

impl Scheduler for Tasks {
    fn cpu(&self) -> Option<usize> {
        Some(usize::from(shuttle::current::me())).filter(|&task| task > 0)
    }

    fn yield_point(&self) {
        shuttle::thread::sleep(Duration::ZERO);
    }

    fn wakes(&self) -> u64 {
        self.wakes.load(Ordering::SeqCst)
    }

    fn block(&self, seen: u64) -> bool {
        // Where nobody is left to wake it, shuttle reports the deadlock.
        shuttle::future::block_on(poll_fn(|cx| self.poll(seen, cx.waker())));
        true
    }

    fn wake(&self) {
        self.wakes.fetch_add(1, Ordering::SeqCst);
        for sleeper in std::mem::take(&mut *self.sleepers.lock().unwrap()) {
            sleeper.wake();
        }
    }
}
