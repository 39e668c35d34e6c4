// SPDX-License-Identifier: GPL-2.0-only
//! Compiles Xen's C for this machine, when `XEN_P2M_ORACLE_TREE` says where a
//! Xen tree is (`cargo xtask diff --host` does); otherwise there is nothing to
//! do, and the crate has its pure parts only.
//!
//! The C is taken as it is, but for its #include lines, which `c/shim.h` stands
//! for, and the entries of `edits/fixes`. `XEN_P2M_ORACLE_WITHOUT` names entries
//! to leave out, with commas between; `XEN_P2M_ORACLE_MUTATION` one of
//! `edits/mutations.rs` to apply as well, which the comparison must then find.

use std::path::{Path, PathBuf};
use std::{env, fs, process};

// They are the library's, which has uses for all of it.
#[allow(dead_code, unreachable_pub)]
#[path = "src/edits/mod.rs"]
mod edits;

use edits::edit::{apply, Source};
use edits::{facts, fixes, mutations};

/// The C files under comparison, below `xen/arch/arm/`. Up to 4.18 all of mmu/p2m.c is in p2m.c.
const SOURCES: [&str; 3] = ["p2m.c", "mmu/p2m.c", "mem_access.c"];

/// Headers that are used as they are, in the order in which they need each
/// other, below `xen/`; asm/p2m.h comes after them. Up to 4.18 all of asm/mmu/p2m.h is in there.
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
    println!("cargo:rerun-if-env-changed=XEN_P2M_ORACLE_WITHOUT");
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
    write(&out.join("oracle_tree.h"), &headers(xen)?)?;
    write(&out.join("oracle_fixes.h"), &constants())?;
    println!("cargo:rerun-if-changed=c");
    let mut compiler = cc::Build::new();
    compiler
        .include(here.join("c"))
        .include(&out)
        .std("gnu99")
        .opt_level(2)
        .flag("-fno-strict-aliasing")
        .flag("-Werror=implicit-function-declaration")
        // Not warnings(false): that is -w, which silences -Werror, too.
        .warnings(true)
        .extra_warnings(false)
        .flag("-Wno-all");
    write(&out.join("oracle_facts.h"), "")?;
    let known = known(&compiler, &out)?;
    let defines: Vec<String> = known
        .iter()
        .map(|f| format!("#define FACT_{f} 1\n"))
        .collect();
    write(&out.join("oracle_facts.h"), &defines.concat())?;
    println!("cargo:rustc-env=ORACLE_FACTS={}", known.join(","));
    let mut sources = Vec::new();
    for source in SOURCES {
        let path = xen.join("arch/arm").join(source);
        if source != "mmu/p2m.c" || path.exists() {
            sources.push((source, stripped(&path)?));
        }
    }
    edit(&mut sources)?;
    adapt(&mut sources)?;
    for (source, text) in sources {
        let file = out.join(source.replace('/', "_"));
        write(
            &file,
            &format!("#include \"shim.h\"\n#line 1 \"{source}\"\n{text}"),
        )?;
        compiler.file(file);
    }
    compiler
        .file(here.join("c/layout.c"))
        .file(here.join("c/mended.c"))
        .try_compile("xen_c")
        .map_err(|e| format!("Xen's C does not compile with the shim: {e}"))
}

/// What the tree's headers say to [`facts::QUESTIONS`].
fn known(compiler: &cc::Build, out: &Path) -> Result<Vec<&'static str>, String> {
    let tool = compiler.try_get_compiler().map_err(|e| e.to_string())?;
    let file = out.join("fact.c");
    // What the compiler has against it; nothing if it takes it.
    let errors = |c: &str| {
        let text = format!("#define ORACLE_PROBE\n#include \"shim.h\"\n{c}\n");
        write(&file, &text)?;
        let result = tool.to_command().arg("-fsyntax-only").arg(&file).output();
        let output = result.map_err(|e| format!("cannot run the compiler: {e}"))?;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok::<_, String>((!output.status.success()).then_some(errors))
    };
    if let Some(errors) = errors("")? {
        return Err(format!(
            "this tree's headers do not compile with the shim:\n{errors}"
        ));
    }
    let mut known = Vec::new();
    for question in facts::QUESTIONS {
        let mut holds = Vec::new();
        let mut complaints = String::new();
        for answer in question.answers {
            match errors(answer.c)? {
                None => holds.push(answer.name),
                Some(errors) => complaints.push_str(&errors),
            }
        }
        let [only] = holds[..] else {
            return Err(format!(
                "this Xen's C cannot be compared: {}: not as in any release that is known\n{complaints}",
                question.about,
            ));
        };
        known.push(only);
    }
    Ok(known)
}

