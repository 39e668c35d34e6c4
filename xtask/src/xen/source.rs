// SPDX-License-Identifier: GPL-2.0-only
//! Xen's source: Debian's upstream tarball, what a clone has of a release, or a copy of the user's own tree.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};

use super::git::Branch;
use super::release;
use crate::base::cli::SourceArgs;
use crate::base::command;
use crate::base::files::{self, Fingerprint};
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::version::Version;
use crate::host::archive::Archive;

/// What the user chose.
#[derive(Clone, Debug)]
pub(crate) enum Chosen {
    /// A release that Debian has.
    Debian(Version),
    /// A release in a clone of xen.git.
    Git {
        /// Which.
        release: Version,
        /// Where in which clone.
        branch: Branch,
    },
    /// A tree of theirs, and its release.
    Tree(PathBuf, Version),
}

impl Chosen {
    /// Looks at the tree or the clone; downloads nothing yet.
    pub(crate) fn by(args: &SourceArgs) -> Result<Self> {
        if let Some(tree) = &args.xen_tree {
            let tree = tree
                .canonicalize()
                .with_context(|| format!("there is no Xen tree at {}", tree.display()))?;
            let version = release::of_tree(&tree)?;
            release::require_supported(&tree, version)?;
            return Ok(Self::Tree(tree, version));
        }
        let version = args.release.unwrap_or(release::DEFAULT);
        release::require_tested(version)?;
        match &args.xen_git {
            Some(clone) => Ok(Self::Git {
                release: version,
                branch: Branch::find(clone, version)?,
            }),
            None => {
                release::debian_suite(version)?;
                Ok(Self::Debian(version))
            }
        }
    }

    /// Its release.
    pub(crate) fn release(&self) -> Version {
        match self {
            Self::Debian(release) | Self::Git { release, .. } | Self::Tree(_, release) => *release,
        }
    }

    /// The source itself.
    pub(crate) fn source(self, paths: &Paths, progress: Progress) -> Result<Source> {
        match self {
            Self::Debian(release) => Source::download(paths, progress, release),
            Self::Git { release, branch } => Ok(Source::Git(release, branch)),
            Self::Tree(tree, _) => Ok(Source::Tree(tree)),
        }
    }
}

/// Where a tree comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Debian's tarball.
    Tarball(PathBuf),
    /// A commit of a clone.
    Git(Version, Branch),
    /// The user's tree, which is only read.
    Tree(PathBuf),
}

impl Source {
    /// The tarball of a release, downloaded once.
    pub(crate) fn download(paths: &Paths, progress: Progress, version: Version) -> Result<Self> {
        let suite = release::debian_suite(version)?;
        let dir = paths.cache().join(format!("xen-{version}"));
        if !files::is_current(&dir, suite) {
            files::require_space(&paths.cache(), 1024)?;
            let task = progress.start(format!("Downloading Xen {version}'s source"));
            files::make_whole(paths, &dir, suite, |scratch| {
                let archive = Archive::open(paths, suite)?;
                fetch(&archive, version, scratch)
            })?;
            task.done();
        }
        files::sorted_entries(&dir)?
            .into_iter()
            .find(|path| path.to_string_lossy().contains(".orig.tar."))
            .map(Self::Tarball)
            .with_context(|| {
                format!(
                    "{} has no source tarball: delete that folder and run this again",
                    dir.display()
                )
            })
    }

    /// Adds what identifies the source to what a built tree is made from.
    pub(crate) fn fingerprint(&self, hash: &mut Fingerprint) -> Result<()> {
        match self {
            Self::Tarball(tarball) => {
                hash.add_file(tarball)?;
            }
            Self::Git(_, branch) => {
                hash.add(&branch.commit);
            }
            Self::Tree(tree) => {
                // Names, sizes and times, as make and rsync do: reading it all takes longer.
                for name in source_files(tree)? {
                    let meta = fs::symlink_metadata(tree.join(&name))
                        .with_context(|| format!("cannot read {name} in {}", tree.display()))?;
                    let time = meta
                        .modified()
                        .ok()
                        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
                        .unwrap_or_default();
                    hash.add(&name)
                        .add(meta.len().to_le_bytes())
                        .add(time.as_nanos().to_le_bytes());
                }
            }
        }
        Ok(())
    }

