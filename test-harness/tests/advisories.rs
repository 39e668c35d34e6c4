// SPDX-License-Identifier: GPL-2.0-only
//! One test for each of Xen's security advisories in these files: the property
//! that was missing.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;
use common::by_hand::xen;
use common::{access, errno, guest, p2mt, plain, ram, world, G1, M2, SIZES};
use test_harness::{Config, Event, Preempt, Stage1Entry, INVALID};
use xen_sys as sys;

/// Copies to a guest address ignored what the guest may write.
#[test]
fn xsa_98_a_write_reaches_no_page_that_either_stage_forbids_to_write() {
    const GVA: u64 = 0x7000;
    let types = [
        (p2mt::RAM_RW, true, true),
        (p2mt::RAM_RO, true, false),
        (p2mt::GRANT_RO, true, false),
        (p2mt::GRANT_RW, true, true),
    ];
    // Through the MMU, and in software when the valid bit is gone. The latter
    // takes no page that is not the guest's own RAM.
    for tracked in [false, true] {
        for (t, readable, writable) in types {
            for stage1_writable in [true, false] {
                let w = plain();
                let d = guest(&w, 0);
                let v = w.vcpu(d);
                w.run(0, v);
                assert_eq!(d.insert(0x1000, 1, ram(0), t), 0);
                w.stage1_map(
                    v,
                    GVA,
                    Stage1Entry {
                        gfn: 0x1000,
                        writable: stage1_writable,
                    },
                );
                if tracked {
                    d.creation_finished();
                }
                let own = t == p2mt::RAM_RW || t == p2mt::RAM_RO;
                let reads = readable && (!tracked || own);
                let writes = writable && stage1_writable && (!tracked || own);
                let what = format!("type {t}, stage 1 writable {stage1_writable}, {tracked}");
                let page = v.page_from_gva(GVA, false);
                assert_eq!(
                    page.map(|p| p.put()),
                    reads.then_some(ram(0)),
                    "read: {what}"
                );
                let page = v.page_from_gva(GVA, true);
                assert_eq!(
                    page.map(|p| p.put()),
                    writes.then_some(ram(0)),
                    "write: {what}"
                );
            }
        }
    }
}

/// A teardown after a failed creation freed a root that was not there.
#[test]
fn xsa_181_a_p2m_whose_creation_failed_anywhere_can_be_torn_down() {
    for ipa_bits in SIZES {
        // No memory for the root.
        let w = world(Config {
            ipa_bits,
            ..Config::default()
        });
        let d = w.raw_domain(false);
        w.fail_allocation(Some(1));
        assert_eq!(d.init(), errno::ENOMEM);
        d.final_teardown();
        assert!(d.root().is_null());
        assert_eq!(w.heap_in_use(), 0);
        // The VMID came back: the next domain gets the same one.
        let next = w.domain(0);
        assert_eq!(next.vmid(), 1);
        w.check();
    }
}

/// The same with no VMID left.
#[test]
fn xsa_181_a_domain_without_a_vmid_can_be_torn_down() {
    let w = plain();
    let domains: Vec<_> = (1..256).map(|_| w.domain(0)).collect();
    let late = w.raw_domain(false);
    assert_eq!(late.init(), errno::EBUSY);
    late.final_teardown();
    // VMIDs are unique, none is the reserved one, and they come back.
    let mut vmids: Vec<u16> = domains.iter().map(|d| d.vmid()).collect();
    vmids.sort_unstable();
    assert!(vmids.iter().copied().eq(1..=255));
    let vmid = domains[41].vmid();
    w.destroy(domains[41]);
    assert_eq!(w.domain(0).vmid(), vmid);
}

/// And for a domain that no p2m_init() ever saw.
#[test]
fn xsa_181_a_p2m_that_never_was_can_be_torn_down() {
    let w = plain();
    let d = w.raw_domain(false);
    d.final_teardown();
    w.check();
}

