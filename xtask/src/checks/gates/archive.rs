// SPDX-License-Identifier: GPL-2.0-only
//! The archive: its members, and what no member of ours may have.
//!
//! `compiler_builtins` is in every Rust staticlib. Xen's own memcpy and company come first in the
//! link, so no member of it is taken; the gate on orphan sections would show one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{ensure, Result};

use super::stack::{self, Stacks};
use crate::xen::image::{self, Symbol};

/// Members that are ours begin so; the helpers' name has a hash before it.
const RUST_MEMBER: &str = "xen_p2m-";
const HELPERS_MEMBER: &str = "-helpers.o";

/// `libxen_p2m.a`.
pub(super) struct Archive {
    path: PathBuf,
    rust: Vec<Symbol>,
    helpers: Vec<Symbol>,
}

impl Archive {
    /// Reads the symbols of our members.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let shown = image::binutil("nm", &[], path)?;
        let symbols = |wanted: fn(&str) -> bool| -> Vec<Symbol> {
            members(&shown)
                .filter(|(name, _)| wanted(name))
                .flat_map(|(_, lines)| lines)
                .filter_map(image::parse_symbol)
                .collect()
        };
        let rust = symbols(is_rust);
        ensure!(!rust.is_empty(), "{} has no Rust member", path.display());
        let helpers = symbols(is_helpers);
        ensure!(!helpers.is_empty(), "{} has no helpers.o", path.display());
        Ok(Self {
            path: path.to_path_buf(),
            rust,
            helpers,
        })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Global symbols that it defines.
    pub(super) fn exports(&self) -> BTreeSet<(char, String)> {
        let ours = self.rust.iter().chain(&self.helpers);
        ours.filter_map(Symbol::export).collect()
    }

    /// The stack below each function that C calls.
    pub(super) fn stacks(&self) -> Result<Result<Stacks, String>> {
        let exported = self.rust.iter().filter(|symbol| symbol.kind == 'T');
        // Functions that do the same may be one, with several names, of which the disassembly has the first.
        let mut functions: BTreeMap<Option<u64>, BTreeSet<String>> = BTreeMap::new();
        for Symbol { address, name, .. } in exported {
            let names = functions.entry(*address).or_default();
            names.insert(name.clone());
        }
        let names = functions.values().flatten().cloned().collect();
        let stacks = stack::measure(std::slice::from_ref(&self.path), &names, |member| {
            is_rust(member) || is_helpers(member)
        })?;
        Ok(stacks.and_then(|stacks| stacks.of_all(functions.values())))
    }

    /// Functions in Rust, global and local.
    pub(super) fn functions(&self) -> BTreeSet<String> {
        self.rust
            .iter()
            .filter(|s| matches!(s.kind, 'T' | 't'))
            .map(|s| s.name.clone())
            .collect()
    }

    /// No bounds check, overflow check or formatting is left in a release build.
    pub(super) fn no_panic_machinery(&self) -> Result<String, String> {
        let found: Vec<&str> = self
            .rust
            .iter()
            .map(|s| s.name.as_str())
            .filter(|name| name.contains("panicking") || name.contains("4core3fmt"))
            .collect();
        if found.is_empty() {
            Ok("nothing of core::panicking or core::fmt".to_owned())
        } else {
            Err(found.join(", "))
        }
    }

    /// The guest's FP/SIMD registers are live while Xen runs.
    pub(super) fn no_fp_register(&self) -> Result<Result<String, String>> {
        let shown = image::binutil("objdump", &["-d", "--no-show-raw-insn"], &self.path)?;
        let mut count = 0;
        for (name, lines) in members(&shown).filter(|(name, _)| is_rust(name) || is_helpers(name)) {
            for line in lines {
                let Some(instruction) = instruction(line) else {
                    continue;
                };
                count += usize::from(is_rust(name));
                if uses_fp(instruction) {
                    return Ok(Err(format!("{name}: {instruction}")));
                }
            }
        }
        Ok(match count {
            0 => Err("the archive has no Rust instruction".to_owned()),
            n => Ok(format!("{n} instructions, and those of helpers.c")),
        })
    }

    /// Livepatch, and the relocation of Xen itself at boot, know no GOT.
    pub(super) fn no_got_relocation(&self) -> Result<Result<String, String>> {
        let shown = image::binutil("readelf", &["-rW"], &self.path)?;
        let lines: Vec<&str> = members(&shown)
            .filter(|(name, _)| is_rust(name) || is_helpers(name))
            .flat_map(|(_, lines)| lines)
            .filter(|line| line.contains("R_AARCH64_"))
            .collect();
        Ok(match lines.iter().find(|line| line.contains("_GOT")) {
            Some(line) => Err((*line).to_owned()),
            None if lines.is_empty() => Err("the archive has no relocation at all".to_owned()),
            None => Ok(format!("{} relocations", lines.len())),
        })
    }

    /// Nothing unwinds in Xen.
    pub(super) fn no_eh_frame(&self) -> Result<Result<String, String>> {
        let shown = image::binutil("objdump", &["-h"], &self.path)?;
        let lines = members(&shown)
            .filter(|(name, _)| is_rust(name))
            .flat_map(|(_, lines)| lines);
        Ok(unwound(lines))
    }
}

