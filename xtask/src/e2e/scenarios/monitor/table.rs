// SPDX-License-Identifier: GPL-2.0-only
//! Each access with each act, by a guest: what docs/mem_access.md says, for the C and for the Rust.

use std::ops::Range;

use super::document::{Table, TEXT};
use crate::boot::dom0::console::StepRun;
use crate::e2e::scenario::{ended_well, scenario, value, Scenario, Seen};

pub(in crate::e2e::scenarios) const TABLE: Scenario = scenario!(
    "access-table",
    "each access with each act",
    table,
    Some("table-walks, buffers")
);

/// As `xtask/guests/monitor/table.c` has them.
const ACCESSES: [&str; 11] = [
    "n", "r", "w", "rw", "x", "rx", "wx", "rwx", "rx2rw", "n2rwx", "r_pw",
];

/// What the guest does, as `xtask/guests/table.c` counts.
#[derive(Clone, Copy, Debug)]
struct Act {
    /// The monitor's name for it.
    name: &'static str,
    /// Its column in the document.
    column: &'static str,
    /// Its column in the document's table of the C, where it has one.
    in_c: Option<&'static str>,
    /// The address of an event, whose low bits are the offset.
    address: u32,
}

const fn act(
    name: &'static str,
    column: &'static str,
    in_c: Option<&'static str>,
    address: u32,
) -> Act {
    Act {
        name,
        column,
        in_c,
        address,
    }
}

/// The guest's addresses of the page, and of one behind the tables in the page.
const PLAIN: u32 = 0x8000_0128;
const BEHIND: u32 = 0x8020_0128;

const ACTS: [Act; 13] = [
    act("read", "read", None, PLAIN + 8),
    act("write", "write", None, PLAIN + 8),
    act("fetch", "fetch", None, PLAIN),
    act(
        "WALK_BY_READ",
        "walk reads",
        Some("walk, for a read"),
        BEHIND + 8,
    ),
    act(
        "WALK_BY_WRITE",
        "walk reads",
        Some("walk, for a write"),
        BEHIND + 8,
    ),
    act(
        "WALK_BY_FETCH",
        "walk reads",
        Some("walk, for a fetch"),
        BEHIND,
    ),
    act(
        "WALK_WRITES",
        "walk writes",
        Some("walk that writes, for a read"),
        BEHIND + 8,
    ),
    act("copy_from", "Xen copies from it", None, 0),
    act("copy_to", "Xen copies to it", None, 0),
    act(
        "COPY_THROUGH",
        "Xen copies through it",
        Some("Xen copies through it"),
        0,
    ),
    act("cache", FROM_EL1, None, PLAIN + 8),
    act("at_to", "AT, to it", None, 0),
    act(
        "AT_THROUGH",
        "AT, through it",
        Some("AT, through it"),
        BEHIND,
    ),
];

impl Act {
    /// Is the guest to execute what is at the address?
    fn is_fetch(self) -> bool {
        self.name == "fetch" || self.name == "WALK_BY_FETCH"
    }
}

/// Where the guest's image is, with its code and its own tables (guest.lds).
const IMAGE: Range<u64> = 0x4000_0000..0x4020_0000;

/// What start.S writes to TCR_EL1, and what table.c adds where the walker can write.
const TCR: u64 = (1 << 32) | (3 << 12) | (1 << 10) | (1 << 8) | (1 << 23) | 25;
const TCR_HA: u64 = 1 << 39;

/// EL1 with its own stack, in AArch64, all exceptions masked; the other bits are flags.
const MODE_BITS: u64 = 0x3DF;
const MODE: u64 = 0x3C5;

/// The registers of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Registers {
    pc: u64,
    cpsr: u64,
    ttbr0: u64,
    ttbr1: u64,
    ttbcr: u64,
}

