// SPDX-License-Identifier: GPL-2.0-only
//! What is said on the console: each failure that somebody should know of, in
//! the C's words, and nothing that a guest could flood the log with unless it is
//! limited (`XENLOG_GUEST`, `gprintk`).

mod common;

use common::{access, errno, guest, p2mt, plain, ram, world, SIZES};
use test_harness::symbols as c;
use test_harness::{Config, Iommu, Stage1Entry, World};

/// What is said meanwhile.
fn said(w: &World, meanwhile: impl FnOnce()) -> String {
    let _before = w.console();
    meanwhile();
    w.console().concat()
}

/// It has the text, and if it is a guest's doing, the mark that limits it.
#[track_caller]
fn says(text: &str, wanted: &str, limited: bool) {
    assert!(text.contains(wanted), "{text:?} has no {wanted:?}");
    assert_eq!(text.contains("<G>"), limited, "{text:?}");
}

/// One root page at level 0 (4 levels), or 2^order of them at level 1 (3 levels).
#[test]
fn the_shape_of_the_tables_is_told_at_boot() {
    let shapes = [(3, 0), (3, 0), (3, 1), (3, 3), (4, 0), (4, 0)];
    for (ipa_bits, (levels, order)) in SIZES.into_iter().zip(shapes) {
        let w = world(Config {
            ipa_bits,
            ..Config::default()
        });
        let text = w.console().concat();
        let sizes = format!("P2M: {ipa_bits}-bit IPA with {ipa_bits}-bit PA and 8-bit VMID\n");
        says(&text, &sizes, false);
        let (_, vtcr, _) = w.registers(0);
        let shape = format!("P2M: {levels} levels with order-{order} root, VTCR {vtcr:#018x}\n");
        says(&text, &shape, false);
    }
}

#[test]
fn a_pool_that_cannot_be_sized_says_so() {
    let w = plain();
    let d = w.domain(2);
    let no_memory = said(&w, || {
        w.fail_allocation(Some(1));
        assert_eq!(d.set_pool(5), errno::ENOMEM);
    });
    says(&no_memory, "Failed to allocate P2M pages.", false);
    let used = said(&w, || {
        assert_eq!(d.insert(5, 1, 0x9000, p2mt::MMIO_DEV), 0);
        assert_eq!(d.set_pool(0), errno::ENOMEM);
    });
    says(&used, "P2M freelist is empty", false);
}

#[test]
fn the_hardware_domain_without_memory_for_a_table_says_so() {
    let w = plain();
    let d = w.hardware_domain();
    let text = said(&w, || {
        w.fail_allocation(Some(1));
        assert_eq!(d.insert(5, 1, 0x9000, p2mt::MMIO_DEV), errno::ENOMEM);
    });
    says(&text, "Failed to allocate P2M pages for hwdom.", true);
}

#[test]
fn a_device_page_that_cannot_be_mapped_says_which() {
    let w = plain();
    let d = w.domain(0);
    w.permit_iomem(d, 0x9000..0x9001);
    let text = said(&w, || {
        // SAFETY: a live domain.
        let rc = unsafe { c::map_dev_mmio_page(d.pointer(), 5, 0x9000) };
        assert_eq!(rc, errno::ENOMEM);
    });
    says(&text, "Unable to map MFN 0x9000", true);
}

#[test]
fn no_vmid_left_says_for_whom() {
    let w = plain();
    let all: Vec<_> = (0..255).map(|_| w.raw_domain(false)).collect();
    for d in &all {
        assert_eq!(d.init(), 0);
    }
    let one_more = w.raw_domain(false);
    let text = said(&w, || assert_eq!(one_more.init(), errno::EBUSY));
    says(&text, "dom256: VMID pool exhausted", false);
    for d in all.into_iter().chain([one_more]) {
        d.final_teardown();
    }
}

