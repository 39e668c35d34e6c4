// SPDX-License-Identifier: GPL-2.0-only
//! Where things are: the workspace, and the folders below `target/` that the tool writes to.
//!
//! Everything made here lives below the workspace's own `target/`, whatever `CARGO_TARGET_DIR`
//! says, so that one `rm -r target` takes it all away.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The workspace's root and the folders derived from it.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    root: PathBuf,
}

impl Paths {
    /// Finds the workspace: cargo says where this crate is when it runs it.
    pub(crate) fn find() -> Result<Self> {
        let here = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = here
            .parent()
            .filter(|root| root.join("patches").is_dir())
            .with_context(|| {
                format!(
                    "{} is not inside the workspace: run `cargo xtask` from it",
                    here.display()
                )
            })?;
        Ok(Self {
            root: root.to_path_buf(),
        })
    }

    /// A copy of the workspace: everything that is made from it is below its own `target/`.
    pub(crate) fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// The workspace's root.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// `target/`.
    pub(crate) fn target(&self) -> PathBuf {
        self.root.join("target")
    }

    /// Downloads, and what is unpacked from them.
    pub(crate) fn cache(&self) -> PathBuf {
        self.target().join("cache")
    }

    /// A copy of the workspace, for what must not depend on where it is.
    pub(crate) fn elsewhere(&self) -> PathBuf {
        self.target().join("elsewhere")
    }

    /// Half-made things; everything in here may be deleted when nobody holds the lock.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.target().join("xtask-tmp")
    }

    /// The patched, configured and built Xen trees.
    pub(crate) fn xen_trees(&self) -> PathBuf {
        self.target().join("xen")
    }

    /// Cargo's output for the archives that the `make`s of Xen trees ask for. What is made for
    /// one configuration is copied into its tree.
    pub(crate) fn p2m_target(&self, name: &str) -> PathBuf {
        self.target().join("xen-p2m").join(name)
    }

    /// What was booted and what it printed, one folder a configuration.
    pub(crate) fn run(&self, name: &str) -> PathBuf {
        self.target().join("run").join(name)
    }

    /// Output of a build step, kept to be read when it fails.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.target().join("log").join(format!("{name}.log"))
    }

    /// The Rust as a series for Xen's own tree.
    pub(crate) fn series(&self) -> PathBuf {
        self.target().join("series")
    }

    /// The patch series for each Xen release.
    pub(crate) fn patches(&self) -> PathBuf {
        self.root.join("patches")
    }
}
