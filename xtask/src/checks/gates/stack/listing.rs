// SPDX-License-Identifier: GPL-2.0-only
//! What `objdump -dr` prints of objects that are not linked yet, read into functions: their instructions,
//! each with the symbol that the linker will put into it.

/// One function of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// Its symbol.
    pub(super) name: String,
    /// The object and the section that it is in: addresses mean something only inside one.
    pub(super) place: String,
    /// Where it begins in its section.
    pub(super) start: u64,
    /// Its instructions in the order of their addresses.
    pub(super) code: Vec<Instruction>,
}

impl Listed {
    /// The address behind its last instruction.
    pub(super) fn end(&self) -> u64 {
        self.code.last().map_or(self.start, |last| last.address + 4)
    }
}

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    /// Where it is in its section.
    pub(super) address: u64,
    /// `sub`, `bl`, `b.ne` ...
    pub(super) mnemonic: String,
    /// What follows it, without comments: `sp, sp, #0x80`.
    pub(super) operands: String,
    /// The symbol of its relocation, if it has one: `p2m_init`, `.text+0x30fc`.
    pub(super) symbol: Option<String>,
}

/// The functions of the objects whose name `wanted` accepts.
pub(super) fn functions(shown: &str, wanted: impl Fn(&str) -> bool) -> Vec<Listed> {
    let mut all: Vec<Listed> = Vec::new();
    let (mut object, mut section) = ("", "");
    for line in shown.lines() {
        if let Some((name, _)) = line.split_once(":     file format ") {
            object = name;
        } else if let Some(name) = line.strip_prefix("Disassembly of section ") {
            section = name.trim_end_matches(':');
        } else if !wanted(object) {
            continue;
        } else if let Some((address, name)) = heading(line) {
            all.push(Listed {
                name: name.to_owned(),
                place: place(object, section),
                start: address,
                code: Vec::new(),
            });
        } else if let Some(function) = all.last_mut() {
            if let Some(symbol) = relocation(line) {
                if let Some(last) = function.code.last_mut() {
                    last.symbol = Some(symbol.to_owned());
                }
            } else if let Some(instruction) = instruction(line) {
                function.code.push(instruction);
            }
        }
    }
    all.retain(|function| !function.code.is_empty());
    all
}

/// How a section of an object is named here.
pub(super) fn place(object: &str, section: &str) -> String {
    format!("{object}:{section}")
}

/// `000000000000603c <p2m_init>:`
fn heading(line: &str) -> Option<(u64, &str)> {
    let (address, name) = line.strip_suffix(">:")?.split_once(" <")?;
    Some((u64::from_str_radix(address, 16).ok()?, name))
}

/// `\t\t\t6058: R_AARCH64_CALL26\txs_rwlock_init`
fn relocation(line: &str) -> Option<&str> {
    let (_, rest) = line.trim_start().split_once(": R_AARCH64_")?;
    let (_, symbol) = rest.split_once('\t')?;
    Some(symbol.trim())
}

/// `    6058:\tbl\t0 <xs_rwlock_init>`
fn instruction(line: &str) -> Option<Instruction> {
    let (address, rest) = line.split_once(":\t")?;
    let address = u64::from_str_radix(address.trim(), 16).ok()?;
    let (mnemonic, operands) = rest.split_once('\t').unwrap_or((rest, ""));
    let operands = operands.split("//").next().unwrap_or_default();
    Some(Instruction {
        address,
        mnemonic: mnemonic.trim().to_owned(),
        operands: operands.trim().to_owned(),
        symbol: None,
    })
}

#[cfg(test)]
mod tests {
    use super::functions;

    const SHOWN: &str = "
In archive lib.a:

one.o:     file format elf64-littleaarch64


Disassembly of section .text:

0000000000000000 <f>:
   0:\tsub\tsp, sp, #0x80
   4:\tbl\t0 <g>
\t\t\t4: R_AARCH64_CALL26\tg
   8:\tb.ne\t0 <f>  // b.any

000000000000000c <h>:
   c:\tret

two.o:     file format elf64-littleaarch64


Disassembly of section .init.text:

0000000000000000 <other>:
   0:\tret
";

    #[test]
    fn a_listing_is_read_function_by_function() {
        let names = |wanted: fn(&str) -> bool| -> Vec<String> {
            let all = functions(SHOWN, wanted);
            all.iter()
                .map(|f| format!("{} {} {}", f.place, f.name, f.end()))
                .collect()
        };
        let one = ["one.o:.text f 12", "one.o:.text h 16"];
        assert_eq!(names(|object| object == "one.o"), one);
        assert_eq!(
            names(|object| object == "two.o"),
            ["two.o:.init.text other 4"]
        );
    }

    #[test]
    fn an_instruction_has_the_symbol_of_its_relocation_and_no_comment() {
        let all = functions(SHOWN, |_| true);
        let code: Vec<_> = all
            .iter()
            .flat_map(|f| &f.code)
            .map(|i| {
                (
                    i.mnemonic.as_str(),
                    i.operands.as_str(),
                    i.symbol.as_deref(),
                )
            })
            .take(3)
            .collect();
        let expected = [
            ("sub", "sp, sp, #0x80", None),
            ("bl", "0 <g>", Some("g")),
            ("b.ne", "0 <f>", None),
        ];
        assert_eq!(code, expected);
    }
}
