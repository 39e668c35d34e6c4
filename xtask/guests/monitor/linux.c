// SPDX-License-Identifier: GPL-2.0-only
// On a Linux guest: fetches from and writes to its text, then all that happens to its kernel's tables. A page is
// restricted again while events of others are on their way, so that thousands come.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
// Before others of Xen's headers: xenctrl.h asks for all that tools may see.
#include "monitor.h"
#include <xenforeignmemory.h>

// So many pages are unrestricted at any time: more than one instruction of each vCPU, with what interrupts it, can
// need at once.
#define OPEN_TEXT 64
#define OPEN_TABLES 24
#define MOST_OPEN OPEN_TEXT
#define MOST_TABLES 512

// Seconds for each part, with a machine that has more to do.
#define LONG 240

static uint64_t opened[MOST_OPEN];
static unsigned long at, window;

// Lifts one page's restriction, and restricts the one anew that was lifted longest ago.
static void open_page(uint64_t frame, xenmem_access_t access, xenmem_access_t closed)
{
    uint64_t oldest = opened[at % window];

    opened[at++ % window] = frame;
    if ( oldest )
    {
        bool again = false;

        for ( unsigned long i = 0; i < window; i++ )
            again |= opened[i] == oldest;
        if ( !again )
            restrict_pages(oldest, 1, closed);
    }
    restrict_pages(frame, 1, access);
}

static void begin(unsigned long pages)
{
    window = pages;
    at = 0;
    for ( unsigned long i = 0; i < window; i++ )
        opened[i] = 0;
}

// The frames of the kernel's tables, of 4 KiB pages, by TTBR1_EL1: breadth first, down to level 3.
static unsigned long find_tables(const vm_event_request_t *event, uint64_t *tables)
{
    xenforeignmemory_handle *memory = xenforeignmemory_open(NULL, 0);
    uint64_t tcr = event->data.regs.arm.ttbcr, root = event->data.regs.arm.ttbr1 & 0xfffffffff000UL;
    // TCR_EL1.T1SZ; each level translates nine bits.
    int bits = 64 - (int)(tcr >> 16 & 63), level = 4 - (bits - 12 + 8) / 9;
    unsigned long count = 0, next = 0;
    int levels[MOST_TABLES];

    if ( !memory || (tcr >> 30 & 3) != 2 )
        die("no tables of 4 KiB pages");
    tables[count] = root >> 12;
    levels[count++] = level;
    for ( ; next < count; next++ )
    {
        xen_pfn_t frame = tables[next];
        uint64_t *page;

        if ( levels[next] == 3 )
            continue;
        page = xenforeignmemory_map(memory, monitor.domain, PROT_READ, 1, &frame, NULL);
        if ( !page )
            die("xenforeignmemory_map");
        for ( int i = 0; i < 512 && count < MOST_TABLES; i++ )
            if ( (page[i] & 3) == 3 )
            {
                tables[count] = page[i] >> 12 & 0xfffffffffUL;
                levels[count++] = levels[next] + 1;
            }
        xenforeignmemory_unmap(memory, page, 1);
    }
    xenforeignmemory_close(memory);
    return count;
}

static unsigned long others;

// The next event of these pages; answers those of other pages, which may have been on their way.
static bool next_of(vm_event_request_t *event, uint64_t first, uint64_t last, const char *what)
{
    for ( ;; )
    {
        int rc = monitor_next(&monitor, event, PATIENCE);

        if ( rc <= 0 )
        {
            printf("monitor: no %s any more\n", what);
            return false;
        }
        if ( event->reason == VM_EVENT_REASON_MEM_ACCESS && event->u.mem_access.gfn >= first &&
             event->u.mem_access.gfn <= last )
            return true;
        others++;
        monitor_answer(&monitor, event);
    }
}

// All of the text may be read and nothing else: so each page gives an event when it is executed.
static void watch_fetches(uint64_t first, uint64_t last, unsigned long events, vm_event_request_t *event)
{
    unsigned long fetches = 0, until = seconds() + LONG;

    begin(OPEN_TEXT);
    restrict_pages(first, last - first + 1, XENMEM_access_r);
    while ( !stopped && fetches < events && seconds() < until &&
            next_of(event, first, last, "fetch from the text") )
    {
        bool is_fetch = event->u.mem_access.flags & MEM_ACCESS_X;

        fetches += is_fetch;
        open_page(event->u.mem_access.gfn, is_fetch ? XENMEM_access_rx : XENMEM_access_rwx, XENMEM_access_r);
        monitor_answer(&monitor, event);
    }
    value("fetches", fetches);
}

static void watch_writes(uint64_t first, uint64_t last, vm_event_request_t *event)
{
    unsigned long writes = 0, until = seconds() + LONG;

    begin(OPEN_TEXT);
    restrict_pages(first, last - first + 1, XENMEM_access_rx);
    while ( !stopped && writes < 20 && seconds() < until && next_of(event, first, last, "write to the text") )
    {
        writes += !!(event->u.mem_access.flags & MEM_ACCESS_W);
        open_page(event->u.mem_access.gfn, XENMEM_access_rwx, XENMEM_access_rx);
        monitor_answer(&monitor, event);
    }
    restrict_pages(first, last - first + 1, XENMEM_access_rwx);
    value("writes", writes);
}

static void watch_tables(unsigned long events, vm_event_request_t *event)
{
    static uint64_t tables[MOST_TABLES];
    unsigned long walks = 0, reads = 0, writes = 0, count = find_tables(event, tables), until = seconds() + LONG;
    unsigned long changes = 0;

    begin(OPEN_TABLES);
    value("tables", count);
    restrict_each(tables, count, XENMEM_access_n);
    while ( !stopped && walks + reads + writes < events && seconds() < until &&
            next_of(event, 0, ~0UL, "use of the tables") )
    {
        const struct vm_event_mem_access *it = &event->u.mem_access;
        bool is_table = false;

        for ( unsigned long i = 0; i < count; i++ )
            is_table |= tables[i] == it->gfn;
        if ( !is_table )
            others++;
        else if ( it->flags & MEM_ACCESS_FAULT_IN_GPT )
            walks++;
        else if ( it->flags & MEM_ACCESS_W )
            writes++;
        else
            reads++;
        if ( is_table )
            open_page(it->gfn, XENMEM_access_rwx, XENMEM_access_n);
        monitor_answer(&monitor, event);
    }
    // They may be read: what is left is that the kernel changes them.
    begin(OPEN_TABLES);
    restrict_each(tables, count, XENMEM_access_r);
    until = seconds() + LONG;
    while ( !stopped && changes < 3 && seconds() < until && next_of(event, 0, ~0UL, "change of the tables") )
    {
        const struct vm_event_mem_access *it = &event->u.mem_access;

        changes += (it->flags & MEM_ACCESS_W) && !(it->flags & MEM_ACCESS_FAULT_IN_GPT);
        open_page(it->gfn, XENMEM_access_rw, XENMEM_access_r);
        monitor_answer(&monitor, event);
    }
    restrict_each(tables, count, XENMEM_access_rwx);
    value("changes", changes);
    value("walks", walks);
    value("table_reads", reads);
    value("table_writes", writes);
}

void do_linux(uint64_t first, uint64_t last, unsigned long events)
{
    vm_event_request_t event;

    printf("monitor: text is frames %" PRIx64 " to %" PRIx64 "\n", first, last);
    watch_fetches(first, last, events, &event);
    watch_writes(first, last, &event);
    watch_tables(events, &event);
    value("others", others);
}
