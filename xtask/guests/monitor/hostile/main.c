// SPDX-License-Identifier: GPL-2.0-only
// A hostile toolstack: processes that make any call on a guest's accesses and views, in any order and at once, and one
// that is its monitor and answers what it likes. They are killed wherever they are, and begun again. Now and then all
// of them are, and what docs/mem_access.md says of a monitor that dies must bring the guest back.
//
// What must hold: each call is answered as it may be, and the guest's vCPUs go on after each round.

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "hostile.h"

struct shared *shared;
uint64_t random_state;
uint32_t target;

static pid_t workers[CALLERS + 1];
static unsigned long kills, stuck, rounds;

uint64_t draw_any(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 0x2545f4914f6cdd1dUL;
}

uint64_t draw(uint64_t below)
{
    return (draw_any() >> 16) % below;
}

uint64_t draw_frame(void)
{
    switch ( draw(24) )
    {
    case 0:
        return draw_any() >> draw(64);
    case 1:
        return (1UL << (20 + draw(33))) - 2 + draw(4);
    case 2:
        return ~0UL - draw(3);
    case 3:
        return 0x38000 + draw(0x1008);
    case 4:
        return 0x44000 + draw(0x4000);
    case 5:
        return IMAGE + draw(0x40);
    case 6:
    case 7:
    case 8:
        return ARENA + draw(4);
    default:
        return ARENA + draw(ARENA_FRAMES);
    }
}

void wrong_is(const char *what, int error)
{
    if ( __atomic_fetch_add(&shared->wrong, 1, __ATOMIC_RELAXED) < 20 )
        printf("wrong: %s: %s (%d)\n", what, strerror(error), error);
}

static void nap(unsigned long milliseconds)
{
    struct timespec t = { .tv_sec = (time_t)(milliseconds / 1000), .tv_nsec = (long)(milliseconds % 1000) * 1000000 };

    nanosleep(&t, NULL);
}

static void begin(unsigned int worker)
{
    uint64_t seed = draw_any() | 1;

    fflush(stdout);
    workers[worker] = fork();
    if ( workers[worker] < 0 )
        die("fork");
    if ( workers[worker] > 0 )
        return;
    random_state = seed;
    if ( worker == CALLERS )
        answer_for_ever();
    else
        call_for_ever();
    _exit(0);
}

static void end(unsigned int worker)
{
    if ( workers[worker] <= 0 )
        return;
    kill(workers[worker], SIGKILL);
    waitpid(workers[worker], NULL, 0);
    workers[worker] = 0;
    kills++;
}

// XEN_DOMINF_dying is set when all has been freed. Accesses cannot be read from the beginning on. Keeps errno.
static bool lives(xc_interface *xc, xc_domaininfo_t *info)
{
    xenmem_access_t access;
    int error = errno;
    bool is_dying = xc_get_mem_access(xc, target, ~0ull, &access) && errno == EINVAL;

    errno = error;
    return xc_domain_getinfolist(xc, target, 1, info) == 1 && info->domain == target && !is_dying &&
           !(info->flags & (XEN_DOMINF_dying | XEN_DOMINF_shutdown));
}

// As docs/mem_access.md says; and whoever died between pausing the domain and letting it go has left it paused.
static void recover(xc_interface *xc)
{
    xc_domaininfo_t info;
    vm_event_request_t as_if = { .flags = VM_EVENT_FLAG_VCPU_PAUSED };
    bool connected;

    if ( xc_domain_pause(xc, target) )
        return;
    if ( xc_monitor_disable(xc, target) && errno != EINVAL )
        printf("hostile: xc_monitor_disable: %s\n", strerror(errno));
    if ( xc_monitor_privileged_call(xc, target, false) && errno != EEXIST && lives(xc, &info) )
        wrong_is("privileged calls are switched off", errno);
    xc_domain_set_access_required(xc, target, 0);
    connected = monitor_open(&monitor, target) == 0;
    if ( !connected )
        printf("hostile: monitor_open: %s\n", strerror(errno));
    for ( unsigned int vcpu = 0; connected && lives(xc, &info) && vcpu <= info.max_vcpu_id; vcpu++ )
    {
        as_if.vcpu_id = vcpu;
        monitor_answer(&monitor, &as_if);
    }
    if ( xc_altp2m_set_domain_state(xc, target, false) && lives(xc, &info) )
        wrong_is("views are switched off", errno);
    if ( !connected && lives(xc, &info) )
        wrong_is("no monitor can be connected", errno);
    if ( connected )
    {
        if ( xc_set_mem_access(xc, target, XENMEM_access_rwx, ~0UL, 0) && lives(xc, &info) )
            wrong_is("the default access", errno);
        if ( xc_set_mem_access(xc, target, XENMEM_access_rwx, 0, 0x44000) && lives(xc, &info) )
            wrong_is("all accesses", errno);
        monitor_close(&monitor);
    }
    while ( lives(xc, &info) && (info.flags & XEN_DOMINF_paused) && xc_domain_unpause(xc, target) == 0 )
        ;
}

