// SPDX-License-Identifier: GPL-2.0-only
// Asking the guest that owns a device: one command after the other, through a page of its.

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "dma.h"
#include "monitor.h"
// After xenctrl.h, without which it does not compile.
#include <xenforeignmemory.h>

// As long as anything takes on a busy machine.
#define SECONDS 180

// The clock counts milliseconds, and no scenario takes so many.
#define CLOCK 0x7A0000000000UL
#define CLOCK_RANGE (10UL << 32)
// A page's first word, of which the clock keeps 48 bits.
#define SEEN 0x510000000000UL

// A page of the guest's that no scenario removes.
#define SPARE (DMA_MAILBOX + PAGE)

static xenforeignmemory_handle *memory;
static uint32_t owner;
static volatile struct dma_mailbox *mailbox;

void dma_open(uint32_t domain)
{
    owner = domain;
    memory = xenforeignmemory_open(NULL, 0);
    if ( !memory )
        die("xenforeignmemory_open");
    mailbox = (volatile struct dma_mailbox *)dma_view(DMA_MAILBOX);
}

volatile uint64_t *dma_view(uint64_t address)
{
    xen_pfn_t frame = address / PAGE;
    int error = 0;
    void *view = xenforeignmemory_map(memory, owner, PROT_READ | PROT_WRITE, 1, &frame, &error);

    if ( !view || error )
        die("xenforeignmemory_map");
    return view;
}

void dma_unview(volatile uint64_t *view)
{
    xenforeignmemory_unmap(memory, (void *)view, 1);
}

static void await(const volatile uint32_t *number, uint32_t expected)
{
    unsigned long from = seconds();

    while ( (int32_t)(__atomic_load_n(number, __ATOMIC_ACQUIRE) - expected) < 0 )
    {
        if ( seconds() - from > SECONDS )
        {
            errno = ETIMEDOUT;
            die("the guest does not answer");
        }
        usleep(20);
    }
}

uint64_t dma_ask(enum dma_command command, uint64_t first, uint64_t second)
{
    mailbox->argument[0] = first;
    mailbox->argument[1] = second;
    mailbox->command = command;
    __atomic_store_n(&mailbox->asked, mailbox->asked + 1, __ATOMIC_RELEASE);
    await(&mailbox->done, mailbox->asked);
    if ( mailbox->status )
    {
        printf("monitor: command %u of the guest: status %d\n", mailbox->command, mailbox->status);
        errno = EIO;
        die("the guest");
    }
    return mailbox->result[0];
}

void dma_stream(uint64_t first, uint64_t stride, uint64_t pages)
{
    mailbox->argument[2] = pages;
    dma_ask(DMA_STREAM, first, stride);
}

void dma_await(unsigned int batches)
{
    await(&mailbox->batches, batches);
}

void dma_quiet(uint64_t *landed, uint64_t *missed)
{
    *landed = dma_ask(DMA_QUIET, 0, 0);
    *missed = mailbox->result[1];
}

void dma_set_clock(void)
{
    dma_ask(DMA_FILL, SPARE, CLOCK);
    if ( !dma_is_clock(dma_ask(DMA_READS, SPARE, 0)) )
        die("the device does not read the guest's memory");
}

bool dma_is_clock(uint64_t word)
{
    word &= (1UL << 48) - 1;
    return word >= CLOCK && word < CLOCK + CLOCK_RANGE;
}

bool dma_write_lands(uint64_t address)
{
    dma_ask(DMA_FILL, address, DMA_POISON);
    dma_set_clock();
    dma_ask(DMA_WRITES, address, 0);
    return dma_is_clock(dma_ask(DMA_WORD, address, 0));
}

bool dma_read_sees(uint64_t address)
{
    uint64_t seen;

    dma_ask(DMA_FILL, address, SEEN);
    seen = dma_ask(DMA_READS, address, 0);
    return seen >= SEEN && seen < SEEN + CLOCK_RANGE;
}
