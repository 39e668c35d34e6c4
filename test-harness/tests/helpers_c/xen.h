/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What helpers.c needs of Xen, on a host: see main.c. Small numbers in the place
 * of Xen's, so that every case comes; the formulas are those of xen/pdx.h and
 * asm/mm.h.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define page_get_owner(pg) ((pg)->owner)
#define always_inline inline __attribute__((__always_inline__))
#define noreturn __attribute__((__noreturn__))
#define unlikely(x) (x)
#define __init
#define __initcall(fn) int (*const initcall)(void) = fn
#define ASSERT(x) do { if ( !(x) ) note("ASSERT(" #x ")"); } while ( 0 )
#define BUG() __builtin_trap()
#define unreachable() __builtin_unreachable()
#define min(x, y) ((x) < (y) ? (x) : (y))

/* The calls of Xen that were made, one after the other: "name argument argument". */
void note(const char *name);
void note_call(const char *name, uint64_t a, uint64_t b);
#define NOTE(name, a, b) note_call(name, (uint64_t)(uintptr_t)(a), (uint64_t)(uintptr_t)(b))

typedef unsigned long mfn_t, gfn_t, dfn_t;
typedef uint64_t paddr_t, vaddr_t;
typedef struct { int l; } rwlock_t, spinlock_t;
struct page_list_head { struct page_info *first, *last; };
struct page_info {
    unsigned int puts, gets;
    bool xenheap;
    const struct domain *owner;
    struct page_info *next;
};
struct domain {
    bool iommu, ioreq, is_32bit;
    int pause_count;
    unsigned int max_vcpus;
#ifdef SHUTDOWN_STATE
    unsigned char shutdown_state;
#else
    bool is_shutting_down;
#endif
};
struct vcpu { bool idle; struct domain *domain; bool is_running; };
struct cpu_user_regs { uint64_t hsr, cpsr; };
/* ESR_EL1 and ESR_EL2 (Arm ARM, D23.2.38). */
union hsr {
    uint64_t bits;
    struct { unsigned long iss:25, len:1, ec:6; };
    struct {
        unsigned long dfsc:6, write:1, s1ptw:1, cache:1, others:16, len:1, ec:6;
    } dabt;
};
#define mfn_x(mfn) (mfn)
#define _mfn(mfn) (mfn)
#define _dfn(dfn) (dfn)

/* Locks. */
#define rwlock_init(l) NOTE("rwlock_init", l, 0)
#define read_lock(l) NOTE("read_lock", l, 0)
#define read_trylock(l) (NOTE("read_trylock", l, 0), true)
#define _QR_BIAS (1U << 16)
#define _QW_WMASK (3U << 14)
#define read_unlock(l) NOTE("read_unlock", l, 0)
#define write_lock(l) NOTE("write_lock", l, 0)
#define write_unlock(l) NOTE("write_unlock", l, 0)
#define spin_lock_init(l) NOTE("spin_lock_init", l, 0)
#define spin_lock(l) NOTE("spin_lock", l, 0)
#define spin_unlock(l) NOTE("spin_unlock", l, 0)
#define rw_is_locked(l) (NOTE("rw_is_locked", l, 0), true)
#define rw_is_write_locked(l) (NOTE("rw_is_write_locked", l, 0), true)
#define spin_is_locked(l) (NOTE("spin_is_locked", l, 0), true)
#define local_irq_is_enabled() (NOTE("local_irq_is_enabled", 0, 0), true)
#define in_irq() (NOTE("in_irq", 0, 0), true)
#define atomic_read(v) (*(v))

/*
 * The frame table, with a hole that both it and the direct map leave out, in the
 * manner of each kind of compression.
 */
#define PAGE_SHIFT 12
#define PAGE_SIZE (1UL << PAGE_SHIFT)
#define XENHEAP_VIRT_START 0x800000000000UL
extern unsigned int max_order;
extern unsigned long group_count, max_page;
extern unsigned long frametable_base_pdx, directmap_base_pdx;
extern bool group_valid[];
extern struct page_info frame_table[];
#define PDX_GROUP_COUNT group_count
#define MAX_ORDER max_order
#if defined(PDX_BY_OFFSET)
# define CONFIG_PDX_NR_LOOKUP 32
extern unsigned int pfn_index_shift;
extern unsigned long pfn_pdx_lookup[], pfn_bases[], pdx_region_size;
# define PFN_TBL_IDX(pfn) ((pfn) >> pfn_index_shift & (CONFIG_PDX_NR_LOOKUP - 1))
# define mfn_to_pdx(mfn) ((mfn) - pfn_pdx_lookup[PFN_TBL_IDX(mfn)])
# define in_hole(mfn) ((mfn) < pfn_bases[PFN_TBL_IDX(mfn)] || \
                       (mfn) - pfn_bases[PFN_TBL_IDX(mfn)] >= pdx_region_size)
