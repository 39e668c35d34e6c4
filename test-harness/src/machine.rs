// SPDX-License-Identifier: GPL-2.0-only
//! The state behind the mock functions, and how a thread finds it.
//!
//! One mutex guards the whole [`State`]. It is held for the time of one mock
//! function and never while Xen code runs, so `guest_walk_tables` can call
//! back into the p2m, and a test may have several OS threads on one machine.
//!
//! A broken rule is noted, not raised: a panic may not unwind through the C
//! ABI. The world's end, or [`crate::World::check`], turns notes into a panic.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::config::Config;
use crate::cpu::Cpus;
use crate::devices::Devices;
use crate::dirty::Dirty;
use crate::domains::Domains;
use crate::event::{Event, Log, Violation};
use crate::frames::Frames;
use crate::iotlb::Iotlb;
use crate::lists::Lists;
use crate::locks::Locks;
use crate::radix::Radix;
use crate::stage1::Guests;
use crate::tables::Tables;
use crate::tlb::Tlb;
use crate::visible::Visible;
use crate::vmids::Vmids;
use crate::work::Work;

/// Everything that the mock knows.
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) log: Log,
    pub(crate) violations: Vec<Violation>,
    pub(crate) console: Vec<String>,
    /// Text of the BUG or panic that stopped Xen.
    pub(crate) stopped: Option<String>,
    pub(crate) frames: Frames,
    pub(crate) lists: Lists,
    pub(crate) radix: Radix,
    pub(crate) locks: Locks,
    pub(crate) cpus: Cpus,
    pub(crate) domains: Domains,
    pub(crate) guests: Guests,
    pub(crate) devices: Devices,
    pub(crate) dirty: Dirty,
    pub(crate) tables: Tables,
    pub(crate) tlb: Tlb,
    pub(crate) visible: Visible,
    pub(crate) iotlb: Iotlb,
    /// What the IOTLB may still hold.
    pub(crate) iotlb_cache: Tlb,
    pub(crate) vmids: Vmids,
    pub(crate) work: Work,
    /// What CPU 1 does as soon as another drops a read lock.
    pub(crate) meanwhile: Option<Box<dyn FnOnce() + Send>>,
}

impl State {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            log: Log::new(config.log_capacity),
            violations: Vec::new(),
            console: Vec::new(),
            stopped: None,
            frames: Frames::new(config.heap_pages),
            lists: Lists::default(),
            radix: Radix::default(),
            locks: Locks::default(),
            cpus: Cpus::default(),
            domains: Domains::default(),
            guests: Guests::default(),
            devices: Devices::default(),
            dirty: Dirty::default(),
            tables: Tables::default(),
            tlb: Tlb::default(),
            visible: Visible::default(),
            iotlb: Iotlb::default(),
            iotlb_cache: Tlb::default(),
            vmids: Vmids::default(),
            work: Work::default(),
            meanwhile: None,
        }
    }

    /// Notes an event; a subscribed checker may find fault with it.
    pub(crate) fn event(&mut self, cpu: usize, event: Event) {
        let visible = event.is_visible();
        self.note(cpu, event, visible);
    }

    /// Notes an event that no other CPU can tell: a store to a table of its own.
    pub(crate) fn private_event(&mut self, cpu: usize, event: Event) {
        self.note(cpu, event, false);
    }

    fn note(&mut self, cpu: usize, event: Event, visible: bool) {
        self.count_work(cpu, &event);
        if let Some(Violation { rule, what }) = self.log.push(cpu, &event, visible) {
            self.broken(rule, what);
        }
    }

    /// Notes a broken rule, with the call path when RUST_BACKTRACE is set.
    pub(crate) fn broken(&mut self, rule: &'static str, mut what: String) {
        let trace = if self.config.call_paths {
            Backtrace::capture()
        } else {
            Backtrace::disabled()
        };
        if trace.status() == BacktraceStatus::Captured {
            what = format!("{what}\n{trace}");
        }
        self.violations.push(Violation { rule, what });
    }

    /// Rule X1: Xen's ASSERT_NOT_IN_ATOMIC(): interrupts on, no spinlock held;
    /// p2m locks are rule L5's.
    pub(crate) fn must_not_be_atomic(&mut self, cpu: usize, what: &str) {
        if self.cpus.cpus[cpu].irqs_off || self.locks.holds_any_spin(cpu) {
            self.broken("X1", format!("CPU {cpu}: {what} in atomic context"));
        }
    }

    /// Rule X1: Xen's ASSERT_ALLOC_CONTEXT(): interrupts on.
    pub(crate) fn must_be_in_alloc_context(&mut self, cpu: usize, what: &str) {
        if self.cpus.cpus[cpu].irqs_off {
            self.broken("X1", format!("CPU {cpu}: {what} with interrupts off"));
        }
    }

    /// Rule L5: nothing that may take a p2m lock while this CPU holds one.
    pub(crate) fn must_not_hold_p2m_lock(&mut self, cpu: usize, what: &str) {
        if self.locks.holds_any_rw(cpu) {
            self.broken("L5", format!("CPU {cpu} calls {what} with a p2m lock held"));
        }
    }
}

/// Who runs, for tests that bring their own scheduler: each task of it is a
/// CPU, and CPUs wait for locks as on hardware, themselves included.
///
/// The default is OS threads: a CPU number for each attached thread.
pub trait Scheduler: Send + Sync {
    /// The CPU on which the caller runs; `None` for the thread's own.
    fn cpu(&self) -> Option<usize>;
    /// After each step that other CPUs can tell ([`Event::is_visible`]): a
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

/// Ends the process with a text that the test runner does not swallow.
pub(crate) fn die(text: &str) -> ! {
    let _ = writeln!(std::io::stderr(), "\ntest-harness: {text}");
    std::process::abort()
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
