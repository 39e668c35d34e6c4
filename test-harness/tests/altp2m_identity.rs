// SPDX-License-Identifier: GPL-2.0-only
//! A domain whose vCPUs sit in fresh views behaves as one without views: the same operations of
//! toolstack, neighbours and guest, once so and once so, with the same answers, the same host p2m,
//! the same memory for the guest to see, and the same pages cleaned and referenced.
//!
//! Accesses of the host are left out, because a view has its own (docs/altp2m.md). So are valid
//! bits: a vCPU whose view maps a page already does not fault on the host's entry.
//!
//! `XEN_P2M_IDENTITY_OPS` sets the number of operations.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;

use std::fmt::Debug;

use common::views::ipa;
use common::{guest, machines, p2mt, ram, world, G1, M2};
use test_harness::{Config, Domain, Stage1Entry, Vcpu, World};

/// Operations of an episode, and how many there are in all by default.
const EPISODE: u64 = 2000;
const DEFAULT: u64 = 12_000;

/// Where the guest's own tables are, which stay mapped: what Xen does about tables that it cannot
/// read is another matter in a view.
const TABLES: u64 = 0x2000;

/// Frames of a device.
const DEVICE: u64 = 0x8000;

/// CPUs, each with as many vCPUs that take turns.
const CPUS: usize = 3;
const TURNS: usize = 2;

/// Numbers that the seed decides.
struct Rng(u64);

impl Rng {
    fn below(&mut self, end: u64) -> u64 {
        // Knuth's MMIX; the high bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap()
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }

    /// A frame near the edges of two neighbouring blocks, or in a block of 1 GiB.
    fn gfn(&mut self) -> u64 {
        let base = self.of(&[0x4000, 0x4000 + M2, G1, G1 + M2]);
        (base + self.of(&[0, 0, 1, 2, 7, 256])).saturating_sub(self.below(3))
    }
}

/// One of the two worlds, and what it answered.
struct Run {
    w: World,
    d: Domain,
    owner: Domain,
    vcpus: Vec<Vcpu>,
    /// By CPU: which of its vCPUs runs.
    running: [usize; CPUS],
    answers: Vec<String>,
}

impl Run {
    fn new(config: Config, in_views: bool) -> Self {
        let w = world(config);
        let (d, owner) = (guest(&w, 0), guest(&w, 1));
        assert_eq!(d.set_pool(3000), 0);
        let vcpus: Vec<_> = (0..CPUS * TURNS).map(|_| w.vcpu(d)).collect();
        assert_eq!(d.insert(TABLES, 8, ram(0) + TABLES, p2mt::RAM_RW), 0);
        (TABLES..)
            .zip(&vcpus)
            .for_each(|(gfn, v)| w.stage1_tables_in(*v, gfn));
        if in_views {
            w.allow_views(d);
            assert_eq!(d.use_views(true), 0);
            let views = [(); 2].map(|()| d.create_view(test_harness::abi::access::RWX).unwrap());
            for (n, vcpu) in vcpus.iter().enumerate() {
                assert_eq!(vcpu.switch_view(views[n % views.len()]), 0);
            }
        }
        let run = Self {
            w,
            d,
            owner,
            vcpus,
            running: [0; CPUS],
            answers: Vec::new(),
        };
        (0..CPUS).for_each(|cpu| run.w.run(cpu, run.vcpus[cpu]));
        run
    }

    fn answer(&mut self, what: &str, answer: impl Debug) {
        self.answers.push(format!("{what} {answer:x?}"));
    }

    fn vcpu(&self, cpu: usize) -> Vcpu {
        self.vcpus[cpu + CPUS * self.running[cpu]]
    }

    /// What the guest gets at a frame, with as many faults as it takes.
    fn guest_reads(&self, cpu: usize, gfn: u64) -> Option<u64> {
        for _ in 0..6 {
            if let Some(maddr) = self.w.guest_reads(cpu, ipa(gfn)) {
                return Some(maddr >> 12);
            }
            if !self.w.on_cpu(cpu, || self.d.resolve(gfn)) {
                return None;
            }
        }
        panic!("the guest faults for ever at {gfn:#x}");
    }

