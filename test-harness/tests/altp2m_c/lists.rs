// SPDX-License-Identifier: GPL-2.0-only
//! The accesses of a list of pages, from arrays in the memory of the caller.

use test_harness::Stage1Entry;

use crate::common::{access, p2mt, ram};
use crate::operations::{with_views, HOLE, NO_VIEWS};
use crate::request::{cmd, Request};
use crate::scene::{Scene, PAGES};
use crate::{xen, EFAULT, EINVAL};

/// Where the monitor has its lists.
const GFNS: u64 = 0x10_0000;
const ACCESSES: u64 = 0x20_0000;

/// Writes lists to the memory of the monitor, whose vCPU runs on CPU 0; the request of that.
pub(crate) fn list(s: &Scene, view: u16, elements: &[(u64, u32)]) -> Request {
    let gfns = elements.iter().flat_map(|(gfn, _)| gfn.to_ne_bytes());
    let accesses = elements.iter().map(|&(_, access)| access as u8);
    let gfns: Vec<u8> = gfns.collect();
    let accesses: Vec<u8> = accesses.collect();
    for (n, at, bytes) in [(0, GFNS, gfns), (16, ACCESSES, accesses)] {
        for (page, bytes) in (0..).zip(bytes.chunks(4096)) {
            let gfn = 0x4000 + n + page;
            let entry = Stage1Entry {
                gfn,
                writable: false,
            };
            assert_eq!(s.monitor.insert(gfn, 1, ram(1) + n + page, p2mt::RAM_RW), 0);
            s.w.stage1_map(s.monitor_vcpu, at + (page << 12), entry);
            s.w.write_ram(ram(1) + n + page, 0, bytes);
        }
    }
    xen::with(|x| x.privileged = Some(s.monitor.pointer().addr()));
    s.w.run(0, s.monitor_vcpu);
    let nr = u32::try_from(elements.len()).unwrap();
    let it = s.view(cmd::SET_MEM_ACCESS_MULTI, view).u32(4, nr);
    it.u64(16, GFNS).u64(24, ACCESSES)
}

#[test]
fn the_accesses_of_a_list_are_set_in_one_view() {
    let (s, [view, other]) = with_views();
    let it = list(
        &s,
        view,
        &[
            (PAGES, access::R),
            (HOLE, access::N),
            (PAGES + 9, access::X),
        ],
    );
    s.ok(it);
    for (number, gfn, wanted) in [
        (view, PAGES, access::R),
        (view, PAGES + 1, access::RWX),
        (view, PAGES + 9, access::X),
        (other, PAGES, access::R),
        (other, PAGES + 9, access::R),
        (0, PAGES, access::RWX),
    ] {
        assert_eq!(
            s.d.access_in_view(number, gfn),
            (0, wanted),
            "{gfn:#x} in view {number}"
        );
    }
    // Of the host, and from the middle on.
    s.ok(list(&s, 0, &[(PAGES, access::N), (PAGES + 1, access::N)]).u64(8, 1));
    assert_eq!(s.d.access(PAGES), (0, access::RWX));
    assert_eq!(s.d.access(PAGES + 1), (0, access::N));
}

#[test]
fn a_list_that_cannot_be_set_is_refused() {
    let (s, [view, other]) = with_views();
    let it = list(&s, view, &[(PAGES, access::R), (PAGES + 1, access::R)]);
    s.refused(EINVAL, it.u16(2, 1));
    for begins in [3, 1 << 16, 1 << 32, 1 << 32 | 1, !0] {
        s.refused(EINVAL, it.u64(8, begins));
    }
    for number in NO_VIEWS.into_iter().chain([other + 1]) {
        s.refused(EINVAL, it.u16(0, number));
    }
    // Nobody can read a list there.
    s.refused(EFAULT, it.u64(16, 8));
    s.refused(EFAULT, it.u64(24, 8));
    // Nothing is left to be set.
    s.ok(it.u64(8, 2).u64(16, 8));
    s.ok(it.u32(4, 0).u64(24, 8));
}

#[test]
fn what_comes_before_an_error_in_a_list_stays_set() {
    let (s, [view, _]) = with_views();
    let bad = list(
        &s,
        view,
        &[
            (PAGES, access::RX),
            (PAGES + 1, 12),
            (PAGES + 2, access::RX),
        ],
    );
    assert_eq!(s.call(&mut { bad }), EINVAL.into());
    let found = [0, 1, 2].map(|n| s.d.access_in_view(view, PAGES + n).1);
    assert_eq!(found, [access::RX, access::RWX, access::RWX]);
}
