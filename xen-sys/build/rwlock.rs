// SPDX-License-Identifier: GPL-2.0-only
//! Whether `src/rwlock.rs` may stand for what this tree's `xen/rwlock.h` does.

use std::fs;
use std::path::Path;

use crate::compiler::Compiler;
use crate::facts;
use crate::known_c;

/// The cfg for it.
pub(crate) const IN_LINE: &str = "rwlock_in_line";

/// The checks of locks are in C, and so are the locks of a header that is not known: then
/// C's functions are called, which is right for any Xen.
pub(crate) fn may_be_in_line(compiler: &Compiler, tree: &Path, out: &Path) -> Result<bool, String> {
    let path = tree.join(known_c::RWLOCK_FILE);
    println!("cargo:rerun-if-changed={}", path.display());
    let text =
        fs::read_to_string(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    if !known_c::knows_rwlock(&text) {
        println!(
            "cargo:warning={} has a rwlock that xen-p2m has not been compared with: look-ups call its functions",
            path.display()
        );
        return Ok(false);
    }
    // Where the word is, `src/layout.rs` compares.
    let plain = "_Static_assert(!IS_ENABLED(CONFIG_DEBUG_LOCKS) && \
        __builtin_offsetof(rwlock_t, cnts.counter) == 0 && \
        __builtin_types_compatible_p(typeof(((rwlock_t *)0)->cnts.counter), int), \"\");";
    facts::holds(compiler, out, plain)
}
