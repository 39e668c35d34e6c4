// SPDX-License-Identifier: GPL-2.0-only
//! Progress on the terminal: a spinner for a person, plain lines for a log.
//!
//! All of it goes to stderr; stdout is for results (the path of a built Xen, the final table).

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How progress is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    live: bool,
}

impl Progress {
    /// Spinners only where somebody can see them turn.
    pub(crate) fn detect() -> Self {
        let ci = std::env::var_os("CI").is_some_and(|ci| ci != "false" && !ci.is_empty());
        Self {
            live: std::io::stderr().is_terminal() && std::io::stdout().is_terminal() && !ci,
        }
    }

    /// Starts a step; it ends with [`Task::done`] or, on an error, when it is dropped.
    pub(crate) fn start(self, message: impl Into<String>) -> Task {
        let message = message.into();
        let bar = if self.live {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(100));
            bar.set_message(message.clone());
            Some(bar)
        } else {
            eprintln!("{message} ...");
            None
        };
        Task {
            message,
            bar,
            started: Instant::now(),
            last_note: String::new(),
        }
    }

    /// One line that stays.
    pub(crate) fn say(self, message: &str) {
        eprintln!("{message}");
    }
}

/// A step that is under way.
#[derive(Debug)]
pub(crate) struct Task {
    message: String,
    bar: Option<ProgressBar>,
    started: Instant,
    last_note: String,
}

impl Task {
    /// What the step is doing now. Saying the same again prints nothing.
    pub(crate) fn note(&mut self, note: &str) {
        if note == self.last_note {
            return;
        }
        self.last_note = note.to_owned();
        match &self.bar {
            Some(bar) => bar.set_message(format!("{}: {note}", self.message)),
            None => eprintln!("  {note}"),
        }
    }

    /// The step is over; says how long it took when that is worth a line.
    pub(crate) fn done(self) {
        let took = self.started.elapsed().as_secs();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            eprintln!("{} ({took} s)", self.message);
        } else if took > 0 {
            eprintln!("{}: done in {took} s", self.message);
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
