// SPDX-License-Identifier: GPL-2.0-only
//! Dumps in a console's log: between other lines, behind `(XEN) `, timestamps and what a guest
//! has printed without an end of line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::counts;
use super::field::{self, Line};
use super::model::{Dump, EmptyTables, Mapping, Run, Shape, Supply, FORMAT};

/// Why a text has no dump that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The line, from 1 on; 0 if it is of no line.
    pub line: usize,
    /// A sentence.
    pub what: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.what),
            line => write!(f, "line {line}: {}", self.what),
        }
    }
}

impl std::error::Error for Error {}

/// A dump that a text has: whole, or what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The domain's number.
    pub domain: u16,
    /// The dump.
    pub dump: Result<Dump, Error>,
}

/// All dumps of a text, in the order in which they end, if all are whole.
///
/// # Errors
///
/// What is wrong with the first one that is not, or that there is no dump at all.
pub fn read(text: &str) -> Result<Vec<Dump>, Error> {
    find(text)?.into_iter().map(|found| found.dump).collect()
}

/// All dumps of a text, in the order in which they end; those without an end are last.
///
/// # Errors
///
/// That there is none.
pub fn find(text: &str) -> Result<Vec<Found>, Error> {
    let mut log = Log::default();
    for (at, line) in (1..).zip(text.lines()) {
        if let Some(line) = field::find(line) {
            log.take(&line, at);
        }
    }
    let found = log.end();
    if found.is_empty() {
        let what = "there is no dump in it, nor a line of one (press debug key D in a Xen with \
                    CONFIG_ARM_P2M_DUMP=y)";
        return Err(Error {
            line: 0,
            what: what.to_owned(),
        });
    }
    Ok(found)
}

/// What was read of a log.
#[derive(Default)]
struct Log<'t> {
    found: Vec<Found>,
    /// Of each domain the dump whose end is still to come; or what is wrong with it, while its
    /// other lines come.
    begun: BTreeMap<u16, Result<Reading<'t>, Error>>,
    /// The same of dumps of which there is no more than a `begin` that a whole dump has had: it is
    /// that line, printed once more, if the next one does not follow.
    again: BTreeMap<u16, Reading<'t>>,
    /// The lines of the dumps that are whole, and the last ones of those that are not. Who looks at
    /// them may have them printed once more.
    seen: BTreeSet<&'t str>,
}

impl<'t> Log<'t> {
    /// Takes a line in.
    fn take(&mut self, line: &Line<'t>, at: usize) {
        let domain = line.domain;
        let error = |what| Error { line: at, what };
        let is_seen = self.seen.contains(line.text);
        if line.kind == "begin" {
            match begin(line, at).map_err(error) {
                Ok(reading) if is_seen => {
                    self.again.insert(domain, reading);
                }
                begun => self.begin(domain, begun, at),
            }
            return;
        }
        let is_next = match self.begun.get(&domain) {
            Some(Ok(reading)) => line.number == reading.next && reading.passed_over.is_none(),
            _ => false,
        };
        if line.number == 1 && !is_next {
            if let Some(reading) = self.again.remove(&domain) {
                let at = reading.dump.lines.0;
                self.begin(domain, Ok(reading), at);
            }
        }
        let mut begun = match self.begun.remove(&domain) {
            Some(begun) => begun,
            None if is_seen => return,
            None => Err(error(match self.again.remove(&domain) {
                Some(reading) => reading.not_its_turn(line),
                None => format!(
                    "this is line {} of a dump of d{domain} whose beginning is not in this file (if \
                     it was Xen's ring that is too small, boot Xen with a larger conring_size=)",
                    line.number
                ),
            })),
        };
        if let Ok(reading) = &mut begun {
            if is_seen && line.number != reading.next {
                let what = reading.not_its_turn(line);
                reading.passed_over.get_or_insert(error(what));
                self.begun.insert(domain, begun);
                return;
            }
        }
        let read = begun.and_then(|mut reading| {
            reading.step(line, at).map_err(error)?;
            Ok(reading)
        });
        self.again.remove(&domain);
        if line.kind == "end" {
            self.seen.insert(line.text);
            let dump = read.map(|reading| {
                self.seen.extend(reading.texts);
                reading.dump
            });
            self.found.push(Found { domain, dump });
        } else {
            self.begun.insert(domain, read);
        }
    }

