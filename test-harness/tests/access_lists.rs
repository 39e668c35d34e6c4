// SPDX-License-Identifier: GPL-2.0-only
//! `p2m_set_mem_access_multi()`: the accesses of many frames, from two arrays in the memory of
//! the monitor's domain.
//!
//! One rule: the elements are set in order, as by a call of `p2m_set_mem_access()` for each;
//! the first that cannot be set ends the call, and what was set before it stays.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)] // a test may stop on the spot

use std::collections::BTreeSet;

mod common;
use common::{access, count, errno, guest, p2mt, ram, world, G1, M2};
use proptest::prelude::*;
use test_harness::config::XEN_4_20;
use test_harness::symbols::{p2m_set_mem_access_multi, GuestHandle};
use test_harness::{
    Config, Domain, Event, Iommu, LockOp, Preempt, Stage1Entry, Vcpu, Waiting, World,
};
use xen_sys::Facts;

/// Where the monitor has its arrays.
const GFNS: u64 = 0x10_0000;
const ACCESSES: u64 = 0x20_0000;
/// Pages of each array that the monitor maps.
const PAGES: u64 = 3;

/// The mask of the hypercall.
const MASK: u32 = 0x3F;

/// A domain that is watched, and the domain of its monitor, whose vCPU runs.
struct Scene {
    w: World,
    d: Domain,
    /// The vCPU of the monitor's domain.
    v: Vcpu,
    /// Where the elements are, counted in bytes from the start of the first page.
    skip: u64,
}

fn scene_of(config: Config) -> Scene {
    let w = world(config);
    let (d, monitor) = (guest(&w, 0), guest(&w, 1));
    assert_eq!(d.set_pool(256), 0);
    let v = w.vcpu(monitor);
    for (n, gva) in [(0, GFNS), (16, ACCESSES)] {
        for page in 0..PAGES {
            let gfn = 0x4000 + n + page;
            assert_eq!(monitor.insert(gfn, 1, ram(1) + n + page, p2mt::RAM_RW), 0);
            let entry = Stage1Entry {
                gfn,
                writable: false,
            };
            w.stage1_map(v, gva + (page << 12), entry);
        }
    }
    // Pages, blocks, a hole after each, and a block of another size.
    assert_eq!(d.insert(0x400, M2 / 2, ram(0) + 1, p2mt::RAM_RW), 0);
    assert_eq!(d.insert(0x800, M2, ram(0) + M2, p2mt::RAM_RW), 0);
    // What an IOMMU is told of a gigabyte takes the checkers seconds.
    let last = if config.iommu == Iommu::Off { G1 } else { M2 };
    assert_eq!(d.insert(G1, last, ram(0) + G1, p2mt::RAM_RW), 0);
    w.run(0, v);
    Scene { w, d, v, skip: 0 }
}

fn scene() -> Scene {
    scene_of(Config::default())
}

impl Scene {
    /// Writes the arrays.
    fn write(&self, list: &[(u64, u32)]) {
        let gfns = list.iter().flat_map(|(gfn, _)| gfn.to_ne_bytes());
        let accesses = list.iter().map(|&(_, access)| access as u8);
        self.write_at(0, gfns.collect());
        self.write_at(16, accesses.collect());
    }

    fn write_at(&self, n: u64, bytes: Vec<u8>) {
        for (at, byte) in (self.skip as usize..).zip(bytes) {
            let mfn = ram(1) + n + (at as u64 >> 12);
            self.w.write_ram(mfn, at % 4096, &[byte]);
        }
    }

    /// One call, with the arrays where `write` has put them.
    fn call(&self, nr: u32, start: u32) -> i64 {
        self.call_with(GFNS + self.skip, ACCESSES + self.skip, nr, start, 0)
    }

    fn call_with(&self, gfns: u64, accesses: u64, nr: u32, start: u32, view: u32) -> i64 {
        self.call_masked(gfns, accesses, nr, start, MASK, view)
    }

