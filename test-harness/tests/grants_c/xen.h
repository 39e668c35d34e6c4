/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the patch's lines for mm.c and iommu_helpers.c need of Xen, on a host. The
 * test gives the functions; the numbers are compared with those of the harness.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#define CONFIG_ARM_P2M_RUST 1

/* public/grant_table.h */
#define GNTMAP_readonly (1U << 2)

typedef unsigned long gfn_t, mfn_t;
#define gfn_x(gfn) (gfn)
#define _mfn(n) (n)
#define INVALID_MFN (~0UL)

/* asm/p2m.h, public/memory.h */
typedef unsigned int p2m_type_t, p2m_access_t;
enum { p2m_invalid = 0, p2m_grant_map_rw = 8, p2m_grant_map_ro = 9,
       p2m_iommu_map_rw = 10 };
enum { p2m_access_rwx = 7 };

#define p2m_is_any_ram(t) ((1U << (t)) & ANY_RAM)

struct domain;
struct p2m_domain {
    unsigned char before[DEFAULT_ACCESS_AT];
    p2m_access_t default_access;
};

struct p2m_domain *(*test_p2m_get_hostp2m)(struct domain *d);
void (*test_p2m_write_lock)(struct p2m_domain *p2m);
void (*test_p2m_write_unlock)(struct p2m_domain *p2m);
mfn_t (*test_p2m_get_entry)(struct p2m_domain *p2m, gfn_t gfn, p2m_type_t *t,
                            p2m_access_t *a, unsigned int *page_order,
                            bool *valid);
int (*test_p2m_set_entry)(struct p2m_domain *p2m, gfn_t gfn, unsigned long nr,
                          mfn_t mfn, p2m_type_t t, p2m_access_t a);
int (*test_unmap_regions_p2mt)(struct domain *d, gfn_t gfn, unsigned long nr,
                               mfn_t mfn);

#define p2m_get_hostp2m test_p2m_get_hostp2m
#define p2m_write_lock test_p2m_write_lock
#define p2m_write_unlock test_p2m_write_unlock
#define p2m_get_entry test_p2m_get_entry
#define p2m_set_entry test_p2m_set_entry
#define unmap_regions_p2mt test_unmap_regions_p2mt

static inline bool mfn_eq(mfn_t x, mfn_t y)
{
    return x == y;
}

const unsigned int test_numbers[] = {
    p2m_invalid, p2m_grant_map_rw, p2m_grant_map_ro, p2m_iommu_map_rw,
    p2m_access_rwx,
};
