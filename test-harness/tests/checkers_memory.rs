// SPDX-License-Identifier: GPL-2.0-only
//! The machine's rules for memory and TLBs: each is broken here once, by hand, through the functions that the code
//! under test calls. A rule that cannot be broken proves nothing when it is not.

#![allow(clippy::indexing_slicing)] // a test may stop on the spot

mod common;
use std::ptr::null_mut;

use common::by_hand::{broken, freelist, pool_locked, slot, store, xen};
use common::{behind, guest, p2mt, plain, ram, world, G1, M2};
use test_harness::{Config, Event, Iommu};
use xen_sys as sys;

#[test]
fn t1_to_t4_the_tlb_is_remembered() {
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    let page = slot(&w, d, 5, 3);
    let word = w.entry(d, 5, 3);
    // Another address with no break; the flush at the end comes too late.
    let no_break = broken(&w, || {
        d.write_locked(|| {
            store(page, word + 0x1000);
            d.flush();
        });
    });
    assert_eq!(no_break, ["T1"]);
    // A break, but no flush before the make.
    let no_flush = broken(&w, || {
        d.write_locked(|| {
            store(page, 0);
            store(page, word);
            d.flush();
        });
    });
    assert_eq!(no_flush, ["T1"]);
    // Fewer permissions need no break, but a flush before the unlock.
    let read_only = word & !test_harness::pte::WRITE;
    assert_eq!(
        broken(&w, || d.write_locked(|| store(page, read_only))),
        ["T3"]
    );
    let flushed = broken(&w, || {
        d.write_locked(|| {
            store(page, word);
            d.flush();
        });
    });
    assert_eq!(flushed, [] as [&str; 0]);
    // A table taken out and freed at once.
    let freed_early = broken(&w, || {
        d.write_locked(|| {
            let above = slot(&w, d, 5, 2);
            let table = w.entry(d, 5, 2) >> 12 & 0xF_FFFF_FFFF;
            store(above, 0);
            w.give_back_table(d, table);
            d.flush();
        });
    });
    assert_eq!(freed_early, ["T4"]);
    w.abandon();
}

#[test]
fn t2_and_t6_a_foreign_vttbr_is_loaded_with_care() {
    use sys::arch::{isb, read_vttbr_el2, write_vttbr_el2};
    let w = plain();
    let d = guest(&w, 0);
    let home = read_vttbr_el2();
    let load = |value| {
        sys::arch::dsb_nsh();
        // SAFETY: registers of the model.
        unsafe { write_vttbr_el2(value) }
    };
    let with_irqs = broken(&w, || {
        load(d.vttbr());
        isb();
        load(home);
        isb();
    });
    assert_eq!(with_irqs, ["T6"]);
    let no_isb = broken(&w, || {
        let flags = xen!(xs_local_irq_save());
        load(d.vttbr());
        xen!(xs_flush_guest_tlb());
        load(home);
        isb();
        xen!(xs_local_irq_restore(flags));
    });
    assert_eq!(no_isb, ["T2"]);
    let too_early = broken(&w, || {
        let flags = xen!(xs_local_irq_save());
        load(d.vttbr());
        isb();
        xen!(xs_local_irq_restore(flags));
        load(home);
    });
    assert_eq!(too_early, ["T6"]);
    // Never put back: found at the next check.
    let flags = xen!(xs_local_irq_save());
    load(d.vttbr());
    assert_eq!(w.violations()[0].rule, "T6");
    load(home);
    xen!(xs_local_irq_restore(flags));
}