    fn call_masked(
        &self,
        gfns: u64,
        accesses: u64,
        nr: u32,
        start: u32,
        mask: u32,
        view: u32,
    ) -> i64 {
        let array = |gva: u64| GuestHandle {
            pointer: std::ptr::without_provenance(gva as usize),
        };
        let (d, gfns, accesses) = (self.d.pointer(), array(gfns), array(accesses));
        let rc = self.w.as_call("p2m_set_mem_access_multi", || {
            // SAFETY: the domain is alive; the arrays are addresses of a guest's.
            unsafe { p2m_set_mem_access_multi(d, gfns, accesses, nr, start, mask, view) }
        });
        self.w.check();
        rc
    }

    /// The call, continued until it is through, as the hypercall does it. Returns the places
    /// where it stopped as well.
    fn set(&self, list: &[(u64, u32)]) -> (i64, Vec<u32>) {
        self.write(list);
        let mut stops = Vec::new();
        loop {
            match self.call(list.len() as u32, stops.last().copied().unwrap_or(0)) {
                rc if rc > 0 => stops.push(u32::try_from(rc).unwrap()),
                rc => return (rc, stops),
            }
        }
    }

    /// The same by a call for each element.
    fn set_one_by_one(&self, list: &[(u64, u32)]) {
        for &(gfn, access) in list {
            assert_eq!(self.d.set_access(gfn, 1, 0, access), 0);
        }
    }

    /// What the guest may do with each of these frames, and what is mapped there.
    fn seen(&self, gfns: impl Iterator<Item = u64>) -> Vec<String> {
        let one = |gfn| {
            let entry = self.d.get_entry(gfn);
            format!("{gfn:#x}: {:?} {:?}", self.d.access(gfn), entry.mfn)
        };
        gfns.map(one).collect()
    }
}

/// A list of `nr` mapped frames, no two alike.
fn long(nr: u64) -> Vec<(u64, u32)> {
    let frame = |n| if n % 2 == 0 { 0x800 + n } else { G1 + n * 3 };
    (0..nr)
        .map(|n| (frame(n), (n % 7) as u32))
        .collect::<Vec<_>>()
}

#[test]
fn each_frame_of_a_list_gets_its_own_access() {
    for r_pw in [false, true] {
        let s = scene_of(Config {
            release: Facts { r_pw, ..XEN_4_20 },
            ..Config::default()
        });
        let last = if r_pw { access::R_PW } else { access::N2RWX };
        let list = (access::N..=last).map(|access| (0x900 - u64::from(access), access));
        let list = list.collect::<Vec<_>>();
        assert_eq!(s.set(&list), (0, vec![]));
        for &(gfn, access) in &list {
            assert_eq!(s.d.access(gfn), (0, access));
        }
        assert_eq!(s.d.access(0x8FF - u64::from(last)), (0, access::RWX));
    }
}

#[test]
fn an_element_may_ask_for_the_default_access() {
    let s = scene();
    assert_eq!(s.d.set_access(u64::MAX, 0, 0, access::RX), 0);
    let list = [
        (0x401, access::DEFAULT),
        (0x402, access::R),
        (0x403, access::DEFAULT),
    ];
    assert_eq!(s.set(&list), (0, vec![]));
    let found = [0x401, 0x402, 0x403].map(|gfn| s.d.access(gfn).1);
    assert_eq!(found, [access::RX, access::R, access::RX]);
}

#[test]
fn of_a_frame_that_is_twice_in_a_list_the_last_element_counts() {
    let s = scene();
    let list = [
        (0x401, access::N),
        (0x402, access::R),
        (0x401, access::RW),
        (0x402, access::N),
        (0x402, access::RX),
    ];
    assert_eq!(s.set(&list), (0, vec![]));
    assert_eq!(s.d.access(0x401), (0, access::RW));
    assert_eq!(s.d.access(0x402), (0, access::RX));
}

