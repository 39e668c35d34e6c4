// SPDX-License-Identifier: GPL-2.0-only
//! A p2m as a map, and the operations on it: what the tables must say after
//! any sequence of them. Random tests and the fuzzer share it.

use std::collections::BTreeMap;
use std::sync::Mutex;

use arbitrary::{Result, Unstructured};
use p2m_rs::xen::globals::{attach_for_test, machine_for_test, reset_for_test, Machine};
use test_harness::{
    Config, Domain, MonitorRequest, Reach, Snapshot, Stage1Entry, Vcpu, World, Writer, INVALID,
};
use xen_sys::{npfec, npfec_kind_in_gpt, npfec_kind_with_gla};

use super::{access, errno, machines, p2mt, ram, M2};

/// A mapped page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    mfn: u64,
    t: u32,
    access: u32,
}

/// What a domain's p2m should be.
pub struct Model {
    pages: BTreeMap<u64, Page>,
    default_access: u32,
    limit: u64,
    listens: bool,
    required: bool,
    crashes: u32,
    dying: bool,
}

#[derive(Debug, Clone)]
pub enum Op {
    Insert {
        gfn: u64,
        nr: u64,
        mfn: u64,
        t: u32,
    },
    Foreign {
        gfn: u64,
        mfn: u64,
    },
    Remove {
        gfn: u64,
        nr: u64,
        honest: bool,
    },
    SetAccess {
        gfn: u64,
        nr: u64,
        access: u32,
    },
    DefaultAccess {
        access: u32,
    },
    Invalidate,
    Resolve {
        gfn: u64,
    },
    /// A hypercall whose buffer is at `gfn`, and the guest's tables at `tables`.
    Copy {
        gfn: u64,
        tables: u64,
        how: Copying,
    },
    /// Somebody writes a page, in the caches.
    Write {
        gfn: u64,
        writer: Writer,
    },
    /// A range is cleaned to memory, or all of the guest's.
    Clean {
        gfn: u64,
        nr: u64,
        vm: bool,
    },
    /// A permission fault of the vCPU that runs: all 128 values of `npfec`, of
    /// which the tests draw.
    Fault {
        gfn: u64,
        npfec: u32,
    },
    /// Somebody listens, or not; a fault without a listener crashes, or not.
    Monitor {
        listens: bool,
        required: bool,
    },
    /// `d->is_dying`: 0, 1 or 2.
    Dying {
        state: u32,
    },
}

impl Op {
    /// What of the tables it may change.
    fn reach(&self, d: Domain) -> Reach {
        let range = |gfn: u64, nr: u64| Reach::of(d, gfn..gfn + nr);
        match *self {
            Self::Insert { gfn, nr, .. }
            | Self::Remove { gfn, nr, .. }
            | Self::SetAccess { gfn, nr, .. } => range(gfn, nr),
            Self::Foreign { gfn, .. } | Self::Fault { gfn, .. } => range(gfn, 1),
            Self::DefaultAccess { .. } | Self::Monitor { .. } | Self::Dying { .. } => {
                Reach::nothing()
            }
            Self::Invalidate
            | Self::Resolve { .. }
            | Self::Copy { .. }
            | Self::Write { .. }
            | Self::Clean { .. } => Reach::valid_bits(),
        }
    }
}

/// Which way a buffer is copied, and whether the guest may write it.
#[derive(Debug, Clone, Copy)]
pub struct Copying {
    pub write: bool,
    pub writable: bool,
}

/// Where the guest's tables map the buffer of a hypercall.
const GVA: u64 = 0x7000;

/// Two stretches that matter, in frames from their start: the low end with its
/// 2 MiB boundaries, and the last 4 MiB of the address space and a bit beyond.
pub fn place(limit: u64, top: bool, offset: u64) -> u64 {
    if top {
        limit - 2 * M2 + offset
    } else {
        offset
    }
}

fn is_any_ram(t: u32) -> bool {
    [p2mt::RAM_RW, p2mt::RAM_RO].contains(&t) || (p2mt::FOREIGN_RW..=p2mt::GRANT_RO).contains(&t)
}

/// Everybody who writes a guest's pages; Xen does it as the others do, since where it
/// copies for a hypercall is [`Op::Copy`]'s.
pub const WRITERS: [Writer; 4] = [
    Writer::Guest,
    Writer::Xen,
    Writer::Backend,
    Writer::Toolstack,
];

