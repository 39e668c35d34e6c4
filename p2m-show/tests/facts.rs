// SPDX-License-Identifier: GPL-2.0-only
//! The numbers of a picture, each from a dump that is made for it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

use p2m_show::dump::values::Kind;
use p2m_show::dump::{read, Access, Dump, Type, Valid};
use p2m_show::facts::{changes, groups, spans, Sort, State, Summary, GIB1, MIB2};
use p2m_show::picture::terminal::{draw, Colours};
use p2m_show::picture::{svg, Subject};

/// A run: first frame, machine frame, pages, order, type and access.
type Run = (u64, u64, u64, u64, &'static str, &'static str);

/// Runs that a dump leaves out: how many, and their pages of 4 KiB.
type LeftOut = (u64, u64);

fn dump(runs: &[Run]) -> Dump {
    dump_without(runs, (0, 0))
}

/// A dump that goes on where these runs end.
fn dump_without(runs: &[Run], left_out: LeftOut) -> Dump {
    let mut lines = vec![
        "begin format=1 vmid=2 ipa-bits=44 root-level=0 root-pages=1 mem-access=on default=rwx dying=0"
            .to_owned(),
    ];
    let mut pages = [0, 0, left_out.1];
    let (mut level2, mut level3) = (1, 1);
    for (gfn, mfn, count, order, ty, access) in runs {
        // As many as it may take.
        level2 += count / GIB1 + 2;
        level3 += count / MIB2 + 2;
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
    lines.push(format!(
        "tables l0=1 l1=1 l2={level2} l3={level3} empty=0 pool=100 heap=0"
    ));
    lines.push("history split-1g=0 split-2m=0 locked=1".to_owned());
    let [g, m, k] = pages;
    let (runs, pages) = left_out;
    lines.push(format!(
        "end pages-1g={g:#x} pages-2m={m:#x} pages-4k={k:#x} left-out={runs} left-out-pages={pages:#x} dying=0"
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
    // What does not begin with the GiB, or not with one of the machine's.
    for elsewhere in [
        (GIB1 + MIB2, GIB1 * 4, GIB1 - MIB2, 9, RAM, "rwx"),
        (GIB1, GIB1 * 4 + MIB2, GIB1, 9, RAM, "rwx"),
    ] {
        let dump = dump(&[elsewhere]);
        assert_eq!(Summary::of(&dump).gib_blocks, 0, "{elsewhere:?}");
    }
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
}

/// Where a run that does not say its machine frames touches another one, they may be one piece.
#[test]
fn pieces_are_counted_where_they_surely_are_apart() {
    let said = |gfn, pages| -> Run { (gfn, 0x1000 + gfn, pages, 0, RAM, "rwx") };
    let not_said = |gfn, pages| -> Run { (gfn, u64::MAX, pages, 0, RAM, "rx") };
    let other = |gfn, pages| -> Run { (gfn, u64::MAX, pages, 0, RAM, "r") };
    let device = |gfn, pages| -> Run { (gfn, 0x1000 + gfn, pages, 0, "mmio_direct_dev", "rwx") };
    let cases: [(&[Run], u64); 9] = [
        (&[not_said(0, 8)], 2),
        (&[said(0, 8), not_said(8, 8)], 2),
        (&[said(0, 8), not_said(9, 8)], 3),
        (&[not_said(0, 8), said(8, 8)], 2),
        (&[not_said(0, 8), said(9, 8)], 3),
        (&[said(0, 8), not_said(8, 8), said(16, 8)], 2),
        (&[not_said(0, 8), other(8, 8)], 3),
        (&[not_said(0, 8), other(9, 8)], 4),
        (&[not_said(0, 8), device(8, 8), said(16, 8)], 3),
    ];
    for (runs, pieces) in cases {
        let summary = Summary::of(&dump(runs));
        assert_eq!(
            (summary.pieces, summary.more_pieces),
            (pieces, true),
            "{runs:?}"
        );
    }
}

/// The rest of a run that does not say its machine frames may be where they do not follow each other.
#[test]
fn a_run_that_a_comparison_cuts_may_be_one_piece() {
    let whole = dump(&[(0, u64::MAX, 2 * MIB2, 0, RAM, "rwx")]);
    for (end, wanted) in [
        (MIB2, (1, vec![State::Unknown])),
        (MIB2 + 8, (1, vec![State::Unknown; 2])),
        (2 * MIB2, (2, vec![State::Unknown; 2])),
        (3 * MIB2, (2, vec![State::Unknown; 2])),
    ] {
        let summary = Summary::of(&whole.until(end));
        let states = summary.spans.iter().map(|span| span.state).collect();
        assert_eq!((summary.pieces, states), wanted, "{end:#x}");
    }
    // It touches what is said to be elsewhere, or not.
    let second = dump(&[
        (0, 0x1000, 8, 0, RAM, "rwx"),
        (8, u64::MAX, 8, 0, RAM, "rwx"),
        (32, u64::MAX, 8, 0, RAM, "rwx"),
    ]);
    let pieces = [9, 16, 33, 40].map(|end| Summary::of(&second.until(end)).pieces);
    assert_eq!(pieces, [1, 2, 3, 4]);
}

/// The root is not of the pool, at whichever level it is.
#[test]
fn tables_that_are_not_the_root_are_taken_from_the_pool() {
    for tables in [[1, 1, 1, 3], [0, 2, 2, 3]] {
        let mut dump = dump(&[(0x100, 0x8000, 16, 0, RAM, "rwx")]);
        dump.tables = tables;
        assert_eq!(Summary::of(&dump).pool_left(&dump), Some(95), "{tables:?}");
    }
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
    // Apart if they were something else before.
    let was = [(0, 0x1000, 8, 0, RAM, "rwx"), (8, 0x1008, 8, 0, RAM, "rw")];
    let all = groups(&changes(
        &dump(&was),
        &dump(&[(0, 0x1000, 16, 0, RAM, "r")]),
    ));
    let pages: Vec<u64> = all.iter().map(|group| group.pages).collect();
    assert_eq!(pages, [8, 8]);
}

#[test]
fn a_change_goes_on_only_where_the_same_follows() {
    let found = |before: &[Run], after: &[Run]| -> Vec<(u64, u64)> {
        let found = changes(&dump(before), &dump(after));
        found.iter().map(|c| (c.gfn, c.pages)).collect()
    };
    let (first, second) = ((0, 0x1000, 8, 0, RAM, "rwx"), (8, 0x1008, 8, 0, RAM, "rwx"));
    assert_eq!(found(&[], &[first, second]), [(0, 16)]);
    // A hole in the guest's frames, and none in the machine's.
    let far = (16, 0x1008, 8, 0, RAM, "rwx");
    assert_eq!(found(&[], &[first, far]), [(0, 8), (16, 8)]);
    // What was something else before.
    let other = (8, 0x1008, 8, 0, RAM, "rx");
    let now = (0, 0x1000, 16, 0, RAM, "r");
    assert_eq!(found(&[first, other], &[now]), [(0, 8), (8, 8)]);
    // Which of the valid bits is clear is no difference.
    let mut before = dump(&[first, second]);
    before.runs[0].mapping.valid = Valid::No;
    before.runs[1].mapping.valid = Valid::NotAbove;
    let all = changes(&before, &dump(&[now]));
    assert_eq!((all.len(), all[0].pages), (1, 16));
}

#[test]
fn a_valid_bit_is_a_change_if_the_guest_notices() {
    let page = |valid| {
        let mut dump = dump(&[(0, 0x1000, 8, 0, RAM, "rwx")]);
        dump.runs[0].mapping.valid = valid;
        dump
    };
    let sorts = |before, after| -> Vec<Sort> {
        let found = changes(&page(before), &page(after));
        found.iter().map(|change| change.sort()).collect()
    };
    assert_eq!(sorts(Valid::No, Valid::Yes), [Sort::Valid]);
    assert_eq!(sorts(Valid::Yes, Valid::NotAbove), [Sort::Valid]);
    assert_eq!(sorts(Valid::NotAbove, Valid::No), []);
    assert_eq!(sorts(Valid::No, Valid::NotAbove), []);
    let text = draw(
        &Subject::two(&page(Valid::No), &page(Valid::Yes)),
        Colours::None,
    );
    let said = "valid bit alone           32 KiB  4K rwx not valid \u{2192} 4K rwx valid";
    assert!(text.contains(said), "{text}");
    let text = draw(
        &Subject::two(&page(Valid::No), &page(Valid::NotAbove)),
        Colours::None,
    );
    assert!(text.contains("\nNo difference in how anything is mapped.\n"));
}

/// What was removed has a row, too; and each sort its own letter.
#[test]
fn each_sort_of_change_has_its_letter() {
    let block: Run = (0, 0x1200, MIB2, 9, RAM, "rwx");
    let pages = |mfn, ty, access| -> Run { (0, mfn, MIB2, 0, ty, access) };
    let gib: Run = (0, GIB1, GIB1, 18, RAM, "rwx");
    let blocks: Run = (0, GIB1, GIB1, 9, RAM, "rwx");
    let cases: [(&[Run], &[Run], &str); 12] = [
        (&[block], &[], "U  unmapped"),
        (&[], &[block], "N  newly mapped"),
        (
            &[block],
            &[pages(0x1400, RAM, "rwx")],
            "F  another machine frame",
        ),
        (
            &[block],
            &[pages(0x1200, "ram_ro", "rwx")],
            "T  another type",
        ),
        (&[block], &[pages(0x1200, RAM, "r")], "4  access is now r--"),
        (
            &[block],
            &[pages(0x1200, RAM, "rx2rw")],
            "a  access is now r-x, then rw-",
        ),
        (
            &[pages(0x1200, RAM, "r")],
            &[block],
            "L  restriction lifted",
        ),
        (
            &[block],
            &[pages(0x1200, RAM, "rwx")],
            "s  split into pages of 4 KiB",
        ),
        (&[gib], &[blocks], "S  split into blocks of 2 MiB"),
        (&[blocks], &[gib], "J  merged into blocks of 1G"),
        (
            &[pages(0x1200, RAM, "rwx")],
            &[block],
            "j  merged into blocks of 2M",
        ),
        (&[block], &[block], "-  as before"),
    ];
    for (before, after, said) in cases {
        let (before, after) = (dump(before), dump(after));
        let text = draw(&Subject::two(&before, &after), Colours::None);
        assert!(text.contains(&format!("\n  {said}\n")), "{said}:\n{text}");
        let row = text.lines().find(|line| line.starts_with("          0x0 "));
        let first = row.and_then(|row| row.chars().nth(14));
        assert_eq!(first, said.chars().next(), "{text}");
    }
}

#[test]
fn changes_that_the_list_has_no_room_for_are_added_up() {
    // Each access to each other one is a sort of its own.
    let accesses: Vec<&str> = Access::all().map(|access| access.name()).collect();
    let list = |sorts: usize| {
        let run = |n: usize, access: &'static str| -> Run {
            // The n-th has n + 1 pages.
            let gfn = 0x100 * n as u64;
            (gfn, 0x1_0000 + gfn, n as u64 + 1, 0, RAM, access)
        };
        let of = |shift: usize| -> Vec<Run> {
            let access = |n: usize| accesses[(n % 11 + shift * (1 + n / 11)) % 11];
            (0..sorts).map(|n| run(n, access(n))).collect()
        };
        draw(&Subject::two(&dump(&of(0)), &dump(&of(1))), Colours::None)
    };
    assert!(!list(12).contains("other sort"));
    // The smallest of them; a lifted restriction is listed after those that are none.
    let thirteen = list(13);
    let fifteen = list(15);
    let said = |text: &str| -> Vec<String> {
        let line = text.lines().find(|line| line.starts_with("  others"));
        let words = line.unwrap_or_default().split_ascii_whitespace();
        words.map(str::to_owned).collect()
    };
    assert_eq!(said(&thirteen)[3..], ["of", "1", "other", "sort"]);
    assert_eq!(said(&fifteen)[3..], ["of", "3", "other", "sorts"]);
    for (text, sorts) in [(thirteen, 13u64), (fifteen, 15)] {
        // All that is listed is all that has changed.
        let all: u64 = text
            .lines()
            .skip_while(|line| *line != "What has changed:")
            .skip(1)
            .map(|line| {
                let (before, _) = line.split_once(" KiB ").unwrap();
                let size = before.rsplit(' ').next().unwrap();
                size.parse::<u64>().unwrap()
            })
            .sum();
        assert_eq!(all, 4 * sorts * (sorts + 1) / 2, "{text}");
    }
}

/// A dump that does not say where a page is does not say that it has moved.
#[test]
fn an_access_is_what_has_changed_where_machine_frames_are_not_said() {
    let page = |mfn, access| dump(&[(0, mfn, 8, 0, RAM, access)]);
    for (before, after) in [(0x1000, u64::MAX), (u64::MAX, 0x1000)] {
        let found = changes(&page(before, "rwx"), &page(after, "r"));
        assert_eq!(found[0].sort(), Sort::Restricted);
    }
}

/// What a dump that was limited has no lines of is not gone, and nothing else is new.
#[test]
fn what_a_dump_left_out_is_not_compared() {
    let first: Run = (0, 0x1000, 8, 0, RAM, "rwx");
    let changed: Run = (0, 0x1000, 8, 0, RAM, "r");
    let second: Run = (16, 0x2000, 8, 0, RAM, "rwx");
    let whole = dump(&[first, second]);
    let part = dump_without(&[changed], (1, 8));
    assert_eq!((whole.unknown_from, part.unknown_from), (None, Some(8)));
    let found = |before, after| -> Vec<(Sort, u64, u64)> {
        let found = changes(before, after);
        found.iter().map(|c| (c.sort(), c.gfn, c.pages)).collect()
    };
    assert_eq!(found(&whole, &part), [(Sort::Restricted, 0, 8)]);
    assert_eq!(found(&part, &whole), [(Sort::Lifted, 0, 8)]);
    // Not even the rest of a run.
    let longer = dump(&[(0, 0x1000, 64, 0, RAM, "rwx")]);
    assert_eq!(found(&part, &longer), [(Sort::Lifted, 0, 8)]);
    // Both: up to the first frame that one of them left out.
    let more = dump_without(&[first, second], (2, 9));
    assert_eq!(found(&more, &part), [(Sort::Restricted, 0, 8)]);

    for (before, after, which) in [(&whole, &part, "later"), (&part, &whole, "earlier")] {
        let said = format!(
            "Left out        1 run of the {which} dump (32 KiB): a dump is as long as \
             p2m-dump-lines= allows; only what is below 0x8000 is compared"
        );
        let subject = Subject::two(before, after);
        let text = draw(&subject, Colours::None);
        let flat = text.replace("\n                 ", "");
        assert!(flat.contains(&said), "{said}\n{text}");
        // Frames that are not compared are not drawn, as whatever they may be.
        assert!(!text.contains('U') && !text.contains('N'), "{text}");
        let picture = svg::draw(&subject, svg::Theme::Auto);
        assert!(picture.contains("compared below 0x8000: the rest is not in both dumps"));
    }
    // Nothing is said of what is not compared.
    let same = draw(
        &Subject::two(&more, &dump_without(&[first], (1, 8))),
        Colours::None,
    );
    let said = "No difference in how anything below 0x8000 is mapped.";
    assert!(same.contains(said), "{same}");
    let picture = svg::draw(&Subject::two(&part, &part), svg::Theme::Auto);
    assert!(picture.contains(said));
    // What is left out has no pages: it is compared.
    let empty = dump_without(&[first], (3, 0));
    assert_eq!(empty.unknown_from, None);
    assert_eq!(found(&whole, &empty), [(Sort::Unmapped, 16, 8)]);
}

/// Of what a dump leaves out only the numbers at its end say something: those of its lines are of a part.
#[test]
fn what_is_known_of_a_part_is_not_said_of_all() {
    let runs: [Run; 2] = [
        (0, 0x1000, MIB2, 0, RAM, "rx"),
        (MIB2, 0x1000 + MIB2, MIB2 / 2, 0, RAM, "rwx"),
    ];
    let whole = draw(&Subject::one(&dump(&runs)), Colours::None);
    let part = dump_without(&runs, (7, 3 * MIB2));
    let text = draw(&Subject::one(&part), Colours::None);
    assert!(text.contains("Restricted      \u{2265} 2 MiB (67 % of what is shown): r-x 2 MiB"));
    assert!(whole.contains("Restricted      2 MiB (67 % of what is mapped): r-x 2 MiB"));
    assert!(text.contains("Could go        \u{2265} 1 table once a restriction is lifted"));
    // It may be that what is left out is the rest of this span.
    assert!(text.contains("\u{2265} 2 spans of 2 MiB: 1 restricted alike, 1 of which the dump"));
    assert!(whole.contains("2 spans of 2 MiB: 1 restricted alike, 1 with holes"));
    assert!(text.contains("RAM in \u{2265} 1 piece, largest 3 MiB"));
    assert!(text.contains("Left out        7 runs from 0x300000 on (6 MiB):"));
    let row = text
        .lines()
        .find(|line| line.starts_with("          0x0 "))
        .unwrap();
    assert!(
        row.ends_with("   \u{2265} 2      \u{2265} 0    \u{2265} 2 MiB"),
        "{text}"
    );
    let picture = svg::draw(&Subject::one(&part), svg::Theme::Auto);
    assert!(picture.contains("not shown: 7 runs from 0x300000 on (6 MiB)"));
    assert!(picture.contains(">\u{2265} 2 MiB</text>") && picture.contains(">67 %</text>"));
    let nothing = dump_without(&[(0, 0x1000, 8, 0, RAM, "rwx")], (7, 3 * MIB2));
    let text = draw(&Subject::one(&nothing), Colours::None);
    assert!(
        text.contains("Restricted      nothing of what is shown\n"),
        "{text}"
    );
    assert!(text.contains("Could go        no table of which the dump says enough\n"));
}

/// A run without a machine frame is one whose frames do not follow each other, somewhere.
#[test]
fn a_span_is_unknown_if_its_machine_frames_are_not_said() {
    let state = |runs: &[Run]| -> Vec<State> {
        let found = spans(&dump(runs));
        found.iter().map(|span| span.state).collect()
    };
    let unknown = |gfn, pages| -> Run { (gfn, u64::MAX, pages, 0, RAM, "rwx") };
    assert_eq!(state(&[unknown(0, MIB2)]), [State::Scattered]);
    assert_eq!(state(&[unknown(0, 2 * MIB2)]), [State::Unknown; 2]);
    // The rest of the second span says where a block would have to be, and that it is none.
    let rest = |mfn| -> Run { (MIB2 + 8, mfn, MIB2 - 8, 0, RAM, "rwx") };
    let begin = unknown(0, MIB2 + 8);
    assert_eq!(state(&[begin, rest(0x1008)]), [State::Unknown; 2]);
    let scattered = [State::Unknown, State::Scattered];
    assert_eq!(state(&[begin, rest(0x1009)]), scattered);
    let restricted = (MIB2 + 8, 0x1008, MIB2 - 8, 0, RAM, "r");
    let mixed = [State::Unknown, State::Mixed];
    assert_eq!(state(&[begin, restricted]), mixed);
    let holes = [State::Unknown, State::Holes];
    assert_eq!(state(&[unknown(0, MIB2 + 8)]), holes);

    let text = draw(&Subject::one(&dump(&[begin])), Colours::None);
    assert!(text.contains("Could go        no table of which the dump says enough\n"));
    let block = (4 * MIB2, 0x1000, MIB2, 0, RAM, "rwx");
    let subject = dump(&[begin, block]);
    let text = draw(&Subject::one(&subject), Colours::None);
    assert!(text.contains("Could go        \u{2265} 1 table of level 3 (4 KiB)"));
    let picture = svg::draw(&Subject::one(&subject), svg::Theme::Auto);
    // In the number at the head, in the words below it and beside each row: 1 of 3 tables.
    assert_eq!(
        picture.matches(">\u{2265} 1</text>").count(),
        2,
        "{picture}"
    );
    assert!(picture.contains(">for \u{2265} 1 one block would do</text>"));
    let row = text
        .lines()
        .find(|line| line.starts_with("          0x0 "))
        .unwrap();
    assert!(row.ends_with("     3      \u{2265} 1          -"), "{text}");
    let alike = dump(&[begin, (4 * MIB2, 0x1000, MIB2, 0, RAM, "rx")]);
    let picture = svg::draw(&Subject::one(&alike), svg::Theme::Auto);
    assert!(picture.contains(">\u{2265} 1 more once lifted</text>"));
    // A GiB of which not all is said may be one block; a run that is all of it is not.
    let gib = |runs: &[Run]| {
        let summary = Summary::of(&dump(runs));
        (summary.gib_blocks, summary.more_could_go)
    };
    let blocks = |gfn, pages| -> Run { (gfn, u64::MAX, pages, 9, RAM, "rwx") };
    assert_eq!(gib(&[blocks(0, 2 * GIB1)]), (0, true));
    let rest = (MIB2, GIB1 + MIB2, GIB1 - MIB2, 9, RAM, "rx");
    assert_eq!(gib(&[blocks(0, MIB2), rest]), (0, false));
}

#[test]
fn a_table_of_level_2_that_could_go_is_said_alone_too() {
    let blocks = dump(&[(GIB1, GIB1 * 4, GIB1, 9, RAM, "rwx")]);
    let text = draw(&Subject::one(&blocks), Colours::None);
    let said = "Could go        1 table of level 2 (4 KiB), where one block of 1 GiB would do\n";
    assert!(text.contains(said), "{text}");
    assert_eq!(Summary::of(&blocks).could_go(), 1);
    let pages = dump(&[
        (GIB1, GIB1 * 4, MIB2, 0, RAM, "rwx"),
        (GIB1 + MIB2, GIB1 * 4 + MIB2, GIB1 - MIB2, 9, RAM, "rwx"),
    ]);
    let text = draw(&Subject::one(&pages), Colours::None);
    let said = "1 table of level 3 (4 KiB), where one block of 2 MiB would do, and then 1 of";
    assert!(text.contains(said), "{text}");
    assert_eq!(Summary::of(&pages).could_go(), 2);
}

#[test]
fn each_type_is_of_its_kind() {
    let kinds = [
        ("ram_rw", Kind::Ram),
        ("ram_ro", Kind::RamRo),
        ("mmio_direct_dev", Kind::Device),
        ("mmio_direct_nc", Kind::Device),
        ("mmio_direct_c", Kind::Device),
        ("map_foreign_rw", Kind::Foreign),
        ("map_foreign_ro", Kind::Foreign),
        ("grant_map_rw", Kind::Grant),
        ("grant_map_ro", Kind::Grant),
        ("iommu_map_rw", Kind::Iommu),
        ("iommu_map_ro", Kind::Iommu),
    ];
    for (name, kind) in kinds {
        let ty = Type::named(name).unwrap();
        assert_eq!((ty.name(), ty.kind()), (name, kind));
    }
}

/// A character that stands for several tables.
#[test]
fn one_block_would_do_for_all_that_a_character_stands_for() {
    let guest = |shift: u64| {
        // So far apart, and so many, that a character is 8 MiB.
        let runs: Vec<Run> = (0..40)
            .flat_map(|n| {
                let (gfn, mfn) = (n * 128 * MIB2, (n + 1) * 1024 * MIB2);
                let last = (gfn + 3 * MIB2, mfn + 3 * MIB2 + shift, MIB2, 0, RAM, "rwx");
                [(gfn, mfn, 3 * MIB2, 0, RAM, "rwx"), last]
            })
            .collect();
        draw(&Subject::one(&dump(&runs)), Colours::None)
    };
    let text = guest(0);
    assert!(text.contains("a character 8 MiB"), "{text}");
    assert!(text.contains("\n  m  pages where one block would do\n"));
    assert!(!guest(1).contains("\n  m  pages where one block would do\n"));
}

#[test]
fn a_text_in_a_picture_is_escaped() {
    let dump = dump(&[
        (0, 0x1000, 1, 0, RAM, "r"),
        (MIB2, 0x10000, 512 * MIB2, 9, RAM, "rwx"),
    ]);
    let picture = svg::draw(&Subject::one(&dump), svg::Theme::Auto);
    assert!(picture.contains("&lt; 1 %") && !picture.contains("< 1 %"));
    assert!(picture.contains("&gt; 99 %") && !picture.contains("> 99 %"));
}

#[test]
fn a_theme_has_its_own_colours() {
    let dump = dump(&[]);
    let has = |theme| {
        let picture = svg::draw(&Subject::one(&dump), theme);
        [".bg{fill:#ffffff}", ".bg{fill:#0d1117}"].map(|rule| picture.contains(rule))
    };
    assert_eq!(has(svg::Theme::Light), [true, false]);
    assert_eq!(has(svg::Theme::Dark), [false, true]);
    assert_eq!(has(svg::Theme::Auto), [true, true]);
}

#[test]
fn colours_say_nothing_that_characters_do_not() {
    let dump = dump(&[
        (0x40000, 0x1000, 2 * MIB2, 9, RAM, "rwx"),
        (0x40400, 0x9000, 9, 0, RAM, "n2rwx"),
        // A row that is coloured up to its end.
        (0x42000, 0x20000, 16 * MIB2, 9, RAM, "rwx"),
    ]);
    let coloured = draw(&Subject::one(&dump), Colours::Ansi);
    // What follows on the line, and on the terminal, is not.
    let lines = coloured.lines().filter(|line| line.contains('\u{1b}'));
    let resets = lines.map(|line| line.rsplit_once('\u{1b}').unwrap().1.starts_with("[0m"));
    assert_eq!(resets.collect::<Vec<_>>(), [true; 2]);
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
