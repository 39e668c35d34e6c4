// SPDX-License-Identifier: GPL-2.0-only
//! A grant's reference of a page is dropped when mm.c says that the grant's mapping has gone
//! (`replace_grant_host_mapping`); it is the guest that says where that mapping is. The patch's lines
//! for mm.c compare what is mapped there with the grant. Here these lines are taken out of the patch,
//! compiled (`calls.c`), and run over the Rust, with all rules of the machine. [`dma`] has those for
//! the 1:1 mappings of grants.
//!
//! The C compiler is the one that links Rust programs: `cc`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test may stop on the spot

#[path = "../common/mod.rs"]
mod common;
mod dma;

use std::ffi::{c_int, c_uint, c_ulong};
use std::fs;
use std::mem::offset_of;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use common::loaded::Loaded;
use common::{access, errno, guest, p2mt, plain, ram, M2};
use proptest::prelude::*;
use test_harness::{live, symbols, Domain, Event, LockOp, World};
use xen_sys::{domain, p2m_domain};

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/grants_c");
const PATCHES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../patches/xen");

const MM_C: &str = "xen/arch/arm/mm.c";
const IOMMU_HELPERS_C: &str = "xen/drivers/passthrough/arm/iommu_helpers.c";

/// Between the two while they are one text.
const APART: &str = "/* --- */\n";

/// The types of `p2m_is_any_ram()`, a bit each.
const ANY_RAM: u32 = 1 << p2mt::RAM_RW
    | 1 << p2mt::RAM_RO
    | 1 << p2mt::FOREIGN_RW
    | 1 << p2mt::FOREIGN_RO
    | 1 << p2mt::GRANT_RW
    | 1 << p2mt::GRANT_RO;

/// `GNTMAP_readonly`.
const READ_ONLY: u32 = 1 << 2;

/// What the patch adds to a file before `function`, where it shadows a function of the p2m's. (After it the
/// patch adds nothing to the file but, in mm.c, the macro's `#undef`.)
fn added(file: &str) -> String {
    let patches = fs::read_dir(PATCHES).unwrap();
    let texts = patches.map(|patch| fs::read_to_string(patch.unwrap().path()).unwrap());
    let part = |text: String| {
        let (_, part) = text.split_once(&format!("+++ b/{file}\n"))?;
        Some(part.split("\ndiff --git").next().unwrap().to_owned())
    };
    let mut found = texts.filter_map(part);
    let text = found.next().expect("a patch changes the file");
    assert_eq!(found.next(), None, "another one does, too");
    let lines = text.lines().filter_map(|line| line.strip_prefix('+'));
    let lines: Vec<_> = lines.collect();
    let end = lines.iter().rposition(|line| *line == "#endif").unwrap();
    let rest = lines[end + 1..].concat();
    assert!(["", "#undef guest_physmap_remove_page"].contains(&rest.as_str()));
    lines[..=end].join("\n") + "\n"
}

type Unmap = unsafe extern "C" fn(*mut domain, c_ulong, c_ulong, c_uint) -> c_int;
type AddForDma = unsafe extern "C" fn(*mut domain, c_ulong, c_ulong, c_uint, c_uint) -> c_int;

/// What the patch makes of three calls.
#[derive(Clone, Copy)]
struct Calls {
    /// `guest_physmap_remove_page` in `replace_grant_host_mapping`.
    unmap: Unmap,
    /// `guest_physmap_add_entry` in `arm_iommu_map_page`.
    add_for_dma: AddForDma,
    /// `guest_physmap_remove_page` in `arm_iommu_unmap_page`.
    remove_for_dma: Unmap,
}

