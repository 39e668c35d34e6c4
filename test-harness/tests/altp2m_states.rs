// SPDX-License-Identifier: GPL-2.0-only
//! What becomes of a domain's views, by the calls of altp2m.c: whether the domain uses any, which
//! vCPUs may enter them, and their end. Tests that begin with a letter and a number are named
//! after the list of abuses in docs/altp2m.md.

#![cfg(config_altp2m)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;

use common::by_hand::broken;
use common::views::{ipa, Viewed};
use common::{access, guest, p2mt, ram, world, M2};
use p2m_rs::map::views::fill;
use p2m_rs::p2m::views::Number;
use p2m_rs::types::access::P2mAccess;
use p2m_rs::types::addr::Gfn;
use p2m_rs::types::errno::{Errno, Failure};
use test_harness::{Config, Domain, Preempt, World};

const PAGES: u64 = 0x1000;

const EINVAL: i32 = Errno::EINVAL.to_c();
const EOPNOTSUPP: i32 = Errno::EOPNOTSUPP.to_c();
const ERESTART: i32 = Errno::ERESTART.to_c();

/// Numbers that no view can have.
const NO_VIEWS: [u16; 4] = [10, 16, 0x8001, 0xffff];

fn with_ram() -> Viewed {
    let v = Viewed::plain();
    assert_eq!(v.d.insert(PAGES, 64, ram(0), p2mt::RAM_RW), 0);
    v
}

/// A view with many tables, which take several steps to free.
fn with_many_tables(v: &Viewed) -> u16 {
    assert_eq!(v.d.set_pool(4000), 0);
    let n = v.create();
    for block in 0..1200 {
        let gfn = 0x10_0000 + block * M2;
        let mfn = ram(0) + (block + 8) * M2;
        assert_eq!(v.d.insert(gfn, M2, mfn, p2mt::RAM_RW), 0);
        assert_eq!(v.set_access(n, gfn, P2mAccess::R), Ok(()));
    }
    n
}

/// Calls until it is through.
fn finish(step: impl Fn() -> i32) {
    let done = std::iter::repeat_with(step).find(|rc| *rc != ERESTART);
    assert_eq!(done, Some(0));
}

/// Every call but the one that begins to use views, of a domain that does not.
fn is_refused_views(w: &World, d: Domain) {
    assert_eq!(d.create_view(access::RWX), Err(EOPNOTSUPP));
    assert_eq!(d.destroy_view(1), EOPNOTSUPP);
    assert_eq!(d.switch_view(0), EOPNOTSUPP);
    assert_eq!(d.show_view(0, true), EOPNOTSUPP);
    assert_eq!(d.change_gfn(1, PAGES, PAGES + 1), EOPNOTSUPP);
    assert_eq!(d.set_access_in_view(1, PAGES, access::R), EINVAL.into());
    assert_eq!(d.access_in_view(1, PAGES).0, EINVAL);
    assert_eq!(w.vcpu(d).switch_view(0), EOPNOTSUPP);
    w.check();
}

#[test]
fn a_domain_that_was_created_without_altp2m_can_have_no_views() {
    let w = world(Config::default());
    let d = guest(&w, 0);
    assert_eq!(d.use_views(true), EINVAL);
    is_refused_views(&w, d);
}

#[test]
fn a_domain_that_does_not_use_views_yet_is_refused_them() {
    let w = world(Config::default());
    let d = guest(&w, 0);
    w.allow_views(d);
    is_refused_views(&w, d);
}

#[test]
fn a_domain_has_no_more_views_than_it_was_created_with() {
    let w = world(Config::default());
    let d = guest(&w, 0);
    w.allow_so_many_views(d, 3);
    assert_eq!(d.use_views(true), 0);
    for number in [1, 2] {
        assert_eq!(d.create_view(access::RWX), Ok(number));
    }
    assert_eq!(d.create_view(access::RWX), Err(EINVAL));
    assert_eq!(d.destroy_view(1), 0);
    assert_eq!(d.create_view(access::RWX), Ok(1));
    w.check();
}

#[test]
fn beginning_and_ending_twice_changes_nothing() {
    let v = with_ram();
    let n = v.create();
    assert_eq!(v.d.show_view(0, false), 0);
    assert_eq!(v.d.use_views(true), 0, "it does");
    assert_eq!(v.d.views().len(), 1);
    assert_eq!(v.d.switch_view(0), EINVAL, "the host p2m stays hidden");
    assert_eq!(v.d.use_views(false), 0);
    assert_eq!(v.d.use_views(false), 0, "it does not");
    assert_eq!(v.d.use_views(true), 0);
    assert!(v.d.views().is_empty());
    assert_eq!(v.create(), n);
    v.w.check();
}

