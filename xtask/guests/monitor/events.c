// SPDX-License-Identifier: GPL-2.0-only
// A monitor's connection to one domain: no event is lost, and none is left unanswered.

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include "events.h"
#include <xen/hvm/params.h>

// On Arm libxc always puts a new page where the ring shall be. What was there would be mapped nowhere any more, and
// still be one of the domain's pages until its end: so it is taken away before. Nobody else may be connecting
// meanwhile, whose page would go.
static int clear_place(struct monitor *m)
{
    uint64_t frame;
    xen_pfn_t list;

    if ( xc_hvm_param_get(m->xc, m->domain, HVM_PARAM_MONITOR_RING_PFN, &frame) )
        return -1;
    if ( !frame )
    {
        // A domain that Xen has created by itself. libxc would put a page at its frame 0, and leave it there.
        errno = EOPNOTSUPP;
        return -1;
    }
    list = frame;
    if ( xc_domain_decrease_reservation(m->xc, m->domain, 1, 0, &list) != 1 )
        xc_domain_remove_from_physmap(m->xc, m->domain, list);
    return 0;
}

// Asked before anything is changed: the default access can be read only while a monitor is connected. ENOSYS is of a
// Xen without mem_access, which has the other events.
static int nobody_is_connected(struct monitor *m)
{
    xenmem_access_t access;

    if ( xc_get_mem_access(m->xc, m->domain, ~0ull, &access) == 0 )
    {
        errno = EBUSY;
        return 0;
    }
    return errno == ENODEV || errno == ENOSYS;
}

// What has been opened, but for the domain, which goes on as it was. Keeps errno.
static void monitor_free(struct monitor *m)
{
    int error = errno;

    if ( m->evtchn )
        xenevtchn_close(m->evtchn);
    if ( m->xc )
        xc_interface_close(m->xc);
    memset(m, 0, sizeof(*m));
    errno = error;
}

// The ring is one more page of the domain's for a moment. One that has all that it may have would keep monitors away:
// so it may have one more meanwhile, in which nobody else may change its limit. It is paused, and takes none.
static void *enable_beyond_limit(struct monitor *m, uint32_t *port)
{
    const uint64_t kib = XC_PAGE_SIZE / 1024;
    xc_domaininfo_t info;
    void *page;
    int error;

    if ( xc_domain_getinfolist(m->xc, m->domain, 1, &info) != 1 || info.domain != m->domain )
    {
        errno = ESRCH;
        return NULL;
    }
    if ( info.tot_pages < info.max_pages )
        return xc_monitor_enable(m->xc, m->domain, port);
    if ( xc_domain_setmaxmem(m->xc, m->domain, (info.tot_pages + 1) * kib) )
        return NULL;
    page = xc_monitor_enable(m->xc, m->domain, port);
    error = errno;
    xc_domain_setmaxmem(m->xc, m->domain, info.max_pages * kib);
    errno = error;
    return page;
}

// The ring's frame needs up to three tables, or one for the block that it is in. A guest can have emptied its pool of
// pages for them, and libxc calls that EBUSY as well. So the pool gets as many, once.
static void *enable(struct monitor *m, uint32_t *port)
{
    uint64_t pool;
    void *page;

    if ( !nobody_is_connected(m) || clear_place(m) )
        return NULL;
    page = enable_beyond_limit(m, port);
    if ( page || errno != EBUSY || !nobody_is_connected(m) )
        return page;
    if ( xc_get_paging_mempool_size(m->xc, m->domain, &pool) ||
         xc_set_paging_mempool_size(m->xc, m->domain, pool + 3 * XC_PAGE_SIZE) || clear_place(m) )
    {
        errno = EBUSY;
        return NULL;
    }
    return enable_beyond_limit(m, port);
}

// EBUSY: another monitor is connected, or one died without xc_monitor_disable. EINVAL: the domain is being destroyed.
int monitor_open(struct monitor *m, uint32_t domain)
{
    uint32_t remote;
    int error;

    memset(m, 0, sizeof(*m));
    m->domain = domain;
    m->xc = xc_interface_open(NULL, NULL, 0);
    m->evtchn = xenevtchn_open(NULL, 0);
    // Paused until the ring is set up: a vCPU that met a restriction meanwhile would put an event into the
    // ring, and SHARED_RING_INIT would wipe it out.
    if ( !m->xc || !m->evtchn || xc_domain_pause(m->xc, domain) )
    {
        monitor_free(m);
        return -1;
    }
    m->page = enable(m, &remote);
    if ( m->page )
    {
        SHARED_RING_INIT((vm_event_sring_t *)m->page);
        BACK_RING_INIT(&m->ring, (vm_event_sring_t *)m->page, XC_PAGE_SIZE);
        m->port = xenevtchn_bind_interdomain(m->evtchn, domain, remote);
    }
    error = errno;
    if ( m->page && m->port < 0 )
    {
        // Connected, and deaf: vCPUs would wait for its answers.
        xc_monitor_disable(m->xc, domain);
        munmap(m->page, XC_PAGE_SIZE);
        m->page = NULL;
    }
    xc_domain_unpause(m->xc, domain);
    errno = error;
    if ( m->page )
        return 0;
    monitor_free(m);
    return -1;
}

