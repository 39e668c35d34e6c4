// SPDX-License-Identifier: GPL-2.0-only
//! Printing the whole stage 2 of a domain, as runs of entries (debug key `D`, with
//! CONFIG_ARM_P2M_DUMP). The lines are those of [`crate::xen::console::stage2`].
//!
//! A guest of 64 GiB may have millions of entries, and a console may take a second for a
//! hundred lines. So the p2m lock is held for no longer than it takes to read what is left of
//! one table. What was read is printed, and pending softirqs are processed, after it is
//! released. **A dump is therefore not of one moment**: between two tables the domain may
//! map, unmap, and die. Each step begins at the root again, with the next frame, and whatever
//! it finds there is what is printed; nothing is kept across the unlock but numbers. The
//! caller sees to it that the domain's structure stays (it has a reference, by `get_domain`), and
//! with it the root, which only `p2m_final_teardown` frees.
//!
//! **A dump is bounded.** Memory whose machine frames do not follow each other takes a line a
//! page. Once half of the lines are used, such pages become one run, which does not say where
//! they are; and once all are used, runs are counted and not printed.
#![forbid(unsafe_code)]

use core::sync::atomic::Ordering::Relaxed;

use crate::p2m::lock::ReadView;
use crate::p2m::reentry::process_pending_softirqs;
use crate::p2m::token::Unlocked;
use crate::p2m::P2m;
use crate::table::{Entry, Table};
use crate::types::addr::Gfn;
use crate::types::level::{Level, ENTRIES, TABLE_SHIFT};
use crate::types::pte::{Kind, Pte};
use crate::xen::console::stage2::{self as console, Leaves, Shape, Totals, Valid};
use crate::xen::domain::Domain;
use crate::xen::globals::{p2m_ipa_bits, root_level, root_pages};

/// Runs that are kept until the lock is released.
const RUNS_AT_ONCE: usize = 16;

/// The most runs that one entry of a table ends: the run before it, and, if it is the last
/// entry of tables of all levels, one for each of them.
const RUNS_OF_AN_ENTRY: usize = 5;

/// Prints the stage 2 of `domain`, with at most `most` runs; all of them if `most` is 0.
pub(crate) fn dump(cx: &mut Unlocked<'_>, domain: &Domain, most: u64) {
    let p2m = P2m::host_of(domain);
    let shape = shape(&p2m.read(cx));
    console::begin(domain, 0, &shape);
    let mut printer = Printer {
        domain,
        most,
        line: 1,
        left_out: [0; 2],
    };
    let mut reader = Reader::default();
    while reader.next.is_some() {
        reader.brief = printer.is_half_way();
        reader.read(&p2m.read(cx));
        printer.print(&mut reader.ended);
        process_pending_softirqs(cx);
    }
    reader.ended.take(reader.open.take());
    printer.print(&mut reader.ended);
    let split = {
        let view = p2m.read(cx);
        [Level::L1, Level::L2].map(|level| view.shattered(level))
    };
    let totals = Totals {
        tables: reader.tables,
        empty: reader.empty,
        split,
        locked: reader.locked,
        pages: reader.pages,
        left_out: printer.left_out,
    };
    console::totals(domain, printer.line, &totals);
}

fn shape(view: &ReadView) -> Shape {
    Shape {
        vmid: view.p2m().vmid(),
        ipa_bits: p2m_ipa_bits().load(Relaxed),
        root_level: root_level(),
        // At most 8.
        root_pages: u32::try_from(root_pages()).unwrap_or(1),
        mem_access: view.p2m().mem_access_enabled(),
        default_access: view.default_access(),
    }
}

/// Neighbouring entries that are alike.
#[derive(Clone, Copy)]
struct Run {
    gfn: Gfn,
    pages: u64,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    Leaves(Leaves),
    /// Tables of this level without any entry.
    Empty(Level),
}

