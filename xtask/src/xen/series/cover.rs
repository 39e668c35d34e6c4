// SPDX-License-Identifier: GPL-2.0-only
//! The cover letter: what `git format-patch` left open is filled in.

use anyhow::{ensure, Result};

/// The subject in its first line, the text after an empty one.
const LETTER: &str = include_str!("../../../assets/series/cover.txt");

/// What `git format-patch` writes where something is to be filled in.
const SUBJECT: &str = "*** SUBJECT HERE ***";
const BLURB: &str = "*** BLURB HERE ***";

/// What the letter says of this series.
pub(super) struct Facts<'a> {
    /// Which Xen it is for.
    pub(super) release: &'a str,
    /// Where this repository is to be found.
    pub(super) url: Option<&'a str>,
    /// What could not be added to Xen's own files, and why.
    pub(super) left_out: &'a [String],
}

/// Fills git's letter in.
pub(super) fn fill(template: &str, facts: &Facts<'_>) -> Result<String> {
    ensure!(
        template.contains(SUBJECT) && template.contains(BLURB),
        "git format-patch wrote a cover letter without {SUBJECT} and {BLURB}"
    );
    let (subject, text) = LETTER.split_once("\n\n").unwrap_or((LETTER, ""));
    let project = match facts.url {
        Some(url) => format!("the project's repository ({url})"),
        None => "the project's repository".to_owned(),
    };
    let mut text = text
        .replace("{release}", facts.release)
        .replace("{project}", &project);
    if !facts.left_out.is_empty() {
        text.push_str("\nNot in the series:\n\n");
        for reason in facts.left_out {
            text.push_str(&format!("- {reason}\n"));
        }
    }
    Ok(template
        .replace(SUBJECT, subject.trim())
        .replace(BLURB, text.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::{fill, Facts};

    #[test]
    fn nothing_is_left_open() -> anyhow::Result<()> {
        let facts = Facts {
            release: "4.20",
            url: Some("https://example.org/p2m"),
            left_out: &["CHANGELOG.md: not there".to_owned()],
        };
        let git = "Subject: [PATCH 0/2] *** SUBJECT HERE ***\n\n*** BLURB HERE ***\n\nMe (2):\n";
        let letter = fill(git, &facts)?;
        assert!(
            !letter.contains("***") && !letter.contains(['{', '}']),
            "{letter}"
        );
        for part in [
            "4.20",
            "https://example.org/p2m",
            "- CHANGELOG.md: not there",
        ] {
            assert!(letter.contains(part), "{part}: {letter}");
        }
        assert!(letter.lines().all(|line| line.len() <= 75), "{letter}");
        assert!(fill("Subject: mine\n", &facts).is_err());
        Ok(())
    }
}
