// SPDX-License-Identifier: GPL-2.0-only
// With role=table of our own guest: for each access and each act one line with the event that there was, if
// any, and with the access afterwards. The guest says by synchronous events of its own
// (HVMOP_guest_request_vm_event) when it begins and when it has done, so that each of its acts meets exactly the
// restriction that it is for.

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "monitor.h"

static const char *const accesses[] = {
    "n", "r", "w", "rw", "x", "rx", "wx", "rwx", "rx2rw", "n2rwx", "r_pw",
};

// Of table.c of the guest; those in capital letters restrict the page with the guest's tables.
static const char *const acts[] = {
    "read", "write", "fetch", "WALK_BY_READ", "WALK_BY_WRITE", "WALK_BY_FETCH", "WALK_WRITES", "copy_from",
    "copy_to", "COPY_THROUGH", "cache", "at_to", "AT_THROUGH",
};

#define ACTS (sizeof(acts) / sizeof(acts[0]))
#define ACCESSES (sizeof(accesses) / sizeof(accesses[0]))

// guest.h: TEST_TABLE(1) and TEST_PAGE(0)
#define TABLE (TEST_GFN + 2)
#define PAGE (TEST_GFN + 1)

static void print(const char *name, unsigned int flag, unsigned int flags)
{
    if ( flags & flag )
        printf("%s,", name);
}

// One word, for the host to compare.
static void tell(const char *access, const char *act, uint64_t gfn, const vm_event_request_t *event, bool spins)
{
    xenmem_access_t after = access_of(gfn);

    printf("@@value %s.%s=", access, act);
    if ( event )
    {
        const struct vm_event_mem_access *it = &event->u.mem_access;

        print("R", MEM_ACCESS_R, it->flags);
        print("W", MEM_ACCESS_W, it->flags);
        print("X", MEM_ACCESS_X, it->flags);
        print("GLA_VALID", MEM_ACCESS_GLA_VALID, it->flags);
        print("FAULT_WITH_GLA", MEM_ACCESS_FAULT_WITH_GLA, it->flags);
        print("FAULT_IN_GPT", MEM_ACCESS_FAULT_IN_GPT, it->flags);
        printf("gfn+%" PRIu64 ",offset=%" PRIx64 ",gla=%" PRIx64 ",", it->gfn - gfn, it->offset, it->gla);
        printf("pc=%" PRIx64 ",cpsr=%" PRIx64 ",ttbr0=%" PRIx64 ",ttbr1=%" PRIx64 ",ttbcr=%" PRIx64 ",",
               event->data.regs.arm.pc, event->data.regs.arm.cpsr, event->data.regs.arm.ttbr0,
               event->data.regs.arm.ttbr1, event->data.regs.arm.ttbcr);
        printf("vcpu=%" PRIu32 ",%s,", event->vcpu_id,
               event->flags == VM_EVENT_FLAG_VCPU_PAUSED ? "waits" : event->flags ? "flags?" : "goes-on");
    }
    else
        printf("%s,", spins ? "spins" : "-");
    if ( (unsigned int)after < ACCESSES )
        printf("%s\n", accesses[after]);
    else
        printf("%d\n", (int)after);
}

void do_table(void)
{
    vm_event_request_t event, seen;
    unsigned int cell = 0;
    bool has_seen = false, begun = false, spins = false;

    if ( xc_monitor_guest_request(monitor.xc, monitor.domain, true, true, false) )
        die("xc_monitor_guest_request");
    printf("monitor: waits for the guest\n");
    while ( !stopped && cell < ACTS * ACCESSES )
    {
        unsigned int act = cell % ACTS, access = cell / ACTS;
        uint64_t gfn = acts[act][0] < 'a' ? TABLE : PAGE;
        // Neither an event nor the next request: the guest repeats what it does.
        int rc = monitor_next(&monitor, &event, begun ? 8000 : 3 * PATIENCE);

        if ( rc < 0 || (rc == 0 && spins) || (rc == 0 && !begun) )
            die("the guest does nothing");
        if ( rc == 0 )
        {
            spins = true;
            tell(accesses[access], acts[act], gfn, NULL, true);
            restrict_pages(gfn, 1, XENMEM_access_rwx);
            continue;
        }
        if ( event.reason == VM_EVENT_REASON_MEM_ACCESS )
        {
            if ( has_seen )
                printf("@@value %s.%s.again=%" PRIx64 "\n", accesses[access], acts[act], event.u.mem_access.gfn);
            seen = event;
            has_seen = true;
            tell(accesses[access], acts[act], gfn, &seen, false);
            restrict_pages(gfn, 1, XENMEM_access_rwx);
            monitor_answer(&monitor, &event);
            continue;
        }
        if ( event.reason != VM_EVENT_REASON_GUEST_REQUEST )
            die("an event of another kind");
        if ( begun )
        {
            if ( !has_seen && !spins )
                tell(accesses[access], acts[act], gfn, NULL, false);
            restrict_pages(gfn, 1, XENMEM_access_rwx);
            cell++;
        }
        else
        {
            has_seen = spins = false;
            // In use even where the cell restricts nothing.
            restrict_pages(TEST_GFN + 5, 1, XENMEM_access_n);
            restrict_pages(gfn, 1, (xenmem_access_t)access);
        }
        begun = !begun;
        monitor_answer(&monitor, &event);
    }
    restrict_pages(TEST_GFN, 16, XENMEM_access_rwx);
    xc_monitor_guest_request(monitor.xc, monitor.domain, false, true, false);
    value("cells", cell);
}
