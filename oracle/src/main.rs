// SPDX-License-Identifier: GPL-2.0-only
//! `oracle run MACHINE SEED OPERATIONS DIR`, `oracle replay FILE`: for
//! `cargo xtask diff --host`, which builds it with Xen's C.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use oracle::process::shrink::parse;
use oracle::process::supervise::{self, DIFFERS};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match command(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(DIFFERS.unsigned_abs().try_into().unwrap_or(1)),
        Err(message) => {
            eprintln!("oracle: {message}");
            ExitCode::FAILURE
        }
    }
}

fn command(args: &[&str]) -> Result<bool, String> {
    match args {
        ["run", machine, seed, operations, dir] => supervise::run(
            machine.parse()?,
            number(seed)?,
            number(operations)?,
            Path::new(dir),
        ),
        ["work", machine, seed, episodes] => {
            said(work(machine.parse()?, number(seed)?, number(episodes)?))
        }
        ["replay", file] => {
            let (machine, ops) = parse(&read(file)?)?;
            said(replay(machine.parse()?, &ops))
        }
        _ => Err("what is asked for? `cargo xtask diff --host` knows".into()),
    }
}

fn said(result: Result<(), String>) -> Result<bool, String> {
    if let Err(difference) = &result {
        println!("{difference}");
    }
    Ok(result.is_ok())
}

#[cfg(xen_c)]
use oracle::process::worker::{replay, work};

#[cfg(not(xen_c))]
use oracle::ops::machine::Machine;

#[cfg(not(xen_c))]
fn work(_: Machine, _: u64, _: u64) -> Result<(), String> {
    Err("this was built without Xen's C".into())
}

#[cfg(not(xen_c))]
fn replay(_: Machine, _: &[oracle::ops::op::Op]) -> Result<(), String> {
    Err("this was built without Xen's C".into())
}

fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("{text} is no number"))
}

fn read(file: &str) -> Result<String, String> {
    if file != "-" {
        return std::fs::read_to_string(file).map_err(|e| format!("cannot read {file}: {e}"));
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|e| format!("cannot read the operations: {e}"))?;
    Ok(text)
}
