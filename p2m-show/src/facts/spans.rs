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
    /// The dump does not say which machine frames they are, or not how all of it is mapped.
    Unknown,
}

/// A span whose pages are being looked at.
struct Looking {
    gfn: u64,
    pages: u64,
    /// How the first page that was seen is mapped.
    first: Mapping,
    /// The machine frame that the span would begin with, if its pages were those of a block.
    block: Option<u64>,
    /// The machine frames that are said are those of a block; and all are said.
    in_order: bool,
    all_said: bool,
    alike: bool,
}

impl Looking {
    /// Nothing of a span was looked at yet; `first` is its first page.
    fn begin(first: &Run) -> Self {
        Self {
            gfn: first.gfn / MIB2 * MIB2,
            pages: 0,
            first: first.mapping,
            block: None,
            in_order: true,
            all_said: true,
            alike: true,
        }
    }

    /// Looks at `part`, which is what the span has of `run`, and whether its machine frames surely
    /// do not follow each other.
    fn take(&mut self, part: &Run, run: &Run, breaks: bool) {
        self.pages += part.pages;
        match part.mapping.mfn {
            Some(mfn) => {
                let begin = mfn.checked_sub(part.gfn - self.gfn);
                let block = begin.filter(|mfn| mfn % MIB2 == 0);
                self.in_order &=
                    block.is_some() && self.block.is_none_or(|known| block == Some(known));
                self.block = block;
            }
            // The run's do not follow each other; but it may be elsewhere that they do not.
            None if part.pages < run.pages || !breaks => self.all_said = false,
            None => self.in_order = false,
        }
        let mapping = run.mapping;
        self.alike &= (self.first.ty, self.first.access) == (mapping.ty, mapping.access);
    }

    /// What it is, if nothing is known from `unknown_from` on.
    fn end(&self, unknown_from: Option<u64>) -> Span {
        let ram = matches!(self.first.ty.kind(), Kind::Ram | Kind::RamRo);
        let ends_early = unknown_from.is_some_and(|end| end < self.gfn + MIB2);
        let state = if self.pages < MIB2 {
            match ends_early {
                true => State::Unknown,
                false => State::Holes,
            }
        } else if !self.in_order || !ram {
            State::Scattered
        } else if !self.alike {
            State::Mixed
        } else if !self.all_said {
            State::Unknown
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
        .runs_and_breaks()
        .filter(|(run, _)| run.mapping.size == Size::Kib4);
    for (run, breaks) in pages {
        let mut at = run.gfn;
        while at < run.end() {
            let end = (at / MIB2 + 1) * MIB2;
            let Some(part) = run.within(at, end) else {
                break;
            };
            if let Some(before) = looking.take_if(|before| before.gfn != at / MIB2 * MIB2) {
                all.push(before.end(dump.unknown_from));
            }
            let span = looking.get_or_insert_with(|| Looking::begin(&part));
            span.take(&part, run, breaks);
            at = end;
        }
    }
    all.extend(looking.map(|last| last.end(dump.unknown_from)));
    all
}

/// How many GiB would be one block each, if each span that one block would do for were one; and
/// whether there may be more, since the dump does not say of all machine frames which they are.
pub(super) fn gib_blocks(dump: &Dump) -> (u64, bool) {
    let smaller = dump
        .runs
        .iter()
        .filter(|run| run.mapping.size != Size::Gib1);
    let mut gibs: Vec<u64> = smaller
        .flat_map(|run| run.gfn / GIB1..=(run.end() - 1) / GIB1)
        .collect();
    gibs.dedup();
    let count = |if_not_said: bool| {
        let would_be = gibs
            .iter()
            .filter(|&&gib| is_a_block(dump, gib, if_not_said));
        would_be.count() as u64
    };
    let sure = count(false);
    (sure, count(true) > sure)
}

/// Whether GiB number `gib` would be a block, if machine frames that are not said `may` be its own.
fn is_a_block(dump: &Dump, gib: u64, may: bool) -> bool {
    let (from, to) = (gib * GIB1, (gib + 1) * GIB1);
    let mut runs = dump.within(from, to);
    let Some(first) = runs.next() else {
        return false;
    };
    let mapping = first.mapping;
    let ram = mapping.ty.kind() == Kind::Ram && !mapping.access.is_restricted();
    let mut end = first.end();
    first.gfn == from
        && mapping.mfn.map_or(may, |mfn| mfn % GIB1 == 0)
        && ram
        && runs.all(|run| {
            let wanted = mapping.advanced(run.gfn - from).mfn;
            let follows = run.gfn == std::mem::replace(&mut end, run.end());
            let is_said = wanted.is_some() && run.mapping.mfn.is_some();
            follows
                && if is_said {
                    wanted == run.mapping.mfn
                } else {
                    may
                }
                && (mapping.ty, mapping.access) == (run.mapping.ty, run.mapping.access)
        })
        && end == to
}
