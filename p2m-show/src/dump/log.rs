// SPDX-License-Identifier: GPL-2.0-only
//! Dumps in a console's log: between other lines, behind `(XEN) `, timestamps and what a guest
//! has printed without an end of line.

use std::collections::BTreeMap;
use std::fmt;

use super::field::{self, Line};
use super::model::{Dump, EmptyTables, Mapping, Run, Shape, Supply, FORMAT};
use super::values::Size;

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

/// All dumps of a text, in the order in which they end.
///
/// # Errors
///
/// The first line that is not what it must be, or that there is no dump at all.
pub fn read(text: &str) -> Result<Vec<Dump>, Error> {
    let mut dumps = Vec::new();
    let mut begun: BTreeMap<u16, Reading> = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let Some(found) = field::find(line) else {
            continue;
        };
        let read = found.and_then(|line| step(&mut begun, &line, number));
        let read = read.map_err(|what| Error { line: number, what })?;
        dumps.extend(read);
    }
    if let Some(reading) = begun.into_values().next() {
        let what = format!(
            "the dump of d{} that begins here has no end",
            reading.dump.domain
        );
        return Err(Error {
            line: reading.dump.lines.0,
            what,
        });
    }
    if dumps.is_empty() {
        let what = "there is no dump in it: no line has \"p2m-dump:\" (press debug key D in a Xen \
                    with CONFIG_ARM_P2M_DUMP=y)";
        return Err(Error {
            line: 0,
            what: what.to_owned(),
        });
    }
    Ok(dumps)
}

/// A dump whose end is still to come.
struct Reading {
    dump: Dump,
    /// The number of the next line.
    next: u64,
    /// Which of the lines before the last one were seen.
    tables: bool,
    history: bool,
}

/// Takes a line in; the dump, if it is the last one of it.
fn step(
    begun: &mut BTreeMap<u16, Reading>,
    line: &Line<'_>,
    at: usize,
) -> Result<Option<Dump>, String> {
    let id = line.domain;
    if line.kind == "begin" {
        if let Some(before) = begun.get(&id) {
            return Err(format!(
                "a dump of d{id} begins, but the one that began at line {} has no end",
                before.dump.lines.0
            ));
        }
        begun.insert(id, begin(line, at)?);
        return Ok(None);
    }
    let Some(reading) = begun.get_mut(&id) else {
        return Err(format!(
            "this is line {} of a dump of d{id} whose beginning is not in this file (if it was \
             Xen's ring that is too small, boot Xen with a larger conring_size=)",
            line.number
        ));
    };
    if line.number != reading.next {
        return Err(format!(
            "this is line {} of the dump of d{id}, but it was line {}'s turn: lines were lost",
            line.number, reading.next
        ));
    }
    reading.next += 1;
    match line.kind {
        "map" => reading.map(line)?,
        "empty" => reading.empty(line)?,
        "tables" => reading.tables(line)?,
        "history" => reading.history(line)?,
        "end" => {
            reading.end(line, at)?;
            return Ok(begun.remove(&id).map(|reading| reading.dump));
        }
        other => return Err(format!("a line of a dump cannot be `{other}`")),
    }
    Ok(None)
}

fn begin(line: &Line<'_>, at: usize) -> Result<Reading, String> {
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
    let shape = Shape {
        vmid: line.number("vmid")?,
        ipa_bits: line.number("ipa-bits")?,
        root_level: line.number("root-level")?,
        mem_access: line.word("mem-access", &[("on", true), ("off", false)])?,
        default: line.access("default")?,
    };
    if shape.root_level > 1 {
        return Err(format!(
            "`root-level={}` is neither 0 nor 1",
            shape.root_level
        ));
    }
    let dump = Dump {
        domain: line.domain,
        lines: (at, at),
        shape,
        runs: Vec::new(),
        empty: Vec::new(),
        tables: [0; 4],
        supply: Supply::Heap,
        split: [0; 2],
        pages: [0; 3],
        left_out: (0, 0),
        dying: false,
    };
    Ok(Reading {
        dump,
        next: 1,
        tables: false,
        history: false,
    })
}

/// The first frame and how many there are: some, and none beyond 64 bits of address.
fn range(line: &Line<'_>) -> Result<(u64, u64), String> {
    let (gfn, pages) = (line.frames("gfn")?, line.frames("pages")?);
    if pages == 0 || (gfn + pages) >> 52 != 0 {
        return Err(format!(
            "{pages:#x} pages from frame {gfn:#x} on are no range"
        ));
    }
    Ok((gfn, pages))
}

impl Reading {
    fn map(&mut self, line: &Line<'_>) -> Result<(), String> {
        let (gfn, pages) = range(line)?;
        let mapping = Mapping {
            mfn: line.frame("mfn")?,
            size: line.size("order")?,
            ty: line.ty("type")?,
            access: line.access("access")?,
            valid: line.valid("valid")?,
        };
        let end = self.dump.runs.last().map_or(0, Run::end);
        if gfn < end {
            return Err(format!(
                "frame {gfn:#x} comes after frame {:#x}, which was mapped before",
                end - 1
            ));
        }
        self.dump.runs.push(Run {
            gfn,
            pages,
            mapping,
        });
        Ok(())
    }

    fn empty(&mut self, line: &Line<'_>) -> Result<(), String> {
        let (gfn, pages) = range(line)?;
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
        dump.dying = line.flag("dying")?;
        let mut found = [0; 3];
        for run in &dump.runs {
            let same = Size::ALL.iter().zip(&mut found);
            same.filter(|(size, _)| **size == run.mapping.size)
                .for_each(|(_, pages)| *pages += run.pages);
        }
        let (all, missing) = (dump.pages.iter().sum::<u64>(), dump.left_out.1);
        let whole = missing == 0 && found != dump.pages;
        if whole || found.iter().sum::<u64>() + missing != all {
            return Err(format!(
                "the lines of the dump map {:#x} pages, but its end says that there are {:#x}",
                found.iter().sum::<u64>(),
                all - missing.min(all)
            ));
        }
        Ok(())
    }
}
