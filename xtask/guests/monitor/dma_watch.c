// SPDX-License-Identifier: GPL-2.0-only
// What a device reaches through an SMMU that shares the guest's tables.

#include <errno.h>
#include <stdio.h>
#include "dma.h"
#include "monitor.h"

static const char *const accesses[] = {
    "n", "r", "w", "rw", "x", "rx", "wx", "rwx", "rx2rw", "n2rwx", "r_pw",
};

#define ACCESSES (sizeof(accesses) / sizeof(accesses[0]))

static void must(uint64_t is, const char *what)
{
    if ( is != 1 )
    {
        printf("monitor: %s: %ld\n", what, (long)is);
        errno = EIO;
        die("the guest's memory");
    }
}

// The guest removes a page that the device has just used. dom0 still has it mapped, and so sees that nothing
// arrives in it; or it goes to the heap, and mostly comes back at another address, where the guest looks.
static void remove_one(uint64_t page, uint64_t elsewhere, bool in_view, unsigned long *reached, unsigned long *read)
{
    volatile uint64_t *view = in_view ? dma_view(page) : NULL;

    must(dma_write_lands(page), "a write before the removal");
    must(dma_read_sees(page), "a read before the removal");
    dma_ask(DMA_FILL, page, DMA_POISON);
    dma_set_clock();
    must(dma_ask(DMA_REMOVE, page, 0), "removed");
    if ( !in_view )
    {
        must(dma_ask(DMA_POPULATE, elsewhere, 0), "populated elsewhere");
        dma_ask(DMA_FILL, elsewhere, DMA_POISON);
    }
    dma_ask(DMA_WRITES, page, 0);
    *read += (dma_ask(DMA_READS, page, 0) & ~0xFFFFFFFFUL) == (DMA_POISON & ~0xFFFFFFFFUL);
    if ( in_view )
        *reached += *view != DMA_POISON;
    else
    {
        *reached += dma_ask(DMA_CHANGED, elsewhere, DMA_POISON) != 0;
        must(dma_write_lands(elsewhere), "a write where the page is now");
        must(dma_ask(DMA_REMOVE, elsewhere, 0), "removed elsewhere");
    }
    if ( in_view )
        dma_unview(view);
    must(dma_ask(DMA_POPULATE, page, 0), "populated");
    must(dma_write_lands(page), "a write after the page is back");
}

// Of each block four pages, the first of which splits it.
void do_dma_removed(unsigned long blocks)
{
    unsigned long reached = 0, read = 0, removed = 0;

    dma_open(monitor.domain);
    for ( unsigned long i = 0; i < blocks; i++ )
        for ( unsigned long j = 0; j < 4; j++ )
        {
            uint64_t page = DMA_BLOCK - i * BLOCK + (i + 97 * j) * PAGE;

            remove_one(page, DMA_NOWHERE + (4 * i + j) * PAGE, ((i ^ j) & 1) != 0, &reached, &read);
            removed++;
        }
    value("removed", removed);
    value("reached", reached);
    value("read", read);
}

// Each access, and whether the device reads and writes; no CPU touches the page meanwhile.
void do_dma_access(void)
{
    vm_event_request_t event;
    unsigned long after = 0;

    dma_open(monitor.domain);
    for ( unsigned long i = 0; i < ACCESSES; i++ )
    {
        uint64_t page = DMA_BLOCK + (7 + i) * PAGE, seen, word;
        bool reads;

        // Has been used by the device before.
        must(dma_write_lands(page), "a write before the restriction");
        dma_ask(DMA_FILL, page, DMA_POISON);
        restrict_pages(page / PAGE, 1, (xenmem_access_t)i);
        seen = dma_ask(DMA_READS, page, 0);
        reads = (seen & ~0xFFFFFFFFUL) == (DMA_POISON & ~0xFFFFFFFFUL);
        dma_set_clock();
        dma_ask(DMA_WRITES, page, 0);
        if ( access_of(page / PAGE) != (xenmem_access_t)i )
            die("the device has changed the access");
        restrict_pages(page / PAGE, 1, XENMEM_access_rwx);
        word = dma_ask(DMA_WORD, page, 0);
        printf("@@value %s=%s%s\n", accesses[i], reads ? "r" : "-", dma_is_clock(word) ? "w" :
               word == DMA_POISON ? "-" : "?");
        after += dma_write_lands(page) && dma_read_sees(page);
    }
    value("after", after);
    value("events", (unsigned long)monitor_next(&monitor, &event, 100));
}

// The device writes all the time: a page in each of so many blocks, or so many of one block.
#define BLOCKS 14UL
#define PAGES 32UL
// Not the first ones: the image is there.
#define FIRST (DMA_BLOCK - BLOCKS * BLOCK)

