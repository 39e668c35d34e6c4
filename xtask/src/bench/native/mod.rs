// SPDX-License-Identifier: GPL-2.0-only
//! Times on this machine: the C p2m and the Rust p2m, both compiled for it, in one process and in turns.
//!
//! Both are the configured tree's own: Xen's three files, and the archive with its face to Xen's headers, helpers.c
//! included. `native-bench/include/` stands before the tree's headers and takes the place of Arm's instructions; `native-bench/c/`
//! is the rest of the hypervisor, and what is timed. `build` compiles it, `samples` reads what it prints, `report`
//! makes the tables. A time says nothing of Arm's barriers and broadcasts: `docs/bench-native.md`.

mod build;
mod report;
mod samples;

use std::path::Path;

use anyhow::{bail, ensure, Context, Result};

use crate::base::cli::{BenchArgs, SourceArgs};
use crate::base::command;
use crate::base::files;
use crate::base::lock;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::xen::image;

pub(crate) use build::is_for_this_machine;
use report::Machine;
use samples::{Measured, Run};

/// How many pairs of blocks are timed if nobody says.
pub(crate) const BLOCKS: u32 = 101;

/// The most threads that the program has CPUs for (`NATIVE_CPUS`).
const MOST_THREADS: usize = 8;

/// Times all rows, prints the tables, and writes them down if that is asked for.
pub(super) fn run(paths: &Paths, progress: Progress, args: &BenchArgs) -> Result<bool> {
    if args.check {
        println!("Both agree: {}", agree(paths, progress, &args.source)?);
        return Ok(true);
    }
    let (program, xen) = lock::alone(paths, progress, || {
        build::build(paths, progress, &args.source)
    })?;
    let machine = Machine {
        cpu: first_of("/proc/cpuinfo", "model name\t: ")?,
        processors: processors(),
        load: first_of("/proc/loadavg", "")?,
        is_real_time: is_real_time(&first_of("/proc/self/stat", "")?),
        xen: xen.source,
        compilers: image::compilers_of_program(&program)?.join(", "),
        blocks: args.blocks,
    };
    let task = progress.start(format!(
        "Timing {} pairs of blocks of each row",
        args.blocks
    ));
    let all = measure(
        &program,
        &[
            args.blocks.to_string(),
            "1".to_owned(),
            "none".to_owned(),
            args.only.clone().unwrap_or_default(),
        ],
        &threads(),
    )?;
    task.done();
    ensure!(!all.is_empty(), "no row has such a name");
    println!("{}", report::terminal(&all));
    println!("{}", machine.lines());
    if args.write {
        ensure!(
            args.only.is_none() && args.blocks >= BLOCKS,
            "what is written down is all rows, with {BLOCKS} pairs of blocks at least"
        );
        let text = report::document(&machine, &all);
        files::write(&paths.root().join("docs/bench-native.md"), text)?;
    }
    Ok(true)
}

/// Whether both sides answer the same in each row, with one thread and with two, and whether it is noticed if they do
/// not. No time is looked at.
pub(crate) fn agree(paths: &Paths, progress: Progress, source: &SourceArgs) -> Result<String> {
    let (program, _) = lock::alone(paths, progress, || build::build(paths, progress, source))?;
    let short = |mistake: &str| {
        let arguments = ["1", "64", mistake, ""].map(str::to_owned);
        measure(&program, &arguments, &[1, 2])
    };
    let rows = short("none")?.len();
    for mistake in ["elsewhere", "more"] {
        match short(mistake) {
            Ok(_) => bail!("the mistake `{mistake}` in the C's tables was noticed by no row"),
            Err(error) if error.to_string().contains("differ: ") => {}
            Err(error) => return Err(error),
        }
    }
    Ok(format!("{rows} rows, each with one thread or with two"))
}

/// 1, 2, and as many as there are processors.
fn threads() -> Vec<usize> {
    let mut all = vec![1, 2, processors().min(MOST_THREADS)];
    all.sort_unstable();
    all.dedup();
    all
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Whether what /proc/[pid]/stat says is of a process with a real-time policy (`chrt -f 1`), which others do not
/// disturb: the field `policy`, the 41st, where the name, the 2nd, may have blanks in it.
fn is_real_time(stat: &str) -> bool {
    const FIFO: &str = "1";
    const RR: &str = "2";
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let policy = after_name.split_whitespace().nth(41 - 3);
    policy.is_some_and(|policy| [FIFO, RR].contains(&policy))
}

/// The rest of the first line that begins so.
fn first_of(file: &str, begin: &str) -> Result<String> {
    let text = files::read_text(Path::new(file))?;
    let line = text.lines().find_map(|line| line.strip_prefix(begin));
    line.map(str::to_owned)
        .with_context(|| format!("{file} has no line that begins with `{}`", begin.trim()))
}

/// Runs the program.
fn measure(program: &Path, arguments: &[String], threads: &[usize]) -> Result<Vec<Measured>> {
    let output = command::bound(program)
        .args(arguments)
        .args(threads.iter().map(ToString::to_string))
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let run = Run::read(&printed)?;
    ensure!(
        output.status.success() && run.is_whole,
        "{} ended before its end ({}){}",
        program.display(),
        output.status,
        run.said
    );
    Ok(run.rows)
}

#[cfg(test)]
mod tests {
    use super::{is_real_time, threads};

    #[test]
    fn policy_of_a_process() {
        let stat = |policy| format!("7 (a) b) R {}{policy} 0", "0 ".repeat(37));
        assert!(is_real_time(&stat("1")) && is_real_time(&stat("2")));
        assert!(!is_real_time(&stat("0")) && !is_real_time(""));
    }

    #[test]
    fn each_number_of_threads_once() {
        let all = threads();
        assert!(all.contains(&2), "{all:?}");
        assert!(all.is_sorted_by(|a, b| a < b), "{all:?}");
    }
}