/// The memory of the scenario's two domains.
fn is_memory(mfn: u64) -> bool {
    (ram(0)..ram(0) + 8 * M2).contains(&mfn) || (ram(1)..ram(1) + 8 * M2).contains(&mfn)
}

impl Model {
    fn step(&mut self, scene: &Scene<'_>, op: &Op) {
        let &Scene { w, d, owner, .. } = scene;
        match *op {
            Op::Copy { gfn, tables, how } => self.copy(scene, gfn, tables, how),
            Op::Write { gfn, writer } => self.write(scene, gfn, writer),
            Op::Clean { gfn, nr, vm } => scene.clean(gfn, nr, vm),
            Op::Insert { gfn, nr, mfn, t } if self.dying => {
                assert_eq!(d.insert(gfn, nr, mfn, t), errno::ENOMEM, "{op:?}");
            }
            Op::Foreign { gfn, mfn } if self.dying => {
                assert_eq!(d.map_foreign(owner, gfn, mfn), errno::ENOMEM, "{op:?}");
            }
            Op::SetAccess { gfn, nr, access } if self.dying => {
                let any = self.pages.range(gfn..gfn + nr).next().is_some();
                let rc = d.set_access_fully(gfn, u32::try_from(nr).unwrap(), access);
                // What is there already may be left as it is without an error.
                let differs = |(_, page): (&u64, &Page)| page.access != access;
                let must = self.pages.range(gfn..gfn + nr).any(differs);
                let refused = i64::from(errno::ENOMEM);
                assert!(rc == refused || rc == 0 && !must, "{op:?}: {rc}, {any}");
            }
            Op::Fault { gfn, npfec } => self.fault(w, d, gfn, npfec),
            Op::Monitor { listens, required } => {
                (self.listens, self.required) = (listens, required);
                w.monitor_listens(d, listens);
                d.set_access_required(required);
            }
            Op::Dying { state } => {
                self.dying = state != 0;
                d.set_dying_state(state);
            }
            Op::Insert { gfn, nr, mfn, t } => {
                let fits = nr.min(self.limit.saturating_sub(gfn));
                // Nobody maps a domain's own page as foreign.
                let is_foreign = [p2mt::FOREIGN_RW, p2mt::FOREIGN_RO].contains(&t);
                let mfn = if is_foreign {
                    mfn - ram(0) + ram(1)
                } else {
                    mfn
                };
                for i in 0..fits {
                    let page = Page {
                        mfn: mfn + i,
                        t,
                        access: self.default_access,
                    };
                    self.pages.insert(gfn + i, page);
                }
                let expected = if fits == nr { 0 } else { errno::EINVAL };
                if is_foreign {
                    w.take_references(mfn, fits);
                }
                assert_eq!(d.insert(gfn, nr, mfn, t), expected, "{op:?}");
            }
            Op::Foreign { gfn, mfn } => {
                let fits = gfn < self.limit;
                if fits {
                    let page = Page {
                        mfn,
                        t: p2mt::FOREIGN_RW,
                        access: self.default_access,
                    };
                    self.pages.insert(gfn, page);
                }
                let expected = if fits { 0 } else { errno::EINVAL };
                assert_eq!(d.map_foreign(owner, gfn, mfn), expected, "{op:?}");
            }
            Op::Remove { gfn, nr, honest } => self.remove(d, gfn, nr, honest),
            Op::SetAccess { gfn, nr, access } => {
                for (_, page) in self.pages.range_mut(gfn..gfn + nr) {
                    page.access = access;
                }
                let rc = d.set_access_fully(gfn, u32::try_from(nr).unwrap(), access);
                assert_eq!(rc, 0, "{op:?}");
            }
            Op::DefaultAccess { access } => {
                self.default_access = access;
                assert_eq!(d.set_access(INVALID, 0, 0, access), 0);
            }
            Op::Invalidate => d.creation_finished(),
            Op::Resolve { gfn } => {
                // Each fault makes one level valid: the guest comes back until
                // it gets through, or until nothing is found.
                let answers: Vec<bool> = (0..4).map(|_| d.resolve(gfn)).collect();
                let mapped = self.pages.contains_key(&gfn);
                assert_eq!(answers[3], mapped, "{op:?}");
                assert!(!mapped || answers[0], "{op:?}");
            }
        }
    }

