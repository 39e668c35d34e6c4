// SPDX-License-Identifier: GPL-2.0-only
//! Packages of another Debian release or architecture, fetched without touching the system.
//!
//! apt runs with a configuration of its own below `target/cache/`: own sources, own state, own
//! cache, an empty list of installed packages. It checks the archive's signatures and every
//! file's hash, and keeps unfinished downloads apart, so a file that arrives here is whole.
//! Of the machine's configuration only the `Acquire` part is taken over (proxies and the like).

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{anyhow, bail, Context, Result};

use super::sources;
use crate::base::command;
use crate::base::files;
use crate::base::paths::Paths;

/// Debian's own keys, as its installer puts them on every machine.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// What runs on the emulated machine.
const GUEST: &str = "arm64";

/// What the machine's own packages are, where a program of its own Debian is unpacked and not
/// installed: such a program runs with the machine's C library, compiler and linker.
const BASICS: &str = "libc6 libgcc-s1 libstdc++6 libc6-dev gcc binutils zlib1g";

/// A private apt for one release of Debian and one architecture.
#[derive(Debug)]
pub(crate) struct Archive {
    dir: PathBuf,
    config: PathBuf,
    suite: String,
    log: PathBuf,
}

impl Archive {
    /// Packages for the emulated machine. Sets up the configuration; asks the mirror nothing yet.
    pub(crate) fn open(paths: &Paths, suite: &str) -> Result<Self> {
        Self::set_up(paths, suite, suite, GUEST)
    }

    /// Packages for this machine.
    pub(crate) fn open_host(paths: &Paths, suite: &str) -> Result<Self> {
        let arch = command::output(command::clean("dpkg").arg("--print-architecture"))?;
        let arch = arch.trim();
        Self::set_up(paths, suite, &format!("{suite}-host-{arch}"), arch)
    }

    /// What the machine's own sources offer, security and updates included; programs from here run on
    /// this machine.
    pub(crate) fn open_own(paths: &Paths) -> Result<Self> {
        let arch = command::output(command::clean("dpkg").arg("--print-architecture"))?;
        let arch = arch.trim();
        let dir = paths.cache().join("apt/own");
        for sub in ["lists/partial", "cache/archives/partial", "etc"] {
            files::create_dir(&dir.join(sub))?;
        }
        files::write(&dir.join("status"), basics(arch))?;
        let config = dir.join("etc/apt.conf");
        let at = dir.display();
        let sources = format!(
            "Dir::Etc::sourcelist \"/etc/apt/sources.list\";\n\
             Dir::Etc::sourceparts \"/etc/apt/sources.list.d\";\n\
             Dir::Etc::trusted \"/etc/apt/trusted.gpg\";\n\
             Dir::Etc::trustedparts \"/etc/apt/trusted.gpg.d\";\n\
             Dir::Etc::preferences \"{at}/etc/preferences\";\n\
             Dir::Etc::preferencesparts \"/dev/null\";\n"
        );
        files::write(&config, config_text(&dir, arch)? + &sources)?;
        Ok(Self {
            config,
            suite: "this machine".to_owned(),
            log: paths.log("apt-own"),
            dir,
        })
    }

    /// Of these packages takes the versions that begin so, whatever is newer.
    pub(crate) fn pin(&self, packages: &str, version: &str) -> Result<()> {
        files::write(
            &self.dir.join("etc/preferences"),
            format!("Package: {packages}\nPin: version {version}*\nPin-Priority: 1001\n"),
        )
    }

    /// The versions of a package that there are.
    pub(crate) fn versions(&self, package: &str) -> Result<Vec<String>> {
        let shown = command::output(self.command("apt-cache").args(["madison", package]))?;
        let version = |line: &str| Some(line.split('|').nth(1)?.trim().to_owned());
        Ok(shown.lines().filter_map(version).collect())
    }

