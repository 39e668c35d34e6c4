// SPDX-License-Identifier: GPL-2.0-only
//! Frames, page lists, the heap and references.

use std::ffi::{c_uint, c_ulong, c_void};
use std::ptr::null_mut;

use xen_sys::{domain, gfn_t, mfn_t, page_info, page_list_head, XS_MEMF_no_owner};

use crate::ground::event::{Event, Mfn};
use crate::ground::handles::Domain;
use crate::machine::with;
use crate::model::domains::ListOf;
use crate::model::frames::Life;
use crate::rules::State;

#[unsafe(no_mangle)]
extern "C" fn xs_page_to_mfn(pg: *const page_info) -> mfn_t {
    with(|m, _| m.frame_of(pg, "page_to_mfn()").unwrap_or(mfn_t::MAX))
}

#[unsafe(no_mangle)]
extern "C" fn xs_mfn_to_page(mfn: mfn_t) -> *mut page_info {
    with(|m, _| m.frames.info(mfn))
}

#[unsafe(no_mangle)]
extern "C" fn xs_mfn_valid(mfn: mfn_t) -> bool {
    with(|m, _| m.frames.is_ram(mfn))
}

#[unsafe(no_mangle)]
extern "C" fn xs_page_of(mfn: mfn_t) -> *mut page_info {
    with(|m, _| {
        if m.frames.is_ram(mfn) {
            m.frames.info(mfn)
        } else {
            null_mut()
        }
    })
}