    /// The guest's tables and the type decide: neither restrictions nor valid bits.
    fn copy(&self, scene: &Scene<'_>, gfn: u64, tables: u64, how: Copying) {
        let Copying { write, writable } = how;
        let (w, v) = (scene.w, scene.v);
        w.stage1_map(v, GVA, Stage1Entry { gfn, writable });
        w.stage1_tables_in(v, tables);
        let page = scene.as_guest(|| v.page_from_gva(GVA, write).map(test_harness::Page::put));
        let of = |gfn: u64| self.pages.get(&gfn);
        let is_ram = |page: &Page| [p2mt::RAM_RW, p2mt::RAM_RO].contains(&page.t);
        let allowed = |page: &&Page| is_ram(page) && (!write || writable && page.t == p2mt::RAM_RW);
        let expected = of(gfn).filter(allowed).map(|page| page.mfn);
        if of(tables).is_some_and(is_ram) && of(gfn).is_none_or(is_ram) {
            assert_eq!(page, expected, "{:?} by {:?}, {how:?}", of(gfn), of(tables));
        } else if let Some(mfn) = page {
            // What is no RAM by its type may be the domain's own page all the same, if
            // the hardware gets there.
            assert_eq!(Some(mfn), of(gfn).map(|page| page.mfn));
            assert!((ram(0)..ram(0) + 8 * M2).contains(&mfn));
            assert!(!write || writable);
        }
    }

    /// The guest gets to what its rights allow.
    fn write(&self, scene: &Scene<'_>, gfn: u64, writer: Writer) {
        let (w, d) = (scene.w, scene.d);
        if writer == Writer::Guest {
            let written = scene.as_guest(|| d.guest_writes(gfn));
            let page = self.pages.get(&gfn);
            let reached = gfn << 12 >> scene.config.ipa_bits == 0;
            let allowed = |page: &&Page| reached && rights(page.t, page.access).1;
            assert_eq!(written, page.filter(allowed).map(|page| page.mfn));
        } else {
            w.foreign_writes(writer, d, gfn);
        }
    }

