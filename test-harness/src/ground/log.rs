// SPDX-License-Identifier: GPL-2.0-only
//! The last events, and who listens to all of them.

use std::collections::VecDeque;

use super::event::{Checker, Event, Violation};
use super::trace::{Line, Trace};

/// The last events, how many there were, and who listens.
pub(crate) struct Log {
    ring: VecDeque<(usize, Event)>,
    capacity: usize,
    visible: u64,
    checkers: Vec<Box<dyn Checker>>,
    trace: Option<Trace>,
}

impl Log {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            ring: VecDeque::new(),
            capacity,
            visible: 0,
            checkers: Vec::new(),
            trace: Trace::on_request(),
        }
    }

    pub(crate) fn push(&mut self, cpu: usize, event: &Event, visible: bool) -> Option<Violation> {
        if let Some(trace) = &mut self.trace {
            trace.write(Line { cpu, event });
        }
        let found = self
            .checkers
            .iter_mut()
            .fold(None, |found, c| c.event(cpu, event).or(found));
        self.visible += u64::from(visible);
        if self.capacity > 0 {
            if self.ring.len() == self.capacity {
                self.ring.pop_front();
            }
            self.ring.push_back((cpu, event.clone()));
        }
        found
    }

    pub(crate) fn subscribe(&mut self, checker: Box<dyn Checker>) {
        self.checkers.push(checker);
    }

    /// Visible events so far.
    pub(crate) fn visible(&self) -> u64 {
        self.visible
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(usize, Event)> {
        self.ring.iter()
    }

    pub(crate) fn clear(&mut self) {
        self.ring.clear();
    }
}