#[test]
fn an_iommu_that_fails_is_told_of_once() {
    let w = world(Config {
        iommu: Iommu::Coherent,
        ..Config::default()
    });
    let d = guest(&w, 0);
    let fail = || {
        w.fail_iommu(Some(1));
        assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    };
    // The flag is that of entries that were added.
    let line = "<0>d1: IOMMU IOTLB flush failed: -5, dfn 5, page count 1 flags 1\n";
    assert_eq!(said(&w, fail), line);
    assert!(d.is_shutting_down());
    assert_eq!(said(&w, fail), "", "it is known by now");
}

#[test]
fn a_guest_address_without_a_page_is_told_of_by_what_is_missing_in_debug_builds() {
    if !cfg!(debug_assertions) {
        return;
    }
    const GVA: u64 = 0x7000;
    let w = plain();
    let d = guest(&w, 0);
    let v = w.vcpu(d);
    w.run(0, v);
    let text = said(&w, || assert!(v.page_from_gva(GVA, false).is_none()));
    says(&text, "Failed to walk page-table va", true);
    let entry = Stage1Entry {
        gfn: 0x1000,
        writable: true,
    };
    w.stage1_map(v, GVA, entry);
    assert_eq!(d.insert(0x1000, 1, 0x9000, p2mt::MMIO_DEV), 0);
    let text = said(&w, || assert!(v.page_from_gva(GVA, false).is_none()));
    says(&text, "Invalid MFN 0x9000", true);
    assert_eq!(d.insert(0x1000, 1, ram(0), p2mt::RAM_RW), 0);
    w.saturate(ram(0), true);
    let text = said(&w, || assert!(v.page_from_gva(GVA, false).is_none()));
    says(
        &text,
        &format!("Failing to acquire the MFN {:#x}", ram(0)),
        true,
    );
    // The same after a walk by software, which the hardware's failed walk makes necessary.
    d.creation_finished();
    let text = said(&w, || assert!(v.page_from_gva(GVA, false).is_none()));
    says(
        &text,
        &format!("Failing to acquire the MFN {:#x}", ram(0)),
        true,
    );
    w.saturate(ram(0), false);
}

#[test]
fn a_violation_without_the_required_monitor_is_logged_with_its_vcpu() {
    let w = plain();
    let d = guest(&w, 0);
    // The third: the number of the second is its domain's as well.
    let [_, _, v] = [(); 3].map(|()| w.vcpu(d));
    w.run(0, v);
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.set_access(5, 1, 0, access::R), 0);
    d.set_access_required(true);
    let text = said(&w, || {
        let write = xen_sys::npfec { bits: 2 };
        w.mem_access_check(5 << 12, 0, write);
    });
    // In debug builds, as the C's gdprintk().
    let line = "<G><2>mem_access.c: d1v2 Memory access permissions failure, \
                no vm_event listener VCPU 2, dom 1\n";
    let line = if cfg!(debug_assertions) { line } else { "" };
    let (first, rest) = text.split_at(line.len().min(text.len()));
    assert_eq!(first, line);
    let place = "<0>domain_crash called from mem_access-rs/src/violation.rs:";
    assert!(rest.starts_with(place), "{text}");
}

#[test]
fn the_dumps_are_in_the_cs_words() {
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!(d.insert(0, 512, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.remove(5, 1, ram(0) + 5), 0);
    let text = said(&w, || {
        // SAFETY: a live domain.
        unsafe { c::p2m_dump_info(d.pointer()) };
    });
    for line in [
        "p2m mappings for domain 1 (vmid 1):\n",
        "  1G mappings: 0 (shattered 0)\n",
        "  2M mappings: 0 (shattered 1)\n",
        "  4K mappings: 511\n",
    ] {
        assert!(text.contains(line), "{text:?} has no {line:?}");
    }
    let text = said(&w, || {
        // SAFETY: a live domain.
        unsafe { c::dump_p2m_lookup(d.pointer(), 0x5000) };
    });
    assert!(text.contains("dom1 IPA 0x0000000000005000\n"), "{text:?}");
}
