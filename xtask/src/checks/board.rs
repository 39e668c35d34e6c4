// SPDX-License-Identifier: GPL-2.0-only
//! What `cargo xtask image` writes, booted on QEMU by its own README: the lines as they stand there, from U-Boot and from
//! UEFI, with the C and with the Rust. The reader then makes of the logs what it makes of a board's.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure, Context, Result};

use crate::base::cli::{ImageArgs, SourceArgs};
use crate::base::command;
use crate::base::files;
use crate::base::lock;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::table::{self, Row, Status};
use crate::bench::board;
use crate::boot::qemu::{Ended, Limits, Running};
use crate::host::tools::{self, Use};

/// A short self-test, and few rows.
const OPS: u64 = 3000;
const RUNS: u32 = 2;
const ROWS: &str = "lookup";

/// The sections of README.md whose lines are run: what is typed, and which of [`QEMU`]'s lines has it typed at.
const FIRMWARE: [(&str, &str, usize); 2] = [("U-Boot", "From U-Boot", 0), ("UEFI", "From UEFI", 1)];
const QEMU: &str = "Try it on QEMU first";
const OTHER_TREE: &str = "From U-Boot with another device tree, or other arguments";

/// What is different for the Rust, as README.md says.
const C_TO_RUST: [(&str, &str); 2] = [("p2m_c", "p2m_rust"), ("xen-c.efi", "xen-rust.efi")];

/// A row of the reader's that must have passed, and words of what it says.
type Passed = (&'static str, &'static str);

/// With both logs; and with one, of a boot whose other arguments ask for no self-test.
const BOTH: [Passed; 4] = [
    ("C", "lines of the benchmark"),
    ("Rust", "lines of the benchmark"),
    ("self-test", "operations agree"),
    ("benchmark", "rows"),
];
const ONLY_C: [Passed; 1] = [("C", "lines of the benchmark")];

/// What firmware prints when one may type, and what leads there sooner.
const PROMPTS: [&str; 3] = ["=> ", "Shell> ", ":\\> "];
const HURRY: [(&str, &str); 2] = [("Hit any key", "\r"), ("Press ESC in", "\x1b")];

/// Writes, boots and reads; a row for each firmware, and one for a processor without a PMU.
pub(super) fn run(paths: &Paths, progress: Progress) -> Vec<Row> {
    let dir = paths.run("image");
    let rows = tools::require(paths, progress, &[Use::Boot, Use::Firmware])
        .and_then(|()| write(paths, progress, &dir))
        .and_then(|image| lock::booting(&dir, || all(progress, &image, &dir)));
    rows.unwrap_or_else(|error| vec![Row::of("a board's image", Err(format!("{error:#}")))])
}

fn write(paths: &Paths, progress: Progress, dir: &Path) -> Result<PathBuf> {
    let args = ImageArgs {
        read: Vec::new(),
        out: Some(dir.join("p2m-board")),
        debug: false,
        ops: OPS,
        seed: 1,
        runs: RUNS,
        rows: ROWS.to_owned(),
        early_printk: None,
        source: SourceArgs::default(),
    };
    files::create_dir(dir)?;
    board::write(paths, progress, &args)
}

fn all(progress: Progress, image: &Path, dir: &Path) -> Result<Vec<Row>> {
    let readme = files::read_text(&image.join(board::README))?;
    let mut rows = Vec::new();
    let mut add = |name: &str, logs: Result<Vec<PathBuf>>, words: &str, passed: &[Passed]| {
        let judged = logs.and_then(|logs| judged(name, &logs, words, passed));
        let judged = judged.map_err(|error| format!("{error:#}"));
        rows.push(Row::of(name, judged));
    };
    for machine in FIRMWARE {
        let name = format!("a board's image, from {}", machine.0);
        let logs = by_firmware(progress, image, dir, &readme, machine);
        add(&name, logs, "PMCCNTR_EL0's", &BOTH);
    }
    let logs = other_tree(progress, image, dir, &readme);
    add("a board's image, without a PMU", logs, "no PMU", &ONLY_C);
    Ok(rows)
}

