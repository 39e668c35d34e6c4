// SPDX-License-Identifier: GPL-2.0-only
//! Which tables a vCPU runs on: those of its domain's host p2m, or those of a view.
//!
//! What stage 2 refuses a vCPU is judged, and lifted, in the tables that refused it. Without
//! CONFIG_ALTP2M these are the host's, and nothing of this is left in the code.

#[cfg(config_altp2m)]
use super::views::{change_access, with_room};
use crate::map::fast_path;
use crate::map::set_access::Restart;
use crate::p2m::lock::{ReadView, WriteView};
#[cfg(config_altp2m)]
use crate::p2m::views::Number;
use crate::p2m::P2m;
use crate::types::access::P2mAccess;
use crate::types::addr::Gfn;
#[cfg(config_altp2m)]
use crate::types::errno::Failure;
use crate::xen::vcpu::Vcpu;

/// The tables of a vCPU. It stays in its view while Xen serves its trap, for its view is changed
/// only while it does not run. (A vCPU that waits for room on the monitor's ring does not run:
/// after [`send_access_event`](crate::p2m::monitor::send_access_event) this value may be old.)
#[derive(Clone, Copy)]
pub struct ActiveTables {
    #[cfg(config_altp2m)]
    view: Option<Number>,
}

/// Whether the guest can go on after its access was lifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Lifted {
    /// It can try again, or never runs again.
    GoOn,
    /// The access stays what it is, since there is no page for a table: it would fault for ever.
    NoRoom,
}

impl ActiveTables {
    /// Those of that vCPU.
    #[inline(always)]
    #[cfg_attr(not(config_altp2m), allow(unused_variables))] // they are all in the host p2m
    pub fn of(vcpu: &Vcpu) -> Self {
        Self {
            #[cfg(config_altp2m)]
            view: Number::of_vcpu(vcpu),
        }
    }

    /// Whether they are those of the host p2m.
    #[inline(always)]
    pub fn are_hosts(self) -> bool {
        #[cfg(config_altp2m)]
        return self.view.is_none();
        #[cfg(not(config_altp2m))]
        true
    }

    /// Whether mem_access may have restricted anything in them. The flag of the host p2m, `host`,
    /// tells this of the host's tables only; a view always may be restricted.
    #[inline(always)]
    pub fn may_be_restricted(self, host: &P2m) -> bool {
        !self.are_hosts() || host.mem_access_enabled()
    }

    /// The tables, under the lock of the host p2m.
    #[inline(always)]
    pub fn tables(self, host: &ReadView) -> Option<&ReadView> {
        #[cfg(config_altp2m)]
        if let Some(number) = self.view {
            return Some(host.view(number)?.tables());
        }
        Some(host)
    }

    /// Sets the access of one frame that is mapped in them. A page of the host's that has a
    /// restriction is no part of a block, so it takes no memory (nobody maps a block with a
    /// restriction before mem_access is in use, and afterwards restrictions come in pages); a
    /// block of a view has the view's default access, and lifting that of one page takes a table.
    ///
    /// Beside that, this fails for a dying domain, whose vCPUs will not run again; and after a
    /// failed IOTLB flush, which has shut the domain down.
    #[inline(always)]
    pub fn lift(self, write: &mut WriteView<'_>, gfn: Gfn, to: P2mAccess) -> Lifted {
        #[cfg(config_altp2m)]
        if let Some(number) = self.view {
            return match with_room(write, |write| change_access(write, number, gfn, to)) {
                Err(Failure::NoTable) => Lifted::NoRoom,
                Ok(()) | Err(_) => Lifted::GoOn,
            };
        }
        let _never_runs_again = fast_path::set_access(write, gfn, 1, to, Restart::NEVER);
        Lifted::GoOn
    }
}
