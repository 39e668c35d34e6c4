// SPDX-License-Identifier: GPL-2.0-only
// The guest is destroyed at a moment of its views' life, while another thread of ours does something with them: each call
// is answered, and nothing stays behind.

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include "views.h"

// What the other thread does until it is refused.
typedef int (*act)(xc_interface *xc, unsigned long n);

static uint16_t views[3];
static volatile unsigned long acts;
static volatile int last_error;

static int act_create(xc_interface *xc, unsigned long n)
{
    static uint16_t view;

    return n % 2 == 0 ? xc_altp2m_create_view(xc, monitor.domain, XENMEM_access_rwx, &view)
                      : xc_altp2m_destroy_view(xc, monitor.domain, view);
}

static int act_switch(xc_interface *xc, unsigned long n)
{
    return xc_altp2m_switch_to_view(xc, monitor.domain, n % 3 == 2 ? 0 : views[n % 3]);
}

// Many pages in a call, which Xen does in parts.
static int act_many(xc_interface *xc, unsigned long n)
{
    static uint64_t frames[1536];
    static uint8_t accesses[1536];

    for ( unsigned int i = 0; i < 1536; i++ )
    {
        frames[i] = BLOCK(0) + i;
        accesses[i] = n % 2 ? XENMEM_access_rwx : XENMEM_access_rw;
    }
    return xc_altp2m_set_mem_access_multi(xc, monitor.domain, views[0], accesses, frames, 1536);
}

static int act_change(xc_interface *xc, unsigned long n)
{
    uint64_t frame = BLOCK(0) + n / 2 % 512;

    return xc_altp2m_change_gfn(xc, monitor.domain, views[0], frame, n % 2 ? NO_FRAME : frame + 512);
}

// With the vCPUs in one of them, which do not leave it for that.
static int act_show(xc_interface *xc, unsigned long n)
{
    return n % 4 < 2 ? xc_altp2m_set_visibility(xc, monitor.domain, views[0], n % 2)
                     : xc_altp2m_set_visibility(xc, monitor.domain, views[1], n % 2);
}

static int act_state(xc_interface *xc, unsigned long n)
{
    uint16_t view;

    if ( n % 4 == 0 )
        return xc_altp2m_set_domain_state(xc, monitor.domain, false);
    if ( n % 4 == 1 )
        return xc_altp2m_set_domain_state(xc, monitor.domain, true);
    if ( n % 4 == 2 )
        return xc_altp2m_create_view(xc, monitor.domain, XENMEM_access_rwx, &view);
    return act_switch(xc, 0);
}

// A view with many tables: to free them takes several parts as well.
static int act_destroy(xc_interface *xc, unsigned long n)
{
    static uint16_t view;
    int rc = 0;

    if ( n % 2 == 1 )
        return xc_altp2m_destroy_view(xc, monitor.domain, view);
    rc = xc_altp2m_create_view(xc, monitor.domain, XENMEM_access_rwx, &view);
    for ( uint64_t frame = 0x40000; rc == 0 && frame < 0x44000; frame += 512 )
        rc = xc_altp2m_set_mem_access(xc, monitor.domain, view, frame, XENMEM_access_rw);
    return rc;
}

static void *busy(void *what)
{
    xc_interface *xc = xc_interface_open(NULL, NULL, 0);

    if ( !xc )
        return NULL;
    for ( ; ((act)what)(xc, acts) == 0; acts++ )
        ;
    last_error = errno;
    xc_interface_close(xc);
    return NULL;
}

// CPUs that never stop, all over the blocks that are changed.
static void keep_busy(void)
{
    for ( unsigned int cpu = 0; cpu < ORDER_CPUS; cpu++ )
        order_touch(cpu, ADDRESS(BLOCK(0)), 1024, XC_PAGE_SIZE, ~0UL);
}

static void leave_pending(xenmem_access_t access)
{
    vm_event_request_t event;

    set_access(views[0], BLOCK(0), access);
    switch_to(views[0]);
    for ( unsigned int cpu = 0; cpu < ORDER_CPUS; cpu++ )
        order(cpu, ORDER_READ, ADDRESS(BLOCK(0)), 0);
    for ( unsigned int cpu = 0; cpu < ORDER_CPUS; cpu++ )
        if ( monitor_next(&monitor, &event, PATIENCE) != 1 )
            die("an event is missing");
    // The last is answered in a moment.
    answer_in(&event, views[1]);
}

void views_end(unsigned long moment)
{
    static const struct { const char *name; act act; bool inside; } moments[12] = {
        { "views nobody is in", NULL, false },
        { "vCPUs inside", NULL, true },
        { "an event pending", NULL, false },
        { "creating", act_create, true },
        { "switching", act_switch, true },
        { "restricting", act_many, true },
        { "changing", act_change, true },
        { "on and off", act_state, true },
        { "destroying", act_destroy, true },
        { "an SMC pending", NULL, false },
        { "a page shown elsewhere", NULL, true },
        { "hiding and showing", act_show, true },
    };
    pthread_t thread;
    bool acting = false;
    int rc;

    moment %= 12;
    set_enabled(true);
    for ( unsigned int i = 0; i < 3; i++ )
        views[i] = new_view(XENMEM_access_rwx);
    if ( moment == 10 )
        for ( unsigned int i = 0; i < 512; i++ )
            change_frame(views[0], BLOCK(0) + i, BLOCK(1) + i);
    if ( moment == 2 )
        leave_pending(XENMEM_access_x);
    if ( moment == 9 )
    {
        static const uint32_t smc = 0xd4000003U;
        vm_event_request_t event;

        if ( xc_monitor_privileged_call(monitor.xc, monitor.domain, true) )
            die("xc_monitor_privileged_call");
        put_code(BLOCK(0), &smc, sizeof(smc));
        switch_to(views[0]);
        order(0, ORDER_CALL, ADDRESS(BLOCK(0)), 0);
        next_smc(&event, 0, views[0]);
    }
    if ( moments[moment].inside )
    {
        switch_to(views[0]);
        keep_busy();
    }
    if ( moments[moment].act )
        acting = pthread_create(&thread, NULL, busy, (void *)moments[moment].act) == 0;
    nap(300 + 41 * (unsigned int)moment);
    // On a machine that has other things to do, once there and back may take longer than that.
    for ( unsigned int waited = 0; acting && last_error == 0 && acts < 2 && waited < PATIENCE; waited += 10 )
        nap(10);
    if ( moments[moment].act )
        expect(acting && last_error == 0 && acts >= 2, "%s: %lu times, then %s", moments[moment].name, acts,
               strerror(last_error));
    // What we have of it would keep it.
    puppet_close();
    munmap(monitor.page, XC_PAGE_SIZE);
    rc = xc_domain_destroy(monitor.xc, monitor.domain);
    expect(rc == 0, "%s: xc_domain_destroy: %s", moments[moment].name, strerror(errno));
    if ( acting )
    {
        pthread_join(thread, NULL);
        // Of a domain that is dying, or that is not there any more.
        expect(last_error == ESRCH || last_error == EOPNOTSUPP || last_error == EINVAL || last_error == EBUSY,
               "%s: the last call said %s", moments[moment].name, strerror(last_error));
    }
    printf("monitor: destroyed with %s (%lu times, %s)\n", moments[moment].name, acts, strerror(last_error));
    xenevtchn_close(monitor.evtchn);
    xc_interface_close(monitor.xc);
}
