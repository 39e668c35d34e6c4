// SPDX-License-Identifier: GPL-2.0-only
//! The tables of docs/mem_access.md are what the code does: each cell is read from the document,
//! played on the machine, and compared; and a table with one wrong cell is refused.
//!
//! What a guest sees of a cell on an emulated machine, with the C and with the Rust, is in
//! `cargo xtask test --e2e --only access-table`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

#[path = "../common/mod.rs"]
mod common;
mod document;

use common::{access, guest, p2mt, plain, ram};
use document::{
    promised, Act, Document, Listener, Outcome, Table, ACCESSES, ACTS, GFN, GVA, LISTENERS, OFFSET,
};
use std::collections::HashMap;
use test_harness::{Domain, Stage1Entry, Vcpu, World};
use xen_sys::npfec;

/// Some other page.
const ELSEWHERE: u64 = 0x2000;

/// A guest with the page, restricted, and a vCPU that runs.
fn scene(w: &World, a: u32, listener: Listener) -> (Domain, Vcpu) {
    let d = guest(w, 0);
    let v = w.vcpu(d);
    assert_eq!(d.insert(GFN, 1, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.insert(ELSEWHERE, 1, ram(0) + 1, p2mt::RAM_RW), 0);
    // So that mem_access is in use with each of the accesses.
    assert_eq!(d.insert(ELSEWHERE + 1, 1, ram(0) + 2, p2mt::RAM_RW), 0);
    assert_eq!(d.set_access(ELSEWHERE + 1, 1, 0, access::N), 0);
    assert_eq!(d.set_access(GFN, 1, 0, a), 0);
    match listener {
        Listener::Connected => w.monitor_listens(d, true),
        Listener::Nobody => {}
        Listener::NobodyButRequired => d.set_access_required(true),
    }
    w.run(0, v);
    (d, v)
}

/// ISS.CM of a data abort.
const CM: u64 = 1 << 8;

/// What the trap handler does with the syndrome (`do_trap_stage2_abort_guest`): `bits` is the
/// instruction, by `WnR` and the exception's class. Whether the guest goes on.
fn fault(w: &World, bits: u32, in_tables: bool, hsr: u64) -> bool {
    assert!(matches!(bits, 1 | 2 | 4));
    let kind = if in_tables { 1 << 5 } else { 2 << 5 };
    // A walk's fault has HPFAR_EL2, whose low bits are those of the virtual address.
    let gpa = GFN << 12 | OFFSET;
    let bits = bits | 1 << 4 | kind;
    w.permission_fault_with(gpa, GVA, npfec { bits }, hsr)
}

/// Plays it: does the hardware get through, and if not, what does Xen do?
fn played(act: Act, a: u32, listener: Listener, instruction: u32) -> Outcome {
    const R: u32 = 1;
    const W: u32 = 2;
    const X: u32 = 4;
    let w = plain();
    let (d, v) = scene(&w, a, listener);
    w.guest_is_at_el0(act == Act::CacheByVa);
    let gpa = GFN << 12 | OFFSET;
    let may = |want: u32| match want {
        R => w.guest_can(0, gpa, false),
        W => w.guest_can(0, gpa, true),
        _ => w.guest_can_execute(0, gpa),
    };
    let copy = |tables: u64, buffer: u64, write: bool| {
        w.stage1_tables_in(v, tables);
        let entry = Stage1Entry {
            gfn: buffer,
            writable: true,
        };
        w.stage1_map(v, GVA, entry);
        let page = v.page_from_gva(GVA, write);
        page.map(|page| page.put()).is_some()
    };
    // What the hardware demands, what the syndrome says, and whether of a walk.
    let (allowed, by, in_tables, hsr) = match act {
        Act::Read => (may(R), R, false, 0),
        Act::Write => (may(W), W, false, 0),
        Act::Fetch => (may(X), X, false, 0),
        Act::WalkReads => (may(R), instruction, true, 0),
        // The entry is read before it is written.
        Act::WalkWrites => (may(R) && may(W), instruction, true, 0),
        // From EL0 they need the permission to read; WnR is set for all of these.
        Act::CacheByVa => (may(R), W, false, CM),
        Act::InvalidateByVa => (may(W), W, false, CM),
        Act::AtThrough => (may(R), W, true, CM),
        // It is a walk of stage 1 only: the page is never reached. The machine has no instruction to play,
        // so this column's cells are compared with what is said here, and show nothing of the code.
        Act::AtToIt => (true, 0, false, 0),
        Act::CopyFrom | Act::CopyTo | Act::CopyThrough => (true, 0, false, 0),
    };
    let refused = match act {
        Act::CopyFrom => !copy(ELSEWHERE, GFN, false),
        Act::CopyTo => !copy(ELSEWHERE, GFN, true),
        Act::CopyThrough => !copy(GFN, ELSEWHERE, false) || !copy(GFN, ELSEWHERE, true),
        _ => !allowed && !fault(&w, by, in_tables, hsr),
    };
    let mut events = w.monitor_requests();
    assert!(events.len() < 2);
    let (event, access) = (events.pop(), d.access(GFN).1);
    let crashed = w.fate(d).0 > 0;
    // If nothing came of the fault, the next try gives the same fault.
    let for_ever = !allowed && event.is_none() && access == a && !crashed;
    Outcome {
        faulted: !allowed,
        event,
        access,
        crashed,
        refused: refused || for_ever,
    }
}

/// The cells that are not as the document says.
fn wrong(doc: &Document, outcomes: &Outcomes) -> Vec<String> {
    let mut wrong = Vec::new();
    for (&(act, a, listener, instruction), outcome) in outcomes {
        let act = ACTS[act].1;
        let listener = LISTENERS[listener].1;
        let promised = promised(doc, act, a, listener);
        if promised.as_ref() != Ok(outcome) {
            wrong.push(format!(
                "access {a}, {act:?}, {listener:?}, instruction {instruction:#b}: the document \
                 says\n  {promised:?}\nand there was\n  {outcome:?}"
            ));
        }
    }
    wrong
}

type Outcomes = HashMap<(usize, u32, usize, u32), Outcome>;

fn all() -> Outcomes {
    let mut all = HashMap::new();
    for (i, (_, act)) in ACTS.into_iter().enumerate() {
        // What the instruction did says nothing of what its walk does.
        let instructions: &[u32] = match act {
            Act::WalkReads | Act::WalkWrites => &[1, 2, 4],
            _ => &[1],
        };
        for (_, a) in ACCESSES {
            for (j, (_, listener)) in LISTENERS.into_iter().enumerate() {
                for &instruction in instructions {
                    let outcome = played(act, a, listener, instruction);
                    all.insert((i, a, j, instruction), outcome);
                }
            }
        }
    }
    all
}

#[test]
fn each_cell_of_the_document_is_what_the_code_does() {
    let (doc, outcomes) = (Document::read(), all());
    assert_eq!(doc.accesses.len(), ACCESSES.len() + 1);
    assert_eq!(doc.accesses[0].len(), ACTS.len() + 1);
    assert_eq!(outcomes.len(), 11 * 3 * (10 + 2 * 3));
    let wrong = wrong(&doc, &outcomes);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The test above would notice: each cell but one as it is, and in that one what any other cell of
/// its table says.
#[test]
fn a_wrong_cell_is_noticed() {
    let (doc, outcomes) = (Document::read(), all());
    let pick: [fn(&mut Document) -> &mut Table; 3] = [
        |doc| &mut doc.accesses,
        |doc| &mut doc.listeners,
        |doc| &mut doc.fields,
    ];
    let mut tried = 0;
    for of in pick {
        let table = of(&mut doc.clone()).clone();
        for (i, row) in table.iter().enumerate().skip(1) {
            for (j, right) in row.iter().enumerate().skip(1) {
                // In the third table other cells of the same column, for the others are of another kind.
                let mut others: Vec<&String> = table[1..].iter().map(|row| &row[j]).collect();
                others.sort();
                others.dedup();
                for other in others.into_iter().filter(|&other| other != right) {
                    let mut planted = doc.clone();
                    of(&mut planted)[i][j].clone_from(other);
                    tried += 1;
                    assert!(
                        !wrong(&planted, &outcomes).is_empty(),
                        "nobody noticed \"{other}\" in place of \"{right}\" in {row:?}"
                    );
                }
            }
        }
    }
    assert!(tried > 100, "only {tried} faults were planted");
}

/// The same accesses in Xen's header, and the same in each release but for the last.
#[test]
fn the_rows_are_the_accesses_that_there_are() {
    let doc = Document::read();
    let names: Vec<_> = doc.accesses[1..]
        .iter()
        .map(|row| row[0].as_str())
        .collect();
    assert_eq!(names, ACCESSES.map(|(name, _)| name));
    let numbers = ACCESSES.map(|(_, number)| number);
    assert!(numbers.iter().copied().eq(0..11));
}
