/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Barriers, waiting and the interrupt mask, for this machine.
 *
 * A locked instruction orders everything here, and loads and stores stay in
 * order but for a load that passes an earlier store, on which nothing in the
 * p2m and its locks relies. So barriers are for the compiler alone, as
 * arch_lock_acquire_barrier() is in Xen/x86: what they cost on Arm is in no time.
 */
#include_next <asm/system.h>

#ifndef NATIVE_SYSTEM_H
#define NATIVE_SYSTEM_H

#undef sev
#define sev() asm volatile ( "" ::: "memory" )
#undef wfe
#define wfe() asm volatile ( "pause" ::: "memory" )
#undef isb
#define isb() asm volatile ( "" ::: "memory" )
#undef dsb
#define dsb(scope) asm volatile ( "" ::: "memory" )
#undef dmb
#define dmb(scope) asm volatile ( "" ::: "memory" )

/* PSTATE.DAIF is one more register of the thread's: see asm/arm64/sysregs.h. */
#undef local_save_flags
#define local_save_flags(x) ((x) = READ_SYSREG64(DAIF))
#undef local_irq_restore
#define local_irq_restore(x) WRITE_SYSREG64(x, DAIF)
#undef local_irq_disable
#define local_irq_disable() WRITE_SYSREG64(READ_SYSREG64(DAIF) | PSR_IRQ_MASK, DAIF)
#undef local_irq_enable
#define local_irq_enable() WRITE_SYSREG64(READ_SYSREG64(DAIF) & ~PSR_IRQ_MASK, DAIF)

#endif /* NATIVE_SYSTEM_H */