#[test]
fn p1_to_p3_memory_has_what_an_iommu_reads_for_as_long_as_it_may() {
    let w = world(Config {
        iommu: Iommu::NonCoherent,
        ..Config::default()
    });
    let d = guest(&w, 0);
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    let word = w.entry(d, 5, 3);
    let page = slot(&w, d, 6, 3);
    let neither = broken(&w, || d.write_locked(|| store(page, word)));
    assert_eq!(neither, ["P2", "P4"], "neither cleaned nor told");
    let cleaned = broken(&w, || {
        d.write_locked(|| {
            store(page, word ^ 1 << 55);
            xen!(xs_clean_dcache_va_range(page.cast(), 8));
            d.flush();
        });
    });
    assert_eq!(cleaned, ["T1"], "cleaned, if not broken first");
    d.write_locked(|| {
        store(page, 0);
        xen!(xs_clean_dcache_va_range(page.cast(), 8));
        d.flush();
        xen!(xs_iommu_iotlb_flush(
            d.pointer(),
            6,
            1,
            sys::XS_IOMMU_FLUSHF_modified
        ));
    });
    // A table that is linked before it is in memory.
    let table = xen!(alloc_domheap_pages(null_mut(), 0, 0));
    let table_mfn = xen!(xs_page_to_mfn(table));
    let mapped = xen!(xs_map_domain_page(table_mfn)).cast();
    xen!(xs_clear_page(mapped));
    sys::arch::dsb_ishst();
    let above = slot(&w, d, M2, 2);
    let linked = broken(&w, || {
        d.write_locked(|| {
            store(above, table_mfn << 12 | 0x0080_0000_0000_07FF);
            xen!(xs_clean_dcache_va_range(mapped, 4096));
            store(above, 0);
            xen!(xs_clean_dcache_va_range(above.cast(), 8));
            d.flush();
        });
    });
    assert_eq!(linked, ["P1"]);
    // The IOTLB was never flushed.
    let freed = broken(&w, || xen!(free_domheap_pages(table, 0)));
    assert_eq!(freed, ["P3"]);
}

#[test]
fn r0_and_r5_pages_are_used_as_what_they_are() {
    let w = plain();
    let d = guest(&w, 0);
    let page = xen!(alloc_domheap_pages(d.pointer(), 0, sys::XS_MEMF_no_owner));
    let mfn = xen!(xs_page_to_mfn(page));
    let mapped = xen!(xs_map_domain_page(mfn));
    assert_eq!(
        broken(&w, || xen!(free_domheap_pages(page, 1))),
        ["R0"],
        "wrong order"
    );
    xen!(free_domheap_pages(page, 0));
    assert_eq!(
        broken(&w, || xen!(free_domheap_pages(page, 0))),
        ["R0"],
        "twice"
    );
    assert_eq!(broken(&w, || store(mapped, 1)), ["R5"]);
    let ram_page = xen!(xs_mfn_to_page(ram(0)));
    assert_eq!(
        broken(&w, || xen!(free_domheap_pages(ram_page, 0))),
        ["R0"],
        "no heap page"
    );
    xen!(put_page(ram_page));
    assert_eq!(
        broken(&w, || xen!(put_page(ram_page))),
        ["R0"],
        "below zero"
    );
    w.forget_frame(ram(0));
    let nowhere = xen!(xs_mfn_to_page(0x3));
    let got = broken(&w, || assert!(!xen!(get_page(nowhere, d.pointer()))));
    assert_eq!(got, ["R0"], "no memory");
}

/// Xen leaves a free page of a pool as it was; who still uses it as a table uses what is not his.
#[test]
fn r5_and_r0_a_free_page_of_a_pool_is_nobodys() {
    let w = plain();
    let d = guest(&w, 0);
    let free = freelist(d);
    let page = pool_locked(d, || xen!(xs_page_list_remove_head(free)));
    let mfn = xen!(xs_page_to_mfn(page));
    let mapped = xen!(xs_map_domain_page(mfn));
    // SAFETY: an entry of a mapped page.
    let load = || unsafe { sys::arch::pte_load(mapped) };
    store(mapped, 1);
    assert_eq!(load(), 1);
    assert_eq!(w.take_violations(), []);
    pool_locked(d, || xen!(xs_page_list_add_tail(page, free)));
    assert_eq!(broken(&w, || assert_ne!(load(), 1)), ["R5"]);
    assert_eq!(broken(&w, || store(mapped, 1)), ["R5"]);
    assert_eq!(broken(&w, || xen!(xs_clear_page(mapped.cast()))), ["R5"]);
    let map = || assert!(!xen!(xs_map_domain_page(mfn)).is_null());
    assert_eq!(broken(&w, map), ["R0"]);
    let freed = || xen!(free_domheap_pages(page, 0));
    assert_eq!(broken(&w, freed), ["R0"]);
}

#[test]
fn r1_a_reference_too_many_or_too_few_is_found() {
    let w = plain();
    let (d, owner) = (guest(&w, 0), guest(&w, 1));
    assert_eq!(d.map_foreign(owner, 5, ram(1)), 0);
    w.take_references(ram(1), 1);
    assert_eq!(w.violations()[0].rule, "R1");
    let page = xen!(xs_mfn_to_page(ram(1)));
    xen!(put_page(page));
    w.check();
    xen!(put_page(page));
    assert_eq!(w.violations()[0].rule, "R1");
    w.take_references(ram(1), 1);
    w.check();
    // The owner's own reference counts as well.
    let other = xen!(xs_mfn_to_page(ram(1) + G1));
    xen!(put_page(other));
    assert_eq!(w.violations()[0].rule, "R1");
    w.forget_frame(ram(1) + G1);
}

