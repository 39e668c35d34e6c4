// SPDX-License-Identifier: GPL-2.0-only
//! A guest with views and with devices behind an IOMMU that walks its stage 2: devices come to what
//! the host p2m maps; an IOMMU is told what changes in the host p2m, and nothing of what changes in
//! views; and where an IOMMU reads memory past the caches, the entries of the host p2m are cleaned,
//! and those of views are not.

#![cfg(config_altp2m)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;

use common::identity::frames_told;
use common::views::{ipa, Viewed};
use common::{access, behind, errno, guest, p2mt, ram, world, M2};
use p2m_rs::types::access::P2mAccess;
use test_harness::{pte, Config, Domain, Event, Iommu, INVALID};
use xen_sys::{npfec, XS_IOMMU_FLUSHF_added};

const PAGES: u64 = 0x1000;
const NR_PAGES: u64 = 64;
const BLOCK: u64 = 0x4000;
/// A page of another domain's, and more of those in a block.
const FOREIGN: u64 = 0x2000;
const FOREIGN_BLOCK: u64 = 0x6000;

/// IOMMUs that walk the p2m's tables.
fn sharing() -> impl Iterator<Item = Config> {
    [Iommu::Coherent, Iommu::NonCoherent]
        .map(behind)
        .into_iter()
}

/// Those, and ones with tables of their own, which hear of the p2m's changes all the same.
fn machines() -> impl Iterator<Item = Config> {
    sharing().flat_map(|config| {
        [true, false].map(|iommu_shares_tables| Config {
            iommu_shares_tables,
            ..config
        })
    })
}

struct Scene {
    v: Viewed,
    owner: Domain,
    /// Two views; none, if the guest has none.
    views: Option<(u16, u16)>,
}

impl Scene {
    /// A domain that cannot have views.
    fn without_views(config: Config) -> Self {
        let w = world(config);
        let d = guest(&w, 0);
        Self::of(Viewed { w, d })
    }

    fn of(v: Viewed) -> Self {
        let owner = guest(&v.w, 1);
        let d = v.d;
        assert_eq!(d.insert(PAGES, NR_PAGES, ram(0), p2mt::RAM_RW), 0);
        for block in [BLOCK, BLOCK + M2] {
            assert_eq!(d.insert(block, M2, ram(0) + block, p2mt::RAM_RW), 0);
        }
        assert_eq!(d.map_foreign(owner, FOREIGN, ram(1)), 0);
        v.w.take_references(ram(1) + M2, M2);
        let rc = d.insert(FOREIGN_BLOCK, M2, ram(1) + M2, p2mt::FOREIGN_RW);
        assert_eq!(rc, 0);
        let views = None;
        Self { v, owner, views }
    }

    /// A vCPU in each of two views, on CPU 0 and 1, and one in the host p2m on CPU 2. The views have
    /// copied all there is, and each has something of its own.
    fn with_views(config: Config) -> Self {
        let mut s = Self::of(Viewed::on(config));
        let (n, other) = (s.v.create(), s.v.create());
        for (cpu, number) in [(0, n), (1, other), (2, 0)] {
            s.v.vcpu_in(cpu, number);
            for gfn in [PAGES, BLOCK, BLOCK + M2, FOREIGN, FOREIGN_BLOCK] {
                assert!(s.v.read(cpu, gfn).is_some());
            }
            (PAGES..PAGES + NR_PAGES).for_each(|gfn| assert!(s.v.read(cpu, gfn).is_some()));
        }
        assert_eq!(s.v.set_access(n, PAGES + 20, P2mAccess::R), Ok(()));
        assert_eq!(s.v.set_access(n, BLOCK + 20, P2mAccess::N), Ok(()));
        assert_eq!(s.v.remap(other, PAGES + 21, BLOCK + M2 + 21), Ok(()));
        s.views = Some((n, other));
        s
    }

