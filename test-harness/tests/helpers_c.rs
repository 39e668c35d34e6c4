// SPDX-License-Identifier: GPL-2.0-only
//! `xen-sys/helpers.c` computes what a host's tests never see: operands of TLBI,
//! pages in the frame table, lines of a cache, addresses in the direct map. Here it
//! is compiled for the host, with functions in the place of Xen and of the
//! instructions (`helpers_c/`), and each computation runs beside a naive loop.
//!
//! The C compiler is the one that links Rust programs: `cc`.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may stop on the spot

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/helpers_c");
const XEN_SYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../xen-sys");

/// Every check of main.c.
const CHECKS: [&str; 11] = [
    "pages",
    "cleaning",
    "direct map",
    "tlbi",
    "cpus",
    "preemption",
    "iommu",
    "others",
    "aborts",
    "wrappers",
    "views",
];

/// What xen-sys's build script may find out about a tree (`xen-sys/build/facts.rs`), as macros: each kind of
/// page index, and the forms of what is called. One of them is configured with views.
const TREES: [&[&str]; 3] = [
    &["-DPDX_BY_MASK", "-DSET_WAY_HSR", "-DSHUTDOWN_FLAG"],
    &["-DPDX_BY_OFFSET", "-DSET_WAY_PLAIN", "-DSHUTDOWN_STATE"],
    &[
        "-DPDX_IS_FRAME",
        "-DSET_WAY_PLAIN",
        "-DSHUTDOWN_FLAG",
        "-DCONFIG_ALTP2M",
    ],
];

/// A folder with helpers.c and pdx.h, changed by `edit`, and all that they include.
fn folder(name: &str, edit: impl Fn(String) -> String) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("helpers_c")
        .join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let mut headers = String::new();
    for file in ["helpers.c", "helpers.h", "pdx.h"] {
        let text = fs::read_to_string(Path::new(XEN_SYS).join(file)).unwrap();
        headers += &text;
    }
    for file in ["helpers.c", "pdx.h"] {
        let text = fs::read_to_string(Path::new(XEN_SYS).join(file)).unwrap();
        fs::write(folder.join(file), edit(text)).unwrap();
    }
    let from = [
        (XEN_SYS, "helpers.h"),
        (HERE, "xen.h"),
        (HERE, "instructions.h"),
        (HERE, "main.c"),
    ];
    for (place, file) in from {
        fs::copy(Path::new(place).join(file), folder.join(file)).unwrap();
    }
    // Xen's headers are empty: all is in xen.h.
    let included = headers
        .lines()
        .filter_map(|line| line.strip_prefix("#include <")?.strip_suffix('>'));
    for header in included {
        let header = folder.join("xen").join(header);
        fs::create_dir_all(header.parent().unwrap()).unwrap();
        fs::write(header, "").unwrap();
    }
    folder
}

/// Compiles and runs it, for one of [`TREES`].
fn run(folder: &Path, tree: &[&str]) -> Output {
    let compiled = Command::new("cc")
        .current_dir(folder)
        .args([
            "-std=gnu99",
            "-O1",
            "-include",
            "xen.h",
            "-I",
            "xen",
            "-I",
            ".",
        ])
        .args(tree)
        .args(["main.c", "-o", "checks"])
        .output()
        .expect("cc, which links Rust programs as well");
    let errors = String::from_utf8_lossy(&compiled.stderr).into_owned();
    assert!(compiled.status.success(), "{errors}");
    Command::new(folder.join("checks")).output().unwrap()
}

#[test]
fn what_the_helpers_compute_is_what_a_naive_loop_says() {
    let folder = folder("as_it_is", |text| text);
    for tree in TREES {
        let output = run(&folder, tree);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{tree:?}: {said}");
        for check in CHECKS {
            assert!(
                said.contains(&format!("holds: {check}\n")),
                "{tree:?}: {check}: {said}"
            );
        }
    }
}

