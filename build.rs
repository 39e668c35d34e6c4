// SPDX-License-Identifier: GPL-2.0-only
//! Looks at the Xen tree that the archive is for: which release it is, and
//! whether its configuration has mem_access, which xen-sys read from the headers.
//!
//! xen-sys binds the tree; here is only what decides about whole crates. For
//! the host (no `target_os = "none"`) there is no tree and everything is in.

use std::path::Path;
use std::{env, fs};

/// Releases whose C the sources have been compared with; 4.23 is what staging will be.
const RELEASES: &[&str] = &["4.17", "4.18", "4.19", "4.20", "4.21", "4.22", "4.23"];

fn main() {
    println!("cargo:rerun-if-env-changed=XEN_P2M_TREE");
    println!("cargo:rerun-if-env-changed=XEN_P2M_OBJTREE");
    println!("cargo:rustc-check-cfg=cfg(config_mem_access)");
    let facts = env::var("DEP_XEN_CFG").unwrap_or_default();
    if facts.split(' ').any(|cfg| cfg == "config_mem_access") {
        println!("cargo:rustc-cfg=config_mem_access");
    }
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    if let Err(message) = look_at_tree() {
        eprintln!("xen-p2m: {message}");
        std::process::exit(1);
    }
}

fn look_at_tree() -> Result<(), String> {
    let tree = env::var("XEN_P2M_TREE").map_err(|_| {
        "XEN_P2M_TREE is not set: make in a patched Xen tree builds this archive (see README.md)"
            .to_owned()
    })?;
    let tree = Path::new(&tree);
    let release = release(tree)?;
    if !RELEASES.contains(&release.as_str()) {
        return Err(format!(
            "{} is Xen {release}; this code is for {}",
            tree.display(),
            RELEASES.join(", ")
        ));
    }
    let objtree = env::var("XEN_P2M_OBJTREE").unwrap_or_else(|_| tree.display().to_string());
    let autoconf = Path::new(&objtree).join("include/generated/autoconf.h");
    println!("cargo:rerun-if-changed={}", autoconf.display());
    let config = read(&autoconf)?;
    let on = |option: &str| {
        config
            .lines()
            .any(|l| l == format!("#define CONFIG_{option} 1"))
    };
    // Up to 4.17 there is an MMU without an option.
    if !on("ARM_64") || on("MPU") {
        return Err(format!(
            "{} is configured for another kind of machine: this code is for Arm64 with an MMU",
            tree.display()
        ));
    }
    Ok(())
}

/// `4.20`, from the tree's Makefile.
fn release(tree: &Path) -> Result<String, String> {
    let makefile = tree.join("Makefile");
    println!("cargo:rerun-if-changed={}", makefile.display());
    let text = read(&makefile)?;
    let value = |name: &str| {
        text.lines()
            .filter_map(|line| line.trim_start_matches("export ").split_once('='))
            .find(|(key, _)| key.trim() == name)
            .map(|(_, value)| value.trim().to_owned())
    };
    match (value("XEN_VERSION"), value("XEN_SUBVERSION")) {
        (Some(major), Some(minor)) => Ok(format!("{major}.{minor}")),
        _ => Err(format!(
            "{} says no Xen version: not a Xen tree",
            makefile.display()
        )),
    }
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|e| {
        format!(
            "cannot read {}: {e}: not a configured Xen tree",
            path.display()
        )
    })
}
