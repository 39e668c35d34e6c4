// SPDX-License-Identifier: GPL-2.0-only
//! Reading dumps out of a console's log, and what is said of a log that cannot be read.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

use p2m_show::dump::{find, read, Access, Dump, Size, Supply, Valid};
use p2m_show::facts::Summary;
use p2m_show::picture::{svg, terminal, Subject};
use p2m_show::select::{one, two, Place};
use proptest::prelude::*;

/// A dump of d1: a device, a block of 2 MiB, and two restricted pages.
const LINES: [&str; 8] = [
    "p2m-dump: d1 0 begin format=1 vmid=2 ipa-bits=44 root-level=0 root-pages=1 mem-access=on default=rwx dying=0;",
    "p2m-dump: d1 1 map gfn=0x3001 mfn=0x8000 pages=0x10 order=0 type=mmio_direct_dev access=rwx valid=yes;",
    "p2m-dump: d1 2 map gfn=0x40000 mfn=0x90000 pages=0x200 order=9 type=ram_rw access=rwx valid=yes;",
    "p2m-dump: d1 3 map gfn=0x40200 mfn=0xffffffffffffffff pages=0x2 order=0 type=ram_rw access=rx valid=no;",
    "p2m-dump: d1 4 empty gfn=0x40400 pages=0x400 level=3;",
    "p2m-dump: d1 5 tables l0=1 l1=1 l2=2 l3=4 empty=2 pool=1024 heap=0;",
    "p2m-dump: d1 6 history split-1g=0 split-2m=1 locked=9;",
    "p2m-dump: d1 7 end pages-1g=0x0 pages-2m=0x200 pages-4k=0x12 left-out=0 left-out-pages=0x0 dying=0 format=1;",
];

fn text() -> String {
    LINES.map(|line| format!("(XEN) {line}\n")).concat()
}

/// The dump with something else in it.
fn with(from: &str, to: &str) -> Dump {
    assert!(text().contains(from), "{from}");
    read(&text().replace(from, to)).unwrap().pop().unwrap()
}

fn drawn(subject: &Subject<'_>) -> String {
    terminal::draw(subject, terminal::Colours::None)
}

fn picture(subject: &Subject<'_>) -> String {
    svg::draw(subject, svg::Theme::Auto)
}

#[test]
fn a_dump_is_read_as_it_was_printed() {
    let dump = &read(&text()).unwrap()[0];
    assert_eq!((dump.domain, dump.lines), (1, (1, 8)));
    assert_eq!(dump.runs.len(), 3);
    let last = dump.runs[2];
    assert_eq!((last.gfn, last.pages, last.mapping.mfn), (0x40200, 2, None));
    assert_eq!(last.mapping.access, Access::named("rx").unwrap());
    assert_eq!(
        (last.mapping.valid, last.mapping.size),
        (Valid::No, Size::Kib4)
    );
    assert_eq!((dump.empty[0].count(), dump.tables), (2, [1, 1, 2, 4]));
    assert_eq!((dump.supply, dump.split), (Supply::Pool(1024), [0, 1]));
    assert_eq!((dump.shape.root_pages, dump.empty_tables), (1, 2));
}

/// What a console puts around the lines of Xen, and between them.
#[test]
fn a_dump_is_found_in_a_log() {
    let plain = read(&text()).unwrap();
    let decorated = [
        text().replace("(XEN) ", "(XEN) [2026-11-27 23:14:48.123] "),
        text().replace("(XEN) ", "Nov 27 23:14:48 host xen[3]: (XEN) "),
        text().replace('\n', "\r\n"),
        text().replace("(XEN) ", "tick 12(XEN) "),
        format!("/steps/p2m-dump: line 16: not found\n{}", text()),
        format!("p2m-dump: domains are printed\n{}", text()),
        // What docs/show.md has one type, on the same console, and what that prints.
        format!("~ # xl dmesg | grep 'p2m-dump: d1 .* end '; do\n{}", text()),
        format!("{}{}\n~ # ", text(), LINES[7]),
        format!("{}(XEN) [27.1] {}\n{}", text(), LINES[7], text()),
        text().replace(
            "(XEN) p2m-dump: d1 3",
            "grep 'p2m-dump: (XEN) p2m-dump: d1 3",
        ),
        text().replace("level=3;", "level=3;grep 'p2m-dump: d1 .* end '; do"),
        // A guest's own lines, from whose console they are.
        format!("(d1) {}\n{}(d1) {}\n", LINES[0], text(), LINES[3]),
        format!("(XEN) DOM2: {}\n{}DOM2: {}\n", LINES[1], text(), LINES[4]),
        format!("(XEN) [27.1] (d12) (XEN) {}\n{}", LINES[0], text()),
        format!("(XEN) 'D' pressed -> dumping stage 2\n{}login: ", text()),
        text().replace('\n', "\n(d1) hello; p2m\n[    1.2] Linux\n\n"),
        // Another domain's lines in between: from a second CPU's key, say.
        LINES
            .map(|line| format!("{line}\n{}\n", line.replace(" d1 ", " d0 ")))
            .concat(),
    ];
    for log in decorated {
        let mut dumps = read(&log).unwrap();
        dumps.retain(|dump| dump.domain == 1);
        assert_eq!(dumps[0].runs, plain[0].runs, "{log}");
    }
}

