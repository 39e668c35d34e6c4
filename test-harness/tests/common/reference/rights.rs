// SPDX-License-Identifier: GPL-2.0-only
//! What types and accesses mean.

use crate::common::{access, p2mt};

/// Rights of a mapping: what the type gives and the access leaves.
pub(super) fn rights(t: u32, a: u32) -> (bool, bool, bool) {
    let read_only = [
        p2mt::RAM_RO,
        p2mt::FOREIGN_RO,
        p2mt::GRANT_RO,
        p2mt::IOMMU_RO,
    ];
    let (read, write, execute) = allows(a);
    (
        read,
        write && !read_only.contains(&t),
        execute && p2mt::is_ram(t),
    )
}

/// What an access allows: reads, writes, fetches.
pub(super) fn allows(a: u32) -> (bool, bool, bool) {
    match a {
        access::N | access::N2RWX => (false, false, false),
        access::R | access::R_PW => (true, false, false),
        access::W => (false, true, false),
        access::RW => (true, true, false),
        access::X => (false, false, true),
        access::RX | access::RX2RW => (true, false, true),
        access::WX => (false, true, true),
        _ => (true, true, true),
    }
}
