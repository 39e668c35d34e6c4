// SPDX-License-Identifier: GPL-2.0-only
//! Reading the serial log: whole lines, the steps that dom0 reported, and signs of disaster.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

/// What Xen puts before each of its lines.
const XEN: &str = "(XEN) ";

/// Words that mean that nothing good will follow. Of an oops of dom0's only the line with "Internal error: " and what
/// comes after it is urgent enough for the console (`dmesg -n 1`); libxc's own "Internal error" ends its line.
const FATAL: &[&str] = &[
    "Xen BUG at",
    "Panic on CPU",
    "Kernel panic - not syncing",
    "Internal error: ",
    "Assertion '",
    "Unable to handle kernel",
    "kernel BUG at",
];

/// What Xen says when something is not as it should be and it goes on all the same.
const WARNING: &str = "Xen WARN at";

/// Everything the serial line printed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Console {
    /// Whole lines, in order.
    pub(crate) lines: Vec<String>,
}

/// A step, as dom0 reported it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StepRun {
    /// Its name.
    pub(crate) name: String,
    /// What was printed between its begin and its end.
    pub(crate) lines: Vec<String>,
    /// The exit code of its script; none when its end was not seen.
    pub(crate) rc: Option<i32>,
    /// Its `@@value` lines.
    pub(crate) values: BTreeMap<String, String>,
}

impl StepRun {
    /// A value that must be there and be a number.
    pub(crate) fn number(&self, key: &str) -> Result<u64, String> {
        self.values
            .get(key)
            .and_then(|value| value.parse().ok())
            .ok_or_else(|| format!("dom0 printed no {key}"))
    }

    /// What is wrong, with the last thing that Xen itself said meanwhile: often it knows why.
    pub(crate) fn with_xens_words(&self, wrong: String) -> String {
        let mut said = self.lines.iter().rev();
        match said.find_map(|line| line.strip_prefix(XEN)) {
            Some(said) => format!("{wrong}; Xen said: {said}"),
            None => wrong,
        }
    }
}

/// Where a line of Xen's, or of a guest that writes to Xen's console (`(d1) `), begins.
fn prefix(line: &str) -> Option<usize> {
    let guest = line.match_indices("(d").find_map(|(at, _)| {
        let number = line.get(at + 2..)?;
        let rest = number.trim_start_matches(|c: char| c.is_ascii_digit());
        (rest.len() < number.len() && rest.starts_with(") ")).then_some(at)
    });
    match (line.find(XEN), guest) {
        (Some(xen), Some(guest)) => Some(xen.min(guest)),
        (xen, guest) => xen.or(guest),
    }
}

impl Console {
    /// Reads a log.
    pub(crate) fn read(log: &Path) -> Result<Self> {
        let bytes = std::fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
        Ok(Self::parse(&String::from_utf8_lossy(&bytes)))
    }

    /// Makes lines of a text. Xen may print a line, of its own or of a guest that it has made, in
    /// the middle of one of dom0's; such a line is put together again, so that a marker is never
    /// lost.
    pub(crate) fn parse(text: &str) -> Self {
        let mut lines = Vec::new();
        let mut broken = String::new();
        for line in text.split('\n').map(|line| line.trim_end_matches('\r')) {
            match prefix(line).and_then(|at| line.split_at_checked(at)) {
                Some((before, xen)) => {
                    broken.push_str(before);
                    lines.push(xen.to_owned());
                }
                None => {
                    lines.push(std::mem::take(&mut broken) + line);
                }
            }
        }
        if !broken.is_empty() {
            lines.push(broken);
        }
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        Self { lines }
    }

    /// The first line with this in it.
    pub(crate) fn find(&self, words: &str) -> Option<&str> {
        self.lines
            .iter()
            .map(String::as_str)
            .find(|line| line.contains(words))
    }

    /// The first line that tells of a crash.
    pub(crate) fn fatal(&self) -> Option<&str> {
        self.lines
            .iter()
            .map(String::as_str)
            .find(|line| is_fatal(line))
    }

    /// The first line that should not be there in a boot in which all went well: of a crash, or of a warning of Xen's,
    /// after which it goes on. No boot has one that is known.
    pub(crate) fn alarm(&self) -> Option<&str> {
        self.fatal().or_else(|| self.find(WARNING))
    }

    /// The steps dom0 went through.
    pub(crate) fn steps(&self) -> Vec<StepRun> {
        let mut steps: Vec<StepRun> = Vec::new();
        let mut inside = false;
        for line in &self.lines {
            // A tool that does not end its last line leaves the marker behind it.
            let marker = line.find("@@").and_then(|at| line.get(at..)).unwrap_or("");
            let words: Vec<&str> = marker.split_whitespace().collect();
            match words.as_slice() {
                ["@@step", name, "begin"] => {
                    inside = true;
                    steps.push(StepRun {
                        name: (*name).to_owned(),
                        ..StepRun::default()
                    });
                }
                ["@@step", name, "end", rc] => {
                    inside = false;
                    if let Some(step) = steps.last_mut().filter(|step| step.name == *name) {
                        step.rc = rc.strip_prefix("rc=").and_then(|rc| rc.parse().ok());
                    }
                }
                ["@@value", pair] => {
                    if let (Some(step), Some((key, value))) =
                        (steps.last_mut().filter(|_| inside), pair.split_once('='))
                    {
                        step.values.insert(key.to_owned(), value.to_owned());
                    }
                }
                _ => {
                    if let Some(step) = steps.last_mut().filter(|_| inside) {
                        step.lines.push(line.clone());
                    }
                }
            }
        }
        steps
    }

