// SPDX-License-Identifier: GPL-2.0-only
//! Xen's configuration: what is asked for, and checking that Kconfig granted it.

use std::path::Path;

use anyhow::{bail, Result};

use crate::base::cli::{EarlyPrintk, Extra, P2m};
use crate::base::files;

/// The option that takes the Rust archive instead of the C files.
const RUST: &str = "CONFIG_ARM_P2M_RUST";

/// The option without which Kconfig does not ask for that one.
const UNSUPPORTED: &str = "CONFIG_UNSUPPORTED";

/// The option for memory access and its events: the later name first, since 4.21.
const MEM_ACCESS: [&str; 2] = ["CONFIG_VM_EVENT", "CONFIG_MEM_ACCESS"];

/// Which of the names a tree's Kconfig has.
pub(crate) fn mem_access_option(tree: &Path) -> Result<&'static str> {
    let kconfig = tree.join("xen/common/Kconfig");
    let text = files::read_text(&kconfig)?;
    let found = MEM_ACCESS.into_iter().find(|option| {
        let entry = option.replacen("CONFIG_", "config ", 1);
        text.lines().any(|line| line.trim() == entry)
    });
    match found {
        Some(option) => Ok(option),
        None => bail!(
            "{} has neither {}: this tree's memory access is of no known kind",
            kconfig.display(),
            MEM_ACCESS.join(" nor ")
        ),
    }
}

/// Options and the values they must have.
#[derive(Clone, Debug)]
pub(crate) struct Fragment(Vec<(&'static str, Value)>);

/// What an option must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    On,
    Off,
    Number(u32),
    Address(u64),
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
            Self::Address(address) => format!("{name}={address:#x}"),
        }
    }
}

impl Fragment {
    /// For a p2m, with or without Xen's debug checks. Memory access, under the name that the tree has for it,
    /// is off by default on Arm; here it is on. Both have the option without which there is no Rust, so that
    /// they differ in one line.
    pub(crate) fn new(mem_access: &'static str, p2m: P2m, debug: bool) -> Self {
        Self(vec![
            (mem_access, Value::On),
            ("CONFIG_DEBUG", Value::of(debug)),
            (UNSUPPORTED, Value::On),
            (RUST, Value::of(p2m == P2m::Rust)),
        ])
    }

    /// With what a test needs.
    pub(crate) fn add(&mut self, extra: Extra) {
        let on: &[&str] = match extra {
            Extra::NoMemAccess => {
                let options = self.0.iter_mut();
                options
                    .filter(|(name, _)| MEM_ACCESS.contains(name))
                    .for_each(|(_, value)| *value = Value::Off);
                &[]
            }
            Extra::Selftest => &[
                "CONFIG_P2M_SELFTEST",
                "CONFIG_P2M_BENCH",
                "CONFIG_EXPERT",
                "CONFIG_ARM_SMMU_V3",
            ],
            Extra::SelftestViews => &["CONFIG_P2M_SELFTEST", "CONFIG_EXPERT", "CONFIG_ALTP2M"],
            Extra::Smmu => &["CONFIG_EXPERT", "CONFIG_ARM_SMMU_V3"],
            Extra::SmmuPci => &[
                "CONFIG_EXPERT",
                "CONFIG_ARM_SMMU_V3",
                "CONFIG_PCI_PASSTHROUGH",
            ],
            Extra::Bench => &["CONFIG_P2M_BENCH", "CONFIG_EXPERT"],
            Extra::Dump => &["CONFIG_ARM_P2M_DUMP"],
            Extra::OldLocking => &[],
            Extra::StaticMemory => &["CONFIG_STATIC_MEMORY", "CONFIG_STATIC_SHM"],
            Extra::Ubsan => &["CONFIG_UBSAN"],
            Extra::LivepatchAndColoring => {
                &["CONFIG_EXPERT", "CONFIG_LIVEPATCH", "CONFIG_LLC_COLORING"]
            }
            Extra::Views | Extra::TwoCpus => &["CONFIG_EXPERT", "CONFIG_ALTP2M"],
        };
        self.0.extend(on.iter().map(|&option| (option, Value::On)));
        if extra == Extra::TwoCpus {
            self.0.push(("CONFIG_NR_CPUS", Value::Number(2)));
        }
    }