/// The C, changed by `edit`.
fn compile(name: &str, edit: impl Fn(&str) -> String) -> Calls {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("grants_c");
    let folder = folder.join(name);
    fs::create_dir_all(&folder).unwrap();
    let all = [MM_C, IOMMU_HELPERS_C].map(added);
    let edited = edit(&all.join(APART));
    for (name, text) in ["mm.c", "iommu_helpers.c"].iter().zip(edited.split(APART)) {
        fs::write(folder.join(name), text).unwrap();
    }
    for file in ["xen.h", "calls.c"] {
        fs::copy(Path::new(HERE).join(file), folder.join(file)).unwrap();
    }
    let compiled = Command::new("cc")
        .current_dir(&folder)
        .args(["-std=gnu99", "-O1", "-Wall", "-shared", "-fPIC"])
        .arg(format!(
            "-DDEFAULT_ACCESS_AT={}",
            offset_of!(p2m_domain, default_access)
        ))
        .arg(format!("-DANY_RAM={ANY_RAM}U"))
        .args(["calls.c", "-o", "library.so"])
        .output()
        .expect("cc, which links Rust programs as well");
    let errors = String::from_utf8_lossy(&compiled.stderr).into_owned();
    assert!(compiled.status.success(), "{errors}");
    let it = Loaded::new(&folder.join("library.so"));
    let numbers = it.find("test_numbers").cast::<[u32; 5]>();
    let types = [p2mt::GRANT_RW, p2mt::GRANT_RO, p2mt::IOMMU_RW];
    let [rw, ro, iommu] = types;
    let ours = [p2mt::INVALID, rw, ro, iommu, access::RWX];
    // SAFETY: a constant of xen.h.
    assert_eq!(unsafe { *numbers }, ours, "xen.h is not the harness's ABI");
    it.set("p2m_get_hostp2m", hostp2m as *const ());
    it.set("p2m_write_lock", write_lock as *const ());
    it.set("p2m_write_unlock", symbols::p2m_write_unlock as *const ());
    it.set("p2m_get_entry", symbols::p2m_get_entry as *const ());
    it.set("p2m_set_entry", symbols::p2m_set_entry as *const ());
    it.set(
        "unmap_regions_p2mt",
        symbols::unmap_regions_p2mt as *const (),
    );
    Calls {
        // SAFETY: as it is in calls.c.
        unmap: unsafe { it.function("test_unmap") },
        // SAFETY: as above.
        add_for_dma: unsafe { it.function("test_add_for_dma") },
        // SAFETY: as above.
        remove_for_dma: unsafe { it.function("test_remove_for_dma") },
    }
}

extern "C" fn hostp2m(d: *mut domain) -> *mut p2m_domain {
    // SAFETY: a domain of the machine.
    unsafe { &raw mut (*d).arch.p2m }
}

extern "C" fn write_lock(p2m: *mut p2m_domain) {
    // SAFETY: the p2m of a domain of the machine.
    let lock = unsafe { &raw mut (*p2m).lock };
    // SAFETY: initialised by p2m_init().
    unsafe { xen_sys::xs_write_lock(live(lock)) };
}

/// The C as the patch has it.
fn as_it_is() -> Calls {
    static IT: OnceLock<Calls> = OnceLock::new();
    *IT.get_or_init(|| compile("as_it_is", str::to_owned))
}

fn unmap(w: &World, c: Calls, d: Domain, gfn: u64, mfn: u64, flags: u32) -> i32 {
    // SAFETY: a domain of the machine.
    w.as_call("replace_grant_host_mapping", || unsafe {
        (c.unmap)(d.pointer(), gfn, mfn, flags)
    })
}

/// Where the guest has something, and where nothing.
const THERE: u64 = 3 * M2 + 7;
const HOLE: u64 = 5 * M2;
const FRAME: u64 = ram(1) + 9;

/// A guest that has mapped `mfn` of another domain, or of its own, by a mapping of this type.
fn mapped(w: &World, mfn: u64, p2m_type: u32) -> Domain {
    let (d, _owner) = (guest(w, 0), guest(w, 1));
    if p2mt::is_foreign(p2m_type) {
        w.take_references(mfn, 1);
    }
    assert_eq!(d.insert(THERE, 1, mfn, p2m_type), 0);
    w.clear_events();
    d
}