impl Run {
    /// This run extended by `next`, if `next` continues it; if `brief`, the machine frames need
    /// not be consecutive.
    fn with(self, next: Self, brief: bool) -> Option<Self> {
        let follows = self.gfn.add(self.pages) == next.gfn;
        let what = match (self.what, next.what) {
            (What::Leaves(a), What::Leaves(b)) => {
                let in_order = a.mfn.map(|mfn| mfn.add(self.pages)) == b.mfn && a.mfn.is_some();
                let alike =
                    (a.level, a.ty, a.access, a.valid) == (b.level, b.ty, b.access, b.valid);
                let mfn = a.mfn.filter(|_| in_order);
                (alike && (in_order || brief)).then_some(What::Leaves(Leaves { mfn, ..a }))
            }
            (What::Empty(a), What::Empty(b)) => (a == b).then_some(What::Empty(a)),
            _ => None,
        };
        what.filter(|_| follows).map(|what| Self {
            pages: self.pages + next.pages,
            what,
            ..self
        })
    }
}

/// Runs that have ended and are not printed yet.
#[derive(Default)]
struct Ended {
    runs: [Option<Run>; RUNS_AT_ONCE],
    count: usize,
}

impl Ended {
    fn has_room(&self) -> bool {
        self.count + RUNS_OF_AN_ENTRY <= RUNS_AT_ONCE
    }

    fn take(&mut self, run: Option<Run>) {
        if let (Some(_), Some(place)) = (run, self.runs.get_mut(self.count)) {
            *place = run;
            self.count += 1;
        }
    }
}

/// What was read, and where to go on.
struct Reader {
    /// `None`: all was read.
    next: Option<Gfn>,
    /// The run that the next entry may be one with.
    open: Option<Run>,
    ended: Ended,
    /// Runs need not say which machine frames they have.
    brief: bool,
    /// For each level the first frame of the table that was last on the way, and whether an
    /// entry was found in it.
    last: [Option<(Gfn, bool)>; 4],
    tables: [u64; 4],
    empty: u64,
    pages: [u64; 3],
    locked: u64,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            next: Some(Gfn::new(0)),
            open: None,
            ended: Ended::default(),
            brief: false,
            last: [None; 4],
            tables: [0; 4],
            empty: 0,
            pages: [0; 3],
            locked: 0,
        }
    }
}

/// The number of pages that a table of `level` spans.
const fn span(level: Level) -> u64 {
    level.pages() << TABLE_SHIFT
}

impl Reader {
    /// Reads on: what is left of one table, up to an entry that points to another, or as much
    /// of it as there is room for. At most [`ENTRIES`] entries, and those on the way.
    fn read(&mut self, view: &ReadView) {
        self.locked += 1;
        let Some(mut gfn) = self.next.take() else {
            return;
        };
        // None beyond what the root spans, or if there is no root (any more).
        let Some((table, reached)) = self.descend(view, gfn) else {
            return;
        };
        let level = table.level();
        let mut at = Some(level.index(gfn));
        while let Some(index) = at.filter(|_| self.ended.has_room()) {
            let pte = table.load(index);
            if matches!(pte.kind(level), Kind::Table(_)) {
                break;
            }
            let alike = table.run_of(index, pte, ENTRIES as u64);
            let end = gfn
                .next_boundary(level.order())
                .add((alike - 1) << level.order());
            if let Some(leaves) = leaves(pte, level, gfn, reached) {
                self.mapped(gfn, end.raw() - gfn.raw(), leaves);
            }
            gfn = end;
            self.leave(gfn, level);
            at = index.advanced(alike);
        }
        self.next = Some(gfn);
    }

