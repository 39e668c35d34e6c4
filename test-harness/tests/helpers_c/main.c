/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * helpers.c on a host, each of its computations beside a naive loop that does
 * the same for one frame, address or CPU after the other. Prints the name of each
 * check that holds; ends with 1 at the first that does not.
 */
#include "helpers.c"

#include <stdlib.h>
#include <unistd.h>

/* Calls that were made. */
struct call { const char *name; uint64_t a, b; };
static struct call calls[20000];
static unsigned int made;

void note_call(const char *name, uint64_t a, uint64_t b)
{
    if ( made < sizeof(calls) / sizeof(calls[0]) )
        calls[made++] = (struct call){ name, a, b };
}
void note(const char *name) { note_call(name, 0, 0); }

static bool is_call(unsigned int n, const char *name)
{
    return n < made && !strcmp(calls[n].name, name);
}

static const char *checking;

#define HOLDS(x, ...) do { if ( !(x) ) {                                  \
        printf("%s: %s: ", checking, #x); printf(__VA_ARGS__); puts("");  \
        exit(1); } } while ( 0 )

/* The machine. */
#define FRAMES 8192UL
unsigned int max_order = 9, nr_cpu_ids = 4, cpu_possible_map = 0xff;
unsigned int system_state = 1;
unsigned long group_count = 1024, max_page = FRAMES;
unsigned long frametable_base_pdx, directmap_base_pdx;
bool group_valid[64], softirq, event;
struct page_info frame_table[FRAMES];
size_t dcache_line_bytes = 64;
static struct domain the_domain;
static struct vcpu guest = { false, &the_domain }, idle = { true };
static struct cpu_user_regs trapped;
struct cpu_user_regs *the_regs = &trapped;
struct vcpu *current = &guest;
struct notifier_block *registered;
struct domain_iommu the_iommu;
struct cpuinfo system_cpuinfo;
int ratelimit;

unsigned int cpumask_next(int cpu, const unsigned int *map)
{
    for ( cpu++; cpu < NR_CPUS && !(*map & (1u << cpu)); cpu++ )
        continue;

    return cpu;
}
/* As Xen's: not for the idle vCPU, whose lists nobody has set up. */
bool local_events_need_delivery(void)
{
    if ( current->idle )
        note("lists of the idle vCPU");

    return event;
}
void xen_p2m_setup_virt_paging_one(void *data) { NOTE("setup_virt_paging_one", data, 0); }

static uint64_t seed = 88172645463325252ULL;
static unsigned long any(unsigned long below)
{
    seed ^= seed << 13; seed ^= seed >> 7; seed ^= seed << 17;

    return seed % below;
}

/* Half of the frames are elsewhere, and the frame table leaves out what is between. */
#if defined(PDX_BY_OFFSET)
unsigned int pfn_index_shift;
unsigned long pfn_pdx_lookup[CONFIG_PDX_NR_LOOKUP], pfn_bases[CONFIG_PDX_NR_LOOKUP];
unsigned long pdx_region_size = ~0UL;

/* The second half begins at @second; or 0, and nothing is left out. */
static bool leave_out(unsigned long second)
{
    pfn_index_shift = second ? 16 : 0;
    pdx_region_size = second ? 4096 : ~0UL;
    for ( unsigned int i = 0; i < CONFIG_PDX_NR_LOOKUP; i++ )
    {
        pfn_pdx_lookup[i] = 0;
        pfn_bases[i] = second && i ? ~0UL : 0;
    }
    if ( second )
    {
        pfn_bases[1] = second;
        pfn_pdx_lookup[1] = second - 4096;
    }

    return second;
}
#elif defined(PDX_BY_MASK)
unsigned int pfn_pdx_hole_shift;
unsigned long pfn_pdx_bottom_mask = ~0UL, pfn_top_mask;

static bool leave_out(unsigned long second)
{
    bool hole = second == 65536;

    pfn_pdx_hole_shift = hole ? 4 : 0;
    pfn_pdx_bottom_mask = hole ? 4095 : ~0UL;
    pfn_top_mask = hole ? ~65535UL : 0;

    return hole;
}
#else
static bool leave_out(unsigned long second) { return false; }
#endif

/* @kind 0: no hole; 1: frames from 4096 on are at 65536; 2: groups are missing; 3: groups
 * that are smaller than the largest allocation; 4: the table begins at frame 2048; 5: as 1,
 * but from the middle of a group on. Says whether there is a hole. */
