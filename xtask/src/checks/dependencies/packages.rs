// SPDX-License-Identifier: GPL-2.0-only
//! What cargo says of the crates that are compiled: `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use semver::Version;
use serde::Deserialize;

use crate::base::command;

/// A crate.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Package {
    id: String,
    pub(super) name: String,
    pub(super) version: Version,
    /// An expression in SPDX's language.
    pub(super) license: Option<String>,
    /// `registry+https://...`; none for the workspace's own.
    pub(super) source: Option<String>,
    targets: Vec<Target>,
}

impl Package {
    /// `syn 2.0.119`
    pub(super) fn shown(&self) -> String {
        format!("{} {}", self.name, self.version)
    }
}

#[derive(Clone, Debug, Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dep>,
}

#[derive(Debug, Deserialize)]
struct Dep {
    pkg: String,
    dep_kinds: Vec<DepKind>,
}

#[derive(Debug, Deserialize)]
struct DepKind {
    /// `build`, `dev`, or none for what is linked.
    kind: Option<String>,
}

/// The crates of a workspace for one target.
pub(super) struct Packages(Metadata);

impl Packages {
    /// Asks the cargo that runs this tool; downloads what is not there yet.
    pub(super) fn of(workspace: &Path, target: &str) -> Result<Self> {
        let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut cargo = command::clean(program);
        cargo
            .args(["metadata", "--format-version=1", "--locked"])
            .arg(format!("--filter-platform={target}"))
            .current_dir(workspace);
        Self::parse(&command::output(&mut cargo)?)
    }

    fn parse(json: &str) -> Result<Self> {
        serde_json::from_str(json)
            .map(Self)
            .context("cannot read what `cargo metadata` says")
    }

    /// All of them, by what cargo calls them.
    pub(super) fn all(&self) -> BTreeMap<String, Package> {
        let packages = self.0.packages.iter();
        packages.map(|p| (p.id.clone(), p.clone())).collect()
    }

    /// What is linked with the crate `root`, itself included: not what only builds it or tests it.
    pub(super) fn linked_with(&self, root: &str) -> Vec<Package> {
        let all = self.all();
        let mut left: Vec<&str> = all
            .values()
            .filter(|package| package.name == root)
            .map(|package| package.id.as_str())
            .collect();
        let mut found = BTreeSet::new();
        while let Some(id) = left.pop() {
            let runs_in_the_compiler = all.get(id).is_some_and(|package| {
                let mut kinds = package.targets.iter().flat_map(|target| &target.kind);
                kinds.any(|kind| kind == "proc-macro")
            });
            if runs_in_the_compiler || !found.insert(id) {
                continue;
            }
            let nodes = self.0.resolve.nodes.iter().filter(|node| node.id == id);
            let deps = nodes.flat_map(|node| &node.deps);
            left.extend(
                deps.filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind.is_none()))
                    .map(|dep| dep.pkg.as_str()),
            );
        }
        found
            .iter()
            .filter_map(|id| all.get(*id).cloned())
            .collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Package, Packages, Version};

    /// A crate that cargo might tell of.
    pub(in crate::checks::dependencies) fn package(
        name: &str,
        minor: u64,
        license: Option<&str>,
        source: Option<&str>,
    ) -> Package {
        Package {
            id: format!("{name}-{minor}"),
            name: name.to_owned(),
            version: Version::new(1, minor, 0),
            license: license.map(str::to_owned),
            source: source.map(str::to_owned),
            targets: Vec::new(),
        }
    }

    #[test]
    fn what_only_builds_or_tests_a_crate_is_not_linked_with_it() {
        let package = |name: &str, kind: &str| {
            format!(
                r#"{{"id":"{name}","name":"{name}","version":"1.0.0","license":null,"source":null,
                "targets":[{{"kind":["{kind}"]}}]}}"#
            )
        };
        let dep = |name: &str, kind: &str| {
            format!(r#"{{"pkg":"{name}","dep_kinds":[{{"kind":{kind}}}]}}"#)
        };
        let packages = [
            package("root", "staticlib"),
            package("lib", "lib"),
            package("deep", "lib"),
            package("derive", "proc-macro"),
            package("cc", "lib"),
            package("proptest", "lib"),
        ];
        let deps = [
            dep("lib", "null"),
            dep("derive", "null"),
            dep("cc", r#""build""#),
            dep("proptest", r#""dev""#),
        ];
        let json = format!(
            r#"{{"packages":[{}],"resolve":{{"nodes":[{{"id":"root","deps":[{}]}},
            {{"id":"lib","deps":[{}]}}]}}}}"#,
            packages.join(","),
            deps.join(","),
            dep("deep", "null")
        );
        let names = Packages::parse(&json).map(|packages| {
            let linked = packages.linked_with("root");
            linked.into_iter().map(|p| p.name).collect::<Vec<_>>()
        });
        assert!(names.is_ok_and(|names| names == ["deep", "lib", "root"]));
    }
}
