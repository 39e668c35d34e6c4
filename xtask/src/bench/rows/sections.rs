// SPDX-License-Identifier: GPL-2.0-only
//! What the rows are about: the sections of the report.

/// Rows of one kind.
#[derive(Clone, Copy, Debug)]
pub(in crate::bench) struct Section {
    /// Its heading.
    pub(in crate::bench) title: &'static str,
    /// What the rows do.
    pub(in crate::bench) text: &'static str,
    /// How their names begin.
    pub(in crate::bench) rows: &'static [&'static str],
}

/// In the order of the report.
pub(in crate::bench) const ALL: &[Section] = &[
    Section {
        title: "Mapping",
        text: "`map-1g-as-SIZE`: 1 GiB in one call of `p2m_insert_mapping`, with guest and machine \
               frames aligned so that blocks of SIZE are possible; `-plus-page`: and one page \
               more; `-shifted`: both begin a page later; `-minus-page`: without the first page. \
               `-calls`: a call of `guest_physmap_add_entry` for each block. `remap`: other \
               machine frames where something is mapped. `nothing` is an empty region.",
        rows: &["nothing", "map-", "remap-"],
    },
    Section {
        title: "Finding",
        text: "`lookup`: `p2m_lookup`, of a frame in a block of the given size, in a `hole` of the \
               mapping, and `beyond` its end. `get-page-from-gfn` takes and drops a reference. \
               `get-access`: `p2m_get_mem_access`, where an access is set and where none is.",
        rows: &["lookup-", "get-"],
    },
    Section {
        title: "A guest's virtual addresses",
        text: "`get_page_from_gva` for a guest with four levels of its own tables, on the vCPU that \
               is loaded. `direct`: the hardware translates. `untracked`: bit 0 of the root \
               is clear, so that software walks. `restricted`: mem_access forbids the page; \
               `restricted-tables`: and the guest's tables.",
        rows: &["gva-"],
    },
    Section {
        title: "Restricting (mem_access)",
        text: "`p2m_set_mem_access` on 1 GiB, mapped as 4K pages, 2M blocks or a 1G block: the `first` \
               time, a `change` of the restriction, its `lift`. `preempted`: every check asks for \
               a stop, and the call is made again from there. `flip`: one page, restricted and \
               lifted in turn, where nothing else is restricted, or (`among`) all of 1 GiB; `pages`: one page after the other. Preemption is checked every \
               64 pages at most, as in the hypercall.",
        rows: &["access-"],
    },
    Section {
        title: "A monitor's event",
        text: "`event`: the guest writes to a page that a monitor lets it only read. Counted are Xen's handler of \
               the trap (`do_trap_guest_sync`), the event in the monitor's ring, what the monitor then asks of Xen \
               (`p2m_get_mem_access`; `p2m_set_mem_access` to rwx; the reply, for which Xen unpauses the vCPU), and \
               `p2m_set_mem_access` to restrict the page again. Guest and monitor are exchanged on the one CPU by \
               hand, with eight instructions; the scheduler, the event channel's other end, the monitor's \
               hypercalls and its own instructions are not counted. `event`: the monitor has restricted 1 GiB, and \
               each event is for the next page; `event-hook`: it has restricted one page. `event-xen`: what of that \
               is not the p2m's, but Xen's own C, the same in both: the trap, `monitor_traps` with the ring, the \
               reply. `event-p2m` and `event-hook-p2m` are not counted: they are the difference.",
        rows: &["event"],
    },
    Section {
        title: "Unmapping and the end of a domain",
        text: "`unmap-page-of`: one page out of the middle of a block. `unmap-1g`: in one call of \
               `guest_physmap_remove_page`, or (`calls`) one for each page; `but-first` and \
               `but-ends`: without the first, or the first and the last page. `relinquish`: \
               `relinquish_p2m_mapping` of own or foreign pages. `teardown`: \
               `p2m_teardown`, after it. `pool`: the domain's pool grows or shrinks by 4096 pages.",
        rows: &["unmap-", "relinquish-", "teardown-", "pool-"],
    },
    Section {
        title: "Set/way emulation",
        text: "`invalidate`: `p2m_domain_creation_finished`. `touch`: a guest touches one page, or all \
               262,144 of 1 GiB, after an invalidation; each fault goes to \
               `p2m_resolve_translation_fault`, and an AT instruction finds out whether the \
               hardware gets through. `touch-late`: a fault on what is valid already, since another vCPU was quicker. \
              `touch-flush`: the guest touches everything (`dense`), or one page of each 2 MiB, one block of 16 \
              (`sparse`), and then all is flushed. `flush-vm`: `p2m_flush_vm` when nothing was touched since the \
               invalidation, and when all was. `flush-range`: `p2m_cache_flush_range`, for the \
               toolstack. Xen 4.20's C forgets to invalidate a root at level 0, so it is also done \
               by hand before `touch` and `flush-vm-untouched`; `invalidate` is without that, and \
               so the C's number there is of doing nothing.",
        rows: &["invalidate", "touch-", "flush-vm", "flush-range"],
    },
    Section {
        title: "Context switch and flush",
        text: "`restore`: `p2m_restore_state` of the vCPU that ran last, or of another of the same \
               domain. `save`: `p2m_save_state`. `flush-tlb`: `p2m_force_tlb_flush_sync` under the lock, \
               of the domain that is loaded or of another.",
        rows: &["restore-", "save", "flush-tlb"],
    },
    Section {
        title: "xl create and xl destroy",
        text: "`xl create -p` and `xl destroy` of a paused guest of 256 MiB or 2 GiB, from the start of the \
               command to its end. Everything that Xen executes meanwhile is counted, of which the p2m \
               is a small part: interrupts, the scheduler, scrubbing and cleaning of memory, and \
               dom0's other hypercalls are in these numbers, dom0's own instructions are not. So they \
               are not the same each time; all is done three times, and each number is the least. \
               Stores, locks and preemption checks are not watched here.",
        rows: &["xl-"],
    },
    Section {
        title: "The size of the guest",
        text: "`create`: a call of `guest_physmap_add_entry` for each extent of 2 MiB, or each page. \
               `destroy`: `relinquish_p2m_mapping`, `p2m_clear_root_pages`, `p2m_teardown`. The \
               machine frames do not exist; nothing looks at them. Guests of small pages are counted \
               up to 4 GiB.",
        rows: &["create-", "destroy-"],
    },
    Section {
        title: "The lock and the size of the guest",
        text: "How long the p2m lock is held in guests of 64 GiB and 1 TiB, mapped as blocks of 1 GiB or 2 MiB. Every \
               check for preemption asks for a stop, and the call is made again from there. `invalidate`: \
               `p2m_domain_creation_finished`, where the C does nothing. `fault`: the first one after an \
               invalidation. `access-first`, `access-lift`: 1 GiB in the middle is restricted, page by page, or the \
               restriction is lifted. `relinquish`, `teardown`: the end of the domain. `flush`: \
               `p2m_cache_flush_range`, over what is no RAM and so not cleaned, and then over 1 GiB of RAM. \
               `exhausted`: a page cannot be mapped, since no page is left for its tables, \
               where each gigabyte has one block at its end.",
        rows: &["held-"],
    },
];

impl Section {
    /// Does a row belong here?
    pub(in crate::bench) fn has(&self, name: &str) -> bool {
        self.rows.iter().any(|start| name.starts_with(start))
    }
}
