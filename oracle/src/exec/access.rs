// SPDX-License-Identifier: GPL-2.0-only
//! What introspection sets and asks.

use test_harness::abi::errno;
use test_harness::Preempt;

use super::outcome::{word, Outcome};
use super::request::Request;
use crate::sides::exports::call;

/// One call, with the start and the mask of the operation.
pub(super) fn set_access(r: Request<'_>) -> Outcome {
    let [gfn, nr, start, mask, access] = r.args();
    r.side.world.preempt(Preempt::Never);
    let result = call!(
        r.exports(),
        p2m_set_mem_access(
            r.domain(),
            gfn,
            nr as u32,
            start as u32,
            mask as u32,
            access as u32,
            0
        )
    );
    vec![("return", result as u64)]
}

/// As the hypercall does it, with every continuation. Where table pages may run out it is not
/// preempted: the Rust's search for empty tables ends then (B10), and so does the call, which the
/// C's cannot know.
pub(super) fn set_access_fully(r: Request<'_>) -> Outcome {
    let [gfn, nr, access, ..] = r.args();
    let free = r.side.world.free_pool_pages(r.side.d(r.op.args[0]));
    let runs_out = r.prepared.alloc != 0 || free < 8 + nr / 512;
    if runs_out {
        r.side.world.preempt(Preempt::Never);
    }
    let mut calls = 0;
    let mut start = 0;
    loop {
        let result = call!(
            r.exports(),
            p2m_set_mem_access(r.domain(), gfn, nr as u32, start, 0x3F, access as u32, 0)
        );
        calls += 1;
        if calls < 64 && !runs_out {
            r.prepared.again(r.side);
        }
        match u32::try_from(result) {
            Ok(restart) if restart > start => start = restart,
            _ => return vec![("return", result as u64)],
        }
    }
}

pub(super) fn get_access(r: Request<'_>) -> Outcome {
    let [gfn, ..] = r.args();
    let mut access = 99;
    let result = call!(
        r.exports(),
        p2m_get_mem_access(r.domain(), gfn, &mut access, 0)
    );
    vec![("return", word(result)), ("access", access.into())]
}

pub(super) fn require_listener(r: Request<'_>) -> Outcome {
    let [required, ..] = r.args();
    call!(
        r.exports(),
        arch_p2m_set_access_required(r.domain(), required != 0)
    );
    Vec::new()
}

/// A monitor comes, goes, or does not read its ring.
pub(super) fn monitor(r: Request<'_>) -> Outcome {
    let [listens, is_full, ..] = r.args();
    r.side
        .world
        .monitor_listens(r.side.d(r.op.args[0]), listens != 0);
    // The ring is full.
    r.side
        .world
        .monitor_answers(if is_full != 0 { errno::EBUSY } else { 0 });
    Vec::new()
}
