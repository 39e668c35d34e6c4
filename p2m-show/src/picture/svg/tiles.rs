// SPDX-License-Identifier: GPL-2.0-only
//! Four numbers at the head of the picture.

use super::element::{float, Anchor, Area, Svg, MARGIN, WIDTH};
use super::style;
use crate::dump::Size;
use crate::facts::Summary;
use crate::picture::says;
use crate::picture::subject::Subject;
use crate::picture::units::{at_least, bytes, count, percent};

const HEIGHT: f64 = 112.0;
const GAP: f64 = 14.0;

/// A part of a bar: its class, and how large.
type Parts = Vec<(String, u64)>;

/// A tile.
struct Tile {
    name: &'static str,
    number: String,
    /// Smaller, at the right of the name.
    beside: String,
    bar: Parts,
    /// What the whole bar is.
    all: u64,
    lines: [String; 2],
}

/// Draws them; where they end.
pub(super) fn draw(svg: &mut Svg, subject: &Subject<'_>, y: f64) -> f64 {
    let tiles = [
        mapped(subject),
        restricted(subject),
        tables(subject),
        could_go(subject),
    ];
    let width = (WIDTH - 2.0 * MARGIN - 3.0 * GAP) / 4.0;
    let mut x = MARGIN;
    for tile in tiles {
        let area = Area {
            x,
            y,
            width,
            height: HEIGHT,
        };
        svg.rect("panel", area, "");
        let left = x + 12.0;
        svg.text("muted", left, y + 21.0, Anchor::Start, tile.name);
        svg.text("ink big", left, y + 49.0, Anchor::Start, &tile.number);
        svg.text(
            "muted",
            x + width - 12.0,
            y + 21.0,
            Anchor::End,
            &tile.beside,
        );
        bar(svg, &tile, left, y + 59.0, width - 24.0);
        for (line, y) in tile.lines.iter().zip([y + 87.0, y + 103.0]) {
            svg.text("muted small", left, y, Anchor::Start, line);
        }
        x += width + GAP;
    }
    y + HEIGHT
}

fn bar(svg: &mut Svg, tile: &Tile, x: f64, y: f64, width: f64) {
    let area = |x: f64, width: f64| Area {
        x,
        y,
        width,
        height: 10.0,
    };
    svg.rect("track", area(x, width), "");
    let all = float(tile.all.max(1));
    let mut at = x;
    for (class, part) in &tile.bar {
        // What is there is seen, however small.
        let part = if *part == 0 {
            0.0
        } else {
            (float(*part) / all * width).max(2.0)
        };
        let part = part.min(x + width - at);
        svg.rect(class, area(at, part), "");
        at += part;
    }
}

/// What it was before, if it was something else.
fn was(
    subject: &Subject<'_>,
    value: impl Fn(&Summary) -> u64,
    shown: impl Fn(&Summary, u64) -> String,
) -> Option<String> {
    let before = &subject.before.as_ref()?.summary;
    let same = value(before) == value(&subject.summary);
    Some(if same {
        "as before".to_owned()
    } else {
        format!("was {}", shown(before, value(before)))
    })
}

fn mapped(subject: &Subject<'_>) -> Tile {
    let summary = &subject.summary;
    let classes = ["g1", "m2", "k4"];
    let sizes = Size::ALL
        .iter()
        .zip(summary.by_size)
        .filter(|(_, pages)| *pages > 0);
    let shares: Vec<String> = sizes
        .map(|(size, pages)| format!("{} {}", size.name(), percent(pages, summary.mapped)))
        .collect();
    Tile {
        name: "Mapped",
        number: bytes(summary.mapped),
        beside: was(subject, |s| s.mapped, |_, pages| bytes(pages)).unwrap_or_default(),
        bar: classes
            .map(str::to_owned)
            .into_iter()
            .zip(summary.by_size)
            .collect(),
        all: summary.mapped,
        lines: [shares.join(" · "), says::pieces(summary)],
    }
}

fn restricted(subject: &Subject<'_>) -> Tile {
    let summary = &subject.summary;
    let all = |summary: &Summary, pages| at_least(summary.is_part(), bytes(pages));
    let mut accesses: Vec<_> = summary.restricted.iter().collect();
    accesses.sort_by_key(|&(_, pages)| std::cmp::Reverse(*pages));
    let said: Vec<String> = accesses
        .iter()
        .map(|(access, pages)| format!("{} {}", access.label(), bytes(**pages)))
        .collect();
    let rest = said.get(2..).map_or(0, <[String]>::len);
    let first = said.get(..2).unwrap_or(&said).join(" · ");
    let second = match (rest, subject.dump.shape.mem_access) {
        (0, true) => format!("new mappings get {}", subject.dump.shape.default.rights()),
        (0, false) => "mem_access was never in use".to_owned(),
        (1, _) => said.get(2).cloned().unwrap_or_default(),
        (rest, _) => format!("and {rest} other accesses"),
    };
    Tile {
        name: "Restricted",
        number: all(summary, summary.all_restricted()),
        beside: was(subject, Summary::all_restricted, all)
            .unwrap_or_else(|| percent(summary.all_restricted(), summary.shown)),
        bar: accesses
            .iter()
            .map(|(access, pages)| (style::restriction(**access), **pages))
            .collect(),
        all: summary.shown,
        lines: [first, second],
    }
}

fn tables(subject: &Subject<'_>) -> Tile {
    let summary = &subject.summary;
    let level3 = summary.tables.last().copied().unwrap_or(0);
    let above = summary.all_tables() - level3;
    let pool = summary.pool_left(&subject.dump);
    Tile {
        name: "Tables",
        number: count(summary.all_tables()),
        beside: was(subject, Summary::all_tables, |_, tables| count(tables))
            .unwrap_or_else(|| bytes(summary.all_tables())),
        bar: vec![("g1".to_owned(), above), ("m2".to_owned(), level3)],
        all: pool.map_or(summary.all_tables(), |left| left + summary.all_tables()),
        lines: [
            format!("{} of level 3, {} above", count(level3), count(above)),
            match pool {
                Some(left) => format!("{} left in the domain's pool", count(left)),
                None => "from Xen's heap".to_owned(),
            },
        ],
    }
}

fn could_go(subject: &Subject<'_>) -> Tile {
    let summary = &subject.summary;
    let level3 = summary.tables.last().copied().unwrap_or(0);
    let all = summary.could_go();
    let said = |summary: &Summary, tables| at_least(summary.more_could_go, count(tables));
    let mut others = Vec::new();
    if summary.empty_tables > 0 {
        others.push(format!("{} without entry", count(summary.empty_tables)));
    }
    if summary.needless_once_lifted() > 0 {
        others.push(format!(
            "{} more once lifted",
            said(summary, summary.needless_once_lifted())
        ));
    }
    Tile {
        name: "Tables that could go",
        number: said(summary, all),
        beside: was(subject, Summary::could_go, said).unwrap_or_else(|| bytes(all)),
        bar: vec![("could".to_owned(), all)],
        all: level3.max(all),
        lines: [
            format!(
                "for {} one block would do",
                said(summary, summary.needless() + summary.gib_blocks)
            ),
            others.join(", "),
        ],
    }
}
