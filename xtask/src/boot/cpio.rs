// SPDX-License-Identifier: GPL-2.0-only
//! Writing an initrd: the cpio "newc" format that Linux unpacks (its documentation:
//! `driver-api/early-userspace/buffer-format`).
//!
//! Written here rather than by cpio(1) so that no staging folder with the right owners is needed;
//! everything belongs to root, times are 0, and the same input gives the same bytes. It is
//! not compressed: under emulation unpacking costs more than the copy.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use anyhow::{bail, Context, Result};

use crate::base::files;

const DIR: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// An archive being written.
#[derive(Debug)]
pub(crate) struct Cpio<W: Write> {
    out: W,
    inode: u32,
    dirs: BTreeSet<String>,
}

impl<W: Write> Cpio<W> {
    /// Begins an archive.
    pub(crate) fn new(out: W) -> Self {
        Self {
            out,
            inode: 0,
            dirs: BTreeSet::new(),
        }
    }

    /// Adds a folder and those above it, each once.
    pub(crate) fn dir(&mut self, name: &str) -> Result<()> {
        if name.is_empty() || self.dirs.contains(name) {
            return Ok(());
        }
        self.parents(name)?;
        self.dirs.insert(name.to_owned());
        self.entry(name, DIR | 0o755, &[])
    }

    /// Adds a file.
    pub(crate) fn file(&mut self, name: &str, mode: u32, content: &[u8]) -> Result<()> {
        self.parents(name)?;
        self.entry(name, FILE | mode, content)
    }

    /// Adds a symbolic link.
    pub(crate) fn link(&mut self, name: &str, target: &str) -> Result<()> {
        self.parents(name)?;
        self.entry(name, LINK | 0o777, target.as_bytes())
    }

    /// Adds a file, link or folder, with everything in it, under another name.
    pub(crate) fn tree(&mut self, from: &Path, name: &str) -> Result<()> {
        let read = |error| format!("cannot read {}: {error}", from.display());
        let meta = fs::symlink_metadata(from).map_err(|error| anyhow::anyhow!(read(error)))?;
        if meta.is_dir() {
            self.dir(name)?;
            for child in files::sorted_entries(from)? {
                let last = child.file_name().unwrap_or_default().to_string_lossy();
                self.tree(&child, &format!("{name}/{last}"))?;
            }
            Ok(())
        } else if meta.is_symlink() {
            let target = fs::read_link(from).map_err(|error| anyhow::anyhow!(read(error)))?;
            self.link(name, &target.to_string_lossy())
        } else if meta.is_file() {
            let content = fs::read(from).map_err(|error| anyhow::anyhow!(read(error)))?;
            debug_assert!(meta.size() == content.len() as u64, "it changed under us");
            self.file(name, meta.permissions().mode() & 0o777, &content)
        } else {
            bail!("{} is neither file, folder nor link", from.display())
        }
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> Result<W> {
        self.entry("TRAILER!!!", 0, &[])?;
        Ok(self.out)
    }

    fn parents(&mut self, name: &str) -> Result<()> {
        match name.rsplit_once('/') {
            Some((parent, _)) => self.dir(parent),
            None => Ok(()),
        }
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) -> Result<()> {
        self.inode += 1;
        let size = u32::try_from(content.len())
            .with_context(|| format!("{name} is too large for an initrd"))?;
        let name_size = u32::try_from(name.len() + 1).context("a name is too long")?;
        let links = if mode & DIR == DIR { 2 } else { 1 };
        write!(self.out, "070701")?;
        // inode, mode, uid, gid, links, mtime, size, device (4 fields), name's size, check sum
        for field in [
            self.inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name_size, 0,
        ] {
            write!(self.out, "{field:08X}")?;
        }
        self.out.write_all(name.as_bytes())?;
        // Header and name together, and the content, each end on a multiple of four.
        self.pad(110 + name.len() + 1, 1)?;
        self.out.write_all(content)?;
        self.pad(content.len(), 0)
    }

    fn pad(&mut self, length: usize, more: usize) -> Result<()> {
        let zeros = vec![0; more + length.wrapping_neg() % 4];
        self.out
            .write_all(&zeros)
            .context("cannot write the initrd")
    }
}

#[cfg(test)]
mod tests {
    use super::Cpio;
    use anyhow::Result;

    #[test]
    fn layout_is_newc() -> Result<()> {
        let mut cpio = Cpio::new(Vec::new());
        cpio.file("a", 0o644, b"hello")?;
        let bytes = cpio.finish()?;
        let text = String::from_utf8(bytes)?;
        assert!(text.starts_with("07070100000001000081A4"), "{text}");
        // 110 bytes of header, "a\0", content, padded to 4; then the trailer's 110, name, padding.
        assert_eq!(text.get(110..120), Some("a\0hello\0\0\0"));
        assert_eq!(text.get(120..126), Some("070701"));
        assert_eq!(text.len(), 120 + 110 + 11 + 3);
        Ok(())
    }

    #[test]
    fn folders_come_once_and_before_what_is_in_them() -> Result<()> {
        let mut cpio = Cpio::new(Vec::new());
        cpio.file("x/y/one", 0o600, b"")?;
        cpio.link("x/y/two", "one")?;
        cpio.dir("x")?;
        let text = String::from_utf8(cpio.finish()?)?;
        let names: Vec<&str> = text
            .split("070701")
            .filter_map(|entry| entry.get(104..)?.split('\0').next())
            .collect();
        assert_eq!(names, ["x", "x/y", "x/y/one", "x/y/two", "TRAILER!!!"]);
        Ok(())
    }
}
