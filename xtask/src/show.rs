// SPDX-License-Identifier: GPL-2.0-only
//! `cargo xtask show`: the stage 2 that a log has dumps of, as pictures.

use std::fs;
use std::io::{stdout, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail, Context, Result};
use p2m_show::dump::{self, Dump};
use p2m_show::picture::{svg, terminal, Subject};
use p2m_show::select::{self, Place};

use crate::base::cli::{ShowArgs, Theme};
use crate::base::files;
use crate::base::paths::Paths;

/// Draws what is asked for.
pub(crate) fn run(paths: &Paths, args: &ShowArgs) -> Result<()> {
    let first = Place::parse(&args.file);
    let dumps = read(&first)?;
    let other = args.other.as_deref().map(Place::parse);
    let others = other.as_ref().map_or_else(|| Ok(Vec::new()), read)?;
    let subjects: Vec<(u16, Subject<'_>)> = match &other {
        None => select::one(&first, &dumps, args.domain)
            .map_err(|why| anyhow!(why))?
            .into_iter()
            .map(|dump| (dump.domain, Subject::one(dump)))
            .collect(),
        Some(other) => select::two((&first, other), (&dumps, &others), args.domain)
            .map_err(|why| anyhow!(why))?
            .into_iter()
            .map(|(before, after)| (after.domain, Subject::two(before, after)))
            .collect(),
    };
    if args.svg.is_some() && subjects.len() > 1 {
        bail!(
            "{} has {} domains, and --svg names one file: say which with --domain",
            first.file,
            subjects.len()
        );
    }
    let colours = match stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        true => terminal::Colours::Ansi,
        false => terminal::Colours::None,
    };
    let mut out = String::new();
    if subjects.len() > 1 {
        out += &terminal::tables(subjects.iter().map(|(_, subject)| subject));
        out += "\n";
    }
    for (domain, subject) in &subjects {
        out += &terminal::draw(subject, colours);
        let file = match &args.svg {
            Some(file) => file.clone(),
            None => default_file(paths, &first, other.as_ref(), *domain),
        };
        if let Some(folder) = file.parent().filter(|folder| *folder != Path::new("")) {
            files::create_dir(folder)?;
        }
        files::write(&file, svg::draw(subject, theme(args.theme)))?;
        out += &format!("\nAs a picture: {}\n\n", file.display());
    }
    // Who reads the output may stop reading.
    let _ = stdout().write_all(out.as_bytes());
    Ok(())
}

fn read(place: &Place) -> Result<Vec<Dump>> {
    let file = &place.file;
    let bytes = fs::read(file).with_context(|| format!("cannot read {file}"))?;
    dump::read(&String::from_utf8_lossy(&bytes)).map_err(|error| match error.line {
        0 => anyhow!("{file}: {error}"),
        line => anyhow!("{file}, line {line}: {}", error.what),
    })
}

/// `target/show/console-d1.svg`, or `...-changes.svg`.
fn default_file(paths: &Paths, first: &Place, other: Option<&Place>, domain: u16) -> PathBuf {
    let last = other.unwrap_or(first);
    let stem = Path::new(&last.file).file_stem().unwrap_or_default();
    let kind = if other.is_some() { "-changes" } else { "" };
    let name = format!("{}-d{domain}{kind}.svg", stem.to_string_lossy());
    paths.target().join("show").join(name)
}

const fn theme(theme: Theme) -> svg::Theme {
    match theme {
        Theme::Auto => svg::Theme::Auto,
        Theme::Light => svg::Theme::Light,
        Theme::Dark => svg::Theme::Dark,
    }
}
