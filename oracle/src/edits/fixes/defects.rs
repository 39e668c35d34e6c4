// SPDX-License-Identifier: GPL-2.0-only
//! Defects of the C, by their numbers in docs/differences.md.

use super::fix::Fix;
use crate::edits::edit::{none_needed, replace, Edit};

pub(super) const DEFECTS: &[Fix] = &[
    Fix {
        id: "B1",
        what: "p2m_invalidate_root visits all root pages (upstream 14c57887f3)",
        edits: &[
            Edit(&[
                replace(
                    "
    for ( i = 0; i < P2M_ROOT_LEVEL; i++ )
        p2m_invalidate_table",
                    "
    if ( P2M_ROOT_LEVEL != P2M_ROOT_PAGES )
        oracle_excused(FIX_B1);
    for ( i = 0; i < P2M_ROOT_PAGES; i++ )
        p2m_invalidate_table",
                ),
                none_needed(
                    "
    for ( i = 0; i < P2M_ROOT_PAGES; i++ )
        p2m_invalidate_table",
                ),
            ]),
        ],
    },
    Fix {
        id: "B2",
        what: "a split without memory frees only what it allocated",
        edits: &[
            Edit(&[
                replace(
                    "
            p2m_free_entry(p2m, split_pte, level);

            rc = -ENOMEM;",
                    "
            if ( split_pte.bits != entry->bits )
                p2m_free_entry(p2m, split_pte, level);
            else
            {
                p2m->stats.mappings[level]--;
                if ( p2m_is_foreign(split_pte.p2m.type) )
                    oracle_excused(FIX_B2);
            }

            rc = -ENOMEM;",
                ),
            ]),
        ],
    },
    Fix {
        id: "B3",
        what: "mapping a frame at its place drops the old mapping's reference",
        edits: &[
            Edit(&[
                replace(
                    "
    /*
     * Free the entry only if the original pte was valid and the base",
                    "
    if ( p2m_is_valid(orig_pte) && !removing_mapping && !oracle_in_place &&
         mfn_eq(lpae_get_mfn(orig_pte), lpae_get_mfn(*entry)) &&
         (level == 3 || p2m_is_superpage(orig_pte, level)) &&
         p2m_is_foreign(orig_pte.p2m.type) )
    {
        oracle_excused(FIX_B3);
        p2m_tlb_flush_sync(p2m);
        oracle_put_foreign(orig_pte, level);
    }

    /*
     * Free the entry only if the original pte was valid and the base",
                ),
            ]),
            Edit(&[
                replace("rc = p2m_set_entry(p2m, gfn, 1, mfn, t, a);", "rc = ORACLE_IN_PLACE(p2m_set_entry(p2m, gfn, 1, mfn, t, a));",
                ),
            ]),
        ],
    },
    Fix {
        id: "B4a",
        what: "foreign mappings are 2 MiB blocks at most",
        edits: &[
            Edit(&[
                replace(
                    "
        else if ( !(mask & ((1UL << FIRST_ORDER) - 1)) )
",
                    "
        else if ( !(mask & ((1UL << FIRST_ORDER) - 1)) &&
                  (!p2m_is_foreign(t) || (oracle_excused(FIX_B4a), false)) )
",
                ),
            ]),
        ],
    },
    Fix {
        id: "B4b",
        what: "relinquishing looks for preemption before each foreign block but the first",
        edits: &[
            Edit(&[
                replace("              (p2m_is_foreign(t) && (order > XEN_PT_LEVEL_ORDER(2)))) &&",
                    "
              (p2m_is_foreign(t) && (order >= XEN_PT_LEVEL_ORDER(2)) &&
               count > 1 && (oracle_excused(FIX_B4b), true))) &&",
                ),
                replace(
                    "
         * Arbitrarily preempt every 512 iterations.
         */
        if ( !(count % 512) && hypercall_preempt_check() )",
                    "
         */
        if ( (!(count % 512) ||
              (p2m_is_foreign(t) && (order >= XEN_PT_LEVEL_ORDER(2)) &&
               count > 1 && (oracle_excused(FIX_B4b), true))) &&
             hypercall_preempt_check() )",
                ),
            ]),
        ],
    },
    Fix {
        id: "B4c",
        what: "a foreign block's references are dropped (upstream 3e2121ce47)",
        edits: &[
            Edit(&[
                replace(
                    "
        if ( level == 3 )
            p2m_put_l3_page(entry);",
                    "
        if ( level == 3 )
            p2m_put_l3_page(entry);
        else if ( level == 2 && p2m_is_foreign(entry.p2m.type) )
        {
            oracle_excused(FIX_B4c);
            oracle_put_foreign(entry, level);
        }",
                ),
                none_needed("        return p2m_put_l2_superpage(mfn, pte.p2m.type);",
                ),
            ]),
        ],
    },
    Fix {
        id: "B5",
        what: "a page that only a clear valid bit kept the hardware from is returned",
        edits: &[
            Edit(&[
                replace(
                    "
         * fault was correct.
         */
        goto err;",
                    "
         * fault was correct.
         */
        page = oracle_page_by_type(v->domain, gfn, flag & GV2M_WRITE, FIX_B5);
        goto err;",
                ),
            ]),
        ],
    },
    Fix {
        id: "B6",
        what: "introspection begins when an access, or the default access, changes",
        edits: &[
            Edit(&[
                replace(
                    "
    p2m->mem_access_enabled = true;

    /* If request", "    /* If request",
                ),
            ]),
            Edit(&[
                replace(
                    "
        p2m->default_access = a;
        return 0;",
                    "
        if ( a != p2m->default_access )
            p2m->mem_access_enabled = true;
        else
            oracle_excused(FIX_B6);
        p2m->default_access = a;
        return 0;",
                ),
                // With the lock taken first (patches/upstream).
                replace(
                    "
        p2m->default_access = a;
        p2m_write_unlock(p2m);",
                    "
        if ( a != p2m->default_access )
            p2m->mem_access_enabled = true;
        else
            oracle_excused(FIX_B6);
        p2m->default_access = a;
        p2m_write_unlock(p2m);",
                ),
            ]),
            Edit(&[
                replace(
                    "
            order = 0;
",
                    "
            bool was = p2m->mem_access_enabled;

            order = 0;
            p2m->mem_access_enabled = true;
",
                ),
            ]),
            Edit(&[
                replace(
                    "
            if ( rc )
                break;
        }
",
                    "
            if ( rc )
            {
                if ( !was )
                    oracle_excused(FIX_B6);
                p2m->mem_access_enabled = was;
                break;
            }
        }
",
                ),
            ]),
        ],
    },
    Fix {
        id: "B7",
        what: "a page of type p2m_ram_ro is returned for reads, restricted or not",
        edits: &[
            Edit(&[
                replace(
                    "
    if ( t != p2m_ram_rw )
        goto err;",
                    "
    if ( t != p2m_ram_rw )
    {
        page = oracle_page_by_type(v->domain, gfn, flag & GV2M_WRITE, FIX_B7);
        goto err;
    }",
                ),
            ]),
        ],
    },
    Fix {
        id: "B8",
        what: "p2m_set_mem_access looks for preemption at each restart point passed, and counts in 64 bits",
        edits: &[
            Edit(&[
                replace(
                    "
        start += gfn_x(gfn_next_boundary(gfn, order)) - gfn_x(gfn);
        /* Check for continuation if it is not the last iteration */
        if ( nr > start && !(start & mask) && hypercall_preempt_check() )
        {
            rc = start;
            break;
        }",
                    "
        {
            uint32_t before = start;
            uint64_t done = start + (gfn_x(gfn_next_boundary(gfn, order)) - gfn_x(gfn));

            start = done >= nr ? nr : done;
            if ( nr > start && (start & ~mask) > before )
            {
                if ( start & mask )
                    oracle_excused(FIX_B8);
                if ( hypercall_preempt_check() )
                {
                    rc = start & ~mask;
                    break;
                }
            }
        }",
                ),
            ]),
        ],
    },
    Fix {
        id: "B9",
        what: "a table that cannot be allocated is -ENOMEM",
        edits: &[Edit(&[replace(
            "            rc = removing_mapping ?  0 : -ENOENT;",
            "
            if ( !removing_mapping )
                oracle_excused(FIX_B9);
            rc = removing_mapping ?  0 : -ENOMEM;",
        )])],
    },
    Fix {
        id: "B10",
        what: "empty tables are given back once table pages run out, and a failure leaves none",
        edits: &[
            Edit(&[replace(
                "int p2m_set_entry(struct p2m_domain *p2m,",
                r#"
#include "sweep.h"

int p2m_set_entry(struct p2m_domain *p2m,"#,
            )]),
            Edit(&[replace(
                "    write_unlock(&p2m->lock);",
                "
    oracle_entries = ORACLE_ENTRIES;
    write_unlock(&p2m->lock);",
            )]),
            Edit(&[replace(
                "    radix_tree_init(&p2m->mem_access_settings);",
                "
    radix_tree_init(&p2m->mem_access_settings);
    p2m->mem_access_settings.height = 0;",
            )]),
        ],
    },
    Fix {
        id: "B12a",
        what: "a mapping that takes another's place is counted in",
        edits: &[
            Edit(&[
                replace(
                    "
    /*
     * Free the entry only if the original pte was valid and the base",
                    "
    if ( p2m_is_valid(orig_pte) && !removing_mapping &&
         !mfn_eq(lpae_get_mfn(orig_pte), lpae_get_mfn(*entry)) )
    {
        oracle_excused(FIX_B12a);
        p2m->stats.mappings[level]++;
    }

    /*
     * Free the entry only if the original pte was valid and the base",
                ),
            ]),
        ],
    },
    Fix {
        id: "B12b",
        what: "a mapping of frame 0 is counted out when removed",
        edits: &[
            Edit(&[
                replace(
                    "
    if ( p2m_is_valid(orig_pte) &&
         !mfn_eq(lpae_get_mfn(*entry), lpae_get_mfn(orig_pte)) )",
                    "
    if ( p2m_is_valid(orig_pte) && removing_mapping &&
         mfn_eq(lpae_get_mfn(orig_pte), lpae_get_mfn(*entry)) )
        oracle_excused(FIX_B12b);
    if ( p2m_is_valid(orig_pte) &&
         (removing_mapping ||
          !mfn_eq(lpae_get_mfn(*entry), lpae_get_mfn(orig_pte))) )",
                ),
            ]),
        ],
    },
    Fix {
        id: "B12c",
        what: "a split that fails half-way does not count as one",
        edits: &[
            Edit(&[
                replace(
                    "
             * The current super-page is still in-place, so re-increment
             * the stats.
             */
            p2m->stats.mappings[level]++;",
                    "
             * The current super-page is still in-place, so re-increment
             * the stats.
             */
            p2m->stats.mappings[level]++;
            if ( split_pte.bits != entry->bits )
            {
                oracle_excused(FIX_B12c);
                p2m->stats.shattered[level]--;
            }",
                ),
            ]),
        ],
    },
    Fix {
        id: "B23",
        what: "a page that guest_physmap_remove_page names must be there",
        edits: &[
            Edit(&[
                replace(
                    "
        if ( p2m_is_any_ram(t) &&
             (!mfn_valid(mfn) || !mfn_eq(mfn_add(mfn, i), mfn_return)) )
        {",
                    "
        if ( oracle_exact && !p2m_is_any_ram(t) && mfn_valid(mfn) &&
             !mfn_eq(mfn_add(mfn, i), mfn_return) )
        {
            oracle_excused(FIX_B23);
            rc = -EILSEQ;
            goto out;
        }
        if ( p2m_is_any_ram(t) &&
             (!mfn_valid(mfn) || !mfn_eq(mfn_add(mfn, i), mfn_return)) )
        {",
                ),
            ]),
            Edit(&[
                replace(
                    "return p2m_remove_mapping(d, gfn, (1 << page_order), mfn);",
                    "return ORACLE_EXACT(p2m_remove_mapping(d, gfn, (1 << page_order), mfn));",
                ),
            ]),
        ],
    },
    Fix {
        id: "B24",
        what: "a fault beyond the addresses that the MMU translates is not resolved",
        edits: &[Edit(&[replace(
            "
    return resolved;
}",
            "
    if ( resolved && gfn_x(gfn) >> (p2m_ipa_bits - PAGE_SHIFT) )
    {
        oracle_excused(FIX_B24);
        return false;
    }

    return resolved;
}",
        )])],
    },
];
