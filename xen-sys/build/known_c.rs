// SPDX-License-Identifier: GPL-2.0-only
//! Which versions of the C that the archive takes the place of the Rust has been compared
//! with.
//!
//! Whoever has a Xen tree with a patch of their own in p2m.c must not lose it in silence. So
//! each function of a tree's p2m.c, mmu/p2m.c and mem_access.c is looked up, by name and by
//! a hash of its text, in a list of those of the releases (`known-c.txt`); one that is not
//! there stops the build with its name. What is left of a file outside of its functions (macros,
//! variables) counts as one more.

use std::collections::BTreeSet;
use std::path::Path;

/// The files, below `arch/arm/` of a tree's `xen/`; not every release has all.
pub(crate) const FILES: [&str; 3] = ["p2m.c", "mmu/p2m.c", "mem_access.c"];

/// Where Xen's rwlock is, below a tree's `xen/`.
pub(crate) const RWLOCK_FILE: &str = "include/xen/rwlock.h";

/// What of it `src/rwlock.rs` does in line.
const RWLOCK: [&str; 3] = ["_can_read_lock", "_read_lock", "_read_unlock"];

/// The list, one function a line: name and hash.
pub(crate) const LIST: &str = include_str!("known-c.txt");

/// The name that stands for what is outside of functions.
pub(crate) const OUTSIDE: &str = "(outside)";

/// A function's name and the hash of its text.
pub(crate) type Function = (String, String);

/// The functions of a C file in Xen's style, where a body's braces stand at the begin of a line.
/// Neither comments nor spaces nor `#include`s count.
pub(crate) fn functions(text: &str) -> Vec<Function> {
    let text = without_comments(text);
    let mut found = Vec::new();
    let mut outside = String::new();
    // The lines since the last blank one, which may be a function's head.
    let mut head: Vec<&str> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line == "{" {
            if let Some(name) = name_in(&head) {
                let mut body = head.concat();
                for line in lines.by_ref() {
                    if line == "}" {
                        break;
                    }
                    body.push_str(line);
                }
                found.push((name.to_owned(), hash(&body)));
                head.clear();
                continue;
            }
        }
        let ends = line.trim().is_empty() || line.starts_with(['#', '}']) || line.ends_with(';');
        head.push(line);
        if ends {
            outside.extend(head.drain(..).filter(|line| !line.starts_with("#include")));
        }
    }
    outside.extend(head);
    found.push((OUTSIDE.to_owned(), hash(&outside)));
    found
}

/// The functions of a tree's files.
///
/// # Errors
///
/// A file that is there but cannot be read.
pub(crate) fn of_tree(xen: &Path) -> Result<Vec<Function>, String> {
    let mut all = Vec::new();
    for file in FILES {
        let path = xen.join("arch/arm").join(file);
        if path.is_file() {
            let text = std::fs::read_to_string(&path)
                .map_err(|e| format!("cannot read {}: {e}", path.display()))?;
            all.extend(functions(&text));
        }
    }
    Ok(all)
}

/// Is the C that the archive takes the place of C that the Rust was compared with? A patch of
/// the tree's owner there would be lost.
pub(crate) fn look_at(tree: &Path) -> Result<(), String> {
    const ACCEPT: &str = "XEN_P2M_ACCEPT_C";
    println!("cargo:rerun-if-env-changed={ACCEPT}");
    // One that is not there would be taken for one that has changed.
    for path in FILES.map(|file| tree.join("arch/arm").join(file)) {
        if path.is_file() {
            println!("cargo:rerun-if-changed={}", path.display());
        }
    }
    let accepted = std::env::var(ACCEPT).unwrap_or_default();
    let mut unknown = unknown(&of_tree(tree)?, LIST);
    unknown.retain(|name| !accepted.split_whitespace().any(|word| word == name));
    if unknown.is_empty() {
        return Ok(());
    }
    let names = unknown.join(" ");
    Err(format!(
        "the C of {} that this archive takes the place of is not that of any release: {names}. \
         What was changed there would be lost, for the Rust does what the C of a release does. \
         If that is what you want, say so with {ACCEPT}='{names}' in the environment of make",
        tree.join("arch/arm").display()
    ))
}

/// Those functions of `xen/rwlock.h` that the Rust does in line.
pub(crate) fn of_rwlock(text: &str) -> Vec<Function> {
    let mut all = functions(text);
    all.retain(|(name, _)| RWLOCK.contains(&name.as_str()));
    all
}

/// Whether a tree's `xen/rwlock.h` has all of them in a form that some release has.
pub(crate) fn knows_rwlock(text: &str) -> bool {
    let found = of_rwlock(text);
    found.len() == RWLOCK.len() && unknown(&found, LIST).is_empty()
}

/// The names of those functions that no release has like that, each once.
pub(crate) fn unknown(found: &[Function], list: &str) -> Vec<String> {
    let known: BTreeSet<(&str, &str)> = list
        .lines()
        .filter_map(|line| line.split_once(' '))
        .collect();
    let names: BTreeSet<&str> = found
        .iter()
        .filter(|(name, hash)| !known.contains(&(name.as_str(), hash.as_str())))
        .map(|(name, _)| name.as_str())
        .collect();
    names.into_iter().map(str::to_owned).collect()
}

/// The word before the first parenthesis, if these lines can be the head of a function.
fn name_in<'a>(head: &[&'a str]) -> Option<&'a str> {
    let line = head.iter().find(|line| line.contains('('))?;
    let before = line.split_once('(')?.0.trim_end();
    let name = before
        .rsplit(|c: char| !c.is_alphanumeric() && c != '_')
        .next()?;
    (!name.is_empty()).then_some(name)
}

/// A blank in the place of each comment.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("/*") {
        out.push_str(before);
        let (comment, after) = after.split_once("*/").unwrap_or((after, ""));
        // Lines stay what they are.
        out.extend(comment.chars().filter(|&c| c == '\n'));
        rest = after;
    }
    out.push_str(rest);
    let kept = out.lines().map(|line| {
        line.split_once("//")
            .map_or(line, |(code, _)| code)
            .trim_end()
    });
    let mut text = String::with_capacity(out.len());
    for line in kept {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// FNV-1a of all but white space, in hexadecimal.
fn hash(text: &str) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    }
    format!("{hash:016x}")
}
