// SPDX-License-Identifier: GPL-2.0-only
//! The picture as SVG: the numbers that answer most questions, the map, and what its textures mean.

mod element;
mod legend;
mod map;
mod pieces;
mod scale;
mod style;
mod tiles;

pub use style::Theme;

use element::{Anchor, Area, Svg, MARGIN, WIDTH};

use super::rows::Rows;
use super::subject::Subject;
use super::{says, transitions};

/// The picture.
#[must_use]
pub fn draw(subject: &Subject<'_>, theme: Theme) -> String {
    let rows = Rows::of(subject);
    let mut body = Svg::default();
    let title = says::title(subject);
    body.text("ink title", MARGIN, 44.0, Anchor::Start, &title);
    let shape = says::shape(subject);
    body.text("muted", WIDTH - MARGIN, 44.0, Anchor::End, &shape);
    let y = tiles::draw(&mut body, subject, 62.0);
    let (y, seen) = map::draw(&mut body, subject, &rows, y + 30.0);
    let y = legend::draw(&mut body, &seen, &rows, y + 22.0);
    let y = list(&mut body, subject, y);
    let height = y + MARGIN - 8.0;
    let mut svg = Svg::default();
    svg.raw(&format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {0}\" width=\"{WIDTH}\" \
         height=\"{0}\" role=\"img\" aria-label=\"{title}\">",
        element::short(height)
    ));
    svg.raw("<!-- SPDX-License-Identifier: GPL-2.0-only -->");
    svg.raw(&format!("<title>{title}</title>"));
    svg.raw(&style::definitions(theme));
    let whole = Area {
        x: 0.0,
        y: 0.0,
        width: WIDTH,
        height,
    };
    svg.rect("bg", whole, "");
    svg.raw(body.into_text().trim_end());
    svg.raw("</svg>");
    svg.into_text()
}

/// The list of changes.
fn list(svg: &mut Svg, subject: &Subject<'_>, y: f64) -> f64 {
    if subject.before.is_none() {
        return y;
    }
    let changes = transitions::list(subject);
    let mut y = y + 24.0;
    let heading = match changes.is_empty() {
        true => transitions::none(subject),
        false => "What has changed, in all".to_owned(),
    };
    svg.text("ink strong", MARGIN, y, Anchor::Start, &heading);
    for [sort, size, what, place] in changes {
        y += 21.0;
        svg.text("ink", MARGIN, y, Anchor::Start, &sort);
        svg.text("ink strong", 284.0, y, Anchor::End, &size);
        svg.text("ink mono", 306.0, y, Anchor::Start, &what);
        svg.text("muted mono", 640.0, y, Anchor::Start, &place);
    }
    y + 8.0
}
