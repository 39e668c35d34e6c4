// SPDX-License-Identifier: GPL-2.0-only
//! Passes on what xen-sys found out about the Xen tree (`xen-sys/build/facts.rs`): whether
//! mem_access is part of it. Without (Arm's default) this crate is empty.

fn main() {
    for cfg in cfgs("DEP_XEN_CFG_KNOWN") {
        println!("cargo:rustc-check-cfg=cfg({cfg})");
    }
    for cfg in cfgs("DEP_XEN_CFG") {
        println!("cargo:rustc-cfg={cfg}");
    }
}

fn cfgs(variable: &str) -> Vec<String> {
    println!("cargo:rerun-if-env-changed={variable}");
    let value = std::env::var(variable).unwrap_or_default();
    value.split_whitespace().map(str::to_owned).collect()
}