    /// Where a device comes to, of all frames that are special: to read, and to write.
    fn devices(&self) -> Vec<(u64, Option<u64>, Option<u64>)> {
        let reaches = |gfn, write| self.v.w.device_reaches(self.v.d, gfn, write);
        let pages = PAGES..PAGES + NR_PAGES + 1;
        let blocks = [BLOCK, BLOCK + M2, FOREIGN_BLOCK].into_iter();
        let all = blocks.flat_map(|block| block - 1..block + M2 + 1);
        let all = pages.chain(all).chain([FOREIGN, FOREIGN + 1]);
        all.map(|gfn| (gfn, reaches(gfn, false), reaches(gfn, true)))
            .collect()
    }
}

/// For which frames an IOMMU is told of what is added, and what is changed; and how much is cleaned to memory.
fn told(s: &Scene, call: impl FnOnce()) -> (Vec<(u32, i32, u64, u64)>, usize) {
    s.v.w.clear_events();
    call();
    let (mut flushes, mut cleaned) = (Vec::new(), 0);
    for (_, event) in s.v.w.events() {
        match event {
            Event::IommuFlush { gfn, nr, flags, rc } => flushes.push((gfn, nr, flags, rc)),
            Event::CleanRange { bytes, .. } => cleaned += bytes,
            _ => {}
        }
    }
    (frames_told(&flushes), cleaned)
}

#[test]
fn a_device_comes_to_the_hosts_page_whatever_a_view_shows_hides_or_forbids() {
    for config in sharing() {
        let s = Scene::with_views(config);
        let (n, other) = s.views.unwrap();
        let (before, host) = (s.devices(), s.v.w.dump(s.v.d));
        for number in [n, other] {
            assert_eq!(s.v.set_access(number, PAGES, P2mAccess::N), Ok(()));
            assert_eq!(s.v.set_access(number, BLOCK + 1, P2mAccess::R), Ok(()));
            assert_eq!(s.v.remap(number, PAGES + 2, PAGES + 3), Ok(()));
            assert_eq!(s.v.remap(number, BLOCK + 5, PAGES + 3), Ok(()));
        }
        assert_eq!(s.v.w.guest_reads(0, ipa(PAGES)), None);
        assert_eq!(s.v.read(0, BLOCK + 5), Some(ram(0) + 3));
        let reaches = |gfn, write| s.v.w.device_reaches(s.v.d, gfn, write);
        for (gfn, mfn) in [
            (PAGES, ram(0)),
            (PAGES + 2, ram(0) + 2),
            (BLOCK + 1, ram(0) + BLOCK + 1),
            (BLOCK + 5, ram(0) + BLOCK + 5),
            (FOREIGN, ram(1)),
        ] {
            assert_eq!(reaches(gfn, false), Some(mfn), "{gfn:#x}");
            assert_eq!(reaches(gfn, true), Some(mfn), "{gfn:#x}");
        }
        assert_eq!(s.devices(), before);
        assert_eq!(s.v.w.dump(s.v.d), host);
        // The same when the guest is in another view, and when there is none any more.
        for cpu in 0..3 {
            s.v.w.run(cpu, s.v.w.toolstack(cpu));
        }
        assert_eq!(s.v.d.switch_view(n), 0);
        assert_eq!(s.devices(), before);
        assert_eq!(s.v.d.use_views(false), 0);
        assert_eq!(s.devices(), before);
        s.v.w.check();
    }
}

