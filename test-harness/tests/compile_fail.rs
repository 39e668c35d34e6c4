// SPDX-License-Identifier: GPL-2.0-only
//! The lock rule, as the compiler sees it: each file `*_fails.rs` breaks one
//! promise and must not compile, and its twin `*_passes.rs`, which differs in
//! one line of code, must. So it is that line that the compiler refuses.

// Views have cases, too.
#![cfg(config_altp2m)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The release of rustc in whose words the `.stderr` files are. With this one
/// `TRYBUILD=overwrite` renews them; another one becomes it by a change here.
const WORDS_OF: &str = "rustc 1.95.";

/// With the compiler of the `.stderr` files each word is compared. Others say the
/// same in other words, from which the errors' codes and lines are compared.
#[test]
fn what_the_lock_rule_forbids_does_not_compile_and_its_twin_does() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/compile/*_passes.rs");
    if rustc().starts_with(WORDS_OF) {
        cases.compile_fail("tests/compile/*_fails.rs");
        return;
    }
    let said = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile");
    let _ = fs::remove_dir_all(&said);
    fs::create_dir_all(&said).unwrap_or_else(|e| panic!("{e}"));
    for (case, _) in REASONS {
        let name = format!("{case}_fails.rs");
        fs::write(said.join(&name), read(&name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    // A case that compiles fails all the same; what the others say is written beside them.
    std::env::set_var("TRYBUILD", "overwrite");
    cases.compile_fail(said.join("*_fails.rs"));
    drop(cases);
    for (case, _) in REASONS {
        let name = format!("{case}_fails.stderr");
        let here = fs::read_to_string(said.join(&name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(refusals(&here), refusals(&read(&name)), "{case}: {here}");
        assert!(!here.contains("warning"), "{case}: {here}");
    }
}

/// The compiler that trybuild runs.
fn rustc() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = std::process::Command::new(rustc).arg("--version").output();
    said.map_or_else(
        |e| panic!("{e}"),
        |said| String::from_utf8_lossy(&said.stdout).into_owned(),
    )
}

/// What a compiler refuses: each error's first line up to its code, the file and
/// the line of the first place that it names.
fn refusals(said: &str) -> BTreeSet<(&str, &str, &str)> {
    let mut found = BTreeSet::new();
    let mut lines = said.lines();
    while let Some(line) = lines.next() {
        if !line.starts_with("error") {
            continue;
        }
        let code = line.split(':').next().unwrap_or(line);
        let place = lines.next().and_then(|l| l.trim().strip_prefix("--> "));
        let mut parts = place.unwrap_or_default().rsplit(':').skip(1);
        let at = parts.next().unwrap_or_default();
        let file = parts.next().and_then(|path| path.rsplit('/').next());
        found.insert((code, file.unwrap_or_default(), at));
    }
    found
}

#[test]
fn a_refusal_is_a_code_a_file_and_a_line() {
    let said = "error[E0499]: cannot borrow\n  --> tests/compile/walk_fails.rs:10:24\n   |\n\
                error: another\n --> /a/walk_fails.rs:7:1\n";
    let expected = [
        ("error", "walk_fails.rs", "7"),
        ("error[E0499]", "walk_fails.rs", "10"),
    ];
    assert_eq!(refusals(said), BTreeSet::from(expected));
    for (case, reason) in REASONS {
        let text = read(&format!("{case}_fails.stderr"));
        let (code, file) = (format!("error[{reason}]"), format!("{case}_fails.rs"));
        let found = refusals(&text);
        let one = found
            .iter()
            .next()
            .is_some_and(|(c, f, line)| *c == code && *f == file && line.parse::<u32>().is_ok());
        assert!(one && found.len() == 1, "{case}: {found:?}");
    }
}

/// What each case is refused for.
const REASONS: [(&str, &str); 25] = [
    ("copy", "E0499"),
    ("crash", "E0499"),
    ("current_forged", "E0423"),
    ("forge", "E0423"),
    ("forgotten", "E0308"),
    ("forgotten_forged", "E0624"),
    ("forgotten_kept", "E0499"),
    ("with_mapping_kept", "E0521"),
    ("with_mapping_nested", "E0505"),
    ("lookup", "E0597"),
    ("mem_access", "E0499"),
    ("nested", "E0499"),
    ("paused_forged", "E0423"),
    ("read_view", "E0308"),
    ("table", "E0597"),
    ("thread", "E0277"),
    ("token", "E0521"),
    ("twice", "E0499"),
    ("unshared_forged", "E0423"),
    ("upgrade", "E0499"),
    ("view_host", "E0499"),
    ("view_kept", "E0597"),
    ("view_twice", "E0499"),
    ("view_walk", "E0499"),
    ("walk", "E0499"),
];

fn cases() -> impl AsRef<Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile")
}

fn read(name: &str) -> String {
    fs::read_to_string(cases().as_ref().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[test]
fn each_case_is_refused_for_its_own_reason_and_no_other() {
    for (case, reason) in REASONS {
        let said = read(&format!("{case}_fails.stderr"));
        let errors: Vec<&str> = said.lines().filter(|l| l.starts_with("error")).collect();
        let expected = format!("error[{reason}]");
        let found = !errors.is_empty() && errors.iter().all(|e| e.starts_with(&expected));
        assert!(found, "{case}: {errors:#?}, not {reason}");
        assert!(!said.contains("warning"), "{case}");
    }
}

#[test]
fn each_case_and_its_twin_differ_in_one_line_of_code() {
    let mut found = BTreeSet::new();
    let files = fs::read_dir(cases()).unwrap_or_else(|e| panic!("{e}"));
    for file in files.flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        let Some(case) = name.strip_suffix("_fails.rs") else {
            continue;
        };
        found.insert(case.to_owned());
        let code = |text: String| -> Vec<String> {
            text.lines()
                .filter(|l| !l.starts_with("//"))
                .map(str::to_owned)
                .collect()
        };
        let (fails, passes) = (code(read(&name)), code(read(&format!("{case}_passes.rs"))));
        assert_eq!(fails.len(), passes.len(), "{case}");
        let different = fails.iter().zip(&passes).filter(|(a, b)| a != b).count();
        assert_eq!(different, 1, "{case}");
    }
    let listed: BTreeSet<String> = REASONS.iter().map(|(case, _)| (*case).to_owned()).collect();
    assert_eq!(found, listed, "every case has its reason listed");
}
