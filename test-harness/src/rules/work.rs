// SPDX-License-Identifier: GPL-2.0-only
//! Rules W1 and W2: the work of a call is counted; see [`crate::books::work`].

use super::State;
use crate::books::work::{never_returns, Call, MAX_ENTRIES, PREEMPTIBLE};
use crate::ground::event::Event;

impl State {
    /// The CPU enters an exported function.
    pub(crate) fn call_begins(&mut self, cpu: usize, name: &'static str) {
        // Calls come from a guest that trapped, but for those of the switch from
        // one to another.
        if !self.cpus.cpus[cpu].switching {
            self.guest_traps(cpu);
        }
        self.work.calls[cpu] = Some(Call {
            name,
            max_pages: PREEMPTIBLE
                .iter()
                .find(|(n, _)| *n == name)
                .map(|&(_, pages)| pages),
            entries: 0,
            pages: 0,
            steps: 0,
        });
    }

    /// It returns.
    pub(crate) fn call_ends(&mut self, cpu: usize) {
        self.check_not_given_up(cpu, "the end of the call");
        self.check_stage1_answered(cpu);
        if let Some(call) = self.work.calls[cpu].take() {
            self.check_agreement(cpu, call.name);
        }
    }

    /// An event is work of the call that caused it.
    #[inline(always)]
    pub(crate) fn count_work(&mut self, cpu: usize, event: &Event) {
        let (entries, pages) = match event {
            Event::PteLoad { .. } | Event::PteStore { .. } => (1, 0),
            Event::Put { .. } | Event::FlushPageToRam { .. } => (0, 1),
            Event::Free { order, .. } | Event::Alloc { order, .. } => (0, 1 << order),
            Event::PreemptCheck { .. } | Event::PendingSoftirqs => {
                if let Some(call) = &mut self.work.calls[cpu] {
                    (call.entries, call.pages) = (0, 0);
                }
                (0, 0)
            }
            _ => (0, 0),
        };
        self.work_done(cpu, entries, pages);
    }

    /// So much was done.
    #[inline(always)]
    pub(crate) fn work_done(&mut self, cpu: usize, entries: u64, pages: u64) {
        let Some(call) = &mut self.work.calls[cpu] else {
            return;
        };
        call.entries += entries;
        call.pages += pages;
        call.steps += 1;
        let Call { name, steps, .. } = *call;
        if steps == self.work.max_steps {
            self.work.endless = Some(never_returns(name, steps));
        }
        let Some(max_pages) = call.max_pages else {
            return;
        };
        let most = &mut self.work.most;
        *most = (most.0.max(call.entries), most.1.max(call.pages));
        if call.entries > MAX_ENTRIES || call.pages > max_pages {
            let done = (call.entries, call.pages);
            call.max_pages = None;
            self.too_much_work(name, done);
        }
    }

    #[cold]
    fn too_much_work(&mut self, name: &str, (entries, pages): (u64, u64)) {
        let what = format!(
            "{name}(): {entries} table entries and {pages} pages without a look whether to preempt"
        );
        self.broken("W1", what);
    }
}
