// SPDX-License-Identifier: GPL-2.0-only
//! Long operations yield when asked, at every point where they look, and end
//! where they would have ended undisturbed.

#![allow(clippy::unwrap_used)] // a test may stop on the spot

mod common;
use common::{access, errno, guest, p2mt, plain, ram, world, G1, M2};
use test_harness::{Config, Domain, Preempt, World};

/// Runs `step` to its end with the k-th check answering yes, for every k until
/// none is left; `fresh` builds the scene, `outcome` says how it ended. All
/// outcomes must equal the undisturbed one. Returns the number of checks.
fn sweep<T: PartialEq + std::fmt::Debug>(
    fresh: impl Fn() -> (World, Domain),
    step: impl Fn(&World, Domain) -> bool,
    outcome: impl Fn(&World, Domain) -> T,
) -> u64 {
    let (w, d) = fresh();
    let before = w.preempt_checks();
    assert!(step(&w, d), "undisturbed, one call is enough");
    let checks = w.preempt_checks() - before;
    let undisturbed = outcome(&w, d);
    for k in 1..=checks {
        let (w, d) = fresh();
        w.preempt(Preempt::At(k));
        let mut calls = 1;
        while !step(&w, d) {
            calls += 1;
        }
        assert_eq!(calls, 2, "check {k} of {checks} did not interrupt");
        w.preempt(Preempt::Never);
        assert_eq!(
            outcome(&w, d),
            undisturbed,
            "interrupted at check {k} of {checks}"
        );
    }
    checks
}

/// The same with every check answering yes: each call must get somewhere.
fn always<T: PartialEq + std::fmt::Debug>(
    fresh: impl Fn() -> (World, Domain),
    step: impl Fn(&World, Domain) -> bool,
    outcome: impl Fn(&World, Domain) -> T,
) {
    let (w, d) = fresh();
    let before = w.preempt_checks();
    assert!(step(&w, d), "undisturbed, one call is enough");
    let checks = w.preempt_checks() - before;
    let undisturbed = outcome(&w, d);
    let (w, d) = fresh();
    w.preempt(Preempt::Always);
    let mut calls = 0;
    while !step(&w, d) {
        calls += 1;
        assert!(
            calls <= 2 * checks + 2,
            "no progress when always interrupted"
        );
    }
    w.preempt(Preempt::Never);
    assert_eq!(outcome(&w, d), undisturbed, "always interrupted");
}

/// Both.
fn both<T: PartialEq + std::fmt::Debug>(
    fresh: impl Fn() -> (World, Domain),
    step: impl Fn(&World, Domain) -> bool,
    outcome: impl Fn(&World, Domain) -> T,
) -> u64 {
    always(&fresh, &step, &outcome);
    sweep(fresh, step, outcome)
}

/// Maps 4 MiB in single pages, two 2 MiB blocks and four foreign 2 MiB blocks.
fn mixed() -> (World, Domain) {
    let w = plain();
    let d = guest(&w, 0);
    let owner = guest(&w, 1);
    let _ = owner;
    // One page off, so that nothing is aligned: single pages.
    assert_eq!(d.insert(0x400, 2 * M2, ram(0) + 1, p2mt::RAM_RW), 0);
    assert_eq!(d.insert(0x1000, 2 * M2, ram(0) + 4 * M2, p2mt::RAM_RW), 0);
    w.take_references(ram(1), 4 * M2);
    assert_eq!(d.insert(0x2000, 4 * M2, ram(1), p2mt::FOREIGN_RW), 0);
    (w, d)
}

fn dying() -> (World, Domain) {
    let (w, d) = mixed();
    d.set_dying_state(1);
    (w, d)
}

fn relinquish(w: &World, d: Domain) -> bool {
    let rc = d.relinquish();
    w.check();
    assert!(rc == 0 || rc == errno::ERESTART, "{rc}");
    rc == 0
}

#[test]
fn relinquishing_can_stop_at_any_check_and_drops_each_reference_once() {
    let outcome =
        |w: &World, d: Domain| (w.snapshot(d).len(), w.references(ram(1)), d.mapping_stats());
    // 1024 pages and 4 foreign blocks: one look for each 512 of the former,
    // one for each of the latter.
    let checks = sweep(dying, relinquish, outcome);
    assert!(checks >= 6, "only {checks} checks");
}

/// They are freed at once, after one flush.
#[test]
fn relinquishing_looks_before_very_many_tables_wait() {
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!(d.set_pool(1_200), 0);
    for n in 0..1_100 {
        assert_eq!(d.insert(n * M2 + 3, 1, ram(0), p2mt::RAM_RW), 0);
    }
    d.set_dying_state(1);
    assert_eq!(d.relinquish(), 0);
    w.check();
}

#[test]
fn relinquishing_gets_on_even_if_work_is_always_pending() {
    always(dying, relinquish, |w, d| w.snapshot(d).len());
}

