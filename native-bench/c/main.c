/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Times the C p2m and the Rust p2m on this machine, in turns: a block of the
 * one, a block of the other.
 *
 *     native BLOCKS DIVISOR MISTAKE PART THREADS...
 *
 * DIVISOR makes blocks shorter; MISTAKE is "none", "elsewhere" or "more"
 * (native_plant()); PART is of the names of rows ("" for all); and a row is run
 * with each number of threads, if it is one for several.
 *
 * A line for each pair of blocks: row, threads, operations of all threads,
 * nanoseconds of the C and of the Rust, how often a thread had to give its CPU
 * up meanwhile, and a hash of what both have answered. It ends with "differ" and
 * a reason if they have not answered the same, or not as they should.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "native.h"

/* What stands for the system registers of the CPU that a thread is. */
#define REGISTER(name) __thread uint64_t native_ ## name;
REGISTER(DAIF)
REGISTER(ESR_EL1)
REGISTER(FAR_EL1)
REGISTER(HCR_EL2)
REGISTER(SCTLR_EL1)
REGISTER(TPIDR_EL2)
REGISTER(VTCR_EL2)
REGISTER(VTTBR_EL2)

void native_stop(const char *what)
{
    printf("stopped: %s\n", what);
    fflush(stdout);
    exit(2);
}

void *native_map(unsigned long address, unsigned long bytes)
{
    void *p = mmap((void *)address, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE,
                   -1, 0);

    if ( p != (void *)address )
        native_stop("no memory where Xen has its direct map and its frame table");
    /* Xen maps both by 2 MiB at least. If the kernel does not, both sides have the loss. */
    madvise(p, bytes, MADV_HUGEPAGE);

    return p;
}

void *native_zeroed(unsigned long bytes, unsigned long align)
{
    void *p = NULL;

    if ( align <= 16 )
        p = calloc(1, bytes);
    else if ( !posix_memalign(&p, align, bytes) )
        memset(p, 0, bytes);
    if ( !p )
        native_stop("no memory");

    return p;
}

void native_release(void *p)
{
    free(p);
}

/* Every thread is a CPU of its own, as far as there are so many. */
static void pin(unsigned int cpu)
{
    static cpu_set_t all;
    static int nr;
    cpu_set_t one;
    int i, nth = 0;

    if ( !nr )
    {
        if ( sched_getaffinity(0, sizeof(all), &all) )
            native_stop("this machine does not say which CPUs there are");
        nr = CPU_COUNT(&all);
    }
    for ( i = 0; i < CPU_SETSIZE; i++ )
        if ( CPU_ISSET(i, &all) && nth++ == (int)cpu % nr )
            break;
    CPU_ZERO(&one);
    CPU_SET(i, &one);
    sched_setaffinity(0, sizeof(one), &one);
}

/* How often the calling thread had to give its CPU up. */
static long lost(void)
{
    struct rusage usage;

    getrusage(RUSAGE_THREAD, &usage);

    return usage.ru_nivcsw;
}

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);

    return t.tv_sec * 1000000000UL + t.tv_nsec;
}

/* The threads of a row. */
static struct crew {
    unsigned int row, threads;
    unsigned long operations;
    int side;
    bool ends;
    pthread_barrier_t begin, end;
    struct member {
        unsigned int cpu;
        pthread_t thread;
        uint64_t from, to;
        long lost;  /* how often it had to give its CPU up meanwhile */
        struct native_answer answer;
    } members[NATIVE_CPUS];
} crew;

static void block(struct member *me)
{
    native_run(crew.side);
    pthread_barrier_wait(&crew.begin);
    me->lost = -lost();
    me->from = now();
    native_block(crew.row, crew.side, me->cpu, crew.operations, &me->answer);
    me->to = now();
    me->lost += lost();
    pthread_barrier_wait(&crew.end);
}

static void *member(void *p)
{
    struct member *me = p;

    pin(me->cpu);
    native_set_up(me->cpu);
    for ( ; ; )
    {
        pthread_barrier_wait(&crew.end); /* The side has been chosen. */
        if ( crew.ends )
            return NULL;
        block(me);
    }
}

