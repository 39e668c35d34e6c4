// SPDX-License-Identifier: GPL-2.0-only
//! What a scenario is, and how its runs on the C and on the Rust p2m are compared.

use crate::boot::dom0::console::StepRun;
use crate::boot::dom0::steps::DOM0_TABLES;

/// What one run showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::e2e) struct Seen {
    /// For the table.
    pub(in crate::e2e) text: String,
    /// What must be the same with both.
    pub(in crate::e2e) same: Vec<(String, String)>,
    /// What may differ for the reason that the scenario names, and for no other.
    pub(in crate::e2e) excused: Vec<(String, String)>,
    /// What the reason that the scenario names lets be less with the C; not more, but for what dom0 happens to have
    /// mapped at that moment.
    pub(in crate::e2e) less_in_c: Vec<(String, u64)>,
}

impl Seen {
    /// A text for the table, and some of the step's values, which must be the same with both.
    pub(in crate::e2e) fn of(run: &StepRun, text: String, same: &[&str]) -> Result<Self, String> {
        let same = same
            .iter()
            .map(|&key| Ok((key.to_owned(), value(run, key)?.to_owned())))
            .collect::<Result<_, String>>()?;
        Ok(Self {
            text,
            same,
            ..Self::default()
        })
    }
}

/// Judges one run by itself: what was seen, or what is wrong.
pub(in crate::e2e) type Judge = fn(&StepRun) -> Result<Seen, String>;

/// One scenario: a script for dom0 and a look at what it printed.
#[derive(Clone, Copy, Debug)]
pub(in crate::e2e) struct Scenario {
    /// Its script's name, its name in the markers and for `--only`.
    pub(in crate::e2e) name: &'static str,
    /// Its name in the table.
    pub(in crate::e2e) title: &'static str,
    /// The script.
    pub(in crate::e2e) script: &'static str,
    /// How a run is judged.
    pub(in crate::e2e) judge: Judge,
    /// The entry of docs/differences.md that allows [`Seen::excused`] to differ.
    pub(in crate::e2e) difference: Option<&'static str>,
}

/// A scenario whose script is in `assets/e2e/steps/`.
macro_rules! scenario {
    ($name:literal, $title:literal, $judge:expr) => {
        scenario!($name, $title, $judge, None)
    };
    ($name:literal, $title:literal, $judge:expr, $difference:expr) => {
        $crate::e2e::scenario::Scenario {
            name: $name,
            title: $title,
            script: include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/assets/e2e/steps/",
                $name
            )),
            judge: $judge,
            difference: $difference,
        }
    };
}
pub(super) use scenario;

/// How a scenario came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::e2e) enum Verdict {
    /// Both as they must be.
    Pass,
    /// As they must be, but for a documented difference.
    Documented(&'static str),
    /// Not so.
    Fail(String),
}

impl Verdict {
    /// Does it count as passed?
    pub(in crate::e2e) fn passed(&self) -> bool {
        !matches!(self, Self::Fail(_))
    }

    /// For the table.
    pub(in crate::e2e) fn text(&self) -> String {
        match self {
            Self::Pass => "pass".to_owned(),
            Self::Documented(id) => format!("pass, differs as {id}"),
            Self::Fail(why) => format!("FAIL: {why}"),
        }
    }
}

/// A run's result.
pub(in crate::e2e) type Result1 = Result<Seen, String>;

/// Compares a run on the C with one on the Rust.
pub(in crate::e2e) fn compare(scenario: &Scenario, c: &Result1, rust: &Result1) -> Verdict {
    let (c, rust) = match (c, rust) {
        (Ok(c), Ok(rust)) => (c, rust),
        (Err(_), Err(_)) => return Verdict::Fail("both".to_owned()),
        (Err(_), Ok(_)) => return Verdict::Fail("C".to_owned()),
        (Ok(_), Err(_)) => return Verdict::Fail("Rust".to_owned()),
    };
    if c.same != rust.same {
        let keys = different(&c.same, &rust.same);
        return Verdict::Fail(format!("not equal: {keys}"));
    }
    if let Some(more) = more_in_c(&c.less_in_c, &rust.less_in_c) {
        return Verdict::Fail(more);
    }
    if c.excused == rust.excused {
        return Verdict::Pass;
    }
    match scenario.difference {
        Some(id) => Verdict::Documented(id),
        None => Verdict::Fail(format!(
            "not equal: {}",
            different(&c.excused, &rust.excused)
        )),
    }
}