// dma_quiet, and then some writes while nothing changes: `settled` counts those that are lost.
static void tell(const char *what, uint64_t *settled, uint64_t first, uint64_t stride, uint64_t pages)
{
    uint64_t landed, missed, lost;

    dma_quiet(&landed, &missed);
    printf("@@value %s=%lu\n@@value %s_of=%lu\n", what, (unsigned long)missed, what, (unsigned long)(landed + missed));
    dma_stream(first, stride, pages);
    dma_await(10);
    dma_quiet(&landed, &lost);
    *settled += lost;
}

// The guest makes a hole in each block, which splits it. Then they are made blocks again.
static void split(unsigned long rounds, uint64_t *settled)
{
    uint64_t landed = 0, missed = 0, splits = 0, more, lost;

    for ( unsigned long round = 0; round < rounds; round++ )
    {
        for ( unsigned long i = 0; i < BLOCKS; i++ )
            dma_ask(DMA_REJOIN, FIRST + i * BLOCK, 0);
        dma_stream(FIRST, BLOCK, BLOCKS);
        // The IOTLB has all of them.
        dma_await(3);
        for ( unsigned long i = 0; i < BLOCKS; i++, splits++ )
            must(dma_ask(DMA_REMOVE, FIRST + i * BLOCK + 300 * PAGE, 0), "removed");
        dma_quiet(&more, &lost);
        landed += more;
        missed += lost;
        for ( unsigned long i = 0; i < BLOCKS; i++ )
            must(dma_ask(DMA_POPULATE, FIRST + i * BLOCK + 300 * PAGE, 0), "populated");
    }
    value("splits", splits);
    value("split", missed);
    value("split_of", landed + missed);
    dma_stream(FIRST, BLOCK, BLOCKS);
    dma_await(10);
    dma_quiet(&landed, &lost);
    *settled += lost;
}

// A page beside those in use comes and goes.
static void make_holes(unsigned long times, uint64_t *settled)
{
    dma_stream(DMA_BLOCK, PAGE, PAGES);
    for ( unsigned long i = 0; i < times; i++ )
    {
        must(dma_ask(DMA_REMOVE, DMA_BLOCK + 300 * PAGE, 0), "removed");
        must(dma_ask(DMA_POPULATE, DMA_BLOCK + 300 * PAGE, 0), "populated");
    }
    tell("hole", settled, DMA_BLOCK, PAGE, PAGES);
}

static void change_access(const char *name, uint64_t first, unsigned long count, xenmem_access_t access,
                          unsigned long times, uint64_t *settled)
{
    dma_stream(DMA_BLOCK, PAGE, PAGES);
    for ( unsigned long i = 0; i < times; i++ )
    {
        restrict_pages(first, count, access);
        restrict_pages(first, count, XENMEM_access_rwx);
    }
    tell(name, settled, DMA_BLOCK, PAGE, PAGES);
}

// Blocks that no CPU has touched since the guest was created.
static unsigned long fresh(void)
{
    unsigned long landed = 0;

    dma_set_clock();
    for ( unsigned long i = 0; i < BLOCKS; i++ )
    {
        dma_ask(DMA_WRITES, FIRST + i * BLOCK + 5 * PAGE, 0);
        landed += dma_is_clock(dma_ask(DMA_WORD, FIRST + i * BLOCK + 5 * PAGE, 0));
    }
    return landed;
}

// Pages that no CPU has touched since they were mapped.
static unsigned long untouched(unsigned long pages)
{
    unsigned long landed = 0;

    for ( unsigned long i = 0; i < pages; i++ )
    {
        uint64_t page = DMA_NOWHERE + 512 * PAGE + i * PAGE;

        must(dma_ask(DMA_REMOVE, DMA_BLOCK + (100 + i) * PAGE, 0), "removed");
        must(dma_ask(DMA_POPULATE, page, 0), "populated");
        dma_ask(DMA_WRITES, page, 0);
        landed += dma_is_clock(dma_ask(DMA_WORD, page, 0));
        must(dma_ask(DMA_REMOVE, page, 0), "removed");
        must(dma_ask(DMA_POPULATE, DMA_BLOCK + (100 + i) * PAGE, 0), "populated");
    }
    return landed;
}

void do_dma_busy(unsigned long times)
{
    uint64_t settled = 0;

    dma_open(monitor.domain);
    value("fresh", fresh());
    split(times / 60, &settled);
    make_holes(times, &settled);
    change_access("same_page", DMA_BLOCK / PAGE, PAGES, XENMEM_access_rw, times, &settled);
    change_access("neighbour", DMA_BLOCK / PAGE + 300, 1, XENMEM_access_n, times, &settled);
    dma_set_clock();
    value("untouched", untouched(16));
    value("exceptions", dma_ask(DMA_SET_WAY, 0, 0));
    dma_set_clock();
    value("untouched_after", untouched(16));
    value("settled", settled);
}

// Begins what will not end: the guest is destroyed under it.
void do_dma_stream(void)
{
    dma_open(monitor.domain);
    dma_stream(DMA_BLOCK, PAGE, PAGES);
    dma_await(3);
}
