// SPDX-License-Identifier: GPL-2.0-only
//! How much work a call does, in all and between two looks whether to preempt.
//!
//! Rule W1: the functions that can be preempted look often enough. Rule W2: no
//! call goes on for ever; it cannot be made to return, so Xen stops.

use xen_sys::XS_NR_CPUS;

use crate::event::Event;
use crate::machine::{with, State};

/// Table entries read or written between two looks: a table is read, copied
/// and changed, and walked to.
pub const MAX_ENTRIES: u64 = 4 * 512;

/// What can be preempted, and the pages that it may put, free, allocate, list
/// or clean between two looks.
pub const PREEMPTIBLE: [(&str, u64); 6] = [
    // All of a foreign block, and 511 single pages that do not make Xen look.
    ("relinquish_p2m_mapping", 2 * 512),
    ("p2m_teardown", 512),
    // One page, allocated or freed, is one more or less on a list.
    ("p2m_teardown_allocation", 2),
    ("arch_set_paging_mempool_size", 2),
    // Tables of two levels of blocks that are put together again, in steps of a
    // table of them; pages for new ones, of which 16 are taken ahead.
    ("p2m_set_mem_access", 2 * 512),
    // 512 units of work, of which a page is ten.
    ("p2m_cache_flush_range", 52),
];

/// Steps of one call, looks included.
pub const MAX_STEPS: u64 = 1 << 24;

/// The call that a CPU is in.
#[derive(Debug, Clone, Copy)]
struct Call {
    name: &'static str,
    /// The most pages between two looks; `None` if it need not look.
    max_pages: Option<u64>,
    entries: u64,
    pages: u64,
    steps: u64,
}

/// The calls of all CPUs.
#[derive(Debug)]
pub(crate) struct Work {
    calls: [Option<Call>; XS_NR_CPUS as usize],
    pub(crate) max_steps: u64,
    /// The call that Xen must be stopped for.
    pub(crate) endless: Option<String>,
    /// The most entries and pages seen between two looks.
    pub(crate) most: (u64, u64),
}

impl Default for Work {
    fn default() -> Self {
        Self {
            calls: [None; XS_NR_CPUS as usize],
            max_steps: MAX_STEPS,
            endless: None,
            most: (0, 0),
        }
    }
}

/// Ends the call when dropped.
pub(crate) struct InCall;

/// The CPU enters an exported function.
pub(crate) fn begin(name: &'static str) -> InCall {
    with(|m, cpu| {
        // Calls come from a guest that trapped, but for those of the switch from
        // one to another.
        if !m.cpus.cpus[cpu].switching {
            m.guest_traps(cpu);
        }
        m.work.calls[cpu] = Some(Call {
            name,
            max_pages: PREEMPTIBLE
                .iter()
                .find(|(n, _)| *n == name)
                .map(|&(_, pages)| pages),
            entries: 0,
            pages: 0,
            steps: 0,
        });
    });
    InCall
}

impl Drop for InCall {
    fn drop(&mut self) {
        with(|m, cpu| {
            if let Some(call) = m.work.calls[cpu].take() {
                m.check_agreement(cpu, call.name);
            }
        });
    }
}

impl State {
    /// An event is work of the call that caused it.
    pub(crate) fn count_work(&mut self, cpu: usize, event: &Event) {
        let (entries, pages) = match event {
            Event::PteLoad { .. } | Event::PteStore { .. } => (1, 0),
            Event::Put { .. } | Event::FlushPageToRam { .. } => (0, 1),
            Event::Free { order, .. } | Event::Alloc { order, .. } => (0, 1 << order),
            Event::PreemptCheck { .. } => {
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
    pub(crate) fn work_done(&mut self, cpu: usize, entries: u64, pages: u64) {
        let Some(call) = &mut self.work.calls[cpu] else {
            return;
        };
        call.entries += entries;
        call.pages += pages;
        call.steps += 1;
        let Call { name, steps, .. } = *call;
        if steps == self.work.max_steps {
            self.work.endless = Some(format!("W2: {name}() has not returned after {steps} steps"));
        }
        let Some(max_pages) = call.max_pages else {
            return;
        };
        let most = &mut self.work.most;
        *most = (most.0.max(call.entries), most.1.max(call.pages));
        if call.entries > MAX_ENTRIES || call.pages > max_pages {
            let done = format!(
                "{name}(): {} table entries and {} pages without a look whether to preempt",
                call.entries, call.pages
            );
            call.max_pages = None;
            self.broken("W1", done);
        }
    }
}
