// SPDX-License-Identifier: GPL-2.0-only
//! The same operations of toolstack, neighbours, devices and guest, once with all vCPUs in the host
//! p2m and once in fresh views, and what everybody is answered.
//!
//! Accesses of the host are left out, because a view has its own (docs/altp2m.md). So are valid
//! bits: a vCPU whose view maps a page already does not fault on the host's entry.

use std::any::Any;
use std::fmt::Debug;

use test_harness::{
    abi, Checker, Config, Domain, Event, Stage1Entry, Topic, Vcpu, Violation, World, Writer,
    INVALID,
};

use xen_sys::{XS_IOMMU_FLUSHF_added, XS_IOMMU_FLUSHF_modified};

use super::views::ipa;
use super::{guest, p2mt, ram, world, G1, M2};

/// Operations of an episode.
pub const EPISODE: u64 = 1000;

/// Where the guest's own tables are, which stay mapped: what Xen does about tables that it cannot
/// read is another matter in a view.
const TABLES: u64 = 0x2000;

/// Frames of a device.
const DEVICE: u64 = 0x8000;

/// CPUs, each with as many vCPUs that take turns.
const CPUS: usize = 3;
const TURNS: usize = 2;

/// How many frames of each guest are looked at whenever references are compared.
const COUNTED: u64 = 64;

/// For which frames an IOMMU was told of entries that were added, or changed: stretches of frames for each flag and
/// answer. (Beside views blocks are split first, and pages mapped a table at a time: the same frames, in more flushes.)
pub fn frames_told(told: &[(u64, u64, u32, i32)]) -> Vec<(u32, i32, u64, u64)> {
    let with = |flag: u32| {
        let flushes = told
            .iter()
            .filter(move |(_, _, flags, _)| flags & flag != 0);
        flushes.map(move |&(gfn, nr, _, rc)| (flag, rc, gfn, gfn + nr))
    };
    let flags = [XS_IOMMU_FLUSHF_added, XS_IOMMU_FLUSHF_modified];
    let mut all: Vec<_> = flags.into_iter().flat_map(with).collect();
    all.sort_unstable();
    all.dedup_by(|next, last| {
        let joins = (next.0, next.1) == (last.0, last.1) && next.2 <= last.3;
        if joins {
            last.3 = last.3.max(next.3);
        }
        joins
    });
    all
}

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

/// Gathers what an IOMMU is told.
#[derive(Default)]
struct Told(Vec<(u64, u64, u32, i32)>);

impl Checker for Told {
    fn event(&mut self, _cpu: usize, event: &Event) -> Option<Violation> {
        if let &Event::IommuFlush { gfn, nr, flags, rc } = event {
            self.0.push((gfn, nr, flags, rc));
        }
        None
    }

    fn follows(&self, topic: Topic) -> bool {
        topic == Topic::Others
    }

    fn gathered(&mut self) -> Option<Box<dyn Any>> {
        Some(Box::new(std::mem::take(&mut self.0)))
    }
}

/// One of the two worlds, and what it answered.
pub struct Run {
    w: World,
    d: Domain,
    owner: Domain,
    shares_tables: bool,
    vcpus: Vec<Vcpu>,
    /// By CPU: which of its vCPUs runs.
    running: [usize; CPUS],
    /// The numbers of the views, if the vCPUs sit in any.
    views: Option<[u16; 2]>,
    answers: Vec<String>,
}

