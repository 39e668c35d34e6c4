// SPDX-License-Identifier: GPL-2.0-only
//! What must be equal after each operation, besides its answer.

use xen_sys::{arch_domain, vcpu};

use crate::lockstep::tree::Trees;
use crate::ops::machine::{XENHEAP, XENHEAP_FRAMES};
use crate::sides::side::Side;

/// A difference: what, and both values.
#[derive(Debug, Clone)]
pub(crate) struct Difference {
    pub(crate) what: String,
    pub(crate) rust: String,
    pub(crate) c: String,
}

/// An error if the two values are not the same.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(
    rust: &T,
    c: &T,
    what: impl FnOnce() -> String,
) -> Result<(), Difference> {
    if rust == c {
        return Ok(());
    }
    Err(Difference {
        what: what(),
        rust: format!("{rust:#x?}"),
        c: format!("{c:#x?}"),
    })
}

const FIELDS: [&str; 34] = [
    "root",
    "vmid",
    "vmid in vttbr",
    "max_mapped_gfn",
    "lowest_mapped_gfn",
    "clean_pte",
    "need_flush",
    "stats.mappings[0]",
    "stats.mappings[1]",
    "stats.mappings[2]",
    "stats.mappings[3]",
    "stats.shattered[0]",
    "stats.shattered[1]",
    "stats.shattered[2]",
    "stats.shattered[3]",
    "access_required",
    "mem_access_enabled",
    "default_access",
    "domain",
    "last_vcpu_ran[0]",
    "last_vcpu_ran[1]",
    "last_vcpu_ran[2]",
    "last_vcpu_ran[3]",
    "last_vcpu_ran[4]",
    "last_vcpu_ran[5]",
    "last_vcpu_ran[6]",
    "last_vcpu_ran[7]",
    "p2m_total_pages",
    "is_shutting_down",
    "is_dying",
    "sctlr",
    "hcr_el2",
    "need_flush_to_ram",
    "vcpu",
];

fn fields(side: &Side, n: usize) -> [u64; FIELDS.len()] {
    let d = side.domains[n];
    // SAFETY: a live structure, which nobody changes now.
    let domain = unsafe { &*d.pointer() };
    let arch: &arch_domain = &domain.arch;
    let p2m = &arch.p2m;
    let ran = p2m.last_vcpu_ran.map(u64::from);
    // Domain n has vCPU n + 1, and the guest vCPU 0, too.
    let v: &vcpu = {
        // SAFETY: as above.
        unsafe { &*side.vcpu(n + 1) }
    };
    let m = p2m.stats.mappings;
    let s = p2m.stats.shattered;
    [
        (!p2m.root.is_null()).into(),
        p2m.vmid.into(),
        p2m.vttbr >> 48,
        p2m.max_mapped_gfn,
        p2m.lowest_mapped_gfn,
        p2m.clean_pte.into(),
        p2m.need_flush.into(),
        m[0],
        m[1],
        m[2],
        m[3],
        s[0],
        s[1],
        s[2],
        s[3],
        p2m.access_required.into(),
        p2m.mem_access_enabled.into(),
        p2m.default_access.into(),
        (!p2m.domain.is_null()).into(),
        ran[0],
        ran[1],
        ran[2],
        ran[3],
        ran[4],
        ran[5],
        ran[6],
        ran[7],
        arch.paging.p2m_total_pages,
        domain.is_shutting_down.into(),
        domain.is_dying.into(),
        v.arch.sctlr,
        v.arch.hcr_el2,
        v.arch.need_flush_to_ram.into(),
        v.vcpu_id as u64,
    ]
}

/// The fields of all domains and of their vCPUs.
pub(crate) fn structures(rust: &Side, c: &Side) -> Result<(), Difference> {
    for n in 0..rust.domains.len() {
        let (r, x) = (fields(rust, n), fields(c, n));
        if r != x {
            for (name, (r, x)) in FIELDS.iter().zip(r.iter().zip(&x)) {
                same(r, x, || format!("{name} of domain {n}"))?;
            }
        }
    }
    Ok(())
}

