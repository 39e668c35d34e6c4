// SPDX-License-Identifier: GPL-2.0-only
//! What a guest in a view tries against the rest of the machine: its own TLB maintenance, set/way
//! operations, numbers of views, and work for Xen. The names are those of the list in
//! docs/altp2m.md.

#![cfg(config_altp2m)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::Arc;

use common::views::{ipa, Viewed};
use common::{access, p2mt, ram, G1, M2};
use p2m_rs::map::views::set_access;
use p2m_rs::p2m::views::Number;
use p2m_rs::types::access::P2mAccess;
use p2m_rs::types::errno::Errno;
use test_harness::{Event, LockOp, Preempt, Stage1Entry, Vcpu, Writer};

/// 64 pages, and a block of 2 MiB.
const PAGES: u64 = 0x1000;
const BLOCK: u64 = 0x4000;
const VA: u64 = 0x8000_0000;

fn with_ram() -> Viewed {
    let v = Viewed::plain();
    assert_eq!(v.d.insert(PAGES, 64, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(v.d.insert(BLOCK, M2, ram(0) + M2, p2mt::RAM_RW), 0);
    v
}

/// The guest's threads share their tables.
fn map(v: &Viewed, vcpus: &[Vcpu], gfn: u64) {
    for &vcpu in vcpus {
        let writable = true;
        v.w.stage1_map(vcpu, VA, Stage1Entry { gfn, writable });
    }
}

#[test]
fn a11_a_guests_own_invalidation_reaches_its_vcpus_in_other_views() {
    for changer in [0, 1, 2] {
        for other in [0, 1, 2] {
            let v = with_ram();
            assert_eq!((v.create(), v.create()), (1, 2));
            let vcpus = [v.vcpu_in(0, changer), v.vcpu_in(1, other)];
            map(&v, &vcpus, PAGES);
            for cpu in [0, 1] {
                assert_eq!(v.w.guest_translates(cpu, VA), Some(PAGES));
            }
            map(&v, &vcpus, PAGES + 1);
            for cpu in [0, 1] {
                let old = v.w.guest_translates(cpu, VA);
                assert_eq!(old, Some(PAGES), "the TLB has it still");
            }
            v.w.guest_invalidates(0, VA);
            for cpu in [0, 1] {
                let seen = v.w.guest_translates(cpu, VA);
                assert_eq!(seen, Some(PAGES + 1), "{changer} changed it, {other}");
            }
            v.w.check();
        }
    }
}

#[test]
fn a11_a_vcpu_comes_back_to_a_view_after_it_has_changed_its_tables_in_another() {
    for (first, second) in [(1, 2), (1, 0), (0, 1)] {
        let v = with_ram();
        assert_eq!((v.create(), v.create()), (1, 2));
        let vcpu = v.vcpu_in(0, first);
        let go_to = |number| {
            v.w.run(0, v.w.toolstack(0));
            vcpu.set_view(number);
            v.w.run(0, vcpu);
        };
        map(&v, &[vcpu], PAGES);
        assert_eq!(v.w.guest_translates(0, VA), Some(PAGES));
        go_to(second);
        assert_eq!(v.w.guest_translates(0, VA), Some(PAGES));
        map(&v, &[vcpu], PAGES + 1);
        v.w.guest_invalidates(0, VA);
        go_to(first);
        assert_eq!(v.w.guest_translates(0, VA), Some(PAGES + 1));
        v.w.check();
    }
}

/// They have the same tables, and each its own ASIDs.
#[test]
fn a12_vcpus_of_one_view_take_turns_on_one_cpu_and_keep_what_it_holds_of_stage_2() {
    let v = with_ram();
    let n = v.create();
    assert_eq!(v.create(), n + 1);
    let vcpus = [n, n, n + 1].map(|number| v.vcpu_in(0, number));
    map(&v, &vcpus[..1], PAGES);
    map(&v, &vcpus[1..], PAGES + 1);
    // What a turn takes: of stage 1 on this CPU, and of both stages.
    for (turn, flushes) in [
        (0, (0, 1)),
        (1, (1, 0)),
        (0, (1, 0)),
        (0, (0, 0)),
        (2, (0, 1)),
    ] {
        v.w.run(0, v.w.toolstack(0));
        v.w.clear_events();
        v.w.run(0, vcpus[turn]);
        let count = |is_one: fn(&Event) -> bool| common::count(&v.w, is_one);
        let of_stage1 = count(|event| matches!(event, Event::TlbiStage1Local { .. }));
        let of_both = count(|event| matches!(event, Event::TlbiVmidLocal { .. }));
        assert_eq!((of_stage1, of_both), flushes, "vCPU {turn}");
        // Rule T7 watches as well.
        let page = PAGES + u64::from(turn > 0);
        assert_eq!(v.w.guest_translates(0, VA), Some(page), "vCPU {turn}");
        assert_eq!(v.read(0, page), Some(ram(0) + page - PAGES));
    }
    v.w.check();
}

/// A set/way operation of the vCPU.
fn cleans(v: &Viewed, cpu: usize, vcpu: Vcpu) {
    vcpu.set_need_flush_to_ram(true);
    v.w.on_cpu(cpu, || vcpu.flush_vm());
    assert!(!vcpu.need_flush_to_ram());
}

#[test]
fn a13_all_that_guests_wrote_in_views_is_cleaned_whatever_was_tracked() {
    for preempt in [Preempt::Never, Preempt::Always] {
        let v = with_ram();
        let (n, other) = (v.create(), v.create());
        assert_eq!(v.remap(n, PAGES + 9, PAGES + 2), Ok(()));
        assert_eq!(v.remap(n, BLOCK + 3, BLOCK + 4), Ok(()));
        assert_eq!(v.set_access(n, BLOCK + 5, P2mAccess::W), Ok(()));
        // The host forbids what a view allows.
        assert_eq!(v.d.set_access_fully(PAGES + 20, 4, access::N), 0);
        let vcpus = [n, other, 0].map(|number| {
            let cpu = usize::from(number) % 3;
            v.vcpu_in(cpu, number)
        });
        let cpus = [1, 2, 0];
        v.d.creation_finished();
        let frames = [
            PAGES,
            PAGES + 2,
            PAGES + 9,
            PAGES + 20,
            BLOCK,
            BLOCK + 3,
            BLOCK + 4,
            BLOCK + 5,
            BLOCK + M2 - 1,
        ];
        // Each time the host's valid bits are clear, and those of the views are not: on every
        // second turn nobody but guests in views writes, so that none of the host's is set.
        for turn in 0..4 {
            let mut written = 0;
            for (&cpu, number) in cpus.iter().zip([n, other, 0]) {
                if number == 0 && turn % 2 == 1 {
                    continue;
                }
                for gfn in frames {
                    let wrote = v.w.on_cpu(cpu, || v.d.guest_writes(gfn));
                    let is_forbidden = number == 0 && gfn == PAGES + 20;
                    assert_eq!(wrote.is_none(), is_forbidden, "{number}, {gfn:#x}");
                    written += usize::from(wrote.is_some());
                }
            }
            assert!(written > 16 && !v.w.dirty_pages().is_empty());
            v.w.preempt(preempt);
            cleans(&v, cpus[turn % 3], vcpus[turn % 3]);
            v.w.preempt(Preempt::Never);
            assert_eq!(v.w.dirty_pages(), []);
            v.w.check();
        }
    }
}

/// A guest writes by a view while another vCPU's operation cleans: that is cleaned by the next one.
#[test]
fn a13_what_is_written_in_a_view_while_ram_is_cleaned_is_cleaned_by_the_next() {
    let v = with_ram();
    let n = v.create();
    let cleaner = v.vcpu_in(0, n);
    let _writer = v.vcpu_in(1, n);
    for gfn in [PAGES, BLOCK] {
        assert!(v.read(1, gfn).is_some());
    }
    let d = v.d;
    let mut left = Vec::new();
    // Whenever the lock is released, the last time after all was cleaned.
    for moment in 1.. {
        let written = Arc::new(AtomicBool::new(false));
        let writes = written.clone();
        v.w.meanwhile_after(moment, move || {
            for gfn in [PAGES, BLOCK] {
                assert!(d.guest_writes(gfn).is_some());
            }
            writes.store(true, Relaxed);
        });
        cleans(&v, 0, cleaner);
        v.w.nothing_meanwhile();
        if !written.load(Relaxed) {
            break;
        }
        left = v.w.dirty_pages();
        // (No fault since: the view's entries are valid.)
        cleans(&v, 0, cleaner);
        assert_eq!(v.w.dirty_pages(), []);
    }
    assert_eq!(
        left,
        [(ram(0), Writer::Guest), (ram(0) + M2, Writer::Guest)]
    );
    v.w.check();
}

#[test]
fn a15_a_number_that_a_guest_chose_is_checked_and_kept_in_bounds_for_a_cpu_that_runs_ahead() {
    let v = with_ram();
    for number in 0..=u16::MAX {
        let is_one = (1..10).contains(&number);
        assert_eq!(Number::from_c(number).is_some(), is_one, "{number}");
        let asked: &[_] = if is_one { &[(number.into(), 10)] } else { &[] };
        assert_eq!(v.w.indices(), asked, "{number}");
    }
}

/// A vCPU's number comes from Xen; if it were wrong, there would be no view, and no harm.
#[test]
fn a15_a_number_of_a_vcpu_that_no_view_has_is_a_fault_and_nothing_else() {
    for number in [2, 9, 10, 0xFFFF] {
        let v = with_ram();
        assert_eq!(v.create(), 1);
        let vcpu = v.vcpu_in(0, 0);
        map(&v, &[vcpu], PAGES);
        assert_eq!(v.d.set_access(PAGES, 1, 0, access::R), 0);
        v.w.monitor_listens(v.d, true);
        vcpu.set_view(number);
        let page = vcpu.page_from_gva(VA, true).map(|page| page.put());
        assert_eq!(page, Some(ram(0)), "the host's, by the software");
        let bits = 1 << 1 | 1 << 4 | 2 << 5;
        let fault = xen_sys::npfec { bits };
        assert!(v.w.permission_fault(ipa(PAGES), VA, fault));
        // (What no view can have for a number is the host p2m.)
        let events = v.w.monitor_requests().len();
        assert_eq!(events, usize::from(number > 9), "{number}");
        if let Some(number) = Number::from_c(number) {
            assert!(!v.d.resolve(PAGES));
            let gfn = p2m_rs::types::addr::Gfn::new(PAGES);
            let set = v.locked(|write| set_access(write, number, gfn, P2mAccess::R));
            assert_eq!(set, Err(Errno::EINVAL));
            assert_eq!(v.d.access(PAGES), (0, access::R), "not the host's fault");
        }
        vcpu.set_view(0);
        v.w.check();
    }
}

/// The most that was done while CPU 0 held a lock for writing: entries read or written, TLB flushes.
fn most_under_one_lock(v: &Viewed) -> (usize, usize) {
    let (mut entries, mut flushes, mut most) = (0, 0, (0, 0));
    for (_, event) in v.w.events() {
        match event {
            Event::PteLoad { .. } | Event::PteStore { .. } => entries += 1,
            Event::TlbiVmid { .. } | Event::TlbiIpa { .. } | Event::TlbiRange { .. } => {
                flushes += 1;
            }
            Event::Lock {
                op: LockOp::Write, ..
            } => (entries, flushes) = (0, 0),
            Event::Lock {
                op: LockOp::WriteUnlock,
                ..
            } => most = (entries.max(most.0), flushes.max(most.1)),
            _ => {}
        }
    }
    most
}

/// 4,096 frames are shown somewhere else, their sources as far from each other as they can be, and
/// the guest balloons out one source after the other.
#[test]
fn a18_a_guest_that_balloons_out_4096_sources_costs_no_more_than_its_views_are_large() {
    const REMAPS: u64 = 4096;
    let v = Viewed::on(test_harness::Config {
        log_capacity: 1 << 16,
        ..test_harness::Config::default()
    });
    assert_eq!(v.d.set_pool(3 * REMAPS), 0);
    // One page in each table of the host's.
    let source = |i: u64| 0x10_0000 + i * M2;
    for i in 0..REMAPS {
        let mfn = ram(0) + i;
        assert_eq!(v.d.insert(source(i), 1, mfn, p2mt::RAM_RW), 0);
    }
    let n = v.create();
    v.vcpu_in(0, n);
    for i in 0..REMAPS {
        assert_eq!(v.remap(n, source(i), source(REMAPS - 1 - i)), Ok(()));
    }
    v.w.clear_events();
    let used = v.used();
    // The first empties the view, whose root has two pages; from then on there is nothing to look for.
    assert_eq!(v.d.remove(source(0), 1, ram(0)), 0);
    assert!(v.used() + REMAPS <= used, "all its tables are back");
    let (entries, flushes) = most_under_one_lock(&v);
    let most = 64 + 2 * 512;
    assert!(entries <= most && flushes <= 2, "{entries}, {flushes}");
    for i in 1..REMAPS {
        v.w.clear_events();
        assert_eq!(v.d.remove(source(i), 1, ram(0) + i), 0);
        let (entries, flushes) = most_under_one_lock(&v);
        assert!(entries <= 64 && flushes <= 2, "{entries}, {flushes}");
    }
    v.w.check();
}

/// The same while the guest comes to all of its pages again, and so does its other vCPU: what a
/// fault costs does not depend on how much is copied.
#[test]
fn a18_what_a_fault_and_a_balloon_cost_does_not_grow_with_the_view() {
    let v = Viewed::plain();
    assert_eq!(v.d.set_pool(4096), 0);
    let page = |i: u64| 0x10_0000 + i * M2;
    for i in 0..1024 {
        assert_eq!(v.d.insert(page(i), 2, ram(0) + 2 * i, p2mt::RAM_RW), 0);
    }
    let n = v.create();
    v.vcpu_in(0, n);
    for i in 0..1024 {
        v.w.clear_events();
        assert_eq!(v.read(0, page(i)), Some(ram(0) + 2 * i));
        let (entries, flushes) = most_under_one_lock(&v);
        assert!(entries <= 64 && flushes == 0, "{entries}, {flushes}");
    }
    for i in 0..1024 {
        v.w.clear_events();
        assert_eq!(v.d.remove(page(i), 1, ram(0) + 2 * i), 0);
        let (entries, flushes) = most_under_one_lock(&v);
        assert!(entries <= 64 && flushes <= 2, "{entries}, {flushes}");
    }
    v.w.check();
}

/// The pool is empty, and nearly all that is in the view was set: what is looked at for each
/// fault that finds no table has a bound.
#[test]
fn a18_the_search_for_copies_to_drop_has_a_bound() {
    let v = Viewed::on(test_harness::Config {
        log_capacity: 1 << 18,
        ..test_harness::Config::default()
    });
    assert_eq!(v.d.set_pool(4096), 0);
    let page = |i: u64| 0x10_0000 + i * M2;
    for i in 0..300 {
        assert_eq!(v.d.insert(page(i), M2, ram(0) + M2 * i, p2mt::RAM_RW), 0);
    }
    assert_eq!(v.d.insert(PAGES, 1, ram(0) + 300 * M2, p2mt::RAM_RW), 0);
    let n = v.create();
    v.vcpu_in(0, n);
    for i in 0..300 {
        // The last page of each table, so that all of it is looked at.
        assert_eq!(v.set_access(n, page(i) + M2 - 1, P2mAccess::R), Ok(()));
        for copied in 0..M2 - 1 {
            if copied % 64 == 0 {
                assert!(v.read(0, page(i) + copied).is_some());
            }
        }
    }
    assert_eq!(v.d.set_pool(v.used()), 0);
    v.w.clear_events();
    assert!(v.w.on_cpu(0, || v.d.resolve(PAGES)));
    assert_eq!(v.w.fate(v.d).0, 1);
    let (entries, flushes) = most_under_one_lock(&v);
    // Each entry of 64 tables, the walks there, and the host's beside the few that are mapped. Before
    // that each of the host's 300 tables is found to be in use, by a walk and its first entry.
    let most = 32768 + 1024 + 300 * 5;
    assert!((32768..=most).contains(&entries), "{entries}");
    assert_eq!(flushes, 0);
    v.w.check();
}

/// Where a view has nothing the search goes on entry by entry, each with the walk to it.
#[test]
fn a18_the_search_for_copies_to_drop_has_a_bound_where_nothing_is_mapped() {
    let v = Viewed::on(test_harness::Config {
        log_capacity: 1 << 19,
        ..test_harness::Config::default()
    });
    assert_eq!(v.d.set_pool(4096), 0);
    assert_eq!(v.d.insert(PAGES, 1, ram(0), p2mt::RAM_RW), 0);
    let n = v.create();
    v.vcpu_in(0, n);
    // One page in each gigabyte, and 511 holes of 2 MiB.
    for i in 1..200 {
        assert_eq!(v.d.insert(i * G1, 1, ram(0) + i, p2mt::RAM_RW), 0);
        assert_eq!(v.set_access(n, i * G1, P2mAccess::R), Ok(()));
    }
    assert_eq!(v.d.set_pool(v.used()), 0);
    v.w.clear_events();
    assert!(v.w.on_cpu(0, || v.d.resolve(PAGES)));
    assert_eq!(v.w.fate(v.d).0, 1);
    let (entries, flushes) = most_under_one_lock(&v);
    assert!((32768..=4 * 32768).contains(&entries), "{entries}");
    assert_eq!(flushes, 0);
    v.w.check();
}

/// A hole is passed as a whole, and what is cleared is not looked at again.
#[test]
fn a18_what_forgetting_costs_does_not_grow_with_the_holes_of_a_view() {
    let unmap = |copied: std::ops::Range<u64>| {
        let v = Viewed::on(test_harness::Config {
            log_capacity: 1 << 19,
            ..test_harness::Config::default()
        });
        assert_eq!(v.d.insert(G1, G1, ram(0), p2mt::RAM_RW), 0);
        let n = v.create();
        for page in copied {
            assert_eq!(v.set_access(n, G1 + page, P2mAccess::R), Ok(()));
        }
        v.w.clear_events();
        assert_eq!(v.d.remove(G1 + 1, G1 - 2, ram(0) + 1), 0);
        v.w.check();
        most_under_one_lock(&v).0
    };
    let without = unmap(0..0);
    let holes = unmap(G1 - 3..G1 - 2);
    assert!(holes <= without + 4096, "{holes}, {without} without");
    let pages = unmap(2..500);
    // Each is read and written.
    assert!(pages <= without + 1200, "{pages}, {without} without");
}

/// All that a view has is blocks, beside each gigabyte of which something was set.
#[test]
fn a18_the_search_for_copies_to_drop_has_a_bound_where_blocks_are_copied() {
    let v = Viewed::on(test_harness::Config {
        ipa_bits: 48,
        log_capacity: 1 << 18,
        ..test_harness::Config::default()
    });
    assert_eq!(v.d.set_pool(2048), 0);
    assert_eq!(v.d.insert(PAGES, 1, ram(0), p2mt::RAM_RW), 0);
    let n = v.create();
    v.vcpu_in(0, n);
    // In each gigabyte a block, a page that was set, and so on.
    for i in 1..300 {
        for half in 0..256 {
            let gfn = i * G1 + half * 2 * M2;
            let mfn = ram(0) + (1 + half) * M2;
            assert_eq!(v.d.insert(gfn, M2, mfn, p2mt::RAM_RW), 0);
            assert_eq!(v.read(0, gfn), Some(mfn));
        }
        assert_eq!(v.d.insert(i * G1 + M2, 1, ram(0), p2mt::RAM_RW), 0);
        assert_eq!(v.set_access(n, i * G1 + M2, P2mAccess::R), Ok(()));
    }
    assert_eq!(v.d.set_pool(v.used()), 0);
    v.w.clear_events();
    assert!(v.w.on_cpu(0, || v.d.resolve(PAGES)));
    assert_eq!(v.w.fate(v.d).0, 1);
    let (entries, flushes) = most_under_one_lock(&v);
    assert!((32768..=4 * 32768).contains(&entries), "{entries}");
    assert_eq!(flushes, 0);
    v.w.check();
}

#[test]
fn a18_copies_that_give_way_go_with_one_flush() {
    let v = Viewed::on(test_harness::Config {
        log_capacity: 1 << 17,
        ..test_harness::Config::default()
    });
    assert_eq!(v.d.set_pool(256), 0);
    let page = |i: u64| 0x10_0000 + i * M2;
    for i in 0..=40 {
        assert_eq!(v.d.insert(page(i), 1, ram(0) + i, p2mt::RAM_RW), 0);
    }
    let n = v.create();
    v.vcpu_in(0, n);
    for i in 0..40 {
        assert!(v.read(0, page(i)).is_some());
    }
    assert_eq!(v.d.set_pool(v.used()), 0);
    v.w.clear_events();
    assert_eq!(v.read(0, page(40)), Some(ram(0) + 40));
    assert_eq!(most_under_one_lock(&v).1, 1);
    v.w.check();
}

#[test]
fn a12_a_vcpu_in_no_view_comes_between_two_in_one_view() {
    let v = with_ram();
    let n = v.create();
    assert_eq!(v.remap(n, PAGES + 1, PAGES + 2), Ok(()));
    let vcpus = [n, n, 0].map(|number| v.vcpu_in(0, number));
    for (turn, page) in [(0, 2), (2, 1), (1, 2)] {
        // Rule T7 watches.
        v.w.run(0, vcpus[turn]);
        assert_eq!(v.read(0, PAGES + 1), Some(ram(0) + page));
    }
    v.w.check();
}
