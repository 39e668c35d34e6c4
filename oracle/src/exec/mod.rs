// SPDX-License-Identifier: GPL-2.0-only
//! Carrying an operation out on one side: what comes back is compared.

mod guest;
pub(crate) mod lifetime;
pub(crate) mod outcome;

use std::ptr::null;

use test_harness::symbols::GuestHandle;
use test_harness::Preempt;

use self::outcome::{word, Outcome, Prepared};
use crate::ops::machine::{ram, MMIO};
use crate::ops::op::{Kind, Op};
use crate::sides::exports::call;
use crate::sides::side::Side;

fn rc(rc: i32) -> Outcome {
    vec![("return", word(rc))]
}

/// What Xen never does on an idle vCPU: `hypercall_preempt_check()` is not for it.
fn is_hypercall(kind: Kind) -> bool {
    use Kind::{Destroy, Relinquish, SetAccess, SetAccessFully};
    matches!(kind, SetAccess | SetAccessFully | Relinquish | Destroy)
}

fn is_foreign(t: u64) -> bool {
    t == 6 || t == 7
}

/// Carries `op` out on `side`, whose CPU 0 this thread is. `there` is the frame
/// that a removal may mean, `shared` whether an IOMMU uses the tables.
pub(crate) fn step(side: &Side, op: &Op, prepared: Prepared, there: u64, shared: bool) -> Outcome {
    let f = side.exports;
    let [d, a, b, c, e, g] = op.args;
    let ptr = side.domain(d);
    if is_hypercall(op.kind) {
        side.leave_idle();
    }
    side.world.guest_traps();
    match op.kind {
        Kind::Boot | Kind::Fail | Kind::Preempt => Vec::new(),
        Kind::Insert | Kind::MapRegions | Kind::SetEntry => {
            if is_foreign(e) {
                side.world.take_references(c, b);
            }
            let t = e as u32;
            rc(match op.kind {
                Kind::Insert => call!(f, p2m_insert_mapping(ptr, a, b, c, t)),
                Kind::MapRegions => call!(f, map_regions_p2mt(ptr, a, b, c, t)),
                _ => side.write_locked(d, || {
                    call!(f, p2m_set_entry(side.p2m(d), a, b, c, t, g as u32))
                }),
            })
        }
        Kind::AddEntry => {
            if is_foreign(e) {
                side.world.take_references(b, 1 << c);
            }
            rc(call!(f, guest_physmap_add_entry(ptr, a, b, c, e as u32)))
        }
        Kind::MapMmio => rc(call!(f, map_mmio_regions(ptr, a, b, c))),
        Kind::MapDev => rc(call!(f, map_dev_mmio_page(ptr, a, b))),
        Kind::ClearEntry => rc(side.write_locked(d, || {
            call!(f, p2m_set_entry(side.p2m(d), a, b, u64::MAX, 0, 7))
        })),
        Kind::Sparse => (0..b)
            .map(|n| {
                let rc = call!(
                    f,
                    p2m_insert_mapping(ptr, a.wrapping_add(n << 9), 1, c + n, 1)
                );
                ("return", word(rc))
            })
            .collect(),
        Kind::Foreign => rc(call!(f, set_foreign_p2m_entry(ptr, side.domain(a), b, c))),
        Kind::XenHeap => {
            let result = call!(f, p2m_insert_mapping(ptr, a, 1, b, 1));
            if result == 0 {
                side.world.set_xenheap_gfn(b, a);
            }
            rc(result)
        }
        Kind::UnmapRegions => rc(call!(f, unmap_regions_p2mt(ptr, a, b, there))),
        Kind::UnmapMmio => rc(call!(f, unmap_mmio_regions(ptr, a, b, there))),
        Kind::RemovePage => rc(call!(f, guest_physmap_remove_page(ptr, a, there, c as u32))),
        Kind::GetEntry => get_entry(side, d, a),
        Kind::Lookup => {
            let mut t = 99;
            let mfn = call!(f, p2m_lookup(ptr, a, &mut t));
            let again = call!(f, gfn_to_mfn(ptr, a));
            vec![("mfn", mfn), ("type", t.into()), ("gfn_to_mfn", again)]
        }
        Kind::PageFromGfn => {
            let mut t = 99;
            let page = call!(f, p2m_get_page_from_gfn(ptr, a, &mut t));
            let (mfn, references) = side.page(page);
            vec![
                ("page", mfn),
                ("references", references),
                ("type", t.into()),
            ]
        }
        Kind::SetAccess => {
            let (nr, start, mask) = (b as u32, c as u32, e as u32);
            side.world.preempt(Preempt::Never);
            let result = call!(f, p2m_set_mem_access(ptr, a, nr, start, mask, g as u32, 0));
            vec![("return", result as u64)]
        }
        Kind::SetAccessFully => set_access_fully(side, op, prepared),
        Kind::GetAccess => {
            let mut access = 99;
            let result = call!(f, p2m_get_mem_access(ptr, a, &mut access, 0));
            vec![("return", word(result)), ("access", access.into())]
        }
        Kind::CheckAccess
        | Kind::RequireListener
        | Kind::Monitor
        | Kind::Stage1
        | Kind::Stage1Tables
        | Kind::PageFromGva
        | Kind::CheckAndGet
        | Kind::SetWay
        | Kind::Toggle
        | Kind::Run => guest::step(side, op, shared),
        Kind::FlushVm => {
            side.world.preempt(Preempt::Never);
            guest::step(side, op, shared)
        }
        Kind::Finished => {
            call!(f, p2m_domain_creation_finished(ptr));
            Vec::new()
        }
        Kind::Resolve => {
            let mut resolved = false;
            for _ in 0..4 {
                resolved = call!(f, p2m_resolve_translation_fault(ptr, a));
            }
            vec![("return", resolved.into())]
        }
        Kind::CacheFlush => {
            let mut at = a;
            let mut stops = Vec::new();
            let mut outcome = prepared.through(side, || {
                let rc = call!(f, p2m_cache_flush_range(ptr, &mut at, b));
                stops.push(("start", at));
                rc
            });
            outcome.extend(stops);
            outcome
        }
        Kind::Flush => {
            side.write_locked(d, || {
                call!(f, p2m_force_tlb_flush_sync(side.p2m(d)));
                call!(f, p2m_tlb_flush_sync(side.p2m(d)));
            });
            Vec::new()
        }
        Kind::Pool => {
            let mut outcome =
                prepared.through(side, || call!(f, arch_set_paging_mempool_size(ptr, a)));
            let mut bytes = u64::MAX;
            call!(f, arch_get_paging_mempool_size(ptr, &mut bytes));
            outcome.push(("bytes", bytes));
            outcome
        }
        Kind::Vmids => lifetime::vmids(side),
        Kind::Saturate => {
            side.world.saturate(d, a != 0);
            Vec::new()
        }
        Kind::OwnerFrees => {
            if side.world.references(d) > 0 && (ram(0)..ram(3)).contains(&d) {
                side.world.owner_frees(d);
            }
            Vec::new()
        }
        Kind::Permit => {
            side.world.permit_iomem(side.d(d), a..a + b.min(64));
            Vec::new()
        }
        Kind::Dump => {
            call!(f, p2m_dump_info(ptr));
            call!(f, dump_p2m_lookup(ptr, a));
            Vec::new()
        }
        Kind::Constant => {
            call!(f, memory_type_changed(ptr));
            let nothing = GuestHandle { pointer: null() };
            let multi = call!(
                f,
                p2m_set_mem_access_multi(ptr, nothing, nothing, 1, 0, 0x3F, 0)
            );
            vec![
                (
                    "populate",
                    word(call!(f, guest_physmap_mark_populate_on_demand(ptr, a, 0))),
                ),
                (
                    "decrease",
                    call!(f, p2m_pod_decrease_reservation(ptr, a, 0)),
                ),
                ("multi", multi as u64),
            ]
        }
        Kind::Kill => {
            side.d(d).set_dying_state(a.clamp(1, 2) as u32);
            Vec::new()
        }
        Kind::Relinquish => {
            if side.d(d).is_dying() {
                let mut outcome = prepared.through(side, || call!(f, relinquish_p2m_mapping(ptr)));
                outcome.truncate(1);
                outcome
            } else {
                Vec::new()
            }
        }
        Kind::Destroy => lifetime::destroy(side, op, prepared),
    }
}

