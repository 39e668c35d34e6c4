// SPDX-License-Identifier: GPL-2.0-only
//! A dump of a domain.

use super::values::{Access, Size, Type, Valid};

/// The format that is read.
pub const FORMAT: u64 = 1;

/// The mark that each line of a dump has.
pub const MARK: &str = "p2m-dump: ";

/// The dump of one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dump {
    /// The domain's number.
    pub domain: u16,
    /// Of the file that it was read from, the first line and the last one, from 1 on.
    pub lines: (usize, usize),
    /// What the tables are like as a whole.
    pub shape: Shape,
    /// Everything that is mapped, by guest frame.
    pub runs: Vec<Run>,
    /// Tables without any entry.
    pub empty: Vec<EmptyTables>,
    /// Tables of the levels 0 to 3, the root's pages among them.
    pub tables: [u64; 4],
    /// Of these, without any entry; those that were not printed, too.
    pub empty_tables: u64,
    /// Where pages for tables come from.
    pub supply: Supply,
    /// How often blocks of 1 GiB and of 2 MiB were split since the domain was created.
    pub split: [u64; 2],
    /// Pages that are mapped by blocks of 1 GiB, by blocks of 2 MiB, and one by one.
    pub pages: [u64; 3],
    /// Runs that were not printed, and their pages.
    pub left_out: (u64, u64),
    /// If pages were left out: of this frame and those after it nothing is known.
    pub unknown_from: Option<u64>,
    /// Whether the last run is only the beginning of one: the dump goes on, but is not looked at.
    pub is_cut: bool,
    /// Whether the domain was being destroyed at the end.
    pub dying: bool,
}

/// What the tables are like as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The domain's VMID.
    pub vmid: u64,
    /// Bits of a guest physical address.
    pub ipa_bits: u64,
    /// The level of the root's tables.
    pub root_level: u64,
    /// How many the root has.
    pub root_pages: u64,
    /// Whether mem_access was ever in use.
    pub mem_access: bool,
    /// The access that new mappings get.
    pub default: Access,
}

/// Where pages for tables come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supply {
    /// The domain's pool, with so many pages, free and used.
    Pool(u64),
    /// Xen's heap: the hardware domain's.
    Heap,
}

/// Consecutive guest frames that are mapped alike, to consecutive machine frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first guest frame.
    pub gfn: u64,
    /// How many pages.
    pub pages: u64,
    /// How.
    pub mapping: Mapping,
}

/// How a guest frame is mapped, or the first one of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The machine frame; `None` if the dump was too long to say it.
    pub mfn: Option<u64>,
    /// By what.
    pub size: Size,
    /// Its type.
    pub ty: Type,
    /// What mem_access leaves of it.
    pub access: Access,
    /// Whether the hardware may use it.
    pub valid: Valid,
}

/// Neighbouring tables without any entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmptyTables {
    /// The first guest frame that they would map.
    pub gfn: u64,
    /// How many pages they would map.
    pub pages: u64,
    /// Their level.
    pub level: u64,
}

impl Mapping {
    /// How the frame `pages` frames further on is mapped.
    #[must_use]
    pub fn advanced(self, pages: u64) -> Self {
        Self {
            mfn: self.mfn.map(|mfn| mfn + pages),
            ..self
        }
    }
}

impl Run {
    /// The first frame after it.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.gfn + self.pages
    }

    /// What of it lies in `from .. to`.
    #[must_use]
    pub fn within(&self, from: u64, to: u64) -> Option<Self> {
        let (gfn, end) = (self.gfn.max(from), self.end().min(to));
        (gfn < end).then(|| Self {
            gfn,
            pages: end - gfn,
            mapping: self.mapping.advanced(gfn - self.gfn),
        })
    }
}

impl Shape {
    /// How many guest frames the root spans: none beyond is mapped. (It may span more than
    /// `ipa_bits` say: a root at level 1 with one page has 39 bits, however few the guest uses.)
    #[must_use]
    pub const fn frames(&self) -> u64 {
        self.root_pages << (9 * (4 - self.root_level))
    }
}

impl EmptyTables {
    /// How many tables.
    #[must_use]
    pub const fn count(&self) -> u64 {
        // 512 entries, each of which spans a page at level 3.
        self.pages >> (9 * (4 - self.level))
    }
}

impl Dump {
    /// All runs; and of each whether its machine frames are not said and, somewhere in it, do not
    /// follow each other. Of one that was cut it may be the rest in which they do not.
    pub(crate) fn runs_and_breaks(&self) -> impl Iterator<Item = (&Run, bool)> {
        let cut = self.runs.len().checked_sub(1).filter(|_| self.is_cut);
        let runs = self.runs.iter().enumerate();
        runs.map(move |(n, run)| (run, run.mapping.mfn.is_none() && Some(n) != cut))
    }

    /// The runs that lie in `from .. to`, cut to it.
    pub fn within(&self, from: u64, to: u64) -> impl Iterator<Item = Run> + '_ {
        let first = self.runs.partition_point(|run| run.end() <= from);
        let rest = self.runs.get(first..).unwrap_or_default();
        rest.iter()
            .take_while(move |run| run.gfn < to)
            .filter_map(move |run| run.within(from, to))
    }

    /// What it says of the frames before `end`. The numbers of the last lines stay: they are of
    /// all.
    #[must_use]
    pub fn until(&self, end: u64) -> Self {
        let empty = self.empty.iter().filter(|empty| empty.gfn < end);
        let is_cut = |run: &Run| run.gfn < end && end < run.end();
        Self {
            runs: self.within(0, end).collect(),
            is_cut: self.runs.iter().any(is_cut)
                || self.is_cut && self.runs.last().is_some_and(|run| run.end() <= end),
            empty: empty
                .map(|empty| EmptyTables {
                    pages: empty.pages.min(end - empty.gfn),
                    ..*empty
                })
                .collect(),
            unknown_from: Some(end),
            ..self.clone()
        }
    }

    /// Pages that are mapped.
    #[must_use]
    pub fn mapped(&self) -> u64 {
        self.pages.iter().sum()
    }

    /// Tables of all levels.
    #[must_use]
    pub fn all_tables(&self) -> u64 {
        self.tables.iter().sum()
    }
}
