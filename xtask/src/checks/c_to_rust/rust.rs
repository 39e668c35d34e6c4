// SPDX-License-Identifier: GPL-2.0-only
//! The items that a Rust file has: `lookup`, `P2m`, `P2m::read`.

use std::collections::BTreeSet;

use anyhow::Result;
use syn::{ImplItem, Item, TraitItem, Type};

/// Their names; those of tests are left out.
pub(super) fn items(source: &str) -> Result<BTreeSet<String>> {
    let file = syn::parse_file(source)?;
    let mut names = BTreeSet::new();
    for item in &file.items {
        add(item, &mut names);
    }
    Ok(names)
}

fn add(item: &Item, names: &mut BTreeSet<String>) {
    match item {
        Item::Const(item) => names.insert(item.ident.to_string()),
        Item::Enum(item) => names.insert(item.ident.to_string()),
        Item::Fn(item) => names.insert(item.sig.ident.to_string()),
        Item::Static(item) => names.insert(item.ident.to_string()),
        Item::Struct(item) => names.insert(item.ident.to_string()),
        Item::Type(item) => names.insert(item.ident.to_string()),
        Item::Trait(item) => {
            for method in &item.items {
                if let TraitItem::Fn(method) = method {
                    names.insert(format!("{}::{}", item.ident, method.sig.ident));
                }
            }
            names.insert(item.ident.to_string())
        }
        Item::Impl(item) => {
            if let Some(owner) = name_of(&item.self_ty) {
                for method in &item.items {
                    match method {
                        ImplItem::Fn(method) => {
                            names.insert(format!("{owner}::{}", method.sig.ident))
                        }
                        ImplItem::Const(constant) => {
                            names.insert(format!("{owner}::{}", constant.ident))
                        }
                        _ => false,
                    };
                }
            }
            false
        }
        _ => false,
    };
}

/// `WriteView` of `WriteView<'_>` and of `lock::WriteView<'_>`.
fn name_of(ty: &Type) -> Option<String> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
        Type::Reference(reference) => name_of(&reference.elem),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::items;

    #[test]
    fn functions_types_and_methods_are_items() {
        let source = "pub fn f() {} struct S; impl a::S<'_> { const C: u8 = 0; fn m(&self) {} }
            enum E {} trait T { fn t(&self); } mod tests { fn hidden() {} } const K: u8 = 1;";
        let names = items(source).unwrap_or_default();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(names, ["E", "K", "S", "S::C", "S::m", "T", "T::t", "f"]);
    }
}
