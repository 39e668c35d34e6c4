// SPDX-License-Identifier: GPL-2.0-only
// With role=load of our own guest, whose CPUs write to and then execute in pages of their own, in order and for ever.
// A page may be executed or written, never both: each write and each fetch gives one event, which makes the page
// the other kind. So it is known which event of a vCPU must come next, and one that is lost is noticed.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "monitor.h"

#define MOST_CPUS 4

// After so many events all pages are restricted anew in one call, whatever is on its way.
#define ALL_ANEW 500

static struct {
    bool begun, loose, pending;
    unsigned long page;
    bool fetches;
} cpus[MOST_CPUS];

static void complain(const vm_event_request_t *event, const char *what)
{
    const struct vm_event_mem_access *it = &event->u.mem_access;

    if ( wrong++ < 5 )
        printf("monitor: %s: vCPU %" PRIu32 " frame %" PRIx64 " offset %" PRIx64 " gla %" PRIx64
               " access flags %" PRIx32 " flags %" PRIx32 " reason %" PRIu32 "\n", what, event->vcpu_id, it->gfn,
               it->offset, it->gla, it->flags, event->flags, event->reason);
}

// The event is what its vCPU had to do next; the page it is for.
static unsigned long expected(const vm_event_request_t *event, unsigned long count, unsigned long pages)
{
    const struct vm_event_mem_access *it = &event->u.mem_access;
    const uint32_t known = MEM_ACCESS_GLA_VALID | MEM_ACCESS_FAULT_WITH_GLA;
    uint32_t vcpu = event->vcpu_id;
    bool fetches = it->flags == (known | MEM_ACCESS_X);
    unsigned long page = it->gfn - TEST_GFN - vcpu * pages;

    if ( event->reason != VM_EVENT_REASON_MEM_ACCESS || vcpu >= count || page >= pages )
    {
        complain(event, "an event of something else");
        return 0;
    }
    if ( (!fetches && it->flags != (known | MEM_ACCESS_W)) || it->offset != (fetches ? 0 : 8) ||
         it->gla != (it->gfn << 12 | it->offset) || event->flags != VM_EVENT_FLAG_VCPU_PAUSED )
        complain(event, "not as the guest did it");
    if ( cpus[vcpu].begun )
    {
        unsigned long next = cpus[vcpu].fetches ? (cpus[vcpu].page + 1) % pages : cpus[vcpu].page;
        bool in_order = page == next && fetches == !cpus[vcpu].fetches;
        // When all was restricted anew: the access that had been allowed comes again, or that which would have been
        // an event is allowed now.
        bool anew = !fetches && (page == cpus[vcpu].page || page == (cpus[vcpu].page + 1) % pages);

        if ( !in_order && !(cpus[vcpu].loose && anew) )
            complain(event, "not the event that was due");
    }
    cpus[vcpu].begun = true;
    cpus[vcpu].loose = false;
    cpus[vcpu].page = page;
    cpus[vcpu].fetches = fetches;
    return page;
}

// All pages, in no order.
static uint64_t *all_frames(unsigned long count)
{
    uint64_t *frames = malloc(count * sizeof(*frames));

    if ( !frames )
        die("malloc");
    for ( unsigned long i = 0; i < count; i++ )
        frames[i] = TEST_GFN + i;
    srand(1);
    for ( unsigned long i = count - 1; i > 0; i-- )
    {
        unsigned long other = (unsigned long)rand() % (i + 1);
        uint64_t frame = frames[i];

        frames[i] = frames[other];
        frames[other] = frame;
    }
    return frames;
}

