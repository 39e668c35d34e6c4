// SPDX-License-Identifier: GPL-2.0-only
//! Where a machine that says nothing any more is: each CPU's program counter and link register, some
//! times in a row, by QEMU's monitor, as functions of Xen; and what Xen says of itself, if it still answers.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::xen::image::{self, Symbol};

/// How often it is asked: a CPU that is stuck is at one place, one that is slow at many.
const SAMPLES: usize = 8;

/// How the console's input is taken from dom0, and then Xen's debug keys: dom0's registers, run queues,
/// timers, domains and their vCPUs, event channels.
const DEBUG_KEYS: [&str; 6] = ["\x01\x01\x01", "0", "r", "a", "q", "e"];

/// How long the answer to one key may be, at most.
const PATIENCE: Duration = Duration::from_secs(10);

/// Types Xen's debug keys at its console, and says where the answers are: not in the console's log, which
/// still ends with what was said before. (Of a machine that was not silent, but took too long, what it says
/// meanwhile is among the answers.)
pub(crate) fn ask_xen(keyboard: &Path, log: &Path) -> Option<String> {
    ask_within(keyboard, log, Duration::from_secs(1))
}

/// An answer is over when nothing more was said for so long.
fn ask_within(keyboard: &Path, log: &Path, pause: Duration) -> Option<String> {
    let said = fs::metadata(log).ok()?.len();
    let mut socket = UnixStream::connect(keyboard).ok()?;
    socket.set_read_timeout(Some(pause)).ok()?;
    let mut answers = Vec::new();
    for key in DEBUG_KEYS {
        socket.write_all(key.as_bytes()).ok()?;
        // QEMU waits for whoever is connected: nothing may be left unread.
        let asked = Instant::now();
        let mut some = [0; 4096];
        while asked.elapsed() < PATIENCE {
            match socket.read(&mut some) {
                Ok(read) if read > 0 => answers.extend_from_slice(some.get(..read)?),
                _ => break,
            }
        }
    }
    File::options()
        .write(true)
        .open(log)
        .and_then(|log| log.set_len(said))
        .ok()?;
    if answers.is_empty() {
        return Some("Xen did not answer its debug keys".to_owned());
    }
    let path = log.with_file_name("hang.log");
    fs::write(&path, answers).ok()?;
    Some(format!(
        "What Xen answered to its debug keys is in {}",
        path.display()
    ))
}

/// A line for each place at which a CPU was found, or nothing when QEMU does not answer.
pub(crate) fn describe(monitor: &Path, syms: &Path) -> Vec<String> {
    let mut symbols = image::symbols(syms).unwrap_or_default();
    symbols.retain(|symbol| matches!(symbol.kind, 'T' | 't') && !symbol.name.starts_with('$'));
    symbols.sort_by_key(|symbol| symbol.address);
    let mut lines: Vec<String> = (0..SAMPLES)
        .filter_map(|_| ask(monitor, "info registers -a\n"))
        .flat_map(|registers| places(&registers, &symbols))
        .collect();
    lines.sort();
    lines.dedup();
    lines
}

/// One line a CPU.
fn places(registers: &str, symbols: &[Symbol]) -> Vec<String> {
    let counters = values(registers, "PC=");
    let links = values(registers, "X30=");
    counters
        .iter()
        .zip(links)
        .enumerate()
        .map(|(cpu, (&pc, link))| {
            let (at, from) = (name(symbols, pc), name(symbols, link));
            format!("CPU {cpu} is at {at}; X30 is {from}")
        })
        .collect()
}

/// Sends a command to the monitor and reads until it has nothing more to say.
fn ask(monitor: &Path, command: &str) -> Option<String> {
    let mut socket = UnixStream::connect(monitor).ok()?;
    socket
        .set_read_timeout(Some(Duration::from_millis(500)))
        .ok()?;
    socket.write_all(command.as_bytes()).ok()?;
    let mut answer = Vec::new();
    // It ends with an error: the time-out.
    let _ = socket.read_to_end(&mut answer);
    Some(String::from_utf8_lossy(&answer).into_owned())
}

/// A register of each CPU, in the CPUs' order.
fn values(registers: &str, register: &str) -> Vec<u64> {
    registers
        .split_whitespace()
        .filter_map(|word| u64::from_str_radix(word.strip_prefix(register)?, 16).ok())
        .collect()
}

