// SPDX-License-Identifier: GPL-2.0-only
//! What is drawn in a row: slots next to each other that look the same, as one piece.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::element::{float, short, Anchor, Area, Svg};
use super::scale::{pill, Scale, Texture, LEFT, MAP};
use super::style::restriction;
use crate::dump::values::Kind;
use crate::dump::Size;
use crate::facts::{Sort, GIB1, MIB2};
use crate::picture::rows::{Rows, Used, SLOTS};
use crate::picture::slots::{slot, Outcome, Slot, EIGHTHS};
use crate::picture::subject::Subject;
use crate::picture::units::last_byte;

/// Fewer slots are narrow.
const NARROW: u64 = 4;

/// Slots next to each other that look the same.
pub(super) struct Piece {
    /// The first one, and how many.
    first: u64,
    pub(super) slots: u64,
    pub(super) slot: Slot,
}

pub(super) fn pieces(subject: &Subject<'_>, rows: &Rows, row: &Used) -> Vec<Piece> {
    let mut all: Vec<Piece> = Vec::new();
    for number in 0..SLOTS {
        let from = row.gfn + number * rows.slot();
        let slot = slot(subject, from, from + rows.slot());
        match all.last_mut() {
            Some(last) if last.slot == slot => last.slots += 1,
            _ => all.push(Piece {
                first: number,
                slots: 1,
                slot,
            }),
        }
    }
    all
}

impl Piece {
    fn x(&self, scale: &Scale) -> f64 {
        LEFT + float(self.first) * scale.slot
    }

    fn width(&self, scale: &Scale) -> f64 {
        float(self.slots) * scale.slot
    }

    /// How high to draw what a reader looks for: all of the row where it is too narrow to be
    /// seen otherwise.
    fn height(&self, eighths: u64) -> u64 {
        if self.slots < NARROW {
            EIGHTHS
        } else {
            eighths.max(3)
        }
    }

    /// What is drawn, from the ground up: a class, how high, and what it is.
    fn layers(&self, subject: &Subject<'_>) -> Vec<(String, u64, Texture)> {
        let mut all = Vec::new();
        if let Some(mapped) = self.slot.mapped {
            let (kind, size) = mapped.what;
            let (class, texture) = match subject.before {
                None => (class(kind, size), Texture::Mapped(kind, size)),
                Some(_) => ("same", Texture::Same),
            };
            let eighths = if self.slots < NARROW {
                mapped.eighths.max(3)
            } else {
                mapped.eighths
            };
            all.push((class.to_owned(), eighths, texture));
        }
        if subject.before.is_none() {
            if let Some(restricted) = self.slot.restricted {
                let class = restriction(restricted.what);
                let eighths = self.height(restricted.eighths);
                all.push((class, eighths, Texture::Restricted(restricted.what)));
            }
        }
        if let Some(changed) = self.slot.changed {
            let (sort, outcome) = changed.what;
            let class = changed_class(sort, outcome);
            all.push((
                class,
                self.height(changed.eighths),
                Texture::Changed(sort, outcome),
            ));
        }
        all
    }

    #[allow(clippy::too_many_arguments)] // where, and what for
    pub(super) fn draw(
        &self,
        svg: &mut Svg,
        subject: &Subject<'_>,
        gfn: u64,
        rows: &Rows,
        scale: &Scale,
        y: f64,
        seen: &mut BTreeSet<Texture>,
    ) {
        let from = gfn + self.first * rows.slot();
        let to = from + self.slots * rows.slot();
        for (class, eighths, texture) in self.layers(subject) {
            let height = scale.height * float(eighths) / float(EIGHTHS);
            // A sliver is seen.
            let width = self.width(scale).max(2.5);
            let area = Area {
                x: self.x(scale).min(LEFT + MAP - width),
                y: y + scale.height - height,
                width,
                height,
            };
            let title = format!(
                "{:#x} to {:#x}: {}",
                from << 12,
                last_byte(to),
                texture.meaning()
            );
            svg.rect(&class, area, &title);
            seen.insert(texture);
            if eighths < EIGHTHS {
                seen.insert(Texture::Partly);
            }
        }
    }

