// SPDX-License-Identifier: GPL-2.0-only
//! What kind of machine a test wants.

use xen_sys::Facts;

// What the C of each release is like, as `xen-sys/build/facts.rs` finds it in the headers.

/// Xen 4.17.
pub const XEN_4_17: Facts = Facts {
    mem_access: true,
    creation_maps: true,
    root_is_cleared_apart: false,
    r_pw: false,
    set_access_multi: true,
};

/// Xen 4.18 and 4.19.
pub const XEN_4_18: Facts = Facts {
    creation_maps: false,
    root_is_cleared_apart: true,
    ..XEN_4_17
};

/// Xen 4.20 and later.
pub const XEN_4_20: Facts = Facts {
    r_pw: true,
    ..XEN_4_18
};

/// All of them.
pub const RELEASES: [Facts; 3] = [XEN_4_17, XEN_4_18, XEN_4_20];

/// How devices see a domain's stage 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Iommu {
    /// No IOMMU.
    #[default]
    Off,
    /// The IOMMU walks through the caches.
    Coherent,
    /// The IOMMU reads memory: tables must be cleaned to it.
    NonCoherent,
}

/// A machine; `..Config::default()` for what a test does not care about.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// The release of Xen whose C is the model: one of [`RELEASES`].
    pub release: Facts,
    /// Size of the intermediate physical address space: 32, 36, 40, 42, 44 or 48.
    pub ipa_bits: u32,
    /// ID_AA64MMFR0_EL1.PARange, if not that of `ipa_bits`.
    pub pa_range: Option<u32>,
    /// 16-bit VMIDs instead of 8-bit ones.
    pub vmid16: bool,
    /// The IOMMU.
    pub iommu: Iommu,
    /// The IOMMU uses the CPU's tables.
    pub iommu_shares_tables: bool,
    /// The CPU needs the AT speculation workaround.
    pub at_speculate: bool,
    /// LLC colouring: memory of a domain comes in single pages.
    pub llc_coloring: bool,
    /// FEAT_TLBIRANGE: TLB invalidation by range of addresses.
    pub tlb_range: bool,
    /// Rules P4 and P6 are on. They follow every page of every block, which takes most of
    /// the time where millions of operations are compared.
    pub watch_iommu_news: bool,
    /// A broken rule is noted with the call path, when RUST_BACKTRACE is set. To
    /// find the names takes longer than what broke the rule.
    pub call_paths: bool,
    /// Frames in the heap for single-page allocations.
    pub heap_pages: u64,
    /// Events kept for inspection.
    pub log_capacity: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            release: XEN_4_20,
            ipa_bits: 40,
            pa_range: None,
            vmid16: false,
            iommu: Iommu::Off,
            iommu_shares_tables: false,
            at_speculate: false,
            llc_coloring: false,
            tlb_range: false,
            watch_iommu_news: true,
            call_paths: true,
            heap_pages: 1 << 16,
            log_capacity: 1 << 14,
        }
    }
}

impl Config {
    /// ID_AA64MMFR0_EL1.PARange for the wanted size (Arm ARM, D23.2.74).
    pub(crate) fn pa_range(&self) -> u32 {
        if let Some(pa_range) = self.pa_range {
            return pa_range;
        }
        match self.ipa_bits {
            32 => 0,
            36 => 1,
            40 => 2,
            42 => 3,
            44 => 4,
            48 => 5,
            other => panic!("no PARange for {other} bits"),
        }
    }

    /// Level of the first lookup and number of concatenated tables, from the
    /// translation table lookup rules for stage 2 and 4 KiB granule (Arm ARM,
    /// D8.2.8): level 1 takes up to 39 bits with one table.
    #[must_use]
    pub fn root(&self) -> (u32, usize) {
        match self.ipa_bits {
            32 | 36 => (1, 1),
            40 => (1, 2),
            42 => (1, 8),
            _ => (0, 1),
        }
    }

    /// The first guest frame number that the root has no entry for. A root of
    /// one level-1 table takes 39 bits, also where fewer are configured; the
    /// MMU then refuses the rest by T0SZ.
    #[must_use]
    pub fn gfn_limit(&self) -> u64 {
        let (level, pages) = self.root();
        (pages as u64) << (9 * (4 - level))
    }
}
