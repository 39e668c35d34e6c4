// SPDX-License-Identifier: GPL-2.0-only
//! Prints the stage 2 of a guest that the harness makes, through the code that prints it in Xen, for
//! `cargo xtask show`; or writes the files of docs/show/:
//!
//! ```text
//! cargo run -p test-harness --example stage2 -- large > large.dump
//! cargo run -p test-harness --example stage2 -- --docs docs/show
//! ```

#[path = "../tests/stage2/scenes.rs"]
mod scenes;

use std::path::Path;

use mem_access_rs as _;
use scenes::{dump, files, KEPT};

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--docs", folder] => {
            std::fs::create_dir_all(folder).map_err(|e| format!("{folder}: {e}"))?;
            for (name, text) in files() {
                let path = Path::new(folder).join(name);
                std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
            }
            Ok(())
        }
        [name] => {
            let known = || KEPT.map(|(name, _)| name).join(", ");
            let found = KEPT.iter().find(|(each, _)| each == name);
            let (_, guest) = found.ok_or_else(|| format!("`{name}` is none of {}", known()))?;
            let (w, d) = guest();
            print!("{}", dump(&w, d, 0));
            w.abandon();
            Ok(())
        }
        _ => Err("one argument, a guest; or --docs and a folder".to_owned()),
    }
}
