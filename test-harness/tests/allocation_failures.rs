// SPDX-License-Identifier: GPL-2.0-only
//! No memory, at every point where memory is asked for.
//!
//! A guest's tables come from its pool: the sweep makes the pool each size
//! from nothing to enough. The hardware domain's come from the heap: the sweep
//! fails each allocation in turn. Whatever fails, what was mapped stays as it
//! was, nothing is leaked, and the domain can be destroyed.

mod common;
use common::{access, behind, count, errno, guest, p2mt, ram, world, G1, M2};
use test_harness::{Config, Domain, Event, Iommu, Snapshot, World};

/// An operation, and whether it may leave nothing but new empty tables behind.
struct Case {
    name: &'static str,
    prepare: fn(&World, Domain),
    run: fn(Domain) -> i32,
    /// What it returns without memory.
    error: i32,
}

const HIGH: u64 = 0x300_0000; // 192 GiB: far from everything else

fn nothing(_: &World, _: Domain) {}

fn block_1g(_: &World, d: Domain) {
    assert_eq!(d.insert(G1, G1, ram(0), p2mt::RAM_RW), 0);
}

fn block_2m(_: &World, d: Domain) {
    assert_eq!(d.insert(G1, M2, ram(0), p2mt::RAM_RO), 0);
}

fn foreign_2m(w: &World, d: Domain) {
    w.take_references(ram(1), M2);
    assert_eq!(d.insert(G1, M2, ram(1), p2mt::FOREIGN_RW), 0);
}

const CASES: [Case; 8] = [
    Case {
        name: "insert a page into new tables",
        prepare: nothing,
        run: |d| d.insert(HIGH + 5, 1, ram(0), p2mt::RAM_RW),
        error: errno::ENOMEM,
    },
    Case {
        name: "insert a 2 MiB block into new tables",
        prepare: nothing,
        run: |d| d.insert(HIGH, M2, ram(0), p2mt::RAM_RW),
        error: errno::ENOMEM,
    },
    Case {
        name: "replace a page of a 1 GiB block",
        prepare: block_1g,
        run: |d| d.insert(G1 + 3 * M2 + 9, 1, ram(0) + 1, p2mt::RAM_RW),
        error: errno::ENOMEM,
    },
    Case {
        name: "remove a page of a 1 GiB block",
        prepare: block_1g,
        run: |d| d.remove(G1 + 3 * M2 + 9, 1, ram(0) + 3 * M2 + 9),
        error: errno::ENOMEM,
    },
    Case {
        name: "remove 2 MiB of a 1 GiB block",
        prepare: block_1g,
        run: |d| d.remove(G1 + 3 * M2, M2, ram(0) + 3 * M2),
        error: errno::ENOMEM,
    },
    Case {
        name: "restrict the access to a page of a 2 MiB block",
        prepare: block_2m,
        run: |d| i32::try_from(d.set_access(G1 + 9, 1, 0, access::R)).unwrap_or(i32::MIN),
        error: errno::ENOMEM,
    },
    Case {
        name: "restrict the access to a page of a 1 GiB block",
        prepare: block_1g,
        run: |d| i32::try_from(d.set_access(G1 + 9, 1, 0, access::R)).unwrap_or(i32::MIN),
        error: errno::ENOMEM,
    },
    Case {
        name: "remove a page of a foreign 2 MiB block",
        prepare: foreign_2m,
        run: |d| d.remove(G1 + 9, 1, ram(1) + 9),
        error: errno::ENOMEM,
    },
];

/// A machine with level-0 tables, the deepest there is.
fn deep() -> World {
    let w = world(Config {
        ipa_bits: 48,
        ..Config::default()
    });
    let owner = w.domain(0);
    w.ram(ram(1), M2, owner);
    w
}

/// What the guest sees, page by page of what is mapped: independent of splits.
fn pages(snapshot: &Snapshot) -> Vec<(u64, u64, u32, bool, bool, bool)> {
    let mut pages: Vec<(u64, u64, u32, bool, bool, bool)> = Vec::new();
    let mut end = (0, 0);
    for (&gfn, leaf) in snapshot {
        let same = pages.last().is_some_and(|last| {
            (last.2, last.3, last.4, last.5) == (leaf.p2m_type, leaf.read, leaf.write, leaf.execute)
        });
        if !(same && end == (gfn, leaf.mfn)) {
            pages.push((
                gfn,
                leaf.mfn,
                leaf.p2m_type,
                leaf.read,
                leaf.write,
                leaf.execute,
            ));
        }
        end = (gfn + (1 << leaf.order), leaf.mfn + (1 << leaf.order));
    }
    pages
}

