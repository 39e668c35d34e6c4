// SPDX-License-Identifier: GPL-2.0-only
//! Two worlds in lock step through a list of operations.

use std::collections::BTreeMap;

use test_harness::{Config, Violation};

use crate::exec::outcome::{Outcome, Prepared};
use crate::exec::request::Request;
use crate::exec::{self, lifetime, mapping};
use crate::lockstep::compare::{self, same, Difference};
use crate::lockstep::reach;
use crate::lockstep::tree::{Stores, Trees, Unequal};
use crate::ops::machine::{Machine, DOMAINS};
use crate::ops::op::{Kind, Op};
use crate::sides::exports::{C, RUST};
use crate::sides::side::Side;
use crate::sides::xen_c;

/// A cache flush of more pages than this is left out: it takes long.
const FLUSHABLE: u64 = 3000;

/// Each so many operations, everything is read again.
const FULL: usize = 300;

/// What an episode adds up to.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Operations that agreed.
    pub(crate) operations: u64,
    /// How many of each kind were carried out, by name.
    pub(crate) kinds: BTreeMap<&'static str, u64>,
    /// Rules of the model that the C broke, and the Rust did not.
    pub(crate) rules: BTreeMap<&'static str, u64>,
}

/// Where the two sides differ.
#[derive(Debug)]
pub(crate) struct Mismatch {
    /// Number of the operation.
    pub(crate) at: usize,
    pub(crate) difference: Difference,
    /// What the operation answered, Rust and C.
    pub(crate) answers: (Outcome, Outcome),
}

struct Pair<'t> {
    machine: Machine,
    shared: bool,
    rust: Side,
    c: Side,
    trees: Vec<Trees>,
    prepared: Prepared,
    /// Number of the last operation.
    last: usize,
    /// Number of the first of the operations that end all domains.
    end: usize,
    tally: &'t mut Tally,
}

/// Runs the operations, the first of which is [`Kind::Boot`].
pub(crate) fn run(machine: Machine, ops: &[Op], tally: &mut Tally) -> Result<(), Box<Mismatch>> {
    let boot = ops.first().filter(|op| op.kind == Kind::Boot);
    let [speculate, vmid16, shares, pool, news, ranges] = boot.map_or([0; 6], |op| op.args);
    let config = machine.config([speculate, vmid16, shares, news, ranges].map(|is| is != 0));
    xen_c::reset();
    p2m_rs::xen::globals::reset_for_test();
    // The C breaks rules that it never heard of.
    let c = Side::new(
        Config {
            call_paths: false,
            ..config
        },
        &C,
    );
    p2m_rs::xen::globals::reset_for_test();
    let rust = Side::new(config, &RUST);
    let mut pair = Pair {
        machine,
        shared: config.iommu_shares_tables,
        rust,
        c,
        trees: Vec::new(),
        prepared: Prepared::default(),
        last: ops.len().saturating_sub(1),
        end: end_of_life(ops),
        tally,
    };
    let result = pair.boot(pool).and_then(|()| {
        let steps = ops.iter().enumerate().skip(1);
        let mut steps = steps.filter(|(_, op)| op.kind != Kind::Boot);
        // Which operation is it that does not end?
        let trace = std::env::var_os("ORACLE_TRACE").is_some();
        steps.try_for_each(|(at, op)| {
            if trace {
                eprintln!("{at} {op}");
            }
            pair.step(at, op)
        })
    });
    // Both worlds are judged here, not when they go.
    pair.rust.world.abandon();
    pair.c.world.abandon();
    let Pair { rust, c, .. } = pair;
    drop(rust);
    drop(c);
    result
}

