// SPDX-License-Identifier: GPL-2.0-only
//! What a call does it does to all that was asked for and to nothing beside, under
//! every setting; what it answers is what it did.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;
use common::{access, behind, count, errno, guest, p2mt, plain, ram, world, G1, IOMMUS, M2};
use test_harness::{Config, Event, Iommu, Preempt, Reach, INVALID};
use xen_sys::{arch, npfec};

/// A listener is asked whether or not one is required; without one, the domain is
/// crashed exactly if one is required.
#[test]
fn a_monitor_is_asked_whether_or_not_it_is_required() {
    for listens in [false, true] {
        for required in [false, true] {
            for a in access::N..=access::R_PW {
                let w = plain();
                let d = guest(&w, 0);
                let v = w.vcpu(d);
                assert_eq!(d.insert(4, 3, ram(0), p2mt::RAM_RW), 0);
                assert_eq!(d.set_access(4, 3, 0, a), 0);
                // Another page is restricted, so that mem_access is in use with each of them.
                assert_eq!(d.insert(9, 1, ram(0) + 9, p2mt::RAM_RW), 0);
                assert_eq!(d.set_access(9, 1, 0, access::N), 0);
                assert!(d.mem_access_enabled());
                d.set_access_required(required);
                w.monitor_listens(d, listens);
                w.run(0, v);
                let reach = Reach::of(d, 5..6);
                let what = format!("access {a}, listens {listens}, required {required}");
                // A read, a write and a fetch in one: what any of them violates.
                let handled = w.within(&reach, || {
                    !w.mem_access_check(5 << 12, 0, npfec { bits: 7 })
                });
                assert_eq!(handled, a != access::RWX, "{what}");
                let converts = a == access::RX2RW;
                let asks = handled && !converts;
                let sent = w.monitor_requests().len();
                assert_eq!(sent, usize::from(asks && listens), "{what}");
                let crashes = u32::from(asks && !listens && required);
                assert_eq!(w.fate(d).0, crashes, "{what}");
                let after = match a {
                    access::RX2RW => access::RW,
                    access::N2RWX => access::RWX,
                    _ if asks && !listens && !required => access::RWX,
                    _ => a,
                };
                assert_eq!(d.access(5), (0, after), "{what}");
            }
        }
    }
}

/// Nothing is restricted then, whatever the tables say.
#[test]
fn where_mem_access_is_not_used_no_lock_is_taken_to_judge_a_fault() {
    let w = plain();
    let d = guest(&w, 0);
    w.run(0, w.vcpu(d));
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RO), 0);
    let locks = || {
        w.clear_events();
        w.mem_access_check(5 << 12, 0, npfec { bits: 2 });
        count(&w, |e| matches!(e, Event::Lock { .. }))
    };
    assert_eq!(locks(), 0);
    assert_eq!(d.set_access(5, 1, 0, access::R), 0);
    assert!(locks() > 0);
    w.check();
}

/// Only a right changes: at no moment is the entry one that another CPU's guest faults at.
#[test]
fn a_restricted_page_that_is_mapped_again_is_changed_in_place() {
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.set_access(5, 1, 0, access::R), 0);
    w.clear_events();
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(count(&w, |e| matches!(e, Event::PteStore { .. })), 1);
    assert_eq!(d.access(5), (0, access::RWX));
    w.check();
}

/// The hypercall goes on where it stopped, with the same `nr`.
#[test]
fn a_request_that_goes_on_ends_where_it_would_have_ended() {
    for (nr, start) in [
        (1, 0),
        (2, 1),
        (64, 63),
        (64, 1),
        (130, 64),
        (600, 512),
        (1200, 64),
    ] {
        for block in [false, true] {
            let w = plain();
            let d = guest(&w, 0);
            let at = if block { 0 } else { 1 };
            assert_eq!(d.insert(0, 4 * M2, ram(0) + at, p2mt::RAM_RW), 0);
            let (from, to) = (7 + u64::from(start), 7 + u64::from(nr));
            let rc = w.within(&Reach::of(d, from..to), || {
                d.set_access(7, nr, start, access::R)
            });
            assert_eq!(rc, 0);
            for gfn in [from - 1, from, to - 1, to] {
                let inside = (from..to).contains(&gfn);
                let expected = if inside { access::R } else { access::RWX };
                assert_eq!(d.access(gfn), (0, expected), "{nr} from {start}: {gfn:#x}");
            }
        }
    }
}