static bool machine(unsigned int kind)
{
    bool hole = leave_out(kind == 1 ? 65536 : kind == 5 ? 65536 + 100 : 0);

    max_page = hole ? 131072 : FRAMES;
    group_count = kind == 3 ? 256 : 1024;
    frametable_base_pdx = directmap_base_pdx = kind == 4 ? 2048 : 0;
    for ( unsigned int i = 0; i < 64; i++ )
        group_valid[i] = kind != 2 || i % 3 != 1;
    memset(frame_table, 0, sizeof(frame_table));

    return hole;
}

static unsigned long any_frame(void)
{
    unsigned long at[] = { 0, 512, 1024, 2048, 3072, 4096, 65536, 66560, 69632, FRAMES };

    return any(4) ? at[any(10)] + any(40) - min(20, at[any(2)]) : any(140000);
}

/* One frame, asked for by xen/pdx.h's own words. */
static struct page_info *expected_page(unsigned long mfn)
{
    return mfn_valid(mfn) ? mfn_to_page(mfn) : NULL;
}

/* A reference to a page of the domain's, and to no other. */
static void owned(unsigned long mfn, struct page_info *pg)
{
    static struct domain another;
    const struct domain *owner = (const struct domain *[]){ NULL, &another, &the_domain }[any(3)];
    const bool is_own = pg && owner == &the_domain;
    const unsigned int held = pg ? pg->gets - pg->puts : 0;

    if ( pg )
        pg->owner = owner;
    HOLDS(xs_get_page_at(mfn, &the_domain) == (is_own ? pg : NULL), "%#lx", mfn);
    HOLDS(!pg || pg->gets - pg->puts == held + is_own, "%#lx", mfn);
    /* The books of xs_put_pages() are another matter. */
    if ( pg && owner == &another )
        pg->gets--, pg->puts--;
}

static void pages(void)
{
    static unsigned int puts_due[FRAMES];

    for ( unsigned int n = 0; n < 60000; n++ )
    {
        unsigned long mfn, nr, i, before;

        if ( n % 10000 == 0 )
        {
            machine(n / 10000);
            memset(puts_due, 0, sizeof(puts_due));
        }
        mfn = any_frame();
        nr = any(3) ? any(8) : any(3) ? 1UL << any(10) : any(3000);
        if ( !any(3) )
            mfn &= ~(nr - 1);
        HOLDS(xs_page_of(mfn) == expected_page(mfn), "%#lx", mfn);
        owned(mfn, expected_page(mfn));

        for ( i = 0; i < 8; i++ )
            frame_table[any(FRAMES)].xenheap = !any(4);
        if ( expected_page(mfn + any(8)) && !any(3) )
            expected_page(mfn) ? expected_page(mfn)->xenheap = true : 0;
        for ( before = 0; before < nr; before++ )
            if ( expected_page(mfn + before) && expected_page(mfn + before)->xenheap )
                break;
        HOLDS(xs_before_xen_heap(mfn, nr) == before, "%#lx %lu", mfn, nr);

        xs_put_pages(mfn, nr);
        for ( i = 0; i < nr; i++ )
            if ( expected_page(mfn + i) )
                puts_due[expected_page(mfn + i) - frame_table]++;
        for ( i = 0; i < FRAMES && n % 16 == 0; i++ )
            HOLDS(frame_table[i].puts == puts_due[i], "%#lx %lu: page %lu", mfn, nr, i);
    }
}

static void cleaning(void)
{
    for ( unsigned int n = 0; n < 4000; n++ )
    {
        unsigned long mfn, nr, i, at = 0;

        if ( n % 700 == 0 )
            machine(n / 700);
        mfn = any_frame();
        nr = any(20);
        dcache_line_bytes = 16UL << any(9);
        made = 0;
        xs_flush_frames_to_ram(mfn, nr);

        if ( is_call(0, "flush_page_to_ram") )
        {
            for ( i = 0; i < nr; i++ )
                HOLDS(is_call(i, "flush_page_to_ram") && calls[i].a == mfn + i && !calls[i].b,
                      "%#lx", mfn + i);
            HOLDS(made == nr, "%u calls", made);
            continue;
        }
        if ( !nr )
        {
            HOLDS(!made, "%u calls for no frame", made);
            continue;
        }
        /* Every line of every frame, once, between two barriers. */
        HOLDS(is_call(0, "dsb sy") && is_call(made - 1, "dsb sy"), "%#lx %lu", mfn, nr);
        for ( i = 1; i + 1 < made; i++ )
        {
            unsigned long frame = mfn + at / PAGE_SIZE;

            HOLDS(is_call(i, "dc civac x8") && calls[i].b == dcache_line_bytes, "call %lu", i);
            HOLDS(mfn_valid(frame), "%#lx has no memory", frame);
            HOLDS(calls[i].a == (uint64_t)map_domain_page(frame) + at % PAGE_SIZE,
                  "%#lx + %#lx, line %zu", mfn, at, dcache_line_bytes);
            HOLDS(PAGE_SIZE % (8 * dcache_line_bytes) == 0, "line %zu", dcache_line_bytes);
            at += 8 * dcache_line_bytes;
        }
        HOLDS(at == nr * PAGE_SIZE, "%#lx of %lu pages", at, nr);
    }
    dcache_line_bytes = 64;
}

