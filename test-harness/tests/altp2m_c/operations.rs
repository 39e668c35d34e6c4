// SPDX-License-Identifier: GPL-2.0-only
//! Each operation with each input, and what it answers: the table in docs/altp2m.md.

use crate::common::{access, ram};
use crate::request::{cmd, Request, SIZE};
use crate::scene::{Scene, NOBODY, PAGES};
use crate::{xen, EBUSY, EFAULT, EINVAL, ENOMEM, EOPNOTSUPP, ESRCH};

/// Numbers that no view can have.
pub(crate) const NO_VIEWS: [u16; 4] = [10, 16, 0x8001, 0xffff];
/// Where the guest has nothing.
pub(crate) const HOLE: u64 = 0x9_0000;
/// No frame.
const NO_FRAME: u64 = !0;

/// What is called before an operation is done.
const BEFORE: [&str; 3] = [
    "raw_copy_from_guest",
    "rcu_lock_domain_by_any_id",
    "xsm_hvm_altp2mhvm_op",
];

pub(crate) fn with_views() -> (Scene, [u16; 2]) {
    let s = Scene::active();
    let views = [s.create(access::RWX), s.create(access::R)];
    s.forget();
    (s, views)
}

/// What was called since last asked, but for [`BEFORE`].
fn called(s: &Scene) -> Vec<&'static str> {
    let calls = s.calls();
    let after = calls.strip_prefix(&BEFORE[..]);
    after.unwrap_or_else(|| panic!("{calls:?}")).to_vec()
}

fn set_access(s: &Scene, view: u16, gfn: u64, access: u32) -> Request {
    let access = u16::try_from(access).unwrap();
    s.view(cmd::SET_MEM_ACCESS, view).u16(2, access).u64(8, gfn)
}

fn get_access(s: &Scene, view: u16, gfn: u64) -> Request {
    // The access that stands there is no answer.
    s.view(cmd::GET_MEM_ACCESS, view).u16(2, 0xffff).u64(8, gfn)
}

#[test]
fn the_state_is_told_and_changed() {
    let s = Scene::new();
    let state = || s.ok(s.of(cmd::GET_DOMAIN_STATE).u8(0, 0xff)).get_u8(0);
    assert_eq!(state(), 0);
    for on in [1, 255, 2] {
        s.ok(s.use_views(on));
        assert_eq!(state(), 1);
        // SAFETY: a domain of the machine.
        assert!(unsafe { (s.c.active)(s.d.pointer()) });
    }
    for _ in 0..2 {
        s.ok(s.use_views(0));
        assert_eq!(state(), 0);
    }
}

#[test]
fn the_domain_is_paused_while_its_use_of_views_changes() {
    let (s, [view, _]) = with_views();
    s.run(1, 0);
    s.run(2, 1);
    s.ok(s.view(cmd::SWITCH_P2M, view));
    s.forget();
    for state in [0, 1] {
        s.ok(s.use_views(state));
        assert_eq!(
            called(&s),
            ["domain_pause", "p2m_views_set_use", "domain_unpause"]
        );
    }
    assert_eq!(s.vcpus.map(|v| v.view()), [0, 0]);
    assert_eq!(s.read(1, PAGES), Some(ram(0)), "and goes on");
}

#[test]
fn a_new_view_has_the_lowest_number_that_is_free() {
    let s = Scene::active();
    for number in 1..10 {
        assert_eq!(s.create(access::RWX), number);
    }
    s.refused(EINVAL, s.of(cmd::CREATE_P2M).u16(2, 7));
    s.ok(s.view(cmd::DESTROY_P2M, 4));
    assert_eq!(s.create(access::RWX), 4);
    for number in (1..10).rev() {
        s.ok(s.view(cmd::DESTROY_P2M, number));
    }
    assert!(s.d.views().is_empty());
}

#[test]
fn a_new_view_has_the_default_access_that_is_asked_for() {
    let s = Scene::active();
    assert_eq!(s.d.set_access_fully(NO_FRAME, 1, access::RX), 0);
    for access in access::N..=access::DEFAULT {
        let view = s.create(access);
        let wanted = if access == access::DEFAULT {
            access::RX
        } else {
            access
        };
        let told = s.ok(get_access(&s, view, NO_FRAME)).get_u16(2);
        assert_eq!(u32::from(told), wanted);
        s.ok(s.view(cmd::DESTROY_P2M, view));
    }
    for bad in [12, 0x100, 0x107, 0xffff] {
        s.refused(EINVAL, s.of(cmd::CREATE_P2M).u16(2, bad));
    }
}

