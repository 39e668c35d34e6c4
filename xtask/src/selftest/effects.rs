// SPDX-License-Identifier: GPL-2.0-only
//! Whether a comparison compared anything: two runs in which each call is refused agree as well as two in
//! which much is done. So the self-test counts how often each kind of operation did what it is there for,
//! judged by what is mapped afterwards and not by what the call returned, and how many entries it hashed.

use super::log::Run;
use crate::base::version::Version;

/// Fewer operations than this need not have done everything.
const MANY: u64 = 5_000;

/// Each kind, and the release from which on the self-test can do it in both implementations.
const KINDS: [(&str, Option<Version>); 16] = [
    ("insert", None),
    ("foreign", None),
    ("shared", None),
    ("dev-page", None),
    ("change", None),
    ("remove", None),
    ("lookup", None),
    ("get-page", None),
    ("set-access", None),
    ("get-access", None),
    ("invalidate", None),
    ("fault", None),
    ("flush", None),
    ("pool", None),
    // VMIDs are p2m.c's own before, and the C keeps the references of a foreign block.
    ("vmid", Some(Version::new(4, 19))),
    ("foreign-block", Some(Version::new(4, 19))),
];

/// What must be in the hashes: tables, and entries at each level that maps something.
const HASHED: [&str; 4] = ["tables", "leaves-1", "leaves-2", "leaves-3"];

/// Did both do the same, and of everything something?
pub(super) fn are_enough(c: &Run, rust: &Run, asked: u64, release: Version) -> Result<(), String> {
    if c.effects != rust.effects {
        return Err(format!(
            "what was done is not the same:\nC:    {}\nRust: {}",
            said(&c.effects),
            said(&rust.effects)
        ));
    }
    for (name, run) in [("C", c), ("Rust", rust)] {
        let done = |what: &str| times(&run.effects, what);
        let hashed = |what: &str| times(&run.hashed, what);
        if let Some((kind, _)) = KINDS.iter().find(|(kind, _)| done(kind).is_none()) {
            return Err(format!("{name} does not say how often {kind} took effect"));
        }
        if asked < MANY {
            continue;
        }
        let kinds = KINDS
            .iter()
            .filter(|(_, since)| since.is_none_or(|since| release >= since));
        for (kind, _) in kinds {
            if done(kind) == Some(0) {
                return Err(format!("{name}: {kind} never took effect"));
            }
        }
        if let Some(what) = HASHED.iter().find(|what| hashed(what).unwrap_or(0) == 0) {
            return Err(format!("{name}: no {what} were in the hashes"));
        }
    }
    Ok(())
}

fn times(counts: &[(String, u64)], what: &str) -> Option<u64> {
    let mut counts = counts.iter();
    counts.find(|(name, _)| name == what).map(|(_, n)| *n)
}

fn said(counts: &[(String, u64)]) -> String {
    let words: Vec<String> = counts
        .iter()
        .map(|(what, n)| format!("{what} {n}"))
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::{are_enough, Run, Version, HASHED, KINDS, MANY};

    const NEW: Version = Version::new(4, 20);
    const OLD: Version = Version::new(4, 17);

    fn run(without: &str) -> Run {
        let count = |what: &str| (what.to_owned(), u64::from(what != without));
        Run {
            effects: KINDS.iter().map(|(kind, _)| count(kind)).collect(),
            hashed: HASHED.iter().map(|what| count(what)).collect(),
            ..Run::default()
        }
    }

    #[test]
    fn of_everything_something_must_be_done() {
        let all = run("");
        assert_eq!(are_enough(&all, &all, MANY, NEW), Ok(()));
        for what in KINDS.iter().map(|(kind, _)| *kind).chain(HASHED) {
            let lacks = run(what);
            let said = are_enough(&lacks, &lacks, MANY, NEW);
            assert!(said.is_err_and(|text| text.contains(what)), "{what}");
            assert_eq!(are_enough(&lacks, &lacks, MANY - 1, NEW), Ok(()), "{what}");
        }
    }

    #[test]
    fn what_a_release_cannot_do_is_not_asked_for() {
        for kind in ["vmid", "foreign-block"] {
            let lacks = run(kind);
            assert_eq!(are_enough(&lacks, &lacks, MANY, OLD), Ok(()));
        }
        let lacks = run("insert");
        assert!(are_enough(&lacks, &lacks, MANY, OLD).is_err());
    }

    #[test]
    fn both_must_do_the_same_and_say_so() {
        let (all, lacks) = (run(""), run("fault"));
        assert!(are_enough(&all, &lacks, 1, NEW).is_err_and(|text| text.contains("fault 0")));
        assert!(are_enough(&lacks, &all, 1, NEW).is_err());
        let silent = Run::default();
        assert!(are_enough(&silent, &silent, 1, NEW).is_err());
    }
}