    /// The configuration that apt's programs read.
    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    fn set_up(paths: &Paths, suite: &str, name: &str, arch: &str) -> Result<Self> {
        let dir = paths.cache().join("apt").join(name);
        for sub in ["lists/partial", "cache/archives/partial", "etc"] {
            files::create_dir(&dir.join(sub))?;
        }
        if !Path::new(KEYRING).is_file() {
            bail!("{KEYRING} is missing: run `apt-get install debian-archive-keyring`");
        }
        let mirror = sources::mirror()?;
        files::write(
            &dir.join("etc/sources.list"),
            format!(
                "deb [signed-by={KEYRING}] {mirror} {suite} main\n\
                 deb-src [signed-by={KEYRING}] {mirror} {suite} main\n"
            ),
        )?;
        files::write(&dir.join("status"), "")?;
        let config = dir.join("etc/apt.conf");
        files::write(&config, config_text(&dir, arch)?)?;
        Ok(Self {
            config,
            suite: suite.to_owned(),
            log: paths.log(&format!("apt-{name}")),
            dir,
        })
    }

    /// Fetches the archive's lists.
    pub(crate) fn update(&self) -> Result<()> {
        if self.dir.ends_with("own") {
            // One of the machine's sources may be out of order; its Debian is then still there.
            return self.run("apt-get", |apt| apt.arg("update"));
        }
        // Without --error-on apt-get calls it a success when it could fetch nothing.
        self.run("apt-get", |apt| apt.args(["update", "--error-on=any"]))
    }

    /// Downloads packages and all they depend on; returns the `.deb` files, which stay until
    /// [`Archive::forget`].
    pub(crate) fn closure(&self, packages: &[&str]) -> Result<Vec<PathBuf>> {
        // What an earlier, different list left behind is not part of this closure.
        self.forget()?;
        self.run("apt-get", |apt| {
            apt.args(["install", "--yes", "--download-only"])
                .arg("--no-install-recommends")
                .args(packages)
        })?;
        debs(&self.dir.join("cache/archives"))
    }

    /// Removes the packages that were downloaded: what was in them has been unpacked.
    pub(crate) fn forget(&self) -> Result<()> {
        for file in debs(&self.dir.join("cache/archives"))? {
            std::fs::remove_file(&file)
                .with_context(|| format!("cannot remove {}", file.display()))?;
        }
        Ok(())
    }

    /// Downloads one package, without what it depends on, into `dir`.
    pub(crate) fn package(&self, package: &str, dir: &Path) -> Result<PathBuf> {
        self.run("apt-get", |apt| {
            apt.args(["download", package]).current_dir(dir)
        })?;
        debs(dir)?
            .pop()
            .with_context(|| format!("apt-get download {package} brought no .deb"))
    }

    /// Downloads a source package's upstream tarball into `dir`.
    pub(crate) fn source(&self, package: &str, dir: &Path) -> Result<()> {
        self.run("apt-get", |apt| {
            apt.args(["source", "--download-only", "--tar-only", package])
                .current_dir(dir)
        })
    }

    /// Downloads one file of the archive into `dir`; its hash must be `sha256`.
    pub(crate) fn file(&self, path: &str, sha256: &str, dir: &Path) -> Result<()> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let url = format!("{}/{}", sources::mirror()?.trim_end_matches('/'), path);
        self.run("/usr/lib/apt/apt-helper", |helper| {
            helper
                .args(["download-file", &url])
                .arg(dir.join(name))
                .arg(format!("SHA256:{sha256}"))
        })
    }

    /// The first package that `package` depends on (a metapackage's real one).
    pub(crate) fn dependency(&self, package: &str) -> Result<String> {
        let shown = command::output(self.command("apt-cache").args(["depends", package]))?;
        shown
            .lines()
            .find_map(|line| line.trim().strip_prefix("Depends: ").map(str::to_owned))
            .with_context(|| format!("{package} of {} depends on nothing", self.suite))
    }

    fn command(&self, program: &str) -> Command {
        let mut apt = command::bound(program);
        apt.env("APT_CONFIG", &self.config);
        apt
    }

    fn run(&self, program: &str, with: impl FnOnce(&mut Command) -> &mut Command) -> Result<()> {
        let mut apt = self.command(program);
        with(&mut apt);
        command::logged(&mut apt, &self.log).map_err(|error| self.explain(error))
    }

    /// The two usual reasons get a sentence instead of apt's output.
    fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        match reason(&text) {
            Some(sentence) => anyhow!("{sentence} (apt's output is in {})", self.log.display()),
            None => error,
        }
    }
}

