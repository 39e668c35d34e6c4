/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Functions of Xen's whose types differ from release to release, and matter
 * here in none: without Xen's headers.
 */
#include "native.h"

/* What has nothing to do: nothing is printed or pending, and nobody listens. */
#define NOTHING(name) \
    long name(void); \
    long name(void) { return 0; }

NOTHING(iommu_has_feature)
NOTHING(printk)
NOTHING(printk_ratelimit)
NOTHING(register_cpu_notifier)
NOTHING(smp_call_function)
NOTHING(vgic_evtchn_irq_pending)
NOTHING(vgic_vcpu_pending_irq)

/*
 * What no row leads to, and the linker wants all the same. None returns.
 * (Some are in a file of Xen's that is linked, in some releases.)
 */
#define NEVER(name) \
    void __attribute__((__weak__)) name(void); \
    void name(void) { native_stop(#name "() was called"); }

NEVER(__domain_crash)
NEVER(do_softirq)
NEVER(domain_shutdown)
NEVER(dump_pt_walk)
NEVER(guest_walk_tables)
NEVER(inject_undef_exception)
NEVER(iommu_iotlb_flush)
NEVER(monitor_traps)
NEVER(panic)
NEVER(pmap_map)
NEVER(pmap_unmap)
NEVER(rangeset_contains_range)
NEVER(raw_copy_from_guest)
NEVER(vm_event_check_ring)