    /// A dump begins; line `at` says so.
    fn begin(&mut self, domain: u16, begun: Result<Reading<'t>, Error>, at: usize) {
        self.again.remove(&domain);
        if let Some(before) = self.begun.insert(domain, begun) {
            let dump = before.and_then(|before| {
                let what = format!(
                    "a dump of d{domain} begins, but the one that began at line {} has no end",
                    before.dump.lines.0
                );
                Err(before.passed_over.unwrap_or(Error { line: at, what }))
            });
            self.found.push(Found { domain, dump });
        }
    }

    /// No line follows.
    fn end(self) -> Vec<Found> {
        let mut all = self.found;
        all.extend(self.begun.into_iter().map(|(domain, begun)| Found {
            domain,
            dump: begun.and_then(|reading| {
                Err(reading.passed_over.unwrap_or(Error {
                    line: reading.dump.lines.0,
                    what: format!("the dump of d{domain} that begins here has no end"),
                }))
            }),
        }));
        all
    }
}

/// A dump whose end is still to come.
struct Reading<'t> {
    dump: Dump,
    /// Its lines.
    texts: Vec<&'t str>,
    /// The number of the next line.
    next: u64,
    /// The first frame after those that the lines say something of: they rise from line to line.
    end: u64,
    /// What is wrong with the dump if the next line does not come: a line came whose turn it was
    /// not, and which a whole dump has had.
    passed_over: Option<Error>,
    /// Which of the lines before the last one were seen.
    tables: bool,
    history: bool,
}

fn begin<'t>(line: &Line<'t>, at: usize) -> Result<Reading<'t>, String> {
    let format = line.number("format")?;
    if format != FORMAT {
        return Err(format!(
            "this dump has format {format}; this program reads format {FORMAT}"
        ));
    }
    if line.number != 0 {
        return Err(format!(
            "a dump begins with line 0, and not with line {}",
            line.number
        ));
    }
    let dump = Dump {
        domain: line.domain,
        lines: (at, at),
        shape: shape(line)?,
        runs: Vec::new(),
        empty: Vec::new(),
        tables: [0; 4],
        empty_tables: 0,
        supply: Supply::Heap,
        split: [0; 2],
        pages: [0; 3],
        left_out: (0, 0),
        unknown_from: None,
        is_cut: false,
        dying: false,
    };
    Ok(Reading {
        dump,
        texts: vec![line.text],
        next: 1,
        end: 0,
        passed_over: None,
        tables: false,
        history: false,
    })
}

/// The shape of the tables, of which there are not many on Arm.
fn shape(line: &Line<'_>) -> Result<Shape, String> {
    let shape = Shape {
        vmid: line.number("vmid")?,
        ipa_bits: line.number("ipa-bits")?,
        root_level: line.number("root-level")?,
        root_pages: line.number("root-pages")?,
        mem_access: line.word("mem-access", &[("on", true), ("off", false)])?,
        default: line.access("default")?,
    };
    if !(32..=52).contains(&shape.ipa_bits) {
        return Err(format!(
            "`ipa-bits={}` is not from 32 to 52",
            shape.ipa_bits
        ));
    }
    if shape.root_level > 1 {
        return Err(format!(
            "`root-level={}` is neither 0 nor 1",
            shape.root_level
        ));
    }
    if !(1..=16).contains(&shape.root_pages) {
        return Err(format!(
            "`root-pages={}` is not from 1 to 16",
            shape.root_pages
        ));
    }
    if shape.frames() < 1 << (shape.ipa_bits - 12) {
        return Err(format!(
            "a root of level {} with {} is too small for {} bits of address",
            shape.root_level,
            match shape.root_pages {
                1 => "1 page".to_owned(),
                pages => format!("{pages} pages"),
            },
            shape.ipa_bits
        ));
    }
    Ok(shape)
}

