// SPDX-License-Identifier: GPL-2.0-only
//! `struct vcpu`, as far as the p2m is concerned.

use core::cell::UnsafeCell;

use xen_sys as sys;

use crate::xen::cpu;
use crate::xen::domain::Domain;

/// No vCPU's number (`INVALID_VCPU_ID`): in `last_vcpu_ran`, nobody yet.
// Fits by p2m_init's BUILD_BUG_ON in C, and by the assertion below.
#[allow(clippy::cast_possible_truncation)]
pub const NO_VCPU: u8 = sys::XS_INVALID_VCPU_ID as u8;
static_assertions::const_assert!(sys::XS_INVALID_VCPU_ID <= u8::MAX as u32);

/// A vCPU, owned by C. The caller of an exported function keeps it alive.
#[repr(transparent)]
pub struct Vcpu(UnsafeCell<sys::vcpu>);

impl Vcpu {
    /// The vCPU that C hands in.
    ///
    /// # Safety
    ///
    /// `vcpu` points to a vCPU that stays alive for `'a`.
    #[inline(always)]
    pub unsafe fn from_ptr<'a>(vcpu: *mut sys::vcpu) -> &'a Self {
        // SAFETY: repr(transparent) over an UnsafeCell; live by the caller's
        // promise.
        unsafe { &*vcpu.cast::<Self>() }
    }

    /// The vCPU that runs on this CPU (`current`).
    ///
    /// # Safety
    ///
    /// The vCPU stays alive for `'a`.
    pub(crate) unsafe fn current<'a>() -> &'a Self {
        // SAFETY: never null; live by the caller's promise.
        unsafe { Self::from_ptr(cpu::current_vcpu()) }
    }

    /// For C.
    #[inline(always)]
    pub fn as_ptr(&self) -> *mut sys::vcpu {
        self.0.get()
    }

    /// Its number in its domain.
    pub fn id(&self) -> i32 {
        let c = self.as_ptr();
        // SAFETY: a live structure; the id never changes.
        unsafe { (*c).vcpu_id }
    }

    /// Its domain.
    #[inline(always)]
    pub fn domain(&self) -> &Domain {
        let c = self.as_ptr();
        // SAFETY: a live structure; the domain never changes.
        let domain = unsafe { (*c).domain };
        // SAFETY: a domain outlives its vCPUs.
        unsafe { Domain::from_ptr(domain) }
    }

    /// Whether it runs on this CPU now.
    #[inline(always)]
    pub fn is_current(&self) -> bool {
        self.as_ptr() == cpu::current_vcpu()
    }

    /// Whether it is a CPU's idle vCPU, which has no guest context.
    pub fn is_idle(&self) -> bool {
        // SAFETY: looks at the live structure.
        unsafe { sys::is_idle_vcpu(self.as_ptr()) }
    }

    /// The saved SCTLR_EL1.
    pub(crate) fn sctlr(&self) -> u64 {
        let c = self.as_ptr();
        // SAFETY: a live structure; only this vCPU's CPU touches the field.
        unsafe { (*c).arch.sctlr }
    }

    /// Saves SCTLR_EL1.
    pub(crate) fn set_sctlr(&self, sctlr: u64) {
        let c = self.as_ptr();
        // SAFETY: as for `sctlr`.
        unsafe { (*c).arch.sctlr = sctlr };
    }

    /// HCR_EL2 of this vCPU.
    pub(crate) fn hcr(&self) -> u64 {
        let c = self.as_ptr();
        // SAFETY: a live structure; only this vCPU's CPU touches the field.
        unsafe { (*c).arch.hcr_el2 }
    }

    /// Changes HCR_EL2, in the structure and in the register
    /// (`vcpu_hcr_set_flags`, `vcpu_hcr_clear_flags`).
    fn set_current_hcr(&self, hcr: u64) {
        debug_assert!(self.is_current());
        let c = self.as_ptr();
        // SAFETY: as for `hcr`.
        unsafe { (*c).arch.hcr_el2 = hcr };
        cpu::write_hcr(hcr);
    }

    /// Whether writes of the guest's virtual memory controls trap (HCR.TVM).
    pub fn traps_vm_controls(&self) -> bool {
        self.hcr() & u64::from(sys::XS_HCR_TVM) != 0
    }

    /// Traps writes of the guest's virtual memory controls, or stops to. The
    /// vCPU must be the current one. Its walks may be in flight, and need not be waited
    /// for ([`crate::guest::context`]): HCR_EL2.TVM decides what traps, and no walk looks at it.
    pub fn trap_vm_controls(&self, trap: bool) {
        let tvm = u64::from(sys::XS_HCR_TVM);
        let hcr = self.hcr();
        self.set_current_hcr(if trap { hcr | tvm } else { hcr & !tvm });
    }

    /// Whether guest RAM must be cleaned to memory before the guest runs on.
    pub fn need_flush_to_ram(&self) -> bool {
        let c = self.as_ptr();
        // SAFETY: a live structure; only this vCPU's CPU touches the field.
        unsafe { (*c).arch.need_flush_to_ram }
    }

    /// Sets [`Self::need_flush_to_ram`].
    pub fn set_need_flush_to_ram(&self, need: bool) {
        let c = self.as_ptr();
        // SAFETY: as for `need_flush_to_ram`.
        unsafe { (*c).arch.need_flush_to_ram = need };
    }

    /// Whether the guest has its MMU and data cache on
    /// (`vcpu_has_cache_enabled`). The vCPU must be the current one.
    pub fn has_cache_enabled(&self) -> bool {
        debug_assert!(self.is_current());
        let both = u64::from(sys::XS_SCTLR_M_C);
        cpu::read_sctlr_el1() & both == both
    }
}
