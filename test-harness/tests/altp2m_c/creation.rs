// SPDX-License-Identifier: GPL-2.0-only
//! What a domain is created with, and HVM_PARAM_ALTP2M.

use std::ffi::c_void;

use xen_sys::p2m_views;

use crate::common::access;
use crate::library::{library, Tree};
use crate::request::cmd;
use crate::scene::{creation, Scene, EXTERNAL, PARAM};
use crate::{xen, EEXIST, EINVAL, ENOMEM};

fn is_allowed(tree: Tree, opts: u32, nr: u16) -> bool {
    let config = creation(tree, opts, nr);
    // SAFETY: a structure of that tree.
    unsafe { (library(tree).is_allowed)(config.as_ptr().cast::<c_void>()) }
}

/// What the domain has for views.
fn views(s: &Scene) -> Option<&p2m_views> {
    // SAFETY: a domain of the machine.
    let views = unsafe { (*s.monitor.pointer()).arch.p2m.views };
    // SAFETY: null, or what the C has allocated.
    unsafe { views.as_ref() }
}

#[test]
fn a_domain_is_created_in_external_mode_alone() {
    for opts in [0, 1, 3, 4, 6, 0x102, 0x8002, 0xffff] {
        assert!(!is_allowed(Tree::Mode, opts, 0), "{opts:#x}");
        assert!(!is_allowed(Tree::Number, opts, 10), "{opts:#x}");
    }
    for opts in [1 << 16 | 2, 1 << 31 | 2] {
        assert!(!is_allowed(Tree::Mode, opts, 0), "{opts:#x}");
    }
    assert!(is_allowed(Tree::Mode, 2, 0));
    assert!(is_allowed(Tree::Number, 2, 10));
}

#[test]
fn a_domain_is_created_with_one_to_ten_views() {
    for nr in [0, 11, 12, 256, 0xffff] {
        assert!(!is_allowed(Tree::Number, 2, nr), "{nr}");
    }
    for nr in 1..=10 {
        assert!(is_allowed(Tree::Number, 2, nr), "{nr}");
    }
}

#[test]
fn a_domain_that_is_created_without_altp2m_has_nothing_for_views() {
    let s = Scene::new();
    for tree in [Tree::Mode, Tree::Number] {
        let before = s.params(s.monitor);
        assert_eq!(s.init(s.monitor, tree, creation(tree, 0, 0)), 0);
        assert!(views(&s).is_none());
        assert_eq!(s.params(s.monitor), before);
        assert!(s.calls().is_empty());
    }
    // SAFETY: a domain of the machine.
    assert!(!unsafe { (s.c.active)(s.monitor.pointer()) });
}

#[test]
fn a_domain_that_is_created_with_altp2m_may_have_views_and_uses_none() {
    for (tree, wanted, nr) in [
        (Tree::Mode, 0, 10),
        (Tree::Number, 10, 10),
        (Tree::Number, 3, 3),
        (Tree::Number, 1, 1),
    ] {
        let s = Scene::new();
        assert_eq!(s.init(s.monitor, tree, creation(tree, 2, wanted)), 0);
        let all = views(&s).unwrap();
        assert_eq!((all.nr, all.active, all.visible), (nr, false, 0));
        assert!(all.last_ran.iter().all(|&last| last == 0xffff));
        assert!(all.view.iter().all(|view| view.is_null()));
        let params = s.params(s.monitor);
        for (n, value) in params.into_iter().enumerate() {
            assert_eq!(
                value,
                if n == PARAM { EXTERNAL } else { 0 },
                "parameter {n}"
            );
        }
        // SAFETY: a domain of the machine.
        assert!(!unsafe { (s.c.active)(s.monitor.pointer()) });
        // SAFETY: a domain of the machine, which has no views.
        unsafe { (s.c.teardown)(s.monitor.pointer()) };
        assert!(views(&s).is_none());
        assert_eq!(xen::with(|s| s.allocated.len()), 1, "the other domain's");
        // Nothing is freed twice.
        // SAFETY: as above.
        unsafe { (s.c.teardown)(s.monitor.pointer()) };
        assert_eq!(xen::with(|s| s.wrong.len()), 0);
    }
}

#[test]
fn a_domain_has_no_more_views_than_it_was_created_with() {
    for (tree, nr, all) in [
        (Tree::Mode, 0, 10),
        (Tree::Number, 10, 10),
        (Tree::Number, 3, 3),
        (Tree::Number, 1, 1),
    ] {
        let s = Scene::created(tree, nr);
        s.ok(s.use_views(1));
        for number in 1..all {
            assert_eq!(s.create(access::RWX), number);
        }
        s.refused(EINVAL, s.of(cmd::CREATE_P2M).u16(2, 7));
        s.refused(EINVAL, s.view(cmd::SWITCH_P2M, all));
    }
}

#[test]
fn a_domain_is_not_created_if_there_is_no_memory_for_its_views() {
    let s = Scene::new();
    xen::with(|s| s.no_memory = true);
    let config = creation(Tree::Mode, 2, 0);
    assert_eq!(s.init(s.monitor, Tree::Mode, config), ENOMEM);
    assert!(views(&s).is_none());
    assert!(s.params(s.monitor).iter().all(|&value| value == 0));
    // SAFETY: as domain_create() does when it fails.
    unsafe { (s.c.teardown)(s.monitor.pointer()) };
    assert_eq!(xen::with(|s| s.wrong.len()), 0);
}

#[test]
fn the_parameter_can_be_read_and_never_set() {
    let c = library(Tree::Mode);
    assert_eq!((c.get_param)(35), 0);
    assert_eq!((c.set_param)(35), EEXIST);
    for other in [0, 34, 36, 38, 39, 35 | 1 << 8, !0] {
        assert_eq!((c.get_param)(other), EINVAL, "{other}");
        assert_eq!((c.set_param)(other), EINVAL, "{other}");
    }
}