impl<'t> Reading<'t> {
    fn not_its_turn(&self, line: &Line<'_>) -> String {
        format!(
            "this is line {} of the dump of d{}, but it was line {}'s turn: lines were lost or \
             damaged",
            line.number, line.domain, self.next
        )
    }

    /// Takes a line in that is not the first one.
    fn step(&mut self, line: &Line<'t>, at: usize) -> Result<(), String> {
        if line.number != self.next {
            return Err(self.not_its_turn(line));
        }
        self.next += 1;
        self.texts.push(line.text);
        self.passed_over = None;
        match line.kind {
            "map" => self.map(line),
            "empty" => self.empty(line),
            "tables" => self.tables(line),
            "history" => self.history(line),
            _ => self.end(line, at),
        }
    }

    /// The first frame and how many there are: some, none that an earlier line has, and none beyond
    /// what the root spans.
    fn range(&mut self, line: &Line<'_>) -> Result<(u64, u64), String> {
        let (gfn, pages) = (line.frames("gfn")?, line.frames("pages")?);
        if pages == 0 || gfn + pages > self.dump.shape.frames() {
            return Err(format!(
                "{pages:#x} pages from frame {gfn:#x} on are no range of this domain's {:#x} frames",
                self.dump.shape.frames()
            ));
        }
        if gfn < self.end {
            return Err(format!(
                "frame {gfn:#x} comes after frame {:#x}, which an earlier line has",
                self.end - 1
            ));
        }
        self.end = gfn + pages;
        Ok((gfn, pages))
    }

    fn map(&mut self, line: &Line<'_>) -> Result<(), String> {
        let (gfn, pages) = self.range(line)?;
        let mapping = Mapping {
            mfn: line.frame("mfn")?,
            size: line.size("order")?,
            ty: line.ty("type")?,
            access: line.access("access")?,
            valid: line.valid("valid")?,
        };
        self.dump.runs.push(Run {
            gfn,
            pages,
            mapping,
        });
        Ok(())
    }

    fn empty(&mut self, line: &Line<'_>) -> Result<(), String> {
        let (gfn, pages) = self.range(line)?;
        let level = line.number("level")?;
        let span = match level {
            1..=3 => 1 << (9 * (4 - level)),
            _ => return Err(format!("`level={level}` is none of 1, 2 and 3")),
        };
        if gfn % span != 0 || pages % span != 0 {
            return Err(format!(
                "{pages:#x} pages from frame {gfn:#x} on are not what tables of level {level} span"
            ));
        }
        self.dump.empty.push(EmptyTables { gfn, pages, level });
        Ok(())
    }

    fn tables(&mut self, line: &Line<'_>) -> Result<(), String> {
        for (level, count) in self.dump.tables.iter_mut().enumerate() {
            *count = line.frames(&format!("l{level}"))?;
        }
        self.dump.empty_tables = line.frames("empty")?;
        let pool = line.frames("pool")?;
        self.dump.supply = if line.flag("heap")? {
            Supply::Heap
        } else {
            Supply::Pool(pool)
        };
        self.tables = true;
        Ok(())
    }

    fn history(&mut self, line: &Line<'_>) -> Result<(), String> {
        self.dump.split = [line.frames("split-1g")?, line.frames("split-2m")?];
        self.history = true;
        Ok(())
    }

    fn end(&mut self, line: &Line<'_>, at: usize) -> Result<(), String> {
        if !self.tables || !self.history {
            return Err("the dump ends without its lines `tables` and `history`".to_owned());
        }
        let dump = &mut self.dump;
        dump.lines.1 = at;
        let names = ["pages-1g", "pages-2m", "pages-4k"];
        for (pages, name) in dump.pages.iter_mut().zip(names) {
            *pages = line.frames(name)?;
        }
        dump.left_out = (line.frames("left-out")?, line.frames("left-out-pages")?);
        if let (0, pages @ 1..) = dump.left_out {
            return Err(format!("no run is left out, but {pages:#x} pages are"));
        }
        dump.dying = line.flag("dying")?;
        // What is left out comes after all that was printed.
        dump.unknown_from = (dump.left_out.1 > 0).then_some(self.end);
        counts::pages(dump)?;
        counts::empty_tables(dump)?;
        counts::tables(dump)
    }
}