impl Registers {
    /// These five, in this order, and nothing else.
    fn read(text: &str) -> Option<Self> {
        let mut fields = text.split(',');
        let mut next = |name: &str| {
            let number = fields.next()?.strip_prefix(name)?.strip_prefix('=')?;
            u64::from_str_radix(number, 16).ok()
        };
        let registers = Self {
            pc: next("pc")?,
            cpsr: next("cpsr")?,
            ttbr0: next("ttbr0")?,
            ttbr1: next("ttbr1")?,
            ttbcr: next("ttbcr")?,
        };
        fields.next().is_none().then_some(registers)
    }

    /// Are they those of the guest, where it does this?
    fn are_the_guests(&self, act: Act, walker_writes: bool) -> bool {
        let pc_is_there = if act.is_fetch() {
            self.pc == u64::from(act.address)
        } else {
            IMAGE.contains(&self.pc)
        };
        let tcr = TCR | if walker_writes { TCR_HA } else { 0 };
        pc_is_there
            && self.cpsr & MODE_BITS == MODE
            && IMAGE.contains(&self.ttbr0)
            && self.ttbcr == tcr
    }
}

/// Of an event of a walk the kind and the offset, in which the C differs, and all the rest, in which it does not.
fn kind_and_rest(event: &str) -> (String, String) {
    let (kind, others) = event.split_once(',').unwrap_or((event, ""));
    let (offset, rest): (Vec<&str>, Vec<&str>) = others
        .split(',')
        .partition(|field| field.starts_with("offset="));
    (format!("{kind},{}", offset.join(",")), rest.join(","))
}

/// Cache maintenance, which needs no permission where the guest runs, and so has no column.
const FROM_EL1: &str = "";

/// The number of the act that needs a walker which writes.
const WALK_WRITES: &str = "WALK_WRITES";

fn table(run: &StepRun) -> Result<Seen, String> {
    ended_well(run)?;
    let is_c = match value(run, "p2m")? {
        "c" => true,
        "rust" => false,
        other => return Err(format!("which p2m is {other}?")),
    };
    let walker_writes = run.number("walker_writes")? == 1;
    let document = Document::read(TEXT)?;
    let mut seen = Seen::default();
    let mut wrong = Vec::new();
    let mut tables = None;
    let mut number = 0;
    for access in ACCESSES {
        for mut act in ACTS {
            if act.name == WALK_WRITES && !walker_writes {
                // Then it is one more read by the walker.
                act = Act {
                    name: WALK_WRITES,
                    ..ACTS[3]
                };
            }
            let key = format!("{access}.{}", act.name);
            let is = value(run, &key)?;
            let rc = run
                .values
                .get(&format!("sees_{number}"))
                .map_or("0", String::as_str);
            let expected = document.expected(access, act, is_c)?;
            if !expected.is_met(is, rc) {
                wrong.push(format!(
                    "{key} is {is}, {rc}; the document says {expected:?}"
                ));
            }
            if run.values.contains_key(&format!("{key}.again")) {
                wrong.push(format!("{key} faults twice"));
            }
            if let Some(text) = expected.registers(is) {
                let registers = Registers::read(text);
                let of_tables = registers.map(|r| (r.ttbr0, r.ttbr1, r.ttbcr));
                let first = *tables.get_or_insert(of_tables);
                let theirs = registers.is_some_and(|r| r.are_the_guests(act, walker_writes));
                if !theirs || of_tables != first {
                    wrong.push(format!(
                        "{key}: these are not the guest's registers: {text}"
                    ));
                }
            }
            let answer = format!("{is} {rc}");
            if !expected.differs {
                seen.same.push((key, answer));
            } else if expected.is_event_in_both {
                let (kind, rest) = kind_and_rest(&answer);
                seen.excused.push((key.clone(), kind));
                seen.same.push((key, rest));
            } else {
                seen.excused.push((key, answer));
            }
            number += 1;
        }
    }
    if run.number("cells")? != number {
        return Err(format!("{} cells of {number}", run.number("cells")?));
    }
    if !wrong.is_empty() {
        let first: Vec<String> = wrong.iter().take(3).cloned().collect();
        return Err(format!("{} cells: {}", wrong.len(), first.join("; ")));
    }
    let writes = if walker_writes {
        ""
    } else {
        ", no CPU whose walker writes"
    };
    seen.text = format!("{number} cells as docs/mem_access.md says{writes}");
    Ok(seen)
}