/// `p2m_is_any_ram()`: RAM, grants and foreign pages. What else is mapped is no page,
/// though there may be memory behind it that the domain owns.
#[test]
fn a_page_is_given_for_the_types_that_are_memory() {
    let w = plain();
    let (d, owner) = (guest(&w, 0), guest(&w, 1));
    for t in p2mt::RAM_RW..=p2mt::IOMMU_RO {
        let foreign = [p2mt::FOREIGN_RW, p2mt::FOREIGN_RO].contains(&t);
        let mfn = if foreign { ram(1) } else { ram(0) };
        if foreign {
            w.take_references(mfn, 1);
        }
        assert_eq!(d.insert(5, 1, mfn, t), 0);
        let is_memory = (p2mt::RAM_RW..=p2mt::RAM_RO).contains(&t)
            || (p2mt::FOREIGN_RW..=p2mt::GRANT_RO).contains(&t);
        let (page, found) = d.page_from_gfn(5);
        assert_eq!(found, t);
        assert_eq!(
            page.map(|page| page.put()),
            is_memory.then_some(mfn),
            "type {t}"
        );
    }
    let _ = owner;
}

/// Nobody can map it so. If it is, debug builds stop.
#[cfg(not(debug_assertions))]
#[test]
fn a_domains_own_page_that_is_mapped_as_foreign_is_not_given_out() {
    let w = plain();
    let d = guest(&w, 0);
    w.take_references(ram(0), 1);
    assert_eq!(d.insert(5, 1, ram(0), p2mt::FOREIGN_RW), 0);
    let before = w.references(ram(0));
    assert!(d.page_from_gfn(5).0.is_none());
    assert_eq!(w.references(ram(0)), before);
}

/// Other bits of HCR_EL2 are Xen's, from its early boot.
#[test]
fn turning_stage_2_on_leaves_the_rest_of_hcr_el2() {
    const XENS: u64 = 0x8000_0002_0000_0038;
    const VM: u64 = 1;
    let w = world(Config {
        at_speculate: true,
        ..Config::default()
    });
    for cpu in 0..8 {
        // SAFETY: a register of the model.
        w.on_cpu(cpu, || unsafe { arch::write_hcr_el2(XENS) });
    }
    w.setup_virt_paging();
    for cpu in 0..8 {
        assert_eq!(w.registers(cpu).2, XENS | VM, "CPU {cpu}");
    }
}

/// `*start` moves to where cleaning began or stopped, in ranges that hold nothing, too.
#[test]
fn the_start_of_a_cleaning_is_moved_as_in_c() {
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!(d.insert(0x100, 0x20, ram(0) + 1, p2mt::RAM_RW), 0);
    // C: start = max(start, lowest); end = min(end, highest + 1).
    let naive = |start: u64, end: u64| {
        let (start, end) = (start.max(0x100), end.min(0x120));
        start.max(end)
    };
    for start in [0, 0xFF, 0x100, 0x110, 0x11F, 0x120, 0x200, u64::MAX] {
        for end in [0, 0x80, 0x100, 0x101, 0x118, 0x120, 0x121, u64::MAX] {
            let (rc, stopped) = d.cache_flush(start, end);
            assert_eq!(
                (rc, stopped),
                (0, naive(start, end)),
                "{start:#x}..{end:#x}"
            );
        }
    }
    w.flushed_to_ram();
}

/// The caller comes back, and then all is done.
#[test]
fn a_cleaning_that_is_preempted_leaves_the_instruction_caches_for_later() {
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!(d.insert(0, 200, ram(0) + 1, p2mt::RAM_RW), 0);
    w.preempt(Preempt::Always);
    let mut start = 0;
    let mut calls = 0;
    loop {
        w.clear_events();
        let (rc, at) = d.cache_flush(start, u64::MAX);
        calls += 1;
        let invalidations = count(&w, |event| matches!(event, Event::InvalidateIcache));
        assert_eq!(invalidations, usize::from(rc == 0));
        if rc == 0 {
            break;
        }
        assert_eq!(rc, errno::ERESTART);
        start = at;
    }
    assert!(calls > 2, "{calls}");
}

