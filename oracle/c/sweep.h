/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For the file with p2m_set_entry(): empty tables are given back once table
 * pages run out (B10), in the same order and within the same bound, and a call
 * that fails leaves no new ones.
 */

/* The table in which the walk to @gfn ends, and its level. */
static lpae_t *oracle_last_table(struct p2m_domain *p2m, unsigned long gfn,
                                 unsigned int deepest, unsigned int *level)
{
    DECLARE_OFFSETS(offsets, gfn_to_gaddr(_gfn(gfn)));
    lpae_t *table = p2m_get_root_pointer(p2m, _gfn(gfn));

    for ( *level = P2M_ROOT_LEVEL; table && *level < deepest; (*level)++ )
    {
        lpae_t e = table[offsets[*level]];

        if ( !p2m_is_valid(e) || !e.p2m.table )
            break;
        table = map_domain_page(lpae_get_mfn(e));
    }

    return table;
}

static unsigned int oracle_depth(struct p2m_domain *p2m, gfn_t gfn)
{
    unsigned int level;

    oracle_last_table(p2m, gfn_x(gfn), 3, &level);

    return level;
}

static unsigned int oracle_index(unsigned long gfn, unsigned int level)
{
    return (gfn >> XEN_PT_LEVEL_ORDER(level)) & (XEN_PT_LPAE_ENTRIES - 1);
}

/* Takes the table of @level on the walk to @gfn out, and frees it. */
static void oracle_free_table(struct p2m_domain *p2m, unsigned long gfn,
                              unsigned int level)
{
    unsigned int above;
    lpae_t *table = oracle_last_table(p2m, gfn, level - 1, &above);
    lpae_t *entry = table + oracle_index(gfn, above);
    struct page_info *pg = mfn_to_page(lpae_get_mfn(*entry));

    p2m_remove_pte(entry, p2m->clean_pte);
    p2m_force_tlb_flush_sync(p2m);
    if ( is_iommu_enabled(p2m->domain) )
        iommu_iotlb_flush(p2m->domain,
                          _dfn(gfn & ~((1UL << XEN_PT_LEVEL_ORDER(above)) - 1)),
                          1UL << XEN_PT_LEVEL_ORDER(above), IOMMU_FLUSHF_modified);
    page_list_del(pg, &p2m->pages);
    p2m_free_page(p2m->domain, pg);
}

/* 1: empty, 0: not, -1: no more entries may be read. */
static int oracle_is_empty(const lpae_t *table)
{
    unsigned long allowed = min(oracle_entries, XEN_PT_LPAE_ENTRIES + 0UL);
    unsigned long empty = 0;

    while ( empty < allowed && !table[empty].bits )
        empty++;
    oracle_entries -= min(allowed, empty + 1);
    if ( empty < allowed )
        return 0;

    return allowed == XEN_PT_LPAE_ENTRIES ? 1 : -1;
}

/* The cursor is where no tree of accesses needs it: its functions are shims. */
static bool oracle_sweep(struct p2m_domain *p2m)
{
    unsigned long max = gfn_x(p2m->max_mapped_gfn), start, at;
    bool wrapped = false, look = false, found = false;

    start = (unsigned long)p2m->mem_access_settings.height << 9;
    if ( start > max )
        start = 0;
    for ( at = start; !(wrapped && at >= start); )
    {
        unsigned int level, i;
        lpae_t *table = oracle_last_table(p2m, at, 3, &level);
        unsigned long span = XEN_PT_LPAE_ENTRIES << XEN_PT_LEVEL_ORDER(level);
        unsigned long base = at & ~(span - 1);

        if ( oracle_entries < 1 + level - P2M_ROOT_LEVEL )
            break;
        oracle_entries -= 1 + level - P2M_ROOT_LEVEL;
        if ( level != P2M_ROOT_LEVEL && (look || base == at) )
        {
            int empty = oracle_is_empty(table);

            if ( empty < 0 )
                break;
            if ( empty )
            {
                oracle_free_table(p2m, at, level);
                look = found = true;
                continue;
            }
        }
        look = false;
        if ( level == 3 )
            at = base + span;
        else
        {
            at = (at | ((1UL << XEN_PT_LEVEL_ORDER(level)) - 1)) + 1;
            for ( i = oracle_index(at - 1, level) + 1; i < XEN_PT_LPAE_ENTRIES; i++ )
            {
                if ( !oracle_entries ||
                     (p2m_is_valid(table[i]) && table[i].p2m.table) )
                    break;
                oracle_entries--;
                at += 1UL << XEN_PT_LEVEL_ORDER(level);
            }
        }
        if ( at > max )
        {
            if ( wrapped )
                break;
            at = 0;
            wrapped = true;
        }
    }
    p2m->mem_access_settings.height = at >> 9;

    return found;
}

/* After a failure: what the attempt has made goes, and there may be another. */
static bool oracle_again(struct p2m_domain *p2m, gfn_t gfn, unsigned int depth,
                         int rc)
{
    unsigned int level;

    if ( rc != -ENOMEM && rc != -ENOENT )
        return false;
    for ( level = oracle_depth(p2m, gfn); level > depth; level-- )
    {
        oracle_excused(FIX_B10);
        oracle_free_table(p2m, gfn_x(gfn), level);
    }
    if ( !oracle_sweep(p2m) )
        return false;
    oracle_excused(FIX_B10);

    return true;
}

#define __p2m_set_entry(p2m, gfn, ...) ({                               \
    unsigned int depth_;                                                \
    int rc_;                                                            \
                                                                        \
    do {                                                                \
        depth_ = oracle_depth(p2m, gfn);                                \
        rc_ = (__p2m_set_entry)(p2m, gfn, __VA_ARGS__);                 \
    } while ( rc_ && oracle_again(p2m, gfn, depth_, rc_) );             \
    rc_;                                                                \
})

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
