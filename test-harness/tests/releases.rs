// SPDX-License-Identifier: GPL-2.0-only
//! Each release of Xen has its own life cycle of a p2m and its own accesses
//! (`xen_sys::Facts`). The machine stands for one of them.

#![allow(clippy::unwrap_used)] // a test may stop on the spot

mod common;
use common::by_hand::{paging_lock, xen};
use common::{access, errno, guest, p2mt, ram, world};
use test_harness::config::{RELEASES, XEN_4_17, XEN_4_18, XEN_4_20};
use test_harness::Preempt;
use test_harness::{symbols as c, Config, Domain, World};
use xen_sys::{self as sys, Facts};

fn of(release: Facts) -> World {
    world(Config {
        release,
        ..Config::default()
    })
}

/// A domain that `p2m_init()` has seen, and nobody else.
fn created(w: &World) -> Domain {
    let d = w.raw_domain(false);
    assert_eq!(d.init(), 0);
    d
}

fn teardown_bool(d: Domain, allow_preemption: bool) -> i32 {
    // SAFETY: the world keeps the domain alive, and it does not run.
    unsafe { c::p2m_teardown_bool(d.pointer(), allow_preemption) }
}

/// GICv2's registers.
fn map_gicv2(d: Domain) {
    assert_eq!(d.insert(0x8010, 2, 0x8040, p2mt::MMIO_DEV), 0);
}

#[test]
fn a_new_pool_has_pages_only_where_domain_creation_maps_something() {
    for (release, pages) in [(XEN_4_17, 16), (XEN_4_18, 0), (XEN_4_20, 0)] {
        let w = of(release);
        let d = created(&w);
        assert_eq!(w.mempool_size(d), pages << 12, "{release:?}");
        assert_eq!(w.free_pool_pages(d), pages);
        d.final_teardown();
        assert_eq!(w.heap_in_use(), 0);
    }
}

#[test]
fn xen_4_17_creates_no_domain_whose_first_pages_cannot_be_had() {
    // The root is one allocation, each page of the pool another.
    for failing in 1..=17 {
        let w = of(XEN_4_17);
        let d = w.raw_domain(false);
        w.fail_allocation(Some(failing));
        assert_eq!(d.init(), errno::ENOMEM, "allocation {failing}");
        w.fail_allocation(None);
        d.final_teardown();
        assert_eq!(w.heap_in_use(), 0, "allocation {failing}");
        w.check();
    }
}

#[test]
fn xen_4_17_frees_what_a_failed_creation_had_mapped() {
    let w = of(XEN_4_17);
    let d = created(&w);
    map_gicv2(d);
    assert!(w.free_pool_pages(d) < 16);
    // domain_create() fails: nothing is relinquished, nothing may be preempted.
    w.preempt(Preempt::Always);
    d.final_teardown();
    assert_eq!(w.heap_in_use(), 0);
    w.check();
}

#[test]
fn xen_4_17_empties_the_root_before_it_frees_tables() {
    for allow_preemption in [false, true] {
        let w = of(XEN_4_17);
        let d = created(&w);
        map_gicv2(d);
        d.set_dying_state(1);
        let (_, before) = d.lookup(0x8010);
        assert_eq!(before, p2mt::MMIO_DEV);
        assert_eq!(teardown_bool(d, allow_preemption), 0);
        let (frame, _) = d.lookup(0x8010);
        assert_eq!(frame, None);
        assert_eq!(w.free_pool_pages(d), 16);
        w.check();
        assert_eq!(d.teardown_pool(), 0);
        d.final_teardown();
        assert_eq!(w.heap_in_use(), 0);
    }
}

#[test]
fn xen_4_17_is_preempted_in_teardown_only_where_that_is_allowed() {
    for (allow_preemption, first) in [(true, errno::ERESTART), (false, 0)] {
        let w = of(XEN_4_17);
        let d = w.domain(2000);
        // A table for each of so many frames.
        for n in 0..600 {
            assert_eq!(d.insert(n << 9, 1, 0x9000, p2mt::MMIO_DEV), 0);
        }
        d.set_dying_state(1);
        w.preempt(Preempt::Always);
        assert_eq!(teardown_bool(d, allow_preemption), first);
        if allow_preemption {
            assert!(w.free_pool_pages(d) < 2000);
            assert_eq!(teardown_bool(d, allow_preemption), 0);
        }
        assert_eq!(w.free_pool_pages(d), 2000);
        w.preempt(Preempt::Never);
        w.check();
        w.destroy(d);
    }
}

#[test]
fn xen_4_17_tears_down_a_p2m_without_tables_without_the_lock() {
    let w = of(XEN_4_17);
    let d = created(&w);
    w.clear_events();
    assert_eq!(teardown_bool(d, true), 0);
    assert_eq!(w.events(), []);
    d.final_teardown();
}

