// SPDX-License-Identifier: GPL-2.0-only
//! Every check of the project, in the order of what is quick to fail.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::base::cli::{BootArgs, BuildArgs, DiffArgs, Extra, P2m, SourceArgs, TestArgs};
use crate::base::command;
use crate::base::files;
use crate::base::lock;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::table::{self, Row, Timed};
use crate::base::version::Version;
use crate::bench::native;
use crate::boot;
use crate::checks::board;
use crate::checks::c_to_rust;
use crate::checks::compilers;
use crate::checks::dependencies;
use crate::checks::diff;
use crate::checks::gates;
use crate::checks::in_tree;
use crate::checks::own_tree;
use crate::checks::releases;
use crate::e2e;
use crate::host::tools::{self, Use};
use crate::selftest;
use crate::xen::{self, build::BuiltXen};

/// Operations of the comparison on the host, in all: some five minutes on two processors.
const HOST_OPS: u64 = 10_000_000;

/// Operations of the short comparison inside Xen, and of all CPUs at once.
const XEN_OPS: u64 = 20_000;

/// What `target/` grows to, in MiB, and a little more: 10 GiB where Debian's own Rust is tried in two releases.
const ROOM: u64 = 11 * 1024;

/// The same of what needs no Xen.
const ROOM_OF_HOST: u64 = 5 * 1024;

/// Runs the checks and prints the table; true when all passed.
pub(crate) fn run(paths: &Paths, progress: Progress, args: &TestArgs) -> bool {
    let mut rows = Timed::start();
    let room = if args.host { ROOM_OF_HOST } else { ROOM };
    if let Err(error) = files::require_room(&paths.target(), room) {
        rows.add([Row::of("room", Err(format!("{error:#}")))]);
        return rows.conclude("Tests");
    }
    if let Err(error) = tools::require(paths, progress, &[Use::Checks]) {
        rows.add([Row::of("tools", Err(format!("{error:#}")))]);
    }
    for (name, args) in [
        ("format", vec!["fmt", "--all", "--check"]),
        ("lints", lints(cargo_version())),
        ("host tests", vec!["test", "--workspace"]),
    ] {
        rows.add([cargo(paths, progress, name, &args, &[])]);
    }
    rows.add([as_shipped(paths, progress)]);
    rows.add(dependencies::run(paths, progress));
    if !args.host {
        let (xen, judged) = on_the_image(paths, progress);
        rows.add(judged);
        rows.add(compilers::run(paths, progress, xen.as_ref()));
        rows.add(own_tree::run(paths, progress));
        rows.add([in_tree::run(paths, progress)]);
        rows.add(compilers::configurations(paths, progress));
        rows.add([with_dump_key(paths, progress), booted(paths, progress)]);
        for compare in [
            on_the_host,
            inside_xen,
            with_two_roots,
            behind_an_smmu,
            around_a_hole,
            by_all_cpus,
            with_views,
            crashed,
        ] {
            rows.add([compare(paths, progress)]);
        }
        rows.add([names_of_debug_builds(paths, progress)]);
        rows.add([timed(paths, progress)]);
        rows.add(board::run(paths, progress));
        rows.add_timed(releases::short(paths, progress, &older()));
        rows.add(e2e::short(paths, progress).unwrap_or_else(|error| {
            vec![Row::of("end to end, short form", Err(format!("{error:#}")))]
        }));
    }
    rows.conclude("Tests")
}

/// The other release that Debian has, with its tools: Debian 12's.
fn older() -> SourceArgs {
    SourceArgs {
        release: Some(Version::new(4, 17)),
        ..SourceArgs::default()
    }
}

/// The release whose clippy's opinions on style the code is kept to. Each release has others.
const STYLE_OF: Version = Version::new(1, 95);

/// With the clippy of another release its own opinions are left out; rustc's warnings and the lints that
/// the workspace names count with each.
fn lints(version: Option<Version>) -> Vec<&'static str> {
    let mut args = vec!["clippy", "--workspace", "--all-targets", "--"];
    args.extend(["-D", "warnings"]);
    if version != Some(STYLE_OF) {
        // Of the named ones this is in the group.
        args.extend(["-A", "clippy::all", "-D", "clippy::missing_safety_doc"]);
    }
    args
}

/// The release of the cargo that runs this tool.
fn cargo_version() -> Option<Version> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    Version::find_in(&command::output(Command::new(program).arg("--version")).ok()?)
}

