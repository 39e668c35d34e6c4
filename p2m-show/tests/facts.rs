// SPDX-License-Identifier: GPL-2.0-only
//! The numbers of a picture, each from a dump that is made for it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

use p2m_show::dump::values::Kind;
use p2m_show::dump::{read, Access, Dump};
use p2m_show::facts::{changes, groups, spans, Sort, State, Summary, GIB1, MIB2};
use p2m_show::picture::terminal::{draw, Colours};
use p2m_show::picture::Subject;

/// A run: first frame, machine frame, pages, order, type and access.
type Run = (u64, u64, u64, u64, &'static str, &'static str);

fn dump(runs: &[Run]) -> Dump {
    let mut lines = vec![
        "begin format=1 vmid=2 ipa-bits=44 root-level=0 root-pages=1 mem-access=on default=rwx dying=0"
            .to_owned(),
    ];
    let mut pages = [0; 3];
    for (gfn, mfn, count, order, ty, access) in runs {
        let place = match order {
            18 => 0,
            9 => 1,
            _ => 2,
        };
        pages[place] += count;
        lines.push(format!(
            "map gfn={gfn:#x} mfn={mfn:#x} pages={count:#x} order={order} type={ty} access={access} valid=yes"
        ));
    }
    lines.push("tables l0=1 l1=1 l2=1 l3=3 empty=0 pool=100 heap=0".to_owned());
    lines.push("history split-1g=0 split-2m=0 locked=1".to_owned());
    let [g, m, k] = pages;
    lines.push(format!(
        "end pages-1g={g:#x} pages-2m={m:#x} pages-4k={k:#x} left-out=0 left-out-pages=0x0 dying=0"
    ));
    let lines = lines.iter().enumerate();
    let text: String = lines
        .map(|(n, line)| format!("p2m-dump: d1 {n} {line};\n"))
        .collect();
    read(&text)
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
        .pop()
        .unwrap()
}

const RAM: &str = "ram_rw";

#[test]
fn why_there_are_pages() {
    let (full, half) = (MIB2, MIB2 / 2);
    let cases: [(&[Run], State); 9] = [
        (&[(0, 0x1000, full, 0, RAM, "rwx")], State::OneBlock),
        (
            &[
                (0, 0x1000, half, 0, RAM, "rwx"),
                (half, 0x1000 + half, half, 0, RAM, "rwx"),
            ],
            State::OneBlock,
        ),
        (&[(0, 0x1000, full, 0, "ram_ro", "rwx")], State::OneBlock),
        (
            &[(0, 0x1000, full, 0, RAM, "rx")],
            State::Restricted(Access::named("rx").unwrap()),
        ),
        (
            &[
                (0, 0x1000, half, 0, RAM, "rwx"),
                (half, 0x1000 + half, half, 0, RAM, "r"),
            ],
            State::Mixed,
        ),
        (
            &[
                (0, 0x1000, half, 0, RAM, "rwx"),
                (half, 0x1000 + half, half, 0, "ram_ro", "rwx"),
            ],
            State::Mixed,
        ),
        (&[(0, 0x1000, full - 1, 0, RAM, "rwx")], State::Holes),
        (&[(0, 0x1001, full, 0, RAM, "rwx")], State::Scattered),
        (
            &[(0, 0x1000, full, 0, "mmio_direct_dev", "rwx")],
            State::Scattered,
        ),
    ];
    for (runs, state) in cases {
        let found = spans(&dump(runs));
        assert_eq!(
            found.iter().map(|span| span.state).collect::<Vec<_>>(),
            [state],
            "{runs:?}"
        );
    }
    let unknown = spans(&dump(&[(0, u64::MAX, full, 0, RAM, "rwx")]));
    assert_eq!(unknown[0].state, State::Scattered);
    // A run over several spans, and blocks beside them.
    let several = dump(&[
        (MIB2, 0x1000 + MIB2, 2 * MIB2 + 3, 0, RAM, "rwx"),
        (4 * MIB2, 0x8000, MIB2, 9, RAM, "rwx"),
    ]);
    let found: Vec<_> = spans(&several)
        .iter()
        .map(|s| (s.gfn, s.pages, s.state))
        .collect();
    assert_eq!(
        found,
        [
            (MIB2, MIB2, State::OneBlock),
            (2 * MIB2, MIB2, State::OneBlock),
            (3 * MIB2, 3, State::Holes)
        ]
    );
}