    /// What the monitor, the guest and the page get to see of a permission fault.
    fn fault(&mut self, w: &World, d: Domain, gfn: u64, bits: u32) {
        // What a walk of the guest's own tables did is not in these bits alone.
        let bits = if bits >> 5 & 3 == npfec_kind_in_gpt {
            bits & !(3 << 5)
        } else {
            bits
        };
        let npfec = npfec { bits };
        let (read, write, fetch) = (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
        let page = self.pages.get(&gfn).copied();
        let access = page.filter(|_| d.mem_access_enabled()).map(|p| p.access);
        let (may_read, may_write, may_fetch) = access.map_or((true, true, true), allows);
        let always = access.is_some_and(|a| [access::N, access::N2RWX].contains(&a));
        let violation = always || read && !may_read || write && !may_write || fetch && !may_fetch;
        let gla = 0xFFFF_8000_1234_5678;
        let handled = !w.mem_access_check(gfn << 12 | 0x678, gla, npfec);
        assert_eq!(handled, violation, "gfn {gfn:#x} {page:?} npfec {bits:#x}");
        let (mut told, mut lifted) = (None, None);
        match access {
            _ if !violation => (),
            Some(access::RX2RW) if write => lifted = Some(access::RW),
            Some(a) => {
                if a == access::N2RWX {
                    lifted = Some(access::RWX);
                }
                if self.listens {
                    told = Some(a != access::N2RWX);
                } else if self.required {
                    self.crashes += 1;
                } else if a != access::N2RWX {
                    lifted = Some(access::RWX);
                }
            }
            None => (),
        }
        let known = bits & 1 << 4 != 0;
        let with_gla = known && bits >> 5 & 3 == npfec_kind_with_gla;
        let told = told.map(|sync| MonitorRequest {
            reason: 1,
            gfn,
            offset: 0x678,
            gla: if known { gla } else { 0 },
            flags: bits & 7 | u32::from(known) << 3 | u32::from(with_gla) << 4,
            sync,
        });
        assert_eq!(
            w.monitor_requests(),
            Vec::from_iter(told),
            "{page:?} {bits:#x}"
        );
        assert_eq!(w.fate(d).0, self.crashes, "{page:?} npfec {bits:#x}");
        if let Some((page, access)) = self.pages.get_mut(&gfn).zip(lifted) {
            // No entry of a dying domain is changed.
            if !self.dying {
                page.access = access;
            }
        }
    }

    /// An honest caller names the frame that is there (or, where the first
    /// page is not mapped, the one that would fit the rest).
    fn remove(&mut self, d: Domain, gfn: u64, nr: u64, honest: bool) {
        let first = self.pages.range(gfn..gfn + nr).next();
        let there = first.map_or(ram(0), |(&at, page)| page.mfn.wrapping_sub(at - gfn));
        let mfn = if honest { there } else { there ^ 1 };
        let matches = |(&at, page): (&u64, &Page)| {
            !is_any_ram(page.t) || page.mfn == mfn.wrapping_add(at - gfn) && is_memory(mfn)
        };
        // Beyond the end of the address space nothing is there to remove, and
        // the frame number is refused.
        let agrees = self.pages.range(gfn..gfn + nr).all(matches);
        let expected = if !agrees {
            errno::EILSEQ
        } else if self.dying {
            errno::ENOMEM
        } else if gfn + nr > self.limit {
            errno::EINVAL
        } else {
            0
        };
        assert_eq!(
            d.remove(gfn, nr, mfn),
            expected,
            "remove {gfn:#x} {nr} {mfn:#x}"
        );
        if agrees && !self.dying {
            for at in gfn..gfn + nr {
                self.pages.remove(&at);
            }
        }
    }

    /// The tables say what the model says.
    fn agrees_with(&self, d: Domain, snapshot: &Snapshot) {
        let mut seen = 0;
        for (&gfn, leaf) in snapshot {
            for i in 0..1 << leaf.order {
                let page = self.pages.get(&(gfn + i));
                let page = page.unwrap_or_else(|| panic!("gfn {:#x} must not be mapped", gfn + i));
                assert_eq!(
                    (leaf.mfn + i, leaf.p2m_type),
                    (page.mfn, page.t),
                    "gfn {gfn:#x}+{i}"
                );
                let (read, write, execute) = rights(page.t, page.access);
                assert_eq!(
                    (leaf.read, leaf.write, leaf.execute),
                    (read, write, execute),
                    "{page:?}"
                );
                seen += 1;
            }
        }
        assert_eq!(seen, self.pages.len(), "pages are missing from the tables");
        for (&gfn, page) in self.pages.iter().step_by(97) {
            assert_eq!(d.lookup(gfn), (Some(page.mfn), page.t));
            let expected = if d.mem_access_enabled() {
                page.access
            } else {
                access::RWX
            };
            assert_eq!(d.access(gfn), (0, expected), "access of gfn {gfn:#x}");
        }
    }
}

/// What the operations are about.
pub struct Scene<'w> {
    w: &'w World,
    config: Config,
    d: Domain,
    owner: Domain,
    v: Vcpu,
}

impl Scene<'_> {
    /// What the guest's vCPU does, or Xen for it.
    fn as_guest<R>(&self, body: impl FnOnce() -> R) -> R {
        self.w.run(0, self.v);
        body()
    }

    /// Rules C1 and C2 say what had to be cleaned.
    fn clean(&self, gfn: u64, nr: u64, vm: bool) {
        if vm && !self.config.iommu_shares_tables {
            self.v.set_need_flush_to_ram(true);
            self.as_guest(|| self.v.flush_vm());
        } else {
            assert_eq!(self.d.cache_flush(gfn, gfn + nr).0, 0);
        }
    }
}

/// Rights of a mapping: what the type gives and the access leaves.
fn rights(t: u32, a: u32) -> (bool, bool, bool) {
    let ram = [p2mt::RAM_RW, p2mt::RAM_RO].contains(&t);
    let read_only = [
        p2mt::RAM_RO,
        p2mt::FOREIGN_RO,
        p2mt::GRANT_RO,
        p2mt::IOMMU_RO,
    ];
    let (read, write, execute) = allows(a);
    (read, write && !read_only.contains(&t), execute && ram)
}

/// What an access allows: reads, writes, fetches.
fn allows(a: u32) -> (bool, bool, bool) {
    match a {
        access::N | access::N2RWX => (false, false, false),
        access::R | access::R_PW => (true, false, false),
        access::W => (false, true, false),
        access::RW => (true, true, false),
        access::X => (false, false, true),
        access::RX | access::RX2RW => (true, false, true),
        access::WX => (false, true, true),
        _ => (true, true, true),
    }
}

