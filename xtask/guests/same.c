// SPDX-License-Identifier: GPL-2.0-only
// role=same: all CPUs write to the same page, each its own word, so that a monitor which restricts it gets events of
// several vCPUs for one page.

#include "guest.h"

static volatile unsigned long *word(unsigned long cpu)
{
    return (volatile unsigned long *)TEST_PAGE(0) + 8 * cpu;
}

static void work(unsigned long cpu)
{
    for ( ;; )
        ++*word(cpu);
}

void role_same(void)
{
    unsigned long cpus = argument("cpus", 2), told = seconds();

    for ( unsigned long cpu = 0; cpu < cpus; cpu++ )
        *word(cpu) = 0;
    start_cpus(cpus, work);
    for ( ;; )
    {
        ++*word(0);
        if ( seconds() != told )
        {
            unsigned long least = ~0UL;

            told = seconds();
            for ( unsigned long cpu = 0; cpu < cpus; cpu++ )
                if ( *word(cpu) < least )
                    least = *word(cpu);
            say("same: least %u", least);
        }
    }
}
