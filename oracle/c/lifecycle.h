/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For the file with the p2m's life cycle: what its callers, in domain.c and
 * domctl.c, do with the release's own functions.
 */

void oracle_force_tlb_flush_sync(struct p2m_domain *p2m)
{
    p2m_force_tlb_flush_sync(p2m);
}

void oracle_dump_p2m_lookup(struct domain *d, paddr_t addr)
{
#ifdef FACT_declared_dump_p2m_lookup
    dump_p2m_lookup(d, addr);
#endif
}

/* arch_domain_creation_finished() */
void oracle_creation_finished(struct domain *d)
{
#ifdef FACT_declared_p2m_invalidate_root
    if ( !iommu_use_hap_pt(d) )
        p2m_invalidate_root(p2m_get_hostp2m(d));
#else
    p2m_domain_creation_finished(d);
#endif
}

/* PROG_p2m_root of domain_relinquish_resources(); up to 4.17 teardown does it. */
void oracle_clear_root_pages(struct domain *d)
{
#ifdef FACT_declared_p2m_clear_root_pages
    p2m_clear_root_pages(p2m_get_hostp2m(d));
#endif
}

/* PROG_p2m */
int oracle_teardown(struct domain *d)
{
#ifdef FACT_teardown_bool
    return p2m_teardown(d, true);
#else
    return p2m_teardown(d);
#endif
}

/* Under the paging lock, not to be preempted. */
int oracle_set_allocation(struct domain *d, unsigned long pages)
{
#ifdef FACT_set_allocation_bool
    return p2m_set_allocation(d, pages, false);
#else
    return p2m_set_allocation(d, pages, NULL);
#endif
}

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
