// SPDX-License-Identifier: GPL-2.0-only
//! Where the Rust differs from the C on purpose (docs/differences.md), as edits
//! that mend the C before it is compiled.
//!
//! So all that is compared is compared strictly: no observable is excused. Each
//! edit calls `oracle_excused()` where the unmended C would have done other
//! than what it does now; these calls are counted and shown, so an entry that
//! nothing exercises is seen.

/// A text of a C file and what takes its place.
pub struct Edit {
    /// Below `xen/arch/arm/`.
    pub file: &'static str,
    /// Occurs exactly once.
    pub from: &'static str,
    /// The mended text.
    pub to: &'static str,
}

/// An entry of docs/differences.md.
pub struct Fix {
    /// As there, with a letter where one entry is several edits.
    pub id: &'static str,
    /// What the edits do.
    pub what: &'static str,
    /// The edits.
    pub edits: &'static [Edit],
}

const MMU: &str = "mmu/p2m.c";

/// All of them; `oracle_excused()` is called with the index.
pub const FIXES: &[Fix] = &[
    Fix {
        id: "B1",
        what: "p2m_invalidate_root visits all root pages (upstream 14c57887f3)",
        edits: &[Edit {
            file: MMU,
            from: "    for ( i = 0; i < P2M_ROOT_LEVEL; i++ )\n        p2m_invalidate_table",
            to: "    if ( P2M_ROOT_LEVEL != P2M_ROOT_PAGES ) oracle_excused(0);\n    for ( i = 0; i < P2M_ROOT_PAGES; i++ )\n        p2m_invalidate_table",
        }],
    },
    Fix {
        id: "B2",
        what: "a split without memory frees only what it allocated",
        edits: &[Edit {
            file: MMU,
            from: "            p2m_free_entry(p2m, split_pte, level);\n\n            rc = -ENOMEM;",
            to: "            if ( split_pte.bits != entry->bits )\n                p2m_free_entry(p2m, split_pte, level);\n            else\n            {\n                p2m->stats.mappings[level]--;\n                if ( p2m_is_foreign(split_pte.p2m.type) ) oracle_excused(1);\n            }\n\n            rc = -ENOMEM;",
        }],
    },
    Fix {
        id: "B3",
        what: "mapping a frame at its place drops the old mapping's reference",
        edits: &[
            Edit {
                file: MMU,
                from: "        p2m_free_entry(p2m, orig_pte, level);\n\nout:",
                to: "    {\n        if ( !removing_mapping )\n        {\n            /* B12 */\n            oracle_excused(7);\n            p2m->stats.mappings[level]++;\n        }\n        p2m_free_entry(p2m, orig_pte, level);\n    }\n    else if ( p2m_is_valid(orig_pte) && !removing_mapping && !oracle_in_place &&\n              p2m_is_superpage(orig_pte, level) + (level == 3) &&\n              p2m_is_foreign(orig_pte.p2m.type) )\n    {\n        oracle_excused(2);\n        p2m_put_page(orig_pte, level);\n    }\n\nout:",
            },
            Edit {
                file: "mem_access.c",
                from: "            rc = p2m_set_entry(p2m, gfn, 1, mfn, t, a);",
                to: "            oracle_in_place = true;\n            rc = p2m_set_entry(p2m, gfn, 1, mfn, t, a);\n            oracle_in_place = false;",
            },
        ],
    },
    Fix {
        id: "B4a",
        what: "foreign mappings are 2 MiB blocks at most",
        edits: &[Edit {
            file: MMU,
            from: "        else if ( !(mask & ((1UL << FIRST_ORDER) - 1)) )\n            order = FIRST_ORDER;",
            to: "        else if ( !(mask & ((1UL << FIRST_ORDER) - 1)) &&\n                  nr >= (1UL << FIRST_ORDER) &&\n                  (!p2m_is_foreign(t) || (oracle_excused(3), false)) )\n            order = FIRST_ORDER;",
        }],
    },
    Fix {
        id: "B4b",
        what: "relinquishing looks for preemption before each foreign block but the first",
        edits: &[Edit {
            file: MMU,
            from: "              (p2m_is_foreign(t) && (order > XEN_PT_LEVEL_ORDER(2)))) &&",
            to: "              (p2m_is_foreign(t) && (order >= XEN_PT_LEVEL_ORDER(2)) &&\n               count > 1 && (oracle_excused(4), true))) &&",
        }],
    },
    Fix {
        id: "B8",
        what: "p2m_set_mem_access looks for preemption at each restart point passed, and counts in 64 bits",
        edits: &[Edit {
            file: "mem_access.c",
            from: "        start += gfn_x(gfn_next_boundary(gfn, order)) - gfn_x(gfn);\n        /* Check for continuation if it is not the last iteration */\n        if ( nr > start && !(start & mask) && hypercall_preempt_check() )\n        {\n            rc = start;\n            break;\n        }",
            to: "        {\n            uint32_t before = start;\n            uint64_t done = start + (gfn_x(gfn_next_boundary(gfn, order)) - gfn_x(gfn));\n\n            start = done >= nr ? nr : done;\n            if ( nr > start && (start & ~mask) > before )\n            {\n                if ( start & mask ) oracle_excused(5);\n                if ( hypercall_preempt_check() )\n                {\n                    rc = start & ~mask;\n                    break;\n                }\n            }\n        }",
        }],
    },
    Fix {
        id: "buffers",
        what: "stage 1 and the type decide which page a hypercall gets with mem_access (B5, B7)",
        edits: &[
            Edit {
                file: "mem_access.c",
                from: "         * fault was correct.\n         */\n        goto err;",
                to: "         * fault was correct.\n         */\n        goto by_type;",
            },
            Edit {
                file: "mem_access.c",
                from: "        if ( flag == GV2M_READ )\n            break;\n        else\n            goto err;",
                to: "        if ( flag == GV2M_READ )\n            break;\n        else\n            goto by_type;",
            },
            Edit {
                file: "mem_access.c",
                from: "        if ( flag == GV2M_WRITE )\n            break;\n        else\n            goto err;",
                to: "        if ( flag == GV2M_WRITE )\n            break;\n        else\n            goto by_type;",
            },
            Edit {
                file: "mem_access.c",
                from: "    if ( unlikely(!get_page(page, v->domain)) )\n        page = NULL;\n\nerr:",
                to: "    if ( unlikely(!get_page(page, v->domain)) )\n        page = NULL;\n    goto err;\n\nby_type:\n    page = oracle_page_by_type(v->domain, gfn, flag & GV2M_WRITE);\n    if ( page ) oracle_excused(6);\n\nerr:",
            },
            Edit {
                file: "mem_access.c",
                from: "    if ( t != p2m_ram_rw )\n        goto err;",
                to: "    if ( t != p2m_ram_rw )\n        goto by_type;",
            },
        ],
    },
    Fix {
        id: "B12a",
        what: "a mapping that takes another's place is counted in (with B3's edit)",
        edits: &[],
    },
    Fix {
        id: "B12b",
        what: "a mapping of frame 0 is counted out when removed",
        edits: &[Edit {
            file: MMU,
            from: "    if ( p2m_is_valid(orig_pte) &&\n         !mfn_eq(lpae_get_mfn(*entry), lpae_get_mfn(orig_pte)) )",
            to: "    if ( p2m_is_valid(orig_pte) && removing_mapping &&\n         mfn_eq(lpae_get_mfn(*entry), lpae_get_mfn(orig_pte)) )\n        oracle_excused(8);\n    if ( p2m_is_valid(orig_pte) &&\n         (removing_mapping ||\n          !mfn_eq(lpae_get_mfn(*entry), lpae_get_mfn(orig_pte))) )",
        }],
    },
    Fix {
        id: "B12c",
        what: "a split that fails half-way does not count as one",
        edits: &[
            Edit {
                file: MMU,
                from: "             * The current super-page is still in-place, so re-increment\n             * the stats.\n             */\n            p2m->stats.mappings[level]++;",
                to: "             * The current super-page is still in-place, so re-increment\n             * the stats.\n             */\n            p2m->stats.mappings[level]++;\n            if ( split_pte.bits != entry->bits )\n            {\n                oracle_excused(9);\n                p2m->stats.shattered[level]--;\n            }",
            },
        ],
    },
    Fix {
        id: "blocks",
        what: "the largest block that fits, also at an unaligned end of a range",
        edits: &[
            Edit {
                file: MMU,
                from: "        mask |= gfn_x(sgfn) | nr;",
                to: "        mask |= gfn_x(sgfn);\n        if ( !(mask & ((1UL << SECOND_ORDER) - 1)) && nr >> SECOND_ORDER &&\n             nr & ((1UL << SECOND_ORDER) - 1) )\n            oracle_excused(10);",
            },
            Edit {
                file: MMU,
                from: "        else if ( !(mask & ((1UL << SECOND_ORDER) - 1)) )",
                to: "        else if ( !(mask & ((1UL << SECOND_ORDER) - 1)) &&\n                  nr >= (1UL << SECOND_ORDER) )",
            },
        ],
    },
    Fix {
        id: "unmapping",
        what: "what is unmapped as a whole goes as a whole, with mem_access too",
        edits: &[
            Edit {
                file: MMU,
                from: "        if ( unlikely(p2m->mem_access_enabled) )\n            order = THIRD_ORDER;",
                to: "        if ( unlikely(p2m->mem_access_enabled) &&\n             (!mfn_eq(smfn, INVALID_MFN) || (oracle_excused(11), false)) )\n            order = THIRD_ORDER;",
            },
            Edit {
                file: MMU,
                from: "    ASSERT(!p2m->mem_access_enabled || page_order == 0 ||\n           p2m->domain->is_dying);",
                to: "    ASSERT(!p2m->mem_access_enabled || page_order == 0 ||\n           removing_mapping);",
            },
            Edit {
                file: MMU,
                from: "    rc = p2m_mem_access_radix_set(p2m, sgfn, a);",
                to: "    rc = 0;\n    for ( unsigned long n = 0; n < (removing_mapping && p2m->mem_access_enabled ?\n                                   1UL << page_order : 1); n++ )\n        rc = rc ?: p2m_mem_access_radix_set(p2m, gfn_add(sgfn, n), a);",
            },
        ],
    },
    Fix {
        id: "cleaning",
        what: "what is cleaned does not depend on valid bits",
        edits: &[Edit {
            file: "p2m.c",
            from: "            if ( mfn_eq(mfn, INVALID_MFN) || !p2m_is_any_ram(t) || !valid )",
            to: "            if ( !valid && !mfn_eq(mfn, INVALID_MFN) && p2m_is_any_ram(t) )\n                oracle_excused(12);\n            if ( mfn_eq(mfn, INVALID_MFN) || !p2m_is_any_ram(t) )",
        }],
    },
    Fix {
        id: "walks",
        what: "walks in flight are waited for before registers of EL1&0 are written",
        edits: &[
            Edit {
                file: MMU,
                from: "    p->arch.sctlr = READ_SYSREG(SCTLR_EL1);\n",
                to: "    oracle_excused(13);\n    xs_mock_dsb_nsh();\n    p->arch.sctlr = READ_SYSREG(SCTLR_EL1);\n",
            },
            Edit {
                file: MMU,
                from: "        WRITE_SYSREG64(vttbr, VTTBR_EL2);\n\n        /* Ensure VTTBR_EL2 is synchronized before flushing the TLBs */",
                to: "        xs_mock_dsb_ish();\n        WRITE_SYSREG64(vttbr, VTTBR_EL2);\n\n        /* Ensure VTTBR_EL2 is synchronized before flushing the TLBs */",
            },
        ],
    },
    Fix {
        id: "table-walks",
        what: "a walk of the guest's tables is judged by what the walker did",
        edits: &[
            Edit {
                file: "mem_access.c",
                from: "bool p2m_mem_access_check(paddr_t gpa, vaddr_t gla, const struct npfec npfec)\n{\n",
                to: "bool p2m_mem_access_check(paddr_t gpa, vaddr_t gla, const struct npfec insn)\n{\n    struct npfec npfec = insn;\n",
            },
            Edit {
                file: "mem_access.c",
                from: "    /* Now check for mem_access violation. */\n",
                to: "    if ( npfec.kind == npfec_kind_in_gpt )\n    {\n        npfec.read_access = xma == XENMEM_access_n || xma == XENMEM_access_n2rwx ||\n                            xma == XENMEM_access_w || xma == XENMEM_access_x ||\n                            xma == XENMEM_access_wx;\n        npfec.write_access = xma == XENMEM_access_r || xma == XENMEM_access_r_pw ||\n                             xma == XENMEM_access_rx || xma == XENMEM_access_rx2rw;\n        npfec.insn_fetch = 0;\n        gpa &= PAGE_MASK;\n        if ( npfec.read_access != insn.read_access ||\n             npfec.write_access != insn.write_access ) oracle_excused(14);\n    }\n\n    /* Now check for mem_access violation. */\n",
            },
        ],
    },
    Fix {
        id: "relinquish",
        what: "relinquishing frees the tables of pages",
        edits: &[
            Edit {
                file: MMU,
                from: "int relinquish_p2m_mapping(struct domain *d)",
                to: "static void oracle_prune(struct p2m_domain *p2m, lpae_t *table, unsigned int level)\n{\n    unsigned int i;\n\n    for ( i = 0; i < XEN_PT_LPAE_ENTRIES; i++ )\n    {\n        lpae_t e = table[i];\n\n        if ( !p2m_is_valid(e) || !e.p2m.table )\n            continue;\n        if ( level == 2 )\n        {\n            oracle_excused(15);\n            p2m_remove_pte(table + i, p2m->clean_pte);\n            p2m_force_tlb_flush_sync(p2m);\n            p2m_free_entry(p2m, e, level);\n        }\n        else\n            oracle_prune(p2m, map_domain_page(lpae_get_mfn(e)), level + 1);\n    }\n}\n\nint relinquish_p2m_mapping(struct domain *d)",
            },
            Edit {
                file: MMU,
                from: "    p2m->lowest_mapped_gfn = start;\n\n    p2m_write_unlock(p2m);",
                to: "    if ( !rc )\n    {\n        unsigned int i;\n\n        start = end;\n        for ( i = 0; i < P2M_ROOT_PAGES; i++ )\n            oracle_prune(p2m, __map_domain_page(p2m->root + i), P2M_ROOT_LEVEL);\n    }\n    p2m->lowest_mapped_gfn = start;\n\n    p2m_write_unlock(p2m);",
            },
        ],
    },
    Fix {
        id: "idle",
        what: "what is as asked for already stays, and does not begin introspection",
        edits: &[
            Edit {
                file: MMU,
                from: "int p2m_set_entry(struct p2m_domain *p2m,",
                to: "/* The leaf on the way to a frame, and its level. */\nstatic bool oracle_leaf(struct p2m_domain *p2m, gfn_t gfn, lpae_t *e,\n                        unsigned int *level)\n{\n    DECLARE_OFFSETS(offsets, gfn_to_gaddr(gfn));\n    lpae_t *table = p2m_get_root_pointer(p2m, gfn);\n\n    if ( !table )\n        return false;\n    for ( *level = P2M_ROOT_LEVEL; ; (*level)++ )\n    {\n        *e = table[offsets[*level]];\n        if ( !p2m_is_valid(*e) )\n            return false;\n        if ( *level == 3 || p2m_is_superpage(*e, *level) )\n            return true;\n        table = map_domain_page(lpae_get_mfn(*e));\n    }\n}\n\n/* Whether the mapping of a frame has the access already. */\nbool oracle_has_access(struct p2m_domain *p2m, gfn_t gfn, p2m_type_t t,\n                       p2m_access_t a)\n{\n    lpae_t e, want;\n    unsigned int level;\n\n    if ( !oracle_leaf(p2m, gfn, &e, &level) )\n        return false;\n    want = e;\n    want.p2m.read = 1;\n    p2m_set_permission(&want, t, a);\n    if ( want.bits != e.bits ||\n         a != (p2m->mem_access_enabled ? p2m_mem_access_radix_get(p2m, gfn)\n                                       : p2m_access_rwx) )\n        return false;\n    oracle_excused(16);\n    return true;\n}\n\n/* Whether a larger block maps there already what is asked for. */\nstatic bool oracle_is_mapped(struct p2m_domain *p2m, gfn_t gfn,\n                             unsigned long order, mfn_t mfn, p2m_type_t t,\n                             p2m_access_t a)\n{\n    lpae_t e, want;\n    unsigned int level;\n    unsigned long offset;\n\n    if ( mfn_eq(mfn, INVALID_MFN) || p2m_is_foreign(t) ||\n         (p2m->mem_access_enabled && a != p2m_access_rwx) ||\n         !oracle_leaf(p2m, gfn, &e, &level) ||\n         XEN_PT_LEVEL_ORDER(level) <= order )\n        return false;\n    offset = gfn_x(gfn) & ((1UL << XEN_PT_LEVEL_ORDER(level)) - 1);\n    if ( mfn_x(mfn) < offset )\n        return false;\n    want = mfn_to_p2m_entry(_mfn(mfn_x(mfn) - offset), t, a);\n    want.p2m.table = 0;\n    e.p2m.valid = 1;\n    if ( want.bits != e.bits )\n        return false;\n    oracle_excused(16);\n    return true;\n}\n\nint p2m_set_entry(struct p2m_domain *p2m,",
            },
            Edit {
                file: MMU,
                from: "        rc = __p2m_set_entry(p2m, sgfn, order, smfn, t, a);\n        if ( rc )",
                to: "        rc = oracle_is_mapped(p2m, sgfn, order, smfn, t, a) ? 0\n             : __p2m_set_entry(p2m, sgfn, order, smfn, t, a);\n        if ( rc )",
            },
            Edit {
                file: "mem_access.c",
                from: "    p2m->mem_access_enabled = true;\n\n    /* If request to set default access. */\n    if ( gfn_eq(gfn, INVALID_GFN) )\n    {",
                to: "    /* If request to set default access. */\n    if ( gfn_eq(gfn, INVALID_GFN) )\n    {\n        if ( a != p2m->default_access )\n            p2m->mem_access_enabled = true;",
            },
            Edit {
                file: "mem_access.c",
                from: "        if ( !mfn_eq(mfn, INVALID_MFN) )\n        {\n            order = 0;\n            oracle_in_place = true;\n            rc = p2m_set_entry(p2m, gfn, 1, mfn, t, a);\n            oracle_in_place = false;",
                to: "        if ( !mfn_eq(mfn, INVALID_MFN) && !oracle_has_access(p2m, gfn, t, a) )\n        {\n            bool was = p2m->mem_access_enabled;\n\n            order = 0;\n            p2m->mem_access_enabled = true;\n            oracle_in_place = true;\n            rc = p2m_set_entry(p2m, gfn, 1, mfn, t, a);\n            oracle_in_place = false;\n            if ( rc )\n                p2m->mem_access_enabled = was;",
            },
        ],
    },
    Fix {
        id: "M2P",
        what: "the M2P of a frame is cleared only if the frame is the domain's",
        edits: &[
            Edit {
                file: MMU,
                from: "static void p2m_put_l3_page(mfn_t mfn, p2m_type_t type)\n{",
                to: "static struct domain *oracle_domain;\n\nstatic void p2m_put_l3_page(mfn_t mfn, p2m_type_t type)\n{",
            },
            Edit {
                file: MMU,
                from: "        page_set_xenheap_gfn(mfn_to_page(mfn), INVALID_GFN);\n}",
                to: "    {\n        struct page_info *page = mfn_to_page(mfn);\n\n        if ( !get_page(page, oracle_domain) )\n        {\n            oracle_excused(17);\n            return;\n        }\n        page_set_xenheap_gfn(page, INVALID_GFN);\n        put_page(page);\n    }\n}",
            },
            Edit {
                file: MMU,
                from: "    /* Nothing to do if the entry is invalid. */\n    if ( !p2m_is_valid(entry) )\n        return;\n\n    if ( p2m_is_superpage(entry, level) || (level == 3) )",
                to: "    /* Nothing to do if the entry is invalid. */\n    if ( !p2m_is_valid(entry) )\n        return;\n    oracle_domain = p2m->domain;\n\n    if ( p2m_is_superpage(entry, level) || (level == 3) )",
            },
        ],
    },
];

/// Differences that need no edit, because the operations steer around them.
pub const AVOIDED: &[(&str, &str)] = &[
    ("B11", "no IOTLB flush fails; none in 4.20 does"),
    (
        "B6",
        "its race: there is one thread; what begins introspection is `idle`",
    ),
    (
        "faults",
        "each fault is resolved as often as there are levels, and the last answer compared",
    ),
    (
        "settings",
        "bits 62:59 of an entry are compared with the C's radix tree",
    ),
    (
        "merging",
        "restrictions are lifted from 63 pages at most, so no block is put together again",
    ),
    (
        "small things",
        "types, accesses, orders and machine frames are real ones, no INVALID_MFN is inserted, \
         no range that is removed wraps past the last frame; printed text is not compared",
    ),
];
