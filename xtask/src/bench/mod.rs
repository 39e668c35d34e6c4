// SPDX-License-Identifier: GPL-2.0-only
//! Counting what the C and the Rust p2m do for the same operations.
//!
//! Xen is built twice with `CONFIG_P2M_BENCH=y`, once with each p2m, and both run the same object
//! with the operations in it, on a machine whose instructions a plugin counts (`plugin`,
//! `machine`, `counts`). `columns` and `rows` say what the numbers mean, `remainders` which are
//! made of others, `bounds` how long the p2m lock may be held; `compilers` what another
//! compiler changes; `report` and `chart` write them down. Nothing of that is a time. Times are in
//! `native`: of both on the machine that this runs on.

pub(crate) mod board;
mod bounds;
mod chart;
mod columns;
mod compilers;
mod counts;
mod guests;
mod machine;
pub(crate) mod native;
mod plugin;
mod remainders;
mod report;
mod rows;

use std::path::Path;

use anyhow::{bail, ensure, Result};

use crate::base::cli::{BenchArgs, BuildArgs, Extra, P2m};
use crate::base::command;
use crate::base::files::{self, Fingerprint};
use crate::base::lock;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::boot::{cpu, images};
use crate::host::tools::{self, Use, CROSS};
use crate::xen::build::{self, BuiltXen};

use counts::Counted;
use machine::Request;
use plugin::Plugin;
use report::Pair;

/// Where the object with the operations is, below the tree.
const OBJECT: &str = "xen/arch/arm/p2m-bench/built_in.o";

/// Builds, counts, compares and writes it down.
pub(crate) fn run(paths: &Paths, progress: Progress, args: &BenchArgs) -> Result<bool> {
    if args.native {
        return native::run(paths, progress, args);
    }
    let mut uses = Use::build(P2m::Rust);
    uses.push(Use::Boot);
    tools::require(paths, progress, &uses)?;
    let cpu = cpu::argument(&args.cpu)?;
    let only = args.only.as_deref();
    let (c, rust, plugin, dom0) = lock::alone(paths, progress, || {
        let c = built(paths, progress, args, P2m::C)?;
        let rust = built(paths, progress, args, P2m::Rust)?;
        let plugin = Plugin::build(paths, progress)?;
        let dom0 = if plugin.is_some() && guests::wanted(only) {
            let images = images::prepare(paths, progress, &c)?;
            Some(guests::images(paths, &images)?)
        } else {
            None
        };
        Ok((c, rust, plugin, dom0))
    })?;
    same_object(paths, &c, &rust)?;
    let dir = paths.run(&format!("bench-{}", args.cpu));
    let request = Request {
        cpu: &cpu,
        rows: only.unwrap_or("all"),
        plugin: plugin.as_ref(),
    };
    let pairs = lock::booting(&dir, || {
        let of = |xen: &BuiltXen| counted(progress, xen, request, &dir, args.repeat);
        let mut all = pairs(of(&c)?, of(&rust)?)?;
        if let (Some(plugin), Some(dom0)) = (&plugin, &dom0) {
            let of = |xen: &BuiltXen| guests::run(progress, xen, &cpu, plugin, dom0, &dir);
            all.extend(pairs(of(&c)?, of(&rust)?)?);
            all.retain(|pair| only.is_none_or(|part| pair.name().contains(part)));
        }
        Ok(all)
    })?;
    ensure!(!pairs.is_empty(), "no row has such a name");
    println!("{}", report::terminal(&pairs));
    println!("Compilers: {}", rust.compilers()?);
    if only.is_none() {
        println!("{}", report::means(&pairs));
    }
    files::write(
        &paths.target().join("bench/counts.tsv"),
        report::tsv(&pairs),
    )?;
    // The floors are for this CPU's shape of the root.
    let published = only.is_none() && plugin.is_some() && args.cpu == "max";
    if published {
        bounds::are_used(&pairs)?;
    }
    if published && args.source.is_default() {
        let own = rust.compilers()?;
        let short = compilers::short(&own).to_owned();
        let others = compilers::others(paths, progress, &rust, request, &dir)?;
        let others = compilers::text(&pairs, &short, &others);
        println!("{others}");
        write_docs(paths, args, &c, &pairs, &own, &others)?;
    }
    Ok(true)
}

