/* SPDX-License-Identifier: GPL-2.0-only */
/* The instruction that Xen leaves there for a CPU without the erratum. */
#include_next <asm/cpufeature.h>

#undef cpus_have_const_cap
#define cpus_have_const_cap(num) ({                                           \
    register_t has_;                                                          \
                                                                              \
    asm volatile ( "mov $0, %0" : "=r" (has_) );                              \
    unlikely(has_);                                                           \
})
