// SPDX-License-Identifier: GPL-2.0-only
//! A crate's files and the arrows between them, from its source.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Expr, ExprLit, Item, ItemMod, Lit};

use crate::reader::{is_for_tests, Module, Reader};
use crate::sources::{folder_of, Sources};

/// A path that leads from one file to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrow {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) line: usize,
    /// As it is written.
    pub(crate) text: String,
}

/// An `impl Type` of a type of the crate.
pub(crate) struct Methods {
    pub(crate) name: String,
    /// Where the type is defined.
    pub(crate) home: String,
    /// Where this block stands.
    pub(crate) file: String,
    pub(crate) line: usize,
}

/// What the rules look at.
pub(crate) struct Graph {
    pub(crate) arrows: Vec<Arrow>,
    pub(crate) methods: Vec<Methods>,
    /// Files that are compiled for tests alone.
    pub(crate) tests: BTreeSet<String>,
    /// Files that no `mod` names.
    pub(crate) orphans: Vec<String>,
}

struct Crate<'s> {
    sources: &'s Sources,
    modules: Vec<Module>,
    /// The modules of `lib.rs` and `main.rs`.
    roots: BTreeMap<&'static str, usize>,
    /// The name by which `main.rs` knows `lib.rs`.
    name: String,
    tests: BTreeSet<String>,
}

impl Graph {
    /// Parses all files that the crate's roots lead to.
    pub(crate) fn of(name: &str, sources: &Sources) -> Self {
        let mut all = Crate {
            sources,
            modules: Vec::new(),
            roots: BTreeMap::new(),
            name: name.replace('-', "_"),
            tests: BTreeSet::new(),
        };
        for root in ["lib.rs", "main.rs"] {
            if sources.files.contains_key(root) {
                let module = all.file(root, root, None);
                all.roots.insert(root, module);
            }
        }
        let known: BTreeSet<&str> = all.modules.iter().map(|m| m.file.as_str()).collect();
        let orphans = sources.files.keys();
        let orphans = orphans.filter(|f| !known.contains(f.as_str()) && !all.tests.contains(*f));
        Self {
            orphans: orphans.cloned().collect(),
            arrows: all.arrows(),
            methods: all.methods(),
            tests: all.tests,
        }
    }

    /// The rooms' view: each file belongs to its folder, a file at the top stands for itself.
    pub(crate) fn folder(file: &str) -> &str {
        match folder_of(file) {
            "" => file,
            folder => folder,
        }
    }
}

fn below(folder: &str, file: &str) -> String {
    match folder {
        "" => file.into(),
        folder => format!("{folder}/{file}"),
    }
}

/// `#[path = "..."]`.
fn written_path(declared: &ItemMod) -> Option<String> {
    let path = declared.attrs.iter().find(|a| a.path().is_ident("path"))?;
    match &path.meta.require_name_value().ok()?.value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Some(text.value()),
        _ => None,
    }
}

/// Whether a path that is written in `file` leads out of the crate's sources.
fn leaves_crate(file: &str, path: &str) -> bool {
    path.matches("../").count() > file.matches('/').count()
}