    /// A word on it, or right beside it if there is nothing; `room` is how many slots.
    pub(super) fn label(&self, svg: &mut Svg, scale: &Scale, line: f64, room: u64) {
        let Some((word, class)) = word(&self.slot) else {
            return;
        };
        let needed = 7.4 * float(word.chars().count() as u64) + 10.0;
        let (x, width) = (self.x(scale), self.width(scale));
        if width >= needed && class == "halo" {
            pill(
                svg,
                x + width / 2.0,
                line,
                (scale.height - 2.0).min(17.0),
                &word,
            );
        } else if width >= needed {
            let class = format!("{class} small");
            svg.text(&class, x + width / 2.0, line, Anchor::Middle, &word);
        } else if float(room) * scale.slot >= needed {
            svg.text(
                "ink small",
                x + width.max(2.5) + 5.0,
                line,
                Anchor::Start,
                &word,
            );
        }
    }
}

pub(super) fn is_nothing(slot: &Slot) -> bool {
    slot.mapped.is_none() && slot.changed.is_none()
}

/// What it is called on the map, and the class of the word.
fn word(slot: &Slot) -> Option<(String, &'static str)> {
    if let Some(changed) = slot.changed {
        let word = match changed.what {
            (_, Outcome::Access(access)) => access.label().to_owned(),
            (sort, Outcome::Size(size)) => format!("{}: {}", sort.name(), size.name()),
            (Sort::Lifted, _) => "lifted".to_owned(),
            (Sort::Moved, _) => "moved".to_owned(),
            (Sort::Retyped, _) => "type".to_owned(),
            (sort, _) => sort.name().to_owned(),
        };
        return Some((word, "halo"));
    }
    if let Some(restricted) = slot.restricted {
        return Some((restricted.what.label().to_owned(), "halo"));
    }
    let (kind, size) = slot.mapped?.what;
    Some(match (kind, size) {
        (Kind::Ram, Size::Gib1) => ("1G".to_owned(), "onblock"),
        (Kind::Ram, Size::Mib2) => ("2M".to_owned(), "onmib"),
        (Kind::Ram, Size::Kib4) => ("4K".to_owned(), "halo"),
        (kind, _) => (kind.name().to_owned(), "halo"),
    })
}

fn class(kind: Kind, size: Size) -> &'static str {
    match (kind, size) {
        (Kind::Ram, Size::Gib1) => "g1",
        (Kind::Ram, Size::Mib2) => "m2",
        (Kind::Ram, Size::Kib4) => "k4",
        (Kind::RamRo, _) => "ramro",
        (Kind::Device, _) => "device",
        (Kind::Foreign, _) => "foreign",
        (Kind::Grant, _) => "grant",
        (Kind::Iommu, _) => "iommu",
    }
}

pub(super) fn changed_class(sort: Sort, outcome: Outcome) -> String {
    let class = match (sort, outcome) {
        (_, Outcome::Access(access)) => return restriction(access),
        (Sort::Unmapped, _) => "unmapped",
        (Sort::Mapped, _) => "mapped",
        (Sort::Moved, _) => "foreign",
        (Sort::Retyped | Sort::Restricted, _) => "grant",
        (Sort::Lifted, _) => "lifted",
        (Sort::Split, Outcome::Size(Size::Kib4)) => "k4",
        (Sort::Split, _) => "m2",
        (Sort::Merged, _) => "merged",
        (Sort::Valid, _) => "valid",
    };
    class.to_owned()
}

pub(super) fn mapped_class(kind: Kind, size: Size) -> &'static str {
    class(kind, size)
}

/// Lines between entries of 2 MiB, or of 1 GiB, where something is mapped by smaller ones.
pub(super) fn cuts(pieces: &[Piece], gfn: u64, rows: &Rows, scale: &Scale, y: f64) -> String {
    let mut out = String::new();
    for span in [MIB2, GIB1] {
        let slots = span / rows.slot().max(1);
        // Closer they would hide what they part.
        if slots == 0 || float(slots) * scale.slot < 8.0 || span >= rows.pages {
            continue;
        }
        let inside = pieces.iter().filter(|piece| {
            let mapped = piece.slot.mapped.map(|part| part.what.1);
            mapped.is_some_and(|size| size.order() <= span.trailing_zeros().into())
        });
        for piece in inside {
            let begin = gfn / rows.slot() + piece.first;
            let first = begin.next_multiple_of(slots);
            let ends = (first..begin + piece.slots).step_by(usize::try_from(slots).unwrap_or(1));
            for at in ends.filter(|at| *at > gfn / rows.slot()) {
                let x = LEFT + float(at - gfn / rows.slot()) * scale.slot;
                let _ = write!(out, "M{} {}v{}", short(x), short(y), short(scale.height));
            }
        }
    }
    out
}