/// A stop in the middle is where the next call goes on: not from the beginning.
#[test]
fn relinquishing_remembers_where_it_stopped() {
    let w = plain();
    let d = guest(&w, 0);
    for n in 0..8 {
        assert_eq!(d.insert(n * M2, M2, ram(0) + 1, p2mt::RAM_RW), 0);
    }
    d.set_dying_state(1);
    w.preempt(Preempt::Always);
    let mut before = d.lowest_mapped();
    let mut stops = 0;
    while d.relinquish() == errno::ERESTART {
        assert!(d.lowest_mapped() > before, "at {before:#x} for ever");
        before = d.lowest_mapped();
        stops += 1;
    }
    assert!(stops > 3, "{stops}");
    assert!(w.snapshot(d).is_empty());
}

/// Where nothing changes nothing is due: no store, no barrier, no invalidation, no
/// memory, whatever IOMMU there is.
#[test]
fn what_only_looks_costs_no_store_barrier_or_invalidation() {
    for iommu in IOMMUS {
        let w = world(behind(iommu));
        let d = guest(&w, 0);
        assert_eq!(d.insert(5, 3, ram(0), p2mt::RAM_RW), 0);
        assert_eq!(d.insert(M2, M2, ram(0) + M2, p2mt::RAM_RW), 0);
        let (v, idle) = (w.vcpu(d), w.idle());
        w.run(0, v);
        for mem_access in [false, true] {
            if mem_access {
                assert_eq!(d.set_access(5, 1, 0, access::R), 0);
            }
            w.clear_events();
            let reach = Reach::nothing();
            w.within(&reach, || {
                for gfn in [0, 5, 6, 8, M2, 2 * M2, 1 << 30, u64::MAX] {
                    let _found = (d.lookup(gfn), d.get_entry(gfn), d.access(gfn));
                    if let (Some(page), _) = d.page_from_gfn(gfn) {
                        page.put();
                    }
                    // An empty range, and one that maps nothing.
                    assert_eq!(d.insert(gfn, 0, ram(0), p2mt::RAM_RW), 0);
                    assert_eq!(d.remove(gfn, 0, ram(0)), 0);
                }
                assert_eq!(d.remove(3 * M2, 7, ram(0)), 0);
                assert_eq!(d.remove(6, 1, ram(0) + 5), errno::EILSEQ);
                w.mem_access_check(6 << 12, 0, npfec { bits: 1 });
            });
            let due = w.events().into_iter().find(|(_, event)| {
                !matches!(
                    event,
                    Event::PteLoad { .. }
                        | Event::Lock { .. }
                        | Event::Get { .. }
                        | Event::Put { .. }
                        | Event::PreemptCheck { .. }
                )
            });
            assert_eq!(due, None, "{iommu:?}, mem_access {mem_access}");
        }
        w.run(0, idle);
    }
}

/// A page that nothing could have cached is mapped with one barrier; what a flush is
/// due for is flushed once.
#[test]
fn a_new_page_costs_a_barrier_and_a_removed_one_a_flush() {
    for iommu in IOMMUS {
        let w = world(behind(iommu));
        let d = guest(&w, 0);
        assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
        w.clear_events();
        assert_eq!(d.insert(6, 1, ram(0) + 1, p2mt::RAM_RW), 0);
        let flushes = || {
            let is_one = |event: &Event| {
                matches!(
                    event,
                    Event::TlbiVmid { .. } | Event::TlbiIpa { .. } | Event::TlbiRange { .. }
                )
            };
            let tells = |event: &Event| matches!(event, Event::IommuFlush { .. });
            (count(&w, is_one), count(&w, tells))
        };
        let tells = usize::from(iommu != Iommu::Off);
        assert_eq!(flushes(), (0, tells), "{iommu:?}");
        w.clear_events();
        assert_eq!(d.remove(6, 1, ram(0) + 1), 0);
        assert_eq!(flushes(), (1, tells), "{iommu:?}");
    }
}

/// A second teardown of the same structure takes nothing from who came after.
#[test]
fn the_end_of_a_p2m_comes_once() {
    let w = plain();
    let (gone, vmid) = {
        let d = guest(&w, 0);
        let vmid = d.vmid();
        w.destroy(d);
        (d, vmid)
    };
    let next = w.domain(4);
    assert_eq!(next.vmid(), vmid, "the VMID is free again");
    gone.final_teardown();
    let other = w.domain(4);
    assert_ne!(other.vmid(), vmid, "it is another domain's now");
    assert!(!gone.p2m_is_initialised());
}