    /// The step that is running, if dom0 is in one.
    pub(crate) fn running_step(&self) -> Option<String> {
        self.steps()
            .pop()
            .filter(|step| step.rc.is_none())
            .map(|step| step.name)
    }
}

/// Does this line tell of a crash?
pub(crate) fn is_fatal(line: &str) -> bool {
    FATAL.iter().any(|words| line.contains(words))
}

#[cfg(test)]
mod tests {
    use super::Console;

    const LOG: &str = "(XEN) Xen version 4.20.4-pre\r\n[    3.2] Run /init as init process\r\n\
        @@dom0-up\r\n@@step xl-list begin\r\nName   ID\r\nDomain-0   0\r\n@@step xl-list end rc=0\r\n\
        @@step guest-create begin\r\n@@value free_before=3003\r\n\
        Parsing config@@value domid=1\r\n@@step guest-create end rc=3\r\n\
        @@step guest-console begin\r\ntick 1\r\n";

    #[test]
    fn steps_with_their_output_values_and_exit_codes() -> Result<(), String> {
        let steps = Console::parse(LOG).steps();
        let [list, create, console] = steps.as_slice() else {
            return Err(format!("{steps:?}"));
        };
        assert_eq!(list.lines, ["Name   ID", "Domain-0   0"]);
        assert_eq!(list.rc, Some(0));
        assert_eq!(create.rc, Some(3));
        assert_eq!(create.number("free_before")?, 3003);
        assert_eq!(create.number("domid")?, 1);
        assert!(create.number("other").is_err());
        assert_eq!(console.rc, None);
        assert_eq!(console.lines, ["tick 1"]);
        Ok(())
    }

    #[test]
    fn the_running_step_is_the_one_without_an_end() {
        assert_eq!(
            Console::parse(LOG).running_step().as_deref(),
            Some("guest-console")
        );
        assert_eq!(Console::parse("@@dom0-up\n").running_step(), None);
    }

    #[test]
    fn a_line_of_a_guest_inside_a_marker_does_not_hide_it() -> Result<(), String> {
        let text = "@@step up begin\r\n@@value seconds=20(d2) tick: 2 counts 169\r\n\
                    (d1) tick: 1 counts 168\r\n\r\n@@step up end rc=0\r\n";
        let console = Console::parse(text);
        assert!(console
            .find("(d2) tick: 2 counts 169")
            .is_some_and(|line| line.starts_with("(d2)")));
        let steps = console.steps();
        let [up] = steps.as_slice() else {
            return Err(format!("{steps:?}"));
        };
        assert_eq!(up.number("seconds")?, 20);
        Ok(())
    }

    #[test]
    fn what_only_looks_like_a_guest_s_line_is_left_alone() {
        for line in ["found (d) here", "(d1)", "a (domain1) b", "(d1x) y"] {
            assert_eq!(Console::parse(line).lines, [line]);
        }
    }

    #[test]
    fn a_line_of_xen_inside_a_marker_does_not_hide_it() {
        let text = "@@step xl-li(XEN) grant_table.c: expanding\r\nst begin\r\n\
                    @@step xl-list (XEN) one\r\n(XEN) two\r\nend rc=0\r\n";
        let console = Console::parse(text);
        let steps = console.steps();
        assert_eq!(steps.len(), 1);
        assert_eq!(steps.first().and_then(|step| step.rc), Some(0));
        assert!(console.find("(XEN) two").is_some());
    }

    #[test]
    fn crashes_are_seen() {
        for line in [
            "(XEN) Xen BUG at arch/arm/p2m.c:12",
            "(XEN) Panic on CPU 0:",
            "[ 1.0] Kernel panic - not syncing: Attempted to kill init!",
            "(XEN) Assertion 'x' failed at common/page_alloc.c:1",
            "[   61.0] Internal error: Oops: 0000000096000004 [#1] SMP",
        ] {
            assert!(Console::parse(line).fatal().is_some(), "{line}");
            assert!(Console::parse(line).alarm().is_some(), "{line}");
        }
        assert_eq!(Console::parse(LOG).alarm(), None);
        let libxc = "xc: error: Failed to enable vm_event\n (16 = Device or resource busy): Internal error\n";
        assert_eq!(Console::parse(libxc).alarm(), None);
    }

    #[test]
    fn a_warning_of_xen_s_is_no_crash_and_is_told_all_the_same() {
        let warned = Console::parse("(XEN) Xen WARN at arch/arm/mmu/pt.c:26\r\n");
        assert_eq!(warned.fatal(), None);
        assert_eq!(
            warned.alarm(),
            Some("(XEN) Xen WARN at arch/arm/mmu/pt.c:26")
        );
    }
}