#[test]
fn a_gib_that_would_be_one_block_is_counted() {
    let whole = dump(&[
        (GIB1, GIB1 * 4, MIB2, 0, RAM, "rwx"),
        (GIB1 + MIB2, GIB1 * 4 + MIB2, GIB1 - MIB2, 9, RAM, "rwx"),
    ]);
    assert_eq!(Summary::of(&whole).gib_blocks, 1);
    for broken in [
        (GIB1 + MIB2, GIB1 * 4 + MIB2, GIB1 - 2 * MIB2, 9, RAM, "rwx"),
        (GIB1 + MIB2, GIB1 * 4 + 2 * MIB2, GIB1 - MIB2, 9, RAM, "rwx"),
        (
            GIB1 + MIB2,
            GIB1 * 4 + MIB2,
            GIB1 - MIB2,
            9,
            "ram_ro",
            "rwx",
        ),
    ] {
        let dump = dump(&[(GIB1, GIB1 * 4, MIB2, 0, RAM, "rwx"), broken]);
        assert_eq!(Summary::of(&dump).gib_blocks, 0, "{broken:?}");
    }
    let a_block = dump(&[(GIB1, GIB1 * 4, GIB1, 18, RAM, "rwx")]);
    assert_eq!(Summary::of(&a_block).gib_blocks, 0);
}

#[test]
fn a_summary_adds_up() {
    let dump = dump(&[
        (0x100, 0x8000, 16, 0, "mmio_direct_dev", "rwx"),
        (MIB2, 0x1200, MIB2, 9, RAM, "rwx"),
        (2 * MIB2, 0x1400, 100, 0, RAM, "rx"),
        (2 * MIB2 + 100, 0x9000, 50, 0, RAM, "n"),
        (2 * MIB2 + 150, 0x9032, 50, 0, RAM, "rx"),
    ]);
    let summary = Summary::of(&dump);
    assert_eq!(
        (summary.mapped, summary.by_size),
        (16 + MIB2 + 200, [0, MIB2, 216])
    );
    assert_eq!(summary.by_kind[&Kind::Device], 16);
    let restricted: Vec<_> = summary
        .restricted
        .iter()
        .map(|(a, p)| (a.name(), *p))
        .collect();
    assert_eq!(restricted, [("n", 50), ("rx", 150)]);
    assert_eq!((summary.pieces, summary.largest_piece), (2, MIB2 + 100));
    // Of the pool's 100 five are tables: the root is not of the pool.
    assert_eq!(summary.pool_left(&dump), Some(95));
}

