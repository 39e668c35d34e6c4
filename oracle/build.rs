// SPDX-License-Identifier: GPL-2.0-only
//! Compiles Xen's C for this machine, when `XEN_P2M_ORACLE_TREE` says where a
//! Xen tree is (`cargo xtask diff --host` does); otherwise there is nothing to
//! do, and the crate has its pure parts only.
//!
//! The C is taken as it is, but for its #include lines, which `c/shim.h` stands
//! for, and the entries of `edits/fixes.rs`: each replaces a text that must occur
//! exactly once. `XEN_P2M_ORACLE_MUTATION` names one of `edits/mutations.rs` to
//! apply as well, which the comparison must then find.

use std::path::{Path, PathBuf};
use std::{env, fs, process};

// Both are the library's, which has uses for all of it.
#[allow(dead_code, unreachable_pub)]
#[path = "src/edits/fixes.rs"]
mod fixes;
#[allow(dead_code, unreachable_pub)]
#[path = "src/edits/mutations.rs"]
mod mutations;

/// The C files under comparison, below `xen/arch/arm/`.
const SOURCES: [&str; 3] = ["p2m.c", "mmu/p2m.c", "mem_access.c"];

/// Headers that are used as they are, in the order in which they need each
/// other, below `xen/`; asm/p2m.h comes after them.
const HEADERS: [&str; 5] = [
    "include/xen/page-defs.h",
    "include/xen/typesafe.h",
    "include/xen/mm-frame.h",
    "arch/arm/include/asm/lpae.h",
    "arch/arm/include/asm/mmu/p2m.h",
];

/// Types of headers that need too much else.
const ENUMERATIONS: [(&str, &str); 3] = [
    ("include/public/memory.h", "xenmem_access_t"),
    ("include/xen/mem_access.h", "p2m_access_t"),
    ("include/xen/mm.h", "npfec_kind_t"),
];

fn main() {
    println!("cargo:rustc-check-cfg=cfg(xen_c)");
    println!("cargo:rerun-if-env-changed=XEN_P2M_ORACLE_TREE");
    println!("cargo:rerun-if-env-changed=XEN_P2M_ORACLE_MUTATION");
    let Some(tree) = env::var_os("XEN_P2M_ORACLE_TREE") else {
        return;
    };
    if let Err(message) = build(&Path::new(&tree).join("xen")) {
        eprintln!("oracle: {message}");
        process::exit(1);
    }
    println!("cargo:rustc-cfg=xen_c");
}

fn build(xen: &Path) -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("no OUT_DIR")?);
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("no CARGO_MANIFEST_DIR")?);
    let mutation = match env::var("XEN_P2M_ORACLE_MUTATION") {
        Ok(name) => Some(
            mutations::MUTATIONS
                .iter()
                .find(|m| m.name == name)
                .ok_or(format!("there is no mutation called {name}"))?,
        ),
        Err(_) => None,
    };

    write(&out.join("oracle_tree.h"), &headers(xen)?)?;
    let mut compiler = cc::Build::new();
    for source in SOURCES {
        let path = xen.join("arch/arm").join(source);
        let mut text = stripped(&path)?;
        for fix in fixes::FIXES {
            for edit in fix.edits.iter().filter(|edit| edit.file == source) {
                text = replaced(&text, edit.from, edit.to, fix.id)?;
            }
        }
        if let Some(m) = mutation.filter(|m| m.file == source) {
            text = replaced(&text, m.from, m.to, m.name)?;
        }
        let file = out.join(source.replace('/', "_"));
        write(
            &file,
            &format!("#include \"shim.h\"\n#line 1 \"{source}\"\n{text}"),
        )?;
        compiler.file(file);
    }
    for file in ["shim.h", "rest.h", "prefix.h", "layout.c"] {
        println!("cargo:rerun-if-changed=c/{file}");
    }
    compiler
        .file(here.join("c/layout.c"))
        .include(here.join("c"))
        .include(&out)
        .std("gnu99")
        .opt_level(2)
        .flag("-fno-strict-aliasing")
        .flag("-Werror=implicit-function-declaration")
        .warnings(false)
        .try_compile("xen_c")
        .map_err(|e| format!("Xen's C does not compile with the shim: {e}"))
}

