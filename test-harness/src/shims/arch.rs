// SPDX-License-Identifier: GPL-2.0-only
//! Registers, barriers, TLB and cache maintenance, address translation.

use std::ffi::{c_int, c_uint, c_ulong, c_void};

use xen_sys::{paddr_t, vaddr_t, vcpu, XS_GV2M_WRITE};

use crate::books::tlb::Scope;
use crate::ground::event::{Event, Register};
use crate::machine::with;
use crate::model::domains::lock_of;
use crate::model::guests::Want;
use crate::rules::State;

macro_rules! register {
    ($read:ident, $write:ident, $field:ident, $name:ident) => {
        #[unsafe(no_mangle)]
        extern "C" fn $read() -> u64 {
            with(|m, cpu| m.cpus.cpus[cpu].$field)
        }

        #[unsafe(no_mangle)]
        extern "C" fn $write(value: u64) {
            with(|m, cpu| {
                let changed = m.cpus.cpus[cpu].$field ^ value;
                let broken = m.cpus.check_no_walks(cpu, Register::$name, changed);
                m.noted_rule(broken);
                m.cpus.cpus[cpu].$field = value;
                m.event(
                    cpu,
                    Event::WriteRegister {
                        register: Register::$name,
                        value,
                    },
                );
            });
        }
    };
}

register!(xs_mock_read_vtcr_el2, xs_mock_write_vtcr_el2, vtcr, Vtcr);
register!(xs_mock_read_hcr_el2, xs_mock_write_hcr_el2, hcr, Hcr);
register!(
    xs_mock_read_sctlr_el1,
    xs_mock_write_sctlr_el1,
    sctlr,
    Sctlr
);

#[unsafe(no_mangle)]
extern "C" fn xs_mock_read_vttbr_el2() -> u64 {
    with(|m, cpu| m.cpus.cpus[cpu].vttbr)
}

#[unsafe(no_mangle)]
extern "C" fn xs_mock_write_vttbr_el2(value: u64) {
    with(|m, cpu| {
        let broken = m.cpus.check_no_walks(cpu, Register::Vttbr, !0);
        m.noted_rule(broken);
        let broken = m.cpus.write_vttbr(cpu, value);
        m.noted_rule(broken);
        m.check_root_loaded(cpu, value);
        m.event(
            cpu,
            Event::WriteRegister {
                register: Register::Vttbr,
                value,
            },
        );
    });
}

#[unsafe(no_mangle)]
extern "C" fn xs_mock_isb() {
    with(|m, cpu| {
        m.cpus.isb(cpu);
        m.event(cpu, Event::Isb);
    });
}

#[unsafe(no_mangle)]
extern "C" fn xs_mock_dsb_sy() {
    with(|m, cpu| {
        m.publish_to_devices(cpu);
        m.cpus.walks_complete(cpu);
        m.event(cpu, Event::DsbSy);
    });
}

#[unsafe(no_mangle)]
extern "C" fn xs_mock_dsb_ish() {
    with(|m, cpu| {
        m.publish(cpu);
        m.cpus.walks_complete(cpu);
        m.event(cpu, Event::DsbIsh);
    });
}

/// Other CPUs' walkers are not of the non-shareable domain: nothing is published.
#[unsafe(no_mangle)]
extern "C" fn xs_mock_dsb_nsh() {
    with(|m, cpu| {
        m.cpus.walks_complete(cpu);
        m.event(cpu, Event::DsbNsh);
    });
}

/// This machine's CPUs read in the order of the program.
#[unsafe(no_mangle)]
extern "C" fn xs_mock_dmb_ishld() {
    with(|m, cpu| m.event(cpu, Event::DmbIshld));
}

#[unsafe(no_mangle)]
extern "C" fn xs_mock_dsb_ishst() {
    with(|m, cpu| {
        m.publish(cpu);
        m.event(cpu, Event::DsbIshst);
    });
}

