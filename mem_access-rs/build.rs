// SPDX-License-Identifier: GPL-2.0-only
//! Says whether the Xen tree has mem_access, which xen-sys read from its headers.
//!
//! Without it (Arm's default) this crate is compiled all the same and left out of
//! the archive by its root; only the checks of prototypes have nothing to check.

fn main() {
    println!("cargo:rerun-if-env-changed=DEP_XEN_MEM_ACCESS");
    println!("cargo:rustc-check-cfg=cfg(config_mem_access)");
    if std::env::var("DEP_XEN_MEM_ACCESS").as_deref() == Ok("true") {
        println!("cargo:rustc-cfg=config_mem_access");
    }
}