#[test]
fn a_view_whose_number_nobody_learns_is_not_created() {
    let s = Scene::active();
    s.create(access::RWX);
    let heap = s.w.heap_in_use();
    xen::with(|s| s.unwritable = true);
    s.refused(EFAULT, s.of(cmd::CREATE_P2M).u16(2, 7));
    assert_eq!(s.w.heap_in_use(), heap);
    xen::with(|s| s.unwritable = false);
    assert_eq!(s.create(access::RWX), 2);
}

/// As on x86. It could only be destroyed by its number, which may be another view's by then.
#[test]
fn a_view_whose_number_can_suddenly_not_be_told_stays() {
    let s = Scene::active();
    xen::with(|s| s.then_unwritable = true);
    let rc = s.call(&mut s.of(cmd::CREATE_P2M).u16(2, 7));
    assert_eq!(rc, EFAULT.into());
    xen::with(|s| s.unwritable = false);
    assert_eq!(s.create(access::RWX), 2);
    s.ok(s.view(cmd::DESTROY_P2M, 1));
}

#[test]
fn a_view_is_not_created_without_memory() {
    let s = Scene::active();
    for n in [1, 2] {
        s.w.fail_allocation(Some(n));
        s.refused(ENOMEM, s.of(cmd::CREATE_P2M).u16(2, 7));
    }
    s.w.fail_allocation(None);
    assert_eq!(s.create(access::RWX), 1);
}

#[test]
fn a_view_in_which_a_vcpu_is_and_one_that_there_is_not_are_busy() {
    let (s, [view, other]) = with_views();
    for number in NO_VIEWS.into_iter().chain([0, other + 1]) {
        s.refused(EBUSY, s.view(cmd::DESTROY_P2M, number));
    }
    s.ok(s.view(cmd::SWITCH_P2M, view));
    s.refused(EBUSY, s.view(cmd::DESTROY_P2M, view));
    s.ok(s.view(cmd::SWITCH_P2M, other));
    s.ok(s.view(cmd::DESTROY_P2M, view));
    s.refused(EBUSY, s.view(cmd::DESTROY_P2M, view));
    assert_eq!(s.d.views().len(), 1);
}

#[test]
fn all_vcpus_go_on_in_the_view_and_are_paused_meanwhile() {
    let (s, [view, other]) = with_views();
    s.ok(s
        .view(cmd::CHANGE_GFN, view)
        .u64(8, PAGES)
        .u64(16, PAGES + 1));
    s.run(1, 0);
    s.run(2, 1);
    s.forget();
    s.ok(s.view(cmd::SWITCH_P2M, view));
    assert_eq!(
        called(&s),
        ["domain_pause", "p2m_view_switch_domain", "domain_unpause"]
    );
    for (cpu, v) in (1..).zip(s.vcpus) {
        assert_eq!(v.view(), view);
        assert_eq!(s.read(cpu, PAGES), Some(ram(0) + 1));
    }
    for number in NO_VIEWS.into_iter().chain([other + 1]) {
        s.refused(EINVAL, s.view(cmd::SWITCH_P2M, number));
    }
    s.ok(s.of(cmd::SET_VISIBILITY).u16(0, other));
    s.refused(EINVAL, s.view(cmd::SWITCH_P2M, other));
    s.ok(s.view(cmd::SWITCH_P2M, 0));
    assert_eq!(s.read(1, PAGES), Some(ram(0)));
}

#[test]
fn a_view_is_hidden_and_shown() {
    let (s, [view, other]) = with_views();
    let visible = |number, visible| s.of(cmd::SET_VISIBILITY).u16(0, number).u8(2, visible);
    for number in NO_VIEWS.into_iter().chain([other + 1]) {
        s.refused(EINVAL, visible(number, 1));
    }
    s.refused(EINVAL, visible(view, 0).u8(3, 1));
    for (number, is) in [(view, 0), (view, 255), (0, 0), (0, 1)] {
        s.ok(visible(number, is));
        let request = s.view(cmd::SWITCH_P2M, number);
        if is == 0 {
            s.refused(EINVAL, request);
        } else {
            s.ok(request);
        }
    }
}

#[test]
fn the_access_of_a_page_is_set_in_one_view() {
    let (s, [view, other]) = with_views();
    s.ok(set_access(&s, view, PAGES + 3, access::RX));
    for (number, gfn, wanted) in [
        (view, PAGES + 3, access::RX),
        (view, PAGES + 2, access::RWX),
        (view, PAGES + 4, access::RWX),
        (other, PAGES + 3, access::R),
        (0, PAGES + 3, access::RWX),
    ] {
        let told = s.ok(get_access(&s, number, gfn)).get_u16(2);
        assert_eq!(u32::from(told), wanted, "{gfn:#x} in view {number}");
    }
    s.ok(set_access(&s, 0, PAGES + 3, access::N));
    assert_eq!(s.d.access(PAGES + 3), (0, access::N));
    s.ok(set_access(&s, view, HOLE, access::R));
    // No frame: the default access, which is the host's to have.
    s.ok(set_access(&s, 0, NO_FRAME, access::RW));
    assert_eq!(s.d.access(NO_FRAME), (0, access::RW));
}

