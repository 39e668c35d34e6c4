// SPDX-License-Identifier: GPL-2.0-only
//! Printing a p2m for debugging (`p2m_dump_info`, for the `q` debug key, and
//! `dump_p2m_lookup`).
#![forbid(unsafe_code)]

use core::sync::atomic::Ordering::Relaxed;

use crate::p2m::token::Unlocked;
use crate::p2m::P2m;
use crate::types::level::Level;
use crate::xen::console;
use crate::xen::domain::Domain;
use crate::xen::globals::{p2m_root_level, root_pages};

/// `p2m_dump_info`: prints the number of mappings of each size.
pub(crate) fn info(cx: &mut Unlocked<'_>, domain: &Domain) {
    let p2m = P2m::host_of(domain);
    console::p2m_mappings_of(domain, p2m.vmid());
    let p2m = p2m.read(cx);
    if p2m.mappings(Level::L0) != 0 || p2m.shattered(Level::L0) != 0 {
        console::bug("a block at level 0");
    }
    console::p2m_statistics(
        [Level::L1, Level::L2, Level::L3].map(|level| p2m.mappings(level)),
        [Level::L1, Level::L2].map(|level| p2m.shattered(level)),
    );
}

/// `dump_p2m_lookup`: prints the walk of one address. It takes no lock,
/// as in C, so that it works whatever state Xen is in.
pub(crate) fn lookup(domain: &Domain, address: u64) {
    let Some(root) = P2m::host_of(domain).root() else {
        return;
    };
    console::p2m_lookup_of(domain, address, root);
    // At most 8 pages.
    let pages = u32::try_from(root_pages()).unwrap_or(1);
    console::dump_walk(
        root.mfn().base(),
        address,
        p2m_root_level().load(Relaxed),
        pages,
    );
}
