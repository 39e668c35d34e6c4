// SPDX-License-Identifier: GPL-2.0-only
//! The C of the debug key that dumps stage 2: `xen/arch/arm/p2m-dump.c`, as the patch has it,
//! compiled for this machine with functions in the place of Xen (`dump_c/`). It walks the list of
//! domains, prints for minutes, and gives back all that it took.
//!
//! The C compiler is the one that links Rust programs: `cc`.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may stop on the spot

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dump_c");
const PATCHES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../patches/xen");

/// A file that the patches add.
fn added(name: &str) -> String {
    let patches = fs::read_dir(PATCHES).unwrap();
    let texts = patches.map(|patch| fs::read_to_string(patch.unwrap().path()).unwrap());
    let start = format!("\n--- /dev/null\n+++ b/xen/arch/arm/{name}\n");
    let of_file = |text: String| Some(text.split_once(&start)?.1.to_owned());
    let mut found = texts.filter_map(of_file);
    let text = found.next().expect("a patch adds it");
    assert_eq!(found.next(), None, "another one does, too");
    let (_, body) = text.split_once(" @@\n").unwrap();
    let lines = body.lines().map_while(|line| line.strip_prefix('+'));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// Compiles it, changed by `edit`, and runs the checks.
fn run(name: &str, edit: impl Fn(String) -> String) -> Output {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dump_c");
    let folder = folder.join(name);
    let _ = fs::remove_dir_all(&folder);
    let write = |file: &str, text: &str| {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let source = added("p2m-dump.c");
    // Xen's own headers are empty: all is in xen.h.
    let included = source
        .lines()
        .filter_map(|line| line.strip_prefix("#include <")?.strip_suffix('>'));
    for header in included {
        write(header, "");
    }
    write("asm/p2m-dump.h", &added("include/asm/p2m-dump.h"));
    write("p2m-dump.c", &edit(source));
    for file in ["xen.h", "main.c"] {
        write(
            file,
            &fs::read_to_string(Path::new(HERE).join(file)).unwrap(),
        );
    }
    let compiled = Command::new("cc")
        .current_dir(&folder)
        .args(["-std=gnu99", "-O1", "-include", "xen.h", "-I", "."])
        .args(["main.c", "-o", "checks"])
        .output()
        .expect("cc, which links Rust programs as well");
    let errors = String::from_utf8_lossy(&compiled.stderr).into_owned();
    assert!(compiled.status.success(), "{errors}");
    Command::new(folder.join("checks")).output().unwrap()
}

#[test]
fn the_key_dumps_the_domains_that_were_asked_for_and_gives_back_all_that_it_took() {
    let output = run("as_it_is", |text| text);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert_eq!(said, "all of it holds\n");
}

/// What is replaced by what.
type Edit = (&'static str, &'static str);

const GET: Edit = (" ||\n             !get_domain(d) )", " )");
const PUT: Edit = ("        put_domain(d);\n", "");
const UNLOCK: Edit = (
    "        rcu_read_unlock(&domlist_read_lock);\n        p2m",
    "        p2m",
);
const LOCK: Edit = (
    "lines);\n        rcu_read_lock(&domlist_read_lock);\n",
    "lines);\n",
);

/// Faults, each of which the checks must notice.
const FAULTS: [&[Edit]; 14] = [
    &[("dump_domain >= 0", "dump_domain > 0")],
    &[("d->domain_id != dump_domain", "d->domain_id == dump_domain")],
    &[PUT],
    &[GET],
    &[GET, PUT],
    &[UNLOCK, LOCK],
    &[UNLOCK],
    &[LOCK],
    // The domain may be freed by it, and is then asked for the next one.
    &[
        PUT,
        (
            "(d, dump_lines);\n",
            "(d, dump_lines);\n        put_domain(d);\n",
        ),
    ],
    &[("    console_end_log_everything();\n", "")],
    &[("    console_start_log_everything();\n", "")],
    &[("of domains\", 0);", "of domains\", 1);")],
    &[("p2m_dump_stage2(d, dump_lines)", "p2m_dump_stage2(d, 0)")],
    &[("tasklet_schedule(&dump_tasklet);", "dump_domains(NULL);")],
];

#[test]
fn each_planted_fault_is_noticed() {
    for (n, edits) in FAULTS.into_iter().enumerate() {
        let output = run(&format!("fault_{n}"), |mut text| {
            for (from, to) in edits {
                assert_eq!(text.matches(from).count(), 1, "{from}");
                text = text.replace(from, to);
            }
            text
        });
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{edits:?}: {said}");
    }
}
