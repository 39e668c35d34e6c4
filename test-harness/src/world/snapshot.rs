// SPDX-License-Identifier: GPL-2.0-only
//! Reading a domain's tables from memory, for comparison.
//!
//! [`World::snapshot`] is what the guest sees; [`World::dump`] is every word,
//! with table pages numbered in the order in which a walk meets them, so that
//! two runs with other allocations compare equal.

use std::collections::{BTreeMap, HashMap};

use super::World;
use crate::ground::event::Mfn;
use crate::ground::handles::{Domain, View};
use crate::ground::pte;
use crate::model::pages::WORDS;
use crate::rules::tree::Visitor;
use crate::rules::State;

/// A page or block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Leaf {
    pub mfn: Mfn,
    pub p2m_type: u32,
    /// S2AP: the guest may read, the guest may write.
    pub read: bool,
    pub write: bool,
    /// The guest may execute.
    pub execute: bool,
    /// 0, 9 or 18.
    pub order: u32,
    /// Bit 0: the hardware sees it.
    pub valid: bool,
}

/// The mappings of a domain, by first guest frame.
pub type Snapshot = BTreeMap<u64, Leaf>;

/// A table in a [`World::dump`]: its level and its words that are not zero.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct DumpedTable {
    pub level: u32,
    pub words: BTreeMap<usize, u64>,
}

/// A leaf as the hardware sees it below invalid tables, too: `valid` is the
/// leaf's own bit.
struct Leaves(Snapshot);

impl Visitor for Leaves {
    fn leaf(&mut self, gfn: u64, level: u32, entry: u64) {
        let leaf = Leaf {
            mfn: pte::mfn(entry),
            p2m_type: pte::p2m_type(entry),
            read: entry & pte::READ != 0,
            write: entry & pte::WRITE != 0,
            execute: entry & pte::XN == 0,
            order: pte::order(level),
            valid: entry & pte::VALID != 0,
        };
        self.0.insert(gfn, leaf);
    }
}

struct Tables(Vec<(Mfn, u32)>);

impl Visitor for Tables {
    fn leaf(&mut self, _gfn: u64, _level: u32, _entry: u64) {}
    fn table(&mut self, mfn: Mfn, level: u32) {
        self.0.push((mfn, level));
    }
}

impl World {
    /// The mappings of a domain.
    #[must_use]
    pub fn snapshot(&self, d: Domain) -> Snapshot {
        self.snapshot_with(|m, leaves| m.visit(d.address(), leaves))
    }

    pub(super) fn snapshot_with(
        &self,
        visit: impl FnOnce(&mut State, &mut dyn Visitor),
    ) -> Snapshot {
        let mut leaves = Leaves(Snapshot::new());
        visit(&mut self.machine().lock(), &mut leaves);
        leaves.0
    }

    /// Every word of a domain's tables; frame numbers of tables are replaced
    /// by the order in which a walk meets them.
    #[must_use]
    pub fn dump(&self, d: Domain) -> Vec<DumpedTable> {
        self.dump_with(|m, tables| m.visit(d.address(), tables))
    }

    /// Every word of a view's tables, as [`World::dump`].
    #[must_use]
    pub fn view_dump(&self, view: View) -> Vec<DumpedTable> {
        self.dump_with(|m, tables| m.visit_view(view, tables))
    }

    fn dump_with(&self, visit: impl FnOnce(&mut State, &mut dyn Visitor)) -> Vec<DumpedTable> {
        let state = &mut *self.machine().lock();
        let mut tables = Tables(Vec::new());
        visit(state, &mut tables);
        let numbers: HashMap<Mfn, u64> = tables
            .0
            .iter()
            .zip(0..)
            .map(|(&(mfn, _), n)| (mfn, n))
            .collect();
        let dumped = |&(mfn, level): &(Mfn, u32)| DumpedTable {
            level,
            words: state
                .frames
                .pages
                .words(mfn)
                .into_iter()
                .map(|(index, word)| match numbers.get(&pte::mfn(word)) {
                    Some(n) if pte::is_table(word, level) => {
                        (index, word & !0x0000_FFFF_FFFF_F000 | n << 12)
                    }
                    _ => (index, word),
                })
                .collect(),
        };
        tables.0.iter().map(dumped).collect()
    }

    /// One word: the entry for `gfn` at `level`, 0 where no table is.
    #[must_use]
    pub fn entry(&self, d: Domain, gfn: u64, level: u32) -> u64 {
        let state = &mut *self.machine().lock();
        let Some(root) = state.root_of(d.address()) else {
            return 0;
        };
        let (top, _) = state.config.root();
        let mut table = root + (gfn >> (pte::order(top) + 9));
        for l in top..=level {
            let entry = state
                .frames
                .pages
                .load(table, (gfn >> pte::order(l)) as usize & (WORDS - 1));
            if l == level {
                return entry;
            }
            if !pte::is_table(entry, l) {
                return 0;
            }
            table = pte::mfn(entry);
        }
        0
    }
}
