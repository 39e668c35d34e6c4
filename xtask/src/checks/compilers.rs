// SPDX-License-Identifier: GPL-2.0-only
//! What must hold with every compiler that the README promises, tried with the oldest and the newest that
//! this Debian offers; and with the configurations of Xen that change most of what is compiled.

use anyhow::Result;

use crate::base::cli::{BuildArgs, Extra, P2m};
use crate::base::command;
use crate::base::lock;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::table::{Row, Status};
use crate::checks::gates;
use crate::host::debian_rust;
use crate::host::rust_toolchain::Toolchain;
use crate::xen::build::{self, BuiltXen};

/// Builds and export checks beside those that are booted: what is special, debug build, and how.
const CONFIGURATIONS: [(&str, bool, Extra); 3] = [
    ("DEBUG, UBSAN", true, Extra::Ubsan),
    (
        "LIVEPATCH, LLC_COLORING",
        false,
        Extra::LivepatchAndColoring,
    ),
    ("NR_CPUS=2, ALTP2M", false, Extra::TwoCpus),
];

/// The workspace with the oldest compiler, and the gates with both ends; `xen` has been through the
/// gates with the compiler that built it.
pub(crate) fn run(paths: &Paths, progress: Progress, xen: Option<&BuiltXen>) -> Vec<Row> {
    let found = match debian_rust::extremes(paths, progress) {
        Ok(found) => found,
        Err(error) => return vec![Row::of("Debian's Rust", Err(format!("{error:#}")))],
    };
    let names: Vec<&str> = found.iter().map(|rust| rust.version.as_str()).collect();
    let mut rows = match names.as_slice() {
        [] => vec![Row::of(
            "Debian's Rust",
            Err("this Debian offers none that is new enough".to_owned()),
        )],
        [only] => vec![Row::info("Debian's Rust", format!("there is only {only}"))],
        all => vec![Row::info("Debian's Rust", all.join(", "))],
    };
    if let Some(oldest) = found.first() {
        rows.push(Row::of(
            "workspace, oldest Rust",
            check(paths, progress, oldest).map_err(|error| format!("{error:#}")),
        ));
    }
    if let Some(xen) = xen {
        rows.extend(gates_with(paths, progress, xen, &found));
    }
    rows
}

/// `rustc 1.85.0` without the commit.
fn short(version: &str) -> &str {
    version.split(" (").next().unwrap_or(version)
}

/// Everything in the workspace compiles: host tools and tests too.
fn check(paths: &Paths, progress: Progress, rust: &Toolchain) -> Result<String> {
    let args = ["check", "--locked", "--workspace", "--all-targets"];
    let shown = format!("cargo {}, {}", args.join(" "), short(&rust.version));
    let task = progress.start(format!("Running {shown}"));
    let mut cargo = command::bound(&rust.cargo);
    cargo
        .args(args)
        .current_dir(paths.root())
        .env("RUSTC", &rust.rustc)
        .env("CARGO_TARGET_DIR", paths.target().join("oldest-rust"))
        .envs(rust.env.iter().cloned());
    command::logged(&mut cargo, &paths.log("oldest-rust"))?;
    task.done();
    Ok(shown)
}

/// A row for each compiler; the one that built the image has been through the gates.
fn gates_with(paths: &Paths, progress: Progress, xen: &BuiltXen, all: &[Toolchain]) -> Vec<Row> {
    let built = xen.rustc().ok();
    all.iter()
        .map(|rust| {
            let name = format!("gates, {}", short(&rust.version));
            if built.as_ref() == Some(&rust.version) {
                return Row::info(&name, "those above".to_owned());
            }
            let gates = gates(paths, progress, xen, rust);
            Row::of(
                &name,
                gates.unwrap_or_else(|error| Err(format!("{error:#}"))),
            )
        })
        .collect()
}

/// All gates with another compiler's archive in the image.
fn gates(
    paths: &Paths,
    progress: Progress,
    xen: &BuiltXen,
    rust: &Toolchain,
) -> Result<Result<String, String>> {
    lock::alone(paths, progress, || {
        build::rebuild(paths, progress, xen, rust)
    })?;
    let built = xen.rustc()?;
    if built != rust.version {
        return Ok(Err(format!(
            "the archive was built by {built}, not {}",
            rust.version
        )));
    }
    let rows = gates::run(paths, progress, xen)?;
    let failed: Vec<String> = rows
        .iter()
        .filter(|row| row.status == Status::Fail)
        .map(|row| format!("{}: {}", row.name, row.detail))
        .collect();
    let passed = rows.iter().filter(|row| row.status == Status::Pass).count();
    let size = rows.iter().find(|row| row.name == gates::TEXT_SIZE);
    let size = size.map_or("no size", |row| row.detail.as_str());
    Ok(if failed.is_empty() {
        Ok(format!("{passed} gates; {size}"))
    } else {
        Err(failed.join("; "))
    })
}

/// The configurations that are built and not booted.
pub(crate) fn configurations(paths: &Paths, progress: Progress) -> Vec<Row> {
    CONFIGURATIONS
        .iter()
        .map(|&(name, debug, extra)| {
            let args = BuildArgs {
                debug,
                extra: Some(extra),
                ..BuildArgs::of(P2m::Rust)
            };
            let exports = lock::alone(paths, progress, || build::build(paths, progress, &args))
                .and_then(|xen| gates::exports_alone(paths, progress, &xen));
            let exports = exports.unwrap_or_else(|error| Err(format!("{error:#}")));
            Row::of(
                name,
                exports.map(|exports| format!("builds, exports {exports}")),
            )
        })
        .collect()
}
