// SPDX-License-Identifier: GPL-2.0-only
//! Passes on the cfgs that the host's code is built with (`xen-sys/build/main.rs`): where there are no views, there
//! are no tests of views.

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