    /// With a serial port for what comes before Xen's console.
    pub(crate) fn add_early_printk(&mut self, port: &EarlyPrintk) {
        self.0.push((port.option, Value::On));
        let address = Value::Address(port.address);
        self.0.push(("CONFIG_EARLY_UART_BASE_ADDRESS", address));
        if let Some(shift) = port.shift {
            let shift = Value::Number(shift);
            self.0.push(("CONFIG_EARLY_UART_8250_REG_SHIFT", shift));
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
    use std::path::Path;

    use super::{mem_access_option, Fragment};
    use crate::base::cli::{Extra, P2m};
    use crate::base::files::{create_dir, read_text, sorted_entries, write};

    const OPTION: &str = "CONFIG_MEM_ACCESS";

    #[test]
    fn text_for_kconfig() {
        let mut fragment = Fragment::new(OPTION, P2m::C, false);
        assert_eq!(
            fragment.text(),
            "CONFIG_MEM_ACCESS=y\n# CONFIG_DEBUG is not set\nCONFIG_UNSUPPORTED=y\n\
             # CONFIG_ARM_P2M_RUST is not set\n"
        );
        fragment.add(Extra::NoMemAccess);
        assert!(fragment
            .text()
            .starts_with("# CONFIG_MEM_ACCESS is not set\n# CONFIG_DEBUG"));
    }

    #[test]
    fn memory_access_has_the_name_that_the_tree_has_for_it() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let kconfig = dir.path().join("xen/common/Kconfig");
        create_dir(&dir.path().join("xen/common"))?;
        write(&kconfig, "config MEM_ACCESS_ALWAYS_ON\n\tbool\n")?;
        assert!(mem_access_option(dir.path()).is_err());
        write(&kconfig, "config A\nconfig MEM_ACCESS\n\tbool\n")?;
        assert_eq!(mem_access_option(dir.path())?, "CONFIG_MEM_ACCESS");
        write(&kconfig, "config A\nconfig VM_EVENT\n\tbool\n")?;
        assert_eq!(mem_access_option(dir.path())?, "CONFIG_VM_EVENT");
        Ok(())
    }

    #[test]
    fn a_number_must_be_the_one_asked_for() {
        let mut fragment = Fragment::new(OPTION, P2m::C, false);
        fragment.add(Extra::TwoCpus);
        assert!(fragment.text().ends_with("CONFIG_NR_CPUS=2\n"));
        let granted =
            "CONFIG_MEM_ACCESS=y\nCONFIG_UNSUPPORTED=y\nCONFIG_EXPERT=y\nCONFIG_ALTP2M=y\n\
                       CONFIG_NR_CPUS=2\n";
        assert!(fragment.check(granted).is_ok());
        assert!(fragment.check(&granted.replace("=2", "=128")).is_err());
    }

    #[test]
    fn what_kconfig_dropped_is_noticed() {
        let fragment = Fragment::new(OPTION, P2m::Rust, false);
        let granted = "CONFIG_MEM_ACCESS=y\n# CONFIG_DEBUG is not set\nCONFIG_UNSUPPORTED=y\n\
                       CONFIG_ARM_P2M_RUST=y\n";
        assert!(fragment.check(granted).is_ok());
        assert!(fragment
            .check(&granted.replace("RUST=y", "RUST=n"))
            .is_err());
        assert!(fragment
            .check(&format!("{granted}CONFIG_DEBUG=y\n"))
            .is_err());
        assert!(fragment.check("").is_err());
    }

    /// The lines that the patches add to a file of Xen.
    fn added(file: &str) -> anyhow::Result<Vec<String>> {
        let patches = Path::new(env!("CARGO_MANIFEST_DIR")).join("../patches");
        let header = format!("\n+++ b/{file}\n");
        let mut lines = Vec::new();
        for folder in ["xen", "altp2m"] {
            for patch in sorted_entries(&patches.join(folder))? {
                let text = read_text(&patch)?;
                let mut parts = text.split("\ndiff --git ");
                let part = parts.find_map(|part| Some(part.split_once(&header)?.1));
                let new = part.unwrap_or_default().lines();
                lines.extend(new.filter_map(|line| Some(line.strip_prefix('+')?.to_owned())));
            }
        }
        Ok(lines)
    }

    /// Every configuration that is built here asks for what these lines ask for, so no build would
    /// show that one of them is missing.
    #[test]
    fn options_are_offered_to_those_who_ask_and_where_they_build() -> anyhow::Result<()> {
        let mut options = Vec::new();
        let mut is_help = true;
        for line in added("xen/arch/arm/Kconfig.p2m")? {
            is_help = !line.starts_with("config ") && (is_help || line == "\thelp");
            if !is_help && !line.is_empty() && !line.starts_with('#') {
                options.push(line);
            }
        }
        let expected = "\
config ARM_P2M_RUST
	bool \"Stage-2 translation (p2m, mem_access) in Rust (UNSUPPORTED)\" if UNSUPPORTED
	depends on ARM_64 && !MPU
config ARM_P2M_RUST_SET_ACCESS_MULTI
	bool \"Set the accesses of many pages in one hypercall\"
	default y
	depends on ARM_P2M_RUST && (MEM_ACCESS || VM_EVENT)
config P2M_SELFTEST
	bool \"Self-test of the p2m\" if EXPERT
	depends on ARM_64 && !MPU && (MEM_ACCESS || VM_EVENT)
config P2M_BENCH
	bool \"Benchmark of the p2m\" if EXPERT
	depends on ARM_64 && !MPU && (MEM_ACCESS || VM_EVENT)
config ARM_P2M_DUMP
	bool \"Debug key that dumps stage 2\"
	depends on ARM_P2M_RUST
config ALTP2M
	bool \"Alternate views of a guest's memory (altp2m)\" if EXPERT
	depends on ARM_P2M_RUST && (MEM_ACCESS || VM_EVENT)
config ALTP2M_NR
	def_bool $(success,grep -q nr_altp2m $(srctree)/include/xen/sched.h)
	depends on ALTP2M";
        assert_eq!(options.join("\n"), expected);
        // Xen's own tests of random configurations have no Rust.
        let random = added("xen/tools/kconfig/allrandom.config")?;
        assert!(random.contains(&"CONFIG_ARM_P2M_RUST=n".to_owned()));
        Ok(())
    }
}
