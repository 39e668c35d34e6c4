// SPDX-License-Identifier: GPL-2.0-only
// role=dma: what dom0 asks for in the shared page (dma.h), one command after the other.

#include "../guest.h"
#include "dma.h"
#include "nvme.h"
#include <public/memory.h>

#define WORDS (PAGE / sizeof(uint64_t))
#define BLOCK (2 * MIB)
#define BLOCK_ORDER 9

extern char skip_vectors[], vectors[];

static volatile struct dma_mailbox *const mailbox = (struct dma_mailbox *)DMA_MAILBOX;
static uint64_t clock[WORDS] __attribute__((aligned(4096)));

static long reservation(unsigned int op, unsigned long address, unsigned int order)
{
    static xen_pfn_t frame;
    struct xen_memory_reservation one = {
        .nr_extents = 1,
        .extent_order = order,
        .domid = DOMID_SELF,
    };

    frame = address / PAGE;
    set_xen_guest_handle(one.extent_start, &frame);
    return hypercall(op, (uint64_t)&one, 0, 0, 0, __HYPERVISOR_memory_op);
}

static void fill(unsigned long address, uint64_t value)
{
    for ( unsigned long i = 0; i < WORDS; i++ )
        ((volatile uint64_t *)address)[i] = value;
}

static uint64_t changed(unsigned long address, uint64_t value)
{
    uint64_t count = 0;

    for ( unsigned long i = 0; i < WORDS; i++ )
        count += ((volatile uint64_t *)address)[i] != value;
    return count;
}

static int device(void (*ask)(uint64_t address), unsigned long address)
{
    ask(address);
    nvme_go();
    return nvme_wait();
}

// The device's clock begins at what it reads, so that asking for the time says what that was.
static int device_reads(unsigned long address)
{
    int status = device(nvme_ask_read, address);

    if ( status == 0 )
        status = device(nvme_ask_write, (unsigned long)clock);
    mailbox->result[0] = *(volatile uint64_t *)clock & ((1UL << 48) - 1);
    return status;
}

// How many exceptions. The line itself is one that there is.
static uint64_t set_way(void)
{
    unsigned long before, after;

    asm volatile("mrs %0, CONTEXTIDR_EL1" : "=r"(before));
    asm volatile("msr VBAR_EL1, %0; isb; dc cisw, xzr; dc csw, xzr; dsb sy; msr VBAR_EL1, %1; isb"
                 : : "r"(skip_vectors), "r"(vectors) : "memory");
    asm volatile("mrs %0, CONTEXTIDR_EL1" : "=r"(after));
    return after - before;
}

static int rejoin(unsigned long block)
{
    for ( unsigned long at = 0; at < BLOCK; at += PAGE )
        if ( reservation(XENMEM_decrease_reservation, block + at, 0) != 1 )
            return -1;
    return reservation(XENMEM_populate_physmap, block, BLOCK_ORDER) == 1 ? 0 : -1;
}

// What the second vCPU has the device write, batch by batch, each to pages that were poisoned before: how many were
// there when the device had done, and how many were not.
static struct {
    unsigned long first, stride, pages;
    uint64_t landed, missed;
    uint32_t asked, running;
    int status;
} stream;

static void stream_batch(void)
{
    for ( unsigned long i = 0; i < stream.pages; i++ )
        *(volatile uint64_t *)(stream.first + i * stream.stride) = DMA_POISON;
    for ( unsigned long i = 0; i < stream.pages; i++ )
        nvme_ask_write(stream.first + i * stream.stride);
    nvme_go();
    stream.status = nvme_wait();
    for ( unsigned long i = 0; i < stream.pages; i++ )
        if ( *(volatile uint64_t *)(stream.first + i * stream.stride) == DMA_POISON )
            stream.missed++;
        else
            stream.landed++;
    mailbox->batches++;
}

static void second_vcpu(unsigned long cpu)
{
    (void)cpu;
    for ( ;; )
        if ( __atomic_load_n(&stream.asked, __ATOMIC_ACQUIRE) && !stream.status )
        {
            stream_batch();
            __atomic_store_n(&stream.running, 1, __ATOMIC_RELEASE);
        }
        else
        {
            __atomic_store_n(&stream.running, 0, __ATOMIC_RELEASE);
            yield();
        }
}

static int stream_begin(const volatile uint64_t *argument)
{
    unsigned long from = seconds();

    if ( argument[2] > NVME_DEPTH )
        return -3;
    stream.first = argument[0];
    stream.stride = argument[1];
    stream.pages = argument[2];
    stream.landed = stream.missed = 0;
    stream.status = 0;
    mailbox->batches = 0;
    __atomic_store_n(&stream.asked, 1, __ATOMIC_RELEASE);
    while ( !__atomic_load_n(&stream.running, __ATOMIC_ACQUIRE) )
        if ( seconds() - from > 60 )
            return -1;
    return 0;
}

static int stream_end(void)
{
    __atomic_store_n(&stream.asked, 0, __ATOMIC_RELEASE);
    while ( __atomic_load_n(&stream.running, __ATOMIC_ACQUIRE) )
        yield();
    mailbox->result[0] = stream.landed;
    mailbox->result[1] = stream.missed;
    return stream.status;
}

// The device is the second vCPU's while there is a stream.
static int obey(uint32_t command, const volatile uint64_t *argument)
{
    switch ( command )
    {
    case DMA_FILL:
        fill(argument[0], argument[1]);
        return 0;
    case DMA_CHANGED:
        mailbox->result[0] = changed(argument[0], argument[1]);
        return 0;
    case DMA_WORD:
        mailbox->result[0] = *(volatile uint64_t *)argument[0];
        return 0;
    case DMA_WRITES:
        return device(nvme_ask_write, argument[0]);
    case DMA_READS:
        return device_reads(argument[0]);
    case DMA_REMOVE:
        mailbox->result[0] = (uint64_t)reservation(XENMEM_decrease_reservation, argument[0], (unsigned int)argument[1]);
        return 0;
    case DMA_POPULATE:
        mailbox->result[0] = (uint64_t)reservation(XENMEM_populate_physmap, argument[0], (unsigned int)argument[1]);
        return 0;
    case DMA_SET_WAY:
        mailbox->result[0] = set_way();
        return 0;
    case DMA_REJOIN:
        return rejoin(argument[0]);
    case DMA_STREAM:
        return stream_begin(argument);
    case DMA_QUIET:
        return stream_end();
    default:
        return -4;
    }
}

void role_dma(void)
{
    // Before dom0 looks at it.
    memset((void *)DMA_MAILBOX, 0, PAGE);
    if ( nvme_start() )
    {
        say("dma: the controller does not start");
        return;
    }
    start_cpus(2, second_vcpu);
    say("dma: ready");
    for ( ;; )
    {
        uint32_t asked = __atomic_load_n(&mailbox->asked, __ATOMIC_ACQUIRE);

        if ( asked == mailbox->done )
        {
            yield();
            continue;
        }
        mailbox->status = obey(mailbox->command, mailbox->argument);
        __atomic_store_n(&mailbox->done, asked, __ATOMIC_RELEASE);
    }
}
