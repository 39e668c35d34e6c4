// SPDX-License-Identifier: GPL-2.0-only
//! Xen's configuration: what is asked for, and checking that Kconfig granted it.

use anyhow::{bail, Result};

use crate::cli::{Extra, P2m};
use crate::version::Version;

/// The option that takes the Rust archive instead of the C files.
const RUST: &str = "CONFIG_ARM_P2M_RUST";

/// Options and the values they must have.
#[derive(Clone, Debug)]
pub(crate) struct Fragment(Vec<(&'static str, bool)>);

impl Fragment {
    /// For a release, a p2m, and with or without Xen's debug checks.
    pub(crate) fn new(release: Version, p2m: P2m, debug: bool, patched: bool) -> Self {
        // Memory access is off by default on Arm; its option got another name in 4.21.
        let mem_access = if release >= Version::new(4, 21) {
            "CONFIG_VM_EVENT"
        } else {
            "CONFIG_MEM_ACCESS"
        };
        let mut options = vec![(mem_access, true), ("CONFIG_DEBUG", debug)];
        if patched {
            options.push((RUST, p2m == P2m::Rust));
        }
        Self(options)
    }

    /// With what a test needs.
    pub(crate) fn add(&mut self, extra: Extra) {
        let options: &[&str] = match extra {
            Extra::Selftest => &["CONFIG_P2M_SELFTEST", "CONFIG_EXPERT", "CONFIG_ARM_SMMU_V3"],
            Extra::Bench => &["CONFIG_P2M_BENCH"],
            Extra::OldLocking => &[],
            Extra::StaticMemory => &[
                "CONFIG_UNSUPPORTED",
                "CONFIG_STATIC_MEMORY",
                "CONFIG_STATIC_SHM",
            ],
        };
        self.0.extend(options.iter().map(|&option| (option, true)));
    }

    /// As lines of a `.config`.
    pub(crate) fn text(&self) -> String {
        self.0
            .iter()
            .map(|&(name, on)| {
                if on {
                    format!("{name}=y\n")
                } else {
                    format!("# {name} is not set\n")
                }
            })
            .collect()
    }

    /// Did Kconfig keep what was asked? It drops an option whose dependencies are not met.
    pub(crate) fn check(&self, config: &str) -> Result<()> {
        for &(name, asked) in &self.0 {
            let on = config.lines().any(|line| line == format!("{name}=y"));
            if on != asked {
                bail!(
                    "Xen's Kconfig turned {name} {} although it was asked to be {}: this tree \
                     does not support it",
                    if on { "on" } else { "off" },
                    if asked { "on" } else { "off" }
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Fragment;
    use crate::cli::P2m;
    use crate::version::Version;

    const V4_20: Version = Version::new(4, 20);

    #[test]
    fn text_for_kconfig() {
        let fragment = Fragment::new(V4_20, P2m::C, false, true);
        assert_eq!(
            fragment.text(),
            "CONFIG_MEM_ACCESS=y\n# CONFIG_DEBUG is not set\n# CONFIG_ARM_P2M_RUST is not set\n"
        );
        let later = Fragment::new(Version::new(4, 21), P2m::Rust, true, true);
        assert!(later.text().contains("CONFIG_VM_EVENT=y\nCONFIG_DEBUG=y\n"));
    }

    #[test]
    fn what_kconfig_dropped_is_noticed() {
        let fragment = Fragment::new(V4_20, P2m::Rust, false, true);
        let granted = "CONFIG_MEM_ACCESS=y\n# CONFIG_DEBUG is not set\nCONFIG_ARM_P2M_RUST=y\n";
        assert!(fragment.check(granted).is_ok());
        assert!(fragment
            .check(&granted.replace("RUST=y", "RUST=n"))
            .is_err());
        assert!(fragment
            .check(&format!("{granted}CONFIG_DEBUG=y\n"))
            .is_err());
        assert!(fragment.check("").is_err());
    }
}
