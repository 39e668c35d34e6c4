// SPDX-License-Identifier: GPL-2.0-only
//! The C and the Rust p2m, operation by operation inside the hypervisor.
//!
//! Xen is built twice with `CONFIG_P2M_SELFTEST=y`, once with each p2m, and both run the same random
//! operations on a machine each. Where their hashes part, both run again with the operations in
//! between printed one by one, and the first that differs is named.

pub(crate) mod agreement;
mod cell;
mod crash;
mod effects;
pub(crate) mod log;
mod machine;
mod stress;
mod views;

use std::path::Path;

use anyhow::{Context, Result};

use crate::base::cli::{DiffArgs, P2m};
use crate::base::files;
use crate::base::lock;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::table::{self, Row};
use crate::boot::cpu;
use crate::host::emulator::Emulator;
use crate::host::tools::{self, Use};
use crate::xen::build::BuiltXen;

use cell::{cells, Cell};
use log::{Op, Run};
use machine::{built, Machine, Purpose, Request, Views};

/// The two that are compared.
#[derive(Debug)]
struct Pair {
    c: BuiltXen,
    rust: BuiltXen,
}

/// Builds, runs and compares; true when all agree.
pub(crate) fn run(paths: &Paths, progress: Progress, args: &DiffArgs) -> Result<bool> {
    let mut uses = Use::build(P2m::Rust);
    uses.push(Use::Boot);
    if args.hole {
        uses.push(Use::Tree);
    }
    tools::require(paths, progress, &uses)?;
    if args.crash {
        return crash::run(paths, progress, args);
    }
    if args.stress {
        return stress::run(paths, progress, args);
    }
    if args.views {
        return views::run(paths, progress, args);
    }
    let cells = cells(args);
    let mut rows = Vec::new();
    let mut outcomes = Vec::new();
    for debug in [false, true] {
        let of_kind: Vec<&Cell> = cells.iter().filter(|cell| cell.debug == debug).collect();
        if of_kind.is_empty() {
            continue;
        }
        let pair = lock::alone(paths, progress, || {
            Ok(Pair {
                c: built(paths, progress, args, P2m::C, debug)?,
                rust: built(paths, progress, args, P2m::Rust, debug)?,
            })
        })?;
        let kind = if debug { "debug" } else { "release" };
        let name = format!("compilers, {kind}");
        rows.push(Row::info(&name, pair.rust.compilers()?));
        for cell in of_kind {
            let result = compare(paths, progress, &pair, cell, args)
                .unwrap_or_else(|error| Err(format!("{error:#}")));
            let (Ok(text) | Err(text)) = &result;
            progress.say(&format!("{}: {text}", cell.name()));
            let outcome = result.as_ref().map(|_| args.ops).map_err(Clone::clone);
            outcomes.push((cell.clone(), outcome));
            rows.push(Row::of(&cell.name(), result));
        }
    }
    if args.matrix {
        let mut qemus = vec![Emulator::own()?.version];
        let other = Emulator::with_smmu(paths, progress)?.version;
        if !qemus.contains(&other) {
            qemus.push(format!("{other} (for the SMMU)"));
        }
        let page = agreement::page(&outcomes, args.seed, &qemus);
        let file = paths.root().join("docs/agreement.md");
        let kept = files::read_text(&file)?;
        files::write(&file, page + agreement::parts(&kept).1)?;
    }
    let title = format!("C and Rust p2m in Xen, seed {}", args.seed);
    Ok(table::conclude(&title, &rows))
}