/// Who looks at a dump may type a part of it, or have lines of it printed on the same console.
#[test]
fn lines_of_a_whole_dump_that_are_typed_or_printed_once_more_do_no_harm() {
    let lines = |which: &[usize]| -> String {
        let lines = which.iter().map(|&n| format!("{}\n", LINES[n]));
        lines.collect()
    };
    let once_more = [
        "~ # grep \"p2m-dump: d1 0 begin \" before.log\n".to_owned(),
        "~ # grep 'p2m-dump: d1 7 end ' before.log\n".to_owned(),
        "~ # grep 'p2m-dump: d1 3 map gfn' before.log\n".to_owned(),
        // What these print, `xl dmesg | tail`, and both.
        lines(&[0]),
        lines(&[0, 0]),
        lines(&[3]),
        lines(&[5, 6, 7]),
        lines(&[0, 5, 6, 7]),
        lines(&[7, 0]),
    ];
    // The second dump has an end of its own.
    let second = text()
        .replace("access=rx", "access=n")
        .replace("pool=1024", "pool=9");
    for lines in &once_more {
        // After a dump, between two, in the middle of the second one.
        let after = read(&(text() + lines)).unwrap();
        assert_eq!(after.len(), 1, "{lines}");
        let begun = second.lines().next().unwrap().len() + 1;
        for at in [
            0,
            begun,
            second.find("(XEN) p2m-dump: d1 4").unwrap(),
            second.len(),
        ] {
            let (before, rest) = second.split_at(at);
            let log = text() + before + lines + rest;
            let dumps = read(&log).unwrap_or_else(|error| panic!("{error}\n{log}"));
            let found: Vec<_> = dumps
                .iter()
                .map(|dump| dump.runs[2].mapping.access.name())
                .collect();
            assert_eq!(found, ["rx", "n"], "{log}");
        }
    }
    // A dump that says the same as the one before is one.
    assert_eq!(read(&(text() + &text())).unwrap().len(), 2);
    // Before there is a whole dump, a line that is printed once more is not known to be one.
    assert!(read(&(lines(&[0, 1, 1]) + &lines(&[2, 3, 4, 5, 6, 7]))).is_err());
}

/// Even if all lines that are there say what those of an earlier dump do.
#[test]
fn a_second_dump_that_lost_lines_is_refused_where_it_did() {
    let without = |number: usize| -> String {
        let lines = LINES.iter().enumerate().filter(|(n, _)| *n != number);
        lines.map(|(_, line)| format!("(XEN) {line}\n")).collect()
    };
    for rest in [String::new(), text()] {
        let found = find(&(text() + &without(3) + &rest)).unwrap();
        let said = found[1].dump.as_ref().unwrap_err().to_string();
        assert_eq!(
            said,
            "line 12: this is line 4 of the dump of d1, but it was line 3's turn: lines were lost or damaged"
        );
        assert_eq!(found.len(), if rest.is_empty() { 2 } else { 3 });
        let found = find(&(text() + &without(7) + &rest)).unwrap();
        assert!(found[1]
            .dump
            .as_ref()
            .unwrap_err()
            .to_string()
            .contains("has no end"));
    }
    // It begins where another one that says the same so far should end.
    let cut: String = text()
        .lines()
        .take(3)
        .map(|line| format!("{line}\n"))
        .collect();
    let said = read(&(text() + &cut + &text())).unwrap_err().to_string();
    assert_eq!(
        said,
        "line 12: a dump of d1 begins, but the one that began at line 9 has no end"
    );
    // What follows the next one's beginning is not of it.
    let restricted = without(1).replace("default=rwx", "default=r");
    let found = find(&(text() + &restricted + &text())).unwrap();
    let defaults: Vec<_> = found
        .iter()
        .map(|found| found.dump.as_ref().map(|dump| dump.shape.default.name()))
        .collect();
    assert!(
        matches!(defaults[..], [Ok("rwx"), Err(_), Ok("rwx")]),
        "{defaults:?}"
    );
    // Its first map line is lost, and another line says something else.
    let changed = without(1).replace("access=rx", "access=n");
    let said = read(&(text() + &changed)).unwrap_err().to_string();
    assert_eq!(
        said,
        "line 11: this is line 3 of the dump of d1, but it was line 1's turn: lines were lost or damaged"
    );
}

