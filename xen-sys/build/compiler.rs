// SPDX-License-Identifier: GPL-2.0-only
//! The C compiler of the tree, and what it is asked.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::variable;

/// The C compiler of the tree, with its flags made independent of the
/// directory that they are used in.
pub(crate) struct Compiler {
    program: String,
    archiver: String,
    flags: Vec<String>,
    /// Where `helpers.h` is.
    here: PathBuf,
}

impl Compiler {
    pub(crate) fn from_environment(tree: &Path, here: &Path) -> Result<Self, String> {
        // make's CC may begin with a cache, and end with flags.
        let cc = variable("XEN_P2M_CC")?;
        let mut cc = cc
            .split_whitespace()
            .skip_while(|word| ["ccache", "distcc", "sccache"].contains(word));
        let program = cc.next().ok_or("XEN_P2M_CC names no compiler")?.to_owned();
        let archiver = variable("XEN_P2M_AR")?;
        let mut flags: Vec<String> = cc.map(str::to_owned).collect();
        let mut words = variable("XEN_P2M_CFLAGS")?
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
            .into_iter();
        while let Some(word) = words.next() {
            if let Some(dir) = word.strip_prefix("-I") {
                flags.push(format!("-I{}", tree.join(dir).display()));
            } else if word == "-include" {
                let file = words.next().ok_or("XEN_P2M_CFLAGS ends in -include")?;
                flags.extend([word, tree.join(file).display().to_string()]);
            } else {
                flags.push(word);
            }
        }
        Ok(Self {
            program,
            archiver,
            flags,
            here: here.to_owned(),
        })
    }

    /// All flags.
    pub(crate) fn flags(&self) -> &[String] {
        &self.flags
    }

    /// The headers that helpers.c includes, as absolute paths.
    pub(crate) fn headers(&self, cfgs: &[&str]) -> Result<Vec<String>, String> {
        let source = self.here.join("helpers.c");
        let macros: Vec<String> = cfgs
            .iter()
            .map(|cfg| format!("-D{}", macro_of(cfg)))
            .collect();
        let mut arguments: Vec<&OsStr> = macros.iter().map(AsRef::as_ref).collect();
        arguments.extend([OsStr::new("-M"), source.as_ref()]);
        let output = self.run(&arguments)?;
        if !output.status.success() {
            return Err(format!(
                "helpers.c does not fit this tree:\n{}",
                String::from_utf8_lossy(&output.stderr)
            ));
        }
        Ok(String::from_utf8_lossy(&output.stdout)
            .split_whitespace()
            .filter(|word| word.ends_with(".h"))
            .map(str::to_owned)
            .collect())
    }

    /// `libxen_helpers.a`: no flag but Xen's own, and a macro for each cfg.
    pub(crate) fn build_helpers<'a>(
        &self,
        cfgs: impl Iterator<Item = &'a str>,
    ) -> Result<(), String> {
        let mut build = cc::Build::new();
        build
            .compiler(&self.program)
            .archiver(&self.archiver)
            .no_default_flags(true)
            .warnings(false);
        for flag in &self.flags {
            build.flag(flag);
        }
        for cfg in cfgs {
            build.define(&macro_of(cfg), None);
        }
        build
            .file(self.here.join("helpers.c"))
            .try_compile("xen_helpers")
            .map_err(|e| format!("helpers.c does not compile against this tree: {e}"))
    }

    /// Whether this is C; if not, what the compiler says of it.
    pub(crate) fn accepts(&self, source: &Path) -> Result<Result<(), String>, String> {
        let here = format!("-I{}", self.here.display());
        let output = self.run(&["-fsyntax-only".as_ref(), here.as_ref(), source.as_ref()])?;
        Ok(if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        })
    }

    /// Compiles to assembler.
    pub(crate) fn assemble(&self, source: &Path, into: &Path) -> Result<(), String> {
        let here = format!("-I{}", self.here.display());
        let arguments = [here.as_ref(), "-S".as_ref(), source.as_ref()];
        let output = self.run(&[&arguments[..], &["-o".as_ref(), into.as_ref()]].concat())?;
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    fn run(&self, arguments: &[&OsStr]) -> Result<Output, String> {
        Command::new(&self.program)
            .args(&self.flags)
            .args(arguments)
            .output()
            .map_err(|e| format!("cannot run {}: {e}", self.program))
    }
}

/// How helpers.c knows a cfg.
fn macro_of(cfg: &str) -> String {
    cfg.to_uppercase()
}
