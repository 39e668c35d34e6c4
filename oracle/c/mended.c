/* SPDX-License-Identifier: GPL-2.0-only */
/* See mended.h. */
#include "shim.h"

bool oracle_in_place;
bool oracle_exact;
bool oracle_split_failed;
struct domain *oracle_domain;
unsigned long oracle_entries = ORACLE_ENTRIES;

struct page_info *oracle_page_by_type(struct domain *d, gfn_t gfn, bool write,
                                      unsigned int fix)
{
    p2m_type_t t;
    mfn_t mfn = p2m_get_entry(p2m_get_hostp2m(d), gfn, &t, NULL, NULL, NULL);
    bool allowed = p2m_is_ram(t) && (!write || t == p2m_ram_rw);

    if ( !allowed || !mfn_valid(mfn) || !get_page(mfn_to_page(mfn), d) )
        return NULL;

    oracle_excused(fix);

    return mfn_to_page(mfn);
}

void oracle_put_foreign(lpae_t pte, unsigned int level)
{
    struct page_info *page = mfn_to_page(lpae_get_mfn(pte));
    unsigned long i;

    for ( i = 0; i < 1UL << XEN_PT_LEVEL_ORDER(level); i++ )
        put_page(page + i);
}

void oracle_table_walk(struct npfec *npfec, xenmem_access_t xma)
{
    struct npfec insn = *npfec;

    npfec->read_access = xma == XENMEM_access_n || xma == XENMEM_access_n2rwx ||
                         xma == XENMEM_access_w || xma == XENMEM_access_x ||
                         xma == XENMEM_access_wx;
    npfec->write_access = xma == XENMEM_access_r || xma == XENMEM_access_rx ||
                          xma == XENMEM_access_rx2rw;
#ifdef FACT_access_r_pw
    npfec->write_access |= xma == XENMEM_access_r_pw;
#endif
    npfec->insn_fetch = 0;
    if ( npfec->read_access != insn.read_access ||
         npfec->write_access != insn.write_access )
        oracle_excused(FIX_table_walks);
}

void oracle_forget_gfn(struct page_info *page)
{
    bool has_reference = get_page(page, oracle_domain);

    if ( has_reference || (xs_page_is_owned_by(page, oracle_domain) &&
                           !oracle_domain->is_dying) )
        page_set_xenheap_gfn(page, INVALID_GFN);
    else
        oracle_excused(FIX_M2P);
    if ( has_reference )
        put_page(page);
}

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
