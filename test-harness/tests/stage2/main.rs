// SPDX-License-Identifier: GPL-2.0-only
//! Debug key `D` (`p2m_dump_stage2`): what is printed is what the tables say, word by word, on every shape of root;
//! nothing is printed under the p2m lock, and softirqs are looked after; a domain may change or die meanwhile.

// A test may stop on the spot, and what it converts are numbers of its own making.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

#[path = "../common/mod.rs"]
mod common;
mod scenes;

use std::collections::BTreeMap;

use common::{access, guest, p2mt, plain, ram, world, M2, SIZES};
use p2m_show::dump::{read, Access, Dump, Mapping, Size, Supply, Type, Valid};
use proptest::prelude::*;
use scenes::dump;
use test_harness::{pte, Config, Domain, Event, LockOp, World};

/// C's names of the types, by value.
const TYPES: [&str; 12] = [
    "",
    "ram_rw",
    "ram_ro",
    "mmio_direct_dev",
    "mmio_direct_nc",
    "mmio_direct_c",
    "map_foreign_rw",
    "map_foreign_ro",
    "grant_map_rw",
    "grant_map_ro",
    "iommu_map_rw",
    "iommu_map_ro",
];

/// And of the accesses.
const ACCESSES: [&str; 11] = [
    "n", "r", "w", "rw", "x", "rx", "wx", "rwx", "rx2rw", "n2rwx", "r_pw",
];

