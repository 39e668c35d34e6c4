// SPDX-License-Identifier: GPL-2.0-only
//! Rule M1: a device model hears of RAM that left its place; see [`crate::books::mapcache`].

use crate::books::mapcache::{Left, Section};
use crate::books::tables::Table;
use crate::ground::abi::p2mt;
use crate::ground::event::Mfn;
use crate::ground::pte;
use crate::model::domains::lock_of;
use crate::rules::State;

impl State {
    /// Word `index` of a table of a host p2m, which the CPU has just changed or taken out, had this entry.
    ///
    /// Only what the code under test does counts: what a test stores by hand, outside of any call,
    /// is no device model's business.
    pub(crate) fn ram_left(&mut self, cpu: usize, table: Table, index: usize, old: u64) {
        let ours = table.is_of_host() && self.work.calls[cpu].is_some();
        if !ours || !pte::is_leaf(old, table.level) || !p2mt::is_ram(pte::p2m_type(old)) {
            return;
        }
        let left = Left {
            gfn: table.gfn_at(index),
            mfn: pte::mfn(old),
            pages: 1 << pte::order(table.level),
        };
        self.mapcache.add(table.domain, left);
    }

    /// Device models are told to drop what they have mapped.
    pub(crate) fn mapcache_invalidated(&mut self, cpu: usize, domain: usize) {
        if self.locks.holds_for_write(lock_of(domain), cpu) {
            self.mapcache.tell(domain);
        }
    }

    /// The write lock of a domain is about to be dropped.
    pub(crate) fn check_mapcache(&mut self, domain: usize) {
        let Section { left, is_told } = self.mapcache.take(domain);
        if is_told || self.is_gone(domain) {
            return;
        }
        let gone = |left: &Left| self.first_gone(domain, *left);
        if let Some(gfn) = left.iter().find_map(gone) {
            let what = format!(
                "the write lock is dropped, and no device model was told that the RAM at gfn \
                 {gfn:#x} is gone"
            );
            self.broken("M1", what);
        }
    }

    /// The first guest frame that does not have its frame any more.
    fn first_gone(&self, domain: usize, left: Left) -> Option<u64> {
        let mut done = 0;
        while done < left.pages {
            let gfn = left.gfn + done;
            match self.mapped_at(domain, gfn) {
                Some((mfn, pages)) if mfn == left.mfn + done => done += pages,
                _ => return Some(gfn),
            }
        }
        None
    }

    /// What is mapped at a guest frame, whatever the valid bits say, and how many frames from there on.
    pub(crate) fn mapped_at(&self, domain: usize, gfn: u64) -> Option<(Mfn, u64)> {
        let (level, _) = self.config.root();
        let mut table = self.root_of(domain)? + (gfn >> pte::order(level) >> 9);
        for level in level..4 {
            let pages = 1 << pte::order(level);
            let index = gfn >> pte::order(level) & 511;
            let entry = self.frames.pages.peek_word(table, index as usize);
            if !pte::is_table(entry, level) {
                let offset = gfn & (pages - 1);
                return pte::is_mapped(entry).then(|| (pte::mfn(entry) + offset, pages - offset));
            }
            table = pte::mfn(entry);
        }
        None
    }
}
