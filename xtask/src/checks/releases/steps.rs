// SPDX-License-Identifier: GPL-2.0-only
//! What a release goes through.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::run::{alone, booted, diff, told};
use super::{identity, views};
use crate::base::cli::{BuildArgs, DiffArgs, Extra, P2m, Patches, SourceArgs};
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::table::{self, Row, Status};
use crate::base::version::Version;
use crate::checks::{c_to_rust, gates};
use crate::xen::build::BuiltXen;
use crate::xen::patches::ALTP2M_SINCE;

/// The columns of the table.
pub(super) const NAMES: [&str; 9] = [
    BUILDS, IDENTITY, GATES, ROWS, SELFTEST, STRESS, BOOT, VIEWS_OFF, VIEWS,
];
const BUILDS: &str = "builds";
const IDENTITY: &str = "C as before";
const GATES: &str = "gates";
const ROWS: &str = "c-to-rust";
const SELFTEST: &str = "self-test";
const STRESS: &str = "stress";
const BOOT: &str = "boot";
const VIEWS_OFF: &str = "views off";
const VIEWS: &str = "views";

/// Those that a release goes through, in order; and of these the named ones, with what they need.
pub(super) fn of(release: Version, named: &[String]) -> Vec<&'static str> {
    let named = |step: &str| named.is_empty() || named.iter().any(|name| name == step);
    let needs_builds = ON_BUILDS.into_iter().any(named);
    let wanted = |step: &&str| named(step) || (*step == BUILDS && needs_builds);
    let has = |step: &&str| release >= ALTP2M_SINCE || ![VIEWS_OFF, VIEWS].contains(step);
    NAMES.into_iter().filter(has).filter(wanted).collect()
}

/// What is done with the builds of the first step.
const ON_BUILDS: [&str; 5] = [GATES, ROWS, SELFTEST, STRESS, BOOT];

/// Operations of the self-test, and of all CPUs at once.
const OPS: u64 = 20_000;

/// What came of one step.
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) result: Result<String, String>,
    pub(super) took: Duration,
}

/// Does it, and looks at the clock.
fn step(name: &'static str, what: impl FnOnce() -> Result<Result<String, String>>) -> Step {
    let begin = Instant::now();
    let result = what().unwrap_or_else(|error| Err(format!("{error:#}")));
    Step {
        name,
        result,
        took: begin.elapsed(),
    }
}

/// Memory access on, or off as is Arm's default.
const CONFIGURATIONS: [Option<Extra>; 2] = [None, Some(Extra::NoMemAccess)];

/// The Rust p2m of both configurations.
struct Built {
    with: BuiltXen,
    without: Option<BuiltXen>,
}

/// The steps that are wanted, in the order of the table.
pub(super) fn long(
    paths: &Paths,
    progress: Progress,
    source: &SourceArgs,
    wanted: &[&str],
) -> Vec<Step> {
    let is_wanted = |name: &str| wanted.contains(&name);
    let mut built = None;
    let mut steps = Vec::new();
    if is_wanted(BUILDS) {
        steps.push(step(BUILDS, || {
            let [with, without] = CONFIGURATIONS;
            let all = Built {
                with: build(paths, progress, source, P2m::Rust, with)?,
                without: Some(build(paths, progress, source, P2m::Rust, without)?),
            };
            let compilers = all.with.compilers()?;
            built = Some(all);
            Ok(Ok(format!("memory access on and off, {compilers}")))
        }));
    }
    if is_wanted(IDENTITY) {
        steps.push(step(IDENTITY, || same_c(paths, progress, source)));
    }
    let on_builds = ON_BUILDS.into_iter().filter(|name| is_wanted(name));
    steps.extend(judged(paths, progress, source, built.as_ref(), on_builds));
    if is_wanted(VIEWS_OFF) {
        steps.push(step(VIEWS_OFF, || views::off(paths, progress, source)));
    }
    if is_wanted(VIEWS) {
        steps.push(step(VIEWS, || views::on(paths, progress, source)));
    }
    steps
}