static void direct_map(void)
{
    for ( unsigned int kind = 0; kind < 6; kind++ )
    {
        bool hole = machine(kind);
        uint64_t offset;

        directmap_base_pdx = kind ? 512 * kind : 0;
        offset = xs_directmap_offset();
        HOLDS((offset == 0) == hole, "machine %u", kind);
        for ( unsigned long mfn = directmap_base_pdx; offset && mfn < FRAMES; mfn += 13 )
            HOLDS(offset + (mfn << PAGE_SHIFT) == (uint64_t)map_domain_page(mfn), "%#lx", mfn);
        HOLDS(xs_map_domain_page(700) == map_domain_page(700), "%u", kind);
    }
}

/* What a TLBI by address makes the TLBs forget: a page or block at a time by IPA, or
 * (NUM + 1) << (5 * SCALE + 1) pages (DDI 0487K, C5.5), if it names a 4 KiB granule. */
static unsigned long forgotten(const struct call *call, unsigned long *first, unsigned int order)
{
    if ( !strcmp(call->name, "ipas2e1is") )
    {
        HOLDS(!(call->a >> 36), "operand %#lx", (unsigned long)call->a);
        *first = call->a;
        return 1UL << order;
    }
    HOLDS(!strcmp(call->name, "ripas2e1is"), "%s", call->name);
    HOLDS(call->a >> 46 == 1 && !(call->a >> 37 & 3), "operand %#lx", (unsigned long)call->a);
    *first = call->a & ((1UL << 37) - 1);

    return ((call->a >> 39 & 31) + 1) << (5 * (call->a >> 44 & 3) + 1);
}

static void is_flush_of(unsigned long gfn, unsigned long nr, unsigned int order)
{
    unsigned long end = gfn, first;

    HOLDS(is_call(0, "dsb ishst") && is_call(made - 1, "stage 1 and wait"), "%#lx %lu", gfn, nr);
    /* In this order, each frame once: nothing is left out and nothing more is lost. */
    for ( unsigned int i = 1; i + 1 < made; i++ )
    {
        unsigned long pages = forgotten(&calls[i], &first, order);

        HOLDS(first == end, "%#lx + %lu: %#lx after %#lx", gfn, nr, first, end);
        end += pages;
    }
    HOLDS(end == gfn + nr, "%#lx + %#lx: to %#lx", gfn, nr, end);
}

static void tlbi(void)
{
    for ( unsigned int n = 0; n < 40000; n++ )
    {
        unsigned int order = 9 * any(3);
        unsigned long count = any(40), nr;
        unsigned long gfn = any(1UL << (27 - order)) << order;

        made = 0;
        xs_flush_guest_tlb_by_ipa(gfn, count, order);
        is_flush_of(gfn, count << order, order);

        nr = n < 5000 ? n : any(2) ? any(1UL << 21) : 1UL << any(21);
        gfn = any((1UL << 36) - nr);
        made = 0;
        xs_flush_guest_tlb_range(gfn, nr);
        is_flush_of(gfn, nr, 0);
        HOLDS(made <= 7, "%u instructions for %lu frames", made, nr);
    }
    for ( unsigned int tlb = 0; tlb < 4; tlb++ )
    {
        system_cpuinfo.isa64.tlb = tlb;
        HOLDS(xs_has_tlb_range() == (tlb >= 2), "%u", tlb);
    }
}

static void cpus(void)
{
    for ( cpu_possible_map = 1; cpu_possible_map < 256; cpu_possible_map++ )
        for ( nr_cpu_ids = 1; nr_cpu_ids <= NR_CPUS; nr_cpu_ids++ )
            for ( int cpu = -1; cpu < NR_CPUS; cpu++ )
            {
                int next = cpu + 1;

                while ( next < NR_CPUS &&
                        (next >= (int)nr_cpu_ids || !(cpu_possible_map & (1u << next))) )
                    next++;
                HOLDS(xs_next_possible_cpu(cpu) == (unsigned int)next, "%d of %#x", cpu,
                      cpu_possible_map);
            }
}

