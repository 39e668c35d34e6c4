// SPDX-License-Identifier: GPL-2.0-only
//! docs/mem_access.md: its tables, and what they promise of each act under each access.

use test_harness::MonitorRequest;

use crate::common::access;

/// The page that the tables speak of, and where in it the guest is.
pub(crate) const GFN: u64 = 0x1000;
pub(crate) const OFFSET: u64 = 0x128;
/// The address by which the guest gets there.
pub(crate) const GVA: u64 = 0x8000_0000 + OFFSET;

/// `MEM_ACCESS_*`.
const FLAGS: [(&str, u32); 6] = [
    ("R", 1 << 0),
    ("W", 1 << 1),
    ("X", 1 << 2),
    ("GLA_VALID", 1 << 3),
    ("FAULT_WITH_GLA", 1 << 4),
    ("FAULT_IN_GPT", 1 << 5),
];

pub(crate) const ACCESSES: [(&str, u32); 11] = [
    ("n", access::N),
    ("r", access::R),
    ("w", access::W),
    ("rw", access::RW),
    ("x", access::X),
    ("rx", access::RX),
    ("wx", access::WX),
    ("rwx", access::RWX),
    ("rx2rw", access::RX2RW),
    ("n2rwx", access::N2RWX),
    ("r_pw", access::R_PW),
];

/// What is done with the page, by the head of its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Read,
    Write,
    Fetch,
    /// The page has the guest's tables, which the walker reads, for an instruction that does this.
    WalkReads,
    WalkWrites,
    CopyFrom,
    CopyTo,
    /// The page has the guest's tables; the buffer is elsewhere.
    CopyThrough,
    CacheByVa,
    InvalidateByVa,
    AtToIt,
    AtThrough,
}

pub(crate) const ACTS: [(&str, Act); 12] = [
    ("read", Act::Read),
    ("write", Act::Write),
    ("fetch", Act::Fetch),
    ("walk reads", Act::WalkReads),
    ("walk writes", Act::WalkWrites),
    ("Xen copies from it", Act::CopyFrom),
    ("Xen copies to it", Act::CopyTo),
    ("Xen copies through it", Act::CopyThrough),
    ("DC, IC by VA, EL0", Act::CacheByVa),
    ("DC IVAC, EL1", Act::InvalidateByVa),
    ("AT, to it", Act::AtToIt),
    ("AT, through it", Act::AtThrough),
];

/// Who hears of violations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    Connected,
    Nobody,
    NobodyButRequired,
}

pub(crate) const LISTENERS: [(&str, Listener); 3] = [
    ("a monitor is connected", Listener::Connected),
    ("none, and none is required", Listener::Nobody),
    ("none, but one is required", Listener::NobodyButRequired),
];

pub(crate) type Table = Vec<Vec<String>>;

/// The rows of the table behind `<!-- table: NAME -->`, its head first, without backquotes.
fn table(document: &str, name: &str) -> Table {
    let mark = format!("<!-- table: {name} -->");
    let from = document.split(&mark).nth(1);
    let from = from.unwrap_or_else(|| panic!("docs/mem_access.md has no {mark}"));
    let rows = from.trim_start().lines().take_while(|l| l.starts_with('|'));
    let cells = |row: &str| -> Vec<String> {
        let row = row.trim().trim_matches('|');
        row.split('|').map(|c| c.trim().replace('`', "")).collect()
    };
    let table: Table = rows
        .map(cells)
        .filter(|r| !r[0].starts_with("--"))
        .collect();
    assert!(table.len() > 1, "{mark}: no table follows");
    for row in &table {
        assert_eq!(row.len(), table[0].len(), "{mark}: {row:?}");
    }
    table
}

fn text() -> String {
    let path = format!("{}/../docs/mem_access.md", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// The document's three tables.
#[derive(Clone)]
pub(crate) struct Document {
    /// Row: access. Column: act.
    pub(crate) accesses: Table,
    /// Row: form of a cell of `accesses`. Column: listener.
    pub(crate) listeners: Table,
    /// Row: act. Columns: fields of the event.
    pub(crate) fields: Table,
}

impl Document {
    pub(crate) fn read() -> Self {
        let text = text();
        Self {
            accesses: table(&text, "accesses"),
            listeners: table(&text, "listeners"),
            fields: table(&text, "fields"),
        }
    }

    fn cell<'a>(table: &'a Table, row: &str, column: &str) -> Result<&'a str, String> {
        let at = table[0].iter().position(|head| head == column);
        let at = at.ok_or_else(|| format!("there is no column \"{column}\""))?;
        let row = table.iter().skip(1).find(|cells| cells[0] == row);
        row.map(|cells| cells[at].as_str())
            .ok_or_else(|| format!("there is no row \"{row:?}\""))
    }
}

