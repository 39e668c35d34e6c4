// SPDX-License-Identifier: GPL-2.0-only
//! The differences that are no defects of the C, and those that have a name for a number.

use super::fix::Fix;
use crate::edits::edit::{none_needed, replace, Edit};

pub(super) const OTHERS: &[Fix] = &[
    Fix {
        id: "XSA-473",
        what: "a foreign page to which no reference can be had is none, where the C stops at an ASSERT",
        edits: &[Edit(&[
            replace(
                "
        ASSERT(fdom != NULL);
        ASSERT(fdom != d);
        return page;",
                "
        if ( !fdom )
        {
            oracle_excused(FIX_XSA_473);
            return NULL;
        }
        ASSERT(fdom != d);
        return page;",
            ),
            none_needed(
                "
            if ( fdom != d )
                return page;
            ASSERT_UNREACHABLE();",
            ),
        ])],
    },
    Fix {
        id: "buffers",
        what: "stage 1 and the type decide which page a hypercall gets with mem_access",
        edits: &[
            Edit(&[replace(
                "
        if ( flag == GV2M_READ )
            break;
        else
            goto err;",
                "
        if ( flag == GV2M_READ )
            break;
        page = oracle_page_by_type(v->domain, gfn, flag & GV2M_WRITE, FIX_buffers);
        goto err;",
            )]),
            Edit(&[replace(
                "
        if ( flag == GV2M_WRITE )
            break;
        else
            goto err;",
                "
        if ( flag == GV2M_WRITE )
            break;
        page = oracle_page_by_type(v->domain, gfn, flag & GV2M_WRITE, FIX_buffers);
        goto err;",
            )]),
        ],
    },
    Fix {
        id: "blocks",
        what: "the largest block that fits, also at an unaligned end of a range",
        edits: &[Edit(&[replace(
            "        mask |= gfn_x(sgfn) | nr;",
            "
        mask |= gfn_x(sgfn);
        if ( !(mask & ((1UL << SECOND_ORDER) - 1)) && nr >> SECOND_ORDER &&
             nr & ((1UL << SECOND_ORDER) - 1) )
            oracle_excused(FIX_blocks);
        if ( nr < (1UL << SECOND_ORDER) )
            mask |= 1;
        else if ( nr < (1UL << FIRST_ORDER) )
            mask |= 1UL << SECOND_ORDER;",
        )])],
    },
    Fix {
        id: "unmapping",
        what: "what is unmapped as a whole goes as a whole, with mem_access too",
        edits: &[
            Edit(&[replace(
                "
        if ( unlikely(p2m->mem_access_enabled) )
            order = THIRD_ORDER;",
                "
        if ( unlikely(p2m->mem_access_enabled) &&
             (!mfn_eq(smfn, INVALID_MFN) || (oracle_excused(FIX_unmapping), false)) )
            order = THIRD_ORDER;",
            )]),
            Edit(&[replace(
                "
    ASSERT(!p2m->mem_access_enabled || page_order == 0 ||
           p2m->domain->is_dying);",
                "
    ASSERT(!p2m->mem_access_enabled || page_order == 0 ||
           removing_mapping);",
            )]),
            Edit(&[replace(
                "    rc = p2m_mem_access_radix_set(p2m, sgfn, a);",
                "
    rc = 0;
    for ( unsigned long n = 0; n < (removing_mapping && p2m->mem_access_enabled ?
                                   1UL << page_order : 1); n++ )
        rc = rc ?: p2m_mem_access_radix_set(p2m, gfn_add(sgfn, n), a);",
            )]),
        ],
    },
    Fix {
        id: "cleaning",
        what: "what is cleaned does not depend on valid bits",
        edits: &[Edit(&[replace(
            "            if ( mfn_eq(mfn, INVALID_MFN) || !p2m_is_any_ram(t) || !valid )",
            "
            if ( !valid && !mfn_eq(mfn, INVALID_MFN) && p2m_is_any_ram(t) )
                oracle_excused(FIX_cleaning);
            if ( mfn_eq(mfn, INVALID_MFN) || !p2m_is_any_ram(t) )",
        )])],
    },
    Fix {
        id: "tracking",
        what: "the pages of a table are tracked together",
        edits: &[
            Edit(&[replace(
                "
    if ( lpae_is_table(entry, level) )
        p2m_invalidate_table(p2m, lpae_get_mfn(entry));
",
                "
    if ( level == 2 && lpae_is_table(entry, level) )
        oracle_excused(FIX_tracking);
    else if ( lpae_is_table(entry, level) )
        p2m_invalidate_table(p2m, lpae_get_mfn(entry));
",
            )]),
            Edit(&[replace(
                "
    resolved = true;
    entry.p2m.valid = 1;
",
                "
    for ( unsigned int n = 0; level == 3 && n < XEN_PT_LPAE_ENTRIES; n++ )
    {
        lpae_t page = table[n];

        if ( n == offsets[level] || !p2m_is_valid(page) || lpae_is_valid(page) )
            continue;
        oracle_excused(FIX_tracking);
        page.p2m.valid = 1;
        p2m_write_pte(table + n, page, p2m->clean_pte);
    }
    resolved = true;
    entry.p2m.valid = 1;
",
            )]),
        ],
    },
    Fix {
        id: "walks",
        what: "walks in flight are waited for before registers of EL1&0 are written",
        edits: &[
            Edit(&[replace(
                "
    p->arch.sctlr = READ_SYSREG(SCTLR_EL1);
",
                "
    oracle_excused(FIX_walks);
    xs_mock_dsb_nsh();
    p->arch.sctlr = READ_SYSREG(SCTLR_EL1);
",
            )]),
            Edit(&[replace(
                "
        WRITE_SYSREG64(vttbr, VTTBR_EL2);

        /* Ensure VTTBR_EL2 is synchronized before flushing the TLBs */",
                "
        xs_mock_dsb_ish();
        WRITE_SYSREG64(vttbr, VTTBR_EL2);

        /* Ensure VTTBR_EL2 is synchronized before flushing the TLBs */",
            )]),
        ],
    },
    Fix {
        id: "table-walks",
        what: "a walk of the guest's tables is judged by what the walker did",
        edits: &[
            Edit(&[replace(
                "
bool p2m_mem_access_check(paddr_t gpa, vaddr_t gla, const struct npfec npfec)
",
                "
bool p2m_mem_access_check(paddr_t gpa, vaddr_t gla, struct npfec npfec)
",
            )]),
            Edit(&[replace(
                "
    /* Now check for mem_access violation. */
",
                "
    if ( npfec.kind == npfec_kind_in_gpt )
    {
        oracle_table_walk(&npfec, xma);
        gpa &= PAGE_MASK;
    }

    /* Now check for mem_access violation. */
",
            )]),
        ],
    },
    Fix {
        id: "relinquish",
        what: "relinquishing frees the tables of pages",
        edits: &[
            Edit(&[replace(
                "int relinquish_p2m_mapping(struct domain *d)",
                r#"
#include "prune.h"

int relinquish_p2m_mapping(struct domain *d)"#,
            )]),
            Edit(&[replace(
                "
    p2m->lowest_mapped_gfn = start;

    p2m_write_unlock(p2m);",
                "
    if ( !rc )
    {
        start = end;
        oracle_prune(p2m);
    }
    p2m->lowest_mapped_gfn = start;

    p2m_write_unlock(p2m);",
            )]),
        ],
    },
    Fix {
        id: "idle",
        what: "what is as asked for already stays",
        edits: &[
            Edit(&[replace(
                "int p2m_set_entry(struct p2m_domain *p2m,",
                r#"
#include "leaf.h"

int p2m_set_entry(struct p2m_domain *p2m,"#,
            )]),
            Edit(&[
                replace(
                    "
        rc = __p2m_set_entry(p2m, sgfn, order, smfn, t, a);
        if ( rc )",
                    "
        rc = oracle_is_mapped(p2m, sgfn, order, smfn, t, a) ? 0
             : __p2m_set_entry(p2m, sgfn, order, smfn, t, a);
        if ( rc )",
                ),
                // With B3 mended (patches/upstream).
                replace(
                    "
        rc = __p2m_set_entry(p2m, sgfn, order, smfn, t, a, false);
        if ( rc )",
                    "
        rc = oracle_is_mapped(p2m, sgfn, order, smfn, t, a) ? 0
             : __p2m_set_entry(p2m, sgfn, order, smfn, t, a, false);
        if ( rc )",
                ),
            ]),
            Edit(&[replace(
                "
        mfn_t mfn = p2m_get_entry(p2m, gfn, &t, NULL, &order, NULL);


        if ( !mfn_eq(mfn, INVALID_MFN) )
",
                "
        mfn_t mfn = p2m_get_entry(p2m, gfn, &t, NULL, &order, NULL);

        if ( !mfn_eq(mfn, INVALID_MFN) && !oracle_has_access(p2m, gfn, t, a) )
",
            )]),
        ],
    },
    Fix {
        id: "M2P",
        what: "the M2P of a frame is cleared only if the frame is the domain's",
        edits: &[
            Edit(&[replace(
                "
        page_set_xenheap_gfn(mfn_to_page(mfn), INVALID_GFN);
}",
                "
        oracle_forget_gfn(mfn_to_page(mfn));
}",
            )]),
            Edit(&[replace(
                "
    /* Nothing to do if the entry is invalid. */
    if ( !p2m_is_valid(entry) )
        return;

    if ( p2m_is_superpage(entry, level) || (level == 3) )",
                "
    /* Nothing to do if the entry is invalid. */
    if ( !p2m_is_valid(entry) )
        return;
    oracle_domain = p2m->domain;

    if ( p2m_is_superpage(entry, level) || (level == 3) )",
            )]),
        ],
    },
    Fix {
        id: "mapcache",
        what: "a split that fails halfway tells no device model, for nothing is gone",
        edits: &[
            Edit(&[replace(
                "
        if ( p2m_is_ram(entry.p2m.type) &&
             domain_has_ioreq_server(p2m->domain) )",
                "
        if ( p2m_is_ram(entry.p2m.type) && oracle_split_failed )
            oracle_excused(FIX_mapcache);
        else if ( p2m_is_ram(entry.p2m.type) &&
                  domain_has_ioreq_server(p2m->domain) )",
            )]),
            Edit(&[replace(
                "
        rv = p2m_split_superpage(p2m, table + offsets[next_level],
                                 level + 1, target, offsets);",
                "
        oracle_split_failed = !(rv = p2m_split_superpage(
            p2m, table + offsets[next_level], level + 1, target, offsets));",
            )]),
            // The one table that was made is freed.
            Edit(&[replace(
                "
    page_list_del(pg, &p2m->pages);
    p2m_free_page(p2m->domain, pg);",
                "
    page_list_del(pg, &p2m->pages);
    oracle_split_failed = false;
    p2m_free_page(p2m->domain, pg);",
            )]),
        ],
    },
];
