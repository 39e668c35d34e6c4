// SPDX-License-Identifier: GPL-2.0-only
//! A dying domain's tables name frames that were freed: their references went
//! with `relinquish_memory`, which comes before the p2m is relinquished. Such a
//! frame may have another owner by then, who has a use for it.
#![allow(clippy::unwrap_used)] // a test may stop on the spot

mod common;

use common::{count, guest, p2mt, plain, ram, M2};
use test_harness::{Domain, Event, World, INVALID};

/// Where the new owner sees its page.
const SEEN_AT: u64 = 0x7777;

/// A page of Xen's heap that belongs to `owner`, who sees it at [`SEEN_AT`].
fn heap_page_of(w: &World, mfn: u64, owner: Domain) {
    w.xenheap(mfn, 1, owner);
    w.set_xenheap_gfn(mfn, SEEN_AT);
}

#[test]
fn a_dying_domain_leaves_the_next_owners_m2p_alone() {
    for neighbours in [0, 3] {
        let w = plain();
        let (d, next) = (guest(&w, 0), guest(&w, 1));
        let frame = ram(9);
        heap_page_of(&w, frame, next);
        assert_eq!(d.insert(5, 1, frame, p2mt::RAM_RW), 0);
        assert_eq!(d.insert(6, neighbours, ram(0), p2mt::RAM_RW), 0);
        d.set_dying_state(1);
        assert_eq!(d.relinquish(), 0);
        assert_eq!(w.xenheap_gfn(frame), Some(SEEN_AT), "the next owner's");
        assert_eq!(w.references(frame), 1);
        w.check();
    }
}

#[test]
fn a_frame_that_is_being_freed_is_not_touched() {
    let w = plain();
    let d = guest(&w, 0);
    let frame = ram(9);
    heap_page_of(&w, frame, d);
    assert_eq!(d.insert(5, 1, frame, p2mt::RAM_RW), 0);
    // The last reference is gone: the frame is on its way to the heap.
    w.owner_frees(frame);
    d.set_dying_state(1);
    assert_eq!(d.relinquish(), 0);
    assert_eq!(w.xenheap_gfn(frame), Some(SEEN_AT));
    assert_eq!(w.references(frame), 0);
    w.check();
}

/// A guest may give a page of Xen's heap up that Xen goes on using, such as the one that `XENMAPSPACE_shared_info` maps
/// (`XENMEM_decrease_reservation`): then it has no reference, and is the guest's until the domain is destroyed.
#[test]
fn a_living_domains_own_page_that_was_given_up_is_forgotten_where_it_was_mapped_again() {
    for unmap in [
        |d: Domain| assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0),
        |d: Domain| assert_eq!(d.remove_page(5, ram(9), 0), 0),
    ] {
        let w = plain();
        let d = guest(&w, 0);
        w.xenheap(ram(9), 1, d);
        w.owner_frees(ram(9));
        w.set_xenheap_gfn(ram(9), 5);
        assert_eq!(d.insert(5, 1, ram(9), p2mt::RAM_RW), 0);
        w.clear_events();
        unmap(d);
        assert_eq!(
            w.xenheap_gfn(ram(9)),
            Some(INVALID),
            "can be mapped once more"
        );
        // That there is a barrier is all that this machine sees. It must be between the look at the page and that at
        // the domain (`forget_xenheap_gfn`).
        assert_eq!(count(&w, |event| *event == Event::DmbIshld), 1);
        assert_eq!(w.references(ram(9)), 0);
        w.check();
    }
}

/// What is done to a domain, to which frame.
type Way = (&'static str, fn(Domain, u64));

#[test]
fn a_domains_own_page_of_xens_heap_is_forgotten_wherever_it_is_unmapped() {
    let ways: [Way; 4] = [
        ("one page", |d, mfn| assert_eq!(d.remove(5, 1, mfn), 0)),
        ("its table", |d, _| {
            assert_eq!(d.set_entry(0, M2, INVALID, 0, 7), 0);
        }),
        ("another in its place", |d, _| {
            assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
        }),
        ("the end of the domain", |d, _| {
            d.set_dying_state(1);
            assert_eq!(d.relinquish(), 0);
        }),
    ];
    for (what, unmap) in ways {
        let w = plain();
        let d = guest(&w, 0);
        heap_page_of(&w, ram(9), d);
        assert_eq!(d.insert(5, 1, ram(9), p2mt::RAM_RW), 0);
        unmap(d, ram(9));
        assert_eq!(w.xenheap_gfn(ram(9)), Some(INVALID), "{what}");
        assert_eq!(w.references(ram(9)), 1, "{what}");
        w.check();
    }
}

/// `guest_remove_page` may come with a frame that was given up meanwhile.
#[test]
fn a_living_domain_leaves_the_next_owners_m2p_alone_too() {
    let w = plain();
    let (d, next) = (guest(&w, 0), guest(&w, 1));
    heap_page_of(&w, ram(9), next);
    assert_eq!(d.insert(5, 1, ram(9), p2mt::RAM_RW), 0);
    assert_eq!(d.remove(5, 1, ram(9)), 0);
    assert_eq!(w.xenheap_gfn(ram(9)), Some(SEEN_AT));
    w.check();
}

/// A grant may be of a page of Xen's heap, which has its place in the guest elsewhere.
#[test]
fn a_granted_mapping_of_a_heap_page_leaves_its_m2p() {
    let w = plain();
    let d = guest(&w, 0);
    heap_page_of(&w, ram(9), d);
    assert_eq!(d.insert(5, 1, ram(9), p2mt::GRANT_RW), 0);
    assert_eq!(d.remove_page(5, ram(9), 0), 0);
    assert_eq!(w.xenheap_gfn(ram(9)), Some(SEEN_AT));
    w.check();
}
