// SPDX-License-Identifier: GPL-2.0-only
//! What is mapped page by page, in spans of 2 MiB: each has a table of its own, and would not need it if one block
//! did.

use super::sizes::{GIB1, MIB2};
use crate::dump::values::Kind;
use crate::dump::{Access, Dump, Mapping, Run, Size};

/// 2 MiB of the guest's address space that have a level-3 table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first frame.
    pub gfn: u64,
    /// Pages that are mapped.
    pub pages: u64,
    /// Why it has pages.
    pub state: State,
}

/// Why 2 MiB are mapped by pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// For no reason that is left: one block would do.
    OneBlock,
    /// All have the same restriction. Once it is lifted one block would do.
    Restricted(Access),
    /// The machine frames are those of a block, but the accesses or the types are not the same.
    Mixed,
    /// Some frames are not mapped.
    Holes,
    /// The machine frames are not those of a block, or not of RAM.
    Scattered,
}

/// A span whose pages are being looked at.
struct Looking {
    gfn: u64,
    pages: u64,
    /// How the first frame would be mapped if all were as the first that was seen.
    first: Mapping,
    /// The machine frames follow each other.
    in_order: bool,
    alike: bool,
}

impl Looking {
    /// The first page that is seen of a span, and those that follow it.
    fn begin(run: &Run) -> Self {
        let offset = run.gfn % MIB2;
        let first = run.mapping.mfn.and_then(|mfn| mfn.checked_sub(offset));
        Self {
            gfn: run.gfn - offset,
            pages: run.pages,
            first: Mapping {
                mfn: first,
                ..run.mapping
            },
            in_order: first.is_some_and(|mfn| mfn % MIB2 == 0),
            alike: true,
        }
    }

    fn go_on(&mut self, run: &Run) {
        self.pages += run.pages;
        let wanted = self.first.advanced(run.gfn - self.gfn);
        self.in_order &= wanted.mfn == run.mapping.mfn;
        self.alike &= (wanted.ty, wanted.access) == (run.mapping.ty, run.mapping.access);
    }

    fn end(&self) -> Span {
        let ram = matches!(self.first.ty.kind(), Kind::Ram | Kind::RamRo);
        let state = if self.pages < MIB2 {
            State::Holes
        } else if !self.in_order || !ram {
            State::Scattered
        } else if !self.alike {
            State::Mixed
        } else if self.first.access.is_restricted() {
            State::Restricted(self.first.access)
        } else {
            State::OneBlock
        };
        Span {
            gfn: self.gfn,
            pages: self.pages,
            state,
        }
    }
}

/// All spans of 2 MiB that have pages, by frame. (Tables without any entry are not among them.)
#[must_use]
pub fn spans(dump: &Dump) -> Vec<Span> {
    let mut all = Vec::new();
    let mut looking: Option<Looking> = None;
    let pages = dump
        .runs
        .iter()
        .filter(|run| run.mapping.size == Size::Kib4);
    for run in pages {
        let mut at = run.gfn;
        while at < run.end() {
            let end = (at / MIB2 + 1) * MIB2;
            let Some(part) = run.within(at, end) else {
                break;
            };
            match &mut looking {
                Some(same) if same.gfn == at / MIB2 * MIB2 => same.go_on(&part),
                other => {
                    let begun = Looking::begin(&part);
                    all.extend(other.replace(begun).map(|before| before.end()));
                }
            }
            at = end;
        }
    }
    all.extend(looking.map(|last| last.end()));
    all
}

/// How many GiB would be one block each, if each span that one block would do for were one.
pub(super) fn gib_blocks(dump: &Dump) -> u64 {
    let smaller = dump
        .runs
        .iter()
        .filter(|run| run.mapping.size != Size::Gib1);
    let mut gibs: Vec<u64> = smaller
        .flat_map(|run| run.gfn / GIB1..=(run.end() - 1) / GIB1)
        .collect();
    gibs.dedup();
    let would_be = |gib: &u64| {
        let (from, to) = (gib * GIB1, (gib + 1) * GIB1);
        let mut runs = dump.within(from, to);
        let Some(first) = runs.next() else {
            return false;
        };
        let mapping = first.mapping;
        let ram = mapping.ty.kind() == Kind::Ram && !mapping.access.is_restricted();
        let mut end = first.end();
        first.gfn == from
            && mapping.mfn.is_some_and(|mfn| mfn % GIB1 == 0)
            && ram
            && runs.all(|run| {
                let wanted = mapping.advanced(run.gfn - from);
                let follows = run.gfn == std::mem::replace(&mut end, run.end());
                follows
                    && (wanted.mfn, wanted.ty, wanted.access)
                        == (run.mapping.mfn, run.mapping.ty, run.mapping.access)
            })
            && end == to
    };
    gibs.iter().filter(|gib| would_be(gib)).count() as u64
}
