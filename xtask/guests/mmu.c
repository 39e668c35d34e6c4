// SPDX-License-Identifier: GPL-2.0-only
// The guest's own (stage-1) tables.

#include "guest.h"

#define VALID 1UL
#define TABLE 3UL
#define PAGE_ENTRY 3UL
// Accessed, inner shareable, memory type 0 (cached).
#define NORMAL ((1UL << 10) | (3UL << 8))
#define GIB (1UL << 30)

uint64_t table_1[512] __attribute__((aligned(4096)));
static uint64_t table_2[512] __attribute__((aligned(4096)));

void mmu_tables(void)
{
    table_1[0] = 0 * GIB | NORMAL | VALID;
    table_1[1] = 1 * GIB | NORMAL | VALID;
    table_1[2] = (uint64_t)table_2 | TABLE;
    for ( unsigned long cpu = 0; cpu < MAX_CPUS; cpu++ )
    {
        uint64_t *last = (uint64_t *)TEST_TABLE(cpu);

        for ( int i = 0; i < 512; i++ )
            last[i] = 0;
        last[0] = TEST_PAGE(cpu) | NORMAL | PAGE_ENTRY;
        table_2[cpu] = (uint64_t)last | TABLE;
    }
}
