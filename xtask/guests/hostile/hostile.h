/* SPDX-License-Identifier: GPL-2.0-only */
/* What the hostile guest's files share: a CPU, its random numbers, where it has its buffers. */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "../guest.h"

/* Frames that it gives away, gets back, maps over, restricts: 28 MiB of its RAM, behind what it lives in. */
#define ARENA 0x42400UL
#define ARENA_FRAMES 0x1c00UL
/* Of these the first ones, at which the CPUs meet each other and what the toolstack does. */
#define HOT_FRAMES 16UL

/* What it and the victim write into pages. As instructions they are undefined. */
#define OURS 0x0000a77a00000000UL
#define SECRET 0x00005ec200000000UL
#define KIND(word) ((word) & 0xffffffff00000000UL)

/* tables.c: virtual addresses with tables that change all the time, a last-level table for each CPU. */
#define WILD 0xc0000000UL
#define WILD_PAGES 512UL
#define HIGH 0xffffff8000000000UL

struct cpu {
    /* vectors.S uses these four by their place. */
    uint64_t stack, syndrome, at, address;
    unsigned long id;
    uint64_t random;
    uint64_t acts, caught, calls, refused, leaks, told;
    uint64_t leaked_at;
};

/* vectors.S: has the function called; true if it ended by an exception. */
uint64_t guarded(struct cpu *c, void (*act)(struct cpu *c));
extern char hostile_vectors[];
long smc(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3);

/* hostile.c */
extern domid_t own;
uint64_t draw(struct cpu *c, uint64_t below);
uint64_t draw_any(struct cpu *c);
uint64_t draw_frame(struct cpu *c);
uint64_t draw_own_frame(struct cpu *c);
uint64_t draw_domain(struct cpu *c);
void look(struct cpu *c, uint64_t word, uint64_t address);

/* tables.c */
void tables_begin(void);
void tables_begin_cpu(void);
void act_tables(struct cpu *c);
void act_touch(struct cpu *c);
void act_set_way(struct cpu *c);
uint64_t draw_address(struct cpu *c);

/* calls.c */
void act_memory(struct cpu *c);
void act_views(struct cpu *c);
void act_grants(struct cpu *c);
void act_other(struct cpu *c);
void act_balloon(struct cpu *c);

#endif