#[test]
fn a_line_of_many_marks_is_read_at_once() {
    let begun = std::time::Instant::now();
    assert!(find(&"p2m-dump: ".repeat(50_000)).is_err());
    assert!(begun.elapsed().as_secs() < 10);
}

#[test]
fn fields_that_a_later_xen_adds_do_no_harm() {
    let later = text()
        .replace(" valid=", " colour=7 valid=")
        .replace(" pool=", " levels=4 pool=");
    assert_eq!(
        read(&later).unwrap()[0].runs,
        read(&text()).unwrap()[0].runs
    );
}

/// What is changed, and what is said then.
#[test]
fn a_log_that_cannot_be_read_is_told_by_its_line() {
    let cases = [
        (
            "format=1 vmid",
            "format=2 vmid",
            "line 1: this dump has format 2; this program reads format 1",
        ),
        (
            "d1 0 begin",
            "d1 3 begin",
            "line 1: a dump begins with line 0, and not with line 3",
        ),
        (
            "root-level=0",
            "root-level=2",
            "line 1: `root-level=2` is neither 0 nor 1",
        ),
        (
            "default=rwx",
            "default=rvx",
            "line 1: `default=rvx` is no access of mem_access",
        ),
        (
            "mem-access=on",
            "mem-access=1",
            "line 1: `mem-access=1` is none of on, off",
        ),
        (
            "vmid=2 ",
            "",
            "line 1: the line `begin` has no field `vmid`",
        ),
        (
            "d1 1 map",
            "d1 map",
            "line 3: this is line 2 of the dump of d1, but it was line 1's turn: lines were lost or damaged",
        ),
        (
            "d1 1 map",
            "d1x 1 map",
            "line 3: this is line 2 of the dump of d1, but it was line 1's turn: lines were lost or damaged",
        ),
        (
            "gfn=0x3001",
            "gfn=0x3OO1",
            "line 2: `gfn=0x3OO1` is not a number",
        ),
        (
            "gfn=0x3001",
            "gfn=0x10000000000000",
            "line 2: `gfn=0x10000000000000` is beyond 64 bits of address",
        ),
        (
            "pages=0x10 ",
            "pages=0x0 ",
            "line 2: 0x0 pages from frame 0x3001 on are no range of this domain's 0x1000000000 frames",
        ),
        (
            "gfn=0x3001 ",
            "gfn=0xffffffff1 ",
            "line 2: 0x10 pages from frame 0xffffffff1 on are no range of this domain's 0x1000000000 frames",
        ),
        (
            "ipa-bits=44",
            "ipa-bits=99",
            "line 1: `ipa-bits=99` is not from 32 to 52",
        ),
        (
            "ipa-bits=44",
            "ipa-bits=53",
            "line 1: `ipa-bits=53` is not from 32 to 52",
        ),
        (
            "ipa-bits=44",
            "ipa-bits=31",
            "line 1: `ipa-bits=31` is not from 32 to 52",
        ),
        (
            "root-pages=1",
            "root-pages=17",
            "line 1: `root-pages=17` is not from 1 to 16",
        ),
        (
            "root-pages=1",
            "root-pages=0",
            "line 1: `root-pages=0` is not from 1 to 16",
        ),
        (
            "ipa-bits=44 root-level=0 root-pages=1",
            "ipa-bits=44 root-level=1 root-pages=16",
            "line 1: a root of level 1 with 16 pages is too small for 44 bits of address",
        ),
        (
            "type=mmio_direct_dev",
            "type=mmio",
            "line 2: `type=mmio` is no type of the p2m",
        ),
        (
            "order=9",
            "order=8",
            "line 3: `order=8` is none of 0, 9 and 18",
        ),
        (
            "gfn=0x40000 ",
            "gfn=0x3000 ",
            "line 3: frame 0x3000 comes after frame 0x3010, which an earlier line has",
        ),
        (
            "gfn=0x40000 ",
            "gfn=0x3010 ",
            "line 3: frame 0x3010 comes after frame 0x3010, which an earlier line has",
        ),
        (
            "access=rx valid=no",
            "access=rx valid=maybe",
            "line 4: `valid=maybe` is none of yes, no, not-above",
        ),
        (
            "access=rx valid=no;",
            "access=rx val",
            "line 4: the rest of this line of a dump is missing, with the semicolon at its end",
        ),
        (
            "gfn=0x40400",
            "gfn=0x40401",
            "line 5: 0x400 pages from frame 0x40401 on are not what tables of level 3 span",
        ),
        (
            "gfn=0x40400",
            "gfn=0x40200",
            "line 5: frame 0x40200 comes after frame 0x40201, which an earlier line has",
        ),
        // The map line that comes after a line of empty tables.
        (
            "p2m-dump: d1 1 map gfn=0x3001 mfn=0x8000 pages=0x10 order=0 type=mmio_direct_dev access=rwx valid=yes",
            "p2m-dump: d1 1 empty gfn=0x40000 pages=0x200 level=3",
            "line 3: frame 0x40000 comes after frame 0x401ff, which an earlier line has",
        ),
        (
            "pages=0x400",
            "pages=0x401",
            "line 5: 0x401 pages from frame 0x40400 on are not what tables of level 3 span",
        ),
        (
            "level=3",
            "level=0",
            "line 5: `level=0` is none of 1, 2 and 3",
        ),
        (
            "d1 5 tables",
            "d1 5 table",
            "line 7: this is line 6 of the dump of d1, but it was line 5's turn: lines were lost or damaged",
        ),
        ("heap=0", "heap=2", "line 6: `heap=2` is neither 0 nor 1"),
        (
            "pages-2m=0x200",
            "pages-2m=0x400",
            "line 8: the lines of the dump map so many pages: 0x0 (1G), 0x200 (2M), 0x12 (4K), and 0x0 \
             are left out; but its end says: 0x0 (1G), 0x400 (2M), 0x12 (4K)",
        ),
        (
            "pages-2m=0x200 pages-4k=0x12",
            "pages-2m=0x12 pages-4k=0x200",
            "line 8: the lines of the dump map so many pages: 0x0 (1G), 0x200 (2M), 0x12 (4K), and 0x0 \
             are left out; but its end says: 0x0 (1G), 0x12 (2M), 0x200 (4K)",
        ),
        // As many as are left out, but of a size of which there are more than there are.
        (
            "pages-2m=0x200 pages-4k=0x12 left-out=0 left-out-pages=0x0",
            "pages-2m=0x100 pages-4k=0x122 left-out=1 left-out-pages=0x10",
            "line 8: the lines of the dump map so many pages: 0x0 (1G), 0x200 (2M), 0x12 (4K), and 0x10 \
             are left out; but its end says: 0x0 (1G), 0x100 (2M), 0x122 (4K)",
        ),
        // As many as the end counts, but of no run.
        (
            "pages-4k=0x12 left-out=0 left-out-pages=0x0",
            "pages-4k=0x1b left-out=0 left-out-pages=0x9",
            "line 8: no run is left out, but 0x9 pages are",
        ),
        (
            "left-out=0 left-out-pages=0x0",
            "left-out=1 left-out-pages=0x9",
            "line 8: the lines of the dump map so many pages: 0x0 (1G), 0x200 (2M), 0x12 (4K), and 0x9 \
             are left out; but its end says: 0x0 (1G), 0x200 (2M), 0x12 (4K)",
        ),
        (
            "l3=4 empty=2",
            "l3=4 empty=3",
            "line 8: the lines of the dump have 2 tables without any entry, but its line `tables` says \
             that there are 3",
        ),
        (
            "l3=4 empty=2",
            "l3=4 empty=1",
            "line 8: the lines of the dump have 2 tables without any entry, but its line `tables` says \
             that there are 1",
        ),
        (
            "l3=4",
            "l3=3",
            "line 8: what the lines of the dump say takes 4 tables of level 3, but its line `tables` \
             says that there are 3",
        ),
        (
            "l2=2",
            "l2=1",
            "line 8: what the lines of the dump say takes 2 tables of level 2, but its line `tables` \
             says that there are 1",
        ),
    ];
    for (from, to, said) in cases {
        assert!(text().contains(from), "{from}");
        let error = read(&text().replacen(from, to, 1)).unwrap_err();
        assert_eq!(error.to_string(), said);
    }
}

