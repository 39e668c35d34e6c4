// SPDX-License-Identifier: GPL-2.0-only
//! The floor of each row: what no correct implementation can do without.
//!
//! * `stores`: an entry for each page or block that becomes mapped, unmapped or restricted, two where
//!   break-before-make is needed, and one to link each new table. A new table is filled while it
//!   is not linked, so that its entries are stores, but need no barriers.
//! * `tables`: what the shape of the range needs, with the largest blocks that its alignment allows.
//! * `dsb`: one after the last store; where a TLB may hold an old entry, one more after the
//!   invalidation of a whole VMID, or two where it is of single pages, as stage 1 has to follow
//!   stage 2 (`DSB; TLBI IPAS2E1IS; DSB; TLBI VMALLE1IS; DSB`).
//! * `tlbi`: one invalidation of stage 2, of whatever kind, for each time the lock is held.
//! * `instructions`: only where a loop that does nothing but the least work was measured: fill
//!   262,144 entries (5.1 instructions each), or change as many (11 each).
//!
//! Numbers are for a whole row, all its calls together. What has no number has no floor that can be
//! derived without looking at the implementation.

/// The floor of one row.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::bench) struct Floor {
    /// Instructions.
    pub(in crate::bench) instructions: Option<u32>,
    /// Data synchronization barriers of any kind.
    pub(in crate::bench) dsb: Option<u32>,
    /// Broadcast invalidations of stage 2.
    pub(in crate::bench) tlbi: Option<u32>,
    /// Stores of entries.
    pub(in crate::bench) stores: Option<u32>,
    /// Table pages taken.
    pub(in crate::bench) tables: Option<u32>,
}

const fn floor(dsb: u32, tlbi: u32, stores: u32) -> Floor {
    Floor {
        instructions: None,
        dsb: Some(dsb),
        tlbi: Some(tlbi),
        stores: Some(stores),
        tables: None,
    }
}

impl Floor {
    const fn tables(mut self, pages: u32) -> Self {
        self.tables = Some(pages);
        self
    }

    const fn instructions(mut self, number: u32) -> Self {
        self.instructions = Some(number);
        self
    }
}

/// 4 KiB pages in 1 GiB.
const PAGES: u32 = 262_144;
/// 2 MiB blocks in 1 GiB, and entries in a table.
const BLOCKS: u32 = 512;
/// Filling the tables of 1 GiB.
const FILL: u32 = 1_340_000;
/// Changing every entry of 1 GiB.
const CHANGE: u32 = 2_900_000;

