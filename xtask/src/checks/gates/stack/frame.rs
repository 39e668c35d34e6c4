// SPDX-License-Identifier: GPL-2.0-only
//! How much stack one function has in use at each of its calls, from the instructions that move the
//! stack pointer.
//!
//! The listing is read once, from top to bottom. Where a jump forwards leads, the depth at the jump holds;
//! behind an instruction that does not go on (a return, a jump), where no jump led so far, the largest depth
//! of the function is assumed. So what comes out is never too small, and is exact for the code that
//! compilers make: one frame, or one a path.

use std::collections::BTreeMap;

use super::listing::{Instruction, Listed};

/// The stack use of one function, its callees' left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    /// The most bytes below the stack pointer that the caller had.
    pub(super) bytes: u64,
    /// Its calls, those in tail position included.
    pub(super) calls: Vec<Call>,
}

/// A call, and how much stack its caller has in use at that moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) depth: u64,
    pub(super) target: Target,
}

/// What is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A symbol that the linker knows.
    Symbol(String),
    /// An address in the caller's own section.
    Address(u64),
    /// What a register holds.
    Register,
}

/// Reads a function; an error names the instruction whose effect on the stack is not a constant.
pub(super) fn of(function: &Listed) -> Result<Frame, String> {
    let mut frame = Frame::default();
    let mut depth = 0;
    let mut at_label: BTreeMap<u64, u64> = BTreeMap::new();
    // Registers that were computed from the stack pointer, as depths.
    let mut copies: BTreeMap<&str, u64> = BTreeMap::new();
    let mut falls_through = true;
    let mut after_call = false;
    for instruction in &function.code {
        depth = match at_label.get(&instruction.address) {
            Some(known) if !falls_through => *known,
            // A callee that does not return is followed by code of another path.
            Some(known) if after_call => *known,
            Some(known) => depth.max(*known),
            None if falls_through => depth,
            None => frame.bytes,
        };
        if let Some(moved) = moved(instruction, depth, &mut copies)
            .map_err(|why| format!("{}: {why}", function.name))?
        {
            depth = moved;
            frame.bytes = frame.bytes.max(depth);
        }
        (falls_through, after_call) = match flow(instruction) {
            Flow::On => (true, false),
            Flow::End => (false, false),
            Flow::Call(target) => {
                frame.calls.push(Call { depth, target });
                (true, true)
            }
            Flow::Jump {
                target,
                conditional,
            } => {
                let inside = match target {
                    Target::Address(a) => (function.start..function.end()).contains(&a),
                    // A jump through a table is one inside, a tail call one outside: both are kept.
                    Target::Symbol(_) | Target::Register => false,
                };
                match target {
                    Target::Address(address) if inside => {
                        let known = at_label.entry(address).or_default();
                        *known = depth.max(*known);
                    }
                    Target::Register if depth > 0 => {}
                    target => frame.calls.push(Call { depth, target }),
                }
                (conditional, false)
            }
        };
    }
    Ok(frame)
}

/// Where the next instruction is.
enum Flow {
    On,
    End,
    Call(Target),
    Jump { target: Target, conditional: bool },
}

fn flow(instruction: &Instruction) -> Flow {
    let conditional = instruction.mnemonic.contains('.');
    match instruction.mnemonic.as_str() {
        "bl" => Flow::Call(target(instruction)),
        "blr" => Flow::Call(Target::Register),
        "ret" | "eret" | "brk" | "udf" => Flow::End,
        "br" => Flow::Jump {
            target: Target::Register,
            conditional: false,
        },
        "b" | "cbz" | "cbnz" | "tbz" | "tbnz" => Flow::Jump {
            target: target(instruction),
            conditional: instruction.mnemonic != "b",
        },
        other if conditional && other.starts_with("b.") => Flow::Jump {
            target: target(instruction),
            conditional,
        },
        _ => Flow::On,
    }
}

/// The symbol of the relocation, or the address before `<...>`.
fn target(instruction: &Instruction) -> Target {
    if let Some(symbol) = &instruction.symbol {
        return Target::Symbol(symbol.clone());
    }
    let address = instruction
        .operands
        .split(" <")
        .next()
        .and_then(|operands| operands.rsplit([',', ' ']).next())
        .and_then(|address| u64::from_str_radix(address, 16).ok());
    address.map_or(Target::Register, Target::Address)
}

