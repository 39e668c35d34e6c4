// SPDX-License-Identifier: GPL-2.0-only
//! The list of Xen's functions that are called (`xen-sys/src/imports.rs`): each of them is
//! used, `helpers.h` has no others, and the functions that the harness supplies have the same
//! parameters. (In the build for the hypervisor the compiler compares it with the headers.)

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may stop on the spot

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;

/// A function's parameters and what it returns, as the ABI has them.
type Prototype = (Vec<String>, String);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// All Rust files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}

/// A type as it is passed: references and `Option`s of them are pointers, and what C's `const`
/// says is no part of it.
fn passed(ty: &syn::Type) -> String {
    let words = ty.to_token_stream().to_string().replace(' ', "");
    let mut words = words.replace("'static", "");
    for (from, to) in [
        ("Option<&Opaque<", "*"),
        ("Option<unsafeextern\"C\"", "unsafeextern\"C\""),
        ("&Opaque<", "*"),
        ("&mut", "*"),
        ("*mut", "*"),
        ("*const", "*"),
        (">", ""),
    ] {
        words = words.replace(from, to);
    }
    // Names of one type.
    match words.as_str() {
        "c_ulong" | "gfn_t" | "mfn_t" | "paddr_t" | "vaddr_t" => "u64".to_owned(),
        "c_uint" => "u32".to_owned(),
        "c_int" => "i32".to_owned(),
        "*paddr_t" => "*u64".to_owned(),
        _ => words,
    }
}

fn prototype(signature: &syn::Signature) -> Prototype {
    let parameters = signature.inputs.iter().map(|input| match input {
        syn::FnArg::Typed(typed) => passed(&typed.ty),
        syn::FnArg::Receiver(_) => unreachable!("a function"),
    });
    let returned = match &signature.output {
        syn::ReturnType::Default => String::new(),
        syn::ReturnType::Type(_, ty) => passed(ty),
    };
    (parameters.collect(), returned)
}

/// The list.
fn imports() -> BTreeMap<String, Prototype> {
    let text = text(&root().join("xen-sys/src/imports.rs"));
    let mut all = BTreeMap::new();
    for list in text.split("\nimports! {").skip(1) {
        let (list, _) = list.split_once("\n}").unwrap();
        let list = list.replace("unsafe fn ", "fn ").replace("safe fn ", "fn ");
        let list = format!("extern \"C\" {{ {list} }}");
        let list: syn::ItemForeignMod = syn::parse_str(&list).unwrap();
        all.extend(list.items.iter().map(|item| match item {
            syn::ForeignItem::Fn(f) => (f.sig.ident.to_string(), prototype(&f.sig)),
            _ => panic!("not a function"),
        }));
    }
    all
}

/// The identifiers of the code. A word of a comment, of documentation or of a text is none.
fn named(code: &str, names: &mut BTreeSet<String>) {
    fn of(tokens: TokenStream, names: &mut BTreeSet<String>) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => of(group.stream(), names),
                TokenTree::Ident(ident) => _ = names.insert(ident.to_string()),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
    of(code.parse().unwrap(), names);
}

#[test]
fn a_word_of_a_comment_is_no_call() {
    let code = "
        //! domain_crash
        use crate::xen as sys; // put_page
        /* get_page, /* alloc_heap_page */ */
        /// vcpu_pause
        fn f() { sys::call!(\"dump_page\", xs_bug()) }
    ";
    let mut names = BTreeSet::new();
    named(code, &mut names);
    // Documentation is an attribute of this name.
    let words = "as call crate doc f fn sys use xen xs_bug";
    let expected = words.split(' ').map(str::to_owned);
    assert_eq!(names, expected.collect());
}

/// Functions that are the hypervisor's alone.
const NOT_ON_THE_HOST: [&str; 1] = ["xs_directmap_offset"];

#[test]
fn what_is_imported_is_called() {
    let mut names = BTreeSet::new();
    for folder in ["p2m-rs/src", "mem_access-rs/src", "src"] {
        for file in sources(&root().join(folder)) {
            named(&text(&file), &mut names);
        }
    }
    for file in ["directmap.rs", "lib.rs"] {
        named(&text(&root().join("xen-sys/src").join(file)), &mut names);
    }
    let unused: Vec<_> = imports()
        .into_keys()
        .filter(|name| !names.contains(name))
        .collect();
    assert_eq!(unused, [""; 0]);
}

#[test]
fn helpers_c_has_what_is_imported_and_no_more() {
    let header = text(&root().join("xen-sys/helpers.h"));
    let declared: BTreeSet<_> = header
        .lines()
        .filter(|line| !line.starts_with([' ', '/', '#']))
        .filter_map(|line| line.split_once('(')?.0.split([' ', '*']).next_back())
        .filter(|name| name.starts_with("xs_"))
        .collect();
    let imports = imports();
    let imported: BTreeSet<_> = imports
        .keys()
        .map(String::as_str)
        .filter(|name| name.starts_with("xs_"))
        .collect();
    assert_eq!(imported, declared);
}

#[test]
fn the_host_supplies_what_is_imported_with_the_same_parameters() {
    let mut supplied = BTreeMap::new();
    let mut files = sources(&root().join("test-harness/src"));
    files.push(root().join("xen-sys/src/mock.rs"));
    for file in files {
        for item in syn::parse_file(&text(&file)).unwrap().items {
            if let syn::Item::Fn(f) = item {
                if f.sig.abi.is_some() {
                    supplied.insert(f.sig.ident.to_string(), prototype(&f.sig));
                }
            }
        }
    }
    for (name, prototype) in imports() {
        if !NOT_ON_THE_HOST.contains(&name.as_str()) {
            assert_eq!(supplied.get(&name), Some(&prototype), "{name}");
        }
    }
}
