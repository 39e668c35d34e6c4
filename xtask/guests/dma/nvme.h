/* SPDX-License-Identifier: GPL-2.0-only */
/* An NVMe controller that does nothing but DMA of 8 bytes: its clock is set from memory, or put there. */
#ifndef NVME_H
#define NVME_H

#include <stdint.h>

/* The most that may be under way. */
#define NVME_DEPTH 60U

/* 0, or what went wrong. */
int nvme_start(void);

/* Asks for one write or read of an address, without waiting. */
void nvme_ask_write(uint64_t address);
void nvme_ask_read(uint64_t address);
/* Starts what was asked for. */
void nvme_go(void);
/* Waits for all; the first status that is not 0, or -1 after some seconds. */
int nvme_wait(void);

#endif
