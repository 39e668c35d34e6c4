// SPDX-License-Identifier: GPL-2.0-only
//! [`Progress`]: how far a change of a range got.

use crate::types::errno::{Failure, Outcome};

/// How many pages of a range are done, and why the rest is not. With [`Failure::Iommu`] the pages
/// whose IOTLB flush failed count as done: their entries have changed.
#[must_use = "the rest of the range may have failed"]
pub(crate) struct Progress {
    pub(crate) pages: u64,
    pub(crate) outcome: Outcome,
}

impl Progress {
    /// All `pages` pages are done.
    #[inline(always)]
    pub(crate) const fn done(pages: u64) -> Self {
        Self {
            pages,
            outcome: Ok(()),
        }
    }

    /// Nothing is done, because of `failure`.
    #[inline(always)]
    pub(crate) const fn failed(failure: Failure) -> Self {
        Self {
            pages: 0,
            outcome: Err(failure),
        }
    }

    /// `pages` pages are done; `outcome` is that of the last part.
    #[inline(always)]
    pub(crate) const fn of(pages: u64, outcome: Outcome) -> Self {
        Self { pages, outcome }
    }
}
