// SPDX-License-Identifier: GPL-2.0-only
//! Where the symbols of relocations, and addresses in a section, lead; and which functions have their address taken.

use std::collections::{BTreeMap, BTreeSet};

use super::listing::{self, Listed};

/// Where a call leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Callee {
    /// One of the functions that were listed.
    Own(usize),
    /// Code that is not looked at.
    Other(String),
}

/// Where symbols and addresses lead.
pub(super) struct Names<'a> {
    listed: &'a [Listed],
    by_name: BTreeMap<&'a str, usize>,
    by_start: BTreeMap<(&'a str, u64), usize>,
}

impl<'a> Names<'a> {
    /// The names of these functions.
    pub(super) fn of(listed: &'a [Listed]) -> Self {
        let names = listed.iter().enumerate();
        let starts = listed.iter().enumerate();
        Self {
            listed,
            by_name: names.map(|(n, f)| (f.name.as_str(), n)).collect(),
            by_start: starts
                .map(|(n, f)| ((f.place.as_str(), f.start), n))
                .collect(),
        }
    }

    /// The function that an address in the section `place` is in.
    pub(super) fn address(&self, place: &str, address: u64) -> Callee {
        let before = self
            .by_start
            .range((place, 0)..=(place, address))
            .next_back();
        match before {
            Some((_, index)) => Callee::Own(*index),
            None => Callee::Other(format!("{place}+{address:#x}")),
        }
    }

    /// What a relocation means by `p2m_init`, or by `.text+0x30fc` in the object that `place` is in.
    pub(super) fn symbol(&self, place: &str, symbol: &str) -> Callee {
        if let Some(index) = self.by_name.get(symbol) {
            return Callee::Own(*index);
        }
        let object = place.split_once(':').map_or(place, |(object, _)| object);
        let (section, offset) = symbol.split_once("+0x").unwrap_or((symbol, "0"));
        let own = listing::place(object, section);
        let offset = u64::from_str_radix(offset, 16).unwrap_or_default();
        match self
            .by_start
            .range((own.as_str(), 0)..=(own.as_str(), offset))
            .next_back()
        {
            Some((_, index)) => Callee::Own(*index),
            None => Callee::Other(symbol.to_owned()),
        }
    }

    /// Functions whose address is more than the target of a call: in `readelf -rW`'s words, those that an `ABS64` in
    /// data or an `ADR_PREL_PG_HI21` in code refers to.
    pub(super) fn with_address_taken(
        &self,
        relocations: &str,
        wanted: &impl Fn(&str) -> bool,
    ) -> Vec<usize> {
        let mut found = BTreeSet::new();
        let mut object = "";
        let mut counts = true;
        for line in relocations.lines() {
            if let Some(file) = line.strip_prefix("File: ") {
                object = file
                    .split_once('(')
                    .map_or(file, |(_, name)| name.trim_end_matches(')'));
                continue;
            }
            if let Some(rest) = line.strip_prefix("Relocation section '.rela") {
                // Other sections name places in functions, not functions.
                counts = [".text", ".init.text", ".rodata", ".data", ".init.data"]
                    .iter()
                    .any(|section| rest.starts_with(section));
                continue;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            let [_, _, kind, _, symbol, "+", offset] = words.as_slice() else {
                continue;
            };
            let taken = ["R_AARCH64_ABS64", "R_AARCH64_ADR_PREL_PG_HI21"].contains(kind);
            if !(counts && taken && wanted(object)) {
                continue;
            }
            let symbol = match *offset {
                "0" => (*symbol).to_owned(),
                offset => format!("{symbol}+0x{offset}"),
            };
            if let Callee::Own(index) = self.symbol(&listing::place(object, ""), &symbol) {
                let listed = self.listed.get(index);
                let whole = symbol.split_once("+0x").map_or(0, |(_, offset)| {
                    u64::from_str_radix(offset, 16).unwrap_or_default()
                });
                // A jump table's entry lies inside a function, a function pointer at its start.
                if listed.is_some_and(|f| f.name == symbol || f.start == whole) {
                    found.insert(index);
                }
            }
        }
        found.into_iter().collect()
    }
}
