// SPDX-License-Identifier: GPL-2.0-only
// With role=load of our own guest and one CPU: what a monitor does on Arm, which has no single step, to let one
// instruction pass and restrict its page again. First by an SMC in the place of the next instruction, then by leaving
// the instruction out.

#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include "monitor.h"
#include <xenforeignmemory.h>

#define SMC 0xd4000003U

static xenforeignmemory_handle *memory;

static void *map(uint64_t address)
{
    xen_pfn_t frame = address >> 12;
    void *page = xenforeignmemory_map(memory, monitor.domain, PROT_READ | PROT_WRITE, 1, &frame, NULL);

    if ( !page )
        die("xenforeignmemory_map");
    return page;
}

// Puts an instruction into the guest's text, which is mapped one to one; the one that was there.
static uint32_t put_instruction(uint64_t address, uint32_t instruction)
{
    char *page = map(address);
    volatile uint32_t *at = (volatile uint32_t *)(page + (address & 0xfff));
    uint32_t old = *at;

    *at = instruction;
    __builtin___clear_cache((char *)at, (char *)(at + 1));
    xenforeignmemory_unmap(memory, page, 1);
    return old;
}

static uint64_t word_of(uint64_t frame)
{
    volatile uint64_t *page = map(frame << 12);
    uint64_t word = page[1];

    xenforeignmemory_unmap(memory, (void *)page, 1);
    return word;
}

static unsigned long events;

static void next(vm_event_request_t *event, unsigned int reason, const char *what)
{
    if ( monitor_next(&monitor, event, PATIENCE) != 1 )
    {
        printf("monitor: no %s after %lu events\n", what, events);
        die(what);
    }
    events++;
    if ( event->reason != reason && wrong++ < 5 )
        printf("monitor: no %s, but reason %" PRIu32 " at %" PRIx64 "\n", what, event->reason,
               event->data.regs.arm.pc);
}

void do_step(unsigned long pages, unsigned long steps)
{
    vm_event_request_t event;
    uint64_t due = 0, words[64];
    unsigned long skipped = 0, changed = 0;

    memory = xenforeignmemory_open(NULL, 0);
    if ( !memory || pages > 64 || xc_monitor_privileged_call(monitor.xc, monitor.domain, true) )
        die("xc_monitor_privileged_call");
    restrict_pages(TEST_GFN, pages, XENMEM_access_rx);
    for ( unsigned long step = 0; step < steps; step++ )
    {
        uint64_t frame, after;
        uint32_t old;

        next(&event, VM_EVENT_REASON_MEM_ACCESS, "write");
        frame = event.u.mem_access.gfn;
        // The page is restricted again before anything else can use it, so each page comes in each round.
        if ( due != 0 && frame != due && wrong++ < 5 )
            printf("monitor: frame %" PRIx64 " and not %" PRIx64 "\n", frame, due);
        due = frame + 1 == TEST_GFN + pages ? TEST_GFN : frame + 1;
        after = event.data.regs.arm.pc + 4;
        old = put_instruction(after, SMC);
        restrict_pages(frame, 1, XENMEM_access_rw);
        monitor_answer(&monitor, &event);
        next(&event, VM_EVENT_REASON_PRIVILEGED_CALL, "SMC");
        if ( event.data.regs.arm.pc != after && wrong++ < 5 )
            printf("monitor: SMC at %" PRIx64 " and not %" PRIx64 "\n", event.data.regs.arm.pc, after);
        restrict_pages(frame, 1, XENMEM_access_rx);
        put_instruction(after, old);
        monitor_answer(&monitor, &event);
    }
    for ( unsigned long i = 0; i < pages; i++ )
        words[i] = word_of(TEST_GFN + i);
    // Two rounds, whose writes are left out.
    for ( ; skipped < 2 * pages; skipped++ )
    {
        next(&event, VM_EVENT_REASON_MEM_ACCESS, "write");
        monitor_answer_at(&monitor, &event, event.data.regs.arm.pc + 4);
    }
    for ( unsigned long i = 0; i < pages; i++ )
        changed += words[i] != word_of(TEST_GFN + i);
    xc_monitor_privileged_call(monitor.xc, monitor.domain, false);
    restrict_pages(TEST_GFN, pages, XENMEM_access_rwx);
    value("steps", steps);
    value("skipped", skipped);
    value("changed", changed);
    value("wrong", wrong);
}
