// SPDX-License-Identifier: GPL-2.0-only
//! Xen's configuration: what is asked for, and checking that Kconfig granted it.

use anyhow::{bail, Result};

use crate::base::cli::{Extra, P2m};
use crate::base::version::Version;

/// The option that takes the Rust archive instead of the C files.
const RUST: &str = "CONFIG_ARM_P2M_RUST";

/// Options and the values they must have.
#[derive(Clone, Debug)]
pub(crate) struct Fragment(Vec<(&'static str, Value)>);

/// What an option must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    On,
    Off,
    Number(u32),
}

impl Value {
    const fn of(on: bool) -> Self {
        if on {
            Self::On
        } else {
            Self::Off
        }
    }

    /// The option's line in a `.config`.
    fn line(self, name: &str) -> String {
        match self {
            Self::On => format!("{name}=y"),
            Self::Off => format!("# {name} is not set"),
            Self::Number(number) => format!("{name}={number}"),
        }
    }
}

impl Fragment {
    /// For a release, a p2m, and with or without Xen's debug checks.
    pub(crate) fn new(release: Version, p2m: P2m, debug: bool, patched: bool) -> Self {
        // Memory access is off by default on Arm; its option got another name in 4.21.
        let mem_access = if release >= Version::new(4, 21) {
            "CONFIG_VM_EVENT"
        } else {
            "CONFIG_MEM_ACCESS"
        };
        let mut options = vec![(mem_access, Value::On), ("CONFIG_DEBUG", Value::of(debug))];
        if patched {
            options.push((RUST, Value::of(p2m == P2m::Rust)));
        }
        Self(options)
    }

    /// With what a test needs.
    pub(crate) fn add(&mut self, extra: Extra) {
        let on: &[&str] = match extra {
            Extra::Selftest => &["CONFIG_P2M_SELFTEST", "CONFIG_EXPERT", "CONFIG_ARM_SMMU_V3"],
            Extra::Bench => &["CONFIG_P2M_BENCH"],
            Extra::OldLocking => &[],
            Extra::StaticMemory => &[
                "CONFIG_UNSUPPORTED",
                "CONFIG_STATIC_MEMORY",
                "CONFIG_STATIC_SHM",
            ],
            Extra::Ubsan => &["CONFIG_UBSAN"],
            Extra::LivepatchAndColoring => {
                &["CONFIG_EXPERT", "CONFIG_LIVEPATCH", "CONFIG_LLC_COLORING"]
            }
            Extra::TwoCpus => &[],
        };
        self.0.extend(on.iter().map(|&option| (option, Value::On)));
        if extra == Extra::TwoCpus {
            self.0.push(("CONFIG_NR_CPUS", Value::Number(2)));
        }
    }

    /// As lines of a `.config`.
    pub(crate) fn text(&self) -> String {
        self.0
            .iter()
            .map(|(name, value)| value.line(name) + "\n")
            .collect()
    }

    /// Did Kconfig keep what was asked? It drops an option whose dependencies are not met.
    pub(crate) fn check(&self, config: &str) -> Result<()> {
        for &(name, asked) in &self.0 {
            let given = config.lines().find(|line| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('='))
            });
            // An option that does not exist is off.
            let kept = match asked {
                Value::Off => given.is_none(),
                asked => given == Some(asked.line(name).as_str()),
            };
            if !kept {
                bail!(
                    "Xen's Kconfig made it `{}` although it was asked to be `{}`: this tree does \
                     not support it",
                    given.map_or_else(|| Value::Off.line(name), str::to_owned),
                    asked.line(name)
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Fragment;
    use crate::base::cli::{Extra, P2m};
    use crate::base::version::Version;

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
    fn a_number_must_be_the_one_asked_for() {
        let mut fragment = Fragment::new(V4_20, P2m::C, false, false);
        fragment.add(Extra::TwoCpus);
        assert!(fragment.text().ends_with("CONFIG_NR_CPUS=2\n"));
        let granted = "CONFIG_MEM_ACCESS=y\nCONFIG_NR_CPUS=2\n";
        assert!(fragment.check(granted).is_ok());
        assert!(fragment.check(&granted.replace("=2", "=128")).is_err());
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
