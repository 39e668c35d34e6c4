// SPDX-License-Identifier: GPL-2.0-only
//! What the guest, a monitor and the writers of its pages get to see.

use test_harness::{Domain, MonitorRequest, Stage1Entry, World, Writer};
use xen_sys::{npfec, npfec_kind_in_gpt, npfec_kind_with_gla};

use super::model::{Model, Page};
use super::op::Copying;
use super::rights::{allows, rights};
use super::scene::Scene;
use crate::common::{access, p2mt, ram, M2};

/// Where the guest's tables map the buffer of a hypercall.
const GVA: u64 = 0x7000;

impl Model {
    /// The guest's tables and the type decide: neither restrictions nor valid bits.
    pub(super) fn copy(&self, scene: &Scene<'_>, gfn: u64, tables: u64, how: Copying) {
        let Copying { write, writable } = how;
        let (w, v) = (scene.w, scene.v);
        w.stage1_map(v, GVA, Stage1Entry { gfn, writable });
        w.stage1_tables_in(v, tables);
        let page = scene.as_guest(|| v.page_from_gva(GVA, write).map(test_harness::Page::put));
        let of = |gfn: u64| self.pages.get(&gfn);
        let is_ram = |page: &Page| p2mt::is_ram(page.t);
        let allowed = |page: &&Page| is_ram(page) && (!write || writable && page.t == p2mt::RAM_RW);
        let expected = of(gfn).filter(allowed).map(|page| page.mfn);
        if of(tables).is_some_and(is_ram) && of(gfn).is_none_or(is_ram) {
            assert_eq!(page, expected, "{:?} by {:?}, {how:?}", of(gfn), of(tables));
        } else if let Some(mfn) = page {
            // What is no RAM by its type may be the domain's own page all the same, if
            // the hardware gets there.
            assert_eq!(Some(mfn), of(gfn).map(|page| page.mfn));
            assert!((ram(0)..ram(0) + 8 * M2).contains(&mfn));
            assert!(!write || writable);
        }
    }

    /// The guest gets to what its rights allow.
    pub(super) fn write(&self, scene: &Scene<'_>, gfn: u64, writer: Writer) {
        let (w, d) = (scene.w, scene.d);
        if writer == Writer::Guest {
            let written = scene.as_guest(|| d.guest_writes(gfn));
            let page = self.pages.get(&gfn);
            let reached = gfn << 12 >> scene.config.ipa_bits == 0;
            let allowed = |page: &&Page| reached && rights(page.t, page.access).1;
            assert_eq!(written, page.filter(allowed).map(|page| page.mfn));
        } else {
            w.foreign_writes(writer, d, gfn);
        }
    }

    /// What the monitor, the guest and the page get to see of a permission fault.
    pub(super) fn fault(&mut self, w: &World, d: Domain, gfn: u64, bits: u32) {
        // What a walk of the guest's own tables did is not in these bits alone.
        let bits = if bits >> 5 & 3 == npfec_kind_in_gpt {
            bits & !(3 << 5)
        } else {
            bits
        };
        let npfec = npfec { bits };
        let (read, write, fetch) = (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
        let page = self.pages.get(&gfn).copied();
        let access = page.filter(|_| d.mem_access_enabled()).map(|p| p.access);
        let (may_read, may_write, may_fetch) = access.map_or((true, true, true), allows);
        let always = access.is_some_and(|a| [access::N, access::N2RWX].contains(&a));
        let violation = always || read && !may_read || write && !may_write || fetch && !may_fetch;
        let gla = 0xFFFF_8000_1234_5678;
        let handled = !w.mem_access_check(gfn << 12 | 0x678, gla, npfec);
        assert_eq!(handled, violation, "gfn {gfn:#x} {page:?} npfec {bits:#x}");
        let (mut told, mut lifted) = (None, None);
        match access {
            _ if !violation => (),
            Some(access::RX2RW) if write => lifted = Some(access::RW),
            Some(a) => {
                if a == access::N2RWX {
                    lifted = Some(access::RWX);
                }
                if self.listens {
                    told = Some(a != access::N2RWX);
                } else if self.required {
                    self.crashes += 1;
                } else if a != access::N2RWX {
                    lifted = Some(access::RWX);
                }
            }
            None => (),
        }
        let known = bits & 1 << 4 != 0;
        let with_gla = known && bits >> 5 & 3 == npfec_kind_with_gla;
        let told = told.map(|sync| MonitorRequest {
            reason: 1,
            gfn,
            offset: 0x678,
            gla: if known { gla } else { 0 },
            flags: bits & 7 | u32::from(known) << 3 | u32::from(with_gla) << 4,
            sync,
        });
        assert_eq!(
            w.monitor_requests(),
            Vec::from_iter(told),
            "{page:?} {bits:#x}"
        );
        assert_eq!(w.fate(d).0, self.crashes, "{page:?} npfec {bits:#x}");
        if let Some((page, access)) = self.pages.get_mut(&gfn).zip(lifted) {
            // No entry of a dying domain is changed.
            if !self.dying {
                page.access = access;
            }
        }
    }
}