fn get_entry(side: &Side, d: u64, gfn: u64) -> Outcome {
    let (mut t, mut access, mut order, mut valid) = (99, 99, 99, true);
    let mfn = side.read_locked(d, || {
        call!(
            side.exports,
            p2m_get_entry(
                side.p2m(d),
                gfn,
                &mut t,
                &mut access,
                &mut order,
                &mut valid
            )
        )
    });
    vec![
        ("mfn", mfn),
        ("type", t.into()),
        ("access", access.into()),
        ("order", order.into()),
        ("valid", valid.into()),
    ]
}

fn set_access_fully(side: &Side, op: &Op, prepared: Prepared) -> Outcome {
    let [d, gfn, nr, access, ..] = op.args;
    let mut calls = 0;
    let mut start = 0;
    loop {
        let result = call!(
            side.exports,
            p2m_set_mem_access(
                side.domain(d),
                gfn,
                nr as u32,
                start,
                0x3F,
                access as u32,
                0
            )
        );
        calls += 1;
        if calls < 64 {
            prepared.again(side);
        }
        match u32::try_from(result) {
            Ok(restart) if restart > start => start = restart,
            _ => return vec![("return", result as u64)],
        }
    }
}

/// The frame that a removal names: what is mapped, or what the operation says.
pub(crate) fn resolve(side: &Side, op: &Op) -> u64 {
    let named = match op.kind {
        Kind::UnmapRegions | Kind::UnmapMmio => op.args[3],
        Kind::RemovePage => op.args[2],
        _ => return 0,
    };
    if named != crate::ops::op::MATCHING {
        return named;
    }
    let mut t = 0;
    let mfn = call!(
        side.exports,
        p2m_lookup(side.domain(op.args[0]), op.args[1], &mut t)
    );
    if mfn == u64::MAX {
        MMIO[0]
    } else {
        mfn
    }
}
