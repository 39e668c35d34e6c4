// SPDX-License-Identifier: GPL-2.0-only
//! The crates of others: their licences, where they come from, and which of them are there twice.
//!
//! `deny.toml` says what they may be. It is cargo-deny's file, and cargo-deny's checks are these; but to compile cargo-deny
//! takes ten minutes of a processor, and these checks take two seconds. What needs its database is left to it, where
//! somebody has installed it: advisories.

mod packages;
mod policy;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use semver::VersionReq;
use spdx::{Expression, Licensee, ParseMode};

use crate::base::command;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::table::Row;
use packages::{Package, Packages};
use policy::Skip;

/// The licences of what is linked into Xen, which is GPL-2.0-only: each goes together with it.
const LINKED: [&str; 2] = ["GPL-2.0-only", "MIT"];

/// The licence of what is here.
const OWN: [&str; 1] = ["GPL-2.0-only"];

/// The crate that Xen links, and its target.
const ARCHIVE: &str = "xen-p2m";
const ARCHIVE_TARGET: &str = crate::host::rust_toolchain::TARGET;

/// The workspaces: their folders below the root.
const WORKSPACES: [&str; 2] = ["", "fuzz"];

/// The rows of the checks.
pub(crate) fn run(paths: &Paths, progress: Progress) -> Vec<Row> {
    let task = progress.start("Looking at the crates of others");
    let mut rows = judged(paths)
        .unwrap_or_else(|error| vec![Row::of("dependencies", Err(format!("{error:#}")))]);
    rows.push(advisories(paths));
    task.done();
    rows
}

fn judged(paths: &Paths) -> Result<Vec<Row>> {
    let policy = policy::read(paths.root())?;
    let skips = policy.bans.skip.iter().map(Skip::parts);
    let skips: Vec<(&str, VersionReq)> = skips.collect::<Result<_>>()?;
    let mut all = BTreeMap::new();
    let mut twice = BTreeSet::new();
    for workspace in WORKSPACES {
        let mut own = BTreeMap::new();
        for target in &policy.graph.targets {
            own.extend(Packages::of(&paths.root().join(workspace), target)?.all());
        }
        // Each workspace has a lock file of its own.
        twice.extend(duplicates(&own.values().collect::<Vec<_>>(), &skips));
        all.extend(own);
    }
    let all: Vec<&Package> = all.values().collect();
    let linked = Packages::of(paths.root(), ARCHIVE_TARGET)?.linked_with(ARCHIVE);
    let linked: Vec<&Package> = linked.iter().collect();
    let is_own = |package: &&&Package| package.source.is_none();
    let own: Vec<&Package> = all.iter().filter(is_own).copied().collect();
    let others: Vec<&Package> = all.iter().filter(|p| !is_own(p)).copied().collect();
    let allowed = licences(&own, &OWN).and_then(|_| licences(&others, &policy.licenses.allow));
    Ok(vec![
        Row::of("licences", allowed),
        Row::of("licences in Xen", licences(&linked, &LINKED)),
        Row::of("sources", sources(&all)),
        Row::of("duplicates", one_version(&all, &twice, &skips)),
    ])
}

/// Each licence is one of these, or offers one of them.
fn licences(packages: &[&Package], allow: &[impl AsRef<str>]) -> Result<String, String> {
    let accepted: Vec<Licensee> = allow
        .iter()
        .map(|name| Licensee::parse(name.as_ref()))
        .collect::<Result<_, _>>()
        .map_err(|error| format!("deny.toml: {error}"))?;
    let is_accepted = |text: &str| {
        // The form with a slash is older than SPDX's language, and means OR.
        let parsed = Expression::parse_mode(text, ParseMode::LAX);
        parsed.is_ok_and(|e| e.evaluate(|req| accepted.iter().any(|one| one.satisfies(req))))
    };
    let bad: Vec<String> = packages
        .iter()
        .filter(|package| !package.license.as_deref().is_some_and(is_accepted))
        .map(|package| {
            let license = package.license.as_deref().unwrap_or("no licence");
            format!("{} ({license})", package.shown())
        })
        .collect();
    match (packages.len(), bad.as_slice()) {
        (0, _) => Err("cargo named no crate".to_owned()),
        (n, []) => Ok(format!("of {n} crates")),
        (_, bad) => Err(format!("not accepted: {}", bad.join(", "))),
    }
}

/// Each crate is the workspace's own or from a registry, which is the same for all.
fn sources(packages: &[&Package]) -> Result<String, String> {
    let mut from: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for package in packages {
        if let Some(source) = &package.source {
            from.entry(source).or_default().push(package.shown());
        }
    }
    let listed = |(source, packages): (&&str, &Vec<String>)| {
        format!("from {source}: {}", packages.join(", "))
    };
    let others: Vec<_> = from
        .iter()
        .filter(|(s, _)| !s.starts_with("registry+"))
        .collect();
    if !others.is_empty() {
        return Err(others
            .into_iter()
            .map(listed)
            .collect::<Vec<_>>()
            .join("; "));
    }
    if from.len() > 1 {
        // The fewest crates come from the one that should not be there.
        let fewest = from.iter().min_by_key(|(_, packages)| packages.len());
        return Err(format!(
            "{} registries, {}",
            from.len(),
            fewest.map_or(String::new(), listed)
        ));
    }
    let own = packages.iter().filter(|p| p.source.is_none()).count();
    Ok(format!("{own} crates are here, the others in one registry"))
}