/// The host tests without views, as in Arm's default, and without debug assertions and overflow checks, as in a
/// release build: then the p2m asks less, flushes in another way and takes other branches, and nothing comes before a
/// mistake's consequences.
fn as_shipped(paths: &Paths, progress: Progress) -> Row {
    let target = paths.target().join("as-shipped");
    cargo(
        paths,
        progress,
        "host tests, as shipped",
        &["test", "--package", "test-harness"],
        &[
            (command::HOST_WITHOUT, "ALTP2M".as_ref()),
            ("CARGO_PROFILE_DEV_DEBUG_ASSERTIONS", "false".as_ref()),
            ("CARGO_PROFILE_DEV_OVERFLOW_CHECKS", "false".as_ref()),
            // What fails there is looked at in a build by hand; this one is smaller by half.
            ("CARGO_PROFILE_DEV_DEBUG", "none".as_ref()),
            ("CARGO_TARGET_DIR", target.as_os_str()),
        ],
    )
}

/// Runs the same cargo that runs this tool; its output goes to the terminal.
fn cargo(
    paths: &Paths,
    progress: Progress,
    name: &str,
    args: &[&str],
    environment: &[(&str, &OsStr)],
) -> Row {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cargo = Command::new(program);
    cargo
        .args(args)
        .env_remove(command::HOST_WITHOUT)
        // Somebody's own number of cases may be none.
        .env_remove("PROPTEST_CASES")
        .envs(environment.iter().copied())
        .current_dir(paths.root())
        .stdin(Stdio::null());
    let shown = command::shown(&cargo);
    progress.say(&format!("Running {shown}"));
    let set = |(name, value): &(&str, &OsStr)| format!("{name}={} ", value.to_string_lossy());
    let typed = environment.iter().map(set).collect::<String>() + "cargo " + &args.join(" ");
    let result = match cargo.status() {
        Ok(status) if status.success() => Ok(typed),
        Ok(status) => Err(format!("{typed} failed ({status})")),
        Err(error) => Err(format!("cannot start {shown}: {error}")),
    };
    Row::of(name, result)
}

/// Builds Xen with the Rust p2m, and puts it through the gates.
fn on_the_image(paths: &Paths, progress: Progress) -> (Option<BuiltXen>, Vec<Row>) {
    let judged = build(paths, progress).and_then(|xen| {
        let name = "Xen with the Rust p2m";
        let mut rows = vec![
            Row::of(name, Ok(xen.binary().display().to_string())),
            Row::info("compilers", xen.compilers()?),
        ];
        rows.extend(gates::run(paths, progress, &xen)?);
        rows.push(c_to_rust::complete(paths, &xen));
        rows.push(gates::reproducible(paths, progress, &xen));
        gates::print_stacks(paths, progress, &xen)?;
        Ok((Some(xen), rows))
    });
    judged.unwrap_or_else(|error| {
        let why = Err(format!("{error:#}"));
        (None, vec![Row::of("gates on the image", why)])
    })
}

fn build(paths: &Paths, progress: Progress) -> Result<BuiltXen> {
    lock::alone(paths, progress, || {
        xen::build::build(paths, progress, &BootArgs::of(P2m::Rust).build)
    })
}

/// The Xen that is booted, which has one option more.
fn with_dump_key(paths: &Paths, progress: Progress) -> Row {
    let result = lock::alone(paths, progress, || {
        let args = BuildArgs {
            extra: Some(Extra::Dump),
            ..BuildArgs::of(P2m::Rust)
        };
        xen::build::build(paths, progress, &args)
    });
    let judged = result.and_then(|xen| gates::with_dump_key(paths, progress, &xen));
    Row::of(
        "with debug key D",
        judged.unwrap_or_else(|error| Err(format!("{error:#}"))),
    )
}

/// Boots it; the boot's own table is printed, and counts as one step here.
fn booted(paths: &Paths, progress: Progress) -> Row {
    let result = match boot::boot(paths, progress, &BootArgs::of(P2m::Rust)) {
        Ok(outcome) => {
            table::print(&outcome.title, &outcome.rows);
            table::none_failed(&outcome.rows).map(|()| "dom0, guest, xen-access".to_owned())
        }
        Err(error) => Err(format!("{error:#}")),
    };
    Row::of("boot", result)
}

/// A comparison with Xen's C, in its short form.
fn compared(name: &str, result: Result<bool>, what: String) -> Row {
    let judged = match result {
        Ok(true) => Ok(what),
        Ok(false) => Err(format!("no: {what}; the table above says more")),
        Err(error) => Err(format!("{error:#}")),
    };
    Row::of(name, judged)
}

