// SPDX-License-Identifier: GPL-2.0-only
//! What is booted besides Xen: Debian's arm64 kernel, an initrd for dom0 with Xen's own tools,
//! and a small initrd for the guest.
//!
//! Packages are downloaded and unpacked once into `target/cache/` (nothing in them is run on the
//! host), and packed into an initrd with our scripts from `xtask/assets/`.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::cpio::Cpio;
use super::dom0::steps::{self, Step};
use crate::base::command;
use crate::base::files::{self, Fingerprint};
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::version::Version;
use crate::host::archive::Archive;
use crate::host::programs;
use crate::host::unpack::{merged_usr, unpack};
use crate::xen::build::BuiltXen;
use crate::xen::release;

/// Folders of the unpacked packages that dom0 needs; `{xen}` is Xen's release.
const DOM0_PARTS: &[&str] = &[
    "etc/xen",
    "usr/bin/busybox",
    "usr/bin/kmod",
    "usr/lib/ld-linux-aarch64.so.1",
    "usr/lib/xen-{xen}/bin",
    "usr/sbin/depmod",
    "usr/sbin/modprobe",
    "usr/sbin/xenhypfs",
];

/// One program that is all commands.
const BUSYBOX: &str = "usr/bin/busybox";

/// Where the shared libraries are; of these only the files, and not the interpreters' folders.
const LIBS: &str = "usr/lib/aarch64-linux-gnu";

/// Commands that are many names of few files.
const XENSTORE: &str = "xenstore";

const INIT: &[u8] = include_bytes!("../../assets/dom0/init");
const XEN_ACCESS: &[u8] = include_bytes!("../../assets/dom0/lib-xen-access");
const GUEST_INIT: &[u8] = include_bytes!("../../assets/guest/init");
const GUEST_CONFIG: &[u8] = include_bytes!("../../assets/guest/guest.cfg");

/// What QEMU is given besides Xen.
#[derive(Clone, Debug)]
pub(crate) struct Images {
    /// Linux, for dom0 and the guest alike.
    pub(crate) kernel: PathBuf,
    /// dom0's initrd.
    pub(crate) initrd: PathBuf,
}

/// What the packages have that other images are made of.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    /// The kernel's release, by which its modules' folder is called.
    pub(crate) version: String,
    /// That folder.
    pub(crate) modules: PathBuf,
    /// A busybox that needs no library.
    pub(crate) busybox: PathBuf,
}

/// Where the parts of the packages are, once [`prepare`] has fetched them.
pub(crate) fn kernel(paths: &Paths, progress: Progress, release: Version) -> Result<Kernel> {
    let packages = Packages::fetch(paths, progress, release)?;
    let modules = files::sorted_entries(&packages.kernel.join("usr/lib/modules"))?
        .pop()
        .context("the kernel's package has no modules")?;
    let name = modules.file_name().unwrap_or_default();
    Ok(Kernel {
        version: name.to_string_lossy().into_owned(),
        busybox: packages.dom0.join("usr/bin/busybox"),
        modules,
    })
}

/// Makes what is not there yet, for a Xen that was built.
pub(crate) fn prepare(paths: &Paths, progress: Progress, xen: &BuiltXen) -> Result<Images> {
    let release = xen.release;
    let packages = Packages::fetch(paths, progress, release)?;
    let dir = paths.cache().join(format!("initrd-{release}"));
    let probe = programs::probe(paths, &xen.tree, &paths.run("probe"))?;
    let stamp = packages.fingerprint(&probe)?;
    if !files::is_current(&dir, &stamp) {
        let task = progress.start("Packing the initrd");
        files::make_whole(paths, &dir, &stamp, |scratch| {
            packages.pack(&scratch.join("dom0.cpio"), &probe)
        })?;
        task.done();
    }
    Ok(Images {
        kernel: packages.kernel()?,
        initrd: dir.join("dom0.cpio"),
    })
}

impl Kernel {
    /// One of its modules, `kernel/drivers/...` without an ending, unpacked into `dir`: busybox wants it so.
    pub(crate) fn module(&self, paths: &Paths, name: &str, dir: &Path) -> Result<PathBuf> {
        files::create_dir(dir)?;
        let from = self.modules.join(format!("{name}.ko.xz"));
        let short = Path::new(name)
            .file_name()
            .context("a module without a name")?;
        let module = dir.join(short).with_extension("ko");
        let packed = dir.join(short).with_extension("ko.xz");
        std::fs::copy(&from, &packed).with_context(|| format!("cannot copy {}", from.display()))?;
        command::logged(
            command::bound("xz")
                .args(["--decompress", "--force"])
                .arg(&packed),
            &paths.log("module"),
        )?;
        Ok(module)
    }
}

