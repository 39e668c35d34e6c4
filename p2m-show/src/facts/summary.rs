// SPDX-License-Identifier: GPL-2.0-only
//! A dump in numbers.

use std::collections::BTreeMap;

use super::spans::{gib_blocks, spans, Span, State};
use crate::dump::values::Kind;
use crate::dump::{Access, Dump, Supply, Valid};

/// A dump in numbers; frames are of 4 KiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Pages that are mapped.
    pub mapped: u64,
    /// Of these, those that the dump has lines of: what is not among the numbers of its end is of
    /// these alone.
    pub shown: u64,
    /// Of these, by blocks of 1 GiB, by blocks of 2 MiB, and one by one.
    pub by_size: [u64; 3],
    /// By kind of type.
    pub by_kind: BTreeMap<Kind, u64>,
    /// Pages that mem_access restricts, by access.
    pub restricted: BTreeMap<Access, u64>,
    /// Pages that the hardware may not use before a fault has set a valid bit.
    pub not_valid: u64,
    /// Tables of levels 0 to 3.
    pub tables: [u64; 4],
    /// Of these, without any entry.
    pub empty_tables: u64,
    /// What has tables for pages.
    pub spans: Vec<Span>,
    /// GiB that would be one block each.
    pub gib_blocks: u64,
    /// There may be more that one block would do for: the dump does not say it of all.
    pub more_could_go: bool,
    /// Ranges of RAM that are consecutive in the guest's and in the machine's frames.
    pub pieces: u64,
    /// The dump does not say of all pages where they are, so that there may be more.
    pub more_pieces: bool,
    /// Pages of the largest of them.
    pub largest_piece: u64,
}

impl Summary {
    /// Of a dump.
    #[must_use]
    pub fn of(dump: &Dump) -> Self {
        let shown = dump.runs.iter().map(|run| run.pages).sum();
        let is_part = shown < dump.mapped();
        let spans = spans(dump);
        let (gib_blocks, more_gibs) = gib_blocks(dump);
        let unknown = spans.iter().any(|span| span.state == State::Unknown);
        let mut all = Self {
            mapped: dump.mapped(),
            shown,
            by_size: dump.pages,
            by_kind: BTreeMap::new(),
            restricted: BTreeMap::new(),
            not_valid: 0,
            tables: dump.tables,
            empty_tables: dump.empty_tables,
            spans,
            gib_blocks,
            more_could_go: is_part || unknown || more_gibs,
            pieces: 0,
            more_pieces: is_part,
            largest_piece: 0,
        };
        // The first frames and the length, and the first guest frame after RAM.
        let mut piece: Option<(u64, u64, u64)> = None;
        let mut end = None;
        let mut is_said = true;
        for (run, breaks) in dump.runs_and_breaks() {
            let mapping = run.mapping;
            *all.by_kind.entry(mapping.ty.kind()).or_default() += run.pages;
            if mapping.access.is_restricted() {
                *all.restricted.entry(mapping.access).or_default() += run.pages;
            }
            if mapping.valid != Valid::Yes {
                all.not_valid += run.pages;
            }
            if !matches!(mapping.ty.kind(), Kind::Ram | Kind::RamRo) {
                continue;
            }
            let touches = end.replace(run.end()) == Some(run.gfn);
            let was_said = std::mem::replace(&mut is_said, mapping.mfn.is_some());
            let Some(first) = mapping.mfn else {
                // It may go on with the piece before.
                all.pieces += u64::from(!touches) + u64::from(breaks);
                all.more_pieces = true;
                piece = None;
                continue;
            };
            let longer =
                piece.filter(|&(gfn, mfn, pages)| (gfn + pages, mfn + pages) == (run.gfn, first));
            let may_go_on = longer.is_some() || touches && !was_said;
            all.pieces += u64::from(!may_go_on);
            let (gfn, mfn, before) = longer.unwrap_or((run.gfn, first, 0));
            piece = Some((gfn, mfn, before + run.pages));
            all.largest_piece = all.largest_piece.max(before + run.pages);
        }
        all
    }

    /// Whether the dump has no lines of some pages.
    #[must_use]
    pub fn is_part(&self) -> bool {
        self.shown < self.mapped
    }

    /// Pages that mem_access restricts.
    #[must_use]
    pub fn all_restricted(&self) -> u64 {
        self.restricted.values().sum()
    }

    /// Tables of all levels.
    #[must_use]
    pub fn all_tables(&self) -> u64 {
        self.tables.iter().sum()
    }

    /// Level-3 tables that one block would do for.
    #[must_use]
    pub fn needless(&self) -> u64 {
        self.count(|state| state == State::OneBlock)
    }

    /// Tables that nothing is lost without: those that one block would do for, of 2 MiB or then of
    /// 1 GiB, and those without any entry.
    #[must_use]
    pub fn could_go(&self) -> u64 {
        self.needless() + self.gib_blocks + self.empty_tables
    }

    /// Level-3 tables that one block would do for once a restriction is lifted.
    #[must_use]
    pub fn needless_once_lifted(&self) -> u64 {
        self.count(|state| matches!(state, State::Restricted(_)))
    }

    /// The spans that begin in `from .. to`.
    #[must_use]
    pub fn spans_within(&self, from: u64, to: u64) -> &[Span] {
        let first = self.spans.partition_point(|span| span.gfn < from);
        let end = self.spans.partition_point(|span| span.gfn < to);
        self.spans.get(first..end).unwrap_or_default()
    }

    /// Spans in such a state.
    #[must_use]
    pub fn count(&self, is_one: impl Fn(State) -> bool) -> u64 {
        self.spans.iter().filter(|span| is_one(span.state)).count() as u64
    }

    /// Free pages of the domain's pool: all that are no table. `None` for the hardware domain.
    #[must_use]
    pub fn pool_left(&self, dump: &Dump) -> Option<u64> {
        // The root is not of the pool.
        let root = self.tables.iter().copied().find(|&count| count > 0);
        match dump.supply {
            Supply::Pool(pages) => {
                Some(pages.saturating_sub(self.all_tables() - root.unwrap_or(0)))
            }
            Supply::Heap => None,
        }
    }
}