#[test]
fn lines_that_are_missing_are_noticed() {
    let without = |number: usize| -> String {
        let lines = LINES.iter().enumerate().filter(|(n, _)| *n != number);
        lines.map(|(_, line)| format!("(XEN) {line}\n")).collect()
    };
    let said = |text: &str| read(text).unwrap_err().to_string();
    assert!(said(&without(0))
        .starts_with("line 1: this is line 1 of a dump of d1 whose beginning is not"));
    assert_eq!(
        said(&without(3)),
        "line 4: this is line 4 of the dump of d1, but it was line 3's turn: lines were lost or damaged"
    );
    assert_eq!(
        said(&without(7)),
        "line 1: the dump of d1 that begins here has no end"
    );
    assert_eq!(
        said(&(without(7) + &text())),
        "line 8: a dump of d1 begins, but the one that began at line 1 has no end"
    );
    assert!(said("(XEN) nothing\n").starts_with("there is no dump in it"));
    assert!(
        said("~ # grep p2m-dump: x\n").starts_with("there is no dump in it, nor a line of one (")
    );
    // An end that is printed once more is no dump; one that was not seen before is.
    let other_end = LINES[7].replace("dying=0", "dying=1");
    assert!(said(&format!("{}{other_end}\n", text())).starts_with("line 9: this is line 7 of a"));
    // Two lines, the second one in the middle of the first.
    let inside = text().replace("pages=0x200 order=9", &format!("pag(XEN) {}", LINES[3]));
    assert_eq!(
        said(&inside),
        "line 3: this is line 3 of the dump of d1, but it was line 2's turn: lines were lost or damaged"
    );
    // Each of the two lines before the last one.
    for missing in [5, 6] {
        let mut lines = LINES.to_vec();
        lines.remove(missing);
        let renumbered = lines.iter().enumerate().map(|(n, line)| {
            let kind = line.splitn(4, ' ').nth(3).unwrap();
            format!("p2m-dump: d1 {n} {kind}\n")
        });
        assert_eq!(
            said(&renumbered.collect::<String>()),
            "line 7: the dump ends without its lines `tables` and `history`"
        );
    }
}

