// SPDX-License-Identifier: GPL-2.0-only
//! What the textures of this picture mean; no others.

use std::collections::BTreeSet;

use super::element::{Anchor, Area, Svg, MARGIN, WIDTH};
use super::pieces::{changed_class, mapped_class};
use super::scale::Texture;
use super::style::restriction;
use crate::facts::Sort;
use crate::picture::rows::Rows;
use crate::picture::says;

/// Columns, and the height of a line.
const COLUMNS: u32 = 3;
const LINE: f64 = 24.0;

/// Draws it; where it ends.
pub(super) fn draw(svg: &mut Svg, seen: &BTreeSet<Texture>, rows: &Rows, y: f64) -> f64 {
    svg.text("ink strong", MARGIN, y, Anchor::Start, "What it means");
    let unit = says::scale(rows.pages);
    svg.text("muted small", MARGIN + 118.0, y, Anchor::Start, &unit);
    let width = (WIDTH - 2.0 * MARGIN) / f64::from(COLUMNS);
    let (mut column, mut y) = (0, y + 12.0);
    for &texture in seen {
        let x = MARGIN + f64::from(column) * width;
        swatch(svg, texture, x, y);
        svg.text("ink", x + 50.0, y + 14.5, Anchor::Start, &texture.meaning());
        column += 1;
        if column == COLUMNS {
            (column, y) = (0, y + LINE);
        }
    }
    if column > 0 {
        y += LINE;
    }
    let hatching = seen.iter().any(|texture| {
        matches!(
            texture,
            Texture::Restricted(_) | Texture::Changed(Sort::Restricted, _)
        )
    });
    if hatching {
        y += 16.0;
        let text = "Hatching says what is forbidden: / writing, \\ execution, | reading; on a full ground, everything.";
        svg.text("muted small", MARGIN, y, Anchor::Start, text);
    }
    y
}

fn swatch(svg: &mut Svg, texture: Texture, x: f64, y: f64) {
    let area = Area {
        x,
        y,
        width: 40.0,
        height: 18.0,
    };
    let part = |from: f64, height: f64| Area {
        y: y + from,
        height,
        ..area
    };
    match texture {
        Texture::Mapped(kind, size) => svg.rect(mapped_class(kind, size), area, ""),
        Texture::Restricted(access) => svg.rect(&restriction(access), area, ""),
        Texture::Same => svg.rect("same", area, ""),
        Texture::Changed(sort, outcome) => svg.rect(&changed_class(sort, outcome), area, ""),
        Texture::OneBlock => {
            svg.rect("k4", part(1.0, 11.0), "");
            svg.rect("could", part(14.0, 3.0), "");
        }
        Texture::EmptyTable => {
            svg.rect("track", part(1.0, 11.0), "");
            let line = format!("M{x} {}h40", y + 15.5);
            svg.path("empty", &line);
        }
        Texture::Partly => {
            svg.rect("track", area, "");
            svg.rect("k4", part(12.0, 6.0), "");
        }
    }
}