#[unsafe(no_mangle)]
extern "C" fn xs_mock_pte_load(entry: *const u64) -> u64 {
    with(|m, cpu| {
        let Some((mfn, index)) = m.frames.pages.word_at(entry.addr()) else {
            m.broken(
                "R0",
                format!("a table entry is read at {entry:?}: no mapped page"),
            );
            return 0;
        };
        if m.frames.is_free(mfn) {
            m.broken(
                "R5",
                format!("CPU {cpu} reads a table entry in the free page {mfn:#x}"),
            );
        }
        if let Some(table) = m.tables.live.get(mfn) {
            if !m.locks.holds(lock_of(table.domain), cpu) {
                m.broken(
                    "L4",
                    format!("CPU {cpu} reads the live table {mfn:#x} with no lock"),
                );
            }
        }
        let value = m.frames.pages.load(mfn, index);
        m.event(cpu, Event::PteLoad { mfn, index, value });
        value
    })
}

#[unsafe(no_mangle)]
extern "C" fn xs_mock_pte_store(entry: *mut u64, value: u64) {
    with(|m, cpu| match m.frames.pages.word_at(entry.addr()) {
        Some((mfn, index)) => m.store_entry(cpu, mfn, index, value),
        None => m.broken(
            "R0",
            format!("a table entry is written at {entry:?}: no mapped page"),
        ),
    });
}

#[unsafe(no_mangle)]
extern "C" fn xs_clean_dcache_va_range(p: *const c_void, size: c_ulong) {
    with(|m, cpu| m.clean(cpu, p.addr(), size as usize));
}

#[unsafe(no_mangle)]
extern "C" fn xs_invalidate_icache() {
    with(|m, cpu| {
        m.devices.icache_invalidations += 1;
        m.icaches_invalidated();
        m.event(cpu, Event::InvalidateIcache);
    });
}

#[unsafe(no_mangle)]
extern "C" fn xs_invalidate_icache_local() {
    with(|m, cpu| m.vmids.icaches[cpu].clear());
}

/// A broadcast TLBI for the VMID in VTTBR_EL2: what it covers, and its event.
fn invalidate(scope: Scope, event: impl FnOnce(u16, bool) -> Event) {
    with(|m, cpu| {
        // DSB ISHST comes first.
        m.publish(cpu);
        let (vmid, broken) = m.cpus.tlbi(cpu);
        m.noted_rule(broken);
        m.tlb_flush(vmid, scope);
        // Whatever it covers of stage 2, TLBI VMALLE1IS is part of it.
        m.translations.invalidate(vmid, None);
        // DSB ISH comes last.
        m.cpus.walks_complete(cpu);
        if matches!(scope, Scope::Vmid) {
            m.vmid_flushed(vmid);
        }
        let irqs_on = !m.cpus.cpus[cpu].irqs_off;
        m.event(cpu, event(vmid, irqs_on));
    });
}

#[unsafe(no_mangle)]
extern "C" fn xs_flush_guest_tlb() {
    invalidate(Scope::Vmid, |vmid, irqs_on| Event::TlbiVmid {
        vmid,
        irqs_on,
    });
}

#[unsafe(no_mangle)]
extern "C" fn xs_flush_guest_tlb_by_ipa(gfn: u64, count: u64, order: c_uint) {
    invalidate(Scope::Ipas { gfn, count, order }, |vmid, irqs_on| {
        Event::TlbiIpa {
            vmid,
            gfn,
            count,
            order,
            irqs_on,
        }
    });
}

#[unsafe(no_mangle)]
extern "C" fn xs_flush_guest_tlb_range(gfn: u64, nr: u64) {
    let (has_it, fits) = (
        with(|m, _| m.config.tlb_range),
        nr < 1 << 21 && gfn + nr <= 1 << 37,
    );
    if !(has_it && fits) {
        with(|m, _| {
            m.broken(
                "T2",
                format!("TLBI of {nr:#x} frames from {gfn:#x} on: no such range"),
            );
        });
    }
    invalidate(Scope::Range { gfn, nr }, |vmid, irqs_on| Event::TlbiRange {
        vmid,
        gfn,
        nr,
        irqs_on,
    });
}

#[unsafe(no_mangle)]
extern "C" fn xs_has_tlb_range() -> bool {
    with(|m, _| m.config.tlb_range)
}

#[unsafe(no_mangle)]
extern "C" fn xs_flush_guest_stage1_tlb_local() {
    with(|m, cpu| {
        let (vmid, broken) = m.cpus.tlbi(cpu);
        m.noted_rule(broken);
        m.vmid_flushed_locally(cpu, Some(vmid));
        m.translations.invalidate_locally(cpu, Some(vmid));
        // IC IALLU.
        m.vmids.icaches[cpu].clear();
        // DSB NSH comes last.
        m.cpus.walks_complete(cpu);
        m.event(cpu, Event::TlbiStage1Local { vmid });
    });
}

