/* SPDX-License-Identifier: GPL-2.0-only */
/* dom0's side of role=dma of our own guest (../dma/dma.h). */
#ifndef MONITOR_DMA_H
#define MONITOR_DMA_H

#include <stdbool.h>
#include <stdint.h>
#include "../dma/dma.h"

#define PAGE 4096UL
#define BLOCK (512 * PAGE)

/* dma.c: the guest is asked, and answers before this returns. */
void dma_open(uint32_t domain);
volatile uint64_t *dma_view(uint64_t address);
void dma_unview(volatile uint64_t *view);
uint64_t dma_ask(enum dma_command command, uint64_t first, uint64_t second);

void dma_stream(uint64_t first, uint64_t stride, uint64_t pages);
/* How often that was written since; waits for that many. */
void dma_await(unsigned int batches);
void dma_quiet(uint64_t *landed, uint64_t *missed);

/* Does the device reach the page? Both leave it poisoned, for the guest can write it. */
bool dma_write_lands(uint64_t address);
bool dma_read_sees(uint64_t address);
/* The device's clock shows what no page has. */
void dma_set_clock(void);
/* Was this written by the device since? */
bool dma_is_clock(uint64_t word);

#endif
