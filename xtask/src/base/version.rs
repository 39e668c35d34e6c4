// SPDX-License-Identifier: GPL-2.0-only
//! Version numbers, as programs print them.

use std::fmt;

/// `major.minor`; what follows does not matter to any check made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    /// The first number.
    pub(crate) major: u32,
    /// The second number.
    pub(crate) minor: u32,
}

impl Version {
    /// A version known beforehand.
    pub(crate) const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// The first word in `text` that begins like a version (`7.2.22`, `v1.85.0-nightly`,
    /// Debian's `1:9.2+dfsg`).
    pub(crate) fn find_in(text: &str) -> Option<Self> {
        text.split(|c: char| c.is_whitespace() || c == '(' || c == ':')
            .find_map(Self::parse)
    }

    fn parse(word: &str) -> Option<Self> {
        let (major, rest) = word.trim_start_matches('v').split_once('.')?;
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        Some(Self {
            major: major.parse().ok()?,
            minor: rest.get(..end)?.parse().ok()?,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn as_programs_print_them() {
        let qemu = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)";
        assert_eq!(Version::find_in(qemu), Some(Version::new(7, 2)));
        let gcc = "aarch64-linux-gnu-gcc (Debian 12.2.0-14) 12.2.0";
        assert_eq!(Version::find_in(gcc), Some(Version::new(12, 2)));
        let rustc = "rustc 1.85.0 (4d91de4e4 2025-02-17)";
        assert_eq!(Version::find_in(rustc), Some(Version::new(1, 85)));
        assert_eq!(Version::find_in("1:10.0.2+ds-2"), Some(Version::new(10, 0)));
        assert_eq!(Version::find_in("no number here."), None);
    }

    #[test]
    fn order_is_by_number_not_by_text() {
        assert!(Version::new(10, 0) > Version::new(7, 2));
        assert!(Version::new(1, 100) > Version::new(1, 85));
    }
}
