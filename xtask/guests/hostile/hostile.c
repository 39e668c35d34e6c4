// SPDX-License-Identifier: GPL-2.0-only
// A guest that tries whatever a guest can reach of stage 2, at random, on all of its CPUs; and one that has secrets.
//
//   role=hostile cpus=N seed=N    says now and then how far it is, and whether it has seen a secret
//   role=victim seed=N            gets pages, writes secrets into them, and notices if somebody else writes there

#include "hostile.h"
#include <public/memory.h>
#include <public/sched.h>

static struct cpu cpus[MAX_CPUS] __attribute__((aligned(4096)));
static unsigned long count = 1;
domid_t own;

uint64_t draw_any(struct cpu *c)
{
    uint64_t x = c->random;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    c->random = x;
    return x * 0x2545f4914f6cdd1dUL;
}

uint64_t draw(struct cpu *c, uint64_t below)
{
    return (draw_any(c) >> 16) % below;
}

uint64_t draw_own_frame(struct cpu *c)
{
    return ARENA + draw(c, draw(c, 2) ? HOT_FRAMES : ARENA_FRAMES);
}

uint64_t draw_frame(struct cpu *c)
{
    switch ( draw(c, 20) )
    {
    case 0:
        return 0x30000 + draw(c, 0x8000);
    case 1:
        return 0x38000 + draw(c, 0x40);
    case 2:
        return 0x44000 + draw(c, 0x4000);
    case 3:
        return (1UL << (20 + draw(c, 33))) - 2 + draw(c, 4);
    case 4:
        return draw_any(c) >> draw(c, 64);
    case 5:
        return ~0UL - draw(c, 3);
    case 6:
        // The distributor, and devices of the board that are not this guest's.
        return (draw(c, 2) ? 0x3001UL : 0x8000UL) + draw(c, 0x2000);
    default:
        return draw_own_frame(c);
    }
}

uint64_t draw_domain(struct cpu *c)
{
    switch ( draw(c, 8) )
    {
    case 0:
        return draw(c, 12);
    case 1:
        return 0x7ff0 + draw(c, 16);
    case 2:
        return draw_any(c) & 0xffff;
    default:
        return DOMID_SELF;
    }
}

void look(struct cpu *c, uint64_t word, uint64_t address)
{
    if ( KIND(word) == SECRET )
    {
        c->leaks++;
        c->leaked_at = address;
    }
}

static void (*const acts[])(struct cpu *) = {
    act_tables, act_touch, act_touch, act_touch, act_touch, act_memory, act_views, act_grants, act_other,
    act_balloon, act_balloon, act_set_way,
};

static void try_some(struct cpu *c)
{
    uint64_t which = draw(c, sizeof(acts) / sizeof(acts[0]));

    // Rarely: it cleans all of the guest's memory.
    if ( acts[which] == act_set_way && draw(c, 256) )
        which = 0;
    acts[which](c);
}

static void report(struct cpu *c)
{
    for ( unsigned long id = 0; id < count; id++ )
    {
        struct cpu *of = &cpus[id];

        say("hostile: cpu %u acts %u caught %u calls %u refused %u leaks %u", id, of->acts, of->caught, of->calls,
            of->refused, of->leaks);
        if ( of->leaks )
            say("hostile: LEAK at %x", of->leaked_at);
    }
    (void)c;
}

// All CPUs share say()'s line and the console's ring. Nobody waits for it: whoever has it may be waiting for dom0, for
// ever. It is free again also if an exception has ended what was said.
static void speak(struct cpu *c, void (*what)(struct cpu *))
{
    static unsigned char speaks;

    if ( __atomic_test_and_set(&speaks, __ATOMIC_ACQUIRE) )
        return;
    guarded(c, what);
    __atomic_clear(&speaks, __ATOMIC_RELEASE);
}

static void tell_leak(struct cpu *c)
{
    uint64_t leaks = c->leaks;

    say("hostile: LEAK at %x, cpu %u", c->leaked_at, c->id);
    c->told = leaks;
}

static void work(unsigned long id)
{
    struct cpu *c = &cpus[id];
    unsigned long told = seconds();

    asm volatile("msr VBAR_EL1, %0; isb" : : "r"(hostile_vectors));
    tables_begin_cpu();
    for ( ;; )
    {
        c->acts++;
        c->caught += guarded(c, try_some);
        // At once: the guest may be destroyed before the next report, and CPU 0 may be stuck.
        if ( c->leaks != c->told )
            speak(c, tell_leak);
        if ( id == 0 && seconds() - told >= 3 )
        {
            told = seconds();
            speak(c, report);
        }
    }
}

void role_hostile(void)
{
    count = argument("cpus", 1);
    own = own_number();
    for ( unsigned long id = 0; id < count; id++ )
    {
        cpus[id].id = id;
        cpus[id].random = argument("seed", 1) * 0x9e3779b97f4a7c15UL + id * 0xd1342543de82ef95UL + 1;
    }
    tables_begin();
    start_cpus(count, work);
    work(0);
}

// The victim's frames: outside its RAM at first.
#define ROOM 0x60000UL
#define BATCH 256UL

static long reservation(unsigned int op, uint64_t first, uint64_t frames)
{
    static xen_pfn_t list[BATCH];
    static struct xen_memory_reservation r;

    for ( uint64_t i = 0; i < frames; i++ )
        list[i] = first + i;
    set_xen_guest_handle(r.extent_start, list);
    r.nr_extents = frames;
    r.extent_order = 0;
    r.domid = DOMID_SELF;
    return hypercall(op, (uint64_t)&r, 0, 0, 0, __HYPERVISOR_memory_op);
}

void role_victim(void)
{
    struct cpu *c = &cpus[0];
    uint64_t changed = 0, rounds = 0;
    unsigned long told = seconds();

    c->random = argument("seed", 1) * 0x9e3779b97f4a7c15UL + 1;
    // Some of its RAM is given back, so that there is something to get.
    for ( uint64_t at = 0; at < 16; at++ )
        reservation(XENMEM_decrease_reservation, ARENA + at * BATCH, BATCH);
    for ( ;; )
    {
        uint64_t first = ROOM + draw(c, 64) * BATCH;
        long got = reservation(XENMEM_populate_physmap, first, 1 + draw(c, BATCH));
        volatile uint64_t *words = (uint64_t *)(first * PAGE);

        for ( uint64_t i = 0; got > 0 && i < (uint64_t)got * (PAGE / 8); i++ )
            words[i] = SECRET | ((first << 9) + i) % 0xffff;
        for ( uint64_t turn = draw(c, 4); turn > 0 && got > 0; turn-- )
        {
            yield();
            for ( uint64_t i = 0; i < (uint64_t)got * (PAGE / 8); i++ )
                if ( words[i] != (SECRET | ((first << 9) + i) % 0xffff) )
                {
                    if ( !changed++ )
                        say("victim: CHANGED at %x: %x", (uint64_t)&words[i], words[i]);
                }
        }
        for ( uint64_t i = 0; got > 0 && i < (uint64_t)got * (PAGE / 8); i++ )
            words[i] = 0;
        if ( got > 0 )
            reservation(XENMEM_decrease_reservation, first, (uint64_t)got);
        rounds++;
        if ( seconds() - told >= 3 )
        {
            told = seconds();
            say("victim: round %u got %d changed %u", rounds, got, changed);
        }
    }
}
