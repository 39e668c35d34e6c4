// SPDX-License-Identifier: GPL-2.0-only
//! Compiles both sides and what is around them for this machine, and links them into one program.

use std::path::{Path, PathBuf};

use anyhow::{ensure, Context, Result};

use crate::base::cli::{BuildArgs, P2m, SourceArgs};
use crate::base::command;
use crate::base::files;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::host::rust_toolchain::{self, NATIVE};
use crate::host::tools::{self, Use};
use crate::xen::build::{self, BuiltXen};

/// Xen's own C, under `xen/`, one side. Not every release has all.
const SIDE: [&str; 3] = [
    "arch/arm/p2m.c",
    "arch/arm/mmu/p2m.c",
    "arch/arm/mem_access.c",
];

/// Xen's own C that both sides use. The linker leaves out what nobody calls.
const SHARED: [&str; 4] = [
    "common/rwlock.c",
    "common/spinlock.c",
    "common/pdx.c",
    "arch/arm/mm.c",
];

/// In `native-bench/c/`: with Xen's headers, and as any program.
const LIKE_XEN: [&str; 4] = ["machine.c", "domains.c", "rows.c", "radix-tree.c"];
const LIKE_ANY: [&str; 2] = ["main.c", "others.c"];

/// Xen's flags for its C (a release build), but for the names of Arm's CPUs. Xen's headers ask the compiler which
/// machine it compiles for, and are told Arm; no code of a hypervisor may use the stack below its pointer, nor
/// registers that it does not save.
const FLAGS: &str = "-U__x86_64__ -U__x86_64 -D__aarch64__ -DBUILD_ID -D__XEN__ \
    -std=gnu99 -O2 -fomit-frame-pointer -fno-strict-aliasing -nostdinc -fno-builtin -fno-common -fno-pie \
    -fno-stack-protector -fno-exceptions -fno-asynchronous-unwind-tables -mgeneral-regs-only -mno-red-zone \
    -fcf-protection=none -ffunction-sections -fdata-sections -Werror=implicit-function-declaration \
    -include include/xen/config.h";

/// Flags for rustc as in `p2m-rust.mk`, with the code model of a program.
const RUSTFLAGS: &str =
    "-Zfunction-sections=n -Cforce-unwind-tables=n -Crelocation-model=static -Ccode-model=small";

/// There are instructions in the place of Arm's for one kind of machine.
pub(crate) fn is_for_this_machine() -> bool {
    cfg!(target_arch = "x86_64")
}

/// The program, and the tree whose C is in it.
pub(super) fn build(
    paths: &Paths,
    progress: Progress,
    source: &SourceArgs,
) -> Result<(PathBuf, BuiltXen)> {
    ensure!(
        is_for_this_machine(),
        "only on x86-64 there are instructions in the place of Arm's; on an Arm machine, \
         boot the benchmark itself (cargo xtask image)"
    );
    let mut uses = Use::build(P2m::Rust);
    uses.push(Use::Native);
    tools::require(paths, progress, &uses)?;
    let args = BuildArgs {
        source: source.clone(),
        ..BuildArgs::of(P2m::Rust)
    };
    let xen = build::build(paths, progress, &args)?;
    let task = progress.start("Building both p2m for this machine");
    let native = Native {
        native: paths.root().join("native-bench"),
        out: paths.target().join("native").join(&xen.name),
        log: paths.log("native-build"),
        tree: xen.tree.join("xen"),
        paths,
        xen: &xen,
    };
    files::create_dir(&native.out)?;
    let archive = native.archive()?;
    let program = native.link(&archive)?;
    task.done();
    Ok((program, xen))
}

struct Native<'a> {
    /// Our C and headers.
    native: PathBuf,
    /// Where all goes.
    out: PathBuf,
    log: PathBuf,
    /// Xen's sources, configured.
    tree: PathBuf,
    paths: &'a Paths,
    xen: &'a BuiltXen,
}

