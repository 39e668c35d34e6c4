// SPDX-License-Identifier: GPL-2.0-only
//! What Xen's hypercalls do with a domain, and its traps with a fault.

use xen_sys::{npfec, Facts};

use super::calls::call;
use super::World;
use crate::ground::abi::errno;
use crate::ground::handles::Domain;

impl World {
    /// `p2m_mem_access_check()` for the vCPU that runs on this CPU.
    pub fn mem_access_check(&self, gpa: u64, gla: u64, npfec: npfec) -> bool {
        call!(p2m_mem_access_check(gpa, gla, npfec))
    }

    /// `xen_p2m_resolve_permission_fault()` for the vCPU that runs on this CPU: whether it
    /// tries again. If not, the trap handler injects an abort.
    pub fn permission_fault(&self, gpa: u64, gla: u64, npfec: npfec) -> bool {
        self.permission_fault_with(gpa, gla, npfec, 0)
    }

    /// The same, with what ESR_EL2 says beside (`hsr`).
    pub fn permission_fault_with(&self, gpa: u64, gla: u64, npfec: npfec, hsr: u64) -> bool {
        call!(xen_p2m_resolve_permission_fault(gpa, gla, npfec, hsr))
    }

    /// `arch_set_paging_mempool_size()`.
    pub fn set_mempool_size(&self, d: Domain, bytes: u64) -> i32 {
        call!(arch_set_paging_mempool_size(d.0, bytes))
    }

    /// `arch_get_paging_mempool_size()`.
    #[must_use]
    pub fn mempool_size(&self, d: Domain) -> u64 {
        let mut bytes = u64::MAX;
        assert_eq!(call!(arch_get_paging_mempool_size(d.0, &mut bytes)), 0);
        bytes
    }

    /// What the machine's release of Xen is like.
    #[must_use]
    pub fn facts(&self) -> Facts {
        self.locked(|m| m.config.release)
    }

    /// Kills a domain the way `domain_relinquish_resources()` and
    /// `arch_domain_destroy()` of the release do, with every continuation.
    pub fn destroy(&self, d: Domain) {
        d.set_dying_state(1);
        let until_done = |what: &str, step: &dyn Fn() -> i32| loop {
            match step() {
                0 => return,
                errno::ERESTART => {}
                rc => panic!("{what} failed with {rc}"),
            }
        };
        until_done("relinquish_p2m_mapping()", &|| d.relinquish());
        if self.facts().root_is_cleared_apart {
            d.clear_root();
        }
        until_done("p2m_teardown()", &|| d.teardown());
        until_done("p2m_teardown_allocation()", &|| d.teardown_pool());
        d.final_teardown();
    }
}
