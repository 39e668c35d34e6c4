// SPDX-License-Identifier: GPL-2.0-only
// From the command line to a role.

#include "guest.h"
#include <public/event_channel.h>
#include <public/sched.h>

#define PSCI_CPU_ON 0xC4000003UL

const char *arguments = "";
char stacks[MAX_CPUS][STACK_SIZE] __attribute__((aligned(4096)));

static void (*second_work)(unsigned long cpu);

void *memset(void *to, int byte, size_t size)
{
    for ( size_t i = 0; i < size; i++ )
        ((volatile char *)to)[i] = (char)byte;
    return to;
}

void *memcpy(void *to, const void *from, size_t size)
{
    for ( size_t i = 0; i < size; i++ )
        ((volatile char *)to)[i] = ((const char *)from)[i];
    return to;
}

static const char *after(const char *text, const char *prefix)
{
    while ( *prefix != 0 )
        if ( *text++ != *prefix++ )
            return NULL;
    return text;
}

// The command line is the one string of the device tree that begins with "role=".
static void find_arguments(const char *tree)
{
    uint32_t size = __builtin_bswap32(((const uint32_t *)tree)[1]);

    for ( uint32_t i = 0; i + 5 < size; i++ )
        if ( after(tree + i, "role=") )
        {
            arguments = tree + i;
            return;
        }
}

static const char *value(const char *name)
{
    for ( const char *at = arguments; *at != 0; at++ )
    {
        const char *found = at == arguments || at[-1] == ' ' ? after(at, name) : NULL;

        if ( found && *found == '=' )
            return found + 1;
    }
    return "";
}

unsigned long argument(const char *name, unsigned long otherwise)
{
    const char *text = value(name);
    unsigned long number = 0;

    if ( *text < '0' || *text > '9' )
        return otherwise;
    for ( ; *text >= '0' && *text <= '9'; text++ )
        number = number * 10 + (unsigned long)(*text - '0');
    return number;
}

void yield(void)
{
    hypercall(SCHEDOP_yield, 0, 0, 0, 0, __HYPERVISOR_sched_op);
}

unsigned long seconds(void)
{
    unsigned long count, frequency;

    asm volatile("isb; mrs %0, CNTVCT_EL0" : "=r"(count));
    asm volatile("mrs %0, CNTFRQ_EL0" : "=r"(frequency));
    return count / frequency;
}

// The guest's own number is nowhere to be read, but for the end of an event channel to itself.
domid_t own_number(void)
{
    struct evtchn_alloc_unbound alloc = { .dom = DOMID_SELF, .remote_dom = DOMID_SELF };
    struct evtchn_status status = { .dom = DOMID_SELF };
    long rc = hypercall(EVTCHNOP_alloc_unbound, (uint64_t)&alloc, 0, 0, 0, __HYPERVISOR_event_channel_op);

    status.port = alloc.port;
    if ( rc == 0 )
        rc = hypercall(EVTCHNOP_status, (uint64_t)&status, 0, 0, 0, __HYPERVISOR_event_channel_op);
    if ( rc != 0 )
        say("guest: no event channel: %d", rc);
    return status.u.unbound.dom;
}

void shutdown(unsigned int reason)
{
    struct sched_shutdown how = { .reason = reason };

    hypercall(SCHEDOP_shutdown, (uint64_t)&how, 0, 0, 0, __HYPERVISOR_sched_op);
}

void guest_fault(unsigned long syndrome, unsigned long at, unsigned long address)
{
    say("guest: exception, ESR %x at %x, FAR %x", syndrome, at, address);
    shutdown(SHUTDOWN_crash);
}

void guest_second(unsigned long cpu)
{
    second_work(cpu);
}

void start_cpus(unsigned long cpus, void (*work)(unsigned long cpu))
{
    second_work = work;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    for ( unsigned long cpu = 1; cpu < cpus; cpu++ )
    {
        long rc = psci(PSCI_CPU_ON, cpu, (uint64_t)second, cpu);

        if ( rc != 0 )
            say("guest: CPU %u does not start: %d", cpu, rc);
    }
}

static void wait(unsigned long length)
{
    unsigned long from = seconds();

    while ( seconds() - from < length )
        yield();
}

void guest_main(const char *tree)
{
    const char *role;

    find_arguments(tree);
    role = value("role");
    console_init();
    say("guest: up as %s", arguments);
    if ( after(role, "load") )
        role_load();
    else if ( after(role, "copy") )
        role_copy();
    else if ( after(role, "punch") )
        role_punch();
    else if ( after(role, "refused") )
        role_refused();
    else if ( after(role, "share") )
        role_share();
    else if ( after(role, "table") )
        role_table();
    else if ( after(role, "same") )
        role_same();
    else if ( after(role, "dma") )
        role_dma();
    else if ( after(role, "views") )
        role_views();
    else if ( after(role, "hostile") )
        role_hostile();
    else if ( after(role, "victim") )
        role_victim();
    else if ( after(role, "tick") )
        for ( unsigned long n = 1; n < 1000; n++ )
        {
            wait(1);
            say("tick: %u counts %u", argument("me", 1), n);
        }
    else if ( after(role, "crash") )
        // Nothing is mapped there by Xen: a data abort, and then guest_fault.
        *(volatile uint64_t *)0x30000000UL = 1;
    else if ( after(role, "reboot") )
    {
        wait(argument("after", 1));
        shutdown(SHUTDOWN_reboot);
    }
}
