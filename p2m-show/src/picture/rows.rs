// SPDX-License-Identifier: GPL-2.0-only
//! The rows of the picture: the address space is sparse, so only rows with something in them are drawn, and what is
//! between is a gap. Rows that look the same are drawn once.

use super::slots::{marks, slot, Mark, Slot};
use super::subject::Subject;
use crate::dump::values::Kind;
use crate::dump::{Dump, Size};
use crate::facts::{State, GIB1, MIB2};

/// How many parts a row has.
pub(super) const SLOTS: u64 = 512;

/// The shortest row, in pages: 32 MiB.
const SHORTEST: u64 = 16 * MIB2;

/// As many rows as look the same are drawn as one.
const ALIKE: u64 = 3;

/// The most rows of less than 1 GiB, and the most rows.
const MOST_SHORT: usize = 36;
const MOST: usize = 72;

/// The rows of a picture.
pub(super) struct Rows {
    /// Pages of each.
    pub(super) pages: u64,
    pub(super) all: Vec<Row>,
}

/// A row, or a part of the address space without anything.
pub(super) enum Row {
    /// It begins at this frame.
    Used(Used),
    /// So many pages.
    Gap(u64),
}

/// A row with something in it.
pub(super) struct Used {
    pub(super) gfn: u64,
    /// So many rows from there on look like this one; the numbers are those of all.
    pub(super) alike: u64,
    /// Tables of level 3: of what is mapped in it, and without any entry.
    pub(super) tables: u64,
    /// Of these, what one block would do for, and those without any entry.
    pub(super) could_go: u64,
    /// What mem_access restricts, in pages.
    pub(super) restricted: u64,
    /// There may be more of it, since it goes on where the dump says nothing.
    pub(super) is_part: bool,
    /// There may be more tables that could go: the dump does not say enough of all.
    pub(super) more_could_go: bool,
    /// What has changed, in pages.
    pub(super) changed: u64,
    /// Tables that there were before.
    pub(super) tables_before: u64,
}

impl Rows {
    /// The rows for a subject.
    pub(super) fn of(subject: &Subject<'_>) -> Self {
        let stretches = stretches(subject);
        let mut pages = shortest(subject);
        let mut parts = parts(&stretches, pages);
        loop {
            let most = if pages < GIB1 { MOST_SHORT } else { MOST };
            if parts.len() <= most || pages >= 1 << 51 {
                break;
            }
            pages *= 2;
            parts = self::parts(&stretches, pages);
        }
        let mut all = Vec::new();
        let mut end = None;
        for (gfn, count) in alike(subject, &parts, pages) {
            if let Some(gap) = end.map(|end| gfn - end).filter(|&gap| gap > 0) {
                all.push(Row::Gap(gap));
            }
            let to = gfn + pages * count;
            all.push(Row::Used(row(subject, gfn, to, count)));
            end = Some(to);
        }
        Self { pages, all }
    }

    /// The frames of each slot.
    pub(super) fn slot(&self) -> u64 {
        self.pages / SLOTS
    }

    /// How many are drawn.
    pub(super) fn used(&self) -> usize {
        let is_used = |row: &&Row| matches!(row, Row::Used(_));
        self.all.iter().filter(is_used).count()
    }
}

/// The shortest row: one block of RAM is not drawn over several.
fn shortest(subject: &Subject<'_>) -> u64 {
    let mut runs = subject.dumps().flat_map(|dump| &dump.runs);
    let in_gibs = runs.any(|run| {
        run.mapping.size == Size::Gib1 && matches!(run.mapping.ty.kind(), Kind::Ram | Kind::RamRo)
    });
    if in_gibs {
        GIB1
    } else {
        SHORTEST
    }
}

/// The parts of the address space that have something in them, and in which everything is the
/// same: the first frame and the first one after it.
fn stretches(subject: &Subject<'_>) -> Vec<(u64, u64)> {
    let mut used = Vec::new();
    for dump in subject.dumps() {
        used.extend(dump.runs.iter().map(|run| (run.gfn, run.end())));
        // A table of a higher level spans more than it is worth a row of.
        used.extend(dump.empty.iter().map(|empty| match empty.level {
            3 => (empty.gfn, empty.gfn + empty.pages),
            _ => (empty.gfn, empty.gfn + 1),
        }));
    }
    used.sort_unstable();
    let mut edges: Vec<u64> = used.iter().flat_map(|&(from, to)| [from, to]).collect();
    edges.sort_unstable();
    edges.dedup();
    let mut ends = 0;
    let mut begun = used.iter().peekable();
    edges
        .iter()
        .zip(edges.iter().skip(1))
        .filter(|&(&from, _)| {
            while let Some(&(_, end)) = begun.next_if(|&&(begin, _)| begin <= from) {
                ends = ends.max(end);
            }
            ends > from
        })
        .map(|(&from, &to)| (from, to))
        .collect()
}

