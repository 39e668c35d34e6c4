// SPDX-License-Identifier: GPL-2.0-only
//! The size of a domain's paging pool (`p2m_set_allocation`,
//! `arch_{get,set}_paging_mempool_size`, `p2m_teardown_allocation`).
//!
//! These functions hold the paging lock, as [`PoolView`] shows, and never the p2m lock.
#![forbid(unsafe_code)]

use super::preemption::Preemption;
use crate::types::addr::{PAGE_SHIFT, PAGE_SIZE};
use crate::types::errno::{Errno, Result};
use crate::xen::console;
use crate::xen::cpu;
use crate::xen::domain::Domain;
use crate::xen::pool::PoolView;

/// `p2m_set_allocation`: sets the size of the pool to `pages` pages.
///
/// # Errors
///
/// [`Errno::ENOMEM`]: the heap is empty, or the pool has fewer free pages than should be
/// removed. [`Errno::ERESTART`]: preempted. The pool keeps the size that was reached.
pub(crate) fn set_allocation(
    pool: &mut PoolView<'_>,
    pages: u64,
    preemption: Preemption,
) -> Result {
    while pool.total() != pages {
        if pool.total() < pages {
            if !pool.grow() {
                console::no_page_for_pool();
                return Err(Errno::ENOMEM);
            }
        } else if !pool.shrink() {
            console::no_free_page_in_pool();
            return Err(Errno::ENOMEM);
        }
        if preemption == Preemption::Allowed && cpu::general_preempt_check() {
            return Err(Errno::ERESTART);
        }
    }
    Ok(())
}

/// `arch_get_paging_mempool_size`: the size of the pool in bytes, free and used pages.
pub(crate) fn mempool_size(domain: &Domain) -> u64 {
    domain.pool_pages() << PAGE_SHIFT
}

/// `arch_set_paging_mempool_size`: sets the size of the pool in bytes.
///
/// # Errors
///
/// [`Errno::EINVAL`] if `bytes` is not a multiple of the page size, otherwise those of
/// [`set_allocation`].
pub(crate) fn set_mempool_size(domain: &Domain, bytes: u64) -> Result {
    if bytes & (PAGE_SIZE - 1) != 0 {
        return Err(Errno::EINVAL);
    }
    let pages = bytes >> PAGE_SHIFT;
    set_allocation(&mut domain.lock_pool(), pages, Preemption::Allowed)
}

/// `p2m_teardown_allocation`: gives all pages back to the heap.
///
/// # Errors
///
/// Those of [`set_allocation`].
pub(crate) fn teardown(domain: &Domain) -> Result {
    let mut pool = domain.lock_pool();
    let result = set_allocation(&mut pool, 0, Preemption::Allowed);
    // All tables were freed before: `domain_kill` calls `p2m_teardown` first, which frees
    // all of the list of pages. (If not, C answers -ENOMEM, too, at which `domain_kill` stops.)
    debug_assert!(result == Err(Errno::ERESTART) || pool.total() == 0);
    result
}
