// SPDX-License-Identifier: GPL-2.0-only
//! This repository's `Cargo.toml` for the smaller workspace: a section goes as a whole or stays, with
//! the comment above it, and the lists name what is there.

use anyhow::{bail, Result};

/// The `Cargo.toml` of a workspace that has these crates, and the root package if `root`. `used` says
/// whether one of them asks for a dependency of the workspace by this name.
pub(super) fn reduce(
    full: &str,
    members: &[&str],
    root: bool,
    used: impl Fn(&str) -> bool,
) -> Result<String> {
    let mut text = String::new();
    for section in sections(full) {
        let kept = match section.header.as_str() {
            "[workspace]" => section.without("exclude").with_members(members),
            "[workspace.dependencies]" => section.with_dependencies(members, &used),
            "[package]" | "[lib]" | "[dependencies]" | "[build-dependencies]" | "[lints]" => {
                if !root {
                    continue;
                }
                section
            }
            "[profile.release]" => section,
            header if header.starts_with("[workspace.") => section,
            // Profiles of tests and tools.
            header if header.starts_with("[profile.") => continue,
            other => bail!(
                "Cargo.toml has a section {other} of which this tool does not know whether it \
                 belongs in Xen's tree: say so in xtask/src/xen/series/manifest.rs"
            ),
        };
        kept.write(&mut text);
    }
    Ok(text.trim_end().to_owned() + "\n")
}

/// A section of a TOML file.
struct Section {
    /// The comment right above it.
    lead: Vec<String>,
    header: String,
    body: Vec<String>,
}

fn sections(full: &str) -> Vec<Section> {
    let mut all: Vec<Section> = Vec::new();
    let mut comment = Vec::new();
    for line in full.lines() {
        if line.starts_with('[') {
            all.push(Section {
                lead: std::mem::take(&mut comment),
                header: line.trim_end().to_owned(),
                body: Vec::new(),
            });
            continue;
        }
        if line.starts_with('#') {
            comment.push(line.to_owned());
            continue;
        }
        if let Some(section) = all.last_mut() {
            section.body.append(&mut comment);
            section.body.push(line.to_owned());
        }
    }
    if let Some(section) = all.last_mut() {
        section.body.append(&mut comment);
    }
    all
}

impl Section {
    fn write(&self, text: &mut String) {
        for line in self.lead.iter().chain([&self.header]).chain(&self.body) {
            text.push_str(line);
            text.push('\n');
        }
    }

    /// Without a key and its value, which may be a list of several lines.
    fn without(mut self, key: &str) -> Self {
        let mut inside = false;
        self.body.retain(|line| {
            let begins = key_of(line) == Some(key);
            let dropped = inside || begins;
            let opens = begins && line.contains('[');
            inside = (inside || opens) && !line.trim_end().ends_with(']');
            !dropped
        });
        self
    }

    fn with_members(self, members: &[&str]) -> Self {
        let names: Vec<String> = members.iter().map(|name| format!("\"{name}\"")).collect();
        let mut section = self.without("members");
        let line = format!("members = [{}]", names.join(", "));
        section.body.insert(0, line);
        section
    }

    /// Of the crates of this repository those that are there, of others those that are used.
    fn with_dependencies(mut self, members: &[&str], used: impl Fn(&str) -> bool) -> Self {
        self.body.retain(|line| {
            let Some(name) = key_of(line) else {
                return true;
            };
            if line.contains("path = ") {
                members.contains(&name)
            } else {
                used(name)
            }
        });
        self
    }
}

fn key_of(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    let key = key.trim();
    (!key.is_empty() && !line.starts_with([' ', '#'])).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::reduce;

    const FULL: &str = "\
# SPDX-License-Identifier: GPL-2.0-only
[workspace]
members = [
    \"one\",
    \"tests\",
]
exclude = [\"fuzz\"]
resolver = \"3\"

[workspace.dependencies]
one = { path = \"one\" }
tests = { path = \"tests\" }
spin = \"0.9\"
rand = \"1\"

# The archive.
[package]
name = \"root\"

# Small.
[profile.release]
lto = \"fat\"

# Fast.
[profile.tests]
lto = false
";

    #[test]
    fn only_what_is_there_is_named() -> anyhow::Result<()> {
        let text = reduce(FULL, &["one"], true, |name| name == "spin")?;
        let expected = "\
# SPDX-License-Identifier: GPL-2.0-only
[workspace]
members = [\"one\"]
resolver = \"3\"

[workspace.dependencies]
one = { path = \"one\" }
spin = \"0.9\"

# The archive.
[package]
name = \"root\"

# Small.
[profile.release]
lto = \"fat\"
";
        assert_eq!(text, expected);
        Ok(())
    }

    #[test]
    fn without_the_root_package_there_is_none() -> anyhow::Result<()> {
        let text = reduce(FULL, &["one"], false, |_| false)?;
        assert!(
            !text.contains("root") && !text.contains("The archive"),
            "{text}"
        );
        assert!(text.contains("Small.") && !text.contains("spin"), "{text}");
        Ok(())
    }

    #[test]
    fn an_unknown_section_is_not_passed_over() {
        let text = format!("{FULL}\n[patch.crates-io]\nspin = {{ path = \"spin\" }}\n");
        let error = reduce(&text, &["one"], true, |_| true).map_err(|e| e.to_string());
        assert!(error.is_err_and(|said| said.contains("[patch.crates-io]")));
    }
}