#[test]
fn a_dying_domain_does_not_begin_to_use_views_and_may_end_it() {
    let v = with_ram();
    let n = v.create();
    v.d.set_dying_state(1);
    assert_eq!(v.d.use_views(false), 0);
    assert_eq!(v.d.destroy_view(n), EOPNOTSUPP);
    assert_eq!(v.d.use_views(true), Errno::ENOMEM.to_c());
    assert!(v.d.views().is_empty());
    assert_eq!(v.d.switch_view(0), EOPNOTSUPP);
    v.w.check();
}

#[test]
fn nothing_is_copied_or_shown_in_a_dying_domain() {
    let v = with_ram();
    let n = v.create();
    let number = Number::from_c(n).unwrap();
    let copies = |gfn| v.locked(|write| fill(write, number, Gfn::new(gfn)));
    assert_eq!(copies(PAGES), Ok(true));
    v.d.set_dying_state(1);
    assert_eq!(copies(PAGES + 1), Err(Failure::Refused(Errno::ENOMEM)));
    assert_eq!(v.remap(n, PAGES + 2, PAGES), Err(Errno::ENOMEM));
    v.w.check();
}

#[test]
fn ending_the_use_of_views_brings_all_vcpus_to_the_host_and_all_memory_back() {
    let v = with_ram();
    let (used, heap) = (v.used(), v.w.heap_in_use());
    let (n, other) = (v.create(), v.create());
    let vcpus = [v.vcpu_in(0, n), v.vcpu_in(1, other)];
    assert_eq!(v.remap(n, PAGES, PAGES + 1), Ok(()));
    assert_eq!(v.read(0, PAGES), Some(ram(0) + 1));
    assert_eq!(v.read(1, PAGES), Some(ram(0)));
    for cpu in [0, 1] {
        v.w.run(cpu, v.w.toolstack(cpu));
    }
    assert_eq!(v.d.use_views(false), 0);
    assert!(v.d.views().is_empty());
    for (cpu, vcpu) in vcpus.into_iter().enumerate() {
        assert_eq!(vcpu.view(), 0);
        v.w.run(cpu, vcpu);
        assert_eq!(v.read(cpu, PAGES), Some(ram(0)));
    }
    assert_eq!((v.used(), v.w.heap_in_use()), (used, heap));
    v.w.check();
}

#[test]
fn views_with_many_tables_end_at_once_and_nobody_finds_one_of_them() {
    let v = with_ram();
    let used = v.used();
    let (n, last) = (with_many_tables(&v), v.create());
    v.w.preempt(Preempt::Always);
    assert_eq!(v.d.use_views(false), 0);
    assert!(v.d.views().is_empty());
    assert_eq!(v.d.create_view(access::RWX), Err(EOPNOTSUPP));
    for number in [n, last] {
        assert_eq!(v.d.destroy_view(number), EOPNOTSUPP);
        assert_eq!(v.d.access_in_view(number, PAGES).0, EINVAL);
    }
    assert!(v.used() < used + 512, "what is left are the host's own");
    assert_eq!(v.d.use_views(true), 0);
    assert_eq!(v.create(), 1);
    v.w.check();
}

#[test]
fn a_view_that_a_vcpu_is_in_is_not_destroyed() {
    let v = with_ram();
    let n = v.create();
    // Whichever vCPU it is.
    let _others = [v.w.vcpu(v.d), v.w.vcpu(v.d)];
    let vcpu = v.vcpu_in(0, n);
    let _last = v.w.vcpu(v.d);
    assert_eq!(v.destroy(n), Err(Errno::EBUSY));
    assert_eq!(v.read(0, PAGES), Some(ram(0)), "and works on");
    v.w.run(0, v.w.toolstack(0));
    assert_eq!(v.destroy(n), Err(Errno::EBUSY), "paused or not");
    assert_eq!(vcpu.switch_view(0), 0);
    assert_eq!(v.destroy(n), Ok(()));
    for number in NO_VIEWS.into_iter().chain([0, n]) {
        assert_eq!(v.destroy(number), Err(Errno::EBUSY), "{number}");
    }
    v.w.check();
}

