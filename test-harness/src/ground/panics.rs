// SPDX-License-Identifier: GPL-2.0-only
//! How the process ends, with words that the test runner does not swallow.
//!
//! A panic inside the hypervisor's code cannot unwind through its C ABI: it
//! aborts the process, and the test runner loses its message. So it is written
//! to the real standard error as well.

use std::io::Write;
use std::sync::Once;

/// Installs the hook, once for the process.
pub(crate) fn show_aborting_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let next = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let inside = info.location().is_some_and(|at| {
                ["p2m-rs", "mem_access-rs"]
                    .iter()
                    .any(|name| at.file().contains(name))
            });
            if inside {
                let test = std::thread::current();
                let name = test.name().unwrap_or("?");
                let _ = writeln!(std::io::stderr(), "\nin test {name}: {info}");
            }
            next(info);
        }));
    });
}

/// Ends the process with a text that the test runner does not swallow.
pub(crate) fn die(text: &str) -> ! {
    let _ = writeln!(std::io::stderr(), "\ntest-harness: {text}");
    std::process::abort()
}
