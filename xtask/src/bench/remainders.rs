// SPDX-License-Identifier: GPL-2.0-only
//! Rows that are not counted: what is left of a counted one without another. Of all that
//! happens, it is what the p2m does.

use std::collections::BTreeMap;

use super::counts::Counted;

/// A name, the row that has everything, and the one to be taken away.
const REMAINDERS: &[(&str, &str, &str)] = &[
    ("event-p2m", "event", "event-xen"),
    ("event-hook-p2m", "event-hook", "event-xen"),
];

/// No difference of these means anything: the most of something, and what counts once a call.
const NOT_A_SUM: [&str; 6] = [
    "longest",
    "held",
    "lines_p2m",
    "lines_pool",
    "lines_frames",
    "lines_other",
];

/// Adds them, each after the row that it is a part of, where both were counted.
pub(super) fn add(rows: &mut Vec<Counted>) {
    for &(name, of, without) in REMAINDERS {
        let at = rows.iter().position(|row| row.name == of);
        let other = rows.iter().find(|row| row.name == without);
        if let (Some(at), Some(other)) = (at, other) {
            let row = rows.get(at).map(|row| remainder(name, row, other));
            rows.splice(at + 1..at + 1, row);
        }
    }
}

/// Both rows are for the same number of calls.
fn remainder(name: &str, row: &Counted, without: &Counted) -> Counted {
    let numbers: BTreeMap<String, i64> = row
        .numbers
        .iter()
        .filter(|(key, _)| !NOT_A_SUM.contains(&key.as_str()))
        .filter_map(|(key, &number)| Some((key.clone(), number - without.numbers.get(key)?)))
        .collect();
    Counted {
        name: name.to_owned(),
        calls: row.calls,
        numbers,
    }
}

#[cfg(test)]
mod tests {
    use super::add;
    use crate::bench::counts::Counted;

    fn row(name: &str, insn: i64) -> Counted {
        Counted {
            name: name.to_owned(),
            calls: 10,
            numbers: [("insn", insn), ("longest", 7)]
                .map(|(key, n)| (key.to_owned(), n))
                .into(),
        }
    }

    #[test]
    fn what_is_left_stands_after_the_whole() {
        let mut rows = vec![row("event", 50), row("event-xen", 20)];
        add(&mut rows);
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["event", "event-p2m", "event-xen"]);
        let left = rows.get(1).map(|row| (row.calls, row.numbers.clone()));
        assert_eq!(left, Some((10, [("insn".to_owned(), 30)].into())));
    }

    #[test]
    fn nothing_is_left_of_what_was_not_counted() {
        let mut rows = vec![row("event", 50)];
        add(&mut rows);
        assert_eq!(rows.len(), 1);
    }
}