impl Native<'_> {
    /// For the compiler: from the tree's own folder.
    fn flags(&self) -> Vec<String> {
        let own = [
            format!("-I{}", self.native.join("include").display()),
            format!("-I{}", self.native.join("c").display()),
        ];
        let tree = [
            "-I./include",
            "-I./arch/arm/include",
            "-I./arch/arm/include/generated",
        ];
        let flags = FLAGS.split_whitespace().map(str::to_owned);
        flags.chain(own).chain(tree.map(str::to_owned)).collect()
    }

    /// `libxen_p2m.a`, as Xen's make has it built, with other flags for C and for another target.
    fn archive(&self) -> Result<PathBuf> {
        let toolchain = rust_toolchain::find_for(NATIVE).with_context(|| {
            format!("Debian's Rust packages are installed and still cannot build for {NATIVE}")
        })?;
        let target = self
            .paths
            .p2m_target(&build::cargo_target(self.xen, &toolchain));
        let mut flags = self.flags();
        // Before helpers.c, which includes its own otherwise.
        let instructions = self.native.join("include/instructions.h");
        flags.extend(["-include".to_owned(), instructions.display().to_string()]);
        let mut cargo = command::bound(&toolchain.cargo);
        cargo
            .args(["build", "--locked", "--release", "--package", "xen-p2m"])
            .args(["--target", NATIVE])
            .args(&toolchain.cargo_args)
            .current_dir(self.paths.root())
            .env_remove("CFLAGS")
            .envs(toolchain.env.iter().map(|(name, value)| (name, value)))
            .env("XEN_P2M_TREE", &self.tree)
            .env("XEN_P2M_OBJTREE", &self.tree)
            .env("XEN_P2M_CC", "gcc")
            .env("XEN_P2M_AR", "ar")
            .env("XEN_P2M_CFLAGS", flags.join(" "))
            .env("RUSTC", &toolchain.rustc)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", RUSTFLAGS)
            .env("CARGO_TARGET_DIR", &target);
        command::logged(&mut cargo, &self.log)?;
        let archive = self.out.join("libxen_p2m.a");
        let made = target.join(NATIVE).join("release/libxen_p2m.a");
        std::fs::copy(&made, &archive)
            .with_context(|| format!("cannot copy {}", made.display()))?;
        Ok(archive)
    }

    fn compile(&self, source: &Path, flags: &[String]) -> Result<PathBuf> {
        let name = source.to_string_lossy().replace('/', "_");
        let object = self.out.join(format!("{name}.o"));
        let mut gcc = command::bound("gcc");
        gcc.args(flags)
            .arg("-c")
            .arg(source)
            .arg("-o")
            .arg(&object)
            .current_dir(&self.tree);
        command::logged(&mut gcc, &self.log)?;
        Ok(object)
    }

    /// The C side in one object, each of its symbols with a `c_` before its name: the Rust has them as they are.
    fn side(&self) -> Result<PathBuf> {
        let flags = self.flags();
        let mut objects = Vec::new();
        for source in SIDE.iter().filter(|source| self.tree.join(source).exists()) {
            objects.push(self.compile(Path::new(source), &flags)?);
        }
        let whole = self.out.join("side.o");
        let mut ld = command::bound("ld");
        ld.arg("-r").args(&objects).arg("-o").arg(&whole);
        command::logged(&mut ld, &self.log)?;
        let shown = command::output(
            command::clean("nm")
                .args(["--defined-only", "--extern-only", "--format=posix"])
                .arg(&whole),
        )?;
        let names = shown.lines().filter_map(|line| line.split(' ').next());
        let renamed: String = names.map(|name| format!("{name} c_{name}\n")).collect();
        ensure!(
            renamed.contains("c_p2m_lookup"),
            "Xen's C has no p2m_lookup()"
        );
        let list = self.out.join("side.names");
        files::write(&list, renamed)?;
        let object = self.out.join("xen_c.o");
        let mut objcopy = command::bound("objcopy");
        objcopy
            .arg(format!("--redefine-syms={}", list.display()))
            .args([&whole, &object]);
        command::logged(&mut objcopy, &self.log)?;
        Ok(object)
    }

    fn link(&self, archive: &Path) -> Result<PathBuf> {
        let like_xen = self.flags();
        let like_any =
            ["-std=gnu11", "-O2", "-fno-pie", "-fno-builtin", "-Wall"].map(str::to_owned);
        let own = |name: &str| self.native.join("c").join(name);
        let mut objects = vec![self.side()?];
        for source in SHARED {
            objects.push(self.compile(Path::new(source), &like_xen)?);
        }
        for name in LIKE_XEN {
            objects.push(self.compile(&own(name), &like_xen)?);
        }
        for name in LIKE_ANY {
            objects.push(self.compile(&own(name), &like_any)?);
        }
        let program = self.out.join("native");
        let mut gcc = command::bound("gcc");
        gcc.args(["-no-pie", "-pthread", "-Wl,--gc-sections", "-o"])
            .arg(&program)
            .args(&objects)
            .arg(archive);
        command::logged(&mut gcc, &self.log)?;
        Ok(program)
    }
}
