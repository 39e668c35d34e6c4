// SPDX-License-Identifier: GPL-2.0-only
//! Guests to print the stage 2 of, and what a monitor does to them.

use p2m_show::dump::{read, Dump};
use p2m_show::picture::svg::{self, Theme};
use p2m_show::picture::terminal::{self, Colours};
use p2m_show::picture::Subject;
use test_harness::abi::{access, p2mt};
use test_harness::symbols as c;
use test_harness::{Config, Domain, World};

const MIB2: u64 = 1 << 9;
const GIB: u64 = 1 << 18;

/// Where guests have their first RAM (`GUEST_RAM0_BASE`), and their second, in frames.
const RAM0: u64 = 0x4_0000;
const RAM1: u64 = 0x20_0000;

/// The first of the machine's frames that are a guest's.
const MACHINE: u64 = 0x100_0000;

/// The machine, and a guest with a pool of so many pages that owns `pages` frames from `MACHINE` on.
fn guest(pages: u64, pool: u64, ipa_bits: u32) -> (World, Domain) {
    p2m_rs::xen::globals::reset_for_test();
    let w = World::new(Config {
        ipa_bits,
        heap_pages: pool + 4096,
        log_capacity: 0,
        ..Config::default()
    });
    let d = w.domain(pool);
    w.ram(MACHINE, pages, d);
    w.max_steps(u64::MAX);
    (w, d)
}

/// Makes a machine and a guest.
pub(crate) type Guest = fn() -> (World, Domain);

/// The dumps that docs/show/ has: their names, and the guests.
pub(crate) const KEPT: [(&str, Guest); 4] = [
    ("small", small),
    ("small-watched", small_watched),
    ("large", large),
    ("large-watched", large_watched),
];

/// As many runs as their files have at most.
pub(crate) const KEPT_LINES: u64 = 400;

/// What debug key `D` prints, as Xen's console shows it.
pub(crate) fn dump(w: &World, d: Domain, lines: u64) -> String {
    let _before = w.console();
    w.as_call("p2m_dump_stage2", || {
        // SAFETY: a live domain.
        unsafe { c::p2m_dump_stage2(d.pointer(), lines) };
    });
    let lines = w.console();
    lines.iter().map(|line| format!("(XEN) {line}")).collect()
}

fn map(d: Domain, gfn: u64, pages: u64, mfn: u64, ty: u32) {
    assert_eq!(d.insert(gfn, pages, mfn, ty), 0, "{gfn:#x}");
}

fn restrict(d: Domain, gfn: u64, pages: u64, access: u32) {
    let pages = u32::try_from(pages).unwrap_or(u32::MAX);
    assert_eq!(d.set_access_fully(gfn, pages, access), 0, "{gfn:#x}");
}

/// A guest of 256 MiB as `xl create` makes it: an interrupt controller, grant frames, RAM in blocks of 2 MiB that
/// are where the heap had some, and, where the heap had none left, single pages.
pub(crate) fn small() -> (World, Domain) {
    let (w, d) = guest(8 * GIB, 1024, 44);
    map(d, 0x3001, 16, 0x8000, p2mt::MMIO_DEV);
    map(d, 0x3020, 32, 0x8020, p2mt::MMIO_DEV);
    map(d, 0x3_8000, 2, MACHINE + 7 * GIB, p2mt::RAM_RW);
    map(d, 0x3_9000, 4, MACHINE + 7 * GIB + 2, p2mt::RAM_RW);
    for block in 0..120 {
        // From the top of the heap down, in a few pieces.
        let mfn = MACHINE + GIB + (block / 48) * GIB + (block % 48) * MIB2;
        map(d, RAM0 + block * MIB2, MIB2, mfn, p2mt::RAM_RW);
    }
    for page in 0..8 * MIB2 {
        let mfn = MACHINE + 6 * GIB + page * 3;
        map(d, RAM0 + 120 * MIB2 + page, 1, mfn, p2mt::RAM_RW);
    }
    d.creation_finished();
    // What the guest has touched since.
    for block in 0..128 {
        d.resolve(RAM0 + block * MIB2);
    }
    (w, d)
}

/// What a monitor does to it: it forbids writes to the kernel's text, execution of its data, any access to two
/// buffers, and watches single page tables; elsewhere it has lifted what it had restricted, page by page.
fn watch(d: Domain) {
    restrict(d, RAM0 + 0x80, 12 * MIB2, access::RX);
    restrict(d, RAM0 + 0x80 + 12 * MIB2, 20 * MIB2 - 0x40, access::RW);
    restrict(d, RAM0 + 44 * MIB2, MIB2, access::N);
    restrict(d, RAM0 + 45 * MIB2, MIB2 / 2, access::N2RWX);
    for table in 0..24 {
        restrict(d, RAM0 + 52 * MIB2 + table * 77, 1, access::R);
    }
    for page in 0..6 * MIB2 {
        restrict(d, RAM0 + 80 * MIB2 + page, 1, access::RX);
    }
    for page in 0..6 * MIB2 {
        restrict(d, RAM0 + 80 * MIB2 + page, 1, access::RWX);
    }
}