/// Each type that may be mapped there, each right of the grant, each frame: only the grant's own
/// mapping is unmapped.
fn only_its_own_mapping(c: Calls) {
    for there in p2mt::RAM_RW..=p2mt::IOMMU_RO {
        for flags in [0, READ_ONLY] {
            for (named, mfn) in [("its frame", FRAME), ("another", FRAME + 1)] {
                let w = plain();
                let d = mapped(&w, FRAME, there);
                let before = (d.get_entry(THERE), w.references(FRAME));
                let own = match flags {
                    READ_ONLY => p2mt::GRANT_RO,
                    _ => p2mt::GRANT_RW,
                };
                let rc = unmap(&w, c, d, THERE, mfn, flags);
                let what = format!("type {there}, flags {flags}, {named}");
                if there == own && mfn == FRAME {
                    assert_eq!(rc, 0, "{what}");
                    assert_eq!(d.lookup(THERE), (None, p2mt::INVALID), "{what}");
                } else {
                    assert_eq!(rc, errno::EILSEQ, "{what}");
                    let after = (d.get_entry(THERE), w.references(FRAME));
                    assert_eq!(after, before, "{what}");
                }
                assert_eq!(unmap(&w, c, d, HOLE, FRAME, flags), errno::EILSEQ, "{what}");
                w.check();
            }
        }
    }
}

#[test]
fn a_grant_unmaps_its_own_mapping_and_nothing_else() {
    only_its_own_mapping(as_it_is());
}

/// The look and the removal are one: no other CPU comes between.
fn one_lock(c: Calls) {
    let w = plain();
    let d = mapped(&w, FRAME, p2mt::GRANT_RW);
    assert_eq!(unmap(&w, c, d, THERE, FRAME, 0), 0);
    assert_eq!(locks_taken(&w, d), (1, 0));
    w.check();
}

/// How often the p2m lock was taken since `clear_events()`: for writing, and for reading.
fn locks_taken(w: &World, d: Domain) -> (usize, usize) {
    let p2m_lock = hostp2m(d.pointer()).addr();
    let taken = |op: LockOp| {
        common::count(
            w,
            |e| matches!(e, Event::Lock { lock, op: o } if *lock == p2m_lock && *o == op),
        )
    };
    (taken(LockOp::Write), taken(LockOp::Read))
}

#[test]
fn what_is_there_is_looked_at_and_unmapped_under_one_lock() {
    one_lock(as_it_is());
}

/// Frames of another domain, and of the guest's own.
const OTHERS: [u64; 2] = [FRAME, FRAME + 1];
const OWN: [u64; 2] = [ram(0) + 9, ram(0) + 10];

/// What a guest's vCPUs do, all at once: what takes several steps may have others in between.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// `GNTTABOP_map_grant_ref`, also of a page of its own.
    Map { at: u64, mfn: u64, flags: u32 },
    /// `GNTTABOP_unmap_grant_ref` of one of the grants that are mapped, counted round and round.
    Unmap { grant: usize, at: u64 },
    /// `XENMEM_add_to_physmap_batch`, of a foreign page.
    Foreign { at: u64, mfn: u64 },
    /// `XENMEM_remove_from_physmap`: which page is it?
    Look { at: u64 },
    /// `XENMEM_decrease_reservation`: which page is it?
    GiveBack { at: u64 },
    /// One of these two goes on: the page is unmapped.
    Finish { call: usize },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let at = || 0..6_u64;
    let mfn = prop::sample::select([OTHERS, OWN].concat());
    let flags = prop::sample::select(&[0, READ_ONLY][..]);
    let map = (at(), mfn, flags).prop_map(|(at, mfn, flags)| Act::Map { at, mfn, flags });
    let foreign = (at(), prop::sample::select(&OTHERS[..]));
    let act = prop_oneof![
        4 => map,
        4 => (0..64_usize, at()).prop_map(|(grant, at)| Act::Unmap { grant, at }),
        1 => foreign.prop_map(|(at, mfn)| Act::Foreign { at, mfn }),
        1 => at().prop_map(|at| Act::Look { at }),
        2 => at().prop_map(|at| Act::GiveBack { at }),
        3 => (0..64_usize).prop_map(|call| Act::Finish { call }),
    ];
    prop::collection::vec(act, 1..40)
}

/// How a guest's calls unmap: as the code under test does it, or as the C does.
struct Removal<'a> {
    /// What mm.c does for a grant.
    grant: &'a dyn Fn(&World, Domain, u64, u64, u32) -> i32,
    /// What memory.c calls.
    page: &'a dyn Fn(Domain, u64, u64) -> i32,
}

