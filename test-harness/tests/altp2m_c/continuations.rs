// SPDX-License-Identifier: GPL-2.0-only
//! Operations that are preempted, and go on: A9 and A14 of docs/altp2m.md.

use test_harness::Preempt;

use crate::common::{access, p2mt, ram, M2};
use crate::lists::list;
use crate::request::{cmd, OPAQUE};
use crate::scene::{Scene, ALTP2M, FREE, PAGES};
use crate::{xen, EFAULT, EINVAL, EPERM, ESRCH};

/// What an operation that was preempted goes on with, if only memory is left to be freed.
const FREES: Option<u64> = Some(ALTP2M | FREE);

/// How many tables of a view are too many for one step.
const MANY: u64 = 520;

/// Pages of the guest that are far from each other.
fn far_apart(s: &Scene) -> impl Iterator<Item = u64> {
    assert_eq!(s.d.set_pool(2000), 0);
    let pages = (0..MANY).map(|n| (0x10_0000 + n * M2, ram(0) + 64 + n));
    pages
        .clone()
        .for_each(|(gfn, mfn)| assert_eq!(s.d.insert(gfn, 1, mfn, p2mt::RAM_RW), 0));
    pages.map(|(gfn, _)| gfn)
}

/// A view whose tables take more than one step to free.
fn with_many_tables(s: &Scene) -> u16 {
    let pages = far_apart(s);
    let view = s.create(access::RWX);
    for gfn in pages {
        assert_eq!(s.d.set_access_in_view(view, gfn, access::R), 0);
    }
    view
}

fn preempted() -> Scene {
    let s = Scene::active();
    s.w.preempt(Preempt::Always);
    s
}

#[test]
fn a_view_that_is_being_destroyed_has_no_number_any_more_and_is_freed_step_by_step() {
    let s = Scene::active();
    far_apart(&s).for_each(drop);
    let (pool, heap) = (s.w.free_pool_pages(s.d), s.w.heap_in_use());
    let view = with_many_tables(&s);
    s.w.preempt(Preempt::Always);
    s.forget();
    let mut request = s.view(cmd::DESTROY_P2M, view);
    assert_eq!(s.step(ALTP2M, &mut request).1, FREES);
    assert!(s.d.views().is_empty());
    assert_eq!(s.d.retired_views().len(), 1, "not all is free yet");
    assert!(s.calls().contains(&"p2m_view_destroy"));
    assert_eq!(s.go_on(ALTP2M | FREE, &mut request), 0);
    assert!(s.d.retired_views().is_empty());
    assert!(!s.calls().contains(&"p2m_view_destroy"), "that is done");
    assert_eq!((s.w.free_pool_pages(s.d), s.w.heap_in_use()), (pool, heap));
}

#[test]
fn a_domain_that_stops_to_use_views_has_stopped_before_they_are_freed() {
    let s = preempted();
    let heap = s.w.heap_in_use();
    let views = [s.create(access::RWX), s.create(access::RWX)];
    s.ok(s.view(cmd::SWITCH_P2M, views[0]));
    s.forget();
    let mut request = s.use_views(0);
    assert_eq!(s.step(ALTP2M, &mut request).1, FREES);
    assert_eq!(s.vcpus.map(|v| v.view()), [0, 0]);
    assert_eq!(s.ok(s.of(cmd::GET_DOMAIN_STATE)).get_u8(0), 0);
    assert!(s.w.heap_in_use() > heap, "not all is free yet");
    s.forget();
    assert_eq!(s.go_on(ALTP2M | FREE, &mut request), 0);
    assert!(!s.calls().contains(&"domain_pause"), "it may run");
    assert_eq!(s.w.heap_in_use(), heap);
}

#[test]
fn who_begins_to_use_views_anew_waits_until_those_of_the_last_time_are_freed() {
    let s = preempted();
    let heap = s.w.heap_in_use();
    for _ in 0..3 {
        s.create(access::RWX);
    }
    let mut end = s.use_views(0);
    assert_eq!(s.step(ALTP2M, &mut end).1, FREES);
    let mut begin = s.use_views(1);
    assert_eq!(s.step(ALTP2M, &mut begin).1, Some(ALTP2M), "the same again");
    assert_eq!(s.ok(s.of(cmd::GET_DOMAIN_STATE)).get_u8(0), 0);
    assert_eq!(s.call(&mut begin), 0);
    assert_eq!(s.w.heap_in_use(), heap);
    assert_eq!(s.create(access::RWX), 1);
    // Whoever was freeing them finds nothing of theirs any more.
    assert_eq!(s.go_on(ALTP2M | FREE, &mut end), 0);
    assert_eq!(s.d.views().len(), 1);
}

#[test]
fn a14_what_goes_on_frees_no_other_view_of_the_same_number() {
    let s = Scene::active();
    let view = with_many_tables(&s);
    s.w.preempt(Preempt::Always);
    let mut request = s.view(cmd::DESTROY_P2M, view);
    assert_eq!(s.step(ALTP2M, &mut request).1, FREES);
    assert_eq!(s.create(access::R), view);
    assert_eq!(s.go_on(ALTP2M | FREE, &mut request), 0);
    assert_eq!(s.d.access_in_view(view, PAGES), (0, access::R));
    assert!(s.d.retired_views().is_empty());
}

