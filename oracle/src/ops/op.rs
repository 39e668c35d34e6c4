// SPDX-License-Identifier: GPL-2.0-only
//! An operation as data: generated, printed, read back, shrunk.
//!
//! Arguments are plain words. Some are resolved when the operation is carried
//! out, from the state that both sides share: [`MATCHING`] for "the frame that
//! is mapped there".

use std::fmt;
use std::str::FromStr;

/// As a machine frame of a removal: the one that is mapped there.
pub const MATCHING: u64 = u64::MAX - 1;

/// Arguments of an operation, at most.
pub const ARGS: usize = 6;

macro_rules! operations {
    ($($(#[$doc:meta])* $kind:ident $name:literal [$($arg:literal),*];)*) => {
        /// What is done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
        }

        /// Every kind, its name and the names of its arguments.
        pub const KINDS: &[(Kind, &str, &[&str])] =
            &[$((Kind::$kind, $name, &[$($arg),*]),)*];
    };
}

operations! {
    /// First of all: the machine and the guest's pool.
    Boot "boot" ["at_speculate", "vmid16", "shares", "pool", "news", "ranges"];
    /// Fail the n-th allocation of the next operation.
    Fail "fail" ["alloc"];
    /// Answer yes at the k-th preemption check of the next operation, or of each call of a loop:
    /// a softirq waits, or an event for the vCPU that runs.
    Preempt "preempt" ["k", "event"];
    /// `p2m_insert_mapping`; references are taken first for a foreign type.
    Insert "insert" ["d", "gfn", "nr", "mfn", "type"];
    /// `map_regions_p2mt`.
    MapRegions "map_regions" ["d", "gfn", "nr", "mfn", "type"];
    /// `map_mmio_regions`.
    MapMmio "map_mmio" ["d", "gfn", "nr", "mfn"];
    /// `map_dev_mmio_page`.
    MapDev "map_dev" ["d", "gfn", "mfn"];
    /// `guest_physmap_add_entry`.
    AddEntry "add_entry" ["d", "gfn", "mfn", "order", "type"];
    /// `p2m_set_entry` under the write lock.
    SetEntry "set_entry" ["d", "gfn", "nr", "mfn", "type", "access"];
    /// `p2m_set_entry` with INVALID_MFN.
    ClearEntry "clear_entry" ["d", "gfn", "nr"];
    /// Under one write lock: `p2m_get_entry`, `p2m_set_entry` with INVALID_MFN, and `p2m_set_entry` elsewhere.
    MoveEntry "move_entry" ["d", "gfn", "to"];
    /// One page in each of many 2 MiB regions.
    Sparse "sparse" ["d", "gfn", "count", "mfn"];
    /// `set_foreign_p2m_entry`.
    Foreign "foreign" ["d", "owner", "gfn", "mfn"];
    /// A Xen heap page: mapped, and its M2P set as its callers do.
    XenHeap "xenheap" ["d", "gfn", "mfn"];
    /// `unmap_regions_p2mt`.
    UnmapRegions "unmap_regions" ["d", "gfn", "nr", "mfn"];
    /// `unmap_mmio_regions`.
    UnmapMmio "unmap_mmio" ["d", "gfn", "nr", "mfn"];
    /// `guest_physmap_remove_page`.
    RemovePage "remove_page" ["d", "gfn", "mfn", "order"];
    /// `p2m_get_entry` under the read lock.
    GetEntry "get_entry" ["d", "gfn"];
    /// `p2m_lookup`, `gfn_to_mfn`.
    Lookup "lookup" ["d", "gfn"];
    /// `p2m_get_page_from_gfn`.
    PageFromGfn "page_from_gfn" ["d", "gfn"];
    /// `p2m_set_mem_access`, one call, not preempted.
    SetAccess "set_access" ["d", "gfn", "nr", "start", "mask", "access"];
    /// The same as the hypercall does it: mask 0x3f, until it is through.
    SetAccessFully "set_access_fully" ["d", "gfn", "nr", "access"];
    /// `p2m_get_mem_access`.
    GetAccess "get_access" ["d", "gfn"];
    /// `p2m_mem_access_check` of the vCPU that runs.
    CheckAccess "check_access" ["gpa", "gla", "npfec"];
    /// `arch_p2m_set_access_required`.
    RequireListener "require_listener" ["d", "on"];
    /// The monitor listens or not, and what it answers.
    Monitor "monitor" ["d", "listens", "fails"];
    /// A stage-1 mapping.
    Stage1 "stage1" ["v", "gva", "gfn", "writable"];
    /// Where the stage-1 tables are.
    Stage1Tables "stage1_tables" ["v", "gfn"];
    /// `get_page_from_gva`.
    PageFromGva "page_from_gva" ["v", "gva", "flags"];
    /// `p2m_mem_access_check_and_get_page` of the vCPU that runs.
    CheckAndGet "check_and_get" ["gva", "flags"];
    /// `p2m_domain_creation_finished`.
    Finished "creation_finished" ["d"];
    /// `p2m_resolve_translation_fault`, as often as there are levels.
    Resolve "resolve" ["d", "gfn"];
    /// `p2m_cache_flush_range`, until it is through.
    CacheFlush "cache_flush" ["d", "start", "end"];
    /// `p2m_set_way_flush` of the vCPU that runs.
    SetWay "set_way" [];
    /// `p2m_toggle_cache` of the vCPU that runs, with SCTLR_EL1 written first.
    Toggle "toggle_cache" ["was_enabled", "sctlr"];
    /// `p2m_flush_vm` of the vCPU that runs.
    FlushVm "flush_vm" [];
    /// `p2m_force_tlb_flush_sync` and `p2m_tlb_flush_sync`.
    Flush "tlb_flush" ["d"];
    /// `arch_set_paging_mempool_size`, until it is through.
    Pool "pool" ["d", "bytes"];
    /// `p2m_alloc_vmid` until none is left.
    Vmids "vmids" ["keep"];
    /// A vCPU comes to run: `p2m_save_state`, `p2m_restore_state`.
    Run "run" ["v"];
    /// No further reference to a frame can be had, or again.
    Saturate "saturate" ["mfn", "full"];
    /// The owner gives its reference to a frame up.
    OwnerFrees "owner_frees" ["mfn"];
    /// MMIO frames that a domain may map.
    Permit "permit" ["d", "mfn", "nr"];
    /// `p2m_dump_info`, `dump_p2m_lookup`.
    Dump "dump" ["d", "address"];
    /// The functions that do nothing on Arm.
    Constant "constant" ["d", "gfn"];
    /// `d->is_dying`: the domain begins to die (1), or is dead (2).
    Kill "kill" ["d", "state"];
    /// `relinquish_p2m_mapping`, until it is through.
    Relinquish "relinquish" ["d"];
    /// The whole destruction, and a new p2m; with `fail`, first a creation that fails, at the
    /// latest at that allocation.
    Destroy "destroy" ["d", "pool", "fail", "state"];
}

/// An operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Op {
    /// What is done.
    pub kind: Kind,
    /// With what; unused ones are 0.
    pub args: [u64; ARGS],
}