/// The depth after an instruction that moves the stack pointer.
fn moved<'a>(
    instruction: &'a Instruction,
    depth: u64,
    copies: &mut BTreeMap<&'a str, u64>,
) -> Result<Option<u64>, String> {
    let operands = instruction.operands.as_str();
    let unknown = || {
        Err(format!(
            "`{} {operands}` moves the stack pointer by what is no constant",
            instruction.mnemonic
        ))
    };
    // `[sp, #-16]!` moves it before the access, `[sp], #16` after.
    let written_back = match operands.split_once("[sp") {
        Some((_, rest)) => match (rest.strip_prefix("], "), rest.strip_suffix("]!")) {
            (Some(by), _) => Some(by),
            (None, Some(by)) => Some(by.trim_start_matches(", ")),
            (None, None) => None,
        },
        None => None,
    };
    if let Some(by) = written_back {
        return match signed(by) {
            Some(by) => below(depth, by).map(Some),
            None => unknown(),
        };
    }
    let words: Vec<&str> = operands.split(", ").collect();
    let (to, from, by) = match (instruction.mnemonic.as_str(), words.as_slice()) {
        ("mov", [to, from]) => (*to, *from, Some(0)),
        ("sub", [to, from, by @ ..]) => (*to, *from, immediate(by).and_then(i64::checked_neg)),
        ("add", [to, from, by @ ..]) => (*to, *from, immediate(by)),
        // A load, a comparison ... has its stack pointer in brackets or reads it only.
        (_, ["sp", ..]) if !reads_first(&instruction.mnemonic) => return unknown(),
        _ => return Ok(None),
    };
    let base = if from == "sp" {
        Some(depth)
    } else {
        copies.get(from).copied()
    };
    if to == "sp" {
        return match (base, by) {
            (Some(base), Some(by)) => below(base, by).map(Some),
            _ => unknown(),
        };
    }
    match (base, by) {
        (Some(base), Some(by)) => match below(base, by) {
            Ok(copy) => copies.insert(to, copy),
            Err(_) => copies.remove(to),
        },
        _ => copies.remove(to),
    };
    Ok(None)
}

/// Instructions whose first operand is read, not written.
fn reads_first(mnemonic: &str) -> bool {
    ["cmp", "cmn", "tst", "msr"].contains(&mnemonic)
}

/// The depth when the stack pointer moves up by `by`.
fn below(depth: u64, by: i64) -> Result<u64, String> {
    depth
        .checked_add_signed(by.checked_neg().ok_or("an impossible move")?)
        .ok_or_else(|| "the stack pointer rises above the caller's".to_owned())
}

/// `#0x10` or `#0x8, lsl #12`, as words.
fn immediate(words: &[&str]) -> Option<i64> {
    match words {
        [value] => signed(value),
        [value, "lsl #12"] => signed(value)?.checked_mul(4096),
        _ => None,
    }
}

/// `#16`, `#-16`, `#0x10`.
fn signed(word: &str) -> Option<i64> {
    let digits = word.strip_prefix('#')?;
    let (negative, digits) = match digits.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, digits),
    };
    let value = match digits.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::{of, Call, Frame, Target};
    use crate::checks::gates::stack::listing;

    /// A function from its instructions, the first at address 0.
    fn frame(code: &[&str]) -> Result<Frame, String> {
        let mut shown = "o:     file format x\nDisassembly of section .text:\n0 <f>:\n".to_owned();
        for (index, line) in code.iter().enumerate() {
            shown += &format!("  {:x}:\t{}\n", index * 4, line.replacen(' ', "\t", 1));
        }
        let all = listing::functions(&shown, |_| true);
        of(all.first().ok_or("no function")?)
    }

    fn call(depth: u64, target: u64) -> Call {
        Call {
            depth,
            target: Target::Address(target),
        }
    }

    #[test]
    fn a_frame_is_what_the_prologue_takes() {
        let code = [
            "stp x29, x30, [sp, #-32]!",
            "sub sp, sp, #0x80",
            "bl 1000 <g>",
            "add sp, sp, #0x80",
            "ldp x29, x30, [sp], #32",
            "b 2000 <tail>",
        ];
        let frame = frame(&code);
        assert_eq!(
            frame,
            Ok(Frame {
                bytes: 160,
                calls: vec![call(160, 0x1000), call(0, 0x2000)]
            })
        );
    }

    #[test]
    fn a_path_without_a_frame_has_none() {
        let code = [
            "cbz x0, 14 <f+0x14>",
            "str x30, [sp, #-16]!",
            "bl 1000 <g>",
            "ldr x30, [sp], #16",
            "ret",
            "b 2000 <tail>",
        ];
        assert_eq!(
            frame(&code).map(|f| f.calls),
            Ok(vec![call(16, 0x1000), call(0, 0x2000)])
        );
    }

    #[test]
    fn code_behind_a_callee_that_does_not_return_is_another_path() {
        let code = [
            "cbz x0, c <f+0xc>",
            "str x30, [sp, #-16]!",
            "bl 1000 <panic>",
            "b 2000 <tail>",
        ];
        assert_eq!(
            frame(&code).map(|f| f.calls),
            Ok(vec![call(16, 0x1000), call(0, 0x2000)])
        );
    }

    #[test]
    fn where_only_a_jump_backwards_leads_the_whole_frame_is_assumed() {
        let code = [
            "sub sp, sp, #0x40",
            "add sp, sp, #0x40",
            "ret",
            "bl 1000 <g>",
        ];
        assert_eq!(frame(&code).map(|f| f.calls), Ok(vec![call(64, 0x1000)]));
    }

    #[test]
    fn a_large_frame_that_is_probed_page_by_page_counts_whole() {
        let code = [
            "sub x9, sp, #0x4, lsl #12",
            "sub sp, sp, #0x1, lsl #12",
            "cmp sp, x9",
            "b.le 18 <f+0x18>",
            "str xzr, [sp]",
            "b 4 <f+0x4>",
            "mov sp, x9",
            "bl 1000 <g>",
        ];
        assert_eq!(frame(&code).map(|f| f.bytes), Ok(16384));
    }

    #[test]
    fn a_frame_of_no_fixed_size_is_an_error() {
        for code in [
            "sub sp, sp, x9",
            "and sp, x9, #0xffffffffffffffc0",
            "mov sp, x9",
        ] {
            assert!(frame(&[code]).is_err(), "{code}");
        }
    }
}