#[test]
fn a_caller_that_was_refused_gives_back_what_no_mapping_owns_and_nothing_else() {
    let w = plain();
    let (d, owner) = (guest(&w, 0), guest(&w, 1));
    let frame = ram(1);
    assert_eq!(d.map_foreign(owner, 5, frame + 1), 0);
    w.take_references(frame, 3);
    w.give_back_references(frame, 3);
    assert_eq!(w.references_of(&[frame, frame + 1, frame + 2]), [1, 2, 1]);
    w.check();
    // Of two that are too many it brought one.
    w.take_references(frame, 1);
    w.take_references(frame, 1);
    w.give_back_references(frame, 1);
    assert_eq!(w.references(frame), 2);
    assert_eq!(w.violations()[0].rule, "R1");
    xen!(put_page(xen!(xs_mfn_to_page(frame))));
    // A reference too few is not made good, and one of another frame stays.
    xen!(put_page(xen!(xs_mfn_to_page(frame + 1))));
    w.take_references(frame + 4, 1);
    w.give_back_references(frame, 3);
    assert_eq!(w.references_of(&[frame + 1, frame + 4]), [1, 2]);
    assert_eq!(w.violations()[0].rule, "R1");
    w.take_references(frame + 1, 1);
    xen!(put_page(xen!(xs_mfn_to_page(frame + 4))));
    w.check();
}

#[test]
fn an_owner_gives_a_frame_up_once() {
    let w = plain();
    let (d, owner) = (guest(&w, 0), guest(&w, 1));
    assert_eq!(d.map_foreign(owner, 5, ram(1)), 0);
    w.owner_frees(ram(1));
    w.owner_frees(ram(1));
    assert_eq!(w.references(ram(1)), 1);
    w.check();
}

#[test]
fn p4_an_iommu_is_told_of_each_change_as_what_it_is() {
    use sys::{XS_IOMMU_FLUSHF_added as ADDED, XS_IOMMU_FLUSHF_modified as MODIFIED};
    let w = world(Config {
        iommu: Iommu::Coherent,
        ..Config::default()
    });
    let d = guest(&w, 0);
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    let word = w.entry(d, 5, 3);
    let changes = |slot_of: u64, from: u64, to: u64, gfn: u64, flags: u32| {
        let page = slot(&w, d, slot_of, 3);
        let found = broken(&w, || {
            d.write_locked(|| {
                store(page, to);
                d.flush();
                sys::arch::dsb_sy();
                xen!(xs_iommu_iotlb_flush(d.pointer(), gfn, 1, flags));
            });
        });
        // As it was, and the IOMMU knows.
        d.write_locked(|| {
            store(page, from);
            d.flush();
            sys::arch::dsb_sy();
            xen!(xs_iommu_iotlb_flush(
                d.pointer(),
                slot_of,
                1,
                ADDED | MODIFIED
            ));
        });
        found
    };
    let read_only = word & !test_harness::pte::WRITE;
    let both = ADDED | MODIFIED;
    // What was, what is, and the flags that say so.
    for (at, from, to, enough) in [
        (6, 0, word + 0x1000, ADDED),
        (5, word, 0, MODIFIED),
        (5, word, read_only, both),
    ] {
        for flags in [0, ADDED, MODIFIED, both] {
            let told = flags & enough == enough;
            // A flush without a flag is refused by the drivers, too.
            let expected: &[&str] = match flags {
                0 => &["P4", "X1"],
                _ if told => &[],
                _ => &["P4"],
            };
            assert_eq!(changes(at, from, to, at, flags), expected, "{flags}");
        }
        assert_eq!(changes(at, from, to, at + 1, both), ["P4"], "elsewhere");
    }
}

#[test]
fn p4_a_table_that_maps_what_the_block_did_is_no_news() {
    let w = world(Config {
        iommu: Iommu::Coherent,
        ..Config::default()
    });
    let d = guest(&w, 0);
    let owner = guest(&w, 1);
    w.take_references(ram(1), M2);
    assert_eq!(d.insert(M2, M2, ram(1), p2mt::FOREIGN_RW), 0);
    w.clear_events();
    assert_eq!(d.remove(M2 + 5, 1, ram(1) + 5), 0);
    let flushed = |event: &Event| match *event {
        Event::IommuFlush { gfn, nr, .. } => Some((gfn, nr)),
        _ => None,
    };
    let flushes: Vec<_> = w.events().iter().filter_map(|(_, e)| flushed(e)).collect();
    // The block, once its parts are there, and then the page.
    assert_eq!(flushes, [(M2, M2), (M2 + 5, 1)]);
    w.check();
    w.destroy(d);
    w.destroy(owner);
}