static void preemption(void)
{
    for ( unsigned int n = 0; n < 8; n++ )
    {
        bool general;

        softirq = n & 1;
        event = n & 2;
        current = n & 4 ? &idle : &guest;
        made = 0;
        HOLDS(xs_softirq_pending() == softirq, "%u", n);
        general = xs_general_preempt_check();
        HOLDS(general == (softirq || (!current->idle && event)), "%u", n);
        HOLDS(!made, "the idle vCPU was asked, %u", n);
    }
}

static int flushed;
static int iotlb_flush(struct domain *d, dfn_t dfn, unsigned long nr, unsigned int flags)
{
    flushed++;

    return dfn == 11 && nr == 22 && flags == 3 ? -5 : 1;
}

static void iommu(void)
{
    static const struct iommu_ops none, ops = { iotlb_flush };
    const struct iommu_ops *all[] = { NULL, &none, &ops };
    struct domain d = { false };

    for ( unsigned int n = 0; n < 3; n++ )
    {
        int rc;

        the_iommu.platform_ops = all[n];
        flushed = 0;
        rc = xs_iommu_iotlb_flush(&d, 11, 22, 3);
        HOLDS(rc == (n == 2 ? -5 : 0) && flushed == (n == 2), "%u: %d", n, rc);
    }
    HOLDS(!xs_iommu_coherent_walk(&d) && !xs_iommu_use_hap_pt(&d), "without");
    d.iommu = true;
    HOLDS(xs_iommu_coherent_walk(&d) && xs_iommu_use_hap_pt(&d), "with");
}

static void others(void)
{
    struct page_info a = { 0 }, b = { 0 };
    struct page_list_head none = { NULL, &b }, some = { &a, &b };
    struct domain d = { false };

    HOLDS(!xs_page_list_last(&none) && xs_page_list_last(&some) == &b, "last of a list");
    HOLDS(xs_page_list_remove_head(&some) == &a, "first of a list");
    made = 0;
    xs_ioreq_mapcache_invalidate(&d);
    HOLDS(!made, "nobody to tell");
    d.ioreq = true;
    xs_ioreq_mapcache_invalidate(&d);
    HOLDS(made == 1, "a device model to tell");
    made = 0;
    HOLDS(xs_iomem_access_permitted(&d, 77), "may");
    HOLDS(calls[0].a == 77 && calls[0].b == 77, "one frame");
    for ( unsigned int bits = 0; bits < 4; bits++ )
    {
        system_cpuinfo.mm64.vmid_bits = bits;
        system_cpuinfo.mm64.pa_range = bits + 1;
        HOLDS(xs_cpuinfo_vmid_16_bits() == (bits == 2), "%u", bits);
        HOLDS(xs_cpuinfo_pa_range() == bits + 1, "%u", bits);
    }
    d.pause_count = 0;
    HOLDS(!xs_domain_is_paused(&d), "runs");
    d.pause_count = 2;
    HOLDS(xs_domain_is_paused(&d), "paused twice");

    /* A CPU that comes up. */
    initcall();
    made = 0;
    HOLDS(registered->notifier_call(registered, CPU_STARTING + 1, NULL) == NOTIFY_DONE, "other");
    HOLDS(!made, "something else happened to a CPU");
    registered->notifier_call(registered, CPU_STARTING, NULL);
    HOLDS(made == 1 && is_call(0, "setup_virt_paging_one"), "starts");
    system_state = SYS_STATE_boot;
    registered->notifier_call(registered, CPU_STARTING, NULL);
    HOLDS(is_call(1, "ASSERT(system_state != SYS_STATE_boot)"), "before VTCR_EL2 is known");
}

