// SPDX-License-Identifier: GPL-2.0-only
//! The oldest and the newest Rust that this Debian offers, unpacked below `target/` and not
//! installed: for the checks that must hold with every compiler that the README promises.
//!
//! "This Debian" is what the machine's own sources have, read into private lists. Programs from there
//! run with the machine's C library, compiler and linker, and with the unpacked libraries.

use std::path::{Path, PathBuf};

use anyhow::{ensure, Context, Result};

use crate::base::command;
use crate::base::files;
use crate::base::lock;
use crate::base::paths::Paths;
use crate::base::progress::Progress;
use crate::base::version::Version;
use crate::host::archive::Archive;
use crate::host::rust_toolchain::{self, Toolchain, DEBIAN_SETS, OLDEST};
use crate::host::tools::{self, Use};
use crate::host::unpack;

/// A release of Rust, and the packages that have it: the compiler, cargo, the source of `core`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Offer {
    version: Version,
    packages: [&'static str; 3],
}

/// The oldest one that the README promises and the newest; one alone where there is no other.
pub(crate) fn extremes(paths: &Paths, progress: Progress) -> Result<Vec<Toolchain>> {
    // A linker, certificates for cargo.
    tools::require(paths, progress, &[Use::Oracle, Use::Rust])?;
    lock::alone(paths, progress, || {
        let own = Archive::open_own(paths)?;
        let task =
            progress.start("Fetching the package lists of this Debian into target/cache/apt");
        if let Err(error) = own.update() {
            progress.say(&format!(
                "{error:#}: going on with the lists of an earlier run"
            ));
        }
        task.done();
        let mut offers = Vec::new();
        for packages in DEBIAN_SETS {
            let versions = own.versions(packages[0])?;
            offers.extend(offers_of(packages, &versions));
        }
        ends(offers)
            .into_iter()
            .map(|offer| unpacked(paths, progress, &own, offer))
            .collect()
    })
}

/// Of the versions of a package those that are new enough.
fn offers_of(packages: [&'static str; 3], versions: &[String]) -> Vec<Offer> {
    versions
        .iter()
        .filter_map(|version| Version::find_in(version))
        .filter(|version| *version >= OLDEST)
        .map(|version| Offer { version, packages })
        .collect()
}

fn ends(mut offers: Vec<Offer>) -> Vec<Offer> {
    offers.sort_unstable();
    // Of two sets with the same release one will do.
    offers.dedup_by_key(|offer| offer.version);
    match offers.as_slice() {
        [] => Vec::new(),
        [one] => vec![*one],
        [oldest, .., newest] => vec![*oldest, *newest],
    }
}

/// Downloads and unpacks it, once.
fn unpacked(paths: &Paths, progress: Progress, own: &Archive, offer: Offer) -> Result<Toolchain> {
    let Offer { version, packages } = offer;
    let root = paths.cache().join(format!("rust-{version}"));
    let stamp = packages.join(" ");
    if files::is_current(&root, &stamp) {
        // The machine may have changed below it.
        if let Some(found) = toolchain(&root) {
            return Ok(found);
        }
    }
    // All of the packages is unpacked before most of the source goes.
    files::require_space(&paths.cache(), 1536)?;
    let mut task = progress.start(format!("Downloading Debian's Rust {version} ({stamp})"));
    let [rustc, cargo, source] = packages;
    let library = rustc.replace("rustc", "libstd-rust") + "-dev";
    own.pin(&format!("{stamp} {library}"), &format!("{version}."))?;
    files::make_whole(paths, &root, &stamp, |scratch| {
        unpack::merged_usr(scratch)?;
        let debs = own.closure(&[rustc, cargo, source])?;
        task.note("unpacking");
        debs.iter()
            .try_for_each(|deb| unpack::unpack(paths, deb, scratch))?;
        keep_the_library_alone(scratch)?;
        own.forget()
    })?;
    let found = toolchain(&root).with_context(|| {
        format!(
            "Debian's Rust {version} does not run from {}",
            root.display()
        )
    })?;
    ensure!(
        Version::find_in(&found.version) == Some(version),
        "{} is not Rust {version} but {}",
        root.display(),
        found.version
    );
    task.done();
    Ok(found)
}

/// Of the source code only that of the standard library is compiled here; the compiler's own and its tools'
/// are eight times as large.
fn keep_the_library_alone(root: &Path) -> Result<()> {
    for source in files::sorted_entries(&root.join("usr/src"))? {
        for part in files::sorted_entries(&source)? {
            if part.is_dir() && !part.ends_with("library") {
                files::remove(&part)?;
            }
        }
    }
    Ok(())
}

fn toolchain(root: &Path) -> Option<Toolchain> {
    let libraries = libraries(root).ok()?;
    let path = std::env::join_paths(libraries).ok()?;
    let path = path.to_string_lossy().into_owned();
    rust_toolchain::probe_with(
        &root.join("usr"),
        vec![("LD_LIBRARY_PATH".to_owned(), path)],
    )
}

/// Where packages of this machine's architecture have their libraries, on merged and other systems.
fn libraries(root: &Path) -> Result<Vec<PathBuf>> {
    let arch = command::output(command::clean("gcc").arg("-print-multiarch"))?;
    let arch = arch.trim();
    Ok(vec![
        root.join("usr/lib").join(arch),
        root.join("lib").join(arch),
        root.join("usr/lib"),
    ])
}

#[cfg(test)]
mod tests {
    use super::{ends, offers_of, Offer, DEBIAN_SETS};
    use crate::base::version::Version;

    const fn offer(minor: u32, web: bool) -> Offer {
        let [first, second] = DEBIAN_SETS;
        Offer {
            version: Version::new(1, minor),
            packages: if web { first } else { second },
        }
    }

    #[test]
    fn what_is_too_old_is_no_offer() {
        let versions = ["1.96.0+dfsg1-1~deb12u2", "1.85.0+dfsg3-1~deb12u3"].map(str::to_owned);
        let [web, plain] = DEBIAN_SETS;
        assert_eq!(
            offers_of(web, &versions),
            [offer(96, true), offer(85, true)]
        );
        assert_eq!(offers_of(plain, &["1.63.0+dfsg1-2".to_owned()]), []);
    }

    #[test]
    fn the_oldest_and_the_newest_or_the_only_one() {
        let (old, middle, new) = (offer(85, false), offer(90, true), offer(96, true));
        assert_eq!(ends(vec![new, old, middle]), [old, new]);
        assert_eq!(ends(vec![old]), [old]);
        assert_eq!(ends(vec![offer(85, true), offer(85, false)]).len(), 1);
        assert_eq!(ends(Vec::new()), []);
    }
}