/// A page that is met for the first time when a large block is in pieces was what the block said, but only if
/// the block was there when the lock was taken.
#[test]
fn p6_a_large_block_that_comes_and_goes_under_one_lock_is_a_stranger() {
    let w = world(Config {
        ipa_bits: 48,
        ..behind(Iommu::Coherent)
    });
    let d = guest(&w, 0);
    assert_eq!(d.insert(G1, G1, ram(0), p2mt::RAM_RW), 0);
    let (place, block) = (slot(&w, d, G1, 1), w.entry(d, G1, 1));
    assert_eq!(d.insert(G1 + 5, 1, ram(0), p2mt::RAM_RW), 0);
    let (pieces, part) = (w.entry(d, G1, 1), slot(&w, d, G1 + 6, 3));
    let word = w.entry(d, G1 + 6, 3);
    let told = |flags| {
        sys::arch::dsb_sy();
        xen!(xs_iommu_iotlb_flush(d.pointer(), G1, G1, flags));
    };
    let (added, modified) = (sys::XS_IOMMU_FLUSHF_added, sys::XS_IOMMU_FLUSHF_modified);
    let goes = |slot| {
        store(slot, 0);
        d.flush();
        told(modified);
    };
    let comes = |slot, entry| {
        store(slot, entry);
        told(added);
    };
    let said = |call: &dyn Fn()| {
        let mut said = broken(&w, || d.write_locked(call));
        // Statistics and references do not follow what is done by hand.
        said.retain(|rule| rule.starts_with('P'));
        said
    };
    let replaced = || {
        store(place, 0);
        d.flush();
        store(place, pieces);
        told(added | modified);
        goes(part);
        comes(part, word + 0x5000);
    };
    // The pieces are to map what the block maps.
    said(&|| {
        goes(slot(&w, d, G1 + 5, 3));
        comes(slot(&w, d, G1 + 5, 3), word - 0x1000);
    });
    said(&|| goes(place));
    said(&|| comes(place, block));
    assert_eq!(said(&replaced), [""; 0], "the block's page, then another");
    said(&|| goes(place));
    assert_eq!(
        said(&|| {
            comes(part, word);
            comes(place, block);
            replaced();
        }),
        ["P6"],
        "nothing, then the block's page, then another"
    );
    w.abandon();
}

/// An IOTLB may hold the old page beside the one that takes its place, if it is flushed only once that is
/// there.
#[test]
fn p5_the_iotlb_is_flushed_between_break_and_make() {
    let w = world(behind(Iommu::Coherent));
    let d = guest(&w, 0);
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    let (page, word) = (slot(&w, d, 5, 3), w.entry(d, 5, 3));
    let told = |flags| {
        sys::arch::dsb_sy();
        xen!(xs_iommu_iotlb_flush(d.pointer(), 5, 1, flags));
    };
    let (added, modified) = (sys::XS_IOMMU_FLUSHF_added, sys::XS_IOMMU_FLUSHF_modified);
    let replaced = |new: u64, in_between: &dyn Fn()| {
        broken(&w, || {
            d.write_locked(|| {
                store(page, 0);
                d.flush();
                in_between();
                store(page, new);
                told(added | modified);
            });
        })
    };
    assert_eq!(replaced(word + 0x1000, &|| ()), ["P5"]);
    assert_eq!(replaced(word, &|| told(added)), ["P5"]);
    assert_eq!(replaced(word + 0x1000, &|| told(modified)), [""; 0]);
    // Other permissions need no flush in between; nor a break, which is rule P6's.
    let read_only = (word + 0x1000) & !test_harness::pte::WRITE;
    assert_eq!(replaced(read_only, &|| ()), ["P6"]);
    w.abandon();
}

