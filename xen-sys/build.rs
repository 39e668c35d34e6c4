// SPDX-License-Identifier: GPL-2.0-only
//! Binds the configured Xen tree when the target is the hypervisor.
//!
//! Xen's make runs this through cargo and says in the environment where the
//! tree is and with which flags it compiles its own C:
//!
//! | variable | meaning |
//! |---|---|
//! | `XEN_P2M_OBJTREE` | where the tree is configured and built: `xen/`, or another directory |
//! | `XEN_P2M_CC`, `XEN_P2M_AR` | the compiler and archiver that make uses |
//! | `XEN_P2M_CFLAGS` | the compiler's flags, paths being relative to the above |
//!
//! Four products go to `OUT_DIR`: `bindings.rs` and `prototypes.rs` (bindgen, that is
//! clang's view of the headers: types and values; functions), `gcc_layout.rs` (the compiler's own view of the fields that
//! Rust touches; `layout.rs` asserts that both agree) and `libxen_helpers.a`.
//! For any other target nothing is done: the mock is plain Rust.
//!
//! The build scripts of the crates that depend on this one read from
//! `DEP_XEN_MEM_ACCESS` whether mem_access is part of the tree; see
//! [`MEM_ACCESS_FUNCTION`].

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Types whose fields or values the Rust code uses.
const TYPES: &[&str] = &[
    "alt_instr",
    "domain",
    "vcpu",
    "p2m_domain",
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
];

/// mem_access is part of the image exactly where the headers declare this as a
/// function. Without the option they have a `static inline` of the same name
/// (Arm's default), and releases call the option by different names.
const MEM_ACCESS_FUNCTION: &str = "p2m_mem_access_check";

/// Macros that become constants.
const CONSTANTS: &[&str] = &[
    "XENLOG_.*",
    "SHUTDOWN_crash",
    "VM_EVENT_REASON_MEM_ACCESS",
    "MEM_ACCESS_.*",
];

/// Variables that `inlines.rs` reads.
const VARIABLES: &[&str] = &[
    "per_cpu__cpu_id",
    "per_cpu__curr_vcpu",
    "cpu_hwcaps",
    "hardware_domain",
];

/// Fields that Rust reads or writes: C type, field.
const FIELDS: &[(&str, &str)] = &[
    ("struct domain", "domain_id"),
    ("struct domain", "options"),
    ("struct domain", "is_dying"),
    ("struct domain", "is_shutting_down"),
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
    ("struct p2m_domain", "domain"),
    ("struct p2m_domain", "last_vcpu_ran"),
    ("struct paging_domain", "lock"),
    ("struct paging_domain", "p2m_freelist"),
    ("struct paging_domain", "p2m_total_pages"),
    ("struct vm_event_st", "reason"),
    ("struct vm_event_st", "u.mem_access"),
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

fn main() {
    println!("cargo:rerun-if-changed=helpers.c");
    println!("cargo:rerun-if-changed=helpers.h");
    println!("cargo:rerun-if-changed=instructions.h");
    println!("cargo:rerun-if-changed=src/imports.rs");
    for name in [
        "XEN_P2M_OBJTREE",
        "XEN_P2M_CC",
        "XEN_P2M_AR",
        "XEN_P2M_CFLAGS",
    ] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        // The mock has all of it.
        println!("cargo:mem_access=true");
        return;
    }
    match bind_tree() {
        Ok(mem_access) => println!("cargo:mem_access={mem_access}"),
        Err(message) => {
            eprintln!("xen-sys: {message}");
            std::process::exit(1);
        }
    }
}

/// Everything that depends on the Xen tree; returns whether mem_access is part of it.
fn bind_tree() -> Result<bool, String> {
    let tree = PathBuf::from(variable("XEN_P2M_OBJTREE")?);
    let config = tree.join("include/generated/autoconf.h");
    if !config.is_file() {
        return Err(format!(
            "{} is not a configured Xen tree (no {}); run make there, it calls cargo by itself",
            tree.display(),
            config.display()
        ));
    }
    println!("cargo:rerun-if-changed={}", config.display());
    let out = PathBuf::from(variable("OUT_DIR")?);
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let compiler = Compiler::from_environment(&tree)?;

    for header in compiler.headers(&here)? {
        println!("cargo:rerun-if-changed={header}");
    }
    compiler.build_helpers(&here)?;
    write(&out.join("gcc_layout.rs"), &compiler.layout(&here, &out)?)?;
    let builder = compiler.bindings(&here)?;
    let functions = bindgen::CodegenConfig::FUNCTIONS;
    let types = generate(builder.clone(), !functions)?;
    write(&out.join("bindings.rs"), &types)?;
    let prototypes = generate(builder, functions)?;
    write(&out.join("prototypes.rs"), &prototypes)?;
    let mem_access = declares(&prototypes, MEM_ACCESS_FUNCTION);
    write(&out.join("config.rs"), &config_consts(mem_access))?;
    Ok(mem_access)
}

/// The C compiler of the tree, with its flags made independent of the
/// directory that they are used in.
struct Compiler {
    program: String,
    archiver: String,
    flags: Vec<String>,
}