/* Whoever was trapped, a fetch or not, a write or not: field by field, by the Arm ARM. */
static void abort_of(unsigned int mode, bool fetch, bool write, bool cache, bool len)
{
    bool el0 = mode == 0 || mode == 0x10;
    uint64_t ec = fetch ? 0x20 : 0x24, esr;

    /* A stage-2 permission fault at level 3 in a walk, with a valid syndrome. */
    trapped.hsr = ec << 26 | (uint64_t)len << 25 | 1 << 24 | cache << 8 | 1 << 7 | write << 6 | 0xf;
    trapped.cpsr = 0x60000000 | mode;
    esr = (ec | !el0) << 26 | 1 << 25 | 0x10;
    if ( !fetch )
        esr |= cache << 8 | write << 6;
    HOLDS(xs_trap_is_from_el0() == el0, "mode %#x", mode);
    made = 0;
    HOLDS(xs_inject_external_abort(0xabcdef), "mode %#x", mode);
    HOLDS(made == 3 && is_call(0, "inject_undef_exception"), "mode %#x", mode);
    HOLDS(calls[0].a == (uint64_t)(uintptr_t)&trapped, "the registers");
    HOLDS(is_call(1, "write FAR_EL1") && calls[1].a == 0xabcdef, "the address");
    HOLDS(is_call(2, "write ESR_EL1") && calls[2].a == esr,
          "mode %#x: %#lx, not %#lx", mode, (long)calls[2].a, (long)esr);
}

static void aborts(void)
{
    /* EL0t, EL1t, EL1h, and 32-bit EL0 and Supervisor mode. */
    static const unsigned int modes[] = { 0, 4, 5, 0x10, 0x13 };

    current = &guest;

    for ( unsigned int i = 0; i < 5; i++ )
        for ( unsigned int bits = 0; bits < 16; bits++ )
            abort_of(modes[i], bits & 1, bits & 2, bits & 4, bits & 8);
    made = 0;
    the_domain.is_32bit = true;
    HOLDS(!xs_inject_external_abort(1) && !made, "a 32-bit guest");
    the_domain.is_32bit = false;
}

/* Each wrapper calls the function that it is named after, with its arguments. */
static void wrappers(void)
{
    static rwlock_t rw;
    static spinlock_t spin;
    static struct page_info page;
    static struct page_list_head head;
    struct cpu_user_regs regs;
    paddr_t ipa = 0;

#define SAME(call, name, x, y) do {                                            \
        made = 0;                                                              \
        call;                                                                  \
        HOLDS(made == 1 && is_call(0, name) &&                                 \
              calls[0].a == (uint64_t)(uintptr_t)(x) &&                        \
              calls[0].b == (uint64_t)(uintptr_t)(y), "%s", #call);            \
    } while ( 0 )
    SAME(xs_rwlock_init(&rw), "rwlock_init", &rw, 0);
    SAME(xs_read_lock(&rw), "read_lock", &rw, 0);
    SAME(xs_read_trylock(&rw), "read_trylock", &rw, 0);
    SAME(xs_read_unlock(&rw), "read_unlock", &rw, 0);
    SAME(xs_write_lock(&rw), "write_lock", &rw, 0);
    SAME(xs_write_unlock(&rw), "write_unlock", &rw, 0);
    SAME(xs_spin_lock_init(&spin), "spin_lock_init", &spin, 0);
    SAME(xs_spin_lock(&spin), "spin_lock", &spin, 0);
    SAME(xs_spin_unlock(&spin), "spin_unlock", &spin, 0);
    SAME(xs_rw_is_locked(&rw), "rw_is_locked", &rw, 0);
    SAME(xs_rw_is_write_locked(&rw), "rw_is_write_locked", &rw, 0);
    SAME(xs_spin_is_locked(&spin), "spin_is_locked", &spin, 0);
    SAME(xs_local_irq_is_enabled(), "local_irq_is_enabled", 0, 0);
    SAME(xs_in_irq(), "in_irq", 0, 0);
    SAME(xs_page_to_mfn(&page), "page_to_mfn", &page, 0);
    SAME(xs_page_set_xenheap_gfn(&page, 6), "page_set_xenheap_gfn", &page, 6);
    SAME(xs_clear_page(&page), "clear_page", &page, 0);
    SAME(xs_init_page_list_head(&head), "INIT_PAGE_LIST_HEAD", &head, 0);
    SAME(xs_page_list_add(&page, &head), "page_list_add", &page, &head);
    SAME(xs_page_list_add_tail(&page, &head), "page_list_add_tail", &page, &head);
    SAME(xs_page_list_del(&page, &head), "page_list_del", &page, &head);
    SAME(xs_page_list_remove_head(&head), "page_list_remove_head", &head, 0);
    SAME(xs_clean_dcache_va_range(&page, 24), "clean_dcache_va_range", &page, 24);
    SAME(xs_invalidate_icache(), "invalidate_icache", 0, 0);
    SAME(xs_flush_guest_tlb(), "flush_guest_tlb", 0, 0);
    SAME(xs_flush_all_guests_tlb_local(), "flush_all_guests_tlb_local", 0, 0);
    SAME(xs_gva_to_ma_par(current, 8, 1), "gva_to_ma_par", 8, 1);
    made = 0;
    xs_gva_to_ma_par(&idle, 8, 1);
    HOLDS(is_call(0, "ASSERT(v == current)"), "an AT for a vCPU that does not run");
    SAME(xs_gva_to_ipa(8, &ipa, 1), "gva_to_ipa", 8, 1);
    HOLDS(ipa == 9, "the IPA");
#ifdef SET_WAY_HSR
    SAME(xs_inject_undef_exception(&regs, (union hsr){ 4 }), "inject_undef_exception", &regs, 4);
#else
    SAME(xs_inject_undef_exception(&regs, (union hsr){ 4 }), "inject_undef_exception", &regs, 0);
#endif
    SAME(xs_printk_ratelimit(), "printk_ratelimit", 0, 0);
    ratelimit = 2;
    HOLDS(xs_printk_ratelimit() == true, "printed");
    ratelimit = 0;
    HOLDS(xs_printk_ratelimit() == false, "too much was");
    for ( unsigned int state = 0; state < 3; state++ )
    {
#ifdef SHUTDOWN_STATE
        struct domain d = { .shutdown_state = state };
#else
        struct domain d = { .is_shutting_down = state };
#endif

        HOLDS(xs_domain_is_shutting_down(&d) == (state != 0), "state %u", state);
    }
    page.xenheap = true;
    HOLDS(xs_is_xen_heap_page(&page), "is");
    page.xenheap = false;
    HOLDS(!xs_is_xen_heap_page(&page), "is not");
    page.owner = &the_domain;
    HOLDS(xs_page_is_owned_by(&page, &the_domain), "its owner");
    HOLDS(!xs_page_is_owned_by(&page, NULL), "somebody else");
    HOLDS(xs_page_list_empty(&head), "empty");
}

