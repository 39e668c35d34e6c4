// SPDX-License-Identifier: GPL-2.0-only
//! Files of xen-sys that only the hypervisor compiles.
//!
//! `directmap.rs` is arithmetic and runs here, beside the formula of Xen's
//! `maddr_to_virt()`. `arch.rs` is instructions: here is which, function by function. What
//! they do nothing on a host can tell; the self-test inside Xen executes them.

// A test may stop on the spot; addresses have 64 bits here, as on the target.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

use std::cell::Cell;
use std::collections::BTreeMap;

/// What directmap.rs has from the crate that it is a part of.
#[allow(non_camel_case_types)]
type mfn_t = u64;
const XS_PAGE_SHIFT: u32 = 12;

thread_local! {
    static OFFSET: Cell<u64> = const { Cell::new(0) };
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

fn xs_directmap_offset() -> u64 {
    OFFSET.get()
}

/// Xen's `map_domain_page()` on a machine that begins at frame 0x4_0000 and leaves
/// out three bits of a frame number if it has a hole.
fn xs_map_domain_page(mfn: mfn_t) -> *mut u64 {
    ASKED.set(ASKED.get() + 1);
    let pdx = if OFFSET.get() == 0 {
        mfn & 0xFFFF | (mfn & !0x7_FFFF) >> 3
    } else {
        mfn
    };
    std::ptr::without_provenance_mut((VIRTUAL + (pdx << 12) - (0x4_0000 << 12)) as usize)
}

const VIRTUAL: u64 = 0x8000_0000_0000;

#[allow(dead_code, missing_docs, unreachable_pub)] // as the crate has it
#[path = "../../xen-sys/src/directmap.rs"]
mod directmap;

#[test]
fn a_page_is_in_the_direct_map_where_xen_says() {
    let offset = VIRTUAL - (0x4_0000 << 12);
    for has_hole in [false, true] {
        OFFSET.set(if has_hole { 0 } else { offset });
        // SAFETY: there is nothing to set up.
        unsafe { directmap::note_direct_map() };
        let map = directmap::DirectMap::get();
        assert_eq!(map.has_hole(), has_hole);
        for mfn in [
            0x8_0000,
            0x8_0001,
            0x8_FFFF,
            0x10_0000,
            0xF_FFFF_0000,
            0xF_FFFF_FFFF,
        ] {
            let page = xs_map_domain_page(mfn);
            // An entry has attributes above and below its address.
            for attributes in [0, 0xFFF, 0xFFFF << 48, 0xFFFF_0000_0000_0FFF, 3] {
                let before = ASKED.get();
                let found = map.page_of_entry(mfn << 12 | attributes);
                assert_eq!(found, page, "{mfn:#x} {attributes:#x}");
                assert!(has_hole || cfg!(debug_assertions) || ASKED.get() == before);
            }
            assert_eq!(directmap::map_domain_page(mfn), page, "{mfn:#x}");
        }
    }
}

/// The strings of each `asm!` of a file, and its options, by function or macro.
fn instructions(file: &str) -> BTreeMap<String, String> {
    let path = format!("{}/../xen-sys/src/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| line.trim().to_owned() + " ")
        .collect();
    let mut found = BTreeMap::new();
    for part in code.split(" fn ").skip(1) {
        let name = part.split(['(', '<']).next().unwrap().to_owned();
        let Some(asm) = part.split("asm!(").nth(1) else {
            continue;
        };
        let end = asm.find(") }").unwrap();
        let asm = asm[..end].trim().trim_end_matches(',');
        let words: Vec<&str> = asm.split_whitespace().collect();
        found.insert(name, words.join(" "));
    }
    found
}

#[test]
fn the_instructions_are_these() {
    const OPTIONS: &str = "options(nostack, preserves_flags)";
    let expected: [(&str, String); 11] = [
        (
            "$read",
            "concat!(\"mrs {}, \", $name), out(reg) value, options(nomem, nostack, preserves_flags)"
                .into(),
        ),
        (
            "$write",
            format!("concat!(\"msr \", $name, \", {{}}\"), in(reg) value, {OPTIONS}"),
        ),
        ("isb", format!("\"isb\", {OPTIONS}")),
        ("dsb_sy", format!("\"dsb sy\", {OPTIONS}")),
        ("dsb_ishst", format!("\"dsb ishst\", {OPTIONS}")),
        (
            "local_irq_save",
            format!("\"mrs {{}}, daif\", \"msr daifset, #2\", out(reg) flags, {OPTIONS}"),
        ),
        (
            "local_irq_restore",
            format!("\"msr daif, {{}}\", in(reg) flags, {OPTIONS}"),
        ),
        (
            "flush_stage1_local",
            format!("\"dsb nshst\", \"tlbi vmalle1\", \"ic iallu\", \"dsb nsh\", \"isb\", {OPTIONS}"),
        ),
        (
            "pte_load_four",
            "\"ldp {a}, {b}, [{entry}]\", \"ldp {c}, {d}, [{entry}, #16]\", entry = in(reg) entry, \
             a = out(reg) a, b = out(reg) b, c = out(reg) c, d = out(reg) d, \
             options(nostack, preserves_flags, readonly)"
                .into(),
        ),
        (
            "pte_store_four",
            format!(
                "\"stp {{a}}, {{b}}, [{{entry}}]\", \"stp {{c}}, {{d}}, [{{entry}}, #16]\", \
                 entry = in(reg) entry, a = in(reg) a, b = in(reg) b, c = in(reg) c, d = in(reg) d, \
                 {OPTIONS}"
            ),
        ),
        (
            "this_cpu_offset",
            "\"mrs {}, TPIDR_EL2\", out(reg) offset, options(nomem, nostack, preserves_flags)"
                .into(),
        ),
    ];
    let found = instructions("arch.rs");
    for (function, asm) in expected {
        assert_eq!(found.get(function), Some(&asm), "{function}");
    }
}

/// Which register each function of arch.rs is for.
#[test]
fn each_register_has_the_functions_of_its_name() {
    let path = format!("{}/../xen-sys/src/arch.rs", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let mut found = Vec::new();
    for line in text
        .lines()
        .map(|line| line.trim().trim_start_matches("sysreg!(=> "))
    {
        let Some((function, register)) = line.trim_end_matches(");").split_once(", \"") else {
            continue;
        };
        if function.starts_with("read_") || function.starts_with("write_") {
            let (access, name) = function.split_once('_').unwrap();
            assert_eq!(name.to_uppercase(), register.trim_matches('"'));
            found.push(format!("{access} {name}"));
        }
    }
    let expected = [
        "read vttbr_el2",
        "read hcr_el2",
        "read sctlr_el1",
        "write vttbr_el2",
        "write vtcr_el2",
        "write hcr_el2",
        "write sctlr_el1",
    ];
    assert_eq!(found, expected);
}
