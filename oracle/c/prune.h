/* SPDX-License-Identifier: GPL-2.0-only */
/* For the file with relinquish_p2m_mapping(): tables of pages go (relinquish). */

static void oracle_prune_below(struct p2m_domain *p2m, lpae_t *table,
                               unsigned int level)
{
    unsigned int i;

    for ( i = 0; i < XEN_PT_LPAE_ENTRIES; i++ )
    {
        lpae_t e = table[i];

        if ( !p2m_is_valid(e) || !e.p2m.table )
            continue;
        if ( level == 2 )
        {
            oracle_excused(FIX_relinquish);
            p2m_remove_pte(table + i, p2m->clean_pte);
            p2m_force_tlb_flush_sync(p2m);
            p2m_free_entry(p2m, e, level);
        }
        else
            oracle_prune_below(p2m, map_domain_page(lpae_get_mfn(e)), level + 1);
    }
}

static void oracle_prune(struct p2m_domain *p2m)
{
    unsigned int i;

    for ( i = 0; i < P2M_ROOT_PAGES; i++ )
        oracle_prune_below(p2m, __map_domain_page(p2m->root + i), P2M_ROOT_LEVEL);
}

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