/// The guest gives memory back, as its balloon does: some in pages here and there, some in blocks.
fn balloon(d: Domain) {
    for piece in 0..96 {
        for page in 0..8 {
            let gfn = RAM0 + 96 * MIB2 + piece * 16 + page;
            let mfn = d.lookup(gfn).0.unwrap_or(0);
            assert_eq!(d.remove(gfn, 1, mfn), 0);
        }
    }
    for block in 100..104 {
        let gfn = RAM0 + block * MIB2;
        let mfn = d.lookup(gfn).0.unwrap_or(0);
        assert_eq!(d.remove(gfn, MIB2, mfn), 0);
    }
}

/// A guest of 64 GiB: most of it in blocks of 1 GiB, some in smaller ones, and a part that was pieced together.
pub(crate) fn large() -> (World, Domain) {
    let (w, d) = guest(80 * GIB, 1 << 15, 44);
    map(d, 0x3001, 16, 0x8000, p2mt::MMIO_DEV);
    map(d, 0x3020, 32 * 32, 0x8020, p2mt::MMIO_DEV);
    map(d, 0x3_8000, 64, MACHINE + 79 * GIB, p2mt::RAM_RW);
    map(d, RAM0, 3 * GIB, MACHINE, p2mt::RAM_RW);
    for gib in 0..61 {
        let (gfn, mfn) = (RAM1 + gib * GIB, MACHINE + (gib + 3) * GIB);
        match gib {
            // In blocks of 2 MiB: the machine had no GiB in one piece.
            20..30 => {
                let halves = [(0, GIB / 2), (GIB / 2, GIB / 2 + MIB2)];
                for (offset, at) in halves {
                    map(d, gfn + offset, GIB / 2, mfn + at - MIB2 * 3, p2mt::RAM_RW);
                }
            }
            // Pieced together.
            44..46 => {
                for piece in 0..GIB / 96 {
                    let at = piece * 96;
                    map(d, gfn + at, 96, mfn + 16 * GIB / 8 + at * 2, p2mt::RAM_RW);
                }
            }
            _ => map(d, gfn, GIB, mfn, p2mt::RAM_RW),
        }
    }
    // A device that was passed through.
    map(d, 0x10_0000 + 0x800, 0x1000, 0x2_0000, p2mt::MMIO_DEV);
    (w, d)
}

/// With a monitor, and a balloon.
pub(crate) fn small_watched() -> (World, Domain) {
    let (w, d) = small();
    watch(d);
    balloon(d);
    (w, d)
}

/// With a monitor.
pub(crate) fn large_watched() -> (World, Domain) {
    let (w, d) = large();
    watch_large(d);
    (w, d)
}

/// What a monitor does to the large guest.
fn watch_large(d: Domain) {
    restrict(d, RAM0 + 40 * MIB2, 20 * MIB2, access::RX);
    restrict(d, RAM1 + 3 * GIB, GIB, access::RX);
    restrict(d, RAM1 + 4 * GIB, GIB / 2, access::RW);
    for n in 0..40 {
        restrict(d, RAM1 + 9 * GIB + n * 5000, 16, access::R);
    }
    restrict(d, RAM1 + 33 * GIB + 100 * MIB2, 64 * MIB2, access::N);
    // Lifted again, page by page, so that the tables stay.
    for page in 0..96 * MIB2 {
        restrict(d, RAM1 + 50 * GIB + page, 1, access::RW);
    }
    for page in 0..96 * MIB2 {
        restrict(d, RAM1 + 50 * GIB + page, 1, access::RWX);
    }
    for block in 0..90 {
        let gfn = RAM1 + 12 * GIB + block * 3 * MIB2;
        let mfn = d.lookup(gfn).0.unwrap_or(0);
        assert_eq!(d.remove(gfn, MIB2, mfn), 0);
    }
}

/// The files of docs/show/: their names and texts. What is drawn of a dump, or of two, stands beside it.
pub(crate) fn files() -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut dumps: Vec<(&str, Dump)> = Vec::new();
    for (name, guest) in KEPT {
        let (w, d) = guest();
        let text = dump(&w, d, KEPT_LINES);
        // The guest's pages need not be given back one by one.
        w.abandon();
        // One that is refused would be drawn nowhere, and nobody would miss its picture.
        match read(&text) {
            Ok(found) => dumps.extend(found.into_iter().map(|dump| (name, dump))),
            Err(error) => panic!("the dump of {name} is refused: {error}"),
        }
        all.push((format!("{name}.dump"), text));
    }
    let mut draw = |name: String, subject: &Subject<'_>| {
        all.push((
            format!("{name}.txt"),
            terminal::draw(subject, Colours::None),
        ));
        all.push((format!("{name}.svg"), svg::draw(subject, Theme::Auto)));
    };
    for (name, dump) in &dumps {
        if name.ends_with("-watched") {
            draw((*name).to_owned(), &Subject::one(dump));
        }
    }
    let [(_, small), (_, watched), ..] = &dumps[..] else {
        panic!("there must be a dump of each guest");
    };
    draw("small-changes".to_owned(), &Subject::two(small, watched));
    all
}
