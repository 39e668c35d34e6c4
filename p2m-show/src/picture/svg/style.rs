// SPDX-License-Identifier: GPL-2.0-only
//! Colours and patterns. Everything that has a colour has a texture or a letter too: blocks are plain and the larger
//! the stronger, pages are dotted, and a restriction is hatched by what it takes away: `/` writing, `\` execution,
//! `|` reading.

use std::fmt::Write as _;

use crate::dump::Access;

/// For which background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// As the reader's other pages are.
    Auto,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

/// What a class is painted with.
const CLASSES: &[(&str, &str)] = &[
    ("bg", "fill:BACK"),
    ("panel", "fill:PANEL;stroke:RULE"),
    ("ink", "fill:INK"),
    ("muted", "fill:MUTED"),
    ("rule", "stroke:RULE;fill:none"),
    ("track", "fill:TRACK"),
    ("stack", "stroke:MIB;fill:none;stroke-width:1.5"),
    ("cut", "stroke:BACK;fill:none;stroke-width:1.4"),
    ("hole", "fill:TRACK"),
    ("g1", "fill:GIB"),
    ("m2", "fill:MIB"),
    ("k4", "fill:url(#k4)"),
    ("k4-back", "fill:KIB"),
    ("k4-dot", "fill:DOT"),
    ("device", "fill:url(#device)"),
    ("device-back", "fill:DEVICE"),
    ("foreign", "fill:url(#foreign)"),
    ("foreign-back", "fill:FOREIGN"),
    ("grant", "fill:url(#grant)"),
    ("grant-back", "fill:GRANT"),
    ("ramro", "fill:url(#ramro)"),
    ("ramro-back", "fill:RAMRO"),
    ("iommu", "fill:url(#iommu)"),
    ("iommu-back", "fill:RULE"),
    ("mark", "stroke:INK;fill:none;stroke-width:1;opacity:.55"),
    ("r-back", "fill:LIMIT"),
    ("r-line", "stroke:LIMITLINE;fill:none;stroke-width:1.5"),
    ("r-none", "fill:LIMITLINE"),
    ("r-noneline", "stroke:LIMIT;fill:none;stroke-width:1.2"),
    ("could", "fill:COULD"),
    (
        "empty",
        "fill:none;stroke:EMPTY;stroke-width:2.5;stroke-dasharray:2.5 2",
    ),
    ("same", "fill:SAME"),
    ("unmapped", "fill:url(#unmapped)"),
    ("unmapped-back", "fill:BACK"),
    ("unmapped-line", "stroke:GONE;fill:none;stroke-width:1.2"),
    ("mapped", "fill:url(#mapped)"),
    ("mapped-back", "fill:COULD"),
    ("mapped-line", "stroke:BACK;fill:none;stroke-width:1.2"),
    ("lifted", "fill:url(#lifted)"),
    ("lifted-back", "fill:BACK"),
    ("lifted-line", "stroke:COULD;fill:none;stroke-width:1.6"),
    ("merged", "fill:url(#merged)"),
    ("merged-back", "fill:MIB"),
    ("merged-line", "stroke:BACK;fill:none;stroke-width:1.4"),
    ("valid", "fill:url(#valid)"),
    ("valid-back", "fill:SAME"),
    ("valid-dot", "fill:INK"),
    ("halo", "fill:INK"),
    ("pill", "fill:BACK"),
    ("onblock", "fill:ONBLOCK"),
    ("onmib", "fill:ONMIB"),
];

/// The colours of a theme.
const LIGHT: &[(&str, &str)] = &[
    ("BACK", "#ffffff"),
    ("PANEL", "#f6f8fa"),
    ("INK", "#1f2328"),
    ("MUTED", "#59636e"),
    ("RULE", "#d1d9e0"),
    ("TRACK", "#eef1f4"),
    ("GIB", "#1c4a86"),
    ("MIB", "#6a9bd8"),
    ("KIB", "#dbe8f8"),
    ("DOT", "#3b6fb0"),
    ("DEVICE", "#d9ccf5"),
    ("FOREIGN", "#a5ded8"),
    ("GRANT", "#cbe6ae"),
    ("RAMRO", "#ead994"),
    ("LIMITLINE", "#963e00"),
    ("LIMIT", "#ffd7ad"),
    ("COULD", "#1a7f37"),
    ("EMPTY", "#8a6100"),
    ("SAME", "#d5dbe1"),
    ("GONE", "#b3261e"),
    ("ONBLOCK", "#ffffff"),
    ("ONMIB", "#0b2545"),
];

const DARK: &[(&str, &str)] = &[
    ("BACK", "#0d1117"),
    ("PANEL", "#161b22"),
    ("INK", "#e6edf3"),
    ("MUTED", "#9ba4ae"),
    ("RULE", "#3d444d"),
    ("TRACK", "#1c2128"),
    ("GIB", "#9cc4f7"),
    ("MIB", "#3c72b8"),
    ("KIB", "#15294a"),
    ("DOT", "#7fb0ee"),
    ("DEVICE", "#4d3a7d"),
    ("FOREIGN", "#14605a"),
    ("GRANT", "#3d5a1d"),
    ("RAMRO", "#6a5910"),
    ("LIMITLINE", "#ffbe82"),
    ("LIMIT", "#6b3200"),
    ("COULD", "#4ac26b"),
    ("EMPTY", "#e3b341"),
    ("SAME", "#39414b"),
    ("GONE", "#ff8a80"),
    ("ONBLOCK", "#0b2545"),
    ("ONMIB", "#ffffff"),
];

