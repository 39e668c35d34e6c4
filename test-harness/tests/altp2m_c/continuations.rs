// SPDX-License-Identifier: GPL-2.0-only
//! Operations that are preempted, and go on: A9 and A14 of docs/altp2m.md.

use test_harness::Preempt;

use crate::common::{access, p2mt, ram, M2};
use crate::lists::list;
use crate::request::{cmd, OPAQUE};
use crate::scene::{Scene, ALTP2M, PAGES};
use crate::{xen, EFAULT, EINVAL, ESRCH};

/// More tables of a view than a hypercall may free one by one.
const MANY: u64 = 520;

/// A view with that many tables.
fn with_many_tables(s: &Scene) -> u16 {
    assert_eq!(s.d.set_pool(2000), 0);
    let view = s.create(access::RWX);
    for n in 0..MANY {
        let gfn = 0x10_0000 + n * M2;
        assert_eq!(s.d.insert(gfn, 1, ram(0) + 64 + n, p2mt::RAM_RW), 0);
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
fn views_with_many_tables_are_destroyed_by_one_call_that_does_not_go_on() {
    let s = preempted();
    let view = with_many_tables(&s);
    let heap = s.w.heap_in_use();
    assert_eq!(
        s.step(ALTP2M, &mut s.view(cmd::DESTROY_P2M, view)),
        (0, None)
    );
    assert!(s.d.views().is_empty());
    assert!(s.w.heap_in_use() < heap, "its root and what Xen knew of it");
    with_many_tables(&s);
    assert_eq!(s.step(ALTP2M, &mut s.use_views(0)), (0, None));
    assert!(s.d.views().is_empty());
    assert!(s.w.heap_in_use() < heap);
}

/// Nobody has to go on with what was begun, so nobody can leave it.
#[test]
fn a14_whoever_creates_and_destroys_for_ever_takes_no_memory() {
    let s = preempted();
    let view = with_many_tables(&s);
    s.ok(s.view(cmd::DESTROY_P2M, view));
    let (pool, heap) = (s.w.free_pool_pages(s.d), s.w.heap_in_use());
    for _ in 0..20 {
        let view = with_many_tables(&s);
        let (_, goes_on) = s.step(ALTP2M, &mut s.view(cmd::DESTROY_P2M, view));
        assert_eq!(goes_on, None);
        assert_eq!((s.w.free_pool_pages(s.d), s.w.heap_in_use()), (pool, heap));
    }
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
