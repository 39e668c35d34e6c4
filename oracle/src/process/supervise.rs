// SPDX-License-Identifier: GPL-2.0-only
//! One machine's run, from outside: a worker process does it, for either side
//! may end its process or never come back. What fails is shrunk in processes,
//! too.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{channel, RecvTimeoutError};
use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::ops::generate::{episode, LENGTH};
use crate::ops::machine::Machine;
use crate::ops::op::Op;
use crate::process::shrink::{shrink, text};

/// A worker that says nothing for so long hangs.
const SILENCE: Duration = Duration::from_secs(120);

/// A shrunk list takes no longer than this, if it ends.
const PATIENCE: Duration = Duration::from_secs(20);

/// Time to shrink.
const SHRINKING: Duration = Duration::from_secs(90);

/// Exit code of a worker that found a difference.
pub const DIFFERS: i32 = 3;

/// How a list of operations ends.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Equal,
    Differs(String),
    Died(String),
    Hangs,
}

impl Verdict {
    /// The same symptom, after the same kind of operation.
    fn is_like(&self, other: &Self) -> bool {
        let symptom = |text: &str| {
            let line = text.lines().next().unwrap_or_default();
            let (what, after) = line.split_once(" after `").unwrap_or((line, ""));
            let first = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
            (first(what), first(after))
        };
        match (self, other) {
            (Self::Differs(a), Self::Differs(b)) => symptom(a) == symptom(b),
            // Not another ASSERT: a shorter list may do what no caller does.
            (Self::Died(a), Self::Died(b)) => a.lines().next() == b.lines().next(),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

/// Runs `operations` of them, at least, in as many episodes as that takes.
/// Prints progress and the result on stdout. True if all agreed.
///
/// # Errors
///
/// What kept it from running.
pub fn run(machine: Machine, seed: u64, operations: u64, dir: &Path) -> Result<bool, String> {
    let episodes = operations.div_ceil(LENGTH).max(1);
    let mut worker = worker(&["work"])?
        .args([machine.to_string(), seed.to_string(), episodes.to_string()])
        // Each episode has new machines with new memory: large pages spare it most of the faults.
        .env("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cannot start the worker: {e}"))?;
    let (lines, last) = channel();
    let stdout = worker.stdout.take().ok_or("no pipe")?;
    let reader = thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                break;
            }
        }
    });
    let stderr = collect(worker.stderr.take());
    let mut at = 0;
    let mut done = None;
    let hangs = loop {
        match last.recv_timeout(SILENCE) {
            Ok(line) => match line.strip_prefix("at ") {
                Some(n) => {
                    at = n.parse().unwrap_or(at);
                    println!("progress {} {}", at * LENGTH, episodes * LENGTH);
                }
                None => done = line.strip_prefix("done ").map(str::to_owned).or(done),
            },
            Err(RecvTimeoutError::Timeout) => break true,
            Err(RecvTimeoutError::Disconnected) => break false,
        }
    };
    if hangs {
        let _ = worker.kill();
    }
    let status = worker.wait().map_err(|e| e.to_string())?;
    let _ = reader.join();
    let complaint = stderr.join().unwrap_or_default();
    if let (true, Some(done)) = (status.success(), done) {
        println!("pass {done}");
        return Ok(true);
    }
    report(machine, seed, at, &complaint, dir)?;
    Ok(false)
}

/// Shrinks the episode that failed and says what happens in it.
fn report(machine: Machine, seed: u64, at: u64, complaint: &str, dir: &Path) -> Result<(), String> {
    let name = machine.to_string();
    let all = episode(machine, seed, at);
    let first = replay(&name, &all)?;
    if first == Verdict::Equal {
        println!("fail episode {at} of seed {seed:#x} failed once and not again: {complaint}");
        return Ok(());
    }
    println!("shrinking {name}");
    let mut fails = |ops: &[Op]| replay(&name, ops).is_ok_and(|v| v.is_like(&first));
    let short = shrink(&all, SHRINKING, &mut fails);
    let what = match replay(&name, &short)? {
        Verdict::Differs(text) => text,
        Verdict::Died(text) => format!("the process ends: {text}"),
        Verdict::Hangs => format!("it does not end within {} s", PATIENCE.as_secs()),
        Verdict::Equal => "it comes and goes".into(),
    };
    fs::create_dir_all(dir).map_err(|e| format!("cannot make {}: {e}", dir.display()))?;
    let file = dir.join(format!("{name}-{seed:x}-{at}.ops"));
    let comment: String = what.lines().map(|line| format!("# {line}\n")).collect();
    fs::write(&file, format!("{comment}{}", text(&name, &short)))
        .map_err(|e| format!("cannot write {}: {e}", file.display()))?;
    let summary = what.lines().next().unwrap_or_default();
    println!("fail {summary} [{}]", file.display());
    println!("{}", text(&name, &short));
    println!("{what}");
    Ok(())
}

fn worker(args: &[&str]) -> Result<Command, String> {
    let me = std::env::current_exe().map_err(|e| format!("where am I? {e}"))?;
    let mut command = Command::new(me);
    command.args(args).stdin(Stdio::null());
    Ok(command)
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Carries a list out in a process of its own.
fn replay(machine: &str, ops: &[Op]) -> Result<Verdict, String> {
    let mut child = worker(&["replay", "-"])?
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cannot start a replay: {e}"))?;
    if let Some(mut input) = child.stdin.take() {
        let _ = input.write_all(text(machine, ops).as_bytes());
    }
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let Some(code) = wait(&mut child) else {
        return Ok(Verdict::Hangs);
    };
    let said = stdout.join().unwrap_or_default();
    Ok(match code {
        Some(0) => Verdict::Equal,
        Some(DIFFERS) => Verdict::Differs(said.trim().to_owned()),
        _ => Verdict::Died(stderr.join().unwrap_or_default().trim().to_owned()),
    })
}

/// The exit code; none if it hangs, an inner none if a signal ended it.
fn wait(child: &mut Child) -> Option<Option<i32>> {
    let end = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status.code());
        }
        if Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}
