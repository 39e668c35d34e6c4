/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the mended C calls (src/edits/fixes/). An edit is a line or two; what
 * is longer is here and in mended.c, or, where it needs what is static in the
 * p2m's file, in leaf.h, prune.h and sweep.h, which an edit includes there.
 */

/* A difference on purpose made a difference here: one of enum oracle_fix. */
void oracle_excused(unsigned int fix);

/* The page, with a reference, if its type allows the access (B5, B7, buffers). */
struct page_info *oracle_page_by_type(struct domain *d, gfn_t gfn, bool write,
                                      unsigned int fix);

/*
 * p2m_set_mem_access() changes an entry in place: no reference changes hands
 * (B3).
 */
extern bool oracle_in_place;
#define ORACLE_IN_PLACE(call) ({        \
    int rc_;                            \
                                        \
    oracle_in_place = true;             \
    rc_ = (call);                       \
    oracle_in_place = false;            \
    rc_;                                \
})

/* guest_physmap_remove_page(): a page that is named must be there (B23). */
extern bool oracle_exact;
#define ORACLE_EXACT(call) ({           \
    int rc_;                            \
                                        \
    oracle_exact = true;                \
    rc_ = (call);                       \
    oracle_exact = false;               \
    rc_;                                \
})

/* Drops the references that a foreign mapping holds (B3, B4c). */
void oracle_put_foreign(lpae_t pte, unsigned int level);

/* Whether the mapping of a frame has the access already (idle). */
bool oracle_has_access(struct p2m_domain *p2m, gfn_t gfn, p2m_type_t t, p2m_access_t a);

/* What the walker did that met a restriction of the guest's tables (table-walks). */
void oracle_table_walk(struct npfec *npfec, xenmem_access_t xma);

/*
 * Clears the M2P of a page of Xen's heap, if it is the domain's whose entry is
 * freed (M2P).
 */
extern struct domain *oracle_domain;
void oracle_forget_gfn(struct page_info *page);

/* A split has made a table and no second one: the table is freed next (mapcache). */
extern bool oracle_split_failed;

/* Entries that a search for empty tables may still read under this lock (B10). */
#define ORACLE_ENTRIES (64UL * XEN_PT_LPAE_ENTRIES)
extern unsigned long oracle_entries;

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