/// A call on a view, or a guest's fault in one.
type OfView = (&'static str, fn(&Scene, u16));

fn calls_on_views() -> [OfView; 14] {
    [
        ("a page is copied", |s, _| {
            assert_eq!(s.v.forget_remapping(1, PAGES + 1), Ok(()));
            assert_eq!(s.v.read(0, PAGES + 1), Some(ram(0) + 1));
        }),
        ("a block is copied", |s, _| {
            assert_eq!(s.v.forget_remapping(1, BLOCK + M2), Ok(()));
            assert_eq!(s.v.read(0, BLOCK + M2), Some(ram(0) + BLOCK + M2));
        }),
        ("the access of a page", |s, n| {
            assert_eq!(s.v.set_access(n, PAGES, P2mAccess::N), Ok(()));
        }),
        ("the access of a page of a block", |s, n| {
            assert_eq!(s.v.set_access(n, BLOCK + M2 + 3, P2mAccess::R), Ok(()));
        }),
        ("the accesses of a range", |s, n| {
            let range = (64, 0, 0x3F);
            let rc = s.v.d.set_accesses_in_view(n, PAGES, range, access::R);
            assert_eq!(rc, 0);
        }),
        ("a page is shown elsewhere", |s, n| {
            assert_eq!(s.v.remap(n, PAGES + 5, PAGES + 6), Ok(()));
        }),
        ("a page of a block is shown in another", |s, n| {
            assert_eq!(s.v.remap(n, BLOCK + M2 + 5, BLOCK + 6), Ok(()));
        }),
        ("a page is itself again", |s, n| {
            assert_eq!(s.v.forget_remapping(n, PAGES + 20), Ok(()));
        }),
        ("a restriction is lifted", |s, n| {
            let bits = 1 << 1 | 1 << 4 | 2 << 5;
            assert!(s.v.w.permission_fault(ipa(PAGES + 20), 0, npfec { bits }));
            assert_eq!(s.v.access(n, PAGES + 20), Some(P2mAccess::Rwx));
        }),
        ("a vCPU goes on in another view", |s, _| {
            let vcpu = s.v.vcpu_in(3, 0);
            s.v.w.run(3, s.v.w.toolstack(3));
            assert_eq!(vcpu.switch_view(2), 0);
            s.v.w.run(3, vcpu);
            assert_eq!(s.v.read(3, BLOCK + 1), Some(ram(0) + BLOCK + 1));
        }),
        ("a view is created", |s, _| assert_eq!(s.v.create(), 3)),
        ("a view is hidden", |s, n| {
            assert_eq!(s.v.d.show_view(n, false), 0);
        }),
        ("a view is destroyed", |s, n| {
            all_leave(s);
            assert_eq!(s.v.d.switch_view(0), 0);
            assert_eq!(s.v.destroy(n), Ok(()));
        }),
        ("views are not used any more", |s, _| {
            all_leave(s);
            assert_eq!(s.v.d.use_views(false), 0);
        }),
    ]
}

fn all_leave(s: &Scene) {
    for cpu in 0..4 {
        s.v.w.run(cpu, s.v.w.toolstack(cpu));
    }
}

#[test]
fn an_iommu_hears_of_no_change_of_a_view_and_no_entry_of_a_view_is_cleaned() {
    for config in machines() {
        for (what, call) in calls_on_views() {
            let s = Scene::with_views(config);
            let (n, _) = s.views.unwrap();
            let (host, devices) = (s.v.w.dump(s.v.d), s.devices());
            let gaps = s.v.w.device_gaps();
            // Nor can a failure of the IOMMU's be one of the call's.
            s.v.w.fail_iommu(Some(1));
            assert_eq!(told(&s, || call(&s, n)), (Vec::new(), 0), "{what}");
            assert_eq!(s.v.w.iommu_failures(), 0, "{what}");
            assert_eq!(s.v.w.dump(s.v.d), host, "{what}");
            assert_eq!(s.devices(), devices, "{what}");
            assert_eq!(s.v.w.device_gaps(), gaps, "{what}");
            s.v.w.fail_iommu(None);
            s.v.w.check();
        }
    }
}

/// Their pages go to the pool without an IOTLB flush: no device came to them.
#[test]
fn copies_make_room_without_a_word_to_the_iommu() {
    for config in machines() {
        let s = Scene::of(Viewed::on(config));
        assert_eq!(s.v.d.set_pool(256), 0);
        let page = |table: u64| 0x10_0000 + table * M2;
        for table in 0..=40 {
            let rc = s.v.d.insert(page(table), 1, ram(0) + table, p2mt::RAM_RW);
            assert_eq!(rc, 0);
        }
        let n = s.v.create();
        s.v.vcpu_in(0, n);
        for table in 0..40 {
            assert!(s.v.read(0, page(table)).is_some());
        }
        assert_eq!(s.v.d.set_pool(s.v.used()), 0);
        let fault = || assert_eq!(s.v.read(0, page(40)), Some(ram(0) + 40));
        assert_eq!(told(&s, fault), (Vec::new(), 0));
        assert!(s.v.w.view_snapshot(s.v.view(n)).len() < 40);
        s.v.w.check();
    }
}

/// A change of the host's.
type OfHost = (&'static str, fn(&Scene));

fn changes_of_the_host() -> [OfHost; 17] {
    [
        ("a new page", |s| {
            insert(s, PAGES + NR_PAGES, 1, ram(0) + 900)
        }),
        ("a new block", |s| {
            insert(s, 0x10_0000, M2, ram(0) + 16 * M2)
        }),
        ("a page by another", |s| {
            insert(s, PAGES + 3, 1, ram(0) + 900)
        }),
        ("a source by another", |s| {
            insert(s, BLOCK + M2 + 21, 1, ram(0))
        }),
        ("a page by itself", |s| insert(s, PAGES + 3, 1, ram(0) + 3)),
        ("a block by another", |s| {
            insert(s, BLOCK, M2, ram(0) + 16 * M2)
        }),
        ("pages by a block", |s| {
            insert(s, 0x1000, M2, ram(0) + 16 * M2)
        }),
        ("a page of a block by another", |s| {
            insert(s, BLOCK + 7, 1, ram(0))
        }),
        ("a foreign page by one's own", |s| {
            insert(s, FOREIGN, 1, ram(0))
        }),
        ("a page by a foreign one", |s| {
            assert_eq!(s.v.d.map_foreign(s.owner, PAGES + 4, ram(1) + 4), 0);
        }),
        ("a page goes", |s| unmap(s, PAGES + 20, 1)),
        ("a foreign page goes", |s| {
            assert_eq!(s.v.d.remove(FOREIGN, 1, ram(1)), 0);
        }),
        ("a page of a foreign block goes", |s| {
            assert_eq!(s.v.d.remove(FOREIGN_BLOCK + 9, 1, ram(1) + M2 + 9), 0);
        }),
        ("a page of a block goes", |s| {
            assert_eq!(s.v.d.remove(BLOCK + 20, 1, ram(0) + BLOCK + 20), 0);
        }),
        ("all goes", |s| unmap(s, 0, 0x8000)),
        ("a page is restricted, and is not", |s| {
            assert_eq!(s.v.d.set_access(PAGES + 3, 1, 0, access::R), 0);
            assert_eq!(s.v.d.set_access(PAGES + 3, 1, 0, access::RWX), 0);
        }),
        ("a page of a block is restricted", |s| {
            assert_eq!(s.v.d.set_access(BLOCK + 3, 1, 0, access::N), 0);
        }),
    ]
}

fn insert(s: &Scene, gfn: u64, nr: u64, mfn: u64) {
    assert_eq!(s.v.d.insert(gfn, nr, mfn, p2mt::RAM_RW), 0);
}

fn unmap(s: &Scene, gfn: u64, nr: u64) {
    assert_eq!(s.v.d.set_entry(gfn, nr, INVALID, 0, access::RWX), 0);
}

/// Rules P1 to P6 watch that it is told in time and of all, and that what it reads is in memory.
#[test]
fn an_iommu_hears_of_the_hosts_changes_what_it_would_hear_without_views() {
    for config in machines() {
        for (what, change) in changes_of_the_host() {
            // One machine at a time.
            let run = |s: Scene| {
                let (flushes, cleaned) = told(&s, || change(&s));
                s.v.w.check();
                let tables = s.v.w.dump(s.v.d);
                let seen = (flushes, s.devices(), s.v.w.device_gaps(), tables);
                (seen, cleaned)
            };
            let (without, _) = run(Scene::without_views(config));
            let (with, cleaned) = run(Scene::with_views(config));
            assert_eq!(with, without, "{what}");
            let changes = what != "a page by itself";
            assert_eq!(!with.0.is_empty(), changes, "{what}");
            let is_cleaned = changes && config.iommu == Iommu::NonCoherent;
            assert_eq!(cleaned > 0, is_cleaned, "{what}");
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// An entry of a view is cleared, or one of the host's.
    View,
    Host,
    Tlbi,
    Iotlb,
    Put,
}

/// What is done to take a frame out of all tables, in its order; equal neighbours are one.
fn steps(s: &Scene, gfn: u64, call: impl FnOnce()) -> Vec<Step> {
    let table = pte::mfn(s.v.w.entry(s.v.d, gfn, 2));
    s.v.w.clear_events();
    call();
    let step = |event| match event {
        Event::PteStore { mfn, old, new, .. } if old & 1 != 0 && new & 1 == 0 => {
            Some(if mfn == table { Step::Host } else { Step::View })
        }
        Event::TlbiVmid { .. } | Event::TlbiIpa { .. } | Event::TlbiRange { .. } => {
            Some(Step::Tlbi)
        }
        Event::IommuFlush { .. } => Some(Step::Iotlb),
        Event::Put { .. } => Some(Step::Put),
        _ => None,
    };
    let events = s.v.w.events().into_iter();
    let mut steps: Vec<_> = events.filter_map(|(_, event)| step(event)).collect();
    steps.dedup();
    steps
}

#[test]
fn a_page_leaves_the_views_and_their_tlbs_then_the_host_and_the_iotlb_and_is_put_last() {
    for config in machines() {
        let s = Scene::with_views(config);
        let remove = || assert_eq!(s.v.d.remove(FOREIGN, 1, ram(1)), 0);
        let steps = steps(&s, FOREIGN, remove);
        let host = steps.iter().position(|step| *step == Step::Host).unwrap();
        let (of_views, of_host) = steps.split_at(host);
        // Both views, and one flush for both.
        assert_eq!(of_views, [Step::View, Step::Tlbi]);
        assert_eq!(of_host.last(), Some(&Step::Put));
        for flush in [Step::Tlbi, Step::Iotlb] {
            assert!(of_host.contains(&flush), "{of_host:?}");
        }
        assert!(!of_host.contains(&Step::View), "{of_host:?}");
        s.v.w.check();
    }
}

#[test]
fn a_restriction_of_the_hosts_is_the_devices_and_one_in_a_view_is_nobodys_but_its_vcpus() {
    for config in sharing() {
        let s = Scene::with_views(config);
        let (n, _) = s.views.unwrap();
        let device = |gfn| {
            let reaches = |write| s.v.w.device_reaches(s.v.d, gfn, write).is_some();
            (reaches(false), reaches(true))
        };
        for gfn in [PAGES + 3, BLOCK + 3] {
            assert_eq!(s.v.d.set_access(gfn, 1, 0, access::R), 0);
            assert_eq!(device(gfn), (true, false));
            assert!(s.v.w.guest_can(0, ipa(gfn), true), "in a view");
            assert!(!s.v.w.guest_can(2, ipa(gfn), true), "in the host p2m");
            assert_eq!(s.v.set_access(n, gfn, P2mAccess::N), Ok(()));
            assert_eq!(device(gfn), (true, false));
            assert_eq!(s.v.d.set_access(gfn, 1, 0, access::RWX), 0);
            assert_eq!(device(gfn), (true, true));
            assert!(!s.v.w.guest_can(0, ipa(gfn), false), "in a view");
        }
        s.v.w.check();
    }
}

/// The device may still come to it, and no vCPU does.
#[test]
fn a_page_of_which_the_iommu_could_not_be_told_is_kept_and_in_no_view() {
    for config in machines() {
        let s = Scene::with_views(config);
        s.v.w.fail_iommu(Some(1));
        assert_eq!(s.v.d.remove(FOREIGN, 1, ram(1)), errno::EIO);
        assert_eq!(s.v.w.references(ram(1)), 2);
        let (n, other) = s.views.unwrap();
        for (cpu, number) in [(0, n), (1, other)] {
            let copied = s.v.w.view_snapshot(s.v.view(number));
            assert!(!copied.contains_key(&FOREIGN));
            assert_eq!(s.v.w.guest_reads(cpu, ipa(FOREIGN)), None);
        }
        // (A reference without a mapping.)
        assert!(s.v.w.violations().iter().all(|v| v.rule == "R1"));
        s.v.w.abandon();
    }
}

/// A device's fault cannot be resolved, so what vCPUs touch is not tracked, in a view or not.
#[test]
fn devices_come_to_everything_at_once_also_when_the_guest_begins_in_a_view() {
    for config in sharing() {
        let s = Scene::of(Viewed::on(config));
        let n = s.v.create();
        let devices = s.devices();
        assert_eq!(s.v.d.switch_view(n), 0);
        s.v.d.creation_finished();
        assert_eq!(s.devices(), devices);
        s.v.vcpu_in(0, n);
        for gfn in [PAGES, BLOCK + 9, FOREIGN] {
            assert!(s.v.read(0, gfn).is_some());
            assert_eq!(s.devices(), devices);
        }
        s.v.w.check();
    }
}

#[test]
fn a_page_leaves_the_tlbs_of_views_first_whichever_view_has_copied_it() {
    for config in machines() {
        for has_it in [0, 1] {
            let s = Scene::with_views(config);
            let (n, other) = s.views.unwrap();
            let without = [other, n][has_it];
            assert_eq!(s.v.forget_remapping(without, FOREIGN), Ok(()));
            let steps = steps(&s, FOREIGN, || {
                assert_eq!(s.v.d.remove(FOREIGN, 1, ram(1)), 0);
            });
            let host = steps.iter().position(|step| *step == Step::Host);
            assert_eq!(&steps[..host.unwrap()], &[Step::View, Step::Tlbi]);
            s.v.w.check();
        }
    }
}

/// The pages that were mapped before there was no table stay mapped, and a device may come to them.
#[test]
fn an_iommu_hears_of_what_was_mapped_before_a_mapping_found_no_table() {
    for config in sharing() {
        let v = Viewed::on(config);
        assert_eq!(v.d.insert(PAGES, 1, ram(0), p2mt::RAM_RW), 0);
        assert_eq!(v.d.set_pool(v.used()), 0);
        // Half of them are in the table that is there.
        let (gfn, mfn) = (PAGES + M2 / 2, ram(0) + M2);
        assert_eq!(v.d.insert(gfn, M2, mfn, p2mt::RAM_RW), errno::ENOMEM);
        let last = M2 / 2 - 1;
        assert_eq!(v.d.lookup(gfn + last).0, Some(mfn + last));
        assert_eq!(v.d.lookup(gfn + last + 1).0, None);
        v.w.check();
    }
}

/// A range that ends beyond the root is mapped up to there.
#[test]
fn an_iommu_hears_of_what_was_mapped_of_a_range_that_ends_beyond_the_root() {
    for config in sharing() {
        let s = Scene::of(Viewed::on(config));
        let end = 1 << (config.ipa_bits - 12);
        let gfn = end - 600;
        let map = || assert_eq!(s.v.d.insert(gfn, 1200, ram(0), p2mt::RAM_RW), errno::EINVAL);
        let (flushes, _) = told(&s, map);
        assert_eq!(s.v.d.lookup(end - 1).0, Some(ram(0) + 599));
        assert_eq!(flushes, [(XS_IOMMU_FLUSHF_added, 0, gfn, end)]);
        s.v.w.check();
    }
}