/// What a cell of the first table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    /// Nobody notices: "-".
    Passes,
    /// "R", "W", "X": an event with this flag.
    Event(u32),
    /// "R, rwx": the access becomes rwx, and an event tells of it.
    Relaxed(u32),
    /// "rw": the access becomes rw, and nobody is told.
    Silent,
}

impl Cell {
    fn read(text: &str) -> Result<Self, String> {
        let flag = |name: &str| {
            let found = FLAGS.iter().take(3).find(|(n, _)| *n == name);
            found
                .map(|&(_, flag)| flag)
                .ok_or(format!("what is \"{text}\"?"))
        };
        match text.split_once(", ") {
            None if text == "-" => Ok(Self::Passes),
            None if text == "rw" => Ok(Self::Silent),
            None => flag(text).map(Self::Event),
            Some((kind, "rwx")) => flag(kind).map(Self::Relaxed),
            Some(_) => Err(format!("what is \"{text}\"?")),
        }
    }

    /// Its row in the second table.
    fn form(self) -> &'static str {
        match self {
            Self::Passes => "-",
            Self::Event(_) => "R, W or X",
            Self::Relaxed(_) => "R, W or X, then rwx",
            Self::Silent => "rw",
        }
    }
}

/// What became of it all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The hardware did not let the guest through.
    pub(crate) faulted: bool,
    pub(crate) event: Option<MonitorRequest>,
    /// The access of the page afterwards, by its number.
    pub(crate) access: u32,
    /// The domain was crashed.
    pub(crate) crashed: bool,
    /// Xen's copy was refused; or the guest got an abort, or faults for ever.
    pub(crate) refused: bool,
}

/// What the document promises.
pub(crate) fn promised(
    doc: &Document,
    act: Act,
    a: u32,
    listener: Listener,
) -> Result<Outcome, String> {
    let name = |list: &[(&'static str, u32)], value| list.iter().find(|l| l.1 == value).unwrap().0;
    let column = ACTS.iter().find(|(_, other)| *other == act).unwrap().0;
    let row = name(&ACCESSES, a);
    let cell = Cell::read(Document::cell(&doc.accesses, row, column)?)?;
    let listens = LISTENERS.iter().find(|(_, l)| *l == listener).unwrap().0;
    let said = Document::cell(&doc.listeners, cell.form(), listens)?;
    let (flag, kind) = match cell {
        Cell::Event(flag) | Cell::Relaxed(flag) => (flag, Some(flag)),
        Cell::Passes | Cell::Silent => (0, None),
    };
    let event = |sync| -> Result<Option<MonitorRequest>, String> {
        let field = |name| Document::cell(&doc.fields, column, name);
        let mut flags = flag;
        for word in field("flags")?.split(", ") {
            let found = FLAGS.iter().find(|(name, _)| *name == word);
            let (_, more) = found.ok_or_else(|| format!("what is the flag \"{word}\"?"))?;
            flags |= more;
        }
        let number = |name| match field(name)? {
            "0" => Ok(0),
            "of the access" => Ok(OFFSET),
            "of the page" => Ok(GFN),
            "the virtual address" => Ok(GVA),
            other => Err(format!("what is the {name} \"{other}\"?")),
        };
        Ok(Some(MonitorRequest {
            reason: 1,
            gfn: number("gfn")?,
            offset: number("offset")?,
            gla: number("gla")?,
            flags,
            sync,
        }))
    };
    let mut outcome = Outcome {
        faulted: cell != Cell::Passes,
        access: a,
        ..Outcome::default()
    };
    for word in said.split("; ") {
        match word {
            "the guest goes on" => {}
            "an event, the vCPU waits" if kind.is_some() => outcome.event = event(true)?,
            "an event, the vCPU does not wait" if kind.is_some() => outcome.event = event(false)?,
            "the page becomes rwx" => outcome.access = access::RWX,
            "the page becomes rw" => outcome.access = access::RW,
            "the domain is crashed" => outcome.crashed = true,
            other => return Err(format!("what is \"{other}\"?")),
        }
    }
    Ok(outcome)
}
