// SPDX-License-Identifier: GPL-2.0-only
//! The charts: how many of the C's instructions the Rust saves, row by row, and how both grow
//! with the guest.

use anyhow::{anyhow, Result};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::columns::INSTRUCTIONS;
use super::report::Pair;

const WIDTH: u32 = 1000;
const BAR: u32 = 16;
const FONT: (&str, u32) = ("sans-serif", 12);
const TITLE: (&str, u32) = ("sans-serif", 18);
const LEFT: i32 = 210;
const TOP: i32 = 64;

const BETTER: RGBColor = RGBColor(0x2b, 0x7a, 0x4b);
const WORSE: RGBColor = RGBColor(0xb2, 0x3b, 0x3b);
const GRID: RGBColor = RGBColor(0xd0, 0xd0, 0xd0);

/// A bar for each row; to the right of 1 the Rust executes fewer instructions.
pub(super) fn ratios(pairs: &[Pair]) -> Result<String> {
    let bars: Vec<(&str, f64)> = pairs
        .iter()
        .filter_map(|pair| Some((pair.name(), pair.ratio(&INSTRUCTIONS)?)))
        .collect();
    let count = u32::try_from(bars.len())?;
    let height = TOP.unsigned_abs() + count * BAR + 16;
    let logs = bars.iter().map(|(_, ratio)| ratio.log10());
    let high = logs.clone().fold(1.0, f64::max).ceil();
    let low = logs.fold(0.0, f64::min).floor();
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        let scale = Scale { low, high };
        let text = |size: (&'static str, u32), h, v| {
            TextStyle::from(size.into_font())
                .color(&BLACK)
                .pos(Pos::new(h, v))
        };
        let heading = "Instructions in Xen: C / Rust (right of 1: the Rust executes fewer)";
        let style = text(TITLE, HPos::Left, VPos::Top);
        area.draw(&Text::new(heading, (12, 10), style))
            .map_err(failed)?;
        for power in decades(low, high) {
            let x = scale.x(f64::from(power));
            let end = TOP + i32::try_from(count * BAR)?;
            area.draw(&PathElement::new(
                vec![(x, TOP - 4), (x, end)],
                if power == 0 { BLACK } else { GRID },
            ))
            .map_err(failed)?;
            let label = if power < 0 {
                format!("1/{}", 10_u64.pow(power.unsigned_abs()))
            } else {
                10_u64.pow(power.unsigned_abs()).to_string()
            };
            let style = text(FONT, HPos::Center, VPos::Bottom);
            area.draw(&Text::new(label, (x, TOP - 8), style))
                .map_err(failed)?;
        }
        let mut y = TOP;
        for (name, ratio) in &bars {
            let (one, end) = (scale.x(0.0), scale.x(ratio.log10()));
            let bar = i32::try_from(BAR)?;
            let color = if *ratio >= 1.0 { BETTER } else { WORSE };
            let corners = [
                (one.min(end), y + 3),
                (one.max(end).max(one + 1), y + bar - 2),
            ];
            area.draw(&Rectangle::new(corners, color.filled()))
                .map_err(failed)?;
            let style = text(FONT, HPos::Right, VPos::Center);
            area.draw(&Text::new(*name, (LEFT - 12, y + bar / 2), style))
                .map_err(failed)?;
            let shown = if *ratio >= 100.0 {
                super::columns::shown(ratio.round())
            } else {
                format!("{ratio:.2}")
            };
            let style = text(FONT, HPos::Left, VPos::Center);
            area.draw(&Text::new(shown, (one.max(end) + 5, y + bar / 2), style))
                .map_err(failed)?;
            y += bar;
        }
        area.present().map_err(failed)?;
    }
    Ok(svg)
}

/// Where a logarithm is on the paper.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    #[allow(clippy::cast_possible_truncation)]
    fn x(&self, log: f64) -> i32 {
        // Room for the numbers at the right.
        let width = f64::from(WIDTH) - f64::from(LEFT) - 70.0;
        LEFT + ((log - self.low) / (self.high - self.low) * width) as i32
    }
}

#[allow(clippy::cast_possible_truncation)]
fn decades(low: f64, high: f64) -> std::ops::RangeInclusive<i32> {
    low as i32..=high as i32
}

/// A line for each kind of size row.
pub(super) fn sizes(pairs: &[Pair]) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, 560)).into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        let all: Vec<(f64, f64)> = KINDS
            .iter()
            .flat_map(|kind| [series(pairs, kind, false), series(pairs, kind, true)])
            .flatten()
            .collect();
        let top = all.iter().map(|point| point.1).fold(1e4, f64::max);
        let mut chart = ChartBuilder::on(&area)
            .caption("Instructions in Xen by the size of the guest", TITLE)
            .margin(12)
            .margin_right(40)
            .x_label_area_size(40)
            .y_label_area_size(80)
            .build_cartesian_2d(
                (64.0..65536.0).log_scale().base(2.0),
                (1e3..top * 2.0).log_scale(),
            )
            .map_err(failed)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc("MiB")
            .x_labels(11)
            .x_label_formatter(&|mib| format!("{mib:.0}"))
            .y_label_formatter(&|number| format!("{number:.0e}"))
            .label_style(FONT)
            .draw()
            .map_err(failed)?;
        for (kind, color) in KINDS.iter().zip(COLORS) {
            for rust in [false, true] {
                let points = series(pairs, kind, rust);
                let width = if rust { 3 } else { 1 };
                let line = color.stroke_width(width);
                chart
                    .draw_series(LineSeries::new(points, line).point_size(3))
                    .map_err(failed)?
                    .label(format!(
                        "{}, as {}, {}",
                        kind.0,
                        kind.1,
                        if rust { "Rust" } else { "C" }
                    ))
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], line));
            }
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE)
            .border_style(GRID)
            .label_font(FONT)
            .draw()
            .map_err(failed)?;
        area.present().map_err(failed)?;
    }
    Ok(svg)
}

const KINDS: [(&str, &str); 4] = [
    ("create", "2m"),
    ("destroy", "2m"),
    ("create", "4k"),
    ("destroy", "4k"),
];

const COLORS: [RGBColor; 4] = [
    RGBColor(0x1f, 0x77, 0xb4),
    RGBColor(0xd6, 0x27, 0x28),
    RGBColor(0x2c, 0xa0, 0x2c),
    RGBColor(0xff, 0x7f, 0x0e),
];

/// MiB and instructions of `create-64m-as-2m` and its like.
fn series(pairs: &[Pair], kind: &(&str, &str), rust: bool) -> Vec<(f64, f64)> {
    pairs
        .iter()
        .filter_map(|pair| {
            let rest = pair.name().strip_prefix(kind.0)?.strip_prefix('-')?;
            let mib = rest.strip_suffix(kind.1)?.strip_suffix("m-as-")?;
            let row = if rust { &pair.rust } else { &pair.c };
            Some((mib.parse().ok()?, INSTRUCTIONS.total(row)?))
        })
        .collect()
}

/// The plotting library's error is not `Sync`.
fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw the chart: {error}")
}