// Do all of its vCPUs get time?
static void goes_on(xc_interface *xc)
{
    xc_vcpuinfo_t before[8], now;
    xc_domaininfo_t info;
    unsigned int vcpus;

    if ( !lives(xc, &info) )
        return;
    vcpus = info.max_vcpu_id + 1;
    for ( unsigned int vcpu = 0; vcpu < vcpus && vcpu < 8; vcpu++ )
        xc_vcpu_getinfo(xc, target, vcpu, &before[vcpu]);
    for ( unsigned int vcpu = 0; vcpu < vcpus && vcpu < 8; vcpu++ )
    {
        bool moves = !before[vcpu].online;

        for ( int i = 0; i < 300 && !moves; i++ )
        {
            nap(100);
            if ( !lives(xc, &info) )
                return;
            moves = xc_vcpu_getinfo(xc, target, vcpu, &now) || now.cpu_time > before[vcpu].cpu_time;
        }
        if ( moves )
            continue;
        printf("hostile: vCPU %u stands still: %sblocked, domain's flags %x\n", vcpu, now.blocked ? "" : "not ",
               info.flags);
        // A guest may have jumped to where it waits for an interrupt that it does not have.
        stuck += !now.blocked;
    }
}

// Something to begin with: two views, and the guest is in one of them.
static void prepare(xc_interface *xc)
{
    static const xenmem_access_t accesses[] = { XENMEM_access_rwx, XENMEM_access_rw, XENMEM_access_rx, XENMEM_access_x,
                                                XENMEM_access_n2rwx, XENMEM_access_n };
    uint16_t view = 0;

    if ( xc_altp2m_set_domain_state(xc, target, true) )
        return;
    xc_altp2m_create_view(xc, target, XENMEM_access_rwx, &view);
    xc_altp2m_create_view(xc, target, accesses[draw(6)], &view);
    xc_altp2m_switch_to_view(xc, target, view);
}

void do_hostile(uint32_t domain, uint64_t seed, unsigned long length)
{
    xc_interface *xc = xc_interface_open(NULL, NULL, 0);
    unsigned long from = seconds();
    xc_domaininfo_t info;

    target = domain;
    random_state = seed * 0x9e3779b97f4a7c15UL + 1;
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if ( !xc || shared == MAP_FAILED )
        die("do_hostile");
    printf("hostile: domain %u seed %lu\n", domain, seed);
    while ( !stopped && seconds() - from < length && lives(xc, &info) )
    {
        unsigned long turns = 1 + draw(12);

        for ( unsigned int i = 0; i <= CALLERS; i++ )
            begin(CALLERS - i);
        prepare(xc);
        while ( turns-- > 0 && lives(xc, &info) && seconds() - from < length )
        {
            unsigned int worker = (unsigned int)draw(CALLERS + 1);

            nap(draw(4) ? draw(3000) : draw(100));
            end(worker);
            begin(worker);
        }
        for ( unsigned int i = 0; i <= CALLERS; i++ )
            end(i);
        if ( !lives(xc, &info) )
            break;
        recover(xc);
        goes_on(xc);
        rounds++;
    }
    for ( unsigned int i = 0; i <= CALLERS; i++ )
        end(i);
    printf("hostile: rounds %lu calls %lu done %lu events %lu answers %lu kills %lu stuck %lu wrong %lu%s\n", rounds,
           shared->calls, shared->done, shared->events, shared->answers, kills, stuck, shared->wrong,
           lives(xc, &info) ? "" : ", the guest has gone");
    value("calls", shared->calls);
    value("events", shared->events);
    value("kills", kills);
    value("stuck", stuck);
    value("wrong", shared->wrong);
}
