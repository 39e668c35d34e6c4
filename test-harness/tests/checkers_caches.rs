// SPDX-License-Identifier: GPL-2.0-only
//! The rules of the caches, each broken once by hand.

mod common;

use common::by_hand::{broken, xen};
use common::{guest, p2mt, plain, ram, M2};
use test_harness::{Domain, World, Writer};
use xen_sys as sys;

const NONE: [&str; 0] = [];

const WRITERS: [Writer; 4] = [
    Writer::Guest,
    Writer::Xen,
    Writer::Backend,
    Writer::Toolstack,
];

/// Pages 4 to 7, and a block.
fn mapped() -> (World, Domain) {
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!(d.insert(4, 4, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.insert(M2, M2, ram(0) + M2, p2mt::RAM_RW), 0);
    (w, d)
}

/// `rule`'s call, which cleans these frames and is through at `end`.
fn cleans(w: &World, rule: &'static str, d: Domain, mfns: &[u64], end: u64) -> Vec<&'static str> {
    broken(w, || {
        w.as_cleaning(rule, d, 0..u64::MAX, || {
            for &mfn in mfns {
                xen!(flush_page_to_ram(mfn, false));
            }
            ((), end)
        });
    })
}

#[test]
fn c1_and_c2_a_dirty_page_is_left_out_whoever_wrote_it() {
    for rule in ["C1", "C2"] {
        for writer in WRITERS {
            for mfn in [ram(0), ram(0) + 3, ram(0) + M2, ram(0) + M2 + 77] {
                let (w, d) = mapped();
                w.writes(writer, mfn);
                let all_but_it: Vec<u64> = (ram(0)..ram(0) + 4).filter(|&m| m != mfn).collect();
                assert_eq!(cleans(&w, rule, d, &all_but_it, u64::MAX), [rule]);
                // It is dirty still, until somebody cleans it.
                assert_eq!(w.dirty_pages(), [(mfn, writer)]);
                assert_eq!(cleans(&w, rule, d, &[mfn], u64::MAX), NONE);
                assert_eq!(w.dirty_pages(), []);
                assert_eq!(cleans(&w, rule, d, &[], u64::MAX), NONE);
            }
        }
    }
}

#[test]
fn c1_what_became_dirty_meanwhile_is_the_next_calls() {
    let (w, d) = mapped();
    w.writes(Writer::Guest, ram(0));
    let found = broken(&w, || {
        w.as_cleaning("C1", d, 0..u64::MAX, || {
            xen!(flush_page_to_ram(ram(0), false));
            w.writes(Writer::Guest, ram(0));
            w.writes(Writer::Xen, ram(0) + 1);
            ((), u64::MAX)
        });
    });
    assert_eq!(found, NONE);
    assert_eq!(cleans(&w, "C1", d, &[ram(0)], u64::MAX), ["C1"]);
}

#[test]
fn c2_what_is_beyond_the_point_that_was_reached_is_not_due() {
    let (w, d) = mapped();
    w.writes(Writer::Toolstack, ram(0) + 2);
    assert_eq!(cleans(&w, "C2", d, &[], 6), NONE);
    assert_eq!(cleans(&w, "C2", d, &[], 7), ["C2"]);
}

#[test]
fn c1_a_page_that_left_the_domain_is_not_due() {
    let (w, d) = mapped();
    w.writes(Writer::Backend, ram(0) + 1);
    let found = broken(&w, || {
        w.as_cleaning("C1", d, 0..u64::MAX, || {
            assert_eq!(d.remove(5, 1, ram(0) + 1), 0);
            ((), u64::MAX)
        });
    });
    assert_eq!(found, NONE);
    // A device's is no RAM, and nor is what is mapped nowhere.
    w.writes(Writer::Guest, 0x9000);
    assert_eq!(d.insert(9, 1, 0x9000, p2mt::MMIO_DEV), 0);
    assert_eq!(cleans(&w, "C1", d, &[], u64::MAX), NONE);
}
