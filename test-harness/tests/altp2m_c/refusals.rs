// SPDX-License-Identifier: GPL-2.0-only
//! What is refused before an operation is looked at, by whom, and in which order.

use crate::common::access;
use crate::request::{cmd, Request};
use crate::scene::{Scene, ALTP2M, CONTROL, DISABLED, EXTERNAL, NOBODY, PAGES, SELF};
use crate::{xen, EACCES, EFAULT, EINVAL, EOPNOTSUPP, EPERM, ESRCH};

/// Of an operation that there is: as it would be right, of a domain with view 1.
fn right(cmd: u32, domain: u16) -> Request {
    let it = Request::new(cmd, domain);
    match cmd {
        cmd::SET_DOMAIN_STATE => it.u8(0, 1),
        cmd::CREATE_P2M => it.u16(2, 7),
        cmd::DESTROY_P2M | cmd::SWITCH_P2M => it.u16(0, 1),
        cmd::SET_MEM_ACCESS | cmd::GET_MEM_ACCESS => it.u16(0, 1).u16(2, 7).u64(8, PAGES),
        cmd::CHANGE_GFN => it.u16(0, 1).u64(8, PAGES).u64(16, !0),
        cmd::SET_MEM_ACCESS_MULTI => it.u16(0, 1),
        cmd::SET_VISIBILITY => it.u16(0, 1).u8(2, 1),
        _ => it,
    }
}

/// Whether it is answered of a domain that does not use views.
fn is_state(cmd: u32) -> bool {
    matches!(cmd, cmd::GET_DOMAIN_STATE | cmd::SET_DOMAIN_STATE)
}

/// Whether Arm has it at all.
fn exists(cmd: u32) -> bool {
    !matches!(
        cmd,
        cmd::VCPU_ENABLE_NOTIFY
            | cmd::VCPU_DISABLE_NOTIFY
            | cmd::SET_SUPPRESS_VE
            | cmd::GET_SUPPRESS_VE
            | cmd::SET_SUPPRESS_VE_MULTI
    )
}

/// A domain that uses views, and has one.
fn with_a_view() -> Scene {
    let s = Scene::active();
    assert_eq!(s.create(access::RWX), 1);
    s.forget();
    s
}

#[test]
fn each_operation_is_done_if_nothing_is_wrong_with_it() {
    for cmd in cmd::ALL {
        let s = with_a_view();
        let rc = s.call(&mut right(cmd, s.id()));
        assert_eq!(rc, if exists(cmd) { 0 } else { EOPNOTSUPP.into() }, "{cmd}");
    }
}

#[test]
fn only_altp2ms_operations_are_taken() {
    let s = with_a_view();
    for op in [
        0,
        1,
        ALTP2M - 1,
        ALTP2M + 1,
        ALTP2M | 1 << 15,
        ALTP2M | 1 << 17,
        1 << 16,
        ALTP2M | 1 << 16,
        !0,
    ] {
        let mut rc = 77;
        let arg = test_harness::symbols::GuestHandle {
            pointer: std::ptr::null(),
        };
        // SAFETY: the C reads nothing.
        let ours = unsafe { (s.c.hvm_op)(op, arg, &mut rc) };
        assert_eq!((ours, rc), (false, 77), "{op:#x}");
        assert!(s.calls().is_empty(), "{op:#x}");
    }
}

#[test]
fn a_structure_that_cannot_be_read_is_refused_and_no_domain_is_looked_for() {
    let s = with_a_view();
    xen::with(|s| s.unreadable = true);
    s.refused(EFAULT, s.of(cmd::GET_DOMAIN_STATE));
    assert_eq!(s.calls(), ["raw_copy_from_guest"]);
}