impl Kind {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.names().0
    }

    fn names(self) -> (&'static str, &'static [&'static str]) {
        let found = KINDS.iter().find(|(kind, ..)| *kind == self);
        found.map_or(("?", &[]), |(_, name, args)| (name, args))
    }
}

impl Op {
    /// With the arguments that are given, 0 for the rest.
    #[must_use]
    pub fn new(kind: Kind, given: &[u64]) -> Self {
        let mut args = [0; ARGS];
        for (place, value) in args.iter_mut().zip(given) {
            *place = *value;
        }
        Self { kind, args }
    }

    /// The name of argument `n`.
    #[must_use]
    pub fn argument_name(&self, n: usize) -> &'static str {
        self.kind.names().1.get(n).copied().unwrap_or_default()
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, args) = self.kind.names();
        f.write_str(name)?;
        for (name, value) in args.iter().zip(self.args) {
            write!(f, " {name}={value:#x}")?;
        }
        Ok(())
    }
}

impl FromStr for Op {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default();
        let (kind, _, names) = KINDS
            .iter()
            .find(|(_, n, _)| *n == name)
            .ok_or(format!("no operation is called {name}"))?;
        let mut op = Self::new(*kind, &[]);
        for word in words {
            let (name, value) = word
                .split_once('=')
                .ok_or(format!("{word} is not name=value"))?;
            let at = names.iter().position(|n| *n == name);
            let place = at.and_then(|at| op.args.get_mut(at));
            let hex = value.strip_prefix("0x");
            let number = match hex {
                Some(hex) => u64::from_str_radix(hex, 16),
                None => value.parse(),
            };
            *place.ok_or(format!("{line}: no argument is called {name}"))? =
                number.map_err(|_| format!("{value} is no number"))?;
        }
        Ok(op)
    }
}

#[cfg(test)]
mod tests {
    use super::{Op, KINDS};

    #[test]
    fn what_is_printed_is_read_back() {
        for (kind, _, names) in KINDS {
            let args: Vec<u64> = (0..names.len() as u64).map(|n| n * 0x1234_5678).collect();
            let op = Op::new(*kind, &args);
            assert_eq!(op.to_string().parse(), Ok(op));
        }
        assert!("fly d=1".parse::<Op>().is_err());
        assert!("lookup d".parse::<Op>().is_err());
    }
}