/// `function+0x10`, or the bare address of what is not Xen's code (dom0, a guest).
fn name(symbols: &[Symbol], pc: u64) -> String {
    let end = symbols
        .iter()
        .find(|symbol| symbol.name == "_etext")
        .and_then(|symbol| symbol.address);
    let at = symbols.partition_point(|symbol| symbol.address <= Some(pc));
    let before = at.checked_sub(1).and_then(|at| symbols.get(at));
    match before.and_then(|symbol| Some((symbol, pc.checked_sub(symbol.address?)?))) {
        Some((symbol, offset)) if end.is_none_or(|end| pc < end) => {
            format!("{}+{offset:#x} ({pc:#x})", symbol.name)
        }
        _ => format!("{pc:#x}, outside Xen"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;
    use std::path::Path;
    use std::time::Duration;

    use super::{ask_within, name, values, DEBUG_KEYS};
    use crate::xen::image::Symbol;

    /// A machine whose console's log is in `dir`: it answers each key, or only takes them, and logs what it says.
    fn ask_machine(
        dir: &Path,
        answers: bool,
        pause: Duration,
    ) -> anyhow::Result<(Option<String>, Vec<u8>)> {
        let (keyboard, log) = (dir.join("keyboard"), dir.join("console.log"));
        fs::write(&log, "the last words\n")?;
        let listener = UnixListener::bind(&keyboard)?;
        let logged = log.clone();
        let machine = std::thread::spawn(move || -> std::io::Result<Vec<u8>> {
            let (mut socket, _) = listener.accept()?;
            let (mut typed, mut key) = (Vec::new(), [0; 8]);
            loop {
                let count = socket.read(&mut key)?;
                let Some(key) = key.get(..count).filter(|key| !key.is_empty()) else {
                    return Ok(typed);
                };
                typed.extend_from_slice(key);
                if answers {
                    let mut log = fs::File::options().append(true).open(&logged)?;
                    log.write_all(b"an answer\n")?;
                    socket.write_all(b"an answer\n")?;
                }
            }
        });
        let said = ask_within(&keyboard, &log, pause);
        let typed = machine
            .join()
            .map_err(|_| anyhow::anyhow!("it panicked"))??;
        Ok((said, typed))
    }

    #[test]
    fn what_xen_answers_is_kept_beside_the_log_and_not_in_it() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let (said, typed) = ask_machine(dir.path(), true, Duration::from_secs(1))?;
        assert_eq!(typed, DEBUG_KEYS.concat().into_bytes());
        let answers = dir.path().join("hang.log");
        assert!(said.is_some_and(|said| said.contains(&answers.display().to_string())));
        assert_eq!(
            fs::read_to_string(answers)?,
            "an answer\n".repeat(DEBUG_KEYS.len())
        );
        let log = fs::read_to_string(dir.path().join("console.log"))?;
        assert_eq!(log, "the last words\n");
        Ok(())
    }

    #[test]
    fn a_xen_that_does_not_answer_is_said_not_to() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let (said, typed) = ask_machine(dir.path(), false, Duration::from_millis(20))?;
        assert_eq!(typed, DEBUG_KEYS.concat().into_bytes());
        assert!(said.is_some_and(|said| said.contains("did not answer")));
        assert!(!dir.path().join("hang.log").exists());
        // Where nobody listens nothing is said.
        fs::remove_file(dir.path().join("keyboard"))?;
        let log = dir.path().join("console.log");
        assert_eq!(
            ask_within(&dir.path().join("keyboard"), &log, Duration::ZERO),
            None
        );
        Ok(())
    }

    #[test]
    fn registers_of_all_cpus() {
        let text = "QEMU 7.2 monitor\r\n\r\nCPU#0\r\n PC=00000a0000265a10 X00=1 X30=7\r\n\
                    CPU#1\r\n PC=ffff800080011234 X00=PC\r\nX30=000000000000000a\r\n";
        assert_eq!(
            values(text, "PC="),
            [0xa00_0026_5a10, 0xffff_8000_8001_1234]
        );
        assert_eq!(values(text, "X30="), [7, 10]);
    }

    #[test]
    fn nearest_function_below() {
        let symbol = |address, name: &str| Symbol {
            address: Some(address),
            kind: 'T',
            name: name.to_owned(),
        };
        let symbols = [
            symbol(0x100, "one"),
            symbol(0x200, "two"),
            symbol(0x300, "_etext"),
        ];
        assert_eq!(name(&symbols, 0x210), "two+0x10 (0x210)");
        assert_eq!(name(&symbols, 0x1ff), "one+0xff (0x1ff)");
        assert_eq!(name(&symbols, 0x300), "0x300, outside Xen");
        assert_eq!(name(&symbols, 0x50), "0x50, outside Xen");
    }
}
