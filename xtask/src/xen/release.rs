// SPDX-License-Identifier: GPL-2.0-only
//! Xen's releases: what a tree says it is, and which ones have patches.

use std::path::Path;

use anyhow::{bail, Context, Result};

use crate::base::files;
use crate::base::version::Version;

/// What is built when the user brings no tree of their own.
pub(crate) const DEFAULT: Version = Version::new(4, 20);

/// The Debian release whose source package and tools are of this Xen release.
pub(crate) fn debian_suite(release: Version) -> Result<&'static str> {
    match release {
        Version {
            major: 4,
            minor: 20,
        } => Ok("trixie"),
        Version {
            major: 4,
            minor: 17,
        } => Ok("bookworm"),
        other => bail!(
            "no Debian release has Xen {other}; its source can be taken from a clone of xen.git \
             (--release {other} --xen-git PATH) or from a tree (--xen-tree PATH)"
        ),
    }
}

/// Is there a Debian with tools for dom0? They must be of the hypervisor's release.
pub(crate) fn has_tools(release: Version) -> bool {
    debian_suite(release).is_ok()
}

/// A file of Debian's archive, by its path and hash.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolFile {
    /// Below the mirror's address.
    pub(crate) path: &'static str,
    /// In hexadecimal.
    pub(crate) sha256: &'static str,
}

/// The source of a release that the patches are tested with.
pub(crate) fn tested_tarball(release: Version) -> Option<PoolFile> {
    match (release.major, release.minor) {
        (4, 17) => Some(PoolFile {
            path: "pool/main/x/xen/xen_4.17.5+72-g01140da4e8.orig.tar.xz",
            sha256: "53922f4d0a02c577f2ea9d63f65989cd88715779eebeed879ca1d314103ee06e",
        }),
        (4, 20) => Some(PoolFile {
            path: "pool/main/x/xen/xen_4.20.3+127-gc42374a105.orig.tar.xz",
            sha256: "df0831854a55a8f31cb3cb85036f2edc928e2ef098d77f815f5714bfafac68f3",
        }),
        _ => None,
    }
}

/// The release of a Xen tree; fails with a clear sentence when it is not one.
pub(crate) fn of_tree(tree: &Path) -> Result<Version> {
    let makefile = tree.join("xen/Makefile");
    if !tree.join("xen/arch/arm").is_dir() || !makefile.is_file() {
        bail!(
            "{} is not a Xen tree: it has no xen/Makefile and xen/arch/arm",
            tree.display()
        );
    }
    parse(&files::read_text(&makefile)?)
        .with_context(|| format!("{} does not say which Xen it is", makefile.display()))
}

/// The releases that are tested, oldest first, as the archive's own build script has them. The last is what
/// Xen's staging says that it is.
pub(crate) const RELEASES: [Version; 7] = [
    Version::new(4, 17),
    Version::new(4, 18),
    Version::new(4, 19),
    Version::new(4, 20),
    Version::new(4, 21),
    Version::new(4, 22),
    Version::new(4, 23),
];

/// `4.17, 4.18, ...`
pub(crate) fn all() -> String {
    let names: Vec<String> = RELEASES.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// Fails, naming those that are, for a release that is not tested: that it builds proves nothing.
pub(crate) fn require_tested(release: Version) -> Result<()> {
    if RELEASES.contains(&release) {
        return Ok(());
    }
    bail!(
        "this p2m is not tested with Xen {release}: it is for {}",
        all()
    )
}

/// The same for a tree.
pub(crate) fn require_supported(tree: &Path, release: Version) -> Result<()> {
    require_tested(release).with_context(|| format!("{} is Xen {release}", tree.display()))
}

/// What `xen/Makefile` says.
pub(super) fn parse(makefile: &str) -> Option<Version> {
    let number = |name: &str| {
        makefile.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key.trim().trim_start_matches("export").trim() == name)
                .then(|| value.trim().parse().ok())?
        })
    };
    Some(Version::new(
        number("XEN_VERSION")?,
        number("XEN_SUBVERSION")?,
    ))
}

#[cfg(test)]
mod tests {
    use super::{all, parse, require_supported, RELEASES};
    use crate::base::files::read_text;
    use crate::base::paths::Paths;
    use crate::base::version::Version;
    use std::path::Path;

    #[test]
    fn the_archive_is_for_the_same_releases() -> anyhow::Result<()> {
        let script = read_text(&Paths::find()?.root().join("build.rs"))?;
        let list = script
            .split_once("const RELEASES: &[&str] = &[")
            .and_then(|(_, rest)| rest.split_once("];"))
            .map(|(list, _)| list.replace(['"', '\n'], " "));
        let list: Vec<Version> = list
            .unwrap_or_default()
            .split(',')
            .filter_map(Version::find_in)
            .collect();
        assert_eq!(list, RELEASES);
        Ok(())
    }

    #[test]
    fn an_unknown_release_is_refused_by_a_sentence() {
        let tree = Path::new("/tree");
        assert!(require_supported(tree, Version::new(4, 17)).is_ok());
        assert!(require_supported(tree, Version::new(4, 23)).is_ok());
        for unknown in [Version::new(4, 16), Version::new(4, 24)] {
            let said = require_supported(tree, unknown).map_err(|error| format!("{error:#}"));
            let said = said.err().unwrap_or_default();
            assert!(said.contains(&format!("/tree is Xen {unknown}")) && said.contains(&all()));
        }
    }

    #[test]
    fn release_from_the_makefile() {
        let text = "# comment\nexport XEN_VERSION       = 4\nexport XEN_SUBVERSION    = 20\n\
                    export XEN_EXTRAVERSION ?= .4-pre$(XEN_VENDORVERSION)\n\
                    export XEN_FULLVERSION   = $(XEN_VERSION).$(XEN_SUBVERSION)\n";
        assert_eq!(parse(text), Some(Version::new(4, 20)));
    }

    #[test]
    fn another_project_has_no_release() {
        assert_eq!(parse("VERSION = 6\nPATCHLEVEL = 12\n"), None);
        assert_eq!(parse("export XEN_VERSION = 4\n"), None);
    }
}
