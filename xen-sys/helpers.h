/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the Rust p2m needs of Xen and cannot call as it is: static inlines and
 * macros. One function each, named xs_<the C name>, and nothing else: no
 * policy lives here. bindgen reads this file; gcc compiles helpers.c with the
 * flags of the Xen tree that the archive is linked into.
 */
#ifndef XEN_SYS_HELPERS_H
#define XEN_SYS_HELPERS_H

#include <xen/domain_page.h>
#include <xen/guest_access.h>
#include <xen/iocap.h>
#include <xen/iommu.h>
#include <xen/ioreq.h>
#include <xen/lib.h>
#include <xen/mem_access.h>
#include <xen/mm.h>
#include <xen/monitor.h>
#include <xen/radix-tree.h>
#include <xen/sched.h>
#include <xen/smp.h>
#include <xen/softirq.h>
#include <xen/vm_event.h>
#include <xen/xmalloc.h>

#include <public/sched.h>
#include <public/vm_event.h>

#include <asm/alternative.h>
#include <asm/cpufeature.h>
#include <asm/event.h>
#include <asm/flushtlb.h>
#include <asm/guest_walk.h>
#include <asm/lpae.h>
#include <asm/page.h>
#include <asm/traps.h>
#ifdef CONFIG_ARM_P2M_DUMP
#include <asm/p2m-dump.h>
#endif
/* A tree may have the option and not our structures: build/facts.rs refuses it. */
#if defined(CONFIG_ALTP2M) && __has_include(<asm/p2m-views.h>)
#include <asm/p2m-views.h>
#define XS_VIEWS
#endif

/* Locks: Xen's own, so that CONFIG_DEBUG_LOCKS sees every acquisition. */
void xs_rwlock_init(rwlock_t *l);
void xs_read_lock(rwlock_t *l);
bool xs_read_trylock(rwlock_t *l);
void xs_read_unlock(rwlock_t *l);
void xs_write_lock(rwlock_t *l);
void xs_write_unlock(rwlock_t *l);
bool xs_rw_is_locked(const rwlock_t *l);
bool xs_rw_is_write_locked(const rwlock_t *l);
void xs_spin_lock_init(spinlock_t *l);
void xs_spin_lock(spinlock_t *l);
void xs_spin_unlock(spinlock_t *l);
bool xs_spin_is_locked(const spinlock_t *l);

/* Frames and pages. */
mfn_t xs_page_to_mfn(const struct page_info *pg);
struct page_info *xs_page_of(mfn_t mfn);
struct page_info *xs_get_page_at(mfn_t mfn, const struct domain *d);
bool xs_is_xen_heap_page(const struct page_info *pg);
bool xs_page_is_owned_by(const struct page_info *pg, const struct domain *d);
void xs_put_pages(unsigned long mfn, unsigned long nr);
unsigned long xs_before_xen_heap(unsigned long mfn, unsigned long nr);
void xs_page_set_xenheap_gfn(struct page_info *pg, gfn_t gfn);
uint64_t xs_directmap_offset(void);
uint64_t *xs_map_domain_page(mfn_t mfn);
void xs_clear_page(void *page);

void xs_init_page_list_head(struct page_list_head *head);
void xs_page_list_add(struct page_info *pg, struct page_list_head *head);
void xs_page_list_add_tail(struct page_info *pg, struct page_list_head *head);
void xs_page_list_del(struct page_info *pg, struct page_list_head *head);
struct page_info *xs_page_list_remove_head(struct page_list_head *head);
struct page_info *xs_page_list_last(const struct page_list_head *head);
bool xs_page_list_empty(const struct page_list_head *head);

/* Caches and TLBs, with the erratum work-arounds of the C. */
void xs_clean_dcache_va_range(const void *p, unsigned long size);
void xs_flush_frames_to_ram(unsigned long mfn, unsigned long nr);
void xs_invalidate_icache(void);
void xs_flush_guest_tlb(void);
void xs_flush_guest_tlb_by_ipa(uint64_t gfn, uint64_t count, unsigned int order);
void xs_flush_guest_tlb_range(uint64_t gfn, uint64_t nr);
bool xs_has_tlb_range(void);
#ifdef XS_VIEWS
void xs_flush_guest_tlb_local(void);
void xs_invalidate_icache_local(void);
void xs_page_list_splice(struct page_list_head *list, struct page_list_head *head);
struct p2m_view *xs_alloc_p2m_view(void);
void xs_free_p2m_view(struct p2m_view *view);
unsigned int xs_max_vcpus(const struct domain *d);
struct vcpu *xs_domain_vcpu(const struct domain *d, unsigned int id);
bool xs_vcpu_is_running(const struct vcpu *v);
unsigned int xs_array_index_nospec(unsigned int index, unsigned int size);
#endif
void xs_flush_all_guests_tlb_local(void);

