// SPDX-License-Identifier: GPL-2.0-only
//! Views of a guest's memory (altp2m), from the release on in which a domain can be created with them: with their
//! option off, and on.

use anyhow::Result;

use super::identity;
use super::run::{alone, booted, diff};
use crate::base::cli::{BuildArgs, DiffArgs, Extra, P2m, Patches, SourceArgs};
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::checks::gates;

/// Operations on the host p2m, each with one on a view after it; and of all CPUs at once.
const IN_TURN: u64 = 10_000;
const AT_ONCE: u64 = 20_000;

/// With the option off a Xen with the Rust is what it is without the patches for views. (With the C it is what it
/// is without any patch, which another step sees.)
pub(super) fn off(
    paths: &Paths,
    progress: Progress,
    source: &SourceArgs,
) -> Result<Result<String, String>> {
    let build = |patches| {
        let args = BuildArgs {
            source: source.clone(),
            patches,
            ..BuildArgs::of(P2m::Rust)
        };
        alone(paths, progress, &args)
    };
    let (with, without) = (build(Patches::All)?, build(Patches::WithoutViews)?);
    let same = identity::compare(paths, &without.tree, &with.tree)?;
    let sizes = [&with, &without].map(|xen| identity::text_size(&xen.syms()));
    let [with_size, without_size] = sizes;
    let (with_size, without_size) = (with_size?, without_size?);
    // Nothing else needs it.
    std::fs::remove_dir_all(&without.tree)?;
    Ok(match same {
        Ok(_) if with_size != without_size => Err(format!(
            "{with_size} bytes of text with the patches, {without_size} without them"
        )),
        Ok(text) => Ok(format!("{text}; {with_size} bytes of text")),
        why => why,
    })
}

/// A debug build with views and the self-test: the host p2m with and without views, all CPUs at once, and dom0.
pub(super) fn on(
    paths: &Paths,
    progress: Progress,
    source: &SourceArgs,
) -> Result<Result<String, String>> {
    let mut told = Vec::new();
    for (args, what) in [
        (DiffArgs::short(false, IN_TURN), "in turn"),
        (DiffArgs::stress(AT_ONCE), "at once"),
    ] {
        let what = format!("{} operations {what}", args.ops);
        match diff(paths, progress, source, args.with_views(), what)? {
            Ok(text) => told.push(text),
            why => return Ok(why),
        }
    }
    let xen = BuildArgs {
        debug: true,
        source: source.clone(),
        extra: Some(Extra::SelftestViews),
        ..BuildArgs::of(P2m::Rust)
    };
    let xen = alone(paths, progress, &xen)?;
    if let Err(why) = gates::symbol_length(&xen)? {
        return Ok(Err(why));
    }
    Ok(booted(paths, progress, source, &xen)?.map(|text| {
        told.push(format!("dom0 with {text}"));
        told.join(", ")
    }))
}
