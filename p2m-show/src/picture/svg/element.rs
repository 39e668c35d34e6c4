// SPDX-License-Identifier: GPL-2.0-only
//! SVG's elements, as far as they are needed.

use std::fmt::Write as _;

/// The picture's width, and the space at its edges.
pub(super) const WIDTH: f64 = 1000.0;
pub(super) const MARGIN: f64 = 24.0;

/// Near enough for a length.
#[allow(clippy::cast_precision_loss)]
pub(super) fn float(number: u64) -> f64 {
    number as f64
}

/// A picture that is being written.
#[derive(Default)]
pub(super) struct Svg(String);

/// Where a text is, relative to its x.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A place and a size.
#[derive(Clone, Copy)]
pub(super) struct Area {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Svg {
    /// What was written.
    pub(super) fn into_text(self) -> String {
        self.0
    }

    /// Text that is SVG already.
    pub(super) fn raw(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    /// A rectangle; what it is for those who hover over it, or have it read to them.
    pub(super) fn rect(&mut self, class: &str, area: Area, title: &str) {
        let Area {
            x,
            y,
            width,
            height,
        } = area;
        let _ = write!(
            self.0,
            r#"<rect class="{class}" x="{}" y="{}" width="{}" height="{}""#,
            short(x),
            short(y),
            short(width),
            short(height)
        );
        if matches!(class, "panel" | "pill") {
            self.0.push_str(" rx=\"5\"");
        }
        if title.is_empty() {
            self.0.push_str("/>\n");
        } else {
            let _ = writeln!(self.0, "><title>{}</title></rect>", escaped(title));
        }
    }

    /// A text on the line `y`.
    pub(super) fn text(&mut self, class: &str, x: f64, y: f64, anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => r#" text-anchor="middle""#,
            Anchor::End => r#" text-anchor="end""#,
        };
        let _ = writeln!(
            self.0,
            r#"<text class="{class}" x="{}" y="{}"{anchor}>{}</text>"#,
            short(x),
            short(y),
            escaped(text)
        );
    }

    /// Lines: `M1 2h3v4`.
    pub(super) fn path(&mut self, class: &str, path: &str) {
        if !path.is_empty() {
            let _ = writeln!(self.0, r#"<path class="{class}" d="{path}"/>"#);
        }
    }
}

/// A number with two decimals at most.
pub(super) fn short(number: f64) -> String {
    let text = format!("{number:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
