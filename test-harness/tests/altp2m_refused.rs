// SPDX-License-Identifier: GPL-2.0-only
//! A call on views that is refused changes nothing. Each call is made with each of its errors; each
//! word of the tables of the host p2m and of all views, and all else that a call could change, is
//! compared before and after.

#![cfg(config_altp2m)]
#![allow(clippy::unwrap_used)] // a test may stop on the spot

mod common;

use common::views::{ipa, Viewed};
use common::{access, effects, errno, guest, p2mt, ram, M2};
use p2m_rs::types::access::P2mAccess;
use test_harness::{DumpedTable, Vcpu, INVALID};

const EINVAL: i32 = errno::EINVAL;
const ESRCH: i32 = errno::ESRCH;
const EBUSY: i32 = p2m_rs::types::errno::Errno::EBUSY.to_c();
const ENOMEM: i32 = errno::ENOMEM;
const EOPNOTSUPP: i32 = p2m_rs::types::errno::Errno::EOPNOTSUPP.to_c();

/// Pages; a block that a view has copied; one that none has; and a page with a table of its own.
const PAGES: u64 = 0x1000;
const BLOCK: u64 = 0x4000;
const NOT_COPIED: u64 = 0x6000;
const FAR: u64 = 0x10_0000;
/// Frames that are not the domain's own writable RAM.
const FOREIGN: u64 = PAGES + 0x100;
const GRANT: u64 = PAGES + 0x101;
const DEVICE: u64 = PAGES + 0x102;
const READ_ONLY: u64 = PAGES + 0x103;
const HOLE: u64 = PAGES + 0x104;
const NOT_OWN: [u64; 7] = [
    FOREIGN,
    GRANT,
    DEVICE,
    READ_ONLY,
    HOLE,
    1 << 28,
    INVALID - 1,
];

/// Numbers that no view has.
const NONE: [u16; 6] = [4, 9, 10, 16, 0x8001, 0xFFFF];

/// Three views: in the first is a vCPU, and it has something of everything; the second restricts by
/// default; the third is hidden and empty.
struct Scene {
    v: Viewed,
    n: u16,
    restricts: u16,
    hidden: u16,
    vcpus: [Vcpu; 3],
}

impl Scene {
    fn new() -> Self {
        let v = Viewed::plain();
        let (owner, d) = (guest(&v.w, 1), v.d);
        assert_eq!(d.insert(PAGES, 64, ram(0), p2mt::RAM_RW), 0);
        for block in [BLOCK, NOT_COPIED] {
            assert_eq!(d.insert(block, M2, ram(0) + block, p2mt::RAM_RW), 0);
        }
        assert_eq!(d.insert(FAR, 1, ram(0) + 0x900, p2mt::RAM_RW), 0);
        assert_eq!(d.map_foreign(owner, FOREIGN, ram(1)), 0);
        assert_eq!(d.insert(GRANT, 1, ram(1) + 1, p2mt::GRANT_RW), 0);
        assert_eq!(d.insert(DEVICE, 1, 0x9000, p2mt::MMIO_DEV), 0);
        assert_eq!(d.insert(READ_ONLY, 1, ram(0) + 0x901, p2mt::RAM_RO), 0);
        let (n, hidden) = (v.create(), 3);
        let restricts = v.try_create(P2mAccess::X).unwrap();
        assert_eq!(v.create(), hidden);
        assert_eq!(d.show_view(hidden, false), 0);
        let vcpus = [(0, n), (1, restricts), (2, 0)].map(|(cpu, number)| v.vcpu_in(cpu, number));
        for gfn in [PAGES, PAGES + 1, BLOCK, FOREIGN, GRANT, DEVICE, READ_ONLY] {
            assert!(v.read(0, gfn).is_some());
            assert!(v.w.on_cpu(1, || d.resolve(gfn)));
        }
        assert_eq!(v.set_access(n, PAGES + 2, P2mAccess::R), Ok(()));
        assert_eq!(v.remap(n, PAGES + 3, PAGES + 4), Ok(()));
        assert_eq!(v.set_access(restricts, PAGES + 2, P2mAccess::Rw), Ok(()));
        for cpu in 0..3 {
            v.w.run(cpu, v.w.toolstack(cpu));
        }
        Self {
            v,
            n,
            restricts,
            hidden,
            vcpus,
        }
    }

