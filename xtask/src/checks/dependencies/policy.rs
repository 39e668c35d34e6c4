// SPDX-License-Identifier: GPL-2.0-only
//! `deny.toml`: what the crates may be, in cargo-deny's own format. A key that this check does not know is an
//! error, so that nobody believes something to be checked that is not.

use std::path::Path;

use anyhow::{Context, Result};
use semver::VersionReq;
use serde::Deserialize;

use crate::base::files::read_text;

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    pub(super) graph: Graph,
    pub(super) licenses: Licenses,
    #[serde(rename = "sources")]
    _sources: Sources,
    pub(super) bans: Bans,
}

/// Which crates are looked at.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Graph {
    pub(super) targets: Vec<String>,
}

/// Which licences are accepted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Licenses {
    pub(super) allow: Vec<String>,
    #[serde(rename = "private")]
    _private: Private,
    #[serde(rename = "unused-allowed-license")]
    _unused: Allow,
}

/// The workspace's own crates: what they must be is not a matter of `allow`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Private {
    #[serde(rename = "ignore")]
    _ignore: bool,
}

/// Where crates may come from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sources {
    #[serde(rename = "unknown-registry")]
    _unknown_registry: Deny,
    #[serde(rename = "unknown-git")]
    _unknown_git: Deny,
}

/// Which crates may be there twice.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Bans {
    #[serde(rename = "wildcards")]
    _wildcards: Allow,
    #[serde(rename = "multiple-versions")]
    _multiple_versions: Deny,
    /// Crates for tests count here in any case.
    #[serde(rename = "multiple-versions-include-dev")]
    _include_dev: bool,
    pub(super) skip: Vec<Skip>,
}

/// What is checked here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Deny {
    Deny,
}

/// What is not.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Allow {
    Allow,
}

/// A version that is known to be there beside another, and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Skip {
    #[serde(rename = "crate")]
    pub(super) spec: String,
    #[serde(rename = "reason")]
    _reason: String,
}

impl Skip {
    /// The name and the versions: `syn@2` are those that begin with 2.
    pub(super) fn parts(&self) -> Result<(&str, VersionReq)> {
        let (name, version) = self
            .spec
            .split_once('@')
            .with_context(|| format!("deny.toml: `{}` is not name@version", self.spec))?;
        let req = VersionReq::parse(&format!("={version}"))
            .with_context(|| format!("deny.toml: {}", self.spec))?;
        Ok((name, req))
    }
}

/// Reads `deny.toml` at the root of the workspace.
pub(super) fn read(root: &Path) -> Result<Policy> {
    toml::from_str(&read_text(&root.join("deny.toml"))?).context("deny.toml")
}
