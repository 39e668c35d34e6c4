// SPDX-License-Identifier: GPL-2.0-only
//! From lines to boots: what each printed, and whether it came to its end.

use std::collections::BTreeMap;

use super::line::{self, Line, What};
use crate::base::cli::P2m;
use crate::bench::counts::{self, Counted};
use crate::boot::dom0::console::Console;
use crate::selftest::log::Run;

/// One boot of the image.
#[derive(Clone, Debug, Default)]
pub(super) struct Boot {
    /// Which log it is in.
    pub(super) log: String,
    /// Its first line there.
    pub(super) line: usize,
    /// Which p2m; none where the lines that say so are damaged.
    pub(super) p2m: Option<P2m>,
    /// What Xen says that it is.
    pub(super) version: Option<String>,
    /// What the board is, by name.
    pub(super) board: BTreeMap<String, String>,
    /// And its model.
    pub(super) model: Option<String>,
    /// What the self-test printed, as Xen prints it.
    selftest: Vec<String>,
    /// The benchmark's lines, and where they are.
    pub(super) rows: Vec<(usize, Counted)>,
    /// How many there were to be.
    pub(super) rows_printed: Option<usize>,
    /// Was its last line printed?
    pub(super) ended: bool,
    /// A crash, and where.
    pub(super) crash: Option<(usize, String)>,
    /// Lines that did not arrive whole.
    pub(super) damaged: Vec<(usize, String)>,
    /// Lines without a sum where there had to be one.
    pub(super) last: usize,
}

impl Boot {
    fn new(log: &str, line: usize) -> Self {
        Self {
            log: log.to_owned(),
            line,
            last: line,
            ..Self::default()
        }
    }

    /// Has it printed anything of the tests?
    fn is_of_the_tests(&self) -> bool {
        !self.board.is_empty()
            || !self.selftest.is_empty()
            || !self.rows.is_empty()
            || !self.damaged.is_empty()
            || self.ended
    }

    /// Did all go to its end?
    pub(super) fn is_complete(&self) -> bool {
        self.ended && self.crash.is_none()
    }

    /// The self-test.
    pub(super) fn selftest(&self) -> Run {
        Run::of(&Console {
            lines: self.selftest.clone(),
        })
    }

    /// Was there a self-test?
    pub(super) fn has_selftest(&self) -> bool {
        self.selftest.iter().any(|line| line.contains(": start "))
    }

    /// One of the self-test's arguments.
    pub(super) fn asked(&self, key: &str) -> Option<&str> {
        let start = self
            .selftest
            .iter()
            .find(|line| line.contains(": start "))?;
        words(start)
            .find(|&(name, _)| name == key)
            .map(|(_, value)| value)
    }

    /// Where it is, for a message.
    pub(super) fn place(&self) -> String {
        format!("{}, lines {} to {}", self.log, self.line, self.last)
    }

    /// Which p2m, for a message.
    pub(super) fn name(&self) -> &'static str {
        match self.p2m {
            Some(P2m::C) => "C",
            Some(P2m::Rust) => "Rust",
            None => "a p2m that is not known",
        }
    }

    fn take(&mut self, number: usize, text: &str) {
        if let Some(rest) = text.strip_prefix("p2m-board: ") {
            self.take_board(rest);
        } else if text.starts_with("p2m-selftest: ") {
            self.selftest.push(format!("(XEN) {text}"));
        } else if let Some(rest) = text.strip_prefix("p2m-bench: row ") {
            match counts::printed(rest) {
                Ok(row) => self.rows.push((number, row)),
                // The sum is right, and so Xen printed this: it is what the row came to.
                Err(why) => self.crash = Some((number, format!("{why:#}"))),
            }
        } else if let Some(rest) = text.strip_prefix("p2m-bench: end rows=") {
            self.rows_printed = rest.parse().ok();
        }
    }

    fn take_board(&mut self, text: &str) {
        if let Some(model) = text.strip_prefix("model ") {
            self.model = Some(model.to_owned());
            return;
        }
        for (key, value) in words(text) {
            if key == "p2m" {
                self.p2m = match value {
                    "rust" => Some(P2m::Rust),
                    "c" => Some(P2m::C),
                    _ => None,
                };
            }
            self.board.insert(key.to_owned(), value.to_owned());
        }
        self.ended |= text.starts_with("end ");
    }
}

/// `key=value` and the like.
fn words(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(' ').filter_map(|word| word.split_once('='))
}

/// The boots in a log, in their order.
pub(super) fn boots(name: &str, log: &[u8]) -> Vec<Boot> {
    let mut boots: Vec<Boot> = Vec::new();
    let mut boot = Boot::new(name, 1);
    for Line { number, what } in line::lines(log) {
        let begins = match &what {
            What::Version(_) => true,
            What::Whole(text) => text.starts_with("p2m-board: start ") && !boot.board.is_empty(),
            _ => false,
        };
        if begins {
            boots.push(std::mem::replace(&mut boot, Boot::new(name, number)));
        }
        boot.last = number;
        match what {
            What::Version(version) => boot.version = Some(version),
            What::Which(p2m) => boot.p2m = Some(p2m),
            What::Fatal(line) => {
                boot.crash.get_or_insert((number, line));
            }
            What::Damaged(line) => boot.damaged.push((number, line)),
            What::Bare(text) => boot.selftest.push(format!("(XEN) {text}")),
            What::Whole(text) => boot.take(number, &text),
        }
    }
    boots.push(boot);
    boots.retain(Boot::is_of_the_tests);
    boots
}
