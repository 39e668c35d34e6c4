// SPDX-License-Identifier: GPL-2.0-only
//! The lines of a board's console: which are the tests', and which of these arrived whole.
//!
//! Xen ends each with a sum of what is before it (`p2m_say` in the patch). What a capturing program puts before a line,
//! how lines end, and what is between them makes no difference.

use crate::base::cli::P2m;
use crate::boot::dom0::console::is_fatal;

/// What the tests' lines begin with.
const MARKERS: [&str; 3] = ["p2m-board: ", "p2m-selftest: ", "p2m-bench: "];

/// Lines of the self-test that are for people, and have no sum.
const WITHOUT: [&str; 2] = ["p2m-selftest: stress", "p2m-selftest: failed"];

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Where in the file, from 1.
    pub(super) number: usize,
    /// What is there.
    pub(super) what: What,
}

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Of the tests, as Xen printed it, without its sum.
    Whole(String),
    /// Of the tests, but not as Xen printed it; as far as it can be read.
    Damaged(String),
    /// Of the tests, without a sum.
    Bare(String),
    /// Xen's first: it was booted.
    Version(String),
    /// The Rust p2m's own.
    Which(P2m),
    /// A crash.
    Fatal(String),
}

/// FNV-1a of 32 bits.
pub(super) fn sum(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |sum, byte| {
        (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// What is before the sum, and the sum.
fn split(text: &str) -> Option<(&str, u32)> {
    let (before, after) = text.rsplit_once(" *")?;
    let digits = after.get(..8)?;
    Some((before, u32::from_str_radix(digits, 16).ok()?))
}

/// Of all lines those that mean something.
pub(super) fn lines(log: &[u8]) -> Vec<Line> {
    let text = String::from_utf8_lossy(log);
    let mut lines = Vec::new();
    for (at, line) in text.split('\n').enumerate() {
        // Some captures end lines by CR CR LF, others leave a CR in the middle.
        for part in line.split('\r').filter(|part| !part.is_empty()) {
            let number = at + 1;
            lines.extend(read(part).into_iter().map(|what| Line { number, what }));
        }
    }
    lines
}

/// What is in a line: of the tests' own maybe several, where their ends were lost.
fn read(line: &str) -> Vec<What> {
    let mut begins: Vec<usize> = MARKERS
        .iter()
        .flat_map(|marker| line.match_indices(marker).map(|(at, _)| at))
        .collect();
    begins.sort_unstable();
    if begins.is_empty() {
        return other(line).into_iter().collect();
    }
    let ends = begins.iter().skip(1).copied().chain([line.len()]);
    begins
        .iter()
        .zip(ends)
        .filter_map(|(&begin, end)| line.get(begin..end))
        .map(judge)
        .collect()
}

/// Is it as Xen printed it?
fn judge(text: &str) -> What {
    match split(text) {
        Some((before, said)) if sum(before) == said => What::Whole(before.to_owned()),
        None if WITHOUT.iter().any(|begin| text.starts_with(begin)) => {
            What::Bare(text.trim_end().to_owned())
        }
        _ => What::Damaged(text.trim_end().to_owned()),
    }
}

/// A line without any of the marks.
fn other(line: &str) -> Option<What> {
    if let Some((_, version)) = line.split_once("Xen version ") {
        return Some(What::Version(version.trim_end().to_owned()));
    }
    if line.contains("p2m: Rust implementation") {
        return Some(What::Which(P2m::Rust));
    }
    if is_fatal(line) {
        return Some(What::Fatal(line.trim().to_owned()));
    }
    // It has a sum, so its mark was hit.
    split(line).map(|_| What::Damaged(line.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{lines, sum, What};

    /// As Xen prints it.
    fn said(text: &str) -> String {
        format!("{text} *{:08x}", sum(text))
    }

    fn whole(log: &str) -> Vec<String> {
        let found = lines(log.as_bytes()).into_iter();
        found
            .filter_map(|line| match line.what {
                What::Whole(text) => Some(text),
                _ => None,
            })
            .collect()
    }

    const TEXT: &str = "p2m-bench: row a calls=1";

    #[test]
    fn the_sum_is_the_one_that_xen_prints() {
        // From a boot on QEMU.
        assert_eq!(
            whole("(XEN) p2m-board: model linux,dummy-virt *f0ff4ee4\n"),
            ["p2m-board: model linux,dummy-virt"]
        );
    }

    #[test]
    fn what_captures_do_to_lines() {
        let line = said(TEXT);
        for log in [
            format!("(XEN) {line}\n"),
            format!("(XEN) {line}\r\n"),
            format!("(XEN) {line}\r\r\n"),
            format!("[2026-11-28 07:00:01.123] (XEN) {line}\r\n"),
            format!("\u{1b}[0m(XEN) [    3.141592] {line}\u{1b}[0m\n"),
            format!("\0\0{line}"),
        ] {
            assert_eq!(whole(&log), [TEXT], "{log:?}");
        }
    }

    #[test]
    fn two_lines_whose_end_was_lost_between_them() {
        let line = said(TEXT);
        assert_eq!(whole(&format!("(XEN) {line}(XEN) {line}\n")), [TEXT, TEXT]);
    }

    #[test]
    fn each_lost_or_changed_character_is_noticed() {
        let line = said(TEXT);
        for at in 0..line.len() {
            for changed in [
                format!("{}{}", &line[..at], &line[at + 1..]),
                format!("{}#{}", &line[..at], &line[at + 1..]),
            ] {
                assert!(whole(&changed).is_empty(), "{changed}");
                let found = lines(changed.as_bytes());
                assert!(
                    matches!(found.first().map(|line| &line.what), Some(What::Damaged(_))),
                    "{changed}: {found:?}"
                );
            }
        }
    }

    #[test]
    fn numbers_are_those_of_an_editor() {
        let log = format!("a\r\nb\n\n(XEN) {}\r\n", said(TEXT));
        assert_eq!(
            lines(log.as_bytes()).first().map(|line| line.number),
            Some(4)
        );
    }

    #[test]
    fn bytes_that_are_no_text() {
        let mut log = vec![0xff, 0xfe, b' '];
        log.extend(said(TEXT).bytes());
        log.extend([b'\n', 0xc3]);
        assert_eq!(lines(&log).len(), 1);
    }
}
