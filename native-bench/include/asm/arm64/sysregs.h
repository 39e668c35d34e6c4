/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * System registers: a variable of the thread's for each, which has one
 * instruction to load and one to store, as a register of the CPU has. Those
 * that are used are in machine.c.
 */
#include_next <asm/arm64/sysregs.h>

#ifndef NATIVE_SYSREGS_H
#define NATIVE_SYSREGS_H

#undef READ_SYSREG64
#define READ_SYSREG64(name) ({                                                \
    uint64_t r_;                                                              \
                                                                              \
    asm volatile ( "mov %%fs:native_" __stringify(name) "@tpoff, %0"          \
                   : "=r" (r_) );                                             \
    r_;                                                                       \
})
#undef WRITE_SYSREG64
#define WRITE_SYSREG64(v, name) do {                                          \
    uint64_t r_ = (v);                                                        \
                                                                              \
    asm volatile ( "mov %0, %%fs:native_" __stringify(name) "@tpoff"          \
                   :: "r" (r_) );                                             \
} while ( 0 )

#endif /* NATIVE_SYSREGS_H */
