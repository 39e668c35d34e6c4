// SPDX-License-Identifier: GPL-2.0-only
//! Random sequences of what a toolstack, a monitor and guests in views do, beside a model of what
//! each of them must see. After each step every rule is checked (V1 among them), and what guests
//! read is compared.
//!
//! `PROPTEST_CASES` sets the number of sequences.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

#[path = "../common/mod.rs"]
mod common;
mod model;

use std::collections::BTreeMap;

use common::views::{ipa, Viewed};
use common::{p2mt, ram, M2};
use model::{Model, ViewModel};
use p2m_rs::types::access::P2mAccess;
use proptest::prelude::*;
use test_harness::{Stage1Entry, Vcpu};
use xen_sys::npfec;

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
    /// A guest writes: what refuses that is judged and lifted, or a monitor hears of it.
    Write(usize, u64),
    /// Xen reads or writes a buffer of a guest's, in a hypercall.
    Copy(usize, u64, bool),
    /// A monitor begins to listen, or stops to.
    Listen(bool),
    /// What is tracked is forgotten, as by a set/way operation, which cleans all RAM.
    Clean(usize),
}

/// The guest frame with each guest's stage-1 tables, and where they map what.
const TABLES: u64 = FIRST + 1;
const BUFFERS: u64 = 0x8000_0000;

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
        6 => (view(), frame(), frame()).prop_map(|(n, gfn, to)| Step::Remap(n, gfn, to)),
        1 => (view(), frame()).prop_map(|(n, gfn)| Step::ForgetRemapping(n, gfn)),
        2 => (cpu(), 0_u16..4).prop_map(|(cpu, n)| Step::Enter(cpu, n)),
        6 => (cpu(), frame()).prop_map(|(cpu, gfn)| Step::Read(cpu, gfn)),
        6 => (cpu(), frame()).prop_map(|(cpu, gfn)| Step::Write(cpu, gfn)),
        9 => (cpu(), frame(), any::<bool>()).prop_map(|(cpu, gfn, write)| Step::Copy(cpu, gfn, write)),
        1 => any::<bool>().prop_map(Step::Listen),
        3 => cpu().prop_map(Step::Clean),
    ]
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
            let (gfn, frames) = (FIRST + block * M2, ram(0) + (1 + block) * M2);
            assert_eq!(v.d.insert(gfn, M2, frames, p2mt::RAM_RW), 0);
            model.forget(gfn, M2);
            for page in 0..M2 {
                model.host.insert(gfn + page, frames + page);
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
        Step::Write(cpu, gfn) => {
            let number = model.at[cpu];
            let expected = match model.sees(number, gfn) {
                None => Wrote::Abort,
                Some((_, false)) if model.listens => Wrote::Waits,
                Some((mfn, writable)) => {
                    if !writable {
                        model.lift(number, gfn);
                    }
                    Wrote::To(mfn)
                }
            };
            let wrote = v.w.on_cpu(cpu, || write(v, cpu, gfn));
            assert_eq!(wrote, expected, "view {number}, {gfn:#x}");
        }
        Step::Copy(cpu, gfn, write) => {
            // The host's page, whatever the view says of the buffer, or of the tables.
            let has_tables = model.host.contains_key(&TABLES);
            let expected = model.host.get(&gfn).filter(|_| has_tables);
            let (vcpu, gva) = (vcpus[cpu], BUFFERS + (gfn << 12));
            // It has written the buffer before, or not.
            if write {
                assert_eq!(v.read(cpu, TABLES).is_some(), has_tables);
            }
            let writable = true;
            v.w.stage1_map(vcpu, gva, Stage1Entry { gfn, writable });
            let page = v.w.on_cpu(cpu, || vcpu.page_from_gva(gva, write));
            let given = page.map(|page| page.put());
            assert_eq!(given.as_ref(), expected, "view {}, {gfn:#x}", model.at[cpu]);
        }
        Step::Listen(listens) => {
            model.listens = listens;
            v.w.monitor_listens(v.d, listens);
        }
        Step::Clean(cpu) => {
            vcpus[cpu].set_need_flush_to_ram(true);
            v.w.on_cpu(cpu, || vcpus[cpu].flush_vm());
            // What guests wrote to pages that are theirs no more is not theirs to clean.
            for (mfn, _) in v.w.dirty_pages() {
                let is_mapped = model.host.values().any(|&mapped| mapped == mfn);
                assert!(!is_mapped, "{mfn:#x} is not cleaned");
            }
        }
    }
}

/// What becomes of a write.
#[derive(Debug, PartialEq, Eq)]
enum Wrote {
    /// It goes to this frame.
    To(u64),
    /// The monitor was told, and the vCPU waits.
    Waits,
    /// The guest gets an abort.
    Abort,
}

/// The guest on this CPU writes, with as many faults as it takes.
fn write(v: &Viewed, cpu: usize, gfn: u64) -> Wrote {
    let bits = 1 << 1 | 1 << 4 | 2 << 5;
    for _ in 0..6 {
        if v.w.guest_can(cpu, ipa(gfn), true) {
            return Wrote::To(v.d.guest_writes(gfn).unwrap());
        }
        if !v.w.guest_is_mapped(cpu, ipa(gfn)) {
            if !v.d.resolve(gfn) {
                return Wrote::Abort;
            }
            continue;
        }
        assert!(v.w.permission_fault(ipa(gfn), 0, npfec { bits }));
        assert!(v.w.aborts_injected().is_empty(), "the type allows it");
        if let [event] = v.w.monitor_requests()[..] {
            assert_eq!((event.gfn, event.flags & 7, event.sync), (gfn, 2, true));
            return Wrote::Waits;
        }
    }
    panic!("the guest faults for ever at {gfn:#x}");
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
    fn guests_in_views_see_what_the_model_says(steps in prop::collection::vec(step(), 1..80)) {
        let v = Viewed::plain();
        let vcpus: Vec<Vcpu> = (0..3).map(|cpu| v.vcpu_in(cpu, 0)).collect();
        for &vcpu in &vcpus {
            v.w.stage1_tables_in(vcpu, TABLES);
        }
        let mut model = Model {
            host: BTreeMap::new(),
            host_writable: BTreeMap::new(),
            views: BTreeMap::new(),
            at: [0; 3],
            listens: false,
        };
        // Something is mapped at first, and there are two views with a vCPU in each.
        let first = [
            Step::MapBlock(0),
            Step::MapBlock(1),
            Step::Create(true),
            Step::Create(false),
            Step::Enter(0, 1),
            Step::Enter(1, 2),
        ];
        for step in first.iter().chain(&steps) {
            apply(&v, &vcpus, &mut model, step);
            compare(&v, &model);
            v.w.check();
        }
    }
}
