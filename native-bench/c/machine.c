/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The rest of the hypervisor, as far as the p2m and Xen's own files beside it
 * need it: memory, the frame table, CPUs. What is called while the clock runs
 * is Xen's own, but for clear_page(), the heap and what is below it.
 */
#include <xen/config.h>
#include <xen/cpu.h>
#include <xen/domain_page.h>
#include <xen/guest_access.h>
#include <xen/mm.h>
#include <xen/monitor.h>
#include <xen/radix-tree.h>
#include <xen/rangeset.h>
#include <xen/sched.h>
#include <xen/smp.h>
#include <xen/vm_event.h>

#include <asm/guest_walk.h>
#include <asm/traps.h>
#include <asm/vgic.h>

#include "native.h"
#include "domains.h"

/* This CPU's variables, on their own lines as Xen has them. */
DEFINE_PER_CPU(struct vcpu *, curr_vcpu) __aligned(64);
DEFINE_PER_CPU(unsigned int, cpu_id);
DEFINE_PER_CPU(unsigned int, __preempt_count);

irq_cpustat_t irq_stat[NR_CPUS];
cpumask_t cpu_possible_map;
unsigned int nr_cpu_ids = 1;
DECLARE_BITMAP(cpu_hwcaps, ARM_NCAPS);
struct cpuinfo_arm system_cpuinfo;
struct domain *hardware_domain;
enum system_state system_state = SYS_STATE_active;
size_t dcache_line_bytes = 64;

/*
 * As on a machine with RAM from 0 on; what xen/pdx.h begins with knows no hole
 * in it. Some releases have these in arch/arm/mm.c.
 */
unsigned long __attribute__((__weak__)) directmap_base_pdx;
unsigned long __attribute__((__weak__)) max_page;
vaddr_t __attribute__((__weak__)) directmap_virt_start;

const uint64_t *native_par;
unsigned long native_pars;

/* Frames that have memory behind them: tables. Free ones, linked by their lists. */
static DEFINE_SPINLOCK(heap_lock);
static unsigned long heap_next = 1024;
static struct page_info *heap_free;

void native_boot(void)
{
    unsigned long i;

    native_map(FRAMETABLE_VIRT_START, NATIVE_FRAMES * sizeof(*frame_table));
    native_map(DIRECTMAP_VIRT_START, NATIVE_HEAP << PAGE_SHIFT);
    max_page = NATIVE_FRAMES;
    directmap_virt_start = DIRECTMAP_VIRT_START;
    set_pdx_range(0, NATIVE_FRAMES);
    cpumask_clear(&cpu_possible_map);
    for ( i = 0; i < NATIVE_CPUS; i++ )
        cpu_possible_map.bits[0] |= 1UL << i;
    nr_cpu_ids = NATIVE_CPUS;
    /* 40 bits of addresses, and 8 of VMIDs. */
    system_cpuinfo.mm64.pa_range = 2;
    native_boot_radix_tree();
    native_set_up(0);
    native_make_domains();
}

/* Makes the calling thread this CPU, and a guest's vCPU its current one. */
void native_set_up(unsigned int cpu)
{
    static char areas[NATIVE_CPUS][PAGE_SIZE] __aligned(PAGE_SIZE);
    const char *first = (const char *)&per_cpu__curr_vcpu;

    /* An area has room for all of them, wherever the linker has put them. */
    if ( ABS((const char *)&per_cpu__cpu_id - first) > PAGE_SIZE / 4 ||
         ABS((const char *)&per_cpu____preempt_count - first) > PAGE_SIZE / 4 )
        native_stop("this CPU's variables are too far apart");
    WRITE_SYSREG((unsigned long)&areas[cpu][PAGE_SIZE / 2] - (unsigned long)first,
                 TPIDR_EL2);
    WRITE_SYSREG(0, DAIF);
    this_cpu(cpu_id) = cpu;
}

struct page_info *alloc_domheap_pages(struct domain *d, unsigned int order,
                                      unsigned int memflags)
{
    struct page_info *pg;

    spin_lock(&heap_lock);
    pg = order ? NULL : heap_free;
    if ( pg )
        heap_free = (struct page_info *)pg->list.next;
    else
    {
        heap_next = ROUNDUP(heap_next, 1UL << order);
        pg = mfn_to_page(_mfn(heap_next));
        heap_next += 1UL << order;
        if ( heap_next > NATIVE_HEAP )
            native_stop("the heap is too small");
    }
    spin_unlock(&heap_lock);
    pg->count_info = PGC_state_inuse;

    return pg;
}

void free_domheap_pages(struct page_info *pg, unsigned int order)
{
    unsigned long i;

    spin_lock(&heap_lock);
    for ( i = 0; i < 1UL << order; i++, pg++ )
    {
        pg->count_info = PGC_state_free;
        pg->list.next = (void *)heap_free;
        heap_free = pg;
    }
    spin_unlock(&heap_lock);
}

void clear_page(void *to)
{
    unsigned long words = PAGE_SIZE / sizeof(long);

    asm volatile ( "rep stosq" : "+D" (to), "+c" (words) : "a" (0UL) : "memory" );
}

/*
 * Xen has its own, in assembler, and C calls it to clear a single entry: here
 * too, since what comes with the Rust archive for this machine is slow at that.
 */
void *memset(void *to, int value, size_t bytes)
{
    void *end = to;

    if ( bytes == sizeof(uint64_t) )
        *(uint64_t *)to = 0x0101010101010101UL * (uint8_t)value;
    else
        asm volatile ( "rep stosb" : "+D" (end), "+c" (bytes) : "a" (value) : "memory" );

    return to;
}

void set_bit(int nr, volatile void *p)
{
    __atomic_fetch_or((volatile uint32_t *)p + nr / 32, 1U << (nr % 32), __ATOMIC_SEQ_CST);
}

void clear_bit(int nr, volatile void *p)
{
    __atomic_fetch_and((volatile uint32_t *)p + nr / 32, ~(1U << (nr % 32)), __ATOMIC_SEQ_CST);
}

/* At boot, and when a domain gets its VMID. */
#define FIND(name, wanted)                                                    \
    unsigned long name(const unsigned long *p, unsigned long size,            \
                       unsigned long at)                                      \
    {                                                                         \
        while ( at < size && ((p[at / 64] >> (at % 64)) & 1) != (wanted) )    \
            at++;                                                             \
        return at < size ? at : size;                                         \
    }
FIND(find_next_bit, 1)
FIND(find_next_zero_bit, 0)

/* xmalloc() is this machine's own; nodes of a radix tree are freed at once. */
void *_xzalloc(unsigned long size, unsigned long align)
{
    return native_zeroed(size, align);
}

void *_xmalloc(unsigned long size, unsigned long align)
{
    return _xzalloc(size, align);
}

void xfree(void *p)
{
    native_release(p);
}

void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
    func(head);
}
