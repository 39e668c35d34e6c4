// SPDX-License-Identifier: GPL-2.0-only
//! `struct vcpu`, as far as the p2m is concerned.

use core::cell::Cell;
use core::marker::PhantomData;
use core::ops::Deref;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use xen_sys as sys;
use xen_sys::arch;

use crate::types::addr::Gva;
use crate::xen::domain::Domain;
#[cfg(config_altp2m)]
use crate::xen::domain::PausedDomain;

/// No vCPU's number (`INVALID_VCPU_ID`): in `last_vcpu_ran`, nobody yet.
// Fits by p2m_init's BUILD_BUG_ON in C, and by the assertion below.
#[allow(clippy::cast_possible_truncation)]
pub const NO_VCPU: u8 = sys::XS_INVALID_VCPU_ID as u8;
static_assertions::const_assert!(sys::XS_INVALID_VCPU_ID <= u8::MAX as u32);

structure! {
    /// A vCPU (`struct vcpu`), owned by C.
    ///
    /// # Invariants
    ///
    /// Every reference is to a vCPU whose structure lives as long as the reference: the
    /// caller of an exported function keeps it. It does not prove that the vCPU runs, nor
    /// that this CPU is where it does ([`CurrentVcpu`] does).
    Vcpu(vcpu)
}

/// The current vCPU (`current`): this CPU runs it.
///
/// # Invariants
///
/// The vCPU's registers are loaded when its methods are called: whatever is scheduled while the call
/// lasts, the call goes on as this vCPU. The structure lives for `'c`. C passes one to an exported
/// function; else the token of a call knows it ([`crate::p2m::token::current_vcpu`]).
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct CurrentVcpu<'c>(&'c Vcpu);

// SAFETY: `repr(transparent)` over what may stand for the pointer; that it is the current one is the
// contract of the function that takes it.
unsafe impl sys::SameAbi<*mut sys::vcpu> for CurrentVcpu<'_> {}

/// A vCPU that this CPU is switched from, or to.
///
/// # Invariants
///
/// The call is part of the context switch of this CPU. There is no constructor: C passes one to an
/// exported function.
#[repr(transparent)]
pub struct SwitchedVcpu<'c>(&'c Vcpu, PhantomData<NoGuest<'c>>);

// SAFETY: `repr(transparent)` over what may stand for the pointer; that this is a context switch is the
// contract of the function that takes it.
unsafe impl sys::SameAbi<*mut sys::vcpu> for SwitchedVcpu<'_> {}

impl<'c> SwitchedVcpu<'c> {
    /// The vCPU, and the proof that goes with the call.
    #[inline(always)]
    pub(crate) fn enter(self) -> (NoGuest<'c>, &'c Vcpu) {
        (NoGuest(PhantomData), self.0)
    }
}

/// A vCPU that is paused, and runs nowhere.
///
/// # Invariants
///
/// For `'c` it does not run, and is not let run: `vcpu_pause` has returned, which waits until it has left
/// its CPU (`vcpu_pause_nosync` does not), or `domain_pause` of its domain.
#[cfg(config_altp2m)]
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct PausedVcpu<'c>(&'c Vcpu);

// SAFETY: `repr(transparent)` over what may stand for the pointer; that it is paused is the contract of the
// function that takes it.
#[cfg(config_altp2m)]
unsafe impl sys::SameAbi<*mut sys::vcpu> for PausedVcpu<'_> {}

#[cfg(config_altp2m)]
impl<'c> PausedVcpu<'c> {
    /// All vCPUs of a domain.
    pub(crate) fn all_of(domain: PausedDomain<'c>) -> impl Iterator<Item = Self> {
        Vcpu::all_of(domain.domain()).map(Self)
    }

    /// Sets [`Vcpu::view`]: the CPU that runs it next loads what the view says
    /// ([`crate::guest::context`]).
    pub(crate) fn set_view(&self, number: u16) {
        debug_assert!(!sys::xs_vcpu_is_running(self.0.c()));
        self.0.c().field(View).store(number, Relaxed);
    }

    /// Its domain.
    pub(crate) fn domain(&self) -> &Domain {
        self.0.domain()
    }
}

/// Proof that no guest's context is in use on this CPU, so that its registers may be loaded.
///
/// # Invariants
///
/// For `'c`, this CPU switches from one vCPU to another, or comes up and has run none since. Xen's
/// direct map is set up.
pub(crate) struct NoGuest<'c>(PhantomData<(*mut (), &'c ())>);

static_assertions::assert_not_impl_any!(NoGuest<'static>: Send, Sync, Clone, Copy);

impl NoGuest<'_> {
    /// For a CPU that comes up.
    ///
    /// # Safety
    ///
    /// This CPU has run no vCPU since it came up, and runs none while there is the value. The direct
    /// map is set up.
    pub(crate) unsafe fn coming_up() -> Self {
        Self(PhantomData)
    }
}

sys::fields! {
    unsafe VcpuId: vcpu.vcpu_id as Cell<i32>, "never changes";
    unsafe VcpuDomain: vcpu.domain as Cell<*mut sys::domain>, "never changes";
    unsafe Sctlr: vcpu.arch.sctlr as AtomicU64, "of the CPU that switches to or from the vCPU";
    unsafe Hcr: vcpu.arch.hcr_el2 as AtomicU64, "of the CPU that the vCPU runs on";
    unsafe NeedFlushToRam: vcpu.arch.need_flush_to_ram as AtomicBool, "of the CPU that the vCPU runs on";
}

