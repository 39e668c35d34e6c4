// SPDX-License-Identifier: GPL-2.0-only
//! What views cost in what hardware makes dear: TLB invalidations, stores to tables, tables; and
//! that docs/altp2m.md says so. As in costs.rs, the numbers are exact and worked out by hand.
//!
//! A machine with a level-0 root, no IOMMU, no TLB invalidation by range.

#![cfg(config_altp2m)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

mod common;

use common::views::{ipa, Viewed};
use common::{access, errno, p2mt, ram, M2};
use p2m_rs::types::access::P2mAccess;
use test_harness::{Config, Event, Preempt, Vcpu};

/// TLB invalidations on all CPUs (of a whole VMID, of an IPA) and on this CPU, stores to entries,
/// tables that are taken from the pool (given back, if negative).
#[derive(Debug, PartialEq, Eq)]
struct Cost {
    vmid: u32,
    ipa: u32,
    local: u32,
    stores: u32,
    tables: i64,
}

const PAGE: u64 = 0x1000;
const BLOCK: u64 = 0x8000;

/// A guest with pages at [`PAGE`] and a block at [`BLOCK`], and a vCPU in a view.
fn machine() -> (Viewed, u16, Vcpu) {
    let v = Viewed::on(Config {
        ipa_bits: 48,
        log_capacity: 1 << 16,
        ..Config::default()
    });
    assert_eq!(v.d.insert(PAGE, 64, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(v.d.insert(BLOCK, M2, ram(0) + M2, p2mt::RAM_RW), 0);
    let n = v.create();
    let vcpu = v.vcpu_in(0, n);
    (v, n, vcpu)
}

fn cost(v: &Viewed, call: impl FnOnce()) -> Cost {
    let before = v.used();
    v.w.clear_events();
    call();
    let mut cost = Cost {
        vmid: 0,
        ipa: 0,
        local: 0,
        stores: 0,
        tables: i64::try_from(v.used()).unwrap() - i64::try_from(before).unwrap(),
    };
    for (_, event) in v.w.events() {
        match event {
            Event::TlbiVmid { .. } => cost.vmid += 1,
            Event::TlbiIpa { .. } => cost.ipa += 1,
            Event::TlbiVmidLocal { .. } | Event::TlbiStage1Local { .. } => cost.local += 1,
            Event::PteStore { .. } => cost.stores += 1,
            // (And nothing is cleaned to memory: no device walks a view's tables.)
            Event::TlbiRange { .. } | Event::TlbiAllLocal | Event::CleanRange { .. } => {
                panic!("{event:?}")
            }
            _ => {}
        }
    }
    v.w.check();
    cost
}

/// Each row of the table in docs/altp2m.md: what is done, and what it costs.
fn rows() -> Vec<(&'static str, Cost)> {
    let none = |stores, tables| Cost {
        vmid: 0,
        ipa: 0,
        local: 0,
        stores,
        tables,
    };
    let mut rows = Vec::new();
    let mut row = |what, cost| rows.push((what, cost));

    let (v, n, vcpu) = machine();
    row(
        "a guest comes to the first page of 2 MiB, and to the first of 512 GiB",
        // The page, and three entries that point to tables.
        cost(&v, || assert_eq!(v.read(0, PAGE), Some(ram(0)))),
    );
    row(
        "to another page there",
        cost(&v, || assert_eq!(v.read(0, PAGE + 1), Some(ram(0) + 1))),
    );
    row(
        "to the first page of a block of 2 MiB",
        cost(&v, || assert_eq!(v.read(0, BLOCK), Some(ram(0) + M2))),
    );
    row(
        "the access of a page that is copied",
        cost(&v, || {
            assert_eq!(v.set_access(n, PAGE, P2mAccess::R), Ok(()))
        }),
    );
    row(
        "the access of a page of a copied block, which is split",
        cost(&v, || {
            assert_eq!(v.set_access(n, BLOCK, P2mAccess::R), Ok(()))
        }),
    );
    row(
        "the access of a page that is not copied",
        cost(&v, || {
            assert_eq!(v.set_access(n, PAGE + 2, P2mAccess::R), Ok(()));
        }),
    );
    row(
        "a page that is copied is shown another frame",
        cost(&v, || assert_eq!(v.remap(n, PAGE + 1, PAGE + 9), Ok(()))),
    );
    // Not the source, which would empty the view.
    row(
        "the host unmaps a page that a view has copied",
        cost(&v, || assert_eq!(v.d.remove(PAGE, 1, ram(0)), 0)),
    );
    row(
        "the host unmaps a page that no view has copied",
        cost(&v, || assert_eq!(v.d.remove(PAGE + 40, 1, ram(0) + 40), 0)),
    );
    let toolstack = v.w.toolstack(0);
    v.w.run(0, toolstack);
    row(
        "a CPU goes back to the vCPU that it ran last, in the same view",
        cost(&v, || v.w.run(0, vcpu)),
    );
    v.w.run(0, toolstack);
    assert_eq!(vcpu.switch_view(0), 0);
    row(
        "a CPU changes from one view to another",
        cost(&v, || v.w.run(0, vcpu)),
    );
    assert!(v.w.guest_reads(0, ipa(PAGE + 3)).is_some());
    row(
        "a view is destroyed",
        cost(&v, || assert_eq!(v.destroy(n), Ok(()))),
    );
    row("a view is created", cost(&v, || assert_eq!(v.create(), n)));
    let expected = [
        none(4, 3),
        none(1, 0),
        none(1, 0),
        Cost {
            ipa: 1,
            ..none(1, 0)
        },
        // Break-before-make of the block's entry, and then the page's.
        Cost {
            ipa: 2,
            ..none(512 + 2 + 1, 1)
        },
        none(1, 0),
        Cost {
            ipa: 1,
            ..none(2, 0)
        },
        Cost {
            ipa: 2,
            ..none(2, 0)
        },
        Cost {
            ipa: 1,
            ..none(1, 0)
        },
        none(0, 0),
        Cost {
            local: 1,
            ..none(0, 0)
        },
        Cost {
            vmid: 1,
            ..none(0, -4)
        },
        none(0, 0),
    ];
    for ((what, cost), expected) in rows.iter().zip(&expected) {
        assert_eq!(cost, expected, "{what}");
    }
    assert_eq!(rows.len(), expected.len());
    rows
}

#[test]
fn the_document_says_what_views_cost() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/altp2m.md");
    let document = std::fs::read_to_string(path).unwrap();
    let mut wanted = String::new();
    for (what, cost) in rows() {
        let Cost {
            vmid,
            ipa,
            local,
            stores,
            tables,
        } = cost;
        let flush = match (vmid, ipa, local) {
            (0, 0, 0) => "none".to_owned(),
            (0, 0, 1) => "all of the domain's, on this CPU".to_owned(),
            (1, 0, 0) => "all of the domain's".to_owned(),
            (0, n, 0) => format!("{n} of one frame"),
            other => panic!("{what}: {other:?}"),
        };
        wanted += &format!("| {what} | {flush} | {stores} | {tables} |\n");
    }
    assert!(
        document.contains(&wanted),
        "docs/altp2m.md is to have:\n{wanted}"
    );
}

/// Nine views in which a page of each kind of leaf was copied, and a block that was split.
fn all_views() -> Viewed {
    let (v, _, _) = machine();
    while v.try_create(P2mAccess::Rwx).is_ok() {}
    let numbers: Vec<u16> = v.d.views().iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers.len(), 9);
    for n in numbers {
        v.vcpu_in(0, n);
        assert!(v.read(0, PAGE).is_some() && v.read(0, BLOCK).is_some());
        assert_eq!(v.set_access(n, BLOCK + 5, P2mAccess::R), Ok(()));
    }
    v
}