#[test]
fn whoever_says_that_only_memory_is_left_to_be_freed_changes_nothing() {
    for cmd in cmd::ALL {
        let s = Scene::active();
        let view = s.create(access::RWX);
        let request = s.of(cmd).u16(0, view).u64(8, PAGES);
        let mut after = request;
        assert_eq!(s.go_on(ALTP2M | FREE, &mut after), 0, "{cmd}");
        assert_eq!(after, request, "{cmd}");
        assert_eq!(s.d.views().len(), 1, "{cmd}");
        assert_eq!(s.ok(s.of(cmd::GET_DOMAIN_STATE)).get_u8(0), 1);
        assert_eq!(s.vcpus.map(|v| v.view()), [0, 0]);
    }
}

#[test]
fn what_goes_on_is_asked_all_that_a_first_call_is() {
    let s = Scene::active();
    s.create(access::RWX);
    let free = |rc: i32, mut request| {
        assert_eq!(s.go_on(ALTP2M | FREE, &mut request), rc.into());
    };
    let it = s.view(cmd::DESTROY_P2M, 1);
    free(EINVAL, it.pad1(1));
    free(EINVAL, it.version(2));
    let never = s.id_of(s.monitor);
    free(
        EINVAL,
        crate::request::Request::new(cmd::DESTROY_P2M, never),
    );
    xen::with(|s| s.xsm = Some(EPERM));
    free(EPERM, it);
    xen::with(|s| s.xsm = Some(0));
    s.run(0, 0);
    free(EPERM, it);
    assert_eq!(s.d.views().len(), 1);
}

#[test]
fn a9_freeing_goes_on_in_a_domain_that_dies() {
    let s = Scene::active();
    let view = with_many_tables(&s);
    s.w.preempt(Preempt::Always);
    let mut request = s.view(cmd::DESTROY_P2M, view);
    assert_eq!(s.step(ALTP2M, &mut request).1, FREES);
    s.d.set_dying_state(1);
    assert_eq!(s.go_on(ALTP2M | FREE, &mut request), 0);
    assert!(s.d.retired_views().is_empty());
    // And of one that does not use views any more.
    s.ok(s.use_views(0));
    assert_eq!(s.go_on(ALTP2M | FREE, &mut request), 0);
}

/// As many elements as the guest has pages, twice over, each with another access than the view's.
fn long() -> Vec<(u64, u32)> {
    (0..150)
        .map(|n| (PAGES + n % 64, if n < 64 { access::R } else { access::RX }))
        .collect()
}

#[test]
fn a_list_goes_on_where_it_was_preempted() {
    let s = preempted();
    let view = s.create(access::RWX);
    let mut it = list(&s, view, &long());
    for stop in [64, 128] {
        s.forget();
        assert_eq!(s.step(ALTP2M, &mut it).1, Some(ALTP2M), "the same again");
        assert_eq!(it.get_u64(8), stop);
        let writes = xen::with(|s| std::mem::take(&mut s.writes));
        assert_eq!(
            writes,
            [(OPAQUE, 8)],
            "nothing else of the caller's structure"
        );
    }
    assert_eq!(s.step(ALTP2M, &mut it), (0, None));
    for n in 0..64 {
        assert_eq!(s.d.access_in_view(view, PAGES + n), (0, access::RX));
    }
}

#[test]
fn a_list_may_go_on_anywhere() {
    for begins in [1, 63, 65, 100] {
        let s = preempted();
        let view = s.create(access::RWX);
        let mut it = list(&s, view, &long()).u64(8, begins);
        assert_eq!(s.step(ALTP2M, &mut it).1, Some(ALTP2M));
        assert_eq!(it.get_u64(8), begins / 64 * 64 + 64, "each call does some");
        assert_eq!(s.call(&mut it), 0);
    }
}

#[test]
fn a_list_whose_restart_point_cannot_be_written_ends_and_what_was_set_stays() {
    let s = preempted();
    let view = s.create(access::RWX);
    let mut it = list(&s, view, &long());
    xen::with(|s| s.unwritable = true);
    assert_eq!(s.step(ALTP2M, &mut it), (EFAULT.into(), None));
    assert_eq!(it.get_u64(8), 0);
    assert_eq!(s.d.access_in_view(view, PAGES + 63), (0, access::R));
}

#[test]
fn a14_a_list_that_goes_on_is_looked_at_again() {
    let begun = || {
        let s = preempted();
        let view = s.create(access::RWX);
        let mut it = list(&s, view, &long());
        assert_eq!(s.step(ALTP2M, &mut it).1, Some(ALTP2M));
        (s, view, it)
    };
    let (s, view, mut it) = begun();
    s.ok(s.view(cmd::DESTROY_P2M, view));
    assert_eq!(s.call(&mut it), EINVAL.into());
    let (s, _, mut it) = begun();
    s.d.set_dying_state(1);
    assert_eq!(s.call(&mut it), ESRCH.into());
    let (s, _, it) = begun();
    assert_eq!(s.call(&mut it.u64(8, 151)), EINVAL.into());
    assert_eq!(s.call(&mut it.u16(2, 1)), EINVAL.into());
}
