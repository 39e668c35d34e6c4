// SPDX-License-Identifier: GPL-2.0-only
//! Running other programs: with their output kept, and with errors that say what failed and where.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{bail, Context, Result};

/// How many of a log's last lines an error shows.
const TAIL: usize = 15;

/// What leaves an option out of the host's code (`xen-sys/build/main.rs`).
pub(crate) const HOST_WITHOUT: &str = "XEN_P2M_HOST_WITHOUT";

/// What the outer `cargo xtask` sets for its own use, and which would lead another cargo, rustc or
/// make astray (a rustup shim's choice of toolchain, its library path, a job server); and what somebody has set for
/// host tests by hand.
const OUTER: &[&str] = &[
    "CARGO",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_MAKEFLAGS",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "LD_LIBRARY_PATH",
    "MAKEFLAGS",
    "MAKELEVEL",
    "MFLAGS",
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTDOC",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
    "RUST_RECURSION_COUNT",
    HOST_WITHOUT,
];

/// A command without the outer cargo's environment, without input, speaking plain English.
pub(crate) fn clean(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for name in OUTER {
        command.env_remove(name);
    }
    command.env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// What [`bound`] puts before a command.
const BOUND: [&str; 3] = ["setpriv", "--pdeathsig", "TERM"];

/// A [`clean`] command that does not outlive this process, whatever ends it: nothing may go on
/// writing below `target/` when the lock on it is gone.
pub(crate) fn bound(program: impl AsRef<OsStr>) -> Command {
    let [setpriv, args @ ..] = BOUND;
    let mut command = clean(setpriv);
    command.args(args).arg(program);
    command
}

/// A command as one would type it, for messages.
pub(crate) fn shown(command: &Command) -> String {
    let words: Vec<&OsStr> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .collect();
    let words = words.strip_prefix(&BOUND.map(OsStr::new)).unwrap_or(&words);
    words
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Runs a command with its output going to `log`; an error carries the log's last lines.
pub(crate) fn logged(command: &mut Command, log: &Path) -> Result<()> {
    let out = open_log(log)?;
    let err = out
        .try_clone()
        .with_context(|| format!("cannot write {}", log.display()))?;
    let status = command
        .stdout(out)
        .stderr(err)
        .status()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !status.success() {
        bail!(
            "`{}` failed ({status}); its output is in {} and ends with\n{}",
            shown(command),
            log.display(),
            tail(log, TAIL)
        );
    }
    Ok(())
}

/// Runs a command and returns what it printed; an error carries what it complained about.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let out = command
        .output()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !out.status.success() {
        bail!(
            "`{}` failed ({}): {}",
            shown(command),
            out.status,
            String::from_utf8_lossy(&out.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Where a program is, if it is in PATH (or where its absolute path says).
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|path| path.is_file());
    }
    // Administrators' programs are not in everybody's PATH.
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

/// The last lines of a file, indented; empty when it cannot be read.
pub(crate) fn tail(log: &Path, lines: usize) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let skip = all.len().saturating_sub(lines);
    all.iter()
        .skip(skip)
        .map(|line| format!("    {}", line.trim_end()))
        .collect::<Vec<_>>()
        .join("\n")
}

fn open_log(log: &Path) -> Result<File> {
    if let Some(dir) = log.parent() {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    File::create(log).with_context(|| format!("cannot write {}", log.display()))
}

#[cfg(test)]
mod tests {
    use super::{bound, output, shown, tail};

    #[test]
    fn how_a_command_is_shown() {
        assert_eq!(shown(bound("make").arg("-j2")), "make -j2");
        assert_eq!(shown(super::clean("make").arg("-j2")), "make -j2");
    }

    #[test]
    fn bound_commands_run_and_fail_like_others() {
        assert_eq!(output(bound("echo").arg("x")).ok().as_deref(), Some("x\n"));
        let error = output(&mut bound("false")).map_err(|error| error.to_string());
        assert!(error.is_err_and(|text| text.starts_with("`false` failed")));
    }

    #[test]
    fn tail_is_the_end_without_empty_lines() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let log = dir.path().join("log");
        std::fs::write(&log, "one\n\ntwo\r\nthree\n\n")?;
        assert_eq!(tail(&log, 2), "    two\n    three");
        assert_eq!(tail(&dir.path().join("none"), 2), "");
        Ok(())
    }
}