/* From the first thread's begin to the last one's end. */
static uint64_t all_threads(int side, struct native_answer *answers, long *lost)
{
    uint64_t from = UINT64_MAX, to = 0;
    unsigned int i;

    native_before(crew.row, side, crew.operations);
    crew.side = side;
    pthread_barrier_wait(&crew.end);
    block(&crew.members[0]);
    for ( i = 0; i < crew.threads; i++ )
    {
        const struct member *m = &crew.members[i];

        from = m->from < from ? m->from : from;
        to = m->to > to ? m->to : to;
        answers[i] = m->answer;
        *lost += m->lost;
    }
    native_after(crew.row, side, &answers[0]);

    return to - from;
}

static void judge(const struct native_answer *c, const struct native_answer *rust)
{
    const char *row = native_rows[crew.row].name;
    unsigned int i;

    for ( i = 0; i < crew.threads; i++ )
    {
        if ( c[i].hash != rust[i].hash )
        {
            printf("differ: %s, thread %u: the C answers %lx and the Rust %lx\n",
                   row, i, c[i].hash, rust[i].hash);
            exit(1);
        }
        if ( c[i].good != crew.operations || rust[i].good != crew.operations )
        {
            printf("differ: %s, thread %u: of %lu operations the C does %lu as it "
                   "should, the Rust %lu\n",
                   row, i, crew.operations, c[i].good, rust[i].good);
            exit(1);
        }
    }
}

static void run(unsigned int row, unsigned int threads, unsigned int blocks,
                unsigned long divisor)
{
    struct native_answer answers[2][NATIVE_CPUS];
    uint64_t time[2];
    unsigned int i, k;

    crew = (struct crew){
        .row = row, .threads = threads,
        .operations = native_rows[row].operations / divisor,
    };
    pthread_barrier_init(&crew.begin, NULL, threads);
    pthread_barrier_init(&crew.end, NULL, threads);
    for ( i = 1; i < threads; i++ )
    {
        crew.members[i].cpu = i;
        if ( pthread_create(&crew.members[i].thread, NULL, member, &crew.members[i]) )
            native_stop("no thread can be made");
    }
    /* The first pair warms up. */
    for ( k = 0; k <= blocks; k++ )
    {
        long lost = 0;

        /*
         * Always in this order: then what is in the caches before a block is
         * what the other side has left there, for both.
         */
        for ( i = 0; i < 2; i++ )
            time[i] = all_threads(i, answers[i], &lost);
        judge(answers[NATIVE_C], answers[NATIVE_RUST]);
        if ( k )
            printf("%s %u %lu %lu %lu %ld %lx\n", native_rows[row].name, threads,
                   crew.operations * threads, time[NATIVE_C], time[NATIVE_RUST], lost,
                   answers[NATIVE_C][0].hash);
    }
    crew.ends = true;
    pthread_barrier_wait(&crew.end);
    for ( i = 1; i < threads; i++ )
        pthread_join(crew.members[i].thread, NULL);
    fflush(stdout);
}

static enum native_mistake mistake(const char *name)
{
    if ( !strcmp(name, "elsewhere") )
        return NATIVE_ELSEWHERE;
    if ( !strcmp(name, "more") )
        return NATIVE_MORE;
    if ( strcmp(name, "none") )
        native_stop("there is no such mistake");

    return NATIVE_NO_MISTAKE;
}

int main(int argc, char **argv)
{
    unsigned int row;
    int i;

    if ( argc < 6 )
        native_stop("native BLOCKS DIVISOR MISTAKE PART THREADS...");
    pin(0);
    native_boot();
    native_plant(mistake(argv[3]));
    for ( row = 0; row < native_nr_rows; row++ )
        for ( i = 5; i < argc; i++ )
        {
            unsigned int threads = atoi(argv[i]);

            if ( threads < 1 || threads > NATIVE_CPUS )
                native_stop("so many threads are not provided for");
            if ( strstr(native_rows[row].name, argv[4]) &&
                 (threads == 1 || native_rows[row].threads) )
                run(row, threads, atoi(argv[1]), atol(argv[2]));
        }
    puts("end");

    return 0;
}