/// A guest can have one call unmap 512 frames, one by one, without a look for preemption. So what all
/// views have copied of a frame is forgotten with the flush that one of them needs.
#[test]
fn nine_views_forget_a_frame_with_one_flush() {
    let v = all_views();
    let unmap = |gfn, nr| move |v: &Viewed| assert_eq!(v.d.remove(gfn, nr, mfn_of(gfn)), 0);
    let one_page = Cost {
        vmid: 0,
        ipa: 2,
        local: 0,
        stores: 9 + 1,
        tables: 0,
    };
    assert_eq!(cost(&v, || unmap(PAGE, 1)(&v)), one_page);
    // Nine tables go, after the one flush for all of them, which is of 512 frames.
    let block = cost(&v, || unmap(BLOCK, M2)(&v));
    assert_eq!((block.stores, block.tables), (9 + 1, -9));
    let one = {
        let (v, n, _) = machine();
        assert!(v.read(0, BLOCK).is_some());
        assert_eq!(v.set_access(n, BLOCK + 5, P2mAccess::R), Ok(()));
        cost(&v, || unmap(BLOCK, M2)(&v))
    };
    assert_eq!((block.vmid, block.ipa), (one.vmid, one.ipa));
    assert_eq!((one.stores, one.tables), (1 + 1, -1));
    assert_eq!(v.access(1, BLOCK), None);
}

fn mfn_of(gfn: u64) -> u64 {
    if gfn == PAGE {
        ram(0)
    } else {
        ram(0) + M2
    }
}

/// Each continuation of the call that unmaps all of a dying domain comes to its views: what is empty is
/// not emptied again.
#[test]
fn the_views_of_a_dying_domain_are_emptied_once() {
    let v = all_views();
    for n in 0..6 {
        assert_eq!(
            v.d.insert(0x10_0000 + n * M2, 1, ram(0) + 4 * M2 + n, p2mt::RAM_RW),
            0
        );
    }
    v.d.set_dying_state(1);
    v.w.preempt(Preempt::Always);
    let first = cost(&v, || assert_eq!(v.d.relinquish(), errno::ERESTART));
    let second = cost(&v, || assert_eq!(v.d.relinquish(), errno::ERESTART));
    // The host's.
    assert_eq!(second.vmid, 1);
    assert_eq!(first.vmid, 9 + 1);
    v.w.preempt(Preempt::Never);
    v.w.destroy(v.d);
}

#[test]
fn the_accesses_of_64_pages_of_a_view_are_set_with_one_flush() {
    let (v, n, _) = machine();
    for page in 0..64 {
        assert!(v.read(0, PAGE + page).is_some());
    }
    let set = || {
        let rc = v.d.set_accesses_in_view(n, PAGE, (64, 0, 0x3F), access::R);
        assert_eq!(rc, 0);
    };
    let expected = Cost {
        vmid: 1,
        ipa: 0,
        local: 0,
        stores: 64,
        tables: 0,
    };
    assert_eq!(cost(&v, set), expected);
}

/// All tables of a domain have its VMID, so those that are loaded do, whichever these are.
#[test]
fn a_flush_for_a_guest_in_a_view_loads_no_other_tables() {
    let (v, n, _) = machine();
    let other = v.create();
    for number in [n, other] {
        assert_eq!(v.set_access(number, PAGE, P2mAccess::Rw), Ok(()));
    }
    v.w.clear_events();
    assert_eq!(v.set_access(other, PAGE, P2mAccess::R), Ok(()));
    assert_eq!(v.d.remove(PAGE, 1, ram(0)), 0);
    let loads = common::count(&v.w, |event| matches!(event, Event::WriteRegister { .. }));
    assert_eq!(loads, 0);
    v.w.check();
}