    /// All that is known of the domain.
    fn everything(&self) -> Everything {
        let (w, d) = (&self.v.w, self.v.d);
        let of_view = |(number, view): (u16, test_harness::View)| OfView {
            number,
            tables: w.view_dump(view),
            default_access: view.default_access(),
            sources: (view.first_source(), view.last_source()),
            vttbr: view.vttbr(),
        };
        Everything {
            host: w.dump(d),
            views: d.views().into_iter().map(of_view).collect(),
            use_of_views: d.use_of_views(),
            vcpus: self.vcpus.map(Vcpu::view),
            memory: (self.v.used(), d.pool_pages(), w.heap_in_use()),
            statistics: (d.mapping_stats(), d.shattered_stats()),
            accesses: (d.default_access(), d.mem_access_enabled()),
            references: w.references_of(&[ram(0), ram(0) + 4, ram(1), ram(1) + 1]),
            fate: w.fate(d),
        }
    }

    /// The call is refused with that error, and has changed nothing.
    #[track_caller]
    fn refuses(&self, what: &str, call: impl FnOnce(&Self) -> i64, error: i32) {
        let before = self.everything();
        assert_eq!(call(self), error.into(), "{what}");
        before.is_still(&self.everything(), what);
        self.v.w.check();
    }

    /// The same, and it has not stored or invalidated anything meanwhile either.
    #[track_caller]
    fn refuses_at_once(&self, what: &str, call: impl FnOnce(&Self) -> i64, error: i32) {
        self.v.w.clear_events();
        self.refuses(what, call, error);
        assert_eq!(effects(&self.v.w), [], "{what}");
    }

    /// [`Self::refuses_at_once`], for each of these numbers.
    #[track_caller]
    fn refuses_each(&self, what: &str, numbers: &[u16], call: fn(&Self, u16) -> i64, error: i32) {
        for &number in numbers {
            let what = format!("{what}, view {number:#x}");
            self.refuses_at_once(&what, |s| call(s, number), error);
        }
    }
}

#[derive(Debug, PartialEq)]
struct OfView {
    number: u16,
    tables: Vec<DumpedTable>,
    default_access: u32,
    sources: (u64, u64),
    vttbr: u64,
}

#[derive(Debug, PartialEq)]
struct Everything {
    host: Vec<DumpedTable>,
    views: Vec<OfView>,
    use_of_views: (bool, u16),
    vcpus: [u16; 3],
    memory: (u64, u64, u64),
    statistics: ([u64; 4], [u64; 4]),
    accesses: (u32, bool),
    references: Vec<u64>,
    fate: (u32, Vec<u8>),
}

impl Everything {
    /// Says first what is small.
    #[track_caller]
    fn is_still(&self, now: &Self, what: &str) {
        let numbers = |all: &Self| all.views.iter().map(|v| v.number).collect::<Vec<_>>();
        assert_eq!(numbers(self), numbers(now), "{what}");
        let rest = |all: &Self| {
            let (used, vcpus, memory) = (all.use_of_views, all.vcpus, all.memory);
            (used, vcpus, memory, all.statistics, all.accesses)
        };
        assert_eq!(rest(self), rest(now), "{what}");
        for (view, now) in self.views.iter().zip(&now.views) {
            assert_eq!(view, now, "{what}");
        }
        assert_eq!(self, now, "{what}");
    }
}

