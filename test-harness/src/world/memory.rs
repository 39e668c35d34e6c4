// SPDX-License-Identifier: GPL-2.0-only
//! A test's view on memory: who owns which frames, and the references.

use super::World;
use crate::ground::event::Mfn;
use crate::ground::handles::Domain;
use crate::rules::State;

impl World {
    /// Guest memory: `count` frames from `mfn`, owned by `owner`.
    pub fn ram(&self, mfn: Mfn, count: u64, owner: Domain) {
        self.locked(|m| {
            m.frames
                .add_region(mfn, count, Some(owner.address()), false)
        });
    }

    /// Xen heap pages that are shared with `owner`.
    pub fn xenheap(&self, mfn: Mfn, count: u64, owner: Domain) {
        self.locked(|m| m.frames.add_region(mfn, count, Some(owner.address()), true));
    }

    /// Where a guest sees a Xen heap page (`page_get_xenheap_gfn()`).
    #[must_use]
    pub fn xenheap_gfn(&self, mfn: Mfn) -> Option<u64> {
        self.locked(|m| m.frames.xenheap(mfn))
    }

    /// A guest sees a Xen heap page at `gfn` from now on, as mm.c notes it when it
    /// maps one.
    pub fn set_xenheap_gfn(&self, mfn: Mfn, gfn: u64) {
        assert!(self.locked(|m| m.frames.set_xenheap(mfn, gfn)));
    }

    /// What is in a frame from now on, from a byte of it on.
    pub fn write_ram(&self, mfn: Mfn, offset: usize, bytes: &[u8]) {
        self.locked(|m| m.contents.write(mfn, offset, bytes));
    }

    /// References to a frame.
    #[must_use]
    pub fn references(&self, mfn: Mfn) -> u64 {
        self.locked(|m| m.frames.frame(mfn).refs.into())
    }

    /// References to each of some frames.
    #[must_use]
    pub fn references_of(&self, mfns: &[Mfn]) -> Vec<u64> {
        let count = |m: &mut State, mfn: Mfn| m.frames.frame(mfn).refs.into();
        self.locked(|m| mfns.iter().map(|&mfn| count(m, mfn)).collect())
    }

    /// Takes references as a caller of the p2m does before it maps a foreign
    /// range.
    pub fn take_references(&self, mfn: Mfn, count: u64) {
        self.locked(|m| (mfn..mfn + count).for_each(|f| m.frames.frame(f).refs += 1));
    }

    /// Drops those of them that no mapping owns, as a caller does that was refused, or whose range was mapped in
    /// part.
    pub fn give_back_references(&self, mfn: Mfn, count: u64) {
        self.locked(|m| m.give_back(&(mfn..mfn + count)));
    }

    /// The owner gives the frame up: its own reference goes, of which there is one (`PGC_allocated`).
    pub fn owner_frees(&self, mfn: Mfn) {
        self.locked(|m| {
            let frame = m.frames.frame(mfn);
            if frame.released {
                return;
            }
            frame.refs -= 1;
            frame.released = true;
            if frame.refs == 0 {
                m.frames.last_reference_goes(mfn);
            }
        });
    }

    /// A frame that was freed is allocated again, to `owner`. False, if somebody still has a
    /// reference to it: then it is not free yet.
    pub fn allocated_to(&self, mfn: Mfn, owner: Domain) -> bool {
        self.locked(|m| {
            let frame = m.frames.frame(mfn);
            let is_free = frame.refs == 0 && frame.released;
            if is_free {
                (frame.refs, frame.owner, frame.released) = (1, Some(owner.address()), false);
            }
            is_free
        })
    }

    /// Whether `domain` owns the frame now.
    #[must_use]
    pub fn is_owned_by(&self, mfn: Mfn, domain: Domain) -> bool {
        self.locked(|m| m.frames.frame(mfn).owner == Some(domain.address()))
    }

    /// From now on nobody gets a reference to the frame.
    pub fn saturate(&self, mfn: Mfn, full: bool) {
        self.locked(|m| m.frames.frame(mfn).saturated = full);
    }

    /// Strikes a frame off the ledger, after a test that leaked it on purpose.
    pub fn forget_frame(&self, mfn: Mfn) {
        self.locked(|m| {
            let frame = m.frames.frame(mfn);
            (frame.refs, frame.owner, frame.released) = (0, None, true);
        });
    }
}