/// The class of a restriction, which has a pattern of this name too.
pub(super) fn restriction(access: Access) -> String {
    format!("r{}", access.digit())
}

/// The style sheet.
fn sheet(theme: Theme) -> String {
    let rules = |colours: &[(&str, &str)]| {
        let mut out = String::new();
        for (class, rule) in CLASSES {
            // Longer names first: LIMIT is the begin of LIMITLINE.
            let mut colours = colours.to_vec();
            colours.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
            let mut rule = (*rule).to_owned();
            for (name, colour) in colours {
                rule = rule.replace(name, colour);
            }
            let _ = writeln!(out, ".{class}{{{rule}}}");
        }
        out
    };
    let fonts = "text{font-family:ui-sans-serif,system-ui,\"Segoe UI\",\"DejaVu Sans\",sans-serif;font-size:13px}\n\
                 .mono{font-family:ui-monospace,\"DejaVu Sans Mono\",monospace;font-size:12px}\n\
                 .small{font-size:12px}.title{font-size:22px;font-weight:600}.big{font-size:25px;font-weight:600}\n\
                 .strong{font-weight:600}\n";
    let accesses: String = Access::all()
        .map(|access| {
            let class = restriction(access);
            format!(".{class}{{fill:url(#{class})}}")
        })
        .collect();
    let colours = match theme {
        Theme::Light => rules(LIGHT),
        Theme::Dark => rules(DARK),
        Theme::Auto => format!(
            "{}@media (prefers-color-scheme:dark){{\n{}}}\n",
            rules(LIGHT),
            rules(DARK)
        ),
    };
    format!("<style>\n{fonts}{accesses}\n{colours}</style>\n")
}

/// A pattern: its size, and what is on it.
fn pattern(id: &str, size: u32, back: &str, marks: &str) -> String {
    format!(
        "<pattern id=\"{id}\" width=\"{size}\" height=\"{size}\" patternUnits=\"userSpaceOnUse\">\
         <rect class=\"{back}\" width=\"{size}\" height=\"{size}\"/>{marks}</pattern>\n"
    )
}

/// The hatching of an access.
fn hatching(access: Access) -> String {
    let forbids = access.forbids();
    let strokes = [
        "M4 0v8",
        "M-2 2l4-4M0 8l8-8M6 10l4-4",
        "M-2 6l4 4M0 0l8 8M6-2l4 4",
    ];
    let all = forbids.iter().all(|&forbidden| forbidden);
    let (back, line) = if all {
        ("r-none", "r-noneline")
    } else {
        ("r-back", "r-line")
    };
    // It becomes another by itself.
    let changes = access.rights().len() > 3;
    let dot = if changes {
        "<circle class=\"bg\" cx=\"4\" cy=\"4\" r=\"2\"/>"
    } else {
        ""
    };
    let marks: String = forbids
        .iter()
        .zip(strokes)
        // Everything is forbidden: a cross on a dark ground, which is quieter than three.
        .filter(|(forbidden, stroke)| **forbidden && !(all && stroke.starts_with("M4")))
        .map(|(_, stroke)| format!("<path class=\"{line}\" d=\"{stroke}\"/>"))
        .collect();
    pattern(&restriction(access), 8, back, &(marks + dot))
}

/// The style sheet and the patterns.
pub(super) fn definitions(theme: Theme) -> String {
    let path = |class: &str, d: &str| format!("<path class=\"{class}\" d=\"{d}\"/>");
    let mut out = sheet(theme) + "<defs>\n";
    let dot = "<circle class=\"k4-dot\" cx=\"2\" cy=\"2\" r=\"1\"/>";
    out += &pattern("k4", 4, "k4-back", dot);
    out += &pattern("device", 6, "device-back", &path("mark", "M0 3h6"));
    out += &pattern("foreign", 6, "foreign-back", &path("mark", "M3 1v4M1 3h4"));
    out += &pattern("grant", 6, "grant-back", &path("mark", "M1 1h3v3h-3z"));
    out += &pattern("ramro", 6, "ramro-back", &path("mark", "M0 1h6M0 4h6"));
    out += &pattern("iommu", 6, "iommu-back", &path("mark", "M3 0v6"));
    out += &pattern(
        "unmapped",
        8,
        "unmapped-back",
        &path("unmapped-line", "M1 1l6 6M7 1l-6 6"),
    );
    out += &pattern(
        "mapped",
        8,
        "mapped-back",
        &path("mapped-line", "M4 1v6M1 4h6"),
    );
    out += &pattern(
        "lifted",
        8,
        "lifted-back",
        &path("lifted-line", "M1 5l3-3l3 3"),
    );
    out += &pattern(
        "merged",
        8,
        "merged-back",
        &path("merged-line", "M1 2l3 2l-3 2M7 2l-3 2l3 2"),
    );
    let dot = "<circle class=\"valid-dot\" cx=\"3\" cy=\"3\" r=\".8\"/>";
    out += &pattern("valid", 6, "valid-back", dot);
    for access in Access::all() {
        out += &hatching(access);
    }
    out + "</defs>\n"
}