#[test]
fn an_access_that_cannot_be_set_is_refused() {
    let (s, [view, other]) = with_views();
    s.refused(EINVAL, set_access(&s, view, PAGES, access::R).u32(4, 1));
    s.refused(
        EINVAL,
        set_access(&s, view, PAGES, access::R).u32(4, 1 << 31),
    );
    for number in NO_VIEWS.into_iter().chain([other + 1]) {
        s.refused(EINVAL, set_access(&s, number, PAGES, access::R));
    }
    for bad in [12, 0x100, 0xffff] {
        s.refused(EINVAL, set_access(&s, view, PAGES, bad));
        s.refused(EINVAL, set_access(&s, 0, PAGES, bad));
    }
    s.refused(EINVAL, set_access(&s, view, NO_FRAME, access::R));
    assert_eq!(s.d.set_pool(64 - s.w.free_pool_pages(s.d)), 0);
    s.refused(ENOMEM, set_access(&s, view, PAGES, access::R));
}

#[test]
fn the_access_of_no_page_is_not_told() {
    let (s, [view, other]) = with_views();
    s.refused(EINVAL, get_access(&s, view, PAGES).u32(4, 1));
    for number in NO_VIEWS.into_iter().chain([other + 1]) {
        s.refused(EINVAL, get_access(&s, number, PAGES));
    }
    s.refused(ESRCH, get_access(&s, view, HOLE));
    s.refused(ESRCH, get_access(&s, view, 1 << 50));
}

#[test]
fn a_page_is_shown_at_another_frame_and_given_back() {
    let (s, [view, other]) = with_views();
    let change = |number, old, new| s.view(cmd::CHANGE_GFN, number).u64(8, old).u64(16, new);
    for number in NO_VIEWS.into_iter().chain([0, other + 1]) {
        s.refused(EINVAL, change(number, PAGES, PAGES + 1));
        s.refused(EINVAL, change(number, PAGES, NO_FRAME));
    }
    s.refused(EINVAL, change(view, PAGES, PAGES + 1).u16(2, 1));
    s.refused(EINVAL, change(view, PAGES, PAGES + 1).u32(4, 1));
    for (old, new) in [
        (PAGES, HOLE),
        (HOLE, PAGES),
        (PAGES, 1 << 50),
        (1 << 50, PAGES),
    ] {
        s.refused(ESRCH, change(view, old, new));
    }
    s.run(1, 0);
    s.ok(s.view(cmd::SWITCH_P2M, view));
    s.ok(change(view, PAGES, PAGES + 1));
    assert_eq!(s.read(1, PAGES), Some(ram(0) + 1));
    assert_eq!(s.read(1, PAGES + 1), Some(ram(0) + 1));
    s.ok(change(view, PAGES, NO_FRAME));
    assert_eq!(s.read(1, PAGES), Some(ram(0)));
    // What is set in the one view makes no room for the other.
    s.ok(change(view, PAGES, PAGES + 1));
    assert_eq!(s.d.set_pool(64 - s.w.free_pool_pages(s.d)), 0);
    s.refused(ENOMEM, change(other, PAGES, PAGES + 1));
}

#[test]
fn the_view_of_a_vcpu_is_told() {
    let (s, [view, other]) = with_views();
    s.vcpus[0].set_view(view);
    s.vcpus[1].set_view(other);
    for (id, wanted) in [(0, view), (1, other)] {
        let told = s.ok(s.of(cmd::GET_P2M_IDX).u32(0, id).u16(4, 0xffff));
        assert_eq!(told.get_u16(4), wanted);
    }
    for id in [2, 3, 0x1_0000, !0] {
        s.refused(EINVAL, s.of(cmd::GET_P2M_IDX).u32(0, id));
    }
}

