// SPDX-License-Identifier: GPL-2.0-only
//! Which dumps of which domains are meant: a log may have several.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use crate::dump::{Dump, Error, Found};

/// `LOG`, or `LOG@2` for the second dump of each domain in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: String,
    /// Which of a domain's dumps, from 1 on; the last one if it is not said.
    pub number: Option<NonZeroUsize>,
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
            .and_then(|(file, number)| Some((file, number.parse::<usize>().ok()?)));
        let Some((file, number)) = number else {
            return Ok(Self::last(text));
        };
        match NonZeroUsize::new(number) {
            None => Err(format!("{text}: the first dump of a domain has number 1")),
            number => Ok(Self {
                file: file.to_owned(),
                number,
            }),
        }
    }

    /// Which of so many dumps of a domain it is, from 0 on; there may be no such one.
    fn index(&self, all: usize) -> Option<usize> {
        match self.number {
            Some(number) => Some(number.get() - 1),
            None => all.checked_sub(1),
        }
    }

    /// The domains that have such a dump. If none has, it is said of one.
    fn domains(&self, dumps: &[Found]) -> Result<BTreeSet<u16>, String> {
        let mut all = domains(dumps);
        if let Some(&first) = all.first() {
            // Others may have fewer.
            all.retain(|&domain| {
                let found = of_domain(dumps, domain);
                self.index(found.len())
                    .is_some_and(|index| index < found.len())
            });
            if all.is_empty() {
                self.of(dumps, first)?;
            }
        }
        Ok(all)
    }

    /// The dump of a domain. What is wrong with others does no harm.
    fn of<'d>(&self, dumps: &'d [Found], domain: u16) -> Result<&'d Dump, String> {
        let all = of_domain(dumps, domain);
        let found = self.index(all.len()).and_then(|index| all.get(index));
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

fn of_domain(dumps: &[Found], domain: u16) -> Vec<&Found> {
    let all = dumps.iter();
    all.filter(|found| found.domain == domain).collect()
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
    let domains = match domain {
        Some(domain) => [domain].into(),
        None => place.domains(dumps)?,
    };
    let all = domains.into_iter();
    all.map(|domain| place.of(dumps, domain)).collect()
}

/// The pairs to compare: the dumps of each domain that both have, or the only one of each.
///
/// # Errors
///
/// As for [`one`], or that there is nothing to compare; a sentence.
pub fn two<'d>(
    (before, after): (&Place, &Place),
    (old, new): (&'d [Found], &'d [Found]),
    domain: Option<u16>,
) -> Result<Vec<(&'d Dump, &'d Dump)>, String> {
    let (olds, news) = match domain {
        Some(domain) => ([domain].into(), [domain].into()),
        None => (before.domains(old)?, after.domains(new)?),
    };
    // What only one of them has is no matter, even if it is damaged.
    let both: Vec<u16> = olds.intersection(&news).copied().collect();
    let Some(first) = both.first() else {
        let (mut olds, mut news) = (olds.into_iter(), news.into_iter());
        return match (olds.next(), olds.next(), news.next(), news.next()) {
            (Some(a), None, Some(b), None) => Ok(vec![(before.of(old, a)?, after.of(new, b)?)]),
            _ => Err(format!(
                "no domain is in both: {} has {}, {} has {}",
                before.file,
                names(old),
                after.file,
                names(new)
            )),
        };
    };
    // A log may have one dump of some domains only, which is the first one and the last.
    let is_another = |domain: &&u16| {
        let which = |place: &Place, dumps| place.index(of_domain(dumps, **domain).len());
        before.file != after.file || which(before, old) != which(after, new)
    };
    let others: Vec<u16> = both.iter().filter(is_another).copied().collect();
    if others.is_empty() {
        // Or there is none at all.
        before.of(old, *first)?;
        return Err(format!(
            "both are the same dump of d{first} in {}",
            before.file
        ));
    }
    let pairs = others.into_iter();
    pairs
        .map(|domain| Ok((before.of(old, domain)?, after.of(new, domain)?)))
        .collect()
}
