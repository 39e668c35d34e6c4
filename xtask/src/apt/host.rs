// SPDX-License-Identifier: GPL-2.0-only
//! Installing what is missing on this machine, or saying exactly how to.

use std::fs;

use anyhow::{bail, Result};

use crate::command;
use crate::paths::Paths;
use crate::progress::Progress;

/// How this user may install packages.
enum Right {
    Root,
    Sudo,
    None,
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
    let task = progress.start(format!("Installing {}", packages.join(" ")));
    let log = paths.log("apt-install");
    let attempt = || {
        let mut args = vec!["install", "--yes", "--no-install-recommends"];
        args.extend(packages.iter().map(String::as_str));
        command::logged(apt_get(&right).args(args), &log)
    };
    if let Err(error) = attempt() {
        let text = fs::read_to_string(&log).unwrap_or_default();
        let stale = ["Unable to locate", "no installation candidate", "404"];
        if !stale.iter().any(|word| text.contains(word)) {
            return Err(error);
        }
        command::logged(apt_get(&right).arg("update"), &paths.log("apt-update"))?;
        attempt()?;
    }
    task.done();
    Ok(())
}

/// The command that installs these packages; it reads the lists first when one is not in them.
pub(crate) fn line(packages: &[String]) -> String {
    let known = packages.iter().all(|package| candidate(package).is_some());
    let update = if known { "" } else { "apt-get update && " };
    format!(
        "{update}apt-get install --no-install-recommends {}",
        packages.join(" ")
    )
}

/// The version apt would install, if it knows the package.
pub(crate) fn candidate(package: &str) -> Option<String> {
    let shown = command::output(command::clean("apt-cache").args(["policy", package])).ok()?;
    shown
        .lines()
        .find_map(|line| line.trim().strip_prefix("Candidate: "))
        .filter(|version| *version != "(none)")
        .map(str::to_owned)
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
