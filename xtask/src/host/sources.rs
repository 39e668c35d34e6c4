// SPDX-License-Identifier: GPL-2.0-only
//! Which Debian mirror this machine uses, from its own apt configuration.
//!
//! Both notations are understood: the one-line style (`*.list`) and deb822 (`*.sources`). The
//! first URI that is a main Debian archive, i.e. whose path ends in `/debian`, is taken; security
//! and third-party archives do not carry what is needed here.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The machine's mirror of the main Debian archive.
pub(crate) fn mirror() -> Result<String> {
    mirror_below(Path::new("/etc/apt"))
}

fn mirror_below(etc: &Path) -> Result<String> {
    let mut files = vec![etc.join("sources.list")];
    if let Ok(entries) = fs::read_dir(etc.join("sources.list.d")) {
        let mut more: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        more.sort();
        files.extend(more);
    }
    files
        .iter()
        .filter_map(|path| Some((path, fs::read_to_string(path).ok()?)))
        .find_map(|(path, text)| {
            let uris = match path.extension().and_then(|ext| ext.to_str()) {
                Some("list") => one_line_uris(&text),
                Some("sources") => deb822_uris(&text),
                _ => Vec::new(),
            };
            uris.into_iter()
                .flat_map(resolve)
                .find(|uri| is_main_archive(uri))
        })
        .with_context(|| {
            format!(
                "no Debian mirror found in {}: this needs a Debian machine with a source \
                 whose address ends in /debian",
                etc.display()
            )
        })
}

/// Debian's cloud images name a file with a list of mirrors instead of a mirror.
fn resolve(uri: String) -> Vec<String> {
    let Some(list) = uri.strip_prefix("mirror+file:") else {
        return vec![uri];
    };
    let list = fs::read_to_string(list).unwrap_or_default();
    list.lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

fn is_main_archive(uri: &str) -> bool {
    let known = ["http://", "https://", "file:"]
        .iter()
        .any(|scheme| uri.starts_with(scheme));
    known && uri.trim_end_matches('/').ends_with("/debian")
}

/// `deb [options] URI suite component...`
fn one_line_uris(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| {
            let line = line.split('#').next().unwrap_or_default();
            let rest = ["deb", "deb-src"].iter().find_map(|kind| {
                line.trim_start()
                    .strip_prefix(kind)
                    .filter(|rest| rest.starts_with([' ', '\t', '[']))
            })?;
            let rest = rest.trim_start();
            let rest = match rest.strip_prefix('[') {
                Some(options) => options.split_once(']')?.1,
                None => rest,
            };
            rest.split_whitespace().next().map(str::to_owned)
        })
        .collect()
}

/// Stanzas of `Field: value`, a value going on in lines that begin with a blank.
fn deb822_uris(text: &str) -> Vec<String> {
    let mut uris = Vec::new();
    for stanza in stanzas(text) {
        let mut here = Vec::new();
        let mut enabled = true;
        let mut field = String::new();
        for line in stanza {
            let value = match line.split_once(':') {
                Some((name, value)) if !line.starts_with([' ', '\t']) => {
                    field = name.trim().to_ascii_lowercase();
                    value
                }
                _ => line,
            };
            match field.as_str() {
                "uris" => here.extend(value.split_whitespace().map(str::to_owned)),
                "enabled" => enabled = !matches!(value.trim(), "no" | "false" | "off" | "0"),
                _ => {}
            }
        }
        if enabled {
            uris.append(&mut here);
        }
    }
    uris
}

/// Comments do not end a stanza, empty lines do.
fn stanzas(text: &str) -> Vec<Vec<&str>> {
    let mut all = vec![Vec::new()];
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if line.trim().is_empty() {
            all.push(Vec::new());
        } else if let Some(last) = all.last_mut() {
            last.push(line);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::{deb822_uris, is_main_archive, mirror_below, one_line_uris, resolve};

    #[test]
    fn one_line_style() {
        let text = "# deb http://old.example/debian buster main\n\
                    deb [arch=amd64 signed-by=/k.gpg] http://a.example/debian bookworm main\n\
                    deb-src\thttps://b.example/debian bookworm main # why\n\
                    debris http://c.example/debian x y\n";
        assert_eq!(
            one_line_uris(text),
            ["http://a.example/debian", "https://b.example/debian"]
        );
    }

    #[test]
    fn deb822_style() {
        let text = "Types: deb\n# a comment inside a stanza\nURIs: http://a.example/debian\n\
                    Suites: trixie\n\nTypes: deb\nURIs:\n http://b.example/debian\n \
                    http://c.example/debian\nEnabled: yes\n\nURIs: http://off.example/debian\n\
                    Enabled: no\n";
        assert_eq!(
            deb822_uris(text),
            [
                "http://a.example/debian",
                "http://b.example/debian",
                "http://c.example/debian"
            ]
        );
    }

    #[test]
    fn only_the_main_archive_will_do() {
        assert!(is_main_archive("https://a.example/debian/"));
        assert!(!is_main_archive("https://a.example/debian-security"));
        assert!(!is_main_archive("https://a.example/ubuntu"));
        assert!(!is_main_archive("cdrom:[Debian]/debian"));
    }

    #[test]
    fn a_list_of_mirrors_is_read() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let list = dir.path().join("debian.list");
        std::fs::write(
            &list,
            "https://a.example/debian\tpriority:1\nhttps://b.example/debian\n",
        )?;
        assert_eq!(
            resolve(format!("mirror+file://{}", list.display())),
            ["https://a.example/debian", "https://b.example/debian"]
        );
        assert_eq!(resolve("http://c/debian".to_owned()), ["http://c/debian"]);
        Ok(())
    }

    #[test]
    fn first_main_archive_of_a_folder() -> anyhow::Result<()> {
        let etc = tempfile::tempdir()?;
        let parts = etc.path().join("sources.list.d");
        std::fs::create_dir(&parts)?;
        assert!(mirror_below(etc.path()).is_err());
        std::fs::write(
            parts.join("a.list"),
            "deb http://a.example/debian-security bookworm main\n",
        )?;
        std::fs::write(parts.join("b.sources"), "URIs: http://b.example/debian\n")?;
        std::fs::write(parts.join("a.bak"), "deb http://no.example/debian x main\n")?;
        assert_eq!(mirror_below(etc.path())?, "http://b.example/debian");
        Ok(())
    }
}
