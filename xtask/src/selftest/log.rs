// SPDX-License-Identifier: GPL-2.0-only
//! What the self-test in Xen prints, and finding where two runs of it part.

use crate::boot::dom0::console::Console;

/// What its lines begin with.
const PREFIX: &str = "(XEN) p2m-selftest: ";

/// One run of the self-test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// Hashes of all that happened before this operation, as printed in between.
    pub(crate) hashes: Vec<(u64, String)>,
    /// The operations in the window that was to be printed.
    pub(crate) ops: Vec<Op>,
    /// Table entries after the last of them, where one was to be printed.
    pub(crate) entries: Vec<String>,
    /// Free pages before and after.
    pub(crate) free: Option<(u64, u64)>,
    /// How many operations it did, when it came to the end.
    pub(crate) end: Option<u64>,
    /// Did Xen share its tables with an IOMMU?
    pub(crate) iommu: bool,
    /// Whether the frame table leaves a part of the machine's addresses out.
    pub(crate) hole: bool,
    /// What did not hold, in a stress test.
    pub(crate) failures: Vec<String>,
    /// What came of a stress test.
    pub(crate) stress: Option<String>,
    /// How much was done with views: what, and how often.
    pub(crate) views: Vec<(String, u64)>,
    /// How often each kind of operation did what it is there for.
    pub(crate) effects: Vec<(String, u64)>,
    /// How many tables, and entries at each level, are in the hashes.
    pub(crate) hashed: Vec<(String, u64)>,
    /// The words that tell of a crash.
    pub(crate) crash: Option<String>,
}

/// One operation with its arguments and results.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Op {
    /// Its number.
    pub(crate) number: u64,
    /// What was done.
    pub(crate) name: String,
    /// Arguments and results in the order in which they were noted.
    pub(crate) values: Vec<(String, String)>,
}

impl Run {
    /// Reads a serial log.
    pub(crate) fn of(console: &Console) -> Self {
        let mut run = Self {
            crash: console.fatal().map(|line| line.trim().to_owned()),
            ..Self::default()
        };
        for line in &console.lines {
            if let Some(text) = line.strip_prefix(PREFIX) {
                run.take(text);
            }
        }
        run
    }

