// SPDX-License-Identifier: GPL-2.0-only
//! The mistakes of which people say that they change nothing: `test-harness/mutants/equivalent.tsv`.

use anyhow::{ensure, Context, Result};

use super::outcome::{Found, Mistake, Verdict};
use crate::base::files;
use crate::base::paths::Paths;

/// Below the repository's root.
const FILE: &str = "test-harness/mutants/equivalent.tsv";

/// Each with the reason.
#[derive(Debug, Default)]
pub(super) struct Judged {
    equivalent: Vec<(Mistake, String)>,
}

impl Judged {
    /// Reads the file.
    pub(super) fn read(paths: &Paths) -> Result<Self> {
        Self::parse(&files::read_text(&paths.root().join(FILE))?)
    }

    fn parse(text: &str) -> Result<Self> {
        let lines = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.starts_with('#'));
        let equivalent = lines
            .map(|(n, line)| {
                let columns: Vec<&str> = line.split('\t').collect();
                let [file, change, line, why] = columns.try_into().ok().with_context(|| {
                    format!(
                        "{FILE}:{}: not file, change, line and reason with tabs between",
                        n + 1
                    )
                })?;
                ensure!(!why.is_empty(), "{FILE}:{}: no reason", n + 1);
                let [file, change, line] = [file, change, line].map(str::to_owned);
                Ok((Mistake { file, change, line }, why.to_owned()))
            })
            .collect::<Result<_>>()?;
        Ok(Self { equivalent })
    }

    /// Why a mistake changes nothing, if somebody said so.
    pub(super) fn why(&self, mistake: &Mistake) -> Option<&str> {
        let found = self.equivalent.iter().find(|(known, _)| known == mistake);
        found.map(|(_, why)| why.as_str())
    }

    /// What no test notices and nobody has explained.
    pub(super) fn open(&self, found: &Found) -> Vec<Mistake> {
        self.unexplained(found, &[Verdict::Missed])
    }

    /// What may be noticed by the tests of another commit, or by a machine with less to do.
    pub(super) fn doubtful(&self, found: &Found) -> Vec<Mistake> {
        self.unexplained(found, &[Verdict::Missed, Verdict::Endless])
    }

    fn unexplained(&self, found: &Found, verdicts: &[Verdict]) -> Vec<Mistake> {
        let wanted = found
            .iter()
            .filter(|(mistake, verdict)| verdicts.contains(verdict) && self.why(mistake).is_none());
        wanted.map(|(mistake, _)| mistake.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{Found, Judged, Mistake, Verdict, FILE};

    #[test]
    fn what_is_said_to_change_nothing_is_in_the_code() -> anyhow::Result<()> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let judged = Judged::parse(&fs::read_to_string(root.join(FILE))?)?;
        assert!(!judged.equivalent.is_empty());
        for (Mistake { file, line, .. }, _) in &judged.equivalent {
            let text = fs::read_to_string(root.join(file))?;
            assert!(
                text.lines().any(|there| there.trim() == line),
                "{file}: {line}"
            );
        }
        Ok(())
    }

    #[test]
    fn what_is_explained_is_not_open_and_a_reason_is_required() {
        let judged = Judged::parse("# file\na.rs\treplace f with ()\tf();\tnobody looks\n")
            .unwrap_or_default();
        let mistake = |line: &str| Mistake {
            file: "a.rs".to_owned(),
            change: "replace f with ()".to_owned(),
            line: line.to_owned(),
        };
        let all = [
            ("f();", Verdict::Missed),
            ("g();", Verdict::Missed),
            ("h();", Verdict::Noticed),
            ("i();", Verdict::Endless),
        ];
        let found: Found = all.map(|(line, verdict)| (mistake(line), verdict)).into();
        assert_eq!(judged.open(&found), [mistake("g();")]);
        assert_eq!(judged.doubtful(&found), [mistake("g();"), mistake("i();")]);
        assert!(Judged::parse("a.rs\treplace\tline\t\n").is_err());
        assert!(Judged::parse("a.rs\treplace\tline\n").is_err());
    }
}
