// SPDX-License-Identifier: GPL-2.0-only
//! Reading a linked Xen with binutils: its symbols, its disassembly, its sections.

use std::path::Path;

use anyhow::{Context, Result};

use crate::base::command;
use crate::host::tools::CROSS;

/// One line of `nm`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Symbol {
    /// Its address; none for an undefined one.
    pub(crate) address: Option<u64>,
    /// nm's letter: `T` text, `t` local text, `U` undefined ...
    pub(crate) kind: char,
    /// Its name.
    pub(crate) name: String,
}

impl Symbol {
    /// Its kind and name, if it is a global symbol that is defined.
    pub(crate) fn export(&self) -> Option<(char, String)> {
        let defined = self.address.is_some() && self.kind.is_ascii_uppercase();
        // .bss and .data are one to whoever links against it.
        let kind = if self.kind == 'B' { 'D' } else { self.kind };
        defined.then(|| (kind, self.name.clone()))
    }
}

/// All symbols of an object, an archive or an image.
pub(crate) fn symbols(object: &Path) -> Result<Vec<Symbol>> {
    let shown = binutil("nm", &[], object)?;
    Ok(shown.lines().filter_map(parse_symbol).collect())
}

/// The names in Xen's own table of symbols, as its `tools/symbols` makes them: the name of a local symbol comes after
/// that of its file.
pub(crate) fn names_in_table(image: &Path) -> Result<Vec<String>> {
    let shown = binutil("nm", &["-pa", "--format=sysv"], image)?;
    Ok(names_with_files(&shown))
}

fn names_with_files(shown: &str) -> Vec<String> {
    let mut file = "";
    let mut names = Vec::new();
    for line in shown.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        match *cells.as_slice() {
            [name, _, _, "FILE", ..] => file = name,
            // Undefined, absolute and of debuggers.
            [_, _, "U" | "u" | "A" | "a" | "N" | "n", ..] => {}
            [name, address, kind, _, ..] if !address.is_empty() && !name.starts_with('$') => {
                let is_local = kind.chars().all(|c| c.is_ascii_lowercase());
                names.push(if is_local && !file.is_empty() {
                    format!("{file}#{name}")
                } else {
                    name.to_owned()
                });
            }
            _ => {}
        }
    }
    names
}

/// How rustc begins the line that it leaves in what it compiles.
pub(crate) const RUSTC: &str = "rustc ";

const COMMENT: &str = "--string-dump=.comment";

/// The compilers that an image has code from, those of Rust first: each leaves a line in `.comment`.
pub(crate) fn compilers(image: &Path) -> Result<Vec<String>> {
    Ok(compilers_in(&binutil("readelf", &[COMMENT], image)?))
}

/// The same of a program for this machine, where there may be no cross binutils.
pub(crate) fn compilers_of_program(program: &Path) -> Result<Vec<String>> {
    let shown = command::output(command::clean("readelf").arg(COMMENT).arg(program))?;
    Ok(compilers_in(&shown))
}

fn compilers_in(comment: &str) -> Vec<String> {
    let lines = comment.lines();
    let mut found: Vec<String> = lines
        .filter_map(|line| line.trim_start().strip_prefix('[')?.split_once(']'))
        .map(|(_, name)| name.trim().replacen("rustc version ", RUSTC, 1))
        .collect();
    found.sort_by_key(|name| !name.starts_with(RUSTC));
    found.dedup();
    found
}

/// `nm`, `objdump`, `readelf`, `size` ... of the cross binutils, on one file.
pub(crate) fn binutil(name: &str, args: &[&str], object: &Path) -> Result<String> {
    command::output(
        command::clean(format!("{CROSS}{name}"))
            .args(args)
            .arg(object),
    )
    .with_context(|| format!("cannot read {}", object.display()))
}

/// A symbol of one line of `nm`; `None` for a heading.
pub(crate) fn parse_symbol(line: &str) -> Option<Symbol> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (address, kind, name) = match words.as_slice() {
        [address, kind, name] => (u64::from_str_radix(address, 16).ok(), kind, name),
        [kind, name] => (None, kind, name),
        _ => return None,
    };
    let mut letters = kind.chars();
    let kind = letters.next().filter(char::is_ascii_alphabetic)?;
    letters.next().is_none().then(|| Symbol {
        address,
        kind,
        name: (*name).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::{compilers_in, names_with_files, parse_symbol, Symbol};

    #[test]
    fn compilers_are_in_the_comment() {
        let gcc =
            "\nString dump of section '.comment':\n  [     0]  GCC: (Debian 12.2.0-14) 12.2.0\n";
        assert_eq!(compilers_in(gcc), ["GCC: (Debian 12.2.0-14) 12.2.0"]);
        let both = format!("{gcc}  [    1f]  rustc version 1.96.0 (ac68faa20 2026-05-25)\n");
        assert_eq!(
            compilers_in(&both),
            [
                "rustc 1.96.0 (ac68faa20 2026-05-25)",
                "GCC: (Debian 12.2.0-14) 12.2.0"
            ]
        );
        assert!(compilers_in("").is_empty());
    }

    #[test]
    fn a_local_symbol_has_the_name_of_its_file_before_its_own() {
        let shown = "\n\nSymbols from xen-syms:\n\n\
            Name       Value   Class        Type         Size             Line  Section\n\n\
            setup.c             |0000000000000000|   a  |              FILE|                |     |*ABS*\n\
            $x                  |00000a0000200000|   t  |            NOTYPE|                |     |.text\n\
            local               |00000a0000200000|   t  |              FUNC|0000000000000010|     |.text\n\
            start_xen           |00000a0000200010|   T  |              FUNC|0000000000000010|     |.text\n\
            p2m.rs              |0000000000000000|   a  |              FILE|                |     |*ABS*\n\
            _RNvC1a1b           |00000a0000200020|   t  |              FUNC|0000000000000010|     |.text\n\
            missing             |                |   U  |            NOTYPE|                |     |*UND*\n";
        let names = names_with_files(shown);
        assert_eq!(names, ["setup.c#local", "start_xen", "p2m.rs#_RNvC1a1b"]);
    }

    #[test]
    fn lines_of_nm() {
        assert_eq!(
            parse_symbol("00000a0000265a10 T p2m_init"),
            Some(Symbol {
                address: Some(0xa00_0026_5a10),
                kind: 'T',
                name: "p2m_init".to_owned()
            })
        );
        assert_eq!(
            parse_symbol("                 U printk").map(|s| (s.address, s.kind)),
            Some((None, 'U'))
        );
        assert_eq!(parse_symbol("xen_p2m.o:"), None);
        assert_eq!(parse_symbol(""), None);
    }
}
