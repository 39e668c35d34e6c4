// SPDX-License-Identifier: GPL-2.0-only
//! C functions that may take a p2m lock somewhere inside. All of them are
//! here, in [`super::monitor`] and in [`super::guest_copy`], and all take the token: none can be
//! called while this CPU holds a p2m lock.

use xen_sys as sys;

use super::token::Unlocked;
use super::translate::Gv2mFlags;
use crate::types::addr::{Gva, Ipa};
use crate::xen::console;
use crate::xen::cpu;
use crate::xen::domain::Domain;
use crate::xen::page::{Page, PageRef};
use crate::xen::release::has_mem_access;
use crate::xen::vcpu::Vcpu;

/// What the guest's own tables say of an address.
#[derive(Clone, Copy, Debug)]
pub struct Stage1 {
    /// Where it translates to.
    pub ipa: Ipa,
    /// Whether the guest lets itself write there.
    pub writable: bool,
}

impl Stage1 {
    /// What AT would have checked of the guest's tables (XSA-98). AT does not check
    /// for execution, and so nor does this.
    pub const fn allows(self, flags: Gv2mFlags) -> bool {
        self.writable || !flags.wants_write()
    }
}

/// Walks the guest's stage-1 tables in software (`guest_walk_tables`). Each
/// step reads guest memory and so takes the p2m lock for reading.
pub fn guest_walk(_cx: &mut Unlocked<'_>, vcpu: &Vcpu, gva: Gva) -> Option<Stage1> {
    let mut ipa = 0;
    let mut permissions = 0;
    // SAFETY: no p2m lock is held.
    let found = unsafe { sys::guest_walk_tables(vcpu.c(), gva.raw(), &mut ipa, &mut permissions) };
    found.then_some(Stage1 {
        ipa: Ipa::new(ipa),
        writable: Gv2mFlags::from_c(permissions).wants_write(),
    })
}

// The lint objects to bindgen's structures, some of which have empty members.
#[allow(improper_ctypes)]
unsafe extern "C" {
    /// Defined by mem_access-rs. A Xen without mem_access has no such symbol, and never calls it.
    fn p2m_mem_access_check_and_get_page(
        gva: u64,
        flag: core::ffi::c_ulong,
        v: &Vcpu,
    ) -> Option<&'static sys::Opaque<sys::page_info>>;

    /// As above.
    fn p2m_mem_access_check(gpa: u64, gla: u64, npfec: sys::npfec) -> bool;
}

// mem_access-rs compares the definitions with the headers; this, the declarations above.
#[cfg(all(target_os = "none", config_mem_access))]
const _: () = {
    sys::same_prototype(
        p2m_mem_access_check_and_get_page as unsafe extern "C" fn(_, _, _) -> _,
        sys::prototypes::p2m_mem_access_check_and_get_page as unsafe extern "C" fn(_, _, _) -> _,
    );
    sys::same_prototype(
        p2m_mem_access_check as unsafe extern "C" fn(_, _, _) -> _,
        sys::prototypes::p2m_mem_access_check as unsafe extern "C" fn(_, _, _) -> _,
    );
};

/// The page behind an address whose translation failed while mem_access is in use
/// (`p2m_mem_access_check_and_get_page`). Reached through its C symbol, as
/// mem_access can be configured out; then there never is one.
pub fn mem_access_check_and_get_page(
    _cx: &mut Unlocked<'_>,
    gva: Gva,
    flags: Gv2mFlags,
    vcpu: &Vcpu,
) -> Option<PageRef> {
    if !has_mem_access() {
        return None;
    }
    // SAFETY: no p2m lock is held.
    let page = unsafe { p2m_mem_access_check_and_get_page(gva.raw(), flags.to_c().into(), vcpu) }?;
    // SAFETY: the function returns a page together with a reference to it.
    Some(unsafe { PageRef::adopt(Page::from_c(page)) })
}

/// Whether mem_access has dealt with a permission fault of the current vCPU: sent an event or
/// lifted the restriction (`p2m_mem_access_check`, which answers the other way round). Reached
/// through its C symbol, as above.
pub fn mem_access_check(_cx: &mut Unlocked<'_>, ipa: Ipa, gva: Gva, npfec: sys::npfec) -> bool {
    if !has_mem_access() {
        return false;
    }
    // SAFETY: no p2m lock is held.
    !unsafe { p2m_mem_access_check(ipa.raw(), gva.raw(), npfec) }
}

/// Crashes the domain (`domain_crash`). For the current domain this dumps the
/// guest's stack, through `get_page_from_gva`.
#[track_caller]
pub fn domain_crash(_cx: &mut Unlocked<'_>, domain: &Domain) {
    console::domain_crash_called();
    // SAFETY: no p2m lock is held.
    unsafe { sys::__domain_crash(domain.c()) };
}

/// Runs what waits on this CPU (`do_softirq`): may schedule, that is run
/// anything. Not under any lock, which the token does not say of other kinds of locks, and
/// with interrupts enabled: its one caller, `guest::cache::flush_vm`, is called so.
pub fn do_softirq(_cx: &mut Unlocked<'_>) {
    debug_assert!(cpu::irqs_enabled());
    // SAFETY: no lock is held and interrupts are enabled.
    unsafe { sys::do_softirq() };
}

/// Runs what waits on this CPU, without scheduling (`process_pending_softirqs`): timers, and
/// what keeps the watchdog quiet. For a debug key, whose caller is in no interrupt, and has a
/// reference to the domain (`get_domain`), so that it stays whatever runs here.
pub(crate) fn process_pending_softirqs(_cx: &mut Unlocked<'_>) {
    debug_assert!(cpu::irqs_enabled());
    // SAFETY: no p2m lock is held, and interrupts are enabled.
    unsafe { sys::process_pending_softirqs() };
}