/// Judges the list of a member's sections, which has one with its instructions.
fn unwound<'a>(lines: impl Iterator<Item = &'a str>) -> Result<String, String> {
    let names = lines.filter_map(|line| line.split_whitespace().nth(1));
    let sections: Vec<&str> = names.filter(|name| name.starts_with('.')).collect();
    if sections.iter().any(|name| name.starts_with(".eh_frame")) {
        Err("the Rust object has one".to_owned())
    } else if sections.contains(&".text") {
        Ok("in the Rust object".to_owned())
    } else {
        Err("objdump lists no .text of the Rust object".to_owned())
    }
}

fn is_rust(member: &str) -> bool {
    member.starts_with(RUST_MEMBER)
}

fn is_helpers(member: &str) -> bool {
    member.ends_with(HELPERS_MEMBER)
}

/// What binutils print of an archive, member by member. They head a member by `name.o:`,
/// `name.o:     file format ...` or `File: lib.a(name.o)`.
fn members(shown: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    let mut all: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in shown.lines() {
        if let Some(name) = heading(line) {
            all.push((name, Vec::new()));
        } else if let Some((_, lines)) = all.last_mut() {
            lines.push(line);
        }
    }
    all.into_iter()
}

fn heading(line: &str) -> Option<&str> {
    if let Some(file) = line.strip_prefix("File: ") {
        return file.split_once('(')?.1.strip_suffix(')');
    }
    let (name, rest) = line.split_once(':')?;
    let heads = rest.is_empty() || rest.contains("file format");
    (heads && name.ends_with(".o") && !name.contains(' ')).then_some(name)
}

/// `      a4:\tldr\tx8, [x21]`: the mnemonic and its operands.
fn instruction(line: &str) -> Option<&str> {
    let (address, instruction) = line.split_once(":\t")?;
    address
        .trim()
        .chars()
        .all(|c| c.is_ascii_hexdigit())
        .then_some(instruction)
}

/// Whether an operand is one of v0..v31 or a part of it.
fn uses_fp(instruction: &str) -> bool {
    let Some((_, operands)) = instruction.split_once('\t') else {
        return false;
    };
    // A symbol stands behind the address that it explains; a comment behind all.
    let operands = match operands.split_once('<') {
        Some((operands, _)) => operands
            .trim_end()
            .trim_end_matches(|c: char| c.is_ascii_hexdigit()),
        None => operands.split("//").next().unwrap_or_default(),
    };
    operands
        .split([',', ' ', '[', ']', '{', '}'])
        .map(|word| word.split('.').next().unwrap_or_default())
        .any(is_fp_register)
}

fn is_fp_register(word: &str) -> bool {
    let mut letters = word.chars();
    let bank = letters.next().is_some_and(|c| "vqdshbVQDSHB".contains(c));
    let number = letters.as_str();
    bank && number.len() <= 2 && number.parse::<u8>().is_ok_and(|n| n < 32)
}

#[cfg(test)]
mod tests {
    use super::{heading, instruction, unwound, uses_fp};

    #[test]
    fn fp_registers_are_seen_in_every_place() {
        for line in [
            "fmov\td0, x1",
            "ldr\tq3, [x0]",
            "stp\tq0, q1, [sp, #32]",
            "movi\tv0.2d, #0x0",
            "ld1\t{v0.16b}, [x1]",
            "str\ts31, [x0, #4]",
        ] {
            assert!(uses_fp(line), "{line}");
        }
    }

    #[test]
    fn other_operands_are_none() {
        for line in [
            "ldr\tx8, [x21, #568]",
            "b\tb4 <f+0xb4>",
            "b.cs\td0 <f>  // b.hs, b.nlast",
            "dsb\tishst",
            "and\tx9, x24, #0xd0",
            "adrp\tx0, 0 <h2>",
            "nop",
            "cbz\tx0, d0 <f>",
        ] {
            assert!(!uses_fp(line), "{line}");
        }
    }

    #[test]
    fn sections_of_an_object_without_unwinding() {
        let text = "  0 .text         0000924c  0000000000000000";
        assert!(unwound([text].into_iter()).is_ok());
        assert!(unwound([text, "  4 .eh_frame  00000100"].into_iter()).is_err());
        assert!(unwound(["Sections:"].into_iter()).is_err());
    }

    #[test]
    fn members_are_told_by_their_headings() {
        assert_eq!(
            heading("xen_p2m-1.cgu.0.rcgu.o:     file format elf64-littleaarch64"),
            Some("xen_p2m-1.cgu.0.rcgu.o")
        );
        assert_eq!(heading("abc-helpers.o:"), Some("abc-helpers.o"));
        assert_eq!(heading("File: lib.a(abc-helpers.o)"), Some("abc-helpers.o"));
        assert_eq!(heading("0000000000000000 <p2m_init>:"), None);
    }

    #[test]
    fn lines_of_a_disassembly() {
        assert_eq!(
            instruction("      a4:\tldr\tx8, [x21]"),
            Some("ldr\tx8, [x21]")
        );
        assert_eq!(instruction("Disassembly of section .text:"), None);
    }
}