#elif defined(PDX_BY_MASK)
extern unsigned int pfn_pdx_hole_shift;
extern unsigned long pfn_pdx_bottom_mask, pfn_top_mask;
# define mfn_to_pdx(mfn) (((mfn) & pfn_pdx_bottom_mask) | (((mfn) & pfn_top_mask) >> pfn_pdx_hole_shift))
# define in_hole(mfn) (((mfn) & ~(pfn_pdx_bottom_mask | pfn_top_mask)) != 0)
#else
# define mfn_to_pdx(mfn) (mfn)
# define in_hole(mfn) false
#endif
#define __mfn_valid(mfn) \
    ((mfn) < max_page && !in_hole(mfn) && group_valid[mfn_to_pdx(mfn) / group_count])
#define mfn_valid(mfn) (mfn_to_pdx(mfn) >= frametable_base_pdx && __mfn_valid(mfn))
#define mfn_to_page(mfn) (&frame_table[mfn_to_pdx(mfn) - frametable_base_pdx])
#define page_to_mfn(pg) (NOTE("page_to_mfn", pg, 0), 7UL)
#define is_xen_heap_page(pg) ((pg)->xenheap)
#define likely(x) (x)
#define put_page(pg) ((void)(pg)->puts++)
static inline const struct domain *page_get_owner_and_reference(struct page_info *pg)
{
    pg->gets += pg->owner != 0;

    return pg->owner;
}
#define always_inline inline __attribute__((always_inline))
#define page_set_xenheap_gfn(pg, gfn) NOTE("page_set_xenheap_gfn", pg, gfn)
#define map_domain_page(mfn) \
    ((void *)(XENHEAP_VIRT_START + ((mfn_to_pdx(mfn) - directmap_base_pdx) << PAGE_SHIFT)))
#define clear_page(p) NOTE("clear_page", p, 0)
#define flush_page_to_ram(mfn, icache) NOTE("flush_page_to_ram", mfn, icache)
#define clean_dcache_va_range(p, size) NOTE("clean_dcache_va_range", p, size)
extern size_t dcache_line_bytes;
#define dsb(kind) NOTE("dsb " #kind, 0, 0)

/* Lists of pages. */
#define INIT_PAGE_LIST_HEAD(head) NOTE("INIT_PAGE_LIST_HEAD", head, 0)
#define page_list_add(pg, head) NOTE("page_list_add", pg, head)
#define page_list_add_tail(pg, head) NOTE("page_list_add_tail", pg, head)
#define page_list_del(pg, head) NOTE("page_list_del", pg, head)
#define page_list_remove_head(head) (NOTE("page_list_remove_head", head, 0), (head)->first)
#define page_list_last(head) ((head)->last)
#define page_list_empty(head) (!(head)->first)

/* TLBs, caches, translation. */
#define invalidate_icache() NOTE("invalidate_icache", 0, 0)
#define flush_guest_tlb() NOTE("flush_guest_tlb", 0, 0)
#define flush_all_guests_tlb_local() NOTE("flush_all_guests_tlb_local", 0, 0)
#define gva_to_ma_par(va, flags) (NOTE("gva_to_ma_par", va, flags), 5UL)
#define gva_to_ipa(va, ipa, flags) (NOTE("gva_to_ipa", va, flags), *(ipa) = 9, -14)

/* CPUs and pending work. */
#define NR_CPUS 8
#define CPU_STARTING 1
#define NOTIFY_DONE 0
#define SYS_STATE_boot 0
extern unsigned int nr_cpu_ids, cpu_possible_map, system_state;
extern bool softirq, event;
extern struct vcpu *current;
struct notifier_block {
    int (*notifier_call)(struct notifier_block *nfb, unsigned long action, void *hcpu);
};
extern struct notifier_block *registered;
unsigned int cpumask_next(int cpu, const unsigned int *map);
#define register_cpu_notifier(nfb) ((void)(registered = (nfb)))
#define smp_processor_id() 3
#define softirq_pending(cpu) ((cpu) == 3 && softirq)
bool local_events_need_delivery(void);
#define is_idle_vcpu(v) ((v)->idle)
#define general_preempt_check() \
    (softirq_pending(smp_processor_id()) || (!is_idle_vcpu(current) && local_events_need_delivery()))

