// SPDX-License-Identifier: GPL-2.0-only
// Which pages does a guest execute? Each gives an event the first time, and none after that.

#include "../events.h"

// All vCPUs go on in a view in which everything may be read and written and nothing executed.
int first_begin(struct monitor *m, uint16_t *view)
{
    if ( xc_altp2m_set_domain_state(m->xc, m->domain, true) ||
         xc_altp2m_create_view(m->xc, m->domain, XENMEM_access_rw, view) )
        return -1;
    return xc_altp2m_switch_to_view(m->xc, m->domain, *view);
}

// 1 with the frame of the next such page, 0 if there was none for so long. A frame may come once for each vCPU, if
// they come to it at the same time.
int first_next(struct monitor *m, uint16_t view, uint64_t *frame, int milliseconds)
{
    vm_event_request_t event;
    int rc = monitor_next(m, &event, milliseconds);

    if ( rc != 1 )
        return rc;
    rc = 0;
    if ( event.reason == VM_EVENT_REASON_MEM_ACCESS && event.altp2m_idx == view )
    {
        *frame = event.u.mem_access.gfn;
        // In this view, in which the vCPU stays; before the answer, with which it tries again.
        rc = xc_altp2m_set_mem_access(m->xc, m->domain, view, *frame, XENMEM_access_rwx) ? -1 : 1;
    }
    return monitor_answer(m, &event) ? -1 : rc;
}

// All vCPUs go on in view 0, and the view is gone. An event that is on its way is answered by monitor_close.
int first_end(struct monitor *m)
{
    return xc_altp2m_set_domain_state(m->xc, m->domain, false);
}