/// What apt's output says went wrong, if it is something a user can mend.
fn reason(output: &str) -> Option<&'static str> {
    let has = |words: &[&str]| words.iter().any(|word| output.contains(word));
    if has(&["No space left", "enough free space"]) {
        return Some("the disk is full: make room below target/ and run the same command again");
    }
    if has(&["NO_PUBKEY", "is not signed", "invalid signature"]) {
        return Some(
            "the mirror's signature cannot be checked: update the package debian-archive-keyring",
        );
    }
    if has(&[
        "Could not resolve",
        "Temporary failure",
        "Could not connect",
        "Connection failed",
        "Connection timed out",
        "Unable to connect",
        "Network is unreachable",
        "Failed to fetch",
        "Download Failed",
        "Could not handshake",
    ]) {
        return Some(
            "cannot download from the Debian mirror in /etc/apt: check the network and the \
             mirror, then run the same command again",
        );
    }
    None
}

/// An installed-packages list with [`BASICS`] in it, newer than any dependency asks.
fn basics(arch: &str) -> String {
    BASICS
        .split(' ')
        .map(|package| {
            format!(
                "Package: {package}\nStatus: install ok installed\nMaintainer: none\n\
                 Architecture: {arch}\nMulti-Arch: same\nVersion: 9:9999\n\
                 Provides: libc-dev, c-compiler\nDescription: of the machine\n\n"
            )
        })
        .collect()
}

fn debs(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = files::sorted_entries(dir)?;
    found.retain(|path| path.extension().is_some_and(|ext| ext == "deb"));
    Ok(found)
}

fn config_text(dir: &Path, arch: &str) -> Result<String> {
    let at = dir.display();
    // The machine's proxies, time-outs and credentials are wanted; its hooks and paths are not.
    let mut acquire = command::output(command::clean("apt-config").args(["dump", "Acquire"]))?;
    acquire.retain(|c| c != '\r');
    let acquire: String = acquire
        .lines()
        .filter(|line| line.starts_with("Acquire::"))
        .map(|line| format!("{line}\n"))
        .collect();
    Ok(format!(
        "{acquire}\
         Acquire::GzipIndexes \"true\";\n\
         Acquire::Languages \"none\";\n\
         Acquire::Retries \"2\";\n\
         Acquire::http::Timeout \"20\";\n\
         Acquire::https::Timeout \"20\";\n\
         Dir::State \"{at}\";\n\
         Dir::State::status \"{at}/status\";\n\
         Dir::Cache \"{at}/cache\";\n\
         Dir::Etc \"{at}/etc\";\n\
         Dir::Etc::sourcelist \"{at}/etc/sources.list\";\n\
         Dir::Etc::sourceparts \"/dev/null\";\n\
         Dir::Etc::parts \"/dev/null\";\n\
         Dir::Etc::main \"/dev/null\";\n\
         Dir::Etc::netrc \"/etc/apt/auth.conf\";\n\
         Dir::Etc::netrcparts \"/etc/apt/auth.conf.d\";\n\
         APT::Architecture \"{arch}\";\n\
         APT::Architectures {{ \"{arch}\"; }};\n\
         APT::Sandbox::User \"root\";\n\
         APT::Keep-Downloaded-Packages \"true\";\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn usual_failures_get_a_sentence() {
        let net =
            "Err:1 http://a.example/debian trixie InRelease\n  Could not connect to a.example";
        assert!(reason(net).is_some_and(|why| why.contains("network")));
        let disk = "E: You don't have enough free space in /x.";
        assert!(reason(disk).is_some_and(|why| why.contains("disk")));
        assert_eq!(reason("E: Unable to locate package foo"), None);
    }
}