    fn take(&mut self, text: &str) {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            ["at", op, "hash", hash] => {
                if let Ok(op) = op.parse() {
                    self.hashes.push((op, (*hash).to_owned()));
                }
            }
            ["op", number, name, values @ ..] => {
                if let Ok(number) = number.parse() {
                    self.ops.push(Op {
                        number,
                        name: (*name).to_owned(),
                        values: values
                            .iter()
                            .filter_map(|pair| pair.split_once('='))
                            .filter(|(key, _)| !key.is_empty())
                            .map(|(key, value)| (key.to_owned(), value.to_owned()))
                            .collect(),
                    });
                }
            }
            ["start", words @ ..] => {
                self.iommu = words.contains(&"iommu=1");
                self.hole = words.contains(&"hole=1");
            }
            ["failed:", what @ ..] => self.failures.push(what.join(" ")),
            ["stress", summary @ ..] => self.stress = Some(summary.join(" ")),
            ["views", counts @ ..] => self.views = pairs(counts),
            ["effects", counts @ ..] => self.effects = pairs(counts),
            ["hashed", counts @ ..] => self.hashed = pairs(counts),
            ["pte", entry @ ..] => self.entries.push(entry.join(" ")),
            ["free", before, "before", after, "after"] => {
                self.free = before.parse().ok().zip(after.parse().ok());
            }
            ["end", ops, ..] => {
                self.end = ops
                    .strip_prefix("ops=")
                    .and_then(|number| number.parse().ok());
            }
            _ => {}
        }
    }

    /// How much was done with views; an error if something was never done.
    pub(crate) fn done_with_views(&self) -> Result<String, String> {
        if self.views.is_empty() {
            return Err("nothing was done with views".to_owned());
        }
        if let Some((what, _)) = self.views.iter().find(|(_, times)| *times == 0) {
            return Err(format!("no view was ever {what}"));
        }
        let said: Vec<String> = self
            .views
            .iter()
            .map(|(what, n)| format!("{what} {n}"))
            .collect();
        Ok(said.join(" "))
    }

    /// A number of what a stress test came to, by the word before it.
    pub(crate) fn stressed(&self, what: &str) -> Option<u64> {
        let words = self.stress.iter().flat_map(|text| text.split(' '));
        words.skip_while(|word| *word != what).nth(1)?.parse().ok()
    }

    /// How it failed on its own account, if it did.
    pub(crate) fn failure(&self) -> Option<String> {
        if let Some(crash) = &self.crash {
            return Some(format!("it crashed: {crash}"));
        }
        if let Some(failure) = self.failures.first() {
            return Some(failure.clone());
        }
        // What other CPUs need for their own small allocations they keep.
        let kept = self.stressed("cpus").unwrap_or(0);
        match (self.end, self.free) {
            (Some(_), Some((before, after))) if (after..=after + kept).contains(&before) => None,
            (Some(_), Some((before, after))) => {
                Some(format!("{before} pages were free before, {after} after"))
            }
            _ => Some("it did not come to its end".to_owned()),
        }
    }

    /// Did it come to a good end, after all that was asked for, and with a hash there?
    pub(crate) fn is_whole(&self, asked: u64) -> Result<(), String> {
        if let Some(failure) = self.failure() {
            return Err(failure);
        }
        let done = self.end.unwrap_or_default();
        let hashed = self.hashes.last().map_or(0, |(at, _)| *at);
        if done != asked || hashed != asked {
            return Err(format!(
                "{done} operations of {asked}, the last hash is of {hashed}"
            ));
        }
        Ok(())
    }
}

/// What, and how often.
fn pairs(words: &[&str]) -> Vec<(String, u64)> {
    words
        .chunks_exact(2)
        .filter_map(|pair| match pair {
            [what, times] => Some(((*what).to_owned(), times.parse().ok()?)),
            _ => None,
        })
        .collect()
}

/// The operations between which two runs part: all before the first agree, and at the second they
/// do not, or one of the runs has ended.
pub(crate) fn part(one: &Run, other: &Run) -> Option<(u64, Option<u64>)> {
    let agree = one
        .hashes
        .iter()
        .zip(&other.hashes)
        .take_while(|(a, b)| a == b)
        .count();
    let last = |index: usize| {
        one.hashes
            .get(index)
            .or_else(|| other.hashes.get(index))
            .map(|&(op, _)| op)
    };
    if agree == one.hashes.len() && agree == other.hashes.len() {
        return None;
    }
    let from = agree.checked_sub(1).and_then(last).unwrap_or(0);
    Some((from, last(agree)))
}

/// The first operation that is not the same in both; the other's is missing when its run ended.
pub(crate) fn first_difference<'a>(
    one: &'a Run,
    other: &'a Run,
) -> Option<(Option<&'a Op>, Option<&'a Op>)> {
    let mut ones = one.ops.iter();
    let mut others = other.ops.iter();
    loop {
        match (ones.next(), others.next()) {
            (None, None) => return None,
            (a, b) if a == b => {}
            different => return Some(different),
        }
    }
}