/// A block and its parts name the same frames: an IOTLB may hold both for a moment, and is not to forget the
/// block before the parts are there.
#[test]
fn p5_p6_the_iotlb_is_flushed_of_a_block_after_its_parts_are_there() {
    let (added, modified) = (sys::XS_IOMMU_FLUSHF_added, sys::XS_IOMMU_FLUSHF_modified);
    // A table of parts that was made by a call, put back by hand.
    let becomes = |change: &dyn Fn(u64) -> u64, in_between: Option<(u64, u32)>, after: u32| {
        let w = world(behind(Iommu::Coherent));
        let d = guest(&w, 0);
        assert_eq!(d.insert(M2, M2, ram(0), p2mt::RAM_RW), 0);
        let (place, block) = (slot(&w, d, M2, 2), w.entry(d, M2, 2));
        assert_eq!(d.remove(M2 + 5, 1, ram(0) + 5), 0);
        let pointer = w.entry(d, M2, 2);
        let (part, word) = (slot(&w, d, M2 + 9, 3), w.entry(d, M2 + 9, 3));
        let told = |gfn, flags| {
            xen!(xs_iommu_iotlb_flush(d.pointer(), gfn, M2, flags));
        };
        broken(&w, || {
            d.write_locked(|| {
                store(place, 0);
                d.flush();
                told(M2, modified);
                store(place, block);
                told(M2, added);
            });
        });
        let mut said = broken(&w, || {
            d.write_locked(|| {
                store(place, 0);
                store(part, change(word));
                d.flush();
                if let Some((gfn, flags)) = in_between {
                    told(gfn, flags);
                }
                store(place, pointer);
                told(M2, after);
            });
        });
        w.abandon();
        // Statistics and references do not follow what is done by hand.
        said.retain(|rule| rule.starts_with('P'));
        said
    };
    let same = |part: u64| part;
    assert_eq!(becomes(&same, None, added | modified), [""; 0]);
    // Xen's drivers forget the whole domain, whatever they are told of.
    for too_early in [(M2, modified), (M2, added), (5 * M2, modified)] {
        let said = becomes(&same, Some(too_early), added | modified);
        assert_eq!(said, ["P6"], "{too_early:?}");
    }
    let read_only = |part: u64| part & !test_harness::pte::WRITE;
    assert_eq!(becomes(&read_only, None, added | modified), [""; 0]);
    let another = |part: u64| part + 0x1000;
    assert_eq!(becomes(&another, None, added | modified), ["P5"]);
}

/// A device must not meet a page in between, nor be refused for no reason, nor for good.
#[test]
fn p6_a_device_meets_what_was_mapped_or_what_will_be() {
    let w = world(behind(Iommu::Coherent));
    let d = guest(&w, 0);
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    let (page, word) = (slot(&w, d, 5, 3), w.entry(d, 5, 3));
    let told = |flags| {
        sys::arch::dsb_sy();
        xen!(xs_iommu_iotlb_flush(d.pointer(), 5, 1, flags));
    };
    // One after the other, each with its break and its flushes.
    let replaced = |word: u64| {
        store(page, 0);
        d.flush();
        told(sys::XS_IOMMU_FLUSHF_modified);
        store(page, word);
        told(sys::XS_IOMMU_FLUSHF_added);
    };
    let becomes = |words: &[u64]| {
        broken(&w, || {
            d.write_locked(|| words.iter().for_each(|&word| replaced(word)));
        })
    };
    let other = word + 0x1000;
    assert_eq!(becomes(&[other]), [""; 0]);
    assert_eq!(becomes(&[word + 0x2000, word]), ["P6"]);
    // Two calls under one lock, each of which changes the page.
    let two_calls = || {
        broken(&w, || {
            d.write_locked(|| {
                for word in [word + 0x2000, word] {
                    replaced(word);
                    w.call_is_over(d);
                }
            });
        })
    };
    assert_eq!(two_calls(), [""; 0]);
    // What one call does is judged at its end, though the lock is kept.
    let one_call = |change: &dyn Fn()| {
        broken(&w, || {
            d.write_locked(|| {
                change();
                w.call_is_over(d);
                replaced(word);
            });
        })
    };
    assert_eq!(
        one_call(&|| [word + 0x2000, word].into_iter().for_each(replaced)),
        ["P6"]
    );
    let untold = || {
        store(page, 0);
        d.flush();
    };
    assert_eq!(one_call(&untold), ["P4"]);
    // Refused in between: for other rights, and for nothing at all.
    let read_only = word & !test_harness::pte::WRITE;
    assert_eq!(becomes(&[read_only]), ["P6"]);
    assert_eq!(becomes(&[read_only]), ["P6"]);
    // Mapped, with its valid bit clear.
    assert_eq!(becomes(&[other & !test_harness::pte::VALID]), ["P6"]);
    w.abandon();
}
