// SPDX-License-Identifier: GPL-2.0-only
//! Cleaning guest memory, and the set/way emulation that leads to it.

mod common;

use common::{access, guest, p2mt, plain, ram, M2};
use test_harness::symbols as c;
use test_harness::{Domain, Event, Iommu, LockOp, Preempt, Vcpu, World};

const TVM: u64 = 1 << 26;

/// A domain with a vCPU that runs.
fn scene() -> (World, Domain, Vcpu) {
    let w = plain();
    let d = guest(&w, 0);
    let v = w.vcpu(d);
    w.run(0, v);
    (w, d, v)
}

fn set_way(v: Vcpu) {
    let hsr = xen_sys::hsr { bits: 0 };
    // SAFETY: a live vCPU; the registers are not looked at.
    unsafe { c::p2m_set_way_flush(v.pointer(), &mut xen_sys::cpu_user_regs::default(), hsr) }
}

#[test]
fn each_page_of_ram_is_cleaned_wherever_it_lies() {
    let (w, d, _) = scene();
    let owner = guest(&w, 1);
    // Forwards with a gap, backwards, neighbours, twice the same, read-only.
    let frames = [0, 7, 3, 4, 4, 2, 1].map(|n| ram(0) + n);
    for (gfn, mfn) in (5..).zip(frames) {
        assert_eq!(d.insert(gfn, 1, mfn, p2mt::RAM_RO), 0);
    }
    assert_eq!(d.map_foreign(owner, 20, ram(1)), 0);
    assert_eq!(d.insert(21, 1, ram(1) + 1, p2mt::GRANT_RW), 0);
    // No RAM, whatever the attributes.
    assert_eq!(d.insert(22, 1, 0x9000, p2mt::MMIO_DEV), 0);
    assert_eq!(d.insert(23, 1, 0x9001, p2mt::MMIO_C), 0);
    assert_eq!(d.cache_flush(0, 100), (0, 24), "to the last that is mapped");
    let mut expected = frames.to_vec();
    expected.extend([ram(1), ram(1) + 1]);
    assert_eq!(w.flushed_to_ram(), expected);
    w.check();
}

#[test]
fn of_a_block_only_the_part_in_the_range_is_cleaned() {
    let (w, d, _) = scene();
    assert_eq!(d.insert(M2, M2, ram(0) + M2, p2mt::RAM_RW), 0);
    assert_eq!(d.cache_flush(M2 + 3, M2 + 5), (0, M2 + 5));
    assert_eq!(w.flushed_to_ram(), [ram(0) + M2 + 3, ram(0) + M2 + 4]);
}

/// A writer, and all who come after it, would wait for the whole guest otherwise.
#[test]
fn a_flush_gives_others_the_lock_at_each_check_though_no_softirq_is_pending() {
    let (w, d, _) = scene();
    assert_eq!(d.insert(M2, M2, ram(0) + M2, p2mt::RAM_RW), 0);
    w.clear_events();
    assert_eq!(d.cache_flush(0, u64::MAX), (0, 2 * M2));
    let mut cleaned = 0;
    let mut most = 0;
    for (_, event) in w.events() {
        match event {
            Event::FlushPageToRam { .. } => cleaned += 1,
            Event::Lock {
                op: LockOp::ReadUnlock,
                ..
            } => {
                most = most.max(cleaned);
                cleaned = 0;
            }
            _ => {}
        }
    }
    assert!((1..=52).contains(&most), "{most} pages under the lock");
    assert_eq!(w.flushed_to_ram().len() as u64, M2);
    w.check();
}

/// What is read and not cleaned is read again when the lock is taken next.
#[test]
fn a_flush_reads_few_more_entries_than_it_cleans_pages_under_the_lock() {
    let (w, d, _) = scene();
    // Pages, since the frames are not aligned: one run of 512.
    assert_eq!(d.insert(M2, M2, ram(0) + 1, p2mt::RAM_RW), 0);
    assert_eq!(d.cache_flush(0, u64::MAX), (0, 2 * M2));
    assert_eq!(w.flushed_to_ram().len() as u64, M2);
    // The two entries on the way to the table; then twice an entry, and the run of 51 that it begins. Of the second
    // run the budget is enough for one page.
    assert_eq!(w.most_work(), (2 + 2 * (1 + 51), 52));
    w.check();
}

