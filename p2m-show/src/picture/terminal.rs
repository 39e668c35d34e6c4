// SPDX-License-Identifier: GPL-2.0-only
//! The picture with characters, at most 105 to a line.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::rows::{Row, Rows, Used};
use super::slots::{slot, Outcome, Slot, EIGHTHS};
use super::subject::Subject;
use super::units::{at_least_or, bytes, count, counted, difference, last_byte};
use super::{says, transitions};
use crate::dump::values::Kind;
use crate::dump::{Access, Size};
use crate::facts::{Sort, State, MIB2};

/// Characters of a row.
const WIDTH: u64 = 64;

/// Whether the terminal shows colours. They say nothing that the characters do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// With escape sequences.
    Ansi,
    /// Plain text.
    None,
}

/// A character of the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Face {
    Nothing,
    EmptyTable,
    Block(Size),
    Pages,
    NeedlessPages,
    Partly,
    Other(Kind),
    Restricted(Access),
    Same,
    Changed(Sort, Outcome),
}

impl Face {
    fn character(self) -> char {
        match self {
            Self::Nothing => '.',
            Self::EmptyTable => 'e',
            Self::Block(Size::Gib1) => 'G',
            Self::Block(_) => 'M',
            Self::Pages => 'p',
            Self::NeedlessPages => 'm',
            Self::Partly => ':',
            Self::Other(kind) => match kind {
                Kind::Ram => 'p',
                Kind::RamRo => 'o',
                Kind::Device => 'd',
                Kind::Foreign => 'f',
                Kind::Grant => 'g',
                Kind::Iommu => 'i',
            },
            Self::Restricted(access) | Self::Changed(_, Outcome::Access(access)) => access.digit(),
            Self::Same => '-',
            Self::Changed(sort, outcome) => match (sort, outcome) {
                (Sort::Unmapped, _) => 'U',
                (Sort::Mapped, _) => 'N',
                (Sort::Moved, _) => 'F',
                (Sort::Retyped | Sort::Restricted, _) => 'T',
                (Sort::Lifted, _) => 'L',
                (Sort::Split, Outcome::Size(Size::Kib4)) => 's',
                (Sort::Split, _) => 'S',
                (Sort::Merged, Outcome::Size(Size::Gib1)) => 'J',
                (Sort::Merged, _) => 'j',
                (Sort::Valid, _) => 'v',
            },
        }
    }

    fn meaning(self) -> String {
        match self {
            Self::Nothing => "nothing mapped".to_owned(),
            Self::EmptyTable => "a table without any entry".to_owned(),
            Self::Block(Size::Gib1) => "a block of 1 GiB".to_owned(),
            Self::Block(_) => "blocks of 2 MiB".to_owned(),
            Self::Pages => "pages".to_owned(),
            Self::NeedlessPages => "pages where one block would do".to_owned(),
            Self::Partly => "partly mapped".to_owned(),
            Self::Other(kind) => kind.name().to_owned(),
            Self::Restricted(access) => format!("restricted to {}", access.rights()),
            Self::Same => "as before".to_owned(),
            Self::Changed(sort, outcome) => says::change(sort, outcome),
        }
    }

    /// The escape sequence's number.
    fn colour(self) -> Option<u8> {
        match self {
            Self::Restricted(_) | Self::Changed(Sort::Restricted, _) => Some(31),
            Self::NeedlessPages
            | Self::EmptyTable
            | Self::Changed(Sort::Lifted | Sort::Merged, _) => Some(32),
            Self::Partly | Self::Changed(Sort::Unmapped | Sort::Mapped, _) => Some(33),
            Self::Block(_) | Self::Pages | Self::Changed(Sort::Split, _) => Some(34),
            Self::Other(_) | Self::Changed(..) => Some(35),
            Self::Nothing | Self::Same => None,
        }
    }
}

/// Draws it.
#[must_use]
pub fn draw(subject: &Subject<'_>, colours: Colours) -> String {
    let rows = Rows::of(subject);
    let mut out = says::title(subject) + "\n\n";
    for (name, text) in says::findings(subject) {
        let _ = writeln!(out, "{}", wrapped(&name, &text));
    }
    let _ = writeln!(out, "\n{}", scale(&rows));
    let width = usize::try_from(WIDTH).unwrap_or(0);
    let _ = writeln!(out, "{:>13} {:width$} {}", "address", "", heading(subject));
    let mut seen = BTreeSet::new();
    for row in &rows.all {
        match row {
            Row::Gap(pages) => {
                let _ = writeln!(out, "{:>13}  nothing for {}", "", bytes(*pages));
            }
            Row::Used(used) => {
                let faces = faces(subject, &rows, used);
                seen.extend(faces.iter().copied());
                let numbers = numbers(subject, used);
                let _ = writeln!(
                    out,
                    "{:>13} {} {numbers}",
                    format!("{:#x}", used.gfn << 12),
                    map(&faces, colours)
                );
                if used.alike > 1 {
                    let _ = writeln!(
                        out,
                        "{:>13}  and {} more rows like this, up to {:#x}",
                        "",
                        used.alike - 1,
                        last_byte(used.gfn + used.alike * rows.pages)
                    );
                }
            }
        }
    }
    out.push('\n');
    for face in seen {
        let _ = writeln!(out, "  {}  {}", face.character(), face.meaning());
    }
    let changed = transitions::list(subject);
    if subject.before.is_some() {
        let _ = match changed.is_empty() {
            true => writeln!(out, "\n{}", transitions::none(subject)),
            false => writeln!(out, "\nWhat has changed:"),
        };
        for [sort, size, what, place] in changed {
            let _ = writeln!(out, "  {sort:22} {size:>9}  {what:36} {place}");
        }
    }
    out.lines()
        .fold(String::new(), |all, line| all + line.trim_end() + "\n")
}

