// SPDX-License-Identifier: GPL-2.0-only
//! What a picture says in words and numbers.

use super::slots::Outcome;
use super::subject::Subject;
use super::units::{at_least, bytes, count, counted, percent};
use crate::dump::values::Kind;
use crate::dump::{Dump, Size, Supply};
use crate::facts::{Sort, State, Summary, GIB1};

/// The headline.
pub(super) fn title(subject: &Subject<'_>) -> String {
    let dump = &subject.dump;
    let dying = if dump.dying {
        ", which is being destroyed"
    } else {
        ""
    };
    let of = format!("Stage 2 of d{}{dying}", dump.domain);
    match &subject.before {
        None => of,
        Some(before) if before.dump.domain == dump.domain => of + ": what has changed",
        Some(before) => {
            let comma = if dump.dying { "," } else { "" };
            format!("{of}{comma} beside that of d{}", before.dump.domain)
        }
    }
}

/// What a change is called.
pub(super) const fn sort(sort: Sort) -> &'static str {
    match sort {
        Sort::Unmapped => "unmapped",
        Sort::Mapped => "newly mapped",
        Sort::Moved => "another machine frame",
        Sort::Retyped => "another type",
        Sort::Restricted => "access changed",
        Sort::Lifted => "restriction lifted",
        Sort::Split => "split, nothing else",
        Sort::Merged => "merged, nothing else",
        Sort::Valid => "valid bit alone",
    }
}

/// What a change has led to.
pub(super) fn change(kind: Sort, outcome: Outcome) -> String {
    match (kind, outcome) {
        (_, Outcome::Access(access)) => format!("access is now {}", access.rights()),
        (Sort::Split, Outcome::Size(Size::Kib4)) => "split into pages of 4 KiB".to_owned(),
        (Sort::Split, _) => "split into blocks of 2 MiB".to_owned(),
        (Sort::Merged, Outcome::Size(size)) => format!("merged into blocks of {}", size.name()),
        (kind, _) => sort(kind).to_owned(),
    }
}

/// What is to be said above the map.
pub(super) fn remarks(subject: &Subject<'_>) -> Vec<String> {
    let mut all = Vec::new();
    if subject.summary.not_valid > 0 {
        all.push(format!(
            "{} wait for a fault that sets a valid bit",
            not_valid(&subject.summary)
        ));
    }
    match (&subject.before, subject.dump.unknown_from) {
        (None, _) => all.extend(left_out(&subject.dump).map(|what| format!("not shown: {what}"))),
        (Some(_), Some(end)) => all.push(format!(
            "compared below {:#x}: the rest is not in both dumps",
            end << 12
        )),
        (Some(_), None) => {}
    }
    all
}

/// What a dump has no lines of.
fn left_out(dump: &Dump) -> Option<String> {
    let (runs, pages) = dump.left_out;
    let from = match dump.unknown_from {
        Some(frame) => format!(" from {:#x} on", frame << 12),
        None => String::new(),
    };
    (runs > 0).then(|| format!("{}{from} ({})", counted(runs, "run"), bytes(pages)))
}

/// The same of each dump, and what that means.
fn limits(subject: &Subject<'_>) -> Option<String> {
    const WHY: &str = "a dump is as long as p2m-dump-lines= allows";
    let Some(before) = &subject.before else {
        return left_out(&subject.dump).map(|what| format!("{what}: {WHY}"));
    };
    let both = [
        ("the earlier", before.dump.left_out),
        ("the later", subject.dump.left_out),
    ];
    let both: Vec<String> = both
        .iter()
        .filter(|(_, (runs, _))| *runs > 0)
        .map(|(which, (runs, pages))| {
            let runs = counted(*runs, "run");
            format!("{runs} of {which} dump ({})", bytes(*pages))
        })
        .collect();
    let end = match subject.dump.unknown_from {
        Some(end) => format!("; only what is below {:#x} is compared", end << 12),
        None => String::new(),
    };
    (!both.is_empty()).then(|| format!("{}: {WHY}{end}", both.join(", ")))
}

