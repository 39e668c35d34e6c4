// SPDX-License-Identifier: GPL-2.0-only
//! A line of a dump, taken apart.

use super::model::MARK;
use super::values::{Access, Size, Type, Valid};

/// `p2m-dump: d1 12 map gfn=0x40000 ...;`, without the mark.
pub(super) struct Line<'t> {
    pub(super) domain: u16,
    /// In the dump, from 0 on.
    pub(super) number: u64,
    pub(super) kind: &'t str,
    fields: Vec<(&'t str, &'t str)>,
}

/// What a line of a log has of a dump. Others may have the words of the mark, too: after it
/// comes a domain.
pub(super) fn find(line: &str) -> Option<Result<Line<'_>, String>> {
    let (_, text) = line.split_once(MARK)?;
    let domain = text.strip_prefix('d')?;
    domain
        .starts_with(|c: char| c.is_ascii_digit())
        .then(|| parse(text))
}

fn parse(text: &str) -> Result<Line<'_>, String> {
    let (text, _) = text
        .split_once(';')
        .ok_or("the rest of this line of a dump is missing, with the semicolon at its end")?;
    if text.contains(MARK) {
        return Err("two lines of a dump were printed into each other".to_owned());
    }
    let mut words = text.split_ascii_whitespace();
    let mut word = |what: &str| words.next().ok_or_else(|| format!("there is no {what}"));
    let domain = word("domain")?;
    let number = word("line number")?;
    let kind = word("kind of line")?;
    let fields = words.map(|word| {
        word.split_once('=')
            .ok_or_else(|| format!("`{word}` is no field=value"))
    });
    let fields = fields.collect::<Result<_, _>>()?;
    Ok(Line {
        domain: domain
            .strip_prefix('d')
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| format!("`{domain}` is no domain such as d1"))?,
        number: number
            .parse()
            .map_err(|_| format!("`{number}` is not the number of a line"))?,
        kind,
        fields,
    })
}

impl Line<'_> {
    /// The value of a field. Fields that nobody asks for do no harm.
    fn value(&self, name: &str) -> Result<&str, String> {
        let found = self.fields.iter().find(|(key, _)| *key == name);
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