/// The failed operation changed nothing that anybody can see.
fn unchanged(w: &World, d: Domain, before: &Snapshot, stats: [u64; 4], what: &str) {
    assert_eq!(
        pages(&w.snapshot(d)),
        pages(before),
        "{what}: the mappings changed"
    );
    if w.snapshot(d) == *before {
        assert_eq!(d.mapping_stats(), stats, "{what}: the statistics changed");
    }
    w.check();
}

#[test]
fn an_empty_pool_fails_the_operation_and_nothing_else() {
    for case in &CASES {
        let mut failures = 0;
        for spare in 0.. {
            let w = deep();
            let d = w.domain(16);
            w.ram(ram(0), G1, d);
            (case.prepare)(&w, d);
            // Leave `spare` pages free.
            let used = 16 - w.free_pool_pages(d);
            assert_eq!(d.set_pool(used + spare), 0);
            let (before, stats) = (w.snapshot(d), d.mapping_stats());
            let rc = (case.run)(d);
            if rc == 0 {
                w.check();
                w.destroy(d);
                break;
            }
            failures += 1;
            let what = format!("{} with {spare} pages to spare", case.name);
            assert_eq!(rc, case.error, "{what}");
            unchanged(&w, d, &before, stats, &what);
            w.destroy(d);
            w.check();
        }
        assert!(failures > 0, "{}: needs no memory at all", case.name);
    }
}

#[test]
fn an_empty_heap_fails_the_hardware_domains_operation_and_nothing_else() {
    for case in &CASES {
        let mut failures = 0;
        for nth in 1.. {
            let w = deep();
            let d = w.hardware_domain();
            w.ram(ram(0), G1, d);
            (case.prepare)(&w, d);
            let (before, stats) = (w.snapshot(d), d.mapping_stats());
            let heap = w.heap_in_use();
            w.fail_allocation(Some(nth));
            let rc = (case.run)(d);
            w.fail_allocation(None);
            if rc == 0 {
                break;
            }
            failures += 1;
            let what = format!("{} with allocation {nth} failing", case.name);
            assert_eq!(rc, case.error, "{what}");
            unchanged(&w, d, &before, stats, &what);
            if case.error == errno::ENOMEM {
                assert_eq!(w.heap_in_use(), heap, "{what}: pages are leaked");
            }
            w.destroy(d);
            w.check();
        }
        assert!(failures > 0, "{}: allocates nothing", case.name);
    }
}

#[test]
fn setting_the_access_of_pages_needs_no_memory() {
    let w = deep();
    let d = w.domain(16);
    w.ram(ram(0), G1, d);
    assert_eq!(d.insert(G1, 8, ram(0), p2mt::RAM_RW), 0);
    w.fail_radix(Some(1));
    w.fail_allocation(Some(1));
    let free = w.free_pool_pages(d);
    for a in [access::N, access::RX, access::RWX, access::R] {
        assert_eq!(d.set_access(G1, 8, 0, a), 0);
        assert_eq!(d.access(G1 + 7), (0, a));
    }
    // What is mapped from now on is restricted as well.
    assert_eq!(d.set_access(u64::MAX, 0, 0, access::R), 0);
    assert_eq!(d.insert(G1 + 8, 3, ram(0) + 8, p2mt::RAM_RW), 0);
    assert_eq!(w.access_settings(d).len(), 11);
    assert_eq!(w.free_pool_pages(d), free);
    w.check();
}

#[test]
fn a_pool_that_cannot_grow_keeps_what_it_got() {
    let w = deep();
    let d = w.domain(4);
    w.fail_allocation(Some(3));
    assert_eq!(d.set_pool(8), errno::ENOMEM);
    assert_eq!(d.pool_pages(), 6);
    w.check();
    assert_eq!(d.set_pool(8), 0);
    w.destroy(d);
    assert_eq!(w.heap_in_use(), 1, "the owner's root is all that is left");
}

#[test]
fn an_insertion_that_maps_nothing_tells_the_iommu_nothing() {
    for iommu in [Iommu::Coherent, Iommu::NonCoherent] {
        let w = world(behind(iommu));
        let d = guest(&w, 0);
        assert_eq!(d.set_pool(0), 0);
        w.clear_events();
        for pages in [1, 3, M2] {
            assert_eq!(d.insert(G1, pages, ram(0) + 1, p2mt::RAM_RW), errno::ENOMEM);
        }
        assert_eq!(count(&w, |e| matches!(e, Event::IommuFlush { .. })), 0);
        w.check();
    }
}