/// The tool would look at each of the tables that such a dump must have.
#[test]
fn a_dump_that_no_machine_can_have_is_refused_at_once() {
    let huge = |pages: u64| {
        text()
            .replace(
                "mfn=0xffffffffffffffff pages=0x2 ",
                &format!("mfn=0x0 pages={pages:#x} "),
            )
            .replace("pages-4k=0x12", &format!("pages-4k={:#x}", pages + 16))
            .replace("gfn=0x40400", "gfn=0xf80000000")
    };
    assert!(read(&huge(2)).is_ok());
    let said = |text: &str| read(text).unwrap_err().to_string();
    assert_eq!(
        said(&huge(0xf_ffff_ffff_ffff)),
        "line 4: 0xfffffffffffff pages from frame 0x40200 on are no range of this domain's \
         0x1000000000 frames"
    );
    // The root spans as many.
    assert_eq!(
        said(&huge(15 << 32)),
        "line 8: what the lines of the dump say takes 245762 tables of level 2, but its line `tables` \
         says that there are 2"
    );
    assert_eq!(
        said(&huge(15 << 32).replace("l2=2", "l2=245762")),
        "line 8: what the lines of the dump say takes 125829123 tables of level 3, but its line \
         `tables` says that there are 4"
    );
}

/// What a limited dump has not printed is counted in its last lines.
#[test]
fn tables_without_any_entry_are_counted_if_they_are_left_out() {
    let dump = with("left-out=0", "left-out=3");
    assert_eq!(Summary::of(&dump).empty_tables, 2);
    let limited = text()
        .replace("left-out=0", "left-out=3")
        .replace("empty=2", "empty=7");
    let dump = read(&limited).unwrap().pop().unwrap();
    assert_eq!(Summary::of(&dump).empty_tables, 7);
    assert!(drawn(&Subject::one(&dump)).contains("7 tables without any entry"));
    let too_many = limited.replace("empty=7", "empty=1");
    assert!(read(&too_many).is_err());
}