/// The first number that is more with the C, or is no number of both.
fn more_in_c(c: &[(String, u64)], rust: &[(String, u64)]) -> Option<String> {
    if c.len() != rust.len() {
        return Some(format!("{} and {} numbers", c.len(), rust.len()));
    }
    let mut pairs = c.iter().zip(rust);
    let ((c_key, c), (rust_key, rust)) = pairs
        .find(|((c_key, c), (rust_key, rust))| c_key != rust_key || *c > rust + DOM0_TABLES)?;
    Some(format!(
        "{c_key} is {c} with C, {rust_key} {rust} with Rust"
    ))
}

/// The pairs that differ, told in full.
fn different(c: &[(String, String)], rust: &[(String, String)]) -> String {
    if c.len() != rust.len() {
        return format!("{} and {} observables", c.len(), rust.len());
    }
    let told: Vec<String> = c
        .iter()
        .zip(rust)
        .filter(|(c, rust)| c != rust)
        .map(|((key, c), (_, rust))| format!("{key} is {c} with C, {rust} with Rust"))
        .collect();
    told.join("; ")
}

/// A value that the step must have printed.
pub(in crate::e2e) fn value<'a>(run: &'a StepRun, key: &str) -> Result<&'a str, String> {
    run.values
        .get(key)
        .map(String::as_str)
        .ok_or_else(|| format!("dom0 printed no {key}"))
}

/// The script must have come to its end; the last thing it said is what went wrong otherwise.
pub(in crate::e2e) fn ended_well(run: &StepRun) -> Result<(), String> {
    let last = run.lines.iter().rfind(|line| !line.trim().is_empty());
    let last = last.map_or("nothing", |line| line.trim());
    match run.rc {
        Some(0) => Ok(()),
        Some(rc) => Err(format!("exit code {rc}: {last}")),
        None => Err(format!("did not end; last said: {last}")),
    }
}

#[cfg(test)]
pub(in crate::e2e) mod tests {
    use super::{compare, Scenario, Seen, Verdict};
    use crate::boot::dom0::console::{Console, StepRun};

    /// A step as dom0 would have printed it.
    pub(in crate::e2e) fn run(rc: i32, output: &str) -> StepRun {
        let text = format!("@@step x begin\n{output}\n@@step x end rc={rc}\n");
        Console::parse(&text).steps().pop().unwrap_or_default()
    }

    fn seen(same: &str, excused: &str) -> Result<Seen, String> {
        Ok(Seen {
            text: String::new(),
            same: vec![("same".to_owned(), same.to_owned())],
            excused: vec![("excused".to_owned(), excused.to_owned())],
            ..Seen::default()
        })
    }

    #[test]
    fn what_may_be_less_in_the_c_may_not_be_more() {
        let scenario = Scenario {
            name: "x",
            title: "x",
            script: "",
            judge: |_| Ok(Seen::default()),
            difference: Some("B12"),
        };
        let with = |numbers: &[(&str, u64)]| {
            let less_in_c = numbers.iter().map(|&(key, n)| (key.to_owned(), n));
            Ok(Seen {
                less_in_c: less_in_c.collect(),
                ..Seen::default()
            })
        };
        let rust = with(&[("2M", 5), ("4K", 7)]);
        let passed = |numbers| compare(&scenario, &with(numbers), &rust).passed();
        assert!(passed(&[("2M", 5), ("4K", 7)]));
        assert!(passed(&[("2M", 5), ("4K", 6)]));
        assert!(passed(&[("2M", 7), ("4K", 9)]));
        assert!(!passed(&[("2M", 8), ("4K", 6)]));
        assert!(!passed(&[("2M", 5), ("1G", 7)]));
        assert!(!passed(&[("2M", 5)]));
    }

    #[test]
    fn verdicts() {
        let mut scenario = Scenario {
            name: "x",
            title: "x",
            script: "",
            judge: |_| Ok(Seen::default()),
            difference: None,
        };
        let (one, other) = (seen("1", "1"), seen("2", "1"));
        let excused = seen("1", "2");
        let error = Err("no".to_owned());
        assert_eq!(compare(&scenario, &one, &one), Verdict::Pass);
        assert!(!compare(&scenario, &one, &other).passed());
        assert!(!compare(&scenario, &one, &excused).passed());
        assert!(!compare(&scenario, &one, &error).passed());
        assert!(!compare(&scenario, &error, &one).passed());
        assert!(!compare(&scenario, &error, &error).passed());
        scenario.difference = Some("B12");
        assert_eq!(
            compare(&scenario, &one, &excused),
            Verdict::Documented("B12")
        );
        assert!(!compare(&scenario, &one, &other).passed());
    }
}