#[test]
fn freeing_tables_can_stop_at_any_check_and_frees_each_once() {
    let checks = both(
        || {
            let w = plain();
            let d = w.domain(1100);
            w.ram(ram(0), G1, d);
            // A page in each of 1050 stretches of 2 MiB: a table for each.
            for i in 0..1050 {
                assert_eq!(d.insert(i * M2, 1, ram(0) + i, p2mt::RAM_RW), 0);
            }
            d.set_dying_state(1);
            d.clear_root();
            (w, d)
        },
        |w, d| {
            let rc = d.teardown();
            w.check();
            rc == 0
        },
        |w, d| (w.free_pool_pages(d), d.pool_pages()),
    );
    assert_eq!(checks, 2, "one look for each 512 tables of 1053");
}

#[test]
fn sizing_the_pool_can_stop_at_any_page() {
    for (from, to) in [(0, 9), (9, 0), (3, 8)] {
        let checks = both(
            || {
                let w = plain();
                let d = w.domain(from);
                (w, d)
            },
            |w, d| {
                let rc = w.set_mempool_size(d, to << 12);
                w.check();
                assert!(rc == 0 || rc == errno::ERESTART, "{rc}");
                rc == 0
            },
            |w, d| (d.pool_pages(), w.mempool_size(d)),
        );
        assert_eq!(checks, from.abs_diff(to));
    }
}

#[test]
fn sizing_the_pool_stops_only_for_a_caller_that_wants_to_know() {
    let w = plain();
    let d = w.domain(0);
    w.preempt(Preempt::Always);
    assert_eq!((d.set_pool(5), d.pool_pages()), (0, 5));
    let mut preempted = false;
    // SAFETY: the domain is alive, and nobody else uses its pool.
    let lock = unsafe { &raw mut (*d.pointer()).arch.paging.lock };
    // SAFETY: as above.
    unsafe { xen_sys::xs_spin_lock(test_harness::live(lock)) };
    // SAFETY: as above; the lock is held.
    let rc =
        unsafe { test_harness::symbols::p2m_set_allocation(d.pointer(), 9, &raw mut preempted) };
    // SAFETY: taken above.
    unsafe { xen_sys::xs_spin_unlock(test_harness::live(lock)) };
    assert_eq!((rc, preempted), (errno::ERESTART, true));
    assert_eq!(d.pool_pages(), 6);
}

#[test]
fn the_pools_end_can_stop_at_any_page() {
    let checks = both(
        || {
            let w = plain();
            let d = w.domain(7);
            d.set_dying_state(1);
            (w, d)
        },
        |_, d| d.teardown_pool() == 0,
        |w, d| (d.pool_pages(), w.heap_in_use()),
    );
    assert_eq!(checks, 7);
}

#[test]
fn setting_accesses_can_stop_at_any_check() {
    let start = std::cell::Cell::new(0);
    let checks = both(
        || {
            start.set(0);
            mixed()
        },
        |w, d| {
            let rc = d.set_access(0x3C0, 0x440, start.get(), access::RX);
            w.check();
            assert!(rc >= 0, "{rc}");
            let at = u32::try_from(rc).unwrap();
            assert!(
                rc == 0 || at > start.get(),
                "went from {} to {rc}",
                start.get()
            );
            start.set(at);
            rc == 0
        },
        |w, d| (w.snapshot(d), w.access_settings(d)),
    );
    // After each table of 512 pages but the last.
    assert!(checks >= 2, "only {checks} checks for 1088 pages");
}

/// The hypercall passes the place in bits above its operation.
#[test]
fn an_access_request_stops_only_at_multiples_of_64() {
    let (w, d) = mixed();
    let mut start = 0;
    let mut stops = Vec::new();
    w.preempt(Preempt::Always);
    loop {
        // Tables end in the middle of 64 frames of the request.
        let rc = d.set_access(0x3C1, 0x440, start, access::R);
        assert!(rc >= 0, "{rc}");
        if rc == 0 {
            break;
        }
        start = u32::try_from(rc).unwrap();
        stops.push(start);
    }
    assert_eq!(stops, [0x200, 0x400]);
    assert_eq!(d.access(0x7FF), (0, access::R), "to the end");
    w.check();
}

/// The caller says which bits of the number of pages must be clear where it can restart.
#[test]
fn an_access_request_stops_only_where_the_callers_mask_is_clear() {
    let cases: [(u32, &[u32]); 3] = [
        (0, &[0x1E0, 0x3E0]),
        (0x3F, &[0x1C0, 0x3C0]),
        (0x1FF, &[0x200]),
    ];
    for (mask, expected) in cases {
        let (w, d) = mixed();
        w.preempt(Preempt::Always);
        let mut start = 0;
        let mut stops = Vec::new();
        loop {
            // Tables end 0x1E0 and 0x3E0 pages from the first.
            let rc = d.set_access_masked(0x420, 0x3F0, start, mask, access::R);
            w.check();
            start = u32::try_from(rc).unwrap();
            if start == 0 {
                break;
            }
            stops.push(start);
        }
        assert_eq!(stops, expected, "mask {mask:#x}");
        assert_eq!(d.access(0x7FF), (0, access::R), "to the end");
    }
}

