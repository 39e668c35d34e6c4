// SPDX-License-Identifier: GPL-2.0-only
//! What the p2m does with the answers of Xen's functions, each answer that Xen
//! gives; and that it asks the right one of those that look alike.

#![allow(clippy::unwrap_used)] // a test may stop on the spot

mod common;
use common::{access, behind, count, errno, guest, p2mt, plain, ram, world, IOMMUS, M2};
use test_harness::{Config, Domain, Event, Iommu, Preempt, PreemptCheck, Waiting, World};

/// The preemption checks of `body`.
fn asked(w: &World, body: impl FnOnce()) -> Vec<PreemptCheck> {
    w.clear_events();
    body();
    let check = |(_, event): &(usize, Event)| match event {
        Event::PreemptCheck { check, .. } => Some(*check),
        _ => None,
    };
    let mut checks: Vec<_> = w.events().iter().filter_map(check).collect();
    checks.dedup();
    checks
}

/// A guest with pages enough for every function to look.
fn large(w: &World) -> Domain {
    let d = w.domain(1200);
    for n in 0..600 {
        assert_eq!(d.insert(n * M2, 1, ram(0) + n, p2mt::RAM_RW), 0);
    }
    assert_eq!(d.insert(601 * M2, M2, ram(0) + M2, p2mt::RAM_RW), 0);
    d
}

#[test]
fn each_function_asks_its_own_check() {
    let w = plain();
    let owner = guest(&w, 0);
    let d = large(&w);
    let pool = asked(&w, || assert_eq!(w.set_mempool_size(d, 1201 << 12), 0));
    assert_eq!(
        pool,
        [PreemptCheck::General],
        "dom0's is made on an idle vCPU"
    );
    let clean = asked(&w, || assert_eq!(d.cache_flush(601 * M2, 602 * M2).0, 0));
    assert_eq!(
        clean,
        [PreemptCheck::Softirq],
        "a set/way flush is no hypercall"
    );
    let restrict = asked(&w, || {
        let nr = u32::try_from(4 * M2).unwrap();
        assert_eq!(d.set_access_fully(0, nr, access::RX), 0);
    });
    assert_eq!(restrict, [PreemptCheck::General]);
    d.set_dying_state(1);
    let relinquish = asked(&w, || assert_eq!(d.relinquish(), 0));
    assert_eq!(relinquish, [PreemptCheck::General]);
    w.destroy(d);
    w.destroy(owner);
    let d = large(&w);
    d.set_dying_state(1);
    d.clear_root();
    let free = asked(&w, || assert_eq!(d.teardown(), 0));
    assert_eq!(free, [PreemptCheck::General]);
    let end = asked(&w, || assert_eq!(d.teardown_pool(), 0));
    assert_eq!(end, [PreemptCheck::General]);
}

#[test]
fn an_event_for_the_vcpu_stops_a_hypercall_and_not_a_cache_flush() {
    let w = plain();
    guest(&w, 0);
    let d = large(&w);
    let event = || w.preempt_for(Preempt::Always, Waiting::Event);
    event();
    assert_eq!(d.cache_flush(601 * M2, 602 * M2).0, 0);
    let nr = u32::try_from(4 * M2).unwrap();
    assert!(d.set_access(0, nr, 0, access::RX) > 0);
    assert_eq!(w.set_mempool_size(d, 1203 << 12), errno::ERESTART);
    d.set_dying_state(1);
    assert_eq!(d.relinquish(), errno::ERESTART);
    w.preempt(Preempt::Always);
    assert_eq!(d.relinquish(), errno::ERESTART, "a softirq as well");
    w.preempt(Preempt::Never);
}

#[test]
fn on_the_idle_vcpu_only_softirqs_stop_the_pools_growth() {
    let w = plain();
    let d = w.domain(4);
    w.run(0, w.idle());
    w.preempt_for(Preempt::Always, Waiting::Event);
    assert_eq!(w.set_mempool_size(d, 9 << 12), 0);
    w.preempt(Preempt::Always);
    assert_eq!(w.set_mempool_size(d, 4 << 12), errno::ERESTART);
    w.preempt(Preempt::Never);
}