impl Op {
    /// An operation from a fuzzer's bytes; the ranges are those of the random
    /// tests.
    fn from_bytes(limit: u64, bytes: &mut Unstructured<'_>) -> Result<Self> {
        let kind = bytes.int_in_range(0..=9)?;
        let at = |bytes: &mut Unstructured<'_>| -> Result<u64> {
            Ok(bytes.int_in_range(0..=3)? * M2 + bytes.int_in_range(0..=5)?)
        };
        let gfn = place(limit, bytes.arbitrary()?, at(bytes)?);
        let nr = match bytes.int_in_range(0..=10)? {
            8 => M2,
            9 => M2 + 1,
            10 => 2 * M2,
            few => few + 1,
        };
        let access = bytes.int_in_range(access::N..=access::R_PW)?;
        Ok(match kind {
            0 => Self::Insert {
                gfn,
                nr,
                mfn: ram(0) + at(bytes)?,
                t: *bytes.choose(&[
                    p2mt::RAM_RW,
                    p2mt::RAM_RO,
                    p2mt::MMIO_DEV,
                    p2mt::MMIO_C,
                    p2mt::GRANT_RW,
                    p2mt::GRANT_RO,
                ])?,
            },
            1 => Self::Foreign {
                gfn,
                mfn: ram(1) + bytes.int_in_range(0..=15)?,
            },
            2 => Self::Remove {
                gfn,
                nr,
                honest: bytes.ratio(4, 5)?,
            },
            3 => Self::SetAccess { gfn, nr, access },
            4 => Self::DefaultAccess { access },
            // Most inputs of the corpus are older than the next three, and mean what they
            // meant.
            5 => match access {
                access::RWX | access::RX2RW => Self::Copy {
                    gfn,
                    tables: place(limit, false, at(bytes)?),
                    how: Copying {
                        write: bytes.arbitrary()?,
                        writable: bytes.arbitrary()?,
                    },
                },
                access::N2RWX => Self::Write {
                    gfn,
                    writer: *bytes.choose(&WRITERS)?,
                },
                access::R_PW => Self::Clean {
                    gfn,
                    nr,
                    vm: bytes.arbitrary()?,
                },
                _ => Self::Invalidate,
            },
            6 => Self::Resolve { gfn },
            7 => Self::Fault {
                gfn,
                npfec: bytes.int_in_range(0..=0x7F)?,
            },
            8 => Self::Monitor {
                listens: bytes.arbitrary()?,
                required: bytes.arbitrary()?,
            },
            _ => Self::Dying {
                state: bytes.int_in_range(0..=2)?,
            },
        })
    }
}

/// Runs the operations on a machine and on the map, and compares after each.
pub fn run(w: World, config: Config, ops: &[Op]) {
    let (d, owner) = (w.domain(128), w.domain(0));
    w.ram(ram(0), 8 * M2, d);
    w.ram(ram(1), 8 * M2, owner);
    let mut model = Model {
        pages: BTreeMap::new(),
        default_access: access::RWX,
        limit: config.gfn_limit(),
        listens: false,
        required: false,
        crashes: 0,
        dying: false,
    };
    let v = w.vcpu(d);
    w.run(0, v);
    let scene = Scene {
        w: &w,
        config,
        d,
        owner,
        v,
    };
    for op in ops {
        w.within(&op.reach(d), || model.step(&scene, op));
        model.agrees_with(d, &w.snapshot(d));
        w.check();
    }
    w.run(0, w.toolstack(0));
    d.set_dying_state(0);
    w.destroy(d);
    w.destroy(owner);
    w.check();
    assert_eq!(w.heap_in_use(), 0, "pages are leaked");
}

/// The globals of the code under test, for each machine: those of a test are
/// never freed, and a fuzzer runs for long.
static GLOBALS: Mutex<BTreeMap<usize, Machine>> = Mutex::new(BTreeMap::new());

/// A fuzzer's input: the first byte picks the machine, the rest are at most 24
/// operations.
pub fn run_bytes(input: &[u8]) {
    let mut bytes = Unstructured::new(input);
    let machines: Vec<_> = machines().collect();
    let Ok(which) = bytes.choose_index(machines.len()) else {
        return;
    };
    let config = machines[which];
    let mut ops = Vec::new();
    while !bytes.is_empty() && ops.len() < 24 {
        match Op::from_bytes(config.gfn_limit(), &mut bytes) {
            Ok(op) => ops.push(op),
            Err(_) => break,
        }
    }
    let mut globals = GLOBALS.lock().unwrap();
    attach_for_test(*globals.entry(which).or_insert_with(|| {
        reset_for_test();
        machine_for_test()
    }));
    run(World::new(config), config, &ops);
}
