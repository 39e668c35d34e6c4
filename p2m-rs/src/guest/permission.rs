// SPDX-License-Identifier: GPL-2.0-only
//! Resolving permission faults. (C's trap handler calls `p2m_mem_access_check` and has the guest
//! try again, whatever the answer: docs/differences.md, B13.)
//!
//! Stage 2 has refused an access of the current vCPU: the host p2m, or the view that the vCPU is
//! in. There are three reasons, and by the time that Xen looks, another CPU may have changed the
//! entry:
//!
//! 1. **A restriction of mem_access.** mem_access sends an event or lifts the restriction.
//! 2. **Nothing any more.** The entry allows the access now: the monitor or another vCPU was
//!    quicker, or a TLB held an entry that a flush is about to remove. The guest tries again.
//! 3. **The type of the mapping**, which no monitor can lift: a write to read-only RAM, to a
//!    read-only grant or foreign page; a fetch from anything but RAM. Trying again would
//!    never end, so the guest gets an abort.
//!
//! **Which abort.** A synchronous external abort (DFSC or IFSC 0b010000), for data or for an
//! instruction, at the virtual address that the guest used: the guest's own tables allow the
//! access, so the report of a stage-1 permission fault would be false (Linux would take it for
//! a copy-on-write that has been done, and try again for ever); it is the memory behind them
//! that refuses. KVM injects the same for a fetch from outside of a guest's memory and for tables
//! there (`kvm_handle_guest_abort`), also where it was a walk: the level in the statuses for
//! walks (0b0101LL) would be that of stage 1, which the trap's syndrome does not have. Xen
//! itself injects aborts with the status 0, "address size fault", which makes Linux kill a
//! process that could handle SIGBUS. A 32-bit guest gets that of Xen's trap handler.
//! (x86 injects #GP for a write to a read-only grant.)
//!
//! Only the type decides between the last two. What mem_access forbids is no reason for an
//! abort, even where it was forbidden only after mem_access was asked: the guest tries again,
//! faults again, and then there is an event. And a type that forbids the access *now* is reason
//! enough, even where it was another page that was refused: the next try would be refused too.
//! (It may be the guest's own tables that would refuse it: if another of its vCPUs has just mapped a
//! read-only grant at that address, and for reading only. The abort then comes in place of a stage-1 fault.
//! AT could tell the two apart. But where AT has no answer, in tables that a monitor restricts or for rights
//! that EL0 has and EL1 has not, the guest would fault for ever.)
//!
//! **Cache maintenance by address** says in its syndrome that it wrote (ISS.WnR is 1 if ISS.CM is;
//! DDI 0487K, D19.2.37). From EL0 (DC and IC by VA) it needs the permission to read. The C takes
//! it for a write: in a page that may be written and not be read, nothing explains the fault,
//! and the guest faults for ever. Here it is a read ([`with_el0_maintenance_as_read`]). From EL1 only what
//! invalidates without cleaning needs a permission (DC IVAC, which EL0 cannot execute), and that is to
//! write (DDI 0601, "DC IVAC"). In a guest it cleans as well, but may ask for the permission all the
//! same: a Cortex-A53 under another hypervisor did (issue 65894 of Zephyr). So there it is a write, as
//! the syndrome says. (DC ZVA is a write, and its syndrome has CM clear.)
//!
//! **Walks of the guest's own tables** (S1PTW) fetch nothing, and read whatever the instruction
//! did. If the table's page is read-only, the walker was writing the access flag or the dirty
//! state. (With mem_access the read may have been refused, and the restriction lifted before Xen
//! looked. Nothing tells the two apart. A guest whose tables are in read-only memory, while a
//! monitor forbids reading and lifts that at the same moment on another CPU, gets an abort that it
//! would not need.) One type forbids even the read: Xen sets HCR_EL2.PTW, so a walk that comes to
//! Device memory is a permission fault (DDI 0487, "HCR_EL2.PTW").

use xen_sys as sys;

use crate::map::active::ActiveTables;
use crate::map::lookup::lookup;
use crate::p2m::reentry::mem_access_check;
use crate::p2m::token::{current_vcpu, Unlocked};
use crate::p2m::P2m;
use crate::types::addr::{Gva, Ipa};
use crate::types::p2m_type::P2mType;

/// ISS.CM of a data abort: cache maintenance, or an address translation instruction.
const HSR_CM: u64 = 1 << 8;

/// Corrects `npfec` for cache maintenance at EL0. The trap handler copies reads and writes from
/// the syndrome, which calls such an instruction a write; stage 2 has checked it as a read.
pub(crate) fn with_el0_maintenance_as_read(
    cx: &Unlocked<'_>,
    mut npfec: sys::npfec,
    hsr: u64,
) -> sys::npfec {
    // (Of a fetch the bit is RES0, and it does not write.)
    let is_maintenance = hsr & HSR_CM != 0 && npfec.write_access() != 0;
    if is_maintenance && current_vcpu(cx).traps_from_el0() {
        npfec.set_read_access(1);
        npfec.set_write_access(0);
    }
    npfec
}

/// Returns whether the guest goes on: it tries again, waits for a monitor, or has got an
/// external abort. False: the trap handler must inject an abort.
pub(crate) fn resolve(cx: &mut Unlocked<'_>, ipa: Ipa, gva: Gva, npfec: sys::npfec) -> bool {
    mem_access_check(cx, ipa, gva, npfec)
        || type_allows(cx, ipa, &Access::of(npfec))
        || current_vcpu(cx).inject_external_abort(gva)
}

/// Whether the type of what is mapped at `ipa` in the vCPU's tables allows the access. If
/// nothing is mapped any more, it does: the next try is a translation fault. (So it is in a view
/// that has forgotten the frame meanwhile, whatever the host p2m maps there now.)
fn type_allows(cx: &mut Unlocked<'_>, ipa: Ipa, access: &Access) -> bool {
    let vcpu = current_vcpu(cx);
    let active = ActiveTables::of(&vcpu);
    let host = P2m::host_of(vcpu.domain()).read(cx);
    active
        .tables(&host)
        .and_then(|tables| lookup(tables, ipa.gfn()))
        .and_then(|mapping| mapping.ty())
        .is_none_or(|ty| access.is_allowed_by(ty))
}

/// The access that stage 2 refused. Reads need no field: every type allows them, except that
/// Device memory allows no table walk (`by_walker`).
struct Access {
    by_walker: bool,
    write: bool,
    fetch: bool,
}

impl Access {
    fn of(npfec: sys::npfec) -> Self {
        let by_walker = npfec.kind() == sys::npfec_kind_in_gpt;
        Self {
            by_walker,
            write: by_walker || npfec.write_access() != 0,
            fetch: !by_walker && npfec.insn_fetch() != 0,
        }
    }

    fn is_allowed_by(&self, ty: P2mType) -> bool {
        (ty.is_writable() || !self.write)
            && (ty.is_executable() || !self.fetch)
            && (ty.is_walkable() || !self.by_walker)
    }
}
