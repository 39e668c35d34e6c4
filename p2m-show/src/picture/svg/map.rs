// SPDX-License-Identifier: GPL-2.0-only
//! The map: a row is a part of the guest's address space, from left to right. How high something is in a row says how
//! much of that place it is.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::element::{float, short, Anchor, Area, Svg, MARGIN, WIDTH};
use super::pieces::{cuts, is_nothing, pieces};
use super::scale::{pill, Scale, Texture, LEFT, MAP};
use crate::picture::rows::{Row, Rows, Used, SLOTS};
use crate::picture::says;
use crate::picture::slots::{marks, Mark};
use crate::picture::subject::Subject;
use crate::picture::units::{at_least_or, bytes, count, difference, last_byte};

/// Where the columns of numbers end.
const COLUMNS: [f64; 3] = [832.0, 892.0, WIDTH - MARGIN];

/// Draws it from `y` on: where it ends, and what there is to explain.
pub(super) fn draw(
    svg: &mut Svg,
    subject: &Subject<'_>,
    rows: &Rows,
    y: f64,
) -> (f64, BTreeSet<Texture>) {
    let height = (620.0 / float(rows.used().max(1) as u64))
        .clamp(11.0, 30.0)
        .floor();
    let scale = Scale {
        height,
        pitch: height + if height > 18.0 { 9.0 } else { 5.0 },
        slot: MAP / float(SLOTS),
    };
    let mut seen = BTreeSet::new();
    // There is room for one remark beside the scale.
    let mut remarks = says::remarks(subject).into_iter();
    let mut first = vec![format!("{} a row", bytes(rows.pages))];
    first.extend(remarks.next());
    svg.text("muted small", LEFT, y, Anchor::Start, &first.join(" · "));
    let mut y = y;
    for remark in remarks {
        y += 16.0;
        svg.text("muted small", LEFT, y, Anchor::Start, &remark);
    }
    svg.text("muted small", LEFT - 10.0, y, Anchor::End, "guest address");
    let headings: &[&str] = match subject.before {
        None => &["tables", "could go", "restricted"],
        Some(_) => &["tables", "", "changed"],
    };
    for (heading, x) in headings.iter().zip(COLUMNS) {
        svg.text("muted small", x, y, Anchor::End, heading);
    }
    let mut y = y + 9.0;
    for row in &rows.all {
        match row {
            Row::Gap(pages) => {
                let text = format!("nothing for {}", bytes(*pages));
                let middle = y + 8.0;
                svg.path(
                    "rule",
                    &format!("M{} {}h{}", short(LEFT), short(middle), short(MAP)),
                );
                pill(svg, LEFT + MAP / 2.0, middle + 4.0, 16.0, &text);
                y += 16.0 + (scale.pitch - scale.height);
            }
            Row::Used(used) => {
                draw_row(svg, subject, rows, used, &scale, y, &mut seen);
                y += scale.pitch;
                if used.alike > 1 {
                    y = more(svg, rows, used, y);
                }
            }
        }
    }
    (y, seen)
}

/// Says of rows that are not drawn that they are like the one above.
fn more(svg: &mut Svg, rows: &Rows, row: &Used, y: f64) -> f64 {
    let text = format!(
        "and {} more rows like this, up to {:#x}",
        row.alike - 1,
        last_byte(row.gfn + row.alike * rows.pages)
    );
    let mut lines = String::new();
    for line in [y - 2.0, y + 1.5] {
        let _ = write!(lines, "M{} {}h{}", short(LEFT), short(line), short(MAP));
    }
    svg.path("stack", &lines);
    svg.text(
        "muted small",
        LEFT + MAP / 2.0,
        y + 15.5,
        Anchor::Middle,
        &text,
    );
    y + 27.0
}

fn draw_row(
    svg: &mut Svg,
    subject: &Subject<'_>,
    rows: &Rows,
    row: &Used,
    scale: &Scale,
    y: f64,
    seen: &mut BTreeSet<Texture>,
) {
    let line = y + scale.height / 2.0 + 4.5;
    let address = format!("{:#x}", row.gfn << 12);
    svg.text("ink mono", LEFT - 10.0, line, Anchor::End, &address);
    let whole = Area {
        x: LEFT,
        y,
        width: MAP,
        height: scale.height,
    };
    svg.rect("track", whole, "");
    let pieces = pieces(subject, rows, row);
    for piece in &pieces {
        piece.draw(svg, subject, row.gfn, rows, scale, y, seen);
    }
    svg.path("cut", &cuts(&pieces, row.gfn, rows, scale, y));
    for (piece, next) in pieces
        .iter()
        .zip(pieces.iter().skip(1).map(Some).chain([None]))
    {
        let room = next
            .filter(|next| is_nothing(&next.slot))
            .map_or(0, |next| next.slots);
        if subject.before.is_none() || piece.slot.changed.is_some() {
            piece.label(svg, scale, line, room);
        }
    }
    if subject.before.is_none() {
        draw_marks(svg, subject, rows, row, scale, y, seen);
    }
    let numbers = match subject.before {
        None => [
            at_least_or("–", row.is_part, row.tables, count(row.tables)),
            at_least_or("–", row.more_could_go, row.could_go, count(row.could_go)),
            at_least_or("–", row.is_part, row.restricted, bytes(row.restricted)),
        ],
        Some(_) => [
            difference(row.tables_before, row.tables).unwrap_or_else(|| "–".to_owned()),
            String::new(),
            at_least_or("–", false, row.changed, bytes(row.changed)),
        ],
    };
    for (number, x) in numbers.iter().zip(COLUMNS) {
        let class = if number == "–" {
            "muted small"
        } else {
            "ink small"
        };
        svg.text(class, x, line, Anchor::End, number);
    }
}

fn draw_marks(
    svg: &mut Svg,
    subject: &Subject<'_>,
    rows: &Rows,
    row: &Used,
    scale: &Scale,
    y: f64,
    seen: &mut BTreeSet<Texture>,
) {
    let pixels = |pages: u64| float(pages) / float(rows.pages) * MAP;
    for (mark, gfn, pages) in marks(subject, row.gfn, row.gfn + rows.pages) {
        let area = Area {
            x: LEFT + pixels(gfn - row.gfn),
            y: y + scale.height + 1.0,
            width: pixels(pages).max(2.5),
            height: 3.0,
        };
        match mark {
            Mark::OneBlock => {
                svg.rect("could", area, "one block would do");
                seen.insert(Texture::OneBlock);
            }
            Mark::EmptyTable => {
                let line = format!(
                    "M{} {}h{}",
                    short(area.x),
                    short(area.y + 1.5),
                    short(area.width)
                );
                svg.path("empty", &line);
                seen.insert(Texture::EmptyTable);
            }
        }
    }
}
