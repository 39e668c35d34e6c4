// SPDX-License-Identifier: GPL-2.0-only
//! Domains and VMIDs that come and go.

use super::outcome::{word, Outcome, Prepared};
use super::request::Request;
use crate::edits::facts;
use crate::ops::machine::MMIO;
use crate::sides::exports::call;
use crate::sides::side::{Side, VCPUS};

/// Number of the hardware domain, whose tables come from the heap.
const HARDWARE: u64 = 2;

/// Where the next domain gets a pool of so many pages, the dying one is given a pool again after its teardown.
const REFILLED: u64 = 2;

/// What `domain_relinquish_resources()` and `arch_domain_destroy()` do, with
/// every continuation; then a new domain in the same place.
pub(super) fn destroy(r: Request<'_>) -> Outcome {
    let Request { side, prepared, .. } = r;
    let [d, pool, fail, state, ..] = r.op.args;
    let (f, ptr) = (side.exports, side.domain(d));
    if VCPUS[side.current()] == usize::try_from(d % 3).ok() {
        side.run(VCPUS.len() - 1);
    }
    side.leave_idle();
    side.d(d).set_dying_state(state.clamp(1, 2) as u32);
    let mut outcome = prepared.through(side, || call!(f, relinquish_p2m_mapping(ptr)));
    // Not how often it stopped.
    outcome.truncate(1);
    call!(f, p2m_clear_root_pages(ptr));
    prepared.again(side);
    outcome.extend(prepared.through(side, || call!(f, p2m_teardown(ptr))));
    prepared.again(side);
    outcome.extend(prepared.through(side, || call!(f, p2m_teardown_allocation(ptr))));
    if pool == REFILLED {
        // A domctl may still name it, as long as somebody has one of its pages.
        let rc = call!(f, arch_set_paging_mempool_size(ptr, 5 << 12));
        outcome.push(("a pool for a dying domain", word(rc)));
    }
    call!(f, p2m_final_teardown(ptr));
    // For a domain that never was.
    call!(f, p2m_final_teardown(ptr));
    outcome.push(("heap", side.world.heap_in_use()));
    // What was prepared is for the end; without a root nobody would go on.
    Prepared::default().set(side);
    renew(side, d);
    if fail != 0 {
        side.world.fail_allocation(Some(fail));
        let rc = side.init(d);
        outcome.push(("p2m_init without memory", word(rc)));
        side.world.fail_allocation(None);
        if rc == 0 && facts::hold("teardown_bool") {
            outcome.extend(interface(side, d));
        }
        call!(f, p2m_final_teardown(ptr));
        outcome.push(("heap", side.world.heap_in_use()));
        renew(side, d);
    }
    outcome.extend(create(side, d, pool));
    outcome
}

/// Up to 4.17, `arch_domain_create()` maps a GICv2's CPU interface. If it fails after that, then
/// `p2m_final_teardown()` finds tables.
fn interface(side: &Side, d: u64) -> Outcome {
    let (gfn, pages) = (0x0801_0000 >> 12, 2);
    let rc = call!(
        side.exports,
        map_mmio_regions(side.domain(d), gfn, pages, MMIO[0])
    );
    vec![("map_mmio_regions", word(rc))]
}

/// The structure as `alloc_domain_struct()` leaves it.
fn renew(side: &Side, d: u64) {
    side.d(d).set_dying_state(0);
    // SAFETY: a place in a live structure.
    let arch = unsafe { &raw mut (*side.domain(d)).arch };
    // SAFETY: plain words, numbers and null pointers.
    unsafe { std::ptr::write_bytes(arch, 0, 1) };
    // SAFETY: a field of a live structure.
    unsafe { (*side.domain(d)).is_shutting_down = false };
}

/// `p2m_init()` and the pool.
pub(crate) fn create(side: &Side, d: u64, pool: u64) -> Outcome {
    let mut outcome = vec![("p2m_init", word(side.init(d)))];
    if d % 3 != HARDWARE {
        outcome.push(("p2m_set_allocation", word(side.set_pool(d, pool))));
    }
    outcome
}

/// Takes VMIDs until none is left (or 300, of 65536), then a domain comes,
/// and gives them back.
pub(super) fn vmids(side: &Side) -> Outcome {
    let f = side.exports;
    let scratch = side.scratch.pointer();
    let mut taken = Vec::new();
    let last = loop {
        let rc = call!(f, p2m_alloc_vmid(scratch));
        if rc != 0 || taken.len() == 300 {
            break rc;
        }
        taken.push(side.scratch.vmid());
    };
    let sum: u64 = (1..)
        .zip(&taken)
        .map(|(n, v): (u64, &u16)| n * u64::from(*v))
        .sum();
    let mut outcome = vec![
        ("vmids", taken.len() as u64),
        ("their sum", sum),
        ("return", word(last)),
    ];
    if last != 0 {
        outcome.push(("p2m_init", word(call!(f, p2m_init(scratch)))));
        call!(f, p2m_final_teardown(scratch));
    } else {
        taken.push(side.scratch.vmid());
    }
    for vmid in taken {
        // SAFETY: a field of a live structure.
        unsafe { (*scratch).arch.p2m.vmid = vmid };
        call!(f, p2m_free_vmid(scratch));
    }
    // SAFETY: as above.
    unsafe { (*scratch).arch.p2m.vmid = 0 };
    outcome
}

/// The size of the pool, and what it is then.
pub(super) fn pool(r: Request<'_>) -> Outcome {
    let (f, ptr) = (r.exports(), r.domain());
    let [wanted, ..] = r.args();
    let mut outcome = r.prepared.through(r.side, || {
        call!(f, arch_set_paging_mempool_size(ptr, wanted))
    });
    let mut bytes = u64::MAX;
    call!(f, arch_get_paging_mempool_size(ptr, &mut bytes));
    outcome.push(("bytes", bytes));
    outcome
}

/// `domain_kill()` begins.
pub(super) fn kill(r: Request<'_>) -> Outcome {
    let [d, state, ..] = r.op.args;
    r.side.d(d).set_dying_state(state.clamp(1, 2) as u32);
    Vec::new()
}

pub(super) fn relinquish(r: Request<'_>) -> Outcome {
    let [d, ..] = r.op.args;
    if !r.side.d(d).is_dying() {
        return Vec::new();
    }
    let mut outcome = r.prepared.through(r.side, || {
        call!(r.exports(), relinquish_p2m_mapping(r.domain()))
    });
    // Not how often it stopped.
    outcome.truncate(1);
    outcome
}