#[unsafe(no_mangle)]
extern "C" fn xs_put_pages(mfn: c_ulong, nr: c_ulong) {
    for mfn in mfn..mfn + nr {
        let page = xs_page_of(mfn);
        if !page.is_null() {
            put_page(page);
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn xs_is_xen_heap_page(pg: *const page_info) -> bool {
    with(|m, _| {
        m.frame_of(pg, "is_xen_heap_page()")
            .is_some_and(|mfn| m.frames.xenheap(mfn).is_some())
    })
}

#[unsafe(no_mangle)]
extern "C" fn xs_page_is_owned_by(pg: *const page_info, d: *const domain) -> bool {
    with(|m, _| {
        let mfn = m.frame_of(pg, "page_get_owner()");
        mfn.is_some_and(|mfn| m.frames.frame(mfn).owner == Some(d.addr()))
    })
}

#[unsafe(no_mangle)]
extern "C" fn xs_before_xen_heap(first: u64, nr: u64) -> u64 {
    with(|m, _| m.frames.before_xenheap(first, nr))
}

#[unsafe(no_mangle)]
extern "C" fn xs_page_set_xenheap_gfn(pg: *mut page_info, gfn: gfn_t) {
    with(|m, cpu| {
        let Some(mfn) = m.frame_of(pg, "page_set_xenheap_gfn()") else {
            return;
        };
        // Without a reference the frame may be freed, and another's, meanwhile; but what Xen's heap has for a domain
        // it keeps as long as that lives.
        let frame = m.frames.frame(mfn);
        let (has_reference, owner) = (frame.refs > u32::from(!frame.released), frame.owner);
        if !has_reference && !owner.is_some_and(|owner| m.changes_its_living_p2m(cpu, owner)) {
            m.broken(
                "R6",
                format!("the M2P of frame {mfn:#x} is written without a reference to it"),
            );
        }
        if !m.frames.set_xenheap(mfn, gfn) {
            m.broken("R0", format!("frame {mfn:#x} is no Xen heap page"));
        }
    });
}

#[unsafe(no_mangle)]
extern "C" fn xs_map_domain_page(mfn: mfn_t) -> *mut u64 {
    with(|m, cpu| {
        if !matches!(m.frames.frame(mfn).life, Life::Heap { .. }) {
            m.broken(
                "R0",
                format!("CPU {cpu} maps frame {mfn:#x}, which is no allocated page"),
            );
        }
        m.frames.pages.map(mfn)
    })
}

#[unsafe(no_mangle)]
extern "C" fn xs_clear_page(page: *mut c_void) {
    with(|m, cpu| match m.frames.pages.word_at(page.addr()) {
        Some((mfn, 0)) => m.clear_table(cpu, mfn, false),
        _ => m.broken("R0", format!("clear_page({page:?}): no mapped page")),
    });
}

#[unsafe(no_mangle)]
extern "C" fn clear_and_clean_page(page: *mut page_info) {
    with(|m, cpu| {
        if let Some(mfn) = m.frame_of(page, "clear_and_clean_page()") {
            m.clear_table(cpu, mfn, true);
        }
    });
}

#[unsafe(no_mangle)]
extern "C" fn xs_flush_frames_to_ram(mfn: c_ulong, nr: c_ulong) {
    for mfn in mfn..mfn + nr {
        flush_page_to_ram(mfn, false);
    }
}

#[unsafe(no_mangle)]
extern "C" fn flush_page_to_ram(mfn: c_ulong, sync_icache: bool) {
    with(|m, cpu| {
        m.event(cpu, Event::FlushPageToRam { mfn, sync_icache });
        m.devices.flushed_to_ram.push(mfn);
        // DSB SY comes first and last.
        m.publish_to_devices(cpu);
        m.cpus.walks_complete(cpu);
        m.cleaned(mfn);
        if !m.frames.is_ram(mfn) {
            m.broken(
                "R0",
                format!("frame {mfn:#x} is flushed, but there is no memory there"),
            );
        }
    });
}

#[unsafe(no_mangle)]
extern "C" fn xs_init_page_list_head(head: *mut page_list_head) {
    with(|m, _| m.lists.init(head.addr()));
}

fn list_add(pg: *mut page_info, head: *mut page_list_head, tail: bool) {
    with(|m, cpu| {
        let Some(mfn) = m.frame_of(pg, "page_list_add()") else {
            return;
        };
        if !matches!(m.frames.frame(mfn).life, Life::Heap { .. }) {
            m.broken(
                "R0",
                format!("CPU {cpu} lists frame {mfn:#x}, which is not allocated"),
            );
        }
        m.check_list_locked(cpu, head.addr(), "page_list_add");
        m.work_done(cpu, 0, 1);
        // A list of tables keeps the page; any other frees it.
        if !m.domains.has_tables_in(head.addr()) {
            m.retire_table(cpu, mfn);
        }
        let added = m.lists.add(head.addr(), mfn, tail);
        if added.is_ok() && matches!(m.domains.list(head.addr()), ListOf::Pool(_)) {
            m.frames.put_in_pool(mfn);
        }
        m.noted("R0", added);
    });
}

#[unsafe(no_mangle)]
extern "C" fn xs_page_list_add(pg: *mut page_info, head: *mut page_list_head) {
    list_add(pg, head, false);
}

#[unsafe(no_mangle)]
extern "C" fn xs_page_list_add_tail(pg: *mut page_info, head: *mut page_list_head) {
    list_add(pg, head, true);
}

fn list_del(m: &mut State, list: usize, mfn: Mfn) {
    let deleted = m.lists.del(list, mfn);
    if deleted.is_ok() && matches!(m.domains.list(list), ListOf::Pool(_)) {
        m.frames.take_from_pool(mfn);
    }
    m.noted("R0", deleted);
}

#[unsafe(no_mangle)]
extern "C" fn xs_page_list_del(pg: *mut page_info, head: *mut page_list_head) {
    with(|m, cpu| {
        m.check_list_locked(cpu, head.addr(), "page_list_del");
        let Some(mfn) = m.frame_of(pg, "page_list_del()") else {
            return;
        };
        list_del(m, head.addr(), mfn);
    });
}

#[unsafe(no_mangle)]
extern "C" fn xs_page_list_remove_head(head: *mut page_list_head) -> *mut page_info {
    with(|m, cpu| {
        m.check_list_locked(cpu, head.addr(), "page_list_remove_head");
        if !m.lists.is_initialised(head.addr()) {
            m.broken(
                "R0",
                "page_list_remove_head() of a list never initialised".into(),
            );
        }
        let Some(mfn) = m.lists.first(head.addr()) else {
            return null_mut();
        };
        list_del(m, head.addr(), mfn);
        m.frames.info(mfn)
    })
}

#[unsafe(no_mangle)]
extern "C" fn xs_page_list_last(head: *const page_list_head) -> *mut page_info {
    with(|m, cpu| {
        m.check_list_locked(cpu, head.addr(), "page_list_last");
        let last = m.lists.last(head.addr());
        last.map_or(null_mut(), |mfn| m.frames.info(mfn))
    })
}

#[unsafe(no_mangle)]
extern "C" fn xs_page_list_empty(head: *const page_list_head) -> bool {
    with(|m, _| m.lists.first(head.addr()).is_none())
}

#[unsafe(no_mangle)]
extern "C" fn alloc_domheap_pages(
    d: *mut domain,
    order: c_uint,
    memflags: c_uint,
) -> *mut page_info {
    with(|m, cpu| {
        m.must_be_in_alloc_context(cpu, "alloc_domheap_pages()");
        let owned = !d.is_null() && memflags & XS_MEMF_no_owner == 0;
        let record = m.domains.by_address(d.addr());
        let domain = record.map(|record| record.id);
        // assign_pages() refuses a dying domain; a coloured page is a single one.
        let refused = record.is_some_and(|record| owned && Domain(record.pointer).is_dying())
            || m.config.llc_coloring && domain.is_some() && order > 0;
        let mfn = if refused {
            None
        } else {
            m.frames.alloc(order, owned.then_some(d.addr()))
        };
        m.event(
            cpu,
            Event::Alloc {
                mfn,
                order,
                domain,
                memflags,
            },
        );
        mfn.map_or(null_mut(), |mfn| m.frames.info(mfn))
    })
}

#[unsafe(no_mangle)]
extern "C" fn free_domheap_pages(pg: *mut page_info, order: c_uint) {
    with(|m, cpu| {
        let Some(mfn) = m.frame_of(pg, "free_domheap_pages()") else {
            return;
        };
        m.must_be_in_alloc_context(cpu, "free_domheap_pages()");
        m.event(cpu, Event::Free { mfn, order });
        if m.lists.is_linked(mfn) {
            m.broken(
                "R0",
                format!("frame {mfn:#x} is freed while it is on a list"),
            );
        }
        let is_root = m
            .tables
            .live
            .get(mfn)
            .is_some_and(|t| t.level == m.config.root().0);
        if is_root {
            m.drop_root(cpu, mfn);
        }
        for page in mfn..mfn + (1 << order) {
            m.retire_table(cpu, page);
        }
        let freed = m.frames.free(mfn, order);
        m.noted("R0", freed);
    });
}

#[unsafe(no_mangle)]
extern "C" fn get_page(page: *mut page_info, d: *const domain) -> bool {
    with(|m, cpu| {
        let Some(mfn) = m.frame_of(page, "get_page()") else {
            return false;
        };
        let frame = m.frames.frame(mfn);
        let ok = frame.owner == Some(d.addr()) && frame.refs > 0 && !frame.saturated;
        frame.refs += u32::from(ok);
        let absent = frame.life == Life::Absent;
        m.event(cpu, Event::Get { mfn, ok });
        if absent {
            m.broken(
                "R0",
                format!("get_page() of frame {mfn:#x}: no memory there"),
            );
        }
        ok
    })
}

#[unsafe(no_mangle)]
extern "C" fn xs_get_page_at(mfn: mfn_t, d: *const domain) -> *mut page_info {
    let page = xs_page_of(mfn);
    if !page.is_null() && get_page(page, d) {
        page
    } else {
        null_mut()
    }
}

#[unsafe(no_mangle)]
extern "C" fn page_get_owner_and_reference(page: *mut page_info) -> *mut domain {
    with(|m, cpu| {
        let Some(mfn) = m.frame_of(page, "page_get_owner_and_reference()") else {
            return null_mut();
        };
        let frame = m.frames.frame(mfn);
        let ok = frame.owner.is_some() && frame.refs > 0 && !frame.saturated;
        frame.refs += u32::from(ok);
        let owner = frame.owner.filter(|_| ok);
        m.event(cpu, Event::Get { mfn, ok });
        owner
            .and_then(|a| m.domains.by_address(a))
            .map_or(null_mut(), |d| d.pointer)
    })
}

#[unsafe(no_mangle)]
extern "C" fn put_page(page: *mut page_info) {
    with(|m, cpu| {
        let Some(mfn) = m.frame_of(page, "put_page()") else {
            return;
        };
        m.event(cpu, Event::Put { mfn });
        m.check_out_of_reach(cpu, mfn);
        m.check_leaf_uncached(cpu, mfn);
        let frame = m.frames.frame(mfn);
        if frame.refs == 0 {
            m.broken(
                "R0",
                format!("the reference count of frame {mfn:#x} goes below zero"),
            );
            return;
        }
        frame.refs -= 1;
        if frame.refs == 0 {
            m.frames.last_reference_goes(mfn);
            m.must_be_in_alloc_context(cpu, "put_page() of the last reference");
        }
    });
}
