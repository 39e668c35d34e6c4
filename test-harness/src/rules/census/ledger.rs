// SPDX-License-Identifier: GPL-2.0-only
//! Rule R1: a frame has one reference of its owner, and one for each mapping that owns one.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::ground::event::Mfn;
use crate::ground::handles::Domain;
use crate::ground::pte;
use crate::rules::tree::Visitor;
use crate::rules::State;

/// Leaves that own a reference to each of their frames: the first of these, and the order.
#[derive(Default)]
pub(super) struct Owning(Vec<(Mfn, u32)>);

impl Visitor for Owning {
    fn leaf(&mut self, _gfn: u64, level: u32, entry: u64) {
        if pte::is_foreign(entry) {
            self.0.push((pte::mfn(entry), pte::order(level)));
        }
    }
}

impl Owning {
    pub(super) fn append(&mut self, other: &mut Self) {
        self.0.append(&mut other.0);
    }

    /// How many references these mappings own, of those among `mfns`.
    fn references(&self, mfns: &Range<Mfn>) -> BTreeMap<Mfn, u64> {
        let mut owned = BTreeMap::new();
        for &(first, order) in &self.0 {
            for mfn in first.max(mfns.start)..(first + (1 << order)).min(mfns.end) {
                *owned.entry(mfn).or_default() += 1;
            }
        }
        owned
    }
}

/// The references that a frame has while mappings own `mapped` of them.
fn expected(mapped: Option<&u64>, released: bool) -> u64 {
    u64::from(!released) + mapped.copied().unwrap_or(0)
}

impl State {
    /// Rule R1, of all frames.
    pub(super) fn check_ledger(&mut self, owning: &Owning) {
        let owned = owning.references(&(0..Mfn::MAX));
        let wrong = self
            .frames
            .ram()
            .map(|(mfn, f)| {
                (
                    mfn,
                    u64::from(f.refs),
                    expected(owned.get(&mfn), f.released),
                )
            })
            .filter(|&(_, refs, expected)| refs != expected);
        let (many, first) = wrong.fold((0, None), |(many, first), one| {
            (many + 1, Some(first.map_or(one, |first| one.min(first))))
        });
        if let Some((mfn, refs, expected)) = first {
            let what = format!(
                "frame {mfn:#x} has {refs} references, its owner and mappings hold {expected} \
                 ({many} frames are wrong)"
            );
            self.broken("R1", what);
        }
    }

    /// What a caller does that brought a reference to each of these frames, and was told that they were not all
    /// mapped: it drops those that no mapping owns, and no more than it brought.
    pub(crate) fn give_back(&mut self, mfns: &Range<Mfn>) {
        let mut owning = Owning::default();
        for i in 0..self.domains.domains.len() {
            let domain = Domain(self.domains.domains[i].pointer);
            self.visit(domain.address(), &mut owning);
        }
        let owned = owning.references(mfns);
        for mfn in mfns.clone() {
            let frame = self.frames.frame(mfn);
            let expected = expected(owned.get(&mfn), frame.released);
            if u64::from(frame.refs) > expected {
                frame.refs -= 1;
                if frame.refs == 0 {
                    self.frames.last_reference_goes(mfn);
                }
            }
        }
    }
}
