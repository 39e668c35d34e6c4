// SPDX-License-Identifier: GPL-2.0-only
//! The size of a domain's paging pool (`p2m_set_allocation`,
//! `arch_{get,set}_paging_mempool_size`, `p2m_teardown_allocation`).
//!
//! Called with the pool's lock, as the view shows; never with the p2m lock.
#![forbid(unsafe_code)]

use crate::types::addr::{PAGE_SHIFT, PAGE_SIZE};
use crate::types::errno::{Errno, Result};
use crate::xen::console;
use crate::xen::cpu;
use crate::xen::domain::Domain;
use crate::xen::pool::PoolView;

/// Whether the caller can be preempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preemption {
    /// Stop for pending work, and say so.
    Allowed,
    /// Go on to the end.
    Forbidden,
}

impl PoolView<'_> {
    /// Makes the pool `pages` large (`p2m_set_allocation`).
    ///
    /// # Errors
    ///
    /// [`Errno::ENOMEM`]: the heap is empty, or fewer pages are free than are
    /// to go. [`Errno::ERESTART`]: preempted. The pool stays as far as it came.
    pub fn set_size(&mut self, pages: u64, preemption: Preemption) -> Result {
        while self.total() != pages {
            if self.total() < pages {
                if !self.grow() {
                    console::no_page_for_pool();
                    return Err(Errno::ENOMEM);
                }
            } else if !self.shrink() {
                console::no_free_page_in_pool();
                return Err(Errno::ENOMEM);
            }
            if preemption == Preemption::Allowed && cpu::general_preempt_check() {
                return Err(Errno::ERESTART);
            }
        }
        Ok(())
    }
}

/// `arch_get_paging_mempool_size`: bytes in the pool, free and used.
pub fn mempool_size(domain: &Domain) -> u64 {
    domain.pool_pages() << PAGE_SHIFT
}

/// `arch_set_paging_mempool_size`.
///
/// # Errors
///
/// [`Errno::EINVAL`] if `bytes` is not whole pages, else as
/// [`PoolView::set_size`].
pub fn set_mempool_size(domain: &Domain, bytes: u64) -> Result {
    if bytes & (PAGE_SIZE - 1) != 0 {
        return Err(Errno::EINVAL);
    }
    let pages = bytes >> PAGE_SHIFT;
    domain.lock_pool().set_size(pages, Preemption::Allowed)
}

/// `p2m_teardown_allocation`: gives all pages back to the heap.
///
/// # Errors
///
/// As [`PoolView::set_size`].
pub fn teardown(domain: &Domain) -> Result {
    let mut pool = domain.lock_pool();
    let result = pool.set_size(0, Preemption::Allowed);
    // UPSTREAM-DEFECT: B19: pages that are still in use end here.
    debug_assert!(result == Err(Errno::ERESTART) || pool.total() == 0);
    result
}