    fn step(&mut self, rng: &mut Rng) {
        let (gfn, cpu) = (rng.gfn(), rng.index(CPUS));
        let nr = rng.of(&[1, 1, 2, 5, M2, M2, 2 * M2]);
        match rng.below(16) {
            0..=2 => {
                let (gfn, mfn) = if nr >= M2 {
                    (gfn & !(M2 - 1), ram(0) + rng.below(8) * M2)
                } else {
                    (gfn, ram(0) + rng.below(4 * M2))
                };
                let ty = rng.of(&[p2mt::RAM_RW, p2mt::RAM_RW, p2mt::RAM_RO, p2mt::MMIO_DEV]);
                // Device memory has no owner.
                let mfn = if ty == p2mt::MMIO_DEV { DEVICE } else { mfn };
                let rc = self.d.insert(gfn, nr, mfn, ty);
                self.answer("insert", rc);
            }
            3 => {
                let rc = self.d.map_foreign(self.owner, gfn, ram(1) + rng.below(64));
                self.answer("foreign", rc);
            }
            4 | 5 => {
                let mfn = self.d.lookup(gfn).0.unwrap_or(ram(0));
                let rc = self.d.remove(gfn, nr, mfn);
                self.answer("remove", rc);
            }
            6..=9 => {
                let read = self.guest_reads(cpu, gfn);
                let can = read.map(|_| {
                    let written = self.w.guest_can(cpu, ipa(gfn), true);
                    (written, self.w.guest_can_execute(cpu, ipa(gfn)))
                });
                self.answer("guest", (read, can));
            }
            10 => {
                self.running[cpu] = (self.running[cpu] + 1) % TURNS;
                self.w.run(cpu, self.vcpu(cpu));
            }
            11 => self.d.creation_finished(),
            12 => {
                let (v, gva) = (self.vcpu(cpu), 0x10_0000 + rng.below(4) * 0x1000);
                let entry = Stage1Entry {
                    gfn,
                    writable: rng.below(2) == 0,
                };
                self.w.stage1_map(v, gva, entry);
                let write = rng.below(2) == 0;
                let page = self.w.on_cpu(cpu, || v.page_from_gva(gva, write));
                self.answer("buffer", page.map(|page| page.put()));
            }
            13 => {
                let (found, ty) = self.d.page_from_gfn(gfn);
                self.answer("page", (found.map(|page| page.put()), ty));
            }
            14 => {
                let v = self.vcpu(cpu);
                if rng.below(4) == 0 {
                    v.set_need_flush_to_ram(true);
                    self.w.on_cpu(cpu, || v.flush_vm());
                } else {
                    let range = self.d.cache_flush(gfn, gfn + nr);
                    self.answer("flush", range);
                }
                let cleaned = self.w.flushed_to_ram();
                self.answer("cleaned", cleaned);
            }
            _ => {
                let references: Vec<_> = (0..64).map(|n| self.w.references(ram(1) + n)).collect();
                self.answer("references", references);
            }
        }
    }

    /// The host p2m but for valid bits, statistics, and whether something went wrong.
    fn look(&mut self) {
        let host: Vec<_> = self
            .w
            .snapshot(self.d)
            .into_iter()
            .map(|(gfn, leaf)| (gfn, leaf.mfn, leaf.order, leaf.p2m_type))
            .collect();
        self.answer("host", host);
        let d = self.d;
        self.answer("statistics", (d.mapping_stats(), d.shattered_stats()));
        self.answer("crashes", self.w.fate(d));
        self.w.check();
    }

    /// The episode, and the domain's end.
    fn through(mut self, seed: u64) -> Vec<String> {
        let mut rng = Rng(seed);
        for n in 1..=EPISODE {
            self.step(&mut rng);
            if n % 250 == 0 {
                self.look();
            }
        }
        (0..CPUS).for_each(|cpu| self.w.run(cpu, self.w.toolstack(cpu)));
        self.w.destroy(self.d);
        let references: Vec<_> = (0..64).map(|n| self.w.references(ram(1) + n)).collect();
        self.answer("references at the end", references);
        self.w.check();
        self.answers
    }
}

#[test]
fn a_domain_whose_vcpus_sit_in_fresh_views_behaves_as_one_without_views() {
    let asked = std::env::var("XEN_P2M_IDENTITY_OPS");
    let ops: u64 = asked.map_or(DEFAULT, |asked| asked.parse().unwrap());
    // Where devices share the tables, accesses are not tracked.
    let configs: Vec<_> = machines().filter(|c| !c.iommu_shares_tables).collect();
    for (seed, config) in (1..=ops.div_ceil(EPISODE)).zip(configs.iter().cycle()) {
        let config = Config {
            log_capacity: 0,
            at_speculate: seed % 2 == 0,
            ..*config
        };
        let plain = Run::new(config, false).through(seed);
        let in_views = Run::new(config, true).through(seed);
        assert_eq!(plain.len(), in_views.len());
        for (n, (plain, in_views)) in plain.iter().zip(&in_views).enumerate() {
            assert_eq!(plain, in_views, "answer {n} of seed {seed}");
        }
    }
}