struct Document {
    accesses: Table,
    fields: Table,
    of_c: Table,
}

/// What is expected of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Expected {
    /// The beginning of what the monitor prints, up to the registers; all of it where there is no event.
    begins: String,
    /// Its end.
    ends: String,
    /// What a hypercall returns.
    rc: &'static str,
    /// C and Rust are not the same here.
    differs: bool,
    /// There is an event with both.
    is_event_in_both: bool,
}

impl Expected {
    fn is_met(&self, is: &str, rc: &str) -> bool {
        let as_said = if self.ends.is_empty() {
            is == self.begins
        } else {
            is.starts_with(&self.begins) && is.ends_with(&self.ends)
        };
        rc == self.rc && as_said
    }

    /// The registers in what the monitor printed, where that is an event as it should be.
    fn registers<'a>(&self, is: &'a str) -> Option<&'a str> {
        if self.ends.is_empty() {
            return None;
        }
        is.strip_prefix(&self.begins)?.strip_suffix(&self.ends)
    }
}

/// What a cell of the document says where there is no event.
const NO_EVENTS: [&str; 4] = ["-", "-EFAULT", "faults for ever", "rw"];

impl Document {
    fn read(text: &str) -> Result<Self, String> {
        Ok(Self {
            accesses: Table::find(text, "accesses")?,
            fields: Table::find(text, "fields")?,
            of_c: Table::find(text, "c")?,
        })
    }

