// SPDX-License-Identifier: GPL-2.0-only
// role=copy: every CPU makes hypercalls whose buffers lie behind a stage-1 table that somebody else
// restricts with mem_access meanwhile. The guest itself never touches table or buffer: only Xen's copies
// from and to the guest meet the restriction.

#include "guest.h"
#include <public/memory.h>

#define BATCH 64

struct buffers {
    xen_ulong_t indices[BATCH];
    xen_pfn_t frames[BATCH];
    int errors[BATCH];
};

static unsigned long cpus;
static volatile unsigned long done[MAX_CPUS], refused[MAX_CPUS];

#define ENOSYS 38
#define EFAULT 14

static void once(unsigned long cpu)
{
    struct buffers *buffers = (struct buffers *)TEST_VA(cpu);
    struct xen_add_to_physmap_batch batch = {
        .domid = DOMID_SELF,
        // Arm has no such space: Xen copies index and frame in, and an error out, and changes nothing.
        .space = XENMAPSPACE_gmfn,
        .size = BATCH,
    };
    long rc;

    set_xen_guest_handle(batch.idxs, buffers->indices);
    set_xen_guest_handle(batch.gpfns, buffers->frames);
    set_xen_guest_handle(batch.errs, buffers->errors);
    rc = hypercall(XENMEM_add_to_physmap_batch, (uint64_t)&batch, 0, 0, 0, __HYPERVISOR_memory_op);
    if ( rc == 0 )
        done[cpu]++;
    else if ( rc == -EFAULT )
        refused[cpu]++;
    else
        say("copy: unexpected %d", rc);
}

static void work(unsigned long cpu)
{
    for ( ;; )
        once(cpu);
}

void role_copy(void)
{
    unsigned long told = 0;

    cpus = argument("cpus", 1);
    for ( unsigned long cpu = 0; cpu < cpus; cpu++ )
        memset((void *)TEST_PAGE(cpu), 0, PAGE);
    start_cpus(cpus, work);
    for ( ;; )
    {
        once(0);
        if ( seconds() != told )
        {
            unsigned long least = ~0UL, all = 0, no = 0;

            told = seconds();
            for ( unsigned long cpu = 0; cpu < cpus; cpu++ )
            {
                unsigned long one = done[cpu] + refused[cpu];

                least = one < least ? one : least;
                all += done[cpu];
                no += refused[cpu];
            }
            say("copy: done %u refused %u least %u", all, no, least);
        }
    }
}
