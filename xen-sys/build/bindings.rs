// SPDX-License-Identifier: GPL-2.0-only
//! clang's view of the tree's headers, by bindgen.

use std::fs;
use std::path::Path;

use crate::compiler::Compiler;

/// Types whose fields or values the Rust code uses.
const TYPES: &[&str] = &[
    "alt_instr",
    "domain",
    "vcpu",
    "p2m_domain",
    "p2m_views?",
    "paging_domain",
    "page_info",
    "cpu_user_regs",
    "hsr",
    "npfec",
    "npfec_kind_t",
    "p2m_type_t",
    "p2m_access_t",
    "xenmem_access_t",
    "vm_event_st",
    "xs_const",
    "xs_const_wide",
    // Of prototypes only.
    "vaddr_t",
    "__guest_handle_64_const_.*",
];

/// Functions that are called, beside those of `imports.rs`: variadic.
const FUNCTIONS: &[&str] = &["printk", "panic"];

/// Functions that Rust defines, whose prototypes the headers have: for the
/// checks in p2m-rs and mem_access-rs.
const EXPORTS: &[&str] = &[
    "p2m_.*",
    "arch_[gs]et_paging_mempool_size",
    "arch_p2m_set_access_required",
    "dump_p2m_lookup",
    "relinquish_p2m_mapping",
    "setup_virt_paging",
    "memory_type_changed",
    "guest_physmap_.*",
    "(un)?map_regions_p2mt",
    "(un)?map_mmio_regions",
    "map_dev_mmio_page",
    "set_foreign_p2m_entry",
    "gfn_to_mfn",
    "get_page_from_gva",
    "xen_p2m_resolve_permission_fault",
];

/// Macros that become constants.
const CONSTANTS: &[&str] = &[
    "XENLOG_.*",
    "SHUTDOWN_crash",
    "VM_EVENT_REASON_MEM_ACCESS",
    "MEM_ACCESS_.*",
];

/// Variables that `inlines.rs` reads, and for `rwlock.rs` writes.
const VARIABLES: &[&str] = &[
    "per_cpu____preempt_count",
    "per_cpu__cpu_id",
    "per_cpu__curr_vcpu",
    "cpu_hwcaps",
    "hardware_domain",
    // Their types are compared with Rust's.
    "p2m_root_order",
    "p2m_root_level",
    "p2m_ipa_bits",
    // Asked for only.
    "max_vmid",
];

/// What bindgen has to say.
pub(crate) struct Bindings {
    types: String,
    prototypes: String,
}

impl Bindings {
    pub(crate) fn of(compiler: &Compiler, here: &Path) -> Result<Self, String> {
        let builder = builder(compiler, here)?;
        let functions = bindgen::CodegenConfig::FUNCTIONS;
        Ok(Self {
            types: generate(builder.clone(), !functions)?,
            prototypes: generate(builder, functions)?,
        })
    }

    /// Types, values and variables.
    pub(crate) fn types(&self) -> &str {
        &self.types
    }

    /// Functions.
    pub(crate) fn prototypes(&self) -> &str {
        &self.prototypes
    }

    /// Do the headers declare this function or variable? bindgen leaves out what is `static
    /// inline`, and how it spaces what it writes is its own affair.
    pub(crate) fn declares(&self, name: &str) -> bool {
        has(&self.prototypes, "fn ", name, '(') || has(&self.types, "static mut ", name, ':')
    }
}

fn has(text: &str, keyword: &str, name: &str, next: char) -> bool {
    text.split(keyword)
        .filter_map(|after| after.strip_prefix(name))
        .any(|after| after.trim_start().starts_with(next))
}

/// clang's view of the same headers. Flags that only gcc knows are left
/// out; they do not change layout, and `layout.rs` checks that.
fn builder(compiler: &Compiler, here: &Path) -> Result<bindgen::Builder, String> {
    let mut builder = bindgen::Builder::default()
        // bindgen leaves out what is hidden, and compiler.h hides all.
        .header_contents(
            "bindings.h",
            "#include <xen/compiler.h>\n\
                 #pragma GCC visibility push(default)\n\
                 #include \"helpers.h\"\n",
        )
        .clang_arg(format!("-I{}", here.display()))
        .clang_arg("--target=aarch64-linux-gnu")
        .clang_arg("-w")
        .use_core()
        .layout_tests(false)
        .generate_comments(false)
        .prepend_enum_name(false)
        .generate_cstr(true)
        .formatter(bindgen::Formatter::None)
        .blocklist_type("gfn_t|mfn_t|u8_?")
        .raw_line("pub type gfn_t = ::core::ffi::c_ulong;")
        .raw_line("pub type mfn_t = ::core::ffi::c_ulong;")
        .raw_line("pub type u8_ = u8;");
    let mut flags = compiler.flags().iter();
    while let Some(flag) = flags.next() {
        // Of the rest, some only gcc knows.
        let wanted = ["-I", "-D", "-U", "-std", "-nostdinc"]
            .iter()
            .any(|prefix| flag.starts_with(prefix));
        if flag == "-include" {
            builder = builder.clang_arg(flag);
            if let Some(file) = flags.next() {
                builder = builder.clang_arg(file);
            }
        } else if wanted {
            builder = builder.clang_arg(flag);
        }
    }
    for ty in TYPES {
        builder = builder.allowlist_type(ty);
    }
    for function in FUNCTIONS.iter().chain(EXPORTS) {
        builder = builder.allowlist_function(function);
    }
    for function in imports(here)? {
        builder = builder.allowlist_function(function);
    }
    for constant in CONSTANTS.iter().chain(VARIABLES) {
        builder = builder.allowlist_var(constant);
    }
    Ok(builder)
}

/// One part of what bindgen has to say.
fn generate(builder: bindgen::Builder, what: bindgen::CodegenConfig) -> Result<String, String> {
    builder
        .with_codegen_config(what)
        .generate()
        .map(|bindings| bindings.to_string())
        .map_err(|e| format!("bindgen cannot read this tree's headers: {e}"))
}

/// The functions that `imports.rs` lists: `safe fn name(` or `unsafe fn name(`.
fn imports(here: &Path) -> Result<Vec<String>, String> {
    let path = here.join("src/imports.rs");
    let text =
        fs::read_to_string(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    Ok(text
        .lines()
        .map(str::trim)
        .filter_map(|line| {
            let after = line
                .strip_prefix("safe fn ")
                .or(line.strip_prefix("unsafe fn "))?;
            Some(after.split_once('(')?.0.to_owned())
        })
        .collect())
}
