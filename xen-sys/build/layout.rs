// SPDX-License-Identifier: GPL-2.0-only
//! What the compiler that builds Xen makes of the structures whose fields Rust touches.

use std::fs;
use std::path::Path;

use crate::compiler::Compiler;
use crate::facts::{Facts, ALTP2M};
use crate::write;

/// Fields that Rust reads or writes: C type, field.
const FIELDS: &[(&str, &str)] = &[
    ("struct domain", "domain_id"),
    ("struct domain", "options"),
    ("struct domain", "is_dying"),
    ("struct domain", "vm_event_monitor"),
    ("struct domain", "arch.p2m"),
    ("struct domain", "arch.paging"),
    ("struct vcpu", "vcpu_id"),
    ("struct vcpu", "domain"),
    ("struct vcpu", "arch.sctlr"),
    ("struct vcpu", "arch.hcr_el2"),
    ("struct vcpu", "arch.need_flush_to_ram"),
    ("struct p2m_domain", "lock"),
    ("struct p2m_domain", "pages"),
    ("struct p2m_domain", "root"),
    ("struct p2m_domain", "vmid"),
    ("struct p2m_domain", "vttbr"),
    ("struct p2m_domain", "max_mapped_gfn"),
    ("struct p2m_domain", "lowest_mapped_gfn"),
    ("struct p2m_domain", "clean_pte"),
    ("struct p2m_domain", "need_flush"),
    ("struct p2m_domain", "stats"),
    ("struct p2m_domain", "access_required"),
    ("struct p2m_domain", "mem_access_enabled"),
    ("struct p2m_domain", "default_access"),
    ("struct p2m_domain", "mem_access_settings"),
    ("struct p2m_domain", "domain"),
    ("struct p2m_domain", "last_vcpu_ran"),
    ("struct paging_domain", "lock"),
    ("struct paging_domain", "p2m_freelist"),
    ("struct paging_domain", "p2m_total_pages"),
    ("struct vm_event_st", "reason"),
    ("struct vm_event_st", "u.mem_access"),
];

/// Those that are there for views only.
const ALTP2M_FIELDS: &[(&str, &str)] = &[
    ("struct p2m_domain", "views"),
    ("struct vcpu", "arch.p2m_view"),
    ("struct p2m_views", "last_ran"),
    ("struct p2m_views", "view"),
    ("struct p2m_view", "p2m"),
    ("struct p2m_view", "first_source"),
    ("struct p2m_view", "last_source"),
    ("struct p2m_views", "active"),
    ("struct p2m_views", "nr"),
    ("struct p2m_views", "visible"),
    ("struct p2m_views", "reclaim"),
];

/// Types whose whole size matters because C allocates or passes them.
const SIZES: &[&str] = &[
    "struct domain",
    "struct vcpu",
    "struct p2m_domain",
    "struct paging_domain",
    "struct page_info",
    "struct vm_event_st",
    "struct npfec",
    "union hsr",
];

/// Offsets and sizes as the compiler sees them, in the manner of
/// `asm-offsets.c`: each value passes through an assembler comment.
pub(crate) fn of(compiler: &Compiler, facts: &Facts, out: &Path) -> Result<String, String> {
    let mut c = String::from("#include \"helpers.h\"\nvoid layout(void) {\n");
    let mut row = |name: String, value: String| {
        c.push_str(&format!(
            "asm volatile(\"\\n.ascii \\\"->{name} %c0\\\"\" :: \"i\" ({value}));\n"
        ));
    };
    let altp2m = if facts.has(ALTP2M) {
        ALTP2M_FIELDS
    } else {
        &[]
    };
    for (ty, field) in FIELDS.iter().chain(altp2m) {
        row(constant(ty, field), format!("offsetof({ty}, {field})"));
    }
    for ty in SIZES {
        row(constant(ty, "size"), format!("sizeof({ty})"));
    }
    c.push_str("}\n");
    let source = out.join("layout.c");
    let assembly = out.join("layout.s");
    write(&source, &c)?;
    compiler.assemble(&source, &assembly).map_err(|errors| {
        format!("a structure that xen-sys binds has changed in this tree:\n{errors}")
    })?;
    let text = fs::read_to_string(&assembly)
        .map_err(|e| format!("cannot read {}: {e}", assembly.display()))?;
    let mut rust = String::new();
    for line in text.lines() {
        let Some((_, row)) = line.split_once("->") else {
            continue;
        };
        let Some((name, value)) = row.trim_end_matches('"').split_once(' ') else {
            continue;
        };
        rust.push_str(&format!("pub(crate) const {name}: usize = {value};\n"));
    }
    Ok(rust)
}

/// `struct domain`, `arch.p2m` gives `STRUCT_DOMAIN_ARCH_P2M`.
fn constant(ty: &str, field: &str) -> String {
    format!("{ty}_{field}")
        .replace([' ', '.'], "_")
        .to_uppercase()
}
