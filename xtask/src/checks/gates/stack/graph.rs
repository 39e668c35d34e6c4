// SPDX-License-Identifier: GPL-2.0-only
//! The calls among the functions of some objects, and the deepest stack below one of them.

use std::collections::{BTreeMap, BTreeSet};

use super::frame::{self, Call, Frame, Target};
use super::listing;
use super::names::{Callee, Names};

/// Functions that may be active more than once on one stack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recursion {
    /// The last parts of their paths, or their C names.
    pub(super) names: &'static [&'static str],
    /// How many activations of them, all together, there are at most at once.
    pub(super) bound: usize,
}

/// The functions and their calls.
#[derive(Debug)]
pub(super) struct Graph {
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    name: String,
    frame: u64,
    calls: Vec<(u64, Callee)>,
    /// Its row among those that may be active more than once.
    recursion: Option<usize>,
}

/// The deepest stack below a function, and the functions on it, outermost first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Deepest {
    pub(super) bytes: u64,
    pub(super) chain: Vec<String>,
}

impl Graph {
    /// Reads what `objdump -dr` and `readelf -rW` print of the objects that `wanted` accepts. A call through a
    /// register may go to every function whose address stands in data or is computed by code.
    pub(super) fn read(
        disassembly: &str,
        relocations: &str,
        recursions: &[Recursion],
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Self, String> {
        let listed = listing::functions(disassembly, &wanted);
        if listed.is_empty() {
            return Err("the listing has no function".to_owned());
        }
        let names = Names::of(&listed);
        let by_address = names.with_address_taken(relocations, &wanted);
        let mut nodes = Vec::new();
        for function in &listed {
            let Frame { bytes, calls } = frame::of(function)?;
            let calls = calls
                .into_iter()
                .flat_map(|Call { depth, target }| {
                    let callees = match target {
                        Target::Symbol(symbol) => vec![names.symbol(&function.place, &symbol)],
                        Target::Address(address) => vec![names.address(&function.place, address)],
                        Target::Register => by_address.iter().map(|n| Callee::Own(*n)).collect(),
                    };
                    callees.into_iter().map(move |callee| (depth, callee))
                })
                .collect();
            let name = readable(&function.name);
            let recursion = recursions
                .iter()
                .position(|row| row.names.iter().any(|last| is_called(&name, last)));
            nodes.push(Node {
                name,
                frame: bytes,
                calls,
                recursion,
            });
        }
        Ok(Self { nodes })
    }

    /// The deepest stack below each of the functions that `wanted` accepts by name, deepest first. An error names the
    /// functions of a recursion that is not in `recursions`.
    pub(super) fn deepest(
        &self,
        recursions: &[Recursion],
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<Deepest>, String> {
        let mut search = Search {
            graph: self,
            left: recursions.iter().map(|row| row.bound).collect(),
            active: Vec::new(),
            known: BTreeMap::new(),
        };
        let mut all = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            if wanted(&node.name) {
                all.push(search.below(index)?);
            }
        }
        all.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.chain.cmp(&b.chain)));
        Ok(all)
    }

    /// How many functions of the table do call themselves, straight or through others.
    pub(super) fn recursive(&self) -> usize {
        let nodes = self.nodes.iter().enumerate();
        nodes
            .filter(|(index, node)| node.recursion.is_some() && self.reaches_itself(*index))
            .count()
    }

    fn own_callees(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        let calls = self.nodes.get(index).map(|node| node.calls.as_slice());
        calls
            .unwrap_or_default()
            .iter()
            .filter_map(|(_, callee)| match callee {
                Callee::Own(own) => Some(*own),
                Callee::Other(_) => None,
            })
    }

    fn reaches_itself(&self, start: usize) -> bool {
        let mut seen = BTreeSet::new();
        let mut left: Vec<usize> = self.own_callees(start).collect();
        while let Some(next) = left.pop() {
            if next == start {
                return true;
            }
            if seen.insert(next) {
                left.extend(self.own_callees(next));
            }
        }
        false
    }
}

/// The walk through the calls.
struct Search<'a> {
    graph: &'a Graph,
    /// How many functions of each row may still become active.
    left: Vec<usize>,
    active: Vec<usize>,
    known: BTreeMap<(usize, Vec<usize>), Deepest>,
}