#[test]
fn each_sort_of_change_is_called_by_its_name() {
    let was: Run = (MIB2, 0x1200, MIB2, 9, RAM, "rwx");
    let sorts = |before: &[Run], after: &[Run]| -> Vec<(Sort, u64)> {
        let found = changes(&dump(before), &dump(after));
        found
            .iter()
            .map(|change| (change.sort(), change.pages))
            .collect()
    };
    assert_eq!(sorts(&[was], &[was]), []);
    assert_eq!(sorts(&[was], &[]), [(Sort::Unmapped, MIB2)]);
    assert_eq!(sorts(&[], &[was]), [(Sort::Mapped, MIB2)]);
    let pages = |mfn, ty, access| (MIB2, mfn, MIB2, 0, ty, access);
    assert_eq!(
        sorts(&[was], &[pages(0x1400, RAM, "r")]),
        [(Sort::Moved, MIB2)]
    );
    assert_eq!(
        sorts(&[was], &[pages(0x1200, "ram_ro", "r")]),
        [(Sort::Retyped, MIB2)]
    );
    assert_eq!(
        sorts(&[was], &[pages(0x1200, RAM, "r")]),
        [(Sort::Restricted, MIB2)]
    );
    assert_eq!(
        sorts(&[pages(0x1200, RAM, "r")], &[was]),
        [(Sort::Lifted, MIB2)]
    );
    assert_eq!(
        sorts(&[was], &[pages(0x1200, RAM, "rwx")]),
        [(Sort::Split, MIB2)]
    );
    assert_eq!(
        sorts(&[pages(0x1200, RAM, "rwx")], &[was]),
        [(Sort::Merged, MIB2)]
    );
    // In the middle of a block, and where the machine's frames are not said.
    let split = [
        (MIB2, 0x1200, 8, 0, RAM, "rwx"),
        (MIB2 + 8, 0x1208, 8, 0, RAM, "rx"),
        (MIB2 + 16, 0x1210, MIB2 - 16, 0, RAM, "rwx"),
    ];
    assert_eq!(
        sorts(&[was], &split),
        [
            (Sort::Split, 8),
            (Sort::Restricted, 8),
            (Sort::Split, MIB2 - 16)
        ]
    );
    assert_eq!(
        sorts(&[pages(0x1200, RAM, "rwx")], &[pages(u64::MAX, RAM, "rwx")]),
        []
    );
}

#[test]
fn changes_that_are_alike_are_counted_together() {
    let was = [(0, 0x1000, 64, 0, RAM, "rwx")];
    let is: Vec<Run> = (0..64)
        .map(|n| {
            (
                n,
                0x1000 + n,
                1,
                0,
                RAM,
                if n % 4 == 0 { "rx" } else { "rwx" },
            )
        })
        .collect();
    let all = groups(&changes(&dump(&was), &dump(&is)));
    let found: Vec<_> = all
        .iter()
        .map(|g| (g.sort, g.gfn, g.pages, g.ranges))
        .collect();
    assert_eq!(found, [(Sort::Restricted, 0, 16, 16)]);
}

#[test]
fn colours_say_nothing_that_characters_do_not() {
    let dump = dump(&[
        (0x40000, 0x1000, 2 * MIB2, 9, RAM, "rwx"),
        (0x40400, 0x9000, 9, 0, RAM, "n2rwx"),
    ]);
    let coloured = draw(&Subject::one(&dump), Colours::Ansi);
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain += before;
        rest = after.split_once('m').unwrap().1;
    }
    plain += rest;
    assert_ne!(coloured, plain);
    assert_eq!(plain, draw(&Subject::one(&dump), Colours::None));
}

#[test]
fn a_guest_of_any_size_has_few_rows() {
    for gib in [1, 2, 7, 64, 511, 4096] {
        // All of it in pages of other accesses in turn, so that no two rows look the same.
        let runs: Vec<Run> = (0..gib)
            .map(|n| {
                let access = ["rwx", "rx", "r", "rw", "x"][usize::try_from(n % 5).unwrap()];
                (n * GIB1, (n + 1) * GIB1, GIB1 - 7 * (n % 3), 0, RAM, access)
            })
            .collect();
        let picture = draw(&Subject::one(&dump(&runs)), Colours::None);
        let rows = picture
            .lines()
            .filter(|line| line.trim_start().starts_with("0x"))
            .count();
        assert!((1..=72).contains(&rows), "{gib} GiB: {rows} rows");
        assert!(
            picture.lines().all(|line| line.chars().count() <= 105),
            "{picture}"
        );
    }
    let empty = draw(&Subject::one(&dump(&[])), Colours::None);
    assert!(empty.contains("Mapped          0 KiB"), "{empty}");
}