/// Failing to remove a mapping went unnoticed, and its page was freed.
#[test]
fn xsa_222_a_removal_that_needs_a_table_and_has_none_fails_and_changes_nothing() {
    for ipa_bits in SIZES {
        for order in [9, 18] {
            let w = world(Config {
                ipa_bits,
                ..Config::default()
            });
            let d = w.domain(8);
            w.ram(ram(0), G1, d);
            assert_eq!(d.insert(G1, 1 << order, ram(0), p2mt::RAM_RW), 0);
            let used = d.pool_pages() - w.free_pool_pages(d);
            assert_eq!(d.set_pool(used), 0);
            let (before, stats) = (w.dump(d), d.mapping_stats());
            assert_eq!(d.remove(G1 + 3, 1, ram(0) + 3), errno::ENOMEM);
            assert_eq!((w.dump(d), d.mapping_stats()), (before, stats));
            assert_eq!(d.shattered_stats(), [0; 4]);
            assert_eq!(d.lookup(G1 + 3), (Some(ram(0) + 3), p2mt::RAM_RW));
            w.check();
        }
    }
}

/// Guest frame numbers with high bits set aliased low ones.
#[test]
fn xsa_301_a_frame_beyond_the_address_space_is_refused_and_remembered_nowhere() {
    for ipa_bits in SIZES {
        let config = Config {
            ipa_bits,
            ..Config::default()
        };
        let w = world(config);
        let d = guest(&w, 0);
        assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
        let limit = config.gfn_limit();
        for gfn in [
            limit,
            limit + 5,
            1 << 40,
            1 << 52 | 5,
            1 << 63 | 5,
            INVALID - 1,
            INVALID,
        ] {
            assert_eq!(
                d.insert(gfn, 1, ram(0), p2mt::RAM_RW),
                errno::EINVAL,
                "{gfn:#x}"
            );
            assert_eq!(d.max_mapped(), 5, "{gfn:#x}");
            assert_eq!(d.lookup(gfn), (None, p2mt::INVALID), "{gfn:#x}");
            assert_eq!(d.page_from_gfn(gfn).0, None, "{gfn:#x}");
            assert!(!d.resolve(gfn), "{gfn:#x}");
            w.check();
        }
        // The last frame there is works, and is the highest one mapped.
        assert_eq!(d.insert(limit - 1, 1, ram(0) + 1, p2mt::RAM_RW), 0);
        assert_eq!(d.max_mapped(), limit - 1);
        assert_eq!(d.lookup(limit - 1), (Some(ram(0) + 1), p2mt::RAM_RW));
        assert_eq!(d.lookup(limit), (None, p2mt::INVALID));
    }
}

/// An entry whose valid bit had been cleared to track accesses survived its
/// removal.
#[test]
fn xsa_393_a_removal_clears_an_entry_also_without_its_valid_bit() {
    for ipa_bits in SIZES {
        for (level, order) in [(1, 18), (2, 9), (3, 0)] {
            let w = world(Config {
                ipa_bits,
                ..Config::default()
            });
            let d = guest(&w, 0);
            let v = w.vcpu(d);
            w.run(0, v);
            assert_eq!(d.insert(G1, 1 << order, ram(0), p2mt::RAM_RW), 0);
            assert!(w.guest_can(0, G1 << 12, true));
            d.creation_finished();
            assert!(!w.guest_can(0, G1 << 12, true));
            assert_eq!(d.remove(G1, 1 << order, ram(0)), 0);
            assert_eq!(w.entry(d, G1, level), 0);
            assert_eq!(d.lookup(G1), (None, p2mt::INVALID));
            // However often the guest comes back, it does not get through.
            for _ in 0..4 {
                d.resolve(G1);
            }
            assert!(!d.resolve(G1));
            assert!(!w.guest_can(0, G1 << 12, false));
        }
    }
}

