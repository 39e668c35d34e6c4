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

/// Unpacks a package.
pub(crate) fn unpack(paths: &Paths, deb: &Path, root: &Path) -> Result<()> {
    command::logged(
        command::bound("dpkg-deb")
            .arg("--extract")
            .arg(deb)
            .arg(root),
        &paths.log("unpack"),
    )
}
