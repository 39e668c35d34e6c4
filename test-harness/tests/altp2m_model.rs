// SPDX-License-Identifier: GPL-2.0-only
//! Random sequences of what a toolstack, a monitor and guests in views do, beside a model of what
//! each of them must see. After each step every rule is checked (V1 among them), and what guests
//! read is compared.
//!
//! `PROPTEST_CASES` sets the number of sequences.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;

use std::collections::BTreeMap;

use common::views::{ipa, Viewed};
use common::{p2mt, ram, M2};
use p2m_rs::types::access::P2mAccess;
use proptest::prelude::*;
use test_harness::Vcpu;

/// Frames that the sequences use: pages, and blocks of 2 MiB.
const FIRST: u64 = 0x4000;
const FRAMES: u64 = 2 * M2;

/// A frame out of a few, so that steps meet.
fn frame() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..4, M2 - 2..M2 + 2, FRAMES - 2..FRAMES].prop_map(|offset| FIRST + offset)
}

#[derive(Clone, Debug)]
enum Step {
    /// The host maps a page to another of the domain's frames.
    Map(u64, u64),
    /// The host maps a block of 2 MiB.
    MapBlock(u64),
    /// The host unmaps some pages.
    Unmap(u64, u64),
    /// The host's access of a page.
    HostAccess(u64, bool),
    Create(bool),
    Destroy(u16),
    Access(u16, u64, bool),
    Remap(u16, u64, u64),
    ForgetRemapping(u16, u64),
    /// A vCPU goes on in a view.
    Enter(usize, u16),
    /// A guest reads.
    Read(usize, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let view = || 1_u16..4;
    let cpu = || 0_usize..3;
    prop_oneof![
        2 => (frame(), 0_u64..64).prop_map(|(gfn, mfn)| Step::Map(gfn, mfn)),
        1 => (0_u64..2).prop_map(Step::MapBlock),
        2 => (frame(), 1_u64..4).prop_map(|(gfn, nr)| Step::Unmap(gfn, nr)),
        1 => (frame(), any::<bool>()).prop_map(|(gfn, all)| Step::HostAccess(gfn, all)),
        1 => any::<bool>().prop_map(Step::Create),
        1 => view().prop_map(Step::Destroy),
        2 => (view(), frame(), any::<bool>()).prop_map(|(n, gfn, all)| Step::Access(n, gfn, all)),
        2 => (view(), frame(), frame()).prop_map(|(n, gfn, to)| Step::Remap(n, gfn, to)),
        1 => (view(), frame()).prop_map(|(n, gfn)| Step::ForgetRemapping(n, gfn)),
        2 => (cpu(), 0_u16..4).prop_map(|(cpu, n)| Step::Enter(cpu, n)),
        6 => (cpu(), frame()).prop_map(|(cpu, gfn)| Step::Read(cpu, gfn)),
    ]
}

/// What a view is, beside what its host maps.
#[derive(Default)]
struct ViewModel {
    default_writable: bool,
    /// What is shown at a frame, if not the host's: the source.
    remapped: BTreeMap<u64, u64>,
    /// Whether a page may be written, where that was set or came with a remapping.
    writable: BTreeMap<u64, bool>,
    /// The range that all sources since the view was empty lie in.
    sources: Option<(u64, u64)>,
}

impl ViewModel {
    fn is_writable(&self, gfn: u64) -> bool {
        self.writable
            .get(&gfn)
            .copied()
            .unwrap_or(self.default_writable)
    }

    /// The host's mappings of these frames change.
    fn forget(&mut self, gfn: u64, nr: u64) {
        if self
            .sources
            .is_some_and(|(first, last)| gfn <= last && first < gfn + nr)
        {
            *self = Self {
                default_writable: self.default_writable,
                ..Self::default()
            };
        } else {
            self.clear(gfn, nr);
        }
    }

    fn clear(&mut self, gfn: u64, nr: u64) {
        self.remapped.retain(|at, _| !(gfn..gfn + nr).contains(at));
        self.writable.retain(|at, _| !(gfn..gfn + nr).contains(at));
    }
}

struct Model {
    host: BTreeMap<u64, u64>,
    host_writable: BTreeMap<u64, bool>,
    views: BTreeMap<u16, ViewModel>,
    /// The view that the vCPU of a CPU is in.
    at: [u16; 3],
}

impl Model {
    /// The host's mappings of these frames change, where there are any.
    fn forget(&mut self, gfn: u64, nr: u64) {
        if self.host.range(gfn..gfn + nr).next().is_some() {
            for view in self.views.values_mut() {
                view.forget(gfn, nr);
            }
        }
    }