/// The steps that `cargo xtask test` has for the release that is not the default one, as rows with their time.
pub(crate) fn short(
    paths: &Paths,
    progress: Progress,
    source: &SourceArgs,
) -> Vec<(Row, Duration)> {
    let mut built = None;
    let mut all = vec![step(BUILDS, || {
        let with = build(paths, progress, source, P2m::Rust, None)?;
        let text = with.binary().display().to_string();
        built = Some(Built {
            with,
            without: None,
        });
        Ok(Ok(text))
    })];
    all.extend(judged(paths, progress, source, built.as_ref(), ON_BUILDS));
    let release = source.release.map_or_else(String::new, |r| r.to_string());
    all.into_iter()
        .map(|step| {
            (
                Row::of(&format!("Xen {release}: {}", step.name), step.result),
                step.took,
            )
        })
        .collect()
}

/// What is done with what was built: these steps.
fn judged(
    paths: &Paths,
    progress: Progress,
    source: &SourceArgs,
    built: Option<&Built>,
    names: impl IntoIterator<Item = &'static str>,
) -> Vec<Step> {
    let judge = |name: &str| {
        let Some(built) = built else {
            return Ok(Err("there is no build".to_owned()));
        };
        match name {
            GATES => through_gates(paths, progress, built),
            ROWS => {
                let row = c_to_rust::complete(paths, &built.with);
                Ok(told(row.status == Status::Pass, row.detail))
            }
            SELFTEST => {
                let what = format!("{OPS} operations as this release's own C");
                diff(paths, progress, source, DiffArgs::short(false, OPS), what)
            }
            STRESS => {
                let what = format!("{OPS} operations of all CPUs on one domain");
                diff(paths, progress, source, DiffArgs::stress(OPS), what)
            }
            _ => booted(paths, progress, source, &built.with),
        }
    };
    let names = names.into_iter();
    names.map(|name| step(name, || judge(name))).collect()
}

fn build(
    paths: &Paths,
    progress: Progress,
    source: &SourceArgs,
    p2m: P2m,
    extra: Option<Extra>,
) -> Result<BuiltXen> {
    let args = BuildArgs {
        source: source.clone(),
        extra,
        ..BuildArgs::of(p2m)
    };
    alone(paths, progress, &args)
}

/// With the option off, the C's objects are those of a tree without the patches.
fn same_c(
    paths: &Paths,
    progress: Progress,
    source: &SourceArgs,
) -> Result<Result<String, String>> {
    let mut told = String::new();
    for extra in CONFIGURATIONS {
        let patched = build(paths, progress, source, P2m::C, extra)?;
        let args = BuildArgs {
            source: source.clone(),
            extra,
            patches: Patches::None,
            ..BuildArgs::of(P2m::C)
        };
        let pristine = alone(paths, progress, &args)?;
        match identity::compare(paths, &pristine.tree, &patched.tree)? {
            Ok(text) => told = text,
            Err(why) => return Ok(Err(format!("{}: {why}", patched.name))),
        }
        // Nothing else needs it.
        std::fs::remove_dir_all(&pristine.tree)?;
    }
    Ok(Ok(told))
}

/// All gates with memory access, and the exports without.
fn through_gates(
    paths: &Paths,
    progress: Progress,
    built: &Built,
) -> Result<Result<String, String>> {
    let rows = gates::run(paths, progress, &built.with)?;
    if let Err(why) = table::none_failed(&rows) {
        table::print(&format!("Gates, {}", built.with.name), &rows);
        return Ok(Err(why));
    }
    if let Some(without) = &built.without {
        if let Err(why) = gates::exports_alone(paths, progress, without)? {
            return Ok(Err(format!("without memory access: {why}")));
        }
    }
    Ok(Ok(format!("{} gates", rows.len())))
}

#[cfg(test)]
mod tests {
    use super::of;
    use crate::base::version::Version;

    #[test]
    fn which_steps() {
        let steps = |minor, named: &[&str]| {
            let named: Vec<String> = named.iter().map(|&name| name.to_owned()).collect();
            of(Version::new(4, minor), &named).join(", ")
        };
        let old = "builds, C as before, gates, c-to-rust, self-test, stress, boot";
        assert_eq!(steps(18, &[]), old);
        assert_eq!(steps(19, &[]), format!("{old}, views off, views"));
        // Without what was built there is nothing to boot.
        assert_eq!(steps(18, &["boot"]), "builds, boot");
        assert_eq!(steps(23, &["views", "C as before"]), "C as before, views");
        assert_eq!(steps(18, &["views"]), "");
    }
}