/// Compares on one machine: what agrees, or what does not.
fn compare(
    paths: &Paths,
    progress: Progress,
    pair: &Pair,
    cell: &Cell,
    args: &DiffArgs,
) -> Result<Result<String, String>> {
    let machine = Machine {
        cpu: cpu::argument(&cell.cpu)?,
        smp: cell.smp,
        smmu: cell.smmu,
        hole: cell.hole,
        emulator: if cell.smmu {
            Emulator::with_smmu(paths, progress)?
        } else {
            Emulator::own()?
        },
    };
    let dir = paths.run(&format!("diff-{}", cell.name().replace(' ', "-")));
    lock::booting(&dir, || {
        let ask = |ops, window| {
            let request = Request {
                seed: args.seed,
                ops,
                purpose: Purpose::Compare,
                views: Views::No,
                window,
            };
            both(progress, pair, &machine, request, &dir)
        };
        let (c, rust) = ask(args.ops, None)?;
        let Some((from, to)) = log::part(&c, &rust) else {
            if [&c, &rust].iter().any(|run| run.iommu != cell.smmu) {
                return Ok(Err("Xen did not find the IOMMU, or found one".to_owned()));
            }
            if [&c, &rust].iter().any(|run| run.hole != cell.hole) {
                return Ok(Err(
                    "Xen's frame table leaves no hole out, or leaves one out".to_owned(),
                ));
            }
            return Ok(agreement(&c, &rust, args.ops).and_then(|said| {
                effects::are_enough(&c, &rust, args.ops, pair.rust.release)?;
                Ok(said)
            }));
        };
        let to = to.unwrap_or(args.ops);
        let before = (c, rust);
        let kept = keep_logs(&dir)?;
        let (c, rust) = ask(to, Some((from, to)))?;
        let mut text = format!("all agrees before operation {from}\n");
        match log::first_difference(&c, &rust) {
            Some((Some(a), Some(b))) => {
                text.push_str(&difference(a, b));
                let number = a.number;
                let (c, rust) = ask(number.saturating_add(1), Some((number, number)))?;
                text.push_str(&entries(&c, &rust));
            }
            Some((Some(last), None)) => text.push_str(&ended("Rust", &rust, last)),
            Some((None, Some(last))) => text.push_str(&ended("C", &c, last)),
            _ => {
                text.push_str("and no operation up to the next checkpoint shows a difference");
                text.push_str(&changed("C", to, &before.0, &c));
                text.push_str(&changed("Rust", to, &before.1, &rust));
                text.push_str(&format!("\nthe logs of the first runs are {kept}"));
            }
        }
        text.push_str(&format!(
            "\nto see it again: cargo xtask diff{} --seed {} --ops {to}{}",
            args.source.typed(),
            args.seed,
            cell.typed()
        ));
        Ok(Err(text))
    })
}

/// Runs both at the same time.
fn both(
    progress: Progress,
    pair: &Pair,
    machine: &Machine,
    request: Request,
    dir: &Path,
) -> Result<(Run, Run)> {
    std::thread::scope(|scope| {
        let c = scope.spawn(|| machine::run(progress, &pair.c, machine, request, dir));
        let rust = machine::run(progress, &pair.rust, machine, request, dir);
        let c = c.join().ok().context("the thread of the C run panicked")?;
        Ok((c?, rust?))
    })
}

/// The hashes agree; is each run whole?
fn agreement(c: &Run, rust: &Run, asked: u64) -> Result<String, String> {
    for (name, run) in [("C", c), ("Rust", rust)] {
        run.is_whole(asked)
            .map_err(|failure| format!("{name}: {failure}"))?;
    }
    let hash = c.hashes.last().map_or("", |(_, hash)| hash.as_str());
    Ok(format!(
        "{asked} operations agree, no page is lost ({hash})"
    ))
}

/// What the two sides of an operation say differently.
pub(crate) fn difference(c: &Op, rust: &Op) -> String {
    let (same, c_own) = c.against(rust);
    let (_, rust_own) = rust.against(c);
    format!(
        "operation {}, {}: {same}\nC:    {c_own}\nRust: {rust_own}",
        c.number, c.name
    )
}

/// Keeps the logs of both, which the next runs would overwrite; says where.
fn keep_logs(dir: &Path) -> Result<String> {
    for p2m in [P2m::C, P2m::Rust] {
        let (from, to) = (format!("{p2m}.log"), format!("{p2m}.before.log"));
        std::fs::copy(dir.join(&from), dir.join(to))
            .with_context(|| format!("cannot keep {from} in {}", dir.display()))?;
    }
    Ok(dir.join("*.before.log").display().to_string())
}