/// The same wherever it began.
#[test]
fn an_access_request_that_began_elsewhere_stops_at_multiples_of_64() {
    for start in [1, 0x21, 0x3F, 0x41] {
        let (w, d) = mixed();
        w.preempt(Preempt::Always);
        // The first table ends 0x23F pages from the first frame.
        assert_eq!(d.set_access(0x3C1, 0x440, start, access::R), 0x200);
        w.check();
    }
}

/// What is above it may become a block next, and another table is freed.
#[test]
fn lifting_the_restriction_of_a_last_block_looks_whether_to_stop() {
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!(d.insert(M2, M2, ram(0) + M2, p2mt::RAM_RW), 0);
    let nr = u32::try_from(M2).unwrap();
    assert_eq!(d.set_access(M2, nr, 0, access::R), 0);
    let before = w.preempt_checks();
    assert_eq!(d.set_access(M2, nr, 0, access::RWX), 0);
    assert_eq!(w.preempt_checks(), before + 1);
    assert_eq!(w.snapshot(d).len(), 1);
    w.check();
}

#[test]
fn a_request_beyond_all_that_is_mapped_can_stop_and_gets_on() {
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    w.preempt(Preempt::Always);
    let nr = u32::try_from(9 * G1).unwrap();
    let mut stops = vec![0];
    loop {
        let rc = d.set_access(0, nr, *stops.last().unwrap(), access::R);
        w.check();
        if rc == 0 {
            break;
        }
        stops.push(u32::try_from(rc).unwrap());
    }
    assert!(stops.is_sorted_by(|a, b| a < b), "{stops:x?}");
    assert!(stops.len() > 6, "{stops:x?}");
    assert_eq!(d.access(5), (0, access::R));
}

/// While a hypercall waits to be continued, others run: what is mapped meanwhile in the part that is still to come has
/// the access when it returns.
#[test]
fn what_is_mapped_behind_the_point_where_a_request_stopped_is_not_passed_over() {
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    let (first, nr) = (G1 + 5, u32::try_from(2 * G1).unwrap());
    w.preempt(Preempt::Always);
    let stopped = d.set_access(first, nr, 0, access::R);
    // Behind the gigabyte that the first frame is in, but for what is no multiple of 64.
    let passed = G1 - 5;
    assert_eq!(stopped, (passed - passed % 64).try_into().unwrap());
    w.preempt(Preempt::Never);
    assert_eq!(d.insert(2 * G1, 1, ram(0) + 1, p2mt::RAM_RW), 0);
    let start = u32::try_from(stopped).unwrap();
    assert_eq!(d.set_access(first, nr, start, access::R), 0);
    assert_eq!(d.access(2 * G1), (0, access::R));
    w.check();
}

#[test]
fn the_last_teardown_is_not_interrupted() {
    let w = plain();
    let d = w.domain(7);
    w.preempt(Preempt::Always);
    d.set_dying_state(1);
    // Its caller could not come back; the pool may be full still (K5).
    d.final_teardown();
    assert_eq!((d.pool_pages(), w.root(d)), (0, None));
    assert_eq!(w.heap_in_use(), 0);
}

#[test]
fn cleaning_the_cache_can_stop_at_any_check_and_cleans_each_page_once() {
    let at = std::cell::Cell::new(0);
    let checks = both(
        || {
            at.set(0);
            mixed()
        },
        |_, d| {
            let (rc, stopped) = d.cache_flush(at.get(), u64::MAX);
            assert!(
                rc == 0 || stopped > at.get(),
                "no progress at {:#x}",
                at.get()
            );
            at.set(stopped);
            rc == 0
        },
        |w, _| w.flushed_to_ram(),
    );
    // 8 blocks of 512 pages, 10 units each, a look every 512 units.
    assert!(checks >= 4 * 512 * 10 / 520, "only {checks} checks");
}

#[test]
fn destruction_ends_with_nothing_left_however_often_it_is_interrupted() {
    for ipa_bits in common::SIZES {
        for preempt in [Preempt::Never, Preempt::Always] {
            let w = world(Config {
                ipa_bits,
                ..Config::default()
            });
            let d = guest(&w, 0);
            let owner = guest(&w, 1);
            let heap = w.heap_in_use();
            assert_eq!(d.insert(0x401, M2, ram(0), p2mt::RAM_RW), 0);
            assert_eq!(d.insert(G1, G1, ram(0), p2mt::RAM_RW), 0);
            assert_eq!(d.map_foreign(owner, 0x300, ram(1)), 0);
            w.preempt(preempt);
            w.destroy(d);
            w.preempt(Preempt::Never);
            w.check();
            let (_, roots) = Config {
                ipa_bits,
                ..Config::default()
            }
            .root();
            assert_eq!(w.heap_in_use(), heap - 64 - roots as u64);
            assert_eq!(w.references(ram(1)), 1);
        }
    }
}