fn not_valid(summary: &Summary) -> String {
    at_least(summary.is_part(), bytes(summary.not_valid))
}

/// The answers to what readers ask first: a word, and the numbers.
pub(super) fn findings(subject: &Subject<'_>) -> Vec<(String, String)> {
    let mut all = vec![
        ("Mapped", mapped(subject)),
        ("Restricted", restricted(subject)),
        ("Tables", tables(subject)),
        ("Could go", could_go(&subject.summary)),
        ("In pages", in_pages(&subject.summary)),
        ("Machine memory", machine(&subject.summary)),
    ];
    if subject.summary.not_valid > 0 {
        let text = format!(
            "{}: a valid bit is clear on the way, so the next access is a fault that sets it",
            not_valid(&subject.summary)
        );
        all.push(("Not valid", text));
    }
    all.extend(limits(subject).map(|text| ("Left out", text)));
    let all = all.into_iter();
    all.map(|(name, text)| (name.to_owned(), text)).collect()
}

fn mapped(subject: &Subject<'_>) -> String {
    let summary = &subject.summary;
    let sizes = Size::ALL.iter().zip(summary.by_size);
    let sizes: Vec<String> = sizes
        .filter(|(_, pages)| *pages > 0)
        .map(|(size, pages)| {
            format!(
                "{} {} ({})",
                size.name(),
                bytes(pages),
                percent(pages, summary.mapped)
            )
        })
        .collect();
    let mut text = format!(
        "{}: {}",
        changed(subject, |s| s.mapped, |_, pages| bytes(pages)),
        sizes.join(", ")
    );
    let others: Vec<String> = summary
        .by_kind
        .iter()
        .filter(|(kind, _)| **kind != Kind::Ram)
        .map(|(kind, pages)| {
            let pages = at_least(summary.is_part(), bytes(*pages));
            format!("{pages} {}", kind.name())
        })
        .collect();
    if !others.is_empty() {
        text += &format!("; of it {}", others.join(", "));
    }
    text
}

/// The value, and what it was before.
fn changed(
    subject: &Subject<'_>,
    value: impl Fn(&Summary) -> u64,
    shown: impl Fn(&Summary, u64) -> String,
) -> String {
    let said = |summary: &Summary| shown(summary, value(summary));
    let before = subject.before.as_ref().map(|before| &before.summary);
    let after = said(&subject.summary);
    match before.filter(|before| value(before) != value(&subject.summary)) {
        Some(before) => format!("{} \u{2192} {after}", said(before)),
        None => after,
    }
}

fn restricted(subject: &Subject<'_>) -> String {
    let summary = &subject.summary;
    let all = summary.all_restricted();
    let before = subject.before.as_ref();
    let before = before.map_or(0, |before| before.summary.all_restricted());
    let of_what = match summary.is_part() {
        true => "of what is shown",
        false => "of what is mapped",
    };
    let total = changed(subject, Summary::all_restricted, |summary, pages| {
        at_least(summary.is_part(), bytes(pages))
    });
    if all == 0 {
        return match (before, subject.dump.shape.mem_access) {
            (0, false) => "nothing; mem_access was never in use".to_owned(),
            (0, true) if summary.is_part() => format!("nothing {of_what}"),
            (0, true) => "nothing".to_owned(),
            _ => total,
        };
    }
    let accesses = summary.restricted.iter();
    let accesses: Vec<String> = accesses
        .map(|(access, pages)| format!("{} {}", access.rights(), bytes(*pages)))
        .collect();
    format!(
        "{total} ({} {of_what}): {}",
        percent(all, summary.shown),
        accesses.join(", ")
    )
}

fn tables(subject: &Subject<'_>) -> String {
    let summary = &subject.summary;
    let levels = (0..4).zip(summary.tables).filter(|&(_, n)| n > 0);
    let levels: Vec<String> = levels
        .map(|(level, n)| format!("{} of level {level}", count(n)))
        .collect();
    let mut text = format!(
        "{} ({}): {}",
        changed(subject, Summary::all_tables, |_, tables| count(tables)),
        bytes(summary.all_tables()),
        levels.join(", ")
    );
    match (subject.dump.supply, summary.pool_left(&subject.dump)) {
        (Supply::Pool(all), Some(left)) => {
            text += &format!("; {} of the pool's {} are left", count(left), count(all));
        }
        _ => text += "; from Xen's heap",
    }
    text
}