/// Crates of which there is more than one version that no row of `skips` is for.
fn duplicates(packages: &[&Package], skips: &[(&str, VersionReq)]) -> BTreeSet<String> {
    let mut versions: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for package in packages {
        if !skips.iter().any(|skip| is_meant(package, skip)) {
            versions
                .entry(&package.name)
                .or_default()
                .push(package.version.to_string());
        }
    }
    versions
        .into_iter()
        .filter(|(_, versions)| versions.len() > 1)
        .map(|(name, versions)| format!("{name} {}", versions.join(" and ")))
        .collect()
}

fn is_meant(package: &Package, (name, versions): &(&str, VersionReq)) -> bool {
    package.name == *name && versions.matches(&package.version)
}

/// No crate is there twice, but for those that are skipped; and each row of `skips` is needed.
fn one_version(
    packages: &[&Package],
    twice: &BTreeSet<String>,
    skips: &[(&str, VersionReq)],
) -> Result<String, String> {
    let is_there = |skip: &&(&str, VersionReq)| packages.iter().any(|p| is_meant(p, skip));
    let gone = skips.iter().find(|skip| !is_there(skip));
    if !twice.is_empty() {
        let twice: Vec<&str> = twice.iter().map(String::as_str).collect();
        return Err(format!("in two versions: {}", twice.join(", ")));
    }
    match gone {
        Some((name, versions)) => Err(format!("deny.toml skips {name}@{versions}: there is none")),
        None => Ok(format!(
            "{} older versions, each with its reason",
            skips.len()
        )),
    }
}

/// What cargo-deny makes of it, where it is installed.
fn advisories(paths: &Paths) -> Row {
    let name = "advisories";
    if command::which("cargo-deny").is_none() {
        let how = "not looked up: there is no cargo-deny here (`cargo install cargo-deny`)";
        return Row::info(name, how.to_owned());
    }
    let mut deny = command::clean("cargo-deny");
    deny.args(["--workspace", "--locked", "check", "advisories"])
        .current_dir(paths.root());
    match command::output(&mut deny) {
        Ok(_) => Row::of(name, Ok("cargo-deny found none".to_owned())),
        Err(error) => not_found(&format!("{error:#}")),
    }
}

/// An advisory is a failure; a database that cannot be reached is none.
fn not_found(error: &str) -> Row {
    let name = "advisories";
    if error.contains("failed to fetch advisory database") {
        let how = "not looked up: cargo-deny cannot reach the advisory database from here";
        Row::info(name, how.to_owned())
    } else {
        Row::of(name, Err(error.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::packages::tests::package;
    use super::policy::Skip;
    use super::{duplicates, licences, not_found, one_version, policy, sources, LINKED};
    use crate::base::paths::Paths;
    use crate::base::table::Status;
    use semver::VersionReq;

    #[test]
    fn a_licence_is_accepted_if_it_offers_one_that_is() {
        let judge = |license| licences(&[&package("a", 0, license, None)], &LINKED);
        for good in ["MIT", "MIT OR Apache-2.0", "Apache-2.0/MIT", "GPL-2.0-only"] {
            assert!(judge(Some(good)).is_ok(), "{good}");
        }
        for bad in [
            "Apache-2.0",
            "MIT AND Apache-2.0",
            "GPL-3.0-only",
            "of my own",
        ] {
            assert!(judge(Some(bad)).is_err(), "{bad}");
        }
        assert!(judge(None).is_err());
        assert!(licences(&[], &LINKED).is_err());
    }

    #[test]
    fn one_registry_is_the_only_source() {
        let one = Some("registry+https://example.org/index");
        let judge = |first, second| {
            let (a, b) = (package("a", 0, None, first), package("b", 0, None, second));
            sources(&[&a, &b])
        };
        assert!(judge(None, None).is_ok());
        assert!(judge(one, None).is_ok());
        assert!(judge(one, one).is_ok());
        assert!(judge(one, Some("git+https://example.org/a#123")).is_err());
        assert!(judge(None, Some("git+https://example.org/a#123")).is_err());
        assert!(judge(one, Some("registry+https://example.com/index")).is_err());
    }

    #[test]
    fn a_second_version_must_be_explained_and_the_explanation_needed() -> anyhow::Result<()> {
        let (old, new) = (package("a", 1, None, None), package("a", 2, None, None));
        let skip = |versions| Ok::<_, semver::Error>([("a", VersionReq::parse(versions)?)]);
        let judge = |packages: &[_], skips: &[_]| {
            one_version(packages, &duplicates(packages, skips), skips)
        };
        assert!(judge(&[&old, &new], &[]).is_err());
        assert!(judge(&[&new], &[]).is_ok());
        assert!(judge(&[&old, &new], &skip("=1.1")?).is_ok());
        assert!(judge(&[&old, &new], &skip("=1.3")?).is_err());
        assert!(judge(&[&new], &skip("=1.1")?).is_err());
        Ok(())
    }

    #[test]
    fn the_policy_has_only_what_is_checked() -> anyhow::Result<()> {
        let policy = policy::read(Paths::find()?.root())?;
        for skip in &policy.bans.skip {
            Skip::parts(skip)?;
        }
        Ok(())
    }

    #[test]
    fn only_an_advisory_is_a_failure() {
        let away = not_found("[ERROR] failed to fetch advisory database https://example.org/db");
        assert_eq!(away.status, Status::Info);
        assert_eq!(not_found("error[vulnerability]: a").status, Status::Fail);
    }
}