#[test]
fn every_release_destroys_a_guest_whole() {
    for release in RELEASES {
        let w = of(release);
        let (owner, d) = (guest(&w, 1), guest(&w, 0));
        assert_eq!(d.insert(0x40, 0x1000, ram(0), p2mt::RAM_RW), 0);
        assert_eq!(d.map_foreign(owner, 7, ram(1)), 0);
        assert_eq!(d.set_access(0x50, 3, 0, access::R), 0);
        w.destroy(d);
        w.destroy(owner);
        assert_eq!(w.heap_in_use(), 0, "{release:?}");
        w.check();
    }
}

#[test]
fn the_default_access_is_one_above_the_last_access_of_the_release() {
    for (release, default) in [(XEN_4_17, 10), (XEN_4_18, 10), (XEN_4_20, 11)] {
        let w = of(release);
        let d = guest(&w, 0);
        assert_eq!(d.insert(0, 4, ram(0), p2mt::RAM_RW), 0);
        assert_eq!(d.set_access(u64::MAX, 1, 0, access::RX), 0);
        assert_eq!(d.set_access(0, 1, 0, default), 0);
        assert_eq!(d.access(0), (0, access::RX), "{release:?}");
        assert_eq!(d.set_access(1, 1, 0, default + 1), i64::from(errno::EINVAL));
        assert_eq!(d.access(1), (0, access::RWX));
        w.check();
    }
}

/// The same for views, of which each is made with a default access of its own.
#[cfg(config_altp2m)]
#[test]
fn a_view_may_be_made_with_the_default_access_of_the_host_in_each_release() {
    for (release, default) in [(XEN_4_17, 10), (XEN_4_18, 10), (XEN_4_20, 11)] {
        let w = of(release);
        let d = guest(&w, 0);
        assert_eq!(d.insert(0, 4, ram(0), p2mt::RAM_RW), 0);
        assert_eq!(d.set_access(u64::MAX, 1, 0, access::RX), 0);
        w.allow_views(d);
        assert_eq!(d.use_views(true), 0);
        let n = d.create_view(default).unwrap();
        assert_eq!(d.access_in_view(n, 0), (0, access::RX), "{release:?}");
        let other = d.create_view(access::R).unwrap();
        assert_eq!(d.set_access_in_view(other, 0, default), 0);
        assert_eq!(d.access_in_view(other, 0), (0, access::RX), "{release:?}");
        let einval = i64::from(errno::EINVAL);
        assert_eq!(d.set_access_in_view(other, 1, default + 1), einval);
        assert_eq!(d.access_in_view(other, 1), (0, access::R));
        assert_eq!(d.create_view(default + 1), Err(errno::EINVAL));
        w.check();
    }
}

#[test]
fn an_access_that_the_release_does_not_have_is_refused() {
    for release in RELEASES {
        let w = of(release);
        let d = guest(&w, 0);
        let rc = d.set_entry(0, 1, ram(0), p2mt::RAM_RW, access::R_PW);
        let expected = if release.r_pw { 0 } else { errno::EINVAL };
        assert_eq!(rc, expected, "{release:?}");
        let mapped = d.lookup(0).0.is_some();
        assert_eq!(mapped, release.r_pw);
        w.check();
    }
}

#[test]
fn set_way_operations_need_no_syndrome_from_4_21_on() {
    for shared in [false, true] {
        let iommu = test_harness::Iommu::Coherent;
        let w = world(Config {
            iommu,
            iommu_shares_tables: shared,
            ..Config::default()
        });
        let d = guest(&w, 0);
        let v = w.vcpu(d);
        w.run(0, v);
        let regs = &mut sys::cpu_user_regs::default();
        // SAFETY: the current vCPU.
        unsafe { c::p2m_set_way_flush_plain(v.pointer(), regs) };
        assert_eq!(w.undef_injected(), u32::from(shared));
        assert_eq!(v.need_flush_to_ram(), !shared);
    }
}

#[test]
fn the_size_of_the_pool_is_set_without_preemption_unless_it_is_allowed() {
    for can_preempt in [false, true] {
        let w = world(Config::default());
        let d = w.domain(4);
        w.preempt(Preempt::Always);
        let lock = paging_lock(d);
        xen!(xs_spin_lock(lock));
        // SAFETY: the world keeps the domain alive, and its paging lock is held.
        let rc = unsafe { c::p2m_set_allocation_bool(d.pointer(), 8, can_preempt) };
        xen!(xs_spin_unlock(lock));
        let (expected, pages) = if can_preempt {
            (errno::ERESTART, 5)
        } else {
            (0, 8)
        };
        assert_eq!((rc, w.mempool_size(d)), (expected, pages << 12));
    }
}