impl Pair<'_> {
    fn boot(&mut self, pool: u64) -> Result<(), Box<Mismatch>> {
        let on = |side: &Side| {
            let _here = side.enter();
            (0..DOMAINS)
                .flat_map(|d| lifetime::create(side, d, pool))
                .collect::<Outcome>()
        };
        let answers = (on(&self.rust), on(&self.c));
        let whole = self.whole(&answers);
        whole.map_err(|difference| mismatch(0, difference, answers))
    }

    fn step(&mut self, at: usize, op: &Op) -> Result<(), Box<Mismatch>> {
        if at == self.end {
            // While the domains still have all that they were given, after the operation before.
            let before = at.saturating_sub(1);
            self.rules(true)
                .map_err(|difference| mismatch(before, difference, Default::default()))?;
        }
        match op.kind {
            Kind::Fail => {
                self.prepared.alloc = op.args[0];
                return Ok(());
            }
            Kind::Preempt => {
                self.prepared.preempt = op.args[0];
                self.prepared.event = op.args[1] != 0;
                return Ok(());
            }
            Kind::CacheFlush | Kind::FlushVm if self.flushable() > FLUSHABLE => return Ok(()),
            _ => {}
        }
        let there = {
            let _here = self.rust.enter();
            mapping::named_frame(&self.rust, op)
        };
        let prepared = std::mem::take(&mut self.prepared);
        let looks = at % reach::EVERY == 0;
        let reach = looks.then(|| {
            let _here = self.rust.enter();
            reach::of(&self.rust, op)
        });
        let reach = reach.flatten();
        let others = reach.as_ref().map(|r| self.rust.world.neighbours(r));
        let on = |side: &Side| {
            let _here = side.enter();
            prepared.set(side);
            let outcome = exec::step(Request {
                side,
                op,
                prepared,
                there,
                shared: self.shared,
            });
            Prepared::default().set(side);
            outcome
        };
        let answers = (on(&self.rust), on(&self.c));
        let now = reach.as_ref().map(|r| self.rust.world.neighbours(r));
        if let Some(changed) = others.zip(now).and_then(|(a, b)| a.first_difference(&b)) {
            let difference = Difference {
                what: "a page out of the operation's reach".into(),
                rust: changed,
                c: String::new(),
            };
            return Err(mismatch(at, difference, answers));
        }
        let last = at == self.last;
        let compared = if op.kind == Kind::Destroy || at % FULL == 0 || last {
            self.whole(&answers)
        } else {
            self.touched(&answers, false)
        };
        // The model's census takes long: once more, of the empty domains.
        let compared = compared.and_then(|()| if last { self.rules(true) } else { Ok(()) });
        self.tally.operations += 1;
        // Only in a domain that dies is there anything to relinquish.
        let is_idle = op.kind == Kind::Relinquish && answers.0.is_empty();
        *self.tally.kinds.entry(op.kind.name()).or_default() += u64::from(!is_idle);
        compared.map_err(|difference| mismatch(at, difference, answers))
    }

    /// Pages that a cache flush may have to clean.
    fn flushable(&self) -> u64 {
        self.trees.iter().map(Trees::flushable).sum()
    }

    /// Compares everything, however old.
    fn whole(&mut self, answers: &(Outcome, Outcome)) -> Result<(), Difference> {
        let root = self.machine.config([false; 5]).root();
        self.trees = (0..DOMAINS)
            .map(|d| Trees::of(&self.rust, &self.c, d, root))
            .collect();
        self.touched(answers, true)?;
        compare::pools(&self.rust, &self.c)?;
        compare::xenheap(&self.rust, &self.c)?;
        compare::settings(&self.rust, &self.c)?;
        same(&rust_globals(), &xen_c::globals(), || {
            "p2m_ipa_bits, max_vmid, p2m_root_order, p2m_root_level".into()
        })
    }

    /// Compares the answers, the structures, and what was stored to.
    fn touched(&mut self, answers: &(Outcome, Outcome), full: bool) -> Result<(), Difference> {
        let mut r = self.rust.touched();
        let mut c = self.c.touched();
        self.rules(false)?;
        if answers.0 != answers.1 {
            return Err(Difference {
                what: "answer".into(),
                rust: String::new(),
                c: String::new(),
            });
        }
        compare::structures(&self.rust, &self.c)?;
        for list in [&mut r.tables, &mut c.tables] {
            list.sort_unstable();
            list.dedup();
        }
        let stores = Stores {
            rust: &r.tables,
            c: &c.tables,
            full,
        };
        if full || !r.tables.is_empty() || !c.tables.is_empty() {
            for (n, trees) in self.trees.iter_mut().enumerate() {
                trees
                    .compare(&self.rust, &self.c, &stores)
                    .map_err(|unequal| word_difference(n, unequal))?;
            }
            compare::xenheap(&self.rust, &self.c)?;
        }
        if r.pool || c.pool || r.tables.len() > 1 {
            compare::pools(&self.rust, &self.c)?;
        }
        r.references.extend(c.references);
        // Two lists that are mostly in order: this sort likes them.
        r.references.sort();
        r.references.dedup();
        compare::references(&self.rust, &self.c, &r.references)?;
        if !r.settings.is_empty() || !c.settings.is_empty() {
            r.settings.extend(c.settings);
            r.settings.sort_unstable();
            r.settings.dedup();
            compare::settings_of(&self.trees, &self.c, &r.settings)?;
        }
        same(&r.icache, &c.icache, || {
            "invalidations of the instruction cache".into()
        })?;
        same(&r.mapcache, &c.mapcache, || {
            "whether the mapcache was invalidated".into()
        })?;
        compare::neighbours(&self.rust, &self.c)
    }

    /// The Rust breaks no rule of the model, whatever the C does.
    fn rules(&mut self, check: bool) -> Result<(), Difference> {
        let take = |side: &Side| {
            if check {
                side.world.violations()
            } else {
                side.world.take_violations()
            }
        };
        let (rust, c) = (take(&self.rust), take(&self.c));
        let alone = |broken: &&Violation| !rust.iter().any(|other| other.rule == broken.rule);
        for broken in c.iter().filter(alone) {
            *self.tally.rules.entry(broken.rule).or_default() += 1;
        }
        let new = rust.iter().find(|broken| {
            let excused = match broken.rule {
                // Without shared tables no IOMMU walks them.
                "P3" => !self.shared,
                _ => false,
            };
            !excused
        });
        match new {
            None => Ok(()),
            Some(broken) => Err(Difference {
                what: "a rule of the machine model is broken".into(),
                rust: format!("{broken:?}"),
                c: format!("{c:?}"),
            }),
        }
    }
}

/// Where operations begin that do nothing but destroy domains: to the end.
fn end_of_life(ops: &[Op]) -> usize {
    let ends = |op: &Op| matches!(op.kind, Kind::Destroy | Kind::Preempt | Kind::Fail);
    ops.iter()
        .rposition(|op| !ends(op))
        .map_or(0, |before| before + 1)
}

fn mismatch(at: usize, difference: Difference, answers: (Outcome, Outcome)) -> Box<Mismatch> {
    Box::new(Mismatch {
        at,
        difference,
        answers,
    })
}

fn word_difference(domain: usize, unequal: Unequal) -> Difference {
    let Unequal {
        gfn,
        level,
        rust,
        c,
    } = unequal;
    Difference {
        what: format!("entry for guest frame {gfn:#x} at level {level} of domain {domain}"),
        rust: format!("{rust:#018x}"),
        c: format!("{c:#018x}"),
    }
}

/// As [`xen_c::globals`].
fn rust_globals() -> [u32; 4] {
    p2m_rs::xen::globals::exported_for_test()
}
