/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The C side of xen-sys: see helpers.h. Compiled with exactly the flags that
 * Xen's make uses for its own C, against the same configured tree.
 */
#include "helpers.h"

#include <xen/cpu.h>
#include <xen/init.h>

#include "instructions.h"
#include "pdx.h"

#ifdef CONFIG_ARCH_MAP_DOMAIN_PAGE
# error "xen-sys relies on Arm64's direct map: map_domain_page() must not need an unmap"
#endif

void xs_rwlock_init(rwlock_t *l) { rwlock_init(l); }
void xs_read_lock(rwlock_t *l) { read_lock(l); }
#ifndef RWLOCK_IN_LINE
bool xs_read_trylock(rwlock_t *l) { return read_trylock(l); }
#endif
void xs_read_unlock(rwlock_t *l) { read_unlock(l); }
void xs_write_lock(rwlock_t *l) { write_lock(l); }
void xs_write_unlock(rwlock_t *l) { write_unlock(l); }
void xs_spin_lock_init(spinlock_t *l) { spin_lock_init(l); }
void xs_spin_lock(spinlock_t *l) { spin_lock(l); }
void xs_spin_unlock(spinlock_t *l) { spin_unlock(l); }

#ifndef NDEBUG /* What only assertions ask. */
bool xs_rw_is_locked(const rwlock_t *l) { return rw_is_locked(l); }
bool xs_rw_is_write_locked(const rwlock_t *l) { return rw_is_write_locked(l); }
bool xs_spin_is_locked(const spinlock_t *l) { return spin_is_locked(l); }
bool xs_local_irq_is_enabled(void) { return local_irq_is_enabled(); }
bool xs_in_irq(void) { return in_irq(); }

bool xs_domain_is_paused(const struct domain *d)
{
    return atomic_read(&d->pause_count);
}
#endif

mfn_t xs_page_to_mfn(const struct page_info *pg) { return page_to_mfn(pg); }

/* mfn_valid() and mfn_to_page(), which compute the same index. */
static always_inline struct page_info *page_of(mfn_t mfn)
{
    unsigned long base, pdx;

    if ( !__mfn_valid(mfn_x(mfn)) )
        return NULL;
    base = frametable_base_pdx;
    pdx = mfn_to_pdx(mfn);

    return pdx >= base ? &frame_table[pdx - base] : NULL;
}

struct page_info *xs_page_of(mfn_t mfn) { return page_of(mfn); }

/* The page, with a reference, if it is one of @d's: get_page(), inlined. */
struct page_info *xs_get_page_at(mfn_t mfn, const struct domain *d)
{
    struct page_info *pg = page_of(mfn);
    const struct domain *owner = pg ? page_get_owner_and_reference(pg) : NULL;

    if ( likely(owner == d) )
        return pg;
    if ( owner )
        put_page(pg);

    return NULL;
}

/*
 * Are these frames neighbours in the frame table and in the direct map, too?
 * Within 2^MAX_ORDER frames the difference of two pages is that of their
 * frames: the heap relies on it, whatever kind of compression there is (see
 * common/pdx.c). And which pages there are is known by the group; so it is
 * enough that both ends are in one and valid.
 */
static bool one_group(unsigned long mfn, unsigned long nr)
{
    const unsigned long group = min(PDX_GROUP_COUNT + 0UL, 1UL << MAX_ORDER);
    unsigned long last = mfn + nr - 1;

    return nr <= group && !((mfn ^ last) & ~(group - 1)) &&
           mfn_valid(_mfn(mfn)) && mfn_valid(_mfn(last));
}

bool xs_is_xen_heap_page(const struct page_info *pg)
{
    return is_xen_heap_page(pg);
}

bool xs_page_is_owned_by(const struct page_info *pg, const struct domain *d)
{
    return page_get_owner(pg) == d;
}

/* put_page() for those of @nr frames from @mfn on that have a page. */
void xs_put_pages(unsigned long mfn, unsigned long nr)
{
    if ( nr > 1 && one_group(mfn, nr) )
    {
        struct page_info *pg = mfn_to_page(_mfn(mfn));

        for ( ; nr; nr-- )
            put_page(pg++);
    }
    else
        for ( ; nr; nr--, mfn++ )
        {
            struct page_info *pg = xs_page_of(_mfn(mfn));

            if ( pg )
                put_page(pg);
        }
}