impl Compiler {
    fn from_environment(tree: &Path) -> Result<Self, String> {
        // make's CC may begin with a cache, and end with flags.
        let cc = variable("XEN_P2M_CC")?;
        let mut cc = cc
            .split_whitespace()
            .skip_while(|word| ["ccache", "distcc", "sccache"].contains(word));
        let program = cc.next().ok_or("XEN_P2M_CC names no compiler")?.to_owned();
        let archiver = variable("XEN_P2M_AR")?;
        let mut flags: Vec<String> = cc.map(str::to_owned).collect();
        let mut words = variable("XEN_P2M_CFLAGS")?
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
            .into_iter();
        while let Some(word) = words.next() {
            if let Some(dir) = word.strip_prefix("-I") {
                flags.push(format!("-I{}", tree.join(dir).display()));
            } else if word == "-include" {
                let file = words.next().ok_or("XEN_P2M_CFLAGS ends in -include")?;
                flags.extend([word, tree.join(file).display().to_string()]);
            } else {
                flags.push(word);
            }
        }
        Ok(Self {
            program,
            archiver,
            flags,
        })
    }

    /// The headers that helpers.c includes, as absolute paths.
    fn headers(&self, here: &Path) -> Result<Vec<String>, String> {
        let output = Command::new(&self.program)
            .args(&self.flags)
            .arg("-M")
            .arg(here.join("helpers.c"))
            .output()
            .map_err(|e| format!("cannot run {}: {e}", self.program))?;
        if !output.status.success() {
            return Err(format!(
                "helpers.c does not fit this tree:\n{}",
                String::from_utf8_lossy(&output.stderr)
            ));
        }
        Ok(String::from_utf8_lossy(&output.stdout)
            .split_whitespace()
            .filter(|word| word.ends_with(".h"))
            .map(str::to_owned)
            .collect())
    }

    /// `libxen_helpers.a`: no flag but Xen's own.
    fn build_helpers(&self, here: &Path) -> Result<(), String> {
        let mut build = cc::Build::new();
        build
            .compiler(&self.program)
            .archiver(&self.archiver)
            .no_default_flags(true)
            .warnings(false);
        for flag in &self.flags {
            build.flag(flag);
        }
        build
            .file(here.join("helpers.c"))
            .try_compile("xen_helpers")
            .map_err(|e| format!("helpers.c does not compile against this tree: {e}"))
    }

    /// Offsets and sizes as the compiler sees them, in the manner of
    /// `asm-offsets.c`: each value passes through an assembler comment.
    fn layout(&self, here: &Path, out: &Path) -> Result<String, String> {
        let mut c = String::from("#include \"helpers.h\"\nvoid layout(void) {\n");
        let mut row = |name: String, value: String| {
            c.push_str(&format!(
                "asm volatile(\"\\n.ascii \\\"->{name} %c0\\\"\" :: \"i\" ({value}));\n"
            ));
        };
        for (ty, field) in FIELDS {
            row(constant(ty, field), format!("offsetof({ty}, {field})"));
        }
        for ty in SIZES {
            row(constant(ty, "size"), format!("sizeof({ty})"));
        }
        c.push_str("}\n");
        let source = out.join("layout.c");
        let assembly = out.join("layout.s");
        write(&source, &c)?;
        let output = Command::new(&self.program)
            .args(&self.flags)
            .arg("-I")
            .arg(here)
            .arg("-S")
            .arg(&source)
            .arg("-o")
            .arg(&assembly)
            .output()
            .map_err(|e| format!("cannot run {}: {e}", self.program))?;
        if !output.status.success() {
            return Err(format!(
                "a structure that xen-sys binds has changed in this tree:\n{}",
                String::from_utf8_lossy(&output.stderr)
            ));
        }
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

    /// clang's view of the same headers. Flags that only gcc knows are left
    /// out; they do not change layout, and `layout.rs` checks that.
    fn bindings(&self, here: &Path) -> Result<bindgen::Builder, String> {
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
            .blocklist_type("gfn_t|mfn_t|u8")
            .raw_line("pub type gfn_t = ::core::ffi::c_ulong;")
            .raw_line("pub type mfn_t = ::core::ffi::c_ulong;")
            .raw_line("pub type u8_ = u8;");
        let mut flags = self.flags.iter();
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

/// Do the bindings have this function? bindgen leaves out what is `static inline`, and
/// how it spaces what it writes is its own affair.
fn declares(bindings: &str, function: &str) -> bool {
    bindings
        .split("fn ")
        .filter_map(|after| after.strip_prefix(function))
        .any(|after| after.trim_start().starts_with('('))
}

/// What of Xen's configuration changes what the Rust code does.
fn config_consts(mem_access: bool) -> String {
    format!(
        "/// mem_access.c's functions are part of the image.\n\
         pub const MEM_ACCESS: bool = {mem_access};\n"
    )
}

/// `struct domain`, `arch.p2m` gives `STRUCT_DOMAIN_ARCH_P2M`.
fn constant(ty: &str, field: &str) -> String {
    format!("{ty}_{field}")
        .replace([' ', '.'], "_")
        .to_uppercase()
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| {
        format!("{name} is not set: the hypervisor's archive is built by make in a patched Xen tree (see README.md)")
    })
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
}
