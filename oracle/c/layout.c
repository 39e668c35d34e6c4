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
 * Local variables:
 * mode: C
 * c-file-style: "BSD"
 * c-basic-offset: 4
 * indent-tabs-mode: nil
 * End:
 */
