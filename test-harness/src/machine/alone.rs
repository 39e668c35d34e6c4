// SPDX-License-Identifier: GPL-2.0-only
//! A machine that one thread has for itself: its state is taken out of the machine, from under the lock, and is the
//! thread's until it leaves.
//!
//! Millions of operations are compared by one thread, and the locks of their mock functions took a good part of the
//! time.

use std::cell::RefCell;
use std::sync::Arc;

use super::shared::Machine;
use crate::ground::panics::die;
use crate::rules::State;

/// A machine, and its state.
pub(crate) struct Own {
    machine: Arc<Machine>,
    state: Box<State>,
}

thread_local! {
    static OWN: RefCell<Option<Own>> = const { RefCell::new(None) };
}

/// This thread has the machine alone from now on. Returns what it had before: for [`leave`].
pub(crate) fn enter(machine: &Arc<Machine>) -> Option<Own> {
    let is_mine = OWN.with_borrow(|own| own.as_ref().is_some_and(|own| own.is(machine)));
    if is_mine || machine.scheduler.is_some() {
        die("a machine can be had alone by one thread, once, and not with a scheduler");
    }
    let Some(state) = machine.lock().0.take() else {
        die("another thread has the machine alone");
    };
    let machine = machine.clone();
    OWN.replace(Some(Own { machine, state }))
}

/// The end of that: the machine has its state again.
pub(crate) fn leave(before: Option<Own>) {
    if let Some(Own { machine, state }) = OWN.replace(before) {
        *machine.lock().0 = Some(state);
    }
}

/// Whether this thread has its machine alone.
pub(crate) fn is(machine: &Arc<Machine>) -> bool {
    on(machine, |own| own.is_some())
}

/// Runs `body` on the machine's state, if this thread has it alone.
#[inline(always)]
pub(crate) fn on<R>(machine: &Arc<Machine>, body: impl FnOnce(Option<&mut State>) -> R) -> R {
    OWN.with_borrow_mut(|own| {
        let own = own.as_mut().filter(|own| own.is(machine));
        body(own.map(|own| &mut *own.state))
    })
}

impl Own {
    fn is(&self, machine: &Arc<Machine>) -> bool {
        Arc::ptr_eq(&self.machine, machine)
    }
}
