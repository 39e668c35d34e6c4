// SPDX-License-Identifier: GPL-2.0-only
//! What C keeps of a domain's views and vCPUs.

use std::ffi::c_uint;
use std::ptr::{null, null_mut};

use xen_sys::{domain, p2m_view, page_list_head, vcpu};

use crate::ground::handles::Domain;
use crate::machine::with;
use crate::model::domains::{new_view, ListOf};

#[unsafe(no_mangle)]
extern "C" fn xs_page_list_splice(list: *mut page_list_head, head: *mut page_list_head) {
    with(|m, cpu| {
        for list in [list.addr(), head.addr()] {
            m.check_list_locked(cpu, list, "page_list_splice");
        }
        m.work_done(cpu, 0, 1);
        let pages = m.lists.pages(list.addr());
        // A list of tables keeps the page; any other frees it.
        if !m.domains.has_tables_in(head.addr()) {
            for &mfn in &pages {
                m.retire_table(cpu, mfn);
            }
        }
        let spliced = m.lists.splice(list.addr(), head.addr());
        if spliced.is_ok() && matches!(m.domains.list(head.addr()), ListOf::Pool(_)) {
            for mfn in pages {
                m.frames.put_in_pool(mfn);
            }
        }
        m.noted("R0", spliced);
    });
}

#[unsafe(no_mangle)]
extern "C" fn xs_alloc_p2m_view() -> *mut p2m_view {
    with(|m, cpu| {
        m.must_be_in_alloc_context(cpu, "xzalloc()");
        if m.frames.allocation_fails() {
            return std::ptr::null_mut();
        }
        let view = Box::into_raw(new_view());
        m.domains.views.push(view);
        view
    })
}

#[unsafe(no_mangle)]
extern "C" fn xs_free_p2m_view(view: *mut p2m_view) {
    with(|m, cpu| {
        m.must_be_in_alloc_context(cpu, "xfree()");
        let before = m.domains.views.len();
        m.domains.views.retain(|&other| other != view);
        if m.domains.views.len() == before {
            m.broken("R0", format!("CPU {cpu} frees {view:?}, which is no view"));
            return;
        }
        // SAFETY: from Box::into_raw above, and in no list any more.
        drop(unsafe { Box::from_raw(view) });
    });
}

/// `xfree()` of what `altp2m_init()` allocated.
///
/// # Safety
/// `d` points to a domain.
#[unsafe(no_mangle)]
unsafe extern "C" fn altp2m_teardown(d: *mut domain) {
    // SAFETY: the caller's promise.
    let all = unsafe { std::mem::replace(&mut (*d).arch.p2m.views, null_mut()) };
    if all.is_null() {
        return;
    }
    with(|m, cpu| {
        m.must_be_in_alloc_context(cpu, "xfree()");
        m.domains.all_views.retain(|&other| other != all);
        // SAFETY: from Box::into_raw in allow_views(), and in no list any more.
        let all = unsafe { Box::from_raw(all) };
        if all.view.iter().any(|view| !view.is_null()) {
            let name = m.domains.name(Domain(d).address());
            m.broken("R0", format!("{name} is gone, and has views"));
        }
    });
}

#[unsafe(no_mangle)]
extern "C" fn xs_max_vcpus(d: *const domain) -> c_uint {
    with(|m, _| {
        let ids = m.domains.vcpus.iter().filter(|v| v.domain == d.addr());
        ids.map(|v| v.id.unsigned_abs() + 1).max().unwrap_or(0)
    })
}

#[unsafe(no_mangle)]
extern "C" fn xs_domain_vcpu(d: *const domain, id: c_uint) -> *const vcpu {
    with(|m, _| {
        let mut vcpus = m.domains.vcpus.iter();
        let found = vcpus.find(|v| v.domain == d.addr() && v.id.unsigned_abs() == id);
        found.map_or(null(), |v| v.pointer)
    })
}

/// `array_index_nospec()`: what it does is nothing that the model could tell. The machine notes that
/// it was asked, and for which index.
#[unsafe(no_mangle)]
extern "C" fn xs_array_index_nospec(index: c_uint, size: c_uint) -> c_uint {
    with(|m, _| m.devices.indices.push((index, size)));
    if index < size {
        index
    } else {
        0
    }
}

/// `v->is_running`, which is asked only to assert that it is not so. Rule V3: a vCPU is told its
/// view while no CPU runs it; the CPU's VTTBR_EL2 would stay that of the view before.
#[unsafe(no_mangle)]
extern "C" fn xs_vcpu_is_running(v: *const vcpu) -> bool {
    with(|m, _| {
        let cpu = m.cpus.cpus.iter().position(|cpu| cpu.current == v.addr());
        if let Some(cpu) = cpu {
            let name = m.domains.name(v.addr());
            m.broken(
                "V3",
                format!("{name} is told its view while CPU {cpu} runs it"),
            );
        }
        false
    })
}
