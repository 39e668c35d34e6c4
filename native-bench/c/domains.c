/* SPDX-License-Identifier: GPL-2.0-only */
/* Makes the domains: by each side's own functions, from p2m_init() on. */
#include <xen/config.h>
#include <xen/compile.h>
#include <xen/mm.h>
#include <xen/sched.h>

#include <asm/p2m.h>

#include "native.h"
#include "domains.h"
#include "sides.h"

struct domain *native_domains[2][NATIVE_DOMAINS];

/* Pages of the pool: the tables of four threads' RAM, with some to spare. */
#define POOL (8 * 512UL + 64)

/* A guest's pages, each with the guest's own reference. */
static void give_ram(struct domain *d, unsigned long first)
{
    unsigned long i;

    for ( i = 0; i < NATIVE_RAM; i++ )
    {
        struct page_info *pg = mfn_to_page(_mfn(first + i));

        pg->count_info = PGC_allocated | 1;
        pg->u.inuse.type_info = PGT_TYPE_INFO_INITIALIZER;
        page_set_owner(pg, d);
    }
}

static void make(int side, enum native_domain which)
{
    unsigned long i, ram = native_ram(side, which);
    struct domain *d = native_zeroed(sizeof(*d), PAGE_SIZE);
    gfn_t gfn;

    native_domains[side][which] = d;
    d->domain_id = 1 + side * NATIVE_DOMAINS + which;
    spin_lock_init(&d->arch.paging.lock);
    INIT_PAGE_LIST_HEAD(&d->arch.paging.p2m_freelist);
    if ( BY(side, p2m_init)(d) ||
         BY(side, arch_set_paging_mempool_size)(d, POOL << PAGE_SHIFT) )
        native_stop("a domain cannot be made");
    give_ram(d, ram);
    for ( i = 0; i < NATIVE_RAM; i += which == NATIVE_BLOCKS ? 512 : 1 )
    {
        gfn = _gfn(i);
        if ( which == NATIVE_BLOCKS )
        {
            if ( BY(side, guest_physmap_add_entry)(d, gfn, _mfn(ram + i), 9,
                                                   p2m_ram_rw) )
                native_stop("a guest's RAM cannot be mapped");
        }
        else if ( which != NATIVE_EMPTY &&
                  BY(side, guest_physmap_add_entry)(d, gfn, _mfn(ram + (i ^ 1)), 0,
                                                    p2m_ram_rw) )
            native_stop("a guest's RAM cannot be mapped");
    }
}

static struct vcpu *make_vcpu(struct domain *d)
{
    struct vcpu *v = native_zeroed(sizeof(*v), PAGE_SIZE);

    v->vcpu_id = smp_processor_id();
    v->domain = d;
    v->arch.sctlr = SCTLR_Axx_ELx_M | SCTLR_Axx_ELx_C;
#if XEN_VERSION == 4 && XEN_SUBVERSION < 18
    v->vcpu_info = native_zeroed(sizeof(*v->vcpu_info), PAGE_SIZE);
#else
    v->vcpu_info_area.map = native_zeroed(sizeof(vcpu_info_t), PAGE_SIZE);
#endif
    v->arch.cpu_info = native_zeroed(sizeof(*v->arch.cpu_info), PAGE_SIZE);

    return v;
}

void native_make_domains(void)
{
    int side;
    unsigned int which;

    /* A toolstack's, which asks for all of this. */
    current = make_vcpu(native_zeroed(sizeof(struct domain), PAGE_SIZE));
    for ( side = NATIVE_C; side <= NATIVE_RUST; side++ )
    {
        BY(side, setup_virt_paging)();
        for ( which = 0; which < NATIVE_DOMAINS; which++ )
            make(side, which);
    }
}

void native_run(int side)
{
    static struct vcpu *vcpus[2][NATIVE_CPUS];
    struct domain *d = native_domains[side][NATIVE_PAGES];
    struct vcpu **v = &vcpus[side][smp_processor_id()];

    if ( !*v )
        *v = make_vcpu(d);
    current = *v;
    WRITE_SYSREG64(d->arch.p2m.vttbr, VTTBR_EL2);
    WRITE_SYSREG(HCR_VM, HCR_EL2);
    isb();
}

void native_plant(enum native_mistake mistake)
{
    mfn_t mfn = _mfn(native_ram(NATIVE_C, NATIVE_PAGES) + 99);
    struct domain *d = native_domains[NATIVE_C][NATIVE_PAGES];
    gfn_t gfn = _gfn(5);

    if ( mistake == NATIVE_NO_MISTAKE )
        return;
    if ( mistake == NATIVE_MORE )
    {
        d = native_domains[NATIVE_C][NATIVE_EMPTY];
        gfn = _gfn(NATIVE_RAM - 1);
    }
    if ( c_guest_physmap_add_entry(d, gfn, mfn, 0, p2m_ram_rw) )
        native_stop("the mistake cannot be made");
}