#[test]
fn xsa_393_a_table_without_its_valid_bit_goes_with_all_below_it() {
    let w = plain();
    let (d, owner) = (guest(&w, 0), guest(&w, 1));
    assert_eq!(d.insert(0, 1, ram(0), p2mt::RAM_RW), 0);
    let before = (w.free_pool_pages(d), d.mapping_stats());
    assert_eq!(d.insert(G1 + 1, 1, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.map_foreign(owner, G1 + M2 + 1, ram(1)), 0);
    d.creation_finished();
    assert!(d.resolve(G1 + 1), "its neighbour is touched");
    let pointer = w.entry(d, G1 + M2, 2);
    assert_eq!(pointer & 3, 2, "a table, which the guest has not touched");
    assert_eq!(d.set_entry(G1, G1, INVALID, 0, access::RWX), 0);
    assert_eq!((w.free_pool_pages(d), d.mapping_stats()), before);
    assert_eq!(w.references(ram(1)), 1);
    w.check();
}

/// A guest could make Xen allocate tables without bound.
#[test]
fn xsa_409_a_guests_tables_come_from_its_pool_and_never_exceed_it() {
    let w = plain();
    let d = w.domain(6);
    w.ram(ram(0), G1, d);
    let heap = w.heap_in_use();
    let mut mapped = 0;
    // A page in each GiB costs two tables, and the pool has six.
    while d.insert(mapped * G1, 1, ram(0) + mapped, p2mt::RAM_RW) == 0 {
        mapped += 1;
        assert_eq!(w.mempool_size(d), 6 << 12, "the size counts used pages too");
        w.check();
    }
    assert_eq!(mapped, 3);
    assert_eq!(w.heap_in_use(), heap, "tables came from elsewhere");
    // Not below what is in use, and only whole pages.
    assert_eq!(w.set_mempool_size(d, 5 << 12), errno::ENOMEM);
    assert_eq!(w.set_mempool_size(d, (7 << 12) + 1), errno::EINVAL);
    assert_eq!(w.mempool_size(d), 6 << 12);
    // With more, it goes on.
    assert_eq!(w.set_mempool_size(d, 8 << 12), 0);
    assert_eq!(d.insert(mapped * G1, 1, ram(0) + mapped, p2mt::RAM_RW), 0);
    w.check();
}

/// The hardware domain is not limited.
#[test]
fn xsa_409_the_hardware_domains_tables_come_from_the_heap() {
    let w = plain();
    let d = w.hardware_domain();
    w.ram(ram(0), G1, d);
    let heap = w.heap_in_use();
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(w.heap_in_use(), heap + 2);
    assert_eq!(w.mempool_size(d), 0);
    w.destroy(d);
    w.check();
    assert_eq!(w.heap_in_use(), 0);
}

/// Mappings could be added to a domain that was being destroyed.
#[test]
fn xsa_410_nothing_is_mapped_in_a_dying_domain() {
    let w = plain();
    let d = guest(&w, 0);
    let owner = guest(&w, 1);
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    d.set_dying_state(1);
    assert_eq!(d.insert(6, 1, ram(0), p2mt::RAM_RW), errno::ENOMEM);
    assert_eq!(
        d.set_entry(6, 1, ram(0), p2mt::RAM_RW, access::RWX),
        errno::ENOMEM
    );
    assert_eq!(d.map_foreign(owner, 6, ram(1)), errno::ENOMEM);
    assert_eq!(w.references(ram(1)), 1, "the reference came back");
    assert_eq!(d.set_access(5, 1, 0, access::R), i64::from(errno::ENOMEM));
    assert_eq!(w.snapshot(d).len(), 1);
    w.check();
}

/// Nor does anything else change there; what is mapped goes by relinquishing.
#[test]
fn xsa_410_nothing_is_unmapped_or_restricted_in_a_dying_domain() {
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!(d.insert(5, 2, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.insert(M2, M2, ram(0) + M2, p2mt::RAM_RW), 0);
    let before = w.dump(d);
    d.set_dying_state(1);
    assert_eq!(d.remove(5, 1, ram(0)), errno::ENOMEM);
    assert_eq!(d.remove(M2, M2, ram(0) + M2), errno::ENOMEM);
    assert_eq!(d.set_access(5, 1, 0, access::R), errno::ENOMEM.into());
    assert_eq!(d.set_access(M2 + 5, 1, 0, access::R), errno::ENOMEM.into());
    assert_eq!(w.dump(d), before);
    d.set_dying_state(0);
    assert_eq!(d.remove(5, 1, ram(0)), 0);
}

/// Tables were freed in one go, and before the TLBs had forgotten them.
#[test]
fn xsa_410_the_root_is_cleared_and_flushed_before_the_first_table_is_freed() {
    let w = plain();
    let d = w.domain(1600);
    w.ram(ram(0), G1 << 2, d);
    for i in 0..1300 {
        assert_eq!(d.insert(i * M2, 1, ram(0) + i, p2mt::RAM_RW), 0);
    }
    d.set_dying_state(1);
    w.clear_events();
    d.clear_root();
    let events: Vec<Event> = w.events().into_iter().map(|(_, e)| e).collect();
    let cleared = events
        .iter()
        .rposition(|e| matches!(e, Event::ClearPage { .. }))
        .unwrap();
    let flush = Event::TlbiVmid {
        vmid: d.vmid(),
        irqs_on: false,
    };
    let flushed = events.iter().rposition(|e| *e == flush).unwrap();
    assert!(cleared < flushed);
    assert!(w.snapshot(d).is_empty());
    // Freeing stops when work is pending, and no call frees more than 512.
    w.preempt(Preempt::Always);
    let mut calls = 0;
    let mut free = w.free_pool_pages(d);
    while d.teardown() == errno::ERESTART {
        calls += 1;
        assert_eq!(w.free_pool_pages(d), free + 512);
        free = w.free_pool_pages(d);
        w.check();
    }
    assert_eq!(calls, 2);
    assert_eq!(w.free_pool_pages(d), 1600);
}

/// The lock was dropped between finding a foreign page and taking a reference.
#[test]
fn xsa_473_the_reference_to_a_foreign_page_is_taken_under_the_lock() {
    let w = plain();
    let (d, owner) = (guest(&w, 0), guest(&w, 1));
    assert_eq!(d.map_foreign(owner, 5, ram(1)), 0);
    w.clear_events();
    let (page, t) = d.page_from_gfn(5);
    assert_eq!(t, p2mt::FOREIGN_RW);
    let steps: Vec<&'static str> = w
        .events()
        .iter()
        .filter_map(|(_, e)| match e {
            Event::Lock {
                op: test_harness::LockOp::Read,
                ..
            } => Some("lock"),
            Event::Lock {
                op: test_harness::LockOp::ReadUnlock,
                ..
            } => Some("unlock"),
            Event::Get { .. } => Some("get"),
            _ => None,
        })
        .collect();
    assert_eq!(steps, ["lock", "get", "unlock"]);
    assert_eq!(page.unwrap().put(), ram(1));
    w.check();
}

/// A foreign page whose owner is giving it up ended in an assertion.
#[test]
fn xsa_473_a_foreign_page_without_an_owner_is_no_page() {
    let w = plain();
    let d = guest(&w, 0);
    let page = xen!(alloc_domheap_pages(std::ptr::null_mut(), 0, 0));
    let mfn = xen!(xs_page_to_mfn(page));
    w.take_references(mfn, 1);
    assert_eq!(d.insert(5, 1, mfn, p2mt::FOREIGN_RW), 0);
    assert_eq!(d.page_from_gfn(5), (None, p2mt::FOREIGN_RW));
    assert_eq!(w.references(mfn), 1);
    assert_eq!(d.remove(5, 1, mfn), 0);
    assert_eq!(w.references(mfn), 0);
    w.check();
}

/// Nor is it one if it has an owner, whose count of references is full.
#[test]
fn xsa_473_a_foreign_page_of_which_no_reference_can_be_had_is_no_page() {
    let w = plain();
    let (d, owner) = (guest(&w, 0), guest(&w, 1));
    assert_eq!(d.map_foreign(owner, 5, ram(1)), 0);
    w.saturate(ram(1), true);
    assert_eq!(d.page_from_gfn(5), (None, p2mt::FOREIGN_RW));
    w.saturate(ram(1), false);
    w.check();
}
