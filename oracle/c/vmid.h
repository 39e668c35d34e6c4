/* SPDX-License-Identifier: GPL-2.0-only */
/* For the file with the VMID allocator, of which all is static up to 4.18. */

int oracle_alloc_vmid(struct domain *d)
{
    return p2m_alloc_vmid(d);
}

void oracle_free_vmid(struct domain *d)
{
    p2m_free_vmid(d);
}

/* Boot: the globals are as they were linked. setup_virt_paging() follows. */
void oracle_reset(void)
{
    p2m_ipa_bits = PADDR_BITS;
    max_vmid = MAX_VMID_8_BIT;
}

/* What the Rust has as globals, too. */
void oracle_globals(unsigned int globals[4])
{
    globals[0] = p2m_ipa_bits;
    globals[1] = max_vmid;
    globals[2] = p2m_root_order;
    globals[3] = p2m_root_level;
}

void oracle_set_way_flush(struct vcpu *v, struct cpu_user_regs *regs)
{
#ifdef FACT_set_way_hsr
    p2m_set_way_flush(v, regs, (const union hsr){ 0 });
#else
    p2m_set_way_flush(v, regs);
#endif
}

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
