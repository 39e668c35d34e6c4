// SPDX-License-Identifier: GPL-2.0-only
//! What a CPU's TLB may hold of a guest's own translations.
//!
//! An entry is tagged with the VMID that was in VTTBR_EL2 when it was made, and with no view: the
//! guest's TLBIs are not trapped, and reach the entries of the VMID that is loaded where the guest
//! executes them. What may be there is used, as long as no TLBI has taken it.

use xen_sys::XS_NR_CPUS;

use crate::ground::hash::MapBy;
use crate::model::guests::Stage1Entry;

/// By CPU; then by VMID and page.
#[derive(Debug)]
pub(crate) struct Translations(Vec<MapBy<(u16, u64), Stage1Entry>>);

impl Default for Translations {
    fn default() -> Self {
        Self(vec![MapBy::default(); XS_NR_CPUS as usize])
    }
}

impl Translations {
    /// What a CPU has for a page; or what it has walked to, which it has from then on.
    pub(crate) fn get_or(
        &mut self,
        cpu: usize,
        (vmid, page): (u16, u64),
        walked: Option<Stage1Entry>,
    ) -> Option<Stage1Entry> {
        let held = self.0[cpu].get(&(vmid, page)).copied();
        let used = held.or(walked)?;
        self.0[cpu].insert((vmid, page), used);
        Some(used)
    }

    /// A TLBI on all CPUs: of one page, or of all that the VMID has.
    pub(crate) fn invalidate(&mut self, vmid: u16, page: Option<u64>) {
        for held in &mut self.0 {
            held.retain(|of, _| of.0 != vmid || page.is_some_and(|page| of.1 != page));
        }
    }

    /// One on a CPU alone; every VMID for `None`.
    pub(crate) fn invalidate_locally(&mut self, cpu: usize, vmid: Option<u16>) {
        self.0[cpu].retain(|of, _| vmid.is_some_and(|vmid| of.0 != vmid));
    }
}