/// The guest frames at which all of this happens.
fn place(at: u64) -> u64 {
    THERE + at * 100
}

/// How many references hold one of the guest's own pages.
fn held(grants: &[(u64, u32)], allocated: &[u64], mfn: u64) -> usize {
    let granted = grants.iter().filter(|&&(granted, _)| granted == mfn);
    granted.count() + usize::from(allocated.contains(&mfn))
}

/// Carries them out. Returns the first page that is mapped more often than it is held: by grants
/// with these rights; or, of the guest's own pages, by grants and by the reference that it has
/// until it gives the page back.
fn mapped_but_not_held(acts: &[Act], removal: &Removal<'_>) -> Option<String> {
    let w = plain();
    let (d, _owner) = (guest(&w, 0), guest(&w, 1));
    for (at, mfn) in (0..).zip(OWN) {
        assert_eq!(d.insert(place(at), 1, mfn, p2mt::RAM_RW), 0);
    }
    let mut grants: Vec<(u64, u32)> = Vec::new();
    let mut allocated = OWN.to_vec();
    // What memory.c has looked up, and whether it then gives it back.
    let mut calls: Vec<(u64, u64, bool)> = Vec::new();
    for &act in acts {
        match act {
            // Who has no page can grant none.
            Act::Map { mfn, .. } if OWN.contains(&mfn) && held(&grants, &allocated, mfn) == 0 => {}
            Act::Map { at, mfn, flags } => {
                let t = [p2mt::GRANT_RW, p2mt::GRANT_RO][usize::from(flags == READ_ONLY)];
                assert_eq!(d.insert(place(at), 1, mfn, t), 0);
                grants.push((mfn, flags));
            }
            Act::Unmap { grant, at } if !grants.is_empty() => {
                let grant = grant % grants.len();
                let (mfn, flags) = grants[grant];
                if (removal.grant)(&w, d, place(at), mfn, flags) == 0 {
                    grants.swap_remove(grant);
                }
            }
            Act::Foreign { at, mfn } => {
                w.take_references(mfn, 1);
                assert_eq!(d.insert(place(at), 1, mfn, p2mt::FOREIGN_RW), 0);
            }
            Act::Look { at } => {
                if let (Some(mfn), _) = d.lookup(place(at)) {
                    calls.push((place(at), mfn, false));
                }
            }
            Act::GiveBack { at } => match d.lookup(place(at)) {
                // `get_page` of a page that is the guest's.
                (Some(mfn), _) if OWN.contains(&mfn) => calls.push((place(at), mfn, true)),
                _ => {}
            },
            Act::Finish { call } if !calls.is_empty() => {
                let call = call % calls.len();
                let (gfn, mfn, gives_back) = calls.swap_remove(call);
                if (removal.page)(d, gfn, mfn) == 0 && gives_back {
                    allocated.retain(|&other| other != mfn);
                }
            }
            Act::Unmap { .. } | Act::Finish { .. } => {}
        }
        w.check();
        let count = |wanted: &dyn Fn((Option<u64>, u32)) -> bool| {
            (0..6).filter(|&at| wanted(d.lookup(place(at)))).count()
        };
        for mfn in [OTHERS, OWN].concat() {
            for (flags, t) in [(0, p2mt::GRANT_RW), (READ_ONLY, p2mt::GRANT_RO)] {
                let there = count(&|found| found == (Some(mfn), t));
                let held = grants.iter().filter(|&&grant| grant == (mfn, flags));
                let held = held.count();
                if there > held {
                    return Some(format!("{act:?}: {mfn:#x} {there} times by {held} grants"));
                }
            }
        }
        for mfn in OWN {
            let there = count(&|(found, _)| found == Some(mfn));
            let held = held(&grants, &allocated, mfn);
            if there > held {
                return Some(format!(
                    "{act:?}: {mfn:#x} {there} times, held {held} times"
                ));
            }
        }
    }
    None
}

