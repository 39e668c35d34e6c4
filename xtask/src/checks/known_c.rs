// SPDX-License-Identifier: GPL-2.0-only
//! The list of C that the Rust has been compared with (`xen-sys/build/known-c.txt`), made anew from a clone of
//! xen.git: the functions of every point release and of every branch's tip.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{bail, Result};

use crate::base::cli::KnownCArgs;
use crate::base::files;
use crate::base::paths::Paths;
use crate::xen::git::{self, Branch};
use crate::xen::known_c as list;
use crate::xen::release::RELEASES;

/// Commits between releases after which a function looked as in no release, and what it was.
/// Each was read, and does what the Rust does for the facts of its headers.
const BETWEEN: [(&str, &str); 4] = [
    (
        "a51a244b9df58a9a8e1431f13a80349caac1ca00",
        "setup_virt_paging",
    ),
    ("603956258ceb30bbb621e1acdff1efcfd136212a", "p2m_teardown"),
    (
        "6d44fb48bd19c140f8601b645ea2a92895ce4ca9",
        "setup_virt_paging",
    ),
    (
        "c5a6dd68508c998c95ca87f59e9ecb6da93ca6ab",
        "p2m_get_page_from_gfn",
    ),
];

/// Compares the list with the clone, or writes it.
pub(crate) fn run(paths: &Paths, args: &KnownCArgs) -> Result<()> {
    let made = made_from(&args.xen_git)?;
    let path = paths.root().join("xen-sys/build/known-c.txt");
    if args.write {
        files::write(&path, &made)?;
        println!("{} has {} lines", path.display(), made.lines().count());
        return Ok(());
    }
    if made == list::LIST {
        println!("{} is what this clone gives", path.display());
        return Ok(());
    }
    let old: BTreeSet<&str> = list::LIST.lines().collect();
    let new: BTreeSet<&str> = made.lines().collect();
    for line in new.difference(&old) {
        println!("only in the clone: {line}");
    }
    for line in old.difference(&new) {
        println!("only in the list: {line}");
    }
    bail!(
        "{} is not what {} gives. What is new there has to be compared with the Rust (docs/porting.md) before \
         --write says that it is known",
        path.display(),
        args.xen_git.display()
    )
}

/// The list that a clone gives.
fn made_from(clone: &Path) -> Result<String> {
    let mut functions = BTreeSet::new();
    for release in RELEASES {
        let mut commits = git::point_releases(clone, release)?;
        commits.push(Branch::find(clone, release)?.commit);
        for commit in commits {
            functions.extend(functions_of(clone, &commit)?);
        }
    }
    for (commit, name) in BETWEEN {
        let all = functions_of(clone, commit)?;
        functions.extend(all.into_iter().filter(|(function, _)| function == name));
    }
    Ok(functions
        .into_iter()
        .map(|(name, hash)| format!("{name} {hash}\n"))
        .collect())
}

/// The functions of a commit's files.
fn functions_of(clone: &Path, commit: &str) -> Result<Vec<list::Function>> {
    let mut all = Vec::new();
    for file in list::FILES {
        let path = format!("xen/arch/arm/{file}");
        if let Some(text) = git::file(clone, commit, &path)? {
            all.extend(list::functions(&text));
        }
    }
    let rwlock = format!("xen/{}", list::RWLOCK_FILE);
    if let Some(text) = git::file(clone, commit, &rwlock)? {
        all.extend(list::of_rwlock(&text));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::list::{functions, unknown, OUTSIDE};

    const C: &str = "#include <xen/lib.h>\n\n/* A { comment } with ( signs. */\n#define X(a) (a)\n\n\
                     static int first(int a,\n                 int b)\n{\n    return a; /* so */\n}\n\n\
                     int second(void)\n{\n    if ( x )\n    {\n        y();\n    }\n}\n\nint variable;\n";

    fn names(text: &str) -> Vec<String> {
        functions(text).into_iter().map(|(name, _)| name).collect()
    }

    fn list_of(text: &str) -> String {
        functions(text)
            .iter()
            .map(|(name, hash)| format!("{name} {hash}\n"))
            .collect()
    }

    #[test]
    fn each_function_is_found_and_the_rest_is_one_more() {
        assert_eq!(names(C), ["first", "second", OUTSIDE]);
    }

    #[test]
    fn comments_spaces_and_includes_do_not_count() {
        let other = C
            .replace("/* so */", "// otherwise")
            .replace("    return a;", "\treturn  a ;")
            .replace(
                "#include <xen/lib.h>\n",
                "#include <xen/mm.h>\n#include <xen/lib.h>\n",
            );
        assert_eq!(unknown(&functions(&other), &list_of(C)), [""; 0]);
    }

    #[test]
    fn what_has_changed_is_named() {
        let cases = [
            ("return a;", "return b;", "first"),
            ("int b)", "long b)", "first"),
            ("static int first", "int first", "first"),
            ("y();", "z();", "second"),
            ("int variable;", "int variable = 1;", OUTSIDE),
            ("#define X(a) (a)", "#define X(a) (-(a))", OUTSIDE),
            ("int second(void)", "int third(void)", "third"),
        ];
        for (from, to, name) in cases {
            let other = C.replace(from, to);
            assert_eq!(unknown(&functions(&other), &list_of(C)), [name], "{to}");
        }
    }

    #[test]
    fn the_list_has_what_every_release_has() {
        for name in [
            "p2m_set_entry",
            "p2m_lookup",
            "p2m_mem_access_check",
            OUTSIDE,
        ] {
            let prefix = format!("{name} ");
            let has = super::list::LIST
                .lines()
                .any(|line| line.starts_with(&prefix));
            assert!(has, "{name}");
        }
    }
}