#[test]
fn padding_and_other_versions_are_refused_and_no_domain_is_looked_for() {
    let s = with_a_view();
    for cmd in cmd::ALL {
        let it = right(cmd, s.id());
        let bad = [
            it.pad1(1),
            it.pad1(0x8000),
            it.pad2(1),
            it.pad2(1 << 31),
            it.version(0),
            it.version(2),
            it.version(0x0100_0001),
        ];
        for request in bad {
            s.refused(EINVAL, request);
            assert_eq!(s.calls(), ["raw_copy_from_guest"]);
        }
    }
}

#[test]
fn an_operation_that_there_is_not_is_refused_and_no_domain_is_looked_for() {
    let s = with_a_view();
    for cmd in [0, 17, 18, 0x101, 1 << 31, !0] {
        for domain in [s.id(), NOBODY] {
            s.refused(EOPNOTSUPP, Request::new(cmd, domain));
            assert_eq!(s.calls(), ["raw_copy_from_guest"], "{cmd}");
        }
    }
}

#[test]
fn a_domain_that_there_is_not_is_refused() {
    let s = with_a_view();
    for cmd in cmd::ALL {
        for domain in [NOBODY, s.id() | 0x100, s.id() | 0x4000] {
            s.refused(ESRCH, right(cmd, domain));
            assert_eq!(s.works(), 0);
        }
    }
    assert!(s.asked().is_empty(), "XSM is asked of a domain");
}

#[test]
fn a_domain_that_does_not_use_views_is_refused_all_but_its_state() {
    for cmd in cmd::ALL.filter(|&cmd| !is_state(cmd)) {
        let s = Scene::new();
        s.refused(EOPNOTSUPP, right(cmd, s.id()));
        assert!(s.asked().is_empty(), "that is said to all");
        assert_eq!(s.works(), 0, "{cmd}");
    }
    let s = Scene::new();
    assert_eq!(s.ok(s.of(cmd::GET_DOMAIN_STATE)).get_u8(0), 0);
    s.ok(s.use_views(0));
}

#[test]
fn a_domain_that_was_not_created_for_views_is_refused_its_state_too() {
    let s = with_a_view();
    let other = s.id_of(s.monitor);
    for cmd in cmd::ALL {
        let rc = if is_state(cmd) { EINVAL } else { EOPNOTSUPP };
        s.refused(rc, right(cmd, other));
        assert!(s.asked().is_empty(), "that is said to all");
        assert_eq!(s.works(), 0, "{cmd}");
    }
}

#[test]
fn xsm_is_asked_once_of_each_operation_with_the_domains_mode() {
    for cmd in cmd::ALL {
        let s = with_a_view();
        s.call(&mut right(cmd, s.id()));
        // XSM_OTHER is 5.
        let question = (5, s.d.pointer().addr(), EXTERNAL, cmd);
        assert_eq!(s.asked(), [question], "{cmd}");
    }
}

#[test]
fn what_xsm_answers_is_the_answer() {
    for cmd in cmd::ALL {
        for rc in [EPERM, EACCES] {
            let s = with_a_view();
            xen::with(|s| s.xsm = Some(rc));
            s.refused(rc, right(cmd, s.id()));
            assert_eq!(s.works(), 0, "{cmd}");
        }
    }
}

#[test]
fn xsm_decides_by_the_mode_that_the_domain_has() {
    let s = with_a_view();
    for mode in [1, 3] {
        s.set_mode(s.d, mode);
        s.call(&mut s.of(cmd::GET_DOMAIN_STATE));
        assert_eq!(s.asked().last().map(|&(_, _, asked, _)| asked), Some(mode));
    }
}

#[test]
fn a19_no_guest_may_do_any_of_it_whoever_it_names() {
    for cmd in cmd::ALL {
        let s = with_a_view();
        // The guest itself, by either of its names, and another guest.
        for (cpu, v, domain) in [
            (1, s.vcpus[0], SELF),
            (1, s.vcpus[0], s.id()),
            (2, s.monitor_vcpu, s.id()),
        ] {
            s.w.run(cpu, v);
            s.w.on_cpu(cpu, || s.refused(EPERM, right(cmd, domain)));
            s.w.on_cpu(cpu, || s.refused(ESRCH, right(cmd, NOBODY)));
            // The control domain has no views: that is said to all.
            let rc = if is_state(cmd) { EINVAL } else { EOPNOTSUPP };
            s.w.on_cpu(cpu, || s.refused(rc, right(cmd, CONTROL)));
        }
        assert_eq!(s.works(), 0, "{cmd}");
    }
}

