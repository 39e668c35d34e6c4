// SPDX-License-Identifier: GPL-2.0-only
//! The lines of a dump of stage 2 (debug key `D`). Tools read them: a field may be added, but a
//! change of what is there is a new number after `format=`.
//!
//! Each line has the mark `p2m-dump:` by which it is found in a console's log, the domain, and
//! its number in the dump, so that a reader notices a line that is missing; and a semicolon at
//! its end, so that it notices one that was cut. Frames and numbers of frames are hexadecimal.

use core::ffi::{c_uint, CStr};

use super::printk::Format;
use crate::types::access::P2mAccess;
use crate::types::addr::{Gfn, Mfn};
use crate::types::level::Level;
use crate::types::p2m_type::P2mType;
use crate::xen::domain::Domain;

/// What a domain's stage 2 is like as a whole.
pub(crate) struct Shape {
    pub(crate) vmid: u16,
    pub(crate) ipa_bits: u32,
    pub(crate) root_level: Level,
    pub(crate) root_pages: u32,
    pub(crate) mem_access: bool,
    pub(crate) default_access: P2mAccess,
}

/// A run of leaves that are alike.
#[derive(Clone, Copy)]
pub(crate) struct Leaves {
    /// The first machine frame, which the others follow; `None` if they do not.
    pub(crate) mfn: Option<Mfn>,
    /// Of the entries.
    pub(crate) level: Level,
    pub(crate) ty: P2mType,
    pub(crate) access: P2mAccess,
    pub(crate) valid: Valid,
}

/// Whether the hardware may use an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Valid {
    /// Yes.
    Yes,
    /// Its own valid bit is clear.
    No,
    /// Its own valid bit is set, but that of an entry on the way to it is clear.
    NotAbove,
}

/// The numbers at the end.
pub(crate) struct Totals {
    /// Tables of each level, the root's pages among them.
    pub(crate) tables: [u64; 4],
    /// Tables without any entry.
    pub(crate) empty: u64,
    /// Times that blocks of 1 GiB and of 2 MiB were split since the domain was created.
    pub(crate) split: [u64; 2],
    /// Times that the lock was taken for this dump.
    pub(crate) locked: u64,
    /// Pages that are mapped by blocks of 1 GiB, by blocks of 2 MiB, and one by one.
    pub(crate) pages: [u64; 3],
    /// Runs that were not printed, and their pages.
    pub(crate) left_out: [u64; 2],
}

/// The first line.
pub(crate) fn begin(domain: &Domain, line: u32, shape: &Shape) {
    print!(
        c"p2m-dump: d%u %u begin format=1 vmid=%u ipa-bits=%u root-level=%u root-pages=%u mem-access=%s default=%s dying=%u;\n",
        c_uint::from(domain.id()),
        line,
        c_uint::from(shape.vmid),
        shape.ipa_bits,
        shape.root_level.number(),
        shape.root_pages,
        if shape.mem_access { c"on" } else { c"off" },
        access(shape.default_access),
        c_uint::from(domain.is_dying())
    );
}

/// A run of leaves.
pub(crate) fn leaves(domain: &Domain, line: u32, gfn: Gfn, pages: u64, run: &Leaves) {
    print!(
        c"p2m-dump: d%u %u map gfn=%#lx mfn=%#lx pages=%#lx order=%u type=%s access=%s valid=%s;\n",
        c_uint::from(domain.id()),
        line,
        gfn.raw(),
        Mfn::to_c(run.mfn),
        pages,
        run.level.order(),
        ty(run.ty),
        access(run.access),
        match run.valid {
            Valid::Yes => c"yes",
            Valid::No => c"no",
            Valid::NotAbove => c"not-above",
        }
    );
}

/// Neighbouring tables of `level` without any entry, which span `pages` pages.
pub(crate) fn empty_tables(domain: &Domain, line: u32, gfn: Gfn, pages: u64, level: Level) {
    print!(
        c"p2m-dump: d%u %u empty gfn=%#lx pages=%#lx level=%u;\n",
        c_uint::from(domain.id()),
        line,
        gfn.raw(),
        pages,
        level.number()
    );
}

/// The last three lines; `line` is the number of the first of them.
pub(crate) fn totals(domain: &Domain, line: u32, totals: &Totals) {
    let id = c_uint::from(domain.id());
    let [l0, l1, l2, l3] = totals.tables;
    print!(
        c"p2m-dump: d%u %u tables l0=%lu l1=%lu l2=%lu l3=%lu empty=%lu pool=%lu heap=%u;\n",
        id,
        line,
        l0,
        l1,
        l2,
        l3,
        totals.empty,
        domain.pool_pages(),
        c_uint::from(domain.is_hardware_domain())
    );
    let [split1, split2] = totals.split;
    print!(
        c"p2m-dump: d%u %u history split-1g=%lu split-2m=%lu locked=%lu;\n",
        id,
        line.wrapping_add(1),
        split1,
        split2,
        totals.locked
    );
    let ([p1, p2, p3], [runs, pages]) = (totals.pages, totals.left_out);
    print!(
        c"p2m-dump: d%u %u end pages-1g=%#lx pages-2m=%#lx pages-4k=%#lx left-out=%lu left-out-pages=%#lx dying=%u format=%u;\n",
        id,
        line.wrapping_add(2),
        p1,
        p2,
        p3,
        runs,
        pages,
        c_uint::from(domain.is_dying()),
        1u32
    );
}

/// C's name, without `p2m_`.
const fn ty(ty: P2mType) -> &'static CStr {
    match ty {
        P2mType::RamRw => c"ram_rw",
        P2mType::RamRo => c"ram_ro",
        P2mType::MmioDirectDev => c"mmio_direct_dev",
        P2mType::MmioDirectNc => c"mmio_direct_nc",
        P2mType::MmioDirectC => c"mmio_direct_c",
        P2mType::ForeignRw => c"map_foreign_rw",
        P2mType::ForeignRo => c"map_foreign_ro",
        P2mType::GrantRw => c"grant_map_rw",
        P2mType::GrantRo => c"grant_map_ro",
        P2mType::IommuRw => c"iommu_map_rw",
        P2mType::IommuRo => c"iommu_map_ro",
    }
}

/// C's name, without `p2m_access_`.
const fn access(access: P2mAccess) -> &'static CStr {
    match access {
        P2mAccess::N => c"n",
        P2mAccess::R => c"r",
        P2mAccess::W => c"w",
        P2mAccess::Rw => c"rw",
        P2mAccess::X => c"x",
        P2mAccess::Rx => c"rx",
        P2mAccess::Wx => c"wx",
        P2mAccess::Rwx => c"rwx",
        P2mAccess::Rx2rw => c"rx2rw",
        P2mAccess::N2rwx => c"n2rwx",
        P2mAccess::RPw => c"r_pw",
    }
}