fn on_the_host(paths: &Paths, progress: Progress) -> Row {
    compared(
        "C and Rust agree",
        diff::run(paths, progress, &DiffArgs::short(true, HOST_OPS)),
        format!("{HOST_OPS} operations on the host, on all machines"),
    )
}

fn inside_xen(paths: &Paths, progress: Progress) -> Row {
    in_boots(
        paths,
        progress,
        DiffArgs::short(false, XEN_OPS),
        "inside Xen",
    )
}

/// The root of many boards, and the workaround for an erratum of theirs.
fn with_two_roots(paths: &Paths, progress: Progress) -> Row {
    let args = DiffArgs {
        cpu: "cortex-a53".to_owned(),
        ..DiffArgs::short(false, XEN_OPS / 2)
    };
    in_boots(paths, progress, args, "on a CPU with two pages of root")
}

fn behind_an_smmu(paths: &Paths, progress: Progress) -> Row {
    let args = DiffArgs {
        smmu: true,
        ..DiffArgs::short(false, XEN_OPS / 4)
    };
    in_boots(paths, progress, args, "with an SMMU that shares the tables")
}

fn around_a_hole(paths: &Paths, progress: Progress) -> Row {
    let args = DiffArgs {
        hole: true,
        ..DiffArgs::short(false, XEN_OPS / 4)
    };
    in_boots(paths, progress, args, "on a machine whose RAM has a hole")
}

/// The self-test with both p2ms, in a release build.
fn in_boots(paths: &Paths, progress: Progress, args: DiffArgs, place: &str) -> Row {
    compared(
        "C and Rust agree",
        selftest::run(paths, progress, &args),
        format!("{} operations {place}", args.ops),
    )
}

fn by_all_cpus(paths: &Paths, progress: Progress) -> Row {
    let stress = DiffArgs::stress(XEN_OPS);
    compared(
        "each CPU keeps its own",
        selftest::run(paths, progress, &stress),
        format!("{XEN_OPS} operations of {} CPUs on one domain", stress.smp),
    )
}

/// Views of the domain's memory, one operation after the other and by all CPUs at once, of one debug build.
fn with_views(paths: &Paths, progress: Progress) -> Row {
    let in_turn = DiffArgs::short(false, XEN_OPS / 2).with_views();
    let at_once = DiffArgs::stress(XEN_OPS).with_views();
    let result = selftest::run(paths, progress, &in_turn)
        .and_then(|good| Ok(selftest::run(paths, progress, &at_once)? && good));
    compared(
        "views map what the host does",
        result,
        format!(
            "{} operations in turn, {} of {} CPUs at once",
            in_turn.ops, at_once.ops, at_once.smp
        ),
    )
}

/// Xen has room for the names of the debug builds that the comparisons have just made: what is one function
/// in a release build is several there, and only the gates on the image look at that one.
fn names_of_debug_builds(paths: &Paths, progress: Progress) -> Row {
    let longest = |extra| -> Result<Result<String, String>> {
        let args = BuildArgs {
            debug: true,
            extra: Some(extra),
            ..BuildArgs::of(P2m::Rust)
        };
        let build = || xen::build::build(paths, progress, &args);
        gates::symbol_length(&lock::alone(paths, progress, build)?)
    };
    let judged = longest(Extra::Selftest).and_then(|plain| {
        let views = longest(Extra::SelftestViews)?;
        Ok(plain.and_then(|plain| Ok(format!("{plain}; with views {}", views?))))
    });
    Row::of(
        "symbol length, debug builds",
        judged.unwrap_or_else(|error| Err(format!("{error:#}"))),
    )
}

/// What Xen prints when the Rust panics.
fn crashed(paths: &Paths, progress: Progress) -> Row {
    compared(
        "a crash says where",
        selftest::run(paths, progress, &DiffArgs::crash()),
        "file, line, text and the calls that led there".to_owned(),
    )
}

/// What is timed on this machine does the same on both sides. The times are looked at by nobody.
fn timed(paths: &Paths, progress: Progress) -> Row {
    const NAME: &str = "C and Rust agree where they are timed";
    if native::is_for_this_machine() {
        let result = native::agree(paths, progress, &SourceArgs::default());
        Row::of(NAME, result.map_err(|error| format!("{error:#}")))
    } else {
        Row::info(NAME, "not on this machine: for x86-64".to_owned())
    }
}