/*
 * How many of @nr frames from @mfn on come before the first for which
 * is_xen_heap_mfn() holds.
 */
unsigned long xs_before_xen_heap(unsigned long mfn, unsigned long nr)
{
    unsigned long i = 0;

    if ( nr > 1 && one_group(mfn, nr) )
    {
        const struct page_info *pg = mfn_to_page(_mfn(mfn));

        for ( ; nr - i >= 4; i += 4, pg += 4 )
            if ( is_xen_heap_page(&pg[0]) | is_xen_heap_page(&pg[1]) |
                 is_xen_heap_page(&pg[2]) | is_xen_heap_page(&pg[3]) )
                break;
        for ( ; i < nr && !is_xen_heap_page(pg); i++ )
            pg++;
    }
    else
        for ( ; i < nr; i++ )
        {
            const struct page_info *pg = xs_page_of(_mfn(mfn + i));

            if ( pg && is_xen_heap_page(pg) )
                break;
        }

    return i;
}

void xs_page_set_xenheap_gfn(struct page_info *pg, gfn_t gfn)
{
    page_set_xenheap_gfn(pg, gfn);
}

uint64_t *xs_map_domain_page(mfn_t mfn) { return map_domain_page(mfn); }

/* What maddr_to_virt() adds to an address; 0 if there is more to do. */
uint64_t xs_directmap_offset(void)
{
    return pdx_leaves_a_hole_out()
           ? 0 : XENHEAP_VIRT_START - (directmap_base_pdx << PAGE_SHIFT);
}

void xs_clear_page(void *page) { clear_page(page); }

void xs_init_page_list_head(struct page_list_head *head)
{
    INIT_PAGE_LIST_HEAD(head);
}

bool xs_page_list_empty(const struct page_list_head *head)
{
    return page_list_empty(head);
}

void xs_page_list_add(struct page_info *pg, struct page_list_head *head)
{
    page_list_add(pg, head);
}

void xs_page_list_add_tail(struct page_info *pg, struct page_list_head *head)
{
    page_list_add_tail(pg, head);
}

void xs_page_list_del(struct page_info *pg, struct page_list_head *head)
{
    page_list_del(pg, head);
}

struct page_info *xs_page_list_remove_head(struct page_list_head *head)
{
    return page_list_remove_head(head);
}

struct page_info *xs_page_list_last(const struct page_list_head *head)
{
    return page_list_empty(head) ? NULL : page_list_last(head);
}

void xs_clean_dcache_va_range(const void *p, unsigned long size)
{
    clean_dcache_va_range(p, size);
}

/*
 * clean_and_invalidate_dcache_va_range() for whole pages, without asking again
 * after each line how long lines are: eight at a time, of which a page is made.
 */
static void clean_and_invalidate_pages(const void *p, unsigned long nr)
{
    const size_t line = dcache_line_bytes;
    const void *end = p + (nr << PAGE_SHIFT);

    dsb(sy);
    do
        p = clean_and_invalidate_lines(p, line);
    while ( p != end );
    dsb(sy);
}

/* flush_page_to_ram() for @nr frames from @mfn on, without the I-cache. */
void xs_flush_frames_to_ram(unsigned long mfn, unsigned long nr)
{
    if ( nr && dcache_line_bytes <= PAGE_SIZE / 8 && one_group(mfn, nr) )
        clean_and_invalidate_pages(map_domain_page(_mfn(mfn)), nr);
    else
        for ( ; nr; nr--, mfn++ )
            flush_page_to_ram(mfn, false);
}

void xs_invalidate_icache(void) { invalidate_icache(); }
void xs_flush_guest_tlb(void) { flush_guest_tlb(); }

/*
 * By address, for the VMID in VTTBR_EL2 and all CPUs: first what the TLBs hold
 * of stage 2 for these IPAs, then what they hold of stage 1, for it may be
 * combined with what was stage 2 before. In this order, or a walk in between
 * would combine them anew (DDI 0487K, D8.17.6).
 */

