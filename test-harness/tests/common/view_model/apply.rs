// SPDX-License-Identifier: GPL-2.0-only
//! A step, done on the machine and in the model.

use p2m_rs::types::access::P2mAccess;
use test_harness::{Stage1Entry, Vcpu};
use xen_sys::npfec;

use super::super::views::{ipa, Viewed};
use super::super::{access as c_access, p2mt, ram, M2};
use super::model::{Model, ViewModel};
use super::step::{Step, FIRST};

/// The guest frame with each guest's stage-1 tables, and where they map what.
pub(super) const TABLES: u64 = FIRST + 1;
const BUFFERS: u64 = 0x8000_0000;

const fn access(all: bool) -> P2mAccess {
    if all {
        P2mAccess::Rwx
    } else {
        P2mAccess::Rx
    }
}

pub(super) fn apply(v: &Viewed, vcpus: &[Vcpu], model: &mut Model, step: &Step) {
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
            let value = if all { c_access::RWX } else { c_access::RX };
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
