// SPDX-License-Identifier: GPL-2.0-only
//! `get_page_from_gva()` where there is no page to be had: each time nothing
//! is held afterwards, and the page's references are what they were.

mod common;
use common::{access, guest, p2mt, plain, ram};
use test_harness::{Domain, Stage1Entry, Vcpu, World};

const GVA: u64 = 0x7000;
const GFN: u64 = 0x1000;
/// A page that is restricted, so that introspection is in use.
const ELSEWHERE: u64 = 0x2000;

/// A guest that maps an address to a frame, at which there is nothing yet.
fn scene() -> (World, Domain, Vcpu) {
    let w = plain();
    let d = guest(&w, 0);
    let v = w.vcpu(d);
    w.run(0, v);
    let entry = Stage1Entry {
        gfn: GFN,
        writable: true,
    };
    w.stage1_map(v, GVA, entry);
    assert_eq!(d.insert(ELSEWHERE, 1, ram(0) + 9, p2mt::RAM_RW), 0);
    (w, d, v)
}

/// Nothing for reads or writes, with introspection in use and without.
fn has_no_page(w: &World, d: Domain, v: Vcpu, gva: u64) {
    for introspected in [false, true] {
        if introspected {
            assert_eq!(d.set_access(ELSEWHERE, 1, 0, access::N), 0);
            assert!(d.mem_access_enabled());
        }
        for write in [false, true] {
            assert!(v.page_from_gva(gva, write).is_none());
            w.check();
        }
    }
}

#[test]
fn only_the_current_vcpus_addresses_are_looked_up() {
    let (w, d, v) = scene();
    assert_eq!(d.insert(GFN, 1, ram(0), p2mt::RAM_RW), 0);
    assert!(v
        .page_from_gva(GVA, true)
        .is_some_and(|p| p.put() == ram(0)));
    // The one that runs has another of the domain's pages at the same address.
    let other = w.vcpu(d);
    let entry = Stage1Entry {
        gfn: GFN + 1,
        writable: true,
    };
    w.stage1_map(other, GVA, entry);
    assert_eq!(d.insert(GFN + 1, 1, ram(0) + 1, p2mt::RAM_RW), 0);
    w.run(0, other);
    has_no_page(&w, d, v, GVA);
    assert_eq!(w.references_of(&[ram(0), ram(0) + 1]), [1, 1]);
    assert!(other
        .page_from_gva(GVA, true)
        .is_some_and(|p| p.put() == ram(0) + 1));
}

#[test]
fn an_address_that_the_guest_does_not_map_is_no_page() {
    let (w, d, v) = scene();
    assert_eq!(d.insert(GFN, 1, ram(0), p2mt::RAM_RW), 0);
    has_no_page(&w, d, v, GVA + 0x1000);
}

#[test]
fn a_frame_at_which_nothing_is_mapped_is_no_page() {
    let (w, d, v) = scene();
    has_no_page(&w, d, v, GVA);
}

#[test]
fn a_device_is_no_page() {
    let (w, d, v) = scene();
    assert_eq!(d.insert(GFN, 1, 0x9000, p2mt::MMIO_DEV), 0);
    has_no_page(&w, d, v, GVA);
}

#[test]
fn a_page_of_another_domain_is_not_the_guests_to_pass() {
    let (w, d, v) = scene();
    let owner = guest(&w, 1);
    assert_eq!(d.map_foreign(owner, GFN, ram(1)), 0);
    has_no_page(&w, d, v, GVA);
    assert_eq!(w.references(ram(1)), 2);
    assert_eq!(d.insert(GFN, 1, ram(1) + 1, p2mt::GRANT_RW), 0);
    has_no_page(&w, d, v, GVA);
    assert_eq!(w.references(ram(1) + 1), 1);
}

#[test]
fn a_page_of_which_no_reference_can_be_had_is_no_page() {
    let (w, d, v) = scene();
    assert_eq!(d.insert(GFN, 1, ram(0), p2mt::RAM_RW), 0);
    w.saturate(ram(0), true);
    has_no_page(&w, d, v, GVA);
    w.saturate(ram(0), false);
    assert!(v
        .page_from_gva(GVA, true)
        .is_some_and(|p| p.put() == ram(0)));
}

#[test]
fn a_page_is_found_wherever_in_memory_it_is() {
    for mfn in [1 << 35, (1 << 36) - 1] {
        let (w, d, v) = scene();
        w.ram(mfn, 1, d);
        assert_eq!(d.insert(GFN, 1, mfn, p2mt::RAM_RW), 0);
        for write in [false, true] {
            let page = v.page_from_gva(GVA + 0x123, write);
            assert!(page.is_some_and(|page| page.put() == mfn), "{mfn:#x}");
        }
        w.check();
    }
}
