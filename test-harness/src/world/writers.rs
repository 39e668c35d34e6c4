// SPDX-License-Identifier: GPL-2.0-only
//! Who writes guest RAM beside the guest, and what stays in the caches of it.

use std::ops::Range;

use super::World;
use crate::books::dirty::Writer;
use crate::ground::event::Mfn;
use crate::ground::handles::{Domain, Vcpu};
use crate::machine::in_call::cleaning;
use crate::machine::with;
use crate::model::guests::Want;

fn write(writer: Writer, mfn: Mfn) {
    with(|m, _| m.dirty.pages.insert(mfn, writer));
}

impl Domain {
    /// The domain's vCPU that runs on this CPU writes a page of its own: through stage 2,
    /// after the faults that this takes. The frame, or none if it may not.
    pub fn guest_writes(self, gfn: u64) -> Option<Mfn> {
        for _ in 0..8 {
            let maddr = with(|m, cpu| m.hardware_walk(cpu, gfn << 12, Want::Write));
            if let Some(maddr) = maddr {
                write(Writer::Guest, maddr >> 12);
                return Some(maddr >> 12);
            }
            if !self.resolve(gfn) {
                return None;
            }
        }
        None
    }
}

impl World {
    /// `writer` writes a page in the caches, through a mapping of its own.
    pub fn writes(&self, writer: Writer, mfn: Mfn) {
        write(writer, mfn);
    }

    /// Xen writes to a buffer of the current vCPU's. Its frame, or none if there is no
    /// page to be had.
    pub fn xen_copies_to(&self, v: Vcpu, gva: u64) -> Option<Mfn> {
        let page = v.page_from_gva(gva, true)?;
        self.writes(Writer::Xen, page.mfn());
        Some(page.put())
    }

    /// A backend or the toolstack maps a guest's page, writes it, and unmaps it. Its
    /// frame, or none if there is no page to be had.
    pub fn foreign_writes(&self, writer: Writer, d: Domain, gfn: u64) -> Option<Mfn> {
        let page = d.page_from_gfn(gfn).0?;
        self.writes(writer, page.mfn());
        Some(page.put())
    }

    /// Pages that memory is behind of, and who wrote them.
    #[must_use]
    pub fn dirty_pages(&self) -> Vec<(Mfn, Writer)> {
        with(|m, _| m.dirty.pages.iter().map(|(&m, &w)| (m, w)).collect())
    }

    /// Runs `body` as what cleans these guest frames; it says how far it got.
    pub fn as_cleaning<R>(
        &self,
        rule: &'static str,
        d: Domain,
        gfns: Range<u64>,
        body: impl FnOnce() -> (R, u64),
    ) -> R {
        cleaning(rule, d, gfns, body)
    }
}