#ifdef XS_VIEWS
struct p2m_view the_view;

/* What only a tree with views has. */
static void views(void)
{
    static struct page_list_head list, head;
    struct domain d = { .max_vcpus = 3 };
    struct vcpu v = { false };

    SAME(xs_flush_guest_tlb_local(), "flush_guest_tlb_local", 0, 0);
    SAME(xs_invalidate_icache_local(), "invalidate_icache_local", 0, 0);
    made = 0;
    xs_page_list_splice(&list, &head);
    HOLDS(made == 2 && is_call(0, "page_list_splice") && is_call(1, "INIT_PAGE_LIST_HEAD"),
          "pages that go to another list");
    HOLDS(calls[0].a == (uint64_t)(uintptr_t)&list && calls[0].b == (uint64_t)(uintptr_t)&head &&
          calls[1].a == calls[0].a, "from which, and to which");
    SAME(xs_alloc_p2m_view(), "xzalloc", sizeof(struct p2m_view), 0);
    HOLDS(xs_alloc_p2m_view() == &the_view, "a view");
    SAME(xs_free_p2m_view(&the_view), "xfree", &the_view, 0);
    HOLDS(xs_max_vcpus(&d) == 3, "vCPUs");
    SAME(xs_domain_vcpu(&d, 2), "domain_vcpu", &d, 2);
    HOLDS(xs_domain_vcpu(&d, 2) == current, "which vCPU");
    HOLDS(!xs_vcpu_is_running(&v), "rests");
    v.is_running = true;
    HOLDS(xs_vcpu_is_running(&v), "runs");
    /* Whatever a CPU that runs ahead makes of it. */
    SAME(xs_array_index_nospec(6, 10), "array_index_nospec", 6, 10);
    HOLDS(xs_array_index_nospec(6, 10) == 6 && xs_array_index_nospec(12, 10) == 0, "an index");
}
#else
static void views(void) {}
#endif

int main(void)
{
    static const struct { const char *name; void (*check)(void); } all[] = {
        { "pages", pages }, { "cleaning", cleaning }, { "direct map", direct_map },
        { "tlbi", tlbi }, { "cpus", cpus }, { "preemption", preemption }, { "iommu", iommu },
        { "others", others }, { "aborts", aborts }, { "wrappers", wrappers }, { "views", views },
    };

    /* A loop that does not end is a fault like any other. */
    alarm(60);
    for ( unsigned int i = 0; i < sizeof(all) / sizeof(all[0]); i++ )
    {
        checking = all[i].name;
        all[i].check();
        printf("holds: %s\n", all[i].name);
    }

    return 0;
}