    /// Which Xen it is, as the tarball's name says (release, and the commit after `g`).
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Tarball(tarball) => {
                let name = tarball.file_name().unwrap_or_default().to_string_lossy();
                let name = name.strip_prefix("xen_").unwrap_or(&name);
                let name = name.split(".orig.").next().unwrap_or(name);
                name.to_owned()
            }
            Self::Git(release, branch) => format!("{release}, {branch}"),
            Self::Tree(_) => "a tree of the user's own".to_owned(),
        }
    }

    /// Puts a pristine tree into the empty folder `dir`.
    pub(crate) fn unpack(&self, paths: &Paths, dir: &Path) -> Result<()> {
        let log = paths.log("xen-unpack");
        match self {
            Self::Tarball(tarball) => command::logged(
                command::bound("tar")
                    .args(["--extract", "--strip-components=1", "--file"])
                    .arg(tarball)
                    .arg("--directory")
                    .arg(dir),
                &log,
            ),
            Self::Git(_, branch) => branch.export(paths, dir, &log),
            Self::Tree(tree) => {
                let list = files::scratch_dir(paths)?;
                let list = list.path().join("files");
                files::write(&list, source_files(tree)?.join("\0"))?;
                let packed = list.with_extension("tar");
                command::logged(
                    command::bound("tar")
                        .args(["--create", "--null", "--no-recursion", "--file"])
                        .arg(&packed)
                        .arg("--directory")
                        .arg(tree)
                        .arg("--files-from")
                        .arg(&list),
                    &log,
                )?;
                command::logged(
                    command::bound("tar")
                        .args(["--extract", "--file"])
                        .arg(&packed)
                        .arg("--directory")
                        .arg(dir),
                    &log,
                )
            }
        }
    }
}

/// The tarball that the patches were made for, as long as the mirror has it; then the release's
/// present one, which is the same but for later fixes.
fn fetch(archive: &Archive, version: Version, into: &Path) -> Result<()> {
    if let Some(tested) = release::tested_tarball(version) {
        if archive.file(tested.path, tested.sha256, into).is_ok() {
            return Ok(());
        }
    }
    archive.update()?;
    archive.source("xen", into)
}

/// The files of a user's tree that are source: what git knows or would add, or, without git, all
/// but what a build leaves behind.
fn source_files(tree: &Path) -> Result<Vec<String>> {
    let mut names: Vec<String> = if tree.join(".git").exists() {
        command::output(command::clean("git").arg("-C").arg(tree).args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]))?
        .split('\0')
        .map(str::to_owned)
        .collect()
    } else {
        command::output(
            command::clean("find")
                .args([".", "(", "-type", "f", "-o", "-type", "l", ")"])
                .args(["-printf", "%P\\0"])
                .current_dir(tree),
        )?
        .split('\0')
        .filter(|name| !is_built(name))
        .map(str::to_owned)
        .collect()
    };
    // git also lists what was deleted without saying so to git.
    names.retain(|name| !name.is_empty() && tree.join(name).symlink_metadata().is_ok());
    names.sort();
    names.dedup();
    if names.is_empty() {
        bail!("{} has no source files", tree.display());
    }
    Ok(names)
}

/// Is this file made by Xen's build?
fn is_built(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    let made = [".o", ".a", ".cmd", ".d", ".i", ".map", ".tmp"];
    made.iter().any(|suffix| file.ends_with(suffix))
        || file == ".config"
        || file == ".config.old"
        || name.starts_with("xen/arch/arm/rust/target/")
        || name.starts_with("xen/include/config/")
        || name.starts_with("xen/include/generated/")
        || ["xen/xen", "xen/xen-syms", "xen/xen.efi"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::is_built;

    #[test]
    fn sources_and_products() {
        for source in [
            "xen/Makefile",
            "xen/arch/arm/p2m.c",
            "xen/Kconfig",
            "xen/arch/arm/xen.lds.S",
        ] {
            assert!(!is_built(source), "{source}");
        }
        for product in [
            "xen/arch/arm/p2m.o",
            "xen/arch/arm/.p2m.o.cmd",
            "xen/arch/arm/rust/target/CACHEDIR.TAG",
            "xen/.config",
            "xen/xen",
        ] {
            assert!(is_built(product), "{product}");
        }
    }
}
