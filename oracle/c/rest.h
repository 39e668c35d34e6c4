/* SPDX-License-Identifier: GPL-2.0-only */
/* The part of the shim that needs the tree's types; see shim.h. */

struct paging_domain {
    spinlock_t lock;
    struct page_list_head p2m_freelist;
    unsigned long p2m_total_pages;
};

struct domain {
    domid_t domain_id;
    unsigned int is_dying;
    bool is_shutting_down;
    struct vm_event_domain *vm_event_monitor;
    struct {
        struct p2m_domain p2m;
        void *views; /* The end of the Rust side's p2m: no domain has any here. */
        struct paging_domain paging;
        uint64_t hvm_params[39]; /* Nothing that the p2m looks at. */
    } arch;
};

struct vcpu {
    int vcpu_id;
    struct domain *domain;
    struct {
        register_t sctlr;
        register_t hcr_el2;
        bool need_flush_to_ram;
        uint16_t p2m_view;
    } arch;
};

/* Frames. */
#define gfn_to_gaddr(gfn) ((paddr_t)gfn_x(gfn) << PAGE_SHIFT)
#define gaddr_to_gfn(ga) _gfn((ga) >> PAGE_SHIFT)
#define mfn_to_maddr(mfn) ((paddr_t)mfn_x(mfn) << PAGE_SHIFT)
#define maddr_to_mfn(ma) _mfn((ma) >> PAGE_SHIFT)
unsigned long xs_page_to_mfn(const struct page_info *pg);
#define page_to_mfn(pg) _mfn(xs_page_to_mfn(pg))
#define page_to_maddr(pg) mfn_to_maddr(page_to_mfn(pg))
unsigned long xs_before_xen_heap(unsigned long mfn, unsigned long nr);
#define is_xen_heap_mfn(mfn) (!xs_before_xen_heap(mfn_x(mfn), 1))
bool xs_page_is_owned_by(const struct page_info *pg, const struct domain *d);
void xs_page_set_xenheap_gfn(struct page_info *pg, unsigned long gfn);
#define page_set_xenheap_gfn(pg, gfn) xs_page_set_xenheap_gfn(pg, gfn_x(gfn))
struct domain *page_get_owner_and_reference(struct page_info *page);
void clear_and_clean_page(struct page_info *page);
void flush_page_to_ram(unsigned long mfn, bool sync_icache);
void *xs_map_domain_page(unsigned long mfn);
#define map_domain_page(mfn) xs_map_domain_page(mfn_x(mfn))
#define __map_domain_page(pg) map_domain_page(page_to_mfn(pg))
#define unmap_domain_page(p) ((void)(p))
void xs_clear_page(void *p);
#define clear_page(p) xs_clear_page(p)

/* Page lists, the heap. */
#define MEMF_no_owner (1U << 5)
struct page_info *alloc_domheap_pages(struct domain *d, unsigned int order,
                                      unsigned int memflags);
void free_domheap_pages(struct page_info *pg, unsigned int order);
#define alloc_domheap_page(d, f) alloc_domheap_pages(d, 0, f)
#define free_domheap_page(pg) free_domheap_pages(pg, 0)
void xs_init_page_list_head(struct page_list_head *head);
void xs_page_list_add(struct page_info *pg, struct page_list_head *head);
void xs_page_list_add_tail(struct page_info *pg, struct page_list_head *head);
void xs_page_list_del(struct page_info *pg, struct page_list_head *head);
struct page_info *xs_page_list_remove_head(struct page_list_head *head);
bool xs_page_list_empty(const struct page_list_head *head);
#define INIT_PAGE_LIST_HEAD(head) xs_init_page_list_head(head)
#define page_list_add(pg, head) xs_page_list_add(pg, head)
#define page_list_add_tail(pg, head) xs_page_list_add_tail(pg, head)
#define page_list_del(pg, head) xs_page_list_del(pg, head)
#define page_list_remove_head(head) xs_page_list_remove_head(head)
#define page_list_empty(head) xs_page_list_empty(head)
#define xzalloc(type) ((type *)calloc(1, sizeof(type)))
#define xzalloc_array(type, n) ((type *)calloc(n, sizeof(type)))
#define xfree(p) free(p)

/* Access settings. */
void radix_tree_init(struct radix_tree_root *root);
int radix_tree_insert(struct radix_tree_root *root, unsigned long key, void *p);
void *radix_tree_delete(struct radix_tree_root *root, unsigned long key);
void *radix_tree_lookup(struct radix_tree_root *root, unsigned long key);
void **radix_tree_lookup_slot(struct radix_tree_root *root, unsigned long key);
void radix_tree_destroy(struct radix_tree_root *root, void (*slot_free)(void *));
void *xs_radix_tree_int_to_ptr(int val);
int xs_radix_tree_ptr_to_int(void *ptr);
void xs_radix_tree_replace_slot(void **slot, void *item);
#define radix_tree_int_to_ptr(val) xs_radix_tree_int_to_ptr(val)
#define radix_tree_ptr_to_int(ptr) xs_radix_tree_ptr_to_int(ptr)
#define radix_tree_replace_slot(slot, item) xs_radix_tree_replace_slot(slot, item)