#[test]
fn a_device_models_domain_may() {
    let s = with_a_view();
    s.w.run(2, s.monitor_vcpu);
    xen::with(|x| x.privileged = Some(s.monitor.pointer().addr()));
    let request = s.view(cmd::SWITCH_P2M, 1);
    s.w.on_cpu(2, || s.ok(request));
    assert_eq!(s.vcpus[0].view(), 1);
}

/// No vCPU waits for itself: a policy that allows it is not enough.
#[test]
fn a_domain_may_do_nothing_to_itself_whatever_xsm_says() {
    for cmd in cmd::ALL {
        let s = with_a_view();
        xen::with(|s| s.xsm = Some(0));
        s.run(0, 0);
        for domain in [SELF, s.id()] {
            s.refused(EPERM, right(cmd, domain));
        }
        assert_eq!(s.works(), 0, "{cmd}");
        assert!(!s.asked().is_empty(), "XSM is asked before");
    }
}

#[test]
fn a_dying_domain_is_given_nothing_and_may_lose_what_it_has() {
    let taken_or_told = [
        cmd::GET_DOMAIN_STATE,
        cmd::GET_MEM_ACCESS,
        cmd::GET_P2M_IDX,
        cmd::DESTROY_P2M,
    ];
    for cmd in cmd::ALL {
        for dying in [1, 2] {
            let s = with_a_view();
            s.d.set_dying_state(dying);
            if taken_or_told.contains(&cmd) {
                s.ok(right(cmd, s.id()));
            } else {
                s.refused(ESRCH, right(cmd, s.id()));
                assert_eq!(s.works(), 0, "{cmd}");
            }
        }
    }
    let s = with_a_view();
    s.d.set_dying_state(1);
    s.ok(s.use_views(0));
    assert!(s.d.views().is_empty());
    assert_eq!(s.ok(s.of(cmd::GET_DOMAIN_STATE)).get_u8(0), 0);
    s.refused(ESRCH, s.use_views(1));
}

/// What else is wrong makes no difference: each of these, and all that come after it.
#[test]
fn of_several_errors_the_first_in_the_order_of_x86_is_reported() {
    let refused_from = |first: usize, cmd: u32| {
        let s = with_a_view();
        let mut it = right(cmd, s.id());
        // From the last on.
        s.d.set_dying_state(1);
        if first <= 6 {
            // Itself.
            xen::with(|s| s.xsm = Some(0));
            s.run(0, 0);
        }
        if first <= 5 {
            xen::with(|s| s.xsm = Some(EACCES));
        }
        if first <= 4 {
            s.set_mode(s.d, DISABLED);
        }
        if first <= 3 {
            s.w.run(0, s.w.toolstack(0));
            s.set_mode(s.d, EXTERNAL);
            xen::with(|s| s.xsm = None);
            s.ok(s.use_views(0));
            s.set_mode(s.d, DISABLED);
            xen::with(|s| s.xsm = Some(EACCES));
            s.run(0, 0);
        }
        if first <= 2 {
            it = right(cmd, NOBODY);
        }
        if first <= 1 {
            it = Request::new(77, NOBODY);
        }
        if first == 0 {
            it = it.pad1(1);
        }
        s.call(&mut it)
    };
    let order = [
        EINVAL, EOPNOTSUPP, ESRCH, EOPNOTSUPP, EINVAL, EACCES, EPERM, ESRCH,
    ];
    for (first, rc) in order.into_iter().enumerate() {
        assert_eq!(refused_from(first, cmd::SWITCH_P2M), rc.into(), "{first}");
    }
}
