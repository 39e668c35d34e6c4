// SPDX-License-Identifier: GPL-2.0-only
//! Carrying an operation out on one side: what comes back is compared.

mod access;
mod caches;
mod guest;
pub(crate) mod lifetime;
mod lookup;
pub(crate) mod mapping;
pub(crate) mod outcome;
pub(crate) mod request;
mod world;

use self::outcome::Outcome;
use self::request::Request;
use crate::ops::op::Kind;

/// What Xen never does on an idle vCPU: `hypercall_preempt_check()` is not for it.
fn is_hypercall(kind: Kind) -> bool {
    use Kind::{Destroy, Relinquish, SetAccess, SetAccessFully};
    matches!(kind, SetAccess | SetAccessFully | Relinquish | Destroy)
}

/// Carries the operation out; this thread is CPU 0 of the side.
pub(crate) fn step(r: Request<'_>) -> Outcome {
    if is_hypercall(r.op.kind) {
        r.side.leave_idle();
    }
    r.side.world.guest_traps();
    match r.op.kind {
        // For the machine, and for the next operation.
        Kind::Boot | Kind::Fail | Kind::Preempt => Vec::new(),

        Kind::Insert => mapping::insert(r),
        Kind::MapRegions => mapping::map_regions(r),
        Kind::MapMmio => mapping::map_mmio(r),
        Kind::MapDev => mapping::map_dev(r),
        Kind::AddEntry => mapping::add_entry(r),
        Kind::SetEntry => mapping::set_entry(r),
        Kind::MoveEntry => mapping::move_entry(r),
        Kind::ClearEntry => mapping::clear_entry(r),
        Kind::Sparse => mapping::sparse(r),
        Kind::Foreign => mapping::foreign(r),
        Kind::XenHeap => mapping::xenheap(r),
        Kind::UnmapRegions => mapping::unmap_regions(r),
        Kind::UnmapMmio => mapping::unmap_mmio(r),
        Kind::RemovePage => mapping::remove_page(r),

        Kind::GetEntry => lookup::get_entry(r),
        Kind::Lookup => lookup::lookup(r),
        Kind::PageFromGfn => lookup::page_from_gfn(r),
        Kind::Dump => lookup::dump(r),
        Kind::Constant => lookup::constant(r),

        Kind::SetAccess => access::set_access(r),
        Kind::SetAccessFully => access::set_access_fully(r),
        Kind::GetAccess => access::get_access(r),
        Kind::RequireListener => access::require_listener(r),
        Kind::Monitor => access::monitor(r),

        Kind::CheckAccess => guest::check_access(r),
        Kind::Stage1 => guest::stage1(r),
        Kind::Stage1Tables => guest::stage1_tables(r),
        Kind::PageFromGva => guest::page_from_gva(r),
        Kind::CheckAndGet => guest::check_and_get(r),
        Kind::SetWay => guest::set_way(r),
        Kind::Toggle => guest::toggle(r),
        Kind::FlushVm => guest::flush_vm(r),
        Kind::Run => guest::run(r),

        Kind::Finished => caches::finished(r),
        Kind::Resolve => caches::resolve(r),
        Kind::CacheFlush => caches::cache_flush(r),
        Kind::Flush => caches::flush(r),

        Kind::Pool => lifetime::pool(r),
        Kind::Vmids => lifetime::vmids(r.side),
        Kind::Kill => lifetime::kill(r),
        Kind::Relinquish => lifetime::relinquish(r),
        Kind::Destroy => lifetime::destroy(r),

        Kind::Saturate => world::saturate(r),
        Kind::OwnerFrees => world::owner_frees(r),
        Kind::Permit => world::permit(r),
    }
}