#[test]
fn a_call_that_names_no_view_changes_nothing() {
    let s = Scene::new();
    let no_host = [&NONE[..], &[0]].concat();
    s.refuses_each(
        "destroy",
        &no_host,
        |s, n| s.v.d.destroy_view(n).into(),
        EBUSY,
    );
    s.refuses_each("switch", &NONE, |s, n| s.v.d.switch_view(n).into(), EINVAL);
    let answer = |s: &Scene, n| s.vcpus[0].switch_view(n).into();
    s.refuses_each("an answer", &NONE, answer, EINVAL);
    s.refuses_each("show", &NONE, show, EINVAL);
    s.refuses_each("hide", &NONE, hide, EINVAL);
    let set = |s: &Scene, n| s.v.d.set_access_in_view(n, PAGES, access::N);
    s.refuses_each("an access", &NONE, set, EINVAL);
    let range = |s: &Scene, n| s.v.d.set_accesses_in_view(n, PAGES, (9, 0, 0), access::N);
    s.refuses_each("accesses", &NONE, range, EINVAL);
    let shown = |s: &Scene, n| s.v.d.change_gfn(n, PAGES, PAGES + 1).into();
    s.refuses_each("another frame", &no_host, shown, EINVAL);
    let restored = |s: &Scene, n| s.v.d.restore_gfn(n, PAGES + 3).into();
    s.refuses_each("its own frame", &no_host, restored, EINVAL);
    s.refuses_each("get", &NONE, |s, n| gets(s, n, PAGES), EINVAL);
}

fn show(s: &Scene, number: u16) -> i64 {
    s.v.d.show_view(number, true).into()
}

fn hide(s: &Scene, number: u16) -> i64 {
    s.v.d.show_view(number, false).into()
}

/// Of a failure no access is told.
fn gets(s: &Scene, number: u16, gfn: u64) -> i64 {
    let (rc, access) = s.v.d.access_in_view(number, gfn);
    assert_eq!(access == u32::MAX, rc != 0);
    rc.into()
}

#[test]
fn a_call_that_may_not_be_made_now_changes_nothing() {
    let s = Scene::new();
    let used = [s.n, s.restricts];
    s.refuses_each("destroy", &used, |s, n| s.v.d.destroy_view(n).into(), EBUSY);
    let switch = |s: &Scene, n| s.v.d.switch_view(n).into();
    s.refuses_each("switch to what is hidden", &[s.hidden], switch, EINVAL);
    assert_eq!(s.v.d.show_view(0, false), 0);
    s.refuses_each("switch to a hidden host", &[0], switch, EINVAL);
    for bad in [access::DEFAULT + 1, 16, 0xFFFF, u32::MAX] {
        let create = |s: &Scene| s.v.d.create_view(bad).map_or_else(i64::from, i64::from);
        s.refuses_at_once("create with no access", create, EINVAL);
        for number in [s.n, s.restricts, s.hidden] {
            let set = |s: &Scene| s.v.d.set_access_in_view(number, PAGES, bad);
            s.refuses_at_once("no access", set, EINVAL);
            let range = |s: &Scene| s.v.d.set_accesses_in_view(number, PAGES, (9, 0, 0), bad);
            s.refuses_at_once("no access of a range", range, EINVAL);
        }
    }
    for number in [s.n, s.restricts, s.hidden] {
        let default = |s: &Scene| s.v.d.set_access_in_view(number, INVALID, access::R);
        s.refuses_at_once("a view's default", default, EINVAL);
        for gfn in [HOLE, 1 << 28, INVALID - 1] {
            s.refuses_at_once("get of a hole", |s| gets(s, number, gfn), ESRCH);
            let set = |s: &Scene| s.v.d.set_access_in_view(number, gfn, access::N);
            s.refuses_at_once("an access of a hole", set, 0);
            let restored = |s: &Scene| s.v.d.restore_gfn(number, gfn).into();
            s.refuses_at_once("a hole that is shown", restored, 0);
        }
    }
    // All numbers are taken.
    while s.v.d.create_view(access::RWX).is_ok() {}
    let create = |s: &Scene| {
        s.v.d
            .create_view(access::RWX)
            .map_or_else(i64::from, i64::from)
    };
    s.refuses_at_once("one view too many", create, EINVAL);
}

/// Whether it would be copied, was copied, or is shown elsewhere already.
#[test]
fn a_frame_that_may_not_be_shown_or_show_another_is_left_as_it_is() {
    let s = Scene::new();
    for number in [s.n, s.restricts, s.hidden] {
        for bad in NOT_OWN {
            for own in [PAGES, PAGES + 3, PAGES + 9, BLOCK + 5, NOT_COPIED, FAR] {
                let shown = |s: &Scene| s.v.d.change_gfn(number, own, bad).into();
                s.refuses_at_once(&format!("{bad:#x} at {own:#x}"), shown, ESRCH);
                let shows = |s: &Scene| s.v.d.change_gfn(number, bad, own).into();
                s.refuses_at_once(&format!("{own:#x} at {bad:#x}"), shows, ESRCH);
            }
            let both = |s: &Scene| s.v.d.change_gfn(number, bad, bad).into();
            s.refuses_at_once(&format!("{bad:#x} at itself"), both, ESRCH);
        }
        let no_frame = |s: &Scene| s.v.d.change_gfn(number, INVALID, PAGES).into();
        s.refuses_at_once("a page at no frame", no_frame, ESRCH);
    }
}

