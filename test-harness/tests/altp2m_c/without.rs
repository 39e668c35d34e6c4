// SPDX-License-Identifier: GPL-2.0-only
//! A Xen that is configured without views has the hooks in hvm.c and domain.c all the same. What
//! they call there are inline functions of `asm/p2m-views.h`, which refuse.

use std::cell::Cell;
use std::env;
use std::fs;
use std::process::{Command, Output};

use crate::library::{compile, HERE, PLANTED, TREE};

/// Compiles the header, changed by `edit`, without views, and asks all of it.
fn run(name: &str, edit: impl Fn(String) -> String) -> Output {
    // No library: there is nothing in one.
    let (folder, _) = compile(name, &[], edit);
    let main = format!("{HERE}/without.c");
    fs::copy(main, folder.join("without.c")).unwrap();
    let compiled = Command::new("cc")
        .current_dir(&folder)
        .args(["-std=gnu99", "-O1", "-Wall", "-I", ".", "-DWITHOUT_ALTP2M"])
        .args(["without.c", "-o", "without"])
        .output()
        .expect("cc, which links Rust programs as well");
    let errors = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success() && errors.is_empty(), "{errors}");
    Command::new(folder.join("without")).output().unwrap()
}

/// What is in the patches once, and what takes its place.
const FAULTS: [(&str, &str); 6] = [
    (
        "altp2m_set_param(unsigned int param) { return -EINVAL; }",
        "altp2m_set_param(unsigned int param) { return 0; }",
    ),
    (
        "altp2m_get_param(unsigned int param) { return -EINVAL; }",
        "altp2m_get_param(unsigned int param) { return 0; }",
    ),
    (
        "not supported\\n\");\n    return false;",
        "not supported\\n\");\n    return true;",
    ),
    (
        "arg, long *rc)\n{\n    return false;",
        "arg, long *rc)\n{\n    return true;",
    ),
    (
        "arg, long *rc)\n{\n    return false;",
        "arg, long *rc)\n{\n    *rc = 0;\n    return false;",
    ),
    (
        "config)\n{\n    return 0;\n}\n\nstatic",
        "config)\n{\n    return -EINVAL;\n}\n\nstatic",
    ),
];

#[test]
fn a_xen_without_views_refuses_what_is_asked_of_them() {
    if env::var_os(TREE).is_some() || env::var_os(PLANTED).is_some() {
        return; // in all of them it is the same
    }
    let output = run("without", |text| text);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    for (n, (from, to)) in FAULTS.into_iter().enumerate() {
        let places = Cell::new(0);
        let output = run(&format!("without{n}"), |text| {
            places.set(places.get() + text.matches(from).count());
            text.replace(from, to)
        });
        assert_eq!(places.get(), 1, "{from}");
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{to}: {said}");
    }
}