/// The C and the Rust by the same firmware.
fn by_firmware(
    progress: Progress,
    image: &Path,
    dir: &Path,
    readme: &str,
    (firmware, section, machine): (&str, &str, usize),
) -> Result<Vec<PathBuf>> {
    let typed = lines(readme, section);
    ensure!(!typed.is_empty(), "README.md has no lines in \"{section}\"");
    let machine = lines(readme, QEMU).into_iter().nth(machine);
    let machine =
        machine.with_context(|| format!("README.md has no line for {firmware} in \"{QEMU}\""))?;
    let both = [("c", typed.clone()), ("rust", for_rust(readme, &typed)?)];
    both.into_iter()
        .map(|(p2m, typed)| {
            let log = dir.join(format!("{firmware}-{p2m}.log"));
            booted(progress, image, &machine, &typed, &log).map(|()| log)
        })
        .collect()
}

/// With a device tree from a file, on a processor without a PMU.
fn other_tree(progress: Progress, image: &Path, dir: &Path, readme: &str) -> Result<Vec<PathBuf>> {
    let [(_, section, machine), _] = FIRMWARE;
    let machine = lines(readme, QEMU).into_iter().nth(machine);
    let machine = machine.context("README.md has no line for QEMU")?;
    let machine = machine.replace("-cpu max", "-cpu max,pmu=off");
    let dump = machine.replacen("-machine virt", "-machine virt,dumpdtb=board.dtb", 1);
    command::output(command::clean("sh").args(["-c", &dump]).current_dir(image))?;
    let mut typed = lines(readme, section);
    let start = typed
        .pop()
        .context("README.md has no line that starts Xen")?;
    let other = lines(readme, OTHER_TREE);
    ensure!(
        other.len() == 2,
        "README.md has not two lines in \"{OTHER_TREE}\""
    );
    typed.extend(other);
    typed.push(start);
    let log = dir.join("other-tree.log");
    booted(progress, image, &machine, &typed, &log)?;
    Ok(vec![log])
}

/// The same lines for the Rust p2m.
fn for_rust(readme: &str, typed: &[String]) -> Result<Vec<String>> {
    let typed = typed.to_vec();
    C_TO_RUST.iter().try_fold(typed, |typed, (c, rust)| {
        ensure!(readme.contains(rust), "README.md does not name {rust}");
        Ok(typed.iter().map(|line| line.replace(c, rust)).collect())
    })
}

/// What the reader makes of the logs: what it must say of the machine, and which of its rows must have passed.
fn judged(name: &str, logs: &[PathBuf], words: &str, passed: &[Passed]) -> Result<String> {
    let (rows, head, benchmark) = board::judged(logs)?;
    table::print(name, &rows);
    table::none_failed(&rows).map_err(anyhow::Error::msg)?;
    all_passed(&rows, passed)?;
    ensure!(benchmark > 0, "no row of the benchmark was read");
    ensure!(
        head.contains(words) && head.contains("THIS IS QEMU"),
        "the table's head does not say \"{words}\" and that this is QEMU: {head}"
    );
    Ok(format!(
        "booted and read by the lines of its README.md, {benchmark} rows"
    ))
}

/// The reader fails no row that it has not got: a log that was not read, or the C's twice.
fn all_passed(rows: &[Row], passed: &[Passed]) -> Result<()> {
    for (name, words) in passed {
        let is_it = |row: &Row| row.name == *name && row.detail.contains(words);
        ensure!(
            rows.iter()
                .any(|row| is_it(row) && row.status == Status::Pass),
            "the reader has no row \"{name}\" that passed with \"{words}\""
        );
    }
    Ok(())
}

/// Runs QEMU's line in the folder, and types at the firmware's prompt.
fn booted(
    progress: Progress,
    image: &Path,
    machine: &str,
    typed: &[String],
    log: &Path,
) -> Result<()> {
    let name = log.file_stem().unwrap_or_default().to_string_lossy();
    let mut task = progress.start(format!("Booting a board's image ({name})"));
    let out = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut shell = command::bound("sh");
    shell
        .args(["-c", &format!("exec {machine}")])
        .current_dir(image)
        .stdin(Stdio::piped())
        .stdout(out.try_clone().context("cannot share a file")?)
        .stderr(out);
    let mut qemu = Running::start(&mut shell)?;
    write_lines(&mut qemu, typed, log)?;
    let limits = Limits::new(Some(240), false);
    let ended = qemu.watch(log, limits, &mut task, Vec::new)?;
    if ended != (Ended::ByItself { success: true }) {
        bail!("{ended}; see {}", log.display());
    }
    task.done();
    Ok(())
}

