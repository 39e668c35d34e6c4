// SPDX-License-Identifier: GPL-2.0-only
//! The list of what has changed.

use super::says::sort;
use super::subject::Subject;
use super::units::{bytes, count, counted};
use crate::dump::{Mapping, Valid};
use crate::facts::groups;

/// The most rows of the list.
const MOST: usize = 12;

/// What is said if the list is empty.
pub(super) fn none(subject: &Subject<'_>) -> String {
    let below = match subject.dump.unknown_from {
        Some(end) => format!(" below {:#x}", end << 12),
        None => String::new(),
    };
    format!("No difference in how anything{below} is mapped.")
}

/// The list of changes: what, how much, from what to what, where.
pub(super) fn list(subject: &Subject<'_>) -> Vec<[String; 4]> {
    let all = groups(subject.changes());
    let mut rows: Vec<[String; 4]> = all
        .iter()
        .take(MOST)
        .map(|group| {
            let place = match group.ranges {
                1 => format!("at {:#x}", group.gfn << 12),
                ranges => format!("in {} ranges from {:#x} on", count(ranges), group.gfn << 12),
            };
            let what = transition(group.before, group.after);
            [sort(group.sort).to_owned(), bytes(group.pages), what, place]
        })
        .collect();
    if all.len() > MOST {
        let rest = all.iter().skip(MOST);
        let pages = rest.map(|group| group.pages).sum();
        rows.push([
            "others".to_owned(),
            bytes(pages),
            format!("of {}", counted((all.len() - MOST) as u64, "other sort")),
            String::new(),
        ]);
    }
    rows
}

/// `2M rwx → 4K r-x`: what has changed of it, and what it is now.
fn transition(before: Option<Mapping>, after: Option<Mapping>) -> String {
    let whole = |m: Mapping| format!("{} {} {}", m.size.name(), m.ty.name(), m.access.rights());
    match (before, after) {
        (None, Some(after)) => whole(after),
        (Some(before), None) => whole(before),
        (None, None) => String::new(),
        (Some(before), Some(after)) => {
            let words = |m: Mapping| {
                let mut words = vec![m.size.name()];
                if before.ty != after.ty {
                    words.push(m.ty.name());
                }
                words.push(m.access.rights());
                if (before.valid == Valid::Yes) != (after.valid == Valid::Yes) {
                    words.push(if m.valid == Valid::Yes {
                        "valid"
                    } else {
                        "not valid"
                    });
                }
                words.join(" ")
            };
            format!("{} \u{2192} {}", words(before), words(after))
        }
    }
}
