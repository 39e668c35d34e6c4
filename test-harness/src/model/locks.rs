// SPDX-License-Identifier: GPL-2.0-only
//! Who holds which lock: the owner model behind rules L0 to L3, and Xen's
//! queued rwlock (`common/rwlock.c`).
//!
//! A reader gets in at once unless a writer is in or waits. Everybody else
//! queues, first come, first served; a writer at the head of the queue
//! announces itself and waits for the readers to leave. So a CPU that reads,
//! and reads again, waits for the writer that waits for it.
//!
//! Rule L1 (no second read lock by one CPU) does not depend on a schedule: one
//! thread is enough to find that deadlock. Where a rule is broken the lock is
//! granted all the same, so the test goes on and reports the rule at its end;
//! not so under a test's own scheduler, where the CPU waits as on hardware.

use std::collections::VecDeque;

use xen_sys::XS_NR_CPUS;

const CPUS: usize = XS_NR_CPUS as usize;

/// One rwlock.
#[derive(Debug, Default, Clone)]
pub(crate) struct Rw {
    readers: [u32; CPUS],
    writer: Option<(usize, u32)>,
    /// The writer at the head of the queue, once no other writer is in.
    announced: Option<usize>,
    /// CPUs that found the lock taken.
    queue: VecDeque<usize>,
}

/// One spinlock: its holder.
#[derive(Debug, Default, Clone)]
pub(crate) struct Spin {
    holder: Option<usize>,
}

/// Locks by address: there are few, and each access to a table asks for one.
#[derive(Debug, Default)]
struct ByAddress<T> {
    /// Apart from the states, so that all are in a cache line or two.
    addresses: Vec<usize>,
    states: Vec<T>,
}

impl<T: Default> ByAddress<T> {
    #[inline]
    fn position(&self, lock: usize) -> Option<usize> {
        self.addresses.iter().position(|address| *address == lock)
    }

    #[inline]
    fn get(&self, lock: usize) -> Option<&T> {
        self.position(lock).map(|at| &self.states[at])
    }

    #[inline]
    fn or_default(&mut self, lock: usize) -> &mut T {
        let at = self.position(lock).unwrap_or_else(|| {
            self.addresses.push(lock);
            self.states.push(T::default());
            self.states.len() - 1
        });
        &mut self.states[at]
    }

    fn values(&self) -> impl Iterator<Item = &T> {
        self.states.iter()
    }

    fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.addresses.iter().copied().zip(&self.states)
    }
}

/// All locks of the machine.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    rw: ByAddress<Rw>,
    spin: ByAddress<Spin>,
    /// CPUs really wait for themselves.
    pub(crate) strict: bool,
    /// The last `read_trylock()` was refused, whether the lock was free or not.
    refuses: bool,
}

/// What an attempt to take a lock gives.
pub(crate) enum Attempt {
    Taken,
    /// Another CPU is in the way.
    Busy(usize),
}

