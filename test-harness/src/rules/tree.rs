// SPDX-License-Identifier: GPL-2.0-only
//! A walk of a domain's tree, as memory has it.

use super::State;
use crate::ground::event::Mfn;
use crate::ground::handles::{Domain, View};
use crate::ground::pte;

/// What a walk of the whole tree meets.
pub(crate) trait Visitor {
    fn leaf(&mut self, gfn: u64, level: u32, entry: u64);
    fn table(&mut self, _mfn: Mfn, _level: u32) {}
}

impl State {
    /// First frame of a domain's root; `None` when it has none.
    pub(crate) fn root_of(&self, domain: usize) -> Option<Mfn> {
        let record = self.domains.by_address(domain)?;
        self.frames.of_info(Domain(record.pointer).root())
    }

    pub(crate) fn visit(&mut self, domain: usize, visitor: &mut dyn Visitor) {
        if let Some(root) = self.root_of(domain) {
            self.visit_from(root, visitor);
        }
    }

    /// The tree of a view.
    pub(crate) fn visit_view(&mut self, view: View, visitor: &mut dyn Visitor) {
        if let Some(root) = self.frames.of_info(view.root()) {
            self.visit_from(root, visitor);
        }
    }

    fn visit_from(&mut self, root: Mfn, visitor: &mut dyn Visitor) {
        let (level, pages) = self.config.root();
        for i in 0..pages as u64 {
            self.visit_table(root + i, level, (i << 9) << pte::order(level), visitor);
        }
    }

    fn visit_table(&mut self, mfn: Mfn, level: u32, gfn: u64, visitor: &mut dyn Visitor) {
        visitor.table(mfn, level);
        for (index, entry) in self.frames.pages.words(mfn) {
            let at = gfn + ((index as u64) << pte::order(level));
            if pte::is_table(entry, level) {
                self.visit_table(pte::mfn(entry), level + 1, at, visitor);
            } else if pte::is_leaf(entry, level) {
                visitor.leaf(at, level, entry);
            } else {
                self.broken(
                    "A1",
                    format!("gfn {at:#x}: entry {entry:#x} maps nothing, yet is not 0"),
                );
            }
        }
    }
}
