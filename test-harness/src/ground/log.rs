// SPDX-License-Identifier: GPL-2.0-only
//! The last events, and who listens to all of them.

use std::any::Any;
use std::collections::VecDeque;

use super::event::{Checker, Event, Topic, Violation};
use super::trace::{Line, Trace};

/// The last events, how many there were, and who listens.
pub(crate) struct Log {
    ring: VecDeque<(usize, Event)>,
    capacity: usize,
    visible: u64,
    checkers: Vec<Box<dyn Checker>>,
    trace: Option<Trace>,
    /// By topic, whether there is anybody who follows it: for a file, the ring or a checker.
    follows: [bool; Topic::ALL.len()],
}

impl Log {
    pub(crate) fn new(capacity: usize) -> Self {
        let trace = Trace::on_request();
        Self {
            ring: VecDeque::new(),
            capacity,
            visible: 0,
            checkers: Vec::new(),
            follows: [capacity > 0 || trace.is_some(); Topic::ALL.len()],
            trace,
        }
    }

    /// Who calls this knows which event it is: where nobody follows that, it is no more than a look.
    #[inline(always)]
    pub(crate) fn push(&mut self, cpu: usize, event: &Event, visible: bool) -> Option<Violation> {
        self.visible += u64::from(visible);
        if self.follows[event.topic() as usize] {
            self.pass_on(cpu, event)
        } else {
            None
        }
    }

    #[inline(never)]
    fn pass_on(&mut self, cpu: usize, event: &Event) -> Option<Violation> {
        if let Some(trace) = &mut self.trace {
            trace.write(Line { cpu, event });
        }
        let found = self
            .checkers
            .iter_mut()
            .fold(None, |found, c| c.event(cpu, event).or(found));
        if self.capacity > 0 {
            if self.ring.len() == self.capacity {
                self.ring.pop_front();
            }
            self.ring.push_back((cpu, event.clone()));
        }
        found
    }

    pub(crate) fn subscribe(&mut self, checker: Box<dyn Checker>) {
        for topic in Topic::ALL {
            self.follows[topic as usize] |= checker.follows(topic);
        }
        self.checkers.push(checker);
    }

    /// What the first checker that gathers anything has gathered.
    pub(crate) fn gathered(&mut self) -> Option<Box<dyn Any>> {
        self.checkers.iter_mut().find_map(|c| c.gathered())
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