/// What the patch and the Rust do.
fn ours(acts: &[Act]) -> Option<String> {
    let c = as_it_is();
    mapped_but_not_held(
        acts,
        &Removal {
            grant: &|w, d, gfn, mfn, flags| unmap(w, c, d, gfn, mfn, flags),
            page: &|d, gfn, mfn| d.remove_page(gfn, mfn, 0),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn whatever_a_guest_unmaps_no_page_is_mapped_more_often_than_it_is_held(acts in acts()) {
        prop_assert_eq!(ours(&acts), None);
    }
}

const fn map(at: u64, mfn: u64) -> Act {
    Act::Map { at, mfn, flags: 0 }
}

const fn unmap_at(at: u64) -> Act {
    Act::Unmap { grant: 0, at }
}

/// The property can fail: it does with what mm.c does without the patch.
#[test]
fn without_the_patch_a_mapping_may_outlive_its_grant() {
    let foreign = Act::Foreign { at: 3, mfn: FRAME };
    let read_only = Act::Map {
        at: 3,
        mfn: FRAME,
        flags: READ_ONLY,
    };
    for acts in [
        &[map(2, FRAME), unmap_at(3)][..],
        &[map(2, FRAME), foreign, unmap_at(3)],
        &[map(2, FRAME), read_only, unmap_at(3)],
    ] {
        // Not compared where nothing is, as in the C.
        let removal = Removal {
            grant: &|_, d, gfn, mfn, _| d.remove(gfn, 1, mfn),
            page: &|d, gfn, mfn| d.remove_page(gfn, mfn, 0),
        };
        assert!(mapped_but_not_held(acts, &removal).is_some(), "{acts:?}");
        assert_eq!(ours(acts), None, "{acts:?}");
    }
}

/// A page that is given back at a frame whose mapping has gone meanwhile stays the guest's: another
/// mapping of it may still be there.
#[test]
fn a_page_is_not_given_back_where_another_vcpu_has_unmapped_it_already() {
    let acts = [
        map(2, OWN[0]),
        Act::GiveBack { at: 2 },
        unmap_at(2),
        Act::Finish { call: 0 },
    ];
    let c = as_it_is();
    let as_c_does = Removal {
        grant: &|w, d, gfn, mfn, flags| unmap(w, c, d, gfn, mfn, flags),
        page: &|d, gfn, mfn| d.remove(gfn, 1, mfn),
    };
    assert!(mapped_but_not_held(&acts, &as_c_does).is_some());
    assert_eq!(ours(&acts), None);
}

/// Faults in the C, each of which one of the tests above must notice.
const FAULTS: [(&str, &str); 8] = [
    ("t == granted", "t != granted"),
    (" &&\n         t == granted )", " )"),
    (
        "mfn_eq(p2m_get_entry(p2m, gfn, &t, NULL, NULL, NULL), mfn)",
        "(p2m_get_entry(p2m, gfn, &t, NULL, NULL, NULL), 1)",
    ),
    (
        "(flags & GNTMAP_readonly) ? p2m_grant_map_ro",
        "(flags & GNTMAP_readonly) ? p2m_grant_map_rw",
    ),
    (": p2m_grant_map_rw;", ": p2m_grant_map_ro;"),
    ("int rc = -EILSEQ;", "int rc = 0;"),
    (
        "        rc = p2m_set_entry(p2m, gfn, 1, INVALID_MFN",
        "        p2m_set_entry(p2m, gfn, 1, INVALID_MFN",
    ),
    (
        "    p2m_write_lock(p2m);\n\n    if",
        "    p2m_write_lock(p2m);\n    p2m_write_unlock(p2m);\n    p2m_write_lock(p2m);\n    if",
    ),
];

#[test]
fn each_planted_fault_is_noticed() {
    for (n, (from, to)) in FAULTS.into_iter().enumerate() {
        let c = with_fault(&format!("fault_{n}"), from, to);
        let passes = catch_unwind(AssertUnwindSafe(|| {
            only_its_own_mapping(c);
            one_lock(c);
        }));
        assert!(passes.is_err(), "nothing notices {from:?} as {to:?}");
    }
}

/// The C with one mistake.
fn with_fault(name: &str, from: &str, to: &str) -> Calls {
    compile(name, |text| {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        text.replace(from, to)
    })
}
