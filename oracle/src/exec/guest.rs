// SPDX-License-Identifier: GPL-2.0-only
//! What a guest causes, and its monitor: faults, buffers by virtual address,
//! cache maintenance, vCPUs that come to run.

use test_harness::Stage1Entry;
use xen_sys::{hsr, npfec};

use super::outcome::Outcome;
use crate::ops::op::{Kind, Op};
use crate::sides::exports::call;
use crate::sides::side::{Side, VCPUS};

/// Carries one of these operations out; see `exec::step`.
pub(crate) fn step(side: &Side, op: &Op, shared: bool) -> Outcome {
    let f = side.exports;
    let [d, a, b, c, ..] = op.args;
    let ptr = side.domain(d);
    match op.kind {
        Kind::CheckAccess => {
            if VCPUS[side.current()].is_none() {
                return Vec::new();
            }
            let npfec = npfec { bits: b as u32 };
            let npfec = npfec_of(npfec, b);
            let ours = call!(f, p2m_mem_access_check(d, a, npfec));
            vec![("return", ours.into())]
        }
        Kind::RequireListener => {
            call!(f, arch_p2m_set_access_required(ptr, a != 0));
            Vec::new()
        }
        Kind::Monitor => {
            side.world.monitor_listens(side.d(d), a != 0);
            // -EBUSY: the ring is full.
            side.world.monitor_answers(if b != 0 { -16 } else { 0 });
            Vec::new()
        }
        Kind::Stage1 => {
            let entry = Stage1Entry {
                gfn: b,
                writable: c != 0,
            };
            let v = side.vcpus[d as usize % 4];
            side.world.stage1_map(v, a, entry);
            Vec::new()
        }
        Kind::Stage1Tables => {
            let v = side.vcpus[d as usize % 4];
            side.world.stage1_tables_in(v, a);
            Vec::new()
        }
        Kind::PageFromGva => {
            let v = side.vcpu(d as usize % 4);
            let (mfn, references) = side.page(call!(f, get_page_from_gva(v, a, b)));
            vec![("page", mfn), ("references", references)]
        }
        Kind::CheckAndGet => {
            let v = side.vcpu(side.current());
            if VCPUS[side.current()].is_none() {
                return Vec::new();
            }
            let page = call!(f, p2m_mem_access_check_and_get_page(d, a, v));
            let (mfn, references) = side.page(page);
            vec![("page", mfn), ("references", references)]
        }
        Kind::Run => {
            side.run(d as usize);
            Vec::new()
        }
        _ => current_vcpu(side, op, shared),
    }
}

fn npfec_of(mut npfec: npfec, bits: u64) -> npfec {
    // There are three kinds.
    if bits >> 5 & 3 == 3 {
        npfec.bits &= !(3 << 5);
    }
    npfec
}

/// Operations that only the vCPU that runs may do.
fn current_vcpu(side: &Side, op: &Op, shared: bool) -> Outcome {
    let at = side.current();
    let v = side.vcpu(at);
    if VCPUS[at].is_none() {
        return Vec::new();
    }
    match op.kind {
        Kind::SetWay => {
            call!(
                side.exports,
                p2m_set_way_flush(v, std::ptr::null_mut(), hsr { bits: 0 })
            );
        }
        Kind::Toggle => {
            let [was_enabled, sctlr, ..] = op.args;
            side.world.guest_writes_sctlr(sctlr);
            call!(side.exports, p2m_toggle_cache(v, was_enabled != 0));
        }
        _ => {
            // With shared tables the instruction is not emulated.
            let shared = shared && VCPUS[at] != Some(1);
            if !shared && side.vcpus[at].need_flush_to_ram() {
                call!(side.exports, p2m_flush_vm(v));
            }
        }
    }
    Vec::new()
}