    fn expected(&self, access: &str, act: Act, is_c: bool) -> Result<Expected, String> {
        let rust = match act.column {
            FROM_EL1 => "-",
            column => self.accesses.cell(access, column)?,
        };
        let c = match act.in_c {
            Some(column) => self.of_c.cell(access, column)?,
            None => rust,
        };
        let cell = if is_c { c } else { rust };
        let is_walk = act.name.starts_with("WALK") || act.name == "AT_THROUGH";
        let nothing = format!("-,{access}");
        let (begins, ends) = match cell {
            "-" | "-EFAULT" => (nothing, String::new()),
            "faults for ever" => (format!("spins,{access}"), String::new()),
            "rw" => ("-,rw".to_owned(), String::new()),
            event => {
                let (kind, waits, after) = match event.split_once(", ") {
                    Some((kind, "rwx")) => (kind, "goes-on", "rwx"),
                    Some(_) => return Err(format!("what is \"{event}\"?")),
                    None => (event, "waits", access),
                };
                let flags = self.fields.cell(act.column, "flags")?.replace(", ", ",");
                let zero = self.fields.cell(act.column, "offset")? == "0" && !is_c;
                let offset = if zero { 0 } else { act.address & 0xFFF };
                let address = act.address;
                (
                    format!("{kind},{flags},gfn+0,offset={offset:x},gla={address:x},"),
                    format!(",vcpu=0,{waits},{after}"),
                )
            }
        };
        let is_event = !ends.is_empty();
        let refused = cell == "-EFAULT";
        let rc = match act.name {
            "copy_from" | "COPY_THROUGH" if !refused => "-22",
            _ if refused => "-14",
            _ => "0",
        };
        Ok(Expected {
            begins,
            ends,
            rc,
            differs: c != rust || (is_walk && is_event),
            is_event_in_both: ![c, rust].iter().any(|cell| NO_EVENTS.contains(cell)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{table, Document, Expected, ACCESSES, ACTS, TABLE, TEXT, WALK_WRITES};
    use crate::e2e::scenario::compare;
    use crate::e2e::scenario::tests::run;

    /// What a run prints that is as the document says.
    fn good(is_c: bool) -> Result<Vec<String>, String> {
        let document = Document::read(TEXT)?;
        let mut lines = vec![
            format!("@@value p2m={}", if is_c { "c" } else { "rust" }),
            "@@value walker_writes=0".to_owned(),
            "@@value cells=143".to_owned(),
        ];
        let mut number = 0;
        for access in ACCESSES {
            for mut act in ACTS {
                let name = act.name;
                if name == WALK_WRITES {
                    act = super::Act { name, ..ACTS[3] };
                }
                let Expected {
                    begins, ends, rc, ..
                } = document.expected(access, act, is_c)?;
                let pc = if act.is_fetch() {
                    act.address
                } else {
                    0x4000_8000
                };
                let registers = if ends.is_empty() {
                    String::new()
                } else {
                    format!("pc={pc:x},cpsr=800007c5,ttbr0=40012000,ttbr1=0,ttbcr=100803519")
                };
                lines.push(format!("@@value {access}.{name}={begins}{registers}{ends}"));
                if rc != "0" {
                    lines.push(format!("@@value sees_{number}={rc}"));
                }
                number += 1;
            }
        }
        Ok(lines)
    }

    #[test]
    fn what_the_document_says_passes_and_each_other_line_fails() -> Result<(), String> {
        for is_c in [false, true] {
            let lines = good(is_c)?;
            assert!(table(&run(0, &lines.join("\n"))).is_ok());
            for (i, line) in lines.iter().enumerate() {
                let mut planted = lines.clone();
                planted.remove(i);
                let missing = table(&run(0, &planted.join("\n")));
                assert!(missing.is_err() || line.contains("walker"), "{line}");
                let (key, is) = line.split_once('=').unwrap_or_default();
                if key.contains('.') {
                    for other in ["-,n", "-,rw", "W,GLA_VALID,x", "spins,n"] {
                        if is != other {
                            planted = lines.clone();
                            planted.insert(i + 1, format!("{key}={other}"));
                            planted.remove(i);
                            assert!(
                                table(&run(0, &planted.join("\n"))).is_err(),
                                "{key}={other}"
                            );
                        }
                    }
                }
            }
        }
        Ok(())
    }

    #[test]
    fn the_registers_of_each_event_must_be_the_guests() -> Result<(), String> {
        for is_c in [false, true] {
            let lines = good(is_c)?;
            for (i, line) in lines.iter().enumerate() {
                let Some((_, registers)) = line.split_once(",pc=") else {
                    continue;
                };
                let pc = registers.split(',').next().unwrap_or_default();
                for (from, to) in [
                    (format!("pc={pc}"), "pc=0".to_owned()),
                    (format!("pc={pc}"), "pc=ffff800000081234".to_owned()),
                    ("cpsr=800007c5".to_owned(), "cpsr=800007c4".to_owned()),
                    ("ttbr0=40012000".to_owned(), "ttbr0=40013000".to_owned()),
                    ("ttbr1=0".to_owned(), "ttbr1=40012000".to_owned()),
                    ("ttbcr=100803519".to_owned(), "ttbcr=100803510".to_owned()),
                    (",ttbcr=100803519".to_owned(), String::new()),
                ] {
                    let spoilt = line.replace(&from, &to);
                    assert_ne!(spoilt, *line);
                    let mut planted = lines.clone();
                    planted.splice(i..=i, [spoilt.clone()]);
                    let judged = table(&run(0, &planted.join("\n")));
                    assert!(judged.is_err(), "{spoilt}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn a_walk_differs_from_the_cs_in_kind_and_offset_only() -> Result<(), String> {
        let judged = |lines: &[String]| table(&run(0, &lines.join("\n")));
        let (c, rust) = (judged(&good(true)?), judged(&good(false)?));
        assert!(compare(&TABLE, &c, &rust).passed());
        let mut planted = good(true)?;
        for line in &mut planted {
            if line.contains("n.WALK_BY_WRITE=W") {
                // Of the guest's code, and not where the guest with the Rust was.
                *line = line.replace("pc=40008000", "pc=40008004");
            }
        }
        assert_ne!(planted, good(true)?);
        assert!(judged(&planted).is_ok());
        assert!(!compare(&TABLE, &judged(&planted), &rust).passed());
        Ok(())
    }

    #[test]
    fn the_other_p2m_is_noticed() -> Result<(), String> {
        let c = good(true)?.join("\n").replace("p2m=c", "p2m=rust");
        assert!(table(&run(0, &c)).is_err());
        Ok(())
    }
}