/// Types each line when it may be.
fn write_lines(qemu: &mut Running, typed: &[String], log: &Path) -> Result<()> {
    let started = Instant::now();
    let mut typed = typed.iter();
    let mut seen = 0;
    let mut hurried = false;
    loop {
        let printed =
            std::fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
        let text = plain(&String::from_utf8_lossy(&printed));
        let hurry = HURRY.iter().find(|(words, _)| text.contains(words));
        if let (Some((_, key)), false) = (hurry, hurried) {
            hurried = true;
            qemu.type_in(key)?;
        } else if printed.len() > seen && PROMPTS.iter().any(|prompt| text.ends_with(prompt)) {
            seen = printed.len();
            match typed.next() {
                Some(line) => qemu.type_in(&format!("{line}\r"))?,
                None => bail!(
                    "{} has a prompt again: the last line did not start Xen",
                    log.display()
                ),
            }
        }
        if typed.len() == 0 && text.contains("(XEN)") {
            return Ok(());
        }
        ensure!(
            started.elapsed() < Duration::from_secs(120),
            "Xen did not start; see {}",
            log.display()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A terminal's text without what moves the cursor and sets colours: ESC, `[`, numbers, a letter.
fn plain(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain += part
            .trim_start_matches(|c: char| !c.is_alphabetic())
            .get(1..)
            .unwrap_or_default();
    }
    plain
}

/// The lines in the fences of a section.
fn lines(readme: &str, section: &str) -> Vec<String> {
    let heading = format!("## {section}");
    let mut inside = false;
    let mut fenced = false;
    let mut found = Vec::new();
    for line in readme.lines() {
        if line.starts_with("## ") {
            inside = line == heading;
        } else if line.starts_with("```") {
            fenced = !fenced;
        } else if inside && fenced {
            found.push(line.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{all_passed, for_rust, lines, plain, Row, BOTH};

    const README: &str = "# A\n## B\n```\nrun p2m_c\n```\ntext\n## C\n```\nxen-c.efi\n```\nwith xen-rust.efi, p2m_rust\n";

    #[test]
    fn a_log_that_was_not_read_does_not_pass() {
        let rows: Vec<Row> = BOTH
            .iter()
            .map(|(name, words)| Row::of(name, Ok(format!("4 {words}"))))
            .collect();
        assert!(all_passed(&rows, &BOTH).is_ok());
        for (at, (name, _)) in BOTH.iter().enumerate() {
            let mut without = rows.clone();
            without.remove(at);
            assert!(all_passed(&without, &BOTH).is_err(), "{name}");
            without.push(Row::info(name, "4 operations agree".to_owned()));
            assert!(all_passed(&without, &BOTH).is_err(), "{name}");
            without.push(Row::of(name, Ok("something else".to_owned())));
            assert!(all_passed(&without, &BOTH).is_err(), "{name}");
        }
    }

    #[test]
    fn a_prompt_among_colours() {
        assert_eq!(
            plain("a\r\n\x1b[11;01H\x1b[1mShell> \x1b[0m\x1b[37m"),
            "a\r\nShell> "
        );
        assert_eq!(plain("=> "), "=> ");
        assert_eq!(plain("x\x1b["), "x");
    }

    #[test]
    fn lines_are_those_of_the_section() {
        assert_eq!(lines(README, "B"), ["run p2m_c"]);
        assert_eq!(lines(README, "C"), ["xen-c.efi"]);
        assert!(lines(README, "D").is_empty());
    }

    #[test]
    fn the_rust_is_started_as_the_readme_says() -> anyhow::Result<()> {
        assert_eq!(for_rust(README, &lines(README, "B"))?, ["run p2m_rust"]);
        assert_eq!(for_rust(README, &lines(README, "C"))?, ["xen-rust.efi"]);
        assert!(for_rust("nothing", &[]).is_err());
        Ok(())
    }
}