#[test]
fn there_are_no_virtualisation_exceptions() {
    let (s, [view, _]) = with_views();
    for id in [0, 1] {
        s.refused(
            EOPNOTSUPP,
            s.of(cmd::VCPU_ENABLE_NOTIFY).u32(0, id).u64(8, PAGES),
        );
        s.refused(EOPNOTSUPP, s.of(cmd::VCPU_DISABLE_NOTIFY).u32(0, id));
        // Its structure has no padding.
        s.refused(
            EOPNOTSUPP,
            s.of(cmd::VCPU_DISABLE_NOTIFY).u32(0, id).u32(4, 1),
        );
    }
    s.refused(EINVAL, s.of(cmd::VCPU_ENABLE_NOTIFY).u32(4, 1));
    for id in [2, 0x1_0000, !0] {
        s.refused(EINVAL, s.of(cmd::VCPU_ENABLE_NOTIFY).u32(0, id));
        s.refused(EINVAL, s.of(cmd::VCPU_DISABLE_NOTIFY).u32(0, id));
    }
    for cmd in [
        cmd::SET_SUPPRESS_VE,
        cmd::GET_SUPPRESS_VE,
        cmd::SET_SUPPRESS_VE_MULTI,
    ] {
        s.refused(EOPNOTSUPP, s.view(cmd, view).u64(8, PAGES));
        s.refused(EOPNOTSUPP, s.view(cmd, 0xffff));
    }
    assert_eq!(s.works(), 0);
}

/// What each answers, and whether it writes that to the caller's structure, all of which it has read.
#[test]
fn only_what_has_an_answer_writes_to_the_callers_structure() {
    for cmd in cmd::ALL {
        let answers = matches!(
            cmd,
            cmd::GET_DOMAIN_STATE | cmd::CREATE_P2M | cmd::GET_MEM_ACCESS | cmd::GET_P2M_IDX
        );
        let (s, _) = with_views();
        let mut it = s
            .of(cmd)
            .u64(8, PAGES)
            .u64(16, if cmd == cmd::CHANGE_GFN { !0 } else { 0 });
        if matches!(cmd, cmd::DESTROY_P2M | cmd::CHANGE_GFN) {
            it = it.u16(0, 1);
        }
        if cmd == cmd::SET_MEM_ACCESS_MULTI {
            it = s.of(cmd);
        }
        // What is no part of the operation's structure comes back as it was.
        it = it.u8(40, 0xa5).u8(63, 0x5a);
        let mut after = it;
        let rc = s.call(&mut after);
        assert!(
            rc == 0 || rc == EOPNOTSUPP.into() || rc == EINVAL.into(),
            "{cmd}: {rc}"
        );
        let writes = xen::with(|s| std::mem::take(&mut s.writes));
        // A creation tries whether it can tell the number.
        let times = if cmd == cmd::CREATE_P2M {
            2
        } else {
            answers.into()
        };
        assert_eq!(writes, vec![(0, SIZE); times], "{cmd}");
        assert_eq!((after.get_u8(40), after.get_u8(63)), (0xa5, 0x5a), "{cmd}");
        if answers {
            xen::with(|s| s.unwritable = true);
            s.refused(EFAULT, it);
        }
    }
}

/// Another vCPU of the caller's may write there at any moment.
#[test]
fn an_operation_is_the_one_that_was_read_first() {
    let garbage = Request::new(77, NOBODY).version(9).pad1(1).pad2(1).0;
    let overwritten = |s: &Scene, request: Request| {
        xen::with(|s| s.overwrites = Some(garbage));
        let after = s.ok(request);
        xen::with(|s| s.overwrites = None);
        after
    };
    let s = Scene::new();
    overwritten(&s, s.use_views(1));
    let answer = overwritten(&s, s.of(cmd::GET_DOMAIN_STATE));
    assert_eq!(answer, s.of(cmd::GET_DOMAIN_STATE).u8(0, 1));
    let view = overwritten(&s, s.of(cmd::CREATE_P2M).u16(2, 7));
    assert_eq!(view, s.of(cmd::CREATE_P2M).u16(2, 7).u16(0, 1));
    overwritten(&s, set_access(&s, 1, PAGES, access::R));
    let told = overwritten(&s, get_access(&s, 1, PAGES));
    assert_eq!(told, get_access(&s, 1, PAGES).u16(2, 1));
    overwritten(&s, s.of(cmd::SET_VISIBILITY).u16(0, 0));
    overwritten(&s, s.view(cmd::SWITCH_P2M, 1));
    let told = overwritten(&s, s.of(cmd::GET_P2M_IDX).u32(0, 1));
    assert_eq!(told, s.of(cmd::GET_P2M_IDX).u32(0, 1).u16(4, 1));
    let change = s.view(cmd::CHANGE_GFN, 1).u64(8, PAGES).u64(16, PAGES + 1);
    overwritten(&s, change);
    s.run(1, 0);
    assert_eq!(s.read(1, PAGES), Some(ram(0) + 1));
    overwritten(&s, s.use_views(0));
    assert_eq!(s.vcpus[0].view(), 0);
}
