// SPDX-License-Identifier: GPL-2.0-only
//! `cargo xtask releases`: every release of Xen that is tested, through the same steps.
//!
//! With a clone of xen.git all of them, each at the tip of its branch; without, those that Debian has.

mod identity;
mod outcome;
mod page;
mod run;
mod steps;
mod views;

use anyhow::{bail, Result};

use crate::base::cli::{P2m, ReleasesArgs, SourceArgs};
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::table::{self, Row};
use crate::base::version::Version;
use crate::host::tools::{self, Use};
use crate::xen::git::Branch;
use crate::xen::patches::Series;
use crate::xen::release;
use crate::xen::source::Chosen;

use outcome::Outcome;
pub(crate) use steps::short;
use steps::NAMES;

/// The part of Xen that the patches are for.
const PART: &str = "/xen/arch/arm/";

/// Goes through them all and prints the table; true when all passed.
pub(crate) fn run(paths: &Paths, progress: Progress, args: &ReleasesArgs) -> Result<bool> {
    let chosen = chosen(args)?;
    let mut uses = Use::build(P2m::Rust);
    uses.extend([Use::Boot, Use::Tree]);
    tools::require(paths, progress, &uses)?;
    let when = page::when(paths)?;
    let mut rows = Vec::new();
    if args.xen_git.is_some() && args.step.is_empty() {
        rows.push(applied(paths, progress, args));
    }
    let mut outcomes = Vec::new();
    for release in chosen {
        let source = SourceArgs {
            xen_tree: None,
            release: Some(release),
            xen_git: args.xen_git.clone(),
        };
        let wanted = steps::of(release, &args.step);
        if wanted.is_empty() {
            continue;
        }
        outcomes.push(Outcome {
            release,
            source: described(paths, progress, &source),
            steps: steps::long(paths, progress, &source, &wanted),
        });
    }
    print(&outcomes);
    for outcome in &outcomes {
        let failed = outcome.steps.iter().filter(|step| step.result.is_err());
        rows.extend(failed.map(|step| {
            let name = format!("{} {}", outcome.release, step.name);
            Row::of(&name, step.result.clone())
        }));
        if outcome.steps.iter().all(|step| step.result.is_ok()) {
            let minutes = outcome.steps.iter().map(|step| step.took).sum();
            let text = format!("{}; {} min", outcome.source, table::minutes(minutes));
            rows.push(Row::of(&outcome.release.to_string(), Ok(text)));
        }
    }
    if args.write {
        page::write(paths, &when, &outcomes)?;
    }
    Ok(table::conclude("Releases", &rows))
}

/// What the source is called.
fn described(paths: &Paths, progress: Progress, source: &SourceArgs) -> String {
    let source = Chosen::by(source).and_then(|chosen| chosen.source(paths, progress));
    source.map_or_else(|_| "no source".to_owned(), |source| source.describe())
}

/// The releases to go through, oldest first.
fn chosen(args: &ReleasesArgs) -> Result<Vec<Version>> {
    for step in &args.step {
        if !NAMES.contains(&step.as_str()) {
            bail!("there is no step {step:?}: {}", NAMES.join(", "));
        }
    }
    for &only in &args.only {
        release::require_tested(only)?;
        if args.xen_git.is_none() {
            release::debian_suite(only)?;
        }
    }
    let mut all: Vec<Version> = release::RELEASES.to_vec();
    all.retain(|release| args.only.is_empty() || args.only.contains(release));
    if args.xen_git.is_none() {
        all.retain(|&release| release::debian_suite(release).is_ok());
    }
    if all.is_empty() {
        bail!("there is no release to go through");
    }
    Ok(all)
}

/// `git am` of the series on every tag and tip.
fn applied(paths: &Paths, progress: Progress, args: &ReleasesArgs) -> Row {
    let result = (|| {
        let Some(clone) = &args.xen_git else {
            bail!("there is no clone");
        };
        let clone = clone.canonicalize()?;
        let all = Branch::all(&clone)?;
        let patches = |release| Ok(Series::of(paths, release)?.files().to_vec());
        let task = progress.start(format!("git am on {} tags and branches", all.len()));
        let refused = Branch::take(paths, &clone, &all, patches, PART)?;
        task.done();
        Ok(match (all.len(), refused.as_slice()) {
            (0, _) => Err("the clone has no tag and no branch of these releases".to_owned()),
            (n, []) => Ok(format!("all {n} tags and branches take the series")),
            (n, refused) => Err(format!("of {n} these do not: {}", refused.join(", "))),
        })
    })();
    Row::of(
        "git am on all",
        result.unwrap_or_else(|error| Err(format!("{error:#}"))),
    )
}

/// Release by step, with the minutes of each.
fn print(outcomes: &[Outcome]) {
    let cells = outcomes.iter().map(|outcome| {
        let cell = |name: &str| {
            let step = outcome.steps.iter().find(|step| step.name == name);
            step.map_or_else(String::new, |step| {
                let word = if step.result.is_ok() { "pass" } else { "FAIL" };
                format!("{word} {}", table::minutes(step.took))
            })
        };
        let mut row = [const { String::new() }; 1 + NAMES.len()];
        if let Some((first, rest)) = row.split_first_mut() {
            *first = outcome.release.to_string();
            for (at, name) in rest.iter_mut().zip(NAMES) {
                *at = cell(name);
            }
        }
        row
    });
    let mut header = ["Xen, minutes"; 1 + NAMES.len()];
    if let Some((_, rest)) = header.split_first_mut() {
        rest.copy_from_slice(&NAMES);
    }
    table::print_columns(header, cells);
}

#[cfg(test)]
mod tests {
    use super::chosen;
    use crate::base::cli::{Action, Cli, ReleasesArgs};
    use clap::Parser;

    fn args(args: &[&str]) -> Option<ReleasesArgs> {
        match Cli::try_parse_from([&["xtask", "releases"], args].concat()) {
            Ok(Cli {
                command: Action::Releases(args),
            }) => Some(args),
            _ => None,
        }
    }

    #[test]
    fn which_releases() -> anyhow::Result<()> {
        let names = |list: &[&str]| -> anyhow::Result<String> {
            let args = args(list).ok_or_else(|| anyhow::anyhow!("no such command line"))?;
            let all: Vec<String> = chosen(&args)?.iter().map(ToString::to_string).collect();
            Ok(all.join(" "))
        };
        assert_eq!(names(&[])?, "4.17 4.20");
        assert_eq!(names(&["--only", "4.20"])?, "4.20");
        let clone = "--xen-git=/clone";
        assert_eq!(names(&[clone])?, "4.17 4.18 4.19 4.20 4.21 4.22 4.23");
        assert_eq!(
            names(&[clone, "--only", "4.22", "--only", "4.18"])?,
            "4.18 4.22"
        );
        assert!(names(&["--only", "4.19"]).is_err());
        assert!(names(&[clone, "--only", "4.16"]).is_err());
        assert_eq!(names(&["--step", "views"])?, "4.17 4.20");
        assert!(names(&["--step", "view"]).is_err());
        Ok(())
    }
}
