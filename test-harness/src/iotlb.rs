// SPDX-License-Identifier: GPL-2.0-only
//! What an IOMMU that walks these tables may still reach.
//!
//! Rule P3: a page whose mapping was taken out, and a table, is put or freed
//! only after the IOTLB was flushed for the guest frames that led to it, and
//! the flush succeeded. Not for a dying domain: its devices are gone by then.
//! Only mappings that own a reference (foreign ones) and tables are followed.

use std::ops::Range;

use crate::config::Iommu;
use crate::event::Mfn;
use crate::machine::State;
use crate::pte;
use crate::world::Domain;

const FOREIGN: Range<u32> = 6..8;

/// Frames that devices may reach through guest frames that are unmapped.
#[derive(Debug)]
struct Reachable {
    domain: usize,
    gfns: Range<u64>,
    mfns: Range<Mfn>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Iotlb(Vec<Reachable>);

impl State {
    /// The guest frames behind a word of a live table.
    pub(crate) fn gfns_of(&self, mfn: Mfn, index: usize) -> Range<u64> {
        let Some(table) = self.tables.live.get(&mfn) else {
            return 0..0;
        };
        let start = match table.parent {
            Some((above, at)) => self.gfns_of(above, at).start,
            None => {
                let root = self.root_of(table.domain).unwrap_or(mfn);
                (mfn - root) << (pte::order(table.level) + 9)
            }
        };
        let first = start + ((index as u64) << pte::order(table.level));
        first..first + (1 << pte::order(table.level))
    }

    /// A valid entry was taken out; `gfns` led to it.
    pub(crate) fn iotlb_remember(
        &mut self,
        domain: usize,
        level: u32,
        entry: u64,
        gfns: Range<u64>,
    ) {
        let gone = self
            .domains
            .by_address(domain)
            .is_none_or(|d| Domain(d.pointer).is_dying());
        let owns = pte::is_table(entry, level) || FOREIGN.contains(&pte::p2m_type(entry));
        if self.config.iommu == Iommu::Off || gone || !owns || entry & pte::VALID == 0 {
            return;
        }
        let frames = if pte::is_table(entry, level) {
            1
        } else {
            1 << pte::order(level)
        };
        let mfns = pte::mfn(entry)..pte::mfn(entry) + frames;
        self.iotlb.0.push(Reachable { domain, gfns, mfns });
    }

    /// A successful IOTLB flush.
    pub(crate) fn iotlb_flush(&mut self, domain: usize, gfns: &Range<u64>) {
        self.iotlb
            .0
            .retain(|r| r.domain != domain || r.gfns.start < gfns.start || r.gfns.end > gfns.end);
    }

    /// A reference to the page is dropped, or the table freed.
    pub(crate) fn check_out_of_reach(&mut self, cpu: usize, mfn: Mfn) {
        if let Some(at) = self.iotlb.0.iter().position(|r| r.mfns.contains(&mfn)) {
            let gfns = self.iotlb.0.swap_remove(at).gfns;
            self.broken(
                "P3",
                format!(
                    "CPU {cpu} lets go of frame {mfn:#x}, which devices may reach at {gfns:#x?}"
                ),
            );
        }
    }
}
