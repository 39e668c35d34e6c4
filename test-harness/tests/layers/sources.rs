// SPDX-License-Identifier: GPL-2.0-only
//! The text of a crate's files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The files of one crate, by their path below its source folder.
pub(crate) struct Sources {
    /// The source folder, as a person would write it: `xtask/src`.
    pub(crate) folder: String,
    /// Text by path, which has `/` between its parts.
    pub(crate) files: BTreeMap<String, String>,
}

impl Sources {
    /// Reads all Rust files below a folder of the workspace.
    pub(crate) fn read(folder: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut files = BTreeMap::new();
        read_folder(&root.join(folder), "", &mut files);
        assert!(!files.is_empty(), "{folder} has no Rust files");
        Self {
            folder: folder.into(),
            files,
        }
    }

    /// Files that a test writes itself.
    pub(crate) fn planted(files: &[(&str, &str)]) -> Self {
        let owned = |(path, text): &(&str, &str)| ((*path).into(), (*text).into());
        Self {
            folder: "planted/src".into(),
            files: files.iter().map(owned).collect(),
        }
    }
}

fn read_folder(folder: &Path, below: &str, files: &mut BTreeMap<String, String>) {
    let entries = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()));
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let at = format!("{below}{name}");
        if path.is_dir() {
            read_folder(&path, &format!("{at}/"), files);
        } else if at.ends_with(".rs") {
            files.insert(at, fs::read_to_string(&path).unwrap());
        }
    }
}

/// The folder of a file; empty for files at the top.
pub(crate) fn folder_of(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}
