// SPDX-License-Identifier: GPL-2.0-only
//! Debian's packages, unpacked and not installed.

use std::path::Path;

use anyhow::{Context, Result};

use crate::base::command;
use crate::base::files;
use crate::base::paths::Paths;

/// Packages that still ship `/lib/x` must land in `/usr/lib/x`.
pub(crate) fn merged_usr(root: &Path) -> Result<()> {
    for name in ["bin", "lib", "sbin"] {
        let target = format!("usr/{name}");
        files::create_dir(&root.join(&target))?;
        std::os::unix::fs::symlink(&target, root.join(name))
            .with_context(|| format!("cannot make a link in {}", root.display()))?;
    }
    Ok(())
}

/// What a package has, into `root`. Packages of Debian 12 bring folders where [`merged_usr`] made links, and
/// `dpkg-deb --extract` would replace the links.
const UNPACK: &str = "dpkg-deb --fsys-tarfile \"$1\" > \"$2/.deb.tar\"
    tar --extract --keep-directory-symlink --directory \"$2\" --file \"$2/.deb.tar\"
    rm \"$2/.deb.tar\"";

/// Unpacks a package.
pub(crate) fn unpack(paths: &Paths, deb: &Path, root: &Path) -> Result<()> {
    command::logged(
        command::bound("sh")
            .args(["-e", "-c", UNPACK, "unpack"])
            .arg(deb)
            .arg(root),
        &paths.log("unpack"),
    )
}

#[cfg(test)]
mod tests {
    use super::{merged_usr, unpack};
    use crate::base::command;
    use crate::base::files::{create_dir, read_text, write};
    use crate::base::paths::Paths;

    #[test]
    fn what_a_package_has_in_bin_lands_in_usr_bin() -> anyhow::Result<()> {
        let (dir, paths) = (tempfile::tempdir()?, Paths::find()?);
        if command::which("dpkg-deb").is_none() {
            return Ok(());
        }
        let package = dir.path().join("package");
        for part in ["DEBIAN", "bin", "usr/bin"] {
            create_dir(&package.join(part))?;
        }
        write(
            &package.join("DEBIAN/control"),
            "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x <x@localhost>\nDescription: x\n",
        )?;
        write(&package.join("bin/one"), "1")?;
        write(&package.join("usr/bin/two"), "2")?;
        let deb = dir.path().join("x.deb");
        let mut build = command::bound("dpkg-deb");
        command::output(build.arg("--build").arg(&package).arg(&deb))?;
        let root = dir.path().join("root");
        create_dir(&root)?;
        merged_usr(&root)?;
        unpack(&paths, &deb, &root)?;
        assert!(root.join("bin").is_symlink());
        assert_eq!(read_text(&root.join("usr/bin/one"))?, "1");
        assert_eq!(read_text(&root.join("usr/bin/two"))?, "2");
        Ok(())
    }
}
