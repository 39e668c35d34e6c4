// SPDX-License-Identifier: GPL-2.0-only
//! `cargo xtask test --e2e`: Xen's own tools and real guests, with the C and with the Rust p2m.
//!
//! `scenario` says what a scenario is and how two runs of it are compared, `scenarios` lists those that dom0 drives,
//! `images` makes what is booted, `dom0less` the device tree with more guests, `session` boots and looks at the
//! outcome, `deadlock` shows that the test of the seed's bug can fail.

mod deadlock;
mod dom0less;
mod images;
mod lines;
mod scenario;
mod scenarios;
mod session;

use anyhow::{ensure, Result};

use crate::base::cli::{P2m, TestArgs};
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::table::Row;
use crate::host::tools::{self, Use};

use lines::Line;
use scenario::{Result1, Scenario, Verdict};

/// Runs the scenarios on both and prints the table; true when all passed.
pub(crate) fn run(paths: &Paths, progress: Progress, args: &TestArgs) -> Result<bool> {
    let mut uses = Use::build(P2m::Rust);
    uses.extend([Use::Boot, Use::Tree]);
    tools::require(paths, progress, &uses)?;
    let known: Vec<&str> = scenarios::all()
        .map(|scenario| scenario.name)
        .chain([deadlock::NAME])
        .collect();
    for name in &args.only {
        ensure!(
            known.contains(&name.as_str()),
            "there is no scenario {name}: use some of {}",
            known.join(", ")
        );
    }
    let wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|only| only == name);
    let chosen = |list: &[Scenario]| -> Vec<Scenario> {
        let mut chosen: Vec<Scenario> = list.iter().copied().filter(|s| wanted(s.name)).collect();
        // The neighbour that others look at.
        let two = list.iter().find(|s| s.name == scenarios::NEIGHBOURS);
        if let Some(two) = two.filter(|two| !chosen.is_empty() && !wanted(two.name)) {
            chosen.insert(0, *two);
        }
        chosen
    };
    let mut lines = Vec::new();
    for plan in [
        session::Plan::tools(chosen(scenarios::IN_ONE_BOOT)),
        session::Plan::monitor(chosen(scenarios::WITH_MONITOR)),
        session::Plan::smmu(chosen(scenarios::BEHIND_SMMU)),
        session::Plan::smmu_of_dom0(chosen(&[scenarios::DMA_OF_DOM0])),
        session::Plan::dom0less(chosen(&[scenarios::DOM0LESS])),
        session::Plan::seed(chosen(&[scenarios::SEED])),
    ] {
        if !plan.scenarios.is_empty() {
            lines.extend(both(paths, progress, &plan)?);
        }
    }
    let views = session::Plan::views(chosen(scenarios::WITH_VIEWS)).with_seed(args.seed);
    if !views.scenarios.is_empty() {
        lines.extend(rust_alone(paths, progress, &views)?);
    }
    if wanted(deadlock::NAME) {
        lines.push(deadlock::run(paths, progress)?);
    }
    lines::print(&lines);
    Ok(lines.iter().all(|line| line.verdict.passed()))
}

/// The short form: the quick scenarios with the Rust alone, each judged by itself; and those of them that need a
/// device behind an SMMU, or views, in a boot of their own.
pub(crate) fn short(paths: &Paths, progress: Progress) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for plan in [
        session::Plan::short(scenarios::SHORT.to_vec()),
        session::Plan::smmu(scenarios::SHORT_BEHIND_SMMU.to_vec()),
        session::Plan::short_views(scenarios::SHORT_WITH_VIEWS.to_vec()),
    ] {
        let session = session::run(paths, progress, &plan, P2m::Rust)?;
        rows.extend(plan.scenarios.iter().map(|scenario| {
            let seen = session.of(scenario).map(|seen| seen.text);
            Row::of(scenario.title, seen)
        }));
        rows.push(Row::of("end of that boot", session.end));
    }
    Ok(rows)
}

/// Boots the C and the Rust, one after the other, and compares.
fn both(paths: &Paths, progress: Progress, plan: &session::Plan) -> Result<Vec<Line>> {
    let c = session::run(paths, progress, plan, P2m::C)?;
    let rust = session::run(paths, progress, plan, P2m::Rust)?;
    let mut lines: Vec<Line> = plan
        .scenarios
        .iter()
        .map(|scenario| {
            let (c, rust) = (c.of(scenario), rust.of(scenario));
            Line {
                title: scenario.title.to_owned(),
                verdict: scenario::compare(scenario, &c, &rust),
                c: text(c),
                rust: text(rust),
            }
        })
        .collect();
    let verdict = match (&c.end, &rust.end) {
        (Ok(_), Ok(_)) => Verdict::Pass,
        (Err(_), _) => Verdict::Fail("C".to_owned()),
        (_, Err(_)) => Verdict::Fail("Rust".to_owned()),
    };
    let (Ok(c) | Err(c)) = c.end;
    let (Ok(rust) | Err(rust)) = rust.end;
    lines.push(Line {
        title: format!("end of the boot: {}", plan.name),
        c,
        rust,
        verdict,
    });
    Ok(lines)
}

/// Boots the Rust: the C has nothing of this.
fn rust_alone(paths: &Paths, progress: Progress, plan: &session::Plan) -> Result<Vec<Line>> {
    let session = session::run(paths, progress, plan, P2m::Rust)?;
    let seen = plan
        .scenarios
        .iter()
        .map(|scenario| (scenario.title, session.of(scenario).map(|seen| seen.text)));
    let end = format!("end of the boot: {}", plan.name);
    Ok(seen
        .chain([(end.as_str(), session.end.clone())])
        .map(|(title, result)| Line {
            title: title.to_owned(),
            c: "has no such thing".to_owned(),
            verdict: match &result {
                Ok(_) => Verdict::Pass,
                Err(_) => Verdict::Fail("Rust".to_owned()),
            },
            rust: match result {
                Ok(text) => text,
                Err(why) => format!("FAIL: {why}"),
            },
        })
        .collect())
}

fn text(result: Result1) -> String {
    match result {
        Ok(seen) => seen.text,
        Err(why) => format!("FAIL: {why}"),
    }
}