/// One header of the tree's headers, and of the parts of larger ones that are
/// needed.
fn headers(xen: &Path) -> Result<String, String> {
    let mut all = String::new();
    let attributes = lines(xen, "arch/arm/include/asm/page.h", |line| {
        line.starts_with("#define LPAE_SH_") || line.starts_with("#define MATTR_")
    })?;
    all.push_str(&attributes);
    all.push_str(&lines(xen, "arch/arm/include/asm/processor.h", |line| {
        line.starts_with("#define VTCR_")
    })?);
    for header in HEADERS {
        all.push_str(&stripped(&xen.join(header))?);
    }
    for (header, name) in ENUMERATIONS {
        all.push_str(&enumeration(xen, header, name)?);
    }
    all.push_str(&between(xen, "include/xen/mm.h", "struct npfec {", "};")?);
    // asm/p2m.h includes p2m-common.h in its middle.
    let p2m = fs_read(&xen.join("arch/arm/include/asm/p2m.h"))?;
    let common = stripped(&xen.join("include/xen/p2m-common.h"))?;
    let with_common = replaced(
        &p2m,
        "#include <xen/p2m-common.h>\n",
        &common,
        "p2m-common.h",
    )?;
    all.push_str(&without_includes(&with_common));
    Ok(all)
}

/// `typedef enum { ... } name;`
fn enumeration(xen: &Path, header: &str, name: &str) -> Result<String, String> {
    let path = xen.join(header);
    let text = fs_read(&path)?;
    let end = format!("}} {name};");
    let (before, _) = text
        .split_once(&end)
        .ok_or(format!("{} has no {name}", path.display()))?;
    let start = before
        .rfind("typedef enum {")
        .ok_or(format!("{name} is no enumeration"))?;
    Ok(format!("{}{end}\n", before.split_at(start).1))
}

fn between(xen: &Path, header: &str, first: &str, last: &str) -> Result<String, String> {
    let path = xen.join(header);
    let text = fs_read(&path)?;
    let rest = text.split_once(first).map(|(_, rest)| rest);
    let body = rest.and_then(|rest| rest.split_once(last)).map(|(b, _)| b);
    let body = body.ok_or(format!("{} has no {first}", path.display()))?;
    Ok(format!("{first}{body}{last}\n"))
}

fn lines(xen: &Path, header: &str, wanted: impl Fn(&str) -> bool) -> Result<String, String> {
    let text = fs_read(&xen.join(header))?;
    let lines: Vec<&str> = text.lines().filter(|line| wanted(line)).collect();
    Ok(lines.join("\n") + "\n")
}

fn stripped(path: &Path) -> Result<String, String> {
    Ok(without_includes(&fs_read(path)?))
}

/// Empty lines stay, so that line numbers are Xen's.
fn without_includes(text: &str) -> String {
    let kept = text.lines().map(|line| {
        let include = line.trim_start().trim_start_matches('#').trim_start();
        if line.trim_start().starts_with('#') && include.starts_with("include") {
            "\n".to_owned()
        } else {
            format!("{line}\n")
        }
    });
    kept.collect()
}

fn replaced(text: &str, from: &str, to: &str, what: &str) -> Result<String, String> {
    match text.matches(from).count() {
        1 => Ok(text.replacen(from, to, 1)),
        n => Err(format!(
            "{what}: this tree has the text that is replaced {n} times instead of once:\n{from}"
        )),
    }
}

fn fs_read(path: &Path) -> Result<String, String> {
    println!("cargo:rerun-if-changed={}", path.display());
    fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
}
