// SPDX-License-Identifier: GPL-2.0-only
//! What differs between two dumps of a domain.

use std::collections::BTreeMap;

use crate::dump::{Access, Dump, Mapping, Run, Size, Type, Valid};

/// Consecutive frames that have changed in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The first frame.
    pub gfn: u64,
    /// How many.
    pub pages: u64,
    /// How the first one was mapped.
    pub before: Option<Mapping>,
    /// How it is mapped.
    pub after: Option<Mapping>,
}

/// The kinds of changes; the first that applies is what a change is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// Was mapped, and is not any more.
    Unmapped,
    /// Was not mapped.
    Mapped,
    /// Another machine frame.
    Moved,
    /// Another type.
    Retyped,
    /// An access that takes more, or something else, away.
    Restricted,
    /// The restriction is gone.
    Lifted,
    /// A smaller block or pages in the place of a block.
    Split,
    /// A block in the place of smaller ones.
    Merged,
    /// Nothing but a valid bit.
    Valid,
}

impl Sort {
    /// All, by importance.
    pub const ALL: [Self; 9] = [
        Self::Unmapped,
        Self::Mapped,
        Self::Moved,
        Self::Retyped,
        Self::Restricted,
        Self::Lifted,
        Self::Split,
        Self::Merged,
        Self::Valid,
    ];

    /// In a legend.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unmapped => "unmapped",
            Self::Mapped => "mapped",
            Self::Moved => "another machine frame",
            Self::Retyped => "another type",
            Self::Restricted => "access changed",
            Self::Lifted => "restriction lifted",
            Self::Split => "split",
            Self::Merged => "merged",
            Self::Valid => "valid bit",
        }
    }
}

impl Change {
    /// What it is called.
    #[must_use]
    pub fn sort(&self) -> Sort {
        let (Some(before), Some(after)) = (self.before, self.after) else {
            return match self.after {
                None => Sort::Unmapped,
                Some(_) => Sort::Mapped,
            };
        };
        if self.has_moved() {
            Sort::Moved
        } else if before.ty != after.ty {
            Sort::Retyped
        } else if before.access != after.access {
            match after.access.is_restricted() {
                true => Sort::Restricted,
                false => Sort::Lifted,
            }
        } else if before.size < after.size {
            Sort::Split
        } else if before.size > after.size {
            Sort::Merged
        } else {
            Sort::Valid
        }
    }

    /// Whether it is another machine frame. A dump that does not say where a page is does not say
    /// that it has moved.
    fn has_moved(&self) -> bool {
        let mfn = |mapping: Option<Mapping>| mapping.and_then(|mapping| mapping.mfn);
        let (before, after) = (mfn(self.before), mfn(self.after));
        before != after && before.is_some() && after.is_some()
    }

    /// What lies in `from .. to` of it.
    #[must_use]
    pub fn pages_within(&self, from: u64, to: u64) -> u64 {
        let end = (self.gfn + self.pages).min(to);
        end.saturating_sub(self.gfn.max(from))
    }
}

/// The first frame that two dumps cannot be compared at, since one of them does not say what is
/// there.
#[must_use]
pub fn compared_until(before: &Dump, after: &Dump) -> Option<u64> {
    let unknown = [before.unknown_from, after.unknown_from];
    unknown.into_iter().flatten().min()
}

/// All changes, by frame, up to where they can be compared.
#[must_use]
pub fn changes(before: &Dump, after: &Dump) -> Vec<Change> {
    let end = compared_until(before, after).unwrap_or(u64::MAX);
    let mut edges: Vec<u64> = [before, after]
        .into_iter()
        .flat_map(|dump| &dump.runs)
        .flat_map(|run| [run.gfn.min(end), run.end().min(end)])
        .collect();
    edges.sort_unstable();
    edges.dedup();
    let mut all: Vec<Change> = Vec::new();
    let (mut old, mut new) = (Cursor(&before.runs), Cursor(&after.runs));
    for (&from, &to) in edges.iter().zip(edges.iter().skip(1)) {
        let change = Change {
            gfn: from,
            pages: to - from,
            before: old.at(from),
            after: new.at(from),
        };
        if attributes(change.before) == attributes(change.after) && !change.has_moved() {
            continue;
        }
        match all.last_mut() {
            Some(last) if goes_on(last, &change) => last.pages += change.pages,
            _ => all.push(change),
        }
    }
    all
}

/// Is it the same change of the frames that follow?
fn goes_on(last: &Change, next: &Change) -> bool {
    let follows = |last_one: Option<Mapping>, next_one: Option<Mapping>| {
        let wanted = last_one.and_then(|m| m.advanced(last.pages).mfn);
        attributes(last_one) == attributes(next_one) && wanted == next_one.and_then(|m| m.mfn)
    };
    last.gfn + last.pages == next.gfn
        && follows(last.before, next.before)
        && follows(last.after, next.after)
}

/// The runs of a dump that are still to come.
struct Cursor<'d>(&'d [Run]);

impl Cursor<'_> {
    /// How `gfn` is mapped, which is not before any that was asked for.
    fn at(&mut self, gfn: u64) -> Option<Mapping> {
        while let [first, rest @ ..] = self.0 {
            if first.end() > gfn {
                return (first.gfn <= gfn).then(|| first.mapping.advanced(gfn - first.gfn));
            }
            self.0 = rest;
        }
        None
    }
}

/// A mapping but for where. Why the hardware may not use it is not told: what the guest notices is
/// the same.
type Attributes = Option<(Size, Type, Access, bool)>;

fn attributes(mapping: Option<Mapping>) -> Attributes {
    mapping.map(|m| (m.size, m.ty, m.access, m.valid == Valid::Yes))
}

/// Changes of the same sort and from the same to the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Which sort.
    pub sort: Sort,
    /// How the first of them was.
    pub before: Option<Mapping>,
    /// And is.
    pub after: Option<Mapping>,
    /// The first frame.
    pub gfn: u64,
    /// Pages in all.
    pub pages: u64,
    /// In so many ranges.
    pub ranges: u64,
}

/// The changes, those alike together, by sort and then the largest first.
#[must_use]
pub fn groups(changes: &[Change]) -> Vec<Group> {
    let mut all: BTreeMap<(Sort, Attributes, Attributes), Group> = BTreeMap::new();
    for change in changes {
        let sort = change.sort();
        let key = (sort, attributes(change.before), attributes(change.after));
        let group = all.entry(key).or_insert(Group {
            sort,
            before: change.before,
            after: change.after,
            gfn: change.gfn,
            pages: 0,
            ranges: 0,
        });
        group.pages += change.pages;
        group.ranges += 1;
    }
    let mut all: Vec<Group> = all.into_values().collect();
    all.sort_by_key(|group| (group.sort, std::cmp::Reverse(group.pages)));
    all
}
