// SPDX-License-Identifier: GPL-2.0-only
//! What is in a part of a row: most of it, and how much of it.

use std::collections::BTreeMap;

use super::subject::Subject;
use crate::dump::values::Kind;
use crate::dump::{Access, Dump, Size};
use crate::facts::{Sort, State, MIB2};

/// Parts of a slot's height.
pub(super) const EIGHTHS: u64 = 8;

/// A slot: equal ones next to each other are drawn as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// What is mapped; `None` for nothing.
    pub(super) mapped: Option<Part<(Kind, Size)>>,
    /// Which of it mem_access restricts.
    pub(super) restricted: Option<Part<Access>>,
    /// What has changed.
    pub(super) changed: Option<Part<(Sort, Outcome)>>,
}

/// What a change has led to, where that is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    Access(Access),
    Size(Size),
    Other,
}

/// What most of it is, and how much of the slot all of it is, in eighths; at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part<T> {
    pub(super) what: T,
    pub(super) eighths: u64,
}

impl<T: Ord + Copy> Part<T> {
    /// The one with the most pages, of which the slot has `all`.
    fn most(pages: &BTreeMap<T, u64>, all: u64) -> Option<Self> {
        let (&what, _) = pages.iter().max_by_key(|&(_, &pages)| pages)?;
        let sum: u64 = pages.values().sum();
        let eighths = (sum * EIGHTHS / all).clamp(1, EIGHTHS);
        Some(Self { what, eighths })
    }
}

/// The slot `from .. to`.
pub(super) fn slot(subject: &Subject<'_>, from: u64, to: u64) -> Slot {
    let (mut mapped, mut restricted) = (BTreeMap::new(), BTreeMap::new());
    for run in subject.dump.within(from, to) {
        let mapping = run.mapping;
        *mapped.entry((mapping.ty.kind(), mapping.size)).or_default() += run.pages;
        if mapping.access.is_restricted() {
            *restricted.entry(mapping.access).or_default() += run.pages;
        }
    }
    let (mut changed, mut reshaped) = (BTreeMap::new(), BTreeMap::new());
    let all = subject.changes();
    let first = all.partition_point(|change| change.gfn + change.pages <= from);
    for change in all.iter().skip(first).take_while(|change| change.gfn < to) {
        let sort = change.sort();
        let outcome = match (sort, change.after) {
            (Sort::Restricted, Some(after)) => Outcome::Access(after.access),
            (Sort::Split | Sort::Merged, Some(after)) => Outcome::Size(after.size),
            _ => Outcome::Other,
        };
        // What the guest cannot tell is shown only where there is nothing else.
        let kind = match sort {
            Sort::Split | Sort::Merged | Sort::Valid => &mut reshaped,
            _ => &mut changed,
        };
        *kind.entry((sort, outcome)).or_default() += change.pages_within(from, to);
    }
    let pages = to - from;
    Slot {
        mapped: Part::most(&mapped, pages),
        restricted: Part::most(&restricted, pages),
        changed: Part::most(&changed, pages).or_else(|| Part::most(&reshaped, pages)),
    }
}

/// What is under a row: for what of it one block would do, and where there are tables without
/// any entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    OneBlock,
    EmptyTable,
}

/// The marks of `from .. to`, by frame: the first one and how many pages.
pub(super) fn marks(subject: &Subject<'_>, from: u64, to: u64) -> Vec<(Mark, u64, u64)> {
    let mut all: Vec<(Mark, u64, u64)> = Vec::new();
    let spans = subject.summary.spans_within(from, to).iter();
    for span in spans.filter(|span| span.state == State::OneBlock) {
        match all.last_mut() {
            Some((_, gfn, pages)) if *gfn + *pages == span.gfn => *pages += MIB2,
            _ => all.push((Mark::OneBlock, span.gfn, MIB2)),
        }
    }
    all.extend(empty(&subject.dump, from, to));
    all.sort_by_key(|&(_, gfn, _)| gfn);
    all
}

fn empty(dump: &Dump, from: u64, to: u64) -> impl Iterator<Item = (Mark, u64, u64)> + '_ {
    let level3 = dump.empty.iter().filter(|empty| empty.level == 3);
    level3.filter_map(move |empty| {
        let (gfn, end) = (empty.gfn.max(from), (empty.gfn + empty.pages).min(to));
        (gfn < end).then(|| (Mark::EmptyTable, gfn, end - gfn))
    })
}