#[test]
fn frames_where_nothing_is_mapped_are_skipped() {
    let s = scene();
    let list = [0x3FF, 0x401, 0x700, 0x802, 3 * G1].map(|gfn| (gfn, access::R));
    assert_eq!(s.set(&list), (0, vec![]));
    assert_eq!(s.d.access(0x401), (0, access::R));
    assert_eq!(s.d.access(0x802), (0, access::R));
    assert_eq!(s.d.access(0x700).0, errno::ESRCH);
}

#[test]
fn a_list_without_elements_left_reads_nothing() {
    for (nr, start) in [(0, 0), (64, 64), (64, 128), (3, u32::MAX)] {
        let s = scene();
        s.w.clear_events();
        assert_eq!(s.call(nr, start), 0);
        assert_eq!(count(&s.w, |event| !matches!(event, Event::Isb)), 0);
    }
}

#[test]
fn a_list_stops_only_at_multiples_of_64_that_it_has_passed() {
    let s = scene();
    let list = long(200);
    s.w.preempt(Preempt::Always);
    assert_eq!(s.set(&list), (0, vec![64, 128, 192]));
    for &(gfn, access) in &list {
        assert_eq!(s.d.access(gfn), (0, access));
    }
}

/// The hypercall can name no other place.
#[test]
fn a_list_that_began_elsewhere_stops_at_multiples_of_64() {
    for start in [1, 63, 65, 70, 127] {
        let s = scene();
        s.write(&long(200));
        s.w.preempt(Preempt::Always);
        let next = i64::from(start / 64 * 64 + 64);
        assert_eq!(s.call(200, start), next);
    }
}

#[test]
fn a_list_does_not_stop_when_the_last_element_is_done() {
    let s = scene();
    s.w.preempt(Preempt::Always);
    assert_eq!(s.set(&long(128)), (0, vec![64]));
}

#[test]
fn a_list_that_is_continued_begins_with_the_element_that_is_named() {
    let s = scene();
    let list = long(100);
    s.write(&list);
    assert_eq!(s.call(100, 70), 0);
    let (before, after) = list.split_at(70);
    for &(gfn, _) in before {
        assert_eq!(s.d.access(gfn), (0, access::RWX));
    }
    for &(gfn, access) in after {
        assert_eq!(s.d.access(gfn), (0, access));
    }
}

#[test]
fn up_to_64_elements_are_one_lock_and_one_flush() {
    for (nr, batches) in [(1, 1), (64, 1), (65, 2), (128, 2), (130, 3)] {
        let s = scene();
        // Each block that is split needs a flush of its own, between break and make.
        let mut list = long(nr);
        assert_eq!(s.set(&list), (0, vec![]));
        list.iter_mut()
            .for_each(|element| element.1 = 6 - element.1);
        s.write(&list);
        s.w.clear_events();
        assert_eq!(s.call(nr as u32, 0), 0);
        let locked = |event: &Event| {
            matches!(
                event,
                Event::Lock {
                    op: LockOp::Write,
                    ..
                }
            )
        };
        assert_eq!(count(&s.w, locked), batches, "{nr} elements");
        let flush = |event: &Event| {
            use Event::{TlbiIpa, TlbiRange, TlbiVmid};
            matches!(event, TlbiVmid { .. } | TlbiIpa { .. } | TlbiRange { .. })
        };
        assert_eq!(count(&s.w, flush), batches, "{nr} elements");
    }
}

/// A gigabyte that is shattered in as many places as a list has elements before it may stop.
#[test]
fn a_list_may_split_a_block_with_each_element() {
    let s = scene();
    let list = (0..64)
        .map(|n| (G1 + n * M2 + 7, access::R))
        .collect::<Vec<_>>();
    assert_eq!(s.set(&list), (0, vec![]));
    for &(gfn, _) in &list {
        assert_eq!(s.d.access(gfn), (0, access::R));
        assert_eq!(s.d.access(gfn + 1), (0, access::RWX));
    }
}