#[cfg(config_altp2m)]
sys::fields! {
    unsafe View: vcpu.arch.p2m_view as core::sync::atomic::AtomicU16, "written while the vCPU is paused";
}

#[cfg(config_altp2m)]
impl Vcpu {
    /// All vCPUs of a domain.
    pub(crate) fn all_of(domain: &Domain) -> impl Iterator<Item = &Self> {
        let d = domain.c();
        (0..sys::xs_max_vcpus(d)).filter_map(|id| sys::xs_domain_vcpu(d, id).map(Self::of))
    }

    /// The number of the view that it runs in; 0 for the host p2m.
    #[inline(always)]
    pub fn view(&self) -> u16 {
        self.c().field(View).load(Relaxed)
    }
}

impl Vcpu {
    /// Its number in its domain.
    pub fn id(&self) -> i32 {
        self.c().field(VcpuId).get()
    }

    /// Its domain.
    #[inline(always)]
    pub fn domain(&self) -> &Domain {
        // SAFETY: a domain outlives its vCPUs.
        unsafe { Domain::from_ptr(self.c().field(VcpuDomain).get()) }
    }

    /// Whether it is a CPU's idle vCPU, which has no guest context.
    pub fn is_idle(&self) -> bool {
        sys::is_idle_vcpu(self.c())
    }

    /// Saves the SCTLR_EL1 that is loaded.
    pub(crate) fn save_sctlr(&self) {
        let sctlr = arch::read_sctlr_el1();
        self.c().field(Sctlr).store(sctlr, Relaxed);
    }

    /// Loads the SCTLR_EL1 that was saved.
    pub(crate) fn load_sctlr(&self, _: &NoGuest<'_>) {
        // SAFETY: the vCPU's own value, of a register that is the guest's; no guest uses it now.
        unsafe { arch::write_sctlr_el1(self.c().field(Sctlr).load(Relaxed)) };
    }

    /// HCR_EL2 of this vCPU.
    fn hcr(&self) -> u64 {
        self.c().field(Hcr).load(Relaxed)
    }

    /// Loads HCR_EL2.
    pub(crate) fn load_hcr(&self, _: &NoGuest<'_>) {
        Self::write_hcr(self.hcr());
    }

    /// For a vCPU that is the current one, or is switched to.
    fn write_hcr(hcr: u64) {
        // SAFETY: a vCPU's own value, which Xen has made.
        unsafe { arch::write_hcr_el2(hcr) };
    }

    /// Whether writes of the guest's virtual memory controls trap (HCR.TVM).
    pub fn traps_vm_controls(&self) -> bool {
        self.hcr() & u64::from(sys::XS_HCR_TVM) != 0
    }

    /// Whether guest RAM must be cleaned to memory before the guest runs on.
    pub fn need_flush_to_ram(&self) -> bool {
        self.c().field(NeedFlushToRam).load(Relaxed)
    }

    /// Sets [`Self::need_flush_to_ram`].
    pub fn set_need_flush_to_ram(&self, need: bool) {
        self.c().field(NeedFlushToRam).store(need, Relaxed);
    }
}

impl<'c> CurrentVcpu<'c> {
    /// The vCPU that this CPU runs.
    ///
    /// # Safety
    ///
    /// The call goes on as this vCPU for `'c`, and the vCPU stays alive.
    pub(crate) unsafe fn get() -> Self {
        // SAFETY: never null; live by the caller's promise.
        Self(unsafe { Vcpu::from_ptr(sys::current_vcpu()) })
    }

    /// Whether C has kept its promise; for assertions.
    pub(crate) fn is_current(self) -> bool {
        self.c().as_ptr() == sys::current_vcpu()
    }

    /// Whether this is `vcpu`.
    #[inline(always)]
    pub fn is(self, vcpu: &Vcpu) -> bool {
        core::ptr::eq(self.0, vcpu)
    }

    /// Its domain, for as long as it itself lives.
    #[inline(always)]
    pub fn domain(self) -> &'c Domain {
        self.0.domain()
    }

    /// Traps writes of the guest's virtual memory controls, or stops to (`vcpu_hcr_set_flags`,
    /// `vcpu_hcr_clear_flags`). The guest's walks may be in flight, and need not be waited
    /// for ([`crate::guest::context`]): HCR_EL2.TVM decides what traps, and no walk looks at it.
    pub fn trap_vm_controls(self, trap: bool) {
        let tvm = u64::from(sys::XS_HCR_TVM);
        debug_assert!(self.is_current());
        let hcr = self.hcr();
        let hcr = if trap { hcr | tvm } else { hcr & !tvm };
        self.c().field(Hcr).store(hcr, Relaxed);
        Vcpu::write_hcr(hcr);
    }

    /// Whether the trap came from EL0.
    pub fn traps_from_el0(self) -> bool {
        debug_assert!(self.is_current());
        sys::xs_trap_is_from_el0()
    }

    /// Injects a synchronous external abort for the access to `gva` that has trapped. Returns false,
    /// and does nothing, if the guest is a 32-bit one.
    pub fn inject_external_abort(self, gva: Gva) -> bool {
        debug_assert!(self.is_current());
        sys::xs_inject_external_abort(gva.raw())
    }

    /// Whether the guest has its MMU and data cache on (`vcpu_has_cache_enabled`).
    pub fn has_cache_enabled(self) -> bool {
        debug_assert!(self.is_current());
        let both = u64::from(sys::XS_SCTLR_M_C);
        arch::read_sctlr_el1() & both == both
    }
}

impl Deref for CurrentVcpu<'_> {
    type Target = Vcpu;

    #[inline(always)]
    fn deref(&self) -> &Vcpu {
        self.0
    }
}
