/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * role=dma, a guest of two vCPUs that owns an NVMe controller and does with it what dom0 asks for (monitor/dma*.c): they share a page.
 * The controller is a PCI device of QEMU's, but Xen and xl know it as a device of the device tree (dtdev=), which has the
 * stream of its requester ID: that needs nothing of Xen but a driver for the SMMU.
 */
#ifndef DMA_H
#define DMA_H

#include <stdint.h>

/* The page, in a block of its own. */
#define DMA_MAILBOX 0x43000000UL
/* A block of 2 MiB for the device, and the frames of one that the guest has no memory for. */
#define DMA_BLOCK 0x42000000UL
#define DMA_NOWHERE 0x48000000UL

/* The controller's registers and its configuration space, where xl maps them (iomem=). */
#define DMA_CONFIG 0x30000000UL
#define DMA_REGISTERS 0x30010000UL
/* Where the registers are on the machine's PCI bus. */
#define DMA_BAR 0x10000000U

/* What a page has that the device has not written. */
#define DMA_POISON 0xB01D0000B01DUL

enum dma_command {
    DMA_FILL = 1,  /* address, value: the guest writes each word of a page */
    DMA_CHANGED,   /* address, value: result: how many words are not that */
    DMA_WORD,      /* address; result: its first word */
    DMA_WRITES,    /* address: the device writes 8 bytes there */
    DMA_READS,     /* address: the device reads 8 bytes there; result: what it read, some milliseconds later */
    DMA_REMOVE,    /* address, order: given back to Xen; result: extents */
    DMA_POPULATE,  /* address, order: got from Xen; result: extents */
    DMA_SET_WAY,   /* a clean by set/way; result: exceptions */
    DMA_REJOIN,    /* address: the pages of a block are exchanged for memory that Xen maps as one */
    DMA_STREAM,    /* address, stride, pages: the device writes these from now on, one batch after the other */
    DMA_QUIET,     /* no more of that; results: writes that landed, and that did not */
};

/* Written by dom0, but for `done` and the results. */
struct dma_mailbox {
    uint32_t asked, done;
    uint32_t command;
    /* Of a command without an answer from Xen or the device: 0. */
    int32_t status;
    /* How often a stream has written all of its pages so far. */
    uint32_t batches;
    uint64_t argument[3];
    uint64_t result[2];
};

#endif