/// A dom0 that has busybox and these steps, and no tools of Xen's. More files: modules go to /xtask/modules, a
/// program to /xtask.
pub(super) fn without_tools(
    paths: &Paths,
    progress: Progress,
    steps: &[Step],
    more: &[PathBuf],
) -> Result<Images> {
    let packages = Packages::fetch(paths, progress, release::DEFAULT)?;
    let dir = paths.cache().join("initrd-no-tools");
    let mut hash = Fingerprint::default();
    hash.add(packages.kernel()?.as_os_str().as_encoded_bytes())
        .add(INIT)
        .add(include_bytes!("images.rs"));
    for step in steps {
        hash.add(step.name).add(step.script);
    }
    for file in more {
        hash.add_file(file)?;
    }
    let stamp = hash.hex();
    if !files::is_current(&dir, &stamp) {
        files::make_whole(paths, &dir, &stamp, |scratch| {
            let mut cpio = Cpio::new(Vec::new());
            skeleton(&mut cpio)?;
            cpio.tree(&packages.dom0.join(BUSYBOX), BUSYBOX)?;
            cpio.file("init", 0o755, INIT)?;
            scripts(&mut cpio, steps)?;
            for file in more {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                let is_module = file.extension().is_some_and(|end| end == "ko");
                let folder = if is_module { "xtask/modules" } else { "xtask" };
                cpio.tree(file, &format!("{folder}/{name}"))?;
            }
            files::write(&scratch.join("dom0.cpio"), cpio.finish()?)
        })?;
    }
    Ok(Images {
        kernel: packages.kernel()?,
        initrd: dir.join("dom0.cpio"),
    })
}

/// The scripts of dom0's steps.
fn scripts<W: std::io::Write>(cpio: &mut Cpio<W>, steps: &[Step]) -> Result<()> {
    steps.iter().try_for_each(|step| {
        let name = format!("xtask/steps/{}", step.name);
        cpio.file(&name, 0o755, step.script.as_bytes())
    })
}

/// Debian's packages, unpacked.
struct Packages {
    dom0: PathBuf,
    kernel: PathBuf,
    release: Version,
}

impl Packages {
    fn fetch(paths: &Paths, progress: Progress, release: Version) -> Result<Self> {
        let suite = release::debian_suite(release)?;
        let found = Self {
            dom0: paths.cache().join(format!("dom0-{release}")),
            kernel: paths.cache().join(format!("kernel-{suite}")),
            release,
        };
        let tools = format!("xen-utils-{release}");
        let wanted = ["busybox-static", "kmod", "xenstore-utils", tools.as_str()];
        let stamp = wanted.join(" ");
        let need_dom0 = !files::is_current(&found.dom0, &stamp);
        let need_kernel = !files::is_current(&found.kernel, suite);
        if !need_dom0 && !need_kernel {
            return Ok(found);
        }
        files::require_space(&paths.cache(), 1024)?;
        let archive = Archive::open(paths, suite)?;
        let task = progress.start(format!("Reading the lists of Debian {suite}"));
        archive.update()?;
        task.done();
        if need_dom0 {
            let mut task = progress.start("Downloading dom0's tools");
            files::make_whole(paths, &found.dom0, &stamp, |scratch| {
                merged_usr(scratch)?;
                let debs = archive.closure(&wanted)?;
                task.note("unpacking");
                debs.iter()
                    .try_for_each(|deb| unpack(paths, deb, scratch))?;
                archive.forget()
            })?;
            task.done();
        }
        if need_kernel {
            let mut task = progress.start("Downloading the kernel");
            files::make_whole(paths, &found.kernel, suite, |scratch| {
                let name = archive.dependency("linux-image-arm64")?;
                let download = files::scratch_dir(paths)?;
                let deb = archive.package(&name, download.path())?;
                task.note("unpacking");
                merged_usr(scratch)?;
                unpack(paths, &deb, scratch)
            })?;
            task.done();
        }
        Ok(found)
    }

