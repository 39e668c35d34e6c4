// SPDX-License-Identifier: GPL-2.0-only
//! The IOMMU, and what the CPU says of itself.

use std::ffi::{c_int, c_uint, c_ulong};

use xen_sys::domain;

use crate::config::Iommu;
use crate::event::Event;
use crate::machine::with;

#[unsafe(no_mangle)]
extern "C" fn xs_is_iommu_enabled(_d: *const domain) -> bool {
    with(|m, _| m.config.iommu != Iommu::Off)
}

#[unsafe(no_mangle)]
extern "C" fn xs_iommu_coherent_walk(_d: *mut domain) -> bool {
    with(|m, _| m.config.iommu == Iommu::Coherent)
}

#[unsafe(no_mangle)]
extern "C" fn xs_iommu_use_hap_pt(_d: *const domain) -> bool {
    with(|m, _| m.config.iommu_shares_tables)
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
