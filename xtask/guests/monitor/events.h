/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef EVENTS_H
#define EVENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <xenctrl.h>
#include <xenevtchn.h>
#include <xen/vm_event.h>

struct monitor {
    uint32_t domain;
    xc_interface *xc;
    xenevtchn_handle *evtchn;
    xenevtchn_port_or_error_t port;
    void *page;
    vm_event_back_ring_t ring;
};

/* events.c: 0 or -1 with errno; monitor_next also 1 with an event. */
int monitor_open(struct monitor *m, uint32_t domain);
int monitor_next(struct monitor *m, vm_event_request_t *event, int milliseconds);
int monitor_answer(struct monitor *m, const vm_event_request_t *event);
int monitor_answer_at(struct monitor *m, const vm_event_request_t *event, uint64_t pc);
int monitor_close(struct monitor *m);

#endif
