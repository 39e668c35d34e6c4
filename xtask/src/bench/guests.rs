// SPDX-License-Identifier: GPL-2.0-only
//! Guests made and destroyed by dom0's tools, and what Xen did for it.
//!
//! The markers come from a program in dom0. What else dom0 and Xen do at that time is counted too,
//! so everything is done three times in one boot, and of each number the least is taken.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure, Context, Result};

use super::counts::{self, Counted};
use super::plugin::Plugin;
use crate::base::command;
use crate::base::files;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::boot::cpio::Cpio;
use crate::boot::dom0::console::Console;
use crate::boot::images::Images;
use crate::boot::qemu::{self, Ended, Limits, Machine, Running};
use crate::host::tools::CROSS;
use crate::xen::build::BuiltXen;

const SCRIPT: &[u8] = include_bytes!("../../assets/bench/guests.sh");
const MARK: &str = include_str!("../../assets/bench/mark.S");

/// What the script prints before the name of a row.
const ROW: &str = "@@row ";

/// The rows, in the order in which the script prints them first.
const ROWS: [&str; 4] = [
    "xl-create-256m",
    "xl-destroy-256m",
    "xl-create-2048m",
    "xl-destroy-2048m",
];

/// What is only watched where pages and words are announced, or makes dom0 slow.
const NOT_COUNTED: [&str; 12] = [
    "table_bytes",
    "p2m_lock",
    "pool_lock",
    "checks",
    "longest",
    "held",
    "lse",
    "exclusive",
    "lines_p2m",
    "lines_pool",
    "lines_frames",
    "lines_other",
];

/// Does somebody want these rows?
pub(super) fn wanted(only: Option<&str>) -> bool {
    only.is_none_or(|part| ROWS.iter().any(|row| row.contains(part)))
}

/// dom0 with the script and the program for the markers.
pub(super) fn images(paths: &Paths, images: &Images) -> Result<Images> {
    let dir = paths.target().join("bench");
    files::create_dir(&dir)?;
    let source = dir.join("mark.S");
    let program = dir.join("mark");
    files::write(&source, MARK)?;
    command::logged(
        command::bound(format!("{CROSS}gcc"))
            .args(["-nostdlib", "-static", "-o"])
            .arg(&program)
            .arg(&source),
        &paths.log("bench-mark"),
    )?;
    let mut cpio = Cpio::new(Vec::new());
    cpio.tree(&program, "xtask/mark")?;
    cpio.file("xtask/steps/bench", 0o755, SCRIPT)?;
    // Linux unpacks archives that follow one another.
    let initrd = dir.join("dom0.cpio");
    fs::copy(&images.initrd, &initrd)
        .with_context(|| format!("cannot copy to {}", initrd.display()))?;
    append(&initrd, &cpio.finish()?)?;
    Ok(Images {
        kernel: images.kernel.clone(),
        initrd,
    })
}

fn append(path: &PathBuf, bytes: &[u8]) -> Result<()> {
    let mut file = File::options().append(true).open(path);
    file.as_mut()
        .map_err(|error| std::io::Error::new(error.kind(), error.to_string()))
        .and_then(|file| std::io::Write::write_all(file, bytes))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Boots, with the console and the counts going to files in `dir`.
pub(super) fn run(
    progress: Progress,
    xen: &BuiltXen,
    cpu: &str,
    plugin: &Plugin,
    images: &Images,
    dir: &Path,
) -> Result<Vec<Counted>> {
    let log = dir.join(format!("{}-guests.log", xen.p2m));
    let out = dir.join(format!("{}-guests.tsv", xen.p2m));
    files::write(&log, "")?;
    let machine = Machine::plain(cpu.to_owned(), 1, xen, images.clone());
    let mut qemu = machine.command("toolstack,bench");
    qemu.args(["-icount", "shift=0,sleep=off"])
        .arg("-plugin")
        .arg(plugin.argument(xen, &out, false)?)
        .arg("-serial")
        .arg(format!("file:{}", qemu::commas(&log)));
    let mut task = progress.start(format!("Counting xl create and destroy in {}", xen.name));
    let limits = Limits::new(None, false);
    let ended = Running::start(&mut qemu)?.watch(&log, limits, &mut task, Vec::new)?;
    task.done();
    if ended != (Ended::ByItself { success: true }) {
        bail!("{}: {ended}; see {}", xen.name, log.display());
    }
    least(&Console::read(&log)?, &files::read_text(&out)?)
        .with_context(|| format!("xl in {}, see {}", xen.name, log.display()))
}

/// Of each row and number the least.
fn least(console: &Console, plugin: &str) -> Result<Vec<Counted>> {
    let printed: Vec<&str> = console
        .lines
        .iter()
        .filter_map(|line| line.strip_prefix(ROW))
        .collect();
    let regions = counts::regions(plugin)?;
    ensure!(
        regions.len() == printed.len(),
        "dom0 printed {} rows and the plugin saw {} regions",
        printed.len(),
        regions.len()
    );
    let mut rows: Vec<Counted> = ROWS
        .iter()
        .map(|&name| Counted {
            name: name.to_owned(),
            calls: 1,
            ..Counted::default()
        })
        .collect();
    for (printed, region) in printed.into_iter().zip(regions) {
        let name = printed
            .strip_suffix(" rc=0")
            .with_context(|| format!("dom0 printed {printed:?}"))?;
        let row = rows
            .iter_mut()
            .find(|row| row.name == name)
            .with_context(|| format!("dom0 printed {printed:?}"))?;
        for (key, number) in region {
            if !NOT_COUNTED.contains(&key.as_str()) {
                let known = row.numbers.entry(key).or_insert(number);
                *known = number.min(*known);
            }
        }
    }
    ensure!(
        rows.iter().all(|row| !row.numbers.is_empty()),
        "dom0 did not do everything"
    );
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::{least, wanted, ROWS};
    use crate::boot::dom0::console::Console;

    fn log(rows: &[&str]) -> Console {
        let lines: Vec<String> = rows
            .iter()
            .map(|row| format!("@@row {row} rc=0\n"))
            .collect();
        Console::parse(&lines.concat())
    }

    #[test]
    fn the_least_of_each() -> anyhow::Result<()> {
        let twice = [ROWS, ROWS].concat();
        let plugin = "insn\tlongest\n9\t1\n2\t1\n3\t1\n4\t1\n5\t1\n6\t1\n7\t1\n8\t1\n";
        let rows = least(&log(&twice), plugin)?;
        let numbers: Vec<Option<i64>> = rows.iter().map(|row| row.sum(&["insn"])).collect();
        assert_eq!(numbers, [Some(5), Some(2), Some(3), Some(4)]);
        assert!(rows.iter().all(|row| row.sum(&["longest"]).is_none()));
        Ok(())
    }

    #[test]
    fn what_is_missing_is_noticed() {
        assert!(least(&log(&ROWS), "insn\n1\n").is_err());
        assert!(least(&log(&["xl-create-256m"]), "insn\n1\n").is_err());
        let failed = Console::parse("@@row xl-create-256m rc=1\n");
        assert!(least(&failed, "insn\n1\n").is_err());
    }

    #[test]
    fn rows_that_are_asked_for() {
        assert!(wanted(None) && wanted(Some("xl-")) && wanted(Some("destroy-256m")));
        assert!(!wanted(Some("lookup")));
    }
}
