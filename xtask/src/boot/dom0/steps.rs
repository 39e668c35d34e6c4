// SPDX-License-Identifier: GPL-2.0-only
//! What dom0 does once it is up: a list, each entry a script and a check on what it printed.
//!
//! A new scenario is a script in `assets/dom0/steps/`, an entry in [`ALL`], and a check that looks
//! at the output of the real tools.

use super::console::StepRun;
use super::dump;
use crate::base::version::Version;

/// Judges a step by what it printed: what was seen, or what is wrong.
pub(crate) type Check = fn(&StepRun) -> Result<String, String>;

/// One entry of the list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// Its script's name and its name in the markers.
    pub(crate) name: &'static str,
    /// Its name in the table.
    pub(crate) title: &'static str,
    /// The script that dom0's shell runs.
    pub(crate) script: &'static str,
    /// Does a failure count?
    pub(crate) counts: bool,
    /// How it is judged.
    pub(crate) check: Check,
}

macro_rules! step {
    ($name:literal, $title:literal, $counts:expr, $check:expr) => {
        Step {
            name: $name,
            title: $title,
            script: include_str!(concat!("../../../assets/dom0/steps/", $name)),
            counts: $counts,
            check: $check,
        }
    };
}

/// In the order in which they run.
pub(crate) const ALL: &[Step] = &[
    step!("toolstack", "toolstack up", true, toolstack),
    step!("xl-list", "xl list", true, xl_list),
    step!("guest-create", "guest created", true, guest_create),
    step!("guest-console", "guest console ticks", true, guest_console),
    step!("debug-keys", "p2m dump (debug key q)", true, debug_keys),
    step!(
        "p2m-dump",
        "stage 2 dumped (debug key D)",
        true,
        dump::judge
    ),
    step!("xen-access-write", "xen-access write", true, xen_access),
    step!("xen-access-exec", "xen-access exec", true, xen_access),
    step!(
        "guest-destroy",
        "guest destroyed, memory back",
        true,
        guest_destroy
    ),
    step!(
        "test-paging-mempool",
        "test-paging-mempool",
        false,
        exit_code
    ),
    step!("test-resource", "test-resource", false, exit_code),
];

/// What a Xen without mem_access can do: Arm's default configuration.
pub(crate) fn without_mem_access() -> Vec<Step> {
    let mut steps = ALL.to_vec();
    steps.retain(|step| !step.name.starts_with("xen-access") && !step.is_dump());
    steps
}

/// The release since which the steps that do not count fail on Arm, with the C as well.
const FAIL_SINCE: Version = Version {
    major: 4,
    minor: 18,
};

impl Step {
    /// The same on a Xen of this release: before what fails fails, it counts.
    pub(crate) fn on(self, release: Version) -> Self {
        Self {
            counts: self.counts || release < FAIL_SINCE,
            ..self
        }
    }

    /// Is it for a Xen with the debug key that prints stage 2?
    pub(crate) fn is_dump(&self) -> bool {
        self.name == "p2m-dump"
    }
}

/// The ticks a guest has to show.
const TICKS: usize = 3;

/// The script went through; the last thing it said is what went wrong otherwise.
fn exit_code(run: &StepRun) -> Result<String, String> {
    let last = || {
        let line = run.lines.iter().rfind(|line| !line.trim().is_empty());
        line.map_or("nothing", |line| line.trim()).to_owned()
    };
    match run.rc {
        Some(0) => Ok(last()),
        Some(rc) => Err(format!("exit code {rc}: {}", last())),
        None => Err(format!("did not end; last said: {}", last())),
    }
}

fn toolstack(run: &StepRun) -> Result<String, String> {
    exit_code(run)?;
    Ok("xenstored, xenconsoled".to_owned())
}

fn xl_list(run: &StepRun) -> Result<String, String> {
    exit_code(run)?;
    let line = run
        .lines
        .iter()
        .find(|line| line.starts_with("Domain-0"))
        .ok_or("no Domain-0 in the list")?;
    Ok(squeeze(line))
}

fn guest_create(run: &StepRun) -> Result<String, String> {
    exit_code(run)?;
    let domid = run.number("domid")?;
    let listed = run.lines.iter().find(|line| line.starts_with("guest "));
    let line = listed.ok_or("xl list does not show the guest")?;
    Ok(format!("domain {domid}: {}", squeeze(line)))
}