/// Rows of so many pages that have something in them, or several whole ones of one stretch: the
/// first frame and how many rows.
fn parts(stretches: &[(u64, u64)], pages: u64) -> Vec<(u64, u64)> {
    let mut all: Vec<(u64, u64)> = Vec::new();
    let mut push = |row: u64, count: u64| {
        if all.last().is_none_or(|&(gfn, n)| gfn / pages + n <= row) {
            all.push((row * pages, count));
        }
    };
    for &(from, to) in stretches {
        let (first, last) = (from / pages, (to - 1) / pages);
        let whole = from.div_ceil(pages)..to / pages;
        let count = whole.end.saturating_sub(whole.start);
        if count >= ALIKE {
            if first < whole.start {
                push(first, 1);
            }
            push(whole.start, count);
            if whole.end <= last {
                push(last, 1);
            }
        } else {
            for row in first..=last {
                push(row, 1);
            }
        }
    }
    all
}

/// What a row looks like, if it is the same everywhere: each of its slots, and the marks under it.
#[derive(PartialEq)]
struct Look {
    slot: Slot,
    marks: Vec<(Mark, u64, u64)>,
}

impl Look {
    fn of(subject: &Subject<'_>, gfn: u64, pages: u64) -> Option<Self> {
        let parts = pages / SLOTS;
        let mut slots = (0..SLOTS).map(|n| slot(subject, gfn + n * parts, gfn + (n + 1) * parts));
        let first = slots.next()?;
        let marks = marks(subject, gfn, gfn + pages).into_iter();
        slots.all(|slot| slot == first).then(|| Self {
            slot: first,
            marks: marks
                .map(|(mark, at, pages)| (mark, at - gfn, pages))
                .collect(),
        })
    }
}

/// The rows, and how many from each on are drawn as one, since they follow each other and look
/// the same.
fn alike(subject: &Subject<'_>, parts: &[(u64, u64)], pages: u64) -> Vec<(u64, u64)> {
    // The look, the first frame and how many rows.
    let mut groups: Vec<(Option<Look>, u64, u64)> = Vec::new();
    for &(gfn, count) in parts {
        let look = Look::of(subject, gfn, pages);
        match groups.last_mut() {
            Some((last, first, n))
                if look.is_some() && *last == look && *first + *n * pages == gfn =>
            {
                *n += count;
            }
            _ => groups.push((look, gfn, count)),
        }
    }
    let groups = groups.into_iter();
    groups
        .flat_map(|(_, gfn, count)| match count {
            ALIKE.. => vec![(gfn, count)],
            few => (0..few).map(|n| (gfn + n * pages, 1)).collect(),
        })
        .collect()
}

fn row(subject: &Subject<'_>, from: u64, to: u64, alike: u64) -> Used {
    let spans = subject.summary.spans_within(from, to);
    let needless = spans.iter().filter(|span| span.state == State::OneBlock);
    let restricted = subject.dump.within(from, to);
    let restricted = restricted.filter(|run| run.mapping.access.is_restricted());
    let changes = subject.changes();
    let first = changes.partition_point(|change| change.gfn + change.pages <= from);
    let changes = changes
        .iter()
        .skip(first)
        .take_while(|change| change.gfn < to);
    let empty = self::empty(&subject.dump, from, to);
    let unknown = subject.dump.unknown_from;
    let is_part = unknown.is_some_and(|unknown| unknown < to);
    Used {
        gfn: from,
        alike,
        tables: spans.len() as u64 + empty,
        could_go: needless.count() as u64 + empty,
        restricted: restricted.map(|run| run.pages).sum(),
        is_part,
        more_could_go: is_part || spans.iter().any(|span| span.state == State::Unknown),
        changed: changes.map(|change| change.pages_within(from, to)).sum(),
        tables_before: subject.before.as_ref().map_or(0, |before| {
            before.summary.spans_within(from, to).len() as u64 + self::empty(&before.dump, from, to)
        }),
    }
}

/// Level-3 tables without any entry.
fn empty(dump: &Dump, from: u64, to: u64) -> u64 {
    let level3 = dump.empty.iter().filter(|empty| empty.level == 3);
    let here = level3.map(|empty| {
        let end = (empty.gfn + empty.pages).min(to);
        end.saturating_sub(empty.gfn.max(from)) / MIB2
    });
    here.sum()
}
