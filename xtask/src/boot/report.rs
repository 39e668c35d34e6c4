// SPDX-License-Identifier: GPL-2.0-only
//! From a console log to the rows of the table.

use std::path::Path;

use super::dom0::console::Console;
use super::dom0::steps::Step;
use super::qemu::Ended;
use crate::base::cli::P2m;
use crate::base::command;
use crate::base::progress::Progress;
use crate::base::table::{all_passed, Row};

/// What Xen prints at its start when the Rust p2m is linked.
const RUST_BANNER: &str = "p2m: Rust implementation";

/// How many of the log's last lines are shown when something failed.
const TAIL: usize = 20;

/// Of a step that an earlier end left out.
const NOT_REACHED: &str = "was not reached";

/// One row for each thing that had to happen, dom0's steps among them.
pub(crate) fn rows(
    console: &Console,
    ended: &Ended,
    asked: P2m,
    debug: bool,
    steps: &[Step],
) -> Vec<Row> {
    let mut rows = vec![
        Row::of("Xen starts", banner(console, debug)),
        Row::of("p2m linked", linked(console, asked)),
        Row::info("stage-2 tables", geometry(console)),
        Row::of("dom0 up", dom0(console)),
    ];
    let runs = console.steps();
    for step in steps {
        let run = runs.iter().find(|run| run.name == step.name);
        rows.push(match (run, step.counts) {
            (None, true) => Row::of(step.title, Err(NOT_REACHED.to_owned())),
            (None, false) => Row::info(step.title, NOT_REACHED.to_owned()),
            (Some(run), true) => {
                let judged = (step.check)(run).map_err(|wrong| run.with_xens_words(wrong));
                Row::of(step.title, judged)
            }
            (Some(run), false) => {
                let why = |why| format!("{why} (known on Arm since 4.18)");
                Row::info(step.title, (step.check)(run).unwrap_or_else(why))
            }
        });
    }
    rows.push(Row::of("no crash", no_crash(console)));
    rows.push(Row::of("powered off", powered_off(console, ended)));
    rows
}

/// Says where the log is and how it ends, when a row failed.
pub(crate) fn explain_failure(progress: Progress, rows: &[Row], ended: &Ended, log: &Path) {
    if all_passed(rows) {
        return;
    }
    progress.say(&format!(
        "The boot failed ({ended}); the console's log is {} and ends with\n{}",
        log.display(),
        command::tail(log, TAIL)
    ));
    for cpu in ended.cpus() {
        progress.say(cpu);
    }
}

fn banner(console: &Console, debug: bool) -> Result<String, String> {
    let line = console
        .find("Xen version ")
        .ok_or("Xen printed no version")?;
    let asked = if debug { "debug=y" } else { "debug=n" };
    if !line.contains(asked) {
        return Err(format!("asked for {asked}, but Xen says: {line}"));
    }
    let version = line
        .split_once("Xen version ")
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .unwrap_or(line);
    Ok(format!("{version}, {asked}"))
}

/// The C code does not announce itself: it is the absence of the other's line.
pub(crate) fn linked(console: &Console, asked: P2m) -> Result<String, String> {
    if console.find("Xen version ").is_none() {
        return Err("Xen printed nothing".to_owned());
    }
    match (console.find(RUST_BANNER), asked) {
        (Some(line), P2m::Rust) => Ok(line.trim_start_matches("(XEN) ").to_owned()),
        (None, P2m::C) => Ok("C (no line of the Rust p2m)".to_owned()),
        (Some(line), P2m::C) => Err(format!("asked for C, but Xen says: {line}")),
        (None, P2m::Rust) => Err(format!(
            "asked for Rust, but Xen prints no \"{RUST_BANNER}\""
        )),
    }
}

/// What Xen says of the tables' shape, which the CPU model decides.
fn geometry(console: &Console) -> String {
    let said: Vec<&str> = console
        .lines
        .iter()
        .filter_map(|line| line.strip_prefix("(XEN) P2M: "))
        .filter_map(|line| line.split(", VTCR").next())
        .collect();
    if said.is_empty() {
        NOT_REACHED.to_owned()
    } else {
        said.join("; ")
    }
}

fn dom0(console: &Console) -> Result<String, String> {
    console
        .find("@@dom0-up")
        .ok_or("dom0's init did not start")?;
    let linux = console
        .lines
        .iter()
        .find_map(|line| line.split_once("Linux version "))
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .unwrap_or("of an unknown version");
    Ok(format!("Linux {linux}"))
}