#[test]
fn neighbours_with_one_access_merge_a_table_as_a_range_does() {
    let s = scene();
    assert_eq!(s.d.set_access(0x800, M2 as u32, 0, access::R), 0);
    let lift = (0..M2)
        .map(|n| (0x800 + n, access::RWX))
        .collect::<Vec<_>>();
    assert_eq!(s.set(&lift), (0, vec![]));
    assert_eq!(s.d.get_entry(0x800).order, 9);
}

/// What ends a list of 100 elements at one of them.
#[derive(Debug, Clone, Copy)]
enum Bad {
    /// No access has this value.
    Access(u32),
    /// There is no such frame.
    Frame(u64),
}

#[test]
fn the_first_element_that_makes_no_sense_ends_the_call() {
    let no_frames = [u64::MAX, 1 << 52, (1 << 52) - 1, 1 << 36, 1 << 28];
    let no_accesses = [access::DEFAULT + 1, 0x7F, 0x80, 0xFF];
    let all = no_accesses
        .map(Bad::Access)
        .into_iter()
        .chain(no_frames.map(Bad::Frame));
    for bad in all {
        for at in [0, 1, 30, 63, 64, 99] {
            let s = scene();
            let mut list = long(100);
            match bad {
                Bad::Access(access) => list[at].1 = access,
                Bad::Frame(gfn) => list[at].0 = gfn,
            }
            assert_eq!(s.set(&list), (errno::EINVAL.into(), vec![]), "{bad:?}");
            for (n, &(gfn, access)) in long(100).iter().enumerate() {
                let expected = if n < at { access } else { access::RWX };
                let found = s.d.access(gfn);
                assert_eq!(found, (0, expected), "{bad:?} at {at}: element {n}");
            }
        }
    }
}

/// The limit is that of the root, in the middle of neighbours too.
#[test]
fn the_last_frame_of_the_address_space_is_one_and_the_next_is_none() {
    for ipa_bits in common::SIZES {
        let config = Config {
            ipa_bits,
            ..Config::default()
        };
        let limit = config.gfn_limit();
        let s = scene_of(config);
        assert_eq!(s.d.insert(limit - 1, 1, ram(0), p2mt::RAM_RW), 0);
        let list = [limit - 2, limit - 1, limit, limit + 1].map(|gfn| (gfn, access::R));
        assert_eq!(s.set(&list), (errno::EINVAL.into(), vec![]), "{ipa_bits}");
        assert_eq!(s.d.access(limit - 1), (0, access::R));
    }
}

#[test]
fn invalid_gfn_in_a_list_is_not_the_default_access() {
    let s = scene();
    assert_eq!(s.set(&[(u64::MAX, access::N)]).0, errno::EINVAL.into());
    assert_eq!(s.d.access(u64::MAX), (0, access::RWX));
}

/// The arrays end in a page that the monitor has not mapped, at each place in an element.
#[test]
fn the_first_element_that_cannot_be_read_ends_the_call() {
    for short in 0..24 {
        let mut s = scene();
        // The third page ends `short` bytes after the fifth element begins.
        s.skip = PAGES * 4096 - 4 * 8 - short;
        let list = long(10);
        let readable = (4 + short / 8).min(10) as usize;
        s.write(&list[..readable]);
        // The accesses are all there: they are bytes.
        let accesses = list.iter().map(|&(_, access)| access as u8).collect();
        let gfn_skip = std::mem::replace(&mut s.skip, 0);
        s.write_at(16, accesses);
        let rc = s.call_with(GFNS + gfn_skip, ACCESSES, 10, 0, 0);
        assert_eq!(rc, errno::EFAULT.into(), "{short}");
        for (n, &(gfn, access)) in list.iter().enumerate() {
            let expected = if n < readable { access } else { access::RWX };
            assert_eq!(s.d.access(gfn), (0, expected), "{short}: element {n}");
        }
    }
}