/*
 * Address translation by the hardware of the current vCPU. The first takes it as
 * get_page_from_gva() does, whose arguments so stay in their registers.
 */
uint64_t xs_gva_to_ma_par(const struct vcpu *v, vaddr_t va, unsigned int flags);
int xs_gva_to_ipa(vaddr_t va, paddr_t *ipa, unsigned int flags);

/* The current CPU and vCPU. */
unsigned int xs_next_possible_cpu(int cpu);
bool xs_local_irq_is_enabled(void);
bool xs_in_irq(void);
bool xs_softirq_pending(void);
bool xs_general_preempt_check(void);

/* Domains and vCPUs. */
bool xs_domain_is_paused(const struct domain *d);
bool xs_domain_is_shutting_down(const struct domain *d);
bool xs_iomem_access_permitted(const struct domain *d, mfn_t mfn);
void xs_ioreq_mapcache_invalidate(struct domain *d);
/* @hsr is for releases whose function takes it. */
void xs_inject_undef_exception(struct cpu_user_regs *regs, union hsr hsr);

/* Whether the trap that the current vCPU is in came from EL0, 32-bit or not. */
bool xs_trap_is_from_el0(void);

/*
 * Injects a synchronous external abort for the access whose trap the current
 * vCPU is in. False: a 32-bit guest, and nothing was done.
 */
bool xs_inject_external_abort(vaddr_t gva);

/* IOMMU. */
bool xs_iommu_coherent_walk(struct domain *d);
bool xs_iommu_use_hap_pt(const struct domain *d);
int xs_iommu_iotlb_flush(struct domain *d, unsigned long dfn,
                         unsigned long nr, unsigned int flags);

/* What the boot CPU found of all CPUs. */
unsigned int xs_cpuinfo_pa_range(void);
bool xs_cpuinfo_vmid_16_bits(void);

bool xs_printk_ratelimit(void);
void noreturn xs_bug(void);

/* Up to 4.18 a macro of p2m.c's own. */
#ifndef INVALID_VMID
# define INVALID_VMID 0
#endif

/*
 * Constants of this tree: bindgen turns the
 * enumerators into Rust constants.
 */
enum xs_const {
    XS_MEMF_no_owner = MEMF_no_owner,
    XS_HCR_TVM = HCR_TVM,
    XS_HCR_VM = HCR_VM,
    XS_SCTLR_M_C = SCTLR_Axx_ELx_C | SCTLR_Axx_ELx_M,
    XS_PADDR_BITS = PADDR_BITS,
    XS_PAGE_SHIFT = PAGE_SHIFT,
    XS_MATTR_DEV = MATTR_DEV,
    XS_MATTR_MEM_NC = MATTR_MEM_NC,
    XS_MATTR_MEM = MATTR_MEM,
    XS_LPAE_SH_OUTER = LPAE_SH_OUTER,
    XS_LPAE_SH_INNER = LPAE_SH_INNER,
    XS_GV2M_WRITE = GV2M_WRITE,
    XS_INVALID_VCPU_ID = INVALID_VCPU_ID,
    XS_IOMMU_FLUSHF_added = IOMMU_FLUSHF_added,
    XS_IOMMU_FLUSHF_modified = IOMMU_FLUSHF_modified,
    XS_INVALID_VMID = INVALID_VMID,
    XS_ARM64_WORKAROUND_AT_SPECULATE = ARM64_WORKAROUND_AT_SPECULATE,
    XS_DOMID_IDLE = DOMID_IDLE,
    XS_CDF_iommu = XEN_DOMCTL_CDF_iommu,
    XS_NR_CPUS = NR_CPUS,
    XS_QR_BIAS = _QR_BIAS,
    XS_QW_WMASK = _QW_WMASK,
#ifdef XS_VIEWS
    XS_P2M_VIEWS = P2M_VIEWS,
    XS_P2M_NO_VIEW = P2M_NO_VIEW,
#endif
};

enum xs_const_wide {
    XS_VTCR_BASE = VTCR_RES1 | VTCR_SH0_IS | VTCR_ORGN0_WBWA | VTCR_IRGN0_WBWA |
                   VTCR_TG0_4K,
    XS_VTCR_VS = VTCR_VS,
};

#endif /* XEN_SYS_HELPERS_H */