/// What would come back if blocks were merged.
fn could_go(summary: &Summary) -> String {
    let mut all = Vec::new();
    let tables = |number| at_least(summary.more_could_go, counted(number, "table"));
    match (summary.needless(), summary.gib_blocks) {
        (0, 0) => {}
        (0, gibs) => all.push(format!(
            "{} of level 2 ({}), where one block of 1 GiB would do",
            tables(gibs),
            bytes(gibs)
        )),
        (needless, gibs) => {
            let gibs = match gibs {
                0 => String::new(),
                gibs => {
                    let gibs = at_least(summary.more_could_go, count(gibs));
                    format!(", and then {gibs} of level 2")
                }
            };
            all.push(format!(
                "{} of level 3 ({}), where one block of 2 MiB would do{gibs}",
                tables(needless),
                bytes(needless)
            ));
        }
    }
    if summary.needless_once_lifted() > 0 {
        all.push(format!(
            "{} once a restriction is lifted",
            tables(summary.needless_once_lifted())
        ));
    }
    if summary.empty_tables > 0 {
        all.push(format!(
            "{} without any entry",
            counted(summary.empty_tables, "table")
        ));
    }
    if all.is_empty() {
        let nothing = match summary.more_could_go {
            true => "no table of which the dump says enough",
            false => "no table",
        };
        return nothing.to_owned();
    }
    all.join("; ")
}

/// Why there are pages.
fn in_pages(summary: &Summary) -> String {
    let reasons = [
        ("where one block would do", summary.needless()),
        ("restricted alike", summary.needless_once_lifted()),
        (
            "where accesses or types differ",
            summary.count(|s| s == State::Mixed),
        ),
        ("with holes", summary.count(|s| s == State::Holes)),
        (
            "whose machine frames are those of no block",
            summary.count(|s| s == State::Scattered),
        ),
        (
            "of which the dump does not say all",
            summary.count(|s| s == State::Unknown),
        ),
    ];
    let reasons: Vec<String> = reasons
        .iter()
        .filter(|(_, spans)| *spans > 0)
        .map(|(why, spans)| format!("{} {why}", count(*spans)))
        .collect();
    if reasons.is_empty() {
        return "nothing".to_owned();
    }
    let all = counted(summary.spans.len() as u64, "span");
    let all = at_least(summary.is_part(), all);
    format!("{all} of 2 MiB: {}", reasons.join(", "))
}

fn machine(summary: &Summary) -> String {
    match summary.pieces {
        0 if summary.is_part() => "no RAM that is shown".to_owned(),
        0 => "no RAM".to_owned(),
        _ => format!("RAM in {}", pieces(summary)),
    }
}

/// In how many pieces of the machine's memory the guest's is.
pub(super) fn pieces(summary: &Summary) -> String {
    let pieces = counted(summary.pieces, "piece");
    format!(
        "{}, largest {}",
        at_least(summary.more_pieces, pieces),
        bytes(summary.largest_piece)
    )
}

/// What a row is.
pub(super) fn scale(row: u64) -> String {
    let cell = match row {
        row if row <= GIB1 / 8 => "; parted at each 2 MiB, which a level-2 entry maps",
        row if row == GIB1 => ", which a level-1 entry maps",
        _ => "",
    };
    format!("One row is {}{cell}", bytes(row))
}

/// The tables' shape.
pub(super) fn shape(subject: &Subject<'_>) -> String {
    let shape = subject.dump.shape;
    format!(
        "VMID {}, {}-bit addresses, root at level {}, mem_access {}",
        shape.vmid,
        shape.ipa_bits,
        shape.root_level,
        if shape.mem_access { "on" } else { "off" }
    )
}