    /// What a guest in a view reads at a frame, and whether it may write there.
    fn sees(&self, number: u16, gfn: u64) -> Option<(u64, bool)> {
        let own = *self.host.get(&gfn)?;
        let Some(view) = self.views.get(&number) else {
            let writable = self.host_writable.get(&gfn).copied().unwrap_or(true);
            return Some((own, writable));
        };
        let mfn = view
            .remapped
            .get(&gfn)
            .map_or(own, |source| self.host[source]);
        Some((mfn, view.is_writable(gfn)))
    }
}

const fn access(all: bool) -> P2mAccess {
    if all {
        P2mAccess::Rwx
    } else {
        P2mAccess::Rx
    }
}

fn apply(v: &Viewed, vcpus: &[Vcpu], model: &mut Model, step: &Step) {
    match *step {
        Step::Map(gfn, mfn) => {
            assert_eq!(v.d.insert(gfn, 1, ram(0) + mfn, p2mt::RAM_RW), 0);
            model.forget(gfn, 1);
            model.host.insert(gfn, ram(0) + mfn);
            model.host_writable.remove(&gfn);
        }
        Step::MapBlock(block) => {
            let gfn = FIRST + block * M2;
            assert_eq!(v.d.insert(gfn, M2, ram(0) + M2, p2mt::RAM_RW), 0);
            model.forget(gfn, M2);
            for page in 0..M2 {
                model.host.insert(gfn + page, ram(0) + M2 + page);
                model.host_writable.remove(&(gfn + page));
            }
        }
        Step::Unmap(gfn, nr) => {
            // What the host maps there, page by page: as a guest balloons out.
            for gfn in gfn..gfn + nr {
                if let Some(mfn) = model.host.get(&gfn).copied() {
                    assert_eq!(v.d.remove(gfn, 1, mfn), 0);
                    model.forget(gfn, 1);
                    model.host.remove(&gfn);
                    model.host_writable.remove(&gfn);
                }
            }
        }
        Step::HostAccess(gfn, all) => {
            let value = if all {
                common::access::RWX
            } else {
                common::access::RX
            };
            assert_eq!(v.d.set_access_fully(gfn, 1, value), 0);
            if model.host.contains_key(&gfn) {
                model.host_writable.insert(gfn, all);
            }
        }
        Step::Create(all) => {
            if model.views.len() < 3 {
                let number = v.try_create(access(all)).unwrap();
                let view = ViewModel {
                    default_writable: all,
                    ..ViewModel::default()
                };
                assert!(model.views.insert(number, view).is_none());
            }
        }
        Step::Destroy(number) => {
            if model.views.contains_key(&number) && !model.at.contains(&number) {
                v.destroy(number).unwrap();
                model.views.remove(&number);
            }
        }
        Step::Access(number, gfn, all) => {
            let Some(view) = model.views.get_mut(&number) else {
                return;
            };
            v.set_access(number, gfn, access(all)).unwrap();
            if model.host.contains_key(&gfn) {
                view.writable.insert(gfn, all);
            }
        }
        Step::Remap(number, gfn, source) => {
            let Some(view) = model.views.get_mut(&number) else {
                return;
            };
            let both = [gfn, source].iter().all(|at| model.host.contains_key(at));
            assert_eq!(v.remap(number, gfn, source).is_ok(), both);
            if both {
                let writable = view.is_writable(source);
                view.remapped.insert(gfn, source);
                view.writable.insert(gfn, writable);
                let (first, last) = view.sources.unwrap_or((source, source));
                view.sources = Some((first.min(source), last.max(source)));
            }
        }
        Step::ForgetRemapping(number, gfn) => {
            let Some(view) = model.views.get_mut(&number) else {
                return;
            };
            v.forget_remapping(number, gfn).unwrap();
            view.clear(gfn, 1);
        }
        Step::Enter(cpu, number) => {
            let number = if model.views.contains_key(&number) {
                number
            } else {
                0
            };
            v.w.run(cpu, v.w.toolstack(cpu));
            vcpus[cpu].set_view(number);
            v.w.run(cpu, vcpus[cpu]);
            model.at[cpu] = number;
        }
        Step::Read(cpu, gfn) => {
            let sees = model.sees(model.at[cpu], gfn);
            assert_eq!(v.read(cpu, gfn), sees.map(|(mfn, _)| mfn), "at {gfn:#x}");
            if let Some((_, writable)) = sees {
                assert_eq!(v.w.guest_can(cpu, ipa(gfn), true), writable, "at {gfn:#x}");
            }
        }
    }
}

/// Wherever a guest gets through without a fault, it sees what it is to see.
fn compare(v: &Viewed, model: &Model) {
    for cpu in 0..3 {
        for offset in [
            0,
            1,
            2,
            3,
            M2 - 2,
            M2 - 1,
            M2,
            M2 + 1,
            FRAMES - 2,
            FRAMES - 1,
        ] {
            let gfn = FIRST + offset;
            if let Some(maddr) = v.w.guest_reads(cpu, ipa(gfn)) {
                let sees = model.sees(model.at[cpu], gfn);
                assert_eq!(
                    sees.map(|(mfn, _)| mfn),
                    Some(maddr >> 12),
                    "CPU {cpu}, {gfn:#x}"
                );
            }
        }
    }
}

/// How many sequences: all rules are checked after each step, so a few take long enough.
fn cases() -> u32 {
    let wanted = std::env::var("PROPTEST_CASES");
    wanted.ok().and_then(|n| n.parse().ok()).unwrap_or(64)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn guests_in_views_see_what_the_model_says(steps in prop::collection::vec(step(), 1..60)) {
        let v = Viewed::plain();
        let vcpus: Vec<Vcpu> = (0..3).map(|cpu| v.vcpu_in(cpu, 0)).collect();
        let mut model = Model {
            host: BTreeMap::new(),
            host_writable: BTreeMap::new(),
            views: BTreeMap::new(),
            at: [0; 3],
        };
        for step in &steps {
            apply(&v, &vcpus, &mut model, step);
            compare(&v, &model);
            v.w.check();
        }
    }
}