/// What the guest wrote while it ran is there when it comes back, whoever ran meanwhile.
#[test]
fn a_guests_sctlr_is_its_own() {
    let w = plain();
    let (d, e) = (guest(&w, 0), guest(&w, 1));
    let vcpus = [w.vcpu(d), w.vcpu(d), w.vcpu(e)];
    for round in 1..4_u64 {
        for (v, n) in vcpus.iter().zip(1..) {
            w.run(0, *v);
            if round > 1 {
                let sctlr = arch::read_sctlr_el1();
                assert_eq!(sctlr, (round - 1) << 8 | n);
            }
            w.guest_writes_sctlr(round << 8 | n);
        }
        w.run(0, w.toolstack(0));
    }
}

/// A table of foreign blocks that goes as a whole: each page of each block has its own
/// reference.
#[test]
fn a_gigabyte_of_foreign_blocks_that_is_unmapped_drops_each_reference() {
    let w = plain();
    let (d, _owner) = (guest(&w, 0), guest(&w, 1));
    let blocks = 3 * M2;
    w.take_references(ram(1), blocks);
    assert_eq!(d.insert(G1, blocks, ram(1), p2mt::FOREIGN_RW), 0);
    assert_eq!(w.snapshot(d).len(), 3);
    assert_eq!(d.set_entry(G1, G1, INVALID, p2mt::INVALID, access::RWX), 0);
    let pages: Vec<u64> = (ram(1)..ram(1) + blocks + 1).collect();
    assert!(w.references_of(&pages).iter().all(|&count| count == 1));
    assert!(w.snapshot(d).is_empty());
}

/// An IOMMU with tables of its own is no reason not to track what the guest touches,
/// nor not to emulate set/way operations: only shared tables are.
#[test]
fn an_iommu_that_shares_no_tables_keeps_nobody_from_tracking() {
    for shared in [false, true] {
        let w = world(Config {
            iommu: Iommu::Coherent,
            iommu_shares_tables: shared,
            // Rule P4 is about tables that it shares.
            watch_iommu_news: false,
            ..Config::default()
        });
        let d = guest(&w, 0);
        let v = w.vcpu(d);
        assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
        w.run(0, v);
        d.creation_finished();
        assert_eq!(w.guest_can(0, 5 << 12, false), shared);
        let hsr = xen_sys::hsr { bits: 0x6230_0B5E };
        let mut saved = xen_sys::cpu_user_regs::default();
        let regs = &raw mut saved;
        // SAFETY: a live vCPU, which runs; the registers are not looked at.
        unsafe { test_harness::symbols::p2m_set_way_flush(v.pointer(), regs, hsr) };
        // The guest's ESR_EL1 has the length of the instruction from there (4.17 to 4.20).
        let injected = if shared {
            &[(regs, 0x6230_0B5E)][..]
        } else {
            &[]
        };
        assert_eq!(w.undef_arguments(), injected);
        assert_eq!(v.need_flush_to_ram(), !shared);
        v.set_need_flush_to_ram(false);
    }
}

/// Each of the twelve bits below a page.
#[test]
fn a_pools_size_of_less_than_a_page_too_much_is_refused() {
    let w = plain();
    let d = w.domain(4);
    for bit in 0..12 {
        let rc = w.set_mempool_size(d, 6 << 12 | 1 << bit);
        assert_eq!((rc, d.pool_pages()), (errno::EINVAL, 4), "bit {bit}");
    }
    assert_eq!((w.set_mempool_size(d, 6 << 12), d.pool_pages()), (0, 6));
}

/// The lowest frame that ever was mapped may be in the middle of a hole by now.
#[test]
fn relinquishing_that_begins_inside_a_hole_comes_to_the_last_page() {
    let w = plain();
    let (d, owner) = (guest(&w, 0), guest(&w, 1));
    assert_eq!(d.insert(3, M2 - 3, ram(0) + 3, p2mt::RAM_RW), 0);
    // The table goes as a whole; the lowest frame stays where it was.
    assert_eq!(d.set_entry(0, M2, INVALID, p2mt::INVALID, access::RWX), 0);
    assert_eq!(d.lowest_mapped(), 3);
    assert_eq!(d.map_foreign(owner, M2, ram(1)), 0);
    assert_eq!(w.references(ram(1)), 2);
    d.set_dying_state(1);
    assert_eq!(d.relinquish(), 0);
    assert!(w.snapshot(d).is_empty());
    assert_eq!(w.references(ram(1)), 1);
    w.check();
}
