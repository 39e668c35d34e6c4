// SPDX-License-Identifier: GPL-2.0-only
//! A monitor's answer that names a view. The vCPU was paused without waiting for it.

use test_harness::Vcpu;

use crate::common::{access, ram};
use crate::request::cmd;
use crate::scene::{Scene, PAGES};
use crate::xen;

/// The calls of an answer that changes something.
const SWITCH: [&str; 3] = ["vcpu_pause", "p2m_view_switch_vcpu", "vcpu_unpause"];

/// A guest with two views: what each shows at the first page is a page of its own.
fn two_views() -> (Scene, [u16; 2]) {
    let s = Scene::active();
    let views = [s.create(access::RWX), s.create(access::RWX)];
    for (n, view) in (1..).zip(views) {
        let it = s
            .view(cmd::CHANGE_GFN, view)
            .u64(8, PAGES)
            .u64(16, PAGES + n);
        s.ok(it);
    }
    s.forget();
    (s, views)
}

/// `vm_event_vcpu_pause()`: it may go on running for a moment.
fn waits(v: Vcpu) {
    xen::with(|s| s.waiting.push(v.pointer().addr()));
}

/// `vm_event_vcpu_unpause()`.
fn let_go(s: &Scene, cpu: usize, v: Vcpu) {
    xen::with(|s| s.waiting.clear());
    s.w.run(cpu, v);
}

fn answer(s: &Scene, v: Vcpu, view: u16) {
    // SAFETY: a vCPU of the machine.
    unsafe { (s.c.answered)(v.pointer(), view) };
    xen::with(|s| {
        assert_eq!(s.wrong, Vec::<String>::new());
        assert!(s.paused.is_empty(), "somebody stays paused");
    });
    s.w.check();
}

#[test]
fn a8_an_answer_waits_until_the_vcpu_has_left_its_cpu() {
    let (s, views) = two_views();
    let v = s.run(1, 0);
    assert_eq!(s.read(1, PAGES), Some(ram(0)));
    for (n, view) in (1..).zip(views) {
        waits(v);
        answer(&s, v, view);
        assert_eq!(s.calls(), SWITCH);
        assert_eq!(v.view(), view);
        // SAFETY: a vCPU of the machine.
        assert_eq!(unsafe { (s.c.vcpu_idx)(v.pointer()) }, view.into());
        let_go(&s, 1, v);
        assert_eq!(s.read(1, PAGES), Some(ram(0) + n));
    }
    waits(v);
    answer(&s, v, 0);
    let_go(&s, 1, v);
    assert_eq!(s.read(1, PAGES), Some(ram(0)));
}

#[test]
fn an_answer_changes_the_view_of_one_vcpu() {
    let (s, [view, _]) = two_views();
    let (v, other) = (s.run(1, 0), s.run(2, 1));
    waits(v);
    answer(&s, v, view);
    assert_eq!((v.view(), other.view()), (view, 0));
    assert_eq!(s.read(2, PAGES), Some(ram(0)), "and is not stopped");
}

#[test]
fn an_answer_that_names_the_view_that_the_vcpu_is_in_waits_for_nothing() {
    let (s, [view, _]) = two_views();
    let v = s.run(1, 0);
    for view in [0, view] {
        s.ok(s.view(cmd::SWITCH_P2M, view));
        s.forget();
        waits(v);
        answer(&s, v, view);
        assert_eq!(s.calls(), Vec::<&str>::new());
        assert_eq!(v.view(), view);
        let_go(&s, 1, v);
    }
}

#[test]
fn an_answer_that_names_a_view_that_there_is_not_changes_nothing() {
    let (s, [view, gone]) = two_views();
    let v = s.run(1, 0);
    s.ok(s.view(cmd::SWITCH_P2M, view));
    s.ok(s.view(cmd::DESTROY_P2M, gone));
    for number in [gone, 9, 10, 16, 0x100, 0x8001, 0xffff, 0x100 | view] {
        waits(v);
        s.forget();
        answer(&s, v, number);
        assert_eq!(v.view(), view, "{number}");
        if number >= 10 {
            assert_eq!(s.calls(), Vec::<&str>::new(), "{number}: nobody waits");
        }
        let_go(&s, 1, v);
    }
    assert_eq!(s.read(1, PAGES), Some(ram(0) + 1));
}

#[test]
fn an_answer_may_name_a_hidden_view() {
    let (s, [view, _]) = two_views();
    s.ok(s.of(cmd::SET_VISIBILITY).u16(0, view).u8(2, 0));
    let v = s.run(1, 0);
    waits(v);
    answer(&s, v, view);
    assert_eq!(v.view(), view);
}

#[test]
fn a7_an_answer_for_a_domain_that_does_not_use_views_any_more_changes_nothing() {
    let (s, [view, _]) = two_views();
    let v = s.run(1, 0);
    s.ok(s.view(cmd::SWITCH_P2M, view));
    s.ok(s.use_views(0));
    for view in [0, view] {
        s.forget();
        waits(v);
        answer(&s, v, view);
        assert_eq!(v.view(), 0);
        assert_eq!(s.calls(), Vec::<&str>::new(), "nobody waits");
    }
    let_go(&s, 1, v);
    assert_eq!(s.read(1, PAGES), Some(ram(0)));
}