impl Run {
    pub fn new(config: Config, in_views: bool) -> Self {
        let w = world(config);
        w.subscribe(Box::new(Told::default()));
        let (d, owner) = (guest(&w, 0), guest(&w, 1));
        assert_eq!(d.set_pool(3000), 0);
        let vcpus: Vec<_> = (0..CPUS * TURNS).map(|_| w.vcpu(d)).collect();
        assert_eq!(d.insert(TABLES, 8, ram(0) + TABLES, p2mt::RAM_RW), 0);
        (TABLES..)
            .zip(&vcpus)
            .for_each(|(gfn, v)| w.stage1_tables_in(*v, gfn));
        let views = in_views.then(|| {
            w.allow_views(d);
            assert_eq!(d.use_views(true), 0);
            let views = [(); 2].map(|()| d.create_view(abi::access::RWX).unwrap());
            for (n, vcpu) in vcpus.iter().enumerate() {
                assert_eq!(vcpu.switch_view(views[n % views.len()]), 0);
            }
            views
        });
        let run = Self {
            w,
            d,
            owner,
            shares_tables: config.iommu_shares_tables,
            vcpus,
            running: [0; CPUS],
            views,
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
        match rng.below(22) {
            0..=5 => self.toolstack_steps(rng, gfn, nr),
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
            14 | 15 => self.writes(rng, cpu, gfn),
            16 => self.cleans(rng, cpu, gfn, nr),
            17 => {
                let device = [false, true].map(|write| self.w.device_reaches(self.d, gfn, write));
                self.answer("device", device);
            }
            18 => {
                // From one view to another, or to the host p2m, which nobody can tell.
                let (v, other) = (self.vcpu(cpu), rng.index(3));
                self.w.run(cpu, self.w.toolstack(cpu));
                if let Some(views) = self.views {
                    let other = views.get(other).copied().unwrap_or(0);
                    assert_eq!(v.switch_view(other), 0);
                }
                self.w.run(cpu, v);
            }
            19 => self.renews_a_view(rng.index(2)),
            _ => self.counts(),
        }
    }

    /// The host p2m changes.
    fn toolstack_steps(&mut self, rng: &mut Rng, gfn: u64, nr: u64) {
        match rng.below(12) {
            0..=4 => {
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
            5 => {
                let ty = rng.of(&[p2mt::GRANT_RW, p2mt::GRANT_RO]);
                let rc = self.d.insert(gfn, 1, ram(1) + rng.below(COUNTED), ty);
                self.answer("grant", rc);
            }
            6 => {
                let mfn = ram(1) + rng.below(COUNTED);
                let rc = self.d.map_foreign(self.owner, gfn, mfn);
                self.answer("foreign", rc);
            }
            7 => {
                // The guest's page, in another guest.
                let mfn = ram(0) + rng.below(COUNTED);
                let rc = self.owner.map_foreign(self.d, gfn, mfn);
                self.answer("a neighbour maps", rc);
            }
            8 => {
                let rc = self.d.set_entry(gfn, nr, INVALID, 0, abi::access::RWX);
                self.answer("unmap", rc);
            }
            _ => {
                let mfn = self.d.lookup(gfn).0.unwrap_or(ram(0));
                let rc = self.d.remove(gfn, nr, mfn);
                self.answer("remove", rc);
            }
        }
    }

    /// Somebody writes a page, which is dirty then.
    fn writes(&mut self, rng: &mut Rng, cpu: usize, gfn: u64) {
        let (w, d) = (&self.w, self.d);
        let wrote = match rng.below(3) {
            0 => w.foreign_writes(Writer::Toolstack, d, gfn),
            _ => w.on_cpu(cpu, || d.guest_writes(gfn)),
        };
        let dirty = w.dirty_pages();
        self.answer("written", (wrote, dirty));
    }

    fn cleans(&mut self, rng: &mut Rng, cpu: usize, gfn: u64, nr: u64) {
        let v = self.vcpu(cpu);
        // (Where devices share the tables, set/way operations are not emulated.)
        if rng.below(4) == 0 && !self.shares_tables {
            v.set_need_flush_to_ram(true);
            self.w.on_cpu(cpu, || v.flush_vm());
        } else {
            let range = self.d.cache_flush(gfn, gfn + nr);
            self.answer("flush", range);
        }
        let cleaned = self.w.flushed_to_ram();
        self.answer("cleaned", (cleaned, self.w.dirty_pages()));
    }

    /// All vCPUs go on in the other view, and one is destroyed and created anew.
    fn renews_a_view(&mut self, which: usize) {
        (0..CPUS).for_each(|cpu| self.w.run(cpu, self.w.toolstack(cpu)));
        if let Some(views) = self.views {
            assert_eq!(self.d.switch_view(views[1 - which]), 0);
            assert_eq!(self.d.destroy_view(views[which]), 0);
            assert_eq!(self.d.create_view(abi::access::RWX), Ok(views[which]));
        }
        (0..CPUS).for_each(|cpu| self.w.run(cpu, self.vcpu(cpu)));
    }

    fn counts(&mut self) {
        let of = |n| (ram(n)..ram(n) + COUNTED).collect::<Vec<_>>();
        let references = [0, 1].map(|n| self.w.references_of(&of(n)));
        self.answer("references", references);
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
        self.answer("devices that were refused", self.w.device_gaps());
        self.w.check();
    }

    /// What an IOMMU was told since it was last asked.
    fn told(&mut self) {
        let told = self.w.gathered::<Vec<(u64, u64, u32, i32)>>();
        if !told.is_empty() {
            self.answer("the IOMMU", frames_told(&told));
        }
    }

    /// An episode, and the domain's end.
    pub fn through(mut self, seed: u64) -> Vec<String> {
        let mut rng = Rng(seed);
        for n in 1..=EPISODE {
            self.step(&mut rng);
            self.told();
            if n % 250 == 0 {
                self.look();
            }
        }
        (0..CPUS).for_each(|cpu| self.w.run(cpu, self.w.toolstack(cpu)));
        // What others have mapped of it goes first.
        self.w.destroy(self.owner);
        self.w.destroy(self.d);
        self.counts();
        self.w.check();
        self.answers
    }
}
