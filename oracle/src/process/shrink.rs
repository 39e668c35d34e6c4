// SPDX-License-Identifier: GPL-2.0-only
//! Making a failing list of operations short (delta debugging), and its numbers
//! small.

use std::time::{Duration, Instant};

use crate::ops::op::{Kind, Op};

/// Shrinks `ops`, which fail, as long as `fails` says so of what is left and
/// there is time. The first operation (the boot) stays; if it fails alone, it is the answer.
pub fn shrink(ops: &[Op], limit: Duration, fails: &mut dyn FnMut(&[Op]) -> bool) -> Vec<Op> {
    let boot = ops.get(..1).unwrap_or(ops);
    if fails(boot) {
        return boot.to_vec();
    }
    let mut shrinker = Shrinker {
        ops: ops.to_vec(),
        end: Instant::now() + limit,
        fails,
    };
    shrinker.drop_operations();
    while shrinker.reduce_arguments() && shrinker.drop_operations() {}
    shrinker.ops
}

struct Shrinker<'f> {
    ops: Vec<Op>,
    end: Instant,
    fails: &'f mut dyn FnMut(&[Op]) -> bool,
}

impl Shrinker<'_> {
    fn accept(&mut self, candidate: Vec<Op>) -> bool {
        let better = Instant::now() < self.end && (self.fails)(&candidate);
        if better {
            self.ops = candidate;
        }
        better
    }

    /// True if any went.
    fn drop_operations(&mut self) -> bool {
        let before = self.ops.len();
        let mut chunk = before / 2;
        while chunk > 0 {
            let mut at = 1;
            while at < self.ops.len() {
                let (head, tail) = self.ops.split_at(at);
                let rest = tail.iter().skip(chunk);
                let candidate: Vec<Op> = head.iter().chain(rest).copied().collect();
                if !self.accept(candidate) {
                    at += chunk;
                }
            }
            chunk /= 2;
        }
        self.ops.len() < before
    }

    /// True if any became smaller.
    fn reduce_arguments(&mut self) -> bool {
        let mut reduced = false;
        for at in 0..self.ops.len() {
            for n in 0..crate::ops::op::ARGS {
                let Some(op) = self.ops.get(at) else { continue };
                let value = op.args.get(n).copied().unwrap_or(0);
                if op.argument_name(n) == "type" {
                    // Less is another type, or none.
                    continue;
                }
                let aligned = value & !0x3_FFFF;
                let smaller = [0, 1, aligned, value & !0x1FF, value.wrapping_sub(1)];
                for new in smaller.into_iter().filter(|new| *new < value) {
                    let mut candidate = self.ops.clone();
                    if let Some(place) = candidate.get_mut(at).and_then(|op| op.args.get_mut(n)) {
                        *place = new;
                    }
                    if self.accept(candidate) {
                        reduced = true;
                        break;
                    }
                }
            }
        }
        reduced
    }
}

/// A list as text: the machine's name, then an operation a line.
#[must_use]
pub fn text(machine: &str, ops: &[Op]) -> String {
    let lines: Vec<String> = ops.iter().map(ToString::to_string).collect();
    format!("machine {machine}\n{}\n", lines.join("\n"))
}

/// The other way: machine and operations. Lines that begin with # are comments.
///
/// # Errors
///
/// What is wrong with the text.
pub fn parse(text: &str) -> Result<(String, Vec<Op>), String> {
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let machine = lines
        .next()
        .and_then(|line| line.strip_prefix("machine "))
        .ok_or("the first line is not `machine NAME`")?;
    let ops: Vec<Op> = lines.map(str::parse).collect::<Result<_, _>>()?;
    if ops.first().map(|op| op.kind) != Some(Kind::Boot) {
        return Err("the first operation is not boot".into());
    }
    Ok((machine.to_owned(), ops))
}

#[cfg(test)]
mod tests {
    use super::{parse, shrink, text};
    use crate::ops::op::{Kind, Op};
    use std::time::Duration;

    #[test]
    fn what_does_not_matter_goes() {
        let mut ops = vec![Op::new(Kind::Boot, &[0, 0, 0, 64])];
        ops.extend((0..50).map(|n| Op::new(Kind::Insert, &[0, n, n, 0x1000, 1])));
        // It fails when something is inserted at 30 and later at 41.
        let mut fails = |ops: &[Op]| {
            let at = |gfn| {
                ops.iter()
                    .position(|op| op.args[1] == gfn && op.args[2] >= 30)
            };
            matches!((at(30), at(41)), (Some(a), Some(b)) if a < b)
        };
        let short = shrink(&ops, Duration::from_secs(10), &mut fails);
        let numbers: Vec<_> = short.iter().map(|op| (op.args[1], op.args[3])).collect();
        assert_eq!(numbers, [(0, 0), (30, 0), (41, 0)]);
        let printed = text("40-off-plain", &short);
        assert_eq!(parse(&printed), Ok(("40-off-plain".into(), short)));
    }

    #[test]
    fn a_boot_that_fails_is_tried_once() {
        let mut ops = vec![Op::new(Kind::Boot, &[0, 0, 0, 64])];
        ops.extend((0..50).map(|n| Op::new(Kind::Insert, &[0, n, n, 0x1000, 1])));
        let mut tried = 0;
        let mut fails = |_: &[Op]| {
            tried += 1;
            true
        };
        let short = shrink(&ops, Duration::from_secs(10), &mut fails);
        assert_eq!((short.as_slice(), tried), (&ops[..1], 1));
    }
}
