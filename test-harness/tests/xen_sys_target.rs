// SPDX-License-Identifier: GPL-2.0-only
//! Files of xen-sys that only the hypervisor compiles.
//!
//! `directmap.rs` is arithmetic and runs here, beside the formula of Xen's
//! `maddr_to_virt()`. `arch.rs`, `alternative.rs` and `instructions.h` are instructions: here is
//! which, function by function. What they do nothing on a host can tell; the self-test inside
//! Xen executes them.

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

/// What helpers.h calls `XS_x` is Xen's `x`, so that the name that the code reads is the number that it gets: the
/// host's constants are the mock's own. The others are put together, or Xen's name differs.
#[test]
fn a_constant_has_the_name_that_xen_gives_it() {
    let path = format!("{}/../xen-sys/helpers.h", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let lists = text.split("enum xs_const").skip(1);
    let lists = lists.map(|list| list.split_once('{').unwrap().1.split_once('}').unwrap().0);
    let code = |list: &str| {
        let lines = list.lines().filter(|line| !line.starts_with('#'));
        lines.collect::<Vec<_>>().join(" ")
    };
    let all = lists.map(code).collect::<Vec<_>>().join(",");
    let constants: BTreeMap<String, String> = all
        .split(',')
        .filter_map(|constant| constant.split_once('='))
        .map(|(ours, xens)| {
            let words: Vec<&str> = xens.split_whitespace().collect();
            (ours.trim().to_owned(), words.join(" "))
        })
        .collect();
    assert_eq!(all.matches("XS_").count(), constants.len());
    assert!(constants.len() > 25, "{constants:?}");
    let others = [
        ("XS_SCTLR_M_C", "SCTLR_Axx_ELx_C | SCTLR_Axx_ELx_M"),
        ("XS_CDF_iommu", "XEN_DOMCTL_CDF_iommu"),
        ("XS_QR_BIAS", "_QR_BIAS"),
        ("XS_QW_WMASK", "_QW_WMASK"),
        (
            "XS_VTCR_BASE",
            "VTCR_RES1 | VTCR_SH0_IS | VTCR_ORGN0_WBWA | VTCR_IRGN0_WBWA | VTCR_TG0_4K",
        ),
    ];
    for (ours, xens) in constants {
        let other = others.iter().find(|(name, _)| *name == ours);
        let expected = other.map_or(ours.strip_prefix("XS_").unwrap(), |(_, xens)| xens);
        assert_eq!(xens, expected, "{ours}");
    }
}

#[test]
fn the_instructions_are_these() {
    const OPTIONS: &str = "options(nostack, preserves_flags)";
    let expected: [(&str, String); 14] = [
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
        ("dsb_ish", format!("\"dsb ish\", {OPTIONS}")),
        ("dsb_nsh", format!("\"dsb nsh\", {OPTIONS}")),
        ("dmb_ishld", format!("\"dmb ishld\", {OPTIONS}")),
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
    let mut found = instructions("arch.rs");
    for (function, asm) in expected {
        assert_eq!(found.remove(function), Some(asm), "{function}");
    }
    assert_eq!(
        found,
        BTreeMap::new(),
        "instructions that nobody has looked at"
    );
}

/// The compiler may make an ordinary access twice, or in two halves.
#[test]
fn a_single_entry_is_read_and_written_as_an_atomic() {
    let path = format!("{}/../xen-sys/src/arch.rs", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    for (function, body) in [
        (
            "pub unsafe fn pte_load(",
            "AtomicU64::from_ptr(entry.cast_mut()) }.load(Ordering::Relaxed)\n}",
        ),
        (
            "pub unsafe fn pte_store(",
            "AtomicU64::from_ptr(entry) }.store(value, Ordering::Relaxed);\n}",
        ),
    ] {
        let (_, rest) = text.split_once(function).unwrap();
        let (here, _) = rest.split_once("pub unsafe fn").unwrap_or((rest, ""));
        assert!(here.contains(body), "{function}");
    }
}

/// Xen finds the entry of `.altinstructions` by its layout alone, so nothing but the text says
/// what it replaces, by what, and on which CPUs.
#[test]
fn the_alternative_is_this() {
    let expected = [
        r#""661: mov {has}, #0", "662:","#,
        r#"".pushsection .altinstructions, \"a\"", ".word 661b - .", ".word 663f - .","#,
        r#"".hword {capability}", ".byte 662b - 661b", ".byte 664f - 663f", ".popsection","#,
        r#"".pushsection .altinstr_replacement, \"ax\"", "663: mov {has}, #1", "664:","#,
        r#"".popsection", ".org . - (664b - 663b) + (662b - 661b)","#,
        r#"".org . - (662b - 661b) + (664b - 663b)", has = out(reg) has,"#,
        "capability = const XS_ARM64_WORKAROUND_AT_SPECULATE,",
        "options(nomem, nostack, preserves_flags)",
    ];
    let found = instructions("alternative.rs");
    assert_eq!(
        Vec::from_iter(found),
        [("has_at_speculate".to_owned(), expected.join(" "))]
    );
}

/// The C's instructions: `helpers_c/` puts functions in their place, the benchmark on the host does
/// so as well, and QEMU ignores barriers and caches. So nothing but their text can be compared.
#[test]
fn the_instructions_of_the_c_are_these() {
    let expected = [
        // One DC CIVAC a line, which Xen's macro has, eight times over.
        r#"const void *clean_and_invalidate_lines(const void *p, size_t line) {
           #define LINE __clean_and_invalidate_dcache_one(0) "add %0, %0, %1;"
           asm volatile ( LINE LINE LINE LINE LINE LINE LINE LINE
                          : "+r" (p) : "r" (line) : "memory" );
           #undef LINE
           return p; }"#,
        r#"void dsb_ishst(void) { asm volatile ( "dsb ishst" ::: "memory" ); }"#,
        r#"void tlbi_ipas2e1is(uint64_t op) {
           asm volatile ( "tlbi ipas2e1is, %0" :: "r" (op) : "memory" ); }"#,
        // RIPAS2E1IS (DDI 0487K, C5.5): op1 is 4, CRn 8, CRm 0 and op2 2.
        r#"void tlbi_ripas2e1is(uint64_t op) {
           asm volatile ( "sys #4, c8, c0, #2, %0" :: "r" (op) : "memory" ); }"#,
        r#"void tlbi_stage1_and_wait(void) {
           asm volatile ( "dsb ish;" "tlbi vmalle1is;"
                          ALTERNATIVE( "nop; nop;", "dsb ish;" "tlbi vale2is, xzr;",
                                       ARM64_WORKAROUND_REPEAT_TLBI,
                                       CONFIG_ARM64_WORKAROUND_REPEAT_TLBI)
                          "dsb ish;" "isb;" ::: "memory" ); }"#,
    ];
    let words = |text: &str| Vec::from_iter(text.split_whitespace().map(str::to_owned)).join(" ");
    let path = format!("{}/../xen-sys/instructions.h", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let mut code = String::new();
    for (n, part) in text.split("/*").enumerate() {
        let after = part.split_once("*/").map_or("", |(_, code)| code);
        code += if n == 0 { part } else { after };
    }
    let mut parts = code.split("static always_inline ").map(words);
    assert_eq!(
        parts.next().unwrap(),
        "#ifndef XEN_SYS_INSTRUCTIONS_H #define XEN_SYS_INSTRUCTIONS_H"
    );
    let found: Vec<_> = parts
        .map(|part| part.trim_end_matches(" #endif").to_owned())
        .collect();
    assert_eq!(found, expected.map(words));
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