#[test]
fn an_element_without_a_readable_access_ends_the_call() {
    let s = scene();
    let list = long(64);
    // Ten accesses fit before the end of what is mapped; the frames are all there.
    let gfns = list.iter().flat_map(|(gfn, _)| gfn.to_ne_bytes()).collect();
    s.write_at(0, gfns);
    let last = ram(1) + 16 + PAGES - 1;
    let accesses = list.iter().map(|&(_, access)| access as u8);
    s.w.write_ram(last, 4096 - 10, &accesses.take(10).collect::<Vec<_>>());
    let rc = s.call_with(GFNS, ACCESSES + PAGES * 4096 - 10, 64, 0, 0);
    assert_eq!(rc, errno::EFAULT.into());
    for (n, &(gfn, access)) in list.iter().enumerate() {
        let expected = if n < 10 { access } else { access::RWX };
        assert_eq!(s.d.access(gfn), (0, expected), "element {n}");
    }
}

/// An element that makes no sense comes before one that cannot be read.
#[test]
fn of_two_errors_the_first_element_s_is_reported() {
    let mut s = scene();
    s.skip = PAGES * 4096 - 4 * 8;
    let mut list = long(4);
    list[2].1 = 77;
    s.write(&list);
    assert_eq!(s.call(10, 0), errno::EINVAL.into());
    assert_eq!(s.d.access(list[1].0), (0, list[1].1));
    assert_eq!(s.d.access(list[3].0), (0, access::RWX));
}

/// Every place of a list at which table pages may run out.
#[test]
fn out_of_memory_what_was_set_before_stays_and_nothing_after_it_is() {
    let list = (0..40)
        .map(|n| (G1 + n * M2 + 7, access::R))
        .collect::<Vec<_>>();
    for pool in 8..30 {
        let s = scene();
        let used = 256 - s.w.free_pool_pages(s.d);
        assert_eq!(s.d.set_pool(used + pool), 0);
        assert_eq!(s.set(&list), (errno::ENOMEM.into(), vec![]), "{pool} pages");
        let set = list
            .iter()
            .filter(|&&(gfn, _)| s.d.access(gfn) == (0, access::R));
        let set = set.count();
        // The first element takes a table of 2 MiB blocks, and each a table of pages.
        assert_eq!(set as u64, pool - 1, "{pool} pages");
        assert_eq!(s.d.access(list[set - 1].0), (0, access::R));
        // With more memory the caller may begin again.
        assert_eq!(s.d.set_pool(256), 0);
        assert_eq!(s.set(&list), (0, vec![]));
    }
}

#[test]
fn nothing_is_set_in_a_dying_domain() {
    let s = scene();
    s.d.set_dying_state(1);
    assert_eq!(s.set(&long(3)), (errno::ENOMEM.into(), vec![]));
    assert!(long(3)
        .iter()
        .all(|&(gfn, _)| s.d.access(gfn) == (0, access::RWX)));
}

#[test]
fn a_view_other_than_the_first_is_refused() {
    let s = scene();
    s.write(&[(0x401, access::N)]);
    assert_eq!(s.call_with(GFNS, ACCESSES, 1, 0, 1), errno::EINVAL.into());
    assert_eq!(s.d.access(0x401), (0, access::RWX));
}

/// The scene with a view of the watched domain, whose number is returned.
#[cfg(config_altp2m)]
fn scene_in_view() -> (Scene, u16) {
    let s = scene();
    s.w.allow_views(s.d);
    assert_eq!(s.d.use_views(true), 0);
    let n = s.d.create_view(access::RWX).unwrap();
    (s, n)
}