/*
 * Locks. The VMID lock is static, so nobody initialises it for the harness; it
 * is not held across anything.
 */
#define ORACLE_STATIC_LOCK 0x5354415449430000ULL
#define SPIN_LOCK_UNLOCKED { { ORACLE_STATIC_LOCK, 0 } }
void xs_rwlock_init(rwlock_t *l);
void xs_spin_lock_init(spinlock_t *l);
void xs_spin_lock(spinlock_t *l);
void xs_spin_unlock(spinlock_t *l);
bool xs_spin_is_locked(const spinlock_t *l);
#define rwlock_init(l) xs_rwlock_init(l)
#define spin_lock_init(l) xs_spin_lock_init(l)
#define spin_is_locked(l) xs_spin_is_locked(l)
static inline void spin_lock(spinlock_t *l)
{
    if ( l->words[0] != ORACLE_STATIC_LOCK )
        xs_spin_lock(l);
}
static inline void spin_unlock(spinlock_t *l)
{
    if ( l->words[0] != ORACLE_STATIC_LOCK )
        xs_spin_unlock(l);
}

/* Entries: a table's is the harness', a value on the stack is our own. */
void oracle_write_pte(uint64_t *p, uint64_t pte);
#define write_pte(p, pte) oracle_write_pte(&(p)->bits, (pte).bits)
void xs_clean_dcache_va_range(const void *p, unsigned long size);
#define clean_dcache_va_range(p, size) xs_clean_dcache_va_range(p, size)
#define clean_dcache(x) xs_clean_dcache_va_range(&(x), sizeof(x))
void xs_invalidate_icache(void);
#define invalidate_icache() xs_invalidate_icache()
void xs_flush_guest_tlb(void);
void xs_flush_guest_tlb_local(void);
void xs_flush_all_guests_tlb_local(void);
#define flush_guest_tlb() xs_flush_guest_tlb()
#define flush_guest_tlb_local() xs_flush_guest_tlb_local()
#define flush_all_guests_tlb_local() xs_flush_all_guests_tlb_local()

/* Registers and barriers. */
void xs_mock_isb(void);
#define isb() xs_mock_isb()
void xs_mock_dsb_ish(void);
void xs_mock_dsb_nsh(void);
#define dsb(domain) xs_mock_dsb_##domain()
#define ALTERNATIVE(oldinstr, newinstr, feature) ""
bool xs_has_at_speculate(void);
bool xs_found_at_speculate(void);
#define cpus_have_const_cap(cap) xs_has_at_speculate()
#define cpus_have_cap(cap) xs_found_at_speculate()
uint64_t xs_mock_read_vttbr_el2(void);
void xs_mock_write_vttbr_el2(uint64_t value);
void xs_mock_write_vtcr_el2(uint64_t value);
uint64_t xs_mock_read_hcr_el2(void);
void xs_mock_write_hcr_el2(uint64_t value);
void xs_mock_write_sctlr_el1(uint64_t value);
#define oracle_read_VTTBR_EL2() xs_mock_read_vttbr_el2()
#define oracle_read_HCR_EL2() xs_mock_read_hcr_el2()
#define oracle_write_VTTBR_EL2(v) xs_mock_write_vttbr_el2(v)
#define oracle_write_VTCR_EL2(v) xs_mock_write_vtcr_el2(v)
#define oracle_write_HCR_EL2(v) xs_mock_write_hcr_el2(v)
#define oracle_write_SCTLR_EL1(v) xs_mock_write_sctlr_el1(v)
#define WRITE_SYSREG(v, reg) oracle_write_##reg(v)
#define WRITE_SYSREG64(v, reg) WRITE_SYSREG(v, reg)
#define vcpu_hcr_set_flags(v, flags) \
    do { (v)->arch.hcr_el2 |= (flags); WRITE_SYSREG((v)->arch.hcr_el2, HCR_EL2); } while ( 0 )
#define vcpu_hcr_clear_flags(v, flags) \
    do { (v)->arch.hcr_el2 &= ~(flags); WRITE_SYSREG((v)->arch.hcr_el2, HCR_EL2); } while ( 0 )
uint64_t xs_gvirt_to_maddr(vaddr_t va, paddr_t *pa, unsigned int flags);
int xs_gva_to_ipa(vaddr_t va, paddr_t *ipa, unsigned int flags);
#define gvirt_to_maddr(va, pa, flags) xs_gvirt_to_maddr(va, pa, flags)
#define gva_to_ipa(va, ipa, flags) xs_gva_to_ipa(va, ipa, flags)
bool oracle_guest_walk_tables(const struct vcpu *v, vaddr_t gva, paddr_t *ipa,
                              unsigned int *perms);
#define guest_walk_tables(v, gva, ipa, perms) oracle_guest_walk_tables(v, gva, ipa, perms)
void dump_pt_walk(paddr_t ttbr, paddr_t addr, unsigned int root_level,
                  unsigned int nr_root_tables);
