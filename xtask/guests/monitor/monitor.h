/* SPDX-License-Identifier: GPL-2.0-only */
/* What the monitor's programs share. */
#ifndef MONITOR_H
#define MONITOR_H

#include "events.h"

/* The pages that xtask/guests restricts (guest.h). */
#define TEST_GFN 0x42000UL

/* A guest that works causes an event within so many milliseconds, also on a machine that has more to do. */
#define PATIENCE 20000

/* main.c */
extern struct monitor monitor;

/* Of sequence, share and ring: events that came, and what was not as it must be. Told also where the domain has gone. */
extern unsigned long seen, wrong;
void die(const char *what);
void value(const char *name, unsigned long number);
void restrict_pages(uint64_t first, unsigned long count, xenmem_access_t access);
void restrict_each(const uint64_t *frames, unsigned long count, xenmem_access_t access);
xenmem_access_t access_of(uint64_t frame);
bool is_alive(void);
unsigned long seconds(void);
extern volatile int stopped;

/* A file each; what they do is in their heads. */
void do_table(void);
void do_sequence(unsigned long cpus, unsigned long pages, unsigned long events, bool hold);
void do_share(unsigned long events);
void do_ring(unsigned long cpus, unsigned long pages);
void do_linux(uint64_t text_first, uint64_t text_last, unsigned long events);
void do_step(unsigned long pages, unsigned long steps);
void do_dma_removed(unsigned long blocks);
void do_dma_access(void);
void do_dma_busy(unsigned long batches);
void do_dma_stream(void);
bool do_views(const char *kind, unsigned long n, bool *gone);
void do_hostile(uint32_t domain, uint64_t seed, unsigned long length);
void do_recover(uint32_t domain, unsigned long vcpus);

#endif
