// SPDX-License-Identifier: GPL-2.0-only
//! What cargo-mutants wrote of the mistakes that it tried.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::base::files;

/// A mistake, by what stays when lines move: of two that are alike in one line, one stands for both.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mistake {
    /// Below the repository's root.
    pub(super) file: String,
    /// `replace + with - in f`.
    pub(super) change: String,
    /// The first line that it changes, as it was.
    pub(super) line: String,
}

/// What became of a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// It does not compile.
    NoProgram,
    /// A test failed.
    Noticed,
    /// The tests did not end.
    Endless,
    /// All tests passed.
    Missed,
}

/// All that was tried.
pub(super) type Found = BTreeMap<Mistake, Verdict>;

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: `{}`", self.file, self.change, self.line)
    }
}

impl Mistake {
    /// The regular expression that finds it by name.
    pub(super) fn pattern(&self) -> String {
        let escaped = |text: &str| -> String {
            let special = |c: char| !(c.is_ascii_alphanumeric() || "_ /".contains(c));
            text.chars()
                .flat_map(|c| special(c).then_some('\\').into_iter().chain([c]))
                .collect()
        };
        format!(
            r"^{}:\d+:\d+: {}$",
            escaped(&self.file),
            escaped(&self.change)
        )
    }

    /// `file:line:column: change`, and the change as a diff.
    fn of(name: &str, diff: &str) -> Option<Self> {
        let (place, change) = name.split_once(": ")?;
        let (file, _) = place.split_once(':')?;
        let removed = diff
            .lines()
            .skip(2)
            .find_map(|line| line.strip_prefix('-'))?;
        Some(Self {
            file: file.to_owned(),
            change: change.to_owned(),
            line: removed.trim().to_owned(),
        })
    }
}

/// `mutants.json`: an entry for each.
#[derive(Deserialize)]
struct Listed {
    name: String,
    diff: String,
}

/// `outcomes.json`.
#[derive(Deserialize)]
struct Outcomes {
    outcomes: Vec<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    scenario: Scenario,
    summary: String,
}

#[derive(Deserialize)]
enum Scenario {
    Baseline,
    Mutant { name: String },
}

/// Reads the folder that it was told to write into.
pub(super) fn read(folder: &Path) -> Result<Found> {
    let dir = folder.join("mutants.out");
    let list = files::read_text(&dir.join("mutants.json"))?;
    let outcomes = files::read_text(&dir.join("outcomes.json"))?;
    parse(&list, &outcomes)
        .with_context(|| format!("cannot understand what is in {}", dir.display()))
}

fn parse(list: &str, outcomes: &str) -> Result<Found> {
    let list: Vec<Listed> = serde_json::from_str(list)?;
    let outcomes: Outcomes = serde_json::from_str(outcomes)?;
    let mut found = Found::new();
    for Outcome { scenario, summary } in outcomes.outcomes {
        let Scenario::Mutant { name } = scenario else {
            continue;
        };
        let listed = list.iter().find(|listed| listed.name == name);
        let mistake = listed.and_then(|listed| Mistake::of(&name, &listed.diff));
        let mistake = mistake.with_context(|| format!("what is {name:?}?"))?;
        let verdict = match summary.as_str() {
            "CaughtMutant" => Verdict::Noticed,
            "MissedMutant" => Verdict::Missed,
            "Unviable" => Verdict::NoProgram,
            "Timeout" => Verdict::Endless,
            other => anyhow::bail!("{name:?} came to {other:?}"),
        };
        // Of two that are alike, the worse counts.
        let known = found.entry(mistake).or_insert(verdict);
        *known = verdict.max(*known);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{parse, Mistake, Verdict};

    const DIFF: &str = "--- a.rs\\n+++ x\\n@@ -1 +1 @@\\n fn f() {\\n-    a + b\\n+    a - b\\n";

    fn outcomes(summaries: &[&str]) -> (String, String) {
        let name = |n: usize| format!("p/a.rs:{n}:7: replace + with - in <F as G<_>>::f");
        let list = (0..summaries.len())
            .map(|n| format!("{{\"name\":\"{}\",\"diff\":\"{DIFF}\"}}", name(n)));
        let all = summaries.iter().enumerate().map(|(n, summary)| {
            format!(
                "{{\"scenario\":{{\"Mutant\":{{\"name\":\"{}\"}}}},\"summary\":\"{summary}\"}}",
                name(n)
            )
        });
        let list: Vec<_> = list.collect();
        let all: Vec<_> = all.collect();
        let baseline = "{\"scenario\":\"Baseline\",\"summary\":\"Success\"},";
        (
            format!("[{}]", list.join(",")),
            format!("{{\"outcomes\":[{baseline}{}]}}", all.join(",")),
        )
    }

    #[test]
    fn a_mistake_is_known_by_its_line_and_the_worse_of_two_counts() {
        let (list, all) = outcomes(&["MissedMutant", "CaughtMutant"]);
        let found = parse(&list, &all).unwrap_or_default();
        let mistake = Mistake {
            file: "p/a.rs".to_owned(),
            change: "replace + with - in <F as G<_>>::f".to_owned(),
            line: "a + b".to_owned(),
        };
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [(mistake.clone(), Verdict::Missed)]
        );
        assert_eq!(
            mistake.pattern(),
            r"^p/a\.rs:\d+:\d+: replace \+ with \- in \<F as G\<_\>\>\:\:f$"
        );
    }

    #[test]
    fn what_is_not_known_is_not_taken_for_noticed() {
        let (list, all) = outcomes(&["Interesting"]);
        assert!(parse(&list, &all).is_err());
        let (_, all) = outcomes(&["CaughtMutant"]);
        assert!(parse("[]", &all).is_err());
    }
}
