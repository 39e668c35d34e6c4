// SPDX-License-Identifier: GPL-2.0-only
//! The test of the seed's bug can fail: Xen's C with the old locking put back
//! (`patches/test/old-locking.patch`) must hang in it.
//!
//! The Rust has no such build: with the lock held, the walk of the guest's tables does not compile.

use anyhow::Result;

use super::lines::Line;
use super::scenario::Verdict;
use super::scenarios::SEED;
use super::session::{self, Plan, Session};
use crate::base::cli::{Extra, P2m};
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::boot::qemu::Ended;

/// For `--only`.
pub(super) const NAME: &str = "old-locking";

/// Where the writer waits for the readers to go. It holds the rwlock's inner spinlock meanwhile, and
/// that is where the reader waits that comes a second time.
const WRITER: &str = "queue_write_lock_slowpath";
const READER: [&str; 2] = ["_spin_lock", "queue_read_lock_slowpath"];

/// Boots it, and is content when it hangs.
pub(super) fn run(paths: &Paths, progress: Progress) -> Result<Line> {
    let mut plan = Plan::seed(vec![SEED]);
    plan.name = "old-locking";
    plan.extra = Some(Extra::OldLocking);
    let session = session::run(paths, progress, &plan, P2m::C)?;
    let result = hang(&session);
    let verdict = match &result {
        Ok(_) => Verdict::Pass,
        Err(_) => Verdict::Fail("it did not hang".to_owned()),
    };
    let (Ok(c) | Err(c)) = result;
    Ok(Line {
        title: "the same with the old locking".to_owned(),
        c,
        rust: "does not compile (E0499)".to_owned(),
        verdict,
    })
}

/// It must have said nothing any more, with a CPU waiting for a lock.
fn hang(session: &Session) -> Result<String, String> {
    let flips = session
        .steps
        .iter()
        .find(|step| step.name == SEED.name)
        .and_then(|step| {
            let mut lines = step.lines.iter().rev();
            lines.find_map(|line| line.trim().strip_prefix("flips="))
        });
    let Ended::Silence(seconds, cpus) = &session.ended else {
        return Err(format!(
            "{}, {} changes of access",
            session.ended,
            flips.unwrap_or("no")
        ));
    };
    let at = |name: &str| {
        cpus.iter()
            .any(|cpu| cpu.contains(&format!(" is at {name}+")))
    };
    if !at(WRITER) || !READER.iter().any(|name| at(name)) {
        return Err(format!("silent, but not at a lock: {}", cpus.join("; ")));
    }
    Ok(format!(
        "hangs after {} changes of access, silent for {seconds} s; {}",
        flips.unwrap_or("0"),
        functions(cpus)
    ))
}

/// `CPU 0 is at function+0x10 (...); ...` without the rest, once each.
fn functions(cpus: &[String]) -> String {
    let short = cpus
        .iter()
        .map(|cpu| cpu.split(['+', ',']).next().unwrap_or(cpu));
    let mut short: Vec<&str> = short.collect();
    short.dedup();
    short.join(", ")
}

#[cfg(test)]
mod tests {
    use super::hang;
    use crate::boot::dom0::console::Console;
    use crate::boot::qemu::Ended;
    use crate::e2e::session::Session;

    fn session(ended: Ended) -> Session {
        Session {
            steps: Console::parse("@@step seed begin\nflips=4\nflips=12\n").steps(),
            end: Err(String::new()),
            ended,
        }
    }

    #[test]
    fn only_a_hang_at_the_lock_counts() {
        let at = |function: &str| format!("CPU 0 is at {function}+0x10 (0x1); X30 is x");
        let lock = vec![at("queue_write_lock_slowpath"), at("_spin_lock")];
        let text = hang(&session(Ended::Silence(120, lock.clone())));
        assert!(text.is_ok_and(|text| text.contains("after 12 changes")));
        let half = lock.into_iter().take(1).collect();
        assert!(hang(&session(Ended::Silence(120, half))).is_err());
        assert!(hang(&session(Ended::Silence(120, vec![at("idle_loop")]))).is_err());
        assert!(hang(&session(Ended::ByItself { success: true })).is_err());
    }
}
