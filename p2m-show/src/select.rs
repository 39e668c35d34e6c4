// SPDX-License-Identifier: GPL-2.0-only
//! Which dumps of which domains are meant: a log may have several.

use std::collections::BTreeSet;

use crate::dump::{Dump, Error, Found};

/// `LOG`, or `LOG@2` for the second dump of each domain in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: String,
    /// Which of a domain's dumps, from 1 on; the last one if it is not said.
    pub number: Option<usize>,
}

impl Place {
    /// The last dumps of a file.
    #[must_use]
    pub fn last(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            number: None,
        }
    }

    /// From a command line.
    ///
    /// # Errors
    ///
    /// `LOG@0`; a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let number = text
            .rsplit_once('@')
            .and_then(|(file, number)| Some((file, number.parse().ok()?)));
        match number {
            Some((_, 0)) => Err(format!("{text}: the first dump of a domain has number 1")),
            Some((file, number)) => Ok(Self {
                file: file.to_owned(),
                number: Some(number),
            }),
            None => Ok(Self::last(text)),
        }
    }

    /// The dump of a domain. What is wrong with others does no harm.
    fn of<'d>(&self, dumps: &'d [Found], domain: u16) -> Result<&'d Dump, String> {
        let all: Vec<&Found> = dumps
            .iter()
            .filter(|found| found.domain == domain)
            .collect();
        let found = match self.number {
            Some(number) => all.get(number - 1),
            None => all.last(),
        };
        let file = &self.file;
        match (found, self.number, all.len()) {
            (Some(found), ..) => {
                let dump = found.dump.as_ref();
                dump.map_err(|error| self.damaged(error, domain, &all))
            }
            (None, Some(number), 1) => Err(format!(
                "{file} has no dump {number} of d{domain}: it has one"
            )),
            (None, Some(number), 2..) => Err(format!(
                "{file} has no dump {number} of d{domain}: it has {}",
                all.len()
            )),
            (None, ..) => Err(format!(
                "{file} has no dump of d{domain}, but of {}",
                names(dumps)
            )),
        }
    }

    /// What is said of a dump that is not whole: what is wrong with it, and which ones are.
    fn damaged(&self, error: &Error, domain: u16, all: &[&Found]) -> String {
        let file = &self.file;
        let whole = (1..).zip(all).filter(|(_, found)| found.dump.is_ok());
        let whole: Vec<String> = whole.map(|(n, _)| format!("{file}@{n}")).collect();
        let others = match (all.len(), whole.is_empty()) {
            (1, _) => format!("it is the only dump of d{domain}"),
            (_, true) => format!("no dump of d{domain} is whole"),
            (_, false) => format!("whole dumps of d{domain}: {}", whole.join(", ")),
        };
        format!("{file}, line {}: {} ({others})", error.line, error.what)
    }
}

fn domains(dumps: &[Found]) -> BTreeSet<u16> {
    dumps.iter().map(|found| found.domain).collect()
}

fn names(dumps: &[Found]) -> String {
    let names: Vec<String> = domains(dumps).iter().map(|id| format!("d{id}")).collect();
    names.join(", ")
}

/// The dumps to draw, one of each domain.
///
/// # Errors
///
/// There is none of what was asked for, or it is not whole; a sentence.
pub fn one<'d>(
    place: &Place,
    dumps: &'d [Found],
    domain: Option<u16>,
) -> Result<Vec<&'d Dump>, String> {
    if let Some(domain) = domain {
        return Ok(vec![place.of(dumps, domain)?]);
    }
    let number = place.number.unwrap_or(1);
    let has_it = |domain: &u16| {
        let all = dumps.iter().filter(|found| found.domain == *domain);
        all.count() >= number
    };
    let mut all = domains(dumps);
    match (all.iter().any(has_it), all.first().copied()) {
        // Other domains may have fewer.
        (true, _) => all.retain(has_it),
        // All have: it is said of one.
        (false, first) => all = first.into_iter().collect(),
    }
    all.into_iter()
        .map(|domain| place.of(dumps, domain))
        .collect()
}

/// The pairs to compare: the dumps of each domain that both have, or the only one of each.
///
/// # Errors
///
/// As for [`one`].
pub fn two<'d>(
    (before, after): (&Place, &Place),
    (old, new): (&'d [Found], &'d [Found]),
    domain: Option<u16>,
) -> Result<Vec<(&'d Dump, &'d Dump)>, String> {
    if let Some(domain) = domain {
        return Ok(vec![(before.of(old, domain)?, after.of(new, domain)?)]);
    }
    let (olds, news) = (one(before, old, None)?, one(after, new, None)?);
    let pairs: Vec<_> = olds
        .iter()
        .filter_map(|&old| {
            let same = news.iter().find(|new| new.domain == old.domain);
            same.map(|&new| (old, new))
        })
        .collect();
    // A log may have one dump of some domains only, which is the first one and the last.
    let is_another =
        |(old, new): &(&Dump, &Dump)| before.file != after.file || old.lines != new.lines;
    let others: Vec<_> = pairs.iter().copied().filter(is_another).collect();
    match (pairs.is_empty(), olds.as_slice(), news.as_slice()) {
        (false, ..) if !others.is_empty() => Ok(others),
        (true, [old], [new]) => Ok(vec![(*old, *new)]),
        (true, ..) => Err(format!(
            "no domain is in both: {} has {}, {} has {}",
            before.file,
            names(old),
            after.file,
            names(new)
        )),
        _ => Ok(pairs),
    }
}