/* @count entries that span 2^@order frames each, from @gfn on. */
void xs_flush_guest_tlb_by_ipa(uint64_t gfn, uint64_t count, unsigned int order)
{
    dsb_ishst();
    for ( ; count; count--, gfn += 1UL << order )
        tlbi_ipas2e1is(gfn);
    tlbi_stage1_and_wait();
}

/*
 * All of @nr frames from @gfn on, with FEAT_TLBIRANGE: RIPAS2E1IS takes
 * (NUM + 1) << (5 * SCALE + 1) of them (DDI 0487K, C5.5). @nr is below 2^21, and
 * @gfn + @nr at most 2^37.
 */
void xs_flush_guest_tlb_range(uint64_t gfn, uint64_t nr)
{
    unsigned int scale;

    dsb_ishst();
    if ( nr & 1 )
        tlbi_ipas2e1is(gfn++);
    for ( scale = 0; scale <= 3; scale++ )
    {
        unsigned int shift = 5 * scale + 1;
        uint64_t num = (nr >> shift) & 0x1f;
        uint64_t op = (1UL << 46) | ((uint64_t)scale << 44) |
                      ((num - 1) << 39) | gfn;

        if ( !num )
            continue;
        tlbi_ripas2e1is(op);
        gfn += num << shift;
    }
    tlbi_stage1_and_wait();
}

/* FEAT_TLBIRANGE on all CPUs. */
bool xs_has_tlb_range(void) { return system_cpuinfo.isa64.tlb >= 2; }

#ifdef XS_VIEWS
void xs_flush_guest_tlb_local(void) { flush_guest_tlb_local(); }
void xs_invalidate_icache_local(void) { invalidate_icache_local(); }

void xs_page_list_splice(struct page_list_head *list, struct page_list_head *head)
{
    page_list_splice(list, head);
    INIT_PAGE_LIST_HEAD(list);
}

struct p2m_view *xs_alloc_p2m_view(void) { return xzalloc(struct p2m_view); }
void xs_free_p2m_view(struct p2m_view *view) { xfree(view); }

unsigned int xs_max_vcpus(const struct domain *d) { return d->max_vcpus; }

struct vcpu *xs_domain_vcpu(const struct domain *d, unsigned int id)
{
    return domain_vcpu(d, id);
}

bool xs_vcpu_is_running(const struct vcpu *v) { return v->is_running; }
#endif
void xs_flush_all_guests_tlb_local(void) { flush_all_guests_tlb_local(); }

uint64_t xs_gva_to_ma_par(const struct vcpu *v, vaddr_t va, unsigned int flags)
{
    ASSERT(v == current);
    return gva_to_ma_par(va, flags);
}

int xs_gva_to_ipa(vaddr_t va, paddr_t *ipa, unsigned int flags)
{
    return gva_to_ipa(va, ipa, flags);
}

/* The first possible CPU above @cpu (-1 to begin with), NR_CPUS for none. */
unsigned int xs_next_possible_cpu(int cpu)
{
    unsigned int next = cpumask_next(cpu, &cpu_possible_map);

    return next < nr_cpu_ids ? next : NR_CPUS;
}

bool xs_softirq_pending(void) { return softirq_pending(smp_processor_id()); }
bool xs_general_preempt_check(void) { return general_preempt_check(); }

bool xs_iomem_access_permitted(const struct domain *d, mfn_t mfn)
{
    return iomem_access_permitted(d, mfn_x(mfn), mfn_x(mfn));
}

void xs_ioreq_mapcache_invalidate(struct domain *d)
{
#ifdef CONFIG_IOREQ_SERVER
    if ( domain_has_ioreq_server(d) )
        ioreq_request_mapcache_invalidate(d);
#endif
}

void xs_inject_undef_exception(struct cpu_user_regs *regs, union hsr hsr)
{
#ifdef SET_WAY_HSR
    inject_undef_exception(regs, hsr);
#else
    inject_undef_exception(regs);
#endif
}

/* EL0t is 0, AArch32's User mode 0 beside the bit that says AArch32. */
bool xs_trap_is_from_el0(void)
{
    return !(guest_cpu_user_regs()->cpsr & PSR_MODE_MASK & ~PSR_MODE_BIT);
}