void do_sequence(unsigned long count, unsigned long pages, unsigned long events, bool hold)
{
    uint64_t *frames = all_frames(count * pages);
    unsigned long pending = 0;
    vm_event_request_t event;

    restrict_each(frames, count * pages, XENMEM_access_rx);
    while ( !stopped && (hold ? pending < count : seen < events) )
    {
        int rc = monitor_next(&monitor, &event, PATIENCE);

        if ( rc <= 0 && !is_alive() )
            break;
        if ( rc <= 0 )
        {
            printf("monitor: no event any more, after %lu\n", seen);
            wrong++;
            break;
        }
        expected(&event, count, pages);
        seen++;
        if ( hold && seen > events )
        {
            // These are never answered.
            pending++;
            continue;
        }
        if ( seen % ALL_ANEW == 0 )
        {
            restrict_each(frames, count * pages, XENMEM_access_rx);
            for ( unsigned long cpu = 0; cpu < count; cpu++ )
                cpus[cpu].loose = true;
        }
        restrict_pages(event.u.mem_access.gfn, 1,
                       event.u.mem_access.flags & MEM_ACCESS_X ? XENMEM_access_rx : XENMEM_access_rw);
        monitor_answer(&monitor, &event);
    }
    if ( hold )
    {
        printf("monitor: holds %lu events\n", pending);
        for ( ;; )
            pause();
    }
    value("alive", is_alive());
    value("seen", seen);
    value("wrong", wrong);
    if ( is_alive() )
        restrict_each(frames, count * pages, XENMEM_access_rwx);
    free(frames);
}

// With role=same: all vCPUs write to one page, which is restricted again after each event, so that another vCPU's
// event for it may be on its way, or its write may have been repeated already.
void do_share(unsigned long events)
{
    unsigned long of[MOST_CPUS] = { 0 }, both = 0;
    vm_event_request_t event, other;
    const uint64_t frame = TEST_GFN + 1;

    restrict_pages(frame, 1, XENMEM_access_r);
    while ( !stopped && seen < events )
    {
        if ( monitor_next(&monitor, &event, PATIENCE) != 1 )
        {
            printf("monitor: no event any more, after %lu\n", seen);
            wrong++;
            break;
        }
        seen++;
        if ( event.u.mem_access.gfn != frame || event.vcpu_id >= MOST_CPUS ||
             (event.u.mem_access.flags & MEM_ACCESS_RWX) != MEM_ACCESS_W )
            complain(&event, "an event of something else");
        else
            of[event.vcpu_id]++;
        restrict_pages(frame, 1, XENMEM_access_rw);
        monitor_answer(&monitor, &event);
        // It has its turn; then the other's, if it has one for the same page by now.
        if ( monitor_next(&monitor, &other, 1) == 1 )
        {
            both++;
            seen++;
            if ( other.vcpu_id < MOST_CPUS )
                of[other.vcpu_id]++;
            monitor_answer(&monitor, &other);
        }
        restrict_pages(frame, 1, XENMEM_access_r);
    }
    restrict_pages(frame, 1, XENMEM_access_rwx);
    value("seen", seen);
    value("both", both);
    value("of_0", of[0]);
    value("of_1", of[1]);
    value("wrong", wrong);
}

// The ring is left full for a while: no event may be lost, and each page gives exactly one (n2rwx).
void do_ring(unsigned long count, unsigned long pages)
{
    uint64_t *frames = all_frames(count * pages);
    unsigned char *times = calloc(count * pages, 1);
    unsigned long different = 0, slots = RING_SIZE(&monitor.ring);
    vm_event_request_t event;

    if ( !times )
        die("calloc");
    restrict_each(frames, count * pages, XENMEM_access_n2rwx);
    sleep(5);
    value("slots", slots);
    value("full", monitor.ring.sring->req_prod - monitor.ring.req_cons);
    // Once each page has had its event, no more may come.
    while ( !stopped && monitor_next(&monitor, &event, different < count * pages ? PATIENCE : 3000) == 1 )
    {
        unsigned long at = event.u.mem_access.gfn - TEST_GFN;

        // No vCPU waits for the answer, which makes room all the same.
        if ( event.flags != 0 || at >= count * pages )
            complain(&event, "not as expected");
        else if ( times[at]++ == 0 )
            different++;
        seen++;
        monitor_answer(&monitor, &event);
    }
    value("seen", seen);
    value("different", different);
    value("wrong", wrong);
    free(times);
    free(frames);
}
