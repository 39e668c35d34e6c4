// SPDX-License-Identifier: GPL-2.0-only
//! What one module says: its imports, the paths that it writes down, its types and their methods.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemImpl, ItemUse, Macro, Meta, MetaList, Path, Token, Type, UseTree};

/// Path segments as they are written, and the line.
pub(crate) type Written = (Vec<String>, usize);

/// A module: what it declares and which paths it writes down.
#[derive(Default)]
pub(crate) struct Module {
    pub(crate) file: String,
    pub(crate) parent: Option<usize>,
    pub(crate) children: BTreeMap<String, usize>,
    /// Names that `use` items bring in, and where from.
    pub(crate) imports: BTreeMap<String, Vec<String>>,
    /// Types that are defined here.
    pub(crate) types: BTreeSet<String>,
    /// Every path with more than one segment, and every imported one.
    pub(crate) paths: Vec<Written>,
    /// The types of inherent `impl` blocks.
    pub(crate) impls: Vec<Written>,
}

/// Collects what one module says; modules inside it are read for themselves.
pub(crate) struct Reader<'m> {
    module: &'m mut Module,
}

impl<'m> Reader<'m> {
    pub(crate) fn read(module: &'m mut Module, items: &[Item]) {
        let mut reader = Self { module };
        items.iter().for_each(|item| reader.visit_item(item));
    }

    fn import(&mut self, tree: &UseTree, before: &[String]) {
        match tree {
            UseTree::Path(path) => {
                let path_so_far = [before, &[path.ident.to_string()]].concat();
                self.import(&path.tree, &path_so_far);
            }
            UseTree::Group(group) => {
                group
                    .items
                    .iter()
                    .for_each(|tree| self.import(tree, before));
            }
            UseTree::Name(name) => {
                let line = line_of(&name.ident);
                self.imported(before, &name.ident.to_string(), None, line);
            }
            UseTree::Rename(rename) => {
                let line = line_of(&rename.ident);
                let to = rename.rename.to_string();
                self.imported(before, &rename.ident.to_string(), Some(to), line);
            }
            UseTree::Glob(glob) => {
                self.module.paths.push((before.to_vec(), line_of(glob)));
            }
        }
    }

    fn imported(&mut self, before: &[String], name: &str, rename: Option<String>, line: usize) {
        let path = match name {
            "self" => before.to_vec(),
            _ => [before, &[name.into()]].concat(),
        };
        if let Some(last) = path.last().cloned() {
            self.module
                .imports
                .insert(rename.unwrap_or(last), path.clone());
            self.module.paths.push((path, line));
        }
    }

    /// Paths in the tokens of a macro: what stands between `::`. `$crate::name` is how an exported
    /// macro must name what the crate hands out, so it is no arrow to the root.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let is = |at: usize, what: char| {
            let found = tokens.get(at);
            matches!(found, Some(TokenTree::Punct(found)) if found.as_char() == what)
        };
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(first) => {
                    let mut path = vec![first.to_string()];
                    if at >= 1 && is(at - 1, '$') {
                        path[0].insert(0, '$');
                    }
                    let line = first.span().start().line;
                    while is(at + 1, ':') && is(at + 2, ':') {
                        let Some(TokenTree::Ident(next)) = tokens.get(at + 3) else {
                            break;
                        };
                        path.push(next.to_string());
                        at += 3;
                    }
                    if path.len() > 1 {
                        self.module.paths.push((path, line));
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            Item::Const(item) => &item.attrs,
            Item::Static(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            Item::Enum(item) => &item.attrs,
            Item::Macro(item) => &item.attrs,
            Item::Trait(item) => &item.attrs,
            Item::Type(item) => &item.attrs,
            _ => &Vec::new(),
        };
        if is_for_tests(attributes) {
            return;
        }
        match item {
            Item::Mod(_) => return,
            Item::Struct(item) => _ = self.module.types.insert(item.ident.to_string()),
            Item::Enum(item) => _ = self.module.types.insert(item.ident.to_string()),
            Item::Union(item) => _ = self.module.types.insert(item.ident.to_string()),
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.import(&item.tree, &[]);
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if let (None, Type::Path(of)) = (&item.trait_, &*item.self_ty) {
            let path = of.path.segments.iter().map(|s| s.ident.to_string());
            self.module.impls.push((path.collect(), line_of(&of.path)));
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.segments.len() > 1 && path.leading_colon.is_none() {
            let segments = path.segments.iter().map(|s| s.ident.to_string());
            self.module.paths.push((segments.collect(), line_of(path)));
        }
        visit::visit_path(self, path);
    }

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {
        // `pub(super)` is no use of the parent.
    }

    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    fn visit_macro(&mut self, of: &'ast Macro) {
        self.visit_path(&of.path);
        self.tokens(of.tokens.clone());
    }
}

/// `#[cfg(test)]`, also among other conditions that must all hold.
pub(crate) fn is_for_tests(attributes: &[Attribute]) -> bool {
    fn needs_test(condition: &Meta) -> bool {
        let inside = |list: &MetaList| {
            let parts = Punctuated::<Meta, Token![,]>::parse_terminated;
            list.parse_args_with(parts).unwrap_or_default()
        };
        match condition {
            Meta::Path(path) => path.is_ident("test"),
            Meta::List(list) if list.path.is_ident("all") => inside(list).iter().any(needs_test),
            _ => false,
        }
    }
    attributes.iter().any(|attribute| {
        let condition = attribute
            .path()
            .is_ident("cfg")
            .then(|| attribute.parse_args());
        matches!(condition, Some(Ok(condition)) if needs_test(&condition))
    })
}

fn line_of(spanned: &impl syn::spanned::Spanned) -> usize {
    spanned.span().start().line
}
