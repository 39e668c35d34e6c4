// SPDX-License-Identifier: GPL-2.0-only
//! Arguments that make no sense, as a hypercall can pass them on: an error, no
//! panic, nothing changed.

mod common;
use common::{access, errno, guest, machines, p2mt, plain, ram, world, M2};
use test_harness::symbols as c;
use test_harness::{Config, Domain, World, INVALID};

/// A frame that is no memory.
const DEVICE: u64 = 0x9000;

/// A call of an exported function.
macro_rules! call {
    ($name:ident($($argument:expr),* $(,)?)) => {{
        // SAFETY: pointers are to structures of the world or to locals.
        unsafe { c::$name($($argument),*) }
    }};
}

fn scene(config: Config) -> (World, Domain) {
    let w = world(config);
    let d = guest(&w, 0);
    assert_eq!(d.insert(5, 3, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.insert(M2, M2, ram(0) + M2, p2mt::RAM_RO), 0);
    (w, d)
}

/// Runs `f` on every machine; it must change nothing.
fn changes_nothing(f: impl Fn(Domain, u64)) {
    for config in machines() {
        let (w, d) = scene(config);
        let before = (
            w.dump(d),
            d.max_mapped(),
            d.mapping_stats(),
            d.mem_access_enabled(),
        );
        f(d, config.gfn_limit());
        let after = (
            w.dump(d),
            d.max_mapped(),
            d.mapping_stats(),
            d.mem_access_enabled(),
        );
        assert_eq!(after, before, "{config:?}");
        w.check();
    }
}

#[test]
fn an_empty_range_is_nothing_to_do() {
    changes_nothing(|d, limit| {
        for gfn in [0, 5, M2, limit - 1, limit, INVALID] {
            assert_eq!(d.insert(gfn, 0, ram(0), p2mt::RAM_RW), 0);
            assert_eq!(d.remove(gfn, 0, ram(0)), 0);
        }
    });
}

#[test]
fn a_number_that_is_no_type_maps_nothing() {
    changes_nothing(|d, _| {
        for t in [p2mt::INVALID, 12, 15, 16, 17, 255, u32::MAX] {
            assert_eq!(d.insert(9, 1, ram(0), t), errno::EINVAL, "type {t}");
        }
    });
}

#[test]
fn a_machine_frame_that_no_entry_can_hold_is_refused() {
    let w = plain();
    let d = guest(&w, 0);
    let end = 1 << 36;
    for (mfn, nr) in [(end, 1), (end - 1, 2), (u64::MAX - 1, 1), (1 << 60, 1)] {
        assert_eq!(d.insert(5, nr, mfn, p2mt::MMIO_DEV), errno::EINVAL);
    }
    assert_eq!(w.snapshot(d).len(), 0);
    assert_eq!(d.insert(5, 1, end - 1, p2mt::MMIO_DEV), 0);
    assert_eq!(d.lookup(5).0, Some(end - 1));
    w.check();
}

#[test]
fn an_order_that_no_range_has_is_refused() {
    changes_nothing(|d, _| {
        for order in [52, 63, 64, 65, 1 << 32, u64::MAX] {
            let rc = call!(guest_physmap_add_entry(
                d.pointer(),
                0,
                0,
                order,
                p2mt::MMIO_DEV
            ));
            assert_eq!(rc, errno::EINVAL, "order {order}");
        }
        // A page of the domain's, no frame at all, and one of a device's.
        for mfn in [ram(0), INVALID, DEVICE] {
            for order in [52, 63, 64, u32::MAX] {
                let rc = call!(guest_physmap_remove_page(d.pointer(), 0, mfn, order));
                assert_eq!(rc, errno::EINVAL, "{mfn:#x}, order {order}");
            }
        }
    });
    // Where no page is mapped, none is compared with what the caller names.
    for config in machines() {
        let w = world(config);
        let d = guest(&w, 0);
        assert_eq!(d.insert(0, 3, DEVICE, p2mt::MMIO_DEV), 0);
        let before = (w.dump(d), d.max_mapped(), d.mapping_stats());
        for mfn in [ram(0), INVALID, DEVICE] {
            for order in [52, 63, 64, u32::MAX] {
                let rc = call!(guest_physmap_remove_page(d.pointer(), 0, mfn, order));
                assert_eq!(rc, errno::EINVAL, "{mfn:#x}, order {order}");
            }
        }
        let after = (w.dump(d), d.max_mapped(), d.mapping_stats());
        assert_eq!(after, before, "{config:?}");
        w.check();
    }
}

#[test]
fn a_range_that_wraps_does_not_come_round_to_frame_0() {
    changes_nothing(|d, limit| {
        for gfn in [INVALID - 1, INVALID, 1 << 52, limit] {
            assert_eq!(
                d.insert(gfn, 100, ram(0), p2mt::RAM_RW),
                errno::EINVAL,
                "{gfn:#x}"
            );
            assert_eq!(d.remove(gfn, 100, ram(0)), errno::EINVAL, "{gfn:#x}");
            assert_eq!(d.remove(gfn, u64::MAX, ram(0)), errno::EINVAL, "{gfn:#x}");
        }
    });
}

/// A level-0 root has entries for 48 bits, and one of level 1 for 39, whatever the guest's addresses have.
#[test]
fn a_fault_beyond_the_addresses_that_the_mmu_translates_is_not_resolved_whatever_is_mapped_there() {
    for config in machines() {
        let (w, d) = scene(config);
        let end = 1 << (config.ipa_bits - 12);
        let beyond = [end, config.gfn_limit() - 1];
        for gfn in [5, end - 1].into_iter().chain(beyond) {
            let is_within = gfn < end;
            let has_entry = gfn < config.gfn_limit();
            let expected = if has_entry { 0 } else { errno::EINVAL };
            assert_eq!(d.insert(gfn, 1, ram(0), p2mt::RAM_RW), expected);
            assert_eq!(d.resolve(gfn), is_within, "{config:?} {gfn:#x}");
        }
        // The same where valid bits are clear, and for any number of faults.
        d.creation_finished();
        for gfn in [5, end - 1].into_iter().chain(beyond) {
            for _ in 0..3 {
                assert_eq!(d.resolve(gfn), gfn < end, "{config:?} {gfn:#x}");
            }
        }
        w.check();
    }
}

#[test]
fn an_access_that_is_none_is_refused_and_the_default_is_the_default() {
    changes_nothing(|d, _| {
        for a in [12, 13, 127, 255, 256, u32::MAX] {
            assert_eq!(
                d.set_access(5, 1, 0, a),
                i64::from(errno::EINVAL),
                "access {a}"
            );
            assert_eq!(
                d.set_access(INVALID, 1, 0, a),
                i64::from(errno::EINVAL),
                "access {a}"
            );
        }
    });
    let (w, d) = scene(Config::default());
    assert_eq!(d.set_access(INVALID, 0, 0, access::RX), 0);
    assert_eq!(d.access(INVALID), (0, access::RX));
    assert_eq!(d.set_access(INVALID, 0, 0, access::DEFAULT), 0);
    assert_eq!(d.default_access(), access::RX);
    assert_eq!(d.set_access(5, 1, 0, access::DEFAULT), 0);
    assert_eq!(d.access(5), (0, access::RX));
    assert_eq!(d.access(6), (0, access::RWX));
    w.check();
}

#[test]
fn an_access_request_without_pages_or_beyond_its_end_touches_none() {
    for (nr, start) in [
        (0, 0),
        (0, 7),
        (3, 3),
        (3, 4),
        (3, u32::MAX),
        (u32::MAX, u32::MAX),
    ] {
        let (w, d) = scene(Config::default());
        let before = w.dump(d);
        assert_eq!(
            d.set_access(5, nr, start, access::N),
            0,
            "{nr} from {start}"
        );
        assert_eq!(w.dump(d), before);
        assert!(w.access_settings(d).is_empty());
        w.check();
    }
}

#[test]
fn an_access_request_that_starts_in_its_middle_leaves_the_beginning() {
    let (w, d) = scene(Config::default());
    assert_eq!(d.set_access(5, 3, 1, access::R), 0);
    assert_eq!(
        [5, 6, 7].map(|gfn| d.access(gfn).1),
        [access::RWX, access::R, access::R]
    );
    w.check();
}

#[test]
fn the_access_of_what_is_not_mapped_is_an_error_and_the_default_once_mem_access_is_in_use() {
    let (w, d) = scene(Config::default());
    let unmapped = [100, 1 << 20, 1 << 52];
    for gfn in unmapped {
        assert_eq!(d.access(gfn), (0, access::RWX), "{gfn:#x}");
    }
    assert_eq!(d.set_access(INVALID, 1, 0, access::RX), 0);
    for gfn in unmapped {
        assert_eq!(d.access(gfn), (errno::ESRCH, access::RX), "{gfn:#x}");
    }
    assert_eq!(d.access(INVALID), (0, access::RX));
    w.check();
}

#[test]
fn cleaning_an_empty_or_backward_range_cleans_nothing() {
    let (w, d) = scene(Config::default());
    for (start, end) in [(0, 0), (6, 5), (6, 6), (INVALID, INVALID), (INVALID, 0)] {
        let (rc, _) = d.cache_flush(start, end);
        assert_eq!(rc, 0, "{start:#x} to {end:#x}");
        assert!(w.flushed_to_ram().is_empty(), "{start:#x} to {end:#x}");
    }
    assert_eq!(d.cache_flush(6, 7).0, 0);
    assert_eq!(w.flushed_to_ram(), [ram(0) + 1]);
}

#[test]
fn the_pools_size_is_whole_pages_however_large() {
    let (w, d) = scene(Config::default());
    let before = w.mempool_size(d);
    for bytes in [1, 0xFFF, 0x1001, u64::MAX, u64::MAX - 1] {
        assert_eq!(w.set_mempool_size(d, bytes), errno::EINVAL, "{bytes:#x}");
    }
    assert_eq!(w.mempool_size(d), before);
    // More than there is: as much as there is, and an error.
    let small = Config {
        heap_pages: 100,
        ..Config::default()
    };
    let w = world(small);
    let d = w.domain(4);
    assert_eq!(w.set_mempool_size(d, 1 << 40), errno::ENOMEM);
    assert_eq!(d.pool_pages(), 100);
    w.check();
}

#[test]
fn a_domain_whose_p2m_never_was_maps_nothing() {
    // DOMID_IO is such a domain, and a foreign mapping may name it.
    let w = plain();
    let d = w.raw_domain(false);
    // SAFETY: a place in a live structure.
    let lock = unsafe { &raw mut (*d.p2m()).lock };
    // SAFETY: a lock of zeroes, as the structure has it in Xen, is a lock.
    unsafe { xen_sys::xs_rwlock_init(test_harness::live(lock)) };
    for gfn in [0, 5, 1 << 20, INVALID] {
        assert_eq!(d.lookup(gfn), (None, p2mt::INVALID), "{gfn:#x}");
        assert_eq!(d.page_from_gfn(gfn), (None, p2mt::INVALID), "{gfn:#x}");
    }
}
