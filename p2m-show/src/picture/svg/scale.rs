// SPDX-License-Identifier: GPL-2.0-only
//! Where the map is, and what there is on it.

use super::element::{float, Anchor, Area, Svg};
use crate::dump::values::Kind;
use crate::dump::{Access, Size};
use crate::facts::Sort;
use crate::picture::says;
use crate::picture::slots::Outcome;

/// Where the map begins, and how wide it is.
pub(super) const LEFT: f64 = 136.0;
pub(super) const MAP: f64 = 640.0;

/// What the legend has to explain.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Texture {
    Mapped(Kind, Size),
    Restricted(Access),
    Same,
    Changed(Sort, Outcome),
    OneBlock,
    EmptyTable,
    Partly,
}

impl Texture {
    /// What it is.
    pub(super) fn meaning(self) -> String {
        match self {
            Self::Mapped(Kind::Ram, Size::Gib1) => "a block of 1 GiB".to_owned(),
            Self::Mapped(Kind::Ram, Size::Mib2) => "blocks of 2 MiB".to_owned(),
            Self::Mapped(Kind::Ram, Size::Kib4) => "pages of 4 KiB".to_owned(),
            Self::Mapped(kind, size) => format!("{}, {}", kind.name(), size.name()),
            Self::Restricted(access) => format!("restricted to {}", access.rights()),
            Self::Same => "as before".to_owned(),
            Self::Changed(sort, outcome) => says::change(sort, outcome),
            Self::OneBlock => "one block of 2 MiB would do".to_owned(),
            Self::EmptyTable => "a table without any entry".to_owned(),
            Self::Partly => "lower: only a part of that place".to_owned(),
        }
    }
}

/// How things are drawn.
pub(super) struct Scale {
    /// Of a row, and from one to the next.
    pub(super) height: f64,
    pub(super) pitch: f64,
    /// Of a slot.
    pub(super) slot: f64,
}

/// A text in the middle of what it would not be read on.
pub(super) fn pill(svg: &mut Svg, x: f64, line: f64, height: f64, text: &str) {
    let width = 7.4 * float(text.chars().count() as u64) + 8.0;
    let area = Area {
        x: x - width / 2.0,
        y: line - height / 2.0 - 4.0,
        width,
        height,
    };
    svg.rect("pill", area, "");
    svg.text("halo small", x, line, Anchor::Middle, text);
}