fn built(paths: &Paths, progress: Progress, args: &BenchArgs, p2m: P2m) -> Result<BuiltXen> {
    let args = BuildArgs {
        source: args.source.clone(),
        extra: Some(Extra::Bench),
        ..BuildArgs::of(p2m)
    };
    build::build(paths, progress, &args)
}

/// Is what calls the p2m the same to the byte, but for where it was compiled?
fn same_object(paths: &Paths, c: &BuiltXen, rust: &BuiltXen) -> Result<()> {
    let hash = |xen: &BuiltXen| -> Result<String> {
        let stripped = paths.target().join("bench/object.o");
        command::output(
            command::clean(format!("{CROSS}objcopy"))
                .arg("--strip-debug")
                .arg(xen.tree.join(OBJECT))
                .arg(&stripped),
        )?;
        Ok(Fingerprint::default().add_file(&stripped)?.hex())
    };
    ensure!(
        hash(c)? == hash(rust)?,
        "{OBJECT} is not the same in {} and {}: their counts cannot be compared",
        c.tree.display(),
        rust.tree.display()
    );
    Ok(())
}

/// The rows of one build, and that they come out again.
fn counted(
    progress: Progress,
    xen: &BuiltXen,
    request: Request<'_>,
    dir: &Path,
    repeat: bool,
) -> Result<Vec<Counted>> {
    let mut rows = machine::run(progress, xen, request, dir)?;
    if repeat {
        let again = machine::run(progress, xen, request, dir)?;
        let differs = rows
            .iter()
            .zip(&again)
            .find(|(one, two)| !one.same_again(two));
        if let Some((one, two)) = differs {
            bail!(
                "{}: {} is not the same again: {:?} and {:?}",
                xen.name,
                one.name,
                one.numbers,
                two.numbers
            );
        }
        ensure!(rows.len() == again.len(), "{}: rows are missing", xen.name);
        progress.say(&format!(
            "{}: all counts of {} rows are the same again",
            xen.name,
            rows.len()
        ));
    }
    remainders::add(&mut rows);
    if xen.p2m == P2m::Rust {
        bounds::check(&xen.name, &rows)?;
    }
    Ok(rows)
}

fn pairs(c: Vec<Counted>, rust: Vec<Counted>) -> Result<Vec<Pair>> {
    ensure!(c.len() == rust.len(), "C and Rust have not the same rows");
    c.into_iter()
        .zip(rust)
        .map(|(c, rust)| {
            ensure!(c.name == rust.name, "{} is not {}", c.name, rust.name);
            Ok(Pair { c, rust })
        })
        .collect()
}

fn write_docs(
    paths: &Paths,
    args: &BenchArgs,
    xen: &BuiltXen,
    pairs: &[Pair],
    compilers: &str,
    others: &str,
) -> Result<()> {
    let docs = paths.root().join("docs");
    let head = format!(
        include_str!("../../assets/bench/head.md"),
        cpu = args.cpu,
        qemu = plugin::qemu()?,
        xen = xen.source,
        compilers = compilers,
        others = others.trim_end(),
        means = report::means(pairs),
        latency = report::latency(pairs),
        held = bounds::text(pairs),
    );
    files::write(&docs.join("bench.md"), head + &report::markdown(pairs))?;
    let is_size = |pair: &&Pair| {
        ["create-", "destroy-"]
            .iter()
            .any(|start| pair.name().starts_with(start))
    };
    let (sizes, others): (Vec<&Pair>, Vec<&Pair>) = pairs.iter().partition(is_size);
    // Of these only the lock is of interest.
    let others = others
        .into_iter()
        .filter(|pair| !pair.name().starts_with("held-"));
    let owned = |pairs: Vec<&Pair>| pairs.into_iter().cloned().collect::<Vec<Pair>>();
    files::write(
        &docs.join("bench.svg"),
        chart::ratios(&owned(others.collect()))?,
    )?;
    files::write(&docs.join("bench-size.svg"), chart::sizes(&owned(sizes))?)
}