/// A damaged dump is one of its domain, and refused if it is the one that is asked for.
#[test]
fn a_damaged_dump_hides_no_other() {
    let bad = text().replace("order=9", "order=8");
    let cut: String = text()
        .lines()
        .take(3)
        .map(|line| format!("{line}\n"))
        .collect();
    let d7 = |text: &str| text.replace(" d1 ", " d7 ");
    let choose = |log: &str, which: &str, domain| -> Result<Vec<(u16, usize)>, String> {
        let dumps = find(log).unwrap();
        let chosen = one(&Place::parse(which).unwrap(), &dumps, domain)?;
        Ok(chosen
            .iter()
            .map(|dump| (dump.domain, dump.lines.0))
            .collect())
    };
    let log = text() + &bad + &text();
    assert_eq!(choose(&log, "log", None), Ok(vec![(1, 17)]));
    assert_eq!(choose(&log, "log@3", None), Ok(vec![(1, 17)]));
    assert_eq!(choose(&log, "log@1", None), Ok(vec![(1, 1)]));
    assert_eq!(
        choose(&log, "log@2", None),
        Err(
            "log, line 11: `order=8` is none of 0, 9 and 18 (whole dumps of d1: log@1, log@3)"
                .to_owned()
        )
    );
    // The last one of a domain is meant if none is named.
    let log = text() + &cut + &d7(&text());
    assert_eq!(
        choose(&log, "log", None),
        Err(
            "log, line 9: the dump of d1 that begins here has no end (whole dumps of d1: log@1)"
                .to_owned()
        )
    );
    assert_eq!(choose(&log, "log", Some(7)), Ok(vec![(7, 12)]));
    assert_eq!(choose(&log, "log@1", None), Ok(vec![(1, 1), (7, 12)]));
    assert!(choose(&log, "log@2", None).is_err());
    // Another one begins where its end should be; its own beginning is missing.
    let log = cut.clone() + &text();
    assert_eq!(choose(&log, "log", None), Ok(vec![(1, 4)]));
    assert!(choose(&log, "log@1", None)
        .unwrap_err()
        .starts_with("log, line 4: a dump of d1 begins"));
    let log = text().split_off(cut.len()) + &text();
    assert_eq!(choose(&log, "log", None), Ok(vec![(1, 6)]));
    assert!(choose(&log, "log@1", None)
        .unwrap_err()
        .starts_with("log, line 1: this is line 3 of a"));
    // Its end may be printed once more, like that of a whole one.
    let log = bad.clone() + LINES[7] + "\n" + &text();
    assert_eq!(choose(&log, "log@2", None), Ok(vec![(1, 10)]));
    assert_eq!(
        choose(&bad, "log", None),
        Err("log, line 3: `order=8` is none of 0, 9 and 18 (it is the only dump of d1)".to_owned())
    );
    let both = bad.clone() + &bad;
    assert!(choose(&both, "log", None)
        .unwrap_err()
        .ends_with("(no dump of d1 is whole)"));
    // Of two, one of which is damaged.
    let (good, damaged) = (find(&text()).unwrap(), find(&bad).unwrap());
    let place = Place::last("log");
    assert!(two((&place, &place), (&good, &damaged), None).is_err());
    assert!(two((&place, &place), (&damaged, &good), Some(1)).is_err());
    assert!(read(&(text() + &bad)).is_err());
}

#[test]
fn dumps_are_chosen_by_domain_and_number() {
    let other = text()
        .replace(" d1 ", " d7 ")
        .replace("access=rx", "access=r");
    let log = text() + &text().replace("access=rx", "access=n") + &other;
    let dumps = find(&log).unwrap();
    let place = |text: &str| Place::parse(text).unwrap();
    let accesses = |text: &str, domain| -> Result<Vec<&str>, String> {
        let chosen = one(&place(text), &dumps, domain)?;
        Ok(chosen
            .iter()
            .map(|dump| dump.runs[2].mapping.access.name())
            .collect())
    };
    assert_eq!(accesses("log", None), Ok(vec!["n", "r"]));
    assert_eq!(accesses("log@1", None), Ok(vec!["rx", "r"]));
    assert_eq!(accesses("log@2", None), Ok(vec!["n"]));
    assert_eq!(accesses("log", Some(7)), Ok(vec!["r"]));
    assert_eq!(
        accesses("log@2", Some(7)),
        Err("log has no dump 2 of d7: it has one".to_owned())
    );
    assert_eq!(
        accesses("log@3", Some(1)),
        Err("log has no dump 3 of d1: it has 2".to_owned())
    );
    assert_eq!(
        accesses("log", Some(2)),
        Err("log has no dump of d2, but of d1, d7".to_owned())
    );
    assert_eq!(place("a@b").file, "a@b");
    assert_eq!(
        Place::parse("a@0"),
        Err("a@0: the first dump of a domain has number 1".to_owned())
    );
    assert_eq!(
        accesses("log@3", None),
        Err("log has no dump 3 of d1: it has 2".to_owned())
    );
    let (first, last) = (place("log@1"), place("log"));
    // d7 has one dump, with which nothing has changed.
    let pairs = two((&first, &last), (&dumps, &dumps), None).unwrap();
    assert_eq!(
        pairs.iter().map(|(old, _)| old.domain).collect::<Vec<_>>(),
        [1]
    );
    // Nothing with itself, whichever way it is named.
    for (old, domain, said) in [
        ("log", None, "d1 in log"),
        ("log@2", None, "d1 in log"),
        ("log@1", Some(7), "d7 in log"),
        ("log", Some(1), "d1 in log"),
    ] {
        let both = two((&place(old), &last), (&dumps, &dumps), domain);
        assert_eq!(
            both,
            Err(format!("both are the same dump of {said}")),
            "{old}"
        );
    }
    // Of two files with one domain each, whatever their numbers are.
    let (a, b) = (find(&text()).unwrap(), find(&other).unwrap());
    assert_eq!(two((&first, &last), (&a, &b), None).unwrap()[0].1.domain, 7);
    let d2 = find(&text().replace(" d1 ", " d2 ")).unwrap();
    let said = two((&place("a"), &place("b")), (&dumps, &d2), None);
    assert_eq!(
        said.unwrap_err(),
        "no domain is in both: a has d1, d7, b has d2"
    );
}

