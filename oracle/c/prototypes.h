/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The functions of the C that are called as sides/exports.rs declares them: a
 * tree that has one otherwise must not compile. What differs from release to
 * release is not among them (vmid.h, lifecycle.h).
 */

/* p2m.c */
void p2m_write_unlock(struct p2m_domain *p2m);
void memory_type_changed(struct domain *d);
mfn_t p2m_lookup(struct domain *d, gfn_t gfn, p2m_type_t *t);
struct page_info *p2m_get_page_from_gfn(struct domain *d, gfn_t gfn, p2m_type_t *t);
int guest_physmap_mark_populate_on_demand(struct domain *d, unsigned long gfn,
                                          unsigned int order);
unsigned long p2m_pod_decrease_reservation(struct domain *d, gfn_t gfn,
                                           unsigned int order);
int p2m_insert_mapping(struct domain *d, gfn_t start_gfn, unsigned long nr,
                       mfn_t mfn, p2m_type_t t);
int map_regions_p2mt(struct domain *d, gfn_t gfn, unsigned long nr, mfn_t mfn,
                     p2m_type_t p2mt);
int unmap_regions_p2mt(struct domain *d, gfn_t gfn, unsigned long nr, mfn_t mfn);
int map_mmio_regions(struct domain *d, gfn_t start_gfn, unsigned long nr, mfn_t mfn);
int unmap_mmio_regions(struct domain *d, gfn_t start_gfn, unsigned long nr, mfn_t mfn);
int map_dev_mmio_page(struct domain *d, gfn_t gfn, mfn_t mfn);
int guest_physmap_add_entry(struct domain *d, gfn_t gfn, mfn_t mfn,
                            unsigned long page_order, p2m_type_t t);
int guest_physmap_remove_page(struct domain *d, gfn_t gfn, mfn_t mfn,
                              unsigned int page_order);
int set_foreign_p2m_entry(struct domain *d, const struct domain *fd,
                          unsigned long gfn, mfn_t mfn);
int p2m_cache_flush_range(struct domain *d, gfn_t *pstart, gfn_t end);
void p2m_toggle_cache(struct vcpu *v, bool was_enabled);
mfn_t gfn_to_mfn(struct domain *d, gfn_t gfn);
struct page_info *get_page_from_gva(struct vcpu *v, vaddr_t va, unsigned long flags);

/* mmu/p2m.c */
int arch_get_paging_mempool_size(struct domain *d, uint64_t *size);
int arch_set_paging_mempool_size(struct domain *d, uint64_t size);
int p2m_teardown_allocation(struct domain *d);
void p2m_dump_info(struct domain *d);
void p2m_save_state(struct vcpu *p);
void p2m_restore_state(struct vcpu *n);
void p2m_tlb_flush_sync(struct p2m_domain *p2m);
mfn_t p2m_get_entry(struct p2m_domain *p2m, gfn_t gfn, p2m_type_t *t,
                    p2m_access_t *a, unsigned int *page_order, bool *valid);
int p2m_set_entry(struct p2m_domain *p2m, gfn_t sgfn, unsigned long nr, mfn_t smfn,
                  p2m_type_t t, p2m_access_t a);
bool p2m_resolve_translation_fault(struct domain *d, gfn_t gfn);
void p2m_final_teardown(struct domain *d);
int p2m_init(struct domain *d);
int relinquish_p2m_mapping(struct domain *d);
void p2m_flush_vm(struct vcpu *v);
void setup_virt_paging(void);

/* mem_access.c */
struct page_info *p2m_mem_access_check_and_get_page(vaddr_t gva, unsigned long flag,
                                                    const struct vcpu *v);
bool p2m_mem_access_check(paddr_t gpa, vaddr_t gla, struct npfec npfec);
long p2m_set_mem_access(struct domain *d, gfn_t gfn, uint32_t nr, uint32_t start,
                        uint32_t mask, xenmem_access_t access, unsigned int altp2m_idx);
long p2m_set_mem_access_multi(struct domain *d,
                              XEN_GUEST_HANDLE(const_uint64) pfn_list,
                              XEN_GUEST_HANDLE(const_uint8) access_list,
                              uint32_t nr, uint32_t start, uint32_t mask,
                              unsigned int altp2m_idx);
int p2m_get_mem_access(struct domain *d, gfn_t gfn, xenmem_access_t *access,
                       unsigned int altp2m_idx);
void arch_p2m_set_access_required(struct domain *d, bool access_required);

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