/// With what table pages and roots are allocated: Xen's C, in p2m_alloc_page,
/// p2m_set_allocation and p2m_allocate_root.
#[test]
fn memory_is_asked_for_as_in_c() {
    use xen_sys::XS_MEMF_no_owner as NO_OWNER;
    for (ipa_bits, root_order) in [(32, 0), (36, 0), (40, 1), (42, 3), (44, 0), (48, 0)] {
        let w = world(Config {
            ipa_bits,
            at_speculate: true,
            ..Config::default()
        });
        let asked = |w: &World| {
            let alloc = |(_, event): &(usize, Event)| match *event {
                Event::Alloc {
                    order,
                    domain,
                    memflags,
                    mfn,
                } => {
                    assert!(mfn.is_some());
                    Some((order, domain, memflags))
                }
                _ => None,
            };
            let asked: Vec<_> = w.events().iter().filter_map(alloc).collect();
            w.clear_events();
            asked
        };
        // The empty root, for CPUs that speculate.
        assert_eq!(asked(&w), [(root_order, None, 0)], "{ipa_bits}");
        let (d, hardware) = (w.raw_domain(false), w.raw_domain(true));
        for (d, number) in [(d, 1), (hardware, 2)] {
            assert_eq!(d.init(), 0);
            assert_eq!(asked(&w), [(root_order, None, 0)], "{ipa_bits}: root");
            assert_eq!(w.set_mempool_size(d, 2 << 12), 0);
            let pool = (0, Some(number), NO_OWNER);
            assert_eq!(asked(&w), [pool, pool], "{ipa_bits}: pool");
        }
        w.ram(ram(0), 1, hardware);
        assert_eq!(hardware.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
        let tables = asked(&w);
        let levels = if ipa_bits > 42 { 3 } else { 2 };
        assert_eq!(tables, vec![(0, Some(2), NO_OWNER); levels], "{ipa_bits}");
        // A guest's come from its pool.
        w.ram(ram(1), 1, d);
        let _full_pool = d.insert(5, 1, ram(1), p2mt::RAM_RW);
        assert_eq!(asked(&w), []);
    }
}

/// Colouring gives single pages alone to a domain.
#[test]
fn with_cache_colouring_a_domain_can_still_be_made() {
    for ipa_bits in common::SIZES {
        let w = world(Config {
            ipa_bits,
            llc_coloring: true,
            ..Config::default()
        });
        let d = guest(&w, 0);
        assert_eq!(d.insert(5, 600, ram(0), p2mt::RAM_RW), 0);
        w.check();
    }
}

#[test]
fn a_domain_without_an_iommu_costs_nothing_on_a_machine_that_has_one() {
    for iommu in [Iommu::Coherent, Iommu::NonCoherent] {
        let w = world(behind(iommu));
        let d = w.raw_domain(false);
        w.without_iommu(d);
        assert_eq!(d.init(), 0);
        assert_eq!(d.set_pool(16), 0);
        assert!(!d.cleans());
        w.ram(ram(0), 8, d);
        w.clear_events();
        assert_eq!(d.insert(5, 8, ram(0), p2mt::RAM_RW), 0);
        assert_eq!(d.remove(5, 4, ram(0)), 0);
        let told = count(&w, |event| {
            matches!(event, Event::IommuFlush { .. } | Event::CleanRange { .. })
        });
        assert_eq!(told, 0, "{iommu:?}");
    }
}

/// What is not due is not done: a coherent IOMMU reads the caches.
#[test]
fn tables_are_cleaned_only_for_an_iommu_that_reads_memory() {
    for iommu in IOMMUS {
        let w = world(behind(iommu));
        let d = guest(&w, 0);
        assert_eq!(d.cleans(), iommu == Iommu::NonCoherent);
        w.clear_events();
        assert_eq!(d.insert(5, 8, ram(0), p2mt::RAM_RW), 0);
        assert_eq!(d.insert(M2, M2, ram(0) + M2, p2mt::RAM_RW), 0);
        assert_eq!(d.insert(M2 + 5, 1, ram(0) + 9, p2mt::RAM_RW), 0);
        assert_eq!(d.set_access(5, 3, 0, access::R), 0);
        assert_eq!(d.remove(6, 2, ram(0) + 1), 0);
        d.set_dying_state(1);
        assert_eq!(d.relinquish(), 0);
        let cleanings = count(&w, |event| matches!(event, Event::CleanRange { .. }));
        assert_eq!(cleanings > 0, iommu == Iommu::NonCoherent, "{iommu:?}");
    }
}

/// `*preempted` says that more is to do, and nothing else.
#[test]
fn a_pool_that_cannot_be_as_asked_was_not_preempted() {
    let set = |w: &World, d: Domain, pages: u64, mut preempted: bool| {
        let lock = common::by_hand::paging_lock(d);
        // SAFETY: a live lock.
        unsafe { xen_sys::xs_spin_lock(test_harness::live(lock)) };
        let place = &raw mut preempted;
        // SAFETY: a live domain whose lock is held, and a local to write to.
        let rc = unsafe { test_harness::symbols::p2m_set_allocation(d.pointer(), pages, place) };
        // SAFETY: taken above.
        unsafe { xen_sys::xs_spin_unlock(test_harness::live(lock)) };
        w.check();
        (rc, preempted)
    };
    let w = plain();
    let d = guest(&w, 0);
    // Nobody clears it either.
    for before in [false, true] {
        assert_eq!(set(&w, d, 64, before), (0, before));
        w.fail_allocation(Some(2));
        assert_eq!(set(&w, d, 70, before), (errno::ENOMEM, before));
        w.fail_allocation(None);
        // A page of the pool is in use: it cannot go.
        assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
        assert_eq!(set(&w, d, 0, before), (errno::ENOMEM, before));
        w.preempt(Preempt::Always);
        assert_eq!(set(&w, d, 64, before), (errno::ERESTART, true));
        w.preempt(Preempt::Never);
        assert_eq!(set(&w, d, 64, before), (0, before));
    }
}

/// Xen limits what a guest can make it print.
#[test]
fn a_failed_iotlb_flush_prints_no_more_than_is_allowed() {
    for limited in [false, true] {
        let w = world(behind(Iommu::Coherent));
        let d = guest(&w, 0);
        assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
        w.limit_printk(limited);
        w.console();
        w.fail_iommu(Some(1));
        assert_eq!(d.remove(5, 1, ram(0)), errno::EIO);
        let said = w
            .console()
            .iter()
            .any(|line| line.contains("IOTLB flush failed"));
        assert_eq!(said, !limited);
        w.abandon();
    }
}