/* Domains, the IOMMU. */
#define CONFIG_IOREQ_SERVER 1
#define domain_has_ioreq_server(d) ((d)->ioreq)
#define ioreq_request_mapcache_invalidate(d) NOTE("ioreq_request_mapcache_invalidate", d, 0)
#define iomem_access_permitted(d, start, end) (NOTE("iomem_access_permitted", start, end), true)
/* The guest goes on at EL1h with everything masked, as in inject_undef64_exception(). */
#define injected(regs) ((void)((regs)->cpsr = 0x3c5))
#ifdef SET_WAY_HSR
# define inject_undef_exception(regs, hsr) \
    (NOTE("inject_undef_exception", regs, (hsr).bits), injected(regs))
#else
# define inject_undef_exception(regs) \
    (NOTE("inject_undef_exception", regs, 0), injected(regs))
#endif
extern struct cpu_user_regs *the_regs;
#define guest_cpu_user_regs() the_regs
#define is_32bit_domain(d) ((d)->is_32bit)
#define HSR_EC_INSTR_ABORT_LOWER_EL 0x20
#define HSR_EC_INSTR_ABORT_CURR_EL  0x21
#define HSR_EC_DATA_ABORT_LOWER_EL  0x24
#define HSR_EC_DATA_ABORT_CURR_EL   0x25
#define FSC_SEA 0x10
#define PSR_MODE_MASK 0x1f
#define PSR_MODE_BIT 0x10
#define WRITE_SYSREG(value, name) NOTE("write " #name, value, 0)
extern int ratelimit;
#define printk_ratelimit() (NOTE("printk_ratelimit", 0, 0), ratelimit)
#define DOMSHUTDOWN_none 0
#define IOMMU_FEAT_COHERENT_WALK 0
#define iommu_has_feature(d, feature) ((d)->iommu)
#define iommu_use_hap_pt(d) ((d)->iommu)
struct iommu_ops {
    int (*iotlb_flush)(struct domain *d, dfn_t dfn, unsigned long nr, unsigned int flags);
};
struct domain_iommu { const struct iommu_ops *platform_ops; };
extern struct domain_iommu the_iommu;
#define dom_iommu(d) (&the_iommu)
#define iommu_call(ops, fn, ...) ((ops)->fn(__VA_ARGS__))
struct cpuinfo {
    struct { unsigned int pa_range, vmid_bits; } mm64;
    struct { unsigned int tlb; } isa64;
};
extern struct cpuinfo system_cpuinfo;
#define MM64_VMID_16_BITS_SUPPORT 2

/* Views. */
#ifdef CONFIG_ALTP2M
struct p2m_view { int any; };
extern struct p2m_view the_view;
# define P2M_VIEWS 10
# define P2M_NO_VIEW 0xffff
# define flush_guest_tlb_local() NOTE("flush_guest_tlb_local", 0, 0)
# define invalidate_icache_local() NOTE("invalidate_icache_local", 0, 0)
# define page_list_splice(list, head) NOTE("page_list_splice", list, head)
# define xzalloc(type) (NOTE("xzalloc", sizeof(type), 0), (type *)&the_view)
# define xfree(p) NOTE("xfree", p, 0)
# define domain_vcpu(d, id) (NOTE("domain_vcpu", d, id), current)
# define array_index_nospec(index, size) \
    (NOTE("array_index_nospec", index, size), (index) < (size) ? (index) : 0)
#endif

/* Constants of helpers.h: any values. */
enum {
    MEMF_no_owner, HCR_TVM, HCR_VM, SCTLR_Axx_ELx_C, SCTLR_Axx_ELx_M, PADDR_BITS, MATTR_DEV,
    MATTR_MEM_NC, MATTR_MEM, LPAE_SH_OUTER, LPAE_SH_INNER, GV2M_WRITE, INVALID_VCPU_ID,
    IOMMU_FLUSHF_added, IOMMU_FLUSHF_modified, INVALID_VMID, ARM64_WORKAROUND_AT_SPECULATE,
    DOMID_IDLE, XEN_DOMCTL_CDF_iommu, VTCR_RES1, VTCR_SH0_IS, VTCR_ORGN0_WBWA, VTCR_IRGN0_WBWA,
    VTCR_TG0_4K, VTCR_VS,
};