/// What only one of two logs has is not compared, whatever it is like.
#[test]
fn a_damaged_dump_of_another_domain_is_no_matter() {
    let d7 = |text: &str| text.replace(" d1 ", " d7 ");
    let damaged = d7(&text()).replace("order=9", "order=8");
    let (old, new) = (find(&(text() + &damaged)).unwrap(), find(&text()).unwrap());
    let (a, b) = (Place::last("a"), Place::last("b"));
    let domains = |found: Result<Vec<(&Dump, &Dump)>, String>| -> Vec<u16> {
        let pairs = found.unwrap();
        pairs.iter().map(|(old, _)| old.domain).collect()
    };
    assert_eq!(domains(two((&a, &b), (&old, &new), None)), [1]);
    assert_eq!(domains(two((&b, &a), (&new, &old), None)), [1]);
    // Nor is the only one of a log, which is not compared with itself.
    let log = find(&(text() + &damaged + &text())).unwrap();
    let first = Place::parse("a@1").unwrap();
    assert_eq!(domains(two((&first, &a), (&log, &log), None)), [1]);
    assert!(two((&a, &b), (&old, &old), None).is_err());
}

#[test]
fn what_was_before_is_compared_with_what_is_now() {
    let now = text().replace("access=rx ", "access=n ");
    let (old, new) = (find(&text()).unwrap(), find(&now).unwrap());
    let places = (&Place::last("a.log"), &Place::last("b.log"));
    for domain in [None, Some(1)] {
        let pairs = two(places, (&old, &new), domain).unwrap();
        let accesses = |dump: &Dump| dump.runs[2].mapping.access.name();
        let found: Vec<_> = pairs
            .iter()
            .map(|(old, new)| (accesses(old), accesses(new)))
            .collect();
        assert_eq!(found, [("rx", "n")]);
    }
}

/// In other files it is no matter at which lines they are.
#[test]
fn a_domain_without_any_difference_is_not_left_out() {
    let d7 = text().replace(" d1 ", " d7 ");
    let changed = text().replace("access=rx ", "access=n ");
    let before = find(&(d7.clone() + &text())).unwrap();
    // The one at the same lines, the other one not.
    let after = find(&(d7 + "\n" + &changed)).unwrap();
    let places = (&Place::last("a.log"), &Place::last("b.log"));
    let pairs = two(places, (&before, &after), None).unwrap();
    let said: Vec<(u16, bool)> = pairs
        .iter()
        .map(|(old, new)| {
            let text = drawn(&Subject::two(old, new));
            let none = "No difference in how anything is mapped.";
            let is_said = picture(&Subject::two(old, new)).contains(none);
            assert_eq!(is_said, text.contains(none));
            (new.domain, is_said)
        })
        .collect();
    assert_eq!(said, [(1, false), (7, true)]);
    assert!(!drawn(&Subject::one(pairs[0].0)).contains("No difference"));
}

#[test]
fn what_waits_for_a_fault_is_counted_whichever_valid_bit_is_clear() {
    let not_valid = |valid: &str| Summary::of(&with("valid=no;", valid)).not_valid;
    assert_eq!(not_valid("valid=no;"), 2);
    assert_eq!(not_valid("valid=not-above;"), 2);
    assert_eq!(not_valid("valid=yes;"), 0);
    let text = drawn(&Subject::one(&with("valid=no;", "valid=no;")));
    assert!(
        text.contains("Not valid       8 KiB: a valid bit is clear"),
        "{text}"
    );
}

/// In the map, in the row's numbers, in the summary and under the picture's row.
#[test]
fn a_table_without_any_entry_is_seen() {
    let dump = with("mem-access=on", "mem-access=on");
    let summary = Summary::of(&dump);
    assert_eq!((summary.empty_tables, summary.could_go()), (2, 2));
    let text = drawn(&Subject::one(&dump));
    assert!(
        text.contains("Could go        2 tables without any entry\n"),
        "{text}"
    );
    let row = text
        .lines()
        .find(|line| line.starts_with("   0x40000000 "))
        .unwrap();
    // 2 MiB of a block, 8 KiB in pages, and two tables that have no pages.
    assert!(
        row.starts_with("   0x40000000 MMMM5...eeeeeeee...."),
        "{text}"
    );
    let numbers: Vec<&str> = row.split_ascii_whitespace().skip(2).collect();
    assert_eq!(numbers, ["3", "2", "8", "KiB"], "{text}");
    assert!(text.contains("\n  e  a table without any entry\n"));
    let picture = picture(&Subject::one(&dump));
    assert!(picture.contains("class=\"empty\"") && picture.contains(">2 without entry</text>"));
}

