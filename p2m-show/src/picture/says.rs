// SPDX-License-Identifier: GPL-2.0-only
//! What a picture says in words and numbers.

use super::slots::Outcome;
use super::subject::Subject;
use super::units::{bytes, count, counted, percent};
use crate::dump::values::Kind;
use crate::dump::{Size, Supply};
use crate::facts::{Sort, State, Summary, GIB1};

/// The headline.
pub(super) fn title(subject: &Subject<'_>) -> String {
    let dump = subject.dump;
    let dying = if dump.dying {
        ", which is being destroyed"
    } else {
        ""
    };
    let what = match &subject.before {
        None => format!("Stage 2 of d{}", dump.domain),
        Some(before) if before.dump.domain == dump.domain => {
            format!("Stage 2 of d{}: what has changed", dump.domain)
        }
        Some(before) => format!(
            "Stage 2 of d{} beside that of d{}",
            dump.domain, before.dump.domain
        ),
    };
    what + dying
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

/// What is to be said beside the map.
pub(super) fn remarks(subject: &Subject<'_>) -> Vec<String> {
    let mut all = Vec::new();
    if subject.summary.not_valid > 0 {
        all.push(format!(
            "{} wait for a fault that sets a valid bit",
            bytes(subject.summary.not_valid)
        ));
    }
    let (runs, pages) = subject.dump.left_out;
    if runs > 0 {
        let runs = counted(runs, "run");
        all.push(format!(
            "not shown: {runs} that the dump left out ({})",
            bytes(pages)
        ));
    }
    all
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
    let untouched = subject.summary.not_valid;
    if untouched > 0 {
        let text = format!(
            "{}: a valid bit is clear on the way, so the next access is a fault that sets it",
            bytes(untouched)
        );
        all.push(("Not valid", text));
    }
    let (runs, pages) = subject.dump.left_out;
    if runs > 0 {
        let text = format!(
            "{}, with {} mapped: the dump was as long as p2m-dump-lines= allows",
            counted(runs, "run"),
            bytes(pages)
        );
        all.push(("Left out", text));
    }
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
        changed(subject, |s| s.mapped, bytes),
        sizes.join(", ")
    );
    let others: Vec<String> = summary
        .by_kind
        .iter()
        .filter(|(kind, _)| **kind != Kind::Ram)
        .map(|(kind, pages)| format!("{} {}", bytes(*pages), kind.name()))
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
    shown: impl Fn(u64) -> String,
) -> String {
    let after = value(&subject.summary);
    let before = subject.before.as_ref().map(|before| value(&before.summary));
    match before.filter(|&before| before != after) {
        Some(before) => format!("{} \u{2192} {}", shown(before), shown(after)),
        None => shown(after),
    }
}

fn restricted(subject: &Subject<'_>) -> String {
    let summary = &subject.summary;
    let all = summary.all_restricted();
    let total = changed(subject, Summary::all_restricted, bytes);
    if all == 0 {
        let mem_access = match (subject.dump.shape.mem_access, total.as_str()) {
            (false, "0 KiB") => return "nothing; mem_access was never in use".to_owned(),
            (_, "0 KiB") => "nothing",
            (_, total) => total,
        };
        return mem_access.to_owned();
    }
    let accesses = summary.restricted.iter();
    let accesses: Vec<String> = accesses
        .map(|(access, pages)| format!("{} {}", access.rights(), bytes(*pages)))
        .collect();
    format!(
        "{total} ({} of what is mapped): {}",
        percent(all, summary.mapped),
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
        changed(subject, Summary::all_tables, count),
        bytes(summary.all_tables()),
        levels.join(", ")
    );
    match (subject.dump.supply, summary.pool_left(subject.dump)) {
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
    if summary.needless() > 0 {
        let gibs = match summary.gib_blocks {
            0 => String::new(),
            gibs => format!(", and then {} of level 2", count(gibs)),
        };
        all.push(format!(
            "{} of level 3 ({}), where one block of 2 MiB would do{gibs}",
            counted(summary.needless(), "table"),
            bytes(summary.needless())
        ));
    }
    if summary.needless_once_lifted() > 0 {
        all.push(format!(
            "{} once a restriction is lifted",
            counted(summary.needless_once_lifted(), "table")
        ));
    }
    if summary.empty_tables > 0 {
        all.push(format!(
            "{} without any entry",
            counted(summary.empty_tables, "table")
        ));
    }
    if all.is_empty() {
        return "no table".to_owned();
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
    ];
    let reasons: Vec<String> = reasons
        .iter()
        .filter(|(_, spans)| *spans > 0)
        .map(|(why, spans)| format!("{} {why}", count(*spans)))
        .collect();
    if reasons.is_empty() {
        return "nothing".to_owned();
    }
    let all = summary.spans.len() as u64;
    format!("{} of 2 MiB: {}", counted(all, "span"), reasons.join(", "))
}

fn machine(summary: &Summary) -> String {
    match summary.pieces {
        0 => "no RAM".to_owned(),
        _ => format!("RAM in {}", pieces(summary)),
    }
}

/// In how many pieces of the machine's memory the guest's is.
pub(super) fn pieces(summary: &Summary) -> String {
    let more = if summary.more_pieces { "\u{2265} " } else { "" };
    format!(
        "{more}{}, largest {}",
        counted(summary.pieces, "piece"),
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
