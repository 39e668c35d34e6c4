/* SPDX-License-Identifier: GPL-2.0-only */
/* The domains of both sides, and what of the machine's memory is theirs. */
#ifndef NATIVE_DOMAINS_H
#define NATIVE_DOMAINS_H

/* Frames that the machine has, and those of them with memory behind them. */
#define NATIVE_FRAMES 0x300000UL
#define NATIVE_HEAP   0x10000UL

/* A guest's RAM: 1 GiB. */
#define NATIVE_RAM 0x40000UL

/* Each side has domains of its own. */
enum native_domain {
    NATIVE_PAGES,   /* its RAM in pages, none after its neighbour */
    NATIVE_BLOCKS,  /* in blocks of 2 MiB */
    NATIVE_EMPTY,   /* for what is mapped and unmapped */
    NATIVE_ACCESS,  /* in pages, with mem_access */
    NATIVE_DOMAINS,
};

extern struct domain *native_domains[2][NATIVE_DOMAINS];

void native_make_domains(void);

/* The first frame of a domain's RAM. */
static inline unsigned long native_ram(int side, enum native_domain which)
{
    return 0x80000UL + (side * NATIVE_DOMAINS + which) * NATIVE_RAM;
}

#endif /* NATIVE_DOMAINS_H */