/*
 * inject_dabt_exception() and inject_iabt_exception() are static in traps.c,
 * and a 64-bit guest reads "address size fault" in their syndrome. All
 * synchronous exceptions are taken to EL1 alike, with another syndrome.
 */
bool xs_inject_external_abort(vaddr_t gva)
{
    struct cpu_user_regs *regs = guest_cpu_user_regs();
    const union hsr hsr = { .bits = regs->hsr };
    const bool fetch = hsr.ec == HSR_EC_INSTR_ABORT_LOWER_EL;
    const bool from_el0 = xs_trap_is_from_el0();
    /* IL is 1 for all aborts that say nothing of the instruction (ISV is 0). */
    union hsr esr = { .dabt = { .dfsc = FSC_SEA, .len = 1 } };

    if ( is_32bit_domain(current->domain) )
        return false;

    if ( fetch )
        esr.ec = from_el0 ? HSR_EC_INSTR_ABORT_LOWER_EL
                          : HSR_EC_INSTR_ABORT_CURR_EL;
    else
    {
        esr.ec = from_el0 ? HSR_EC_DATA_ABORT_LOWER_EL
                          : HSR_EC_DATA_ABORT_CURR_EL;
        esr.dabt.write = hsr.dabt.write;
        esr.dabt.cache = hsr.dabt.cache;
    }

    xs_inject_undef_exception(regs, hsr);
    WRITE_SYSREG(gva, FAR_EL1);
    WRITE_SYSREG(esr.bits, ESR_EL1);

    return true;
}

bool xs_iommu_coherent_walk(struct domain *d)
{
    return iommu_has_feature(d, IOMMU_FEAT_COHERENT_WALK);
}

bool xs_iommu_use_hap_pt(const struct domain *d) { return iommu_use_hap_pt(d); }

/*
 * iommu_iotlb_flush() without its domain_crash(): that would dump the guest's
 * stack through get_page_from_gva() while the p2m lock is held. The caller
 * shuts the domain down instead.
 */
int xs_iommu_iotlb_flush(struct domain *d, unsigned long dfn,
                         unsigned long nr, unsigned int flags)
{
    const struct domain_iommu *hd = dom_iommu(d);

    if ( !hd->platform_ops || !hd->platform_ops->iotlb_flush )
        return 0;

    return iommu_call(hd->platform_ops, iotlb_flush, d, _dfn(dfn), nr, flags);
}

unsigned int xs_cpuinfo_pa_range(void) { return system_cpuinfo.mm64.pa_range; }

bool xs_cpuinfo_vmid_16_bits(void)
{
    return system_cpuinfo.mm64.vmid_bits == MM64_VMID_16_BITS_SUPPORT;
}

bool xs_domain_is_shutting_down(const struct domain *d)
{
#ifdef SHUTDOWN_STATE
    return d->shutdown_state != DOMSHUTDOWN_none;
#else
    return d->is_shutting_down;
#endif
}

bool xs_printk_ratelimit(void) { return printk_ratelimit(); }

void noreturn xs_bug(void)
{
    BUG();
    unreachable();
}

/*
 * A CPU that comes up later sets up stage 2 like the boot CPU did. The
 * notifier is registered by an ordinary initcall, after start_xen() has called
 * setup_virt_paging(): VTCR_EL2's value must be there before it can fire.
 */
void xen_p2m_setup_virt_paging_one(void *data);

static int cpu_virt_paging_callback(struct notifier_block *nfb,
                                    unsigned long action, void *hcpu)
{
    if ( action == CPU_STARTING )
    {
        ASSERT(system_state != SYS_STATE_boot);
        xen_p2m_setup_virt_paging_one(NULL);
    }

    return NOTIFY_DONE;
}

static struct notifier_block cpu_virt_paging_nfb = {
    .notifier_call = cpu_virt_paging_callback,
};

static int __init cpu_virt_paging_init(void)
{
    register_cpu_notifier(&cpu_virt_paging_nfb);

    return 0;
}
__initcall(cpu_virt_paging_init);

#ifdef XS_VIEWS /* Here, so that no line of the rest moves: some are in the object. */
unsigned int xs_array_index_nospec(unsigned int index, unsigned int size)
{
    return array_index_nospec(index, size);
}
#endif