    /// Packages by their folders' names and stamps, scripts by their content.
    fn fingerprint(&self, probe: &Path) -> Result<String> {
        let mut hash = Fingerprint::default();
        hash.add_file(probe)?;
        hash.add(self.kernel()?.as_os_str().as_encoded_bytes())
            .add(INIT)
            .add(XEN_ACCESS)
            .add(GUEST_INIT)
            .add(GUEST_CONFIG)
            // How it is packed is an input as well.
            .add(include_bytes!("images.rs"))
            .add(include_bytes!("../host/unpack.rs"));
        for step in steps::ALL {
            hash.add(step.name).add(step.script);
        }
        for part in [&self.dom0, &self.kernel] {
            let made = std::fs::metadata(part)
                .and_then(|meta| meta.modified())
                .with_context(|| format!("cannot read {}", part.display()))?;
            hash.add(format!("{made:?}"));
        }
        Ok(hash.hex())
    }

    fn kernel(&self) -> Result<PathBuf> {
        let boot = self.kernel.join("boot");
        let mut found = files::sorted_entries(&boot)?;
        found.retain(|path| path.to_string_lossy().contains("/vmlinuz-"));
        found.pop().with_context(|| {
            format!(
                "{} has no kernel: delete {} and run this again",
                boot.display(),
                self.kernel.display()
            )
        })
    }

    fn pack(&self, to: &Path, probe: &Path) -> Result<()> {
        let file = File::create(to).with_context(|| format!("cannot write {}", to.display()))?;
        let mut cpio = Cpio::new(BufWriter::new(file));
        skeleton(&mut cpio)?;
        for part in DOM0_PARTS {
            let part = part.replace("{xen}", &self.release.to_string());
            cpio.tree(&self.dom0.join(&part), &part)?;
        }
        self.libraries(&mut cpio)?;
        self.modules(&mut cpio)?;
        cpio.file("init", 0o755, INIT)?;
        cpio.file("xtask/lib-xen-access", 0o644, XEN_ACCESS)?;
        cpio.tree(probe, "xtask/probe")?;
        scripts(&mut cpio, steps::ALL)?;
        cpio.tree(&self.kernel()?, "guest/vmlinuz")?;
        cpio.file("guest/initrd", 0o644, &self.guest_initrd()?)?;
        cpio.file("guest/guest.cfg", 0o644, GUEST_CONFIG)?;
        std::io::Write::flush(&mut cpio.finish()?)
            .with_context(|| format!("cannot write {}", to.display()))
    }

    fn libraries(&self, cpio: &mut Cpio<BufWriter<File>>) -> Result<()> {
        for entry in files::sorted_entries(&self.dom0.join(LIBS))? {
            let name = entry.file_name().unwrap_or_default().to_string_lossy();
            if !entry.is_dir() && name.contains(".so") {
                cpio.tree(&entry, &format!("{LIBS}/{name}"))?;
            }
        }
        for entry in files::sorted_entries(&self.dom0.join("usr/bin"))? {
            let name = entry.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(XENSTORE) && !entry.is_symlink() {
                cpio.tree(&entry, &format!("usr/bin/{name}"))?;
            }
        }
        Ok(())
    }

    /// Xen's drivers; depmod in dom0 makes the index.
    fn modules(&self, cpio: &mut Cpio<BufWriter<File>>) -> Result<()> {
        for version in files::sorted_entries(&self.kernel.join("usr/lib/modules"))? {
            let name = version.file_name().unwrap_or_default().to_string_lossy();
            for part in ["modules.builtin", "modules.order", "kernel/drivers/xen"] {
                cpio.tree(
                    &version.join(part),
                    &format!("usr/lib/modules/{name}/{part}"),
                )?;
            }
        }
        Ok(())
    }

    fn guest_initrd(&self) -> Result<Vec<u8>> {
        let mut cpio = Cpio::new(Vec::new());
        for dir in ["dev", "proc", "sys"] {
            cpio.dir(dir)?;
        }
        cpio.tree(&self.dom0.join("usr/bin/busybox"), "bin/busybox")?;
        cpio.file("init", 0o755, GUEST_INIT)?;
        cpio.finish()
    }
}

/// Empty folders and the links that programs expect.
fn skeleton<W: std::io::Write>(cpio: &mut Cpio<W>) -> Result<()> {
    for dir in ["dev", "proc", "run/lock", "sys", "tmp", "var/lib/xen"] {
        cpio.dir(dir)?;
    }
    for name in ["bin", "lib", "sbin"] {
        cpio.dir(&format!("usr/{name}"))?;
        cpio.link(name, &format!("usr/{name}"))?;
    }
    // Xen's tools write to both names and expect the same files.
    cpio.link("var/run", "/run")?;
    cpio.link("var/lock", "/run/lock")
}