/// A rule and why.
pub(crate) type Broken = (&'static str, String);

impl Rw {
    fn holds(&self, cpu: usize) -> bool {
        self.readers[cpu] > 0 || self.writes(cpu)
    }

    fn writes(&self, cpu: usize) -> bool {
        self.writer.is_some_and(|(holder, _)| holder == cpu)
    }

    fn reader(&self, but: Option<usize>) -> Option<usize> {
        (0..CPUS).find(|&c| Some(c) != but && self.readers[c] > 0)
    }

    /// Joins the queue, unless there already; whether it is this CPU's turn.
    fn queue_up(&mut self, cpu: usize) -> bool {
        if !self.queue.contains(&cpu) {
            self.queue.push_back(cpu);
        }
        self.queue.front() == Some(&cpu)
    }

    fn leave_queue(&mut self, cpu: usize) {
        self.queue.retain(|&c| c != cpu);
        self.announced = self.announced.filter(|&c| c != cpu);
    }

    /// Somebody who is in the way, for a report.
    fn blocker(&self, cpu: usize) -> usize {
        let writer = self.writer.map(|(holder, _)| holder);
        let first = self.announced.or_else(|| self.queue.front().copied());
        let reader = self.reader(Some(cpu));
        writer.or(reader).or(first).unwrap_or(cpu)
    }
}

impl Locks {
    pub(crate) fn init_rw(&mut self, lock: usize) {
        *self.rw.or_default(lock) = Rw::default();
    }

    pub(crate) fn init_spin(&mut self, lock: usize) {
        *self.spin.or_default(lock) = Spin::default();
    }

    /// The rule that CPU `cpu` breaks by asking for the lock, if any.
    pub(crate) fn rw_rule(&self, lock: usize, cpu: usize, write: bool) -> Option<Broken> {
        let Some(state) = self.rw.get(lock) else {
            return Some((
                "L0",
                format!("CPU {cpu} takes an rwlock that was never initialised"),
            ));
        };
        let held = |how| Some((if write { "L2" } else { "L1" }, format!("CPU {cpu} {how}")));
        match (write, state.readers[cpu] > 0, state.writes(cpu)) {
            (false, true, _) => held(
                "takes a read lock that it holds already: a writer queued in between is a deadlock",
            ),
            (false, _, true) => held("takes the read side of a lock that it holds for writing"),
            (true, true, _) => held("takes the write side of a lock that it holds for reading"),
            (true, _, true) => held("takes a write lock that it holds already"),
            _ if self.holds_any_spin(cpu) => {
                Some(("L3", format!("CPU {cpu} takes a p2m lock under a spinlock")))
            }
            _ if self.holds_any_rw(cpu) => Some((
                "L3",
                format!("CPU {cpu} takes a second p2m lock under another"),
            )),
            _ => None,
        }
    }

    pub(crate) fn try_read(&mut self, lock: usize, cpu: usize) -> Attempt {
        let strict = self.strict;
        let state = self.rw.or_default(lock);
        let granted = state.writes(cpu) || !strict && state.holds(cpu);
        let queued = state.queue.contains(&cpu);
        let free = state.writer.is_none() && state.announced.is_none();
        if granted || !queued && free || state.queue_up(cpu) && state.writer.is_none() {
            state.leave_queue(cpu);
            state.readers[cpu] += 1;
            return Attempt::Taken;
        }
        Attempt::Busy(state.blocker(cpu))
    }

    /// `read_trylock()`: whether CPU `cpu` has the lock now. It never queues. A lock that is free
    /// is refused every other time, as if a writer had just been there: callers must be able to
    /// go on either way.
    pub(crate) fn read_trylock(&mut self, lock: usize, cpu: usize) -> bool {
        self.refuses = !self.refuses;
        let refuses = self.refuses;
        let state = self.rw.or_default(lock);
        let free = state.writer.is_none() && state.announced.is_none();
        if !free || refuses {
            return false;
        }
        state.readers[cpu] += 1;
        true
    }

    pub(crate) fn try_write(&mut self, lock: usize, cpu: usize) -> Attempt {
        let strict = self.strict;
        let state = self.rw.or_default(lock);
        if let Some((holder, depth)) = state.writer {
            if holder == cpu {
                state.writer = Some((cpu, depth + 1));
                return Attempt::Taken;
            }
        }
        let no_reader = state.reader((!strict).then_some(cpu)).is_none();
        let free = state.writer.is_none() && state.announced.is_none() && no_reader;
        let queued = state.queue.contains(&cpu);
        if queued || !free {
            if !state.queue_up(cpu) || state.writer.is_some() {
                return Attempt::Busy(state.blocker(cpu));
            }
            // From here on no new reader gets in.
            state.announced = Some(cpu);
            if !no_reader {
                return Attempt::Busy(state.blocker(cpu));
            }
            state.leave_queue(cpu);
        }
        state.writer = Some((cpu, 1));
        Attempt::Taken
    }

    /// Grants a lock that is in somebody's hands, after that was reported.
    pub(crate) fn force(&mut self, lock: usize, cpu: usize, write: bool) {
        let state = self.rw.or_default(lock);
        state.leave_queue(cpu);
        if write {
            *state = Rw {
                queue: std::mem::take(&mut state.queue),
                writer: Some((cpu, 1)),
                ..Rw::default()
            };
        } else {
            state.readers[cpu] += 1;
        }
    }

    pub(crate) fn read_unlock(&mut self, lock: usize, cpu: usize) -> Result<(), Broken> {
        let state = self.rw.or_default(lock);
        if state.readers[cpu] == 0 {
            return Err((
                "L0",
                format!("CPU {cpu} drops a read lock that it does not hold"),
            ));
        }
        state.readers[cpu] -= 1;
        Ok(())
    }

    pub(crate) fn write_unlock(&mut self, lock: usize, cpu: usize) -> Result<(), Broken> {
        let state = self.rw.or_default(lock);
        match state.writer {
            Some((holder, depth)) if holder == cpu => {
                state.writer = (depth > 1).then_some((cpu, depth - 1));
                Ok(())
            }
            _ => Err((
                "L0",
                format!("CPU {cpu} drops a write lock that it does not hold"),
            )),
        }
    }

    pub(crate) fn spin_rule(&self, lock: usize, cpu: usize) -> Option<Broken> {
        match self.spin.get(lock) {
            None => Some((
                "L0",
                format!("CPU {cpu} takes a spinlock that was never initialised"),
            )),
            Some(s) if s.holder == Some(cpu) => Some((
                "L2",
                format!("CPU {cpu} takes a spinlock that it holds already"),
            )),
            Some(_) if self.holds_any_spin(cpu) => Some((
                "L3",
                format!("CPU {cpu} takes a spinlock under another: it is a leaf"),
            )),
            Some(_) => None,
        }
    }

    pub(crate) fn try_spin(&mut self, lock: usize, cpu: usize) -> Attempt {
        let state = self.spin.or_default(lock);
        match state.holder {
            Some(holder) if holder != cpu => Attempt::Busy(holder),
            _ => {
                state.holder = Some(cpu);
                Attempt::Taken
            }
        }
    }

    pub(crate) fn force_spin(&mut self, lock: usize, cpu: usize) {
        self.spin.or_default(lock).holder = Some(cpu);
    }

    pub(crate) fn spin_unlock(&mut self, lock: usize, cpu: usize) -> Result<(), Broken> {
        let state = self.spin.or_default(lock);
        if state.holder != Some(cpu) {
            return Err((
                "L0",
                format!("CPU {cpu} drops a spinlock that it does not hold"),
            ));
        }
        state.holder = None;
        Ok(())
    }

    /// As Xen's `rw_is_locked()`: anybody, in any mode, also a writer that
    /// waits.
    pub(crate) fn rw_is_locked(&self, lock: usize) -> bool {
        self.rw.get(lock).is_some_and(|s| {
            s.writer.is_some() || s.announced.is_some() || s.reader(None).is_some()
        })
    }

    pub(crate) fn rw_is_write_locked(&self, lock: usize) -> bool {
        self.rw.get(lock).is_some_and(|s| s.writer.is_some())
    }

    pub(crate) fn spin_is_locked(&self, lock: usize) -> bool {
        self.spin.get(lock).is_some_and(|s| s.holder.is_some())
    }

    /// The model's own answer: does this very CPU hold it?
    pub(crate) fn holds(&self, lock: usize, cpu: usize) -> bool {
        self.rw.get(lock).is_some_and(|s| s.holds(cpu))
    }

    pub(crate) fn holds_for_write(&self, lock: usize, cpu: usize) -> bool {
        self.rw.get(lock).is_some_and(|s| s.writes(cpu))
    }

    pub(crate) fn holds_spin(&self, lock: usize, cpu: usize) -> bool {
        let spin = self.spin.get(lock);
        spin.is_some_and(|spin| spin.holder == Some(cpu))
    }

    pub(crate) fn holds_any_rw(&self, cpu: usize) -> bool {
        self.rw.values().any(|s| s.holds(cpu))
    }

    pub(crate) fn holds_any_spin(&self, cpu: usize) -> bool {
        self.spin.values().any(|s| s.holder == Some(cpu))
    }

    /// Locks in somebody's hands.
    pub(crate) fn held(&self) -> Vec<String> {
        let rw = self
            .rw
            .iter()
            .filter(|(a, _)| self.rw_is_locked(*a))
            .map(|(a, s)| match s.writer {
                Some((cpu, _)) => format!("the write lock {a:#x} is held by CPU {cpu}"),
                None => format!("the read lock {a:#x} is held"),
            });
        let spin = self.spin.iter().filter_map(|(a, s)| {
            s.holder
                .map(|cpu| format!("the spinlock {a:#x} is held by CPU {cpu}"))
        });
        rw.chain(spin).collect()
    }
}