impl Op {
    /// The values that are the same in another, and those that are not, as text.
    pub(crate) fn against(&self, other: &Self) -> (String, String) {
        let mut same = Vec::new();
        let mut own = Vec::new();
        for (index, (key, value)) in self.values.iter().enumerate() {
            let text = format!("{key}={value}");
            if other.values.get(index) == Some(&(key.clone(), value.clone())) {
                same.push(text);
            } else {
                own.push(text);
            }
        }
        (same.join(" "), own.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::{first_difference, part, Run};
    use crate::boot::dom0::console::Console;

    const C: &str = "(XEN) p2m-selftest: start seed=1 ops=2048 level=0 order=0\r\n\
        (XEN) p2m-selftest: at 1024 hash aa\r\n(XEN) Failed to free P2M pages\r\n\
        (XEN) p2m-selftest: op 1024 insert gfn=5 rc=0 => tree=1 hash=2\r\n\
        (XEN) p2m-selftest: op 1025 fault gfn=5 resolved=1 => tree=7 hash=8\r\n\
        (XEN) p2m-selftest: pte level 3 gfn 5 base 7 bits 00000000000007ff\r\n\
        (XEN) p2m-selftest: at 2048 hash bb\r\n\
        (XEN) p2m-selftest: free 100 before 100 after\r\n\
        (XEN) p2m-selftest: end ops=2048 rounds=2\r\n";

    fn run(text: &str) -> Run {
        Run::of(&Console::parse(text))
    }

    #[test]
    fn everything_is_read() {
        let run = run(C);
        assert_eq!(run.hashes.len(), 2);
        assert_eq!(run.ops.len(), 2);
        assert_eq!(run.entries, ["level 3 gfn 5 base 7 bits 00000000000007ff"]);
        assert_eq!(run.free, Some((100, 100)));
        assert_eq!(run.end, Some(2048));
        assert_eq!(run.failure(), None);
        assert!(!run.iommu);
        assert!(!run.hole);
    }

    #[test]
    fn failures_of_one_run() {
        assert!(run(&C.replace("100 after", "99 after"))
            .failure()
            .is_some_and(|text| text.contains("99")));
        let kept = C.replace("free 100", "stress cpus 4\r\n(XEN) p2m-selftest: free 100");
        assert_eq!(run(&kept.replace("100 after", "96 after")).failure(), None);
        assert!(run(&kept.replace("100 after", "95 after"))
            .failure()
            .is_some());
        assert!(run("").failure().is_some());
        let wrong = format!("{C}(XEN) p2m-selftest: failed: the lock is held\r\n");
        assert_eq!(run(&wrong).failure(), Some("the lock is held".to_owned()));
        assert!(run(&format!("{C}(XEN) Panic on CPU 0:\n"))
            .failure()
            .is_some_and(|text| text.contains("crashed")));
    }

    #[test]
    fn all_that_is_done_with_views_must_be_done() {
        let of = |text: &str| run(&format!("(XEN) p2m-selftest: {text}\r\n")).done_with_views();
        assert_eq!(of("views made 3 set 4"), Ok("made 3 set 4".to_owned()));
        assert_eq!(
            of("views made 3 set 0"),
            Err("no view was ever set".to_owned())
        );
        assert!(of("end").is_err());
    }

    #[test]
    fn where_two_runs_part() {
        assert_eq!(part(&run(C), &run(C)), None);
        assert_eq!(
            part(&run(C), &run(&C.replace("hash bb", "hash bc"))),
            Some((1024, Some(2048)))
        );
        assert_eq!(
            part(&run(C), &run(&C.replace("hash aa", "hash ab"))),
            Some((0, Some(1024)))
        );
        assert_eq!(part(&run(C), &run("")), Some((0, Some(1024))));
    }

    #[test]
    fn the_first_operation_that_differs() -> Result<(), String> {
        let c = run(C);
        assert_eq!(first_difference(&c, &run(C)), None);
        let rust = run(&C.replace("resolved=1", "resolved=0"));
        let Some((Some(a), Some(b))) = first_difference(&c, &rust) else {
            return Err("no difference".to_owned());
        };
        assert_eq!((a.number, a.name.as_str()), (1025, "fault"));
        assert_eq!(a.against(b).1, "resolved=1");
        assert_eq!(b.against(a).1, "resolved=0");
        assert!(a.against(b).0.starts_with("gfn=5 tree=7"));
        Ok(())
    }
}
