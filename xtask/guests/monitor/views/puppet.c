// SPDX-License-Identifier: GPL-2.0-only
// With role=views of our own guest: its CPUs do what they are told, by a page that both see.

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include "views.h"
#include <xenforeignmemory.h>


static xenforeignmemory_handle *memory;
static struct orders *orders;

bool expect(bool good, const char *format, ...)
{
    va_list args;

    if ( !good && wrong++ < 8 )
    {
        printf("wrong: ");
        va_start(args, format);
        vprintf(format, args);
        va_end(args);
        printf("\n");
    }
    return good;
}

void *map_frame(uint64_t frame)
{
    xen_pfn_t one = frame;
    void *page = xenforeignmemory_map(memory, monitor.domain, PROT_READ | PROT_WRITE, 1, &one, NULL);

    if ( !page )
        die("xenforeignmemory_map");
    return page;
}

void unmap_frame(void *page)
{
    xenforeignmemory_unmap(memory, page, 1);
}

uint64_t word_of(uint64_t frame, unsigned int at)
{
    volatile uint64_t *page = map_frame(frame);
    uint64_t word = page[at];

    unmap_frame((void *)page);
    return word;
}

void set_word(uint64_t frame, unsigned int at, uint64_t word)
{
    volatile uint64_t *page = map_frame(frame);

    page[at] = word;
    unmap_frame((void *)page);
}

// To the beginning of a frame. What is written here is fetched there.
void put_code(uint64_t frame, const void *code, unsigned long size)
{
    char *page = map_frame(frame);

    memcpy(page, code, size);
    __builtin___clear_cache(page, page + size);
    unmap_frame(page);
}

void puppet_open(void)
{
    memory = xenforeignmemory_open(NULL, 0);
    if ( !memory )
        die("xenforeignmemory_open");
    orders = map_frame(ORDERS_AT >> 12);
}

// A mapping of the guest's pages keeps it from going away.
void puppet_close(void)
{
    unmap_frame(orders);
    xenforeignmemory_close(memory);
}

void *buffer_of(unsigned int cpu)
{
    return orders->buffer[cpu];
}

uint64_t buffer_address(unsigned int cpu)
{
    return ORDERS_AT + (uint64_t)((char *)orders->buffer[cpu] - (char *)orders);
}

void forget_rounds(void)
{
    orders->mapped = 0;
    orders->seen = 0;
}

static void begin(unsigned int cpu, uint64_t what, const uint64_t a[6])
{
    struct order *it = &orders->of[cpu];

    it->what = what;
    memcpy(it->a, a, sizeof(it->a));
    __atomic_store_n(&it->number, it->number + 1, __ATOMIC_RELEASE);
}

void order(unsigned int cpu, uint64_t what, uint64_t a0, uint64_t a1)
{
    begin(cpu, what, (const uint64_t[6]){ a0, a1 });
}

void order_touch(unsigned int cpu, uint64_t from, uint64_t count, uint64_t apart, uint64_t times)
{
    begin(cpu, ORDER_TOUCH, (const uint64_t[6]){ from, count, apart, times });
}

void order_pages(unsigned int cpu, uint64_t what, uint64_t times, uint64_t one, uint64_t other)
{
    begin(cpu, what, (const uint64_t[6]){ times, one, other });
}

bool is_done(unsigned int cpu)
{
    const struct order *it = &orders->of[cpu];

    return __atomic_load_n(&it->done, __ATOMIC_ACQUIRE) == it->number;
}

uint64_t result_of(unsigned int cpu)
{
    vm_event_request_t event;

    // Each turn waits for a millisecond.
    for ( unsigned int turn = 0; turn < PATIENCE; turn++ )
    {
        if ( is_done(cpu) )
            return orders->of[cpu].result;
        if ( monitor_next(&monitor, &event, 1) == 1 )
        {
            expect(false, "an event that is none: vCPU %" PRIu32 " reason %" PRIu32 " frame %" PRIx64 " flags %" PRIx32
                   " view %" PRIu16 " pc %" PRIx64, event.vcpu_id, event.reason, event.u.mem_access.gfn,
                   event.u.mem_access.flags, event.altp2m_idx, event.data.regs.arm.pc);
            answer_in(&event, 0);
        }
    }
    printf("monitor: CPU %u does not do %" PRIu64 " of %" PRIx64 "\n", cpu, orders->of[cpu].what, orders->of[cpu].a[0]);
    die("the guest does nothing");
    return 0;
}

uint64_t have(unsigned int cpu, uint64_t what, uint64_t a0, uint64_t a1)
{
    order(cpu, what, a0, a1);
    return result_of(cpu);
}

void order_hypercall(unsigned int cpu, uint64_t a0, uint64_t a1, uint64_t number)
{
    begin(cpu, ORDER_HYPERCALL, (const uint64_t[6]){ a0, a1, 0, 0, 0, number });
}

int64_t have_hypercall(unsigned int cpu, uint64_t a0, uint64_t a1, uint64_t number)
{
    order_hypercall(cpu, a0, a1, number);
    return (int64_t)result_of(cpu);
}
