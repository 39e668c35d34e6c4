// SPDX-License-Identifier: GPL-2.0-only
//! Reading dumps out of a console's log, and what is said of a log that cannot be read.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may stop on the spot

use p2m_show::dump::{read, Access, Size, Supply, Valid};
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
            "line 2: `map` is not the number of a line",
        ),
        (
            "d1 1 map",
            "d1x 1 map",
            "line 2: `d1x` is no domain such as d1",
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
            "line 2: 0x0 pages from frame 0x3001 on are no range",
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
            "line 3: frame 0x3000 comes after frame 0x3010, which was mapped before",
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
            "level=3",
            "level=0",
            "line 5: `level=0` is none of 1, 2 and 3",
        ),
        (
            "d1 5 tables",
            "d1 5 table",
            "line 6: a line of a dump cannot be `table`",
        ),
        ("heap=0", "heap=2", "line 6: `heap=2` is neither 0 nor 1"),
        (
            "pages-2m=0x200",
            "pages-2m=0x400",
            "line 8: the lines of the dump map 0x212 pages, but its end says that there are 0x412",
        ),
        (
            "left-out-pages=0x0",
            "left-out-pages=0x9",
            "line 8: the lines of the dump map 0x212 pages, but its end says that there are 0x209",
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
        "line 4: this is line 4 of the dump of d1, but it was line 3's turn: lines were lost"
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
}

#[test]
fn dumps_are_chosen_by_domain_and_number() {
    let other = text()
        .replace(" d1 ", " d7 ")
        .replace("access=rx", "access=r");
    let log = text() + &text().replace("access=rx", "access=n") + &other;
    let dumps = read(&log).unwrap();
    let place = Place::parse;
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
    assert_eq!(place("a@0").file, "a@0");
    let (first, last) = (place("log@1"), place("log"));
    // d7 has one dump, with which nothing has changed.
    let pairs = two((&first, &last), (&dumps, &dumps), None).unwrap();
    assert_eq!(
        pairs.iter().map(|(old, _)| old.domain).collect::<Vec<_>>(),
        [1]
    );
    let same = two((&last, &last), (&dumps, &dumps), None).unwrap();
    assert_eq!(same.len(), 2);
    // Of two files with one domain each, whatever their numbers are.
    let (a, b) = (read(&text()).unwrap(), read(&other).unwrap());
    assert_eq!(two((&first, &last), (&a, &b), None).unwrap()[0].1.domain, 7);
    let d2 = read(&text().replace(" d1 ", " d2 ")).unwrap();
    let said = two((&place("a"), &place("b")), (&dumps, &d2), None);
    assert_eq!(
        said.unwrap_err(),
        "no domain is in both: a has d1, d7, b has d2"
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