/// Says it if two runs of the same operations have come to different hashes at that operation: then
/// something that is compared depends on when something else happens.
fn changed(who: &str, at: u64, before: &Run, now: &Run) -> String {
    let hash = |run: &Run| {
        let mut hashes = run.hashes.iter();
        let found = hashes.find(|(op, _)| *op == at);
        found.map_or_else(|| "none".to_owned(), |(_, hash)| hash.clone())
    };
    let (before, now) = (hash(before), hash(now));
    if before == now {
        return String::new();
    }
    format!("\n{who} is not the same each time: hash {before} before, and {now} now")
}

fn ended(who: &str, run: &Run, missed: &Op) -> String {
    format!(
        "{who} ended in operation {}, {}: {}",
        missed.number,
        missed.name,
        run.failure().unwrap_or_default()
    )
}

/// The table entries that only one of them has; the first few.
fn entries(c: &Run, rust: &Run) -> String {
    const SHOWN: usize = 4;
    let only = |who: &str, one: &Run, other: &Run| -> String {
        one.entries
            .iter()
            .filter(|entry| !other.entries.contains(entry))
            .take(SHOWN)
            .map(|entry| format!("\nentry only in {who}: {entry}"))
            .collect()
    };
    only("C", c, rust) + &only("Rust", rust, c)
}

#[cfg(test)]
mod tests {
    use super::cell::cells;
    use super::{agreement, changed, entries};
    use crate::base::cli::{Action, Cli};
    use crate::selftest::log::Run;
    use clap::Parser;

    #[test]
    fn the_matrix() -> Result<(), String> {
        let Action::Diff(mut args) =
            Cli::parse_from(["xtask", "diff", "--debug", "--smp", "2"]).command
        else {
            return Err("another command".to_owned());
        };
        assert_eq!(cells(&args).len(), 1);
        args.matrix = true;
        assert_eq!(cells(&args).len(), 20);
        Ok(())
    }

    #[test]
    fn what_agrees_must_be_all_that_was_asked_for() {
        let run = |end, hashed| Run {
            hashes: vec![(1024, "a".to_owned()), (hashed, "b".to_owned())],
            free: Some((5, 5)),
            end: Some(end),
            ..Run::default()
        };
        let (good, early, unhashed) = (run(2000, 2000), run(1999, 1999), run(2000, 1999));
        assert!(agreement(&good, &good, 2000).is_ok_and(|text| text.contains("2000")));
        assert!(agreement(&good, &good, 2001).is_err());
        for bad in [early, unhashed] {
            assert!(agreement(&bad, &bad, 2000).is_err());
            assert!(agreement(&good, &bad, 2000).is_err());
            assert!(agreement(&bad, &good, 2000).is_err());
        }
    }

    #[test]
    fn what_is_not_the_same_each_time_is_named() {
        let run = |hashes: &[(u64, &str)]| Run {
            hashes: hashes
                .iter()
                .map(|&(op, hash)| (op, hash.to_owned()))
                .collect(),
            ..Run::default()
        };
        let (before, now) = (
            run(&[(1, "a"), (2, "b"), (3, "c")]),
            run(&[(1, "a"), (2, "x")]),
        );
        assert_eq!(
            changed("C", 2, &before, &now),
            "\nC is not the same each time: hash b before, and x now"
        );
        assert_eq!(changed("C", 1, &before, &now), "");
        assert_eq!(
            changed("C", 3, &before, &now),
            "\nC is not the same each time: hash c before, and none now"
        );
    }

    #[test]
    fn entries_of_one_only() {
        let run = |entries: &[&str]| Run {
            entries: entries.iter().map(|&entry| entry.to_owned()).collect(),
            ..Run::default()
        };
        let text = entries(&run(&["a", "b"]), &run(&["a", "c"]));
        assert_eq!(text, "\nentry only in C: b\nentry only in Rust: c");
    }
}
