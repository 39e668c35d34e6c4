// SPDX-License-Identifier: GPL-2.0-only
//! Which Debian mirror this machine uses, as apt reads its own configuration.
//!
//! The first address of a main Debian archive, i.e. one whose path ends in `/debian`, is taken; security
//! and third-party archives do not carry what is needed here.

use std::fs;

use anyhow::{Context, Result};

use crate::base::command;

/// The machine's mirror of the main Debian archive.
pub(crate) fn mirror() -> Result<String> {
    // What `apt-get update` would fetch: it needs neither the network nor lists that were fetched before.
    let wanted = command::output(command::clean("apt-get").args(["update", "--print-uris"]))?;
    let mirror = archives(&wanted)
        .flat_map(resolve)
        .find(|archive| is_main_archive(archive));
    mirror.context(
        "apt has no Debian mirror: this needs a Debian machine with a source whose address ends in /debian",
    )
}

/// The archives in lines like `'http://a.example/debian/dists/trixie/InRelease' a.example_debian_... 0`.
fn archives(wanted: &str) -> impl Iterator<Item = &str> {
    wanted.lines().filter_map(|line| {
        let (address, _) = line.strip_prefix('\'')?.split_once('\'')?;
        Some(address.split_once("/dists/")?.0)
    })
}

/// Debian's cloud images name a file with a list of mirrors instead of a mirror.
fn resolve(archive: &str) -> Vec<String> {
    let Some(list) = archive.strip_prefix("mirror+file:") else {
        return vec![archive.to_owned()];
    };
    let list = fs::read_to_string(list).unwrap_or_default();
    list.lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

fn is_main_archive(archive: &str) -> bool {
    let known = ["http://", "https://", "file:"]
        .iter()
        .any(|scheme| archive.starts_with(scheme));
    known && archive.trim_end_matches('/').ends_with("/debian")
}

#[cfg(test)]
mod tests {
    use super::{archives, is_main_archive, resolve};

    #[test]
    fn archives_are_what_comes_before_the_suites() {
        let wanted = "'https://a.example/debian-security/dists/trixie-security/InRelease' a.example_x 0 \n\
                      'http://b.example/debian/dists/trixie/main/binary-amd64/Packages.xz' b.example_y 0 \n\
                      W: something else\n";
        let found: Vec<&str> = archives(wanted).collect();
        assert_eq!(
            found,
            [
                "https://a.example/debian-security",
                "http://b.example/debian"
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
            resolve(&format!("mirror+file:{}", list.display())),
            ["https://a.example/debian", "https://b.example/debian"]
        );
        assert_eq!(resolve("http://c/debian"), ["http://c/debian"]);
        Ok(())
    }
}