unsigned int xs_cpuinfo_pa_range(void);
bool xs_cpuinfo_vmid_16_bits(void);
struct oracle_cpuinfo { struct { unsigned int pa_range, vmid_bits; } mm64; };
#define system_cpuinfo ((struct oracle_cpuinfo){ { xs_cpuinfo_pa_range(), \
    xs_cpuinfo_vmid_16_bits() ? MM64_VMID_16_BITS_SUPPORT : 0 } })

/* CPUs, interrupts, pending work. */
unsigned int xs_smp_processor_id(void);
unsigned int xs_next_possible_cpu(int cpu);
bool xs_local_irq_is_enabled(void);
unsigned long xs_local_irq_save(void);
void xs_local_irq_restore(unsigned long flags);
bool xs_softirq_pending(void);
bool xs_hypercall_preempt_check(void);
bool xs_general_preempt_check(void);
void do_softirq(void);
void smp_call_function(void (*func)(void *info), void *info, int wait);
#define smp_processor_id() xs_smp_processor_id()
#define for_each_possible_cpu(cpu) \
    for ( (cpu) = 0; (cpu) < NR_CPUS; (cpu) = xs_next_possible_cpu(cpu) )
#define local_irq_is_enabled() xs_local_irq_is_enabled()
#define local_irq_save(flags) ((flags) = xs_local_irq_save())
#define local_irq_restore(flags) xs_local_irq_restore(flags)
#define softirq_pending(cpu) xs_softirq_pending()
#define hypercall_preempt_check() xs_hypercall_preempt_check()
#define general_preempt_check() xs_general_preempt_check()
#define CPU_STARTING 1
#define NOTIFY_DONE 0
#define SYS_STATE_boot 0
#define system_state 1
struct notifier_block {
    int (*notifier_call)(struct notifier_block *nfb, unsigned long action, void *hcpu);
};
#define register_cpu_notifier(nfb) ((void)(nfb))

/* Domains, the IOMMU, the monitor. */
bool xs_is_hardware_domain(const struct domain *d);
bool xs_is_idle_vcpu(const struct vcpu *v);
bool xs_domain_is_paused(const struct domain *d);
bool xs_iomem_access_permitted(const struct domain *d, unsigned long mfn);
void xs_ioreq_mapcache_invalidate(struct domain *d);
void xs_inject_undef_exception(struct cpu_user_regs *regs, union hsr hsr);
void __domain_crash(struct domain *d);
#define is_hardware_domain(d) xs_is_hardware_domain(d)
#define is_idle_vcpu(v) xs_is_idle_vcpu(v)
#define atomic_read(pause_count) 1
#define iomem_access_permitted(d, start, end) xs_iomem_access_permitted(d, start)
#define domain_has_ioreq_server(d) true
#define ioreq_request_mapcache_invalidate(d) xs_ioreq_mapcache_invalidate(d)
/* With hsr up to 4.20. */
#define inject_undef_exception(regs, ...) \
    xs_inject_undef_exception(regs, (union hsr){ 0 })
#define domain_crash(d) __domain_crash(d)
bool xs_is_iommu_enabled(const struct domain *d);
bool xs_iommu_coherent_walk(struct domain *d);
bool xs_iommu_use_hap_pt(const struct domain *d);
int xs_iommu_iotlb_flush(struct domain *d, unsigned long dfn, unsigned long nr,
                         unsigned int flags);
#define _dfn(x) (x)
#define IOMMU_FLUSHF_added (1U << 0)
#define IOMMU_FLUSHF_modified (1U << 1)
#define is_iommu_enabled(d) xs_is_iommu_enabled(d)
#define iommu_has_feature(d, feature) xs_iommu_coherent_walk(d)
#define iommu_use_hap_pt(d) xs_iommu_use_hap_pt(d)
#define iommu_iotlb_flush(d, dfn, nr, flags) xs_iommu_iotlb_flush(d, dfn, nr, flags)
#define VM_EVENT_REASON_MEM_ACCESS 1
#define MEM_ACCESS_R (1 << 0)
#define MEM_ACCESS_W (1 << 1)
#define MEM_ACCESS_X (1 << 2)
#define MEM_ACCESS_GLA_VALID (1 << 3)
#define MEM_ACCESS_FAULT_WITH_GLA (1 << 4)
#define MEM_ACCESS_FAULT_IN_GPT (1 << 5)
bool vm_event_check_ring(struct vm_event_domain *ved);
int monitor_traps(struct vcpu *v, bool sync, vm_event_request_t *req);

/* The VMID bitmap. */
static inline void set_bit(unsigned int nr, unsigned long *map)
{
    map[nr / 64] |= 1UL << (nr % 64);
}
static inline void clear_bit(unsigned int nr, unsigned long *map)
{
    map[nr / 64] &= ~(1UL << (nr % 64));
}
static inline unsigned int find_first_zero_bit(const unsigned long *map, unsigned int size)
{
    unsigned int i;

    for ( i = 0; i < size; i++ )
        if ( !(map[i / 64] & (1UL << (i % 64))) )
            break;

    return i;
}

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