#[test]
fn all_vcpus_go_on_in_the_view_that_the_domain_is_switched_to() {
    let v = with_ram();
    let n = v.create();
    let vcpus = [0, 0, 0].map(|_| v.w.vcpu(v.d));
    assert_eq!(v.d.switch_view(n), 0);
    assert!(vcpus.iter().all(|vcpu| vcpu.view() == n));
    for number in NO_VIEWS.into_iter().chain([n + 1]) {
        assert_eq!(v.d.switch_view(number), EINVAL, "{number}");
    }
    assert!(vcpus.iter().all(|vcpu| vcpu.view() == n));
    assert_eq!(v.d.switch_view(0), 0);
    assert!(vcpus.iter().all(|vcpu| vcpu.view() == 0));
    v.w.check();
}

#[test]
fn a_hidden_view_is_entered_by_answers_alone() {
    let v = with_ram();
    let n = v.create();
    let vcpu = v.w.vcpu(v.d);
    assert_eq!(v.d.show_view(n, false), 0);
    assert_eq!(v.d.switch_view(n), EINVAL);
    assert_eq!(vcpu.switch_view(n), 0);
    assert_eq!(vcpu.view(), n);
    assert_eq!(v.d.switch_view(0), 0);
    // The host p2m as well.
    assert_eq!(v.d.show_view(0, false), 0);
    assert_eq!(v.d.switch_view(0), EINVAL);
    assert_eq!(v.d.show_view(n, true), 0);
    assert_eq!(v.d.switch_view(n), 0);
    for number in NO_VIEWS.into_iter().chain([n + 1]) {
        assert_eq!(v.d.show_view(number, true), EINVAL, "{number}");
    }
    // A new view is shown, whatever its number was before.
    assert_eq!(v.d.show_view(n, false), 0);
    assert_eq!(vcpu.switch_view(0), 0);
    assert_eq!(v.destroy(n), Ok(()));
    assert_eq!(v.create(), n);
    assert_eq!(v.d.switch_view(n), 0);
    v.w.check();
}

#[test]
fn a7_an_answer_that_names_a_view_that_is_gone_changes_nothing() {
    let v = with_ram();
    let (n, gone) = (v.create(), with_many_tables(&v));
    let vcpu = v.vcpu_in(0, n);
    v.w.run(0, v.w.toolstack(0));
    assert_eq!(v.d.destroy_view(gone), 0);
    for number in NO_VIEWS.into_iter().chain([gone]) {
        assert_eq!(vcpu.switch_view(number), EINVAL, "{number}");
        assert_eq!(vcpu.view(), n);
    }
    // The domain does not use views any more.
    assert_eq!(v.d.use_views(false), 0);
    assert_eq!(vcpu.switch_view(n), EOPNOTSUPP);
    assert_eq!(vcpu.view(), 0);
    v.w.check();
}

#[test]
fn a8_a_vcpu_that_still_runs_must_not_be_told_its_view() {
    let v = with_ram();
    let n = v.create();
    let vcpu = v.vcpu_in(0, 0);
    // altp2m.c waits for the CPU to switch away from it; without, VTTBR_EL2 stays the old one.
    let answer = || assert_eq!(v.w.on_cpu(1, || vcpu.switch_view(n)), 0);
    assert_eq!(broken(&v.w, answer), ["V3"]);
    let all = || assert_eq!(v.w.on_cpu(1, || v.d.switch_view(0)), 0);
    assert_eq!(broken(&v.w, all), ["V3"]);
    let end = || assert_eq!(v.w.on_cpu(1, || v.d.use_views(false)), 0);
    assert_eq!(broken(&v.w, end), ["V3"]);
    v.w.run(0, v.w.toolstack(0));
    v.w.check();
}

#[test]
fn a9_a_domain_dies_with_a_view_that_has_many_tables() {
    let v = with_ram();
    let (_many, n) = (with_many_tables(&v), v.create());
    v.vcpu_in(0, n);
    assert_eq!(v.read(0, PAGES), Some(ram(0)));
    v.w.run(0, v.w.toolstack(0));
    v.w.preempt(Preempt::Always);
    v.d.set_dying_state(1);
    assert_eq!(v.d.create_view(access::RWX), Err(Errno::ENOMEM.to_c()));
    v.w.check();
    finish(|| v.d.relinquish());
    v.w.check();
    v.d.clear_root();
    finish(|| v.d.teardown());
    assert!(v.d.views().is_empty());
    assert_eq!(v.used(), 0);
    finish(|| v.d.teardown_pool());
    v.d.final_teardown();
    v.w.check();
}

