/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest of a few kilobytes for Xen/Arm: what its roles have at hand.
 *
 * Memory (as xl and dom0less lay it out): RAM at 1 GiB, mapped one to one; at TEST_VA a window of pages
 * with stage-1 tables of their own, so that a test can restrict these without stopping the guest.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stddef.h>
#include <stdint.h>
#include <public/xen.h>

#define MAX_CPUS 4
#define PAGE 4096UL
#define MIB (1UL << 20)

/* Guest-physical pages that tests restrict; the image and the device tree are elsewhere. */
#define TEST_IPA 0x42000000UL
/* For each CPU a last-level table (even page) and the one page it maps (odd page), seen at TEST_VA. */
#define TEST_VA(cpu) (0x80000000UL + (cpu) * 2 * MIB)
#define TEST_TABLE(cpu) (TEST_IPA + (cpu) * 2 * PAGE)
#define TEST_PAGE(cpu) (TEST_TABLE(cpu) + PAGE)

/* start.S */
long hypercall(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t number);
long psci(uint64_t function, uint64_t a1, uint64_t a2, uint64_t a3);
void second(void);

/* console.c: %u and %d are long, %x is unsigned long, %s is a string */
void console_init(void);
void say(const char *format, ...);

/* mmu.c */
void mmu_tables(void);

/* main.c */
void *memset(void *to, int byte, size_t size);
extern const char *arguments;
unsigned long argument(const char *name, unsigned long otherwise);
void start_cpus(unsigned long cpus, void (*work)(unsigned long cpu));
void yield(void);
domid_t own_number(void);
unsigned long seconds(void);
void shutdown(unsigned int reason);

/* The roles: role=NAME of the command line. */
void role_load(void);
void role_copy(void);
void role_punch(void);
void role_refused(void);
void role_share(void);
void role_table(void);
void role_same(void);
void role_dma(void);
void role_views(void);
void role_hostile(void);
void role_victim(void);

#endif
