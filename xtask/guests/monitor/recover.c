// SPDX-License-Identifier: GPL-2.0-only
// After a monitor was killed: the vCPUs whose events it did not answer wait for ever, since XEN_VM_EVENT_DISABLE does
// not touch them (vm_event_disable). An answer lets them go on, and Xen takes one without there being an event
// (vm_event_resume looks at the vCPU's pause count alone).

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include "monitor.h"

void do_recover(uint32_t domain, unsigned long vcpus)
{
    xc_interface *xc = xc_interface_open(NULL, NULL, 0);
    xc_domaininfo_t before, after;

    // What died must be disconnected first.
    if ( monitor_open(&monitor, domain) == 0 )
    {
        // And must not stay connected, as what died would.
        monitor_close(&monitor);
        errno = 0;
        die("nothing to recover: a monitor could connect");
    }
    printf("monitor: the first try says %s\n", strerror(errno));
    value("busy", errno == EBUSY);
    if ( !xc || xc_domain_pause(xc, domain) || xc_monitor_disable(xc, domain) )
        die("xc_monitor_disable");
    // Guest requests are off now (vm_event_cleanup_domain), privileged calls are not.
    if ( xc_monitor_privileged_call(xc, domain, false) && errno != EEXIST )
        die("xc_monitor_privileged_call");
    // As if the guest had taken all that it may have: its limit lets a monitor connect, and stays what it was.
    if ( xc_domain_getinfolist(xc, domain, 1, &before) != 1 ||
         xc_domain_setmaxmem(xc, domain, before.tot_pages * 4) )
        die("xc_domain_setmaxmem");
    if ( monitor_open(&monitor, domain) )
        die("monitor_open");
    if ( xc_domain_getinfolist(xc, domain, 1, &after) != 1 || after.max_pages != before.tot_pages )
        die("the limit of the domain's pages was not set back");
    if ( xc_domain_setmaxmem(xc, domain, before.max_pages * 4) )
        die("xc_domain_setmaxmem");
    for ( unsigned long vcpu = 0; vcpu < vcpus; vcpu++ )
    {
        vm_event_request_t as_if = { .vcpu_id = (uint32_t)vcpu, .flags = VM_EVENT_FLAG_VCPU_PAUSED };

        // One at a time: Xen has taken it when this returns, so that the ring is never overrun.
        monitor_answer(&monitor, &as_if);
    }
    restrict_pages(TEST_GFN, 0x400, XENMEM_access_rwx);
    // The ring counts answers against events, and there were more answers: it must not be used any more.
    if ( monitor_close(&monitor) || xc_domain_unpause(xc, domain) )
        die("monitor_close");
    xc_interface_close(xc);
    printf("monitor: recovered\n");
}