/// Whatever the caller is told, and whether or not it goes on with what it has begun.
#[test]
fn a14_creating_and_destroying_for_ever_takes_no_memory() {
    let v = with_ram();
    let n = with_many_tables(&v);
    assert_eq!(v.destroy(n), Ok(()));
    let (used, heap) = (v.used(), v.w.heap_in_use());
    v.w.preempt(Preempt::Always);
    for _ in 0..20 {
        let n = with_many_tables(&v);
        assert_eq!(v.d.destroy_view(n), 0);
        assert_eq!((v.used(), v.w.heap_in_use()), (used, heap));
    }
    v.w.check();
}

#[test]
fn the_default_access_of_a_new_view_may_be_the_hosts() {
    let v = with_ram();
    assert_eq!(v.d.set_access_fully(!0, 1, access::RX), 0);
    let n = v.d.create_view(access::DEFAULT).unwrap();
    assert_eq!(v.d.set_access_fully(!0, 1, access::RW), 0);
    assert_eq!(v.access(n, PAGES), Some(P2mAccess::Rx), "as it was then");
    assert_eq!(v.d.access_in_view(n, !0), (0, access::RX));
    for bad in [access::DEFAULT + 1, 0xffff, !0] {
        assert_eq!(v.d.create_view(bad), Err(EINVAL), "{bad}");
    }
    v.w.check();
}

#[test]
fn an_access_in_a_view_is_refused_where_it_makes_no_sense() {
    let v = with_ram();
    let n = v.create();
    let einval = i64::from(EINVAL);
    for number in NO_VIEWS.into_iter().chain([n + 1]) {
        assert_eq!(v.d.set_access_in_view(number, PAGES, access::R), einval);
        assert_eq!(v.d.access_in_view(number, PAGES).0, EINVAL);
    }
    for bad in [access::DEFAULT + 1, 0xffff, !0] {
        assert_eq!(v.d.set_access_in_view(n, PAGES, bad), einval);
    }
    // A view's default access is not changed.
    assert_eq!(v.d.set_access_in_view(n, !0, access::R), einval);
    assert_eq!(v.d.access_in_view(n, !0), (0, access::RWX));
    assert_eq!(v.d.access_in_view(n, 0x9_0000).0, Errno::ESRCH.to_c());
    assert_eq!(v.access(n, PAGES), Some(P2mAccess::Rwx));
    v.w.check();
}

#[test]
fn restrictions_in_a_view_are_no_reason_to_split_the_hosts_blocks() {
    let v = Viewed::plain();
    assert_eq!(v.d.insert(M2, M2, ram(0), p2mt::RAM_RW), 0);
    let n = v.create();
    assert_eq!(v.set_access(n, M2 + 1, P2mAccess::N), Ok(()));
    assert!(!v.d.mem_access_enabled());
    assert_eq!(v.d.insert(2 * M2, M2, ram(0) + M2, p2mt::RAM_RW), 0);
    assert_eq!(v.d.mapping_stats()[2], 2, "two blocks");
    v.vcpu_in(0, n);
    assert_eq!(v.w.guest_reads(0, ipa(M2 + 1)), None);
    v.w.check();
}

/// The numbers of the views need not follow each other.
#[test]
fn ending_the_use_of_views_ends_those_behind_a_gap_as_well() {
    let v = with_ram();
    let (used, heap) = (v.used(), v.w.heap_in_use());
    let views = [v.create(), v.create(), v.create()];
    assert_eq!(v.destroy(views[1]), Ok(()));
    assert_eq!(v.d.use_views(false), 0);
    assert!(v.d.views().is_empty());
    assert_eq!((v.used(), v.w.heap_in_use()), (used, heap));
    v.w.check();
}

/// What the host unmaps leaves each view, whichever numbers are free.
#[test]
fn a_view_behind_a_gap_forgets_what_the_host_unmaps() {
    let v = with_ram();
    let views = [v.create(), v.create(), v.create()];
    for (cpu, number) in [(0, views[0]), (1, views[2])] {
        v.vcpu_in(cpu, number);
        assert_eq!(v.read(cpu, PAGES), Some(ram(0)));
    }
    assert_eq!(v.destroy(views[1]), Ok(()));
    assert_eq!(v.d.remove(PAGES, 1, ram(0)), 0);
    for cpu in [0, 1] {
        assert_eq!(v.w.guest_reads(cpu, ipa(PAGES)), None);
    }
    v.w.check();
}
