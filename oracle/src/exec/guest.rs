// SPDX-License-Identifier: GPL-2.0-only
//! What a guest causes: faults, buffers by virtual address, cache maintenance, vCPUs that come to
//! run.

use test_harness::{Preempt, Stage1Entry};
use xen_sys::{npfec, vcpu};

use super::outcome::Outcome;
use super::request::Request;
use crate::sides::exports::call;
use crate::sides::side::VCPUS;

/// Which of the vCPUs runs, and its structure; none for the idle one.
fn running(r: Request<'_>) -> Option<(usize, *mut vcpu)> {
    let at = r.side.current();
    VCPUS[at].map(|_| (at, r.side.vcpu(at)))
}

pub(super) fn check_access(r: Request<'_>) -> Outcome {
    let [gpa, gla, bits, ..] = r.op.args;
    if running(r).is_none() {
        return Vec::new();
    }
    let ours = call!(r.exports(), p2m_mem_access_check(gpa, gla, npfec_of(bits)));
    vec![("return", ours.into())]
}

fn npfec_of(bits: u64) -> npfec {
    let mut npfec = npfec { bits: bits as u32 };
    // There are three kinds.
    if bits >> 5 & 3 == 3 {
        npfec.bits &= !(3 << 5);
    }
    npfec
}

/// A page in the vCPU's own tables.
pub(super) fn stage1(r: Request<'_>) -> Outcome {
    let [v, gva, gfn, writable, ..] = r.op.args;
    let entry = Stage1Entry {
        gfn,
        writable: writable != 0,
    };
    let v = r.side.vcpus[v as usize % 4];
    r.side.world.stage1_map(v, gva, entry);
    Vec::new()
}

/// The guest frame that holds those tables.
pub(super) fn stage1_tables(r: Request<'_>) -> Outcome {
    let [v, gfn, ..] = r.op.args;
    let v = r.side.vcpus[v as usize % 4];
    r.side.world.stage1_tables_in(v, gfn);
    Vec::new()
}

pub(super) fn page_from_gva(r: Request<'_>) -> Outcome {
    let [v, gva, flags, ..] = r.op.args;
    let v = r.side.vcpu(v as usize % 4);
    let (mfn, references) = r
        .side
        .page(call!(r.exports(), get_page_from_gva(v, gva, flags)));
    vec![("page", mfn), ("references", references)]
}

pub(super) fn check_and_get(r: Request<'_>) -> Outcome {
    let [gva, flags, ..] = r.op.args;
    let Some((_, v)) = running(r) else {
        return Vec::new();
    };
    let page = call!(
        r.exports(),
        p2m_mem_access_check_and_get_page(gva, flags, v)
    );
    let (mfn, references) = r.side.page(page);
    vec![("page", mfn), ("references", references)]
}

/// Another vCPU comes to run.
pub(super) fn run(r: Request<'_>) -> Outcome {
    let [v, ..] = r.op.args;
    r.side.run(v as usize);
    Vec::new()
}

pub(super) fn set_way(r: Request<'_>) -> Outcome {
    if let Some((_, v)) = running(r) {
        call!(
            r.exports(),
            p2m_set_way_flush(v, &mut xen_sys::cpu_user_regs::default())
        );
    }
    Vec::new()
}

pub(super) fn toggle(r: Request<'_>) -> Outcome {
    let [was_enabled, sctlr, ..] = r.op.args;
    if let Some((_, v)) = running(r) {
        r.side.world.guest_writes_sctlr(sctlr);
        call!(r.exports(), p2m_toggle_cache(v, was_enabled != 0));
    }
    Vec::new()
}

/// What the vCPU does on its way to the guest after an instruction by set and way.
pub(super) fn flush_vm(r: Request<'_>) -> Outcome {
    r.side.world.preempt(Preempt::Never);
    let Some((at, v)) = running(r) else {
        return Vec::new();
    };
    // With shared tables the instruction is not emulated.
    let shared = r.shared && VCPUS[at] != Some(1);
    if !shared && r.side.vcpus[at].need_flush_to_ram() {
        call!(r.exports(), p2m_flush_vm(v));
    }
    Vec::new()
}