#[unsafe(no_mangle)]
extern "C" fn xs_flush_guest_tlb_local() {
    with(|m, cpu| {
        let (vmid, broken) = m.cpus.tlbi(cpu);
        m.noted_rule(broken);
        m.vmid_flushed_locally(cpu, Some(vmid));
        m.translations.invalidate_locally(cpu, Some(vmid));
        m.stage2_flushed_locally(cpu, Some(vmid));
        m.cpus.walks_complete(cpu);
        m.event(cpu, Event::TlbiVmidLocal { vmid });
    });
}

#[unsafe(no_mangle)]
extern "C" fn xs_flush_all_guests_tlb_local() {
    with(|m, cpu| {
        m.vmid_flushed_locally(cpu, None);
        m.translations.invalidate_locally(cpu, None);
        m.stage2_flushed_locally(cpu, None);
        m.cpus.walks_complete(cpu);
        m.event(cpu, Event::TlbiAllLocal);
    });
}

#[unsafe(no_mangle)]
extern "C" fn xs_has_at_speculate() -> bool {
    with(|m, _| m.config.at_speculate && m.cpus.alternatives)
}

#[unsafe(no_mangle)]
extern "C" fn xs_found_at_speculate() -> bool {
    with(|m, _| m.config.at_speculate)
}

/// PAR_EL1.F: the translation failed.
const PAR_F: u64 = 1;

fn translate(
    va: vaddr_t,
    flags: c_uint,
    stage: impl FnOnce(&mut State, usize, u64, Want) -> Option<u64>,
) -> Option<u64> {
    with(|m, cpu| {
        let want = if flags & XS_GV2M_WRITE != 0 {
            Want::Write
        } else {
            Want::Read
        };
        let answer = stage(m, cpu, va, want);
        m.cpus.cpus[cpu].walks = true;
        m.tables_are_walked(cpu);
        m.event(
            cpu,
            Event::AddressTranslation {
                va,
                ok: answer.is_some(),
            },
        );
        answer
    })
}

fn both_stages(va: vaddr_t, flags: c_uint) -> Option<u64> {
    let trust = with(|m, cpu| m.translation_begins(cpu, va));
    let translated = translate(va, flags, State::at_stage12);
    with(|m, cpu| m.translation_ends(cpu, va, trust, translated.is_none()));
    translated
}

/// What PAR_EL1 says beside the address: normal write-back memory, inner
/// shareable; bit 11 is RES1.
const PAR_ATTRIBUTES: u64 = 0xff << 56 | 1 << 11 | 3 << 7;

/// `gva_to_ma_par()`: PAR_EL1 with the page's address, or with bit 0.
#[unsafe(no_mangle)]
extern "C" fn xs_gva_to_ma_par(v: *const vcpu, va: vaddr_t, flags: c_uint) -> u64 {
    if xen_sys::xs_current().cast_const() != v {
        with(|m, cpu| {
            m.broken(
                "R0",
                format!("CPU {cpu} translates {va:#x} for a vCPU that it does not run"),
            )
        });
    }
    match both_stages(va, flags) {
        Some(maddr) => maddr & !0xfff | PAR_ATTRIBUTES,
        None => PAR_F,
    }
}

/// # Safety
/// `pa` can be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn xs_gvirt_to_maddr(va: vaddr_t, pa: *mut paddr_t, flags: c_uint) -> u64 {
    match both_stages(va, flags) {
        Some(maddr) => {
            // SAFETY: the caller's promise.
            unsafe { pa.write(maddr) };
            0
        }
        None => PAR_F,
    }
}

/// # Safety
/// `ipa` can be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn xs_gva_to_ipa(va: vaddr_t, ipa: *mut paddr_t, flags: c_uint) -> c_int {
    const EFAULT: c_int = 14;
    let translated = translate(va, flags, State::at_stage1);
    with(|m, cpu| m.stage1_ends(cpu, translated.is_none()));
    match translated {
        Some(address) => {
            // SAFETY: the caller's promise.
            unsafe { ipa.write(address) };
            0
        }
        None => -EFAULT,
    }
}
