// SPDX-License-Identifier: GPL-2.0-only
// role=load: every CPU writes to and executes in pages of its own, round after round. A monitor that
// restricts the guest's memory sees each of these pages exactly once.

#include "guest.h"

#define RET 0xd65f03c0U

static unsigned long pages, cpus;
static volatile unsigned long rounds[MAX_CPUS];

// Nothing but that, so that a monitor may leave the instruction out: no new value of the register with the address.
static void store(char *page, unsigned long value)
{
    asm volatile("str %0, [%1, #8]" : : "r"(value), "r"(page) : "memory");
}

static void work(unsigned long cpu)
{
    char *mine = (char *)TEST_IPA + cpu * pages * PAGE;

    for ( ;; )
    {
        for ( unsigned long i = 0; i < pages; i++ )
        {
            store(mine + i * PAGE, rounds[cpu]);
            ((void (*)(void))(mine + i * PAGE))();
        }
        rounds[cpu]++;
    }
}

static void work_and_tell(unsigned long cpu)
{
    unsigned long told = seconds();
    char *mine = (char *)TEST_IPA;

    (void)cpu;
    for ( ;; )
    {
        for ( unsigned long i = 0; i < pages; i++ )
        {
            store(mine + i * PAGE, rounds[0]);
            ((void (*)(void))(mine + i * PAGE))();
        }
        rounds[0]++;
        if ( seconds() != told )
        {
            unsigned long least = rounds[0];

            told = seconds();
            for ( unsigned long i = 1; i < cpus; i++ )
                if ( rounds[i] < least )
                    least = rounds[i];
            say("load: round %u", least);
        }
    }
}

void role_load(void)
{
    pages = argument("pages", 128);
    cpus = argument("cpus", 1);
    for ( unsigned long i = 0; i < pages * cpus; i++ )
    {
        uint32_t *code = (uint32_t *)(TEST_IPA + i * PAGE);

        *code = RET;
        asm volatile("dc cvau, %0; dsb ish; ic ivau, %0; dsb ish; isb" : : "r"(code) : "memory");
    }
    start_cpus(cpus, work);
    work_and_tell(0);
}
