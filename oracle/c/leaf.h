/* SPDX-License-Identifier: GPL-2.0-only */
/* For the file with p2m_set_entry(): what is as asked for already stays (idle). */

/* The leaf on the way to a frame, and its level. */
static bool oracle_leaf(struct p2m_domain *p2m, gfn_t gfn, lpae_t *e,
                        unsigned int *level)
{
    DECLARE_OFFSETS(offsets, gfn_to_gaddr(gfn));
    lpae_t *table = p2m_get_root_pointer(p2m, gfn);

    if ( !table )
        return false;
    for ( *level = P2M_ROOT_LEVEL; ; (*level)++ )
    {
        *e = table[offsets[*level]];
        if ( !p2m_is_valid(*e) )
            return false;
        if ( *level == 3 || p2m_is_superpage(*e, *level) )
            return true;
        table = map_domain_page(lpae_get_mfn(*e));
    }
}

bool oracle_has_access(struct p2m_domain *p2m, gfn_t gfn, p2m_type_t t,
                       p2m_access_t a)
{
    lpae_t e, want;
    unsigned int level;

    if ( !oracle_leaf(p2m, gfn, &e, &level) )
        return false;
    want = e;
    want.p2m.read = 1;
    p2m_set_permission(&want, t, a);
    if ( want.bits != e.bits ||
         a != (p2m->mem_access_enabled ? p2m_mem_access_radix_get(p2m, gfn)
                                       : p2m_access_rwx) )
        return false;
    oracle_excused(FIX_idle);
    return true;
}

/* Whether a larger block maps there already what is asked for. */
static bool oracle_is_mapped(struct p2m_domain *p2m, gfn_t gfn,
                             unsigned long order, mfn_t mfn, p2m_type_t t,
                             p2m_access_t a)
{
    lpae_t e, want;
    unsigned int level;
    unsigned long offset;

    if ( mfn_eq(mfn, INVALID_MFN) || p2m_is_foreign(t) ||
         (p2m->mem_access_enabled && a != p2m_access_rwx) ||
         !oracle_leaf(p2m, gfn, &e, &level) ||
         XEN_PT_LEVEL_ORDER(level) <= order )
        return false;
    offset = gfn_x(gfn) & ((1UL << XEN_PT_LEVEL_ORDER(level)) - 1);
    if ( mfn_x(mfn) < offset )
        return false;
    want = mfn_to_p2m_entry(_mfn(mfn_x(mfn) - offset), t, a);
    want.p2m.table = 0;
    e.p2m.valid = 1;
    if ( want.bits != e.bits )
        return false;
    oracle_excused(FIX_idle);
    return true;
}

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