    /// The table whose entry ends the walk to `gfn`, and whether the hardware reaches it.
    fn descend<'v>(&mut self, view: &'v ReadView, gfn: Gfn) -> Option<(Table<'v>, bool)> {
        let mut table = Table::root(view, gfn)?;
        let mut reached = true;
        loop {
            let level = table.level();
            self.enter(level, gfn);
            let index = level.index(gfn);
            let Entry::Table(below) = table.entry(index) else {
                return Some((table, reached));
            };
            self.note_entry(level);
            reached &= table.load(index).valid_bit();
            table = below;
        }
    }

    /// The table of `level` for `gfn` is on the way: counts it if the last one was another.
    fn enter(&mut self, level: Level, gfn: Gfn) {
        let first = Gfn::new(gfn.raw() & !(span(level) - 1));
        let Some(last) = self.last.get_mut(level as usize) else {
            return;
        };
        if last.is_none_or(|(last, _)| last != first) {
            // What was before `gfn` in a table that came only now is not known: it is not
            // called empty.
            *last = Some((first, first != gfn));
            if let Some(count) = self.tables.get_mut(level as usize) {
                *count += 1;
            }
        }
    }

    /// The last table of `level` has an entry.
    fn note_entry(&mut self, level: Level) {
        if let Some(Some((_, any))) = self.last.get_mut(level as usize) {
            *any = true;
        }
    }

    /// All before `gfn` was read: counts the empty tables, from `level` up, that end at `gfn`.
    fn leave(&mut self, gfn: Gfn, level: Level) {
        let below_root = [Level::L3, Level::L2, Level::L1]
            .into_iter()
            .filter(|&each| each <= level && each > root_level());
        for level in below_root {
            if gfn.raw() & (span(level) - 1) != 0 {
                return;
            }
            if let Some(Some((first, false))) = self.last.get(level as usize).copied() {
                self.empty += 1;
                self.add(Run {
                    gfn: first,
                    pages: span(level),
                    what: What::Empty(level),
                });
            }
        }
    }

    /// Records that `pages` pages from `gfn` on are mapped as `leaves` says.
    fn mapped(&mut self, gfn: Gfn, pages: u64, leaves: Leaves) {
        self.note_entry(leaves.level);
        let size = leaves.level as usize;
        if let Some(count) = size.checked_sub(1).and_then(|n| self.pages.get_mut(n)) {
            *count += pages;
        }
        self.add(Run {
            gfn,
            pages,
            what: What::Leaves(leaves),
        });
    }

    fn add(&mut self, run: Run) {
        match self.open.and_then(|open| open.with(run, self.brief)) {
            Some(longer) => self.open = Some(longer),
            None => {
                let before = self.open.replace(run);
                self.ended.take(before);
            }
        }
    }
}

/// What the entry `pte` of `level` maps at `gfn`, which may be in the middle of a block:
/// the pages before it were something else when they were read.
fn leaves(pte: Pte, level: Level, gfn: Gfn, reached: bool) -> Option<Leaves> {
    let ty = pte.ty()?;
    Some(Leaves {
        mfn: Some(pte.mfn().add(level.offset(gfn))),
        level,
        ty,
        access: pte.access(),
        valid: match (pte.valid_bit(), reached) {
            (false, _) => Valid::No,
            (true, false) => Valid::NotAbove,
            (true, true) => Valid::Yes,
        },
    })
}

/// Prints runs, up to a limit.
struct Printer<'d> {
    domain: &'d Domain,
    most: u64,
    /// The number of the next line.
    line: u32,
    left_out: [u64; 2],
}

impl Printer<'_> {
    /// Half of the lines are used.
    fn is_half_way(&self) -> bool {
        self.most != 0 && u64::from(self.line) > self.most / 2
    }

    /// Prints what has ended. No lock is held.
    fn print(&mut self, ended: &mut Ended) {
        for run in ended.runs.iter_mut().filter_map(Option::take) {
            if self.most != 0 && u64::from(self.line) > self.most {
                let [runs, pages] = &mut self.left_out;
                *runs += 1;
                if matches!(run.what, What::Leaves(_)) {
                    *pages += run.pages;
                }
                continue;
            }
            match run.what {
                What::Leaves(leaves) => {
                    console::leaves(self.domain, self.line, run.gfn, run.pages, &leaves);
                }
                What::Empty(level) => {
                    console::empty_tables(self.domain, self.line, run.gfn, run.pages, level);
                }
            }
            self.line = self.line.wrapping_add(1);
        }
        ended.count = 0;
    }
}
