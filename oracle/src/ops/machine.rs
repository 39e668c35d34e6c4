// SPDX-License-Identifier: GPL-2.0-only
//! The machines that are compared, by name, and where their memory is.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use test_harness::{Config, Iommu};
use xen_sys::Facts;

use crate::edits::facts;

/// Sizes of the IPA space: every shape of root.
pub const SIZES: [u32; 6] = [32, 36, 40, 42, 44, 48];

/// Frames of a 2 MiB block.
pub const M2: u64 = 1 << 9;

/// Frames of a 1 GiB block.
pub const G1: u64 = 1 << 18;

/// Domains of a machine: a guest, another that owns what is mapped as foreign,
/// and the hardware domain.
pub const DOMAINS: u64 = 3;

/// Frames that each domain owns.
pub const RAM_FRAMES: u64 = 4 * G1;

/// Xen heap pages, all shared with domain 0.
pub const XENHEAP: u64 = 0x3_0000;

/// How many.
pub const XENHEAP_FRAMES: u64 = 16;

/// Device memory: small pieces, and 1 GiB aligned.
pub const MMIO: [u64; 2] = [0x1_0000, 0x800_0000];

/// The memory of a domain.
#[must_use]
pub const fn ram(domain: u64) -> u64 {
    0x100_0000 + domain * (G1 << 4)
}

/// A configuration, such as `40-noncoherent-access`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Size of the IPA space.
    pub ipa_bits: u32,
    /// The IOMMU.
    pub iommu: Iommu,
    /// mem_access is used.
    pub access: bool,
}

const IOMMUS: [(Iommu, &str); 3] = [
    (Iommu::Off, "off"),
    (Iommu::Coherent, "coherent"),
    (Iommu::NonCoherent, "noncoherent"),
];

impl Machine {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        SIZES.into_iter().flat_map(|ipa_bits| {
            IOMMUS.into_iter().flat_map(move |(iommu, _)| {
                [false, true].map(|access| Self {
                    ipa_bits,
                    iommu,
                    access,
                })
            })
        })
    }

    /// For the harness, with what an episode adds.
    #[must_use]
    pub fn config(self, [at_speculate, vmid16, shares, news, ranges]: [bool; 5]) -> Config {
        Config {
            release: release(),
            ipa_bits: self.ipa_bits,
            vmid16,
            iommu: self.iommu,
            iommu_shares_tables: shares && self.iommu != Iommu::Off,
            at_speculate,
            tlb_range: ranges,
            log_capacity: 0,
            // With tables of its own an IOMMU takes no notice of valid bits.
            watch_iommu_news: news && shares,
            ..Config::default()
        }
    }

    /// Machines do not get the same operations from one seed.
    #[must_use]
    pub fn salt(self) -> u64 {
        let at = Self::all().position(|machine| machine == self);
        (at.unwrap_or(0) as u64) << 40
    }

    /// The first guest frame that the root has no entry for.
    #[must_use]
    pub fn gfn_limit(self) -> u64 {
        self.config([false; 5]).gfn_limit()
    }
}

/// What the Rust asks of its Xen, which is the one whose C this was built with.
fn release() -> Facts {
    // Each frame number that is made up asks for the machine's limits.
    static RELEASE: OnceLock<Facts> = OnceLock::new();
    *RELEASE.get_or_init(|| Facts {
        mem_access: true,
        creation_maps: facts::hold("teardown_bool"),
        root_is_cleared_apart: facts::hold("declared_p2m_clear_root_pages"),
        r_pw: facts::hold("access_r_pw"),
        // The C has none; `test-harness/tests/access_lists.rs` compares it with single calls.
        set_access_multi: false,
    })
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let iommu = IOMMUS.iter().find(|(iommu, _)| *iommu == self.iommu);
        let iommu = iommu.map_or("?", |(_, name)| name);
        let access = if self.access { "access" } else { "plain" };
        write!(f, "{}-{iommu}-{access}", self.ipa_bits)
    }
}

impl FromStr for Machine {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::all()
            .find(|machine| machine.to_string() == name)
            .ok_or(format!("no machine is called {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::Machine;

    #[test]
    fn names_are_read_back() {
        assert_eq!(Machine::all().count(), 36);
        for machine in Machine::all() {
            assert_eq!(machine.to_string().parse(), Ok(machine));
        }
    }
}