#[test]
fn a_page_is_named_after_its_domains() {
    let d7 = |text: String| text.replace(" d1 ", " d7 ");
    let (old, new) = (read(&text()).unwrap(), read(&d7(text())).unwrap());
    let (old, new) = (&old[0], &new[0]);
    let title = |subject: &Subject<'_>| {
        let text = drawn(subject);
        let title = text.lines().next().unwrap().to_owned();
        assert!(picture(subject).contains(&format!("<title>{title}</title>")));
        title
    };
    assert_eq!(title(&Subject::one(new)), "Stage 2 of d7");
    assert_eq!(
        title(&Subject::two(old, old)),
        "Stage 2 of d1: what has changed"
    );
    assert_eq!(
        title(&Subject::two(old, new)),
        "Stage 2 of d7 beside that of d1"
    );
    let dying = with("dying=0 format", "dying=1 format");
    assert_eq!(
        title(&Subject::two(new, &dying)),
        "Stage 2 of d1, which is being destroyed, beside that of d7"
    );
    assert_eq!(
        title(&Subject::one(&dying)),
        "Stage 2 of d1, which is being destroyed"
    );
    assert_eq!(
        title(&Subject::two(old, &dying)),
        "Stage 2 of d1, which is being destroyed: what has changed"
    );
}

#[test]
fn a_page_says_how_much_was_left_out() {
    let dump = with(
        "pages-4k=0x12 left-out=0 left-out-pages=0x0",
        "pages-4k=0x52 left-out=3 left-out-pages=0x40",
    );
    let text = drawn(&Subject::one(&dump));
    let said = "Left out        3 runs from 0x40800000 on (256 KiB): a dump is as long as";
    assert!(text.contains(said), "{text}");
    // There is no room for it beside what else is said.
    let said = ">not shown: 3 runs from 0x40800000 on (256 KiB)</text>";
    assert!(picture(&Subject::one(&dump)).contains(said));
}

#[test]
fn what_new_mappings_get_is_said_where_mem_access_was_in_use() {
    let said = ["new mappings get rwx", "mem_access was never in use"];
    let says = |to: &str| {
        let picture = picture(&Subject::one(&with("mem-access=on", to)));
        said.map(|said| picture.contains(said))
    };
    assert_eq!(says("mem-access=on"), [true, false]);
    assert_eq!(says("mem-access=off"), [false, true]);
}

#[test]
fn the_tables_of_several_domains_are_listed() {
    let log = text() + &text().replace(" d1 ", " d17 ").replace("l3=4", "l3=1004");
    let dumps = read(&log).unwrap();
    let subjects: Vec<_> = dumps.iter().map(Subject::one).collect();
    assert_eq!(
        terminal::tables(subjects.iter()),
        "Tables of translation, by domain:\n      \
         d1       8 tables (32 KiB) for 2.1 MiB\n     \
         d17   1,008 tables (3.9 MiB) for 2.1 MiB\n"
    );
}

proptest! {
    /// Whatever a console has made of it: there is a sentence with a line of the text, or a dump that can be drawn.
    #[test]
    fn a_damaged_log_is_refused_or_drawn(
        at in 0usize..900,
        change in prop_oneof![
            "[ -~]{0,6}",
            "\\PC{0,3}",
            Just("0xfffffffffffff".to_owned()),
            Just("p2m-dump: d1 9 ".to_owned()),
            Just("p2m-dump: d1 3 map ".to_owned()),
            Just("(d1) ".to_owned()),
        ],
        cut in 0usize..12,
    ) {
        let whole = text();
        let from = at.min(whole.len());
        let to = (from + cut).min(whole.len());
        let damaged = format!("{}{change}{}", &whole[..from], &whole[to..]);
        match read(&damaged) {
            Err(error) => {
                prop_assert!(error.line <= damaged.lines().count());
                prop_assert!(!error.what.is_empty() && !error.what.contains('\n'));
            }
            Ok(dumps) => {
                let whole = read(&whole).unwrap();
                for dump in &dumps {
                    for subject in [Subject::one(dump), Subject::two(&whole[0], dump)] {
                        let text = terminal::draw(&subject, terminal::Colours::None);
                        let picture = svg::draw(&subject, svg::Theme::Auto);
                        prop_assert!(!text.is_empty() && picture.ends_with("</svg>\n"));
                    }
                }
            }
        }
    }
}