/// All that is asked for takes a table, and of what is there every table has something that was set.
#[test]
fn a_call_for_which_there_is_no_memory_changes_nothing() {
    let s = Scene::new();
    assert_eq!(s.v.d.set_pool(s.v.used()), 0);
    type Call = (&'static str, fn(&Scene, u16, u64) -> i64);
    let calls: [Call; 4] = [
        ("access", |s, n, gfn| {
            s.v.d.set_access_in_view(n, gfn, access::N)
        }),
        ("accesses", |s, n, gfn| {
            s.v.d.set_accesses_in_view(n, gfn, (3, 0, 0), access::N)
        }),
        ("frame", |s, n, gfn| s.v.d.change_gfn(n, gfn, PAGES).into()),
        ("block's", |s, n, gfn| {
            s.v.d.change_gfn(n, gfn, BLOCK + 1).into()
        }),
    ];
    for (what, call) in calls {
        for number in [s.n, s.restricts, s.hidden] {
            for gfn in [BLOCK + 5, NOT_COPIED, NOT_COPIED + M2 - 1, FAR] {
                let what = format!("{what}, view {number}, {gfn:#x}");
                s.refuses(&what, |s| call(s, number, gfn), ENOMEM);
            }
        }
    }
    for n in [1, 2] {
        let create = |s: &Scene| {
            s.v.w.fail_allocation(Some(n));
            s.v.d
                .create_view(access::R)
                .map_or_else(i64::from, i64::from)
        };
        s.refuses("create", create, ENOMEM);
        s.v.w.fail_allocation(None);
    }
    // And a guest goes on with what it has.
    s.v.w.run(0, s.vcpus[0]);
    assert_eq!(s.v.w.guest_reads(0, ipa(PAGES + 3)), Some(ipa(ram(0) + 4)));
    assert_eq!(
        s.v.w.guest_reads(0, ipa(BLOCK + 5)),
        Some(ipa(ram(0) + BLOCK + 5))
    );
}

#[test]
fn a_dying_domain_is_given_nothing_and_loses_nothing_by_being_refused() {
    let s = Scene::new();
    s.v.d.set_dying_state(1);
    let create = |s: &Scene| {
        s.v.d
            .create_view(access::RWX)
            .map_or_else(i64::from, i64::from)
    };
    s.refuses_at_once("create", create, ENOMEM);
    for number in [s.n, s.restricts, s.hidden] {
        for gfn in [
            PAGES,
            PAGES + 2,
            PAGES + 9,
            BLOCK + 5,
            NOT_COPIED,
            FAR,
            HOLE,
        ] {
            let set = |s: &Scene| s.v.d.set_access_in_view(number, gfn, access::N);
            s.refuses_at_once("an access", set, ENOMEM);
            let shown = |s: &Scene| s.v.d.change_gfn(number, gfn, PAGES + 7).into();
            s.refuses_at_once("another frame", shown, ENOMEM);
        }
    }
    s.refuses_at_once("it uses views", |s| s.v.d.use_views(true).into(), 0);
}

#[test]
fn a_domain_that_uses_no_views_is_refused_all_calls_and_stays_as_it_is() {
    let s = Scene::new();
    assert_eq!(s.v.d.use_views(false), 0);
    let all = [&NONE[..], &[0, s.n, s.restricts, s.hidden]].concat();
    let create = |s: &Scene| {
        s.v.d
            .create_view(access::RWX)
            .map_or_else(i64::from, i64::from)
    };
    s.refuses_at_once("create", create, EOPNOTSUPP);
    s.refuses_each(
        "destroy",
        &all,
        |s, n| s.v.d.destroy_view(n).into(),
        EOPNOTSUPP,
    );
    s.refuses_each(
        "switch",
        &all,
        |s, n| s.v.d.switch_view(n).into(),
        EOPNOTSUPP,
    );
    let answer = |s: &Scene, n| s.vcpus[1].switch_view(n).into();
    s.refuses_each("an answer", &all, answer, EOPNOTSUPP);
    s.refuses_each("show", &all, show, EOPNOTSUPP);
    s.refuses_each("hide", &all, hide, EOPNOTSUPP);
    let shown = |s: &Scene, n| s.v.d.change_gfn(n, PAGES, PAGES + 1).into();
    s.refuses_each("another frame", &all, shown, EOPNOTSUPP);
    let restored = |s: &Scene, n| s.v.d.restore_gfn(n, PAGES).into();
    s.refuses_each("its own frame", &all, restored, EOPNOTSUPP);
    // (View 0 of these two is the host p2m's own.)
    let views: Vec<u16> = all.into_iter().filter(|n| *n != 0).collect();
    let set = |s: &Scene, n| s.v.d.set_access_in_view(n, PAGES, access::N);
    s.refuses_each("an access", &views, set, EINVAL);
    s.refuses_each("get", &views, |s, n| gets(s, n, PAGES), EINVAL);
    s.refuses_at_once("stop", |s| s.v.d.use_views(false).into(), 0);
}

/// The host p2m is looked at before the views forget: what is refused there costs them nothing.
#[test]
fn a_removal_that_the_host_p2m_refuses_leaves_views_alone() {
    let s = Scene::new();
    let named = ram(0) + 0x77;
    for (gfn, order) in [
        (PAGES + 3, 0),
        (HOLE, 0),
        (DEVICE, 0),
        (FAR + M2, 0),
        (BLOCK, 9),
    ] {
        let remove = |s: &Scene| s.v.d.remove_page(gfn, named, order).into();
        s.refuses_at_once(&format!("removal of {gfn:#x}"), remove, errno::EILSEQ);
    }
}

/// XSA-410, also where a change of the host's goes on from one table to the next, or splits a block.
#[test]
fn the_host_p2m_of_a_dying_domain_with_views_does_not_change() {
    let s = Scene::new();
    s.v.d.set_dying_state(1);
    // From one table into the next.
    let (at, mfn) = (PAGES + M2 - 12, ram(0) + 0x900);
    s.refuses_at_once(
        "pages",
        |s| s.v.d.insert(at, 20, mfn, p2mt::RAM_RW).into(),
        ENOMEM,
    );
    let set = |s: &Scene| {
        s.v.d
            .set_entry(at, 20, mfn, p2mt::RAM_RW, access::RWX)
            .into()
    };
    s.refuses_at_once("pages, by p2m_set_entry", set, ENOMEM);
    s.refuses_at_once(
        "a page of a block",
        |s| s.v.d.insert(BLOCK + 5, 1, mfn, p2mt::RAM_RW).into(),
        ENOMEM,
    );
    s.refuses_at_once(
        "a hole in a block",
        |s| s.v.d.remove(BLOCK + 5, 1, ram(0) + BLOCK + 5).into(),
        ENOMEM,
    );
    let clear = |s: &Scene| {
        s.v.d
            .set_entry(BLOCK + 5, 1, INVALID, 0, access::RWX)
            .into()
    };
    s.refuses_at_once("a hole in a block, by p2m_set_entry", clear, ENOMEM);
}

/// As without views.
#[test]
fn a_change_of_the_hosts_of_no_frames_changes_nothing() {
    let s = Scene::new();
    assert_eq!(s.v.d.set_pool(s.v.used()), 0);
    for gfn in [PAGES + 5, BLOCK + 5, NOT_COPIED, HOLE] {
        let what = format!("at {gfn:#x}");
        let insert = |s: &Scene| s.v.d.insert(gfn, 0, ram(0) + 0x900, p2mt::RAM_RW).into();
        s.refuses_at_once(&what, insert, 0);
        s.refuses_at_once(
            &what,
            |s| s.v.d.set_entry(gfn, 0, INVALID, 0, access::RWX).into(),
            0,
        );
    }
}
