// SPDX-License-Identifier: GPL-2.0-only
//! Installing what is missing on this machine, or saying exactly how to.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::{bail, Result};

use super::archive::Archive;
use crate::base::command;
use crate::base::paths::Paths;
use crate::base::progress::Progress;

/// How this user may install packages.
enum Right {
    Root,
    Sudo,
    None,
}

/// Which lists are asked what there is; set once the lists are up to date.
static LISTS: OnceLock<Lists> = OnceLock::new();

#[derive(Clone, Debug)]
enum Lists {
    /// The machine's own.
    Machine,
    /// Below `target/`, read by this apt configuration.
    Private(PathBuf),
}

/// Brings the package lists up to date, once a run, before anything is chosen by them: the
/// machine's own where this user may do that, else private ones. Says which.
pub(crate) fn refresh(paths: &Paths, progress: Progress) {
    LISTS.get_or_init(|| match right() {
        Right::None => {
            let task = progress.start(
                "Fetching the package lists of this Debian into target/cache/apt (this user may \
                 not run `apt-get update`)",
            );
            match Archive::open_own(paths).and_then(|own| own.update().map(|()| own)) {
                Ok(own) => {
                    task.done();
                    Lists::Private(own.config().to_path_buf())
                }
                Err(error) => {
                    progress.say(&format!("{error:#}: going on with the machine's lists"));
                    Lists::Machine
                }
            }
        }
        right => {
            let task = progress.start("Bringing the package lists up to date (apt-get update)");
            let log = paths.log("apt-update");
            let updated = command::logged(apt_get(&right).arg("update"), &log);
            let text = fs::read_to_string(&log).unwrap_or_default();
            match updated {
                Err(error) => progress.say(&format!("{error:#}: going on with the old lists")),
                // apt-get calls that a success.
                Ok(()) if text.contains("Failed to fetch") => progress.say(&format!(
                    "Not all package lists could be fetched: {}",
                    log.display()
                )),
                Ok(()) => task.done(),
            }
            Lists::Machine
        }
    });
}

/// Installs packages when this user may; otherwise the error is the command to run.
pub(crate) fn install(paths: &Paths, progress: Progress, packages: &[String]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let right = right();
    if matches!(right, Right::None) {
        bail!(
            "some packages are missing: as root, run `{}`",
            line(packages)
        );
    }
    refresh(paths, progress);
    let task = progress.start(format!("Installing {}", packages.join(" ")));
    let mut args = vec!["install", "--yes", "--no-install-recommends"];
    args.extend(packages.iter().map(String::as_str));
    command::logged(apt_get(&right).args(args), &paths.log("apt-install"))?;
    task.done();
    Ok(())
}

/// The command that installs these packages.
pub(crate) fn line(packages: &[String]) -> String {
    format!(
        "apt-get update && apt-get install --no-install-recommends {}",
        packages.join(" ")
    )
}

/// The version apt would install, if it knows the package.
pub(crate) fn candidate(package: &str) -> Option<String> {
    let mut apt = command::clean("apt-cache");
    if let Some(Lists::Private(config)) = LISTS.get() {
        apt.env("APT_CONFIG", config);
    }
    let shown = command::output(apt.args(["policy", package])).ok()?;
    shown
        .lines()
        .find_map(|line| line.trim().strip_prefix("Candidate: "))
        .filter(|version| *version != "(none)")
        .map(str::to_owned)
}

/// Is the package installed?
pub(crate) fn is_installed(package: &str) -> bool {
    let status = ["--show", "--showformat=${db:Status-Status}", package];
    command::output(command::clean("dpkg-query").args(status))
        .is_ok_and(|status| status == "installed")
}

fn apt_get(right: &Right) -> std::process::Command {
    let mut apt = match right {
        Right::Sudo => {
            let mut sudo = command::clean("sudo");
            sudo.args(["-n", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
            sudo
        }
        Right::Root | Right::None => command::clean("apt-get"),
    };
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    apt
}

fn right() -> Right {
    let root = command::output(command::clean("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if root {
        return Right::Root;
    }
    let sudo = command::which("sudo").is_some()
        && command::output(command::clean("sudo").args(["-n", "true"])).is_ok();
    if sudo {
        Right::Sudo
    } else {
        Right::None
    }
}
