/* SPDX-License-Identifier: GPL-2.0-only */
/* What the Rust side of the oracle checks and sets. */
#include "shim.h"

/* As in xen-sys/src/mock.rs, in the order of layout.rs. */
const size_t oracle_layout[] = {
    sizeof(struct domain),
    offsetof(struct domain, arch.p2m),
    offsetof(struct domain, arch.p2m.pages),
    offsetof(struct domain, arch.p2m.vmid),
    offsetof(struct domain, arch.p2m.vttbr),
    offsetof(struct domain, arch.p2m.lowest_mapped_gfn),
    offsetof(struct domain, arch.p2m.clean_pte),
    offsetof(struct domain, arch.p2m.stats),
    offsetof(struct domain, arch.p2m.default_access),
    offsetof(struct domain, arch.p2m.mem_access_settings),
    offsetof(struct domain, arch.p2m.last_vcpu_ran),
    offsetof(struct domain, arch.paging),
    sizeof(struct vcpu),
    offsetof(struct vcpu, arch.need_flush_to_ram),
    sizeof(vm_event_request_t),
};

/*
 * Boot: the globals are as they were linked. setup_virt_paging() follows.
 */
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

/*
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
