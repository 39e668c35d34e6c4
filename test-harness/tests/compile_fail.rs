// SPDX-License-Identifier: GPL-2.0-only
//! The lock rule, as the compiler sees it: each file `*_fails.rs` breaks one
//! promise and must not compile, and its twin `*_passes.rs`, which differs in
//! one line of code, must. So it is that line that the compiler refuses.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The compiler's words are compared with the `.stderr` file beside each case;
/// `TRYBUILD=overwrite` renews them for a new compiler.
#[test]
fn what_the_lock_rule_forbids_does_not_compile_and_its_twin_does() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/compile/*_fails.rs");
    cases.pass("tests/compile/*_passes.rs");
}

/// What each case is refused for.
const REASONS: [(&str, &str); 12] = [
    ("crash", "E0499"),
    ("forge", "E0423"),
    ("lookup", "E0597"),
    ("mem_access", "E0499"),
    ("nested", "E0499"),
    ("read_view", "E0599"),
    ("table", "E0597"),
    ("thread", "E0277"),
    ("token", "E0521"),
    ("twice", "E0499"),
    ("upgrade", "E0499"),
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