/// A guest can fill its pool with empty tables, and then have all of its memory cleaned.
#[test]
fn a_flush_of_empty_tables_gives_others_the_lock() {
    let (w, d, _) = scene();
    for n in 0..20 {
        assert_eq!(d.insert(n * M2, 1, ram(0) + n, p2mt::RAM_RW), 0);
        assert_eq!(d.remove(n * M2, 1, ram(0) + n), 0);
    }
    assert_eq!(d.insert(20 * M2, 1, ram(0) + 20, p2mt::RAM_RW), 0);
    assert_eq!(d.cache_flush(0, u64::MAX), (0, 20 * M2 + 1));
    // W1 says how much there may be between two looks whether to stop.
    w.check();
}

#[test]
fn the_instruction_caches_follow_what_was_cleaned() {
    let (w, d, _) = scene();
    // Frames that do not follow each other, so that they are not cleaned together.
    assert_eq!(d.insert(0, 1, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.insert(1, 1, ram(0) + 7, p2mt::RAM_RW), 0);
    w.clear_events();
    assert_eq!(d.cache_flush(0, 2).0, 0);
    let events = w.events();
    let last = |wanted: fn(&Event) -> bool| events.iter().rposition(|(_, e)| wanted(e));
    let cleaned = last(|e| matches!(e, Event::FlushPageToRam { .. }));
    let dropped = last(|e| matches!(e, Event::InvalidateIcache));
    // A line that is cleaned later may be fetched again as it was.
    assert!(cleaned.is_some());
    assert!(dropped > cleaned, "{cleaned:?}, {dropped:?}");
}

#[test]
fn a_vm_is_cleaned_to_its_end_however_often_softirqs_are_pending() {
    let (w, d, v) = scene();
    assert_eq!(d.insert(0, M2, ram(0), p2mt::RAM_RW), 0);
    v.set_need_flush_to_ram(true);
    w.preempt(Preempt::Always);
    v.flush_vm();
    assert!(w.softirqs() > 3, "{} softirqs", w.softirqs());
    let all: Vec<u64> = (ram(0)..ram(0) + M2).collect();
    assert_eq!(w.flushed_to_ram(), all);
    assert!(!v.need_flush_to_ram());
    assert!(!w.guest_can(0, 0, false), "touches are tracked anew");
    w.check();
}

#[test]
fn only_the_first_set_way_operation_asks_for_a_flush() {
    let (w, _, v) = scene();
    set_way(v);
    assert!(v.need_flush_to_ram());
    assert_eq!(v.hcr() & TVM, TVM);
    v.flush_vm();
    // The guest goes on through its cache, set by set.
    set_way(v);
    assert!(!v.need_flush_to_ram());
    assert_eq!(v.hcr() & TVM, TVM);
    assert_eq!(w.undef_injected(), 0);
}

/// An IOMMU would fault where bit 0 is clear.
#[test]
fn with_tables_that_an_iommu_shares_set_way_is_undefined_and_the_log_says_why() {
    let (w, _, v) = scene();
    w.share_tables(Iommu::Coherent, true);
    let _of_boot = w.console();
    set_way(v);
    assert_eq!(w.undef_injected(), 1);
    assert_eq!((v.need_flush_to_ram(), v.hcr() & TVM), (false, 0));
    let said = w.console().concat();
    assert!(said.contains("set/way"), "{said}");
}

#[test]
fn memory_is_cleaned_when_the_guest_turns_its_caches_on_or_off() {
    const MMU: u64 = 1;
    const CACHE: u64 = 4;
    for was_enabled in [false, true] {
        for sctlr in [0, MMU, CACHE, MMU | CACHE] {
            let (w, _, v) = scene();
            set_way(v);
            v.set_need_flush_to_ram(false);
            w.guest_writes_sctlr(sctlr);
            v.toggle_cache(was_enabled);
            let enabled = sctlr == MMU | CACHE;
            assert_eq!(v.need_flush_to_ram(), enabled != was_enabled);
            // Nothing is left to wait for once they are on.
            assert_eq!(v.hcr() & TVM != 0, !enabled);
        }
    }
}

#[test]
fn a_restricted_page_is_cleaned_like_any_other() {
    let (w, d, _) = scene();
    assert_eq!(d.insert(5, 2, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.set_access(5, 1, 0, access::N), 0);
    assert_eq!(d.cache_flush(5, 7), (0, 7));
    assert_eq!(w.flushed_to_ram(), [ram(0), ram(0) + 1]);
}
