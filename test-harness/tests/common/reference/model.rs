// SPDX-License-Identifier: GPL-2.0-only
//! What a domain's p2m should be: a map, and what each operation does to it.

use std::collections::BTreeMap;

use test_harness::{Domain, Snapshot, INVALID};

use super::op::Op;
use super::rights::rights;
use super::scene::{is_memory, Scene};
use crate::common::{access, errno, p2mt, ram};

/// A mapped page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    pub(super) mfn: u64,
    pub(super) t: u32,
    pub(super) access: u32,
}

/// What a domain's p2m should be.
pub struct Model {
    pub(super) pages: BTreeMap<u64, Page>,
    pub(super) default_access: u32,
    pub(super) limit: u64,
    pub(super) ipa_bits: u32,
    pub(super) listens: bool,
    pub(super) required: bool,
    pub(super) crashes: u32,
    pub(super) dying: bool,
}

impl Model {
    pub(super) fn step(&mut self, scene: &Scene<'_>, op: &Op) {
        let &Scene { w, d, owner, .. } = scene;
        match *op {
            Op::Copy { gfn, tables, how } => self.copy(scene, gfn, tables, how),
            Op::Write { gfn, writer } => self.write(scene, gfn, writer),
            Op::Clean { gfn, nr, vm } => scene.clean(gfn, nr, vm),
            Op::Insert { gfn, nr, mfn, t } if self.dying => {
                assert_eq!(d.insert(gfn, nr, mfn, t), errno::ENOMEM, "{op:?}");
            }
            Op::Foreign { gfn, mfn } if self.dying => {
                assert_eq!(d.map_foreign(owner, gfn, mfn), errno::ENOMEM, "{op:?}");
            }
            Op::SetAccess { gfn, nr, access } if self.dying => {
                let any = self.pages.range(gfn..gfn + nr).next().is_some();
                let rc = d.set_access_fully(gfn, u32::try_from(nr).unwrap(), access);
                // What is there already may be left as it is without an error.
                let differs = |(_, page): (&u64, &Page)| page.access != access;
                let must = self.pages.range(gfn..gfn + nr).any(differs);
                let refused = i64::from(errno::ENOMEM);
                assert!(rc == refused || rc == 0 && !must, "{op:?}: {rc}, {any}");
            }
            Op::Fault { gfn, npfec } => self.fault(w, d, gfn, npfec),
            Op::Monitor { listens, required } => {
                (self.listens, self.required) = (listens, required);
                w.monitor_listens(d, listens);
                d.set_access_required(required);
            }
            Op::Dying { state } => {
                self.dying = state != 0;
                d.set_dying_state(state);
            }
            Op::Insert { gfn, nr, mfn, t } => {
                let fits = nr.min(self.limit.saturating_sub(gfn));
                // Nobody maps a domain's own page as foreign.
                let is_foreign = p2mt::is_foreign(t);
                let mfn = if is_foreign {
                    mfn - ram(0) + ram(1)
                } else {
                    mfn
                };
                for i in 0..fits {
                    let page = Page {
                        mfn: mfn + i,
                        t,
                        access: self.default_access,
                    };
                    self.pages.insert(gfn + i, page);
                }
                let expected = if fits == nr { 0 } else { errno::EINVAL };
                if is_foreign {
                    w.take_references(mfn, fits);
                }
                assert_eq!(d.insert(gfn, nr, mfn, t), expected, "{op:?}");
            }
            Op::Foreign { gfn, mfn } => {
                let fits = gfn < self.limit;
                if fits {
                    let page = Page {
                        mfn,
                        t: p2mt::FOREIGN_RW,
                        access: self.default_access,
                    };
                    self.pages.insert(gfn, page);
                }
                let expected = if fits { 0 } else { errno::EINVAL };
                assert_eq!(d.map_foreign(owner, gfn, mfn), expected, "{op:?}");
            }
            Op::Remove { gfn, nr, honest } => self.remove(d, gfn, nr, honest),
            Op::SetAccess { gfn, nr, access } => {
                for (_, page) in self.pages.range_mut(gfn..gfn + nr) {
                    page.access = access;
                }
                let rc = d.set_access_fully(gfn, u32::try_from(nr).unwrap(), access);
                assert_eq!(rc, 0, "{op:?}");
            }
            Op::DefaultAccess { access } => {
                self.default_access = access;
                assert_eq!(d.set_access(INVALID, 0, 0, access), 0);
            }
            Op::Invalidate => d.creation_finished(),
            Op::Resolve { gfn } => {
                // One fault makes all levels valid; the guest may fault again all the same.
                // The root may have entries for what the MMU does not translate.
                let is_translated = gfn << 12 >> self.ipa_bits == 0;
                let resolved = self.pages.contains_key(&gfn) && is_translated;
                for _ in 0..4 {
                    assert_eq!(d.resolve(gfn), resolved, "{op:?}");
                }
            }
        }
    }

    /// An honest caller names the frame that is there (or, where the first
    /// page is not mapped, the one that would fit the rest).
    pub(super) fn remove(&mut self, d: Domain, gfn: u64, nr: u64, honest: bool) {
        let first = self.pages.range(gfn..gfn + nr).next();
        let there = first.map_or(ram(0), |(&at, page)| page.mfn.wrapping_sub(at - gfn));
        let mfn = if honest { there } else { there ^ 1 };
        let matches = |(&at, page): (&u64, &Page)| {
            !p2mt::is_any_ram(page.t) || page.mfn == mfn.wrapping_add(at - gfn) && is_memory(mfn)
        };
        // Beyond the end of the address space nothing is there to remove, and
        // the frame number is refused.
        let agrees = self.pages.range(gfn..gfn + nr).all(matches);
        let expected = if !agrees {
            errno::EILSEQ
        } else if self.dying {
            errno::ENOMEM
        } else if gfn + nr > self.limit {
            errno::EINVAL
        } else {
            0
        };
        assert_eq!(
            d.remove(gfn, nr, mfn),
            expected,
            "remove {gfn:#x} {nr} {mfn:#x}"
        );
        if agrees && !self.dying {
            for at in gfn..gfn + nr {
                self.pages.remove(&at);
            }
        }
    }

    /// The tables say what the model says.
    pub(super) fn agrees_with(&self, d: Domain, snapshot: &Snapshot) {
        let mut seen = 0;
        for (&gfn, leaf) in snapshot {
            for i in 0..1 << leaf.order {
                let page = self.pages.get(&(gfn + i));
                let page = page.unwrap_or_else(|| panic!("gfn {:#x} must not be mapped", gfn + i));
                assert_eq!(
                    (leaf.mfn + i, leaf.p2m_type),
                    (page.mfn, page.t),
                    "gfn {gfn:#x}+{i}"
                );
                let (read, write, execute) = rights(page.t, page.access);
                assert_eq!(
                    (leaf.read, leaf.write, leaf.execute),
                    (read, write, execute),
                    "{page:?}"
                );
                seen += 1;
            }
        }
        assert_eq!(seen, self.pages.len(), "pages are missing from the tables");
        for (&gfn, page) in self.pages.iter().step_by(97) {
            assert_eq!(d.lookup(gfn), (Some(page.mfn), page.t));
            let expected = if d.mem_access_enabled() {
                page.access
            } else {
                access::RWX
            };
            assert_eq!(d.access(gfn), (0, expected), "access of gfn {gfn:#x}");
        }
    }
}
