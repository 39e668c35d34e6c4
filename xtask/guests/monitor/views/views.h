/* SPDX-License-Identifier: GPL-2.0-only */
/* What the monitor's programs for views (altp2m) share: orders to the guest, views, what was not as it must be. */
#ifndef MONITOR_VIEWS_H
#define MONITOR_VIEWS_H

#include "../monitor.h"
#include "../../views.h"
#include <xen/hvm/hvm_op.h>

#define NO_FRAME (~0UL)

/* Blocks of 2 MiB of the guest's RAM that nobody uses but these programs. */
#define BLOCK(n) (0x43000UL + (n) * 512)
#define ADDRESS(frame) ((uint64_t)(frame) << 12)

/* A frame at which the guest has nothing, until we populate it. */
#define NEW_FRAME 0x60000UL

/* puppet.c */
void puppet_open(void);
void puppet_close(void);
void *map_frame(uint64_t frame);
void unmap_frame(void *page);
uint64_t word_of(uint64_t frame, unsigned int at);
void set_word(uint64_t frame, unsigned int at, uint64_t word);
void put_code(uint64_t frame, const void *code, unsigned long size);
void *buffer_of(unsigned int cpu);
uint64_t buffer_address(unsigned int cpu);
void forget_rounds(void);

/* Has a CPU begin; is it done; waits for its result, in which an event is wrong; both at once. */
void order(unsigned int cpu, uint64_t what, uint64_t a0, uint64_t a1);
void order_touch(unsigned int cpu, uint64_t from, uint64_t count, uint64_t apart, uint64_t times);
void order_pages(unsigned int cpu, uint64_t what, uint64_t times, uint64_t one, uint64_t other);
void order_hypercall(unsigned int cpu, uint64_t a0, uint64_t a1, uint64_t number);
bool is_done(unsigned int cpu);
uint64_t result_of(unsigned int cpu);
uint64_t have(unsigned int cpu, uint64_t what, uint64_t a0, uint64_t a1);
int64_t have_hypercall(unsigned int cpu, uint64_t a0, uint64_t a1, uint64_t number);

/* calls.c: libxc's calls, which must succeed */
uint16_t new_view(xenmem_access_t access);
void drop_view(uint16_t view);
void switch_to(uint16_t view);
void set_enabled(bool on);
void set_access(uint16_t view, uint64_t frame, xenmem_access_t access);
xenmem_access_t view_access_of(uint16_t view, uint64_t frame);
void change_frame(uint16_t view, uint64_t old, uint64_t new);
void open_image(uint16_t view);
uint16_t view_of(unsigned int cpu);
void move(unsigned int cpu, uint16_t view);
void populate(uint64_t frame);
int64_t have_text(unsigned int cpu, uint64_t address);
long give_back(unsigned int cpu, uint64_t frame);
void nap(unsigned int milliseconds);
uint64_t free_pages(void);
uint64_t pool_in_use(void);

/* events of views: the next one, which must be this; 0 if it is not */
bool next_access(vm_event_request_t *event, unsigned int cpu, uint16_t view, uint64_t frame, uint32_t flags);
bool next_smc(vm_event_request_t *event, unsigned int cpu, uint16_t view);
void answer_in(const vm_event_request_t *event, uint16_t view);

/* first.c, which docs/altp2m.md shows: 0 or -1 with errno; first_next also 1 with a frame */
int first_begin(struct monitor *m, uint16_t *view);
int first_next(struct monitor *m, uint16_t view, uint64_t *frame, int milliseconds);
int first_end(struct monitor *m);

/* What is not as it must be is counted (wrong), and the first told. */
bool expect(bool good, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* raw.c: HVMOP_altp2m as it is, with what libxc would never pass. */

/* Xen's limit: view 0, and nine that can be created. */
#define VIEWS 10

/* One operation on the monitored domain; each field that is not named is 0. */
#define OP(command, ...) \
    ((xen_hvm_altp2m_op_t){ .version = HVMOP_ALTP2M_INTERFACE_VERSION, .cmd = HVMOP_altp2m_ ## command, \
                            .domain = (domid_t)monitor.domain, __VA_ARGS__ })

/* Its errno, or 0; the operation as Xen gave it back. */
int raw(xen_hvm_altp2m_op_t *op);

/* Is it answered so? What Xen gave back. */
xen_hvm_altp2m_op_t try(int wanted, const char *what, xen_hvm_altp2m_op_t op);

/* The whole operation at an address of ours that is not there, and at one that can only be read. */
void try_addresses(void);

/* By a CPU of the guest: Xen's answer, 0 or a negative errno. */
long by_guest(unsigned int cpu, xen_hvm_altp2m_op_t op);

extern unsigned long tried;

/* A file each; what they do is in their heads. */
void views_ops(void);
void views_off(void);
void views_exec(void);
void views_shadow(unsigned long rounds);
void views_cycle(unsigned long rounds);
void views_step(unsigned long calls);
void views_stage1(unsigned long times);
void views_end(unsigned long moment);

#endif
