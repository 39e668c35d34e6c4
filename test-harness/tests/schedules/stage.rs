// SPDX-License-Identifier: GPL-2.0-only
//! What scenes begin and end with.

use test_harness::{Domain, Preempt, Stage1Entry, Vcpu, World};

use crate::common::{p2mt, ram, M2};

pub(crate) const BUFFER: u64 = 0x4000_0000;
pub(crate) const BUFFER_GFN: u64 = 0x10;
pub(crate) const TABLES_GFN: u64 = 0x11;

pub(crate) fn guest(w: &World, n: u64, pool: u64) -> Domain {
    let d = w.domain(pool);
    w.ram(ram(n), 4 * M2, d);
    d
}

/// The end of each scene: all rules, and nothing is left of the domains.
pub(crate) fn end(w: &World, domains: &[Domain]) {
    w.check();
    w.preempt(Preempt::Never);
    for &d in domains {
        w.destroy(d);
    }
    w.check();
    assert_eq!(w.heap_in_use(), 0, "pages are leaked");
}

/// A vCPU whose own tables, and a buffer that they map, are guest pages.
pub(crate) fn buffer(w: &World, d: Domain) -> Vcpu {
    let v = w.vcpu(d);
    let entry = Stage1Entry {
        gfn: BUFFER_GFN,
        writable: true,
    };
    w.stage1_map(v, BUFFER, entry);
    w.stage1_tables_in(v, TABLES_GFN);
    v
}

pub(crate) fn with_buffer(w: &World) -> (Domain, Vcpu) {
    let d = guest(w, 0, 4);
    assert_eq!(d.insert(BUFFER_GFN, 2, ram(0), p2mt::RAM_RW), 0);
    (d, buffer(w, d))
}

/// A hypercall's use of the buffer: nothing, or the right page.
pub(crate) fn copy(v: Vcpu) -> bool {
    let page = v.page_from_gva(BUFFER, true);
    page.is_some_and(|page| page.put() == ram(0))
}