#[cfg(config_altp2m)]
#[test]
fn a_list_for_a_view_is_set_there_and_nowhere_else() {
    let (s, n) = scene_in_view();
    let other = s.d.create_view(access::RWX).unwrap();
    // What XENMEM_access_default means is the host's, not the view's.
    assert_eq!(s.d.set_access(!0, 1, 0, access::RX), 0);
    let mut list = long(150);
    list[70].1 = access::DEFAULT;
    list[71].0 = list[0].0;
    // Nothing is mapped there.
    list[72].0 = 0x700;
    s.write(&list);
    s.w.preempt(Preempt::Always);
    assert_eq!(s.call_with(GFNS, ACCESSES, 150, 0, n.into()), 64);
    assert_eq!(s.call_with(GFNS, ACCESSES, 150, 64, n.into()), 128);
    assert_eq!(s.call_with(GFNS, ACCESSES, 150, 128, n.into()), 0);
    for (i, &(gfn, access)) in list.iter().enumerate() {
        let expected = match i {
            0 => (0, list[71].1),
            70 => (0, access::RX),
            72 => (errno::ESRCH, access::RX),
            _ => (0, access),
        };
        let found = s.d.access_in_view(n, gfn);
        assert_eq!(found.0, expected.0, "element {i}");
        assert!(
            found.0 != 0 || found.1 == expected.1,
            "element {i}: {found:?}"
        );
        if i != 72 {
            assert_eq!(s.d.access(gfn), (0, access::RWX), "element {i}");
            assert_eq!(
                s.d.access_in_view(other, gfn),
                (0, access::RWX),
                "element {i}"
            );
        }
    }
    s.w.check();
}

#[cfg(config_altp2m)]
#[test]
fn the_first_error_of_a_list_for_a_view_ends_it() {
    let beyond = Config::default().gfn_limit();
    for (gfn, access) in [
        (0x801, 77),
        (!0, access::R),
        (beyond, access::R),
        (1 << 40, access::R),
    ] {
        let (s, n) = scene_in_view();
        s.write(&[(0x800, access::R), (gfn, access), (0x802, access::N)]);
        let rc = s.call_with(GFNS, ACCESSES, 3, 0, n.into());
        assert_eq!(rc, errno::EINVAL.into(), "{gfn:#x}");
        assert_eq!(s.d.access_in_view(n, 0x800), (0, access::R));
        assert_eq!(s.d.access_in_view(n, 0x802), (0, access::RWX));
    }
}

/// Even an empty list: that there is no such view is said before the list is read, as on x86.
#[cfg(config_altp2m)]
#[test]
fn a_list_for_no_view_is_refused_unread() {
    let (s, n) = scene_in_view();
    // Nobody can read a list there.
    let refused = |view| {
        for nr in [0, 1] {
            let rc = s.call_with(0, 0, nr, 0, view);
            assert_eq!(rc, errno::EINVAL.into(), "{view:#x}");
        }
    };
    let existing = u32::from(n);
    for view in [existing + 1, 10, 0xffff, 1 << 16, 1 << 16 | existing] {
        refused(view);
    }
    assert_eq!(s.call_with(0, 0, 0, 0, existing), 0);
    assert_eq!(s.call_with(0, 0, 1, 0, existing), errno::EFAULT.into());
    assert_eq!(s.d.use_views(false), 0);
    refused(existing);
}

#[test]
fn without_the_option_a_list_is_refused_unread() {
    let s = scene_of(Config {
        release: Facts {
            set_access_multi: false,
            ..XEN_4_20
        },
        ..Config::default()
    });
    s.write(&[(0x401, access::N)]);
    s.w.clear_events();
    assert_eq!(s.call(1, 0), errno::EOPNOTSUPP.into());
    assert_eq!(count(&s.w, |_| true), 0);
    assert_eq!(s.d.access(0x401), (0, access::RWX));
}

/// Frames near each other and near the edges of what is mapped.
fn frame() -> impl Strategy<Value = u64> {
    prop_oneof![
        0x3F8..0x508_u64,
        0x7F0..0x820_u64,
        G1 - 4..G1 + 2 * M2,
        2 * G1 - 4..2 * G1 + 4,
    ]
}