/// VTTBR_EL2 by whose it is, and the other registers of CPU 0.
fn registers(side: &Side) -> (u64, usize, u64, u64) {
    let (vttbr, vtcr, hcr) = side.world.registers(0);
    let whose = side.domains.iter().position(|d| d.vttbr() == vttbr);
    (vttbr >> 48, whose.unwrap_or(99), vtcr, hcr)
}

/// Registers, and what the rest of Xen got to see.
pub(crate) fn neighbours(rust: &Side, c: &Side) -> Result<(), Difference> {
    let (r, x) = (&rust.world, &c.world);
    same(&registers(rust), &registers(c), || {
        "registers of CPU 0 (VMID, domain of VTTBR_EL2, VTCR_EL2, HCR_EL2)".into()
    })?;
    same(&r.monitor_requests(), &x.monitor_requests(), || {
        "events for the monitor".into()
    })?;
    same(&r.flushed_to_ram(), &x.flushed_to_ram(), || {
        "frames that were cleaned to memory".into()
    })?;
    same(
        &(r.undef_injected(), r.softirqs()),
        &(x.undef_injected(), x.softirqs()),
        || "undefined instructions, softirqs".into(),
    )?;
    for (n, (a, b)) in rust.domains.iter().zip(&c.domains).enumerate() {
        same(&r.fate(*a), &x.fate(*b), || {
            format!("crashes and shutdowns of domain {n}")
        })?;
    }
    Ok(())
}

/// References of the frames that either side touched.
pub(crate) fn references(rust: &Side, c: &Side, frames: &[u64]) -> Result<(), Difference> {
    let count = |side: &Side| side.world.references_of(frames);
    let counts = count(rust).into_iter().zip(count(c));
    frames
        .iter()
        .zip(counts)
        .try_for_each(|(mfn, (r, x))| same(&r, &x, || format!("references of frame {mfn:#x}")))
}

/// Where Xen heap pages are mapped.
pub(crate) fn xenheap(rust: &Side, c: &Side) -> Result<(), Difference> {
    (XENHEAP..XENHEAP + XENHEAP_FRAMES).try_for_each(|mfn| {
        same(
            &rust.world.xenheap_gfn(mfn),
            &c.world.xenheap_gfn(mfn),
            || format!("guest frame of Xen heap page {mfn:#x}"),
        )
    })
}

/// Free pages of the pools, and of the heap.
pub(crate) fn pools(rust: &Side, c: &Side) -> Result<(), Difference> {
    same(&rust.world.heap_in_use(), &c.world.heap_in_use(), || {
        "pages taken from the heap".into()
    })?;
    for (n, (a, b)) in rust.domains.iter().zip(&c.domains).enumerate() {
        same(
            &rust.world.free_pool_pages(*a),
            &c.world.free_pool_pages(*b),
            || format!("free pages in the pool of domain {n}"),
        )?;
    }
    Ok(())
}

/// The access settings of all guest frames, in all domains.
pub(crate) fn settings(rust: &Side, c: &Side) -> Result<(), Difference> {
    for (n, (a, b)) in rust.domains.iter().zip(&c.domains).enumerate() {
        same(
            &rust.world.access_settings(*a),
            &c.world.access_tree(*b),
            || format!("access settings of domain {n}"),
        )?;
    }
    Ok(())
}

/// Those of these guest frames. The trees are equal by now.
pub(crate) fn settings_of(trees: &[Trees], c: &Side, gfns: &[u64]) -> Result<(), Difference> {
    for (n, (trees, d)) in trees.iter().zip(&c.domains).enumerate() {
        let (settings, stored) = (trees.settings(gfns), c.world.access_tree_at(*d, gfns));
        if settings == stored {
            continue;
        }
        for (gfn, (setting, stored)) in gfns.iter().zip(settings.iter().zip(&stored)) {
            same(setting, stored, || {
                format!("access setting of guest frame {gfn:#x} of domain {n}")
            })?;
        }
    }
    Ok(())
}
