// SPDX-License-Identifier: GPL-2.0-only
//! What an operation answered, and what was prepared for it.

use test_harness::abi::errno;
use test_harness::{Preempt, Waiting};

use crate::sides::side::Side;

/// What an operation answered: names and values.
pub(crate) type Outcome = Vec<(&'static str, u64)>;

/// What was prepared for the next operation.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Prepared {
    pub(crate) alloc: u64,
    pub(crate) preempt: u64,
    /// It is an event that waits, no softirq.
    pub(crate) event: bool,
}

impl Prepared {
    pub(crate) fn set(self, side: &Side) {
        let some = |n: u64| (n != 0).then_some(n);
        // From there on: the Rust frees what it took out before it gives up, and tries
        // again; the C has freed it already.
        side.world.fail_allocations_from(some(self.alloc));
        self.again(side);
    }

    /// The preemption, once more.
    pub(crate) fn again(self, side: &Side) {
        let when = match self.preempt {
            0 => Preempt::Never,
            k => Preempt::At(k),
        };
        let waiting = if self.event {
            Waiting::Event
        } else {
            Waiting::Softirq
        };
        side.world.preempt_for(when, waiting);
    }

    /// Calls `step` until it does not want to be called again.
    pub(crate) fn through(self, side: &Side, mut step: impl FnMut() -> i32) -> Outcome {
        for calls in 1.. {
            let rc = step();
            if rc != errno::ERESTART {
                return vec![("return", word(rc)), ("calls", calls)];
            }
            if calls < 64 {
                self.again(side);
            }
        }
        Vec::new()
    }
}

pub(crate) fn word(rc: i32) -> u64 {
    i64::from(rc) as u64
}
