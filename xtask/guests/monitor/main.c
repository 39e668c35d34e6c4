// SPDX-License-Identifier: GPL-2.0-only
// A monitor for the tests, against libxenctrl: which kind of watch, and what these have in common.
//
//   monitor table ID                        each access with each act, with role=table
//   monitor sequence ID CPUS PAGES EVENTS   with role=load: a write and a fetch for each page, in order
//   monitor hold ID CPUS PAGES EVENTS       the same, and then answers nothing any more
//   monitor share ID EVENTS                 with role=same: two vCPUs on one page
//   monitor ring ID CPUS PAGES              with role=load: the ring is left full for a while
//   monitor step ID PAGES STEPS             with role=load and one CPU: one instruction at a time
//   monitor linux ID FIRST LAST EVENTS      Linux: its text, and its tables
//   monitor dma-removed ID BLOCKS           with role=dma: what a device reaches of pages that are removed
//   monitor dma-access ID                   the same of pages that are restricted
//   monitor dma-busy ID TIMES               the same while tables change
//   monitor dma-stream ID                   a device that does not stop; ends at once
//   monitor views-... ID [N]                views of a guest's memory, with role=views (views/)
//   monitor hostile ID SEED SECONDS         any call and any answer, with role=hostile (hostile/)
//   monitor recover ID VCPUS                after a monitor died: its vCPUs go on
//
// Ends with 0 if all was as it must be, 3 if the domain went away.

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "monitor.h"

struct monitor monitor;
unsigned long seen, wrong;
volatile int stopped;

static void stop(int signal)
{
    stopped = signal;
}

void die(const char *what)
{
    printf("monitor: %s: %s\n", what, strerror(errno));
    exit(1);
}

void value(const char *name, unsigned long number)
{
    printf("@@value %s=%lu\n", name, number);
}

unsigned long seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long)now.tv_sec;
}

// XEN_DOMINF_dying is set when all has been freed. Accesses cannot be read from the beginning on.
bool is_alive(void)
{
    xc_domaininfo_t info;
    xenmem_access_t access;

    return xc_domain_getinfolist(monitor.xc, monitor.domain, 1, &info) == 1 &&
           info.domain == monitor.domain && !(info.flags & XEN_DOMINF_dying) &&
           (xc_get_mem_access(monitor.xc, monitor.domain, ~0ull, &access) == 0 ||
            (errno != EINVAL && errno != ESRCH));
}

// A call fails when the domain has gone meanwhile: that is no fault of the monitor's. What it has seen until then
// counts.
static void failed(const char *what)
{
    int why = errno;

    if ( !is_alive() )
    {
        printf("monitor: the domain has gone\n");
        value("seen", seen);
        value("wrong", wrong);
        monitor_close(&monitor);
        exit(3);
    }
    errno = why;
    die(what);
}

void restrict_pages(uint64_t first, unsigned long count, xenmem_access_t access)
{
    if ( xc_set_mem_access(monitor.xc, monitor.domain, access, first, (uint32_t)count) )
        failed("xc_set_mem_access");
}

// In one call, or page by page where Xen has no such call; says which.
void restrict_each(const uint64_t *frames, unsigned long count, xenmem_access_t access)
{
    static int multi = -1;
    uint8_t *accesses = malloc(count);
    int rc;

    if ( !accesses )
        die("malloc");
    memset(accesses, (int)access, count);
    rc = xc_set_mem_access_multi(monitor.xc, monitor.domain, accesses, (uint64_t *)frames, (uint32_t)count);
    free(accesses);
    if ( multi < 0 )
        value("multi", (unsigned long)(multi = rc == 0));
    if ( rc == 0 )
        return;
    if ( errno != EOPNOTSUPP )
        failed("xc_set_mem_access_multi");
    for ( unsigned long i = 0; i < count; i++ )
        restrict_pages(frames[i], 1, access);
}

xenmem_access_t access_of(uint64_t frame)
{
    xenmem_access_t access;

    if ( xc_get_mem_access(monitor.xc, monitor.domain, frame, &access) )
        failed("xc_get_mem_access");
    return access;
}

static unsigned long number(const char *text)
{
    return strtoul(text, NULL, 0);
}

int main(int count, char **words)
{
    struct sigaction act = { .sa_handler = stop };
    const char *kind = count > 2 ? words[1] : "";
    uint32_t domain = count > 2 ? (uint32_t)number(words[2]) : 0;
    unsigned long n[3] = { 0 };
    bool gone = false;

    // SIGINT asks for an orderly end; no SA_RESTART, so that poll() returns.
    sigaction(SIGINT, &act, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for ( int i = 3; i < count && i < 6; i++ )
        n[i - 3] = number(words[i]);
    if ( !strcmp(kind, "recover") && count == 4 )
    {
        do_recover(domain, n[0]);
        return 0;
    }
    if ( !strcmp(kind, "hostile") && count == 5 )
    {
        do_hostile(domain, n[0], n[1]);
        return 0;
    }
    if ( count < 3 )
    {
        printf("usage: monitor table|sequence|hold|share|ring|step|linux|dma-...|views-...|hostile|recover ID ...\n");
        return 2;
    }
    if ( monitor_open(&monitor, domain) )
        die("monitor_open");
    printf("monitor: connected\n");
    if ( !strcmp(kind, "table") )
        do_table();
    else if ( !strcmp(kind, "sequence") )
        do_sequence(n[0], n[1], n[2], false);
    else if ( !strcmp(kind, "hold") )
        do_sequence(n[0], n[1], n[2], true);
    else if ( !strcmp(kind, "share") )
        do_share(n[0]);
    else if ( !strcmp(kind, "ring") )
        do_ring(n[0], n[1]);
    else if ( !strcmp(kind, "step") )
        do_step(n[0], n[1]);
    else if ( !strcmp(kind, "linux") )
        do_linux(n[0], n[1], n[2]);
    else if ( !strcmp(kind, "dma-removed") )
        do_dma_removed(n[0]);
    else if ( !strcmp(kind, "dma-access") )
        do_dma_access();
    else if ( !strcmp(kind, "dma-busy") )
        do_dma_busy(n[0]);
    else if ( !strcmp(kind, "dma-stream") )
        do_dma_stream();
    else if ( !strncmp(kind, "views-", 6) )
    {
        if ( !do_views(kind + 6, n[0], &gone) )
            die(kind);
    }
    else
        die(kind);
    if ( gone )
        return 0;
    if ( monitor_close(&monitor) && errno != ESRCH )
        die("monitor_close");
    printf("monitor: closed\n");
    return 0;
}
