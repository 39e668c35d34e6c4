// SPDX-License-Identifier: GPL-2.0-only
//! rwlock and spinlock.

use xen_sys::{rwlock_t, spinlock_t};

use crate::ground::event::{Event, LockOp};
use crate::machine::{self, with};
use crate::model::locks::Attempt;
use crate::rules::State;

#[unsafe(no_mangle)]
extern "C" fn xs_rwlock_init(l: *mut rwlock_t) {
    with(|m, _| m.locks.init_rw(l.addr()));
}

#[unsafe(no_mangle)]
extern "C" fn xs_spin_lock_init(l: *mut spinlock_t) {
    with(|m, _| m.init_spin(l.addr()));
}

/// A CPU has locked or unlocked.
fn done(m: &mut State, cpu: usize, lock: usize, op: LockOp) {
    m.cpus.cpus[cpu].synchronized = false;
    m.event(cpu, Event::Lock { lock, op });
}

/// Tries until the lock is had; says so when that cannot happen.
fn acquire(
    lock: usize,
    op: LockOp,
    rule: impl FnOnce(&State, usize) -> Option<(&'static str, String)>,
    attempt: impl Fn(&mut State, usize) -> Attempt,
    force: impl FnOnce(&mut State, usize),
) {
    let is_taken = machine::at(|_, m, cpu| {
        if let Some((id, what)) = rule(m, cpu) {
            m.broken(id, what);
        }
        m.must_be_lockable(cpu);
        let is_taken = matches!(attempt(m, cpu), Attempt::Taken);
        if is_taken {
            done(m, cpu, lock, op);
        }
        is_taken
    });
    if !is_taken {
        wait_for(lock, op, attempt, force);
    }
    // The next in the queue may get in, too.
    machine::let_others_run(!is_taken);
}

/// Another CPU has it.
#[cold]
fn wait_for(
    lock: usize,
    op: LockOp,
    attempt: impl Fn(&mut State, usize) -> Attempt,
    force: impl FnOnce(&mut State, usize),
) {
    let deadlock = |m: &mut State, cpu: usize, holder: usize| {
        m.broken(
            "L6",
            format!("deadlock: CPU {cpu} waits for {lock:#x}, which CPU {holder} has"),
        );
        force(m, cpu);
    };
    let here = machine::here();
    if machine::alone::is(&here.machine) {
        // Nobody is there who could drop it.
        with(|m, cpu| {
            if let Attempt::Busy(holder) = attempt(m, cpu) {
                deadlock(m, cpu, holder);
            }
            done(m, cpu, lock, op);
        });
        return;
    }
    let cpu = here.machine.cpu(here.cpu);
    let mut state = here.machine.lock();
    loop {
        match attempt(&mut state, cpu) {
            Attempt::Taken => break,
            Attempt::Busy(holder) => {
                let moved = here.machine.block(state);
                state = here.machine.lock();
                if !moved {
                    deadlock(&mut state, cpu, holder);
                    break;
                }
            }
        }
    }
    done(&mut state, cpu, lock, op);
}

fn release(
    lock: usize,
    op: LockOp,
    unlock: impl FnOnce(&mut State, usize) -> Result<(), (&'static str, String)>,
) {
    let meanwhile = machine::at(|_, m, cpu| {
        if let Err((id, what)) = unlock(m, cpu) {
            m.broken(id, what);
        }
        done(m, cpu, lock, op);
        m.meanwhile.take_if(|(wait, _)| {
            *wait -= u32::from(op == LockOp::ReadUnlock);
            *wait == 0
        })
    });
    machine::let_others_run(true);
    if let Some((_, meanwhile)) = meanwhile {
        machine::on_the_other_cpu(meanwhile);
    }
}

#[unsafe(no_mangle)]
extern "C" fn xs_read_lock(l: *mut rwlock_t) {
    let lock = l.addr();
    acquire(
        lock,
        LockOp::Read,
        |m, cpu| m.locks.rw_rule(lock, cpu, false),
        |m, cpu| m.locks.try_read(lock, cpu),
        |m, cpu| m.locks.force(lock, cpu, false),
    );
}

#[unsafe(no_mangle)]
extern "C" fn xs_read_trylock(l: *mut rwlock_t) -> bool {
    let lock = l.addr();
    let is_taken = machine::at(|_, m, cpu| {
        let rule = m.locks.rw_rule(lock, cpu, false);
        m.must_be_lockable(cpu);
        let is_taken = m.locks.read_trylock(lock, cpu);
        if is_taken {
            // It did not wait for itself, but might have.
            if let Some((id, what)) = rule {
                m.broken(id, what);
            }
            let op = LockOp::Read;
            done(m, cpu, lock, op);
        }
        is_taken
    });
    machine::let_others_run(false);
    is_taken
}

#[unsafe(no_mangle)]
extern "C" fn xs_write_lock(l: *mut rwlock_t) {
    let lock = l.addr();
    acquire(
        lock,
        LockOp::Write,
        |m, cpu| m.locks.rw_rule(lock, cpu, true),
        |m, cpu| m.locks.try_write(lock, cpu),
        |m, cpu| m.locks.force(lock, cpu, true),
    );
}

#[unsafe(no_mangle)]
extern "C" fn xs_read_unlock(l: *mut rwlock_t) {
    release(l.addr(), LockOp::ReadUnlock, |m, cpu| {
        m.locks.read_unlock(l.addr(), cpu)
    });
}

#[unsafe(no_mangle)]
extern "C" fn xs_write_unlock(l: *mut rwlock_t) {
    release(l.addr(), LockOp::WriteUnlock, |m, cpu| {
        let owner = m
            .domains
            .domains
            .iter()
            .find(|d| d.lock_address() == l.addr());
        if let Some(domain) = owner.map(|d| d.pointer.addr()) {
            m.check_cleaned(domain, "when the write lock is dropped");
            m.check_published(domain, "when the write lock is dropped");
            m.check_flushed(domain);
            m.check_told(domain);
            m.check_met(domain);
            m.check_mapcache(domain);
        }
        m.locks.write_unlock(l.addr(), cpu)
    });
}

#[unsafe(no_mangle)]
extern "C" fn xs_rw_is_locked(l: *const rwlock_t) -> bool {
    with(|m, _| m.locks.rw_is_locked(l.addr()))
}

#[unsafe(no_mangle)]
extern "C" fn xs_rw_is_write_locked(l: *const rwlock_t) -> bool {
    with(|m, _| m.locks.rw_is_write_locked(l.addr()))
}

#[unsafe(no_mangle)]
extern "C" fn xs_spin_lock(l: *mut spinlock_t) {
    let lock = l.addr();
    acquire(
        lock,
        LockOp::Spin,
        |m, cpu| m.locks.spin_rule(lock, cpu),
        |m, cpu| m.try_spin(lock, cpu),
        |m, cpu| m.locks.force_spin(lock, cpu),
    );
}

#[unsafe(no_mangle)]
extern "C" fn xs_spin_unlock(l: *mut spinlock_t) {
    release(l.addr(), LockOp::SpinUnlock, |m, cpu| {
        m.leave_pool(l.addr());
        m.locks.spin_unlock(l.addr(), cpu)
    });
}

#[unsafe(no_mangle)]
extern "C" fn xs_spin_is_locked(l: *const spinlock_t) -> bool {
    with(|m, _| m.locks.spin_is_locked(l.addr()))
}