fn dumped(w: &World, d: Domain, lines: u64) -> Dump {
    let text = dump(w, d, lines);
    let mut dumps = read(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(dumps.len(), 1);
    dumps.pop().unwrap()
}

/// Each entry of the tables, read from memory: its frames, and how it is mapped.
fn entries(w: &World, d: Domain) -> BTreeMap<u64, (u64, Mapping)> {
    let leaves = w.snapshot(d).into_iter();
    leaves
        .map(|(gfn, leaf)| {
            let level = 3 - leaf.order / 9;
            let top = if w.entry(d, gfn, 0) != 0 { 0 } else { 1 };
            let above = (top..level).all(|level| w.entry(d, gfn, level) & pte::VALID != 0);
            let setting = pte::setting(w.entry(d, gfn, level)) as usize;
            let mapping = Mapping {
                mfn: Some(leaf.mfn),
                size: Size::ALL[2 - leaf.order as usize / 9],
                ty: Type::named(TYPES[leaf.p2m_type as usize]).unwrap(),
                access: Access::named(ACCESSES[setting]).unwrap(),
                valid: match (leaf.valid, above) {
                    (false, _) => Valid::No,
                    (true, false) => Valid::NotAbove,
                    (true, true) => Valid::Yes,
                },
            };
            (gfn, (1 << leaf.order, mapping))
        })
        .collect()
}

/// The dump is of exactly these tables.
#[track_caller]
fn same(w: &World, d: Domain, dump: &Dump) {
    let mut printed = BTreeMap::new();
    for run in &dump.runs {
        let pages = 1 << run.mapping.size.order();
        for gfn in (run.gfn..run.end()).step_by(pages as usize) {
            printed.insert(gfn, (pages, run.mapping.advanced(gfn - run.gfn)));
        }
    }
    assert_eq!(printed, entries(w, d));
    let tables = w.dump(d);
    let (mut counts, mut empty) = ([0; 4], [0; 4]);
    // The root is no table that could be given back.
    let top = tables.iter().map(|table| table.level).min().unwrap_or(0);
    for table in &tables {
        counts[table.level as usize] += 1;
        empty[table.level as usize] += u64::from(table.words.is_empty() && table.level > top);
    }
    assert_eq!(dump.tables, counts);
    let mut printed = [0; 4];
    for tables in &dump.empty {
        printed[tables.level as usize] += tables.count();
    }
    assert_eq!(printed, empty);
    assert_eq!(dump.empty_tables, empty.iter().sum::<u64>());
}

#[derive(Debug, Clone)]
enum Op {
    Map {
        gfn: u64,
        pages: u64,
        mfn: u64,
        ty: u32,
    },
    Unmap {
        gfn: u64,
        pages: u64,
    },
    Restrict {
        gfn: u64,
        pages: u64,
        access: u32,
    },
    Invalidate,
    Touch {
        gfn: u64,
    },
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let gfn = || {
        let place = prop_oneof![Just(0u64), Just(1 << 18), Just((1 << 20) - M2)];
        (
            place,
            0u64..4,
            prop_oneof![Just(0u64), 0u64..8, Just(M2 - 1)],
        )
            .prop_map(|(place, block, page)| place + block * M2 + page)
    };
    let pages = || prop_oneof![Just(1u64), 1u64..40, Just(M2), Just(2 * M2)];
    let mfn = prop_oneof![(0u64..4).prop_map(|n| n * M2), 0u64..64];
    let ty = prop_oneof![
        4 => Just(p2mt::RAM_RW),
        1 => Just(p2mt::RAM_RO),
        1 => p2mt::MMIO_DEV..=p2mt::MMIO_C,
        1 => p2mt::GRANT_RW..=p2mt::IOMMU_RO,
    ];
    let op = prop_oneof![
        5 => (gfn(), pages(), mfn, ty)
            .prop_map(|(gfn, pages, mfn, ty)| Op::Map { gfn, pages, mfn: ram(0) + mfn, ty }),
        3 => (gfn(), pages()).prop_map(|(gfn, pages)| Op::Unmap { gfn, pages }),
        3 => (gfn(), pages(), access::N..=access::R_PW)
            .prop_map(|(gfn, pages, access)| Op::Restrict { gfn, pages, access }),
        1 => Just(Op::Invalidate),
        3 => gfn().prop_map(|gfn| Op::Touch { gfn }),
    ];
    prop::collection::vec(op, 1..24)
}

fn carry_out(d: Domain, op: &Op) {
    match *op {
        Op::Map {
            gfn,
            pages,
            mfn,
            ty,
        } => {
            let _ = d.insert(gfn, pages, mfn, ty);
        }
        // One by one, so that tables stay that have no entry any more.
        Op::Unmap { gfn, pages } => {
            for gfn in gfn..gfn + pages {
                if let (Some(mfn), _) = d.lookup(gfn) {
                    let _ = d.remove(gfn, 1, mfn);
                }
            }
        }
        Op::Restrict { gfn, pages, access } => {
            let _ = d.set_access_fully(gfn, pages as u32, access);
        }
        Op::Invalidate => d.creation_finished(),
        Op::Touch { gfn } => {
            let _ = d.resolve(gfn);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_dump_says_of_each_entry_what_it_is(bits in prop::sample::select(SIZES.to_vec()), ops in ops()) {
        let w = world(Config { ipa_bits: bits, ..Config::default() });
        let d = guest(&w, 0);
        for op in &ops {
            carry_out(d, op);
        }
        same(&w, d, &dumped(&w, d, 0));
    }

    #[test]
    fn a_limited_dump_has_the_right_totals(ops in ops(), lines in 1u64..40) {
        let w = plain();
        let d = guest(&w, 0);
        for op in &ops {
            carry_out(d, op);
        }
        let (whole, part) = (dumped(&w, d, 0), dumped(&w, d, lines));
        prop_assert!((part.runs.len() + part.empty.len()) as u64 <= lines);
        prop_assert_eq!((part.pages, part.tables), (whole.pages, whole.tables));
        // What is there is as in the whole, but perhaps without the machine's frames.
        for run in &part.runs {
            let same = whole.within(run.gfn, run.end()).all(|other| {
                let wanted = run.mapping.advanced(other.gfn - run.gfn);
                let known = Mapping { mfn: wanted.mfn.and(other.mapping.mfn), ..other.mapping };
                known == wanted
            });
            prop_assert!(same, "{run:?}");
            prop_assert_eq!(whole.within(run.gfn, run.end()).map(|run| run.pages).sum::<u64>(), run.pages);
        }
    }
}

#[test]
fn the_small_guest_of_the_documents_is_drawn_from_what_their_tables_say() {
    for guest in [scenes::small, scenes::small_watched] {
        let (w, d) = guest();
        same(&w, d, &dumped(&w, d, 0));
        w.abandon();
    }
}

#[test]
fn a_domain_without_anything_has_a_root_and_no_more() {
    let w = plain();
    let d = w.domain(4);
    let dump = dumped(&w, d, 0);
    assert_eq!((dump.runs.len(), dump.tables), (0, [0, 2, 0, 0]));
    assert_eq!(dump.supply, Supply::Pool(4));
    let hwdom = w.hardware_domain();
    assert_eq!(dumped(&w, hwdom, 0).supply, Supply::Heap);
}

#[test]
fn a_domain_whose_root_has_gone_is_nothing() {
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!(d.insert(0, 3, ram(0), p2mt::RAM_RW), 0);
    w.destroy(d);
    let dump = dumped(&w, d, 0);
    assert!(dump.dying);
    assert_eq!((dump.runs.len(), dump.tables), (0, [0; 4]));
}

#[test]
fn what_was_split_is_counted() {
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!(d.insert(0, 1 << 18, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.remove(5, 1, ram(0) + 5), 0);
    assert_eq!(dumped(&w, d, 0).split, [1, 1]);
}

#[test]
fn tables_without_any_entry_are_said_with_their_level() {
    let w = world(Config {
        ipa_bits: 48,
        ..Config::default()
    });
    let d = guest(&w, 0);
    // A page and a block, each alone below a table of its own.
    assert_eq!(d.insert(5, 1, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.insert(1 << 18, M2, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.remove(5, 1, ram(0)), 0);
    assert_eq!(d.remove(1 << 18, M2, ram(0)), 0);
    let dump = dumped(&w, d, 0);
    same(&w, d, &dump);
    let levels: Vec<u64> = dump.empty.iter().map(|empty| empty.level).collect();
    assert_eq!(levels, [3, 2]);
}

/// Each is of its own level: they are not one run.
#[test]
fn neighbouring_empty_tables_of_two_levels_are_two_runs() {
    let w = plain();
    let d = guest(&w, 0);
    let (last, gib) = ((1 << 18) - 1, 1 << 18);
    // The last page of a GiB, and a block at the begin of the next one.
    assert_eq!(d.insert(last, 1, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.insert(gib, M2, ram(0), p2mt::RAM_RW), 0);
    assert_eq!(d.remove(last, 1, ram(0)), 0);
    assert_eq!(d.remove(gib, M2, ram(0)), 0);
    let dump = dumped(&w, d, 0);
    same(&w, d, &dump);
    let found = dump.empty.iter().map(|e| (e.gfn, e.pages, e.level));
    assert_eq!(
        found.collect::<Vec<_>>(),
        [(gib - M2, M2, 3), (gib, gib, 2)]
    );
}

/// As leaves are, or a guest that has given memory back takes a line for each table.
#[test]
fn neighbouring_empty_tables_of_one_level_are_one_run() {
    let w = plain();
    let d = guest(&w, 0);
    for table in 1..4 {
        assert_eq!(d.insert(table * M2 + 5, 1, ram(0), p2mt::RAM_RW), 0);
        assert_eq!(d.remove(table * M2 + 5, 1, ram(0)), 0);
    }
    let dump = dumped(&w, d, 0);
    same(&w, d, &dump);
    assert_eq!(dump.empty_tables, 3);
    let found = dump.empty.iter().map(|e| (e.gfn, e.pages, e.level));
    assert_eq!(found.collect::<Vec<_>>(), [(M2, 3 * M2, 3)]);
}

#[test]
fn the_shape_is_that_of_the_root() {
    for bits in SIZES {
        let w = world(Config {
            ipa_bits: bits,
            ..Config::default()
        });
        let d = guest(&w, 0);
        assert_eq!(d.insert(0, 1, ram(0), p2mt::RAM_RW), 0);
        let dump = dumped(&w, d, 0);
        assert_eq!(dump.shape.ipa_bits, u64::from(bits));
        let top = w.dump(d).iter().map(|table| table.level).min().unwrap();
        assert_eq!(dump.shape.root_level, u64::from(top));
        let tables = w.dump(d).into_iter();
        let root = tables.filter(|table| table.level == top).count();
        assert_eq!(dump.shape.root_pages, root as u64, "{bits} bits");
    }
}

#[test]
fn the_access_of_new_mappings_is_said() {
    let w = plain();
    let d = guest(&w, 0);
    for (access, name) in (access::N..).zip(ACCESSES) {
        // All ones is no frame, but the default.
        assert_eq!(d.set_access(u64::MAX, 0, 0, access), 0);
        assert_eq!(dumped(&w, d, 0).shape.default.name(), name);
    }
}

/// Another domain's pages, of which the other tests have none.
#[test]
fn a_foreign_page_is_said_with_whether_it_may_be_written() {
    let w = plain();
    let (d, other) = (guest(&w, 0), w.domain(4));
    w.ram(ram(1), 16, other);
    assert_eq!(d.insert(5, 1, ram(1), p2mt::FOREIGN_RW), 0);
    assert_eq!(d.insert(7, 1, ram(1) + 1, p2mt::FOREIGN_RO), 0);
    let dump = dumped(&w, d, 0);
    same(&w, d, &dump);
    let names: Vec<&str> = dump.runs.iter().map(|run| run.mapping.ty.name()).collect();
    assert_eq!(names, ["map_foreign_rw", "map_foreign_ro"]);
}

/// An entry's own valid bit is what is said, also if the table with the entry is not reached.
#[test]
fn an_entry_whose_own_valid_bit_is_clear_is_not_valid_wherever_it_is() {
    let w = plain();
    let d = guest(&w, 0);
    assert_eq!(d.insert(0, 2 * M2, ram(0), p2mt::RAM_RW), 0);
    d.creation_finished();
    // The one is touched; then all that the root has is invalidated again.
    assert!(d.resolve(0));
    d.creation_finished();
    let dump = dumped(&w, d, 0);
    same(&w, d, &dump);
    let valid: Vec<Valid> = dump.runs.iter().map(|run| run.mapping.valid).collect();
    assert_eq!(valid, [Valid::NotAbove, Valid::No]);
}

/// Pages of two accesses in turn are never one run.
#[test]
fn as_many_runs_are_printed_as_are_asked_for() {
    let w = plain();
    let d = striped(&w);
    let whole = dumped(&w, d, 0);
    let all = whole.runs.len() as u64;
    assert!(all > 64, "{all}");
    for lines in [1, 2, 16, 17, all - 1, all] {
        let part = dumped(&w, d, lines);
        assert_eq!(part.runs.len() as u64, lines);
        let pages: u64 = part.runs.iter().map(|run| run.pages).sum();
        assert_eq!(part.left_out, (all - lines, M2 - pages));
    }
    // Tables without any entry are runs without pages.
    let w = plain();
    let d = guest(&w, 0);
    for table in [1, 3, 5] {
        assert_eq!(d.insert(table * M2, 1, ram(0), p2mt::RAM_RW), 0);
        assert_eq!(d.remove(table * M2, 1, ram(0)), 0);
    }
    let part = dumped(&w, d, 1);
    assert_eq!((part.empty.len(), part.left_out), (1, (2, 0)));
    assert_eq!(part.empty_tables, 3);
}

/// No lock is held for longer than a table, and softirqs are processed each time it is released.
#[test]
fn softirqs_are_processed_between_two_tables() {
    let w = plain();
    let d = guest(&w, 0);
    for page in 0..8 * M2 {
        // All with a table, and no two pages alike.
        assert_eq!(d.insert(page, 1, ram(0) + 2 * page, p2mt::RAM_RW), 0);
    }
    w.clear_events();
    dumped(&w, d, 0);
    let (mut since, mut most, mut processed) = (0, 0, 0);
    for (_, event) in w.events() {
        match event {
            Event::Lock {
                op: LockOp::Read, ..
            } => since += 1,
            Event::PendingSoftirqs => {
                (most, since) = (most.max(since), 0);
                processed += 1;
            }
            _ => {}
        }
    }
    // The first is of the line `begin`, the last of the numbers at the end.
    assert!(most <= 2 && since <= 2, "{most} {since}");
    assert!(processed > 8, "{processed}");
    w.check();
}

/// Pages of two accesses in turn: each is a run, so that the reader stops in the middle of the table.
fn striped(w: &World) -> Domain {
    let d = guest(w, 0);
    assert_eq!(d.insert(0, M2, ram(0), p2mt::RAM_RW), 0);
    for page in (0..M2 / 4).step_by(2) {
        assert_eq!(d.set_access_fully(page, 1, access::R), 0);
    }
    d
}

#[test]
fn a_table_that_becomes_a_block_meanwhile_is_read_on_in_its_middle() {
    let w = plain();
    let d = striped(&w);
    // The lock is taken for the line `begin`, for the first part of the table, and again.
    let text = with_change_after(&w, d, 2, move || {
        assert_eq!(d.set_access_fully(0, M2 as u32, access::RWX), 0);
    });
    let dump = read(&text).unwrap().pop().unwrap();
    let last = dump.runs.last().unwrap();
    assert_eq!((last.mapping.size, last.end()), (Size::Mib2, M2), "{text}");
    assert!(last.gfn > 0 && last.pages < M2, "{text}");
    assert_eq!(last.mapping.mfn, Some(ram(0) + last.gfn));
    assert_eq!(dump.mapped(), M2);
}

/// The dump, with a change on another CPU when the lock is released for the `n`th time.
fn with_change_after(
    w: &World,
    d: Domain,
    n: u32,
    change: impl FnOnce() + Send + 'static,
) -> String {
    w.meanwhile_after(n, change);
    let text = dump(w, d, 0);
    w.nothing_meanwhile();
    text
}

#[test]
fn a_domain_may_die_while_it_is_printed() {
    for n in 1..12 {
        let w = plain();
        let d = striped(&w);
        assert_eq!(d.insert(4 * M2, 2 * M2, ram(0), p2mt::RAM_RW), 0);
        let text = with_change_after(&w, d, n, move || {
            d.set_dying_state(2);
            while d.relinquish() != 0 {}
            d.clear_root();
            while d.teardown() != 0 {}
        });
        let dump = read(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert!(dump[0].dying && dump[0].mapped() <= M2 + 2 * M2, "{text}");
        assert_eq!(d.teardown_pool(), 0);
        d.final_teardown();
        w.check();
    }
}

/// Every file of docs/show/ is what is printed and drawn today.
#[test]
fn the_documents_pictures_are_what_is_drawn() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/show/");
    let files = scenes::files();
    let mut names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let entries = std::fs::read_dir(folder).unwrap();
    let mut kept: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    kept.sort_unstable();
    assert_eq!(kept, names, "the files of docs/show");
    for (name, text) in &files {
        let kept = std::fs::read_to_string(format!("{folder}{name}")).unwrap_or_default();
        assert!(
            kept == *text,
            "docs/show/{name} is not what is drawn; look at what has changed, and then write it: \
             cargo run -p test-harness --example stage2 -- --docs docs/show"
        );
    }
}
