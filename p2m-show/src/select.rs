// SPDX-License-Identifier: GPL-2.0-only
//! Which dumps of which domains are meant: a log may have several.

use std::collections::BTreeSet;

use crate::dump::Dump;

/// `LOG`, or `LOG@2` for the second dump of each domain in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: String,
    /// Which of a domain's dumps, from 1 on; the last one if it is not said.
    pub number: Option<usize>,
}

impl Place {
    /// From a command line.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let number = text.rsplit_once('@').and_then(|(file, number)| {
            let number = number.parse().ok().filter(|&number| number > 0)?;
            Some((file, number))
        });
        match number {
            Some((file, number)) => Self {
                file: file.to_owned(),
                number: Some(number),
            },
            None => Self {
                file: text.to_owned(),
                number: None,
            },
        }
    }

    /// The dump of a domain.
    fn of<'d>(&self, dumps: &'d [Dump], domain: u16) -> Result<&'d Dump, String> {
        let mut all = dumps.iter().filter(|dump| dump.domain == domain);
        let found = match self.number {
            Some(number) => all.clone().nth(number - 1),
            None => all.next_back(),
        };
        let count = || dumps.iter().filter(|dump| dump.domain == domain).count();
        found.ok_or_else(|| {
            let file = &self.file;
            match (self.number, count()) {
                (_, 0) => format!("{file} has no dump of d{domain}, but of {}", names(dumps)),
                (Some(number), 1) => {
                    format!("{file} has no dump {number} of d{domain}: it has one")
                }
                (Some(number), count) => {
                    format!("{file} has no dump {number} of d{domain}: it has {count}")
                }
                (None, _) => format!("{file} has no dump of d{domain}"),
            }
        })
    }
}

fn domains(dumps: &[Dump]) -> BTreeSet<u16> {
    dumps.iter().map(|dump| dump.domain).collect()
}

fn names(dumps: &[Dump]) -> String {
    let names: Vec<String> = domains(dumps).iter().map(|id| format!("d{id}")).collect();
    names.join(", ")
}

/// The dumps to draw, one of each domain.
///
/// # Errors
///
/// There is none of what was asked for; a sentence.
pub fn one<'d>(
    place: &Place,
    dumps: &'d [Dump],
    domain: Option<u16>,
) -> Result<Vec<&'d Dump>, String> {
    match (domain, place.number) {
        (Some(domain), _) => Ok(vec![place.of(dumps, domain)?]),
        (None, Some(_)) => {
            // Other domains may have fewer.
            let all: Vec<_> = domains(dumps)
                .into_iter()
                .filter_map(|domain| place.of(dumps, domain).ok())
                .collect();
            match (all.is_empty(), domains(dumps).first()) {
                (true, Some(&first)) => place.of(dumps, first).map(|dump| vec![dump]),
                _ => Ok(all),
            }
        }
        (None, None) => domains(dumps)
            .into_iter()
            .map(|domain| place.of(dumps, domain))
            .collect(),
    }
}

/// The pairs to compare: the dumps of each domain that both have, or the only one of each.
///
/// # Errors
///
/// As for [`one`].
pub fn two<'d>(
    (before, after): (&Place, &Place),
    (old, new): (&'d [Dump], &'d [Dump]),
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
    let others = pairs.iter().copied().filter(|(old, new)| old != new);
    let others: Vec<_> = others.collect();
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