/// `name: text`, over several lines if need be.
fn wrapped(name: &str, text: &str) -> String {
    let mut out = format!("  {name:15}");
    let mut column = 17;
    for word in text.split(' ') {
        let length = word.chars().count();
        if column + 1 + length > 98 {
            out.push_str("\n                 ");
            column = 17;
        }
        out.push(' ');
        out.push_str(word);
        column += 1 + length;
    }
    out
}

/// What a row and a character stand for.
fn scale(rows: &Rows) -> String {
    let character = rows.pages / WIDTH;
    let block = if character < MIB2 {
        format!(
            "; {} of them are what one level-3 table maps (2 MiB)",
            MIB2 / character
        )
    } else {
        String::new()
    };
    format!(
        "A row is {}, a character {}{block}.",
        bytes(rows.pages),
        bytes(character)
    )
}

fn heading(subject: &Subject<'_>) -> &'static str {
    if subject.before.is_some() {
        "  tables   changed"
    } else {
        "tables could go restricted"
    }
}

/// The numbers beside a row.
fn numbers(subject: &Subject<'_>, row: &Used) -> String {
    if subject.before.is_some() {
        let tables = difference(row.tables_before, row.tables);
        let changed = at_least_or("-", false, row.changed, bytes(row.changed));
        return format!(
            "{:>8} {changed:>9}",
            tables.unwrap_or_else(|| "-".to_owned())
        );
    }
    format!(
        "{:>6} {:>8} {:>10}",
        at_least_or("-", row.is_part, row.tables, count(row.tables)),
        at_least_or("-", row.more_could_go, row.could_go, count(row.could_go)),
        at_least_or("-", row.is_part, row.restricted, bytes(row.restricted))
    )
}

fn faces(subject: &Subject<'_>, rows: &Rows, row: &Used) -> Vec<Face> {
    let pages = rows.pages / WIDTH;
    (0..WIDTH)
        .map(|n| {
            let from = row.gfn + n * pages;
            let slot = slot(subject, from, from + pages);
            match subject.before {
                Some(_) => face_of_change(&slot),
                None => face(subject, &slot, from, from + pages),
            }
        })
        .collect()
}

fn face_of_change(slot: &Slot) -> Face {
    match (slot.changed.map(|part| part.what), slot.mapped) {
        (Some((sort, outcome)), _) => Face::Changed(sort, outcome),
        (None, Some(_)) => Face::Same,
        (None, None) => Face::Nothing,
    }
}

fn face(subject: &Subject<'_>, slot: &Slot, from: u64, to: u64) -> Face {
    if let Some(restricted) = slot.restricted {
        return Face::Restricted(restricted.what);
    }
    let Some(mapped) = slot.mapped else {
        let empty = subject.dump.empty.iter().filter(|empty| empty.level == 3);
        let mut here = empty.filter(|empty| empty.gfn < to && from < empty.gfn + empty.pages);
        return match here.next() {
            Some(_) => Face::EmptyTable,
            None => Face::Nothing,
        };
    };
    let (kind, size) = mapped.what;
    if kind != Kind::Ram {
        return Face::Other(kind);
    }
    if mapped.eighths < EIGHTHS {
        return Face::Partly;
    }
    match size {
        Size::Kib4 => {
            let first = from / MIB2 * MIB2;
            let mut spans = subject.summary.spans_within(first, to).iter();
            if spans.all(|span| span.state == State::OneBlock) {
                Face::NeedlessPages
            } else {
                Face::Pages
            }
        }
        block => Face::Block(block),
    }
}

/// The characters, with colours if the terminal has them.
fn map(faces: &[Face], colours: Colours) -> String {
    let mut out = String::new();
    let mut now = None;
    for face in faces {
        let colour = face.colour().filter(|_| colours == Colours::Ansi);
        if colour != now {
            let _ = match colour {
                Some(number) => write!(out, "\u{1b}[{number}m"),
                None => write!(out, "\u{1b}[0m"),
            };
            now = colour;
        }
        out.push(face.character());
    }
    if now.is_some() {
        out.push_str("\u{1b}[0m");
    }
    out
}

/// Several domains' tables, one a line: whose they are.
#[must_use]
pub fn tables<'s>(subjects: impl Iterator<Item = &'s Subject<'s>>) -> String {
    let mut out = String::from("Tables of translation, by domain:\n");
    for subject in subjects {
        let summary = &subject.summary;
        let _ = writeln!(
            out,
            "  {:>6} {:>14} ({}) for {}",
            format!("d{}", subject.dump.domain),
            counted(summary.all_tables(), "table"),
            bytes(summary.all_tables()),
            bytes(summary.mapped)
        );
    }
    out
}
