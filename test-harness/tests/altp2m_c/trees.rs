// SPDX-License-Identifier: GPL-2.0-only
//! All tests with the C of each kind of tree: up to 4.20, and from 4.21 on.

use std::env;
use std::process::Command;

use crate::library::{Tree, PLANTED, TREE};

#[test]
fn all_that_is_promised_holds_in_each_kind_of_tree() {
    if env::var_os(TREE).is_some() || env::var_os(PLANTED).is_some() {
        return; // one of those that are run below
    }
    for tree in Tree::ALL {
        let run = Command::new(env::current_exe().unwrap())
            // Those look for planted faults, in each kind of tree where it makes a difference.
            .args(["--skip", "faults::"])
            .env(TREE, tree.file())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success(), "{tree:?}: {said}");
        assert!(said.contains("answers::"), "{said}");
    }
}