impl Search<'_> {
    fn below(&mut self, index: usize) -> Result<Deepest, String> {
        let key = (index, self.left.clone());
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let Some(node) = self.graph.nodes.get(index) else {
            return Ok(Deepest::default());
        };
        // A circle in which no function of the table is has no end.
        let circle = self.active.iter().rposition(|active| *active == index);
        let circle = circle.and_then(|first| self.active.get(first..));
        if let Some(circle) = circle {
            if circle.iter().all(|index| self.row_of(*index).is_none()) {
                return Err(self.unbounded(circle));
            }
        }
        let mut deepest = Deepest {
            bytes: node.frame,
            chain: vec![node.name.clone()],
        };
        self.active.push(index);
        self.change(node.recursion, |left| left.saturating_sub(1));
        for (depth, callee) in &node.calls {
            let below = match callee {
                Callee::Other(name) => Deepest {
                    bytes: 0,
                    chain: vec![name.clone()],
                },
                // At its bound: that call is not made.
                Callee::Own(own) if !self.may_enter(*own) => continue,
                Callee::Own(own) => self.below(*own)?,
            };
            let bytes = depth.saturating_add(below.bytes);
            if bytes > deepest.bytes {
                let mut chain = vec![node.name.clone()];
                chain.extend(below.chain);
                deepest = Deepest { bytes, chain };
            }
        }
        self.change(node.recursion, |left| left.saturating_add(1));
        self.active.pop();
        self.known.insert(key, deepest.clone());
        Ok(deepest)
    }

    fn row_of(&self, index: usize) -> Option<usize> {
        self.graph.nodes.get(index)?.recursion
    }

    fn may_enter(&self, index: usize) -> bool {
        self.row_of(index)
            .is_none_or(|row| self.left.get(row).is_some_and(|left| *left > 0))
    }

    fn change(&mut self, row: Option<usize>, to: impl Fn(usize) -> usize) {
        if let Some(left) = row.and_then(|row| self.left.get_mut(row)) {
            *left = to(*left);
        }
    }

    /// The sentence for a circle of calls without a bound.
    fn unbounded(&self, circle: &[usize]) -> String {
        let circle: Vec<&str> = circle
            .iter()
            .filter_map(|index| self.graph.nodes.get(*index))
            .map(|node| node.name.as_str())
            .collect();
        format!("a recursion without a bound: {}", circle.join(" -> "))
    }
}

/// The path of a mangled Rust name, without hashes.
pub(super) fn readable(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

/// Is this the function that the table means by `last`?
fn is_called(name: &str, last: &str) -> bool {
    // gcc appends `.isra.0` and the like.
    let name = name.split(".isra").next().unwrap_or(name);
    name == last || name.ends_with(&format!("::{last}"))
}

#[cfg(test)]
mod tests {
    use super::{Deepest, Graph, Recursion};

    const CODE: &str = "lib.o:     file format x
Disassembly of section .text:
0000 <outer>:
   0:\tsub\tsp, sp, #0x20
   4:\tbl\t0 <inner>
\t\t\t4: R_AARCH64_CALL26\t.text+0x10
   8:\tadd\tsp, sp, #0x20
   c:\tret
0010 <inner>:
  10:\tsub\tsp, sp, #0x40
  14:\tbl\t0 <xen>
\t\t\t14: R_AARCH64_CALL26\tprintk
  18:\tblr\tx8
  1c:\tadd\tsp, sp, #0x40
  20:\tret
0024 <callback>:
  24:\tsub\tsp, sp, #0x100
  28:\tret
";

    const POINTER: &str = "File: lib.o
Relocation section '.rela.rodata' at offset 0x1 contains 1 entry:
0000000000000048  0000000200000101 R_AARCH64_ABS64        0000000000000000 .text + 24
";

    /// What is below `outer`.
    fn deepest(code: &str, relocations: &str, table: &[Recursion]) -> Result<Deepest, String> {
        let graph = Graph::read(code, relocations, table, |_| true)?;
        let mut all = graph.deepest(table, |name| name == "outer")?;
        all.pop().ok_or_else(|| "there is no outer".to_owned())
    }

    fn stack(bytes: u64, chain: &[&str]) -> Result<Deepest, String> {
        let chain = chain.iter().map(|&name| name.to_owned()).collect();
        Ok(Deepest { bytes, chain })
    }

    #[test]
    fn a_stack_is_the_sum_of_its_frames() {
        assert_eq!(deepest(CODE, "", &[]), stack(0x60, &["outer", "inner"]));
    }

    #[test]
    fn a_call_through_a_register_may_go_wherever_a_pointer_does() {
        let chain = ["outer", "inner", "callback"];
        assert_eq!(deepest(CODE, POINTER, &[]), stack(0x160, &chain));
    }

    #[test]
    fn a_recursion_must_stand_in_the_table_and_counts_as_often_as_it_says() {
        let code = CODE.replace("\tprintk", "\tinner");
        let error = deepest(&code, "", &[]);
        assert!(error.is_err_and(|text| text.ends_with("without a bound: inner")));
        let table = [Recursion {
            names: &["inner"],
            bound: 4,
        }];
        let chain = ["outer", "inner", "inner", "inner", "inner"];
        assert_eq!(deepest(&code, "", &table), stack(0x20 + 4 * 0x40, &chain));
    }

    #[test]
    fn a_circle_of_calls_ends_at_any_of_its_functions() {
        let code = CODE.replace("\tprintk", "\touter");
        assert!(deepest(&code, "", &[]).is_err());
        let twice = |names| [Recursion { names, bound: 2 }];
        let chain = ["outer", "inner", "outer", "inner", "outer"];
        let outer = deepest(&code, "", &twice(&["outer"]));
        assert_eq!(outer, stack(0xc0, chain.get(..4).unwrap_or_default()));
        let inner = deepest(&code, "", &twice(&["inner"]));
        assert_eq!(inner, stack(0xe0, &chain));
    }
}