fn guest_console(run: &StepRun) -> Result<String, String> {
    exit_code(run)?;
    let ticks: Vec<u64> = run
        .lines
        .iter()
        .filter_map(|line| line.trim().strip_prefix("tick ")?.parse().ok())
        .collect();
    let rising = ticks.iter().zip(ticks.iter().skip(1)).all(|(a, b)| a < b);
    if ticks.len() < TICKS || !rising {
        return Err(format!("not {TICKS} rising ticks: {ticks:?}"));
    }
    Ok(format!("ticks {ticks:?}"))
}

fn debug_keys(run: &StepRun) -> Result<String, String> {
    exit_code(run)?;
    let dumps: Vec<&str> = run
        .lines
        .iter()
        .filter_map(|line| {
            line.split_once("p2m mappings for domain ")
                .map(|parts| parts.1)
        })
        .collect();
    // The console shows the answer twice: as Xen prints it, and in what `xl dmesg` returns.
    let of = |domain: &str| {
        dumps
            .iter()
            .any(|dump| dump.split(' ').next() == Some(domain))
    };
    if !of("0") || dumps.iter().all(|dump| dump.starts_with("0 ")) {
        return Err(format!(
            "no mappings shown of dom0 and the guest: {dumps:?}"
        ));
    }
    let counts: Vec<String> = run
        .lines
        .iter()
        .rev()
        .filter_map(|line| line.split_once("K mappings: ").map(|parts| parts.1))
        .map(|count| count.trim().to_owned())
        .take(2)
        .collect();
    Ok(format!(
        "dom0 and the guest; 4K mappings {}",
        counts.join(", ")
    ))
}

fn xen_access(run: &StepRun) -> Result<String, String> {
    exit_code(run)?;
    let (events, rc) = (run.number("events")?, run.number("xen_access_rc")?);
    // Interrupted it lifts its restrictions and is content.
    if rc != 0 {
        return Err(format!("xen-access ended with {rc} after {events} events"));
    }
    if events == 0
        || !run
            .lines
            .iter()
            .any(|line| line.starts_with("PAGE ACCESS:"))
    {
        let said = run.lines.iter().rfind(|line| !line.trim().is_empty());
        return Err(format!("no events; xen-access said: {said:?}"));
    }
    let (watched, after) = (run.number("ticks_watched")?, run.number("ticks_after")?);
    if after <= watched {
        return Err(format!(
            "{events} events, but the guest stopped ticking at {watched}"
        ));
    }
    Ok(format!(
        "{events} events, the guest ticks on ({watched} to {after})"
    ))
}

fn guest_destroy(run: &StepRun) -> Result<String, String> {
    exit_code(run)?;
    if run.lines.iter().any(|line| line.starts_with("guest ")) {
        return Err("xl list still shows the guest".to_owned());
    }
    pages_back(run, FIRST_GUEST)
}

/// What the first guest of a boot makes that stays: dom0's event channels, grant frames, its own tables.
/// (`cargo xtask test --e2e` counts after a first guest, to the page.)
const FIRST_GUEST: u64 = 64;

/// dom0's own tables are of the machine's memory, not of a pool: where it maps a guest's page at an
/// address at which it never did, a page goes into them for good.
pub(crate) const DOM0_TABLES: u64 = 2;

/// Free pages before and after must be the same, but for dom0's own tables; told for the table. Too many are as wrong
/// as too few: somebody still has a page that was freed.
pub(crate) fn memory_back(run: &StepRun) -> Result<String, String> {
    pages_back(run, DOM0_TABLES)
}

fn pages_back(run: &StepRun, stay: u64) -> Result<String, String> {
    let (before, after) = (run.number("pages_before")?, run.number("pages_after")?);
    let lost = before.saturating_sub(after);
    match before.abs_diff(after) {
        0 => Ok(format!("{before} pages free before, {after} after")),
        // Never as many more as the first guest may leave fewer.
        more if lost == 0 && more <= DOM0_TABLES => Ok(format!(
            "{before} pages free before, {after} after ({more} of dom0's own)"
        )),
        _ if (1..=stay).contains(&lost) => Ok(format!(
            "{before} pages free before, {after} after ({lost} for dom0's own)"
        )),
        _ => Err(format!("{before} pages were free before, {after} after it")),
    }
}

fn squeeze(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[path = "steps_tests.rs"]
mod tests;
