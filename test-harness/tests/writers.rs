// SPDX-License-Identifier: GPL-2.0-only
//! Cleaning reaches what anybody wrote: the guest, Xen, a backend, the toolstack;
//! whether or not the guest has touched the page since tracking began.
//!
//! That dirty pages are cleaned is rules C1 and C2, which every call is watched by.
//! Here are the ways in which they become dirty.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::Arc;

use common::{access, errno, guest, p2mt, ram, world, G1, M2, SIZES};
use test_harness::{Config, Domain, Preempt, Stage1Entry, Vcpu, World, Writer};

const GVA: u64 = 0x7000;

/// Guest frames of single pages, of a block, and of pages that have their table after a
/// hole.
const PAGES: u64 = 0x1000;
const BLOCK: u64 = 16 * M2;
const FAR: u64 = 24 * M2 + 9;

/// A guest with two vCPUs, of which one runs on CPU 0 and the other on CPU 1, on a
/// machine of each size; what it touches is tracked, and it has touched one page.
fn scenes() -> impl Iterator<Item = (World, Domain, [Vcpu; 2])> {
    SIZES.into_iter().map(|ipa_bits| {
        let w = world(Config {
            ipa_bits,
            ..Config::default()
        });
        let d = guest(&w, 0);
        let vcpus = [w.vcpu(d), w.vcpu(d)];
        assert_eq!(d.insert(PAGES, 8, ram(0) + 1, p2mt::RAM_RW), 0);
        assert_eq!(d.insert(BLOCK, M2, ram(0) + M2, p2mt::RAM_RW), 0);
        assert_eq!(d.insert(FAR, 2, ram(0) + 2 * M2, p2mt::RAM_RW), 0);
        d.creation_finished();
        w.run(0, vcpus[0]);
        w.run(1, vcpus[1]);
        assert!(d.guest_writes(PAGES).is_some());
        (w, d, vcpus)
    })
}

fn flush(w: &World, v: Vcpu) {
    v.set_need_flush_to_ram(true);
    v.flush_vm();
    w.check();
    assert_eq!(w.dirty_pages(), []);
}

/// What LibVMI does after each write.
#[test]
fn what_the_toolstack_wrote_is_cleaned_when_it_asks_for_it() {
    for (w, d, _) in scenes() {
        // The neighbour of the page that the guest touched, pages of a block, and one
        // of which not even the table was touched.
        for gfn in [
            PAGES + 1,
            PAGES + 7,
            BLOCK,
            BLOCK + 77,
            BLOCK + M2 - 1,
            FAR + 1,
        ] {
            let mfn = w.foreign_writes(Writer::Toolstack, d, gfn).unwrap();
            let _before = w.flushed_to_ram();
            assert_eq!(d.cache_flush(gfn, gfn + 1), (0, gfn + 1));
            assert_eq!(w.flushed_to_ram(), [mfn], "gfn {gfn:#x}");
            w.check();
        }
    }
}

#[test]
fn a_range_is_cleaned_whatever_valid_bits_are_clear_in_it() {
    for (w, d, _) in scenes() {
        // Touched, not touched, touched, and so on; one is restricted.
        for gfn in [PAGES + 2, PAGES + 4, PAGES + 5] {
            assert!(d.resolve(gfn));
        }
        assert_eq!(d.set_access(PAGES + 6, 1, 0, access::N), 0);
        assert_eq!(d.cache_flush(0, u64::MAX).0, 0);
        let pages = ram(0) + 1..ram(0) + 9;
        let all: Vec<u64> = pages.chain(ram(0) + M2..ram(0) + 2 * M2 + 2).collect();
        let mut cleaned = w.flushed_to_ram();
        cleaned.sort_unstable();
        assert!(cleaned == all, "each of them once");
    }
}

#[test]
fn a_vm_is_cleaned_of_what_others_wrote_where_the_guest_was_not() {
    for writer in [Writer::Backend, Writer::Toolstack] {
        for (w, d, [v, _]) in scenes() {
            flush(&w, v);
            for gfn in [PAGES + 3, BLOCK + 77, FAR] {
                assert!(w.foreign_writes(writer, d, gfn).is_some());
            }
            flush(&w, v);
        }
    }
}

/// The walk by software asks for no valid bit, and sets none.
#[test]
fn a_vm_is_cleaned_of_what_xen_wrote_where_the_guest_was_not() {
    for (w, d, [v, _]) in scenes() {
        for gfn in [PAGES + 3, BLOCK + 77, FAR] {
            let entry = Stage1Entry {
                gfn,
                writable: true,
            };
            w.stage1_map(v, GVA, entry);
            flush(&w, v);
            assert!(w.xen_copies_to(v, GVA).is_some());
            assert!(!w.guest_can(0, gfn << 12, true), "not touched");
            flush(&w, v);
        }
        let _ = d;
    }
}

/// A grant that is mapped before one pass is written after it, and unmapped before the
/// next.
#[test]
fn a_backend_may_hold_its_mapping_across_a_pass() {
    for (w, d, [v, _]) in scenes() {
        let page = d.page_from_gfn(PAGES + 3).0.unwrap();
        v.set_need_flush_to_ram(true);
        v.flush_vm();
        w.writes(Writer::Backend, page.mfn());
        let mfn = page.put();
        assert_eq!(w.dirty_pages(), [(mfn, Writer::Backend)]);
        flush(&w, v);
    }
}

/// Whenever the pass releases the lock. At last it is over, the bits are not clear yet, and what the guest
/// touches now leaves no trace once they are.
#[test]
fn a_page_that_another_vcpu_wrote_between_pass_and_invalidation_is_not_forgotten() {
    for (w, d, [v, _]) in scenes() {
        for gfn in [PAGES, PAGES + 5, BLOCK + 3] {
            let mut left = 0;
            for moment in 1.. {
                let written = Arc::new(AtomicBool::new(false));
                let writes = written.clone();
                w.meanwhile_after(moment, move || {
                    assert!(d.guest_writes(gfn).is_some());
                    writes.store(true, Relaxed);
                });
                v.set_need_flush_to_ram(true);
                v.flush_vm();
                w.nothing_meanwhile();
                w.check();
                if !written.load(Relaxed) {
                    break;
                }
                left = w.dirty_pages().len();
                flush(&w, v);
            }
            assert_eq!(left, 1, "written after its page was cleaned");
        }
    }
}

/// As above, at any look for softirqs on the way.
#[test]
fn a_page_that_was_written_while_the_pass_was_preempted_is_not_forgotten() {
    for (w, d, [v, _]) in scenes() {
        v.set_need_flush_to_ram(true);
        w.preempt(Preempt::Always);
        w.meanwhile(move || assert!(d.guest_writes(PAGES).is_some()));
        v.flush_vm();
        w.preempt(Preempt::Never);
        w.check();
        flush(&w, v);
    }
}

#[test]
fn a_range_that_was_preempted_is_cleaned_to_its_end() {
    for (w, d, _) in scenes() {
        for gfn in (PAGES..PAGES + 8).chain(BLOCK..BLOCK + M2).chain([FAR]) {
            assert!(w.foreign_writes(Writer::Toolstack, d, gfn).is_some());
        }
        w.preempt(Preempt::Always);
        let mut start = 0;
        while let (errno::ERESTART, at) = d.cache_flush(start, G1) {
            assert!(at > start);
            start = at;
            w.check_rules();
        }
        assert_eq!(w.dirty_pages(), []);
        w.check();
    }
}
