/* SPDX-License-Identifier: GPL-2.0-only */
/* No TLB is invalidated, and no instruction is in the place of it. */
#ifndef NATIVE_FLUSHTLB_H
#define NATIVE_FLUSHTLB_H

#define NATIVE_NO_FLUSH(name) \
    static inline void name(void) { asm volatile ( "" ::: "memory" ); }

NATIVE_NO_FLUSH(flush_guest_tlb_local)
NATIVE_NO_FLUSH(flush_guest_tlb)
NATIVE_NO_FLUSH(flush_all_guests_tlb_local)
NATIVE_NO_FLUSH(flush_all_guests_tlb)
NATIVE_NO_FLUSH(flush_xen_tlb_local)
NATIVE_NO_FLUSH(__tlb_repeat_sync)

#undef NATIVE_NO_FLUSH

static inline void __flush_xen_tlb_one_local(vaddr_t va) {}
static inline void __flush_xen_tlb_one(vaddr_t va) {}

#endif /* NATIVE_FLUSHTLB_H */
