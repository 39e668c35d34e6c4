// SPDX-License-Identifier: GPL-2.0-only
//! The IOMMU, and what the CPU says of itself.

use std::ffi::{c_int, c_uint, c_ulong};

use xen_sys::domain;

use crate::ground::config::Iommu;
use crate::ground::event::Event;
use crate::machine::with;
use crate::rules::State;

fn has_iommu(m: &State, d: *const domain) -> bool {
    m.is_behind_iommu(d.addr())
}

#[unsafe(no_mangle)]
extern "C" fn xs_is_iommu_enabled(d: *const domain) -> bool {
    with(|m, _| has_iommu(m, d))
}

/// A feature of the domain's IOMMU; of none, without one.
#[unsafe(no_mangle)]
extern "C" fn xs_iommu_coherent_walk(d: *mut domain) -> bool {
    with(|m, _| m.config.iommu == Iommu::Coherent && has_iommu(m, d))
}

#[unsafe(no_mangle)]
extern "C" fn xs_iommu_use_hap_pt(d: *const domain) -> bool {
    with(|m, _| m.config.iommu_shares_tables && has_iommu(m, d))
}

#[unsafe(no_mangle)]
extern "C" fn xs_iommu_iotlb_flush(
    d: *mut domain,
    dfn: c_ulong,
    nr: c_ulong,
    flags: c_uint,
) -> c_int {
    with(|m, cpu| {
        m.check_cleaned(d.addr(), "when the IOTLB is flushed");
        m.check_published(d.addr(), "when the IOTLB is flushed");
        m.check_published_to_devices(d.addr());
        if nr == 0 || dfn == c_ulong::MAX || !has_iommu(m, d) {
            let what = format!("IOTLB flush of {nr} frames from {dfn:#x} on, which asks for none");
            m.broken("X1", what);
        }
        if flags == 0 {
            // The drivers assert that.
            let what = format!("IOTLB flush of {nr} frames from {dfn:#x} on that says nothing");
            m.broken("X1", what);
        }
        let rc = m.devices.iommu_flush();
        m.iotlb_flush(d.addr(), &(dfn..dfn.saturating_add(nr)), flags, rc == 0);
        m.event(
            cpu,
            Event::IommuFlush {
                gfn: dfn,
                nr,
                flags,
                rc,
            },
        );
        rc
    })
}

#[unsafe(no_mangle)]
extern "C" fn xs_cpuinfo_pa_range() -> c_uint {
    with(|m, _| m.config.pa_range())
}

#[unsafe(no_mangle)]
extern "C" fn xs_cpuinfo_vmid_16_bits() -> bool {
    with(|m, _| m.config.vmid16)
}
