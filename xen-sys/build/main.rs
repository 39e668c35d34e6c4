// SPDX-License-Identifier: GPL-2.0-only
//! Binds the configured Xen tree when the target is the hypervisor.
//!
//! Xen's make runs this through cargo and says in the environment where the
//! tree is and with which flags it compiles its own C:
//!
//! | variable | meaning |
//! |---|---|
//! | `XEN_P2M_TREE` | where the tree's sources are: `xen/` |
//! | `XEN_P2M_OBJTREE` | where the tree is configured and built: `xen/`, or another directory |
//! | `XEN_P2M_CC`, `XEN_P2M_AR` | the compiler and archiver that make uses |
//! | `XEN_P2M_CFLAGS` | the compiler's flags, paths being relative to the above |
//!
//! Five products go to `OUT_DIR`: `bindings.rs` and `prototypes.rs` (bindgen, that is
//! clang's view of the headers: types and values; functions), `gcc_layout.rs` (the compiler's
//! own view of the fields that Rust touches; `layout.rs` asserts that both agree), `facts.rs`
//! (what differs between releases of Xen, [`facts`]) and `libxen_helpers.a`.
//! For any other target nothing is built: the mock is plain Rust. There, `XEN_P2M_HOST_WITHOUT` may name
//! an option that the host tests are to do without (`ALTP2M`), since the p2m's code differs without it.
//!
//! What the crates that depend on this one have to compile for this tree they read as cfgs
//! from `DEP_XEN_CFG`, and all that there can be from `DEP_XEN_CFG_KNOWN`: the forms of
//! prototypes and the declared functions of [`facts`], `config_mem_access` and `config_altp2m`.

mod bindings;
mod compiler;
mod facts;
mod known_c;
mod layout;
mod rwlock;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use bindings::Bindings;
use compiler::Compiler;
use facts::Facts;

/// The variable that says what the host's code is to do without.
const HOST_WITHOUT: &str = "XEN_P2M_HOST_WITHOUT";

fn main() {
    println!("cargo:rerun-if-changed=build");
    println!("cargo:rerun-if-changed=helpers.c");
    println!("cargo:rerun-if-changed=helpers.h");
    println!("cargo:rerun-if-changed=pdx.h");
    println!("cargo:rerun-if-changed=instructions.h");
    println!("cargo:rerun-if-changed=src/imports.rs");
    for name in [
        "XEN_P2M_TREE",
        "XEN_P2M_OBJTREE",
        "XEN_P2M_CC",
        "XEN_P2M_AR",
        "XEN_P2M_CFLAGS",
        HOST_WITHOUT,
    ] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    let known = facts::all_cfgs().join(" ");
    let found = if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        bind_tree().map(|facts| facts.cfgs())
    } else {
        host_cfgs()
    };
    let cfgs = match found {
        Ok(cfgs) => cfgs.join(" "),
        Err(message) => {
            eprintln!("xen-sys: {message}");
            std::process::exit(1);
        }
    };
    println!("cargo:rustc-check-cfg=cfg({})", rwlock::IN_LINE);
    for own in [facts::MEM_ACCESS, facts::ALTP2M] {
        println!("cargo:rustc-check-cfg=cfg({own})");
        if cfgs.split(' ').any(|cfg| cfg == own) {
            println!("cargo:rustc-cfg={own}");
        }
    }
    println!("cargo:cfg={cfgs}");
    println!("cargo:cfg_known={known}");
}

/// What there is on the host: every form of every prototype, and every option but the one that the environment
/// leaves out.
fn host_cfgs() -> Result<Vec<&'static str>, String> {
    let mut cfgs = facts::all_cfgs();
    match env::var(HOST_WITHOUT).unwrap_or_default().as_str() {
        "" => {}
        "ALTP2M" => cfgs.retain(|&cfg| cfg != facts::ALTP2M),
        other => {
            return Err(format!(
                "{HOST_WITHOUT} is {other:?}: only ALTP2M can be left out"
            ))
        }
    }
    Ok(cfgs)
}

/// Everything that depends on the Xen tree; returns what was found out about it.
fn bind_tree() -> Result<Facts, String> {
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
    let compiler = Compiler::from_environment(&tree, &here)?;

    let sources = PathBuf::from(variable("XEN_P2M_TREE")?);
    known_c::look_at(&sources)?;
    let answers = facts::ask(&compiler, &out)?;
    let rwlock = rwlock::may_be_in_line(&compiler, &sources, &out)?;
    let own = rwlock.then_some(rwlock::IN_LINE);
    if let Some(cfg) = own {
        println!("cargo:rustc-cfg={cfg}");
    }
    let bindings = Bindings::of(&compiler, &here)?;
    let facts = Facts::of(answers, &bindings);
    for header in compiler.headers(&facts.cfgs())? {
        println!("cargo:rerun-if-changed={header}");
    }
    compiler.build_helpers(facts.cfgs().into_iter().chain(own))?;
    write(
        &out.join("gcc_layout.rs"),
        &layout::of(&compiler, &facts, &out)?,
    )?;
    write(&out.join("bindings.rs"), bindings.types())?;
    write(&out.join("prototypes.rs"), bindings.prototypes())?;
    write(&out.join("facts.rs"), &facts.constants())?;
    Ok(facts)
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| {
        format!("{name} is not set: the hypervisor's archive is built by make in a patched Xen tree (see README.md)")
    })
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
}