// The next event: 1; 0 if there was none for so long; -1 is an error, EINTR if a signal was handled meanwhile.
int monitor_next(struct monitor *m, vm_event_request_t *event, int milliseconds)
{
    struct pollfd fd = { .fd = xenevtchn_fd(m->evtchn), .events = POLLIN };
    xenevtchn_port_or_error_t port;
    int more, rc;

    for ( ;; )
    {
        if ( RING_HAS_UNCONSUMED_REQUESTS(&m->ring) )
        {
            // First the index, then the event: an Arm CPU may read them the other way round.
            xen_rmb();
            // A copy: the answer goes into a slot that a request had.
            memcpy(event, RING_GET_REQUEST(&m->ring, m->ring.req_cons), sizeof(*event));
            m->ring.req_cons++;
            return 1;
        }
        // Looks once more after it has said that it is about to wait.
        RING_FINAL_CHECK_FOR_REQUESTS(&m->ring, more);
        if ( more )
            continue;
        rc = poll(&fd, 1, milliseconds);
        if ( rc <= 0 )
            return rc;
        // Unmasked before the ring is looked at again, never after.
        port = xenevtchn_pending(m->evtchn);
        if ( port < 0 || xenevtchn_unmask(m->evtchn, port) )
            return -1;
    }
}

static int respond(struct monitor *m, const vm_event_response_t *answer)
{
    memcpy(RING_GET_RESPONSE(&m->ring, m->ring.rsp_prod_pvt), answer, sizeof(*answer));
    m->ring.rsp_prod_pvt++;
    RING_PUSH_RESPONSES(&m->ring);
    return xenevtchn_notify(m->evtchn, m->port);
}

// Each event needs an answer, also one for which no vCPU waits: that is what makes room in the ring.
// Whatever the answer shall allow must have been allowed before.
int monitor_answer(struct monitor *m, const vm_event_request_t *event)
{
    vm_event_response_t answer = {
        .version = VM_EVENT_INTERFACE_VERSION,
        .reason = event->reason,
        .vcpu_id = event->vcpu_id,
        .flags = event->flags & VM_EVENT_FLAG_VCPU_PAUSED,
    };

    return respond(m, &answer);
}

// The same for an event for which the vCPU waits; it goes on at another address.
int monitor_answer_at(struct monitor *m, const vm_event_request_t *event, uint64_t pc)
{
    vm_event_response_t answer = {
        .version = VM_EVENT_INTERFACE_VERSION,
        .reason = event->reason,
        .vcpu_id = event->vcpu_id,
        .flags = VM_EVENT_FLAG_VCPU_PAUSED | VM_EVENT_FLAG_SET_REGISTERS,
        .data.regs.arm.pc = pc,
    };

    return respond(m, &answer);
}

// Answers all events until there was none for so long. Returns how many there were, or MANY: they do not end.
#define MANY 100
static int answer_all(struct monitor *m, int milliseconds)
{
    vm_event_request_t event;
    int count = 0;

    while ( count < MANY )
    {
        int rc = monitor_next(m, &event, milliseconds);

        // A signal is no silence. (Any other error is: what was in the ring was taken before there could be one.)
        if ( rc != 1 && !(rc < 0 && errno == EINTR) )
            break;
        if ( rc == 1 )
            monitor_answer(m, &event);
        count++;
    }
    return count;
}

// Pauses the domain when no event is on its way. A vCPU that waited for a slot in the ring uses the ring once more when
// an answer has woken it up, and the ring is freed when the monitor is disconnected. So events are answered while the
// domain runs; and if there was another one when it had been paused, it has to run once more.
static int pause_when_quiet(struct monitor *m)
{
    for ( int tries = 0; tries < 20; tries++ )
    {
        if ( answer_all(m, 50) == MANY )
            continue;
        if ( xc_domain_pause(m->xc, m->domain) )
            return -1;
        if ( answer_all(m, 0) == 0 )
            return 0;
        xc_domain_unpause(m->xc, m->domain);
    }
    errno = EBUSY;
    return -1;
}

// Before, lift the restrictions, switch the other kinds of events off, and answer each event that was taken: this does
// none of it, and answers only what is still in the ring. EBUSY: events do not end, or a vCPU waits for a slot; the
// monitor is still connected, and can answer and try again.
int monitor_close(struct monitor *m)
{
    int rc = pause_when_quiet(m);

    if ( rc == 0 )
    {
        int error;

        rc = xc_monitor_disable(m->xc, m->domain);
        error = errno;
        xc_domain_unpause(m->xc, m->domain);
        errno = error;
    }
    if ( rc && errno == EBUSY )
        return rc;
    // Xen frees the page when nobody has it any more.
    munmap(m->page, XC_PAGE_SIZE);
    monitor_free(m);
    return rc;
}