/// Rows and their floors, for a root at level 0.
const FLOORS: &[(&str, Floor)] = &[
    // A link and a block.
    ("map-1g-as-1g", floor(1, 0, 2).tables(1)),
    // 512 blocks lie in two tables of level 2, below one of level 1.
    ("map-1g-as-2m", floor(1, 0, BLOCKS + 3).tables(3)),
    ("map-1g-as-2m-calls", floor(BLOCKS, 0, BLOCKS + 2).tables(2)),
    // A block, a page, and the tables of levels 1, 2 and 3.
    ("map-1g-plus-page", floor(1, 0, 5).tables(3)),
    // 511 pages, 511 blocks, a page; tables: one of level 1, two of 2, two of 3.
    ("map-1g-shifted", floor(1, 0, 1023 + 5).tables(5)),
    ("map-1g-minus-page", floor(1, 0, 1022 + 3).tables(3)),
    (
        "map-1g-as-4k",
        floor(1, 0, PAGES + 514).tables(514).instructions(FILL),
    ),
    (
        "map-1g-as-4k-calls",
        floor(PAGES, 0, PAGES + 514).tables(514),
    ),
    // Another address in a live entry: broken, flushed, made.
    ("remap-512-calls", floor(3 * BLOCKS, BLOCKS, 2 * BLOCKS)),
    ("remap-512-as-4k", floor(3, 1, 2 * BLOCKS)),
    ("remap-1g-4k-by-2m", floor(3, 1, 2 * BLOCKS)),
    ("remap-1g-4k-by-1g", floor(3, 1, 2)),
    ("lookup-1g-block", floor(0, 0, 0)),
    ("lookup-2m-block", floor(0, 0, 0)),
    ("lookup-4k", floor(0, 0, 0)),
    ("lookup-hole", floor(0, 0, 0)),
    ("lookup-beyond", floor(0, 0, 0)),
    ("get-page-from-gfn", floor(0, 0, 0)),
    ("get-access-restricted", floor(0, 0, 0)),
    ("get-access-default", floor(0, 0, 0)),
    ("gva-direct", floor(0, 0, 0)),
    ("gva-untracked", floor(0, 0, 0)),
    ("gva-restricted", floor(0, 0, 0)),
    ("gva-restricted-tables", floor(0, 0, 0)),
    (
        "access-1g-4k-first",
        floor(2, 1, PAGES).instructions(CHANGE),
    ),
    (
        "access-1g-4k-change",
        floor(2, 1, PAGES).instructions(CHANGE),
    ),
    ("access-1g-4k-lift", floor(2, 1, PAGES).instructions(CHANGE)),
    ("access-1g-4k-preempted", floor(2, 1, PAGES)),
    // The new tables' entries restricted from the first, 512 blocks broken and linked.
    (
        "access-1g-2m",
        floor(3, 1, PAGES + 2 * BLOCKS).tables(BLOCKS),
    ),
    (
        "access-1g-1g",
        floor(3, 1, PAGES + BLOCKS + 2).tables(BLOCKS + 1),
    ),
    ("access-flip", floor(3000, 1000, 1000)),
    ("access-flip-among", floor(3000, 1000, 1000)),
    ("access-pages-r", floor(3000, 1000, 1000)),
    ("access-pages-rwx", floor(3000, 1000, 1000)),
    // Lifted and restricted again.
    ("event-p2m", floor(6000, 2000, 2000)),
    ("event-hook-p2m", floor(6000, 2000, 2000)),
    // The hole is in the new tables from the first; the block is broken and the table linked.
    ("unmap-page-of-1g", floor(3, 1, 2 * BLOCKS + 2).tables(2)),
    ("unmap-page-of-2m", floor(3, 1, BLOCKS + 2).tables(1)),
    // The entry above all of it, after every page was compared with what the caller expects.
    ("unmap-1g-4k", floor(2, 1, 1)),
    ("unmap-1g-4k-but-first", floor(2, 1, 511 + 511)),
    ("unmap-1g-4k-but-ends", floor(2, 1, 511 + 510 + 511)),
    ("unmap-1g-4k-calls", floor(3 * PAGES, PAGES, PAGES)),
    ("unmap-1g-2m", floor(2, 1, BLOCKS)),
    // No reference to drop: nothing to be done below the entry above.
    ("relinquish-1g-4k", floor(2, 1, 0)),
    ("relinquish-1g-4k-preempted", floor(2, 1, 0)),
    ("relinquish-1g-2m", floor(2, 1, 0)),
    ("relinquish-256m-foreign-2m", floor(2, 1, BLOCKS / 4)),
    ("relinquish-256m-foreign-4k", floor(2, 1, BLOCKS / 4)),
    ("teardown-514-tables", floor(0, 0, 0)),
    ("invalidate", floor(2, 1, 1)),
    // Below an entry whose bit 0 is clear nothing can be cached.
    // The pages of a table are tracked together.
    ("touch-one-page", floor(1, 0, BLOCKS + 4)),
    ("touch-1g", floor(BLOCKS, 0, 2 * BLOCKS + 3)),
    ("restore-same-vcpu", floor(0, 0, 0)),
    ("restore-other-vcpu", floor(2000, 0, 0)),
    ("save", floor(0, 0, 0)),
    ("flush-tlb-current", floor(2000, 1000, 0)),
    ("flush-tlb-other", floor(2000, 1000, 0)),
];

/// The floor of a row, if there is one.
pub(in crate::bench) fn of(name: &str) -> Option<&'static Floor> {
    FLOORS
        .iter()
        .find(|(row, _)| *row == name)
        .map(|(_, floor)| floor)
}
