// SPDX-License-Identifier: GPL-2.0-only
//! RAM that left its place in a host p2m, and whether the domain's device models were told.
//!
//! A device model (an ioreq server) keeps mappings of the guest's RAM, its mapcache. C has it drop them
//! (`ioreq_request_mapcache_invalidate()`) whenever it releases a leaf of the domain's own RAM, of whatever
//! level, whose place is empty now or has another frame (`p2m_free_entry()`). At the same frame it says
//! nothing. A device model that hears of something that is mapped as before is only slower for it.
//!
//! Rule M1: it hears of such RAM while the write lock is held. At which moment is no matter: the call sets a
//! flag of vCPUs, and at the end of a hypercall of one of these the device model drops all that it has
//! mapped. That may be before the store; but to map a page anew it needs the p2m's lock, and so it finds what is
//! there after the unlock. A domain that is dying has no device model any more:
//! `domain_relinquish_resources()` destroys them before it empties the p2m.

use crate::ground::event::Mfn;
use crate::ground::hash::WordMap;

/// Consecutive frames that were mapped from a guest frame on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left {
    pub(crate) gfn: u64,
    pub(crate) mfn: Mfn,
    pub(crate) pages: u64,
}

/// What happened since the write lock was taken.
#[derive(Debug, Default)]
pub(crate) struct Section {
    pub(crate) left: Vec<Left>,
    pub(crate) is_told: bool,
}

/// By the address of the domain.
#[derive(Debug, Default)]
pub(crate) struct Mapcache(WordMap<Section>);

impl Mapcache {
    /// An entry with RAM is no more what it was.
    pub(crate) fn add(&mut self, domain: usize, left: Left) {
        let all = &mut self.0.entry(domain as u64).or_default().left;
        match all.last_mut() {
            // Most are neighbours.
            Some(last)
                if last.gfn + last.pages == left.gfn && last.mfn + last.pages == left.mfn =>
            {
                last.pages += left.pages;
            }
            _ => all.push(left),
        }
    }

    /// The device models are told.
    pub(crate) fn tell(&mut self, domain: usize) {
        self.0.entry(domain as u64).or_default().is_told = true;
    }

    /// The lock is dropped: what happened under it.
    pub(crate) fn take(&mut self, domain: usize) -> Section {
        self.0.remove(&(domain as u64)).unwrap_or_default()
    }
}
