// SPDX-License-Identifier: GPL-2.0-only
//! With an IOMMU that reads memory, each entry that was written is there before
//! the IOMMU is told and before the lock is dropped: however many, wherever in
//! their cache lines, by whichever operation.

mod common;
use common::{access, behind, guest, p2mt, ram, world, M2};
use test_harness::{Domain, Event, Iommu, World, INVALID};

fn machine() -> (World, Domain) {
    let w = world(behind(Iommu::NonCoherent));
    let d = guest(&w, 0);
    (w, d)
}

/// Where ranges begin and how long they are: in one cache line of eight
/// entries, to its end, into the next, to the end of the table and beyond.
fn ranges() -> impl Iterator<Item = (u64, u64)> {
    [0, 1, 7, 8, 503, 511]
        .into_iter()
        .flat_map(|first| [1, 2, 7, 8, 9, 16, 17].map(|nr| (first, nr)))
}

#[test]
fn entries_of_a_range_are_in_memory_however_many() {
    for (first, nr) in ranges() {
        let (w, d) = machine();
        let default = |a| assert_eq!(d.set_access(INVALID, 0, 0, a), 0);
        let steps: [(&str, &dyn Fn() -> i64); 6] = [
            ("new", &|| d.insert(first, nr, ram(0), p2mt::RAM_RW).into()),
            ("others in their place", &|| {
                d.insert(first, nr, ram(0) + 100, p2mt::RAM_RW).into()
            }),
            ("the same with fewer rights", &|| {
                default(access::R);
                d.insert(first, nr, ram(0) + 100, p2mt::RAM_RW).into()
            }),
            ("restricted", &|| {
                d.set_access(first, u32::try_from(nr).unwrap_or(0), 0, access::N)
            }),
            ("removed", &|| d.remove(first, nr, ram(0) + 100).into()),
            ("new once more", &|| {
                d.insert(first, nr, ram(0), p2mt::RAM_RO).into()
            }),
        ];
        for (what, step) in steps {
            assert_eq!(step(), 0, "{what}: {nr} from {first}");
            w.check();
        }
    }
}

#[test]
fn tables_and_blocks_are_in_memory() {
    for (first, nr) in [(0, 1), (5, 2), (7, 3), (8, 9), (510, 4)] {
        let (w, d) = machine();
        let (gfn, pages) = (first * M2, nr * M2);
        let block = ram(0) + M2;
        assert_eq!(d.insert(gfn, pages, block, p2mt::RAM_RW), 0);
        w.check();
        // Blocks of which a part is removed, replaced and restricted.
        assert_eq!(d.remove(gfn + 5, 2, block + 5), 0);
        assert_eq!(d.insert(gfn + pages - 9, 2, ram(0), p2mt::RAM_RW), 0);
        w.check();
        assert_eq!(d.set_access(gfn + 100, 2, 0, access::R), 0);
        w.check();
        // Blocks over tables, and nothing at all.
        assert_eq!(d.insert(gfn, pages, block + 64 * M2, p2mt::RAM_RW), 0);
        w.check();
        assert_eq!(d.set_entry(gfn, pages, INVALID, 0, access::RWX), 0);
        w.check();
    }
}

/// Else the IOMMU could go from the old entry to the new one without a break.
#[test]
fn a_broken_entry_is_in_memory_before_the_tlbs_forget_it() {
    // One call, which is done at once, and a range.
    for nr in [1, 3] {
        let (w, d) = machine();
        assert_eq!(d.insert(5, nr, ram(0), p2mt::RAM_RW), 0);
        w.clear_events();
        assert_eq!(d.insert(5, nr, ram(0) + 100, p2mt::RAM_RW), 0);
        let mut in_cache = 0;
        let mut flushes = 0;
        for (_, event) in w.events() {
            match event {
                Event::PteStore { .. } => in_cache += 1,
                Event::CleanRange { bytes, .. } => in_cache -= bytes / 8,
                Event::TlbiVmid { .. } | Event::TlbiIpa { .. } | Event::TlbiRange { .. } => {
                    assert_eq!(in_cache, 0, "of {nr}");
                    flushes += 1;
                }
                _ => {}
            }
        }
        assert!(flushes > 0);
        w.check();
    }
}