/// Of a console that said nothing nothing is known.
fn no_crash(console: &Console) -> Result<String, String> {
    match console.alarm() {
        Some(line) => Err(line.to_owned()),
        None if console.lines.is_empty() => Err("Xen printed nothing".to_owned()),
        None => Ok("no panic, no BUG, no WARN".to_owned()),
    }
}

fn powered_off(console: &Console, ended: &Ended) -> Result<String, String> {
    match ended {
        Ended::ByItself { .. } if console.find("@@all-done").is_none() => {
            Err(format!("{ended} before dom0 was through"))
        }
        Ended::ByItself { success: true } => Ok("by dom0".to_owned()),
        other => Err(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::{banner, geometry, linked, no_crash, powered_off, rows};
    use crate::base::cli::P2m;
    use crate::base::table::Status;
    use crate::boot::dom0::console::Console;
    use crate::boot::dom0::steps;
    use crate::boot::qemu::Ended;

    const C: &str = "(XEN) Xen version 4.20.4-pre (u@) (gcc 12.2.0) debug=n 2026\n";
    const RUST: &str = "(XEN) Xen version 4.20.4-pre (u@) (gcc 12.2.0) debug=n 2026\n\
                        (XEN) p2m: Rust implementation (libxen_p2m 0.1.0)\n";

    #[test]
    fn the_linked_p2m_must_be_the_one_asked_for() {
        assert!(linked(&Console::parse(C), P2m::C).is_ok());
        assert!(linked(&Console::parse(RUST), P2m::Rust).is_ok());
        assert!(linked(&Console::parse(C), P2m::Rust).is_err());
        assert!(linked(&Console::parse(RUST), P2m::C).is_err());
        assert!(linked(&Console::parse(""), P2m::C).is_err());
    }

    #[test]
    fn the_build_must_be_the_one_asked_for() {
        assert_eq!(
            banner(&Console::parse(C), false),
            Ok("4.20.4-pre, debug=n".to_owned())
        );
        assert!(banner(&Console::parse(C), true).is_err());
        assert!(banner(&Console::parse("x"), false).is_err());
    }

    #[test]
    fn shape_of_the_tables() {
        let text = "(XEN) P2M: 40-bit IPA with 40-bit PA and 8-bit VMID\n\
                    (XEN) P2M: 3 levels with order-1 root, VTCR 0x0000000080023558\n";
        assert_eq!(
            geometry(&Console::parse(text)),
            "40-bit IPA with 40-bit PA and 8-bit VMID; 3 levels with order-1 root"
        );
        assert_eq!(geometry(&Console::parse(C)), "was not reached");
    }

    #[test]
    fn power_off_is_dom0s_doing() {
        let done = Console::parse("@@all-done\n");
        let off = Ended::ByItself { success: true };
        assert!(powered_off(&done, &off).is_ok());
        assert!(powered_off(&Console::parse(""), &off).is_err());
        assert!(powered_off(&done, &Ended::ByItself { success: false }).is_err());
        assert!(powered_off(&done, &Ended::Timeout(5, Vec::new())).is_err());
    }

    #[test]
    fn a_boot_with_a_warning_of_xen_s_did_not_go_well() {
        assert!(no_crash(&Console::parse(C)).is_ok());
        let warned = format!("{C}(XEN) Xen WARN at common/x.c:1\n");
        assert!(no_crash(&Console::parse(&warned)).is_err());
        assert!(no_crash(&Console::parse("")).is_err());
    }

    #[test]
    fn a_step_that_failed_tells_what_xen_said_meanwhile() {
        let text = "(XEN) before\n@@step xl-list begin\n(XEN) d1v0 one\n(XEN) d1v0 two\n\
                    xl: no\n@@step xl-list end rc=1\n(XEN) after\n";
        let off = Ended::ByItself { success: true };
        let rows = rows(&Console::parse(text), &off, P2m::C, false, steps::ALL);
        let row = rows.iter().find(|row| row.name == "xl list");
        assert_eq!(
            row.map(|row| row.detail.as_str()),
            Some("exit code 1: xl: no; Xen said: d1v0 two")
        );
    }

    #[test]
    fn an_empty_log_fails_every_counted_row() {
        let off = Ended::ByItself { success: true };
        let rows = rows(&Console::default(), &off, P2m::C, false, steps::ALL);
        assert!(
            rows.iter().all(|row| row.status != Status::Pass),
            "{rows:?}"
        );
    }
}