/// Single elements, and runs of neighbours.
fn elements() -> impl Strategy<Value = Vec<(u64, u32)>> {
    let run = (
        frame(),
        access::N..=access::DEFAULT,
        prop_oneof![4 => Just(1), 1 => 60..140_u64],
    )
        .prop_map(|(gfn, access, nr)| (gfn..gfn + nr).map(|gfn| (gfn, access)).collect::<Vec<_>>());
    proptest::collection::vec(run, 1..10).prop_map(|runs| runs.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_list_does_what_a_call_for_each_element_would(
        list in elements(),
        default in access::N..=access::R_PW,
        preempt in any::<bool>(),
        iommu in 0..3_usize,
    ) {
        let config = common::behind(common::IOMMUS[iommu]);
        let seen_after = |set: &dyn Fn(&Scene)| {
            let s = scene_of(config);
            assert_eq!(s.d.set_access(u64::MAX, 0, 0, default), 0);
            set(&s);
            let near = list.iter().flat_map(|&(gfn, _)| gfn - 1..gfn + 2);
            s.seen(near.collect::<BTreeSet<_>>().into_iter())
        };
        let one_by_one = seen_after(&|s| s.set_one_by_one(&list));
        let at_once = seen_after(&|s| {
            s.w.preempt(if preempt { Preempt::Always } else { Preempt::Never });
            assert_eq!(s.set(&list).0, 0);
        });
        prop_assert_eq!(at_once, one_by_one);
    }
}

#[test]
fn a_list_stops_only_where_the_callers_mask_is_clear() {
    for (mask, expected) in [(0, 64), (0x3F, 64), (0x7F, 128), (0xFF, 256), (!0, 0)] {
        let s = scene();
        s.write(&long(300));
        s.w.preempt(Preempt::Always);
        let rc = s.call_masked(GFNS, ACCESSES, 300, 0, mask, 0);
        assert_eq!(rc, expected, "mask {mask:#x}");
    }
}

/// As `general_preempt_check()`, which the hypercall's other operations ask.
#[test]
fn an_event_for_the_vcpu_stops_a_list() {
    for waiting in [Waiting::Softirq, Waiting::Event] {
        let s = scene();
        s.write(&long(100));
        s.w.preempt_for(Preempt::Always, waiting);
        assert_eq!(s.call(100, 0), 64, "{waiting:?}");
    }
}

/// Its elements are beyond what the monitor has mapped, and the end of its last batch beyond what
/// can be counted.
#[test]
fn the_last_batch_that_can_be_counted_ends_the_list() {
    for start in [!0x3F, !0, u32::MAX - 1] {
        let s = scene();
        let rc = s.call(u32::MAX, start);
        let expected = if start == u32::MAX { 0 } else { errno::EFAULT };
        assert_eq!(rc, expected.into(), "from {start:#x} on");
    }
}

/// Offsets of more than 32 bits: the caller may begin with any element, whatever is at the beginning of its arrays.
#[test]
fn a_list_that_begins_beyond_4_gib_of_frames_is_read_there() {
    let s = scene();
    let first: u32 = 1 << 29;
    for (n, gva) in [
        (2, GFNS + (u64::from(first) << 3)),
        (18, ACCESSES + u64::from(first)),
    ] {
        let entry = Stage1Entry {
            gfn: 0x4000 + n,
            writable: false,
        };
        s.w.stage1_map(s.v, gva, entry);
    }
    s.write(&[(0x801, access::N), (0x802, access::N)]);
    let frames: [u64; 2] = [0x803, 0x804];
    s.w.write_ram(ram(1) + 2, 0, &frames.map(u64::to_ne_bytes).concat());
    s.w.write_ram(ram(1) + 18, 0, &[access::R as u8, access::RX as u8]);
    assert_eq!(s.call(first + 2, first), 0);
    let set = (0x801..0x805).map(|gfn| s.d.access(gfn).1);
    let expected = [access::RWX, access::RWX, access::R, access::RX];
    assert_eq!(set.collect::<Vec<_>>(), expected);
}