/// Faults, and the check that must notice each for some tree.
const FAULTS: [(&str, &str, &str); 45] = [
    ("(nr >> shift) & 0x1f", "(nr >> shift) & 0xf", "tlbi"),
    ("((num - 1) << 39)", "(num << 39)", "tlbi"),
    ("(uint64_t)scale << 44", "(uint64_t)scale << 43", "tlbi"),
    ("5 * scale + 1;", "5 * scale;", "tlbi"),
    ("scale <= 3", "scale < 3", "tlbi"),
    ("gfn += num << shift;", "gfn += num;", "tlbi"),
    ("(1UL << 46) | ", "(2UL << 46) | ", "tlbi"),
    ("tlbi_ipas2e1is(gfn++)", "tlbi_ipas2e1is(gfn)", "tlbi"),
    ("gfn += 1UL << order", "gfn++", "tlbi"),
    ("isa64.tlb >= 2", "isa64.tlb >= 1", "tlbi"),
    ("pdx >= base ? ", "pdx > base ? ", "pages"),
    ("&frame_table[pdx - base]", "&frame_table[pdx]", "pages"),
    ("likely(owner == d)", "owner", "pages"),
    (
        "        put_page(pg);\n\n    return NULL;",
        "        ;\n    return NULL;",
        "pages",
    ),
    ("if ( owner )\n", "if ( pg )\n", "pages"),
    (
        "min(PDX_GROUP_COUNT + 0UL, 1UL << MAX_ORDER)",
        "(8192 + 0UL)",
        "pages",
    ),
    (
        "unsigned long last = mfn + nr - 1;",
        "unsigned long last = mfn;",
        "pages",
    ),
    ("nr - i >= 4", "nr - i >= 3", "pages"),
    ("i += 4, pg += 4", "i += 4, pg += 3", "pages"),
    ("is_xen_heap_page(&pg[2]) | ", "", "pages"),
    ("put_page(pg++);", "put_page(pg);", "pages"),
    ("p + (nr << PAGE_SHIFT)", "p + PAGE_SIZE", "cleaning"),
    (
        "(directmap_base_pdx << PAGE_SHIFT)",
        "directmap_base_pdx",
        "direct map",
    ),
    ("next < nr_cpu_ids ? next : NR_CPUS", "next", "cpus"),
    (
        "return general_preempt_check();",
        "return softirq_pending(3) || local_events_need_delivery();",
        "preemption",
    ),
    ("!hd->platform_ops || ", "", "iommu"),
    ("return pfn_pdx_hole_shift;", "return false;", "direct map"),
    ("if ( pfn_pdx_lookup[i] )", "if ( !i )", "direct map"),
    ("i < CONFIG_PDX_NR_LOOKUP", "i < 1", "direct map"),
    ("PSR_MODE_MASK & ~PSR_MODE_BIT", "PSR_MODE_MASK", "aborts"),
    (
        "const bool fetch = hsr.ec == ",
        "const bool fetch = hsr.ec != ",
        "aborts",
    ),
    ("esr.dabt.write = hsr.dabt.write;", "", "aborts"),
    (".len = 1 }", ".len = hsr.len }", "aborts"),
    (
        "if ( is_32bit_domain(current->domain) )",
        "if ( false )",
        "aborts",
    ),
    (
        "d->shutdown_state != DOMSHUTDOWN_none",
        "d->shutdown_state == 1",
        "wrappers",
    ),
    // Who was trapped is asked once the exception is injected: EL1, always.
    (
        "    xs_inject_undef_exception(regs, hsr);\n",
        "    xs_inject_undef_exception(regs, hsr);\n    esr.ec |= !xs_trap_is_from_el0();\n",
        "aborts",
    ),
    ("return printk_ratelimit();", "return true;", "wrappers"),
    (
        "return array_index_nospec(index, size);",
        "return index;",
        "views",
    ),
    ("{ invalidate_icache_local(); }", "{}", "views"),
    (
        "{ flush_guest_tlb_local(); }",
        "{ flush_guest_tlb(); }",
        "views",
    ),
    ("return v->is_running;", "return false;", "views"),
    ("    INIT_PAGE_LIST_HEAD(list);\n", "", "views"),
    (
        "page_list_splice(list, head);",
        "page_list_splice(head, list);",
        "views",
    ),
    ("{ xfree(view); }", "{}", "views"),
    (
        "return domain_vcpu(d, id);",
        "return domain_vcpu(d, 0);",
        "views",
    ),
];

/// The checks are no better than what they notice.
#[test]
fn each_fault_that_is_put_into_the_helpers_is_noticed() {
    for (n, (from, to, check)) in FAULTS.into_iter().enumerate() {
        let places = std::cell::Cell::new(0);
        let folder = folder(&format!("fault{n}"), |text| {
            places.set(places.get() + text.matches(from).count());
            text.replace(from, to)
        });
        assert_eq!(places.get(), 1, "{from}");
        let noticed = TREES.into_iter().any(|tree| {
            let output = run(&folder, tree);
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let names_it = said.lines().last().is_some_and(|l| l.starts_with(check));
            // A null pointer that is followed ends it as well, before anything is said.
            assert!(
                output.status.success() || names_it || output.status.code().is_none(),
                "{to}: {said}"
            );
            !output.status.success()
        });
        assert!(noticed, "{to}");
    }
}
