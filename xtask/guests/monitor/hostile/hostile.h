/* SPDX-License-Identifier: GPL-2.0-only */
/* What the processes of the hostile toolstack share. */
#ifndef MONITOR_HOSTILE_H
#define MONITOR_HOSTILE_H

#include "../monitor.h"

/* The guest of xtask/guests/hostile: its frames, and those that it lives in. */
#define ARENA 0x42400UL
#define ARENA_FRAMES 0x1c00UL
#define IMAGE 0x40000UL

#define CALLERS 3
#define LIST 4096UL

/* Shared by all processes; whoever is killed leaves it as it is. */
struct shared {
    unsigned long calls, done, events, answers, wrong;
    uint64_t frames[LIST];
    uint8_t accesses[LIST];
};
extern struct shared *shared;

/* main.c */
uint64_t draw(uint64_t below);
uint64_t draw_any(void);
uint64_t draw_frame(void);
void wrong_is(const char *what, int error);
extern uint64_t random_state;
extern uint32_t target;

/* calls.c: one process that makes calls for ever */
void call_for_ever(void);

/* answers.c: one process that is the monitor, for ever */
void answer_for_ever(void);

#endif
