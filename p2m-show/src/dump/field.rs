// SPDX-License-Identifier: GPL-2.0-only
//! A line of a dump, taken apart.

use super::model::MARK;
use super::values::{Access, Size, Type, Valid};

/// The kinds of lines.
const KINDS: [&str; 6] = ["begin", "map", "empty", "tables", "history", "end"];

/// `p2m-dump: d1 12 map gfn=0x40000 ...;`, without the mark.
pub(super) struct Line<'t> {
    pub(super) domain: u16,
    /// In the dump, from 0 on.
    pub(super) number: u64,
    pub(super) kind: &'t str,
    /// All of it, up to the semicolon.
    pub(super) text: &'t str,
    /// Or what is wrong with them.
    fields: Result<Vec<(&'t str, &'t str)>, String>,
}

/// What a line of a log has of a dump. Others may have the mark, too: commands that were typed on
/// the console, say. So a domain, the number of a line, a kind of line and a field must follow it;
/// a line of a dump that was damaged so much is noticed by its number, which is missing then. Xen
/// may have begun in the middle of such a line, so the last mark that has them counts.
pub(super) fn find(line: &str) -> Option<Line<'_>> {
    let guests = guests(line).unwrap_or(line.len());
    let mut marks = line.rmatch_indices(MARK).filter(|&(at, _)| at < guests);
    marks.find_map(|(at, mark)| {
        let text = line.get(at + mark.len()..)?;
        let mut words = text.split_ascii_whitespace();
        let domain = words.next()?.strip_prefix('d')?.parse().ok()?;
        let number = words.next()?.parse().ok()?;
        let kind = words.next().filter(|word| KINDS.contains(word))?;
        words.next().filter(|word| word.contains('='))?;
        let (text, fields) = match text.split_once(';') {
            Some((text, _)) => (text, fields(text)),
            None => (text, Err(CUT.to_owned())),
        };
        Some(Line {
            domain,
            number,
            kind,
            text,
            fields,
        })
    })
}

const CUT: &str = "the rest of this line of a dump is missing, with the semicolon at its end";

/// Where of a line what a guest has printed begins: Xen puts `(d1) ` before what it prints for one,
/// and `DOM1: ` before what it prints for one that has a UART of Xen's. What is Xen's own is never
/// behind these.
fn guests(line: &str) -> Option<usize> {
    let first = |(open, close): (&str, &str)| {
        line.match_indices(open).find_map(|(at, open)| {
            let rest = line.get(at + open.len()..)?;
            let end = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            (end.len() < rest.len() && end.starts_with(close)).then_some(at)
        })
    };
    [("(d", ") "), ("DOM", ": ")]
        .into_iter()
        .filter_map(first)
        .min()
}

/// The fields of a line, after its domain, its number and its kind.
fn fields(text: &str) -> Result<Vec<(&str, &str)>, String> {
    let words = text.split_ascii_whitespace().skip(3);
    words
        .map(|word| {
            word.split_once('=')
                .ok_or_else(|| format!("`{word}` is no field=value"))
        })
        .collect()
}

impl Line<'_> {
    /// The value of a field. Fields that nobody asks for do no harm.
    fn value(&self, name: &str) -> Result<&str, String> {
        let fields = self.fields.as_ref().map_err(Clone::clone)?;
        let found = fields.iter().find(|(key, _)| *key == name);
        found
            .map(|&(_, value)| value)
            .ok_or_else(|| format!("the line `{}` has no field `{name}`", self.kind))
    }

    /// A number, decimal or hexadecimal.
    pub(super) fn number(&self, name: &str) -> Result<u64, String> {
        let value = self.value(name)?;
        let parsed = match value.strip_prefix("0x") {
            Some(hex) if !hex.starts_with('+') => u64::from_str_radix(hex, 16),
            _ => value.parse(),
        };
        parsed.map_err(|_| format!("`{name}={value}` is not a number"))
    }

    /// A number of frames, or of one: an address in bytes has 64 bits.
    pub(super) fn frames(&self, name: &str) -> Result<u64, String> {
        let number = self.number(name)?;
        if number >> 52 != 0 {
            return Err(format!("`{name}={number:#x}` is beyond 64 bits of address"));
        }
        Ok(number)
    }

    /// A frame, or `None` for C's INVALID_MFN.
    pub(super) fn frame(&self, name: &str) -> Result<Option<u64>, String> {
        match self.number(name) {
            Ok(u64::MAX) => Ok(None),
            _ => self.frames(name).map(Some),
        }
    }

    /// 0 or 1.
    pub(super) fn flag(&self, name: &str) -> Result<bool, String> {
        match self.number(name)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(format!("`{name}={other}` is neither 0 nor 1")),
        }
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<T, String> {
        let value = self.value(name)?;
        let found = words.iter().find(|(word, _)| *word == value);
        found.map(|&(_, meaning)| meaning).ok_or_else(|| {
            let known: Vec<&str> = words.iter().map(|&(word, _)| word).collect();
            format!("`{name}={value}` is none of {}", known.join(", "))
        })
    }

    pub(super) fn size(&self, name: &str) -> Result<Size, String> {
        let order = self.number(name)?;
        let found = Size::ALL.into_iter().find(|size| size.order() == order);
        found.ok_or_else(|| format!("`{name}={order}` is none of 0, 9 and 18"))
    }

    pub(super) fn ty(&self, name: &str) -> Result<Type, String> {
        let value = self.value(name)?;
        Type::named(value).ok_or_else(|| format!("`{name}={value}` is no type of the p2m"))
    }

    pub(super) fn access(&self, name: &str) -> Result<Access, String> {
        let value = self.value(name)?;
        Access::named(value).ok_or_else(|| format!("`{name}={value}` is no access of mem_access"))
    }

    pub(super) fn valid(&self, name: &str) -> Result<Valid, String> {
        self.word(name, &Valid::ALL)
    }
}
