// SPDX-License-Identifier: GPL-2.0-only
// Stage-1 tables that point anywhere, and what is done at the addresses that they translate.

#include "hostile.h"

#define ENTRY 3UL
#define ACCESSED (1UL << 10)

extern uint64_t table_1[512];

// WILD: entry n of the second level has the table of CPU n; those from 8 on have any frame as their table.
static uint64_t second_level[512] __attribute__((aligned(4096)));
static uint64_t last_level[MAX_CPUS][512] __attribute__((aligned(4096)));
#define ANY_TABLE 8UL

void tables_begin(void)
{
    for ( unsigned long id = 0; id < MAX_CPUS; id++ )
        second_level[id] = (uint64_t)last_level[id] | ENTRY;
    table_1[3] = (uint64_t)second_level | ENTRY;
}

// 48 bits of address for what the tables name; the upper half has tables as well, of the guest's at first.
void tables_begin_cpu(void)
{
    uint64_t control = (5UL << 32) | (3UL << 12) | (1UL << 10) | (1UL << 8) | 25 | (25UL << 16) | (1UL << 24) |
                       (1UL << 26) | (3UL << 28) | (2UL << 30);

    asm volatile("msr TTBR1_EL1, %0; msr TCR_EL1, %1; isb; tlbi vmalle1; dsb sy; isb"
                 : : "r"(table_1), "r"(control) : "memory");
}

static uint64_t draw_entry(struct cpu *c)
{
    uint64_t entry = (draw_frame(c) << 12) & 0xfffffffff000UL;

    entry |= (draw(c, 8) ? ACCESSED : 0) | (3UL << 8) | (draw(c, 16) ? ENTRY : draw(c, 4));
    if ( draw(c, 8) == 0 )
        entry |= 1UL << 7;                          // read-only
    if ( draw(c, 16) == 0 )
        entry |= draw_any(c) & 0xfff00000000008fcUL; // anything else
    return entry;
}

static void invalidate(struct cpu *c)
{
    asm volatile("dsb ish" : : : "memory");
    switch ( draw(c, 5) )
    {
    case 0:
        asm volatile("tlbi vmalle1");
        break;
    case 1:
        asm volatile("tlbi vmalle1is");
        break;
    case 2:
        asm volatile("tlbi vaae1is, %0" : : "r"((WILD >> 12) + draw(c, WILD_PAGES)));
        break;
    case 3:
        asm volatile("tlbi aside1is, xzr");
        break;
    default:
        break;
    }
    asm volatile("dsb ish; isb" : : : "memory");
}

void act_tables(struct cpu *c)
{
    switch ( draw(c, 8) )
    {
    case 0:
        second_level[ANY_TABLE + draw(c, 8)] = draw_entry(c);
        break;
    case 1:
        asm volatile("msr TTBR1_EL1, %0; isb" : : "r"((draw_frame(c) << 12) & 0xfffffffff000UL));
        break;
    case 2:
        // What it has in its own pages becomes tables.
        {
            uint64_t *table = (uint64_t *)((ARENA + draw(c, 4)) * PAGE);

            for ( int i = 0; i < 8; i++ )
                table[draw(c, 512)] = draw_entry(c);
        }
        break;
    default:
        for ( uint64_t n = 1 + draw(c, 8); n > 0; n-- )
            last_level[draw(c, 4) ? c->id : draw(c, MAX_CPUS)][draw(c, WILD_PAGES)] = draw_entry(c);
        break;
    }
    invalidate(c);
}

uint64_t draw_address(struct cpu *c)
{
    uint64_t offset = draw(c, 4) ? draw(c, PAGE / 8) * 8 : PAGE - 8 + draw(c, 8);

    switch ( draw(c, 16) )
    {
    case 0:
        return HIGH + (draw_any(c) & 0x7fffffffffUL);
    case 1:
        return draw_any(c);
    case 2:
        return WILD + (ANY_TABLE + draw(c, 8)) * 2 * MIB + draw(c, 512) * PAGE + offset;
    case 3:
    case 4:
    case 5:
    case 6:
        return WILD + (draw(c, 4) ? c->id : draw(c, MAX_CPUS)) * 2 * MIB + draw(c, WILD_PAGES) * PAGE + offset;
    case 7:
        // Not its console's ring.
        return 0x38000000UL + draw(c, 0x40) * PAGE + offset;
    case 8:
        return (0x44000UL + draw(c, 0x4000)) * PAGE + offset;
    default:
        return draw_own_frame(c) * PAGE + offset;
    }
}

static void execute(uint64_t address)
{
    volatile uint32_t *code = (uint32_t *)(address & ~3UL);

    // ret: where it can be written.
    *code = 0xd65f03c0;
    asm volatile("dc cvau, %0; dsb ish; ic ivau, %0; dsb ish; isb" : : "r"(code) : "memory");
    ((void (*)(void))(uintptr_t)code)();
    *code = 0;
}

void act_touch(struct cpu *c)
{
    uint64_t address = draw_address(c), word = OURS | ((address >> 12) & 0xffff), other;
    uint32_t failed = 1;
    uint64_t what = draw(c, 14);

    // Where nothing is mapped, Xen tries to emulate these, and says that it cannot: seldom, for its log's sake.
    if ( (what == 5 || what == 6 || what == 9 || what == 12) && draw(c, 64) )
        address = draw_own_frame(c) * PAGE + (address & (PAGE - 1));
    switch ( what )
    {
    case 0:
    case 1:
    case 2:
        look(c, *(volatile uint64_t *)address, address);
        break;
    case 3:
    case 4:
        *(volatile uint64_t *)address = word;
        break;
    case 5:
        address &= ~7UL;
        for ( int i = 0; i < 100 && failed; i++ )
            asm volatile("ldxr %1, [%2]; stxr %w0, %3, [%2]"
                         : "=&r"(failed), "=&r"(other) : "r"(address), "r"(word) : "memory");
        if ( !failed )
            look(c, other, address);
        break;
    case 6:
        asm volatile("ldp %0, %1, [%2]" : "=&r"(other), "=&r"(word) : "r"(address) : "memory");
        look(c, other, address);
        look(c, word, address);
        break;
    case 7:
        asm volatile("dc civac, %0" : : "r"(address) : "memory");
        break;
    case 8:
        asm volatile("dc ivac, %0; dc cvac, %0" : : "r"(address) : "memory");
        break;
    case 9:
        asm volatile("dc zva, %0" : : "r"(address) : "memory");
        break;
    case 10:
        asm volatile("at s1e1r, %0; at s1e0w, %0; isb" : : "r"(address));
        break;
    case 11:
        asm volatile("ic ivau, %0; prfm pldl1keep, [%0]" : : "r"(address));
        break;
    case 12:
        address &= ~7UL;
        asm volatile(".arch_extension lse; ldaddal %1, %0, [%2]"
                     : "=&r"(other) : "r"(0UL), "r"(address) : "memory");
        look(c, other, address);
        break;
    default:
        execute(address);
        break;
    }
}

void act_set_way(struct cpu *c)
{
    uint64_t control;

    switch ( draw(c, 3) )
    {
    case 0:
        asm volatile("dc isw, xzr");
        break;
    case 1:
        asm volatile("dc csw, xzr");
        break;
    default:
        asm volatile("dc cisw, xzr");
        break;
    }
    // Caches off and on again, which Xen looks out for after that.
    asm volatile("mrs %0, SCTLR_EL1" : "=r"(control));
    asm volatile("msr SCTLR_EL1, %0; isb; msr SCTLR_EL1, %1; isb" : : "r"(control & ~(1UL << 2)), "r"(control));
}