impl Crate<'_> {
    /// Parses a file as a module; `root` is the file at the top of its tree.
    fn file(&mut self, root: &str, file: &str, parent: Option<usize>) -> usize {
        let text = &self.sources.files[file];
        let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        self.module(root, file, parent, &parsed.items)
    }

    fn module(&mut self, root: &str, file: &str, parent: Option<usize>, items: &[Item]) -> usize {
        let module = self.modules.len();
        self.modules.push(Module {
            file: file.into(),
            parent,
            ..Module::default()
        });
        for item in items {
            let Item::Mod(declared) = item else {
                continue;
            };
            let name = declared.ident.to_string();
            let for_tests = is_for_tests(&declared.attrs);
            let child = match &declared.content {
                Some(_) if for_tests => continue,
                Some((_, items)) => self.module(root, file, Some(module), items),
                // A file of another crate's, which knows nothing of this one.
                None if written_path(declared).is_some_and(|path| leaves_crate(file, &path)) => {
                    continue;
                }
                None => {
                    let child = self.child_file(root, file, declared);
                    if for_tests {
                        self.tests.insert(child);
                        continue;
                    }
                    self.file(root, &child, Some(module))
                }
            };
            self.modules[module].children.insert(name, child);
        }
        Reader::read(&mut self.modules[module], items);
        module
    }

    /// The file of `mod name;` in `file`.
    fn child_file(&self, root: &str, file: &str, declared: &ItemMod) -> String {
        let name = &declared.ident;
        let candidates = match written_path(declared) {
            Some(path) => vec![below(folder_of(file), &path)],
            None => {
                let stem = match file.strip_suffix(".rs").unwrap() {
                    _ if file == root => "",
                    "mod" => "",
                    stem => stem.strip_suffix("/mod").unwrap_or(stem),
                };
                let files = [format!("{name}.rs"), format!("{name}/mod.rs")];
                files.map(|file| below(stem, &file)).into()
            }
        };
        let mut found = candidates.into_iter();
        let found = found.find(|f| self.sources.files.contains_key(f));
        found.unwrap_or_else(|| panic!("{file}: no file for `mod {name};`"))
    }

    /// Follows a path: the last module on it, and the segments that name no module.
    fn resolve<'p>(&self, from: usize, path: &'p [String]) -> Option<(usize, &'p [String])> {
        self.resolve_within(from, path, 0)
    }

    fn resolve_within<'p>(
        &self,
        from: usize,
        path: &'p [String],
        depth: usize,
    ) -> Option<(usize, &'p [String])> {
        // A name may be imported from where it is imported from again, not endlessly.
        if depth > 16 {
            return None;
        }
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" | "$crate" => self.root_of(from),
            "self" => from,
            "super" => self.modules[from].parent?,
            own if own == self.name => *self.roots.get("lib.rs")?,
            name => self.step(from, name, depth)?,
        };
        while let Some((next, after)) = rest.split_first() {
            let step = match next.as_str() {
                "super" => self.modules[at].parent,
                name => self.modules[at].children.get(name).copied(),
            };
            let Some(step) = step else {
                break;
            };
            (at, rest) = (step, after);
        }
        Some((at, rest))
    }

    /// The module that a name means in another.
    fn step(&self, at: usize, name: &str, depth: usize) -> Option<usize> {
        if let Some(&child) = self.modules[at].children.get(name) {
            return Some(child);
        }
        let import = self.modules[at].imports.get(name)?;
        if import.first().is_some_and(|first| first == name) {
            return None;
        }
        let (module, rest) = self.resolve_within(at, import, depth + 1)?;
        rest.is_empty().then_some(module)
    }

    fn root_of(&self, mut module: usize) -> usize {
        while let Some(parent) = self.modules[module].parent {
            module = parent;
        }
        module
    }

    fn arrows(&self) -> Vec<Arrow> {
        let mut arrows = BTreeSet::new();
        for (at, module) in self.modules.iter().enumerate() {
            for (path, line) in &module.paths {
                let Some((to, _)) = self.resolve(at, path) else {
                    continue;
                };
                let is_exported = path[0] == "$crate" && self.modules[to].parent.is_none();
                let to = &self.modules[to].file;
                if is_exported {
                    continue;
                }
                if *to != module.file {
                    arrows.insert(Arrow {
                        from: module.file.clone(),
                        to: to.clone(),
                        line: *line,
                        text: path.join("::"),
                    });
                }
            }
        }
        arrows.into_iter().collect()
    }

    fn methods(&self) -> Vec<Methods> {
        let mut methods = Vec::new();
        for (at, module) in self.modules.iter().enumerate() {
            for (path, line) in &module.impls {
                if let Some(home) = self.home_of(at, path, 0) {
                    methods.push(Methods {
                        name: path.last().unwrap().clone(),
                        home,
                        file: module.file.clone(),
                        line: *line,
                    });
                }
            }
        }
        methods
    }

    /// The file that defines a type of this crate.
    fn home_of(&self, at: usize, path: &[String], depth: usize) -> Option<String> {
        if depth > 16 {
            return None;
        }
        let (module, name) = match path {
            [name] => (at, name),
            _ => match self.resolve(at, path)? {
                (module, [name]) => (module, name),
                _ => return None,
            },
        };
        let found = &self.modules[module];
        if found.types.contains(name) {
            return Some(found.file.clone());
        }
        let import = found.imports.get(name)?;
        self.home_of(module, import, depth + 1)
    }
}
