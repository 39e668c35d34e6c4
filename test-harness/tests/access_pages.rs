// SPDX-License-Identifier: GPL-2.0-only
//! `p2m_mem_access_check_and_get_page()`: which page a hypercall gets whose
//! buffer introspection restricted. Every access, read and write; tests/buffers.rs
//! has them with everything else that may keep the hardware from a page.

mod common;
use common::{access, guest, p2mt, plain, ram};
use test_harness::{Domain, Stage1Entry, Vcpu, World};

const GVA: u64 = 0x8000_0000;
const GFN: u64 = 0x1000;
const TABLES: u64 = 0x2000;

/// Every access.
const ALL: std::ops::RangeInclusive<u32> = access::N..=access::R_PW;

fn scene(w: &World, t: u32, a: u32, writable: bool) -> (Domain, Vcpu) {
    let d = guest(w, 0);
    let v = w.vcpu(d);
    assert_eq!(d.insert(GFN, 1, ram(0), t), 0);
    assert_eq!(d.insert(TABLES, 1, ram(0) + 1, p2mt::RAM_RW), 0);
    assert_eq!(d.set_access(GFN, 1, 0, a), 0);
    w.stage1_map(v, GVA, Stage1Entry { gfn: GFN, writable });
    w.stage1_tables_in(v, TABLES);
    w.run(0, v);
    (d, v)
}

#[test]
fn a_page_is_given_under_any_restriction() {
    for a in ALL {
        for is_write in [false, true] {
            let w = plain();
            let (_, v) = scene(&w, p2mt::RAM_RW, a, true);
            let page = v.check_and_get_page(GVA, is_write);
            assert!(page.is_some(), "access {a} write {is_write}");
            assert_eq!(w.references(ram(0)), 2);
            assert!(page.is_none_or(|page| page.put() == ram(0)));
        }
    }
}

#[test]
fn a_hypercall_reaches_its_buffer_whatever_is_restricted() {
    for a in ALL {
        for tables in ALL {
            for is_write in [false, true] {
                let w = plain();
                let (d, v) = scene(&w, p2mt::RAM_RW, a, true);
                assert_eq!(d.set_access(TABLES, 1, 0, tables), 0);
                let page = v.page_from_gva(GVA, is_write);
                assert!(page.is_some(), "access {a}, tables {tables}");
                assert!(page.is_none_or(|page| page.put() == ram(0)));
            }
        }
    }
}

#[test]
fn a_restriction_gives_no_page_that_the_guest_itself_may_not_write() {
    for a in ALL {
        let w = plain();
        let (_, v) = scene(&w, p2mt::RAM_RW, a, false);
        assert_eq!(v.check_and_get_page(GVA, true), None, "access {a}");
        assert_eq!(v.page_from_gva(GVA, true), None, "access {a}");
    }
}

#[test]
fn a_restriction_gives_nothing_that_the_type_forbids() {
    for t in [
        p2mt::RAM_RO,
        p2mt::MMIO_DEV,
        p2mt::MMIO_C,
        p2mt::GRANT_RW,
        p2mt::GRANT_RO,
    ] {
        for a in ALL {
            for is_write in [false, true] {
                let w = plain();
                let (_, v) = scene(&w, t, a, true);
                let page = v.check_and_get_page(GVA, is_write);
                // B7: read-only RAM may be read.
                let given = t == p2mt::RAM_RO && !is_write;
                assert_eq!(page.is_some(), given, "type {t} access {a}");
                assert!(page.is_none_or(|page| page.put() == ram(0)));
            }
        }
    }
}

#[test]
fn a_restriction_gives_no_page_of_another_owner() {
    let w = plain();
    let (d, v) = scene(&w, p2mt::RAM_RW, access::N, true);
    let other = w.domain(0);
    w.ram(ram(7), 1, other);
    assert_eq!(d.insert(GFN, 1, ram(7), p2mt::RAM_RW), 0);
    assert_eq!(d.set_access(GFN, 1, 0, access::N), 0);
    assert_eq!(v.check_and_get_page(GVA, false), None);
    assert_eq!(w.references(ram(7)), 1);
}

#[test]
fn an_address_that_the_guest_does_not_map_has_no_page() {
    let w = plain();
    let (_, v) = scene(&w, p2mt::RAM_RW, access::N, true);
    assert_eq!(v.check_and_get_page(GVA + 0x1000, false), None);
    assert_eq!(v.page_from_gva(GVA + 0x1000, false), None);
}
