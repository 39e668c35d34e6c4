// SPDX-License-Identifier: GPL-2.0-only
//! How much work a call does, in all and between two looks whether to preempt.
//!
//! Rule W1: the functions that can be preempted look often enough. Rule W2: no
//! call goes on for ever; it cannot be made to return, so Xen stops.

use xen_sys::XS_NR_CPUS;

/// Table entries read or written between two looks: a table is read, copied
/// and changed, and walked to.
pub const MAX_ENTRIES: u64 = 4 * 512;

/// What can be preempted, and the pages that it may put, free, allocate, list
/// or clean between two looks.
pub const PREEMPTIBLE: [(&str, u64); 7] = [
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
    // Pages are printed, and nothing is done with them.
    ("p2m_dump_stage2", 0),
];

/// Steps of one call, looks included.
pub const MAX_STEPS: u64 = 1 << 24;

/// The call that a CPU is in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    /// The most pages between two looks; `None` if it need not look.
    pub(crate) max_pages: Option<u64>,
    pub(crate) entries: u64,
    pub(crate) pages: u64,
    pub(crate) steps: u64,
}

/// The calls of all CPUs.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) calls: [Option<Call>; XS_NR_CPUS as usize],
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

/// What is said of a call that does not come to an end.
#[cold]
pub(crate) fn never_returns(name: &str, steps: u64) -> String {
    format!("W2: {name}() has not returned after {steps} steps")
}
