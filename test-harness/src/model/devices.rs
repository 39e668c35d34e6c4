// SPDX-License-Identifier: GPL-2.0-only
//! The IOMMU, the monitor and other neighbours, with the faults a test wants.

/// A memory access event as the monitor got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct MonitorRequest {
    pub reason: u32,
    pub gfn: u64,
    pub offset: u64,
    pub gla: u64,
    pub flags: u32,
    /// The vCPU waits for the answer.
    pub sync: bool,
}

/// State and settings of everything that is not a CPU or memory.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    /// Fail the n-th IOTLB flush from now (1 is the next): n, and with which negated errno.
    pub(crate) iommu_fail_in: Option<(u64, i32)>,
    /// And all after it.
    pub(crate) iommu_fails_on: bool,
    /// IOTLB flushes that failed so far.
    pub(crate) iommu_failures: u64,
    /// The error that `monitor_traps()` answers; else what Xen's does.
    pub(crate) monitor_rc: i32,
    /// The monitor goes away once `vm_event_check_ring()` has answered.
    pub(crate) monitor_leaves: bool,
    /// `printk_ratelimit()` says no.
    pub(crate) printk_limited: bool,
    pub(crate) monitor_requests: Vec<MonitorRequest>,
    /// Of each the address of the registers, and the syndrome.
    pub(crate) undef_injected: Vec<(usize, u64)>,
    /// Guests are 32-bit ones, to whom no external abort can be injected.
    pub(crate) guest_is_32_bit: bool,
    /// Guests are at EL0 when they trap, and else at EL1.
    pub(crate) guest_is_at_el0: bool,
    /// The virtual addresses of external aborts.
    pub(crate) aborts_injected: Vec<u64>,
    pub(crate) icache_invalidations: u32,
    pub(crate) flushed_to_ram: Vec<u64>,
    pub(crate) softirqs: u32,
    /// Indices that a guest chose, and the sizes of arrays, as `array_index_nospec()` got them.
    pub(crate) indices: Vec<(u32, u32)>,
    pub(crate) mapcache_invalidations: u32,
    pub(crate) pt_walk_dumps: Vec<(u64, u64, u32, u32)>,
}

impl Devices {
    pub(crate) fn iommu_flush(&mut self) -> i32 {
        match self.iommu_fail_in {
            Some((n, rc)) if n <= 1 => {
                if !self.iommu_fails_on {
                    self.iommu_fail_in = None;
                }
                self.iommu_failures += 1;
                rc
            }
            Some((n, rc)) => {
                self.iommu_fail_in = Some((n - 1, rc));
                0
            }
            None => 0,
        }
    }
}