/// Mends the C, and plants the mistake that is asked for.
fn edit(sources: &mut [Source]) -> Result<(), String> {
    let without = env::var("XEN_P2M_ORACLE_WITHOUT").unwrap_or_default();
    let without: Vec<&str> = without.split(',').filter(|id| !id.is_empty()).collect();
    let is_known = |id: &str| fixes::all().any(|fix| fix.id == id);
    if let Some(id) = without.iter().find(|id| !is_known(id)) {
        let known: Vec<&str> = fixes::all().map(|fix| fix.id).collect();
        return Err(format!(
            "no edit of the C is called {id}: there are {}",
            known.join(", ")
        ));
    }
    let mut not_needed = Vec::new();
    for fix in fixes::all().filter(|fix| !without.contains(&fix.id)) {
        let mut done = false;
        for edit in fix.edits {
            done |= apply(sources, edit, fix.id)?;
        }
        if !done {
            not_needed.push(fix.id);
        }
    }
    if let Ok(name) = env::var("XEN_P2M_ORACLE_MUTATION") {
        let mutation = mutations::MUTATIONS
            .iter()
            .find(|m| m.name == name)
            .ok_or(format!("there is no mutation called {name}"))?;
        if !apply(sources, &mutation.edit, &name)? {
            not_needed.push(mutation.name);
        }
    }
    println!("cargo:rustc-env=ORACLE_NOT_NEEDED={}", not_needed.join(","));
    println!("cargo:rustc-env=ORACLE_WITHOUT={}", without.join(","));
    Ok(())
}

/// What calls the C in one form, whatever the release's is, and must be in the file with what is
/// static there.
fn adapt(sources: &mut [Source]) -> Result<(), String> {
    for (function, adapter) in [
        ("p2m_alloc_vmid(struct domain *d)\n{", "vmid.h"),
        (
            "p2m_force_tlb_flush_sync(struct p2m_domain *p2m)\n{",
            "lifecycle.h",
        ),
    ] {
        let source = sources.iter_mut().find(|(_, text)| text.contains(function));
        let (_, text) = source.ok_or(format!("no file of this Xen's C has {function}"))?;
        text.push_str(&format!("#include \"{adapter}\"\n"));
    }
    Ok(())
}

/// The names that the C has for the entries.
fn constants() -> String {
    let names: Vec<String> = fixes::all().map(|fix| fixes::constant(fix.id)).collect();
    format!("enum oracle_fix {{ {} }};\n", names.join(", "))
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
    all.push_str(&lines(xen, "arch/arm/include/asm/page.h", |line| {
        line.starts_with("extern void dump_p2m_lookup(")
    })?);
    for header in HEADERS {
        let path = xen.join(header);
        if !header.contains("/mmu/") || path.exists() {
            all.push_str(&stripped(&path)?);
        }
    }
    for (header, name) in ENUMERATIONS {
        all.push_str(&enumeration(xen, header, name)?);
    }
    all.push_str(&between(xen, "include/xen/mm.h", "struct npfec {", "};")?);
    // asm/p2m.h includes p2m-common.h in its middle.
    let p2m = fs_read(&xen.join("arch/arm/include/asm/p2m.h"))?;
    let common = stripped(&xen.join("include/xen/p2m-common.h"))?;
    let with_common = p2m.replace("#include <xen/p2m-common.h>\n", &common);
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

fn fs_read(path: &Path) -> Result<String, String> {
    println!("cargo:rerun-if-changed={}", path.display());
    fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
}
